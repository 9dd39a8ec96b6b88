"""Confluence's verbs as a handler calls them, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v2/intro/; labels can be added only by the
older https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content-labels/. Text is sent as
``atlas_doc_format``, which is ADF as JSON text.
"""

import json
from collections.abc import Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Node, Text, document, to_adf
from bridge.rule.request import Caller, Page, Request, free_request, name_of, object_of, segment

FORMAT = "atlas_doc_format"
NOT_FOUND, UNREADABLE = 404, 422


class Confluence:
    """Confluence as the service account of the rule; every method is one action, or reads and then one action."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def page(self, page: Page) -> dict[str, Any]:
        """Read a page as it is now; its text is ADF as JSON text under ``body.atlas_doc_format.value``."""
        return object_of(self._caller.call(read_page(page)))

    def create_page(
        self, space: str, title: str, body: Text, parent: Page | None = None, *, step: str | None = None
    ) -> dict[str, Any]:
        """Publish a page in a space, named by its key; without a parent it goes below the space's home page.

        Raises ``ActionFailed`` (404) when the account sees no such space. In observe mode the new page's id is ``0``.
        """
        results = object_of(self._caller.call(find_space(space))).get("results") or []
        spaces = [each for each in results if str(each.get("key", "")).casefold() == space.casefold()]
        if not spaces:
            text = f"there is no space with the key {space!r} that this account can see"
            raise ActionFailed("create-page", space, NOT_FOUND, text)
        answer = self._caller.call(add_page(space, str(spaces[0]["id"]), title, body, parent, step=step))
        return object_of(answer, {"id": "0", "title": title})

    def update_page(
        self,
        page: Page,
        *,
        title: str | None = None,
        body: Text | None = None,
        append: Text | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Change a page's title or text, or add text at its end, over the version that is current now.

        Raises ``ActionFailed`` (409) when somebody else was faster, and ``ValueError`` when there is nothing to change.
        """
        if title is None and body is None and append is None:
            raise ValueError("an update needs one of title, body and append")
        current = object_of(self._caller.call(read_page(page, verb="update-page")))
        answer = self._caller.call(replace_page(page, current, title=title, body=body, append=append, step=step))
        return object_of(answer)

    def comment(self, page: Page, text: Text, *, step: str | None = None) -> dict[str, Any]:
        """Comment at the foot of a page; plain text stays plain, formatted text is made with ``context.markdown``."""
        answer = self._caller.call(add_footer_comment(page, text, step=step))
        return object_of(answer, {"id": "0"})

    def label(self, page: Page, *labels: str, step: str | None = None) -> dict[str, Any]:
        """Add labels to a page; those it has stay."""
        return object_of(self._caller.call(add_labels(page, labels, step=step)))

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        step: str | None = None,
    ) -> Any:
        """Call any catalogued operation that the scope names by its operationId, and return the body of the answer."""
        return self._caller.call(free_request("confluence", method, path, query, body, step=step)).body


def read_page(page: Page, *, verb: str = "read") -> Request:
    """GET a page with its text (operation getPageById)."""
    path = f"/wiki/api/v2/pages/{segment(page)}"
    return Request("confluence", "GET", path, {"body-format": [FORMAT]}, verb=verb, target=name_of(page))


def find_space(key: str) -> Request:
    """GET the space of a key, for its id (operation getSpaces)."""
    return Request("confluence", "GET", "/wiki/api/v2/spaces", {"keys": [key]}, verb="create-page", target=key)


def add_page(
    space: str, space_id: str, title: str, body: Text, parent: Page | None = None, *, step: str | None = None
) -> Request:
    """POST a new page (operation createPage). A title is one line, so line ends in it become blanks."""
    content: dict[str, Any] = {
        "spaceId": space_id,
        "status": "current",
        "title": " ".join(title.split()),
        "body": _body(to_adf(body)),
    }
    if parent is not None:
        content["parentId"] = name_of(parent)
    return _write("POST", "/wiki/api/v2/pages", content, step, verb="create-page", target=space)


def replace_page(
    page: Page,
    current: Mapping[str, Any],
    *,
    title: str | None = None,
    body: Text | None = None,
    append: Text | None = None,
    step: str | None = None,
) -> Request:
    """PUT the next version of a page that was just read (operation updatePage)."""
    new = to_adf(body) if body is not None else _text_of(current, name_of(page))
    if append is not None:
        new = {**new, "content": [*new.get("content", []), *to_adf(append)["content"]]}
    content = {
        "id": name_of(page),
        "status": "current",
        "title": str(current.get("title", "")) if title is None else " ".join(title.split()),
        "body": _body(new),
        "version": {"number": int((current.get("version") or {}).get("number", 0)) + 1},
    }
    return _write("PUT", f"/wiki/api/v2/pages/{segment(page)}", content, step, verb="update-page", target=name_of(page))


def add_footer_comment(page: Page, text: Text, *, step: str | None = None) -> Request:
    """POST a comment (operation createFooterComment)."""
    content = {"pageId": name_of(page), "body": _body(to_adf(text))}
    return _write("POST", "/wiki/api/v2/footer-comments", content, step, verb="comment", target=name_of(page))


def add_labels(page: Page, labels: tuple[str, ...], *, step: str | None = None) -> Request:
    """POST labels (operation addLabelsToContent); raise ``ValueError`` when none is given.

    Confluence keeps labels in small letters and takes no blanks in them, so both are made so.
    """
    names = ["-".join(label.lower().split()) for label in labels]
    if not names or not all(names):
        raise ValueError("a label is a word; give at least one")
    content = [{"prefix": "global", "name": name} for name in dict.fromkeys(names)]
    return _write(
        "POST", f"/wiki/rest/api/content/{segment(page)}/label", content, step, verb="label", target=name_of(page)
    )


def _write(method: str, path: str, body: Any, step: str | None, *, verb: str, target: str) -> Request:
    return Request("confluence", method, path, body=body, label=step, verb=verb, target=target)


def _body(doc: Node) -> dict[str, str]:
    return {"representation": FORMAT, "value": json.dumps(doc)}


def _text_of(page: Mapping[str, Any], target: str) -> Node:
    """Return the document of a page that was read; an empty page may have none."""
    text = ((page.get("body") or {}).get(FORMAT) or {}).get("value")
    if not text:
        return document([])
    try:
        doc = json.loads(text)
    except ValueError:
        doc = None
    if not isinstance(doc, dict):
        raise ActionFailed("update-page", target, UNREADABLE, "the page's text came in another form than asked for")
    return doc
