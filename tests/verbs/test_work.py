"""Work logged, labels, security levels, files and work items deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge import catalogue
from bridge.egress.doubt import Absent, Doubt, Found, Unknown
from bridge.egress.resolve import resolve
from bridge.egress.upstream import SiteAnswer
from bridge.sandbox.records import Attachment

WORK = {"OPS": ["log-work", "read"]}


def test_work_is_logged_with_its_mark(verbs: Any) -> None:
    call = "context.jira.log_work('OPS-1', '1h 30m', 'Looked into it', started='2026-11-20T09:30:00+01:00')"
    report = verbs.do(call, jira=WORK)
    assert report.state == "done", report.reason
    [logged] = verbs.issue("OPS-1").worklogs
    assert (logged.seconds, logged.started) == (5400, datetime(2026, 11, 20, 8, 30, tzinfo=UTC))
    assert logged.properties["bridge.step"]["step"] == 1
    assert report.lines[-1] == f"step:outcome #1 jira.log-work OPS-1 done by ops-bot ref={logged.id} status=201"
    shown = verbs.do("[w['timeSpentSeconds'] for w in context.jira.worklogs('OPS-1')]", jira=WORK)
    assert shown.result == [5400]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ("", {"adjustEstimate": ["auto"]}),
        (", remaining='2d'", {"adjustEstimate": ["new"], "newEstimate": ["2d"]}),
        (", reduce_by='1h'", {"adjustEstimate": ["manual"], "reduceBy": ["1h"]}),
        (", adjust=False", {"adjustEstimate": ["leave"]}),
    ],
)
def test_the_rest_of_the_estimate_follows_as_it_is_told(verbs: Any, arguments: str, query: Any) -> None:
    assert verbs.do(f"context.jira.log_work('OPS-1', '30m'{arguments})", jira=WORK).state == "done"
    assert verbs.sent("addWorklog")[0].query == query


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("started='yesterday'", "'yesterday' is no time"),
        ("started='2026-11-20T09:30:00'", "has no zone"),
        ("remaining='1h', reduce_by='1h'", "what remains is set by one of"),
        ("remaining='1h', adjust=False", "what remains is set by one of"),
    ],
)
def test_a_time_without_a_zone_or_two_ways_to_adjust_are_refused(verbs: Any, arguments: str, said: str) -> None:
    assert said in str(verbs.do(f"context.jira.log_work('OPS-1', '30m', {arguments})", jira=WORK).reason)
    assert verbs.sent("addWorklog") == []


def test_a_time_that_is_none_is_the_sites_to_refuse(verbs: Any) -> None:
    report = verbs.do("context.jira.log_work('OPS-1', 'a while')", jira=WORK)
    assert "Invalid time duration entered" in str(report.reason)
    outside = verbs.do("context.jira.log_work('CHG-1', '30m')", jira=WORK)
    assert "does not grant log-work in CHG" in str(outside.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_logged_work_of_unknown_fate_is_logged_once(verbs: Any, fault: str) -> None:
    verbs.do("context.jira.log_work('OPS-1', '5m')", jira=WORK)
    verbs.write(jira=WORK, handle="context.jira.log_work('OPS-1', '5m', started='2026-01-01T00:00:00Z')")
    report = verbs.doubt("addWorklog", fault)
    assert (report.state, len(verbs.issue("OPS-1").worklogs)) == ("done", 2), report.reason
    done = fault in {"reset-after", "500"}
    assert len(verbs.sent("addWorklog")) == (2 if done else 3)
    assert ("found=true" in report.lines[-1]) is done


def test_labels_are_added_and_removed_without_a_verb_of_their_own(verbs: Any) -> None:
    edit = {"OPS": ["edit"]}
    report = verbs.do("context.jira.add_labels('OPS-1', ['major incident', 'mail'])", jira=edit)
    assert verbs.issue("OPS-1").fields["labels"] == ["mail", "customer", "major-incident"]
    assert report.lines[-1] == "step:outcome #1 jira.edit OPS-1 done by ops-bot status=204"
    assert verbs.do("context.jira.remove_labels('OPS-1', 'mail')", jira=edit).state == "done"
    assert verbs.issue("OPS-1").fields["labels"] == ["customer", "major-incident"]
    refused = verbs.do("context.jira.add_labels('OPS-1', 'x')", jira={"OPS": ["read"]})
    assert "does not grant edit in OPS" in str(refused.reason)
    assert "a label is a word" in str(verbs.do("context.jira.add_labels('OPS-1', [' '])", jira=edit).reason)


def test_a_security_level_is_set_by_name_or_id_and_cleared_with_a_verb_of_its_own(verbs: Any) -> None:
    grants = {"OPS": ["security"]}
    report = verbs.do("context.jira.set_security('OPS-1', 'Staff only')", jira=grants)
    assert verbs.issue("OPS-1").fields["security"] == "10400"
    assert report.lines[-1] == "step:outcome #1 jira.security OPS-1 done by ops-bot status=204"
    verbs.do("context.jira.set_security('OPS-1', '10401')", jira=grants)
    assert verbs.issue("OPS-1").fields["security"] == "10401"
    verbs.do("context.jira.set_security('OPS-1', None)", jira=grants)
    assert verbs.issue("OPS-1").fields["security"] is None
    verbs.do("context.jira.set_security('OPS-1', 'Staff only')", jira=grants)
    step = '[[step]]\nverb = "jira.edit"\nissue = "OPS-1"\nclear = "security"\n'
    verbs.write(jira={"OPS": ["edit", "security"]}, steps=step)
    assert verbs.send().state == "done"
    assert verbs.issue("OPS-1").fields["security"] is None


def test_who_may_edit_may_not_set_the_security_level(verbs: Any) -> None:
    for grants in ({"OPS": ["edit"]}, {"CHG": ["security"]}):
        report = verbs.do("context.jira.edit('OPS-1', set={'security': 'Staff only'})", jira=grants)
        assert "does not grant security in OPS" in str(report.reason)
    both = "context.jira.edit('OPS-1', set={'security': 'Staff only', 'duedate': '2026-12-01'})"
    assert "does not grant edit" in str(verbs.do(both, jira={"OPS": ["security"]}).reason)
    assert verbs.do(both, jira={"OPS": ["security", "edit"]}).state == "done"


def test_a_list_of_fields_does_not_keep_the_level_from_whoever_was_granted_it(verbs: Any) -> None:
    more = '[scope.limits]\nfields = ["duedate"]\n'
    both = "context.jira.edit('OPS-1', set={'security': 'Staff only', 'duedate': '2026-12-01'})"
    assert verbs.do(both, jira={"OPS": ["security", "edit"]}, more=more).state == "done"


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_security_level_of_unknown_fate_is_set_once_more(verbs: Any, fault: str) -> None:
    verbs.write(jira={"OPS": ["security"]}, handle="context.jira.set_security('OPS-1', 'Staff only')")
    assert verbs.doubt("editIssue", fault).state == "done"
    assert verbs.issue("OPS-1").fields["security"] == "10400"


FILES = {"OPS": ["delete-attachment"]}


def _attach(verbs: Any, key: str, *names: str) -> None:
    issue, mia = verbs.issue(key), verbs.site.account("Mia Keller").id
    issue.attachments[:] = [Attachment(verbs.site.next_id("attachment"), each, 1, mia, issue.created) for each in names]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ("'*.log'", ["report.pdf", "logs.zip"]),
        ("['REPORT.pdf', 'logs*']", ["a.log"]),
        ("regex=r'.*\\.(log|zip)'", ["report.pdf"]),
        ("regex='log'", ["report.pdf", "a.log", "logs.zip"]),
        ("'*'", []),
    ],
)
def test_files_are_deleted_by_their_names(verbs: Any, arguments: str, left: list[str]) -> None:
    _attach(verbs, "OPS-1", "report.pdf", "a.log", "logs.zip")
    report = verbs.do(f"context.jira.delete_attachments('OPS-1', {arguments})", jira=FILES)
    assert report.state == "done", report.reason
    assert [each.name for each in verbs.issue("OPS-1").attachments] == left
    assert len(report.result["deleted"]) == 3 - len(left)
    assert all(exchange.query == {} for exchange in verbs.sent("removeAttachment"))


def test_a_file_is_judged_by_the_work_item_it_is_on(verbs: Any) -> None:
    _attach(verbs, "OPS-1", "a.log")
    _attach(verbs, "CHG-1", "b.log")
    [other] = verbs.issue("CHG-1").attachments
    path = f"/rest/api/3/attachment/{other.id}"
    report = verbs.do(f"context.jira.request('DELETE', {path!r}, {{'issue': 'OPS-1'}})", jira=FILES)
    assert f"attachment {other.id} is not on OPS-1" in str(report.reason)
    assert verbs.do(f"context.jira.request('DELETE', {path!r})", jira=FILES).state == "dead"
    assert "CHG" in str(verbs.do("context.jira.delete_attachments('CHG-1', '*')", jira=FILES).reason)
    assert verbs.issue("CHG-1").attachments == [other]
    report = verbs.do("context.jira.delete_attachments('OPS-1', '*')", jira=FILES)
    assert report.lines[-1] == "step:outcome #2 jira.delete-attachment OPS-1 done by ops-bot status=204"


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_deleted_file_of_unknown_fate_is_asked_for(verbs: Any, fault: str) -> None:
    _attach(verbs, "OPS-1", "a.log", "b.txt")
    verbs.write(jira=FILES, handle="context.jira.delete_attachments('OPS-1', '*.log')")
    report = verbs.doubt("removeAttachment", fault)
    assert report.state == "done", report.reason
    assert [each.name for each in verbs.issue("OPS-1").attachments] == ["b.txt"]
    assert len(verbs.sent("removeAttachment")) == (1 if fault in {"reset-after", "500"} else 2)


def test_a_regex_that_is_none_is_told(verbs: Any) -> None:
    assert "'(' is no regex" in str(verbs.do("context.jira.delete_attachments('OPS-1', regex='(')", jira=FILES).reason)


DELETE = {"OPS": ["delete", "create"]}


def test_a_work_item_is_deleted(verbs: Any) -> None:
    report = verbs.do("context.jira.delete('OPS-4')", jira=DELETE)
    assert report.state == "done", report.reason
    assert verbs.site.find_issue("OPS-4") is None
    assert report.lines[-1] == "step:outcome #1 jira.delete OPS-4 done by ops-bot status=204"
    outside = verbs.do("context.jira.delete('CHG-1')", jira=DELETE)
    assert "does not grant delete in CHG" in str(outside.reason)


def test_a_work_item_goes_with_its_sub_tasks_only_when_it_is_told_to(verbs: Any) -> None:
    made = verbs.do("context.jira.create_subtasks('OPS-4', ['One', 'Two'])", jira=DELETE).result
    refused = verbs.do("context.jira.delete('OPS-4')", jira=DELETE)
    assert "has sub-tasks" in str(refused.reason)
    assert verbs.do("context.jira.delete('OPS-4', subtasks=True)", jira=DELETE).state == "done"
    assert [verbs.site.find_issue(each["key"]) for each in made] == [None, None]


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_deleted_work_item_of_unknown_fate_is_asked_for(verbs: Any, fault: str) -> None:
    verbs.write(jira=DELETE, handle="context.jira.delete('OPS-4')")
    report = verbs.doubt("deleteIssue", fault)
    done = fault in {"reset-after", "500"}
    # One that is not there may also be one that is not shown, so only a person can say that it was deleted.
    assert (report.state, verbs.site.find_issue("OPS-4")) == ("parked" if done else "done", None), report.reason
    assert len(verbs.sent("deleteIssue")) == (1 if done else 2)


def test_what_is_in_doubt_and_was_not_to_be_deleted_still_waits_for_a_person_when_it_is_gone(verbs: Any) -> None:
    verbs.write(jira={"OPS": ["comment"]}, handle="context.jira.comment('OPS-4', 'x')")
    verbs.site.faults.order({"fault": "reset-after", "match": {"operation": "addComment"}}, verbs.site.issues)
    waiting = verbs.send()
    assert waiting.state == "waiting"
    verbs.site.remove_issue(verbs.issue("OPS-4"))
    assert verbs.finish(waiting.delivery).state == "parked"


def _doubt(answers: list[SiteAnswer]) -> Doubt:
    """A work log in doubt, on a site that gives these answers one after another."""
    left = iter(answers)
    since = datetime(2026, 11, 22, tzinfo=UTC)
    mark = {"delivery": "d", "run": 1, "step": 1, "rule": "r"}
    return Doubt("/rest/api/3/issue/OPS-1/worklog", {}, mark, since, None, lambda *_: next(left), lambda *_: next(left))


def _page(*logs: dict[str, Any], total: int) -> SiteAnswer:
    return SiteAnswer(200, {"worklogs": list(logs), "total": total})


def test_all_pages_of_work_logs_are_looked_through() -> None:
    ours = {"id": "2", "properties": [{"key": "bridge.step", "value": dict(_doubt([]).marker)}]}
    log_work = catalogue.verb("jira.log-work")
    found = resolve(log_work, _doubt([_page({"id": "1", "properties": []}, total=2), _page(ours, total=2)]))
    assert found == Found({"id": "2"})
    assert resolve(log_work, _doubt([_page({"id": "1"}, total=2), _page(total=1)])) == Absent()


def test_work_logs_that_the_site_does_not_show_leave_it_open() -> None:
    log_work = catalogue.verb("jira.log-work")
    assert resolve(log_work, _doubt([SiteAnswer(403, {})])) == Unknown(
        "the site answered 403 when asked for the work logs"
    )
    endless = [_page({"id": "1"}, total=9999)] * 100
    assert "more work logs than can be looked through" in str(resolve(log_work, _doubt(endless)))


@pytest.mark.parametrize("name", ["jira.delete", "jira.unlink", "jira.delete-comment", "jira.delete-attachment"])
def test_what_was_to_be_deleted_is_asked_for_and_other_answers_leave_it_open(name: str) -> None:
    verb = catalogue.verb(name)
    assert isinstance(resolve(verb, _doubt([SiteAnswer(404, None)])), Unknown)
    assert resolve(verb, _doubt([SiteAnswer(200, {"id": "1"})])) == Absent()
    assert isinstance(resolve(verb, _doubt([SiteAnswer(403, {})])), Unknown)
