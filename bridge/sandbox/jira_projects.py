"""Jira's reads of projects beside the one project itself: which there are, their versions, components and statuses.

``getAllProjects`` is marked deprecated in Atlassian's description and still answered; the client library ``jira`` lists
projects by it.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox import workflow
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, offset_page
from bridge.sandbox.jira import visible_project
from bridge.sandbox.records import Project


def _visible(call: Call) -> list[Project]:
    everywhere = call.site.projects.values()
    return sorted((each for each in everywhere if call.site.may(call.account, "browse", each)), key=lambda one: one.key)


def get_all_projects(call: Call) -> Answer:
    """GET /rest/api/3/project: all that the account can see."""
    return Answer(200, [shapes.project(call, each) for each in _visible(call)])


def search_projects(call: Call) -> Answer:
    """GET /rest/api/3/project/search: by offset; ``query`` is part of a key or name, ``keys`` and ``id`` may repeat."""
    query, keys, ids = call.first("query").casefold(), set(call.listed("keys")), set(call.listed("id"))
    found = [
        each
        for each in _visible(call)
        if (query in each.key.casefold() or query in each.name.casefold())
        and (not keys or each.key in keys)
        and (not ids or each.id in ids)
    ]
    return Answer(200, offset_page(call, [shapes.project(call, each) for each in found], 50, 100))


def _whole(call: Call) -> dict[str, Any]:
    project = visible_project(call, call.params["projectIdOrKey"])
    if project is None:
        raise jira_refused(404, f"No project could be found with key '{call.params['projectIdOrKey'][:80]}'.")
    return shapes.whole_project(call, project)


def get_project_versions(call: Call) -> Answer:
    """GET /rest/api/3/project/{projectIdOrKey}/versions: all at once, in the project's order."""
    return Answer(200, _whole(call)["versions"])


def get_project_components(call: Call) -> Answer:
    """GET /rest/api/3/project/{projectIdOrKey}/components: all at once."""
    return Answer(200, _whole(call)["components"])


def get_all_statuses(call: Call) -> Answer:
    """GET /rest/api/3/project/{projectIdOrKey}/statuses: each issue type with the statuses of its workflow."""
    statuses = [shapes.status(call, each) for each in workflow.STATUSES]
    members = ("self", "id", "name", "subtask")
    types = [{name: each[name] for name in members} for each in _whole(call)["issueTypes"]]
    return Answer(200, [each | {"statuses": statuses} for each in types])


OPERATIONS: Mapping[str, Operation] = {
    "getAllProjects": get_all_projects,
    "searchProjects": search_projects,
    "getProjectVersions": get_project_versions,
    "getProjectComponents": get_project_components,
    "getAllStatuses": get_all_statuses,
}
