"""Atlassian documents (ADF) as the sites treat them: checked on the way in, read as text, rendered as HTML.

The structure follows https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/; only the nodes that
comments, descriptions and pages commonly hold are known, and anything else is refused as the sites refuse it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

_LISTS = frozenset({"bulletList", "orderedList"})
_TEXTUAL = _LISTS | {"paragraph", "heading", "codeBlock", "rule", "mediaGroup", "mediaSingle"}
_BLOCKS = _TEXTUAL | {"blockquote", "panel", "table", "expand", "taskList", "decisionList", "blockCard", "extension"}
_INLINE = frozenset({"text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status", "inlineExtension"})
_CHILDREN: Mapping[str, frozenset[str]] = {
    "doc": _BLOCKS,
    "paragraph": _INLINE,
    "heading": _INLINE,
    "codeBlock": frozenset({"text"}),
    "blockquote": _TEXTUAL - {"heading", "rule"},
    "panel": _TEXTUAL | {"taskList", "decisionList", "blockCard"},
    "expand": _BLOCKS - {"expand"},
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": _LISTS | {"paragraph", "codeBlock", "mediaSingle", "taskList"},
    "taskList": frozenset({"taskItem", "taskList"}),
    "taskItem": _INLINE,
    "decisionList": frozenset({"decisionItem"}),
    "decisionItem": _INLINE,
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableCell", "tableHeader"}),
    "tableCell": _BLOCKS - {"table", "expand"},
    "tableHeader": _BLOCKS - {"table", "expand"},
    "mediaSingle": frozenset({"media", "caption"}),
    "mediaGroup": frozenset({"media"}),
    "caption": _INLINE,
}
_LEAVES = _INLINE | {"rule", "media", "blockCard", "extension"}
_NEVER_EMPTY = _LISTS | {"listItem", "blockquote", "panel", "expand", "table", "tableRow", "taskList", "decisionList"}
_MARKS = frozenset({"strong", "em", "code", "link", "strike", "underline", "subsup", "textColor", "backgroundColor"})
_BESIDE_CODE = frozenset({"code", "link"})
_LEVELS = range(1, 7)
_DEEPEST = 100


def mistake(document: object) -> str | None:
    """What is wrong with an ADF document, in one sentence naming the place, or None when it will do."""
    if not isinstance(document, dict) or document.get("type") != "doc":
        return "is not an Atlassian document (type doc)"
    if document.get("version") != 1:
        return "has no version 1"
    if not isinstance(document.get("content"), list):
        return "has no content"
    return _mistake(document, "doc", 0)


def _mistake(node: Mapping[str, Any], place: str, depth: int) -> str | None:
    kind, content = node["type"], node.get("content", [])
    if depth > _DEEPEST:
        return "is nested too deeply"
    if not isinstance(content, list) or (content and kind in _LEAVES) or not (content or kind not in _NEVER_EMPTY):
        return f"has a {kind} with {'no' if not content else 'misplaced'} content at {place}"
    if (own := _own_mistake(node, kind)) is not None:
        return f"{own} at {place}"
    allowed = _CHILDREN.get(kind, frozenset())
    for index, child in enumerate(content):
        inner, named = f"{place}/{index}", child.get("type") if isinstance(child, dict) else None
        if named not in allowed:
            return f"has {named!r} inside {kind} at {inner}"
        if (found := _mistake(child, inner, depth + 1)) is not None:
            return found
    return None


def _own_mistake(node: Mapping[str, Any], kind: str) -> str | None:
    attributes = node.get("attrs", {})
    if not isinstance(attributes, dict):
        return "has attrs that are no object"
    wrong = {
        "text": not (isinstance(node.get("text"), str) and node["text"]),
        "heading": attributes.get("level") not in _LEVELS,
        "mention": not isinstance(attributes.get("id"), str),
        "panel": not isinstance(attributes.get("panelType"), str),
        "listItem": kind == "listItem" and node["content"][0].get("type") in _LISTS,
    }
    return _WRONG[kind] if wrong.get(kind) else _marks_mistake(node.get("marks", []))


_WRONG = {
    "text": "has an empty text",
    "heading": "has a heading without a level from 1 to 6",
    "mention": "has a mention of nobody",
    "panel": "has a panel without a panelType",
    "listItem": "has a list item that starts with a list",
}


def _marks_mistake(marks: object) -> str | None:
    if not isinstance(marks, list) or not all(isinstance(mark, dict) for mark in marks):
        return "has marks that are no list"
    kinds = {str(mark.get("type")) for mark in marks}
    if unknown := kinds - _MARKS:
        return f"has the unknown mark {min(unknown)!r}"
    if "code" in kinds and kinds - _BESIDE_CODE:
        return "combines code with another mark"
    if any(mark["type"] == "link" and not mark.get("attrs", {}).get("href") for mark in marks):
        return "has a link without href"
    return None


def paragraphs(text: str) -> dict[str, Any]:
    """A document with one paragraph per line of the text."""
    lines = [line for line in text.splitlines() if line.strip()]
    content = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": content}


def text(document: Mapping[str, Any] | None) -> str:
    """The words of a document, blocks on lines of their own."""
    return "\n".join(line for line in _lines(document or {}) if line)


def _lines(node: Mapping[str, Any]) -> Iterator[str]:
    content = node.get("content", [])
    if any(child["type"] in _INLINE for child in content):
        yield "".join(_word(child) for child in content)
        return
    for child in content:
        yield from _lines(child)


def _word(node: Mapping[str, Any]) -> str:
    attributes = node.get("attrs", {})
    match node["type"]:
        case "text":
            return str(node["text"])
        case "hardBreak":
            return "\n"
        case "inlineCard":
            return str(attributes.get("url", ""))
        case _:
            return str(attributes.get("text") or attributes.get("shortName") or attributes.get("timestamp") or "")


def html(node: Mapping[str, Any] | None) -> Markup:  # noqa: PLR0911 - one return for each kind of node
    """A document as HTML; every text is escaped and links other than http, https and mailto lose their target."""
    if node is None:
        return Markup()
    inner = Markup().join(html(child) for child in node.get("content", []))
    attributes = node.get("attrs", {})
    match node["type"]:
        case "text":
            return _marked(node)
        case "hardBreak":
            return Markup("<br/>")
        case "rule":
            return Markup("<hr/>")
        case "heading":
            return Markup("<h{level}>{inner}</h{level}>").format(level=int(attributes["level"]), inner=inner)
        case "codeBlock":
            return Markup("<pre><code>{}</code></pre>").format(inner)
        case "taskItem":
            return Markup("<li>{} {}</li>").format("☑" if attributes.get("state") == "DONE" else "☐", inner)
        case "inlineCard" | "blockCard":
            return _link(str(attributes.get("url", "")), escape(attributes.get("url", "")))
        case kind if kind in _ELEMENTS:
            return Markup("<{0}>{1}</{0}>").format(_ELEMENTS[kind], inner)
        case kind if kind in _INLINE:
            return Markup("<span>{}</span>").format(_word(node))
        case _:
            return inner


_ELEMENTS = {"paragraph": "p", "bulletList": "ul", "orderedList": "ol", "listItem": "li", "taskList": "ul"}
_ELEMENTS |= {"blockquote": "blockquote", "panel": "aside", "expand": "section", "table": "table", "tableRow": "tr"}
_ELEMENTS |= {"tableCell": "td", "tableHeader": "th", "decisionList": "ul", "decisionItem": "li", "caption": "p"}
_MARK_ELEMENTS = {"strong": "strong", "em": "em", "code": "code", "strike": "s", "underline": "u"}


def _marked(node: Mapping[str, Any]) -> Markup:
    inner = escape(node["text"])
    for mark in node.get("marks", []):
        if mark["type"] == "link":
            inner = _link(mark["attrs"]["href"], inner)
        elif mark["type"] in _MARK_ELEMENTS:
            inner = Markup("<{0}>{1}</{0}>").format(_MARK_ELEMENTS[mark["type"]], inner)
    return inner


def _link(target: str, inner: Markup) -> Markup:
    if not target.startswith(("http://", "https://", "mailto:", "/")):
        return inner
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(target, inner)


def dump(document: Mapping[str, Any]) -> str:
    """ADF as the JSON text that Confluence carries it in: not the sender's own bytes, which it does not keep."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
