"""The text of a page as a handler changes it: put before, after, or below one of its headings.

Text is read and sent as ``atlas_doc_format``, which is ADF as JSON text; a section is a heading and all that follows up
to the next heading that is no smaller (https://developer.atlassian.com/cloud/jira/platform/apis/document/nodes/heading/).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Node, Text, adf_to_text, document, to_adf

FORMAT = "atlas_doc_format"
NOT_FOUND, UNREADABLE = 404, 422


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a text: ``body`` replaces it, ``prepend`` and ``append`` go before and after what is there.

    With ``section``, the words of a heading, all of it is done to what stands below that heading.
    """

    body: Text | None = None
    prepend: Text | None = None
    append: Text | None = None
    section: str | None = None

    @property
    def nothing(self) -> bool:
        """Whether the text stays as it is."""
        return self.body is None and self.prepend is None and self.append is None

    def made_to(self, text: Node, target: str) -> Node:
        """Return a document with the change made; ``ActionFailed`` (404) where there is no such heading."""
        blocks: list[Node] = list(text.get("content") or [])
        begin, end = (0, len(blocks)) if self.section is None else _section(blocks, self.section, target)
        kept = blocks[begin:end] if self.body is None else _blocks(self.body)
        changed = [*_blocks(self.prepend), *kept, *_blocks(self.append)]
        return {**text, "content": [*blocks[:begin], *changed, *blocks[end:]]}


def body_of(doc: Mapping[str, Any]) -> dict[str, str]:
    """Return a document as Confluence takes it."""
    return {"representation": FORMAT, "value": json.dumps(doc)}


def text_of(page: Mapping[str, Any], target: str) -> Node:
    """Return the document of a page that was read; an empty page may have none. ``ActionFailed`` (422) for others."""
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


def _blocks(text: Text | None) -> list[Node]:
    return [] if text is None else list(to_adf(text)["content"])


def _section(blocks: Sequence[Node], heading: str, target: str) -> tuple[int, int]:
    """Return where the blocks below a heading begin and end; its words are compared whatever the case."""
    wanted = " ".join(heading.split()).casefold()
    levels = [_level(block) for block in blocks]
    for position, block in enumerate(blocks):
        if levels[position] and " ".join(adf_to_text(block).split()).casefold() == wanted:
            rest = range(position + 1, len(blocks))
            end = next((each for each in rest if 0 < levels[each] <= levels[position]), len(blocks))
            return position + 1, end
    raise ActionFailed("update-page", target, NOT_FOUND, f"the page has no heading {heading!r}")


def _level(block: Mapping[str, Any]) -> int:
    """Return the level of a heading, 0 for any other block."""
    if block.get("type") != "heading":
        return 0
    level = (block.get("attrs") or {}).get("level")
    return level if isinstance(level, int) else 1
