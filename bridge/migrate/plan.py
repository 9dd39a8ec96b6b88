"""One automation weighed: what the bridge does, what stays and why, in which runs, and what is lost.

Consecutive actions of one list that can be taken over make a *run*: one web request in their place, one rule. An action
never moves across a condition, a branch or an action that stays. Then what the automation reads is looked at: a work
item that the bridge creates is unknown to the parts that stay, so where they read ``{{createdIssue}}`` the creating
action stays as well; where ``{{webhookResponse}}`` of an earlier request is read, no request of ours comes between.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bridge.catalogue import unavailable
from bridge.migrate import body, web_requests
from bridge.migrate.actions import CONVERTERS, CREATING
from bridge.migrate.automation import Automation, Node, Path
from bridge.migrate.conversion import Converter, Names, Stays, Step, Work, attempt
from bridge.migrate.smart import Carried, found
from bridge.migrate.titles import title_of
from bridge.rule.methods import METHODS

_RESPONSE = re.compile(r"webhookResponses?\b")
_CREATED = re.compile(r"createdIssues?\b")
# What only notes or computes: it may come before the bridge has acted without anybody seeing a difference.
_QUIET = frozenset({"codebarrel.action.log", "jira.create.mapping-variable", "jira.create.dynamic-mapping-variable"})
# Triggers that bring a work item along; others may have none.
_NO_ISSUE = ("jira.version.", "jira.sprint.", "jira.incoming.webhook", "devops.", "confluence")
_KINDS = {"CONDITION", "CONDITION_BLOCK", "BRANCH", "ORCHESTRATION", "TRIGGER"}


@dataclass(frozen=True, slots=True)
class Decision:
    """One action: done by the bridge in a run (counted from 1), or staying, with the reason."""

    node: Node
    title: str
    verdict: Literal["bridge", "stays"]
    why: str = ""
    run: int | None = None
    steps: tuple[Step, ...] = ()
    lost: tuple[str, ...] = ()
    known: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive actions that one rule does: ``path`` leads to their list, ``first`` and ``last`` count in it.

    ``wait``: something comes after it that could see whether the actions were done, so the request waits for them.
    """

    number: int
    path: Path
    first: int
    last: int
    steps: tuple[Step, ...]
    carried: tuple[Carried, ...]
    wait: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one automation; ``notes`` hold for all of it, ``requests`` are its web requests that stay."""

    automation: Automation
    decisions: tuple[Decision, ...]
    runs: tuple[Run, ...]
    notes: tuple[str, ...]
    requests: tuple[web_requests.WebRequest, ...]
    with_issue: bool

    @property
    def leaves(self) -> Literal["entirely", "partly", "not at all"]:
        """How far the automation leaves its actor; actions that touch no product do not count."""
        acting = [each for each in self.decisions if each.verdict == "bridge" or each.node.type not in _HARMLESS]
        done = [each for each in acting if each.verdict == "bridge"]
        return "not at all" if not done else "entirely" if len(done) == len(acting) else "partly"

    @property
    def verbs(self) -> tuple[str, ...]:
        """The full names of all verbs that its rules need, each once."""
        needed = (verb for run in self.runs for step in run.steps for verb in METHODS[step.verb].verbs)
        return tuple(dict.fromkeys(needed))


# Actions that do nothing to Jira or Confluence as anybody: they may stay without an actor that counts.
_HARMLESS = _QUIET | {"jira.create.variable", "jira.lookup.issues", "jira.issue.refresh.issue"}
_NOTHING_KNOWN = "its type is not known, and nothing is guessed"


@dataclass(slots=True)
class _Weighing:
    """The weighing of one automation: what stays is found again and again, until nothing more has to stay."""

    automation: Automation
    names: Names
    converters: Mapping[str, Converter]
    stays: dict[Path, str] = field(default_factory=dict)

    @property
    def with_issue(self) -> bool:
        """Whether the trigger brings a work item, as far as one can tell; within a branch there always is one."""
        trigger = self.automation.trigger
        value = trigger.value if isinstance(trigger.value, Mapping) else {}
        without_query = trigger.type == "jira.jql.scheduled" and not value.get("jql")
        return not (trigger.type.startswith(_NO_ISSUE) or without_query)

    def work(self, *, branched: bool) -> Work:
        """Begin a run."""
        values = body.begun(with_issue=self.with_issue or branched)
        known = any(each in self.names.service for each in self.automation.projects)
        return Work(values, self.names, self.automation.service_desk or known)

    def converter(self, node: Node) -> Converter | None:
        """Return what converts an action, if anything does."""
        return web_requests.convert if node.type == web_requests.TYPE else self.converters.get(node.type)


def weigh(automation: Automation, names: Names | None = None, taught: Mapping[str, Converter] | None = None) -> Plan:
    """Weigh an automation; ``taught`` are converters of a mapping file, which go before our own."""
    weighing = _Weighing(automation, names or Names(), {**CONVERTERS, **(taught or {})})
    while True:
        runs, told, more = _attempted(weighing)
        more = more or _too_early(weighing, runs)
        if not more:
            break
        weighing.stays |= more
    decisions = tuple(_decision(weighing, node, runs, told) for node in _actions(automation))
    requests = [
        web_requests.read(each.node.value)
        for each in decisions
        if each.verdict == "stays" and isinstance(each.node.value, Mapping) and "headers" in each.node.value
    ]
    return Plan(automation, decisions, runs, tuple(_notes(automation, runs)), tuple(requests), weighing.with_issue)


def _actions(automation: Automation) -> Iterator[Node]:
    return (node for node in automation.walk() if node.component not in _KINDS)


Told = dict[Path, tuple[tuple[Step, ...], tuple[str, ...]]]


def _attempted(weighing: _Weighing) -> tuple[tuple[Run, ...], Told, dict[Path, str]]:
    """Convert all runs as they are now; give the runs, what each action became, and what turned out to stay."""
    runs: list[Run] = []
    told: Told = {}
    more: dict[Path, str] = {}
    for path, siblings, after, branched in _lists(weighing.automation):
        for group in _groups(weighing, siblings):
            work = weighing.work(branched=branched)
            steps: list[Step] = []
            for node in group:
                work.lost = {}
                try:
                    made = _converted(weighing, node, work, branched=branched)
                except Stays as why:
                    more[node.path] = str(why)
                    break
                told[node.path] = (tuple(made), tuple(work.lost))
                steps += made
            last = int(group[-1].path[-1])
            wait = any(each.type not in _QUIET for each in (*siblings[last + 1 :], *after))
            carried = tuple(work.values.carried.values())
            first = int(group[0].path[-1])
            runs.append(Run(len(runs) + 1, path, first, last, tuple(steps), carried, wait))
    # Lists are met from the outside in; people count from the top down.
    ordered = sorted(runs, key=lambda run: (*run.path, run.first))
    return tuple(replace(run, number=number) for number, run in enumerate(ordered, start=1)), told, more


def _converted(weighing: _Weighing, node: Node, work: Work, *, branched: bool) -> Sequence[Step]:
    converter = weighing.converter(node)
    if converter is None:
        raise Stays(_NOTHING_KNOWN)
    steps = attempt(node, converter, work)
    if not (weighing.with_issue or branched) and any("issue.key" in str(step.arguments) for step in steps):
        raise Stays("the trigger brings no work item for it to act on")
    return steps


Listed = tuple[Path, tuple[Node, ...], tuple[Node, ...], bool]


def _lists(automation: Automation) -> Iterator[Listed]:
    """Give every list of components: where it stands, what is run after it, and whether it is within a branch."""

    def below(siblings: tuple[Node, ...], path: Path, after: tuple[Node, ...], *, branched: bool) -> Iterator[Listed]:
        yield path, siblings, after, branched
        for at, node in enumerate(siblings):
            # The blocks of an if/else are alternatives: what stands in the next block does not come after this one.
            following = () if node.component == "CONDITION_BLOCK" else siblings[at + 1 :]
            inside = branched or node.component == "BRANCH"
            yield from below(node.children, (*node.path, "children"), (*following, *after), branched=inside)

    yield from below(automation.components, ("components",), (), branched=False)


def _groups(weighing: _Weighing, siblings: Sequence[Node]) -> Iterator[list[Node]]:
    """Give the maximal runs of consecutive actions that do not stay, as far as is known by now."""
    group: list[Node] = []
    for node in siblings:
        if node.component in _KINDS or node.children or _must_stay(weighing, node) is not None:
            if group:
                yield group
            group = []
        else:
            group.append(node)
    if group:
        yield group


def _must_stay(weighing: _Weighing, node: Node) -> str | None:
    if node.path in weighing.stays:
        return weighing.stays[node.path]
    if weighing.converter(node) is not None:
        return None
    known = unavailable.by_type().get(node.type)
    return known.why if known is not None else _KEPT.get(node.type, _NOTHING_KNOWN)


_KEPT = {
    "jira.lookup.issues": "What it finds must be known before the web request is sent, so it stays in the automation.",
    "jira.issue.refresh.issue": "It reads for the steps that stay in the automation; a rule reads for itself.",
}


def _too_early(weighing: _Weighing, runs: Sequence[Run]) -> dict[Path, str]:
    """Find what must stay for the sake of what is read: a created work item, an earlier request's answer."""
    nodes = list(weighing.automation.walk())
    place = {node.path: number for number, node in enumerate(nodes)}
    replaced = {(*run.path, at): run for run in runs for at in range(run.first, run.last + 1)}
    for run in runs:
        first, last = place[(*run.path, run.first)], place[(*run.path, run.last)]
        later = [node for node in nodes[last + 1 :] if replaced.get(node.path) is not run]
        for path in ((*run.path, at) for at in range(run.first, run.last + 1)):
            if nodes[place[path]].type in CREATING and any(_reads_created(node) for node in later):
                return {path: "a later step that is not of its run reads {{createdIssue}}, or branches to it"}
            answered = nodes[place[path]].type == web_requests.TYPE
            if answered and any(_reads(node, _RESPONSE) for node in nodes[place[path] + 1 :]):
                return {path: "a later step reads {{webhookResponse}} of it"}
        asked = any(node.type == web_requests.TYPE and node.path not in replaced for node in nodes[:first])
        if asked and any(_reads(node, _RESPONSE) for node in later):
            why = "a later step reads {{webhookResponse}} of an earlier request, and the bridge's would take its place"
            return {(*run.path, at): why for at in range(run.first, run.last + 1)}
    return {}


def _reads_created(node: Node) -> bool:
    value = node.value if isinstance(node.value, Mapping) else {}
    return value.get("relatedType") == "recentlycreated" or _reads(node, _CREATED)


def _reads(node: Node, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(smart) for text in _texts(node.value) for smart in found(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _decision(weighing: _Weighing, node: Node, runs: Sequence[Run], told: Told) -> Decision:
    run = next(
        (run for run in runs if node.path[:-1] == run.path and run.first <= int(node.path[-1]) <= run.last), None
    )
    if run is not None:
        steps, lost = told[node.path]
        title = METHODS[steps[0].verb].title
        if node.type == web_requests.TYPE:
            title = f"Send web request to Atlassian, that is: {title}"
        return Decision(node, title, "bridge", run=run.number, steps=steps, lost=lost)
    return Decision(
        node, title_of(node.type), "stays", why=_must_stay(weighing, node) or "", known=_known(weighing, node)
    )


def _known(weighing: _Weighing, node: Node) -> bool:
    return weighing.converter(node) is not None or node.type in unavailable.by_type() or node.type in _KEPT


def _notes(automation: Automation, runs: Sequence[Run]) -> Iterator[str]:
    if runs:
        yield "a failed action is noted and the next one is done, as in Automation (on_failure = continue)"
    if any(run.wait for run in runs):
        yield "what comes after the web request waits up to 20 seconds for the bridge to have acted"
    created = [step.id for run in runs for step in run.steps if step.id]
    if created:
        yield "{{createdIssue}} within a run becomes the result of the rule's own step"
    if runs and automation.others_may_trigger:
        yield "other automations may set it off: the rule does not ignore what its own account set off; mind loops"
    if runs:
        yield "the service account's changes set off other automations, as a person's do"
    if automation.connections:
        yield "its connections run as those who made them; those that only replaced actions used are dropped"
