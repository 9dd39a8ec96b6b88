"""Where things are now, as the site says: the project of an issue, the space of a page.

A key's prefix proves nothing, because the old key of a moved issue keeps working
(https://support.atlassian.com/jira-software-cloud/docs/what-happens-when-a-project-key-changes/). What was asked is
remembered for one attempt.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge import catalogue
from bridge.egress.upstream import SiteAnswer
from bridge.errors import NotSent
from bridge.rule.scope import SITE

_ISSUE = re.compile(r"[A-Za-z][A-Za-z0-9_]*-[0-9]+|[0-9]+", re.ASCII)
_PROJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]*|[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
# A site numbers from 1: observe mode names what it would have made with a 0 (bridge.rule.request).
_OBSERVED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)-0", re.ASCII)

Ask = Callable[[catalogue.Operation, str, Mapping[str, list[str]]], SiteAnswer]


@dataclass(frozen=True, slots=True)
class Place:
    """A target and its container: ``names`` are all ids and keys by which the target is called.

    An ``imagined`` one does not exist: observe mode did not create it, and the handler goes on as if.
    """

    container: str
    target: str
    names: frozenset[str]
    imagined: bool = False


class Unseen(Exception):
    """The site does not show a target to the account: its own answer is the answer to the step."""

    def __init__(self, what: str, answer: SiteAnswer) -> None:
        self.what = what
        self.answer = answer
        super().__init__(f"the site does not show {what} to this account ({answer.status})")


class Unnamed(Exception):
    """What stands where a target should is no key or id."""


class Places:
    """Asks the site, each question once."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[tuple[str, str], Place] = {}
        self._kinds: Mapping[str, tuple[re.Pattern[str], Callable[[str], Place]]] = {
            "project": (_PROJECT, self._project),
            "version": (_NUMBER, self._version),
            "service-desk": (_PROJECT, self._service_desk),
            "space": (_NUMBER, self._space),
            "comment-on-page": (_NUMBER, self._footer_comment),
            "task": (_NUMBER, self._task),
            "template": (_NUMBER, self._template),
        }

    def _get(self, kind: str, reference: str, path: str, query: Mapping[str, list[str]]) -> dict[str, Any]:
        found = catalogue.match("GET", path)
        if found is None:
            raise LookupError(path)
        answer = self._ask(found.operation, path, query)
        if not answer.done:
            raise Unseen(f"{kind} {reference}", answer)
        if not isinstance(answer.body, dict):
            raise _nonsense(kind, reference)
        return answer.body

    def issue(self, reference: str) -> Place:
        """Find the project of an issue by key or id. Raises ``Unseen`` or ``Unnamed``."""
        return self._once("issue", reference, _ISSUE, self._issue)

    def _issue(self, reference: str) -> Place:
        said = self._get("issue", reference, f"/rest/api/3/issue/{reference}", {"fields": ["project"]})
        key, number = str(said["key"]), str(said["id"])
        return Place(str(said["fields"]["project"]["key"]), key, frozenset({key, number, reference}))

    def project(self, reference: str) -> Place:
        """Find a project by key, also a former one, or id."""
        return self._once("project", reference, _PROJECT, self._project)

    def _project(self, reference: str) -> Place:
        said = self._get("project", reference, f"/rest/api/3/project/{reference}", {})
        key = str(said["key"])
        return Place(key, key, frozenset({key, str(said["id"]), reference}))

    def page(self, reference: str) -> Place:
        """Find the space of a page by its id."""
        return self._once("page", reference, _NUMBER, self._page)

    def _page(self, reference: str) -> Place:
        said = self._get("page", reference, f"/wiki/api/v2/pages/{reference}", {})
        return Place(self.space(str(said["spaceId"])).container, str(said["id"]), frozenset({str(said["id"])}))

    def space(self, reference: str) -> Place:
        """Find the key of a space by its id."""
        return self._once("space", reference, _NUMBER, self._space)

    def _space(self, reference: str) -> Place:
        said = self._get("space", reference, f"/wiki/api/v2/spaces/{reference}", {})
        key = str(said["key"])
        return Place(key, key, frozenset({key, str(said["id"])}))

    def of(self, word: str, reference: str) -> list[Place]:
        """Find where something is by the catalogue's word for how it is named; both ends of a link between issues."""
        if word == "issue-link":
            ends = self._once(word, reference, _NUMBER, self._link_ends)
            return [self.issue(end) for end in sorted(ends.names)]
        form, find = self._kinds[word]
        return [self._once(word, reference, form, find)]

    def attachment(self, issue: Place, number: str) -> Place:
        """Return the issue's place if the attachment of that id is on it; raises ``Unnamed`` if it is not."""
        said = self._get("issue", issue.target, f"/rest/api/3/issue/{issue.target}", {"fields": ["attachment"]})
        attached = (said.get("fields") or {}).get("attachment") or []
        if not any(str(each.get("id")) == number for each in attached):
            raise Unnamed(f"attachment {number} is not on {issue.target}")
        return issue

    def _version(self, reference: str) -> Place:
        said = self._get("version", reference, f"/rest/api/3/version/{reference}", {})
        project = self.project(str(said["projectId"]))
        return Place(project.container, reference, frozenset({reference}))

    def _link_ends(self, reference: str) -> Place:
        said = self._get("link", reference, f"/rest/api/3/issueLink/{reference}", {})
        return Place("", reference, frozenset({str(said["inwardIssue"]["key"]), str(said["outwardIssue"]["key"])}))

    def _service_desk(self, reference: str) -> Place:
        said = self._get("service desk", reference, f"/rest/servicedeskapi/servicedesk/{reference}", {})
        return Place(str(said["projectKey"]), reference, frozenset({reference}))

    def _footer_comment(self, reference: str) -> Place:
        said = self._get("comment", reference, f"/wiki/api/v2/footer-comments/{reference}", {})
        if not said.get("pageId") and said.get("parentCommentId"):
            return self._once("comment-on-page", str(said["parentCommentId"]), _NUMBER, self._footer_comment)
        page = self._page_of("comment", reference, said)
        return Place(page.container, reference, page.names)

    def _task(self, reference: str) -> Place:
        said = self._get("task", reference, f"/wiki/api/v2/tasks/{reference}", {})
        page = self._page_of("task", reference, said)
        return Place(page.container, reference, page.names)

    def _page_of(self, kind: str, reference: str, said: Mapping[str, Any]) -> Place:
        """Find the page that a comment or task is on; a blog post is none, and no verb acts on it."""
        for name in ("blogPostId", "attachmentId", "customContentId"):
            if said.get(name) and not said.get("pageId"):
                raise Unnamed(f"{kind} {reference} is not on a page")
        return self.page(str(said["pageId"]))

    def _template(self, reference: str) -> Place:
        said = self._get("template", reference, f"/wiki/rest/api/template/{reference}", {})
        space = said.get("space")
        key = str(space["key"]) if isinstance(space, dict) else SITE
        return Place(key, reference, frozenset({reference}))

    def _once(self, kind: str, reference: str, form: re.Pattern[str], find: Callable[[str], Place]) -> Place:
        if not form.fullmatch(reference):
            raise Unnamed(f"{reference!r} is no {kind}")
        known = self._known.get((kind, reference))
        if known is None:
            try:
                known = find(reference)
            except (KeyError, TypeError) as error:
                raise _nonsense(kind, reference) from error
            self._known[kind, reference] = known
        return known

    def transition(self, issue: str, number: str) -> tuple[str, ...]:
        """Return a transition's own name and its destination's; empty if the issue offers none of that number."""
        said = self._get("issue", issue, f"/rest/api/3/issue/{issue}/transitions", {})
        for offered in said.get("transitions", []):
            if str(offered.get("id")) == number:
                return str(offered.get("name")), str((offered.get("to") or {}).get("name"))
        return ()


def _nonsense(kind: str, reference: str) -> NotSent:
    """What is no answer of Atlassian's comes from something in between, and passes."""
    return NotSent(f"the site describes {kind} {reference} in a way that cannot be read", delay=30)


def imagined_issue(reference: str) -> Place | None:
    """Return the place of an issue that observe mode would have created, None for any other reference."""
    found = _OBSERVED.fullmatch(reference)
    return Place(found[1], reference, frozenset({reference}), imagined=True) if found else None


def imagined_page(reference: str, space: str | None) -> Place | None:
    """Return the place of the page or comment that observe mode would have created last, in ``space``."""
    if reference != "0" or space is None:
        return None
    return Place(space, reference, frozenset({reference}), imagined=True)


def imagined_version(reference: str, project: str | None) -> Place | None:
    """Return the place of the version that observe mode would have created last, in ``project``."""
    if reference != "0" or project is None:
        return None
    return Place(project, reference, frozenset({reference}), imagined=True)
