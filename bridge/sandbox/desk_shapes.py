"""The service desk's JSON: users, requests, comments, approvals and organizations as its API shows them, and its pages.

See https://developer.atlassian.com/cloud/jira/service-desk/rest/intro/. Times come in four forms, pages by start and
limit with ``isLastPage`` and no total.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from bridge.sandbox import workflow
from bridge.sandbox.answer import Answer, Call, Refused, desk_refused
from bridge.sandbox.desk import Approval, Organization, RequestType, ServiceDesk, ServiceRequest
from bridge.sandbox.fields import FIELDS, label
from bridge.sandbox.jira_shapes import moment
from bridge.sandbox.records import Issue, IssueComment
from bridge.sandbox.wiki import write

_AT_MOST = 100
_CATEGORIES = {"new": "NEW", "indeterminate": "INDETERMINATE", "done": "DONE"}


def page(call: Call, values: Sequence[Any]) -> Answer:
    """A page of the service desk's API."""
    start, limit = _number(call, "start", 0), min(_number(call, "limit", 50), _AT_MOST)
    shown = list(values[start : start + limit])
    address = f"{call.gateway_url}{call.path}"
    last = start + limit >= len(values)
    links = {"self": address, "base": f"{call.site_url}/rest/servicedeskapi", "context": ""}
    links |= {} if last else {"next": f"{address}?start={start + limit}&limit={limit}"}
    made = {"_expands": [], "size": len(shown), "start": start, "limit": limit, "isLastPage": last}
    return Answer(200, {**made, "_links": links, "values": shown})


def _number(call: Call, name: str, default: int) -> int:
    given = call.first(name)
    if given and not given.isdecimal():
        raise desk_refused(400, f"{name} is not a number: {given[:40]!r}")
    return int(given) if given else default


def date(when: datetime) -> dict[str, Any]:
    """A time in its four forms."""
    friendly = when.strftime("%d/%b/%y %I:%M %p")
    iso = when.strftime("%Y-%m-%dT%H:%M:%S+0000")
    return {"iso8601": iso, "jira": moment(when), "friendly": friendly, "epochMillis": int(when.timestamp() * 1000)}


def user(call: Call, account_id: str) -> dict[str, Any]:
    """A user; the address is shown of customers and of oneself."""
    account = call.site.accounts[account_id]
    made: dict[str, Any] = {"accountId": account.id, "displayName": account.name, "active": account.active}
    if account.email and (account.kind == "customer" or account.id == call.account.id):
        made["emailAddress"] = account.email
    links = {"jiraRest": f"{call.gateway_url}/rest/api/2/user?accountId={quote(account.id)}", "avatarUrls": {}}
    return made | {"timeZone": "Etc/UTC", "_links": links}


def desk(call: Call, shown: ServiceDesk) -> dict[str, Any]:
    """A service desk with its project."""
    home = call.site.projects[shown.project]
    made = {"id": shown.id, "projectId": home.id, "projectName": home.name, "projectKey": home.key}
    return made | {"_links": {"self": f"{call.gateway_url}/rest/servicedeskapi/servicedesk/{shown.id}"}}


def request_type(call: Call, home: ServiceDesk, shown: RequestType) -> dict[str, Any]:
    """A request type of a service desk."""
    address = f"{call.gateway_url}/rest/servicedeskapi/servicedesk/{home.id}/requesttype/{shown.id}"
    made: dict[str, Any] = {"_expands": [], "id": shown.id, "_links": {"self": address}, "name": shown.name}
    made |= {"description": "", "helpText": "", "issueTypeId": shown.issue_type, "serviceDeskId": home.id}
    return made | {"portalId": home.id, "groupIds": []}


def request(call: Call, issue: Issue, shown: ServiceRequest, home: ServiceDesk) -> dict[str, Any]:
    """A request as customers see it: its fields in words."""
    address = f"{call.gateway_url}/rest/servicedeskapi/request/{issue.id}"
    project = call.site.projects[issue.project]
    status = workflow.status(issue.status)
    made: dict[str, Any] = {"_expands": [], "issueId": issue.id, "issueKey": issue.key}
    made |= {"summary": str(issue.fields.get("summary") or ""), "requestTypeId": shown.type, "serviceDeskId": home.id}
    made |= {"createdDate": date(issue.created), "reporter": user(call, str(issue.fields.get("reporter")))}
    made["requestFieldValues"] = [
        {"fieldId": name, "label": FIELDS[name].name, "value": label(FIELDS[name], call.site, project, value)}
        for name, value in issue.fields.items()
        if name in {"summary", "description", "priority"} and value
    ]
    made["currentStatus"] = {"status": status.name, "statusCategory": _CATEGORIES[status.category]}
    links = {"self": address, "jiraRest": f"{call.gateway_url}/rest/api/2/issue/{issue.id}"}
    web = f"{call.site_url}/servicedesk/customer/portal/{home.id}/{issue.key}"
    return made | {"_links": links | {"web": web, "agent": f"{call.site_url}/browse/{issue.key}"}}


def comment(call: Call, issue: Issue, shown: IssueComment) -> dict[str, Any]:
    """A comment; its body is wiki markup here."""
    address = f"{call.gateway_url}/rest/servicedeskapi/request/{issue.id}/comment/{shown.id}"
    made: dict[str, Any] = {"_expands": [], "id": shown.id, "body": write(shown.body), "public": shown.public}
    return made | {"author": user(call, shown.author), "created": date(shown.created), "_links": {"self": address}}


def approval(call: Call, issue: Issue, shown: Approval) -> dict[str, Any]:
    """An approval with the answers of its approvers."""
    address = f"{call.gateway_url}/rest/servicedeskapi/request/{issue.id}/approval/{shown.id}"
    waits = shown.decision == "pending" and shown.approvers.get(call.account.id) == "pending"
    said = [{"approver": user(call, who), "approverDecision": what} for who, what in shown.approvers.items()]
    made: dict[str, Any] = {"id": shown.id, "name": shown.name, "finalDecision": shown.decision}
    made |= {"canAnswerApproval": waits, "approvers": said, "createdDate": date(shown.created)}
    made |= {"completedDate": date(shown.completed)} if shown.completed else {}
    return made | {"_links": {"self": address}}


def organization(call: Call, shown: Organization) -> dict[str, Any]:
    """An organization of customers."""
    address = f"{call.gateway_url}/rest/servicedeskapi/organization/{shown.id}"
    made: dict[str, Any] = {"id": shown.id, "name": shown.name, "created": date(shown.created), "scimManaged": False}
    return made | {"_links": {"self": address}}


def missing(what: str) -> Refused:
    """The 404 of the service desk's API."""
    return desk_refused(404, f"The {what} does not exist, or you do not have permission to view it.")
