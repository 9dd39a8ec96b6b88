"""Work items made after others: clones with all that can be copied, and sub-tasks."""

from typing import Any

import pytest

from bridge.rule.jira_clone import copied_fields

CLONE = {"OPS": ["read", "create", "link"]}
BOTH = {**CLONE, "CHG": ["read", "create", "link"]}


def _clone(verbs: Any, arguments: str, grants: Any = None) -> Any:
    report = verbs.do(f"context.jira.clone({arguments})", jira=grants or CLONE)
    assert report.state == "done", report.reason
    return verbs.issue(report.result["key"])


def test_a_clone_has_the_fields_of_the_first_one_and_a_link_to_it(verbs: Any) -> None:
    first = verbs.issue("OPS-1")
    first.fields |= {
        "customfield_10011": "10302",
        "customfield_10012": 5,
        "customfield_10014": first.fields["assignee"],
    }
    first.fields |= {"duedate": "2026-12-24", "fixVersions": [verbs.site.projects["OPS"].versions[0].id]}
    clone = _clone(verbs, "'OPS-1', prefix='CLONE - '")
    assert clone.key == "OPS-100"
    assert clone.fields == {**first.fields, "summary": "CLONE - Outgoing mail is delayed"}
    [link] = verbs.site.links.values()
    assert (link.type.name, link.source, link.target) == ("Cloners", clone.id, first.id)
    assert clone.comments == []


def test_the_log_says_what_was_read_for_a_clone_and_what_was_made(verbs: Any) -> None:
    report = verbs.do("context.jira.clone('OPS-3')", jira=CLONE)
    number = verbs.issue(report.result["key"]).id
    assert report.lines == (
        "step:read #1 jira.read OPS-3 read by ops-bot status=200",
        "step:read #2 jira.link /rest/api/3/issueLinkType read by ops-bot status=200",
        "step:read #3 jira.create OPS read by ops-bot status=200",
        "step:read #4 jira.create OPS read by ops-bot status=200",
        "step:intent #5 jira.create OPS by ops-bot",
        "step:outcome #5 jira.create OPS done by ops-bot ref=OPS-100 status=201",
        "step:intent #6 jira.link OPS-100 by ops-bot",
        "step:outcome #6 jira.link OPS-100 done by ops-bot status=201",
    )
    assert number


def test_into_another_project_components_go_by_their_names(verbs: Any) -> None:
    network, mail = (
        next(each.id for each in verbs.site.projects["OPS"].components if each.name == name)
        for name in ("Network", "Mail")
    )
    verbs.issue("OPS-1").fields |= {
        "components": [network, mail],
        "fixVersions": [verbs.site.projects["OPS"].versions[0].id],
    }
    clone = _clone(verbs, "'OPS-1', project='CHG', issue_type='Change', summary='Mend the mail'", BOTH)
    assert clone.project == "CHG"
    assert clone.fields["components"] == [verbs.site.projects["CHG"].components[0].id]
    assert not clone.fields.get("fixVersions")
    assert (clone.fields["summary"], clone.fields["priority"]) == ("Mend the mail", "2")
    assert clone.fields["labels"] == ["mail", "customer"]


def test_only_some_fields_are_copied_and_others_are_set(verbs: Any) -> None:
    clone = _clone(verbs, "'OPS-1', copy=['priority'], fields={'labels': ['again'], 'Risk': 'Low'}, link='none'")
    assert clone.fields["priority"] == "2"
    assert (clone.fields["labels"], clone.fields["customfield_10011"]) == (["again"], "10300")
    assert not clone.fields.get("description")
    assert verbs.site.links == {}


def test_a_clone_of_a_sub_task_stays_below_its_parent(verbs: Any) -> None:
    made = verbs.do("context.jira.create_subtasks('OPS-1', 'One')", jira=CLONE).result
    clone = _clone(verbs, f"{made[0]['key']!r}")
    assert clone.fields["parent"] == verbs.issue("OPS-1").id


def test_a_clone_needs_the_right_to_create_where_it_is_to_be(verbs: Any) -> None:
    report = verbs.do("context.jira.clone('OPS-1', project='CHG')", jira=CLONE)
    assert "does not grant create in CHG" in str(report.reason)
    report = verbs.do("context.jira.clone('OPS-1', issue_type='Epic')", jira=CLONE)
    assert "OPS has no issue type 'Epic' that this account may create; it has: Task, Bug" in str(report.reason)
    report = verbs.do("context.jira.clone('OPS-1', link='resembles')", jira=CLONE)
    assert "no link that says 'resembles'" in str(report.reason)
    assert verbs.sent("createIssue") == []


@pytest.mark.parametrize("operation", ["createIssue", "linkIssues"])
@pytest.mark.parametrize("fault", ["reset-after", "503"])
def test_a_clone_of_unknown_fate_is_made_once(verbs: Any, operation: str, fault: str) -> None:
    verbs.write(jira=CLONE, handle="context.jira.clone('OPS-1')")
    before = len(verbs.site.issues)
    report = verbs.doubt(operation, fault)
    assert (report.state, len(verbs.site.issues) - before, len(verbs.site.links)) == ("done", 1, 1), report.reason


def test_in_observe_mode_a_clone_of_what_was_not_created_does_not_stop_the_rule(verbs: Any) -> None:
    handle = "made = context.jira.create('OPS', 'Task', 'x')\nreturn context.jira.clone(made['key'])"
    verbs.write(jira=CLONE, handle=handle, more='mode = "observe"\n')
    report = verbs.send()
    assert (report.state, report.result) == ("done", {"id": "0", "key": "OPS-0"}), report.reason


def test_fields_that_are_read_in_another_form_than_written_are_put_into_it() -> None:
    def field(name: str, custom: str, **more: Any) -> dict[str, Any]:
        return {"fieldId": name, "schema": {"type": "any", "custom": f"com.x:{custom}"}, **more}

    offered = [
        field("customfield_1", "gh-lexo-rank"),
        field("customfield_2", "gh-sprint"),
        field("customfield_3", "gh-sprint"),
        field("customfield_4", "atlassian-team"),
        field("customfield_5", "cascadingselect"),
        field("customfield_6", "multicheckboxes", allowedValues=[{"id": "7", "value": "Yes"}]),
        field("customfield_7", "select", allowedValues=[]),
    ]
    option = {"self": "https://x/1", "value": "Yes", "id": "1"}
    had = {
        "customfield_1": "0|i0001:",
        "customfield_2": [{"id": 4, "state": "closed"}, {"id": 5, "state": "active"}],
        "customfield_3": [{"id": 4, "state": "closed"}],
        "customfield_4": {"id": "team-1", "name": "Ops"},
        "customfield_5": {**option, "child": {"self": "https://x/2", "value": "North", "id": "2"}},
        "customfield_6": [option],
        "customfield_7": option,
    }
    assert copied_fields(had, offered, None, same_project=False) == {
        "customfield_2": 5,
        "customfield_4": "team-1",
        "customfield_5": {"id": "1", "child": {"id": "2"}},
        "customfield_6": [{"id": "7"}],
    }


def test_sub_tasks_are_made_one_after_another(verbs: Any) -> None:
    call = "context.jira.create_subtasks('OPS-1', ['Ask', 'Answer'], description='x', fields={'labels': ['a']})"
    report = verbs.do(call, jira={"OPS": ["create"]})
    assert report.state == "done", report.reason
    assert [each["key"] for each in report.result] == ["OPS-100", "OPS-101"]
    for key, summary in (("OPS-100", "Ask"), ("OPS-101", "Answer")):
        fields = verbs.issue(key).fields
        assert (fields["summary"], fields["parent"], fields["labels"]) == (summary, verbs.issue("OPS-1").id, ["a"])
    assert report.lines[0] == "step:read #1 jira.create OPS-1 read by ops-bot status=200"
    assert report.lines[-1] == "step:outcome #4 jira.create OPS done by ops-bot ref=OPS-101 status=201"


def test_sub_tasks_are_made_where_the_parent_is_now_and_nowhere_else(verbs: Any) -> None:
    verbs.site.grant("ops-bot", {"browse", "create"}, project="HR")
    refused = verbs.do("context.jira.create_subtasks('OPS-99', 'One')", jira={"OPS": ["create"]})
    assert "does not grant create in HR" in str(refused.reason)
    report = verbs.do("context.jira.create_subtasks('OPS-99', 'One')", jira={"HR": ["create"]})
    assert report.state == "done", report.reason
    assert verbs.issue(report.result[0]["key"]).project == "HR"


@pytest.mark.parametrize("fault", ["reset-after", "503"])
def test_of_several_sub_tasks_the_one_in_doubt_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira={"OPS": ["create"]}, handle="context.jira.create_subtasks('OPS-1', ['Ask', 'Answer'])")
    before = len(verbs.site.issues)
    report = verbs.doubt("createIssue", fault)
    assert (report.state, len(verbs.site.issues) - before) == ("done", 2), report.reason
