"""Text as the sites keep it: Atlassian Document Format, from plain text and back.

The format: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/. Formatted text comes from
``markdown.py``. Confluence takes the same documents as the representation ``atlas_doc_format``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]
DEEPEST = 100

# Control characters are refused by the sites, and half a surrogate pair is no character; both arrive in payloads.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PARAGRAPHS = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_LINES = frozenset({"paragraph", "heading", "codeBlock", "rule", "tableRow", "mediaSingle", "blockCard"})


@dataclass(frozen=True, slots=True)
class Formatted:
    """Formatted text, made with ``context.markdown(template, **values)``, for every verb that takes text."""

    doc: Mapping[str, Any]


Text = str | Formatted


def document(content: Sequence[Node]) -> Node:
    """Wrap block nodes into a document."""
    return {"type": "doc", "version": 1, "content": list(content)}


def text_to_adf(text: str) -> Node:
    """Return plain text as a document: empty lines part paragraphs, other line ends are breaks, nothing is markup."""
    parts = _PARAGRAPHS.split(clean(text).strip("\n"))
    return document([paragraph(part) for part in parts if part])


def to_adf(text: Text) -> Node:
    """Return the document of formatted or plain text."""
    return dict(text.doc) if isinstance(text, Formatted) else text_to_adf(text)


def paragraph(text: str) -> Node:
    """Return one paragraph of plain text."""
    return {"type": "paragraph", "content": inline(text)}


def inline(text: str, marks: Sequence[Node] = ()) -> list[Node]:
    """Return text nodes with line breaks between; the schema knows no empty text node, so empty text is no node."""
    nodes: list[Node] = []
    for position, line in enumerate(clean(text).split("\n")):
        if position:
            nodes.append({"type": "hardBreak"})
        if line:
            node: Node = {"type": "text", "text": line}
            nodes.append({**node, "marks": list(marks)} if marks else node)
    return nodes


def clean(text: str) -> str:
    """Make line ends ``\\n`` and everything that cannot be shown U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def adf_to_text(doc: object) -> str:
    """Return what a reader sees of a document, one line per block; anything that is no document is no text.

    Mentions, emoji, statuses, dates and links show as their text. Below 100 levels nothing is read.
    """
    lines: list[str] = []
    _read(doc, lines, 0)
    return "\n".join(line.rstrip() for line in "".join(lines).strip("\n").split("\n"))


def _read(node: object, out: list[str], depth: int) -> None:
    if not isinstance(node, Mapping) or depth > DEEPEST:
        return
    kind = node.get("type")
    attrs = node.get("attrs")
    if kind == "text":
        out.append(str(node.get("text", "")))
    elif kind == "hardBreak":
        out.append("\n")
    elif isinstance(attrs, Mapping) and kind in {"mention", "emoji", "status", "date", "inlineCard", "blockCard"}:
        shown = (attrs.get(name) for name in ("text", "shortName", "timestamp", "url", "id"))
        out.append(next((str(each) for each in shown if each), ""))
    elif kind == "rule":
        out.append("---")
    for position, child in enumerate(_children(node)):
        if kind == "tableRow" and position:
            out.append(" | ")
        if kind in {"bulletList", "orderedList"}:
            out.append("- " if kind == "bulletList" else f"{position + 1}. ")
        _read(child, out, depth + 1)
        if kind in {"tableHeader", "tableCell"} and out and out[-1] == "\n":
            out.pop()
    if kind in _LINES:
        out.append("\n")


def _children(node: Mapping[str, Any]) -> Iterable[object]:
    content = node.get("content")
    return content if isinstance(content, list) else ()
