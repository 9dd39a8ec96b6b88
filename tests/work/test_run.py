"""One attempt: whatever a handler does, egress learns how it ended and the worker lives on."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.errors import Stop
from bridge.rule.registry import Registry
from bridge.store import Store
from bridge.store.deliveries import Delivery, State, result_of
from bridge.work import run
from bridge.work.lease import Lease, Leases

Accept = Callable[..., str]
Find = Callable[[Store, str], Delivery]
Write = Callable[..., None]
Attempt = Callable[[str], str]
COMMENT = 'context.jira.comment("OPS-1", "hello")'


def _nobody(*_arguments: object) -> str:
    raise AssertionError("no process of its own was asked for")


@pytest.fixture
def leases() -> Leases:
    """The leases of this process."""
    return Leases()


@pytest.fixture
def attempt(client: httpx.Client, rules: Registry, leases: Leases) -> Attempt:
    """Make one attempt at a delivery; "not claimed" if it is not to be had."""

    def make(delivery: str) -> str:
        claim = run.claimed(client, delivery, "worker-1")
        if claim is None:
            return "not claimed"
        with leases.hold(client, claim) as lease:
            return run.carry_out(client, claim, rules, lease, _nobody)

    return make


@pytest.fixture
def end_of(egress: Any, attempt: Attempt, write_rule: Write, accept: Accept) -> Callable[..., dict[str, Any]]:
    """Run a handler of this body for a new delivery and return what egress was told of its end."""

    def end(body: str, payload: object = None, **manifest: str) -> dict[str, Any]:
        write_rule("some_rule", body, **manifest)
        attempt(accept(egress.store, "some_rule", payload))
        said: list[dict[str, Any]] = egress.bodies("/finish")
        assert len(said) == 1
        return said[0]

    return end


def test_what_a_handler_returns_is_the_result_of_its_delivery(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find
) -> None:
    write_rule("some_rule", f'{COMMENT}\nreturn {{"seen": event["what"], "by": event.rule}}')
    delivery = accept(egress.store, "some_rule", {"what": "this"})
    assert attempt(delivery) == "done"
    row = found(egress.store, delivery)
    assert row.state is State.DONE
    assert result_of(row) == {"seen": "this", "by": "some_rule"}
    assert [call["step"] for call in egress.bodies("/call")] == [1]
    assert egress.bodies("/claim") == [{"delivery": delivery, "worker": "worker-1"}]


def test_steps_are_run_where_a_rule_has_no_handler(
    egress: Any, attempt: Attempt, accept: Accept, write_rule: Write, rules_dir: Path
) -> None:
    step = '[[step]]\nverb = "jira.comment"\nissue = "OPS-1"\nbody = "hello"'
    write_rule("some_rule", "return None", more=step)
    (rules_dir / "some_rule.py").unlink()
    assert attempt(accept(egress.store, "some_rule")) == "done"
    assert len(egress.bodies("/call")) == 1


FAILURES = {
    "raises": ('raise ValueError("no such change")', "ValueError: no such change"),
    "exits": ('import sys\nsys.exit("enough")', "sys.exit"),
    "exits without a word": ("raise SystemExit", "sys.exit"),
    "is interrupted": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "raises beyond Exception": ('raise BaseException("odd")', "BaseException: odd"),
    "recurses for ever": ("def again():\n    return again()\nagain()", "RecursionError"),
    "returns a set": ("return {1, 2}", "JSON cannot hold"),
    "returns itself": ("result = []\nresult.append(result)\nreturn result", "JSON cannot hold"),
    "returns no number": ('return float("nan")', "JSON cannot hold"),
    "returns an object": ("return object()", "JSON cannot hold"),
    "raises what cannot be shown": (
        "class Odd(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Odd",
        "",
    ),
}


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_handler_that_fails_in_any_way_is_a_failed_handler(
    end_of: Callable[..., dict[str, Any]], failure: str
) -> None:
    body, said = FAILURES[failure]
    ended = end_of(body)
    assert ended["ended"] == "raised"
    assert said in ended["error"]
    assert len(ended["error"]) <= 500


def test_a_long_error_is_cut_and_put_on_one_line(end_of: Callable[..., dict[str, Any]]) -> None:
    ended = end_of('raise ValueError("line\\n" * 1000)')
    assert len(ended["error"]) <= 500
    assert "\n" not in ended["error"]


def test_a_payload_that_does_not_fit_is_unfit_and_names_its_fields(
    egress: Any, attempt: Attempt, accept: Accept, write_rule: Write, rules_dir: Path
) -> None:
    write_rule("some_rule", "return None")
    (rules_dir / "some_rule.py").write_text(
        "from marshmallow import fields\nimport bridge\n"
        "class Payload(bridge.Payload):\n    change = fields.Str(required=True)\n"
        "def handle(event, context):\n    return None\n"
    )
    attempt(accept(egress.store, "some_rule", {}))
    assert egress.bodies("/finish")[0]["ended"] == "unfit"
    assert "change" in egress.bodies("/finish")[0]["error"]


def test_a_payload_that_is_no_object_is_no_end_of_the_worker(end_of: Callable[..., dict[str, Any]]) -> None:
    assert end_of('return event["x"]', [1, 2])["ended"] in {"raised", "unfit"}


def test_a_handler_that_does_not_load_is_a_failed_handler(
    egress: Any, attempt: Attempt, accept: Accept, write_rule: Write, rules_dir: Path
) -> None:
    write_rule("some_rule", "return None")
    (rules_dir / "some_rule.py").write_text("1 / 0\ndef handle(event, context):\n    return None\n")
    attempt(accept(egress.store, "some_rule"))
    assert egress.bodies("/finish")[0]["ended"] == "raised"
    assert "ZeroDivisionError" in egress.bodies("/finish")[0]["error"]


def test_a_delivery_that_somebody_has_is_left_to_them(
    egress: Any, client: httpx.Client, attempt: Attempt, write_rule: Write, accept: Accept
) -> None:
    write_rule("some_rule", "return None")
    delivery = accept(egress.store, "some_rule")
    assert run.claimed(client, delivery, "worker-2") is not None
    assert attempt(delivery) == "not claimed"
    assert egress.bodies("/finish") == []


def test_an_id_that_egress_does_not_know_is_left_alone(egress: Any, attempt: Attempt, write_rule: Write) -> None:
    write_rule("some_rule", "return None")
    assert attempt("0190a1b2-0000-7000-8000-000000000000") == "not claimed"
    assert egress.bodies("/finish") == []


def test_a_rule_that_changed_before_the_claim_is_run_in_its_new_text(
    end_of: Callable[..., dict[str, Any]], write_rule: Write, rules: Registry
) -> None:
    write_rule("some_rule", "return 1")
    rules.current()
    assert end_of("return 2")["result"] == 2


def test_a_text_that_the_worker_does_not_have_is_handed_back(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find
) -> None:
    write_rule("some_rule", COMMENT)
    egress.digest = "sha256:another"
    delivery = accept(egress.store, "some_rule")
    assert attempt(delivery) == "waiting"
    assert egress.bodies("/finish")[0]["ended"] == "handed_back"
    assert egress.bodies("/call") == []
    assert found(egress.store, delivery).state is State.WAITING


def test_a_fenced_attempt_ends_without_a_word_and_sends_nothing_more(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, client: httpx.Client
) -> None:
    write_rule("some_rule", f"{COMMENT}\n{COMMENT}")
    delivery = accept(egress.store, "some_rule")
    egress.lease = 0.0

    def another_worker_takes_over(_call: dict[str, Any]) -> None:
        assert run.claimed(client, delivery, "worker-2") is not None

    egress.on_call = another_worker_takes_over
    assert attempt(delivery) == "fenced"
    assert egress.bodies("/finish") == []


SWALLOWED = f"""
try:
    {COMMENT}
except BaseException:
    pass
return "all is well"
"""


def test_an_attempt_whose_egress_was_lost_claims_no_success_even_if_its_handler_caught_everything(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find
) -> None:
    write_rule("some_rule", SWALLOWED)
    delivery = accept(egress.store, "some_rule")

    def cut(_call: dict[str, Any]) -> None:
        raise ConnectionResetError

    egress.on_call = cut
    assert attempt(delivery) == "lost"
    assert egress.bodies("/finish") == []
    assert found(egress.store, delivery).state is State.RUNNING


def test_an_egress_that_is_away_before_the_claim_is_told_apart_from_a_delivery_that_is_not_to_be_had(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept
) -> None:
    write_rule("some_rule", "return None")
    delivery = accept(egress.store, "some_rule")
    egress.away = True
    with pytest.raises(Stop) as stop:
        attempt(delivery)
    assert stop.value.state == "lost"


def test_a_handler_that_is_asked_to_stop_finishes_the_step_at_hand_and_hands_back(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find, leases: Leases
) -> None:
    write_rule("some_rule", f"{COMMENT}\n{SWALLOWED}")
    delivery = accept(egress.store, "some_rule")
    egress.on_call = lambda _call: leases.hand_back("the worker is stopping")
    assert attempt(delivery) == "waiting"
    assert len(egress.bodies("/call")) == 1
    assert egress.bodies("/finish")[0]["ended"] == "handed_back"
    assert found(egress.store, delivery).state is State.WAITING


def test_a_handler_that_is_asked_to_stop_during_its_last_call_is_run_again_and_recalls_it(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, leases: Leases
) -> None:
    write_rule("some_rule", f'{COMMENT}\nreturn "done anyway"')
    egress.on_call = lambda _call: leases.hand_back("the worker is stopping")
    attempt(accept(egress.store, "some_rule"))
    assert egress.bodies("/finish")[0]["ended"] == "handed_back"


def test_the_lease_is_renewed_while_a_call_is_under_way(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, until: Callable[..., None]
) -> None:
    write_rule("some_rule", COMMENT)
    egress.lease = 0.3
    egress.on_call = lambda _call: until(lambda: len(egress.bodies("/renew")) >= 4)
    assert attempt(accept(egress.store, "some_rule")) == "done"


def test_no_lease_is_renewed_after_its_attempt(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, leases: Leases, until: Callable[..., None]
) -> None:
    write_rule("some_rule", "return None")
    attempt(accept(egress.store, "some_rule"))
    assert len(leases) == 0
    until(lambda: all(thread.name != "leases" for thread in threading.enumerate()))
    assert egress.bodies("/renew") == []


def test_an_attempt_that_lost_its_lease_is_stopped_at_one_of_its_next_calls(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, client: httpx.Client
) -> None:
    goes_on = "import time\nwhile True:\n    context.log('still here')\n    time.sleep(0.05)\n"
    write_rule("some_rule", f"{COMMENT}\n{goes_on}", timeout="20s")
    delivery = accept(egress.store, "some_rule")
    egress.lease = 0.3

    def frozen_for_too_long(_call: dict[str, Any]) -> None:
        egress.store.commit(lambda connection: connection.exec_driver_sql("UPDATE deliveries SET lease_until = 0"))
        assert run.claimed(client, delivery, "worker-2") is not None

    egress.on_call = frozen_for_too_long
    # This egress takes every line of log, so only the renewal that was refused can have ended the loop.
    assert attempt(delivery) == "fenced"


def test_a_handler_that_takes_too_long_is_ended_through_egress_while_it_still_runs(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find, until: Callable[..., None]
) -> None:
    write_rule("some_rule", f"{COMMENT}\n{COMMENT}", timeout="1s")
    delivery = accept(egress.store, "some_rule")
    egress.on_call = lambda _call: until(lambda: found(egress.store, delivery).state is State.DEAD)
    assert attempt(delivery) == "timed out"
    assert egress.bodies("/finish")[0]["ended"] == "timed_out"
    assert "1 s" in egress.bodies("/finish")[0]["error"]
    assert len(egress.bodies("/call")) == 1


def test_a_time_limit_that_could_not_be_reported_is_reported_when_egress_is_back(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, found: Find, until: Callable[..., None]
) -> None:
    write_rule("some_rule", COMMENT, timeout="1s")
    delivery = accept(egress.store, "some_rule")

    def away_when_the_time_is_up(_call: dict[str, Any]) -> None:
        egress.away = True
        until(lambda: egress.bodies("/finish"))
        egress.away = False
        until(lambda: found(egress.store, delivery).state is State.DEAD)

    egress.on_call = away_when_the_time_is_up
    attempt(delivery)
    assert len(egress.bodies("/finish")) >= 2


def test_nothing_of_a_payload_stands_in_the_log(
    egress: Any, attempt: Attempt, write_rule: Write, accept: Accept, caplog: pytest.LogCaptureFixture
) -> None:
    write_rule("some_rule", 'raise ValueError(event["secret"])')
    with caplog.at_level("DEBUG", logger="bridge"):
        attempt(accept(egress.store, "some_rule", {"secret": "s3cret-of-the-payload"}))
    assert "run.ended" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_claim_survives_the_way_to_another_process(
    egress: Any, client: httpx.Client, write_rule: Write, accept: Accept
) -> None:
    from bridge.rule.door import Claim
    from bridge.work.isolated import written

    write_rule("some_rule", "return None")
    claim = run.claimed(client, accept(egress.store, "some_rule", {"a": [1, None, "ä\ud800"]}), "worker-1")
    assert claim is not None
    again = Claim.read(json.loads(written(claim)))
    assert written(again) == written(claim)
    assert again.event.received_at == claim.event.received_at
    assert dict(again.event) == dict(claim.event)


def test_an_order_given_before_anything_runs_is_passed_on_when_it_does(
    client: httpx.Client, egress: Any, write_rule: Write, accept: Accept
) -> None:
    from bridge.rule.door import Door

    write_rule("some_rule", "return None")
    claim = run.claimed(client, accept(egress.store, "some_rule"), "worker-1")
    assert claim is not None
    lease = Lease(claim, Door(client, claim))
    given: list[Stop] = []

    class _Attempt:
        def stop(self, stop: Stop) -> None:
            given.append(stop)

    lease.stop(Stop("handed back", "early"))
    lease.bind(_Attempt())
    lease.stop(Stop("timed out", "late"))
    assert [stop.why for stop in given] == ["early", "late"]
