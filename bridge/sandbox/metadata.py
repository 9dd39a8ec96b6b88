"""What a client asks Jira about itself before it acts: the server, the fields, and what they may hold.

One function per operationId of https://developer.atlassian.com/cloud/jira/platform/rest/v3/. ``getPriorities`` is
marked deprecated there and still answered; both of the common Python clients read it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox import workflow
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, number
from bridge.sandbox.fields import FIELDS, Field, choices
from bridge.sandbox.jira import visible_issue, visible_project
from bridge.sandbox.records import Named, Project

_VERSION = (1001, 0, 0)
_BUILD = 100300
_REQUIRED = frozenset({"summary", "issuetype"})
_COLORS = {"1": "#ce0000", "2": "#ea4444", "3": "#ea7d24", "4": "#2a8735", "5": "#55a557"}
# What JQL calls a field, where that is not its id.
_CLAUSES = {"components": "component", "fixVersions": "fixVersion", "versions": "affectedVersion"}
_CLAUSES |= {"duedate": "due"}
_TYPES = {"line": "string", "document": "string", "person": "user", "date": "date", "number": "number"}
_TYPES |= {"option": "option", "issue": "issuelink"}
_OWN_TYPES = {"security": "securitylevel"}
_CUSTOM_TYPES = {"line": "textfield", "document": "textarea", "option": "select", "number": "float"}
_CUSTOM_TYPES |= {"person": "userpicker", "labels": "labels"}
_CUSTOM_PREFIX = "com.atlassian.jira.plugin.system.customfieldtypes:"
#: Fields that the site itself fills in: id, name, type, and of what it is a list.
_FILLED_BY_THE_SITE = (
    ("project", "Project", "project", ""),
    ("status", "Status", "status", ""),
    ("creator", "Creator", "user", ""),
    ("created", "Created", "datetime", ""),
    ("updated", "Updated", "datetime", ""),
    ("attachment", "Attachment", "array", "attachment"),
    ("comment", "Comment", "comments-page", ""),
    ("issuelinks", "Linked work items", "array", "issuelinks"),
    ("subtasks", "Sub-tasks", "array", "issuelinks"),
)
# Where the type of a field, or the resource its values come from, is not named as the field is.
_RESOURCES = {"components": "component", "fixVersions": "version", "versions": "version", "security": "securitylevel"}


def get_server_info(call: Call) -> Answer:
    """GET /rest/api/3/serverInfo: ``deploymentType`` Cloud is how clients tell a site from a data center."""
    made: dict[str, Any] = {"baseUrl": call.site_url, "displayUrl": call.site_url, "deploymentType": "Cloud"}
    made |= {"displayUrlConfluence": f"{call.site_url}/wiki", "displayUrlServicedeskHelpCenter": call.site_url}
    made |= {"version": "1001.0.0-SNAPSHOT", "versionNumbers": list(_VERSION), "buildNumber": _BUILD}
    made |= {"buildDate": "2026-11-02T00:00:00.000+0000", "scmInfo": "0" * 40, "serverTitle": "Jira"}
    return Answer(200, made | {"serverTime": shapes.moment(call.site.now()), "serverTimeZone": "Etc/UTC"})


def get_fields(call: Call) -> Answer:
    """GET /rest/api/3/field: system and custom fields, with the names that JQL has for them."""
    del call
    made = [_field(field) for field in FIELDS.values()]
    for name, shown, kind, items in _FILLED_BY_THE_SITE:
        schema = {"type": kind, "system": name, **({"items": items} if items else {})}
        made.append(_described(name, shown, [name], schema, custom=False))
    return Answer(200, made)


def _field(field: Field) -> dict[str, Any]:
    names = [_CLAUSES.get(field.id, field.id)]
    if field.is_custom:
        names = [f"cf[{field.id.removeprefix('customfield_')}]", field.name]
    return _described(field.id, field.name, names, _schema(field), custom=field.is_custom)


def _described(
    name: str, shown: str, clauses: Sequence[str], schema: Mapping[str, Any], *, custom: bool
) -> dict[str, Any]:
    made: dict[str, Any] = {"id": name, "key": name, "name": shown, "custom": custom, "orderable": True}
    made |= {"navigable": name not in {"comment", "attachment"}, "searchable": True}
    return made | {"clauseNames": list(clauses), "schema": schema}


def _schema(field: Field) -> dict[str, Any]:
    if field.is_list:
        items = {"components": "component", "versions": "version"}.get(field.where, "string")
        made: dict[str, Any] = {"type": "array", "items": items}
    else:
        made = {"type": _TYPES.get(field.kind, _OWN_TYPES.get(field.id, field.id))}
    if not field.is_custom:
        return made | {"system": field.id}
    number_of_it = int(field.id.removeprefix("customfield_"))
    return made | {"custom": f"{_CUSTOM_PREFIX}{_CUSTOM_TYPES.get(field.kind, 'textfield')}", "customId": number_of_it}


def get_issue_all_types(call: Call) -> Answer:
    """GET /rest/api/3/issuetype."""
    return Answer(200, [_issue_type(call, each) for each in workflow.ISSUE_TYPES])


def _issue_type(call: Call, shown: Named) -> dict[str, Any]:
    made: dict[str, Any] = {"self": f"{call.gateway_url}/rest/api/3/issuetype/{shown.id}", "id": shown.id}
    made |= {"name": shown.name, "description": "", "iconUrl": f"{call.site_url}/images/icons/issuetypes/{shown.id}"}
    return made | shapes.kind_of(shown.id)


def get_priorities(call: Call) -> Answer:
    """GET /rest/api/3/priority: highest first."""
    made = []
    for each in workflow.PRIORITIES:
        own = {"self": f"{call.gateway_url}/rest/api/3/priority/{each.id}", "id": each.id, "name": each.name}
        own |= {"statusColor": _COLORS[each.id], "description": "", "iconUrl": f"{call.site_url}/images/{each.id}.svg"}
        made.append(own)
    return Answer(200, made)


def get_statuses(call: Call) -> Answer:
    """GET /rest/api/3/status."""
    return Answer(200, [shapes.status(call, each) for each in workflow.STATUSES])


def get_user(call: Call) -> Answer:
    """GET /rest/api/3/user: by account id only; an unknown one, or none at all, is 404."""
    account_id = call.first("accountId")
    if account_id not in call.site.accounts:
        raise jira_refused(404, f"Specified user does not exist or you do not have required permissions: {account_id}")
    empty: dict[str, Any] = {"size": 0, "items": []}
    expanded = dict.fromkeys({"groups", "applicationRoles"} & set(call.listed("expand")), empty)
    return Answer(200, shapes.user(call, account_id) | {"expand": "groups,applicationRoles", **expanded})


def get_create_issue_meta_issue_types(call: Call) -> Answer:
    """GET .../createmeta/{projectIdOrKey}/issuetypes: what the account may create in a project, by offset."""
    _creatable(call)
    return _page(call, "issueTypes", [_issue_type(call, each) for each in workflow.ISSUE_TYPES])


def get_create_issue_meta_issue_type_id(call: Call) -> Answer:
    """GET .../createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}: the fields of its create screen, by offset."""
    project = _creatable(call)
    if all(each.id != call.params["issueTypeId"] for each in workflow.ISSUE_TYPES):
        raise jira_refused(400, f"The issue type with id '{call.params['issueTypeId'][:20]}' is not in the project.")
    shown = [field for field in FIELDS.values() if field.id != "resolution"]
    return _page(call, "fields", [{"fieldId": field.id, **_offered(call, field, project)} for field in shown])


def _creatable(call: Call) -> Project:
    project = visible_project(call, call.params["projectIdOrKey"])
    if project is None or not call.site.may(call.account, "create", project):
        raise jira_refused(400, "The project does not exist or you may not create issues in it.")
    return project


def _page(call: Call, name: str, values: Sequence[Any]) -> Answer:
    start, count = number(call, "startAt", 0), number(call, "maxResults", 50, 200)
    page = {"startAt": start, "maxResults": count, "total": len(values)}
    return Answer(200, page | {name: list(values[start : start + count])})


def get_edit_issue_meta(call: Call) -> Answer:
    """GET .../editmeta: the fields of the edit screen, none for an account that may not edit."""
    issue, project = visible_issue(call)
    del issue
    may = call.site.may(call.account, "edit", project)
    shown = [field for field in FIELDS.values() if field.id != "resolution"] if may else []
    return Answer(200, {"fields": {field.id: _offered(call, field, project) for field in shown}})


def _offered(call: Call, field: Field, project: Project) -> dict[str, Any]:
    made: dict[str, Any] = {"key": field.id, "name": field.name, "required": field.id in _REQUIRED}
    made |= {"schema": _schema(field), "operations": ["add", "set", "remove"] if field.is_list else ["set"]}
    made["hasDefaultValue"] = field.id in {"priority", "reporter"}
    if field.where:
        word = "value" if field.kind == "option" else "name"
        resource = "customFieldOption" if field.kind == "option" else _RESOURCES.get(field.id, field.id)
        address = f"{call.gateway_url}/rest/api/3/{resource}"
        made["allowedValues"] = [
            {"self": f"{address}/{each.id}", "id": each.id, word: each.name} for each in choices(field, project)
        ]
    return made


OPERATIONS: Mapping[str, Operation] = {
    "getServerInfo": get_server_info,
    "getFields": get_fields,
    "getIssueAllTypes": get_issue_all_types,
    "getPriorities": get_priorities,
    "getStatuses": get_statuses,
    "getUser": get_user,
    "getCreateIssueMetaIssueTypes": get_create_issue_meta_issue_types,
    "getCreateIssueMetaIssueTypeId": get_create_issue_meta_issue_type_id,
    "getEditIssueMeta": get_edit_issue_meta,
}
