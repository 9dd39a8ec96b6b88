"""The service desk's operations on requests: who may not be told of one gets 404, who may not act on it 403.

See https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-request/. An issue is a request if it has a
request type; texts are wiki markup.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import desk_shapes as shapes
from bridge.sandbox import wiki
from bridge.sandbox.answer import Answer, Call, Operation, desk_refused
from bridge.sandbox.desk import Approval, ServiceDesk, ServiceRequest
from bridge.sandbox.fields import FIELDS, Misfit, read
from bridge.sandbox.records import Issue, Project

_DOCUMENTS = frozenset({"description", "customfield_10013"})


def _visible(call: Call) -> tuple[Issue, ServiceRequest, ServiceDesk, Project]:
    issue = call.site.find_issue(call.params["issueIdOrKey"])
    home = call.site.desk_of(issue.project) if issue is not None else None
    if issue is not None and issue.request is not None and home is not None:
        project = call.site.projects[issue.project]
        if call.site.may(call.account, "browse", project):
            return issue, issue.request, home, project
    raise shapes.missing("request")


def body_of(call: Call) -> Mapping[str, Any]:
    """The body, which must be an object."""
    if not isinstance(call.body, dict):
        raise desk_refused(400, "The request body is missing or is not a JSON object.")
    return call.body


def must(call: Call, permission: str, project: Project) -> None:
    """Refuse an account that lacks the permission."""
    if not call.site.may(call.account, permission, project):
        raise desk_refused(403, "You do not have permission to do this in this service project.")


def account_ids(call: Call) -> list[str]:
    """The accounts that a body names, all of which must exist."""
    named = body_of(call).get("accountIds")
    if not isinstance(named, list) or not named:
        raise desk_refused(400, "At least one accountId must be given.")
    if unknown := [str(each) for each in named if str(each) not in call.site.accounts]:
        raise desk_refused(400, f"No user has the account id {unknown[0][:80]}.")
    return [str(each) for each in named]


def get_request(call: Call) -> Answer:
    """GET /rest/servicedeskapi/request/{issueIdOrKey}."""
    issue, request, home, _ = _visible(call)
    return Answer(200, shapes.request(call, issue, request, home))


def create_request(call: Call) -> Answer:
    """POST /rest/servicedeskapi/request: on behalf of another only for agents; the caller is the issue's creator."""
    body = body_of(call)
    home = call.site.desks.get(str(body.get("serviceDeskId", "")))
    if home is None or not call.site.may(call.account, "browse", call.site.projects[home.project]):
        raise desk_refused(400, "The service desk does not exist, or you do not have permission to view it.")
    project = call.site.projects[home.project]
    chosen = next((each for each in home.types if each.id == str(body.get("requestTypeId", ""))), None)
    if chosen is None:
        raise desk_refused(400, "The request type does not exist in this service desk.")
    must(call, "create", project)
    reporter = str(body.get("raiseOnBehalfOf") or call.account.id)
    people = [str(each) for each in body.get("requestParticipants") or []]
    if reporter != call.account.id or people:
        must(call, "agent", project)
    if unknown := [each for each in (reporter, *people) if each not in call.site.accounts]:
        raise desk_refused(400, f"No user has the account id {unknown[0][:80]}.")
    values = _values(call, project, body.get("requestFieldValues"))
    issue = call.site.new_issue(
        project, call.account, {"priority": "3", **values, "issuetype": chosen.issue_type, "reporter": reporter}
    )
    issue.request = ServiceRequest(chosen.id, people)
    return Answer(201, shapes.request(call, issue, issue.request, home))


def _values(call: Call, project: Project, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not given.get("summary"):
        raise desk_refused(400, "Your request could not be created: Summary is required.")
    values: dict[str, Any] = {}
    for name, value in given.items():
        field = FIELDS.get(name)
        if field is None or name in {"issuetype", "reporter"}:
            raise desk_refused(400, f"Your request could not be created: {name[:40]} is not a field of it.")
        text = name in _DOCUMENTS and isinstance(value, str)
        try:
            values[name] = read(field, call.site, project, wiki.read(value) if text else value)
        except Misfit as misfit:
            raise desk_refused(400, f"Your request could not be created: {field.name}: {misfit}") from None
    return values


def create_comment(call: Call) -> Answer:
    """POST .../comment: an internal one only by agents."""
    issue, _, _, project = _visible(call)
    body = body_of(call)
    public = body.get("public", True) is True
    must(call, "comment" if public else "agent", project)
    text = str(body.get("body") or "").strip()
    if not text:
        raise desk_refused(400, "Comment body can not be empty!")
    made = call.site.add_comment(issue, call.account, wiki.read(text))
    made.public = public
    return Answer(201, shapes.comment(call, issue, made))


def get_comments(call: Call) -> Answer:
    """GET .../comment: oldest first; internal ones only for agents."""
    issue, _, _, project = _visible(call)
    agent = call.site.may(call.account, "agent", project)
    wanted = {True: call.first("public", "true") == "true", False: agent and call.first("internal", "true") == "true"}
    return shapes.page(call, [shapes.comment(call, issue, each) for each in issue.comments if wanted[each.public]])


def get_participants(call: Call) -> Answer:
    """GET .../participant."""
    _, request, _, _ = _visible(call)
    return shapes.page(call, [shapes.user(call, each) for each in request.participants])


def add_participants(call: Call) -> Answer:
    """POST .../participant: those who take part already stay."""
    _, request, _, project = _visible(call)
    must(call, "agent", project)
    request.participants = list(dict.fromkeys([*request.participants, *account_ids(call)]))
    return get_participants(call)


def remove_participants(call: Call) -> Answer:
    """DELETE .../participant, with a body."""
    _, request, _, project = _visible(call)
    must(call, "agent", project)
    gone = account_ids(call)
    request.participants = [each for each in request.participants if each not in gone]
    return get_participants(call)


def get_approvals(call: Call) -> Answer:
    """GET .../approval: answered or not."""
    issue, request, _, _ = _visible(call)
    return shapes.page(call, [shapes.approval(call, issue, each) for each in request.approvals])


def _approval(call: Call) -> tuple[Issue, Approval]:
    issue, request, _, _ = _visible(call)
    found = next((each for each in request.approvals if each.id == call.params["approvalId"]), None)
    if found is None:
        raise shapes.missing("approval")
    return issue, found


def get_approval(call: Call) -> Answer:
    """GET .../approval/{approvalId}."""
    issue, approval = _approval(call)
    return Answer(200, shapes.approval(call, issue, approval))


def answer_approval(call: Call) -> Answer:
    """POST .../approval/{approvalId}: only a listed approver, once, while it is not decided."""
    issue, approval = _approval(call)
    decision = body_of(call).get("decision")
    if decision not in {"approve", "decline"}:
        raise desk_refused(400, "The decision is approve or decline.")
    if call.account.id not in approval.approvers:
        raise desk_refused(403, "You are not an approver of this request.")
    if approval.decision != "pending" or approval.approvers[call.account.id] != "pending":
        raise desk_refused(409, "The approval has been answered already.")
    approval.approvers[call.account.id] = "approved" if decision == "approve" else "declined"
    if approval.decision != "pending":
        approval.completed = call.site.now()
    return Answer(200, shapes.approval(call, issue, approval))


OPERATIONS: Mapping[str, Operation] = {
    "getCustomerRequestByIdOrKey": get_request,
    "createCustomerRequest": create_request,
    "createRequestComment": create_comment,
    "getRequestComments": get_comments,
    "getRequestParticipants": get_participants,
    "addRequestParticipants": add_participants,
    "removeRequestParticipants": remove_participants,
    "getApprovals": get_approvals,
    "getApprovalById": get_approval,
    "answerApproval": answer_approval,
}
