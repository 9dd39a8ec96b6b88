"""Observe mode: real reads, policy and journal; of the writes only what would have been done."""

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
SCOPE = """
mode = "observe"
[scope.jira]
OPS = ["read", "comment", "transition", "edit", "assign", "create"]
[scope.confluence]
ENG = ["read", "create-page", "update-page", "comment", "label"]
"""


def observed(bench: Any, payload: Any = None) -> list[tuple[str, str]]:
    """Send a payload to a rule that must be done without a write; return verb and target of what it would have done."""
    report = bench.send(payload)
    assert report.state == "done", report.reason
    assert bench.wire.writes == []
    entries = bench.entries(report.delivery, "step:observed")
    assert all(entry["outcome"] == "observed" for entry in entries)
    return [(entry["verb"], entry["target"]) for entry in entries]


def test_writes_are_noted_and_not_made_while_reads_are_real(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE,
        """
        status = context.jira.issue("OPS-2", fields="status")["fields"]["status"]["name"]
        context.jira.comment("OPS-2", f"it was {status}")
        context.jira.transition("OPS-2", "In Progress")
        return status
        """,
    )
    assert observed(bench) == [("jira.comment", "OPS-2"), ("jira.transition", "OPS-2")]
    assert bench.executed("getIssue") > 0
    assert bench.site.find_issue("OPS-2").status == "To Do"


def test_the_scope_and_the_limits_refuse_in_observe_mode_what_they_refuse_otherwise(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('CHG-1', 'x')")
    report = bench.send()
    assert report.state == "dead"
    assert "does not grant comment in CHG" in report.reason


def test_a_target_that_is_not_there_is_noticed_in_observe_mode(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('OPS-404', 'x')")
    assert bench.send().state == "dead"


LATER_STEPS = {
    "comment": ("context.jira.comment(made, 'x')", "jira.comment"),
    "edit": ("context.jira.edit(made, add={'labels': 'x'})", "jira.edit"),
    "assign": ("context.jira.assign(made, None)", "jira.assign"),
    "transition": ("context.jira.transition(made, 'In Progress')", "jira.transition"),
    "parent": ("context.jira.create('OPS', 'Task', 'child', parent=made)", "jira.create"),
}


@pytest.mark.parametrize("then", LATER_STEPS)
def test_a_rule_goes_on_with_the_issue_it_would_have_created(make_bench: Make, then: str) -> None:
    call, verb = LATER_STEPS[then]
    bench = make_bench(SCOPE, f"made = context.jira.create('OPS', 'Task', 'x')['key']\n{call}\nreturn made")
    seen = observed(bench)
    assert seen[0] == ("jira.create", "OPS")
    assert [name for name, _ in seen] == ["jira.create", verb]


@pytest.mark.parametrize(
    ("call", "verb"),
    [
        ("context.confluence.label(made, 'x')", "confluence.label"),
        ("context.confluence.comment(made, 'x')", "confluence.comment"),
        ("context.confluence.create_page('ENG', 'child', 'x', parent=made)", "confluence.create-page"),
    ],
)
def test_a_rule_goes_on_with_the_page_it_would_have_created(make_bench: Make, call: str, verb: str) -> None:
    bench = make_bench(SCOPE, f"made = context.confluence.create_page('ENG', 'New', 'x')['id']\n{call}\nreturn made")
    assert [name for name, _ in observed(bench)] == ["confluence.create-page", verb]


def test_what_would_have_been_created_elsewhere_is_still_judged(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('HR-0', 'x')")
    report = bench.send()
    assert report.state == "dead"
    assert "does not grant comment in HR" in report.reason


def test_a_key_that_ends_in_zero_is_no_password_in_act_mode(make_bench: Make) -> None:
    bench = make_bench(SCOPE.replace('mode = "observe"', ""), "context.jira.comment('OPS-0', 'x')")
    report = bench.send()
    assert report.state == "dead"
    assert bench.texts("OPS-1") == []


def test_a_rule_that_is_set_to_act_makes_the_writes_of_later_deliveries(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('OPS-1', 'x')")
    observed(bench)
    bench.write(SCOPE.replace('mode = "observe"', ""))
    assert bench.send().state == "done"
    assert bench.texts("OPS-1") == ["x"]


def test_observed_steps_are_recalled_like_any_other(make_bench: Make, tmp_path: Any) -> None:
    bench = make_bench(
        SCOPE,
        """
        context.jira.comment("OPS-1", "x")
        from pathlib import Path
        if not Path(event["note"]).exists():
            Path(event["note"]).write_text("seen")
            raise RuntimeError("once")
        """,
    )
    delivery = bench.send({"note": str(tmp_path / "note")}).delivery
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert report.state == "done", report.reason
    assert len(bench.entries(delivery, "step:observed")) == 1


def test_a_delivery_that_observed_goes_on_observing_when_its_rule_begins_to_act(make_bench: Make) -> None:
    handle = """
    made = context.jira.create("OPS", "Task", "x")["key"]
    if not event["ready"]:
        raise RuntimeError("not yet")
    context.jira.comment("OPS-1", f"made {made}")
    """
    retry = "[retry]\nfailures = 3\n"
    bench = make_bench(SCOPE + retry, handle)
    report = bench.send({"ready": False})
    assert report.state == "waiting"
    bench.write(SCOPE.replace('"observe"', '"act"') + retry, handle.replace('not event["ready"]', "False"))
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).state == "done"
    assert bench.wire.writes == [], "OPS-0 does not exist, so nothing may be said of it"
