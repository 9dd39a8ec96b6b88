"""Text for the service desk: what a payload holds stands for itself, formatted text is wiki markup."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rule.adf import Formatted
from bridge.rule.markdown import markdown_to_adf
from bridge.rule.wiki import escaped, to_wiki
from bridge.sandbox import wiki as site
from bridge.sandbox.document import text as words_of


def formatted(template: str, **values: Any) -> str:
    return to_wiki(Formatted(markdown_to_adf(template, values)))


@pytest.mark.parametrize(
    "text",
    [
        "Mail is late.",
        "snake_case and well-known",
        "3 - 2 = 1?",
        "a*b",
        "(see below)",
        "50 %",
        "https://a.example/b_-_c",
    ],
)
def test_plain_text_without_markup_is_sent_as_it_is(text: str) -> None:
    written = to_wiki(text)
    assert written.replace("\\", "") == text
    assert words_of(site.read(written)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("*loud* and _thin_", "\\*loud\\* and \\_thin\\_"),
        ("{code}rm{code}", "\\{code\\}rm\\{code\\}"),
        ("[here|https://evil.example]", "\\[here\\|https://evil.example]"),
        ("!https://evil.example/x.png!", "\\!https://evil.example/x.png!"),
        ("h1. Title", "h1\\. Title"),
        ("# one", "\\# one"),
        ("- one", "\\- one"),
        ("C:\\new", "C:&#92;new"),
        ("AT&amp;T & co", "AT&amp;amp;T & co"),
        ("so (!) it is :)", "so \\(\\!) it is \\:)"),
        ("[~accountid:712020:x]", "\\[\\~accountid:712020:x]"),
    ],
)
def test_what_would_be_markup_is_escaped(text: str, written: str) -> None:
    assert to_wiki(text) == written


def test_formatted_text_becomes_wiki_markup_and_its_values_stay_literal() -> None:
    written = formatted("**{who}** wrote:\n\n1. first\n2. second\n\n> {said}", who="*Mia*", said="{code}")
    assert written == "{*}\\*Mia\\*{*} wrote:\n\n# first\n# second\n\n{quote}\n\\{code\\}\n{quote}"


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("# Title", "h1. Title"),
        ("- one\n  - two", "* one\n** two"),
        ("`x` and [there](https://a.example)", "{{x}} and [there|https://a.example]"),
        ("```python\n{code}\n```", "{code:python}\nprint(1)\n{code}"),
        ("~~old~~ *new*", "{-}old{-} {_}new{_}"),
        ("---", "----"),
    ],
)
def test_each_kind_of_formatting_has_its_markup(template: str, written: str) -> None:
    assert formatted(template, **({"code": "print(1)"} if "{code}" in template else {})) == written


def test_a_code_block_cannot_be_left_by_what_it_holds() -> None:
    node = {"type": "codeBlock", "content": [{"type": "text", "text": "a\n{code}\n[x|https://evil.example]"}]}
    written = to_wiki(Formatted({"type": "doc", "version": 1, "content": [node]}))
    assert written.count("{code}") == 2


@given(st.text(alphabet="ab *_-+^~{}[]|!#?\\&:;()h1.\n", max_size=40))
def test_no_text_opens_a_macro_a_link_or_an_image(text: str) -> None:
    written = escaped(text)
    for place, sign in enumerate(written):
        if sign in "{[":
            assert written[place - 1] == "\\", (text, written)
            before = len(written[:place]) - len(written[:place].rstrip("\\"))
            assert before % 2 == 1, (text, written)
