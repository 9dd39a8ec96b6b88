"""Recall: a further attempt is given the recorded answers, repeats nothing, and may not do something else instead."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment", "transition", "edit", "create"]\n'
RETRY = SCOPE + "[retry]\nfailures = 3\n"
# A file beside the rule stands for what differs from one attempt to the next: time, chance, another text of the rule.
FIRST = """
from pathlib import Path
note = Path(event["note"])
first = not note.exists()
note.write_text("seen")
"""


@pytest.fixture
def note(tmp_path: Any) -> dict[str, str]:
    """A payload that lets a handler tell its first attempt from the others."""
    return {"note": str(tmp_path / "note")}


def again(bench: Any, delivery: str) -> Any:
    """Make the next attempt at a delivery that waits."""
    bench.let_time_pass(delivery)
    return bench.attempt(delivery)


def test_a_second_attempt_is_given_the_recorded_answers_and_repeats_nothing(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
status = context.jira.issue("OPS-2", fields=["status"])["fields"]["status"]["name"]
if status == "To Do":
    context.jira.transition("OPS-2", "In Progress")
made = context.jira.comment("OPS-2", f"was {status}")
if first:
    raise RuntimeError("the worker stumbles")
return {"status": status, "comment": made["id"]}
""",
    )
    report = bench.send(note)
    assert report.state == "waiting"
    assert report.reason.startswith("RuntimeError: the worker stumbles")
    before = len(bench.wire.requests)
    report = again(bench, report.delivery)
    assert report.state == "done", report.reason
    assert report.result["status"] == "To Do", "the read is recalled too, though the issue is in progress by now"
    assert len(bench.wire.requests) == before
    assert bench.texts("OPS-2") == ["was To Do"]
    assert bench.executed("doTransition") == 1
    assert [entry["attempt"] for entry in bench.entries(report.delivery, "attempt:begun")] == [1, 2]
    assert len(bench.entries(report.delivery, "step:outcome")) == 2


def test_a_handler_that_leaves_the_path_it_took_is_parked_before_anything_is_sent(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
context.jira.comment("OPS-1" if first else "OPS-2", "hello")
if first:
    raise RuntimeError("the worker stumbles")
""",
    )
    report = again(bench, bench.send(note).delivery)
    assert report.state == "parked"
    assert report.reason == (
        "step 1 diverged: recorded POST /rest/api/3/issue/OPS-1/comment, now POST /rest/api/3/issue/OPS-2/comment"
    )
    assert len(bench.wire.writes) == 1
    [entry] = bench.entries(report.delivery, "delivery:parked")
    assert (entry["why"], entry["at_step"]) == (report.reason, 1)


def test_another_body_is_a_divergence(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST + "context.jira.comment('OPS-1', 'one' if first else 'two')\nif first: raise RuntimeError('x')",
    )
    report = again(bench, bench.send(note).delivery)
    assert report.state == "parked"
    assert "with another query or body than recorded; give it a step label if it may" in report.reason
    assert bench.texts("OPS-1") == ["one"]


def test_another_query_of_a_read_is_a_divergence(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + "context.jira.issue('OPS-1', fields='status' if first else 'summary')\nif first: raise RuntimeError('x')",
    )
    assert again(bench, bench.send(note).delivery).state == "parked"


def test_a_step_label_forgives_another_body(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
context.jira.comment("OPS-1", "at nine" if first else "at ten", step="closing note")
if first:
    raise RuntimeError("x")
""",
    )
    report = again(bench, bench.send(note).delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["at nine"]


def test_a_step_label_forgives_neither_another_target_nor_another_label(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
context.jira.comment("OPS-1", "x", step="opening" if first else "closing")
if first:
    raise RuntimeError("x")
""",
    )
    report = again(bench, bench.send(note).delivery)
    assert report.state == "parked"
    assert "/comment (opening), now POST /rest/api/3/issue/OPS-1/comment (closing)" in report.reason


def test_an_attempt_that_leaves_out_recorded_writes_is_not_done(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + "if first:\n    context.jira.comment('OPS-1', 'x')\n    raise RuntimeError('x')\nreturn 'nothing to do'",
    )
    report = again(bench, bench.send(note).delivery)
    assert report.state == "parked", "the handler went another way than the one whose writes are recorded"


def test_a_refused_step_is_refused_again_within_the_round_and_judged_afresh_after_a_replay(
    make_bench: Make, note: Any
) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
context.jira.comment("OPS-1", "first")
try:
    context.jira.comment("CHG-1", "second")
finally:
    if first:
        raise SystemExit
""",
    )
    delivery = bench.accept(note)
    claim = bench.claim(delivery)
    words = {"type": "doc", "version": 1, "content": []}
    assert bench.call(claim, 1, "POST", "/rest/api/3/issue/CHG-1/comment", {"body": words}).status_code == 403
    bench.write(SCOPE.replace("OPS =", 'CHG = ["comment"]\nOPS ='))
    recalled = bench.call(claim, 1, "POST", "/rest/api/3/issue/CHG-1/comment", {"body": words})
    assert recalled.status_code == 403, "what was decided in this round stays decided, whatever the scope says by now"
    assert len(bench.entries(delivery, "step:refused")) == 1


def test_a_replay_repeats_no_write_that_was_made_and_does_the_one_that_was_refused(make_bench: Make) -> None:
    handle = "context.jira.comment('OPS-1', 'first')\ncontext.jira.comment('CHG-1', 'second')\nreturn 'both'"
    bench = make_bench(RETRY, handle)
    report = bench.send()
    assert report.state == "dead"
    assert report.reason.startswith("step 2 (jira.comment CHG-1) was refused: the scope does not grant comment in CHG")
    bench.write('[scope.jira]\nOPS = ["comment"]\nCHG = ["comment"]')
    bench.replay(report.delivery)
    report = bench.attempt(report.delivery)
    assert (report.state, report.result) == ("done", "both")
    assert bench.texts("OPS-1") == ["first"]
    assert bench.texts("CHG-1") == ["second"]
    assert [entry["round"] for entry in bench.entries(report.delivery, "step:intent")] == [0, 1]


def test_a_replay_tries_again_what_the_site_had_refused(make_bench: Make) -> None:
    bench = make_bench(RETRY, "context.jira.comment('OPS-1', 'hello')")
    bench.site.grant("ops-bot", {"browse"}, project="OPS")
    report = bench.send()
    assert report.state == "dead"
    bench.site.grant("ops-bot", {"browse", "comment"}, project="OPS")
    bench.replay(report.delivery)
    assert bench.attempt(report.delivery).state == "done"
    assert bench.texts("OPS-1") == ["hello"]


def test_a_replay_that_goes_another_way_than_the_recorded_writes_is_parked(make_bench: Make) -> None:
    bench = make_bench(RETRY, "context.jira.comment('OPS-1', 'first')\ncontext.jira.comment('CHG-1', 'x')")
    report = bench.send()
    bench.write(RETRY, "context.jira.comment('OPS-2', 'first')")
    bench.replay(report.delivery)
    assert bench.attempt(report.delivery).state == "parked"
    assert bench.texts("OPS-2") == []


def test_a_replay_from_the_start_makes_the_writes_again_under_markers_of_their_own(make_bench: Make) -> None:
    bench = make_bench(RETRY, "context.jira.comment('OPS-1', 'first')\ncontext.jira.comment('CHG-1', 'x')")
    report = bench.send()
    bench.write(RETRY, "context.jira.comment('OPS-1', 'first')")
    bench.replay(report.delivery, from_start=True)
    assert bench.attempt(report.delivery).state == "done"
    assert bench.texts("OPS-1") == ["first", "first"]
    marks = [json.loads(sent.content)["properties"][0]["value"] for sent in bench.wire.writes]
    assert [(mark["delivery"], mark["run"], mark["step"]) for mark in marks] == [
        (report.delivery, 0, 1),
        (report.delivery, 1, 1),
    ]


def test_a_second_replay_judges_afresh_what_the_first_left_refused(make_bench: Make) -> None:
    bench = make_bench(RETRY, "context.jira.comment('CHG-1', 'x')")
    delivery = bench.send().delivery
    bench.replay(delivery)
    assert bench.attempt(delivery).state == "dead"
    bench.write('[scope.jira]\nCHG = ["comment"]')
    bench.replay(delivery)
    assert bench.attempt(delivery).state == "done"
    assert [entry["round"] for entry in bench.entries(delivery, "step:refused")] == [0, 1]
    assert bench.texts("CHG-1") == ["x"]


def test_what_was_not_sent_is_sent_as_it_was_judged_when_a_label_forgives_another_body(
    make_bench: Make, note: Any
) -> None:
    bench = make_bench(
        SCOPE + "[scope.limits]\nfields = ['labels', 'priority']",
        FIRST
        + "context.jira.edit('OPS-3', set={'priority': 'Low'} if first else {'labels': ['calm']}, step='calm down')",
    )
    bench.fault("429", "editIssue")
    report = bench.send(note)
    assert report.state == "waiting"
    bench.write(SCOPE + "[scope.limits]\nfields = ['labels']")
    again(bench, report.delivery)
    assert bench.site.find_issue("OPS-3").fields["priority"] == "3", "the scope does not list priority any more"


def test_reads_are_forgotten_when_the_handler_asks_to_come_back_later(make_bench: Make) -> None:
    bench = make_bench(
        RETRY,
        """
status = context.jira.issue("OPS-2", fields="status")["fields"]["status"]["name"]
if status != "In Progress":
    context.later(3600)
context.jira.comment("OPS-2", "it has begun")
return status
""",
    )
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "the handler asked for 3600 s")
    assert bench.attempt(report.delivery).state == "waiting", "it is not due yet"
    issue = bench.site.find_issue("OPS-2")
    issue.status = "In Progress"
    report = again(bench, report.delivery)
    assert (report.state, report.result) == ("done", "In Progress")


def test_later_is_refused_after_a_write(make_bench: Make) -> None:
    bench = make_bench(RETRY, "context.jira.comment('OPS-1', 'x')\ncontext.later(5)")
    report = bench.send()
    assert "before the first write" in report.reason
    assert len(bench.wire.writes) == 1


def test_a_refused_step_with_a_long_path_is_recalled_and_not_taken_for_another(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
try:
    context.jira.request("GET", "/rest/api/3/" + "x" * 3000)
except Exception:
    pass
if first:
    raise KeyboardInterrupt
""",
    )
    delivery = bench.accept(note)
    for _ in range(2):
        claim = bench.claim(delivery)
        answer = bench.call(claim, 1, "GET", "/rest/api/3/" + "x" * 3000)
        assert answer.status_code == 403, answer.text[:100]
        bench.let_time_pass(delivery)


def test_the_recorded_body_is_what_is_sent_again(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        SCOPE,
        FIRST + "context.jira.comment('OPS-1', 'at nine' if first else 'at ten', step='note')",
    )
    bench.fault("reset-before", "addComment")
    delivery = bench.accept(note)
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["at nine"]


def test_an_answer_that_was_removed_parks_instead_of_asking_again(make_bench: Make, note: Any) -> None:
    import sqlalchemy as sa

    from bridge.store.tables import answers

    bench = make_bench(RETRY, FIRST + "context.jira.comment('OPS-1', 'x')\nif first: raise RuntimeError('x')")
    report = bench.send(note)
    bench.store.commit(lambda connection: connection.execute(sa.delete(answers)))
    report = again(bench, report.delivery)
    assert report.state == "parked"
    assert "was removed" in report.reason
    assert bench.texts("OPS-1") == ["x"]


def test_a_rule_that_was_mended_to_read_less_is_done(make_bench: Make, note: Any) -> None:
    bench = make_bench(
        RETRY,
        FIRST
        + """
context.jira.issue("OPS-1")
if first:
    context.jira.issue("OPS-2")
    raise RuntimeError("x")
return "mended"
""",
    )
    assert again(bench, bench.send(note).delivery).state == "done"


def test_a_write_that_moved_to_an_earlier_step_is_not_made_twice_after_a_replay(make_bench: Make) -> None:
    scope = '[scope.jira]\nOPS = ["comment"]\n'
    both = """
    try:
        context.jira.comment("CHG-1", "not allowed")
    except Exception:
        pass
    context.jira.comment("OPS-1", "allowed")
    """
    bench = make_bench(scope, both)
    report = bench.send()
    assert report.state == "dead"
    bench.write(scope, 'context.jira.comment("OPS-1", "allowed")')
    bench.replay(report.delivery)
    assert bench.attempt(report.delivery).state == "parked"
    assert bench.texts("OPS-1") == ["allowed"]


def test_a_fallback_that_is_no_longer_needed_after_a_replay_does_not_park(make_bench: Make) -> None:
    handle = """
    try:
        context.jira.comment("CHG-1", "first choice")
    except Exception:
        context.jira.comment("OPS-1", "fallback")
    """
    bench = make_bench('[scope.jira]\nOPS = ["comment"]\n', handle)
    report = bench.send()
    assert report.state == "dead"
    bench.write('[scope.jira]\nOPS = ["comment"]\nCHG = ["comment"]\n', handle)
    bench.replay(report.delivery)
    assert bench.attempt(report.delivery).state == "done"
