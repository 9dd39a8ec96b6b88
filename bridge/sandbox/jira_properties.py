"""Jira's operations on entity properties of issues, projects and users, one function per operationId.

See https://developer.atlassian.com/cloud/jira/platform/jira-entity-properties/. The whole body of a request is the
value; 201 for a new property, 200 for one that was there.
"""

import json
from collections.abc import Mapping
from typing import Any

from bridge.sandbox.answer import Answer, Call, Operation, jira_refused
from bridge.sandbox.jira import property_answer, visible_issue, visible_project
from bridge.sandbox.records import Project

_KEY_LENGTH, _VALUE_LENGTH = 255, 32768


def _set(call: Call, properties: dict[str, Any]) -> Answer:
    key = call.params["propertyKey"]
    if call.body is None or len(json.dumps(call.body)) > _VALUE_LENGTH or len(key) > _KEY_LENGTH:
        raise jira_refused(400, "A property's key has at most 255 characters and its value, any JSON, at most 32,768.")
    known = key in properties
    properties[key] = call.body
    return Answer(200 if known else 201)


def _delete(call: Call, properties: dict[str, Any]) -> Answer:
    if call.params["propertyKey"] not in properties:
        raise jira_refused(404, f"The property with key '{call.params['propertyKey'][:255]}' does not exist.")
    del properties[call.params["propertyKey"]]
    return Answer(204)


def set_issue_property(call: Call) -> Answer:
    """PUT .../issue/{issueIdOrKey}/properties/{propertyKey}: needs the permission to edit."""
    issue, project = visible_issue(call)
    if not call.site.may(call.account, "edit", project):
        raise jira_refused(403, "You do not have permission to edit issues in this project.")
    return _set(call, issue.properties)


def delete_issue_property(call: Call) -> Answer:
    """DELETE .../issue/{issueIdOrKey}/properties/{propertyKey}."""
    issue, project = visible_issue(call)
    if not call.site.may(call.account, "edit", project):
        raise jira_refused(404, "Issue does not exist or you do not have permission to edit it.")
    return _delete(call, issue.properties)


def _project(call: Call, permission: str) -> Project:
    project = visible_project(call, call.params["projectIdOrKey"])
    if project is None:
        raise jira_refused(404, f"No project could be found with key '{call.params['projectIdOrKey'][:80]}'.")
    if not call.site.may(call.account, permission, project):
        raise jira_refused(403, "You must be an administrator of this project.")
    return project


def get_project_property_keys(call: Call) -> Answer:
    """GET .../project/{projectIdOrKey}/properties."""
    project = _project(call, "browse")
    address = f"{call.gateway_url}/rest/api/3/project/{project.id}/properties"
    return Answer(200, {"keys": [{"self": f"{address}/{key}", "key": key} for key in project.properties]})


def get_project_property(call: Call) -> Answer:
    """GET .../project/{projectIdOrKey}/properties/{propertyKey}."""
    return property_answer(_project(call, "browse").properties, call.params["propertyKey"])


def set_project_property(call: Call) -> Answer:
    """PUT .../project/{projectIdOrKey}/properties/{propertyKey}: for administrators of the project."""
    return _set(call, _project(call, "administer").properties)


def delete_project_property(call: Call) -> Answer:
    """DELETE .../project/{projectIdOrKey}/properties/{propertyKey}: for administrators of the project."""
    return _delete(call, _project(call, "administer").properties)


def _user_properties(call: Call) -> dict[str, Any]:
    account = call.site.accounts.get(call.first("accountId") or call.account.id)
    if account is None:
        raise jira_refused(404, "The user does not exist.")
    if account.id != call.account.id and not _administers(call):
        raise jira_refused(403, "Only administrators may do this for others.")
    return account.properties


def _administers(call: Call) -> bool:
    """Whether the account administers any project; the sandbox knows no administrators of the site."""
    return any(call.site.may(call.account, "administer", each) for each in call.site.projects.values())


def get_user_property(call: Call) -> Answer:
    """GET /rest/api/3/user/properties/{propertyKey}: ``accountId`` in the query."""
    return property_answer(_user_properties(call), call.params["propertyKey"])


def set_user_property(call: Call) -> Answer:
    """PUT /rest/api/3/user/properties/{propertyKey}: ``accountId`` in the query."""
    return _set(call, _user_properties(call))


OPERATIONS: Mapping[str, Operation] = {
    "setIssueProperty": set_issue_property,
    "deleteIssueProperty": delete_issue_property,
    "getProjectPropertyKeys": get_project_property_keys,
    "getProjectProperty": get_project_property,
    "setProjectProperty": set_project_property,
    "deleteProjectProperty": delete_project_property,
    "getUserProperty": get_user_property,
    "setUserProperty": set_user_property,
}
