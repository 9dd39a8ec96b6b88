"""Links of work items, between two of them and to the web: make, read and delete them, and the request each one builds.

A link type has two wordings: with "Blocks", one work item *blocks* (outward) the other, which *is blocked by* (inward)
the first. In the request the one that blocks is ``inwardIssue``, since that is what the other one shows:
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-links/.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Text
from bridge.rule.jira_fields import by_id
from bridge.rule.jira_issues import create_issue, read_issue
from bridge.rule.method import does
from bridge.rule.request import Caller, Issue, Request, Words, name_of, object_of, segment, words_of

ISSUE = "{{ issue.key }}"

NOT_FOUND = 404
INWARD, OUTWARD = "inward", "outward"
# https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-remote-links/: at most 255 characters.
LONGEST_ID = 255


class Links:
    """The part of ``context.jira`` that works on links."""

    _caller: Caller

    @does(
        "jira.link",
        "Link work items",
        operations=("getIssueLinkTypes", "linkIssues"),
        example={"issue": ISSUE, "link": "relates to", "to": "<project>-2"},
    )
    def link(self, issue: Issue, link: str, to: Issue, *, step: str | None = None) -> dict[str, Any]:
        """Link an issue to another, in the words the issue will show: ``link("OPS-1", "is blocked by", "OPS-2")``.

        A link type's name does as well and means its outward wording; ``inward:10145`` names a type by its id, as
        exported automations do. A link that is there already stays the only one. Raises ``ActionFailed`` (404) for a
        wording that the site has not, naming those it has.
        """
        chosen, way = self._chosen(link, "link", name_of(issue))
        return object_of(self._caller.call(link_issues(chosen, way, issue, to, step=step)))

    @does(
        "jira.create-linked",
        "Create work item and link it",
        verbs=("jira.create", "jira.link"),
        operations=("getIssueLinkTypes", "getFields", "createIssue", "linkIssues"),
        example={
            "project": "<project>",
            "issue_type": "Task",
            "summary": "Follow up",
            "link": "relates to",
            "to": ISSUE,
        },
    )
    def create_linked(
        self,
        project: str,
        issue_type: str,
        summary: str,
        link: str,
        to: Issue,
        description: Text | None = None,
        *,
        parent: Issue | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Create an issue and link it in the words it will show: ``link="is caused by"``; return its id and key."""
        chosen, way = self._chosen(link, "link", name_of(to))
        [fields] = by_id(self._caller, "create", project, [fields or {}])
        request = create_issue(project, issue_type, summary, description, parent=parent, fields=fields)
        made = object_of(self._caller.call(request), {"id": "0", "key": f"{project}-0"})
        self._caller.call(link_issues(chosen, way, str(made["key"]), to))
        return made

    @does(
        "jira.unlink",
        "Delete work item links",
        operations=("getIssue", "deleteIssueLink"),
        example={"issue": ISSUE},
    )
    def unlink(self, issue: Issue, link: Words | None = None, to: Words | None = None) -> dict[str, Any]:
        """Delete an issue's links: all, or those of some wordings or types, to some issues (``"OPS-7"``, ``"CHG-*"``).

        A wording is meant as the issue shows it: ``blocks`` leaves what it ``is blocked by``. Returns the ids of the
        links it deleted; none when none is like that.
        """
        read = object_of(self._caller.call(read_issue(issue, "issuelinks", verb="unlink")))
        links = [each for each in _links_of(read) if _is_meant(each, words_of(link or ()), words_of(to or ()))]
        for each in links:
            self._caller.call(delete_link(str(each["id"]), issue))
        return {"deleted": [str(each["id"]) for each in links]}

    @does(
        "jira.web-link",
        "Add web link to work item",
        operations=("createOrUpdateRemoteIssueLink",),
        example={"issue": ISSUE, "url": "https://example.com/runbook", "title": "Runbook"},
    )
    def web_link(
        self,
        issue: Issue,
        url: str,
        title: str | None = None,
        *,
        summary: str | None = None,
        relationship: str | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Add a link to a page of the web; the same address again changes the link that is there.

        Without a title the address is shown; ``relationship`` is the heading that it stands under.
        """
        return object_of(self._caller.call(set_web_link(issue, url, title, summary, relationship, step=step)))

    @does(
        "jira.read-links",
        "Read work item links",
        verbs=("jira.read",),
        operations=("getIssue",),
        example={"issue": ISSUE},
    )
    def links(self, issue: Issue) -> list[dict[str, Any]]:
        """Read an issue's links; each has its ``type`` and the other one under ``inwardIssue`` or ``outwardIssue``."""
        return _links_of(object_of(self._caller.call(read_issue(issue, "issuelinks"))))

    @does(
        "jira.read-web-links",
        "Read web links",
        verbs=("jira.read",),
        operations=("getRemoteIssueLinks",),
        example={"issue": ISSUE},
    )
    def web_links(self, issue: Issue) -> list[dict[str, Any]]:
        """Read an issue's links to the web; address and title stand under ``object``."""
        path = f"/rest/api/3/issue/{segment(issue)}/remotelink"
        answer = self._caller.call(Request("jira", "GET", path, verb="read", target=name_of(issue)))
        return list(answer.body) if isinstance(answer.body, list) else []

    def _chosen(self, wording: str, verb: str, target: str) -> tuple[dict[str, Any], str]:
        """Return the link type a wording means and the side of it, asking the site which there are."""
        types = object_of(self._caller.call(list_link_types(verb, target))).get("issueLinkTypes") or []
        found = choose_link(types, wording)
        if found is None:
            ways = ", ".join(sorted({str(each[way]) for each in types for way in (INWARD, OUTWARD) if way in each}))
            text = f"this site has no link that says {wording!r}; it has: {ways or 'none'}"
            raise ActionFailed(verb, target, NOT_FOUND, text)
        return found


def choose_link(types: Iterable[Any], wording: str) -> tuple[dict[str, Any], str] | None:
    """Return the first link type that says so, and which way: by a wording, by its name, or as ``inward:<id>``."""
    wanted = " ".join(wording.split()).casefold()
    known = [each for each in types if isinstance(each, dict)]
    given, parted, number = wanted.partition(":")
    if parted and given in {INWARD, OUTWARD}:
        return next(((each, given) for each in known if number in {str(each.get("id")), _said(each, "name")}), None)
    for member, way in ((OUTWARD, OUTWARD), (INWARD, INWARD), ("name", OUTWARD)):
        found = next((each for each in known if _said(each, member) == wanted), None)
        if found is not None:
            return found, way
    return None


def list_link_types(verb: str, target: str) -> Request:
    """GET the site's link types (operation getIssueLinkTypes)."""
    return Request("jira", "GET", "/rest/api/3/issueLinkType", verb=verb, target=target)


def link_issues(chosen: Mapping[str, Any], way: str, issue: Issue, to: Issue, *, step: str | None = None) -> Request:
    """POST a link (operation linkIssues); ``way`` is the side of the link type that ``issue`` will show."""
    first, second = (issue, to) if way == OUTWARD else (to, issue)
    body = {"type": {"id": str(chosen["id"])}, "inwardIssue": _named(first), "outwardIssue": _named(second)}
    return Request("jira", "POST", "/rest/api/3/issueLink", body=body, label=step, verb="link", target=name_of(issue))


def delete_link(link: str, issue: Issue) -> Request:
    """DELETE a link by its id (operation deleteIssueLink)."""
    return Request("jira", "DELETE", f"/rest/api/3/issueLink/{segment(link)}", verb="unlink", target=name_of(issue))


def set_web_link(
    issue: Issue,
    url: str,
    title: str | None = None,
    summary: str | None = None,
    relationship: str | None = None,
    *,
    step: str | None = None,
) -> Request:
    """POST a link to the web (operation createOrUpdateRemoteIssueLink), its address for a global id."""
    shown = {"url": url, "title": " ".join((title or url).split())}
    if summary is not None:
        shown["summary"] = " ".join(summary.split())
    body: dict[str, Any] = {"globalId": global_id(url), "object": shown}
    if relationship is not None:
        body["relationship"] = relationship
    path = f"/rest/api/3/issue/{segment(issue)}/remotelink"
    return Request("jira", "POST", path, body=body, label=step, verb="web-link", target=name_of(issue))


def global_id(url: str) -> str:
    """Return what makes a web link the same one when it is added again: its address, or a digest of a long one."""
    return url if len(url) <= LONGEST_ID else f"sha256:{hashlib.sha256(url.encode()).hexdigest()}"


def _links_of(issue: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = (issue.get("fields") or {}).get("issuelinks") or []
    return [each for each in found if isinstance(each, dict) and "id" in each]


def _is_meant(link: Mapping[str, Any], wordings: list[str], others: list[str]) -> bool:
    """Tell whether a link, as its issue shows it, is of one of these wordings and leads to one of these issues."""
    way = OUTWARD if "outwardIssue" in link else INWARD
    other = link.get(f"{way}Issue") or {}
    kind = link.get("type") or {}
    says = {_said(kind, way), f"{way}:{kind.get('id')}"}
    # Many a type is called as one of its sides reads ("Blocks"); then that side is meant, as when a link is made.
    says |= {_said(kind, "name")} - {_said(kind, INWARD), _said(kind, OUTWARD)}
    names = {str(other.get("key", "")), str(other.get("id", ""))}
    return (not wordings or any(" ".join(each.split()).casefold() in says for each in wordings)) and (
        not others or any(_fits(name, each) for each in others for name in names)
    )


def _fits(name: str, pattern: str) -> bool:
    parts = (re.escape(part) for part in pattern.strip().split("*"))
    return re.fullmatch(".*".join(parts), name, re.IGNORECASE) is not None


def _said(kind: Mapping[str, Any], member: str) -> str:
    return " ".join(str(kind.get(member, "")).split()).casefold()


def _named(issue: Issue) -> dict[str, str]:
    name = name_of(issue)
    return {"id": name} if name.isdigit() else {"key": name}
