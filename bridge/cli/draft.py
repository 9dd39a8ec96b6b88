"""The first text of a new rule: manifest, handler or steps, and a payload by which it can be tried."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge import catalogue
from bridge.rule.manifest import Source

COLUMN = 48
ELSEWHERE = "98765"  # the example's page in a space that the sandbox's demo does not have


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants of a new rule; ``verbs`` are full names."""

    name: str
    title: str
    owner: str
    source: Source
    account: str
    verbs: tuple[str, ...]
    projects: tuple[str, ...]
    spaces: tuple[str, ...]
    steps: bool

    def of(self, product: str) -> list[str]:
        """Return the verbs of a product, without its name, each once."""
        return list(dict.fromkeys(verb.partition(".")[2] for verb in self.verbs if verb.startswith(f"{product}.")))


# What a step of each verb says at first. Places in <> are filled in with the rule's own project or space.
STEPS: Mapping[str, tuple[str, ...]] = {
    "jira.read": ('issue = "{{ issue.key }}"', 'fields = ["summary", "status"]'),
    "jira.search": ('jql = "project = <project> AND statusCategory != Done"', "limit = 10"),
    "jira.comment": ('issue = "{{ issue.key }}"', 'body = "Seen: **{{ issue.key }}**."'),
    "jira.transition": ('issue = "{{ issue.key }}"', 'to = "In Progress"'),
    "jira.edit": ('issue = "{{ issue.key }}"', 'add = { labels = ["seen"] }'),
    "jira.assign": ('issue = "{{ issue.key }}"', 'account_id = "-1"  # the default assignee'),
    "jira.create": (
        'project = "<project>"',
        'issue_type = "Task"',
        'summary = "Follow up {{ issue.key }}"',
    ),
    "confluence.read": ('page = "{{ page.id }}"',),
    "confluence.create-page": (
        'space = "<space>"',
        'title = "Notes on {{ page.title }}"',
        'body = "Written after **{{ page.title }}** changed."',
    ),
    "confluence.update-page": ('page = "{{ page.id }}"', 'append = "Seen: **{{ page.title }}**."'),
    "confluence.comment": ('page = "{{ page.id }}"', 'body = "Seen: **{{ page.title }}**."'),
    "confluence.label": ('page = "{{ page.id }}"', 'labels = ["seen"]'),
}
# The same in a handler.
CALLS: Mapping[str, tuple[str, ...]] = {
    "jira.read": (
        'issue = context.jira.issue(event.issue, fields=["summary", "status"])',
        "context.log(f\"{issue['key']} is {issue['fields']['status']['name']}\")",
    ),
    "jira.search": (
        'for hit in context.jira.search("project = <project> AND statusCategory != Done", limit=10):',
        "    context.log(f\"{hit['key']} is open\")",
    ),
    "jira.comment": ('context.jira.comment(event.issue, context.markdown("Seen: **{key}**.", key=event.issue.ref))',),
    "jira.transition": ('context.jira.transition(event.issue, "In Progress")',),
    "jira.edit": ('context.jira.edit(event.issue, add={"labels": ["seen"]})',),
    "jira.assign": ('context.jira.assign(event.issue, "-1")  # the default assignee',),
    "jira.create": ('context.jira.create("<project>", "Task", f"Follow up {event.issue}")',),
    "confluence.read": (
        "page = context.confluence.page(event.page)",
        "context.log(f\"the page is called {page['title']}\")",
    ),
    "confluence.create-page": (
        'context.confluence.create_page("<space>", f"Notes on {event.page.title}", "Written after a change.")',
    ),
    "confluence.update-page": ('context.confluence.update_page(event.page, append="Seen.")',),
    "confluence.comment": ('context.confluence.comment(event.page, "Seen.")',),
    "confluence.label": ('context.confluence.label(event.page, "seen")',),
}


def files(wanted: Wanted) -> dict[str, str]:
    """Return the files of the new rule, by their names below the rules' directory."""
    made = {f"{wanted.name}.toml": _manifest(wanted)}
    if not wanted.steps:
        made[f"{wanted.name}.py"] = _handler(wanted)
    example = json.dumps(payload(wanted), ensure_ascii=False, indent=2) + "\n"
    return made | {f"payloads/{wanted.name}/example.json": example}


def _toml(text: object) -> str:
    """Write text or a list of texts as TOML, whose strings are JSON's but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _noted(text: str, comment: str) -> str:
    """Put a comment behind a line, all of them in one column."""
    return f"{text:{COLUMN}} # {comment}"


def _manifest(wanted: Wanted) -> str:
    lines = [
        f"title   = {_toml(wanted.title)}",
        f"owner   = {_toml(wanted.owner)}",
        f"source  = {_toml(wanted.source)}",
        f"account = {_toml(wanted.account)}",
        _noted('mode    = "observe"', 'nothing is written before this is "act"; the log shows what would be'),
        "",
        "[accept]",
        *_accept(wanted),
        "",
        "[order]",
        _noted(f"key = {_toml(_key(wanted))}", "one after another for the same one"),
    ]
    for product, containers in (("jira", wanted.projects), ("confluence", wanted.spaces)):
        verbs = wanted.of(product)
        if verbs:
            lines += ["", _noted(f"[scope.{product}]", "what is not listed is refused")]
            lines += [f"{_toml_key(container)} = {_toml(verbs)}" for container in dict.fromkeys(containers)]
    lines += ["", "[scope.limits]", _noted("actions = 20", "writes in each delivery")]
    if wanted.steps:
        for verb in dict.fromkeys(wanted.verbs):
            lines += ["", "[[step]]", _noted(f"verb = {_toml(verb)}", catalogue.verb(verb).title)]
            lines += [_filled(line, wanted) for line in STEPS[verb]]
    return "\n".join(lines) + "\n"


def _toml_key(container: str) -> str:
    bare = container.isascii() and container.replace("_", "").isalnum()
    return container if bare else _toml(container)


def _accept(wanted: Wanted) -> Iterator[str]:
    required = [f"{each}.{'key' if each == 'issue' else 'id'}" for each in _things(wanted)]
    yield _noted(f"require = {_toml(required)}", "without them: 422, kept and shown as rejected")
    if wanted.source.endswith("-automation"):
        thing = _things(wanted)[0]
        key = ["issue.id", "issue.updated"] if thing == "issue" else ["page.id", "page.version"]
        yield _noted(f"idempotency_key = {_toml(key)}", "Automation may send the same thing twice")
    if wanted.source != "jira-webhook":
        yield _noted('initiator = "initiator"', "what our own account set off is ignored")


def _things(wanted: Wanted) -> list[str]:
    """Return what the payload names: an issue, a page or both, in that order unless it comes from Confluence."""
    things = [thing for thing, product in (("issue", "jira"), ("page", "confluence")) if wanted.of(product)]
    if wanted.source == "jira-webhook" and "issue" not in things:
        things.insert(0, "issue")
    return things[::-1] if wanted.source == "confluence-automation" else things


def _key(wanted: Wanted) -> str:
    return "issue.key" if _things(wanted)[0] == "issue" else "page.id"


def _filled(line: str, wanted: Wanted) -> str:
    for place, containers in (("<project>", wanted.projects), ("<space>", wanted.spaces)):
        if containers:
            line = line.replace(place, containers[0])
    return line


def _handler(wanted: Wanted) -> str:
    title = wanted.title.replace("\\", "\\\\").replace('"', "'")
    sentence = title if title.endswith((".", "!", "?")) else f"{title}."
    calls = [_filled(line, wanted) for verb in dict.fromkeys(wanted.verbs) for line in CALLS[verb]]
    body = textwrap.indent("\n".join(calls), "    ")
    return (
        f'"""{sentence}\n\n'
        'A payload is only a claim: read again what matters, then act. It runs again after a crash.\n"""\n\n'
        "from bridge import Context, Event\n\n\n"
        "def handle(event: Event, context: Context) -> None:\n"
        f'    """{sentence}"""\n'
        f"{body}\n"
    )


def payload(wanted: Wanted) -> dict[str, Any]:
    """Return a payload as the rule's source would send it, naming things that the sandbox has."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    person = "712020:6b1f7c1e-2a83-4a0b-9a35-51d2f1c0a9aa"
    made: dict[str, Any] = {}
    for thing in _things(wanted):
        if thing == "issue":
            project = wanted.projects[0] if wanted.projects else "OPS"
            issue: dict[str, Any] = {"id": 10001, "key": f"{project}-1"}
            if wanted.source == "jira-webhook":
                fields = {"summary": "An example", "project": {"key": project}, "updated": now}
                issue |= {"id": "10001", "fields": fields}
            else:
                issue |= {"updated": now, "summary": "An example"}
            made["issue"] = issue
        else:
            number, title = _page(wanted.spaces[0])
            made |= {"page": {"id": number, "title": title, "version": 1}, "space": {"key": wanted.spaces[0]}}
    if wanted.source == "jira-webhook":
        moment = int(datetime.now(UTC).timestamp() * 1000)
        return {"timestamp": moment, "webhookEvent": "jira:issue_updated", "user": {"accountId": person}, **made}
    return {**made, "initiator": person, "sentAt": now}


def _page(space: str) -> tuple[str, str]:
    """Return id and title of a page that the sandbox's demo has in a space, or of one that a trial will add."""
    from bridge.sandbox import seed
    from bridge.sandbox.site import Site

    site = seed.demo(Site(), {})
    homes = {each.id: each.homepage for each in site.spaces.values() if each.key == space}
    for page in site.pages.values():
        if page.space in homes and page.id != homes[page.space]:
            return page.id, page.latest.title
    return ELSEWHERE, "An example"
