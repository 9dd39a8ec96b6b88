"""A handler's calls: what goes to egress, what comes back as what, and when the attempt is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bridge.errors import ActionFailed, ActionRefused, Fenced, HandlerFailed, Stop
from bridge.rule.context import Context
from bridge.rule.door import Claim, Door

if TYPE_CHECKING:
    from tests.rule.conftest import FarEnd

CLAIMED = {
    "delivery": "d-1",
    "attempt": 2,
    "capability": "cap-2",
    "rule": "example",
    "digest": "sha256:1",
    "isolation": "process",
    "timeout": 90,
    "lease": 10,
    "mode": "observe",
    "event": {
        "delivery": "d-1",
        "rule": "example",
        "received_at": "2026-11-03T09:15:00.250000+00:00",
        "payload": {"a": 1},
        "source": "other",
        "initiator": "712020:ines",
    },
}


def test_a_call_is_one_envelope_with_the_number_of_the_step(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((201, {"id": "1"}), (201, {"id": "2"}))
    assert context.jira.comment("OPS-1", "Hello", step="greeting") == {"id": "1"}
    context.jira.comment("OPS-1", "Bye")
    first, second = far_end.calls
    assert first == {
        "delivery": "01920000-0000-7000-8000-000000000001",
        "attempt": 1,
        "step": 1,
        "label": "greeting",
        "product": "jira",
        "method": "POST",
        "path": "/rest/api/3/issue/OPS-1/comment",
        "query": {},
        "body": {
            "body": {
                "type": "doc",
                "version": 1,
                "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Hello"}]}],
            }
        },
    }
    assert (second["step"], second["label"]) == (2, None)
    assert far_end.capabilities == ["Bearer cap-1", "Bearer cap-1"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(
            400, {"errorMessages": ["No."], "errors": {"summary": "Too long."}}, "No.; summary: Too long.", id="jira"
        ),
        pytest.param(404, {"errorMessages": [], "errors": {}}, "no explanation", id="jira, empty"),
        pytest.param(
            409,
            {"errors": [{"status": "409", "code": "CONFLICT", "title": "Version must be incremented", "detail": None}]},
            "Version must be incremented",
            id="confluence v2",
        ),
        pytest.param(
            400,
            {"errors": [{"status": 400, "code": "INVALID", "title": None, "detail": "why"}]},
            "INVALID: why",
            id="code",
        ),
        pytest.param(
            403,
            {"statusCode": 403, "message": "Not yours", "data": {"errors": []}},
            "Not yours",
            id="confluence v1",
        ),
        pytest.param(
            401,
            {"code": 401, "message": "Unauthorized; scope does not match"},
            "Unauthorized; scope does not match",
            id="gateway",
        ),
        pytest.param(400, {"errorMessage": "Not a request", "i18nErrorMessage": {}}, "Not a request", id="jsm"),
        pytest.param(404, "<html><body>Oops</body></html>", "no explanation", id="html"),
        pytest.param(404, "Plain\nwords\x00", "Plain words\ufffd", id="text"),
        pytest.param(413, None, "no explanation", id="nothing"),
        pytest.param(400, {"errors": ["one", {"x": 1}, None], "errorMessages": "text"}, "text; one", id="odd"),
        pytest.param(400, {"errorMessages": ["x" * 900]}, "x" * 497 + "...", id="long"),
    ],
)
def test_a_site_that_says_no_is_an_action_that_failed_in_its_own_words(
    far_end: FarEnd, context: Context, status: int, body: Any, said: str
) -> None:
    far_end.site_answers((status, body))
    with pytest.raises(ActionFailed) as caught:
        context.jira.comment("OPS-1", "Hello")
    error = caught.value
    assert (error.verb, error.target, error.status, error.detail) == ("comment", "OPS-1", status, said)
    assert str(error) == f"comment OPS-1: the site answered {status}: {said}"


def test_a_handler_may_catch_a_failed_action_and_go_on_with_the_next_step(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((404, None), (201, {"id": "2"}))
    with pytest.raises(ActionFailed):
        context.jira.comment("OPS-1", "Hello")
    assert context.jira.comment("OPS-2", "Hello") == {"id": "2"}
    assert [call["step"] for call in far_end.calls] == [1, 2]


def test_what_the_scope_forbids_is_an_action_that_was_refused_and_a_step(far_end: FarEnd, context: Context) -> None:
    far_end.will_answer((403, {"refused": "the scope grants no 'comment' in HR", "verb": "comment", "target": "HR-1"}))
    far_end.site_answers((201, {}))
    with pytest.raises(ActionRefused, match="the scope grants no 'comment' in HR") as caught:
        context.jira.comment("HR-1", "Hello")
    assert (caught.value.verb, caught.value.target) == ("comment", "HR-1")
    context.jira.comment("OPS-1", "Hello")
    assert [call["step"] for call in far_end.calls] == [1, 2]


@pytest.mark.parametrize("state", ["waiting", "parked"])
def test_an_attempt_that_is_over_stays_over_whatever_the_handler_catches(
    far_end: FarEnd, context: Context, state: str
) -> None:
    far_end.will_answer((409, {"stop": state, "why": "a person decides"}))
    calls: list[Callable[[], Any]] = [
        lambda: context.jira.comment("OPS-1", "x"),
        lambda: context.confluence.page("1"),
        lambda: context.log("x"),
        lambda: context.later(60),
        context.check,
    ]
    for call in calls:
        with pytest.raises(Stop) as caught:
            call()
        assert (caught.value.state, caught.value.why) == (state, "a person decides")
        assert not isinstance(caught.value, Exception)
    assert len(far_end.sent) == 1
    assert context.stopped is not None


def test_an_attempt_that_another_took_over_is_fenced(far_end: FarEnd, context: Context) -> None:
    far_end.will_answer((409, {"stop": "fenced", "why": "attempt 2 took over"}))
    with pytest.raises(Fenced, match="attempt 2 took over"):
        context.jira.issue("OPS-1")


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"detail": "x"}),
        (503, None),
        (401, {"detail": "capability"}),
        (404, None),
        (200, None),
        (200, b"not json"),
        (200, []),
        (200, {"body": 1}),
        (409, {"why": "x"}),
        (403, {}),
        (302, None),
    ],
)
def test_an_egress_that_answers_nonsense_is_lost_and_never_an_error_of_the_site(
    far_end: FarEnd, context: Context, answer: tuple[int, Any]
) -> None:
    far_end.will_answer(answer)
    with pytest.raises(Stop) as caught:
        context.jira.issue("OPS-1")
    assert caught.value.state == "lost"
    assert context.stopped is caught.value


def _refuse(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def _break(_: httpx.Request) -> httpx.Response:
    raise RuntimeError("egress itself broke, in this very process")


@pytest.mark.parametrize("fault", [_refuse, _break])
def test_an_egress_that_cannot_be_reached_is_lost(claim: Claim, fault: Any) -> None:
    with httpx.Client(transport=httpx.MockTransport(fault), base_url="http://egress") as client:
        context = Context(client, claim)
        with pytest.raises(Stop, match="egress cannot be reached"):
            context.jira.issue("OPS-1")


def test_a_call_that_json_cannot_hold_takes_no_step(far_end: FarEnd, context: Context) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (float("nan"), object(), loop, {1, 2}):
        with pytest.raises(HandlerFailed, match="edit OPS-1: the call holds what JSON cannot"):
            context.jira.edit("OPS-1", set={"customfield_1": value})
    far_end.site_answers((204, None))
    context.jira.edit("OPS-1", set={"customfield_1": 1})
    assert [call["step"] for call in far_end.calls] == [1]


def test_half_a_surrogate_pair_travels_as_it_came(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, {}))
    context.jira.request("GET", "/rest/api/3/search", {"q": "\ud800"})
    assert far_end.calls[0]["query"] == {"q": ["\ud800"]}


def test_a_call_that_egress_cannot_take_is_the_handlers_mistake(far_end: FarEnd, context: Context) -> None:
    far_end.will_answer((400, {"detail": "the path is no text"}))
    with pytest.raises(HandlerFailed, match="egress cannot take this call: the path is no text"):
        context.jira.request("GET", "/x")


def test_another_thread_cannot_use_the_context(far_end: FarEnd, context: Context) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        for call in (lambda: context.jira.issue("OPS-1"), lambda: context.log("x"), lambda: context.later(5)):
            try:
                call()
            except RuntimeError as error:
                caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 3
    assert "context was used from another thread than the handler's" in str(caught[0])
    assert far_end.sent == []


def test_an_attempt_can_be_ended_from_another_thread(far_end: FarEnd, context: Context) -> None:
    thread = threading.Thread(target=context.stop, args=(Stop("waiting", "the worker ends"),))
    thread.start()
    thread.join()
    with pytest.raises(Stop, match="the worker ends"):
        context.jira.issue("OPS-1")
    context.stop(Stop("lost", "later, and no longer of interest"))
    assert context.stopped is not None
    assert context.stopped.state == "waiting"
    assert far_end.sent == []


def test_a_line_on_the_timeline_is_no_step(far_end: FarEnd, context: Context) -> None:
    context.log("told OPS-1")
    context.log(["anything", 1])
    context.log("x" * 10_000)
    assert far_end.logged == ["told OPS-1", "['anything', 1]", "x" * 4000]
    assert far_end.calls == []


def test_later_ends_the_attempt(far_end: FarEnd, context: Context) -> None:
    far_end.will_answer((409, {"stop": "waiting", "why": "until 10:00, as the handler asked"}))
    with pytest.raises(Stop) as caught:
        context.later(60)
    assert caught.value.state == "waiting"
    assert far_end.sent[0][1]["seconds"] == 60


def test_later_after_a_write_is_the_handlers_mistake_and_does_not_end_the_attempt(
    far_end: FarEnd, context: Context
) -> None:
    far_end.will_answer((400, {"detail": "step 1 has written already"}))
    with pytest.raises(HandlerFailed, match="step 1 has written already"):
        context.later(60)
    assert context.stopped is None


@pytest.mark.parametrize("seconds", [0, -1, 31 * 24 * 3600, float("nan")])
def test_later_takes_a_time_of_some_use(far_end: FarEnd, context: Context, seconds: float) -> None:
    with pytest.raises(ValueError, match="between 1 second and 30 days"):
        context.later(seconds)
    assert far_end.sent == []


def test_markdown_makes_formatted_text_with_literal_values(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((201, {}))
    context.jira.comment("OPS-1", context.markdown("**{who}**", who="*Ines*"))
    assert far_end.calls[0]["body"]["body"]["content"] == [
        {"type": "paragraph", "content": [{"type": "text", "text": "*Ines*", "marks": [{"type": "strong"}]}]}
    ]


def test_a_delivery_is_claimed_with_everything_an_attempt_needs(far_end: FarEnd, client: httpx.Client) -> None:
    far_end.will_answer((200, CLAIMED))
    claim = Door.claim(client, "d-1", "worker-1")
    assert far_end.sent == [("/claim", {"delivery": "d-1", "worker": "worker-1"})]
    assert far_end.capabilities == [""]
    assert (claim.attempt, claim.rule, claim.digest, claim.isolation) == (2, "example", "sha256:1", "process")
    assert (claim.timeout, claim.lease, claim.mode) == (90, 10, "observe")
    assert claim.event["a"] == 1
    assert claim.event.initiator == "712020:ines"
    assert claim.event.received_at.isoformat() == "2026-11-03T09:15:00.250000+00:00"
    assert "cap-2" not in repr(claim)


def test_a_delivery_that_is_not_to_be_had_is_not_claimed(far_end: FarEnd, client: httpx.Client) -> None:
    far_end.will_answer((409, {"stop": "waiting", "why": "an earlier delivery of CHG-7 is not finished"}))
    with pytest.raises(Stop, match="an earlier delivery of CHG-7"):
        Door.claim(client, "d-1", "worker-1")


def test_the_lease_is_renewed_and_the_end_is_reported(far_end: FarEnd, client: httpx.Client) -> None:
    door = Door(client, Claim.read(CLAIMED))
    far_end.will_answer((204, None), (409, {"stop": "fenced", "why": "taken over"}), (200, {"state": "done"}))
    door.renew()
    with pytest.raises(Fenced):
        door.renew()
    assert door.finish("returned", result={"told": 2}) == "done"
    assert far_end.sent[-1] == (
        "/finish",
        {"delivery": "d-1", "attempt": 2, "ended": "returned", "result": {"told": 2}, "error": None},
    )
    assert far_end.capabilities == ["Bearer cap-2"] * 3
