"""Documents (ADF) as the sandbox checks, reads and renders them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox import document, storage


def _text(text: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}


def _paragraph(*children: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(children)}


def _doc(*blocks: Any) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": list(blocks)}


RICH = _doc(
    {"type": "heading", "attrs": {"level": 2}, "content": [_text("Plan")]},
    _paragraph(_text("bold", {"type": "strong"}), {"type": "hardBreak"}, _text("x = 1", {"type": "code"})),
    {"type": "bulletList", "content": [{"type": "listItem", "content": [_paragraph(_text("one"))]}]},
    {"type": "orderedList", "content": [{"type": "listItem", "content": [_paragraph(_text("first"))]}]},
    {"type": "codeBlock", "attrs": {"language": "python"}, "content": [_text("print(1 < 2)")]},
    {"type": "panel", "attrs": {"panelType": "info"}, "content": [_paragraph(_text("Note"))]},
    {"type": "blockquote", "content": [_paragraph(_text("quoted"))]},
    _paragraph(
        {"type": "mention", "attrs": {"id": "712020:x", "text": "@Mia"}},
        {"type": "emoji", "attrs": {"shortName": ":+1:"}},
    ),
    _paragraph({"type": "inlineCard", "attrs": {"url": "https://example.com/x"}}),
    {"type": "rule"},
    {
        "type": "table",
        "content": [{"type": "tableRow", "content": [{"type": "tableCell", "content": [_paragraph(_text("cell"))]}]}],
    },
)


def test_a_rich_document_is_accepted_read_and_rendered() -> None:
    assert document.mistake(RICH) is None
    assert "x = 1" in document.text(RICH)
    assert "@Mia:+1:" in document.text(RICH)
    html = str(document.html(RICH))
    assert "<h2>Plan</h2>" in html
    assert "<strong>bold</strong><br/><code>x = 1</code>" in html
    assert "<pre><code>print(1 &lt; 2)</code></pre>" in html
    assert '<a href="https://example.com/x" rel="noreferrer">https://example.com/x</a>' in html
    assert "<td><p>cell</p></td>" in html


@pytest.mark.parametrize(
    "bad",
    [
        "text",
        {"type": "doc", "version": 1},
        {"type": "doc", "version": 2, "content": []},
        _doc("text"),
        _doc({"type": "unknown"}),
        _doc(_text("bare")),
        _doc(_paragraph(_text(""))),
        _doc(_paragraph(_paragraph())),
        _doc({"type": "heading", "content": []}),
        _doc({"type": "heading", "attrs": {"level": 7}, "content": []}),
        _doc({"type": "bulletList", "content": []}),
        _doc({"type": "bulletList", "content": [{"type": "listItem", "content": []}]}),
        _doc({"type": "bulletList", "content": [_paragraph()]}),
        _doc(_paragraph(_text("x", {"type": "strong"}, {"type": "code"}))),
        _doc(_paragraph(_text("x", {"type": "blink"}))),
        _doc(_paragraph(_text("x", {"type": "link"}))),
        _doc({"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": "strong"}]}),
        _doc({"type": "panel", "attrs": [], "content": [_paragraph()]}),
        _doc({"type": "panel", "content": [_paragraph()]}),
        _doc(_paragraph({"type": "mention", "attrs": {}})),
        _doc({"type": "rule", "content": [_text("x")]}),
    ],
)
def test_a_document_that_the_sites_would_refuse_is_refused_with_the_place(bad: object) -> None:
    assert document.mistake(bad)


def test_nesting_without_end_is_refused_and_not_followed() -> None:
    inner = _paragraph()
    for _ in range(300):
        inner = {"type": "bulletList", "content": [{"type": "listItem", "content": [_paragraph(), inner]}]}
    assert document.mistake(_doc(inner)) == "is nested too deeply"


@given(st.text())
def test_any_text_comes_back_from_its_paragraphs(text: str) -> None:
    lines = [line for line in text.splitlines() if line.strip()]
    made = document.paragraphs(text)
    assert document.mistake(made) is None
    assert document.text(made).splitlines() == "\n".join(lines).splitlines()


@given(st.text(alphabet="<>/&;ahplib \"'=r1", max_size=80))
def test_storage_format_of_any_shape_is_read_into_something_that_can_be_shown(text: str) -> None:
    html = str(document.html(storage.read(text)))
    assert "<script" not in html


def test_storage_format_keeps_structure_and_marks() -> None:
    text = (
        "<h2>Plan</h2><p>Do <em>this</em> <a href='https://example.com'>now</a><br/>or later</p><ol><li>one</li></ol>"
    )
    read = storage.read(text)
    assert document.mistake(read) is None
    assert str(document.html(read)) == (
        "<h2>Plan</h2>"
        '<p>Do <em>this</em> <a href="https://example.com" rel="noreferrer">now</a><br/>or later</p>'
        "<ol><li><p>one</p></li></ol>"
    )
    assert storage.read("loose & text")["content"] == [_paragraph(_text("loose & text"))]
