"""Jira's operations on links, between issues and to the web, one function per operationId.

See https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-links/ and
.../api-group-issue-remote-links/. A link that is there already is answered as if it had been made; a web link of a
known global id is changed, and members without values are lost.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused
from bridge.sandbox.attached import LINK_TYPES, IssueLink, LinkType, WebLink
from bridge.sandbox.jira import visible_issue
from bridge.sandbox.records import Issue

_GLOBAL_ID_LENGTH = 255


def get_issue_link_types(call: Call) -> Answer:
    """GET /rest/api/3/issueLinkType."""
    return Answer(200, {"issueLinkTypes": [shapes.link_type(call, each) for each in LINK_TYPES]})


def link_issues(call: Call) -> Answer:
    """POST /rest/api/3/issueLink: 404 for an issue that cannot be seen or may not be linked, or an unknown type."""
    body = call.body if isinstance(call.body, dict) else {}
    chosen = _type(body.get("type"))
    ends = [_end(call, body.get(name)) for name in ("inwardIssue", "outwardIssue")]
    if ends[0] is ends[1]:
        raise jira_refused(400, "You cannot link an issue to itself.")
    source, target = ends
    same = (each for each in call.site.links.values() if each.type == chosen)
    if not any((each.source, each.target) == (source.id, target.id) for each in same):
        made = IssueLink(call.site.next_id("link"), chosen, source.id, target.id)
        call.site.links[made.id] = made
    return Answer(201)


def _type(given: object) -> LinkType:
    named = given if isinstance(given, dict) else {}
    for each in LINK_TYPES:
        if str(named.get("id", "")) == each.id or str(named.get("name", "")).casefold() == each.name.casefold():
            return each
    raise jira_refused(404, f"No issue link type with name '{str(named.get('name'))[:40]}' found.")


def _end(call: Call, given: object) -> Issue:
    named = given if isinstance(given, dict) else {}
    found = call.site.find_issue(str(named.get("key") or named.get("id") or ""))
    home = call.site.projects[found.project] if found else None
    if found is None or home is None or not call.site.may(call.account, "browse", home):
        raise jira_refused(404, "Issue does not exist or you do not have permission to see it.")
    if not call.site.may(call.account, "link", home):
        raise jira_refused(401, "No Link Issue Permission for issue.")
    return found


def _link(call: Call) -> IssueLink:
    """The link a path names; 404 unless both its issues can be seen."""
    link = call.site.links.get(call.params["linkId"])
    if link is None or not all(_sees(call, end) for end in (link.source, link.target)):
        raise jira_refused(404, f"No issue link with id '{call.params['linkId'][:20]}' exists.")
    return link


def _sees(call: Call, issue: str) -> bool:
    return call.site.may(call.account, "browse", call.site.projects[call.site.issues[issue].project])


def get_issue_link(call: Call) -> Answer:
    """GET /rest/api/3/issueLink/{linkId}."""
    return Answer(200, shapes.issue_link(call, _link(call)))


def delete_issue_link(call: Call) -> Answer:
    """DELETE /rest/api/3/issueLink/{linkId}."""
    link = _link(call)
    for end in (link.source, link.target):
        if not call.site.may(call.account, "link", call.site.projects[call.site.issues[end].project]):
            raise jira_refused(401, "No permission to delete issue links.")
    del call.site.links[link.id]
    return Answer(204)


def get_remote_issue_links(call: Call) -> Answer:
    """GET .../remotelink: all of them, or with ``globalId`` the one."""
    issue, _ = visible_issue(call)
    wanted = call.first("globalId")
    if not wanted:
        return Answer(200, [_shown(call, issue, each) for each in issue.web_links])
    found = next((each for each in issue.web_links if each.global_id == wanted), None)
    if found is None:
        raise jira_refused(404, "There is no remote link of that global id.")
    return Answer(200, _shown(call, issue, found))


def _shown(call: Call, issue: Issue, link: WebLink) -> dict[str, Any]:
    """A link to the web."""
    made: dict[str, Any] = {"id": int(link.id), "object": link.shown}
    made["self"] = f"{call.gateway_url}/rest/api/3/issue/{issue.id}/remotelink/{link.id}"
    told = {"globalId": link.global_id, "relationship": link.relationship}
    return made | {name: value for name, value in told.items() if value}


def create_or_update_remote_issue_link(call: Call) -> Answer:
    """POST .../remotelink: 201 for a new one, 200 for one whose global id was known."""
    issue, project = visible_issue(call)
    if not call.site.may(call.account, "link", project):
        raise jira_refused(403, "You do not have permission to link issues in this project.")
    body = call.body if isinstance(call.body, dict) else {}
    shown = body.get("object")
    if not isinstance(shown, dict) or not all(isinstance(shown.get(name), str) for name in ("url", "title")):
        raise jira_refused(400, errors={"object": "a remote link has an object with a url and a title"})
    global_id, relationship = str(body.get("globalId") or ""), str(body.get("relationship") or "")
    if len(global_id) > _GLOBAL_ID_LENGTH:
        raise jira_refused(400, errors={"globalId": "the global id has at most 255 characters"})
    known = next((each for each in issue.web_links if global_id and each.global_id == global_id), None)
    if known is not None:
        known.shown, known.relationship = dict(shown), relationship
        return Answer(200, _identified(call, issue, known))
    made = WebLink(call.site.next_id("web-link"), global_id, relationship, dict(shown))
    issue.web_links.append(made)
    return Answer(201, _identified(call, issue, made))


def _identified(call: Call, issue: Issue, link: WebLink) -> dict[str, Any]:
    return {"id": int(link.id), "self": f"{call.gateway_url}/rest/api/3/issue/{issue.id}/remotelink/{link.id}"}


OPERATIONS: Mapping[str, Operation] = {
    "getIssueLinkTypes": get_issue_link_types,
    "linkIssues": link_issues,
    "getIssueLink": get_issue_link,
    "deleteIssueLink": delete_issue_link,
    "getRemoteIssueLinks": get_remote_issue_links,
    "createOrUpdateRemoteIssueLink": create_or_update_remote_issue_link,
}
