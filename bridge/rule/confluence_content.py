"""A request about one page in Confluence's older API, which calls pages, comments and files alike content.

https://developer.atlassian.com/cloud/confluence/rest/v1/intro/: what the newer API has no operation for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.rule.request import Page, Request, name_of, segment


def of_content(
    method: str,
    page: Page,
    rest: str,
    verb: str,
    *,
    query: Mapping[str, Sequence[str]] | None = None,
    body: Any = None,
    step: str | None = None,
) -> Request:
    """Build a request below ``/wiki/rest/api/content/{id}``; ``rest`` begins with a slash."""
    path = f"/wiki/rest/api/content/{segment(page)}{rest}"
    return Request("confluence", method, path, query or {}, body, step, verb, name_of(page))
