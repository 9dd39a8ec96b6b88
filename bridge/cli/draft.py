"""The first text of a new rule: manifest, handler or steps, and a payload by which it can be tried."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge import catalogue
from bridge.rule.manifest import Source
from bridge.rule.method import Method
from bridge.rule.methods import METHODS
from bridge.rule.scope import SITE

COLUMN = 48
ELSEWHERE = "98765"  # the example's page in a space that the sandbox's demo does not have


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants of a new rule; ``verbs`` are those of steps, by full names."""

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
        """Return the verbs of a product that a scope must hold for all of it, without its name, each once."""
        needed = (verb for name in self.verbs for verb in METHODS[name].verbs)
        return list(dict.fromkeys(verb.partition(".")[2] for verb in needed if verb.startswith(f"{product}.")))


# What an example's value stands for in a handler.
_THINGS = {"{{ issue.key }}": "event.issue", "{{ page.id }}": "event.page"}


def as_step(method: Method) -> Iterator[str]:
    """Say the method's example as the keys of a step, places in <> still to be filled."""
    yield from (f"{name} = {_toml(value)}" for name, value in method.example.items())


def as_call(method: Method) -> str:
    """Say the method's example as a handler would."""
    given = ", ".join(f"{name}={_python(value)}" for name, value in method.example.items())
    call = f"context.{method.product}.{method.attribute}({given})"
    return f"for each in {call}:\n    context.log(each)" if method.name.endswith("search") else call


def _python(value: Any) -> str:
    return _THINGS.get(value, json.dumps(value)) if isinstance(value, str) else repr(value)


def files(wanted: Wanted) -> dict[str, str]:
    """Return the files of the new rule, by their names below the rules' directory."""
    made = {f"{wanted.name}.toml": _manifest(wanted)}
    if not wanted.steps:
        made[f"{wanted.name}.py"] = _handler(wanted)
    example = json.dumps(payload(wanted), ensure_ascii=False, indent=2) + "\n"
    return made | {f"payloads/{wanted.name}/example.json": example}


def _toml(text: object) -> str:
    """Write text, numbers, lists and tables as TOML, whose strings are JSON's but for DEL."""
    if isinstance(text, Mapping):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml(inner)}" for key, inner in text.items()) + " }"
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
            homeless = [verb for verb in verbs if catalogue.verb(f"{product}.{verb}").container == "site"]
            housed = [verb for verb in verbs if verb not in homeless]
            lines += [f"{_toml_key(each)} = {_toml(housed)}" for each in dict.fromkeys(containers) if housed]
            lines += (
                [_noted(f'"{SITE}" = {_toml(homeless)}', "what belongs to no project or space")] if homeless else []
            )
    lines += ["", "[scope.limits]", _noted("actions = 20", "writes in each delivery")]
    if wanted.steps:
        for verb in dict.fromkeys(wanted.verbs):
            method = METHODS[verb]
            lines += ["", "[[step]]", _noted(f"verb = {_toml(verb)}", method.title)]
            lines += [_filled(line, wanted) for line in as_step(method)]
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
    calls = [_filled(as_call(METHODS[verb]), wanted) for verb in dict.fromkeys(wanted.verbs)]
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
