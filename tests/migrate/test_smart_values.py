"""Smart values: whatever a text holds, Automation's rendering and the rule's expressions together give it back."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.migrate.body import begun, custom_data
from bridge.migrate.smart import CannotTravel, Values
from bridge.migrate.wiki import to_markdown
from bridge.rule import template

CHAINS = (
    "issue.summary",
    "issue.status.name",
    "triggerIssue.Follow-up When",
    "now",
    'issue.x.format("a")',
    "not.in",
    "issue",
)
# Automation's editor knows one kind of line end, and so do templates.
PLAIN = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="{}\r"), max_size=30) | st.sampled_from(
    ["a{%b", "a{#b", "a{ {b", "a%}b"]  # between letters, for two braces that meet by chance begin a smart value
)
TEXTS = st.lists(PLAIN | st.sampled_from([f"{{{{{chain}}}}}" for chain in CHAINS]), max_size=8).map("".join)
HELD = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def rendered(custom: str, held: str) -> str:
    """Fill the custom data in as Automation would, every smart value holding the same text."""

    def filled(place: re.Match[str]) -> str:
        encoded = place[1].endswith(".jsonEncode")
        return json.dumps(held)[1:-1] if encoded else "2026"

    return re.sub(r"\{\{(.*?)\}\}", filled, custom, flags=re.DOTALL)


@given(TEXTS, HELD)
def test_a_text_comes_out_at_the_other_end_as_automation_would_have_rendered_it(text: str, held: str) -> None:
    values = begun(with_issue=True)
    made = values.text(text)
    payload = json.loads(rendered(custom_data(list(values.carried.values())), held))
    given_back = template.parse(made).value({**payload, "payload": payload})
    expected = re.sub(r"\{\{(.*?)\}\}", lambda place: "2026" if place[1] == "now" else held, text)
    assert given_back == expected


@given(TEXTS)
def test_markdown_made_of_any_wiki_text_can_be_read_as_a_template(text: str) -> None:
    template.parse(Values().text(to_markdown(text).text))


def test_an_empty_smart_value_leaves_the_body_json() -> None:
    values = begun(with_issue=True)
    values.text("{{issue.duedate}}")
    assert json.loads(rendered(custom_data(list(values.carried.values())), ""))["issue"]["duedate"] == ""


def test_a_default_stays_behind_the_escaping() -> None:
    values = Values()
    values.text('{{issue.assignee.displayName|"nobody | here"}}')
    (carried,) = values.carried.values()
    assert carried.written == '"{{issue.assignee.displayName.jsonEncode|"nobody | here"}}"'


def test_more_of_a_created_work_item_than_its_key_cannot_travel() -> None:
    values = Values(created="created")
    assert values.text("{{createdIssue.key}} {{createdIssue}} {{createdIssue.id}}") == (
        "{{ created.key }} {{ created.key }} {{ created.id }}"
    )
    with pytest.raises(CannotTravel, match="key and id"):
        values.text("{{createdIssue.summary}}")


@pytest.mark.parametrize(
    ("wiki", "markdown"),
    [
        ("*bold* and _it_", "**bold** and *it*"),
        ("2*3*4 snake_case_name", r"2\*3\*4 snake\_case\_name"),
        ("h2. Head\ntext", "## Head\n\ntext"),
        ("* one\n* two\n** deep", "* one\n* two\n   * deep"),
        ("# one\n# two", "1. one\n1. two"),
        ("one\ntwo", "one\\\ntwo"),
        ("[here|https://example.com]", "[here](https://example.com)"),
        ("1. no list\n#tag", "1\\. no list\\\n#tag"),
        ("{code:java}\na*b\n{code}", "```java\na*b\n```"),
        ("----", "----"),
        ("a -gone- b", "a ~~gone~~ b"),
        ("<b> & `x`", r"\<b\> & \`x\`"),
    ],
)
def test_wiki_markup_becomes_markdown(wiki: str, markdown: str) -> None:
    assert to_markdown(wiki).text == markdown


def test_what_markdown_has_not_is_told() -> None:
    assert to_markdown("{color:red}x{color} [~accountid:5b10]").lost == (
        "colours, panels and quotes",
        "mentions, which become plain text and notify nobody",
    )
