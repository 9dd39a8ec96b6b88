"""How comments on requests, new requests, approvals, new customers and new organizations are found again."""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.egress.doubt import PAGES, Absent, Doubt, Found, Unknown, Verdict, since, unclear

_PAGE_SIZE = 50
_DECIDED = {"approve": "approved", "decline": "declined"}


def _request_comment(doubt: Doubt) -> Verdict:
    """Compare text, audience, author and time: what the service desk stores has no place for a marker."""
    if doubt.own_id is None:
        return Unknown("the account's own id is not known, so its comments cannot be told from others'")
    wanted, public = _words(doubt.body["body"]), doubt.body.get("public")
    if not isinstance(public, bool):
        return Unknown("the comment was sent without saying by true or false whether it is public")
    own: list[Mapping[str, Any]] = []
    for comment in _pages(doubt, doubt.path, {"public": ["true"], "internal": ["true"]}):
        if isinstance(comment, Unknown):
            return comment
        if (
            (comment.get("author") or {}).get("accountId") == doubt.own_id
            and since(doubt, _made(comment, "created"))
            and str(comment.get("id")) not in doubt.others
        ):
            own.append(comment)
    same = [each for each in own if each.get("public") is public and _words(each.get("body")) == wanted]
    if len(same) > 1:
        return Unknown("the request has two equal comments of this account since")
    if not same and own:
        return Unknown("the request got another comment of this account since, which may be this one, edited")
    return Found(same[0]) if same else Absent()


def _words(text: object) -> str:
    """Return the letters and digits of a text: a site may write its markup in another way, but not other words."""
    return "".join(re.findall(r"[^\W_]+", html.unescape(str(text))))


def _made(found: Mapping[str, Any], name: str) -> object:
    return (found.get(name) or {}).get("iso8601")


def _pages(doubt: Doubt, path: str, query: Mapping[str, list[str]]) -> Iterator[Any]:
    """Walk a list of the service desk's API; the last thing given may be why it could not be walked to its end."""
    start = 0
    for _ in range(PAGES):
        answer = doubt.get(path, {**query, "start": [str(start)], "limit": [str(_PAGE_SIZE)]})
        if not answer.done or not isinstance(answer.body, dict):
            yield unclear(answer, path.rpartition("/")[2])
            return
        values = answer.body.get("values") or []
        yield from values
        start += len(values)
        if answer.body.get("isLastPage", True) or not values:
            return
    yield Unknown(f"there are more of {path.rpartition('/')[2]} than can be looked through")


def _request_created(doubt: Doubt) -> Verdict:
    """Search the account's newest issues of the project, and ask each what request it is, those of that summary first.

    A summary, a type and a reporter may have been changed since, and a type may have a summary of its own: another
    request of this account could be the one.
    """
    desk = doubt.get(f"/rest/servicedeskapi/servicedesk/{doubt.body['serviceDeskId']}", {})
    if not desk.done or not isinstance(desk.body, dict):
        return unclear(desk, "the service desk")
    named: list[str] = []
    differing: list[str] = []
    for issue in _own_issues(doubt, str(desk.body["projectKey"])):
        if isinstance(issue, Unknown):
            return issue
        if not {str(issue["key"]), str(issue["id"])} & doubt.others:
            (named if _is_summed_up(issue, doubt) else differing).append(str(issue["key"]))
    same: list[Mapping[str, Any]] = []
    another: str | None = None
    for key in (*named, *differing):
        if key not in named and (same or another):
            break
        request = doubt.get(f"/rest/servicedeskapi/request/{key}", {})
        if request.status == 404:  # noqa: PLR2004 - RFC 9110 section 15.5.5: an issue that is no request
            continue
        if not request.done or not isinstance(request.body, dict):
            return unclear(request, f"request {key}")
        if key in named and _is_asked_for(request.body, doubt):
            same.append(request.body)
        elif since(doubt, _made(request.body, "createdDate")):
            another = key
    if len(same) > 1:
        return Unknown("the account made two equal requests since")
    if not same and another:
        return Unknown(f"the account made request {another} since, which may be this one, changed")
    return Found(same[0]) if same else Absent()


def _is_summed_up(issue: Mapping[str, Any], doubt: Doubt) -> bool:
    told = str((issue.get("fields") or {}).get("summary") or "")
    sent = str((doubt.body.get("requestFieldValues") or {}).get("summary") or "")
    return told.split() == sent.split()


def _own_issues(doubt: Doubt, project: str) -> Iterator[Any]:
    minutes = int((datetime.now(UTC) - doubt.earliest).total_seconds() // 60) + 1
    jql = f'project = "{project}" AND creator = currentUser() AND created >= "-{minutes}m" ORDER BY created DESC'
    token: str | None = None
    for _ in range(PAGES):
        body: dict[str, Any] = {"jql": jql, "fields": ["summary"], "maxResults": 100}
        answer = doubt.post("/rest/api/3/search/jql", {}, body | ({"nextPageToken": token} if token else {}))
        if not answer.done or not isinstance(answer.body, dict):
            yield unclear(answer, "the newest issues")
            return
        yield from answer.body.get("issues", [])
        token = answer.body.get("nextPageToken")
        if not token or answer.body.get("isLast"):
            return
    yield Unknown("the project got more issues since than can be looked through")


def _is_asked_for(request: Mapping[str, Any], doubt: Doubt) -> bool:
    reporter = doubt.body.get("raiseOnBehalfOf") or doubt.own_id
    reported = (request.get("reporter") or {}).get("accountId")
    return (
        str(request.get("requestTypeId")) == str(doubt.body["requestTypeId"])
        and since(doubt, _made(request, "createdDate"))
        and (reporter is None or reported == reporter)
    )


def _approval(doubt: Doubt) -> Verdict:
    """Read the approval: this account's answer stands in it, or it still waits for it."""
    answer = doubt.get(doubt.path, {})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the approval")
    if doubt.own_id is None:
        return Unknown("the account's own id is not known, so its answer cannot be told from others'")
    said = [
        each.get("approverDecision")
        for each in answer.body.get("approvers") or []
        if (each.get("approver") or {}).get("accountId") == doubt.own_id
    ]
    if _DECIDED[str(doubt.body["decision"])] in said:
        return Found(answer.body)
    if answer.body.get("canAnswerApproval"):
        return Absent()
    return Unknown("the approval holds another answer, or waits for this account no more")


def _customer_created(doubt: Doubt) -> Verdict:
    """An address belongs to one customer; where none is found, the site itself refuses a second one."""
    email = str(doubt.body["email"])
    answer = doubt.get("/rest/api/3/user/search", {"query": [email]})
    if not answer.done or not isinstance(answer.body, list):
        return unclear(answer, "the customer")
    wanted = email.strip().casefold()
    users = [each for each in answer.body if str(each.get("emailAddress") or "").casefold() == wanted]
    if len(users) > 1:
        return Unknown("several users are found by that address")
    if not users and any(not each.get("emailAddress") for each in answer.body):
        return Unknown("a user is found by that address, and the site does not show whether it is theirs")
    return Found(users[0]) if users else Absent()


def _organization_created(doubt: Doubt) -> Verdict:
    """Names may occur twice and may be changed, so only one that was made since can be the one.

    Older organizations have no date, says Atlassian:
    https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-organization/.
    """
    wanted = str(doubt.body["name"]).split()
    late: list[Mapping[str, Any]] = []
    for each in _pages(doubt, "/rest/servicedeskapi/organization", {}):
        if isinstance(each, Unknown):
            return each
        if str(each.get("id")) in doubt.others:
            continue
        if _made(each, "created") is None:
            if str(each.get("name")).split() == wanted:
                return Unknown("there is an organization of that name, and the site does not tell when it was made")
        elif since(doubt, _made(each, "created")):
            late.append(each)
    same = [each for each in late if str(each.get("name")).split() == wanted]
    if len(same) > 1:
        return Unknown("there are two organizations of that name since")
    if not same and late:
        return Unknown("another organization was made since, which may be this one under a new name")
    return Found(same[0]) if same else Absent()


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "request-comment": _request_comment,
    "request-created": _request_created,
    "approval": _approval,
    "customer-created": _customer_created,
    "organization-created": _organization_created,
}
