"""Markdown templates with values as literal text, turned into Atlassian Document Format.

Only the template is parsed. While it is, each value is a token of private-use characters that Markdown has no use for;
afterwards the token is replaced by the value's text where it stands. So a value can be shown bold because the template
says so, but can never open a link, a heading or a tag of its own. HTML is off; links lead to http, https and mailto.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bridge.rule.adf import Node, clean, document, inline, paragraph
from bridge.rule.places import Parts, Value, split
from bridge.rule.template import as_text

# Two characters of the private-use area (Unicode 23.5) around the number of a value. A template has no reason to hold
# them; if it does, they are replaced, so that no text can pass for a token.
_OPEN, _CLOSE = "\ue000", "\ue001"
_TOKEN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_RESERVED = re.compile(f"[{_OPEN}{_CLOSE}]")
_MARKS = {"strong": "strong", "em": "em", "s": "strike"}
_IN_LIST = frozenset({"paragraph", "codeBlock", "bulletList", "orderedList"})
_UNSAFE_IN_URL = re.compile(r"[\s\\<>\"`^{|}\x00-\x1f\x7f-\x9f]")


def markdown_to_adf(template: str, values: Mapping[str, Any]) -> Node:
    """Return the document of a Markdown template with ``{name}`` places; raises ``ValueError`` as ``split`` does."""
    return parts_to_adf(split(template, values))


def parts_to_adf(parts: Parts) -> Node:
    """Return the document of a Markdown template that was cut at its places."""
    values = [clean(_shown(part.value)) for part in parts if isinstance(part, Value)]
    source = ""
    number = 0
    for part in parts:
        if isinstance(part, Value):
            source += f"{_OPEN}{number}{_CLOSE}"
            number += 1
        else:
            source += _RESERVED.sub("\ufffd", clean(part))
    return document(_Reader(values).blocks(iter(_parser().parse(source))))


def _shown(value: Any) -> str:
    reference = getattr(value, "ref", None)
    return as_text(value if reference is None else reference)


class _Parser(MarkdownIt):
    """Markdown without HTML and images; which links are good is decided after the values are in."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - a hook of markdown-it
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - a hook of markdown-it
        return url


@cache
def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False})
    parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    parser.parse("now")  # Its lists of rules are made on first use; threads that share it must not see half of one.
    return parser


class _Reader:
    """Reads markdown-it's flat tokens into nodes, putting the values in."""

    def __init__(self, values: list[str]) -> None:
        self._values = values

    def blocks(self, tokens: Iterator[Token], until: str = "") -> list[Node]:
        """Read block nodes up to the closing token."""
        nodes: list[Node] = []
        for token in tokens:
            if token.type == until:
                break
            nodes.extend(self._block(token, tokens))
        return nodes

    def _block(self, token: Token, tokens: Iterator[Token]) -> Iterator[Node]:
        match token.type:
            case "paragraph_open":
                yield {"type": "paragraph", "content": self._inline_until(tokens, "paragraph_close")}
            case "heading_open":
                content = self._inline_until(tokens, "heading_close")
                yield {"type": "heading", "attrs": {"level": int(token.tag[1])}, "content": content}
            case "bullet_list_open":
                yield {"type": "bulletList", "content": self._items(tokens, "bullet_list_close")}
            case "ordered_list_open":
                start = {"order": int(token.attrGet("start") or 1)}
                yield {"type": "orderedList", "attrs": start, "content": self._items(tokens, "ordered_list_close")}
            case "blockquote_open":
                quoted = list(_flattened(self.blocks(tokens, "blockquote_close")))
                yield {"type": "blockquote", "content": quoted or [paragraph("")]}
            case "fence" | "code_block":
                yield self._code(token)
            case "hr":
                yield {"type": "rule"}
            case "table_open":
                yield {"type": "table", "content": self._rows(tokens)}

    def _items(self, tokens: Iterator[Token], until: str) -> list[Node]:
        items: list[Node] = []
        for token in tokens:
            if token.type == until:
                break
            content = list(_flattened(self.blocks(tokens, "list_item_close")))
            if not content or content[0]["type"] not in {"paragraph", "codeBlock"}:
                content.insert(0, paragraph(""))  # A list item begins with text in the document schema.
            items.append({"type": "listItem", "content": content})
        return items

    def _rows(self, tokens: Iterator[Token]) -> list[Node]:
        rows: list[Node] = []
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append({"type": "tableRow", "content": []})
            elif token.type in {"th_open", "td_open"}:
                kind = "tableHeader" if token.type == "th_open" else "tableCell"
                content = self._inline_until(tokens, token.type.replace("open", "close"))
                rows[-1]["content"].append({"type": kind, "content": [{"type": "paragraph", "content": content}]})
        return rows

    def _code(self, token: Token) -> Node:
        text = clean(self._filled(token.content)).removesuffix("\n")
        language = token.info.split()[0] if token.info.split() and not _TOKEN.search(token.info) else None
        node: Node = {"type": "codeBlock", "content": [{"type": "text", "text": text}] if text else []}
        return {**node, "attrs": {"language": language}} if language else node

    def _inline_until(self, tokens: Iterator[Token], until: str) -> list[Node]:
        nodes: list[Node] = []
        for token in tokens:
            if token.type == until:
                break
            nodes.extend(self._inline(token.children or []))
        return nodes

    def _inline(self, tokens: list[Token]) -> Iterator[Node]:
        marks: list[Node] = []
        for token in tokens:
            name = _MARKS.get(token.tag)
            if token.type in {"softbreak", "hardbreak"}:
                yield {"type": "hardBreak"}
            elif token.type == "code_inline":
                # The schema lets code stand with a link and with no other mark, and on one line.
                links = [mark for mark in marks if mark["type"] == "link"]
                yield from inline(self._filled(token.content).replace("\n", " "), [{"type": "code"}, *links])
            elif token.type == "link_open":
                href = self._href(str(token.attrGet("href") or ""))
                marks.append({"type": "link", "attrs": {"href": href}} if href else {"type": "dropped"})
            elif token.nesting == 1 and name:
                marks.append({"type": name})
            elif token.nesting == -1 and marks:
                marks.pop()
            elif token.content:
                yield from inline(self._filled(token.content), _distinct(marks))

    def _filled(self, text: str) -> str:
        return _TOKEN.sub(lambda match: self._values[int(match[1])], text)

    def _href(self, template: str) -> str | None:
        """Put values into a link: one that is the whole link must be a link itself, a part of it is percent-encoded."""
        whole = _TOKEN.fullmatch(template)
        safe = "@" if template.startswith("mailto:") else ""
        href = (
            self._values[int(whole[1])].strip()
            if whole
            else _TOKEN.sub(lambda match: quote(self._values[int(match[1])], safe=safe), template)
        )
        return href if _leads_somewhere(href) else None


def _leads_somewhere(href: str) -> bool:
    if _UNSAFE_IN_URL.search(href):
        return False
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    return bool(parts.netloc) if parts.scheme in {"http", "https"} else parts.scheme == "mailto" and bool(parts.path)


def _distinct(marks: list[Node]) -> list[Node]:
    kept: list[Node] = []
    for mark in marks:
        if mark["type"] != "dropped" and mark["type"] not in {each["type"] for each in kept}:
            kept.append(mark)
    return kept


def _flattened(nodes: list[Node]) -> Iterator[Node]:
    """Turn what the schema does not allow inside list items and quotations into what it does."""
    for node in nodes:
        if node["type"] in _IN_LIST:
            yield node
        elif node["type"] == "heading":
            yield {"type": "paragraph", "content": node["content"]}
        elif node["type"] == "blockquote":
            yield from node["content"]
        elif node["type"] == "table":
            for row in node["content"]:
                yield {"type": "paragraph", "content": list(_in_one_line(row))}


def _in_one_line(row: Node) -> Iterator[Node]:
    for position, cell in enumerate(row["content"]):
        if position:
            yield {"type": "text", "text": " | "}
        yield from cell["content"][0]["content"]
