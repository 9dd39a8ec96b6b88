"""The rewritten automation: its dialect kept, ids gone, disabled, and true to Atlassian's description of the API."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30WriteValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from bridge.migrate.export import read
from bridge.migrate.plan import Plan, weigh
from bridge.migrate.rewrite import Address, Form, rewritten

SHARED = Path(__file__).resolve().parents[3] / "shared"
SPEC = SHARED / "specs" / "automation-v1.json"
FORMS: tuple[Form, ...] = ("observe", "act")
OWN = {
    "rule": {
        "uuid": "0192e5ac-0e25-71de-ba7b-d972e6a2049a",
        "name": "Look after it",
        "description": None,
        "state": "ENABLED",
        "created": 1743568964.174,
        "updated": 1743568964.174,
        "actor": {"type": "ACCOUNT_ID", "actor": "5b10ac8d82e05b22cc7d4ef5"},
        "labels": ["one"],
        "ruleScopeARIs": ["ari:cloud:jira:4e11:project/10000"],
        "trigger": {
            "id": "1",
            "component": "TRIGGER",
            "type": "jira.manual.trigger.issue",
            "value": {},
            "conditions": [],
        },
        "components": [
            {
                "id": "2",
                "component": "ACTION",
                "type": "confluence.create-page.action",
                "value": {},
                "children": [],
                "conditions": [],
                "connectionId": "kept",
                "parentId": None,
            },
            {
                "id": "3",
                "component": "ACTION",
                "type": "jira.issue.comment",
                "value": {"comment": "Hi"},
                "children": [],
                "conditions": [],
                "connectionId": "dropped",
                "parentId": "9",
            },
        ],
    },
    "connections": [
        {
            "id": "kept",
            "accountId": "5b10",
            "connectionTargetKey": "a",
            "targetConfigJson": "{}",
            "authType": "OAUTH_3LO",
            "createdAt": 1,
        },
        {
            "id": "dropped",
            "accountId": "5b10",
            "connectionTargetKey": "b",
            "targetConfigJson": "{}",
            "authType": "OAUTH_3LO",
        },
    ],
}


def plans_of(content: bytes) -> list[Plan]:
    return [weigh(each) for each in read(content, "one.json").automations]


def made(plan: Plan, form: Form) -> Any:
    addresses = {
        run.number: Address(f"https://b.example.com/hooks/r{run.number}", "Bearer brt1.x") for run in plan.runs
    }
    return rewritten(plan, addresses, form)


def examples() -> list[Plan]:
    names = ("cloud-ui-export-2026.json", "management-api-if-else.json")
    found = [SHARED / "automation-rules" / name for name in names]
    return [plan for path in found if path.is_file() for plan in plans_of(path.read_bytes())]


@pytest.mark.skipif(not SPEC.is_file(), reason="the description of the management API is not beside this checkout")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("schema", ["RuleUpdateRequest", "RuleWriteRequest"])
def test_what_is_written_for_the_management_api_is_what_it_takes(form: Form, schema: str) -> None:
    registry = Registry().with_resource("urn:api", DRAFT4.create_resource(json.loads(SPEC.read_text(encoding="utf-8"))))
    judge = OAS30WriteValidator({"$ref": f"urn:api#/components/schemas/{schema}"}, registry=registry)
    plans = [
        *plans_of(json.dumps(OWN).encode()),
        *(each for each in examples() if each.automation.dialect != "cloud-export"),
    ]
    for plan in plans:
        assert [error.message for error in judge.iter_errors(made(plan, form))] == []


@pytest.mark.parametrize("form", FORMS)
def test_ids_are_dropped_and_the_state_is_disabled(form: Form) -> None:
    for plan in [*plans_of(json.dumps(OWN).encode()), *examples()]:
        written = made(plan, form)
        rule = written["rules"][0] if "rules" in written else written["rule"]
        assert rule["state"] == "DISABLED"
        text = json.dumps([rule["trigger"], *rule["components"]])
        assert '"id": "' not in text.replace('"id": "_header', "")
        assert '"parentId": "' not in text
        if "rules" in written:
            assert written["cloud"] is True
            assert rule["checksum"] is None
        else:
            assert {"uuid", "created", "updated"} & set(rule) == set()


def test_the_request_is_hidden_waits_for_an_answer_and_is_json_once_it_is_rendered() -> None:
    (plan,) = plans_of(json.dumps(OWN).encode())
    value = made(plan, "act")["rule"]["components"][1]["value"]
    assert (value["method"], value["contentType"], value["responseEnabled"]) == ("POST", "custom", True)
    assert value["headers"][0] == {"id": None, "name": "Authorization", "value": "Bearer brt1.x", "headerSecure": True}
    assert json.loads(value["customBody"].replace('"{{now.format("yyyy-MM-dd\'T\'HH:mm:ss.SSSZ")}}"', '"now"')) == {
        "issue": {"key": "{{issue.key.jsonEncode}}", "id": "{{issue.id}}"},
        "initiator": {"accountId": "{{initiator.accountId.jsonEncode}}"},
        "sentAt": "now",
    }


def test_in_the_observing_form_all_actions_still_stand_and_none_of_them_depends_on_the_bridge() -> None:
    (plan,) = plans_of(json.dumps(OWN).encode())
    kinds = [each["type"] for each in made(plan, "observe")["rule"]["components"]]
    assert kinds == ["confluence.create-page.action", "jira.issue.outgoing.webhook", "jira.issue.comment"]
    assert made(plan, "observe")["rule"]["components"][1]["value"]["continueOnErrorEnabled"] is True
    acting = [each["type"] for each in made(plan, "act")["rule"]["components"]]
    assert acting == ["confluence.create-page.action", "jira.issue.outgoing.webhook"]


def test_connections_that_only_replaced_actions_used_are_dropped() -> None:
    (plan,) = plans_of(json.dumps(OWN).encode())
    assert [each["id"] for each in made(plan, "act")["connections"]] == ["kept"]
    assert "createdAt" not in made(plan, "act")["connections"][0]
    assert [each["id"] for each in made(plan, "observe")["connections"]] == ["kept", "dropped"]


def test_the_original_is_not_touched() -> None:
    before = json.dumps(OWN)
    (plan,) = plans_of(before.encode())
    raw = json.dumps(plan.automation.raw)
    made(plan, "act")
    assert json.dumps(plan.automation.raw) == raw


def test_dialects_for_planning_only_are_not_written() -> None:
    center = {"name": "x", "actorAccountId": "JIRAUSER1", "trigger": {"type": "t"}, "components": []}
    (plan,) = plans_of(json.dumps(center).encode())
    with pytest.raises(ValueError, match="planning only"):
        made(plan, "act")


def test_an_address_does_not_show_what_opens_it() -> None:
    assert "secret" not in repr(Address("https://b.example.com", "Bearer secret"))
