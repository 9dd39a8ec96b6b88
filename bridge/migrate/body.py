"""What the web request of a run carries: its custom data, and a recorded payload of the same shape with likely values.

Custom data is JSON with smart values in it, each escaped by Automation's ``jsonEncode`` and between quotation marks of
our own, so that an empty one is an empty text and not a hole in the JSON.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.migrate.smart import Carried, Values

SENT_AT = "sentAt"
# One millisecond of the sending: it tells one firing from the next, and the same request sent twice from two.
_NOW = "now.format(\"yyyy-MM-dd'T'HH:mm:ss.SSSZ\")"
_PERSON = "712020:6b1f7c1e-2a83-4a0b-9a35-51d2f1c0a9aa"
_MOMENT = "2026-11-03T18:21:07.502+0100"
# What a smart value's last name lets expect, the first that fits.
_LIKELY: tuple[tuple[str, str], ...] = (
    (r"accountid", _PERSON),
    (r"e?mail(address)?", "jo.berg@example.com"),
    (r"displayname|reporter|assignee|creator|author|initiator", "Jo Berg"),
    (r"created|updated|now|sentat|.*(date|time)", _MOMENT),
    (r"url|self|link", "https://acme.atlassian.net/browse/{project}-1"),
    (r"priority|.*priority_name", "Medium"),
    (r"status|.*status_name", "In Progress"),
    (r".*issuetype(_name)?", "Task"),
    (r"summary|title|name", "An example"),
    (r"id", "10001"),
)


def begun(*, with_issue: bool) -> Values:
    """Return the values of a run that carry what every rule asks for: the work item, who set it off, when."""
    values = Values()
    if with_issue:
        values.expression("issue.key")
        values.expression("issue.id")
    values.expression("initiator.accountId")
    values.carried[SENT_AT] = Carried(SENT_AT, '"{{' + _NOW + '}}"', _NOW)
    return values


def custom_data(carried: Sequence[Carried]) -> str:
    """Return the text of the custom data."""
    tree: dict[str, Any] = {}
    for each in carried:
        _put(tree, each.path.split("."), each)
    return _written(tree)


def example(carried: Sequence[Carried], project: str) -> dict[str, Any]:
    """Return a payload as Automation might send it; ``project`` is the key that work items in it begin with."""
    tree: dict[str, Any] = {}
    for each in carried:
        _put(tree, each.path.split("."), _likely(each, project))
    return tree


def _likely(carried: Carried, project: str) -> str:
    names = re.findall(r"[A-Za-z]\w*", carried.smart)
    last, both = (names[-1] if names else "").lower(), "_".join(names[-2:]).lower()
    if carried.path == SENT_AT:
        return _MOMENT
    if both == "project_key":
        return project
    if last == "key":
        return f"{project}-1"
    for pattern, value in _LIKELY:
        if re.fullmatch(pattern, last) or re.fullmatch(pattern, both):
            return value.format(project=project)
    return "example"


def _put(tree: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    here = tree
    for part in parts[:-1]:
        here = here.setdefault(part, {})
    here[parts[-1]] = value


def _written(tree: Mapping[str, Any], depth: int = 1) -> str:
    indent = "  " * depth
    lines = [
        f"{indent}{json.dumps(name)}: {value.written if isinstance(value, Carried) else _written(value, depth + 1)}"
        for name, value in tree.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * (depth - 1) + "}"
