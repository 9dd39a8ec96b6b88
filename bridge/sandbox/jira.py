"""Jira's operations on issues, projects and users, one function per operationId.

What each refuses, and with which status, follows the v3 API's description
(https://developer.atlassian.com/cloud/jira/platform/rest/v3/): what cannot be seen is 404, an edit or transition
without the permission is 400, an assignment without it 403.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox import workflow
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, number, offset_page
from bridge.sandbox.edit import Edit, parse
from bridge.sandbox.fields import FIELDS, Misfit, items, read
from bridge.sandbox.records import Account, Issue, Project, Transition

_EDITABLE = frozenset(FIELDS) - {"resolution"}
_ON_RESOLVE_SCREEN = frozenset({"resolution", "fixVersions", "assignee"})
_ASSIGNEE = FIELDS["assignee"]


def visible_issue(call: Call, name: str = "issueIdOrKey") -> tuple[Issue, Project]:
    """The issue a path names and its project; 404 when there is none or the account cannot see it."""
    issue = call.site.find_issue(call.params[name])
    if issue is not None and call.site.may(call.account, "browse", call.site.projects[issue.project]):
        return issue, call.site.projects[issue.project]
    raise jira_refused(404, "Issue does not exist or you do not have permission to see it.")


def visible_project(call: Call, id_or_key: str) -> Project | None:
    """The project with that id or key, if the account can see it."""
    found = (each for each in call.site.projects.values() if id_or_key in {each.id, each.key})
    return next((each for each in found if call.site.may(call.account, "browse", each)), None)


def get_issue(call: Call) -> Answer:
    """GET /rest/api/3/issue/{issueIdOrKey}: a moved issue answers to its old key, with its new key in the body."""
    issue, _ = visible_issue(call)
    asked = call.listed("fields") or ["*all"]
    if all(name.startswith("-") for name in asked):
        asked = ["*all", *asked]
    properties, expand = call.listed("properties"), call.listed("expand")
    return Answer(200, shapes.issue(call, issue, fields=asked, properties=properties, expand=expand))


def create_issue(call: Call) -> Answer:
    """POST /rest/api/3/issue: project, issue type and summary are required; ``properties`` come with it atomically."""
    given = call.body.get("fields") if isinstance(call.body, dict) else None
    named = given.get("project") if isinstance(given, dict) else None
    wanted = str(named.get("id") or named.get("key") or "") if isinstance(named, dict) else ""
    project = visible_project(call, wanted)
    if project is None:
        raise jira_refused(400, errors={"project": "Specify a valid project ID or key"})
    if not call.site.may(call.account, "create", project):
        raise jira_refused(403, "You do not have permission to create issues in this project.")
    edit = parse(call, project, None, allowed=_EDITABLE, ignored={"project"})
    missing = {
        name: f"{FIELDS[name].name} is required." for name in ("issuetype", "summary") if not edit.values.get(name)
    }
    if edit.values.get("issuetype") == workflow.SUBTASK and not edit.values.get("parent"):
        missing["parent"] = "Issue type is a sub-task but parent issue key or id not specified."
    if missing:
        raise jira_refused(400, errors=missing)
    values = {"priority": "3", "reporter": call.account.id, **edit.values}
    issue = call.site.new_issue(project, call.account, values)
    Edit(properties=edit.properties, comments=edit.comments).apply(call, issue, project)
    return Answer(201, {"id": issue.id, "key": issue.key, "self": f"{call.gateway_url}/rest/api/3/issue/{issue.id}"})


def edit_issue(call: Call) -> Answer:
    """PUT /rest/api/3/issue/{issueIdOrKey}: ``historyMetadata`` shows in the changelog, ``transition`` is ignored."""
    issue, project = visible_issue(call)
    _may_edit(call, project)
    if (call.flag("overrideScreenSecurity") or call.flag("overrideEditableFlag")) and project.lead != call.account.id:
        raise jira_refused(403, "Only administrators can override screen security.")
    edit = parse(call, project, issue, allowed=_EDITABLE)
    if "security" in edit.values and not call.site.may(call.account, "secure", project):
        raise jira_refused(400, errors={"security": "Field 'security' cannot be set: you may not set it."})
    if edit.comments and not call.site.may(call.account, "comment", project):
        raise jira_refused(400, errors={"comment": "You do not have the permission to comment on this issue."})
    call.site.note_change(issue, call.account, edit.apply(call, issue, project), edit.metadata)
    if call.flag("returnIssue"):
        return Answer(200, shapes.issue(call, issue, fields=["*all"], properties=[], expand=call.listed("expand")))
    return Answer(204)


def _may_edit(call: Call, project: Project) -> None:
    if not call.site.may(call.account, "edit", project):
        raise jira_refused(400, "You do not have permission to edit issues in this project.")


def assign_issue(call: Call) -> Answer:
    """PUT /rest/api/3/issue/{issueIdOrKey}/assignee: an account id, null for nobody, "-1" for the default."""
    issue, project = visible_issue(call)
    body = call.body
    if not isinstance(body, dict) or sum(name in body for name in ("accountId", "name", "key")) != 1:
        raise jira_refused(400, "Give exactly one of 'accountId', 'name' and 'key'.")
    if "accountId" not in body:
        raise jira_refused(400, "Users are named by accountId: 'name' and 'key' are no longer supported.")
    if not call.site.may(call.account, "assign", project):
        raise jira_refused(403, "You do not have permission to assign issues.")
    wanted = body["accountId"]
    try:
        after = None if wanted in {None, "-1"} else read(_ASSIGNEE, call.site, project, {"accountId": wanted})
    except Misfit as misfit:
        raise jira_refused(400, errors={"assignee": str(misfit)}) from None
    changed = items(_ASSIGNEE, call.site, project, issue.fields.get("assignee"), after)
    issue.fields["assignee"] = after
    call.site.note_change(issue, call.account, changed)
    return Answer(204)


def get_transitions(call: Call) -> Answer:
    """GET .../transitions: none for an account that may not transition."""
    issue, project = visible_issue(call)
    steps = _offered(call, issue, project)
    wanted = call.first("transitionId")
    shown = [shapes.transition(call, each) for each in steps if wanted in {"", each.id}]
    return Answer(200, {"expand": "transitions", "transitions": shown})


def _offered(call: Call, issue: Issue, project: Project) -> list[Transition]:
    return workflow.offered(issue) if call.site.may(call.account, "transition", project) else []


def do_transition(call: Call) -> Answer:
    """POST .../transitions: 400 for one that the issue's status or the account's permission does not allow."""
    issue, project = visible_issue(call)
    given = call.body.get("transition") if isinstance(call.body, dict) else None
    wanted = str(given.get("id") or "") if isinstance(given, dict) else ""
    if not wanted:
        raise jira_refused(400, "Missing 'transition' identifier")
    step = next((each for each in _offered(call, issue, project) if each.id == wanted), None)
    if step is None:
        raise jira_refused(400, f"Transition id '{wanted[:20]}' is not valid for this issue.")
    screen = _ON_RESOLVE_SCREEN if workflow.status(step.target).category == "done" else frozenset()
    edit = parse(call, project, issue, allowed=screen)
    changed = edit.apply(call, issue, project)
    workflow.take(call.site, issue, call.account, step, metadata=edit.metadata, items=changed)
    return Answer(204)


def get_change_logs(call: Call) -> Answer:
    """GET .../changelog: oldest first, pages by offset, each entry with its historyMetadata."""
    issue, _ = visible_issue(call)
    return Answer(200, offset_page(call, [shapes.change(call, each) for each in issue.changes], 100, 100))


def get_issue_property_keys(call: Call) -> Answer:
    """GET .../properties."""
    issue, _ = visible_issue(call)
    address = f"{call.gateway_url}/rest/api/3/issue/{issue.id}/properties"
    return Answer(200, {"keys": [{"self": f"{address}/{key}", "key": key} for key in issue.properties]})


def get_issue_property(call: Call) -> Answer:
    """GET .../properties/{propertyKey}."""
    issue, _ = visible_issue(call)
    return property_answer(issue.properties, call.params["propertyKey"])


def property_answer(properties: Mapping[str, Any], key: str) -> Answer:
    """One entity property, or 404."""
    if key not in properties:
        raise jira_refused(404, f"The property with key '{key[:255]}' does not exist.")
    return Answer(200, {"key": key, "value": properties[key]})


def get_project(call: Call) -> Answer:
    """GET /rest/api/3/project/{projectIdOrKey}."""
    project = visible_project(call, call.params["projectIdOrKey"])
    if project is None:
        raise jira_refused(404, f"No project could be found with key '{call.params['projectIdOrKey'][:80]}'.")
    return Answer(200, shapes.whole_project(call, project))


def get_current_user(call: Call) -> Answer:
    """GET /rest/api/3/myself."""
    empty = {"size": 0, "items": []}
    return Answer(
        200, shapes.user(call, call.account.id) | {"locale": "en_US", "groups": empty, "applicationRoles": empty}
    )


def find_users(call: Call) -> Answer:
    """GET /rest/api/3/user/search: active users whose name or address begins with the words asked for."""
    query, account_id = call.first("query").strip().casefold(), call.first("accountId")
    if not (query or account_id):
        raise jira_refused(400, "The 'query' or the 'accountId' parameter is required.")
    if query and account_id:
        raise jira_refused(400, "Use either 'query' or 'accountId'.")
    found = [each for each in call.site.accounts.values() if each.active and _matches(each, query, account_id)]
    start, count = number(call, "startAt", 0), number(call, "maxResults", 50, 1000)
    return Answer(200, [shapes.user(call, each.id) for each in found[start : start + count]])


def _matches(account: Account, query: str, account_id: str) -> bool:
    if account_id:
        return account.id == account_id
    name = account.name.casefold()
    return account.email.casefold().startswith(query) or name.startswith(query) or f" {query}" in name


OPERATIONS: Mapping[str, Operation] = {
    "getIssue": get_issue,
    "createIssue": create_issue,
    "editIssue": edit_issue,
    "assignIssue": assign_issue,
    "getTransitions": get_transitions,
    "doTransition": do_transition,
    "getChangeLogs": get_change_logs,
    "getIssuePropertyKeys": get_issue_property_keys,
    "getIssueProperty": get_issue_property,
    "getProject": get_project,
    "getCurrentUser": get_current_user,
    "findUsers": find_users,
}
