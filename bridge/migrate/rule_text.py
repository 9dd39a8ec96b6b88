"""The manifest of a rule that does one run of an automation's actions: TOML, in observe mode."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge import catalogue
from bridge.migrate.automation import Automation
from bridge.migrate.body import SENT_AT
from bridge.migrate.plan import Plan, Run
from bridge.rule.manifest import read
from bridge.rule.methods import METHODS
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE

LONGEST_NAME = 48
USUAL_ACTIONS = 20
# The token's version while the automation still acts itself, and once the rule does: see ``bridge migrate cutover``.
OBSERVING, ACTING = 1, 2
_LITERAL = re.compile(r"[^{]*")
_FIELD_ID = re.compile(r"[a-z][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody says of the rules to be: who answers for them, as whom they act, in which projects or spaces."""

    owner: str
    account: str
    containers: tuple[str, ...]


def name_of(automation: Automation, taken: Collection[str]) -> str:
    """Return a rule's name for an automation: letters, digits and _ of its name, and a number if that is taken."""
    plain = unicodedata.normalize("NFKD", automation.name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST_NAME].rstrip("_")
    if not slug or not slug[0].isalpha():
        slug = f"automation_{slug}" if slug else "automation"
    name, number = slug, 1
    while name in taken:
        number += 1
        name = f"{slug}_{number}"
    return name


def manifest(plan: Plan, run: Run, wanted: Wanted) -> str:
    """Return the text of the rule for a run."""
    automation = plan.automation
    several = f", part {run.number} of {len(plan.runs)}" if len(plan.runs) > 1 else ""
    source = "confluence-automation" if automation.product == "confluence" else "jira-automation"
    lines = [
        f"# What the automation {_toml(automation.name)} did{several}. Written by `bridge migrate`; look through it.",
        "",
        f"title   = {_toml(automation.name + several)}",
        f"owner   = {_toml(wanted.owner)}",
        f"source  = {_toml(source)}",
        f"account = {_toml(wanted.account)}",
        'mode    = "observe"                       # nothing is written before this is "act"',
        "",
        *_accept(plan, run),
        *_scope(run, wanted),
        *_limits(run),
    ]
    for step in run.steps:
        lines += ["", "[[step]]", f"verb = {_toml(step.verb)}  # {METHODS[step.verb].title}"]
        if step.id:
            lines.append(f"id = {_toml(step.id)}")
        lines += [f"{name} = {_value(given)}" for name, given in step.arguments.items()]
        lines.append('on_failure = "continue"')
    return "\n".join(lines) + "\n"


def rule(name: str, text: str) -> Rule:
    """Read a manifest's text as a rule, to ask what it needs; raise ``ValueError`` if it is none."""
    draft = read(text, name)
    if draft.manifest is None:
        raise ValueError("; ".join(str(each) for each in draft.mistakes))
    return Rule(name, draft.manifest, "", {f"{name}.toml": text}, has_handler=False)


def _accept(plan: Plan, run: Run) -> Iterator[str]:
    carried = {each.path for each in run.carried}
    thing = next((path for path in ("issue.key", "page.id") if path in carried), None)
    yield "[accept]"
    yield f"require         = {_toml([*([thing] if thing else []), SENT_AT])}"
    key = ["issue.id" if thing == "issue.key" else thing, SENT_AT] if thing else [SENT_AT]
    yield f"idempotency_key = {_toml(key)}  # the same request sent twice is acted on once"
    if not plan.automation.others_may_trigger:
        yield 'initiator       = "initiator.accountId"    # what our own account set off is ignored'
    yield f"token_versions  = [{OBSERVING}]                       # {ACTING} once the automation no longer acts itself"
    if thing:
        yield ""
        yield "[order]"
        yield f"key = {_toml(thing)}"


def _scope(run: Run, wanted: Wanted) -> Iterator[str]:
    needed = dict.fromkeys(verb for step in run.steps for verb in METHODS[step.verb].verbs)
    for product in ("jira", "confluence"):
        verbs = [verb.partition(".")[2] for verb in needed if verb.startswith(f"{product}.")]
        if not verbs:
            continue
        homeless = [verb for verb in verbs if catalogue.verb(f"{product}.{verb}").container == "site"]
        housed = [verb for verb in verbs if verb not in homeless]
        yield ""
        yield f"[scope.{product}]"
        if housed:
            named = [*wanted.containers, *_created_in(run)]
            yield from (f"{_key(each)} = {_toml(housed)}" for each in dict.fromkeys(named))
        if homeless:
            yield f'"{SITE}" = {_toml(homeless)}'


def _created_in(run: Run) -> Iterator[str]:
    """Give the projects that steps name outright, beside those of the automation."""
    for step in run.steps:
        project = step.arguments.get("project")
        if isinstance(project, str) and "{{" not in project:
            yield project


def _limits(run: Run) -> Iterator[str]:
    yield ""
    yield "[scope.limits]"
    writes = sum(2 if step.verb == "jira.clone" else 1 for step in run.steps)
    yield f"actions = {max(USUAL_ACTIONS, 2 * writes)}"
    ways = [step.arguments["to"] for step in run.steps if step.verb == "jira.transition"]
    if ways and all(_LITERAL.fullmatch(way) and not way.isdigit() for way in ways):
        yield f"transitions = {_toml(list(dict.fromkeys(ways)))}"
    if {step.verb for step in run.steps} == {"jira.edit"}:
        touched = {name for step in run.steps for name in _touched(step.arguments)}
        if all(_FIELD_ID.fullmatch(name) for name in touched):
            yield f"fields = {_toml(sorted(touched))}"


def _touched(arguments: Mapping[str, Any]) -> Iterator[str]:
    for member in ("set", "add", "remove", "clear"):
        yield from arguments.get(member, ())


def _value(given: Any) -> str:
    if isinstance(given, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in given.items()) + " }"
    if isinstance(given, list):
        return "[" + ", ".join(map(_value, given)) + "]"
    if isinstance(given, str) and "\n" in given:
        return '"""\n' + _toml(given)[1:-1].replace("\\n", "\n") + '"""'
    return _toml(NOTHING) if given is None else _toml(given)


NOTHING = "{{ none }}"


def _toml(value: object) -> str:
    """Write text, numbers and lists of them as TOML, whose strings are JSON's but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    bare = name.isascii() and re.sub(r"[_-]", "", name).isalnum()
    return name if bare else _toml(name)
