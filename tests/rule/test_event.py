"""The event a handler is given: payload, issue and page in every shape that sites send, steady time and chance."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rule.event import Event, FieldMissing, issue_of, page_of

AUTOMATION_ISSUE = {
    "self": "https://acme.example/rest/api/2/issue/10001",
    "id": 10001,
    "key": "OPS-1",
    "changelog": {"startAt": 0, "maxResults": 0, "total": 0, "histories": None},
    "fields": {"summary": "Outgoing mail is delayed", "project": {"id": 10000, "key": "OPS"}},
}
JIRA_WEBHOOK = {
    "timestamp": 1793697000000,
    "webhookEvent": "jira:issue_updated",
    "user": {"accountId": "712020:ines"},
    "issue": {"id": "10001", "key": "OPS-1", "fields": {"project": {"id": "10000", "key": "OPS"}}},
    "changelog": {"id": "10124", "items": []},
}


@pytest.mark.parametrize(
    ("payload", "key", "identifier", "project"),
    [
        pytest.param(AUTOMATION_ISSUE, "OPS-1", "10001", "OPS", id="automation format: the issue at the root"),
        pytest.param({"issue": AUTOMATION_ISSUE}, "OPS-1", "10001", "OPS", id="jira format: under issue"),
        pytest.param(JIRA_WEBHOOK, "OPS-1", "10001", "OPS", id="jira's own webhook"),
        pytest.param({"timestamp": 1, "issue": AUTOMATION_ISSUE, "user": {}}, "OPS-1", "10001", "OPS", id="legacy jsm"),
        pytest.param({"issue": "OPS-1"}, "OPS-1", None, "OPS", id="custom: a key"),
        pytest.param({"issue": "10001"}, None, "10001", None, id="custom: an id as text"),
        pytest.param({"issue": 10001}, None, "10001", None, id="custom: an id as a number"),
        pytest.param({"issueKey": "OPS-1"}, "OPS-1", None, "OPS", id="custom: issueKey"),
        pytest.param({"issue_key": "OPS-1"}, "OPS-1", None, "OPS", id="custom: issue_key"),
        pytest.param({"v": 1, "issue": {"id": "10001", "key": "OPS-1"}}, "OPS-1", "10001", "OPS", id="custom: object"),
        pytest.param({"key": "OPS-1", "summary": "x"}, "OPS-1", None, "OPS", id="custom: key at the root"),
        pytest.param({"issue": "OPS-1", "project": "CHG"}, "OPS-1", None, "CHG", id="custom: with a project"),
        pytest.param(
            {"issue": {"key": "OPS-1", "fields": {"project": {"key": "HR"}}}}, "OPS-1", None, "HR", id="moved meanwhile"
        ),
    ],
)
def test_the_issue_is_found_in_every_shape(
    event: Callable[[Any], Event], payload: Any, key: str | None, identifier: str | None, project: str | None
) -> None:
    issue = event(payload).issue
    assert (issue.key, issue.id, issue.project) == (key, identifier, project)
    assert str(issue) == (key or identifier)


@pytest.mark.parametrize(
    ("payload", "identifier", "title", "space"),
    [
        pytest.param(
            {"page": {"id": "131077", "title": "Reviews"}, "space": {"key": "ENG"}},
            "131077",
            "Reviews",
            "ENG",
            id="two",
        ),
        pytest.param(
            {"page_id": "131077", "page_title": "Reviews", "space_key": "ENG"}, "131077", "Reviews", "ENG", id="flat"
        ),
        pytest.param({"pageId": 131077, "spaceKey": "ENG"}, "131077", None, "ENG", id="camel case"),
        pytest.param({"page": "131077", "space": "ENG"}, "131077", None, "ENG", id="texts"),
        pytest.param({"page": 131077}, "131077", None, None, id="a number"),
        pytest.param(
            {"page": {"id": 131077, "title": "Reviews", "spaceKey": "ENG"}}, "131077", "Reviews", "ENG", id="webhook"
        ),
        pytest.param({"content": {"id": "131077", "space": {"key": "ENG"}}}, "131077", None, "ENG", id="content"),
    ],
)
def test_the_page_is_found_in_every_shape(
    event: Callable[[Any], Event], payload: Any, identifier: str, title: str | None, space: str | None
) -> None:
    page = event(payload).page
    assert (page.id, page.title, page.space) == (identifier, title, space)
    assert str(page) == identifier


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"issue": None},
        {"issue": "OPS-1/../HR-2"},
        {"issue": "OPS-1 "},
        {"issue": "OPS"},
        {"issue": "OPS-0"},
        {"issue": True},
        {"issue": -1},
        {"issue": 1.5},
        {"issue": []},
        {"issue": {"key": 7}},
        {"key": "a-key-of-its-own"},
        {"id": 10001},
        {"issue": "\u041ePS-1"},
    ],
)
def test_what_is_no_issue_is_not_taken_for_one(event: Callable[[Any], Event], payload: Any) -> None:
    with pytest.raises(FieldMissing, match="the payload names no issue"):
        _ = event(payload).issue


@pytest.mark.parametrize(
    "payload", [{}, {"page": None}, {"page": "../1"}, {"page": "1%2f2"}, {"page": {"title": "x"}}, {"page": True}]
)
def test_what_is_no_page_is_not_taken_for_one(event: Callable[[Any], Event], payload: Any) -> None:
    with pytest.raises(FieldMissing, match="the payload names no page"):
        _ = event(payload).page


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["issue", "key", "id", "fields", "project", "page", "space", "content", "title"]), inner
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_no_payload_makes_the_reading_of_issue_and_page_fail(payload: Any) -> None:
    issue, page = issue_of(payload), page_of(payload)
    assert issue is None or issue.ref
    assert page is None or page.ref.isdigit()


def test_a_missing_field_is_named_with_the_nearest_one(event: Callable[[Any], Event]) -> None:
    with pytest.raises(KeyError) as caught:
        _ = event({"change": 1, "approver": 2})["chnage"]
    assert str(caught.value) == "the payload has no field 'chnage'; did you mean 'change'?"


def test_an_event_is_a_mapping_of_its_payload(event: Callable[[Any], Event]) -> None:
    made = event({"change": "CHG-7", "approver": "Ines"})
    assert dict(made) == {"change": "CHG-7", "approver": "Ines"}
    assert made.get("nothing") is None
    assert "change" in made
    assert len(made) == 2
    assert (made.rule, made.initiator) == ("example", None)


def test_an_event_does_not_show_its_payload_in_a_traceback(event: Callable[[Any], Event]) -> None:
    assert "s3cr3t" not in repr(event({"a": "s3cr3t"}))


def test_received_at_is_a_moment_with_an_offset(event: Callable[[Any], Event]) -> None:
    assert event({}).received_at.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="offset"):
        Event({}, delivery="d", rule="r", received_at=datetime(2026, 11, 3))  # noqa: DTZ001 - the point of the test


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_uuids_are_steady_within_a_delivery_and_differ_between_names_and_deliveries(one: str, other: str) -> None:
    at = datetime.fromisoformat("2026-11-03T09:15:00+00:00")
    first = Event({}, delivery="a", rule="r", received_at=at)
    again = Event({"other": 1}, delivery="a", rule="r", received_at=at + timedelta(hours=1))
    second = Event({}, delivery="b", rule="r", received_at=at)
    assert first.uuid(one) == again.uuid(one)
    assert first.uuid(one) != second.uuid(one)
    assert (first.uuid(one) == first.uuid(other)) == (one == other)


def test_a_payload_that_was_loaded_keeps_the_issue_it_named(event: Callable[[Any], Event]) -> None:
    made = event(JIRA_WEBHOOK).with_payload({"timestamp": datetime.fromisoformat("2026-11-03T09:15:00+00:00")})
    assert made["timestamp"].year == 2026
    assert made.issue.key == "OPS-1"


def test_a_payload_of_a_hundred_thousand_fields_does_not_make_a_message_slow(event: Callable[[Any], Event]) -> None:
    made = event({f"field_{number}": 1 for number in range(100_000)})
    started = perf_counter()
    with pytest.raises(FieldMissing):
        _ = made["feild_1"]
    assert perf_counter() - started < 1


def test_an_id_of_absurd_length_is_no_id() -> None:
    assert issue_of({"issue": 10**5000}) is None
    assert page_of({"page": "1" * 5000}) is None
