"""Rules of steps: types, literal values, conditions, loops and failures, and errors that say where and what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import ActionFailed, PayloadInvalid, Stop
from bridge.rule import recipe
from bridge.rule.adf import adf_to_text
from bridge.rule.context import Context
from bridge.rule.event import Event
from bridge.rule.registry import Rule

if TYPE_CHECKING:
    from tests.rule.conftest import FarEnd

SCOPE = """
[scope.jira]
OPS = ["read", "search", "comment", "transition", "edit", "assign", "create"]
[scope.confluence]
ENG = ["read", "create-page", "update-page", "comment", "label"]
"""
Make = Callable[..., Rule]
Run = Callable[..., Any]


@pytest.fixture
def run(rule: Make, event: Callable[[Any], Event], context: Context) -> Run:
    """Run steps for a payload."""
    return lambda steps, payload=None: recipe.run(rule(SCOPE + steps), event(payload or {}), context)


def step(verb: str, **keys: Any) -> str:
    """Write a step as TOML; what JSON writes for text, numbers, lists and truth, TOML reads."""
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return "\n".join(["[[step]]", f'verb = "{verb}"', *lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def comments(far_end: FarEnd) -> list[str]:
    return [adf_to_text(call["body"]["body"]) for call in far_end.calls]


def wrong(run: Run, steps: str, payload: Any = None) -> str:
    with pytest.raises(PayloadInvalid) as caught:
        run(steps, payload)
    return str(caught.value)


def test_a_step_is_done_with_what_the_payload_says(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, {"id": "7"}))
    result = run(
        step("jira.comment", issue="{{ issue.key }}", body="**{{ change }}** was approved by {{ approver }}."),
        {"issue": {"key": "OPS-1"}, "change": "CHG-7", "approver": "*Ines* <b>"},
    )
    assert result == {"steps": [{"verb": "jira.comment", "done": 1, "skipped": 0, "failed": 0}]}
    assert far_end.calls[0]["path"] == "/rest/api/3/issue/OPS-1/comment"
    assert far_end.calls[0]["body"]["body"]["content"][0]["content"] == [
        {"type": "text", "text": "CHG-7", "marks": [{"type": "strong"}]},
        {"type": "text", "text": " was approved by *Ines* <b>."},
    ]


def test_a_step_is_done_for_each_item_of_a_list_that_meets_its_condition(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, {}), (201, {}))
    result = run(
        step(
            "jira.comment",
            each="{{ people }}",
            when="{{ item.age >= 18 }}",
            issue="{{ item.issue }}",
            body="Hello {{ item.name }}",
        ),
        {
            "people": [
                {"name": "Ines", "age": 41, "issue": "OPS-1"},
                {"name": "Bo", "age": 7, "issue": "OPS-2"},
                {"name": "Kim", "age": 18, "issue": 10003},
            ]
        },
    )
    assert result["steps"] == [{"verb": "jira.comment", "done": 2, "skipped": 1, "failed": 0}]
    assert comments(far_end) == ["Hello Ines", "Hello Kim"]
    assert far_end.calls[1]["path"] == "/rest/api/3/issue/10003/comment"


def test_a_lone_expression_keeps_its_type_and_the_rest_is_text(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((204, None))
    run(
        step(
            "jira.edit",
            issue="OPS-1",
            set={"customfield_1": "{{ points }}", "summary": "{{ points }} points", "labels": ["a", "{{ label }}"]},
            add={"components": "{{ components }}"},
        ),
        {"points": 3, "label": "b", "components": ["Mail", "Network"]},
    )
    assert far_end.calls[0]["body"] == {
        "fields": {"customfield_1": 3, "summary": "3 points", "labels": ["a", "b"]},
        "update": {"components": [{"add": {"name": "Mail"}}, {"add": {"name": "Network"}}]},
    }


def test_a_later_step_uses_the_result_of_an_earlier_one(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, {"id": "1", "key": "OPS-9"}), (201, {}))
    far_end.site_answers((200, {"issues": [{"key": "OPS-2"}, {"key": "OPS-3"}], "isLast": True}), (201, {}), (201, {}))
    run(
        step("jira.create", id="made", project="OPS", issue_type="Task", summary="Follow up {{ key }}")
        + step("jira.comment", issue="{{ key }}", body="See {{ made.key }}")
        + step("jira.search", id="found", jql="project = OPS AND text ~ {{ words }}")
        + step("jira.comment", each="{{ found }}", issue="{{ item.key }}", body="See {{ made.key }}"),
        {"key": "OPS-1", "words": 'a" OR project = HR'},
    )
    assert far_end.calls[2]["body"]["jql"] == 'project = OPS AND text ~ "a\\" OR project = HR"'
    assert [call["path"] for call in far_end.calls[3:]] == [
        "/rest/api/3/issue/OPS-2/comment",
        "/rest/api/3/issue/OPS-3/comment",
    ]


def test_the_event_and_the_whole_payload_have_names_of_their_own(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, {}))
    run(
        step(
            "jira.comment",
            issue="{{ event.issue.key }}",
            body="{{ payload['odd-name'] }} {{ event.issue.project }} {{ event.received_at }} {{ event.initiator }}",
        ),
        {"key": "OPS-1", "odd-name": "odd", "event": "hidden"},
    )
    assert comments(far_end) == ["odd OPS 2026-11-03T09:14:30+00:00"]


def test_every_verb_can_be_a_step(run: Run, far_end: FarEnd) -> None:
    issue = {"key": "OPS-1", "fields": {"status": {"name": "To Do"}}}
    page = {"id": "7", "title": "T", "version": {"number": 1}, "body": {}}
    far_end.site_answers((200, issue), (200, {"issues": []}), (201, {}))
    far_end.site_answers((200, issue), (200, {"transitions": [{"id": "5", "name": "Go", "to": {}}]}), (204, None))
    far_end.site_answers((204, None), (204, None), (204, None), (201, {"key": "OPS-2"}))
    far_end.site_answers((200, page), (200, {"results": [{"id": "1", "key": "ENG"}]}), (200, page))
    far_end.site_answers((200, page), (200, page), (200, {}), (200, {}))
    run(
        step("jira.read", issue="OPS-1", fields=["summary"])
        + step("jira.search", jql="project = OPS", fields="summary", limit=5)
        + step("jira.comment", issue="OPS-1", body="x")
        + step("jira.transition", issue="OPS-1", to="Go", fields={"resolution": "Done"})
        + step("jira.edit", issue="OPS-1", remove={"labels": "x"})
        + step("jira.assign", issue="OPS-1", account_id="712020:ines")
        + step("jira.assign", issue="OPS-1", account_id="{{ none }}")
        + step(
            "jira.create",
            project="OPS",
            issue_type="Task",
            summary="x",
            description="*x*",
            parent="OPS-1",
            fields={"labels": ["a"]},
        )
        + step("confluence.read", page="7")
        + step("confluence.create-page", space="ENG", title="T", body="x", parent="6")
        + step("confluence.update-page", page="7", append="x")
        + step("confluence.comment", page="7", body="x")
        + step("confluence.label", page="7", labels="a")
    )
    assert [f"{call['method']} {call['path']}" for call in far_end.calls] == [
        "GET /rest/api/3/issue/OPS-1",
        "POST /rest/api/3/search/jql",
        "POST /rest/api/3/issue/OPS-1/comment",
        "GET /rest/api/3/issue/OPS-1",
        "GET /rest/api/3/issue/OPS-1/transitions",
        "POST /rest/api/3/issue/OPS-1/transitions",
        "PUT /rest/api/3/issue/OPS-1",
        "PUT /rest/api/3/issue/OPS-1/assignee",
        "PUT /rest/api/3/issue/OPS-1/assignee",
        "POST /rest/api/3/issue",
        "GET /wiki/api/v2/pages/7",
        "GET /wiki/api/v2/spaces",
        "POST /wiki/api/v2/pages",
        "GET /wiki/api/v2/pages/7",
        "PUT /wiki/api/v2/pages/7",
        "POST /wiki/api/v2/footer-comments",
        "POST /wiki/rest/api/content/7/label",
    ]
    assert far_end.calls[8]["body"] == {"accountId": None}


@pytest.mark.parametrize(
    ("steps", "payload", "expected"),
    [
        pytest.param(
            step("jira.read", issue="OPS-1") + step("jira.comment", issue="OPS-1", body="Hello {{ chnage }}"),
            {"change": 1},
            "rules/example.toml: step 2 (jira.comment), body: {{ chnage }}: the payload has no field 'chnage'; did you "
            "mean 'change'?",
            id="a misspelt field",
        ),
        pytest.param(
            step("jira.comment", issue="{{ issue.key }}", body="x"),
            {"issue": {"id": 1}},
            "step 1 (jira.comment), issue: {{ issue.key }}: there is no field 'key'; known: 'id'",
            id="a field within a field",
        ),
        pytest.param(
            step("jira.comment", issue="{{ a }}", body="x"),
            {"a": ""},
            "step 1 (jira.comment), issue: issue must be text that is not empty, and it is empty",
            id="empty text",
        ),
        pytest.param(
            step("jira.comment", issue="{{ a }}", body="x"),
            {"a": ["OPS-1"]},
            "issue must be text that is not empty, and it is a list",
            id="a list for text",
        ),
        pytest.param(
            step("jira.comment", each="{{ a }}", issue="OPS-1", body="x"),
            {"a": "OPS-1,OPS-2"},
            "step 1 (jira.comment), each: {{ a }}: must be a list, and it is not",
            id="text for a list",
        ),
        pytest.param(
            step("jira.comment", each="{{ a }}", issue="OPS-1", body="x"),
            {"a": [1] * 1001},
            "each: {{ a }}: has 1001 items; the most is 1000",
            id="a list too long",
        ),
        pytest.param(
            step("jira.comment", when="{{ a }}", issue="OPS-1", body="x"),
            {"a": "false"},
            "when: {{ a }}: must be true or false; compare with something",
            id="text for a condition",
        ),
        pytest.param(
            step("jira.edit", issue="OPS-1", set="{{ a }}"),
            {"a": "x"},
            "set must be a table, and it is text",
            id="text for a table",
        ),
        pytest.param(
            step("jira.edit", issue="OPS-1", set={"labels": ["a"]}, add={"labels": "b"}),
            {},
            "labels stands in set and in add or remove",
            id="a field twice",
        ),
        pytest.param(
            step("confluence.update-page", page="7", title="{{ a }}"),
            {"a": None},
            "step 1 (confluence.update-page): an update needs one of title, body",
            id="an update of nothing",
        ),
        pytest.param(
            step("jira.search", jql="key in ({{ a }})"),
            {"a": []},
            "step 1 (jira.search), jql: a query cannot look for one of no values",
            id="an empty list in a query",
        ),
        pytest.param(
            step("jira.search", jql='summary ~ "{{ a }}"'),
            {"a": "x"},
            "jql: a place within quotes",
            id="a value within quotes",
        ),
        pytest.param(
            step("jira.search", jql="project = OPS", limit="{{ a }}"),
            {"a": 5000},
            "limit must be a whole number from 1 to 1000",
            id="a limit too high",
        ),
        pytest.param(
            step("confluence.label", page="7", labels="{{ a }}"),
            {"a": [1]},
            "labels must be text or a list of texts, and it is a list",
            id="numbers for labels",
        ),
        pytest.param(
            step("confluence.label", page="7", labels=["{{ a }}", " "]),
            {"a": "x"},
            "labels must be text or a list of texts",
            id="a blank label",
        ),
    ],
)
def test_what_does_not_fit_says_file_step_key_expression_and_the_nearest_name(
    run: Run, far_end: FarEnd, steps: str, payload: Any, expected: Any
) -> None:
    far_end.site_answers((200, {}))
    assert expected in wrong(run, steps, payload)
    assert len(far_end.calls) <= 1


def test_a_step_that_fails_ends_the_recipe_unless_it_may_go_on(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((404, None), (404, None), (201, {}))
    with pytest.raises(ActionFailed):
        run(step("jira.comment", issue="OPS-1", body="x") + step("jira.comment", issue="OPS-2", body="x"))
    assert len(far_end.calls) == 1
    result = run(
        step("jira.comment", issue="OPS-1", body="x", on_failure="continue", id="told")
        + step("jira.comment", issue="OPS-2", body="x{{ told }}", when="{{ told is none }}")
    )
    assert [each["failed"] for each in result["steps"]] == [1, 0]
    assert len(far_end.calls) == 3


def test_with_each_a_failure_that_may_be_ignored_does_not_keep_the_others_from_being_done(
    run: Run, far_end: FarEnd
) -> None:
    far_end.site_answers((201, {"id": "1"}), (404, None), (201, {"id": "3"}))
    far_end.will_answer((403, {"refused": "not in HR", "verb": "comment", "target": "HR-1"}))
    result = run(
        step("jira.comment", each="{{ keys }}", issue="{{ item }}", body="x", on_failure="continue"),
        {"keys": ["OPS-1", "OPS-2", "OPS-3", "HR-1"]},
    )
    assert result["steps"] == [{"verb": "jira.comment", "done": 2, "skipped": 0, "failed": 2}]


def test_an_attempt_that_is_over_is_over_for_a_recipe_too(run: Run, far_end: FarEnd) -> None:
    far_end.will_answer((409, {"stop": "waiting", "why": "the site asks to wait"}))
    with pytest.raises(Stop):
        run(step("jira.comment", issue="OPS-1", body="x", on_failure="continue"))


def test_what_was_only_observed_does_not_keep_later_steps_from_being_observed(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, None), (201, None), observed=True)
    run(
        step("jira.create", id="made", project="OPS", issue_type="Task", summary="x")
        + step("jira.comment", issue="OPS-1", body="See {{ made.key }}")
    )
    assert adf_to_text(far_end.calls[1]["body"]["body"]) == "See OPS-0"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_whatever_a_payload_holds_is_text_in_a_comment_and_one_literal_in_a_query(
    run: Run, far_end: FarEnd, value: Any
) -> None:
    far_end.sent.clear()
    far_end.site_answers((201, {}), (200, {"issues": []}))
    run(step("jira.comment", issue="OPS-1", body="_{{ v }}_") + step("jira.search", jql="text ~ {{ v }}"), {"v": value})
    comment, search = far_end.calls
    content = comment["body"]["body"]["content"]
    assert [node["type"] for node in content] == ["paragraph"]
    assert {mark["type"] for node in content[0]["content"] for mark in node.get("marks", [])} <= {"em"}
    literal = search["body"]["jql"].removeprefix("text ~ ")
    assert literal[0] == literal[-1] == '"'
    assert '"' not in literal[1:-1].replace("\\\\", "").replace('\\"', "")
