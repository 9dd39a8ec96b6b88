"""People: found by name or address, assigned by all the ways Automation has, and made watchers."""

from collections import Counter
from typing import Any

import pytest

ASSIGN = {"OPS": ["assign"]}
FIND = {"OPS": ["assign"], "@site": ["find-user"]}


def _id(verbs: Any, name: str) -> str:
    return str(verbs.site.account(name).id)


def _assignee(verbs: Any, key: str = "OPS-3") -> str | None:
    """The name of whom an issue is assigned to."""
    found = verbs.issue(key).fields.get("assignee")
    return verbs.site.accounts[found].name if found else None


def test_people_are_found_by_the_beginning_of_their_names(verbs: Any) -> None:
    report = verbs.do("[u['displayName'] for u in context.jira.users('mia')]", jira=FIND)
    assert report.result == ["Mia Keller"]
    assert report.lines == ("step:read #1 jira.find-user /rest/api/3/user/search read by ops-bot status=200",)
    refused = verbs.do("context.jira.users('mia')", jira=ASSIGN)
    assert "the scope does not grant find-user outside any project or space" in str(refused.reason)


@pytest.mark.parametrize("person", ["mia.keller@example.com", "Mia  Keller", "mia"])
def test_a_person_is_assigned_by_address_or_name(verbs: Any, person: str) -> None:
    report = verbs.do(f"context.jira.assign_person('OPS-3', {person!r})", jira=FIND)
    assert report.state == "done", report.reason
    assert _assignee(verbs) == "Mia Keller"
    assert report.lines[-1] == "step:outcome #2 jira.assign OPS-3 done by ops-bot status=204"


def test_a_name_that_several_have_or_nobody_is_not_guessed(verbs: Any) -> None:
    verbs.site.add_account("Mia Brandt")
    several = verbs.do("context.jira.assign_person('OPS-3', 'mia')", jira=FIND)
    assert "2 people are called 'mia'; use the e-mail address or the account id" in str(several.reason)
    nobody = verbs.do("context.jira.assign_person('OPS-3', 'Zoe')", jira=FIND)
    assert "nobody is called 'Zoe', or the profile is hidden" in str(nobody.reason)
    assert verbs.do("context.jira.assign_person('OPS-3', 'Mia Keller')", jira=FIND).state == "done"
    assert verbs.executed("assignIssue") == 1


def test_a_work_item_is_taken_from_everybody(verbs: Any) -> None:
    assert _assignee(verbs, "OPS-1") == "Jonas Brandt"
    report = verbs.do("context.jira.unassign('OPS-1')", jira=ASSIGN)
    assert (report.state, report.result, _assignee(verbs, "OPS-1")) == ("done", {"accountId": None}, None)


def test_a_work_item_goes_to_its_default_assignee(verbs: Any) -> None:
    assert verbs.do("context.jira.assign_default('OPS-1')", jira=ASSIGN).state == "done"
    assert verbs.sent("assignIssue")[0].body == {"accountId": "-1"}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("assign_from('OPS-3')", "Mia Keller"),
        ("assign_from('OPS-3', 'creator')", "Mia Keller"),
        ("assign_from('OPS-3', 'assignee', 'OPS-1')", "Jonas Brandt"),
        ("assign_from('OPS-1', 'customfield_10014')", None),
    ],
)
def test_a_work_item_is_assigned_to_the_person_in_a_field(verbs: Any, call: str, name: str | None) -> None:
    report = verbs.do(f"context.jira.{call}", jira={"OPS": ["assign", "read"]})
    assert report.state == "done", report.reason
    assert _assignee(verbs, call.partition("'")[2].partition("'")[0]) == name


def test_a_work_item_goes_back_to_whom_it_was_assigned_before(verbs: Any) -> None:
    grants = {"OPS": ["assign", "read"]}
    mia, bot = _id(verbs, "Mia Keller"), _id(verbs, "ops-bot")
    assert verbs.do("context.jira.assign_previous('OPS-3')", jira=grants).result == {"accountId": None}
    for person in (mia, bot):
        verbs.do(f"context.jira.assign('OPS-3', {person!r})", jira=grants)
    report = verbs.do("context.jira.assign_previous('OPS-3')", jira=grants)
    assert (report.result, _assignee(verbs)) == ({"accountId": mia}, "Mia Keller")


def test_people_take_turns_by_a_number(verbs: Any) -> None:
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt")]
    taken = []
    for turn in (1, 2, 3):
        verbs.do(f"context.jira.assign_in_turn('OPS-3', {people!r}, {turn})", jira=ASSIGN)
        taken.append(_assignee(verbs))
    assert taken == ["Mia Keller", "Jonas Brandt", "Mia Keller"]


def test_people_take_turns_and_the_turn_is_kept_on_the_site(verbs: Any) -> None:
    grants = {"OPS": ["read", "assign", "set-project-property"]}
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt", "ops-bot")]
    taken = []
    for _ in range(4):
        report = verbs.do(f"context.jira.assign_round_robin('OPS-3', {people!r})", jira=grants)
        assert report.state == "done", report.reason
        taken.append(_assignee(verbs))
    assert taken == ["Mia Keller", "Jonas Brandt", "ops-bot", "Mia Keller"]
    assert verbs.site.projects["OPS"].properties == {"bridge.turn.default": {"next": 4}}
    assert report.lines[-3:] == (
        "step:outcome #4 jira.set-project-property OPS done by ops-bot status=200",
        "step:intent #5 jira.assign OPS-3 by ops-bot",
        "step:outcome #5 jira.assign OPS-3 done by ops-bot status=204",
    )


@pytest.mark.parametrize("operation", ["setProjectProperty", "assignIssue"])
def test_a_turn_is_used_up_once_whatever_is_in_doubt(verbs: Any, operation: str) -> None:
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt")]
    verbs.write(
        jira={"OPS": ["read", "assign", "set-project-property"]},
        handle=f"context.jira.assign_round_robin('OPS-3', {people!r})",
    )
    for name in ("Mia Keller", "Jonas Brandt"):
        report = verbs.doubt(operation, "reset-after")
        assert (report.state, _assignee(verbs)) == ("done", name), report.reason
    assert verbs.site.projects["OPS"].properties["bridge.turn.default"] == {"next": 2}


def test_whoever_does_not_administer_the_project_is_told_so(verbs: Any) -> None:
    verbs.site.grant("ops-bot", {"browse", "assign"}, project="OPS")
    call = f"context.jira.assign_round_robin('OPS-3', [{_id(verbs, 'Mia Keller')!r}])"
    report = verbs.do(call, jira={"OPS": ["read", "assign", "set-project-property"]})
    assert "You must be an administrator of this project" in str(report.reason)


def test_the_person_with_the_least_open_work_is_assigned(verbs: Any) -> None:
    people = [_id(verbs, name) for name in ("Jonas Brandt", "Mia Keller")]
    grants = {"OPS": ["search", "assign"]}
    call = f"context.jira.assign_balanced('OPS-3', {people!r})"
    assert verbs.do(call, jira=grants).result == {"accountId": people[1]}, "Jonas has OPS-1, Mia nothing"
    assert verbs.do(call.replace("OPS-3", "OPS-4"), jira=grants).result == {"accountId": people[0]}, (
        "one each: the first"
    )
    assert verbs.do(call.replace("OPS-3", "OPS-1"), jira=grants).result == {"accountId": people[0]}, (
        "itself is not counted"
    )
    narrowed = call.removesuffix(")") + ", 'issuetype = Bug')"
    assert verbs.do(narrowed.replace("OPS-3", "OPS-2"), jira=grants).result == {"accountId": people[0]}


def test_work_outside_the_scope_is_not_counted(verbs: Any) -> None:
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt")]
    verbs.issue("CHG-1").fields["assignee"] = people[0]
    report = verbs.do(f"context.jira.assign_balanced('OPS-3', {people!r})", jira={"OPS": ["search", "assign"]})
    assert report.result == {"accountId": people[0]}
    assert "dropped=1" in report.lines[0]


def test_chance_chooses_the_same_person_in_every_attempt_and_all_of_them_in_the_long_run(verbs: Any) -> None:
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt")]
    verbs.write(jira=ASSIGN, handle=f"return context.jira.assign_random('OPS-3', {people!r})")
    report = verbs.doubt("assignIssue", "reset-after")
    assert report.state == "done"
    first, second = verbs.sent("assignIssue")
    assert first.body == second.body
    drawn = Counter(verbs.send().result["accountId"] for _ in range(12))
    assert set(drawn) == set(people)


def test_nobody_to_choose_from_is_a_mistake_of_the_payload(verbs: Any) -> None:
    verbs.write(jira=ASSIGN, steps='[[step]]\nverb = "jira.assign-random"\nissue = "OPS-3"\npeople = "{{ people }}"\n')
    report = verbs.send({"people": []})
    assert "people must be text or a list of texts, and it is empty" in str(report.reason)


def test_watchers_come_and_go(verbs: Any) -> None:
    grants = {"OPS": ["watch", "read"]}
    people = [_id(verbs, name) for name in ("Mia Keller", "Jonas Brandt")]
    report = verbs.do(f"context.jira.watch('OPS-3', {people!r})", jira=grants)
    assert verbs.issue("OPS-3").watchers == people
    assert report.lines[1] == "step:outcome #1 jira.watch OPS-3 done by ops-bot status=204"
    assert verbs.do("[w['displayName'] for w in context.jira.watchers('OPS-3')]", jira=grants).result == [
        "Mia Keller",
        "Jonas Brandt",
    ]
    assert verbs.do(f"context.jira.unwatch('OPS-3', {people[0]!r})", jira=grants).state == "done"
    assert verbs.issue("OPS-3").watchers == people[1:]
    assert "does not grant watch in OPS" in str(
        verbs.do(f"context.jira.watch('OPS-3', {people!r})", jira=ASSIGN).reason
    )


@pytest.mark.parametrize(("call", "operation"), [("watch", "addWatcher"), ("unwatch", "removeWatcher")])
@pytest.mark.parametrize("fault", ["reset-after", "503"])
def test_a_watcher_of_unknown_fate_is_set_once_more(verbs: Any, call: str, operation: str, fault: str) -> None:
    mia = _id(verbs, "Mia Keller")
    verbs.issue("OPS-3").watchers = [mia] if call == "unwatch" else []
    verbs.write(jira={"OPS": ["watch"]}, handle=f"context.jira.{call}('OPS-3', {mia!r})")
    assert verbs.doubt(operation, fault).state == "done"
    assert verbs.issue("OPS-3").watchers == ([mia] if call == "watch" else [])
