"""The hits of a search: those in projects or spaces that the scope does not name are left out and counted."""

from collections.abc import Mapping
from typing import Any

from bridge.egress.policy import Asked, Ruling


def asking_for_container(asked: Asked, ruling: Ruling) -> Asked:
    """Have a search tell the project of each hit, whatever fields the rule asked for."""
    if ruling.verb is None or ruling.verb.container != "hits":
        return asked
    if isinstance(asked.body, dict):
        fields = [*asked.body.get("fields", []), "project"]
        return Asked(asked.product, asked.method, asked.path, asked.query, {**asked.body, "fields": fields})
    wanted = [*asked.query.get("fields", ()), "project"]
    return Asked(asked.product, asked.method, asked.path, {**asked.query, "fields": wanted}, None)


def within(body: Any, ruling: Ruling, asked: Asked) -> tuple[Any, int]:
    """Leave out the hits whose project or space the scope does not name, and count them."""
    if ruling.hits is None or not isinstance(body, dict):
        return body, 0
    if "issues" in body:
        shown = [issue for issue in body["issues"] if _project(issue) in ruling.hits]
        count = len(body["issues"]) - len(shown)
        if not _asks_for_project(asked):
            shown = [{**issue, "fields": _without_project(issue)} for issue in shown]
        return {**body, "issues": shown}, count
    results = body.get("results", [])
    kept = [space for space in results if isinstance(space, dict) and space.get("key") in ruling.hits]
    return {**body, "results": kept}, len(results) - len(kept)


def _project(issue: Mapping[str, Any]) -> object:
    return ((issue.get("fields") or {}).get("project") or {}).get("key")


def _without_project(issue: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in issue["fields"].items() if name != "project"}


def _asks_for_project(asked: Asked) -> bool:
    fields = asked.body.get("fields", []) if isinstance(asked.body, dict) else asked.query.get("fields", ())
    return bool({"project", "*all", "*navigable"} & set(fields))
