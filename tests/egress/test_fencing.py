"""One attempt holds a delivery; one that lost it can write nothing but the answer to its own question."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n'
WORDS = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "once"}]}]}
COMMENT = ("POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS})


@pytest.fixture
def bench(make_bench: Make) -> Any:
    return make_bench(SCOPE, "context.jira.comment('OPS-1', 'once')\nreturn 'told'")


def test_a_delivery_that_is_held_is_given_to_nobody_else(bench: Any) -> None:
    delivery = bench.accept()
    bench.claim(delivery)
    answer = bench.client.post("/claim", json={"delivery": delivery, "worker": "other"})
    assert (answer.status_code, answer.json()["stop"]) == (409, "held")


def test_of_many_workers_that_claim_at_once_one_gets_it(make_bench: Make, database_url: str) -> None:
    bench = make_bench(SCOPE, "return None", database_url=database_url)
    delivery = bench.accept()
    envelope = {"delivery": delivery, "worker": "w"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bench.client.post("/claim", json=envelope).status_code, range(16)))
    assert sorted(answers) == [200] + [409] * 15
    assert bench.delivery(delivery).attempt == 1


@pytest.mark.parametrize("delivery", ["0" * 8 + "-0000-7000-8000-" + "0" * 12, "x", ""])
def test_a_delivery_that_is_not_there_cannot_be_claimed(bench: Any, delivery: str) -> None:
    assert bench.client.post("/claim", json={"delivery": delivery, "worker": "w"}).status_code in {400, 409}


def test_an_attempt_whose_lease_ran_out_can_do_nothing_once_another_took_over(bench: Any) -> None:
    delivery = bench.accept()
    old = bench.claim(delivery)
    bench.let_time_pass(delivery)
    new = bench.claim(delivery, "another worker")
    before = bench.entries(delivery)
    for answer in (
        bench.call(old, 1, *COMMENT),
        bench.call(old, 1, "GET", "/rest/api/3/issue/OPS-1"),
        bench.post("/log", old, text="I am still here"),
        bench.post("/renew", old),
        bench.post("/later", old, seconds=5),
        bench.post("/finish", old, ended="returned", result="mine", error=None),
    ):
        assert (answer.status_code, answer.json()["stop"]) == (409, "fenced")
    assert bench.entries(delivery) == before
    assert bench.wire.requests == []
    assert (new["attempt"], bench.delivery(delivery).state) == (2, "running")


def test_an_attempt_that_was_slow_but_not_replaced_still_holds(bench: Any) -> None:
    delivery = bench.accept()
    claim = bench.claim(delivery)
    bench.let_time_pass(delivery)
    assert bench.call(claim, 1, *COMMENT).json()["status"] == 201
    assert bench.post("/finish", claim, ended="returned", result=None, error=None).json() == {"state": "done"}


def overtaken(bench: Any, delivery: str) -> dict[str, Any]:
    """Have another worker take a delivery over while the site is at work on a comment of the first."""
    claim: dict[str, Any] = bench.claim(delivery)

    def play(request: httpx.Request) -> httpx.Response:
        response: httpx.Response = bench.wire.pass_on(request)
        bench.let_time_pass(delivery)
        bench.claim(delivery, "another worker")
        return response

    bench.wire.play(play, method="POST", path="/comment")
    answer = bench.call(claim, 1, *COMMENT)
    assert (answer.status_code, answer.json()["stop"]) == (409, "fenced")
    return claim


def test_the_answer_to_a_fenced_attempts_own_write_is_still_journalled(bench: Any) -> None:
    delivery = bench.accept()
    overtaken(bench, delivery)
    [outcome] = bench.entries(delivery, "step:outcome")
    assert (outcome["attempt"], outcome["late"], outcome["outcome"], outcome["status"]) == (1, True, "done", 201)


def test_an_attempt_after_a_late_outcome_is_given_that_answer_and_repeats_nothing(bench: Any) -> None:
    delivery = bench.accept()
    overtaken(bench, delivery)
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert (report.state, report.result) == ("done", "told"), report.reason
    assert bench.texts("OPS-1") == ["once"]


def test_a_late_outcome_is_not_written_once_another_attempt_has_sent_the_step_again(bench: Any) -> None:
    delivery = bench.accept()
    claim = bench.claim(delivery)

    def play(request: httpx.Request) -> httpx.Response:
        bench.let_time_pass(delivery)
        [report] = bench.finish(delivery)
        assert report.state == "done"
        response: httpx.Response = bench.wire.pass_on(request)
        return response

    bench.wire.play(play, method="POST", path="/OPS-1/comment")
    # The site executes the first request only after the second attempt has looked and found nothing: the known hole.
    bench.call(claim, 1, "POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS})
    assert bench.texts("OPS-1") == ["once", "once"]
    assert len(bench.entries(delivery, "step:outcome")) == 1
    assert len(bench.entries(delivery, "step:resent")) == 1


def test_an_attempt_that_is_overtaken_before_its_intent_sends_nothing(bench: Any) -> None:
    delivery = bench.accept()
    claim = bench.claim(delivery)

    def play(request: httpx.Request) -> httpx.Response:
        bench.let_time_pass(delivery)
        bench.claim(delivery, "another worker")
        response: httpx.Response = bench.wire.pass_on(request)
        return response

    bench.wire.play(play, method="GET", path="/issue/OPS-1")
    answer = bench.call(claim, 1, *COMMENT)
    assert (answer.status_code, answer.json()["stop"]) == (409, "fenced")
    assert bench.wire.writes == []
    assert bench.entries(delivery, "step:intent") == []


def test_the_intent_stands_in_the_journal_before_the_request_leaves(bench: Any) -> None:
    delivery = bench.accept()
    seen: list[list[dict[str, Any]]] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(bench.entries(delivery))
        response: httpx.Response = bench.wire.pass_on(request)
        return response

    bench.wire.play(play, method="POST", path="/comment")
    assert bench.attempt(delivery).state == "done"
    [at_that_moment] = seen
    intent = at_that_moment[-1]
    assert (intent["kind"], intent["step"], intent["target"]) == ("step:intent", 1, "OPS-1")
    assert (intent["account"], intent["verb"], intent["operation"]) == ("ops-bot", "jira.comment", "addComment")


def test_an_attempt_whose_time_is_up_sends_nothing_more(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[run]\ntimeout = '1s'", "return None")
    from bridge.egress.capability import grant

    delivery = bench.accept()
    claim = bench.claim(delivery)
    late = {**claim, "capability": grant(bench.settings.key(), delivery, 1, -5)}
    answer = bench.call(late, 1, *COMMENT)
    assert (answer.status_code, answer.json()["stop"]) == (409, "waiting")
    assert answer.json()["why"] == "the attempt's time is up"
    assert bench.wire.requests == []


def test_a_paused_rule_account_or_bridge_gives_out_nothing(bench: Any) -> None:
    from bridge.store import registers

    for what, name in (("rule", "rule"), ("account", "ops-bot"), ("all", "")):
        delivery = bench.accept()
        bench.store.commit(lambda c, what=what, name=name: registers.set_pause(c, what, name, "mia", "spring cleaning"))
        answer = bench.client.post("/claim", json={"delivery": delivery, "worker": "w"})
        assert answer.json()["stop"] == "paused"
        assert "is paused by mia" in answer.json()["why"]
        bench.store.commit(lambda c, what=what, name=name: registers.lift_pause(c, what, name, "mia", "done"))
        assert bench.attempt(delivery).state == "done"


def test_deliveries_of_one_order_key_run_one_after_another(make_bench: Make) -> None:
    bench = make_bench(SCOPE + '[order]\nkey = "k"', "return None")
    first, second, other = (bench.accept({"k": key}) for key in ("a", "a", "b"))
    claim = bench.claim(first)
    assert bench.client.post("/claim", json={"delivery": second, "worker": "w"}).json()["stop"] == "ordered"
    assert bench.attempt(other).state == "done"
    bench.post("/finish", claim, ended="returned", result=None, error=None)
    assert bench.attempt(second).state == "done"


def test_a_step_that_is_being_sent_again_cannot_be_sent_a_third_time_by_the_same_attempt(make_bench: Any) -> None:
    bench = make_bench("[scope.jira]\nOPS = ['comment']", "return None")
    delivery = bench.accept()
    comment = ("POST", "/rest/api/3/issue/OPS-1/comment", {"body": {"type": "doc", "version": 1, "content": []}})
    bench.fault("429", "addComment")
    assert bench.call(bench.claim(delivery), 1, *comment).status_code == 409
    bench.let_time_pass(delivery)
    claim = bench.claim(delivery)
    answers: list[int] = []

    def fork(request: Any) -> Any:
        # While the first request is under way, the handler asks for the same step from somewhere else.
        answers.append(bench.call(claim, 1, *comment).status_code)
        return bench.wire.pass_on(request)

    bench.wire.play(fork, method="POST", path="/comment")
    answers.append(bench.call(claim, 1, *comment).status_code)
    assert answers[0] != 200, "what became of the first is not known yet"
    assert bench.executed("addComment") == 1


def test_two_requests_for_a_step_that_was_not_sent_do_not_both_leave(make_bench: Any) -> None:
    bench = make_bench("[scope.jira]\nOPS = ['comment']", "return None")
    delivery = bench.accept()
    comment = ("POST", "/rest/api/3/issue/OPS-1/comment", {"body": {"type": "doc", "version": 1, "content": []}})
    bench.fault("429", "addComment")
    bench.call(bench.claim(delivery), 1, *comment)
    bench.let_time_pass(delivery)
    claim = bench.claim(delivery)
    answers: list[int] = []

    def fork(request: Any) -> Any:
        # The policy of the first request asks where the issue is; meanwhile the second one goes all the way.
        answers.append(bench.call(claim, 1, *comment).status_code)
        return bench.wire.pass_on(request)

    bench.wire.play(fork, method="GET", path="/issue/OPS-1")
    answers.append(bench.call(claim, 1, *comment).status_code)
    assert sorted(answers) == [200, 400]
    assert bench.executed("addComment") == 1
