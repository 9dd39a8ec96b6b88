"""Text for the service desk's API, which takes wiki markup where the rest of Jira takes documents.

Whatever comes from a payload stands for itself: everything the renderer would take for markup is escaped. The notation:
https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.rule.adf import DEEPEST, Node, Text, adf_to_text, to_adf

_MARKUP = re.compile(
    r"""(?P<address>https?://[^\s\[\]{}|!*\\]+)
    | (?m:^)(?P<pad>[ \t]*)(?:(?P<head>h[1-6]|bq)(?=\.)|\#)
    | (?P<entity>\\|&(?=\#?\w+;))                 # a line break, and what HTML calls an entity
    | [{}\[|]                                     # macros, links, cells
    | !(?=[^\s!]) | \?(?=\?) | (?<=\?)\?          # images, citations
    | (?<!\w)[*_+^~-] | [*_+^~-](?!\w)            # marks do nothing between two letters (snake_case)
    | \((?=(?:[!?/xiyn+*-]|\*[rgby]|on|off|flag|flagoff)\)) | [:;](?=-?[()DP])    # emoticons""",
    re.VERBOSE,
)
_ENTITIES = {"\\": "&#92;", "&": "&amp;"}
_SIGNS = {"strong": "*", "em": "_", "strike": "-", "underline": "+"}
_LISTS = {"bulletList": "*", "orderedList": "#"}


def to_wiki(text: Text) -> str:
    """Return formatted or plain text as wiki markup that shows it."""
    return "\n\n".join(_blocks(to_adf(text).get("content", []), "", 0))


def escaped(text: str) -> str:
    """Return plain text with everything that is wiki markup made to stand for itself; addresses stay links."""
    return _MARKUP.sub(_literal, text)


def _literal(found: re.Match[str]) -> str:
    if found["address"]:
        return found["address"]
    if found["entity"]:
        return _ENTITIES[found["entity"]]
    if found["head"]:
        return f"{found['pad']}{found['head']}\\"
    return f"{found['pad'] or ''}\\{found[0][-1]}"


def _blocks(nodes: Sequence[Node], bullets: str, depth: int) -> Iterator[str]:
    for node in nodes:
        yield _block(node, bullets, depth)


def _block(node: Node, bullets: str, depth: int) -> str:  # noqa: PLR0911 - one for each kind
    kind, inner = node.get("type"), node.get("content") or []
    attrs = node.get("attrs") or {}
    if depth > DEEPEST:
        return ""
    match kind:
        case "paragraph":
            return _inline(inner)
        case "heading":
            return f"h{attrs.get('level', 1)}. {_inline(inner)}"
        case "bulletList" | "orderedList":
            return "\n".join(_item(each, bullets + _LISTS[kind], depth) for each in inner)
        case "codeBlock":
            language = f":{attrs['language']}" if str(attrs.get("language") or "").isalnum() else ""
            # A code macro ends at its name wherever that stands, so the text must not hold it.
            text = adf_to_text(node).replace("{code}", "{ code}")
            return f"{{code{language}}}\n{text}\n{{code}}"
        case "blockquote" | "panel":
            return "{quote}\n" + "\n\n".join(_blocks(inner, "", depth + 1)) + "\n{quote}"
        case "rule":
            return "----"
        case _:
            return escaped(adf_to_text(node))


def _item(node: Node, bullets: str, depth: int) -> str:
    """Write one item: its first paragraph, then the lists in it, one level deeper."""
    lines = [f"{bullets} "]
    for child in node.get("content") or []:
        if child.get("type") in _LISTS:
            lines.append(_block(child, bullets, depth + 1))
        else:
            lines[0] += ("" if lines[0].endswith(" ") else "\\\\") + _block(child, "", depth + 1)
    return "\n".join(lines)


def _inline(nodes: Sequence[Node]) -> str:
    return "".join(_piece(node) for node in nodes)


def _piece(node: Mapping[str, Any]) -> str:
    attrs = node.get("attrs") or {}
    match node.get("type"):
        case "hardBreak":
            return "\n"
        case "mention" if attrs.get("id"):
            return f"[~accountid:{attrs['id']}]"
        case "text":
            return _marked(escaped(str(node.get("text", ""))), node.get("marks") or [])
        case _:
            return escaped(adf_to_text(node))


def _marked(text: str, marks: Sequence[Mapping[str, Any]]) -> str:
    """Put marks around a piece of text, in braces, for so they work between letters too."""
    for mark in marks:
        kind = mark.get("type")
        if kind == "code":
            text = f"{{{{{text}}}}}"
        elif kind in _SIGNS:
            text = f"{{{_SIGNS[kind]}}}{text}{{{_SIGNS[kind]}}}"
        elif kind == "link":
            text = f"[{text}|{(mark.get('attrs') or {}).get('href', '')}]"
    return text
