"""Exports read: every dialect, and whatever else somebody may hand over gets one line and stops nothing."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.migrate.automation import Automation
from bridge.migrate.export import masked, read

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "automation-rules"


def component(kind: str = "jira.issue.comment", **more: Any) -> dict[str, Any]:
    return {"component": "ACTION", "type": kind, "value": {"comment": "Hello"}, **more}


def rule(*components: Any, **more: Any) -> dict[str, Any]:
    trigger = {"component": "TRIGGER", "type": "jira.manual.trigger.issue", "value": {}}
    return {"name": "One", "state": "ENABLED", "trigger": trigger, "components": list(components), **more}


def said(content: bytes | str) -> list[str]:
    """What is said of a file that cannot be read."""
    reading = read(content.encode() if isinstance(content, str) else content, "export.json")
    assert reading.automations == []
    return [str(each) for each in reading.problems]


def one(raw: Any) -> Automation:
    reading = read(json.dumps(raw).encode(), "export.json")
    assert [str(each) for each in reading.problems] == []
    (found,) = reading.automations
    return found


CLOUD = "ari:cloud:jira:4e119cf2-4b83-4195-abdf-d7a2f9bd043d:project/10001"
WHOLE_SITE = "ari:cloud:jira::site/4e119cf2-4b83-4195-abdf-d7a2f9bd043d"


def test_an_export_of_the_cloud_says_actor_author_and_projects() -> None:
    actor = {"type": "ACCOUNT_ID", "value": "5b10ac8d82e05b22cc7d4ef5"}
    scope = {"resources": [CLOUD]}
    found = one({"cloud": True, "rules": [rule(component(), actor=actor, ruleScope=scope, authorAccountId="5f5d")]})
    assert (found.dialect, found.actor.kind, found.actor.id) == ("cloud-export", "person", "5b10ac8d82e05b22cc7d4ef5")
    assert (found.author, found.projects, found.site_wide) == ("5f5d", ("10001",), False)
    assert found.cloud_id == "4e119cf2-4b83-4195-abdf-d7a2f9bd043d"


@pytest.mark.parametrize("envelope", [True, False])
def test_an_answer_of_the_management_api_is_read_with_and_without_its_envelope(*, envelope: bool) -> None:
    raw = rule(component(), actor={"type": "EVENT_INITIATOR"}, uuid="0192e5ac-0e25-71de-ba7b-d972e6a2049a")
    raw["ruleScopeARIs"] = [WHOLE_SITE]
    found = one({"rule": raw, "connections": []} if envelope else raw)
    assert (found.dialect, found.actor.kind, found.site_wide) == ("management-api", "initiator", True)
    assert found.uuid == "0192e5ac-0e25-71de-ba7b-d972e6a2049a"
    assert found.cloud_id == "4e119cf2-4b83-4195-abdf-d7a2f9bd043d"


def test_exports_of_data_center_and_of_2018_are_read_for_planning() -> None:
    center = one(rule(component(), actorAccountId="JIRAUSER1", projects=[{"projectId": "11215"}]))
    assert (center.dialect, center.projects, center.actor.id) == ("data-center", ("11215",), "JIRAUSER1")
    old = one({"cloud": True, "rules": [rule(component(), actorKey="addon_automation", authorKey="admin")]})
    assert (old.dialect, old.actor.kind, old.author) == ("cloud-2018", "robot", "admin")


def test_everything_below_conditions_branches_and_groups_is_walked() -> None:
    block = component("jira.condition.if.block", conditions=[component("jira.jql.condition")], children=[component()])
    group = component("automation.orchestration.fragment", children=[component("jira.issue.related", children=[block])])
    assert [node.type.rpartition(".")[2] for node in one(rule(group)).walk()] == [
        "fragment", "related", "block", "condition", "comment"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "export.json: is empty"),
        ("   \n", "export.json: is empty"),
        (b"\xff\xfe\x00", "export.json: is no text in UTF-8"),
        ('{"cloud": true, "rules": [{"name": "a', "export.json: ends in the middle: it was cut off"),
        ("<html>Sign in</html>", "export.json: is no JSON from line 1 on"),
        ("[" * 100_000, "export.json: is nested too deeply to be an export"),
        ("42", "export.json: is JSON, but no automation"),
        ("[]", "export.json: is an empty list: no automation stands in it"),
        ('{"rules": []}', "export.json: is an export without any automation"),
        ('{"swagger": "2.0"}', "export.json: is JSON, but no automation: it has neither rules, nor rule"),
        ('{"links": {}, "data": [{"uuid": "x"}]}', "export.json: is a list of summaries"),
        ('{"rules": [7]}', "export.json: is no automation: an object is expected"),
        ('{"rules": [{"name": "Tidy"}]}', "export.json (Tidy): is no automation: it has no trigger"),
        (json.dumps(rule("a text")), "export.json (One): components 1 is no component"),
        (json.dumps(rule(component(children=7))), "export.json (One): components 1: children is no list"),
        (json.dumps(rule({"component": "ACTION"})), "export.json (One): components 1 has no type"),
        (
            json.dumps(rule(component(id="a", children=[component(id="b", children=[component(id="a")])]))),
            "export.json (One): components 1, children 1, children 1 stands within itself (component a)",
        ),
        (
            json.dumps(rule(component(id="a", parentId="b"), component(id="b", parentId="a"))),
            "export.json (One): its components are parents of one another (component ",
        ),
    ],
)
def test_what_is_no_export_gets_one_line(content: bytes | str, sentence: str) -> None:
    (line,) = said(content)
    assert line.startswith(sentence)
    assert "\n" not in line


def test_a_tree_that_is_nested_without_end_gets_one_line() -> None:
    nested: dict[str, Any] = component()
    for _ in range(60):
        nested = component("jira.issue.related", children=[nested])
    (line,) = said(json.dumps(rule(nested)))
    assert "is nested more than 40 levels deep" in line


def test_one_broken_automation_keeps_none_of_the_others_from_being_read() -> None:
    export = {"cloud": True, "rules": [rule(component(), name="First"), {"name": "Bad\x1b[31m"}, rule(name="Third")]}
    reading = read(json.dumps(export).encode(), "export.json")
    assert [each.name for each in reading.automations] == ["First", "Third"]
    assert [str(each) for each in reading.problems] == [
        "export.json, automation 2 (Bad·[31m): is no automation: it has no trigger or no list of components"
    ]


def test_an_export_of_5_mb_is_read_within_seconds() -> None:
    many = [rule(*(component() for _ in range(60)), name=f"Automation {number}") for number in range(1_000)]
    content = json.dumps({"cloud": True, "rules": many}).encode()
    assert len(content) > 5_000_000
    begun = time.monotonic()
    reading = read(content, "export.json")
    assert len(reading.automations) == 1_000
    assert time.monotonic() - begun < 20


def test_masked_headers_are_noticed() -> None:
    def with_header(value: str | None, *, hidden: bool = True) -> Automation:
        header = {"name": "Authorization", "value": value, "headerSecure": hidden}
        request = component("jira.issue.outgoing.webhook", value={"url": "https://example.com", "headers": [header]})
        return one(rule(request))

    assert masked(with_header("********"))
    assert masked(with_header(""))
    assert masked(with_header(None))
    assert not masked(with_header("Bearer abc"))
    assert not masked(with_header("", hidden=False))


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the example automations are not beside this checkout")
def test_every_example_is_read_in_its_dialect() -> None:
    found = {
        path.stem: {each.dialect for each in read(path.read_bytes(), path.name).automations}
        for path in EXAMPLES.glob("*.json")
    }
    assert found == {
        "cloud-ui-export-2018": {"cloud-2018"},
        "cloud-ui-export-2026": {"cloud-export"},
        "data-center-if-else-assign": {"data-center"},
        "data-center-transitions": {"data-center"},
        "management-api-if-else": {"management-api"},
        "not-an-export": {"unknown"},
    }
