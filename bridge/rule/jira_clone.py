"""Work items made after others: clones, with what the project lets be set of the first one's fields, and sub-tasks.

Jira has no operation that clones, so an issue is read and one is created. What its create screen offers is read too:
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-createmeta-projectidorkey-issuetypes-get
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Text
from bridge.rule.jira_fields import by_id, field_value, told
from bridge.rule.jira_issues import create_issue, read_issue
from bridge.rule.jira_links import OUTWARD, choose_link, link_issues, list_link_types
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_offset
from bridge.rule.request import Caller, Issue, Request, Words, name_of, object_of, segment, words_of

ISSUE = "{{ issue.key }}"

NOT_FOUND = 404
CLONERS, NO_LINK = "Cloners", "none"
# What belongs to the first one only, or is said anew.
_NOT_COPIED = frozenset(
    {"project", "issuetype", "summary", "parent", "attachment", "issuelinks", "resolution", "status"}
)
# Kinds of fields whose values are written in another form than they are read, by the end of their type.
_RANK, _SPRINT, _TEAM = ":gh-lexo-rank", ":gh-sprint", ":atlassian-team"


class Clones:
    """The part of ``context.jira`` that makes issues after others."""

    _caller: Caller

    @does(
        "jira.clone",
        "Clone work item",
        verbs=("jira.read", "jira.create", "jira.link"),
        operations=(
            "getIssue",
            "getIssueLinkTypes",
            "getCreateIssueMetaIssueTypes",
            "getCreateIssueMetaIssueTypeId",
            "getFields",
            "createIssue",
            "linkIssues",
        ),
        example={"issue": ISSUE, "prefix": "CLONE - "},
    )
    def clone(
        self,
        issue: Issue,
        *,
        project: str | None = None,
        issue_type: str | None = None,
        summary: str | None = None,
        prefix: str = "",
        copy: Words | None = None,
        fields: Mapping[str, Any] | None = None,
        link: str | None = CLONERS,
    ) -> dict[str, Any]:
        """Clone an issue, into another ``project`` if that is given, and link the clone to it; return its id and key.

        All fields are copied that the project lets be set, or only those in ``copy``; ``fields`` sets others. Comments,
        files and links are not copied. In another project, components and versions are those of the same names. The
        link ``none`` makes none. Raises ``ActionFailed`` (404) for an issue type or link the site has not.
        """
        read = self._caller.call(read_issue(issue))
        had = object_of(read).get("fields") or {}
        home = str((had.get("project") or {}).get("key") or name_of(issue).rpartition("-")[0])
        there, kind = project or home, issue_type or str((had.get("issuetype") or {}).get("name", ""))
        way = self._way(link, name_of(issue)) if link and link != NO_LINK else None
        # Observe mode did not create the first one, so nobody knows what it would have had.
        offered = [] if read.observed else self._offered(there, kind)
        chosen = None if copy is None else frozenset(words_of(copy))
        copied = copied_fields(had, offered, chosen, same_project=there == home)
        [given] = by_id(self._caller, "create", there, [fields or {}])
        title = summary if summary is not None else str(had.get("summary", ""))
        request = create_issue(there, kind, f"{prefix}{title}", fields={**copied, **given})
        made = object_of(self._caller.call(request), {"id": "0", "key": f"{there}-0"})
        if way is not None:
            self._caller.call(link_issues(way[0], way[1], str(made["key"]), issue))
        return made

    @does(
        "jira.create-subtasks",
        "Create sub-tasks",
        verbs=("jira.create",),
        operations=("getIssue", "getCreateIssueMetaIssueTypes", "getFields", "createIssue"),
        example={"issue": ISSUE, "summaries": ["Ask", "Answer"]},
    )
    def create_subtasks(
        self,
        issue: Issue,
        summaries: Words,
        issue_type: str | None = None,
        description: Text | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Create a sub-task of an issue for each of the summaries; return their ids and keys.

        The issue type is the project's own one for sub-tasks unless one is named. Raises ``ActionFailed`` (404) for a
        project that has none.
        """
        read = object_of(self._caller.call(read_issue(issue, "project", verb="create")))
        project = ((read.get("fields") or {}).get("project") or {}).get("key") or name_of(issue).rpartition("-")[0]
        kind = issue_type or self._subtask_type(str(project))
        [given] = by_id(self._caller, "create", str(project), [fields or {}])
        made = []
        for summary in words_of(summaries):
            request = create_issue(str(project), kind, summary, description, parent=issue, fields=given)
            made.append(object_of(self._caller.call(request), {"id": "0", "key": f"{project}-0"}))
        return made

    def _way(self, link: str, target: str) -> tuple[Mapping[str, Any], str]:
        types = object_of(self._caller.call(list_link_types("clone", target))).get("issueLinkTypes") or []
        found = choose_link(types, link)
        if found is None:
            text = f"this site has no link that says {link!r}; name another one, or none"
            raise ActionFailed("clone", target, NOT_FOUND, text)
        return found if link != CLONERS else (found[0], OUTWARD)

    def _types(self, project: str) -> list[dict[str, Any]]:
        path = f"/rest/api/3/issue/createmeta/{segment(project)}/issuetypes"
        first = Request("jira", "GET", path, {"maxResults": [str(PAGE_SIZE)]}, verb="create", target=project)
        return list(by_offset(self._caller, first, values="issueTypes"))

    def _subtask_type(self, project: str) -> str:
        found = next((each for each in self._types(project) if each.get("subtask")), None)
        if found is None:
            raise ActionFailed("create-subtasks", project, NOT_FOUND, f"{project} has no issue type for sub-tasks")
        return str(found["name"])

    def _offered(self, project: str, kind: str) -> list[dict[str, Any]]:
        """Return the fields on the create screen of an issue type, which is called by its name."""
        types = self._types(project)
        chosen = next((each for each in types if str(each.get("name", "")).casefold() == kind.casefold()), None)
        if chosen is None:
            names = ", ".join(str(each.get("name")) for each in types) or "none"
            text = f"{project} has no issue type {kind!r} that this account may create; it has: {names}"
            raise ActionFailed("clone", project, NOT_FOUND, text)
        path = f"/rest/api/3/issue/createmeta/{segment(project)}/issuetypes/{segment(chosen['id'])}"
        first = Request("jira", "GET", path, {"maxResults": [str(PAGE_SIZE)]}, verb="create", target=project)
        return list(by_offset(self._caller, first, values="fields"))


def copied_fields(
    had: Mapping[str, Any], offered: Iterable[Mapping[str, Any]], chosen: frozenset[str] | None, *, same_project: bool
) -> dict[str, Any]:
    """Return the values to create a clone with: those that the first one has and the create screen offers.

    A parent is copied within its project only, and there always, since a sub-task cannot be without.
    """
    copied: dict[str, Any] = {}
    for field in offered:
        name = str(field.get("fieldId") or field.get("key") or "")
        value = had.get(name)
        if value in (None, [], {}) or (name in _NOT_COPIED and not (name == "parent" and same_project)):
            continue
        if chosen is not None and name not in chosen and name != "parent":
            continue
        kept = _copied(field, value, same_project=same_project)
        if kept not in (None, []):
            copied[name] = field_value(name, kept)
    return copied


def _copied(field: Mapping[str, Any], value: Any, *, same_project: bool) -> Any:
    """Return a value that was read as it is written; None for what cannot be copied."""
    kind = str((field.get("schema") or {}).get("custom", ""))
    if kind.endswith(_RANK):
        return None
    if kind.endswith(_SPRINT):
        current = [each for each in value if isinstance(each, Mapping) and each.get("state") != "closed"]
        return current[-1].get("id") if current else None
    if kind.endswith(_TEAM):
        return value.get("id") if isinstance(value, Mapping) else value
    allowed = field.get("allowedValues")
    if same_project or not isinstance(allowed, list):
        return told(value)
    # The ids of components, versions and levels are each project's own; what they are called is common.
    if isinstance(value, list):
        return [found for each in value if (found := _same(allowed, each)) is not None]
    return _same(allowed, value)


def _same(allowed: Iterable[Any], value: Any) -> dict[str, Any] | None:
    known = [each for each in allowed if isinstance(each, Mapping)]
    if not isinstance(value, Mapping):
        return None
    for member in ("name", "value", "id"):
        wanted = value.get(member)
        found = next((each for each in known if wanted is not None and each.get(member) == wanted), None)
        if found is not None and "id" in found:
            return {"id": str(found["id"])}
    return None
