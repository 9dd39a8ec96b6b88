"""Wiki markup and documents say the same, whichever of the two a text came in as."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox import document, wiki


def _text(text: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}


def _paragraph(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def _doc(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": list(content)}


STRONG, EM, CODE = {"type": "strong"}, {"type": "em"}, {"type": "code"}
LINK = {"type": "link", "attrs": {"href": "https://example.com/x"}}


@pytest.mark.parametrize(
    ("markup", "content"),
    [
        ("Two words", [_paragraph(_text("Two words"))]),
        ("One\nTwo", [_paragraph(_text("One"), {"type": "hardBreak"}, _text("Two"))]),
        ("One\n\nTwo", [_paragraph(_text("One")), _paragraph(_text("Two"))]),
        ("h2. Head", [{"type": "heading", "attrs": {"level": 2}, "content": [_text("Head")]}]),
        ("*bold* _slanted_", [_paragraph(_text("bold", STRONG), _text(" "), _text("slanted", EM))]),
        ("{*}half{*}way", [_paragraph(_text("half", STRONG), _text("way"))]),
        ("*_both_*", [_paragraph(_text("both", STRONG, EM))]),
        ("{{a_b}}", [_paragraph(_text("a_b", CODE))]),
        ("[here|https://example.com/x]", [_paragraph(_text("here", LINK))]),
        ("[~accountid:712020:1]", [_paragraph({"type": "mention", "attrs": {"id": "712020:1"}})]),
        ("----", [{"type": "rule"}]),
    ],
)
def test_markup_is_read_into_the_document_it_means(markup: str, content: list[dict[str, Any]]) -> None:
    assert wiki.read(markup) == _doc(*content)


def test_a_code_block_may_carry_more_than_its_language() -> None:
    [code] = wiki.read("{code:java|title=Main.java}x{code}")["content"]
    assert code == {"type": "codeBlock", "attrs": {"language": "java"}, "content": [_text("x")]}


def test_lists_nest_by_their_markers() -> None:
    [bullets, numbers] = wiki.read("* a\n** b\n*# c\n* d\n# e")["content"]
    assert bullets["type"] == "bulletList"
    assert [inner["type"] for inner in bullets["content"][0]["content"]] == ["paragraph", "bulletList", "orderedList"]
    assert len(bullets["content"]) == 2
    assert numbers["type"] == "orderedList"


def test_code_and_quotes_keep_what_they_enclose() -> None:
    code, quote = wiki.read("{code:python}\na = *b*\n\nc\n{code}\n{quote}\nsaid\n{quote}")["content"]
    assert code == {"type": "codeBlock", "attrs": {"language": "python"}, "content": [_text("a = *b*\n\nc")]}
    assert quote == {"type": "blockquote", "content": [_paragraph(_text("said"))]}


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 and 4 * 5",
        "snake_case_names and well-known one-offs",
        "C:\\temp\\new",
        "A {placeholder} and an [aside]",
        "50 - 60 - 70",
        "mia.keller@example.com",
    ],
)
def test_plain_text_means_itself(text: str) -> None:
    assert wiki.read(text) == _doc(_paragraph(_text(text)))
    assert wiki.write(wiki.read(text)) == text


@pytest.mark.parametrize("text", ["*not bold*", "# no item", "h1. no heading", "{{no code}}", "---- ", "a\\*b", "----"])
def test_text_that_looks_like_markup_is_written_so_that_it_stays_text(text: str) -> None:
    meant = _doc(_paragraph(_text(text)))
    assert wiki.read(wiki.write(meant)) == meant


def test_blocks_that_markup_does_not_know_are_written_as_their_text() -> None:
    panel = {"type": "panel", "attrs": {"panelType": "info"}, "content": [_paragraph(_text("Mind the gap"))]}
    assert wiki.write(_doc(panel)) == "Mind the gap"


_MARKUP = st.text(alphabet=st.sampled_from("ab *_-+#{}[]|\\\n.h1:/~"), max_size=40) | st.lists(
    st.sampled_from(
        ["* a", "** b", "# c", "- d", "h1. e", "bq. f", "----", "{code}", "{quote}", "g *h* _i_", "", "[https://x.y]"]
    ),
    max_size=8,
).map("\n".join)


@given(_MARKUP)
def test_every_text_is_read_into_a_document_that_the_site_accepts(text: str) -> None:
    assert document.mistake(wiki.read(text)) is None


@given(_MARKUP)
def test_what_was_written_is_read_back_as_the_same_words(text: str) -> None:
    once = wiki.read(text)
    assert document.text(wiki.read(wiki.write(once))).split() == document.text(once).split()


@given(st.text(alphabet=st.sampled_from("ab*_-+#{}[]\\ .h1"), min_size=1, max_size=20).filter(str.strip))
def test_the_text_of_a_paragraph_survives_both_ways(text: str) -> None:
    meant = _doc(_paragraph(_text(text)))
    assert wiki.read(wiki.write(meant)) == meant
