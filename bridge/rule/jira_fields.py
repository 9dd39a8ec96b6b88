"""The fields of a work item: called by name or id, their values as Jira takes them, and as another work item has them.

A field's id begins with a small letter and holds no blank (``duedate``, ``customfield_10010``); what does not look like
that is the name that people see ("Story points"), and the site is asked for its id. Of such fields the kind is known
then, so that a choice or a person may be given as plain text. https://developer.atlassian.com/cloud/jira/platform/rest/v3/
api-group-issue-fields/ and .../api-group-issues/ tell the forms.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Formatted, to_adf
from bridge.rule.request import Caller, Request

_ID = re.compile(r"[a-z][A-Za-z0-9_]*", re.ASCII)
NOT_FOUND, CONFLICT = 404, 409

# Fields that Jira keeps as documents; of fields of one's own the ones whose kind ends so.
_DOCUMENTS = frozenset({"description", "environment"})
_DOCUMENT_KIND = ":textarea"
# What people call by a name and Jira takes as an object.
_BY_NAME = frozenset({"priority", "resolution", "issuetype", "components", "fixVersions", "versions", "security"})
_BY_KEY = frozenset({"project", "parent"})
# An empty list clears these; null clears any other field.
_LISTS = frozenset({"labels", "components", "fixVersions", "versions"})
# The member by which Jira takes a value, for each type in a field's schema.
_TAKEN_BY: Mapping[str, str] = {
    "option": "value",
    "user": "accountId",
    "group": "name",
    "priority": "name",
    "resolution": "name",
    "component": "name",
    "version": "name",
    "securitylevel": "name",
    "issuetype": "name",
    "project": "key",
    "issuelink": "key",
}
# The members that an object which was read may be told by, the best first.
_TELLING = ("accountId", "groupId", "id", "key", "name", "value")


def field_value(name: str, value: Any) -> Any:
    """Write a field's value as Jira takes it: documents for texts it formats, objects for what people call by name.

    What was read of another work item is cut to what tells it, so that a value can be copied as it came.
    """
    if isinstance(value, Formatted) or (name in _DOCUMENTS and isinstance(value, str)):
        return to_adf(value)
    if isinstance(value, list | tuple):
        return [element(name, each) for each in value]
    return element(name, value)


def element(name: str, value: Any) -> Any:
    """Write one value of a field, or one element where it holds a list."""
    if isinstance(value, Formatted):
        return to_adf(value)
    if name in _BY_NAME and isinstance(value, str):
        return {"name": value}
    if name in _BY_KEY and isinstance(value, str):
        return {"id": value} if value.isdigit() else {"key": value}
    return told(value)


def told(value: Any) -> Any:
    """Cut an object that Jira gave (it has ``self``), or each of a list, to what tells it; leave everything else alone.

    A choice within a choice comes as the ``child`` of the first and stays so.
    """
    if isinstance(value, list):
        return [_cut(each) for each in value]
    cut = _cut(value)
    return {**cut, "child": _cut(value["child"])} if cut is not value and "child" in value else cut


def _cut(value: Any) -> Any:
    if not isinstance(value, Mapping) or "self" not in value:
        return value
    by = next((name for name in _TELLING if value.get(name) is not None), None)
    return value if by is None else {by: value[by]}


def emptied(name: str) -> Any:
    """Return the value that clears a field."""
    return [] if name in _LISTS else None


def listed(values: Any) -> list[Any]:
    """Return one value or several as a list."""
    return list(values) if isinstance(values, list | tuple) else [values]


def by_id(caller: Caller, verb: str, target: str, tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return tables of fields with ids in place of names, asking the site once if there is any name.

    Raises ``ActionFailed`` (404) for a name that no field has, and (409) for one that several have, naming their ids.
    """
    names = [name for table in tables for name in table if not _ID.fullmatch(name)]
    if not names:
        return [dict(table) for table in tables]
    known = caller.call(list_fields(verb, target)).body
    fields = {
        name: _field(known if isinstance(known, list) else [], name, verb, target) for name in dict.fromkeys(names)
    }
    return [
        {
            (str(fields[name]["id"]) if name in fields else name): (
                shaped(fields[name].get("schema") or {}, value) if name in fields else value
            )
            for name, value in table.items()
        }
        for table in tables
    ]


def list_fields(verb: str, target: str) -> Request:
    """GET all fields (operation getFields)."""
    return Request("jira", "GET", "/rest/api/3/field", verb=verb, target=target)


def _field(known: Iterable[Any], name: str, verb: str, target: str) -> Mapping[str, Any]:
    wanted = " ".join(name.split()).casefold()
    found = [each for each in known if isinstance(each, Mapping) and str(each.get("name", "")).casefold() == wanted]
    if not found:
        raise ActionFailed(verb, target, NOT_FOUND, f"there is no field called {name!r} that this account can see")
    if len(found) > 1:
        ids = ", ".join(sorted(str(each.get("id")) for each in found))
        raise ActionFailed(verb, target, CONFLICT, f"several fields are called {name!r}; name one by its id: {ids}")
    return found[0]


def shaped(schema: Mapping[str, Any], value: Any) -> Any:
    """Write a value as the field's kind wants it where it was given as plain text; objects and null stay."""
    kind = str(schema.get("type", ""))
    if kind == "array":
        inner = {**schema, "type": schema.get("items", "")}
        return None if value is None else [shaped(inner, each) for each in listed(value)]
    if not isinstance(value, str):
        return value
    if kind == "string" and str(schema.get("custom", "")).endswith(_DOCUMENT_KIND):
        return to_adf(value)
    if kind == "number":
        return _number(value)
    return {_TAKEN_BY[kind]: value} if kind in _TAKEN_BY else value


def _number(text: str) -> Any:
    try:
        found = float(text)
    except ValueError:
        return text
    return int(found) if found.is_integer() else found
