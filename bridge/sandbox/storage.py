"""Confluence's storage format (XHTML) read into ADF, so that one representation is kept and any can be asked for.

Only the plain elements are understood; macros and unknown elements give their text. Confluence's own description:
https://confluence.atlassian.com/doc/confluence-storage-format-790796544.html
"""

from html.parser import HTMLParser
from typing import Any

_BLOCKS = {"p": "paragraph", "blockquote": "blockquote", "ul": "bulletList", "ol": "orderedList", "li": "listItem"}
_BLOCKS |= {"pre": "codeBlock", "table": "table", "tr": "tableRow", "td": "tableCell", "th": "tableHeader"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MARKS = {"strong": "strong", "b": "strong", "em": "em", "i": "em", "code": "code", "s": "strike", "u": "underline"}
_TAKE_TEXT = frozenset({"paragraph", "heading", "codeBlock"})


class _Reader(HTMLParser):
    """Builds the document while the elements go by; what is left open at the end is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document: dict[str, Any] = {"type": "doc", "version": 1, "content": []}
        self._open: list[tuple[str, dict[str, Any]]] = [("", self.document)]
        self._marks: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a block or a mark."""
        if tag in _HEADINGS:
            self._begin(tag, {"type": "heading", "attrs": {"level": _HEADINGS[tag]}, "content": []})
        elif tag in _BLOCKS:
            self._begin(tag, {"type": _BLOCKS[tag], "content": []})
        elif tag in _MARKS:
            self._marks.append((tag, {"type": _MARKS[tag]}))
        elif tag == "a" and (href := dict(attrs).get("href")):
            self._marks.append((tag, {"type": "link", "attrs": {"href": href}}))
        elif tag == "br" and self._open[-1][1]["type"] in _TAKE_TEXT:
            self._open[-1][1]["content"].append({"type": "hardBreak"})
        elif tag == "hr":
            self._open[-1][1]["content"].append({"type": "rule"})

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost block or mark of that name, and what was left open inside it."""
        if self._marks and tag in _MARKS | {"a": "link"}:
            self._marks = [entry for entry in self._marks if entry is not self._innermost(tag)]
        names = [name for name, _ in self._open]
        if tag in names[1:]:
            del self._open[len(names) - 1 - names[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """Add text to the open block; text that stands in none gets a paragraph of its own."""
        block = self._open[-1][1]
        if block["type"] not in _TAKE_TEXT:
            if not data.strip():
                return
            inner: dict[str, Any] = {"type": "paragraph", "content": []}
            block["content"].append(inner)
            self._open.append(("p", inner))
            block = inner
        node: dict[str, Any] = {"type": "text", "text": data}
        marks = [] if block["type"] == "codeBlock" else [mark for _, mark in self._marks]
        block["content"].append(node | ({"marks": marks} if marks else {}))

    def _begin(self, tag: str, node: dict[str, Any]) -> None:
        # A block inside a paragraph or a heading is not possible in ADF: the outer one ends where the inner one begins.
        while self._open[-1][1]["type"] in _TAKE_TEXT:
            self._open.pop()
        self._open[-1][1]["content"].append(node)
        self._open.append((tag, node))

    def _innermost(self, tag: str) -> tuple[str, dict[str, Any]] | None:
        return next((entry for entry in reversed(self._marks) if entry[0] == tag), None)


def read(text: str) -> dict[str, Any]:
    """The ADF document of a text in storage format; never fails, as a browser does not."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.document
