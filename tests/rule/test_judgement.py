"""What becomes of an authentic payload: queued, ignored or rejected, and under which keys."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rule import manifest
from bridge.rule.accept import LONGEST_KEY, Judgement, as_time, judge

NOW = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
OWN = frozenset({"712020:bot"})
HEAD = 'title = "x"\nowner = "x"\naccount = "x"\n'
PAYLOAD = {
    "change": "CHG-7",
    "approver": "Ines",
    "approvedAt": "2026-11-03T09:14:22.118+0000",
    "sentAt": "2026-11-03T09:14:55.0+0000",
    "initiator": "712020:ines",
    "incidents": [],
    "issue": {"fields": {"project": {"key": "OPS"}}},
}


def judged(accept: str, payload: Any, *, source: str = "jira-automation", now: datetime = NOW) -> Judgement:
    text = f'{HEAD}source = "{source}"\n{accept}'
    return judge(manifest.parse(text, "example"), payload, now, OWN)


def reject(accept: str, payload: Any) -> str:
    verdict = judged(accept, payload)
    assert verdict.verdict == "reject"
    return "; ".join(verdict.reasons)


def test_a_payload_that_fits_is_queued_with_its_keys_and_its_initiator() -> None:
    verdict = judged(
        '[accept]\nrequire = ["change", "incidents", "issue.fields.project.key"]\n'
        'idempotency_key = ["change", "approvedAt"]\ninitiator = "initiator"\n'
        'max_age = { field = "sentAt", seconds = 600 }\n[order]\nkey = "change"',
        PAYLOAD,
    )
    assert verdict == Judgement("queue", (), '["CHG-7","2026-11-03T09:14:22.118+0000"]', '["CHG-7"]', "712020:ines")


def test_a_rule_that_asks_for_nothing_takes_any_object() -> None:
    assert judged("", {}) == Judgement("queue")


@pytest.mark.parametrize("payload", [[], "text", 7, None, True])
def test_a_body_that_is_no_object_is_rejected(payload: Any) -> None:
    assert reject("", payload) == "the body must be a JSON object"


def test_every_missing_field_is_named_with_the_nearest_one() -> None:
    reasons = judged('[accept]\nrequire = ["chnage", "issue.fields.project.name", "approver"]', PAYLOAD).reasons
    assert reasons == (
        "'chnage' is missing: the payload has no field 'chnage'; did you mean 'change'?",
        "'issue.fields.project.name' is missing: 'issue.fields.project' has no field 'name'; known: 'key'",
    )


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_required_field_that_an_unset_smart_value_left_blank_is_missing(value: Any) -> None:
    assert "'change' is required and is empty" in reject('[accept]\nrequire = ["change"]', {"change": value})


def test_a_required_list_may_be_empty() -> None:
    assert judged('[accept]\nrequire = ["incidents"]', PAYLOAD).verdict == "queue"


@pytest.mark.parametrize("value", [None, "", " ", [], {}])
def test_an_idempotency_key_that_says_nothing_is_rejected(value: Any) -> None:
    accept = '[accept]\nidempotency_key = ["change"]'
    assert "'change' is empty, and accept.idempotency_key names it" in reject(accept, {"change": value})


def test_an_idempotency_key_that_is_missing_is_rejected_and_gives_no_identity() -> None:
    verdict = judged('[accept]\nidempotency_key = ["change", "at"]', {"change": "CHG-7"})
    assert (verdict.verdict, verdict.identity) == ("reject", None)
    assert "'at' is missing, and accept.idempotency_key names it" in verdict.reasons[0]


def test_an_order_key_that_is_missing_is_rejected_because_order_could_not_be_kept() -> None:
    assert "'change' is missing, and order.key names it" in reject('[order]\nkey = "change"', {"a": 1})


@pytest.mark.parametrize(
    ("left", "right"),
    [(7, 7.0), (-1, -1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1.0, {"x": 2.0}], [1, {"x": 2}])],
)
def test_equal_json_values_have_one_identity(left: Any, right: Any) -> None:
    accept = '[accept]\nidempotency_key = ["id"]'
    assert judged(accept, {"id": left}).identity == judged(accept, {"id": right}).identity


@pytest.mark.parametrize(("left", "right"), [(7, "7"), (True, 1), (0, False), (1.5, 1), ("a", ["a"])])
def test_different_json_values_have_different_identities(left: Any, right: Any) -> None:
    accept = '[accept]\nidempotency_key = ["id"]'
    assert judged(accept, {"id": left}).identity != judged(accept, {"id": right}).identity


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_beyond_all_bounds_is_no_identity(value: float) -> None:
    assert "no finite number" in reject('[accept]\nidempotency_key = ["id"]', {"id": value})


def test_a_value_nested_beyond_reason_is_no_identity() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in reject('[accept]\nidempotency_key = ["id"]', {"id": deep})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_identities_and_order_keys_are_short_ascii_whatever_the_payload_holds(value: Any) -> None:
    verdict = judged('[accept]\nidempotency_key = ["id"]\n[order]\nkey = "id"', {"id": value})
    for key in (verdict.identity, verdict.order_key):
        if key is None:
            assert verdict.verdict == "reject"
            continue
        assert key.isascii()
        assert key.isprintable()
        assert len(key) <= LONGEST_KEY
        assert isinstance(json.loads(key), list | dict)


def test_a_long_identity_becomes_a_digest_that_no_payload_can_imitate() -> None:
    accept = '[accept]\nidempotency_key = ["id"]'
    long = judged(accept, {"id": "x" * 1000}).identity
    assert long is not None
    assert list(json.loads(long)) == ["sha256"]
    assert judged(accept, {"id": json.loads(long)}).identity != long


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-11-03T09:05:01.000+0000", None),
        ("2026-11-03T10:14:00+01:00", None),
        (1793697000000, None),
        ("1793697000", None),
        ("2026-11-03T09:04:59.999+0000", "more than 600 seconds old"),
        ("2026-11-03T09:26:00Z", "more than 600 seconds in the future"),
        ("2026-11-03T09:15:00", "no time with an offset"),
        ("yesterday", "no time with an offset"),
        (True, "no time with an offset"),
        (10**30, "no time with an offset"),
        (float("nan"), "no time with an offset"),
        (None, "no time with an offset"),
        ([], "no time with an offset"),
    ],
)
def test_the_age_a_payload_states_is_checked(sent: Any, expected: str | None) -> None:
    accept = '[accept]\nmax_age = { field = "sentAt", seconds = 600 }'
    verdict = judged(accept, {"sentAt": sent})
    assert verdict.verdict == ("reject" if expected else "queue"), verdict
    assert expected is None or expected in verdict.reasons[0]


def test_a_payload_without_its_time_is_rejected() -> None:
    accept = '[accept]\nmax_age = { field = "sentAt", seconds = 600 }'
    assert "'sentAt' is missing, and accept.max_age names it" in reject(accept, {})


@given(st.integers(315_532_800_000, 4_102_444_800_000), st.integers(-840, 840))
def test_times_are_read_as_automation_writes_them(milliseconds: int, minutes: int) -> None:
    aware = datetime.fromtimestamp(milliseconds / 1000, timezone(timedelta(minutes=minutes)))
    aware = aware.replace(microsecond=milliseconds % 1000 * 1000)
    text = aware.strftime("%Y-%m-%dT%H:%M:%S.") + f"{aware.microsecond // 1000:03d}" + aware.strftime("%z")
    assert as_time(text) == aware


@given(st.text() | st.floats() | st.integers())
def test_no_value_makes_the_reading_of_times_fail(value: Any) -> None:
    found = as_time(value)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize("initiator", ["712020:bot", {"accountId": "712020:bot", "displayName": "ops-bot"}])
def test_what_our_own_account_set_off_is_ignored_whatever_else_is_wrong(initiator: Any) -> None:
    accept = '[accept]\ninitiator = "by"\nrequire = ["gone"]\nidempotency_key = ["id"]'
    verdict = judged(accept, {"by": initiator, "id": 1})
    assert (verdict.verdict, verdict.initiator, verdict.identity) == ("ignore", "712020:bot", "[1]")


def test_jiras_own_webhooks_name_their_initiator_without_being_told_where() -> None:
    verdict = judged("", {"user": {"accountId": "712020:bot"}}, source="jira-webhook")
    assert verdict.verdict == "ignore"
    assert judged("", {"user": {"accountId": "712020:bot"}}).verdict == "queue"


@pytest.mark.parametrize("initiator", [None, "", 7, [], {"name": "x"}])
def test_an_initiator_that_is_not_told_is_nobody(initiator: Any) -> None:
    verdict = judged('[accept]\ninitiator = "by"', {"by": initiator})
    assert (verdict.verdict, verdict.initiator) == ("queue", None)


def test_a_path_reaches_into_lists_by_number() -> None:
    accept = '[accept]\nrequire = ["items.1.name", "items.9.name", "items.x"]'
    reasons = judged(accept, {"items": [{}, {"name": "b"}]}).reasons
    assert len(reasons) == 2
    assert "'items' has only 2 entries" in reasons[0]
    assert "'items' holds no fields" in reasons[1]


def test_a_reason_never_carries_what_the_payload_says() -> None:
    payload = {"id": "s3cr3t", "sentAt": "s3cr3t", "change": {"a": "s3cr3t"}}
    reasons = reject('[accept]\nrequire = ["id.x", "change.b"]\nmax_age = { field = "sentAt", seconds = 1 }', payload)
    assert "s3cr3t" not in reasons
