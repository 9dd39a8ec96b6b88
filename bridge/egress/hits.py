"""The hits of a search: those in projects or spaces that the scope does not name are left out and counted."""

from collections.abc import Mapping
from typing import Any

from bridge.egress.policy import Ruling
from bridge.egress.targets import Asked


def asking_for_container(asked: Asked, ruling: Ruling) -> Asked:
    """Have a search tell the project or space of each hit, whatever the rule asked for."""
    if ruling.verb is None or ruling.verb.container != "hits":
        return asked
    if isinstance(asked.body, dict):
        fields = [*asked.body.get("fields", []), "project"]
        return Asked(asked.product, asked.method, asked.path, asked.query, {**asked.body, "fields": fields})
    if asked.product == "confluence" and _asks_for_space(asked):
        return asked
    if asked.product == "confluence":
        wanted = ",".join([*asked.query.get("expand", ()), "space"])
        return Asked(asked.product, asked.method, asked.path, {**asked.query, "expand": [wanted]}, None)
    fields = [*asked.query.get("fields", ()), "project"]
    return Asked(asked.product, asked.method, asked.path, {**asked.query, "fields": fields}, None)


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
    kept = [each for each in results if isinstance(each, dict) and _space(each) in ruling.hits]
    added = ruling.verb is not None and ruling.verb.container == "hits" and not _asks_for_space(asked)
    shown = [{name: value for name, value in each.items() if name != "space"} for each in kept] if added else kept
    return {**body, "results": shown}, len(results) - len(kept)


def _space(hit: Mapping[str, Any]) -> object:
    """Return the key of a space, or of the one that content or a template is in."""
    space = hit.get("space")
    return space.get("key") if isinstance(space, dict) else hit.get("key")


def _asks_for_space(asked: Asked) -> bool:
    names = (name for value in asked.query.get("expand", ()) for name in value.split(","))
    return any(name.strip().partition(".")[0] == "space" for name in names)


def _project(issue: Mapping[str, Any]) -> object:
    return ((issue.get("fields") or {}).get("project") or {}).get("key")


def _without_project(issue: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in issue["fields"].items() if name != "project"}


def _asks_for_project(asked: Asked) -> bool:
    fields = asked.body.get("fields", []) if isinstance(asked.body, dict) else asked.query.get("fields", ())
    return bool({"project", "*all", "*navigable"} & set(fields))
