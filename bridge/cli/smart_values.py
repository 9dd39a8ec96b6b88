"""The custom data of "Send web request" for a rule: JSON with a smart value for each field that the rule asks for.

Automation puts text into JSON as it is, so a quotation mark in a summary would break it; ``asJsonString`` writes the
quotes and escapes what is between them
(https://support.atlassian.com/cloud-automation/docs/jira-smart-values-json-functions/).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.rule import template
from bridge.rule.manifest import Manifest
from bridge.rule.paths import Absent, find

NOW = '"{{now.format("yyyy-MM-dd\'T\'HH:mm:ss.SSSZ")}}"'
_CHAIN = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_FILTER = re.compile(r"\|\s*\w+")
_ISSUE_KEY = re.compile(r"[A-Z][A-Z0-9_]*-[1-9][0-9]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*")
_OWN_NAMES = frozenset({"item", "event", "payload"})
# What a field of that path is called in smart values; other paths below these roots are called as they are written.
_KNOWN = {
    "issue": "issue.key",
    "issueKey": "issue.key",
    "issue_key": "issue.key",
    "key": "issue.key",
    "issueId": "issue.id",
    "issue_id": "issue.id",
    "project": "issue.project.key",
    "page": "page.id",
    "pageId": "page.id",
    "page_id": "page.id",
    "title": "page.title",
    "space": "space.key",
    "initiator": "initiator.accountId",
    "user": "initiator.accountId",
    "comment": "comment.id",
}
_ROOTS = frozenset({"issue", "page", "space", "initiator", "comment", "project", "sprint", "version", "blog"})
_PEOPLE = frozenset({"approver", "author", "reporter", "actor", "by"})


@dataclass(frozen=True, slots=True)
class CustomData:
    """The text to paste, and the fields whose smart value is no more than a guess."""

    text: str
    guessed: tuple[str, ...]


class _Raw(str):
    """What stands in the JSON without quotes of our own."""

    __slots__ = ()


def custom_data(manifest: Manifest, recorded: Any) -> CustomData:
    """Return the custom data for a rule; ``recorded`` is one of its payloads, or None, and tells lists from texts."""
    tree: dict[str, Any] = {}
    guessed = []
    for path in _leaves(_paths(manifest)):
        value, sure = _smart_value(path, manifest, recorded)
        _put(tree, path.split("."), _Raw(value))
        if not sure:
            guessed.append(path)
    return CustomData(_written(tree), tuple(guessed))


def _paths(manifest: Manifest) -> Iterator[str]:
    """Name every field that the manifest reads, and every one that its steps do."""
    accept = manifest.accept
    yield from accept.require
    yield from accept.idempotency_key
    if manifest.order.key:
        yield manifest.order.key
    own = _OWN_NAMES | {step.id for step in manifest.steps if step.id}
    for step in manifest.steps:
        for text in _texts([step.each, step.when, *step.arguments.values()]):
            for expression in template.parse(text).expressions:
                yield from _read_by(expression.source, expression.names - own)
    if accept.initiator:
        yield accept.initiator
    if accept.max_age is not None:
        yield accept.max_age.field


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list):
            yield from _texts(value)


def _read_by(source: str, names: frozenset[str]) -> Iterator[str]:
    bare = _FILTER.sub(" ", _QUOTED.sub(" ", source))
    for chain in _CHAIN.findall(bare):
        if chain.partition(".")[0] in names:
            yield chain


def _leaves(paths: Iterable[str]) -> list[str]:
    """Keep each path once and leave out those that others go on from: ``issue`` beside ``issue.key``."""
    unique = list(dict.fromkeys(paths))
    return [path for path in unique if not any(other.startswith(f"{path}.") for other in unique)]


def _smart_value(path: str, manifest: Manifest, recorded: Any) -> tuple[str, bool]:
    """Return the smart value with its escaping for a field, and whether it is more than a guess."""
    limit = manifest.accept.max_age
    if limit is not None and path == limit.field:
        return NOW, True
    root, _, rest = path.partition(".")
    if path in _KNOWN:
        return _text(_KNOWN[path]), True
    if root == "issue" and rest:
        # A smart value has no "fields": {{issue.summary}} is issue.fields.summary of the REST API.
        return _text(f"issue.{rest.removeprefix('fields.')}"), True
    if root in _ROOTS and rest:
        return _text(path), True
    return _guess(path, manifest, _recorded(recorded, path)), False


def _guess(path: str, manifest: Manifest, seen: object) -> str:
    """Guess from what a recorded payload has there; never {{now}}, which is another value when Automation retries."""
    last = path.rpartition(".")[2]
    thing = "page" if manifest.source == "confluence-automation" else "issue"
    if isinstance(seen, list):
        return "{{lookupIssues.key.asJsonStringArray}}" if thing == "issue" else "{{pages.id.asJsonStringArray}}"
    if isinstance(seen, str) and _ISSUE_KEY.fullmatch(seen):
        return _text("issue.key")
    if isinstance(seen, str) and _TIME.fullmatch(seen):
        return _text("issue.updated" if thing == "issue" else "page.version")
    if last.casefold() in _PEOPLE:
        return _text("initiator.displayName")
    return _text(f"{thing}.{last}")


def _text(smart_value: str) -> str:
    return "{{" + smart_value + ".asJsonString}}"


def _recorded(payload: Any, path: str) -> object:
    try:
        return find(payload, path)
    except Absent:
        return None


def _put(tree: dict[str, Any], parts: list[str], value: _Raw) -> None:
    here = tree
    for part in parts[:-1]:
        here = here.setdefault(part, {})
    here[parts[-1]] = value


def _written(tree: Mapping[str, Any], depth: int = 1) -> str:
    """Write it as JSON; a field that is a number in a path counts into a list."""
    indent, outer = "  " * depth, "  " * (depth - 1)
    is_list = bool(tree) and all(key.isascii() and key.isdigit() for key in tree)
    lines = []
    for key, value in tree.items():
        shown = value if isinstance(value, _Raw) else _written(value, depth + 1)
        lines.append(f"{indent}{shown}" if is_list else f"{indent}{json.dumps(key, ensure_ascii=False)}: {shown}")
    opening, closing = ("[", "]") if is_list else ("{", "}")
    return opening + "\n" + ",\n".join(lines) + f"\n{outer}{closing}" if lines else opening + closing
