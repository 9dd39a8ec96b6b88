"""Jira's operations on what is done with an issue besides its fields: work logs, watchers, files, deleting.

One function per operationId of https://developer.atlassian.com/cloud/jira/platform/rest/v3/.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from bridge.sandbox import document
from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, number
from bridge.sandbox.attached import Worklog
from bridge.sandbox.edit import properties
from bridge.sandbox.jira import visible_issue
from bridge.sandbox.records import Attachment, Issue, Project

# A day of 8 hours and a week of 5 days, as sites have it unless their administrators say otherwise.
_UNITS = {"w": 5 * 8 * 3600, "d": 8 * 3600, "h": 3600, "m": 60}
_SPENT = re.compile(r"\s*(?:(\d+(?:\.\d+)?)\s*([wdhm])\s*)+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhm])", re.ASCII)
_ADJUSTMENTS = frozenset({"", "auto", "leave", "new", "manual"})
_NEEDED = {"new": "newEstimate", "manual": "reduceBy"}


def _must(call: Call, permission: str, project: Project, status: int, what: str) -> None:
    if not call.site.may(call.account, permission, project):
        raise jira_refused(status, f"You do not have permission to {what} in this project.")


def get_issue_worklog(call: Call) -> Answer:
    """GET .../worklog: by offset, oldest first, within the given times of their start."""
    issue, _ = visible_issue(call)
    after, before = call.first("startedAfter"), call.first("startedBefore")
    found = [
        each
        for each in sorted(issue.worklogs, key=lambda one: (one.started, int(one.id)))
        if (not after or each.started.timestamp() * 1000 > int(after))
        and (not before or each.started.timestamp() * 1000 < int(before))
    ]
    start, count = number(call, "startAt", 0), number(call, "maxResults", 5000, 5000)
    expand = call.listed("expand")
    shown = [_shown(call, issue, each, expand) for each in found[start : start + count]]
    return Answer(200, {"startAt": start, "maxResults": count, "total": len(found), "worklogs": shown})


def add_worklog(call: Call) -> Answer:
    """POST .../worklog: ``properties`` come with it atomically."""
    issue, project = visible_issue(call)
    _must(call, "work-on", project, 400, "log work")
    body = call.body if isinstance(call.body, dict) else {}
    adjust = call.first("adjustEstimate")
    if adjust not in _ADJUSTMENTS or (adjust in _NEEDED and not _seconds(call.first(_NEEDED[adjust]))):
        raise jira_refused(400, errors={"adjustEstimate": "the estimate cannot be adjusted so"})
    seconds = body.get("timeSpentSeconds") or _seconds(body.get("timeSpent"))
    if not isinstance(seconds, int) or seconds <= 0:
        raise jira_refused(400, errors={"timeLogged": "Invalid time duration entered."})
    comment = body.get("comment")
    if comment is not None and (wrong := document.mistake(comment)) is not None:
        raise jira_refused(400, errors={"comment": f"Comment body is not valid! It {wrong}."})
    started = _started(call, body.get("started"))
    kept = properties(body)
    made = Worklog(call.site.next_id("worklog"), call.account.id, started, seconds, call.site.now(), comment, kept)
    issue.worklogs.append(made)
    issue.updated = made.created
    return Answer(201, _shown(call, issue, made, call.listed("expand")))


def _shown(call: Call, issue: Issue, log: Worklog, expand: Collection[str] = ()) -> dict[str, Any]:
    """A work log; ``expand`` may name properties."""
    address = f"{call.gateway_url}/rest/api/3/issue/{issue.id}/worklog/{log.id}"
    made: dict[str, Any] = {"self": address, "id": log.id, "issueId": issue.id}
    made |= {"author": shapes.user(call, log.author), "updateAuthor": shapes.user(call, log.author)}
    made |= {
        "created": shapes.moment(log.created),
        "updated": shapes.moment(log.created),
        "started": shapes.moment(log.started),
    }
    made |= {"timeSpent": f"{log.seconds // 60}m", "timeSpentSeconds": log.seconds}
    if log.comment is not None:
        made["comment"] = log.comment
    if "properties" in expand:
        made["properties"] = [{"key": key, "value": value} for key, value in log.properties.items()]
    return made


def _seconds(text: object) -> int:
    if not isinstance(text, str) or not _SPENT.fullmatch(text):
        return 0
    return round(sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text)))


def _started(call: Call, text: object) -> datetime:
    if text is None:
        return call.site.now()
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        raise jira_refused(400, errors={"started": "Invalid date: write yyyy-MM-ddTHH:mm:ss.SSS+0000"}) from None


def get_issue_watchers(call: Call) -> Answer:
    """GET .../watchers."""
    issue, _ = visible_issue(call)
    address = f"{call.gateway_url}/rest/api/3/issue/{issue.key}/watchers"
    watching = call.account.id in issue.watchers
    made: dict[str, Any] = {"self": address, "isWatching": watching, "watchCount": len(issue.watchers)}
    return Answer(200, made | {"watchers": [shapes.user(call, each) for each in issue.watchers]})


def add_watcher(call: Call) -> Answer:
    """POST .../watchers: the body is an account id, or nothing for the account that asks."""
    issue, project = visible_issue(call)
    wanted = _watcher(call, project, call.body if call.body is not None else call.account.id)
    if wanted not in issue.watchers:
        issue.watchers.append(wanted)
    return Answer(204)


def remove_watcher(call: Call) -> Answer:
    """DELETE .../watchers: ``accountId`` in the query; one who does not watch is no mistake."""
    issue, project = visible_issue(call)
    wanted = _watcher(call, project, call.first("accountId"))
    issue.watchers = [each for each in issue.watchers if each != wanted]
    return Answer(204)


def _watcher(call: Call, project: Project, wanted: object) -> str:
    if wanted != call.account.id:
        _must(call, "manage-watchers", project, 403, "manage watchers")
    if not isinstance(wanted, str) or wanted not in call.site.accounts:
        raise jira_refused(400, "There is no such user.")
    return wanted


def delete_issue(call: Call) -> Answer:
    """DELETE .../issue/{issueIdOrKey}: 400 for one with sub-tasks unless ``deleteSubtasks`` says so."""
    issue, project = visible_issue(call)
    _must(call, "delete", project, 403, "delete issues")
    below = [
        each for each in call.site.issues.values() if shapes.is_subtask(each) and each.fields["parent"] == issue.id
    ]
    if below and not call.flag("deleteSubtasks"):
        names = ", ".join(each.key for each in below)
        raise jira_refused(400, f"The issue '{issue.key}' has sub-tasks: {names}. Delete them with it or before it.")
    for each in (*below, issue):
        call.site.remove_issue(each)
    return Answer(204)


def _attachment(call: Call) -> tuple[Attachment, Issue, Project]:
    for issue in call.site.issues.values():
        project = call.site.projects[issue.project]
        if call.site.may(call.account, "browse", project):
            for attachment in issue.attachments:
                if attachment.id == call.params["id"]:
                    return attachment, issue, project
    raise jira_refused(404, f"The attachment with id '{call.params['id'][:20]}' does not exist")


def get_attachment(call: Call) -> Answer:
    """GET /rest/api/3/attachment/{id}: what is known of a file; its id is a number here and text in an issue."""
    attachment, _, _ = _attachment(call)
    shown = shapes.attachment(call, attachment)
    return Answer(200, shown | {"id": int(attachment.id)})


def remove_attachment(call: Call) -> Answer:
    """DELETE /rest/api/3/attachment/{id}: one's own, or anybody's with the permission."""
    attachment, issue, project = _attachment(call)
    if attachment.author != call.account.id:
        _must(call, "moderate", project, 403, "delete attachments of others")
    issue.attachments.remove(attachment)
    return Answer(204)


OPERATIONS: Mapping[str, Operation] = {
    "getIssueWorklog": get_issue_worklog,
    "addWorklog": add_worklog,
    "getIssueWatchers": get_issue_watchers,
    "addWatcher": add_watcher,
    "removeWatcher": remove_watcher,
    "deleteIssue": delete_issue,
    "getAttachment": get_attachment,
    "removeAttachment": remove_attachment,
}
