"""Reads ``fields`` and ``update`` of a create, edit or transition into new values, or says everything wrong with them.

Nothing is applied before all of it was found fit, because Jira changes all of a request or nothing of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.sandbox import document
from bridge.sandbox.answer import Call, jira_refused
from bridge.sandbox.fields import FIELDS, Field, Misfit, element, items, read
from bridge.sandbox.records import Issue, Item, Project

_NOT_ON_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
_PROPERTIES_AT_MOST = 10
_PROPERTY_LENGTH = 32768


@dataclass(slots=True)
class Edit:
    """What a request wants of an issue: new plain values by field, entity properties, and comments to add."""

    values: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None

    def apply(self, call: Call, issue: Issue, project: Project) -> list[Item]:
        """Set values and properties and add the comments; gives the changelog items."""
        changed: list[Item] = []
        for name, value in self.values.items():
            changed += items(FIELDS[name], call.site, project, issue.fields.get(name), value)
            issue.fields[name] = value
        issue.properties |= self.properties
        for body in self.comments:
            call.site.add_comment(issue, call.account, body)
        return changed


def parse(
    call: Call, project: Project, issue: Issue | None, *, allowed: Collection[str], ignored: Collection[str] = ()
) -> Edit:
    """The edit in the call's body; ``issue`` is None when it is being created. A 400 names all bad fields."""
    body = call.body
    if not isinstance(body, dict):
        raise jira_refused(400, "The request body is missing or is not a JSON object.")
    fields, update = _objects(body, "fields"), _objects(body, "update")
    made, errors = Edit(metadata=_metadata(body)), {}
    for name, given in fields.items():
        if name in ignored:
            continue
        if name in update:
            errors[name] = f"Field '{name}' cannot appear in both 'fields' and 'update'"
        elif name not in FIELDS or name not in allowed:
            errors[name] = _NOT_ON_SCREEN.format(name)
        else:
            _try(errors, name, made.values, lambda field, given=given: read(field, call.site, project, given))
    for name, verbs in update.items():
        if name == "comment":
            _comments(made, verbs, errors)
        elif name not in FIELDS or name not in allowed:
            errors[name] = _NOT_ON_SCREEN.format(name)
        else:
            before = issue.fields.get(name) if issue else None
            _try(
                errors,
                name,
                made.values,
                lambda field, verbs=verbs, before=before: _updated(call, project, field, before, verbs),
            )
    if errors:
        raise jira_refused(400, errors=errors)
    made.properties = properties(body)
    return made


def _objects(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    given = body.get(name) or {}
    if not isinstance(given, dict):
        raise jira_refused(400, f"'{name}' must be an object.")
    return given


def _metadata(body: Mapping[str, Any]) -> dict[str, Any] | None:
    given = body.get("historyMetadata")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise jira_refused(400, "'historyMetadata' must be an object.")
    extra = given.get("extraData") or {}
    if not isinstance(extra, dict) or not all(isinstance(value, str) for value in extra.values()):
        raise jira_refused(400, "'historyMetadata.extraData' must hold strings only.")
    return given


def _try(errors: dict[str, str], name: str, values: dict[str, Any], compute: Any) -> None:
    try:
        values[name] = compute(FIELDS[name])
    except Misfit as misfit:
        errors[name] = str(misfit)


def _updated(call: Call, project: Project, field: Field, before: Any, verbs: Any) -> Any:
    if not isinstance(verbs, list) or not all(isinstance(verb, dict) and len(verb) == 1 for verb in verbs):
        raise Misfit("an update is a list of objects with one operation each")
    value = list(before or []) if field.is_list else before
    for verb in verbs:
        [(name, given)] = verb.items()
        if name == "set":
            value = read(field, call.site, project, given)
        elif name == "add" and field.is_list:
            added = element(field, project, given)
            value = value if added in value else [*value, added]
        elif name == "remove" and field.is_list:
            removed = element(field, project, given)
            value = [each for each in value if each != removed]
        else:
            raise Misfit(f"Field '{field.id}' does not support update '{name}'")
    return value


def _comments(made: Edit, verbs: Any, errors: dict[str, str]) -> None:
    for verb in verbs if isinstance(verbs, list) else [verbs]:
        added = verb.get("add") if isinstance(verb, dict) else None
        body = added.get("body") if isinstance(added, dict) else None
        if not isinstance(body, dict) or document.mistake(body) is not None:
            errors["comment"] = "Comment body is not valid!"
        else:
            made.comments.append(body)


def properties(body: Mapping[str, Any]) -> dict[str, Any]:
    """The entity properties given with a create, an edit or a comment, by key; raises a 400 for what is no property."""
    given = body.get("properties") or []
    if not isinstance(given, list) or len(given) > _PROPERTIES_AT_MOST:
        raise jira_refused(400, "'properties' must be a list of at most ten properties.")
    found: dict[str, Any] = {}
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "value" not in entry:
            raise jira_refused(400, "A property has a key and a value.")
        if not entry["key"] or len(entry["key"]) > 255 or len(str(entry["value"])) > _PROPERTY_LENGTH:  # noqa: PLR2004
            raise jira_refused(400, "A property's key has at most 255 characters and its value at most 32,768.")
        found[entry["key"]] = entry["value"]
    return found
