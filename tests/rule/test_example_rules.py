"""The example rules, on their recorded payloads: accepted as they stand, and asking for nothing beyond their scope."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge import catalogue
from bridge.cli.demo import EXAMPLES, copy_examples
from bridge.errors import ActionRefused
from bridge.rule import handler
from bridge.rule.accept import judge
from bridge.rule.adf import adf_to_text
from bridge.rule.context import Context
from bridge.rule.event import Event
from bridge.rule.registry import AccountFacts, Rule, RuleSet, load

if TYPE_CHECKING:
    from tests.rule.conftest import FarEnd

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2] / "rules"
ACCOUNTS = {"ops-bot": AccountFacts("ops-bot", "acme", frozenset({"jira", "confluence"}))}
NOW = datetime(2026, 11, 2, 5, 1, tzinfo=UTC)
CASES = sorted(path for name in EXAMPLES for path in ROOT.glob(f"payloads/{name}/*.json"))


def issue(key: str, category: str, summary: str = "A change") -> dict[str, Any]:
    status = {"name": "Any", "statusCategory": {"key": category}}
    return {"key": key, "fields": {"summary": summary, "status": status}}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    """The rules that come with the bridge, without those an administrator has put beside them."""
    place = tmp_path_factory.mktemp("examples")
    copy_examples(ROOT, place)
    return load(place, ACCOUNTS)


@pytest.fixture
def run(examples: RuleSet, context: Context) -> Run:
    """Run an example rule on a recorded payload."""

    def start(name: str, case: str) -> Any:
        payload = json.loads((ROOT / "payloads" / name / f"{case}.json").read_text())
        event = Event(payload, delivery="d-1", rule=name, received_at=NOW)
        return handler.run(_rule(examples, name), event, context)

    return start


def _rule(examples: RuleSet, name: str) -> Rule:
    found = examples.get(name)
    assert found is not None
    return found


def needed(call: dict[str, Any]) -> str:
    """The verb that a scope must hold for a call, as egress will infer it."""
    match = catalogue.match(call["method"], call["path"])
    assert match is not None
    found = catalogue.infer(match, call["query"], call["body"])
    assert found.refusal is None
    return (found.verbs or found.alternatives)[0].full_name


def test_the_examples_have_neither_mistakes_nor_warnings(examples: RuleSet) -> None:
    assert sorted(examples.rules) == ["change_approved", "incident_follow_up", "page_published", "stale_page_review"]
    assert examples.warnings == ()


def test_every_example_has_recorded_payloads_in_the_folder_of_its_name(examples: RuleSet) -> None:
    assert {case.parent.name for case in CASES} == set(examples.rules)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_every_recorded_payload_is_queued_under_an_identity_of_its_own(examples: RuleSet, case: Path) -> None:
    verdict = judge(_rule(examples, case.parent.name).manifest, json.loads(case.read_text()), NOW, {"712020:bot"})
    assert (verdict.verdict, verdict.reasons) == ("queue", ())
    assert verdict.identity is not None


def test_recorded_payloads_differ_in_their_identities(examples: RuleSet) -> None:
    verdicts = [
        judge(_rule(examples, case.parent.name).manifest, json.loads(case.read_text()), NOW, ()) for case in CASES
    ]
    assert len({verdict.identity for verdict in verdicts}) == len(CASES)


def test_the_incidents_behind_an_approved_change_are_told_unless_they_are_closed(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((200, issue("CHG-1", "new", "Replace the switch")))
    far_end.site_answers((200, issue("OPS-1", "indeterminate")), (201, {"id": "1"}), (200, issue("OPS-2", "done")))
    assert run("change_approved", "approved") == {"told": ["OPS-1"]}
    assert [needed(call) for call in far_end.calls] == ["jira.read", "jira.read", "jira.comment", "jira.read"]
    assert adf_to_text(far_end.calls[2]["body"]["body"]) == "CHG-1 (Replace the switch) was approved by Ines Duarte."
    assert far_end.logged == ["OPS-2 is closed already", "told OPS-1"]


def test_nobody_is_told_of_a_change_that_was_carried_out_already(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((200, issue("CHG-1", "done")))
    assert run("change_approved", "approved") == {"told": []}
    assert len(far_end.calls) == 1


def test_a_change_without_incidents_is_no_mistake(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((200, issue("CHG-1", "new")))
    assert run("change_approved", "no_incidents") == {"told": []}
    assert far_end.logged == ["told nobody"]


@pytest.mark.parametrize("case", ["out_of_scope", "moved_issue"])
def test_an_incident_outside_the_scope_ends_the_handler(run: Run, far_end: FarEnd, case: str) -> None:
    far_end.site_answers((200, issue("CHG-1", "new")))
    far_end.will_answer((403, {"refused": "the scope grants no 'read' in HR", "verb": "read", "target": "HR-1"}))
    with pytest.raises(ActionRefused):
        run("change_approved", case)


def test_a_name_full_of_markup_is_a_name(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((200, issue("CHG-1", "new")), (200, issue("OPS-1", "new")), (201, {}))
    run("change_approved", "markup_in_a_name")
    [paragraph] = far_end.calls[2]["body"]["body"]["content"]
    assert adf_to_text(paragraph).endswith("approved by [Ines](https://evil.example) <b>Duarte</b> **the boss**.")
    assert [node["marks"] for node in paragraph["content"] if "marks" in node] == [[{"type": "strong"}]]


def test_a_page_is_labelled_and_commented_on_as_it_is_now(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers(
        (200, {"id": "131077", "title": "Reviews, new", "status": "current", "version": {"number": 3}})
    )
    far_end.site_answers((200, {"results": []}), (200, {"id": "1"}))
    assert run("page_published", "published") == {"labelled": True, "version": 3}
    assert [needed(call) for call in far_end.calls] == ["confluence.read", "confluence.label", "confluence.comment"]
    comment = json.loads(far_end.calls[2]["body"]["body"]["value"])
    assert adf_to_text(comment).startswith("Reviews, new is on the review list (label review-due).")


def test_a_page_that_was_taken_away_is_left_alone(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((200, {"id": "131077", "title": "x", "status": "trashed", "version": {"number": 1}}))
    assert run("page_published", "published") == {"labelled": False}
    assert far_end.logged == ["the page is trashed: nothing to review"]


def test_an_incident_under_control_is_followed_up_and_closed(run: Run, far_end: FarEnd, examples: RuleSet) -> None:
    far_end.site_answers((201, {"id": "10020", "key": "OPS-6"}), (201, {"id": "1"}))
    far_end.site_answers((200, {"fields": {"status": {"name": "In Progress"}}}))
    far_end.site_answers((200, {"transitions": [{"id": "31", "name": "Resolve", "to": {"name": "Done"}}]}), (204, None))
    run("incident_follow_up", "mitigated")
    create, comment, *_, transition = far_end.calls
    assert create["body"]["fields"]["summary"] == "Follow up OPS-1: Outgoing mail is delayed"
    assert create["body"]["fields"]["priority"] == {"name": "High"}
    assert create["body"]["fields"]["labels"] == ["follow-up"]
    assert adf_to_text(comment["body"]["body"]) == "Under control. The follow-up is planned in OPS-6."
    assert transition["body"] == {"transition": {"id": "31"}}
    limits = _rule(examples, "incident_follow_up").manifest.scope.limits
    assert limits.refuse_fields(create["body"]["fields"]) is None
    assert [needed(call) for call in far_end.calls if call["method"] != "GET"] == [
        "jira.create",
        "jira.comment",
        "jira.transition",
    ]


def test_only_pages_that_are_a_year_old_are_asked_about(run: Run, far_end: FarEnd, examples: RuleSet) -> None:
    far_end.site_answers((200, None), (200, None), observed=True)
    result = run("stale_page_review", "scheduled")
    assert _rule(examples, "stale_page_review").manifest.mode == "observe"
    assert result["steps"] == [
        {"verb": "confluence.label", "done": 0, "skipped": 1, "failed": 0, "observed": 1},
        {"verb": "confluence.comment", "done": 0, "skipped": 1, "failed": 0, "observed": 1},
    ]
    assert [call["path"] for call in far_end.calls] == [
        "/wiki/rest/api/content/131078/label",
        "/wiki/api/v2/footer-comments",
    ]
    text = adf_to_text(json.loads(far_end.calls[1]["body"]["body"]["value"]))
    assert text.startswith("Nobody has changed Onboarding for 14 months.\n1. Still right?")
