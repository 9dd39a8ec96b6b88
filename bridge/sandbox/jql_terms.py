"""What the words of JQL mean for one issue: the values it holds under a field, its text, dates and place in an order.

:mod:`bridge.sandbox.jql` reads a query and asks these functions about each issue.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.sandbox import document, workflow
from bridge.sandbox.fields import FIELDS, choices
from bridge.sandbox.grammar import QueryInvalid
from bridge.sandbox.records import Issue, Project
from bridge.sandbox.site import Site

_RELATIVE = re.compile(r"([+-]?\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CATEGORY_NAMES = {"new": "to do", "indeterminate": "in progress", "done": "done"}


def held(site: Site, issue: Issue, name: str) -> set[str]:  # noqa: PLR0911 - one for each field
    """The values an issue holds under a field, case folded; things that have ids are there by id and by name."""
    project = site.projects[issue.project]
    match name:
        case "project":
            return {issue.project.casefold()}
        case "key" | "id":
            return {issue.id}
        case "creator":
            return {issue.creator}
        case "status":
            return {issue.status.casefold(), workflow.status(issue.status).id}
        case "statuscategory":
            category = workflow.status(issue.status).category
            return {category, _CATEGORY_NAMES[category]}
        case "labels":
            return {label.casefold() for label in issue.fields.get("labels") or ()}
        case "component" | "fixversion":
            field = "components" if name == "component" else "fixVersions"
            return _names(project, field, issue.fields.get(field) or [])
        case "issuetype" | "priority" | "resolution":
            return _names(project, name, [issue.fields.get(name)])
        case _:
            return {issue.fields[name]} if issue.fields.get(name) else set()


def _names(project: Project, field: str, values: list[Any]) -> set[str]:
    chosen = [entry for entry in choices(FIELDS[field], project) if entry.id in values]
    return {name for entry in chosen for name in (entry.id, entry.name.casefold())}


def has(site: Site, issue: Issue, name: str) -> bool:
    """Whether the issue holds anything under a field, for IS EMPTY."""
    if name in {"summary", "description", "text", "comment"}:
        return bool(words(issue, name).strip())
    return bool(held(site, issue, name))


def words(issue: Issue, name: str) -> str:
    """The issue's text under summary, description or comment, or under text, which is all of them."""
    texts = {
        "summary": issue.fields.get("summary") or "",
        "description": document.text(issue.fields.get("description")),
    }
    texts["comment"] = "\n".join(document.text(each.body) for each in issue.comments)
    return "\n".join(texts.values()) if name == "text" else texts[name]


def speaks(text: str, wanted: str) -> bool:
    """Whether a text holds every word asked for.

    ``word*`` asks for a beginning, a phrase in quotation marks for its words in a row.
    """
    there = re.findall(r"\w+", text.casefold())
    if wanted.startswith('"') and wanted.endswith('"') and len(wanted) > 1:
        phrase = re.findall(r"\w+", wanted.casefold())
        return any(there[start : start + len(phrase)] == phrase for start in range(len(there)))
    asked = re.findall(r"\w+\*?", wanted.casefold())
    return bool(asked) and all(any(_like(word, each) for word in there) for each in asked)


def _like(word: str, asked: str) -> bool:
    return word.startswith(asked[:-1]) if asked.endswith("*") else word == asked


def moment(value: str, site: Site) -> datetime:
    """An absolute date, or one relative to the site's time; raises QueryInvalid."""
    if found := _RELATIVE.fullmatch(value):
        return site.now() + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        given = datetime.fromisoformat(value.replace("/", "-"))
    except ValueError:
        raise QueryInvalid(f"Date value '{value[:40]}' is invalid: write '-30m' or 'yyyy-MM-dd HH:mm'.") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def compare(operator: str, left: Any, right: Any) -> bool:
    """Apply one of JQL's comparisons to two values of one type."""
    match operator:
        case "<":
            return bool(left < right)
        case ">":
            return bool(left > right)
        case "<=":
            return bool(left <= right)
        case ">=":
            return bool(left >= right)
        case _:
            return bool(left == right) == (operator == "=")


def key_parts(key: str) -> tuple[str, int]:
    """A key as project and number, so that OPS-10 comes after OPS-9; an id is a number of no project."""
    project, _, number = key.upper().rpartition("-")
    if not number.isdecimal():
        raise QueryInvalid(f"The issue key '{key[:40]}' is invalid.")
    return project, int(number)


def sort_key(name: str, issue: Issue) -> Any:
    """What ORDER BY compares for a field."""
    match name:
        case "created" | "updated":
            return (getattr(issue, name), int(issue.id))
        case "key" | "id":
            return key_parts(issue.key if name == "key" else issue.id)
        case "project" | "status":
            return str(getattr(issue, name)).casefold()
        case "priority":
            return [entry.id for entry in workflow.PRIORITIES][::-1].index(
                issue.fields.get("priority") or workflow.PRIORITIES[-1].id
            )
        case "issuetype":
            return next((entry.name for entry in workflow.ISSUE_TYPES if entry.id == issue.fields.get(name)), "")
        case _:
            return str(issue.fields.get(name) or "").casefold()
