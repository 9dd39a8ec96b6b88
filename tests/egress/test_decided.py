"""Steps that only a person could tell about: what is decided is what the next attempt goes on from."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.store import decisions
from bridge.store.decisions import Decision, Verdict
from bridge.store.deliveries import TransitionRefused

Make = Callable[..., Any]

SCOPE = '[scope.jira]\nOPS = ["addVote", "comment"]\n'
# An operation without verb leaves no mark; the comment after it tells whether the handler went on, and with what.
HANDLE = """
answer = context.jira.request('POST', '/rest/api/3/issue/OPS-1/votes')
context.jira.comment('OPS-1', f"voted: {answer and answer['key']}")
"""


@pytest.fixture
def parked(make_bench: Make) -> tuple[Any, str]:
    """Return a bench and a delivery of which nobody knows whether its first step was made."""
    bench = make_bench(SCOPE, HANDLE)
    bench.wire.answer(502, {}, method="POST", path="/votes")
    [report] = bench.finish(bench.accept())
    assert report.state == "parked"
    return bench, report.delivery


def _decide(bench: Any, delivery: str, verdict: Verdict, ref: str | None = None) -> int | None:
    decision = Decision(verdict, ref)
    return bench.store.commit(  # type: ignore[no-any-return]  # the bench is not typed for tests
        lambda connection: decisions.decide(connection, delivery, "mia", "looked at OPS-1", decision), key=delivery
    )


def test_a_step_that_a_person_saw_done_is_not_sent_again_and_the_handler_is_given_what_it_made(
    parked: tuple[Any, str],
) -> None:
    bench, delivery = parked
    assert _decide(bench, delivery, "done", "OPS-77") == 1
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.sent("addVote") == 1, "only the attempt that was not answered"
    assert bench.texts("OPS-1") == ["voted: OPS-77"]
    [entry] = bench.entries(delivery, "step:decided")
    said = {name: entry[name] for name in ("person", "why", "step", "verb", "outcome", "ref", "path")}
    assert said == {
        "person": "mia",
        "why": "looked at OPS-1",
        "step": 1,
        "verb": "addVote",
        "outcome": "done",
        "ref": "OPS-77",
        "path": "/rest/api/3/issue/OPS-1/votes",
    }
    assert [entry["person"] for entry in bench.entries(delivery, "delivery:decided")] == ["mia"]


def test_a_step_that_a_person_saw_not_done_is_sent_once_more(parked: tuple[Any, str]) -> None:
    bench, delivery = parked
    _decide(bench, delivery, "not-done")
    bench.wire.answer(204, None, method="POST", path="/votes")
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.sent("addVote") == 2
    kinds = [
        entry["kind"] for entry in bench.entries(delivery) if entry["kind"].startswith("step:") and entry["step"] == 1
    ]
    assert kinds == ["step:intent", "step:decided", "step:resent", "step:outcome"]


def test_a_step_that_is_skipped_is_not_sent_and_the_handler_goes_on(parked: tuple[Any, str]) -> None:
    bench, delivery = parked
    _decide(bench, delivery, "skipped")
    [report] = bench.finish(delivery)
    assert (report.state, bench.sent("addVote")) == ("done", 1)
    assert bench.texts("OPS-1") == ["voted: None"]


def test_a_delivery_taken_up_again_without_a_word_about_the_step_is_parked_as_before(parked: tuple[Any, str]) -> None:
    bench, delivery = parked
    assert _decide(bench, delivery, "again") is None
    [report] = bench.finish(delivery)
    assert (report.state, bench.sent("addVote")) == ("parked", 1)


def test_a_delivery_parked_longer_than_its_rule_would_try_still_goes_on_when_it_was_decided(
    parked: tuple[Any, str],
) -> None:
    bench, delivery = parked
    bench.write(f'{SCOPE}[retry]\ngive_up_after = "60s"', HANDLE)
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    bench._set(delivery, since=an_hour_ago, accepted_at=an_hour_ago)
    _decide(bench, delivery, "skipped")
    [report] = bench.finish(delivery)
    assert report.state == "done"


def test_what_is_not_parked_cannot_be_decided(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["comment"]', "context.jira.comment('OPS-1', 'x')")
    done = bench.send().delivery
    with pytest.raises(TransitionRefused, match="is done: only a parked one waits for a decision"):
        _decide(bench, done, "done")


def test_a_delivery_parked_because_its_rule_asks_for_something_else_has_no_step_to_decide(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["comment"]', "context.jira.comment('OPS-1', 'x')\nraise OSError")
    delivery = bench.send().delivery
    bench.write('[scope.jira]\nOPS = ["comment"]', "context.jira.comment('OPS-2', 'y')")
    bench.let_time_pass(delivery)
    assert bench.attempt(delivery).state == "parked"
    with pytest.raises(TransitionRefused, match="is in doubt, it was parked because: step 1 diverged"):
        _decide(bench, delivery, "done")
    bench.write('[scope.jira]\nOPS = ["comment"]', "context.jira.comment('OPS-1', 'x')")
    _decide(bench, delivery, "again")
    assert bench.attempt(delivery).state == "done"
    assert bench.texts("OPS-1") == ["x"]


def test_a_parked_delivery_can_be_replayed_from_the_start(parked: tuple[Any, str]) -> None:
    bench, delivery = parked
    bench.replay(delivery, from_start=True)
    bench.wire.answer(204, None, method="POST", path="/votes")
    [report] = bench.finish(delivery)
    assert report.state == "done"
