"""How new pages, versions of pages and comments, and comments on pages are found again."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict, since, text_of, unclear
from bridge.egress.resolvers.retitled import changed_since


def _page_created(doubt: Doubt) -> Verdict:
    """A title occurs once among a space's current pages (https://support.atlassian.com/confluence-cloud/)."""
    status = str(doubt.body.get("status", "current"))
    query = {"space-id": [str(doubt.body["spaceId"])], "title": [str(doubt.body["title"])], "status": [status]}
    answer = doubt.get("/wiki/api/v2/pages", query)
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "a page of that title")
    pages = answer.body.get("results", [])
    if pages and doubt.own_id is None:
        return Unknown("a page of that title stands there, and the account's own id is not known")
    own = [
        page
        for page in pages
        if page.get("authorId") == doubt.own_id
        and since(doubt, page.get("createdAt"))
        and str(page.get("id")) not in doubt.others
    ]
    if len(own) > 1:
        return Unknown("the space has two drafts of that title of this account since")
    # Another's page of that title makes the site refuse ours for good, which is an answer.
    if own:
        return Found(own[0])
    if status != "current":
        return Unknown("drafts under another title, or published since, cannot be searched for")
    return changed_since(doubt, str(doubt.body["spaceId"]), str(doubt.body["title"]))


def _version(doubt: Doubt) -> Verdict:
    """Find the version by its message; a number that another's version took is a conflict for the site to tell."""
    answer = doubt.get(f"{doubt.path}/versions", {"limit": ["50"], "sort": ["-modified-date"]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the versions")
    message = text_of(doubt.marker)
    if any(version.get("message") == message for version in answer.body.get("results", [])):
        page = doubt.get(doubt.path, {"body-format": ["atlas_doc_format"]})
        return Found(page.body if page.done else {"id": doubt.path.rpartition("/")[2]})
    return Absent()


def _footer_comment(doubt: Doubt) -> Verdict:
    """Compare text, author and time, for a comment on a page has no place for a marker."""
    parent = doubt.body.get("parentCommentId")
    among = f"/wiki/api/v2/pages/{doubt.body.get('pageId')}/footer-comments"
    if parent is not None:
        among = f"/wiki/api/v2/footer-comments/{parent}/children"
    wanted = _text(doubt.body.get("body", {}))
    query = {"body-format": ["atlas_doc_format"], "sort": ["-created-date"], "limit": ["100"]}
    answer = doubt.get(among, query)
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the comments")
    results = answer.body.get("results", [])
    if doubt.own_id is None:
        return Unknown("the account's own id is not known, so its comments cannot be told from others'")
    # The version that is told is the newest: one that was edited since tells who edited it, and when.
    late = [
        comment
        for comment in results
        if str(comment.get("id")) not in doubt.others and since(doubt, (comment.get("version") or {}).get("createdAt"))
    ]
    same = [
        comment
        for comment in late
        if (comment.get("version") or {}).get("authorId") == doubt.own_id
        and _text((comment.get("body") or {}).get("atlas_doc_format", {})) == wanted
    ]
    if same:
        two = "the page has two equal comments of this account since"
        return Unknown(two) if len(same) > 1 else Found(same[0])
    if another := next(filter(None, (_edited(doubt, comment) for comment in late)), None):
        return another
    if (answer.body.get("_links") or {}).get("next"):
        return Unknown("the page got more comments since than can be looked through")
    return Absent()


def _edited(doubt: Doubt, comment: Mapping[str, Any]) -> Unknown | None:
    """Say of a comment with other words why it may be the one: this account wrote it since, and it was edited."""
    if (comment.get("version") or {}).get("number") == 1:
        # Nobody edited it, so these are the words it was made with, and they are not this step's.
        return None
    path = f"/wiki/api/v2/footer-comments/{comment.get('id')}/versions"
    answer = doubt.get(path, {"sort": ["modified-date"], "limit": ["1"]})
    listed = answer.body.get("results") if answer.done and isinstance(answer.body, dict) else None
    if not listed or listed[0].get("number") != 1:
        return unclear(answer, "the first version of a comment")
    first: Mapping[str, Any] = listed[0]
    if first.get("authorId") == doubt.own_id and since(doubt, first.get("createdAt")):
        return Unknown("the page got another comment of this account since, which may be this one, edited")
    return None


def _text(body: Mapping[str, Any]) -> str:
    """Return the words of an ADF document: a site may add ids and attributes, but not change what is said."""
    try:
        return "".join(_words(json.loads(str(body.get("value", "null")))))
    except ValueError:
        return str(body.get("value"))


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield str(node.get("text", ""))
        for inner in node.get("content", []):
            yield from _words(inner)
        yield "\n" if node.get("type") == "paragraph" else ""


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "page-created": _page_created,
    "page-version": _version,
    "comment-version": _version,
    "footer-comment": _footer_comment,
}
