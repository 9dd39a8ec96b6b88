"""Plain text and Markdown as Atlassian Document Format: values are literal text, whatever they hold."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rule.adf import Formatted, adf_to_text, text_to_adf, to_adf
from bridge.rule.markdown import markdown_to_adf

any_text = st.text(st.characters(exclude_categories=()))
# What means something to Markdown, HTML, ADF, wiki markup or this translation itself, so that chance finds it often.
tricky = st.lists(
    st.sampled_from(
        [
            *("*", "**", "_", "`", "```", "~~", "#", "# ", "- ", "1. ", "> ", "|", "---", "\n", "\n\n", "    ", "\t"),
            *(
                "[x](https://evil.example)",
                "![x](y)",
                "<b>",
                "</script>",
                "<!--",
                "&lt;",
                "&#x3c;",
                "\\",
                "{x}",
                "{{x}}",
            ),
            *("\ue000", "\ue001", "\ue0000\ue001", "\ue0001\ue001", "https://evil.example", "javascript:alert(1)"),
            *("[~accountid:1]", "{code}", "@", "\x00", "\ud800", "\u202e", "a", "word", " "),
        ]
    ),
    max_size=8,
).map("".join)
TEMPLATE = "# About {a}\n\n**{a}** and `{b}` in a [link {b}](https://acme.example/{a}?q={b})\n\n- {a}\n- x {b}\n"
ALLOWED = {
    *("doc", "paragraph", "heading", "bulletList", "orderedList", "listItem", "codeBlock", "blockquote", "rule"),
    *("table", "tableRow", "tableHeader", "tableCell", "text", "hardBreak"),
}


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("content", []) for inner in nodes(child))]


def outline(node: dict[str, Any]) -> Any:
    """The tree without texts and line breaks: what the markup made of it."""
    children = [outline(child) for child in node.get("content", []) if child["type"] not in {"text", "hardBreak"}]
    return (node["type"], node.get("attrs"), children)


def shown(text: str) -> str:
    """A value as it is shown: line ends unified, what is no character replaced."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"} for c in lines)
    return "".join(c if keep else "\ufffd" for c, keep in zip(lines, kept, strict=True))


@given(any_text | tricky, any_text | tricky)
def test_a_value_never_becomes_markup(first: str, second: str) -> None:
    doc = markdown_to_adf(TEMPLATE, {"a": first, "b": second})
    plain = markdown_to_adf(TEMPLATE, {"a": "x", "b": "x"})
    assert outline(doc) == outline(plain)
    assert {node["type"] for node in nodes(doc)} <= ALLOWED
    for node in nodes(doc):
        for mark in node.get("marks", []):
            if mark["type"] == "link":
                assert mark["attrs"]["href"].startswith("https://acme.example/")
                assert mark["attrs"]["href"].count("?") == 1


@given(any_text | tricky)
def test_a_value_is_shown_as_it_is(value: Any) -> None:
    doc = markdown_to_adf("begin {value} end", {"value": value})
    text = "".join("\n" if node["type"] == "hardBreak" else node.get("text", "") for node in nodes(doc))
    assert text == f"begin {shown(value)} end"


@given(any_text | tricky)
def test_a_value_in_code_stays_in_code(value: Any) -> None:
    doc = markdown_to_adf("```\n{value}\n```", {"value": value})
    [block] = doc["content"]
    assert block["type"] == "codeBlock"
    assert "".join(node["text"] for node in block["content"]) == shown(value)
    assert "attrs" not in block


@given(any_text | tricky)
def test_a_value_as_a_whole_link_leads_to_a_web_or_mail_address_or_nowhere(value: Any) -> None:
    doc = markdown_to_adf("[see]({url})", {"url": value})
    for node in nodes(doc):
        for mark in node.get("marks", []):
            href = mark["attrs"]["href"]
            assert href == value.strip()
            assert href.lower().startswith(("http://", "https://", "mailto:"))
    assert adf_to_text(doc) == "see"


@given(any_text | tricky)
def test_no_template_fails_or_makes_what_the_format_does_not_know(template: str) -> None:
    doc = markdown_to_adf(template.replace("{", "{{").replace("}", "}}"), {})
    assert {node["type"] for node in nodes(doc)} <= ALLOWED
    assert all(node["text"] for node in nodes(doc) if node["type"] == "text")
    json.dumps(doc).encode("ascii")


@given(any_text | tricky)
def test_plain_text_is_never_markup_and_reads_back_as_it_was(text: str) -> None:
    doc = text_to_adf(text)
    assert {node["type"] for node in nodes(doc)} <= {"doc", "paragraph", "text", "hardBreak"}
    assert all("marks" not in node for node in nodes(doc))
    words = shown(text).split()
    assert adf_to_text(doc).split() == words


def text(value: str, *marks: Any) -> dict[str, Any]:
    made = [mark if isinstance(mark, dict) else {"type": mark} for mark in marks]
    return {"type": "text", "text": value, **({"marks": made} if made else {})}


def para(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def item(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "listItem", "content": list(content)}


BREAK = {"type": "hardBreak"}
LINK = {"type": "link", "attrs": {"href": "https://acme.example"}}


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("one\n\ntwo", [para(text("one")), para(text("two"))]),
        ("one\ntwo", [para(text("one"), BREAK, text("two"))]),
        ("## Two", [{"type": "heading", "attrs": {"level": 2}, "content": [text("Two")]}]),
        (
            "**b** _i_ ~~s~~ `c`",
            [
                para(
                    text("b", "strong"),
                    text(" "),
                    text("i", "em"),
                    text(" "),
                    text("s", "strike"),
                    text(" "),
                    text("c", "code"),
                )
            ],
        ),
        ("***both***", [para(text("both", "em", "strong"))]),
        ("**`c`**", [para(text("c", "code"))]),
        ("[a **b**](https://acme.example)", [para(text("a ", LINK), text("b", LINK, "strong"))]),
        ("<https://acme.example>", [para(text("https://acme.example", LINK))]),
        ("[a](mailto:x@acme.example)", [para(text("a", {"type": "link", "attrs": {"href": "mailto:x@acme.example"}}))]),
        ("[a](javascript:alert(1))", [para(text("a"))]),
        ("[a](/wiki/x)", [para(text("a"))]),
        ("[a](data:text/html,x)", [para(text("a"))]),
        ("[a](https://[)", [para(text("a"))]),
        ("![a](https://acme.example)", [para(text("!"), text("a", LINK))]),
        ("<b>a</b>", [para(text("<b>a</b>"))]),
        ("<script>x</script>", [para(text("<script>x</script>"))]),
        ("- a\n- b", [{"type": "bulletList", "content": [item(para(text("a"))), item(para(text("b")))]}]),
        (
            "3. a\n   - b",
            [
                {
                    "type": "orderedList",
                    "attrs": {"order": 3},
                    "content": [
                        item(para(text("a")), {"type": "bulletList", "content": [item(para(text("b")))]}),
                    ],
                }
            ],
        ),
        ("- # h", [{"type": "bulletList", "content": [item(para(text("h")))]}]),
        ("- > q\n- ***", [{"type": "bulletList", "content": [item(para(text("q"))), item(para())]}]),
        (
            "- - a",
            [
                {
                    "type": "bulletList",
                    "content": [item(para(), {"type": "bulletList", "content": [item(para(text("a")))]})],
                }
            ],
        ),
        ("> a\n> > b", [{"type": "blockquote", "content": [para(text("a")), para(text("b"))]}]),
        (
            "```python\nx = 1\n```",
            [{"type": "codeBlock", "content": [text("x = 1")], "attrs": {"language": "python"}}],
        ),
        ("```\n```", [{"type": "codeBlock", "content": []}]),
        ("---", [{"type": "rule"}]),
        (
            "| a | b |\n|---|---|\n| 1 | **2** |",
            [
                {
                    "type": "table",
                    "content": [
                        {
                            "type": "tableRow",
                            "content": [
                                {"type": "tableHeader", "content": [para(text("a"))]},
                                {"type": "tableHeader", "content": [para(text("b"))]},
                            ],
                        },
                        {
                            "type": "tableRow",
                            "content": [
                                {"type": "tableCell", "content": [para(text("1"))]},
                                {"type": "tableCell", "content": [para(text("2", "strong"))]},
                            ],
                        },
                    ],
                }
            ],
        ),
        ("> | a | b |\n> |---|---|\n", [{"type": "blockquote", "content": [para(text("a"), text(" | "), text("b"))]}]),
        ("", []),
    ],
)
def test_markdown_becomes_the_documents_own_nodes(markdown: str, expected: Any) -> None:
    assert markdown_to_adf(markdown, {}) == {"type": "doc", "version": 1, "content": expected}


def test_values_that_are_no_text_are_shown_as_people_read_them() -> None:
    doc = markdown_to_adf("{a} {b} {c} {d}", {"a": 3, "b": None, "c": True, "d": ["x"]})
    assert adf_to_text(doc) == '3  true ["x"]'


def test_a_part_of_a_link_is_encoded_so_that_it_cannot_lead_elsewhere() -> None:
    doc = markdown_to_adf("[x](https://acme.example/browse/{key})", {"key": "../evil?a=b#c @x"})
    [mark] = doc["content"][0]["content"][0]["marks"]
    assert mark["attrs"]["href"] == "https://acme.example/browse/..%2Fevil%3Fa%3Db%23c%20%40x"


def test_a_missing_or_superfluous_value_is_told() -> None:
    with pytest.raises(ValueError, match=r"the place \{chnage\} has no value; did you mean 'change'"):
        markdown_to_adf("{chnage}", {"change": 1})
    with pytest.raises(ValueError, match=r"the template has no place \{b\}"):
        markdown_to_adf("{a}", {"a": 1, "b": 2})


def test_formatted_text_is_taken_as_it_is_and_plain_text_stays_plain() -> None:
    formatted = Formatted(markdown_to_adf("**b**", {}))
    assert to_adf(formatted)["content"] == [para(text("b", "strong"))]
    assert to_adf("**b**")["content"] == [para(text("**b**"))]


@pytest.mark.parametrize("doc", [None, 7, "text", [], {}, {"content": 3}, {"content": [None, 7]}, {"type": "text"}])
def test_what_is_no_document_is_no_text(doc: Any) -> None:
    assert not adf_to_text(doc)


def test_a_document_nested_beyond_reason_is_read_as_far_as_it_goes() -> None:
    deep: dict[str, Any] = {"type": "text", "text": "bottom"}
    for _ in range(10_000):
        deep = {"type": "blockquote", "content": [deep]}
    assert not adf_to_text(deep)


def test_a_document_is_shown_as_its_readers_see_it() -> None:
    doc = {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "attrs": {"level": 1}, "content": [text("Title")]},
            para(text("Hi "), {"type": "mention", "attrs": {"id": "1", "text": "@Ines"}}, BREAK, text("bye")),
            {"type": "bulletList", "content": [item(para(text("a"))), item(para(text("b")))]},
            {"type": "orderedList", "content": [item(para(text("c")))]},
            {
                "type": "table",
                "content": [
                    {
                        "type": "tableRow",
                        "content": [
                            {"type": "tableCell", "content": [para(text("1"))]},
                            {"type": "tableCell", "content": [para(text("2"))]},
                        ],
                    }
                ],
            },
            {"type": "rule"},
            {"type": "codeBlock", "content": [text("x = 1\ny = 2")]},
        ],
    }
    assert adf_to_text(doc) == "Title\nHi @Ines\nbye\n- a\n- b\n1. c\n1 | 2\n---\nx = 1\ny = 2"
