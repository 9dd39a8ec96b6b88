"""Jira's wiki markup read into Atlassian documents and written from them: the texts of ``/rest/api/2``.

The site keeps documents only. Version 2 takes and gives every rich text as wiki markup, of which plain text is the
simplest case (https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa). Headings, lists, quotes, rules, code,
links, mentions and the five marks are understood; other kinds of blocks, which only version 3 can make, are written as
their text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.sandbox import document

Node = dict[str, Any]

_ENCLOSED = re.compile(r"\{(code|noformat|quote)(?::([\w#+-]*)[^}\n]*)?\}\n?(.*?)\n?\{\1\}", re.DOTALL)
_ENCLOSING = re.compile(r"\{(code|noformat|quote)\b")
_HEADING = re.compile(r"h([1-6])\. ?(.*)")
_ITEM = re.compile(r"([*#]+|-) (.*)")
_RULE = "----"
_QUOTE = "bq. "
_MARKS = {"*": "strong", "_": "em", "-": "strike", "+": "underline"}
_SIGNS = {kind: sign for sign, kind in _MARKS.items()}
_INLINE = re.compile(
    r"""\\(?P<escaped>[*_+\-#{}\[\]])
    | (?m:^)(?P<start>h[1-6]|bq)\\(?=\.)
    | \{\{(?P<code>[^{}\n]+)\}\}
    | \[~accountid:(?P<person>[^\]\n]+)\]
    | \[(?:(?P<words>[^|\[\]\n]+)\|)?(?P<link>(?:https?://|mailto:)[^|\[\]\s]+)\]
    | (?<![\w*_+\-])(?P<sign>[*_+\-])(?!\s|(?P=sign))(?P<marked>[^\n]*?[^\s\\])(?P=sign)(?![\w*_+\-])
    | \{(?P<braced>[*_+\-])\}(?P<held>[^\n]+?)\{(?P=braced)\}
    | (?P<end>\n)""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"[*_+\-#{}\[\]]")
_LOOKS_LIKE_BLOCK = re.compile(r"^(h[1-6]|bq)(?=\.)", re.MULTILINE)


def read(text: str) -> Node:
    """The document of a text in wiki markup; never fails, for every text is some markup."""
    return {"type": "doc", "version": 1, "content": list(_blocks(text.replace("\r\n", "\n")))}


def write(node: Mapping[str, Any]) -> str:
    """The wiki markup of a document."""
    return "\n\n".join(_written(block) for block in node.get("content", []))


def _blocks(text: str) -> Iterator[Node]:
    place = 0
    for found in _ENCLOSED.finditer(text):
        yield from _lines(text[place : found.start()])
        yield from _enclosed(found[1], found[2], found[3])
        place = found.end()
    yield from _lines(text[place:])


def _enclosed(kind: str, language: str | None, inner: str) -> Iterator[Node]:
    if kind != "quote":
        attributes = {"attrs": {"language": language}} if language else {}
        yield {"type": "codeBlock", **attributes, "content": [{"type": "text", "text": inner}] if inner else []}
        return
    # A document's quote holds no heading, which becomes a paragraph, and neither a rule nor another quote.
    content = [
        {"type": "paragraph", "content": block["content"]} if block["type"] == "heading" else block
        for block in _blocks(inner)
        if block["type"] not in {"rule", "blockquote"}
    ]
    if content:
        yield {"type": "blockquote", "content": content}


def _lines(text: str) -> Iterator[Node]:
    paragraph: list[str] = []
    items: list[tuple[str, str]] = []
    for line in [*text.split("\n"), ""]:
        heading, item = _HEADING.fullmatch(line), _ITEM.fullmatch(line)
        plain = bool(line.strip()) and not (heading or item or line == _RULE or line.startswith(_QUOTE))
        if plain and items:
            # A line right below an item goes on with it.
            items[-1] = (items[-1][0], f"{items[-1][1]}\n{line}")
            continue
        if plain:
            paragraph.append(line)
            continue
        if paragraph:
            yield _paragraph("\n".join(paragraph))
            paragraph = []
        if items and not item:
            yield from _lists(items)
            items = []
        if item:
            items.append((item[1], item[2]))
        elif heading:
            yield {"type": "heading", "attrs": {"level": int(heading[1])}, "content": list(_inline(heading[2]))}
        elif line == _RULE:
            yield {"type": "rule"}
        elif line.startswith(_QUOTE):
            yield {"type": "blockquote", "content": [_paragraph(line.removeprefix(_QUOTE))]}


def _paragraph(text: str) -> Node:
    return {"type": "paragraph", "content": list(_inline(text))}


def _lists(items: Sequence[tuple[str, str]], depth: int = 1) -> Iterator[Node]:
    """Lists of items that are at least ``depth`` markers deep; a deeper item belongs to the one above it."""
    made: Node | None = None
    place = 0
    while place < len(items):
        markers, text = items[place]
        kind = "orderedList" if markers[min(depth, len(markers)) - 1] == "#" else "bulletList"
        after = place + 1
        while after < len(items) and len(items[after][0]) > depth:
            after += 1
        inner = list(_lists(items[place + 1 : after], depth + 1)) if after > place + 1 else []
        if made is not None and made["type"] != kind:
            yield made
            made = None
        made = made or {"type": kind, "content": []}
        made["content"].append({"type": "listItem", "content": [_paragraph(text), *inner]})
        place = after
    if made is not None:
        yield made


def _inline(text: str, marks: Sequence[Node] = ()) -> Iterator[Node]:
    """The nodes of a text, neighbours with the same marks joined into one."""
    joined: Node | None = None
    for node in _pieces(text, marks):
        if joined is not None and node["type"] == "text" and node.get("marks") == joined.get("marks"):
            joined["text"] += node["text"]
            continue
        if joined is not None:
            yield joined
        joined = node if node["type"] == "text" else None
        if joined is None:
            yield node
    if joined is not None:
        yield joined


def _pieces(text: str, marks: Sequence[Node]) -> Iterator[Node]:
    place = 0
    for found in _INLINE.finditer(text):
        if found.start() > place:
            yield _text(text[place : found.start()], marks)
        place = found.end()
        if found["escaped"] or found["start"]:
            yield _text(found["escaped"] or found["start"], marks)
        elif found["code"]:
            links = [mark for mark in marks if mark["type"] == "link"]
            yield _text(found["code"], [*links, {"type": "code"}])
        elif found["person"]:
            yield {"type": "mention", "attrs": {"id": found["person"]}}
        elif found["link"]:
            mark = {"type": "link", "attrs": {"href": found["link"]}}
            yield from _pieces(found["words"] or found["link"].removeprefix("mailto:"), [*marks, mark])
        elif sign := found["sign"] or found["braced"]:
            yield from _pieces(found["marked"] or found["held"], [*marks, {"type": _MARKS[sign]}])
        else:
            yield {"type": "hardBreak"}
    if place < len(text):
        yield _text(text[place:], marks)


def _text(text: str, marks: Sequence[Node]) -> Node:
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}


def _written(block: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one for each kind of block
    content = block.get("content", [])
    match block["type"]:
        case "paragraph":
            return _line(content)
        case "heading":
            return f"h{block['attrs']['level']}. {_line(content)}"
        case "rule":
            return _RULE
        case "codeBlock":
            return _code(document.text(block), block.get("attrs", {}).get("language"))
        case "blockquote":
            return f"{{quote}}\n{write(block)}\n{{quote}}"
        case "bulletList" | "orderedList":
            return "\n".join(_items(block, ""))
        case _:
            return document.text(block)


def _code(text: str, language: str | None) -> str:
    if "{code" in text:
        return f"{{noformat}}\n{text}\n{{noformat}}"
    return f"{{code{f':{language}' if language else ''}}}\n{text}\n{{code}}"


def _items(block: Mapping[str, Any], above: str) -> Iterator[str]:
    markers = above + ("#" if block["type"] == "orderedList" else "*")
    for item in block["content"]:
        texts = [_written(each) for each in item["content"] if each["type"] not in {"bulletList", "orderedList"}]
        yield f"{markers} " + "\n".join(texts)
        for inner in item["content"]:
            if inner["type"] in {"bulletList", "orderedList"}:
                yield from _items(inner, markers)


def _line(content: Sequence[Mapping[str, Any]]) -> str:
    """The inline nodes of one block: as they are where that is read back as it was meant, otherwise escaped."""
    plain = "".join(_node(node, escape=False) for node in content)
    alone = list(_blocks(plain)) == [{"type": "paragraph", "content": list(content)}]
    if alone and not _ENCLOSING.search(plain):
        return plain
    return _LOOKS_LIKE_BLOCK.sub(r"\1\\", "".join(_node(node, escape=True) for node in content))


def _node(node: Mapping[str, Any], *, escape: bool) -> str:
    match node["type"]:
        case "text":
            return _marked(node, escape=escape)
        case "hardBreak":
            return "\n"
        case "mention":
            return f"[~accountid:{node['attrs']['id']}]"
        case "inlineCard":
            return f"[{node.get('attrs', {}).get('url', '')}]"
        case _:
            return document.text(node)


def _marked(node: Mapping[str, Any], *, escape: bool) -> str:
    text = _ESCAPED.sub(r"\\\g<0>", node["text"]) if escape else str(node["text"])
    marks = {mark["type"]: mark for mark in node.get("marks", [])}
    if "code" in marks:
        text = f"{{{{{node['text']}}}}}"
    for kind in reversed(marks):
        if kind in _SIGNS:
            # Signs in braces count anywhere, also beside letters and other signs.
            sign = f"{{{_SIGNS[kind]}}}" if escape else _SIGNS[kind]
            text = f"{sign}{text}{sign}"
    if "link" in marks:
        target = marks["link"]["attrs"]["href"]
        text = f"[{target}]" if node["text"] == target else f"[{text}|{target}]"
    return text
