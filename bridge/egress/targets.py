"""Where the targets of a request are: one way of finding out for each word the catalogue has for it.

A target may be named by the path, by the body or, for egress alone, by the query; references in the body or path name
further ones. What observe mode did not make has its place in what it would have made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.catalogue import Inference
from bridge.egress.handle import Handle
from bridge.egress.places import Place, Places, Unnamed, imagined_issue, imagined_page, imagined_version
from bridge.rule.scope import SITE, Scope


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a handler, as its envelope has it; ``file`` is the handle of a file that goes with it."""

    product: str
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any
    file: Handle | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a delivery may do: the rule's scope under the account's ceiling, and what its limits count and compare.

    ``granted`` is the rule's scope without the ceiling. ``observe`` is set in observe mode, and ``space`` to where that
    would have created its last page or comment, ``project`` to where its last version.
    """

    scope: Scope
    granted: Scope
    event: frozenset[str]
    made: int
    observe: bool
    space: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    """One request whose targets are looked for; ``target`` is what path or query call its own one."""

    asked: Asked
    target: str
    bounds: Bounds
    places: Places

    @property
    def body(self) -> Mapping[str, Any]:
        """The body, or nothing where it is no object."""
        return self.asked.body if isinstance(self.asked.body, dict) else {}

    def issue(self, reference: str) -> Place:
        imagined = imagined_issue(reference) if self.bounds.observe else None
        return imagined or self.places.issue(reference)

    def version(self, reference: str) -> Place:
        imagined = imagined_version(reference, self.bounds.project) if self.bounds.observe else None
        return imagined or self.places.of("version", reference)[0]

    def page(self, reference: str) -> Place:
        imagined = imagined_page(reference, self.bounds.space) if self.bounds.observe else None
        return imagined or self.places.page(reference)

    def comment(self, reference: str) -> Place:
        imagined = imagined_page(reference, self.bounds.space) if self.bounds.observe else None
        return imagined or self.places.of("comment-on-page", reference)[0]


def find(asked: Asked, inferred: Inference, bounds: Bounds, places: Places) -> list[Place]:
    """Find every container that the request touches; the first is the target's own.

    Raises ``Unnamed`` where something else stands than a key or an id, and ``Unseen`` for what the site does not show.
    """
    search = _Search(asked, inferred.target or "", bounds, places)
    own = _OWN.get(inferred.container)
    named = own(search) if own else places.of(inferred.container, search.target)
    reference = search.page if asked.product == "confluence" else search.issue
    found = [*named, *(reference(_named(each)) for each in inferred.references if each is not None)]
    if not found:
        raise Unnamed("the request names no issue or page")
    return found


def _named(value: object) -> str:
    """Return the key or id by which a body names something: ``{"key": "OPS"}``, ``{"id": "1"}``, ``"1"`` or ``1``."""
    if isinstance(value, dict):
        if set(value) not in ({"key"}, {"id"}):
            # Which of several names a site believes is its own affair, so it is given one.
            raise Unnamed("the body names a target by something else than either its key or its id")
        value = next(iter(value.values()))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unnamed("the body does not name its target")
    return str(value)


def _project_in_fields(search: _Search) -> list[Place]:
    fields = search.body.get("fields")
    return [search.places.project(_named(fields.get("project") if isinstance(fields, dict) else None))]


def _space_keys(search: _Search) -> list[Place]:
    query = search.asked.query
    keys = (key for name in ("keys", "spaceKey") for value in query.get(name, ()) for key in value.split(","))
    return [Place(key, key, frozenset({key})) for key in keys]


def _pages_in_query(search: _Search) -> list[Place]:
    return [search.page(one) for value in search.asked.query.get("page-id", ()) for one in value.split(",")]


def _page_or_comment(search: _Search) -> list[Place]:
    """Find the page that is commented on; a reply names only the comment that it answers."""
    page, parent = search.body.get("pageId"), search.body.get("parentCommentId")
    if parent is None:
        return [search.page(str(page or ""))]
    if page is not None:
        raise Unnamed("a comment is either on a page or a reply to a comment")
    return [search.comment(_named(parent))]


def _attachment(search: _Search) -> list[Place]:
    """An attachment's id does not tell its issue, so the issue is given too and must have it."""
    return [search.places.attachment(search.issue(search.target), search.asked.path.rpartition("/")[2])]


def _site(search: _Search) -> list[Place]:
    return [Place(SITE, search.target or search.asked.path, frozenset())]


_OWN: Mapping[str, Callable[[_Search], Sequence[Place]]] = {
    "issue": lambda search: [search.issue(search.target)],
    "issue-in-query": _attachment,
    "version": lambda search: [search.version(search.target)],
    "page": lambda search: [search.page(search.target)],
    "page-in-body": _page_or_comment,
    "page-in-query": _pages_in_query,
    "comment-on-page": lambda search: [search.comment(search.target)],
    "project-in-body": _project_in_fields,
    "project-id-in-body": lambda search: search.places.of("project", _named(search.body.get("projectId"))),
    "service-desk-in-body": lambda search: search.places.of("service-desk", _named(search.body.get("serviceDeskId"))),
    "space-in-body": lambda search: search.places.of("space", _named(search.body.get("spaceId"))),
    "space-in-query": _space_keys,
    "space-key": lambda search: [Place(search.target, search.target, frozenset({search.target}))],
    "references": lambda _search: [],
    "hits": _site,
    "anywhere": _site,
    "site": _site,
}
