"""What a hostile worker may send to egress: whatever it is, it gets a plain answer and makes nothing happen."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from bridge import catalogue

Make = Callable[..., Any]
READER = '[scope.jira]\nOPS = ["read", "search"]\n[scope.confluence]\nENG = ["read"]'
WRITER = '[scope.jira]\nOPS = ["read", "search", "comment", "edit"]'
WORDS = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x"}]}]}
COMMENT = ("POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS})


@pytest.fixture(scope="module")
def reader(make_shared_bench: Make) -> Any:
    """A bench whose rule may read and nothing else."""
    return make_shared_bench(READER, "return None")


@pytest.fixture
def bench(make_bench: Make) -> Any:
    """A bench whose rule may also comment and edit."""
    return make_bench(WRITER, "return None")


# ------------------------------------------------------------------------------------------------------- the steps


@pytest.mark.parametrize("step", [2, 3, 100, 2**31 - 1])
def test_a_step_that_is_not_the_next_one_is_turned_away_and_nothing_is_sent(bench: Any, step: int) -> None:
    claim = bench.claim(bench.accept())
    answer = bench.call(claim, step, *COMMENT)
    assert answer.status_code == 400
    assert answer.json() == {"detail": f"step {step} is out of order: the last one was 0"}
    assert bench.wire.requests == []
    assert bench.call(claim, 1, *COMMENT).json()["status"] == 201


@pytest.mark.parametrize("step", [0, -1, True, "1", 1.0, None, 2**31, [1], {}])
def test_a_step_number_that_is_none_is_turned_away(reader: Any, step: Any) -> None:
    claim = reader.claim(reader.accept())
    answer = reader.call(claim, step, "GET", "/rest/api/3/issue/OPS-1")
    assert (answer.status_code, answer.json()) == (400, {"detail": "step wants a number from 1"})


def test_a_step_behind_one_whose_fate_is_unknown_is_turned_away(bench: Any) -> None:
    delivery = bench.accept()
    bench.fault("reset-after", "addComment")
    assert bench.call(bench.claim(delivery), 1, *COMMENT).status_code == 409
    bench.let_time_pass(delivery)
    claim = bench.claim(delivery)
    answer = bench.call(claim, 2, "POST", "/rest/api/3/issue/OPS-2/comment", {"body": WORDS})
    assert answer.status_code == 400, "only the open step may be called while its outcome is not known"
    assert bench.texts("OPS-2") == []


def test_an_earlier_step_asked_for_again_is_answered_from_the_record(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    first = bench.call(claim, 1, *COMMENT).json()
    bench.call(claim, 2, "GET", "/rest/api/3/issue/OPS-1")
    again = bench.call(claim, 1, *COMMENT).json()
    assert again == {**first, "recalled": True}
    assert len(bench.wire.writes) == 1


def test_an_earlier_step_asked_for_with_something_else_parks_the_delivery(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    bench.call(claim, 1, *COMMENT)
    answer = bench.call(claim, 1, "POST", "/rest/api/3/issue/OPS-2/comment", {"body": WORDS})
    assert (answer.status_code, answer.json()["stop"]) == (409, "parked")
    assert len(bench.wire.writes) == 1


# ------------------------------------------------------------------------------------------------ the capability


def test_a_forged_capability_opens_nothing(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    prefix, deadline, mac = claim["capability"].split(".")
    forged = [
        "",
        "x",
        f"{prefix}.{deadline}.",
        f"{prefix}.{deadline}.{'0' * len(mac)}",
        f"{prefix}.{int(deadline) + 86400}.{mac}",
        f"cap2.{deadline}.{mac}",
        f"{prefix}.{deadline}.{mac}x",
        f"{prefix}.-1.{mac}",
    ]
    for capability in forged:
        for door, said in (
            ("/call", {"step": 1, "product": "jira", "method": "GET", "path": "/rest/api/3/issue/OPS-1"}),
            ("/renew", {}),
            ("/log", {"text": "x"}),
            ("/later", {"seconds": 1}),
            ("/finish", {"ended": "returned"}),
        ):
            answer = bench.post(door, {**claim, "capability": capability}, **said)
            assert (answer.status_code, answer.json()["stop"]) == (409, "fenced"), (capability, door)
    assert bench.wire.requests == []
    assert [entry["kind"] for entry in bench.entries(claim["delivery"])] == ["delivery:received", "attempt:begun"]
    assert bench.delivery(claim["delivery"]).state == "running"


def test_a_capability_in_letters_of_another_script_is_a_forged_one(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    said = {"delivery": claim["delivery"], "attempt": 1}
    for forged in ("cap1.\xb2.\xe9", claim["capability"] + "\xe9"):
        answer = Client(bench.egress).post("/renew", json=said, headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 409
        assert json.loads(answer.get_data())["stop"] == "fenced"


def test_the_capability_of_one_delivery_or_attempt_opens_no_other(bench: Any) -> None:
    mine, other = bench.claim(bench.accept()), bench.claim(bench.accept())
    for changes in ({"delivery": other["delivery"]}, {"attempt": 2}):
        answer = bench.call({**mine, **changes}, 1, *COMMENT)
        assert (answer.status_code, answer.json()["stop"]) == (409, "fenced")
        assert bench.post("/finish", {**mine, **changes}, ended="returned").json()["stop"] == "fenced"
    assert bench.wire.requests == []
    assert bench.delivery(other["delivery"]).state == "running"


def test_a_capability_ends_with_its_attempt(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    assert bench.post("/finish", claim, ended="returned", result=None, error=None).json() == {"state": "done"}
    for answer in (bench.call(claim, 1, *COMMENT), bench.post("/log", claim, text="x"), bench.post("/renew", claim)):
        assert (answer.status_code, answer.json()["stop"]) == (409, "fenced")
    assert bench.wire.requests == []


# ---------------------------------------------------------------------------------------------------- the envelopes


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"[]", b"null", b'"x"', b"{", b'{"delivery": NaN}', b"\xff", b"[" * 100_000, b"1" * 5000, b"{}"],
)
@pytest.mark.parametrize("door", ["/claim", "/renew", "/call", "/log", "/later", "/finish"])
def test_what_is_no_envelope_is_answered_400(reader: Any, door: str, raw: bytes) -> None:
    answer = reader.client.post(door, content=raw)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_an_envelope_larger_than_8_mib_is_not_read(reader: Any) -> None:
    answer = reader.client.post("/call", content=b" " * (8 * 1024 * 1024 + 1))
    assert answer.status_code == 400
    assert "8388608 bytes" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "door"), [("GET", "/claim"), ("POST", "/"), ("POST", "/call/"), ("PUT", "/call")])
def test_there_are_no_other_doors(reader: Any, method: str, door: str) -> None:
    assert reader.client.request(method, door, content=b"{}").status_code == 404


@pytest.mark.parametrize("seconds", [-1, "5", None, True, 30 * 86400 + 1, [], 1e999])
def test_later_takes_seconds_and_nothing_else(reader: Any, seconds: Any) -> None:
    claim = reader.claim(reader.accept())
    assert reader.post("/later", claim, seconds=seconds).status_code == 400
    assert reader.delivery(claim["delivery"]).state == "running"


@pytest.mark.parametrize("ended", ["done", "", None, 1, "dead"])
def test_a_worker_cannot_name_the_state_a_delivery_ends_in(reader: Any, ended: Any) -> None:
    claim = reader.claim(reader.accept())
    assert reader.post("/finish", claim, ended=ended, result=None, error=None).status_code == 400
    assert reader.delivery(claim["delivery"]).state == "running"


TEXTS = ["a\x00b", "a\ud800b", "a\x1b[2Jb"]
# Ingress lets no half of a surrogate pair in, but a handler can make one, as by cutting text that it decoded itself.
MADE = "text = ''.join(map(chr, event['letters']))\n"


@pytest.mark.parametrize("text", TEXTS)
def test_a_workers_name_of_any_letters_claims(make_bench: Make, database_url: str, text: str) -> None:
    bench = make_bench(WRITER, "return None", database_url=database_url)
    delivery = bench.accept()
    answer = bench.client.post("/claim", content=json.dumps({"delivery": delivery, "worker": text}))
    assert answer.status_code in {200, 400}, answer.text


@pytest.mark.parametrize("text", TEXTS)
def test_an_error_of_any_letters_ends_the_attempt_that_reports_it(
    make_bench: Make, database_url: str, text: str
) -> None:
    bench = make_bench(WRITER + "\n[retry]\nfailures = 1", MADE + "raise ValueError(text)", database_url=database_url)
    report = bench.send({"letters": [ord(letter) for letter in text]})
    assert report.state == "dead", "else the worker takes egress for lost, and the delivery is run again and again"
    assert "ValueError" in report.reason


@pytest.mark.parametrize("text", TEXTS)
def test_a_result_and_a_log_line_of_any_letters_are_kept(make_bench: Make, database_url: str, text: str) -> None:
    bench = make_bench(WRITER, MADE + "context.log(text)\nreturn text", database_url=database_url)
    report = bench.send({"letters": [ord(letter) for letter in text]})
    assert report.state == "done"
    assert report.result == text
    assert all(line.isprintable() for line in report.lines)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_any_letters_in_a_call_are_refused_or_sent_but_never_break_egress(
    make_bench: Make, database_url: str, text: str
) -> None:
    bench = make_bench(WRITER, "return None", database_url=database_url)
    for said in (
        {"path": text},
        {"path": f"/rest/api/3/issue/{text}"},
        {"method": text[:10]},
        {"product": text},
        {"label": text},
        {"query": {"expand": [text]}},
        {"query": {text: ["x"]}},
        {"body": {"body": WORDS, text: 1}},
        {"body": {"body": {**WORDS, "content": [{"type": "text", "text": text}]}}},
    ):
        asked = {"product": "jira", "method": COMMENT[0], "path": COMMENT[1], "query": {}, "body": COMMENT[2], **said}
        claim = bench.claim(bench.accept())
        answer = bench.post("/call", claim, step=1, label=asked.pop("label", None), **asked)
        assert answer.status_code in {200, 400, 403}, (said, answer.text)


@pytest.mark.parametrize("text", TEXTS)
def test_a_divergence_of_any_letters_parks(make_bench: Make, database_url: str, text: str) -> None:
    bench = make_bench(WRITER, "return None", database_url=database_url)
    claim = bench.claim(bench.accept())
    bench.call(claim, 1, *COMMENT)
    answer = bench.call(claim, 1, COMMENT[0], f"/{text}", COMMENT[2])
    assert (answer.status_code, answer.json().get("stop")) == (409, "parked"), answer.text


def test_a_number_that_is_infinite_is_turned_away_before_an_intent_is_written(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    headers = {"Authorization": f"Bearer {claim['capability']}"}
    raw = (
        f'{{"delivery": "{claim["delivery"]}", "attempt": 1, "step": 1, "product": "jira", "method": "PUT", '
        '"path": "/rest/api/3/issue/OPS-1", "query": {}, "body": {"fields": {"customfield_1": 1e999}}}'
    )
    assert bench.client.post("/call", content=raw, headers=headers).status_code == 400
    assert bench.entries(claim["delivery"], "step:intent") == [], "what was never going to be sent was not intended"


def test_a_query_that_cannot_be_sent_is_turned_away_before_an_intent_is_written(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    answer = bench.call(claim, 1, *COMMENT, query={"expand": ["\ud800"]})
    assert answer.status_code in {400, 403}
    assert bench.entries(claim["delivery"], "step:intent") == []


@pytest.mark.parametrize("depth", [200, 900, 950, 970, 985, 5000])
def test_a_body_nested_too_deeply_is_answered_and_breaks_nothing(bench: Any, depth: int) -> None:
    claim = bench.claim(bench.accept())
    headers = {"Authorization": f"Bearer {claim['capability']}"}
    nested = "[" * depth + "]" * depth
    raw = (
        f'{{"delivery": "{claim["delivery"]}", "attempt": 1, "step": 1, "product": "jira", "method": "PUT", '
        f'"path": "/rest/api/3/issue/OPS-1", "query": {{}}, "body": {{"fields": {{"customfield_1": {nested}}}}}}}'
    )
    assert bench.client.post("/call", content=raw, headers=headers).status_code in {200, 400, 403}


@pytest.mark.parametrize("fields", [None, 5, True, "summary", {"a": 1}, [None], [["x"]], [{"a": 1}]])
def test_a_search_with_fields_of_another_shape_is_answered(reader: Any, fields: Any) -> None:
    claim = reader.claim(reader.accept())
    body = {"jql": "project = OPS", "fields": fields}
    answer = reader.call(claim, 1, "POST", "/rest/api/3/search/jql", body)
    assert answer.status_code in {200, 400, 403}, answer.text


# --------------------------------------------------------------------------------------------------- at random

_names = st.sampled_from(
    ["fields", "update", "project", "parent", "key", "id", "body", "transition", "comment", "properties", "labels",
     "jql", "spaceId", "pageId", "version", "number", "title", "status", "name", "accountId", "maxResults", "expand"]
)  # fmt: skip
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["OPS-1", "HR-1", "OPS", "ENG", "131073", "current", "*all", "project = HR"]),
    st.text(max_size=8),
)
_bodies = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
_values = st.sampled_from(
    ["OPS-1", "HR-1", "OPS-99", "131074", "1", "OPS", "..", "%2f", "x", "bulk", "-", "\u0661", "\x00"]
)
_queries = st.dictionaries(
    st.sampled_from(["fields", "expand", "keys", "jql", "body-format", "_method", "startAt"]) | st.text(max_size=4),
    st.lists(st.sampled_from(["OPS", "*all", "ENG", "1"]) | st.text(max_size=4), max_size=2) | _leaves,
    max_size=2,
)
_likely = ("/issue", "/search", "/pages", "/spaces", "/comment", "/content")


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope's request: an operation of the catalogue with something in its places, or nothing of the kind."""
    operations = [each for each in catalogue.operations() if any(word in each.path for word in _likely)]
    operation = draw(st.sampled_from(operations))
    segments = [draw(_values) if part.startswith("{") else part for part in operation.path.split("/")]
    return {
        "product": draw(st.sampled_from([operation.site_product] * 8 + ["jira", "confluence", "x"])),
        "method": draw(st.sampled_from([operation.method] * 8 + ["GET", "POST", "DELETE"]) | st.text(max_size=5)),
        "path": draw(st.sampled_from(["/".join(segments)] * 8) | st.text(max_size=20)),
        "query": draw(_queries),
        "body": draw(st.none() | _bodies),
        "label": draw(st.none() | st.text(max_size=5) | _leaves),
        "step": draw(st.sampled_from([1] * 8 + [0, 2, 7]) | _leaves),
    }


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=_requests())
def test_no_envelope_breaks_egress_and_none_of_a_reading_rule_writes(reader: Any, said: dict[str, Any]) -> None:
    reader.wire.requests.clear()
    claim = reader.claim(reader.accept())
    answer = reader.post("/call", claim, **said)
    assert answer.status_code in {200, 400, 403, 409}, answer.text
    assert reader.wire.writes == []
    if answer.status_code == 403:
        [entry] = reader.entries(claim["delivery"], "step:refused")
        assert entry["why"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    door=st.sampled_from(["/claim", "/renew", "/log", "/later", "/finish"]),
    said=st.dictionaries(
        st.sampled_from(["delivery", "attempt", "worker", "text", "seconds", "ended", "result", "error"]),
        _bodies | st.sampled_from(["returned", "raised", "unfit", "handed_back", "timed_out"]),
        max_size=4,
    ),
)
def test_nothing_that_is_said_at_another_door_breaks_egress(reader: Any, door: str, said: dict[str, Any]) -> None:
    claim = reader.claim(reader.accept())
    headers = {"Authorization": f"Bearer {claim['capability']}"}
    envelope = {"delivery": claim["delivery"], "attempt": claim["attempt"], **said}
    answer = reader.client.post(door, content=json.dumps(envelope), headers=headers)
    assert answer.status_code in {200, 204, 400, 409}, answer.text
