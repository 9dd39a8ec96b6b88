"""What no rule can take over: listed with a reason that an administrator understands, and never a verb's own."""

import pytest

from bridge import catalogue
from bridge.catalogue.unavailable import by_type, parse, unavailable
from bridge.errors import SettingsInvalid
from bridge.rule.methods import METHODS

ENTRY = """
[[action]]
group = "Jira"
title = "Do it"
"""


def test_what_stays_in_the_automation_is_found_by_its_component_type() -> None:
    assert by_type()["codebarrel.action.log"].title == "Log action"
    assert "own audit log" in by_type()["codebarrel.action.log"].why


@pytest.mark.parametrize("title", ["Get survey", "Use Rovo agent", "Link work to focus area", "Create Assets object"])
def test_the_actions_people_ask_for_are_listed(title: str) -> None:
    assert title in {each.title for each in unavailable()}


def test_every_reason_is_one_sentence() -> None:
    for each in unavailable():
        assert each.why.count(". ") == 0, each.title


def test_no_action_is_both_listed_here_and_done_by_a_method() -> None:
    assert {each.title for each in unavailable()} & {method.title for method in METHODS.values()} == set()


def test_what_is_named_instead_can_be_granted() -> None:
    assert all(name in catalogue.verbs() for each in unavailable() for name in each.instead)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY, "why"),
        (ENTRY + 'why = "no sentence"', "sentence"),
        (ENTRY + 'why = "It is so."\ninstead = ["jira.fly"]', "no verb jira.fly"),
        (ENTRY + 'why = "It is so."\ntypes = ["a.b", "a.b"]', "stands twice"),
        ("action = [", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, said: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse(text, "unavailable.toml")
    assert said in str(caught.value)
