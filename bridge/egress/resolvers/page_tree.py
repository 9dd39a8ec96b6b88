"""How copies of pages, trees and archived pages are found again: by their title or by what became of them."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict, since, unclear
from bridge.egress.resolvers.retitled import changed_since

PAGES = "/wiki/api/v2/pages"


def _page_copied(doubt: Doubt) -> Verdict:
    """Look for the title in the space of the page below which the copy was to be."""
    body = doubt.body
    return _copy(doubt, str((body.get("destination") or {}).get("value")), body.get("pageTitle"))


def _tree_copied(doubt: Doubt) -> Verdict:
    """Look for the copy of the topmost page, which is the first that the task makes."""
    source = doubt.get(f"{PAGES}/{doubt.path.split('/')[-3]}", {})
    if not source.done or not isinstance(source.body, dict):
        return unclear(source, "the page that was to be copied")
    prefix = str((doubt.body.get("titleOptions") or {}).get("prefix") or "")
    title = f"{prefix}{source.body.get('title')}"
    # The topmost page may itself have another title now than when it was copied, and so may its copy.
    found = _copy(doubt, str(doubt.body.get("destinationPageId")), title, any_title=True)
    # What the site answered was a task, whose id nobody can tell any more.
    return Found({}) if isinstance(found, Found) else found


def _copy(doubt: Doubt, parent: str, title: object, *, any_title: bool = False) -> Verdict:
    """Find the account's own page of that title: it occurs once among a space's current pages."""
    if not isinstance(title, str) or not title:
        return Unknown("the copy was given no title by which it could be found")
    above = doubt.get(f"{PAGES}/{parent}", {})
    if not above.done or not isinstance(above.body, dict):
        return unclear(above, "the page below which the copy was to be")
    space = str(above.body.get("spaceId"))
    query = {"space-id": [space], "title": [title], "status": ["current"]}
    answer = doubt.get(PAGES, query)
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "a page of that title")
    pages: list[Any] = answer.body.get("results", [])
    if pages and doubt.own_id is None:
        return Unknown("a page of that title stands there, and the account's own id is not known")
    own = [
        page
        for page in pages
        if page.get("authorId") == doubt.own_id
        and since(doubt, page.get("createdAt"))
        and str(page.get("id")) not in doubt.others
    ]
    # Another's page of that title makes the site refuse ours for good, which is an answer.
    return Found(own[0]) if own else changed_since(doubt, space, title, any_title=any_title)


def _archived(doubt: Doubt) -> Verdict:
    """Read each page that was to be archived; those that are archived already would be refused the second time."""
    wanted = [str(each.get("id")) for each in doubt.body.get("pages", []) if isinstance(each, dict)]
    states = []
    for number in wanted:
        answer = doubt.get(f"{PAGES}/{number}", {})
        if not answer.done or not isinstance(answer.body, dict):
            return unclear(answer, "the page that was to be archived")
        states.append(answer.body.get("status") == "archived")
    if all(states):
        return Found({})
    return Unknown("some of the pages are archived and some are not") if any(states) else Absent()


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "page-copied": _page_copied,
    "tree-copied": _tree_copied,
    "page-archived": _archived,
}
