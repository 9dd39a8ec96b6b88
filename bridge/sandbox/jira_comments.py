"""Jira's operations on comments and their entity properties, one function per operationId."""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import document
from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, number, offset_page
from bridge.sandbox.edit import properties
from bridge.sandbox.jira import property_answer, visible_issue
from bridge.sandbox.records import IssueComment

_IDS_AT_MOST = 1000
_BODY_LENGTH = 32767
_ORDERS = {"": False, "created": False, "+created": False, "-created": True}
_VISIBILITIES = frozenset({"group", "role"})


def add_comment(call: Call) -> Answer:
    """POST .../comment: the body is ADF; ``properties`` come with it atomically but are not part of the answer."""
    issue, project = visible_issue(call)
    if not call.site.may(call.account, "comment", project):
        raise jira_refused(400, f"{call.account.name}, you do not have the permission to comment on this issue.")
    body = call.body.get("body") if isinstance(call.body, dict) else None
    if (wrong := document.mistake(body)) is not None:
        raise jira_refused(400, errors={"comment": f"Comment body is not valid! It {wrong}."})
    words = document.text(body)
    if not isinstance(body, dict) or not body["content"]:
        raise jira_refused(400, errors={"comment": "Comment body can not be empty!"})
    if len(words) > _BODY_LENGTH:
        raise jira_refused(400, errors={"comment": "The entered text is too long: at most 32,767 characters."})
    kept, visibility = properties(call.body), _visibility(call.body)
    if len(issue.comments) >= call.site.comments_per_issue:
        raise jira_refused(413, f"The issue has reached its limit of {call.site.comments_per_issue} comments.")
    made = call.site.add_comment(issue, call.account, body, kept)
    made.visibility = visibility
    return Answer(201, shapes.comment(call, made, call.listed("expand")))


def _visibility(body: Mapping[str, Any]) -> dict[str, Any] | None:
    given = body.get("visibility")
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("type") not in _VISIBILITIES:
        raise jira_refused(400, errors={"commentLevel": "A visibility has the type group or role and a value."})
    return given


def get_comments(call: Call) -> Answer:
    """GET .../comment: pages by offset, ``orderBy`` created only."""
    issue, _ = visible_issue(call)
    # A plus sign that was not encoded arrives as a space.
    order = call.first("orderBy").replace(" ", "+")
    if order not in _ORDERS:
        raise jira_refused(400, f"orderBy: comments cannot be ordered by {order[:40]!r}.")
    ordered = sorted(issue.comments, key=lambda each: (each.created, int(each.id)), reverse=_ORDERS[order])
    start, count = number(call, "startAt", 0), number(call, "maxResults", 100, 5000)
    shown = [shapes.comment(call, each, _expand(call) - {"properties"}) for each in ordered[start : start + count]]
    return Answer(200, {"startAt": start, "maxResults": count, "total": len(ordered), "comments": shown})


def get_comment(call: Call) -> Answer:
    """GET .../comment/{id}."""
    issue, _ = visible_issue(call)
    shown = next((each for each in issue.comments if each.id == call.params["id"]), None)
    if shown is None:
        raise jira_refused(404, f"Can not find a comment for the id: {call.params['id'][:20]}.")
    return Answer(200, shapes.comment(call, shown, _expand(call) - {"properties"}))


def update_comment(call: Call) -> Answer:
    """PUT .../comment/{id}: one's own, or anybody's with the permission; properties that are not given stay."""
    shown = _own(call)
    body = call.body.get("body") if isinstance(call.body, dict) else None
    if (wrong := document.mistake(body)) is not None or not isinstance(body, dict):
        raise jira_refused(400, errors={"comment": f"Comment body is not valid! It {wrong}."})
    shown.body = body
    shown.properties |= properties(call.body)
    if "visibility" in call.body:
        shown.visibility = _visibility(call.body)
    return Answer(200, shapes.comment(call, shown, call.listed("expand")))


def delete_comment(call: Call) -> Answer:
    """DELETE .../comment/{id}: one's own, or anybody's with the permission."""
    shown = _own(call)
    issue, _ = visible_issue(call)
    issue.comments.remove(shown)
    return Answer(204)


def _own(call: Call) -> IssueComment:
    """The comment a path names; 400 unless it is the account's own or the account may moderate."""
    issue, project = visible_issue(call)
    shown = next((each for each in issue.comments if each.id == call.params["id"]), None)
    if shown is None:
        raise jira_refused(404, f"Can not find a comment for the id: {call.params['id'][:20]}.")
    if shown.author != call.account.id and not call.site.may(call.account, "moderate", project):
        raise jira_refused(400, f"{call.account.name}, you do not have the permission to change this comment.")
    return shown


def get_comments_by_ids(call: Call) -> Answer:
    """POST /rest/api/3/comment/list: those of the ids that exist and can be seen; ``expand=properties`` is answered."""
    body = call.body
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(body, dict) or set(body) != {"ids"} or not isinstance(ids, list) or not ids:
        raise jira_refused(400, "The request is a list of comment ids and must not be empty.")
    if len(ids) > _IDS_AT_MOST or not all(isinstance(each, int) and not isinstance(each, bool) for each in ids):
        raise jira_refused(400, "At most 1000 comment ids, as numbers.")
    wanted = {str(each) for each in ids}
    shown = [shapes.comment(call, each, _expand(call)) for each in _visible(call) if each.id in wanted]
    return Answer(200, offset_page(call, shown, _IDS_AT_MOST, _IDS_AT_MOST))


def _expand(call: Call) -> set[str]:
    return set(call.listed("expand"))


def _visible(call: Call) -> list[IssueComment]:
    issues = call.site.issues.values()
    seen = [issue for issue in issues if call.site.may(call.account, "browse", call.site.projects[issue.project])]
    return [each for issue in seen for each in issue.comments]


def _by_id(call: Call) -> IssueComment:
    wanted = call.params["commentId"]
    if not wanted.isdecimal():
        raise jira_refused(400, f"The comment id is not a number: {wanted[:20]!r}")
    found = next((each for each in _visible(call) if each.id == wanted), None)
    if found is None:
        raise jira_refused(404, f"Can not find a comment for the id: {wanted[:20]}.")
    return found


def get_comment_property_keys(call: Call) -> Answer:
    """GET /rest/api/3/comment/{commentId}/properties."""
    comment = _by_id(call)
    address = f"{call.gateway_url}/rest/api/3/comment/{comment.id}/properties"
    return Answer(200, {"keys": [{"self": f"{address}/{key}", "key": key} for key in comment.properties]})


def get_comment_property(call: Call) -> Answer:
    """GET /rest/api/3/comment/{commentId}/properties/{propertyKey}."""
    return property_answer(_by_id(call).properties, call.params["propertyKey"])


OPERATIONS: Mapping[str, Operation] = {
    "addComment": add_comment,
    "getComments": get_comments,
    "getComment": get_comment,
    "updateComment": update_comment,
    "deleteComment": delete_comment,
    "getCommentsByIds": get_comments_by_ids,
    "getCommentPropertyKeys": get_comment_property_keys,
    "getCommentProperty": get_comment_property,
}
