"""Whether a page that is not found by its title may have been made and retitled, archived or thrown away since."""

from collections.abc import Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Unknown, since, unclear

_MOST = 250


def changed_since(doubt: Doubt, space: str, title: str, *, any_title: bool = False) -> Absent | Unknown:
    """Look through the newest pages of a space for one of this account that no other step made.

    A page that is still in its first version has the title that it was made with; only a live doc is edited without
    versions. ``any_title`` says that the title it was made with is not known for certain.
    """
    statuses = ["current", "archived", "trashed"]
    query = {"space-id": [space], "status": statuses, "sort": ["-created-date"], "limit": [str(_MOST)]}
    answer = doubt.get("/wiki/api/v2/pages", query)
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the space's newest pages")
    pages: list[Mapping[str, Any]] = answer.body.get("results", [])
    late = [each for each in pages if since(doubt, each.get("createdAt"))]
    for page in late:
        if str(page.get("id")) in doubt.others or doubt.own_id not in {None, page.get("authorId")}:
            continue
        if any_title or _may_be(page, title):
            return Unknown(f"this account made page {page.get('id')} since, which may be this one, changed")
    if len(late) == len(pages) and (answer.body.get("_links") or {}).get("next"):
        return Unknown("the space got more pages since than can be looked through")
    return Absent()


def _may_be(page: Mapping[str, Any], title: str) -> bool:
    is_first = (page.get("version") or {}).get("number") == 1
    is_titled = str(page.get("title")).casefold().split() == title.casefold().split()
    return is_titled or not is_first or page.get("subtype") == "live"
