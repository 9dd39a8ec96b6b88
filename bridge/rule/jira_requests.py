"""Requests of service projects: read, create, comment, approve them and manage who takes part, and the request of each.

Operations and bodies: https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-request/. Text is sent as
wiki markup there, and what comes from a payload stands for itself in it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from bridge.errors import ActionFailed
from bridge.rule.adf import Formatted, Text
from bridge.rule.jira_fields import field_value
from bridge.rule.method import does
from bridge.rule.request import STAND_IN, Caller, Issue, Request, Words, name_of, object_of, segment, words_of
from bridge.rule.wiki import to_wiki

ISSUE = "{{ issue.key }}"
PROJECT = "<project>"

PAGE_SIZE = 50
MOST_PAGES = 40
NOT_FOUND, CONFLICT = 404, 409
Decision = Literal["approve", "decline"]
# Fields that Jira keeps as documents, and takes as wiki markup here.
_DOCUMENTS = frozenset({"description", "environment"})
_APPROVING = ("getApprovals", "answerApproval")


class Requests:
    """The part of ``context.jira`` that works on requests of service projects."""

    _caller: Caller

    @does("jira.read-request", "Read request", operations=("getCustomerRequestByIdOrKey",), example={"issue": ISSUE})
    def service_request(self, issue: Issue) -> dict[str, Any]:
        """Read a request as the service desk shows it: its request type, reporter, status and fields."""
        return object_of(self._caller.call(read_request(issue)))

    @does(
        "jira.find-approval",
        "Find approvals",
        verbs=("jira.read-request",),
        operations=("getApprovals",),
        example={"issue": ISSUE},
    )
    def approvals(self, issue: Issue) -> list[dict[str, Any]]:
        """Read the approvals of a request, answered or not, with their approvers."""
        return list(desk_pages(self._caller, lambda start: list_approvals(issue, start, "read-request")))

    @does(
        "jira.find-request-type",
        "Find request types",
        operations=("getServiceDeskById", "getRequestTypes"),
        example={"service_desk": PROJECT},
    )
    def request_types(self, service_desk: str) -> list[dict[str, Any]]:
        """Read the request types of a service project, given by its key or by the service desk's id."""
        found = read_desk(self._caller, service_desk, "find-request-type")
        number = str(found["id"])
        return list(desk_pages(self._caller, lambda start: list_request_types(number, start, "find-request-type")))

    @does(
        "jira.comment-on-request",
        "Comment on work item (public or internal)",
        operations=("createRequestComment",),
        example={"issue": ISSUE, "body": "Seen by the bridge.", "public": False},
    )
    def comment_on_request(
        self, issue: Issue, body: Text, *, public: bool = False, step: str | None = None
    ) -> dict[str, Any]:
        """Comment on a request: an internal note for the agents or, with ``public``, a reply that the customer sees."""
        answer = self._caller.call(add_request_comment(issue, body, public=public, step=step))
        return object_of(answer, {"id": STAND_IN, "public": public})

    @does(
        "jira.create-request",
        "Create with request type",
        operations=("getServiceDeskById", "getRequestTypes", "createCustomerRequest"),
        example={"service_desk": PROJECT, "request_type": "Ask for help", "summary": "A new laptop"},
    )
    def create_request(
        self,
        service_desk: str,
        request_type: str,
        summary: str,
        description: Text | None = None,
        *,
        on_behalf_of: str | None = None,
        participants: Words | None = None,
        fields: Mapping[str, Any] | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Create a request in a service project, given by its key, with a request type given by its name or id.

        ``on_behalf_of`` and ``participants`` are account ids. Returns its ``issueKey`` and ``issueId``; in observe mode
        the key is ``<PROJECT>-0``. Raises ``ActionFailed`` (404) when the project has no such request type.
        """
        desk = read_desk(self._caller, service_desk, "create-request")
        number = str(desk["id"])
        kind = self._request_type(number, request_type)
        request = add_request(
            number,
            kind,
            summary,
            description,
            on_behalf_of=on_behalf_of,
            participants=participants,
            fields=fields,
            step=step,
        )
        made = {"issueId": STAND_IN, "issueKey": f"{desk.get('projectKey', service_desk)}-{STAND_IN}"}
        return object_of(self._caller.call(request), made)

    def _request_type(self, desk: str, wanted: str) -> str:
        there = list(desk_pages(self._caller, lambda start: list_request_types(desk, start, "create-request")))
        name = wanted.strip().casefold()
        named = [each for each in there if str(each.get("name", "")).strip().casefold() == name]
        chosen = named or [each for each in there if str(each.get("id")) == wanted.strip()]
        if not chosen:
            ways = ", ".join(str(each.get("name")) for each in there) or "none"
            text = f"the service project has no request type {wanted!r} that this account can see; it has {ways}"
            raise ActionFailed("create-request", wanted, NOT_FOUND, text)
        if len(chosen) > 1:
            text = f"{len(chosen)} request types are called {wanted!r}: name one by its id"
            raise ActionFailed("create-request", wanted, CONFLICT, text)
        return str(chosen[0]["id"])

    @does(
        "jira.add-participants",
        "Add request participants",
        operations=("addRequestParticipants",),
        example={"issue": ISSUE, "account_ids": "{{ initiator }}"},
    )
    def add_participants(self, issue: Issue, account_ids: Words, *, step: str | None = None) -> dict[str, Any]:
        """Add people to those who take part in a request, by their account ids."""
        return object_of(self._caller.call(change_participants("add", issue, account_ids, step=step)))

    @does(
        "jira.remove-participants",
        "Remove request participants",
        operations=("removeRequestParticipants",),
        example={"issue": ISSUE, "account_ids": "{{ initiator }}"},
    )
    def remove_participants(self, issue: Issue, account_ids: Words, *, step: str | None = None) -> dict[str, Any]:
        """Take people out of those who take part in a request, by their account ids."""
        return object_of(self._caller.call(change_participants("remove", issue, account_ids, step=step)))

    @does("jira.approve", "Approve request", operations=_APPROVING, example={"issue": ISSUE})
    def approve(self, issue: Issue, approval: str | None = None, *, step: str | None = None) -> dict[str, Any]:
        """Approve a request: the approval that waits for this account, or the one of that name among several.

        Raises ``ActionFailed`` (409) when none waits for it: Automation may approve for others, the API may not.
        """
        return self._answer(issue, approval, "approve", step)

    @does(
        "jira.decline",
        "Decline request",
        verbs=("jira.approve",),
        operations=_APPROVING,
        example={"issue": ISSUE},
    )
    def decline(self, issue: Issue, approval: str | None = None, *, step: str | None = None) -> dict[str, Any]:
        """Decline a request: the approval that waits for this account, or the one of that name among several."""
        return self._answer(issue, approval, "decline", step)

    def _answer(self, issue: Issue, approval: str | None, decision: Decision, step: str | None) -> dict[str, Any]:
        number = STAND_IN
        if not name_of(issue).endswith(f"-{STAND_IN}"):
            # Of a request that observe mode did not create there are no approvals to be read.
            number = _waiting(self._caller, issue, approval)
        made = {"id": number, "finalDecision": "pending"}
        return object_of(self._caller.call(answer_approval(issue, number, decision, step=step)), made)


def _waiting(caller: Caller, issue: Issue, approval: str | None) -> str:
    """Return the id of the first approval that waits for this account, and is called so if a name is given."""
    name = approval.strip().casefold() if approval is not None else None
    for each in desk_pages(caller, lambda start: list_approvals(issue, start, "approve")):
        if each.get("canAnswerApproval") and name in {None, str(each.get("name", "")).strip().casefold()}:
            return str(each["id"])
    which = f"called {approval!r} " if approval is not None else ""
    text = f"no approval {which}of this request waits for the answer of this account"
    raise ActionFailed("approve", name_of(issue), CONFLICT, text)


def desk_pages(caller: Caller, request: Callable[[int], Request]) -> Iterator[dict[str, Any]]:
    """Walk a list of the service desk's API, page by page."""
    start = 0
    for _ in range(MOST_PAGES):
        page = object_of(caller.call(request(start)))
        values = page.get("values") or []
        yield from values
        start += len(values)
        if page.get("isLastPage", True) or not values:
            return


def page_of(start: int) -> dict[str, list[str]]:
    """Return the query for a page of the service desk's API."""
    return {"start": [str(start)], "limit": [str(PAGE_SIZE)]}


def read_desk(caller: Caller, service_desk: str, verb: str) -> dict[str, Any]:
    """Read a service desk by its id or by its project's key: bodies want its id, and observe mode the project."""
    path = f"/rest/servicedeskapi/servicedesk/{segment(service_desk.strip())}"
    return object_of(caller.call(Request("jira", "GET", path, verb=verb, target=service_desk)))


def read_request(issue: Issue) -> Request:
    """GET a request (operation getCustomerRequestByIdOrKey)."""
    return _of_request("GET", issue, "", "read-request")


def list_approvals(issue: Issue, start: int, verb: str) -> Request:
    """GET a page of a request's approvals (operation getApprovals)."""
    path = f"/rest/servicedeskapi/request/{segment(issue)}/approval"
    return Request("jira", "GET", path, page_of(start), verb=verb, target=name_of(issue))


def list_request_types(desk: str, start: int, verb: str) -> Request:
    """GET a page of a service desk's request types (operation getRequestTypes)."""
    path = f"/rest/servicedeskapi/servicedesk/{segment(desk)}/requesttype"
    return Request("jira", "GET", path, page_of(start), verb=verb, target=desk)


def add_request_comment(issue: Issue, text: Text, *, public: bool, step: str | None = None) -> Request:
    """POST a comment on a request (operation createRequestComment)."""
    body = {"body": to_wiki(text), "public": public}
    return _of_request("POST", issue, "/comment", "comment-on-request", body=body, step=step)


def add_request(
    desk: str,
    request_type: str,
    summary: str,
    description: Text | None = None,
    *,
    on_behalf_of: str | None = None,
    participants: Words | None = None,
    fields: Mapping[str, Any] | None = None,
    step: str | None = None,
) -> Request:
    """POST a new request (operation createCustomerRequest). A summary is one line, so line ends in it become blanks."""
    values: dict[str, Any] = {name: _field(name, value) for name, value in (fields or {}).items()}
    values["summary"] = " ".join(summary.split())
    if description is not None:
        values["description"] = to_wiki(description)
    body: dict[str, Any] = {"serviceDeskId": desk, "requestTypeId": request_type, "requestFieldValues": values}
    if on_behalf_of is not None:
        body["raiseOnBehalfOf"] = on_behalf_of
    if participants is not None:
        body["requestParticipants"] = words_of(participants)
    path = "/rest/servicedeskapi/request"
    return Request("jira", "POST", path, body=body, label=step, verb="create-request", target=desk)


def _field(name: str, value: Any) -> Any:
    """Write a field's value as this API takes it: formatted text as wiki markup, all else as in the rest of Jira."""
    if isinstance(value, Formatted) or (name in _DOCUMENTS and isinstance(value, str)):
        return to_wiki(value)
    return field_value(name, value)


def change_participants(
    how: Literal["add", "remove"], issue: Issue, account_ids: Words, *, step: str | None = None
) -> Request:
    """POST or DELETE participants (operations addRequestParticipants, removeRequestParticipants)."""
    body = {"accountIds": words_of(account_ids)}
    method = "POST" if how == "add" else "DELETE"
    return _of_request(method, issue, "/participant", f"{how}-participants", body=body, step=step)


def answer_approval(issue: Issue, approval: str, decision: Decision, *, step: str | None = None) -> Request:
    """POST the account's answer to an approval (operation answerApproval)."""
    return _of_request(
        "POST", issue, f"/approval/{segment(approval)}", "approve", body={"decision": decision}, step=step
    )


def _of_request(
    method: str, issue: Issue, rest: str, verb: str, *, body: Any = None, step: str | None = None
) -> Request:
    path = f"/rest/servicedeskapi/request/{segment(issue)}{rest}"
    return Request("jira", method, path, body=body, label=step, verb=verb, target=name_of(issue))
