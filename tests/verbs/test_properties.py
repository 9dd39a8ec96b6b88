"""Entity properties of work items, projects and people; the bridge's own mark is nobody's to touch."""

from typing import Any

import pytest

GRANTS = {"OPS": ["read", "set-property", "delete-property", "set-project-property", "delete-project-property"]}


@pytest.mark.parametrize("value", [{"by": "the bridge"}, ["a", 1], "text", 5, True, False, 0, ""])
def test_a_property_holds_any_json(verbs: Any, value: Any) -> None:
    report = verbs.do(f"context.jira.set_property('OPS-1', 'seen', {value!r})", jira=GRANTS)
    assert report.state == "done", report.reason
    assert verbs.issue("OPS-1").properties["seen"] == value
    assert report.lines[-1] == "step:outcome #1 jira.set-property OPS-1 done by ops-bot status=201"
    assert verbs.do("context.jira.issue_property('OPS-1', 'seen')", jira=GRANTS).result == value


def test_null_is_no_value(verbs: Any) -> None:
    report = verbs.do("context.jira.set_property('OPS-1', 'seen', None)", jira=GRANTS)
    assert "a property holds a value; delete it to have none" in str(report.reason)


def test_a_property_that_is_not_there_is_read_as_nothing_and_is_no_failure(verbs: Any) -> None:
    report = verbs.do("context.jira.issue_property('OPS-1', 'seen')", jira=GRANTS)
    assert (report.state, report.result) == ("done", None)
    report = verbs.do("context.jira.project_property('OPS', 'seen')", jira=GRANTS)
    assert (report.state, report.result) == ("done", None)


def test_a_property_is_deleted(verbs: Any) -> None:
    verbs.issue("OPS-1").properties["seen"] = 1
    report = verbs.do("context.jira.delete_property('OPS-1', 'seen')", jira=GRANTS)
    assert (report.state, verbs.issue("OPS-1").properties) == ("done", {})
    assert report.lines[-1] == "step:outcome #1 jira.delete-property OPS-1 done by ops-bot status=204"


def test_a_project_has_properties_too(verbs: Any) -> None:
    properties = verbs.site.projects["OPS"].properties
    report = verbs.do("context.jira.set_project_property('OPS', 'on call', {'team': 'a'})", jira=GRANTS)
    assert properties == {"on call": {"team": "a"}}
    assert report.lines[-1] == "step:outcome #1 jira.set-project-property OPS done by ops-bot status=201"
    assert verbs.do("context.jira.project_property('OPS', 'on call')", jira=GRANTS).result == {"team": "a"}
    assert verbs.do("context.jira.delete_project_property('OPS', 'on call')", jira=GRANTS).state == "done"
    assert properties == {}


def test_a_person_has_properties_too(verbs: Any) -> None:
    mia = verbs.site.account("Mia Keller")
    call = f"context.jira.set_user_property({mia.id!r}, 'shift', 'night')"
    refused = verbs.do(call, jira=GRANTS)
    assert "does not grant set-user-property outside any project or space" in str(refused.reason)
    report = verbs.do(call, jira={"@site": ["set-user-property"]})
    assert (report.state, mia.properties) == ("done", {"shift": "night"}), report.reason


@pytest.mark.parametrize(
    "call",
    [
        "set_property('CHG-1', 'x', 1)",
        "delete_property('CHG-1', 'x')",
        "set_project_property('CHG', 'x', 1)",
        "delete_project_property('CHG', 'x')",
    ],
)
def test_properties_are_left_alone_outside_the_scope(verbs: Any, call: str) -> None:
    report = verbs.do(f"context.jira.{call}", jira=GRANTS)
    assert "in CHG" in str(report.reason)
    assert "does not grant" in str(report.reason)


@pytest.mark.parametrize("key", ["bridge.step", "Bridge.Step", " bridge.step "])
@pytest.mark.parametrize("verb", ["set_property('OPS-1', {key!r}, 1)", "delete_property('OPS-1', {key!r})"])
def test_the_mark_can_be_neither_written_nor_deleted(verbs: Any, verb: str, key: str) -> None:
    verbs.issue("OPS-1").properties["bridge.step"] = {"step": 1}
    report = verbs.do(f"context.jira.{verb.format(key=key)}", jira=GRANTS)
    assert report.state == "dead"
    assert verbs.issue("OPS-1").properties == {"bridge.step": {"step": 1}}
    assert verbs.sent("setIssueProperty") == verbs.sent("deleteIssueProperty") == []


@pytest.mark.parametrize("operation", ["setCommentProperty", "deleteCommentProperty"])
def test_a_scope_that_names_the_operation_does_not_open_the_mark(verbs: Any, operation: str) -> None:
    comment = verbs.issue("OPS-1").comments[0].id
    method, body = ("PUT", 1) if operation.startswith("set") else ("DELETE", None)
    path = f"/rest/api/3/comment/{comment}/properties/bridge.step"
    report = verbs.do(f"context.jira.request({method!r}, {path!r}, body={body!r})", jira={"@site": [operation]})
    assert "the property bridge.step is reserved for the mark" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "503"])
@pytest.mark.parametrize(
    ("call", "operation"),
    [
        ("set_property('OPS-1', 'x', 1)", "setIssueProperty"),
        ("set_project_property('OPS', 'x', 1)", "setProjectProperty"),
    ],
)
def test_a_property_of_unknown_fate_is_set_once_more(verbs: Any, call: str, operation: str, fault: str) -> None:
    verbs.write(jira=GRANTS, handle=f"context.jira.{call}")
    assert verbs.doubt(operation, fault).state == "done"
    holder = verbs.issue("OPS-1") if operation == "setIssueProperty" else verbs.site.projects["OPS"]
    assert holder.properties == {"x": 1}


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
@pytest.mark.parametrize(
    ("call", "operation"),
    [
        ("delete_property('OPS-1', 'x')", "deleteIssueProperty"),
        ("delete_project_property('OPS', 'x')", "deleteProjectProperty"),
    ],
)
def test_a_deleted_property_of_unknown_fate_is_asked_for(verbs: Any, call: str, operation: str, fault: str) -> None:
    holder = verbs.issue("OPS-1") if operation == "deleteIssueProperty" else verbs.site.projects["OPS"]
    holder.properties["x"] = 1
    verbs.write(jira=GRANTS, handle=f"context.jira.{call}")
    report = verbs.doubt(operation, fault)
    assert (report.state, holder.properties) == ("done", {}), report.reason
    assert len(verbs.sent(operation)) == (1 if fault in {"reset-after", "500"} else 2)
