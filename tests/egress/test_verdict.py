"""How a delivery ends is read off the journal, not off what the handler let through."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.egress.attempts import EXCHANGE_SECONDS

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment", "transition"]\n'


@pytest.mark.parametrize("catching", ["Exception", "BaseException"])
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("context.jira.comment('CHG-1', 'x')", "step 1 (jira.comment CHG-1) was refused: the scope does not grant"),
        ("context.jira.comment('OPS-404', 'x')", "step 1 (jira.comment OPS-404) failed: the site does not show"),
        ("context.jira.issue('OPS-404')", "step 1 (jira.read OPS-404) failed: the site does not show"),
    ],
)
def test_a_swallowed_refusal_or_failure_ends_the_delivery_as_dead(
    make_bench: Make, call: str, reason: str, catching: str
) -> None:
    bench = make_bench(SCOPE, f"try:\n    {call}\nexcept {catching}:\n    pass\nreturn 'all is well'")
    report = bench.send()
    assert report.state == "dead"
    assert report.reason.startswith(reason)
    [entry] = bench.entries(report.delivery, "delivery:dead")
    assert entry["why"] == report.reason


def test_of_several_bad_steps_the_first_is_the_reason(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE,
        """
        for key in ("OPS-1", "CHG-1", "HR-1"):
            try:
                context.jira.comment(key, "x")
            except Exception:
                pass
        """,
    )
    report = bench.send()
    assert report.reason.startswith("step 2 (jira.comment CHG-1) was refused")
    assert bench.texts("OPS-1") == ["x"]


def test_steps_that_say_continue_go_on_after_a_failure_and_the_delivery_is_done(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE
        + """
        [[step]]
        verb  = "jira.comment"
        each  = "{{ keys }}"
        issue = "{{ item }}"
        body  = "hello"
        on_failure = "continue"
        """
    )
    report = bench.send({"keys": ["OPS-404", "CHG-1", "OPS-1"]})
    assert report.state == "done", report.reason
    assert report.result == {"steps": [{"verb": "jira.comment", "done": 1, "skipped": 0, "failed": 2}]}
    assert [entry["outcome"] for entry in report.entries if "outcome" in entry] == ["failed", "refused", "done"]


def test_steps_stop_at_a_failure_unless_told_otherwise(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE
        + """
        [[step]]
        verb  = "jira.comment"
        each  = "{{ keys }}"
        issue = "{{ item }}"
        body  = "hello"
        """
    )
    report = bench.send({"keys": ["OPS-404", "OPS-1"]})
    assert report.state == "dead"
    assert bench.texts("OPS-1") == []


@pytest.mark.parametrize("granted", ['["transition"]', '["read", "transition"]'])
@pytest.mark.parametrize("key", ["OPS-404", "CHG-1"])
def test_a_verb_that_reads_first_goes_on_as_well_when_that_read_fails(make_bench: Make, granted: str, key: str) -> None:
    bench = make_bench(
        f"""
        [scope.jira]
        OPS = {granted}
        [[step]]
        verb  = "jira.transition"
        issue = "{key}"
        to    = "Done"
        on_failure = "continue"
        """
    )
    report = bench.send()
    assert report.state == "done", report.reason
    assert report.result["steps"][0]["failed"] == 1


def test_a_handler_that_raises_after_a_refusal_is_dead_and_not_tried_again(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\nfailures = 5", "context.jira.comment('CHG-1', 'x')")
    report = bench.send()
    assert report.state == "dead", "trying again would be refused again"
    assert bench.delivery(report.delivery).failures == 0


def test_a_handler_that_raises_is_tried_again_with_longer_pauses_and_then_dead(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\nfailures = 3", "raise RuntimeError('no')")
    delivery = bench.accept()
    pauses = []
    for failures in (1, 2, 3):
        report = bench.attempt(delivery)
        assert bench.delivery(delivery).failures == failures
        pauses += [entry["delay"] for entry in report.entries if entry["kind"] == "delivery:waiting"][failures - 1 :]
        bench.let_time_pass(delivery)
    assert report.state == "dead"
    assert report.reason.endswith("(failure 3)")
    assert pauses == [5, 10]


def test_a_hand_back_and_a_crash_count_as_no_failure(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\nfailures = 1", "return None")
    delivery = bench.accept()
    claim = bench.claim(delivery)
    assert bench.post("/finish", claim, ended="handed_back", error="going down").json() == {"state": "waiting"}
    bench.claim(delivery)
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert report.state == "done"
    found = bench.delivery(delivery)
    assert (found.attempt, found.failures, found.crashes) == (3, 0, 1)


def test_what_kills_every_worker_that_takes_it_waits_longer_each_time(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "return None")
    delivery = bench.accept()
    for _ in range(3):
        bench.claim(delivery)
        bench.let_time_pass(delivery)
    answer = bench.client.post("/claim", json={"delivery": delivery, "worker": "w"})
    assert answer.json()["stop"] == "waiting"
    assert answer.json()["why"] == "attempt 3 gave no sign of life, like 2 before it"
    assert bench.delivery(delivery).state == "waiting"


def test_a_delivery_that_waited_longer_than_give_up_after_is_dead_and_says_what_it_waited_for(
    make_bench: Make,
) -> None:
    bench = make_bench(SCOPE + "[retry]\ngive_up_after = '1h'", "context.jira.comment('OPS-1', 'x')")
    bench.fault("429", "addComment")
    delivery = bench.send().delivery
    bench._set(delivery, since="2026-01-01T00:00:00.000000Z")
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert report.state == "dead"
    assert report.reason == "gave up after 3600 seconds; last: the site limits the rate (jira-burst-based)"
    assert bench.texts("OPS-1") == []


def test_a_rule_whose_files_are_being_exchanged_keeps_its_deliveries(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "return None")
    bench.write(SCOPE, "return None", name="other")
    waiting, running = bench.accept(), bench.accept()
    claim = bench.claim(running)
    _remove(bench, "rule")
    assert bench.call(claim, 1, "GET", "/rest/api/3/issue/OPS-1").json()["stop"] == "fenced"
    assert bench.client.post("/claim", json={"delivery": waiting, "worker": "w"}).json()["stop"] == "rules"
    bench.write(SCOPE, "return None")
    bench.let_time_pass(running)
    bench.let_time_pass(waiting)
    assert [bench.attempt(delivery).state for delivery in (waiting, running)] == ["done", "done"]


def test_a_removed_rule_ends_its_deliveries_as_dead(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "return None")
    bench.write(SCOPE, "return None", name="other")
    waiting, running = bench.accept(), bench.accept()
    claim = bench.claim(running)
    _remove(bench, "rule")
    bench.call(claim, 1, "GET", "/rest/api/3/issue/OPS-1")
    bench.client.post("/claim", json={"delivery": waiting, "worker": "w"})
    # The rule has been away for longer than an exchange of files takes.
    bench.egress.attempts._missing["rule"] -= EXCHANGE_SECONDS
    for delivery in (waiting, running):
        bench.let_time_pass(delivery)
        bench.client.post("/claim", json={"delivery": delivery, "worker": "w"})
        found = bench.delivery(delivery)
        assert (found.state, found.reason) == ("dead", "rule rule was removed")


def _remove(bench: Any, name: str) -> None:
    (bench.rules / f"{name}.toml").unlink()
    (bench.rules / f"{name}.py").unlink()


def test_a_dead_delivery_holds_or_lets_go_of_its_order_key_as_the_rule_says(make_bench: Make) -> None:
    for says, outcome in (("continue", "done"), ("hold", "queued")):
        bench = make_bench(
            SCOPE + f'[order]\nkey = "k"\non_dead = "{says}"', "event['go'] or context.jira.comment('CHG-1', 'x')"
        )
        assert bench.send({"k": 1, "go": False}).state == "dead"
        assert bench.send({"k": 1, "go": True}).state == outcome
        assert bench.send({"k": 2, "go": True}).state == "done"
