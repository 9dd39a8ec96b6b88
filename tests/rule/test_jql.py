"""Queries: no value can end its literal, whatever a payload holds."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rule import jql
from bridge.rule.event import IssueRef

any_text = st.text(st.characters(exclude_categories=()))


def read_literals(query: str) -> tuple[str, list[str]]:
    """Read a query as a site does: what stands outside of literals, and the value of each literal."""
    outside, values, position = "", [], 0
    while position < len(query):
        if query[position] not in "\"'":
            outside += query[position]
            position += 1
            continue
        quote, value = query[position], ""
        position += 1
        while query[position] != quote:
            if query[position] != "\\":
                value += query[position]
                position += 1
            elif query[position + 1] == "u":
                value += chr(int(query[position + 2 : position + 6], 16))
                position += 6
            else:
                value += query[position + 1]
                position += 2
        values.append(value)
        position += 1
    return outside, values


@given(any_text, any_text)
def test_no_value_can_end_its_literal_or_change_another(first: str, second: str) -> None:
    query = jql.fill("project = {project} AND summary ~ {words} ORDER BY created", {"project": first, "words": second})
    assert read_literals(query) == ("project =  AND summary ~  ORDER BY created", [first, second])


@given(any_text)
def test_a_literal_is_one_line_of_characters_that_a_site_can_read(value: Any) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", jql.literal(value))


@given(st.lists(any_text, min_size=1))
def test_a_list_is_as_many_literals_as_it_has_texts(values: Any) -> None:
    assert read_literals(jql.fill("key in ({keys})", {"keys": values})) == (
        f"key in ({', '.join([''] * len(values))})",
        values,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('a" OR project = HR OR summary ~ "', '"a\\" OR project = HR OR summary ~ \\""'),
        ("ends with \\", '"ends with \\\\"'),
        ("two\nlines", '"two\\u000alines"'),
        (7, "7"),
        (("OPS-1", 2), '"OPS-1", 2'),
        (frozenset({"b", "a"}), '"a", "b"'),
        (IssueRef("OPS-1", None, "OPS"), '"OPS-1"'),
        ("", '""'),
    ],
)
def test_values_are_written_as_literals(value: Any, expected: Any) -> None:
    assert jql.literal(value) == expected


@pytest.mark.parametrize("value", [[], (), None, True, 1.5, {}, [[1]], object()])
def test_what_a_query_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"query"):
        jql.literal(value)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ('summary ~ "{words}"', "a place within quotes"),
        ("summary ~ '{words}'", "a place within quotes"),
        ('summary ~ "about {words} today"', "a place within quotes"),
        ('a = \\"b" AND c = {words}', "a place within quotes"),
        ('c = {words} AND project = "OPS', "a quote that is not closed"),
        ("project = {project} AND c = {words}", "the place {project} has no value"),
        ("project = {words!r}", "a place holds a name and nothing else"),
        ("project = {words:>10}", "a place holds a name and nothing else"),
        ("project = {words.x}", "a place holds a name and nothing else"),
        ("project = {}", "a place holds a name and nothing else"),
        ("project = OPS", "the template has no place {words}"),
    ],
)
def test_a_template_that_could_be_misread_is_refused(template: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        jql.fill(template, {"words": "x"})


def test_quotes_and_braces_of_the_template_itself_stay() -> None:
    assert jql.fill('project = "OPS" AND labels = "{{x}}" AND key = {key}', {"key": "OPS-1"}) == (
        'project = "OPS" AND labels = "{x}" AND key = "OPS-1"'
    )
