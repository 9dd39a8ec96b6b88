"""Long lists of both products, walked lazily: a page is asked for when the one before is used up, and is one step.

Confluence chains pages by a cursor, Jira counts from ``startAt``, Confluence's older operations from ``start``. What
stands in ``_links.next`` is never followed: it leads past the gateway or to ``/wiki/wiki``, so only the cursor in it is
used and the same request asked again
(https://developer.atlassian.com/cloud/confluence/rest/v2/intro/#using-the-rest-api). A server may give fewer than was
asked for, and egress leaves out hits beyond the scope, so neither a short page nor an empty one is the last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from bridge.rule.request import Answer, Request, object_of

PAGE_SIZE = 100


class Asks(Protocol):
    """What a walk needs of the context."""

    def call(self, request: Request) -> Answer:
        """Have egress do it."""
        ...


def by_cursor(caller: Asks, first: Request, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Walk ``results`` by the cursor in ``_links.next``: all of Confluence's v2, and its search by CQL."""
    return islice(_by_cursor(caller, first), limit)


def by_start(caller: Asks, first: Request, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Walk ``results`` by ``start``, as Confluence's v1 lists do; ``size`` tells how many the site gave."""
    return islice(_by_start(caller, first), limit)


def by_offset(
    caller: Asks, first: Request, limit: int | None = None, *, values: str = "values"
) -> Iterator[dict[str, Any]]:
    """Walk a Jira list by ``startAt``; ``values`` is what the list is called in the answer."""
    return islice(_by_offset(caller, first, values), limit)


def cursor_in(answer: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page, None on the last one.

    It may stand anywhere in the query of the link. It is decoded once, and a plus sign stays one.
    """
    following = (answer.get("_links") or {}).get("next")
    if not isinstance(following, str):
        return None
    pairs = (pair.partition("=") for pair in urlsplit(following).query.split("&"))
    return next((unquote(value) for name, _, value in pairs if name == "cursor" and value), None)


def _by_cursor(caller: Asks, first: Request) -> Iterator[dict[str, Any]]:
    request = first
    seen: set[str] = set()
    while True:
        page = object_of(caller.call(request))
        yield from page.get("results") or []
        cursor = cursor_in(page)
        # A server that gives the same cursor twice would be asked for ever.
        if cursor is None or cursor in seen:
            return
        seen.add(cursor)
        request = replace(first, query={**first.query, "cursor": [cursor]})


def _by_start(caller: Asks, first: Request) -> Iterator[dict[str, Any]]:
    start = 0
    while True:
        page = object_of(caller.call(replace(first, query={**first.query, "start": [str(start)]})))
        results = page.get("results") or []
        yield from results
        given = _whole(page.get("size"), len(results))
        start += given
        if not given or not (page.get("_links") or {}).get("next"):
            return


def _by_offset(caller: Asks, first: Request, values: str) -> Iterator[dict[str, Any]]:
    start = 0
    while True:
        page = object_of(caller.call(replace(first, query={**first.query, "startAt": [str(start)]})))
        results = page.get(values) or []
        yield from results
        start += len(results)
        if not results or page.get("isLast") or page.get("isLastPage"):
            return
        total = page.get("total")
        if "isLast" not in page and isinstance(total, int) and start >= total:
            return


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
