"""Writes whose answer never came: looked up once they settled, found and not repeated, or absent and sent once more."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

Make = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One verb: the operation that does it, the handler that asks for it, and how to count what came of it."""

    operation: str
    handle: str
    effects: Callable[[Any], int]
    again: bool = False  # harmless to do twice, so it is done twice


def _issue(bench: Any, key: str) -> Any:
    return bench.site.find_issue(key)


def _page(bench: Any, title: str) -> Any:
    return next(page for page in bench.site.pages.values() if page.title.startswith(title))


def _page_id(title: str) -> str:
    return f"next(p for p in event['pages'] if p['title'] == {title!r})['id']"


def _changes(bench: Any, key: str, field: str) -> int:
    bot = bench.site.account("ops-bot").id
    changes = [change for change in _issue(bench, key).changes if change.author == bot]
    return sum(item["field"] == field for change in changes for item in change.items)


CASES: Mapping[str, Case] = {
    "jira.comment": Case(
        "addComment", "context.jira.comment('OPS-1', 'once')", lambda bench: bench.texts("OPS-1").count("once")
    ),
    "jira.transition": Case(
        "doTransition", "context.jira.transition('OPS-2', 'Start work')", lambda b: _changes(b, "OPS-2", "status")
    ),
    "jira.edit": Case(
        "editIssue",
        "context.jira.edit('OPS-3', add={'labels': 'calm'})",
        lambda bench: _issue(bench, "OPS-3").fields["labels"].count("calm"),
        again=True,
    ),
    "jira.assign": Case(
        "assignIssue",
        "context.jira.assign('OPS-4', event['mia'])",
        lambda bench: int(_issue(bench, "OPS-4").fields.get("assignee") == bench.site.account("Mia Keller").id),
        again=True,
    ),
    "jira.create": Case(
        "createIssue",
        "context.jira.create('OPS', 'Task', 'only one of me')",
        lambda b: sum(issue.fields["summary"] == "only one of me" for issue in b.site.issues.values()),
    ),
    "confluence.create-page": Case(
        "createPage",
        "context.confluence.create_page('ENG', 'Only one of me', 'text')",
        lambda bench: sum(page.title == "Only one of me" for page in bench.site.pages.values()),
    ),
    "confluence.update-page": Case(
        "updatePage",
        f"context.confluence.update_page({_page_id('Runbooks')}, append='one line more')",
        lambda bench: len(_page(bench, "Runbooks").versions) - 1,
    ),
    "confluence.comment": Case(
        "createFooterComment",
        f"context.confluence.comment({_page_id('Incident reviews')}, 'once')",
        lambda bench: len(_page(bench, "Incident reviews").comments),
    ),
    "confluence.label": Case(
        "addLabelsToContent",
        f"context.confluence.label({_page_id('Restart the mail gateway')}, 'tried')",
        lambda b: sum(label.name == "tried" for label in _page(b, "Restart the mail gateway").labels),
        again=True,
    ),
}
PARAGRAPH = {"type": "paragraph", "content": [{"type": "text", "text": "once"}]}
ONCE = {"body": {"type": "doc", "version": 1, "content": [PARAGRAPH]}}
DONE_BUT_UNANSWERED: Mapping[str, dict[str, Any]] = {
    "reset-after": {},
    "half": {},
    "slow": {"seconds": 60},
    "500": {"processed": True},
}
# Half an answer is a whole one where the answer is 204.
WITHOUT_BODY = {(verb, "half") for verb in ("jira.transition", "jira.edit", "jira.assign")}
NOT_DONE: Mapping[str, dict[str, Any]] = {"reset-before": {}, "503": {}, "500": {}}
SCOPE = """
[scope.jira]
OPS = ["comment", "transition", "edit", "assign", "create"]
[scope.confluence]
ENG = ["create-page", "update-page", "comment", "label"]
"""


@dataclass(frozen=True)
class Played:
    """What became of one verb's delivery, told once so that each test looks at it."""

    state: str
    reason: str | None
    effects: int
    sent: int
    kinds: list[str]
    outcomes: list[dict[str, Any]]


def payload(bench: Any) -> dict[str, Any]:
    pages = [{"id": page.id, "title": page.title} for page in bench.site.pages.values()]
    return {"pages": pages, "mia": bench.site.account("Mia Keller").id}


@pytest.fixture(scope="module")
def played(make_shared_bench: Make) -> Callable[[str, bool], Mapping[str, Played]]:
    """Let every verb meet one fault, all on one site, so that they settle together."""
    known: dict[tuple[str, bool], Mapping[str, Played]] = {}

    def play(fault: str, done: bool) -> Mapping[str, Played]:
        if (fault, done) not in known:
            known[fault, done] = _play(make_shared_bench(), fault, (DONE_BUT_UNANSWERED if done else NOT_DONE)[fault])
        return known[fault, done]

    return play


def _play(bench: Any, fault: str, more: Mapping[str, Any]) -> Mapping[str, Played]:
    delivered = {}
    for verb, case in CASES.items():
        if (verb, fault) in WITHOUT_BODY:
            continue
        name = verb.replace(".", "_").replace("-", "_")
        bench.write(SCOPE, case.handle, name=name)
        bench.fault(fault, case.operation, **more)
        delivered[verb] = bench.accept(payload(bench), rule=name)
    firsts = [bench.attempt(delivery) for delivery in delivered.values()]
    assert [report.state for report in firsts] == ["waiting"] * len(delivered), [report.reason for report in firsts]
    reports = bench.finish(*delivered.values())
    return {
        verb: Played(
            report.state,
            report.reason,
            CASES[verb].effects(bench),
            bench.sent(CASES[verb].operation),
            [entry["kind"] for entry in report.entries],
            [entry for entry in report.entries if entry["kind"] == "step:outcome"],
        )
        for verb, report in zip(delivered, reports, strict=True)
    }


@pytest.mark.parametrize(
    ("verb", "fault"),
    [(verb, fault) for verb in CASES for fault in DONE_BUT_UNANSWERED if (verb, fault) not in WITHOUT_BODY],
)
def test_a_write_that_was_made_and_not_answered_is_made_once(played: Any, verb: str, fault: str) -> None:
    found = played(fault, done=True)[verb]
    assert (found.state, found.effects) == ("done", 1), found.reason
    [outcome] = found.outcomes
    assert outcome["outcome"] == "done"
    if CASES[verb].again:
        assert found.sent == 2, "it is done once more, which changes nothing"
        assert "step:resent" in found.kinds
    else:
        assert found.sent == 1
        assert outcome["found"] is True
        assert "step:resent" not in found.kinds


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("verb", CASES)
def test_a_write_that_was_not_made_is_sent_again_exactly_once(played: Any, verb: str, fault: str) -> None:
    found = played(fault, done=False)[verb]
    assert (found.state, found.effects, found.sent) == ("done", 1, 2), found.reason
    assert found.kinds.count("step:intent") == 1
    assert found.kinds.count("step:resent") == 1
    [outcome] = found.outcomes
    assert "found" not in outcome


def test_it_is_looked_up_no_earlier_than_it_has_settled(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle, settle_factor=0.02)
    bench.fault("late", "addComment", seconds=0.6)
    delivery = bench.accept()
    began = time.monotonic()
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert time.monotonic() - began >= 60 * 0.02, "60 s by the catalogue, by the factor of this test"
    assert bench.texts("OPS-1") == ["once"], "the site was slow, but faster than settle"
    waits = [entry for entry in report.entries if entry["kind"] == "delivery:waiting"]
    assert waits[0]["why"].endswith("to be looked up")


class Died(BaseException):
    """Egress ends in mid-send, as its process would."""


def test_a_write_of_a_process_that_died_is_not_looked_up_before_it_has_settled(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle, settle_factor=1.0)

    def die(request: Any) -> Any:
        raise Died

    bench.wire.play(die, method="POST", path="/comment")
    delivery = bench.accept()
    with pytest.raises(Died):
        bench.call(bench.claim(delivery), 1, "POST", "/rest/api/3/issue/OPS-1/comment", ONCE)
    bench.let_time_pass(delivery)
    bench.wire.requests.clear()
    answer = bench.call(bench.claim(delivery), 1, "POST", "/rest/api/3/issue/OPS-1/comment", ONCE)
    assert answer.json() == {"stop": "waiting", "why": "sent, of unknown fate: to be looked up"}
    assert bench.wire.writes == []
    assert not any("/comment" in request.url.path for request in bench.wire.requests), "nobody looked"
    with bench.store.read() as connection:
        wait = bench.delivery(delivery).not_before - bench.store.now(connection)
    assert 55 < wait <= 61


def test_a_write_of_a_process_that_died_is_made_once_all_the_same(make_bench: Make) -> None:
    for reached in (True, False):
        bench = make_bench(SCOPE, CASES["jira.comment"].handle)

        def die(request: Any, bench: Any = bench, reached: bool = reached) -> Any:
            if reached:
                bench.wire.pass_on(request)
            raise Died

        bench.wire.play(die, method="POST", path="/comment")
        delivery = bench.accept()
        with pytest.raises(Died):
            bench.call(bench.claim(delivery), 1, "POST", "/rest/api/3/issue/OPS-1/comment", ONCE)
        bench.let_time_pass(delivery)
        [report] = bench.finish(delivery)
        assert report.state == "done", report.reason
        assert bench.texts("OPS-1") == ["once"]


def test_a_request_that_the_site_executes_after_settle_makes_two_which_is_the_documented_hole(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("late", "addComment")
    [report] = bench.finish(bench.accept())
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["once"]
    assert bench.site.faults.release() == 1
    assert bench.texts("OPS-1") == ["once", "once"]
    marks = [comment.properties["bridge.step"] for comment in _issue(bench, "OPS-1").comments if comment.properties]
    assert marks[0] == marks[1] == {"delivery": report.delivery, "run": 0, "step": 1, "rule": "rule"}, (
        "by which `audit reconcile` can tell that one step was done twice"
    )


def test_two_failures_in_a_row_are_looked_up_twice(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-before", "addComment")
    bench.fault("reset-after", "addComment")
    [report] = bench.finish(bench.accept())
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["once"]
    assert [entry["kind"] for entry in report.entries if entry["kind"].startswith("step:")] == [
        "step:intent",
        "step:resent",
        "step:outcome",
    ]


def test_a_look_up_that_fails_itself_is_made_again_later(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-after", "addComment")
    bench.fault("503", "getComments")
    delivery = bench.send().delivery
    deadline = time.monotonic() + 10
    while bench.delivery(delivery).state == "waiting":
        bench.let_time_pass(delivery)
        bench.attempt(delivery)
        assert time.monotonic() < deadline
    assert bench.delivery(delivery).state == "done"
    assert bench.texts("OPS-1") == ["once"]


def test_a_search_that_lags_behind_finds_nothing_and_makes_two_which_is_why_creating_settles_longer(
    make_bench: Make,
) -> None:
    bench = make_bench(SCOPE, CASES["jira.create"].handle)
    bench.fault("lag", "searchAndReconsileIssuesUsingJqlPost")
    bench.fault("reset-after", "createIssue")
    [report] = bench.finish(bench.accept())
    assert report.state == "done"
    assert CASES["jira.create"].effects(bench) == 2


def test_a_status_that_a_person_changed_since_waits_for_a_person(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.transition"].handle)
    bench.fault("reset-before", "doTransition")
    delivery = bench.send().delivery
    from bridge.sandbox import workflow

    issue, mia = _issue(bench, "OPS-2"), bench.site.account("Mia Keller")
    workflow.take(bench.site, issue, mia, workflow.offered(issue)[0])
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert "the issue's status changed since" in report.reason
    assert bench.executed("doTransition") == 0


def test_a_transition_that_was_ours_is_found_behind_what_a_person_did_afterwards(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.transition"].handle)
    bench.fault("reset-after", "doTransition")
    delivery = bench.send().delivery
    from bridge.sandbox import workflow

    issue, mia = _issue(bench, "OPS-2"), bench.site.account("Mia Keller")
    workflow.take(bench.site, issue, mia, next(each for each in workflow.offered(issue) if each.name == "Resolve"))
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert issue.status == "Done", "nobody moved it back"


def test_a_page_that_another_made_under_the_title_since_is_a_conflict_for_the_site_to_tell(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.create-page"].handle)
    bench.fault("reset-before", "createPage")
    delivery = bench.send().delivery
    space = next(space for space in bench.site.spaces.values() if space.key == "ENG")
    bench.site.new_page(space, bench.site.account("Mia Keller"), "Only one of me", {"type": "doc", "content": []})
    [report] = bench.finish(delivery)
    assert report.state == "dead"
    assert "already exists" in report.reason


def test_a_version_that_another_made_since_is_a_conflict_over_which_the_page_is_written_again(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.update-page"].handle)
    bench.fault("reset-before", "updatePage")
    delivery = bench.send(payload(bench)).delivery
    page = _page(bench, "Runbooks")
    bench.site.revise(page, bench.site.account("Mia Keller"), page.title, page.latest.body, "mine")
    [report] = bench.finish(delivery)
    assert (report.state, len(page.versions)) == ("done", 3), report.reason
    conflict, written = [entry for entry in report.entries if entry["kind"] == "step:outcome"]
    assert (conflict["status"], conflict["outcome"]) == (409, "failed")
    assert "Version must be incremented" in conflict["why"]
    assert (written["step"], written["outcome"]) == (conflict["step"] + 2, "done"), "read again, then written"


def test_two_equal_page_comments_since_wait_for_a_person(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.comment"].handle)
    page = _page(bench, "Incident reviews")
    bench.fault("reset-after", "createFooterComment")
    delivery = bench.send(payload(bench)).delivery
    bench.site.add_footer_comment(page, bench.site.account("ops-bot"), page.comments[0].versions[0].body)
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert "two equal comments" in report.reason


def test_an_equal_page_comment_of_an_earlier_delivery_is_not_taken_for_this_one(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.comment"].handle)
    assert bench.send(payload(bench)).state == "done"
    bench.fault("reset-before", "createFooterComment")
    [report] = bench.finish(bench.accept(payload(bench)))
    made = len(_page(bench, "Incident reviews").comments)
    assert (report.state, made) in {("done", 2), ("parked", 1)}, "done, and yet the second comment was never made"


def test_a_page_comment_by_another_with_the_same_words_is_not_ours(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.comment"].handle)
    page = _page(bench, "Incident reviews")
    bench.fault("reset-before", "createFooterComment")
    delivery = bench.send(payload(bench)).delivery
    body = json.loads(json.loads(bench.wire.writes[0].content)["body"]["value"])
    bench.site.add_footer_comment(page, bench.site.account("Mia Keller"), body)
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert len(page.comments) == 2


def test_an_operation_without_a_way_to_look_it_up_waits_for_a_person(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.jira]\nOPS = ["notify"]',
        "context.jira.request('POST', '/rest/api/3/issue/OPS-1/notify', body={'textBody': 'x'})",
    )
    bench.wire.answer(502, {}, method="POST", path="/notify")
    [report] = bench.finish(bench.accept())
    assert report.state == "parked"
    assert "leaves nothing by which it could be found again" in report.reason


def test_an_issue_that_cannot_be_seen_any_more_while_a_write_to_it_is_in_doubt_waits_for_a_person(
    make_bench: Make,
) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-after", "addComment")
    delivery = bench.send().delivery
    bench.site.grant("ops-bot", set(), project="OPS")
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert "step 1 is in doubt" in report.reason


def test_a_scope_narrowed_while_a_write_is_in_doubt_still_finds_what_was_made(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-after", "addComment")
    delivery = bench.send().delivery
    bench.write('[scope.jira]\nCHG = ["comment"]')
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert [entry["outcome"] for entry in bench.entries(delivery, "step:outcome")] == ["done"]


def test_a_scope_narrowed_while_a_write_is_in_doubt_is_not_written_under_again(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-before", "addComment")
    delivery = bench.send().delivery
    bench.write('[scope.jira]\nCHG = ["comment"]')
    [report] = bench.finish(delivery)
    assert report.state == "dead"
    assert bench.texts("OPS-1") == []


def test_a_write_in_doubt_is_not_counted_against_itself(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[scope.limits]\nactions = 1", CASES["jira.comment"].handle)
    bench.fault("reset-before", "addComment")
    [report] = bench.finish(bench.accept())
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["once"]


def test_an_attempt_that_passes_over_a_write_in_doubt_is_not_done(make_bench: Make, tmp_path: Any) -> None:
    bench = make_bench(
        SCOPE,
        """
        from pathlib import Path
        note = Path(event["note"])
        if not note.exists():
            note.write_text("seen")
            context.jira.comment("OPS-1", "once")
        return "nothing to do"
        """,
    )
    bench.fault("reset-after", "addComment")
    [report] = bench.finish(bench.accept({"note": str(tmp_path / "note")}))
    assert report.state != "done", "the fate of a write is unknown"


def test_a_dead_delivery_with_a_write_in_doubt_looks_it_up_when_it_is_replayed(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-after", "addComment")
    delivery = bench.send().delivery
    bench.let_time_pass(delivery)
    claim = bench.claim(delivery)
    assert bench.post("/finish", claim, ended="unfit", result=None, error="another text").json() == {"state": "dead"}
    bench.replay(delivery)
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["once"]


def test_a_restart_of_the_machine_lets_it_settle_once_more(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["jira.comment"].handle)
    bench.fault("reset-after", "addComment")
    delivery = bench.send().delivery
    bench.store.boot = "another boot"
    report = bench.attempt(delivery)
    assert report.state == "waiting"
    assert report.reason == "sent before a restart, of unknown fate: to be looked up"
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["once"]


def test_a_page_that_an_earlier_delivery_made_is_not_taken_for_this_ones(make_bench: Make) -> None:
    bench = make_bench(SCOPE, CASES["confluence.create-page"].handle)
    assert bench.send(payload(bench)).state == "done"
    bench.fault("reset-before", "createPage")
    [report] = bench.finish(bench.accept(payload(bench)))
    assert report.state == "dead", "the title is taken, and the site says so"
    assert [entry.get("found") for entry in bench.entries(report.delivery, "step:outcome")] == [None]


def test_a_draft_that_was_made_and_not_answered_is_made_once(make_bench: Make) -> None:
    handle = """
    space = next(p for p in event["pages"] if p["title"] == "Runbooks")["space"]
    text = {"representation": "storage", "value": "x"}
    body = {"spaceId": space, "status": "draft", "title": "A draft", "body": text}
    context.confluence.request("POST", "/wiki/api/v2/pages", body=body)
    """
    bench = make_bench(SCOPE, handle)
    space = _page(bench, "Runbooks").space
    bench.fault("reset-after", "createPage")
    sent = {"pages": [{"title": "Runbooks", "space": space}]}
    [report] = bench.finish(bench.accept(sent))
    assert report.state == "done", report.reason
    assert sum(page.title == "A draft" for page in bench.site.pages.values()) == 1


def test_a_version_that_comes_only_after_it_was_looked_up_is_known_again_and_not_made_twice(
    make_bench: Make,
) -> None:
    case = CASES["confluence.update-page"]
    bench = make_bench(SCOPE, case.handle)
    late: list[httpx.Request] = []

    def lost(sent: httpx.Request) -> httpx.Response:
        late.append(sent)
        raise httpx.ReadTimeout("no answer", request=sent)

    def overtaken(sent: httpx.Request) -> httpx.Response:
        assert bench.wire.pass_on(late[0]).status_code == 200
        answered: httpx.Response = bench.wire.pass_on(sent)
        return answered

    bench.wire.play(lost, method="PUT")
    bench.wire.play(overtaken, method="PUT")
    [report] = bench.finish(bench.accept(payload(bench)))
    assert (report.state, case.effects(bench)) == ("done", 1), report.reason
    [outcome] = [entry for entry in report.entries if entry["kind"] == "step:outcome"]
    assert (outcome["outcome"], outcome["found"]) == ("done", True)
