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
    """Return the place of the page that observe mode would have created last, in ``space``."""
    if reference != "0" or space is None:
        return None
    return Place(space, reference, frozenset({reference}), imagined=True)
