"""Boards and sprints: found by name, sprints made, started and completed, work items moved between them."""

from typing import Any

import pytest

SITE = {"@site": ["find-board", "find-sprint", "create-sprint", "start-sprint"]}
MOVES = {"OPS": ["move-to-sprint", "move-to-board", "move-to-backlog"]}


def _sprint(verbs: Any, name: str) -> Any:
    return next(each for each in verbs.site.sprints.values() if each.name == name)


def _in_sprint(verbs: Any, name: str) -> set[str]:
    return {verbs.site.issues[each].key for each in _sprint(verbs, name).issues}


def test_boards_are_found_by_a_part_of_their_name_or_by_project(verbs: Any) -> None:
    call = "[b['name'] for b in context.jira.boards('oper') + context.jira.boards(project='CHG')]"
    assert verbs.do(call, jira=SITE).result == ["Operations", "Changes"]


def test_whoever_may_find_boards_in_some_project_may_find_them(verbs: Any) -> None:
    report = verbs.do("len(context.jira.boards())", jira={"OPS": ["find-board"]})
    assert (report.state, report.result) == ("done", 2)
    refused = verbs.do("context.jira.boards()", jira={"OPS": ["read"]})
    assert "find-board" in str(refused.reason)


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("'active'", ["Sprint 47"]),
        ("'active,future'", ["Sprint 47", "Sprint 48"]),
        ("None", ["Sprint 46", "Sprint 47", "Sprint 48"]),
    ],
)
def test_the_sprints_of_a_board_are_read(verbs: Any, state: str, names: list[str]) -> None:
    report = verbs.do(f"[s['name'] for s in context.jira.sprints('operations', {state})]", jira=SITE)
    assert report.result == names


def test_more_sprints_than_one_page_holds_are_all_read(verbs: Any) -> None:
    board = verbs.site.boards["1"]
    for number in range(120):
        verbs.site.add_sprint(board, f"Later {number}")
    report = verbs.do("len(context.jira.sprints('1', 'future'))", jira=SITE)
    assert report.result == 121
    assert len(verbs.sent("getAllSprints")) == 3


def test_a_sprint_is_made_with_dates_and_goal(verbs: Any) -> None:
    call = "context.jira.create_sprint('Operations', 'Sprint 49', '2027-01-11', '2027-01-25T09:00+01:00', 'Calm')['id']"
    report = verbs.do(call, jira=SITE)
    assert report.state == "done", report.reason
    made = _sprint(verbs, "Sprint 49")
    assert (made.state, made.goal) == ("future", "Calm")
    assert (made.start.isoformat(), made.end.isoformat()) == ("2027-01-11T00:00:00+00:00", "2027-01-25T09:00:00+01:00")
    assert report.lines[1:] == (
        "step:intent #2 jira.create-sprint /rest/agile/1.0/sprint by ops-bot",
        f"step:outcome #2 jira.create-sprint /rest/agile/1.0/sprint done by ops-bot ref={made.id} status=201",
    )


@pytest.mark.parametrize("named", ["'Sprint 48', 'Operations'", "'48'", "'next', 'Operations'"])
def test_a_sprint_is_started_by_name_or_id_or_as_the_next_one(verbs: Any, named: str) -> None:
    call = f"context.jira.start_sprint({named}, start='2027-01-11', end='2027-01-25')"
    report = verbs.do(call, jira=SITE)
    assert (report.state, report.result) == ("done", {"already": False}), report.reason
    assert _sprint(verbs, "Sprint 48").state == "active"
    assert report.lines[-1].startswith("step:outcome #")
    assert "jira.start-sprint /rest/agile/1.0/sprint/48 done by ops-bot ref=48 status=200" in report.lines[-1]


def test_a_sprint_that_has_no_dates_is_not_started(verbs: Any) -> None:
    report = verbs.do("context.jira.start_sprint('48')", jira=SITE)
    assert report.state == "dead"
    assert "You must specify a start date and an end date" in str(report.reason)


def test_a_sprint_that_runs_is_not_started_again(verbs: Any) -> None:
    report = verbs.do("context.jira.start_sprint('47')", jira=SITE)
    assert report.result == {"already": True}
    assert verbs.sent("partiallyUpdateSprint") == []


def test_the_sprint_that_runs_is_completed(verbs: Any) -> None:
    report = verbs.do("context.jira.complete_sprint('active', 'Operations')", jira=SITE)
    assert report.state == "done", report.reason
    assert _sprint(verbs, "Sprint 47").state == "closed"
    again = verbs.do("context.jira.complete_sprint('47')", jira=SITE)
    assert again.result == {"already": True}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("context.jira.create_sprint('Nowhere', 'x')", "there is no board 'Nowhere' that this account can see"),
        ("context.jira.start_sprint('Sprint 99', 'Operations')", "there is no sprint 'Sprint 99'"),
        ("context.jira.sprints('Changes')", "The board does not support sprints"),
    ],
)
def test_what_cannot_be_found_or_read_is_said(verbs: Any, call: str, said: str) -> None:
    report = verbs.do(call, jira=SITE)
    assert report.state == "dead"
    assert said in str(report.reason)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('verb = "jira.start-sprint"\nsprint = "Sprint 48"', "called by its name, 'Sprint 48', needs its board"),
        ('verb = "jira.create-sprint"\nboard = "1"\nname = "x"\nstart = "soon"', "startDate must be a day or time"),
    ],
)
def test_a_step_that_says_too_little_or_no_date_is_the_payloads_misfit(verbs: Any, step: str, said: str) -> None:
    verbs.write(jira=SITE, steps=f"[[step]]\n{step}\n")
    report = verbs.send()
    assert report.state == "dead"
    assert said in str(report.reason)
    assert verbs.sent("createSprint") == []


def test_of_two_boards_of_one_name_none_is_guessed(verbs: Any) -> None:
    verbs.site.add_board("Operations", "kanban", "CHG")
    report = verbs.do("context.jira.create_sprint('Operations', 'x')", jira=SITE)
    assert "2 boards are called 'Operations': name one by its id (1, 3)" in str(report.reason)


@pytest.mark.parametrize("call", ["context.jira.create_sprint('1', 'x')", "context.jira.start_sprint('48')"])
def test_sprints_are_changed_only_where_the_site_grants_it(verbs: Any, call: str) -> None:
    report = verbs.do(call, jira={**MOVES, "@site": ["find-sprint"]})
    assert report.state == "dead"
    assert "outside any project or space" in str(report.reason)


@pytest.mark.parametrize("named", ["'Sprint 48', 'Operations'", "'48'", "'next', 'Operations'"])
def test_an_issue_is_put_into_a_sprint_and_leaves_the_one_it_was_in(verbs: Any, named: str) -> None:
    assert "OPS-3" in _in_sprint(verbs, "Sprint 47")
    report = verbs.do(f"context.jira.move_to_sprint('OPS-3', {named})", jira=MOVES)
    assert report.state == "done", report.reason
    assert (_in_sprint(verbs, "Sprint 47"), _in_sprint(verbs, "Sprint 48")) == ({"OPS-4"}, {"OPS-3"})
    assert "jira.move-to-sprint OPS-3 done by ops-bot status=204" in report.lines[-1]


def test_an_issue_goes_onto_a_board_and_back_into_its_backlog(verbs: Any) -> None:
    on, off = "context.jira.move_to_board('OPS-3', 'Operations')", "context.jira.move_to_backlog('OPS-3', '1')"
    report = verbs.do(on, jira=MOVES)
    assert report.state == "done", report.reason
    assert verbs.site.boards["1"].issues == [verbs.issue("OPS-3").id]
    assert report.lines[1:] == (
        "step:intent #2 jira.move-to-board OPS-3 by ops-bot",
        "step:outcome #2 jira.move-to-board OPS-3 done by ops-bot status=204",
    )
    assert verbs.do(off, jira=MOVES).state == "done"
    assert verbs.site.boards["1"].issues == []
    assert _in_sprint(verbs, "Sprint 47") == {"OPS-4"}


@pytest.mark.parametrize(
    "call",
    [
        "context.jira.move_to_sprint('CHG-1', '48')",
        "context.jira.move_to_board('CHG-1', '1')",
        "context.jira.move_to_backlog('OPS-99', '1')",
        "context.jira.request('POST', '/rest/agile/1.0/sprint/48/issue', body={'issues': ['OPS-3', 'CHG-1']})",
    ],
)
def test_issues_of_another_project_are_not_moved_along(verbs: Any, call: str) -> None:
    report = verbs.do(call, jira=MOVES)
    assert report.state == "dead"
    assert "the scope does not grant move-to-" in str(report.reason)
    assert _in_sprint(verbs, "Sprint 48") == set()


def test_where_only_the_events_issue_may_be_changed_no_other_is_moved_along(verbs: Any) -> None:
    more = '[scope.limits]\ntargets = "event"\n'
    event = {"issue": {"key": "OPS-3"}}
    body = {"issues": ["OPS-3", "OPS-4"]}
    call = f"context.jira.request('POST', '/rest/agile/1.0/sprint/48/issue', body={body!r})"
    report = verbs.do(call, jira=MOVES, payload=event, more=more)
    assert "only the issue or page the delivery names may be changed" in str(report.reason)
    alone = verbs.do("context.jira.move_to_sprint('OPS-3', '48')", jira=MOVES, payload=event, more=more)
    assert alone.state == "done", alone.reason


def test_a_move_without_a_board_is_refused_with_the_verb_to_use(verbs: Any) -> None:
    call = "context.jira.request('POST', '/rest/agile/1.0/backlog/issue', body={'issues': ['OPS-3']})"
    report = verbs.do(call, jira=MOVES)
    assert "use jira.move-to-backlog for each" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_sprint_of_unknown_fate_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=SITE, handle="context.jira.create_sprint('1', 'Sprint 49', '2027-01-11', goal='Calm')")
    report = verbs.doubt("createSprint", fault)
    assert report.state == "done", report.reason
    assert sum(each.name == "Sprint 49" for each in verbs.site.sprints.values()) == 1


def test_a_sprint_of_that_name_made_long_ago_is_not_the_one(verbs: Any) -> None:
    verbs.write(jira=SITE, handle="context.jira.create_sprint('1', 'Sprint 48')")
    assert verbs.doubt("createSprint", "reset-before").state == "done"
    assert sum(each.name == "Sprint 48" for each in verbs.site.sprints.values()) == 2


def test_two_equal_sprints_made_since_wait_for_a_person(verbs: Any) -> None:
    for _ in range(2):
        verbs.site.add_sprint(verbs.site.boards["1"], "Sprint 49")
    verbs.write(jira=SITE, handle="context.jira.create_sprint('1', 'Sprint 49')")
    report = verbs.doubt("createSprint", "reset-before")
    assert report.state == "parked"
    assert "two equal sprints since" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_start_of_unknown_fate_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=SITE, handle="context.jira.start_sprint('48', start='2027-01-11', end='2027-01-25')")
    report = verbs.doubt("partiallyUpdateSprint", fault)
    assert report.state == "done", report.reason
    assert _sprint(verbs, "Sprint 48").state == "active"
    assert verbs.executed("partiallyUpdateSprint") == 1


def test_a_sprint_that_went_on_meanwhile_waits_for_a_person(verbs: Any) -> None:
    verbs.write(
        jira=SITE,
        handle="""
        body = {"state": "active"}
        context.jira.request("POST", "/rest/agile/1.0/sprint/46", body=body)
        """,
    )
    report = verbs.doubt("partiallyUpdateSprint", "reset-before")
    assert report.state == "parked"
    assert "the sprint is closed now" in str(report.reason)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("moveIssuesToSprintAndRank", "context.jira.move_to_sprint('OPS-3', '48')"),
        ("moveIssuesToBoard", "context.jira.move_to_board('OPS-3', '1')"),
        ("moveIssuesToBacklogForBoard", "context.jira.move_to_backlog('OPS-3', '1')"),
    ],
)
@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_move_of_unknown_fate_is_made_again(verbs: Any, operation: str, call: str, fault: str) -> None:
    verbs.write(jira=MOVES, handle=call)
    assert verbs.doubt(operation, fault).state == "done"
    assert verbs.executed(operation) == (2 if fault == "reset-after" else 1)


def test_a_rule_that_observes_goes_on_with_the_sprint_it_did_not_make(verbs: Any) -> None:
    verbs.write(
        jira={**SITE, **MOVES},
        more='mode = "observe"\n',
        steps="""
        [[step]]
        id = "sprint"
        verb = "jira.create-sprint"
        board = "Operations"
        name = "Sprint 49"
        [[step]]
        verb = "jira.move-to-sprint"
        issue = "OPS-1"
        sprint = "{{ sprint.id }}"
        [[step]]
        verb = "jira.start-sprint"
        sprint = "{{ sprint.id }}"
        start = "2027-01-11"
        end = "2027-01-25"
        """,
    )
    report = verbs.send()
    assert report.state == "done", report.reason
    assert [line.split(" ")[2] for line in report.lines if "observed" in line] == [
        "jira.create-sprint",
        "jira.move-to-sprint",
        "jira.start-sprint",
    ]
    assert len(verbs.site.sprints) == 3
