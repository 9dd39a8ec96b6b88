"""What is done with a work item besides its fields: log work, label it, set who sees it, delete it or its files.

Operations and bodies: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-worklogs/,
.../api-group-issue-attachments/ and .../api-group-issues/.
"""

import re
from datetime import UTC, datetime
from typing import Any

from bridge.rule.adf import Text, to_adf
from bridge.rule.jira_issues import edit_issue, read_issue
from bridge.rule.method import does
from bridge.rule.request import Caller, Issue, Request, Words, name_of, object_of, segment, words_of

ISSUE = "{{ issue.key }}"

# How the rest of the estimate follows: by itself, not at all, set to a time, or lessened by one.
AUTO, LEAVE, NEW, MANUAL = "auto", "leave", "new", "manual"


class Work:
    """The part of ``context.jira`` that logs work and removes what is not wanted any more."""

    _caller: Caller

    @does(
        "jira.log-work",
        "Log work",
        operations=("addWorklog",),
        example={"issue": ISSUE, "time_spent": "30m"},
    )
    def log_work(
        self,
        issue: Issue,
        time_spent: str,
        comment: Text | None = None,
        *,
        started: str | None = None,
        remaining: str | None = None,
        reduce_by: str | None = None,
        adjust: bool = True,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Log time spent on an issue: ``"1h 30m"``, ``"2d"``; ``started`` is a time with its zone, by default now.

        What remains of the estimate follows by itself, becomes ``remaining``, is lessened by ``reduce_by``, or with
        ``adjust=False`` stays.
        """
        estimate = _estimate(remaining, reduce_by, adjust=adjust)
        request = add_worklog(issue, time_spent, comment, started=started, estimate=estimate, step=step)
        return object_of(self._caller.call(request), {"id": "0"})

    @does(
        "jira.add-labels",
        "Add labels to work item",
        verbs=("jira.edit",),
        operations=("editIssue",),
        example={"issue": ISSUE, "labels": ["seen"]},
    )
    def add_labels(self, issue: Issue, labels: Words) -> dict[str, Any]:
        """Add labels to an issue; those it has stay. A label holds no blanks, so they become hyphens."""
        return object_of(self._caller.call(edit_issue(issue, add={"labels": _labels(labels)})))

    @does(
        "jira.remove-labels",
        "Remove labels from work item",
        verbs=("jira.edit",),
        operations=("editIssue",),
        example={"issue": ISSUE, "labels": ["seen"]},
    )
    def remove_labels(self, issue: Issue, labels: Words) -> dict[str, Any]:
        """Take labels away from an issue; one that it does not have does no harm."""
        return object_of(self._caller.call(edit_issue(issue, remove={"labels": _labels(labels)})))

    @does(
        "jira.set-security",
        "Set security level",
        verbs=("jira.security",),
        operations=("editIssue",),
        example={"issue": ISSUE, "level": "Staff only"},
    )
    def set_security(self, issue: Issue, level: str | None) -> dict[str, Any]:
        """Set who sees an issue to a security level, by its name or id; None lets everybody see it again.

        A step clears it by ``jira.edit`` with ``clear = "security"``, which needs the same verb.
        """
        wanted = {"id": level} if level is not None and level.isdigit() else level
        return object_of(self._caller.call(edit_issue(issue, set={"security": wanted})))

    @does(
        "jira.delete-attachments",
        "Delete attachments",
        verbs=("jira.delete-attachment",),
        operations=("getIssue", "removeAttachment"),
        one_of=("names", "regex"),
        example={"issue": ISSUE, "names": ["*.log"]},
    )
    def delete_attachments(
        self, issue: Issue, names: Words | None = None, *, regex: str | None = None
    ) -> dict[str, Any]:
        """Delete an issue's files of these names, in which ``*`` stands for anything, or whose whole name fits a regex.

        Returns the names of those it deleted. Raises ``ValueError`` for a regex that is none.
        """
        read = object_of(self._caller.call(read_issue(issue, "attachment", verb="delete-attachment")))
        fits = _names(words_of(names or ()), regex)
        files = (read.get("fields") or {}).get("attachment") or []
        chosen = [each for each in files if fits.fullmatch(str(each.get("filename", "")))]
        for each in chosen:
            self._caller.call(remove_attachment(str(each["id"]), issue))
        return {"deleted": [str(each.get("filename", "")) for each in chosen]}

    @does(
        "jira.delete",
        "Delete work item",
        operations=("deleteIssue",),
        example={"issue": ISSUE, "subtasks": True},
    )
    def delete(self, issue: Issue, *, subtasks: bool = False) -> dict[str, Any]:
        """Delete an issue for good; Jira refuses one that has sub-tasks unless they are to go with it."""
        return object_of(self._caller.call(delete_issue(issue, subtasks=subtasks)))


def add_worklog(
    issue: Issue,
    time_spent: str,
    comment: Text | None = None,
    *,
    started: str | None = None,
    estimate: dict[str, list[str]] | None = None,
    step: str | None = None,
) -> Request:
    """POST a work log (operation addWorklog); raise ``ValueError`` for a time of the day that has no zone."""
    body: dict[str, Any] = {"timeSpent": time_spent}
    if started is not None:
        body["started"] = moment(started)
    if comment is not None:
        body["comment"] = to_adf(comment)
    path = f"/rest/api/3/issue/{segment(issue)}/worklog"
    return Request("jira", "POST", path, estimate or {}, body, step, "log-work", name_of(issue))


def moment(text: str) -> str:
    """Write a time as Jira takes it here, with milliseconds and without a colon in the zone."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: write 2026-11-22T09:30:00+01:00") from error
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write 2026-11-22T09:30:00+01:00, or Z for UTC")
    there = when.astimezone(UTC)
    return f"{there:%Y-%m-%dT%H:%M:%S}.{there.microsecond // 1000:03d}+0000"


def remove_attachment(attachment: str, issue: Issue) -> Request:
    """DELETE a file (operation removeAttachment); the issue in the query tells egress where it must be."""
    path = f"/rest/api/3/attachment/{segment(attachment)}"
    query = {"issue": [name_of(issue)]}
    return Request("jira", "DELETE", path, query, verb="delete-attachment", target=name_of(issue))


def delete_issue(issue: Issue, *, subtasks: bool = False) -> Request:
    """DELETE an issue (operation deleteIssue)."""
    query = {"deleteSubtasks": ["true"]} if subtasks else {}
    return Request("jira", "DELETE", f"/rest/api/3/issue/{segment(issue)}", query, verb="delete", target=name_of(issue))


def _estimate(remaining: str | None, reduce_by: str | None, *, adjust: bool) -> dict[str, list[str]]:
    if (not adjust and (remaining or reduce_by)) or (remaining and reduce_by):
        raise ValueError("what remains is set by one of remaining, reduce_by and adjust=False")
    if remaining:
        return {"adjustEstimate": [NEW], "newEstimate": [remaining]}
    if reduce_by:
        return {"adjustEstimate": [MANUAL], "reduceBy": [reduce_by]}
    return {"adjustEstimate": [AUTO if adjust else LEAVE]}


def _labels(labels: Words) -> list[str]:
    names = ["-".join(label.split()) for label in words_of(labels)]
    if not names or not all(names):
        raise ValueError("a label is a word; give at least one")
    return list(dict.fromkeys(names))


def _names(patterns: list[str], regex: str | None) -> re.Pattern[str]:
    if not patterns and not regex:
        raise ValueError("name the files to delete, by names or by a regex")
    wanted = [".*".join(re.escape(part) for part in each.strip().split("*")) for each in patterns]
    try:
        return re.compile("|".join([*wanted, *([f"(?:{regex})"] if regex else [])]), re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise ValueError(f"{regex!r} is no regex: {error}") from error
