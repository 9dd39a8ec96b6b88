"""The wiki markup of an automation's comment as Markdown, smart values left where they stand.

Only what people use in comments is known: headings, lists, quotes, code, bold, italic, struck and monospaced text,
links. Colours and panels lose their frame, a mention becomes text; what was lost is told.
https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.migrate.smart import PLACE

_OPEN, _CLOSE = "\ue010", "\ue011"
_TOKEN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_CODE = re.compile(r"\{(code|noformat)(?::([a-z]+))?[^}]*\}(.*?)\{\1\}", re.DOTALL)
_FRAME = re.compile(r"\{(?:color|panel|quote)(?::[^}]*)?\}")
_MENTION = re.compile(r"\[~(?:accountid:)?([^\]]+)\]")
_LINK = re.compile(r"\[(?:([^\]|\n]+)\|)?((?:https?://|mailto:|\ue010)[^\]|\n]*)(?:\|[^\]\n]*)?\]")
_HEADING = re.compile(r"h([1-6])\.\s+(.*)")
_LIST = re.compile(r"([*#-]+)\s+(.*)")
_SPECIAL = re.compile(r"[\\`*_\[\]<>~|]")
_STARTS = re.compile(r"^(\s*\d*)([#+>.)-])(?=\s|$)")
# Marks hold where a word begins and ends, as they do in Jira; what they are in Markdown.
_MARKS = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]*?[^\s*])\*(?![\w*])"), "**"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]*?[^\s_])_(?![\w_])"), "*"),
    (re.compile(r"(?<![\w-])-(?=[^\s-])([^-\n]*?[^\s-])-(?![\w-])"), "~~"),
)

Kept = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Converted:
    """The Markdown, and what could not be kept, in words."""

    text: str
    lost: tuple[str, ...]


def to_markdown(source: str) -> Converted:
    """Convert wiki markup; smart values keep their braces."""
    places: list[str] = []

    def kept(text: str) -> str:
        places.append(text)
        return f"{_OPEN}{len(places) - 1}{_CLOSE}"

    lost: dict[str, None] = {}
    text = PLACE.sub(lambda found: kept(found[0]), source.replace("\r\n", "\n"))
    text = _CODE.sub(lambda found: "\n" + kept(_fenced(found[2] or "", found[3])) + "\n", text)
    if _FRAME.search(text):
        lost["colours, panels and quotes"] = None
        text = _FRAME.sub("", text)
    if _MENTION.search(text):
        lost["mentions, which become plain text and notify nobody"] = None
        text = _MENTION.sub(lambda found: kept(_escaped(f"@{found[1]}")), text)
    text = _LINK.sub(lambda found: kept(f"[{_escaped(found[1] or found[2])}]({found[2]})"), text)
    lines = re.sub(r"\n{3,}", "\n\n", "".join(_lines(text, kept))).strip("\n")
    while _TOKEN.search(lines):
        lines = _TOKEN.sub(lambda found: places[int(found[1])], lines)
    return Converted(lines, tuple(lost))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```"


def _lines(text: str, kept: Kept) -> Iterator[str]:
    """Give lines of Markdown; blocks of different kinds are parted by an empty line."""
    before = ""
    for line in text.split("\n"):
        kind, made = _line(line, kept)
        if kind == before == "text":
            # A line of its own in Jira is a line of its own; Markdown would flow it into the one above.
            yield "\\\n" + made
        elif kind == before == "list":
            yield "\n" + made
        else:
            yield ("\n\n" if before else "") + made
        before = kind if kind != "empty" else before and "empty"


def _line(line: str, kept: Kept) -> tuple[str, str]:
    heading, item = _HEADING.fullmatch(line), _LIST.fullmatch(line)
    if not line.strip():
        return "empty", ""
    if heading:
        return "heading", f"{'#' * int(heading[1])} {_inline(heading[2], kept)}"
    if len(line) >= len("----") and not line.strip("-"):
        return "rule", "----"
    if item:
        sign = "1." if item[1].endswith("#") else "*"
        return "list", f"{'   ' * (len(item[1]) - 1)}{sign} {_inline(item[2], kept)}"
    return "text", _STARTS.sub(lambda found: f"{found[1]}\\{found[2]}", _inline(line.strip(), kept))


def _inline(text: str, kept: Kept) -> str:
    for pattern, sign in _MARKS:
        text = pattern.sub(lambda found, sign=sign: kept(sign) + found[1] + kept(sign), text)  # type: ignore[misc]
    return _escaped(text)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
