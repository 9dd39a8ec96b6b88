"""Jira's operations on versions of a project: who may not administer the project is told 404, or 400 for a change.

See https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-project-versions/.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused
from bridge.sandbox.jira import visible_project
from bridge.sandbox.records import Project, ProjectVersion

_DAYS = {"startDate": "start_date", "releaseDate": "release_date"}
_NAME_LENGTH = 255


def _visible(call: Call) -> tuple[Project, ProjectVersion]:
    for project in call.site.projects.values():
        if call.site.may(call.account, "browse", project):
            for version in project.versions:
                if version.id == call.params["id"]:
                    return project, version
    raise jira_refused(404, f"Could not find version for id '{call.params['id'][:20]}'")


def get_version(call: Call) -> Answer:
    """GET /rest/api/3/version/{id}."""
    return Answer(200, shapes.version(call, *_visible(call)))


def create_version(call: Call) -> Answer:
    """POST /rest/api/3/version: a name occurs once in a project, whatever its case."""
    body = _body(call)
    project = visible_project(call, str(body.get("projectId", "")))
    if project is None:
        raise jira_refused(404, f"No project could be found with id '{str(body.get('projectId'))[:20]}'.")
    if not call.site.may(call.account, "administer", project):
        raise jira_refused(404, "You must have global or project administrator rights to create versions.")
    name = str(body.get("name") or "").strip()
    if not name or len(name) > _NAME_LENGTH:
        raise jira_refused(400, errors={"name": "You must specify a valid version name"})
    if any(each.name.casefold() == name.casefold() for each in project.versions):
        raise jira_refused(400, errors={"name": "A version with this name already exists in this project."})
    made = _changed(ProjectVersion(call.site.next_id("named"), name), body)
    project.versions.append(made)
    return Answer(201, shapes.version(call, project, made))


def update_version(call: Call) -> Answer:
    """PUT /rest/api/3/version/{id}: what the body does not name stays as it is."""
    project, version = _visible(call)
    body = _body(call)
    if not call.site.may(call.account, "administer", project):
        raise jira_refused(400, "You must have global or project administrator rights to update versions.")
    made = _changed(version, body)
    project.versions[project.versions.index(version)] = made
    return Answer(200, shapes.version(call, project, made))


def _body(call: Call) -> Mapping[str, Any]:
    if not isinstance(call.body, dict):
        raise jira_refused(400, "The request body is missing or is not a JSON object.")
    return call.body


def _changed(version: ProjectVersion, body: Mapping[str, Any]) -> ProjectVersion:
    changes: dict[str, Any] = {name: bool(body[name]) for name in ("released", "archived") if name in body}
    if "description" in body:
        changes["description"] = str(body["description"] or "")
    for name, kept in _DAYS.items():
        if body.get(name) is not None:
            changes[kept] = _day(name, body[name])
    return replace(version, **changes)


def _day(name: str, given: object) -> str:
    try:
        return date.fromisoformat(str(given)).isoformat()
    except ValueError:
        raise jira_refused(400, errors={name: "Invalid date format: expected yyyy-MM-dd"}) from None


OPERATIONS: Mapping[str, Operation] = {
    "getVersion": get_version,
    "createVersion": create_version,
    "updateVersion": update_version,
}
