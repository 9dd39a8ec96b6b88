"""The fields of an issue: how each kind is read from a request, shown in an answer and told in the changelog.

``Issue.fields`` keeps plain values: text, ADF, the id of the one thing chosen, or a list of ids or labels. What may be
done to a field in ``update`` is what the editmeta of live sites offers: set for all, add and remove for lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bridge.sandbox import document
from bridge.sandbox.records import Item, Named, Project
from bridge.sandbox.site import Site
from bridge.sandbox.workflow import ISSUE_TYPES, PRIORITIES, RESOLUTIONS

_SUMMARY_LENGTH = 255
_TEXT_LENGTH = 32767
SECURITY_LEVELS = (Named("10400", "Staff only"), Named("10401", "Managers only"))
_OPTIONS = tuple(Named(str(n), name) for n, name in enumerate(("Low", "Moderate", "High"), 10300))


class Misfit(ValueError):
    """A value does not fit its field; the text is what Jira puts beside the field's name."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field by id. ``kind``: line, document, labels, one, many, option, person, date, number or issue.

    ``told`` is the field's name in the changelog, where Jira has names of its own; ``where`` says from which list a
    choice is made.
    """

    id: str
    name: str
    kind: str
    where: str = ""
    told: str = ""

    @property
    def is_list(self) -> bool:
        """Whether ``update`` can add to it and remove from it."""
        return self.kind in {"labels", "many"}

    @property
    def is_custom(self) -> bool:
        """Whether the site's administrator made this field."""
        return self.id.startswith("customfield_")


FIELDS: Mapping[str, Field] = {
    entry.id: entry
    for entry in (
        Field("summary", "Summary", "line"),
        Field("description", "Description", "document"),
        Field("issuetype", "Issue Type", "one", "issuetypes"),
        Field("priority", "Priority", "one", "priorities"),
        Field("resolution", "Resolution", "one", "resolutions"),
        Field("labels", "Labels", "labels"),
        Field("components", "Components", "many", "components", "Component"),
        Field("fixVersions", "Fix versions", "many", "versions", "Fix Version"),
        Field("versions", "Affects versions", "many", "versions", "Version"),
        Field("assignee", "Assignee", "person"),
        Field("reporter", "Reporter", "person"),
        Field("duedate", "Due date", "date"),
        Field("parent", "Parent", "issue"),
        Field("security", "Security Level", "one", "levels"),
        Field("customfield_10010", "Change reference", "line"),
        Field("customfield_10011", "Risk", "option", "options"),
        Field("customfield_10012", "Story points", "number"),
        Field("customfield_10013", "Impact", "document"),
        Field("customfield_10014", "Approver", "person"),
        Field("customfield_10015", "Tags", "labels"),
    )
}


def choices(field: Field, project: Project) -> Sequence[Named]:
    """The things a field of kind one, many or option chooses from."""
    if field.where == "components":
        return project.components
    if field.where == "versions":
        return project.versions
    lists = {"issuetypes": ISSUE_TYPES, "priorities": PRIORITIES, "resolutions": RESOLUTIONS, "options": _OPTIONS}
    lists["levels"] = SECURITY_LEVELS
    return lists[field.where]


def read(field: Field, site: Site, project: Project, given: Any) -> Any:  # noqa: PLR0911 - one for each kind
    """The plain value of what a request gives for a field; raises Misfit."""
    if field.kind == "line":
        return _line(field, given)
    if field.kind in {"labels", "many"}:
        if not isinstance(given, list):
            raise Misfit("data was not an array")
        return list(dict.fromkeys(element(field, project, each) for each in given))
    if given is None:
        if field.id in {"issuetype", "priority", "reporter"}:
            raise Misfit(f"{field.name} is required.")
        return None
    match field.kind:
        case "document":
            return _document(given)
        case "one" | "option":
            return _choice(field, project, given)
        case "person":
            return _person(site, given)
        case "number":
            if isinstance(given, bool) or not isinstance(given, int | float):
                raise Misfit("Operation value must be a number")
            return given
        case "date":
            return _date(given)
        case _:
            return _issue(site, given)


def element(field: Field, project: Project, given: Any) -> str:
    """One element of a list field, as plain value; raises Misfit."""
    if field.kind == "many":
        return _choice(field, project, given)
    if not isinstance(given, str) or not given:
        raise Misfit("Operation value must be a string")
    if any(letter.isspace() for letter in given):
        raise Misfit(f"The label {given[:40]!r} contains spaces which is invalid.")
    if len(given) > _SUMMARY_LENGTH:
        raise Misfit("The label is longer than 255 characters.")
    return given


def _line(field: Field, given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise Misfit("Operation value must be a string")
    if field.id == "summary" and not (given or "").strip():
        raise Misfit("You must specify a summary of the issue.")
    if "\n" in (given or "") or "\r" in (given or ""):
        raise Misfit(f"The {field.name.lower()} is invalid because it contains newline characters.")
    if len(given or "") > _SUMMARY_LENGTH:
        raise Misfit(f"{field.name} must be less than 255 characters.")
    return given or None


def _document(given: Any) -> dict[str, Any]:
    # Version 3 takes no plain text: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
    if (wrong := document.mistake(given)) is not None:
        raise Misfit(f"Operation value must be an Atlassian Document (see the Atlassian Document Format): it {wrong}")
    if len(document.text(given)) > _TEXT_LENGTH:
        raise Misfit("The entered text is too long. It exceeds the allowed limit of 32,767 characters.")
    checked: dict[str, Any] = given
    return checked


def _choice(field: Field, project: Project, given: Any) -> str:
    if not isinstance(given, dict):
        raise Misfit("data was not an object")
    for entry in choices(field, project):
        if str(given.get("id", "")) == entry.id or (given.get("name") or given.get("value")) == entry.name:
            return entry.id
    asked = given.get("name") or given.get("value") or given.get("id")
    raise Misfit(f"{field.name} {str(asked)[:40]!r} is not valid")


def _person(site: Site, given: Any) -> str:
    if not isinstance(given, dict):
        raise Misfit("expected an object with an accountId")
    account = site.accounts.get(str(given.get("accountId") or given.get("id") or ""))
    if account is None or not account.active:
        raise Misfit("Specify a valid 'accountId': no such active user")
    return account.id


def _date(given: Any) -> str:
    try:
        return date.fromisoformat(str(given)).isoformat()
    except ValueError:
        raise Misfit("Error parsing date string: expected yyyy-MM-dd") from None


def _issue(site: Site, given: Any) -> str:
    found = site.find_issue(str(given.get("key") or given.get("id") or "")) if isinstance(given, dict) else None
    if found is None:
        raise Misfit("Could not find issue by id or key.")
    return found.id


def label(field: Field, site: Site, project: Project, value: Any) -> str:  # noqa: PLR0911 - one for each kind
    """A value in words, as the changelog and the pages tell it."""
    if value is None:
        return ""
    match field.kind:
        case "document":
            return document.text(value)
        case "one" | "option":
            return _name(field, project, value)
        case "many":
            return ", ".join(_name(field, project, each) for each in value)
        case "labels":
            return " ".join(value)
        case "person":
            return site.accounts[value].name
        case "issue":
            return site.issues[value].key
        case _:
            return str(value)


def _name(field: Field, project: Project, value: str) -> str:
    # After a move a component or version belongs to the project that was left; its id is then all that is known.
    return next((entry.name for entry in choices(field, project) if entry.id == value), value)


def items(field: Field, site: Site, project: Project, before: Any, after: Any) -> list[Item]:
    """The changelog items of one field's change: one per element for lists of things, otherwise one, or none."""
    if field.kind == "many":
        old, new = before or [], after or []
        gone = [_item(field, (each, _name(field, project, each)), None) for each in old if each not in new]
        return gone + [_item(field, None, (each, _name(field, project, each))) for each in new if each not in old]
    if (before or None) == (after or None):
        return []
    ids = field.kind in {"one", "option", "person", "issue"}
    told = [
        (str(value) if ids else "", label(field, site, project, value)) if value else None for value in (before, after)
    ]
    return [_item(field, told[0], told[1])]


def _item(field: Field, before: tuple[str, str] | None, after: tuple[str, str] | None) -> Item:
    told: Item = {"field": field.told or (field.name if field.is_custom else field.id)}
    told |= {"fieldtype": "custom" if field.is_custom else "jira", "fieldId": field.id}
    told |= {"from": before[0] or None, "fromString": before[1]} if before else {"from": None, "fromString": None}
    return told | ({"to": after[0] or None, "toString": after[1]} if after else {"to": None, "toString": None})
