"""What is read of pages besides their text: what is below them, labels, versions, and pages found by title or query.

Operations: https://developer.atlassian.com/cloud/confluence/rest/v2/intro/; the search by CQL and the users are of the
older https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-search/. Lists are walked lazily (``paging``).
"""

from collections.abc import Iterator
from typing import Any

from bridge.rule import jql as query_language
from bridge.rule.confluence_pages import PAGE, labels_of, space_of
from bridge.rule.confluence_text import FORMAT
from bridge.rule.jql import Query
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_cursor, by_start
from bridge.rule.request import Caller, Page, Request, Words, name_of, object_of, segment, words_of


class Reads:
    """The part of ``context.confluence`` that finds and lists."""

    _caller: Caller

    @does(
        "confluence.find-page",
        "Find page",
        operations=("getSpaces", "getPagesInSpace"),
        verbs=("confluence.read",),
        example={"space": "<space>", "title": "Runbooks"},
    )
    def find_page(self, space: str, title: str) -> dict[str, Any] | None:
        """Read the page of a title in a space, named by its key, with its text; None when there is none."""
        found = space_of(self._caller, space, "read")
        pages = object_of(self._caller.call(pages_titled(str(found["id"]), title))).get("results") or []
        return dict(pages[0]) if pages else None

    @does(
        "confluence.space",
        "Read space",
        operations=("getSpaces",),
        verbs=("confluence.read",),
        example={"space": "<space>"},
    )
    def space(self, space: str) -> dict[str, Any]:
        """Read a space by its key: id, name and home page. Raises ``ActionFailed`` (404) when there is none."""
        return space_of(self._caller, space, "read")

    @does(
        "confluence.children",
        "Read child pages",
        operations=("getPageDirectChildren",),
        verbs=("confluence.read",),
        example={"page": PAGE},
    )
    def children(self, page: Page, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read what is right below a page: id, title and type, for folders and the like are among it."""
        return by_cursor(self._caller, of_page(page, "/direct-children", limit=[str(PAGE_SIZE)]), limit)

    @does(
        "confluence.descendants",
        "Read page tree",
        operations=("getPageDescendants",),
        verbs=("confluence.read",),
        example={"page": PAGE},
    )
    def descendants(
        self, page: Page, *, depth: int | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Read all that is below a page, from the top down, ``depth`` levels deep (1 to 10; default: 2)."""
        query = {"limit": [str(PAGE_SIZE)]} | ({} if depth is None else {"depth": [str(depth)]})
        return by_cursor(self._caller, of_page(page, "/descendants", **query), limit)

    @does(
        "confluence.labels",
        "Read labels",
        operations=("getPageLabels",),
        verbs=("confluence.read",),
        example={"page": PAGE},
    )
    def labels(self, page: Page) -> list[str]:
        """Read the names of a page's labels."""
        return [str(each.get("name")) for each in by_cursor(self._caller, labels_of(page))]

    @does(
        "confluence.versions",
        "Read versions",
        operations=("getPageVersions",),
        verbs=("confluence.read",),
        example={"page": PAGE, "limit": 5},
    )
    def versions(self, page: Page, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read who made which version of a page when, newest first."""
        return by_cursor(
            self._caller, of_page(page, "/versions", limit=[str(PAGE_SIZE)], sort=["-modified-date"]), limit
        )

    @does(
        "confluence.search",
        "Search pages",
        operations=("searchContentByCQL",),
        example={"cql": "space = <space> AND type = page AND label = 'runbook'", "limit": 10},
    )
    def search(
        self, cql: Query, *, expand: Words = (), limit: int | None = None, **values: Any
    ) -> Iterator[dict[str, Any]]:
        """Find pages, page by page as they are asked for; ``values`` go into the ``{name}`` places as literals.

        ``search("type = page AND title ~ {words}", words=event["title"])``. Hits outside the scope are left out;
        ``expand`` takes Confluence's own words, such as ``version``.
        """
        return by_cursor(self._caller, search_page(query_language.finished(cql, values), words_of(expand)), limit)

    @does(
        "confluence.find-user",
        "Find user",
        operations=("searchUser",),
        example={"name": "Mia Keller"},
    )
    def find_user(self, name: str, *, limit: int | None = 10) -> list[dict[str, Any]]:
        """Find people by their name, or part of it; Confluence finds nobody by an e-mail address."""
        hits = by_start(self._caller, people_named(name), limit)
        return [dict(each["user"]) for each in hits if isinstance(each.get("user"), dict)]


def of_page(page: Page, rest: str, **query: list[str]) -> Request:
    """GET something of a page."""
    path = f"/wiki/api/v2/pages/{segment(page)}{rest}"
    return Request("confluence", "GET", path, query, verb="read", target=name_of(page))


def pages_titled(space_id: str, title: str) -> Request:
    """GET the page of that title in a space (operation getPagesInSpace)."""
    query = {"title": [title], "body-format": [FORMAT], "limit": ["1"]}
    path = f"/wiki/api/v2/spaces/{segment(space_id)}/pages"
    return Request("confluence", "GET", path, query, verb="read", target=title)


def search_page(cql: str, expand: list[str]) -> Request:
    """GET one page of a search by CQL (operation searchContentByCQL)."""
    query = {"cql": [cql], "limit": [str(PAGE_SIZE)]}
    if expand:
        query["expand"] = [",".join(expand)]
    return Request("confluence", "GET", "/wiki/rest/api/content/search", query, verb="search", target="search")


def people_named(name: str) -> Request:
    """GET the people of a name (operation searchUser)."""
    query = {"cql": [query_language.fill("user.fullname ~ {name}", {"name": name})], "limit": ["25"]}
    return Request("confluence", "GET", "/wiki/rest/api/search/user", query, verb="find-user", target=name)
