"""The fields that edit, create, clone and transition actions set, as the tables that their steps take.

An operation is ``{field: {type, value}, fieldType, type: SET|ADD|REMOVE, value}``; Data Center and the exports of 2018
say ``fieldId`` instead of ``field``. "Additional fields" are JSON in the form of Jira's own edit request.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.migrate.conversion import Stays, Work, parts

PLAIN = "the text that it sets is plain: wiki markup in it is shown as typed"
_WORDS = frozenset({"SMART", "FREE", "VALUE", "TEXT"})
_PEOPLE = ("userpicker", "assignee", "reporter")
_DATES = ("datepicker", "duedate", "datetime")
# How a field is called in smart values where that is not its id, for copying it.
_MEMBER = {
    "priority": "priority.name",
    "issuetype": "issueType.name",
    "project": "project.key",
    "reporter": "reporter.accountId",
    "assignee": "assignee.accountId",
    "parent": "parent.key",
}


@dataclass(slots=True)
class Changes:
    """What an action does to fields, sorted as ``jira.edit`` takes it; ``links`` are made beside it.

    The text of a ``description`` is left as it is, since some steps take it as Markdown and others as plain text.
    """

    set: dict[str, Any] = field(default_factory=dict)
    add: dict[str, Any] = field(default_factory=dict)
    remove: dict[str, Any] = field(default_factory=dict)
    clear: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    description: Any = None

    def take(self, name: str) -> Any:
        """Take a field out of what is set; None if it is not there."""
        return self.set.pop(name, None)


def changes(value: Mapping[str, Any], work: Work) -> Changes:
    """Read the operations and additional fields of an action."""
    found = Changes()
    operations = value.get("operations") or []
    if not isinstance(operations, list):
        raise Stays("the fields that it sets cannot be read")
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise Stays("the fields that it sets cannot be read")
        _one(operation, found, work)
    _additional(value.get("advancedFields"), found, work)
    return found


def only_set(changed: Changes, what: str) -> None:
    """Let what is added be set, for what is made or moved has nothing yet; raise ``Stays`` for what is removed."""
    if changed.add:
        changed.set = {**changed.add, **changed.set}
        changed.add = {}
    if changed.remove:
        raise Stays(f"it removes something within {what}")


def _one(operation: Mapping[str, Any], found: Changes, work: Work) -> None:
    _, name = parts(operation.get("field"))
    name = name or str(operation.get("fieldId") or "")
    kind, given = str(operation.get("fieldType") or name), operation.get("value")
    if not name:
        raise Stays("it sets a field that is not named")
    if name == "issuelinks":
        _link(given, found, work)
        return
    how = str(operation.get("type", "SET"))
    if how == "SET" and (given is None or given == [] or parts(given)[0] == "CLEAR"):
        found.clear.append(name)
        return
    into = {"SET": found.set, "ADD": found.add, "APPEND": found.add, "REMOVE": found.remove}.get(how)
    if into is None:
        raise Stays("it changes a field in a way that is not known")
    if name == "description" and how == "SET" and parts(given)[0] in _WORDS:
        found.description = parts(given)[1]
        return
    made = _value(name, kind, given, work)
    if name in into and isinstance(into[name], list):
        into[name] = [*into[name], *(made if isinstance(made, list) else [made])]
    else:
        into[name] = made


def _value(name: str, kind: str, given: Any, work: Work) -> Any:  # noqa: PLR0911 - one for each kind of field
    if isinstance(given, list):
        return [_value(name, kind, each, work) for each in given]
    if name == "project":
        return work.project(given)
    if name == "issuetype":
        return _issue_type(given, work)
    if name == "parent" or kind.endswith(":gh-epic-link"):
        return work.issue_of(given)
    if kind.endswith(_PEOPLE) or name in {"assignee", "reporter"}:
        return {"accountId": work.person(given)}
    if isinstance(given, Mapping) and "id" in given and "type" not in given:
        return {"id": str(given["id"])}
    return _plain(name, kind, given, work)


def _plain(name: str, kind: str, given: Any, work: Work) -> Any:
    how, value = parts(given)
    if how == "COPY":
        whose = {"current": "issue", "trigger": "triggerIssue", "parent": "issue.parent"}.get(value)
        if whose is None:
            raise Stays("it copies a field from somewhere that is not known")
        if name.startswith("customfield") and not kind.endswith((":textfield", ":url", ":float", *_DATES)):
            raise Stays("it copies a field of one's own whose kind cannot be carried as text")
        return _typed(work.values.text("{{" + f"{whose}.{_MEMBER.get(name, name)}" + "}}"), kind)
    if how == "ID":
        return {"id": work.text(value)}
    if how == "NAME":
        by = "value" if name.startswith("customfield") else "name"
        return work.text(value) if name == "labels" else {by: work.text(value)}
    if how in _WORDS:
        if name == "environment" or kind.endswith(":textarea"):
            work.note(PLAIN)
        return _typed(work.text(value), kind)
    raise Stays("it sets a field in a way that is not known")


def _typed(template: str, kind: str) -> str:
    """Let an empty smart value empty a date or number, and a number be one."""
    if not template.startswith("{{") or template.count("{{") != 1 or not template.endswith("}}"):
        return template
    expression = template[2:-2].strip()
    if kind.endswith(_DATES):
        return "{{ " + expression + " or none }}"
    return "{{ (" + expression + " | float) if " + expression + " else none }}" if kind.endswith(":float") else template


def _issue_type(given: Any, work: Work) -> str:
    how, value = parts(given)
    if how == "COPY":
        whose = "triggerIssue" if value == "trigger" else "issue"
        return work.values.text("{{" + whose + ".issueType.name}}")
    if not value:
        raise Stays("it names an issue type in a way that is not known")
    if value.isdigit():
        return work.names.issue_types.get(value, value)
    return work.text(value)


def _link(given: Any, found: Changes, work: Work) -> None:
    if not isinstance(given, Mapping) or not isinstance(given.get("linkType"), str):
        raise Stays("it makes a link in a way that is not known")
    found.links.append((given["linkType"], work.issue_of(given.get("issue"))))


def _additional(text: Any, found: Changes, work: Work) -> None:
    if text is None or (isinstance(text, str) and not text.strip()):
        return
    try:
        data = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        raise Stays("its additional fields are no plain JSON") from None
    if not isinstance(data, Mapping) or set(data) - {"fields", "update"}:
        raise Stays("its additional fields hold more than fields and update")
    for name, value in (data.get("fields") or {}).items():
        if value is None or value == []:
            found.clear.append(name)
        else:
            found.set[name] = _rendered(value, work)
    for name, listed in (data.get("update") or {}).items():
        for how, value in _updates(listed):
            if name == "issuelinks":
                found.links.append(_added_link(how, value, work))
            elif how == "set":
                found.set[name] = _rendered(value, work)
            elif how in {"add", "remove"}:
                into = found.add if how == "add" else found.remove
                into.setdefault(name, []).append(_rendered(value, work))
            else:
                raise Stays("its additional fields change something in a way that is not known")


def _updates(listed: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(listed, list):
        raise Stays("its additional fields cannot be read")
    for each in listed:
        if not isinstance(each, Mapping):
            raise Stays("its additional fields cannot be read")
        yield from each.items()


def _added_link(how: str, value: Any, work: Work) -> tuple[str, str]:
    """Read ``{"type": {"name": …}, "outwardIssue": {"key": …}}``; the present issue is the other side."""
    sides = [side for side in ("inward", "outward") if isinstance(value, Mapping) and f"{side}Issue" in value]
    named = value.get("type") if isinstance(value, Mapping) else None
    if how != "add" or len(sides) != 1 or not isinstance(named, Mapping):
        raise Stays("its additional fields change links in a way that is not known")
    kind, other = named.get("id") or named.get("name"), value[f"{sides[0]}Issue"]
    if not isinstance(kind, str) or not isinstance(other, Mapping):
        raise Stays("its additional fields change links in a way that is not known")
    return f"{sides[0]}:{kind}", work.text(other.get("key") or other.get("id"))


def _rendered(value: Any, work: Work) -> Any:
    if isinstance(value, str):
        return work.text(value)
    if isinstance(value, Mapping):
        return {str(key): _rendered(inner, work) for key, inner in value.items()}
    return [_rendered(inner, work) for inner in value] if isinstance(value, list) else value
