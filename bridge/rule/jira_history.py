"""What became of a work item, read: its history, its work logs, its watchers and the transitions it offers now.

Operations: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/ and api-group-issue-worklogs.
"""

from collections.abc import Iterator
from typing import Any

from bridge.rule.jira_issues import list_transitions
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_offset
from bridge.rule.request import Caller, Issue, Request, name_of, object_of, segment

ISSUE = "{{ issue.key }}"


class History:
    """The part of ``context.jira`` that reads what became of an issue."""

    _caller: Caller

    @does(
        "jira.read-changelog",
        "Read history",
        verbs=("jira.read",),
        operations=("getChangeLogs",),
        example={"issue": ISSUE, "limit": 10},
    )
    def changelog(self, issue: Issue, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read an issue's changes, oldest first and page by page; each has ``author``, ``created`` and ``items``."""
        return by_offset(self._caller, list_changes(issue), limit)

    @does(
        "jira.read-transitions",
        "Read transitions",
        verbs=("jira.read",),
        operations=("getTransitions",),
        example={"issue": ISSUE},
    )
    def transitions(self, issue: Issue) -> list[dict[str, Any]]:
        """Read the transitions that the workflow offers this account now; each has ``id``, ``name`` and ``to``."""
        return list(object_of(self._caller.call(list_transitions(issue))).get("transitions") or [])

    @does(
        "jira.read-watchers",
        "Read watchers",
        verbs=("jira.read",),
        operations=("getIssueWatchers",),
        example={"issue": ISSUE},
    )
    def watchers(self, issue: Issue) -> list[dict[str, Any]]:
        """Read the people who watch an issue."""
        path = f"/rest/api/3/issue/{segment(issue)}/watchers"
        answer = self._caller.call(Request("jira", "GET", path, verb="read", target=name_of(issue)))
        return list(object_of(answer).get("watchers") or [])

    @does(
        "jira.read-worklogs",
        "Read work logs",
        verbs=("jira.read",),
        operations=("getIssueWorklog",),
        example={"issue": ISSUE, "limit": 10},
    )
    def worklogs(self, issue: Issue, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read the work logged on an issue, page by page; each has ``author``, ``started`` and ``timeSpentSeconds``."""
        path = f"/rest/api/3/issue/{segment(issue)}/worklog"
        first = Request("jira", "GET", path, {"maxResults": [str(PAGE_SIZE)]}, verb="read", target=name_of(issue))
        return by_offset(self._caller, first, limit, values="worklogs")


def list_changes(issue: Issue, *, verb: str = "read") -> Request:
    """GET an issue's history (operation getChangeLogs)."""
    path = f"/rest/api/3/issue/{segment(issue)}/changelog"
    return Request("jira", "GET", path, {"maxResults": [str(PAGE_SIZE)]}, verb=verb, target=name_of(issue))
