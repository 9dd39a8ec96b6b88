"""The sandbox's management API answers as Atlassian's description of it says, and refuses what sites refuse."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_schema_validator import OAS30ReadValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from bridge.migrate.api import ApiRefused, Management
from bridge.sandbox import seed
from bridge.sandbox.app import create_app
from bridge.sandbox.site import Site
from bridge.sandbox.transport import SandboxTransport

SPEC = Path(__file__).resolve().parents[3] / "shared" / "specs" / "automation-v1.json"
ADDRESS = "http://127.0.0.1:9"
BASIC = {"Authorization": f"Basic {base64.b64encode(b'admin@example.com:t').decode()}"}
RULE = {
    "name": "One",
    "description": "",
    "state": "ENABLED",
    "notifyOnError": "FIRSTERROR",
    "canOtherRuleTrigger": False,
    "actor": {"type": "EVENT_INITIATOR"},
    "labels": [],
    "ruleScopeARIs": ["ari:cloud:jira:4e11:project/10000"],
    "trigger": {"component": "TRIGGER", "type": "jira.manual.trigger.issue", "value": {}, "conditions": []},
    "components": [
        {"component": "ACTION", "type": "codebarrel.action.log", "value": "x", "children": [], "conditions": []}
    ],
}


@pytest.fixture
def app() -> Flask:
    made = create_app(seed.demo(Site(), {}))
    made.extensions["automations"].admins["admin@example.com"] = "t"
    return made


@pytest.fixture
def number(app: Flask) -> str:
    return str(app.extensions["automations"].add(RULE))


def base(app: Flask) -> str:
    return f"/automation/public/jira/{app.extensions['sandbox'].cloud_id}/rest/v1/rule"


def judged(schema: str, body: Any) -> list[str]:
    registry = Registry().with_resource("urn:api", DRAFT4.create_resource(json.loads(SPEC.read_text(encoding="utf-8"))))
    judge = OAS30ReadValidator({"$ref": f"urn:api#/components/schemas/{schema}"}, registry=registry)
    return [error.message for error in judge.iter_errors(body)]


@pytest.mark.skipif(not SPEC.is_file(), reason="the description of the management API is not beside this checkout")
def test_answers_and_refusals_have_the_described_shapes(app: Flask, number: str) -> None:
    client = app.test_client()
    assert judged("RuleConfigResponse", client.get(f"{base(app)}/{number}", headers=BASIC).get_json()) == []
    assert judged("RuleUuidResponse", _put(app, number, {"rule": RULE}).get_json()) == []
    page = client.get(f"{base(app)}/summary?limit=1", headers=BASIC).get_json()
    assert [each["uuid"] for each in page["data"]] == [number]
    refused = client.get(f"{base(app)}/{number}")
    assert (refused.status_code, judged("ErrorResponse", refused.get_json())) == (401, [])


def _put(app: Flask, number: str, body: Any) -> Any:
    return app.test_client().put(f"{base(app)}/{number}", json=body, headers=BASIC)


@pytest.mark.parametrize(
    "body", [None, RULE, {"rule": {**RULE, "state": "ON"}}, {"rule": {**RULE, "components": None}}]
)
def test_a_body_without_its_envelope_or_with_a_part_missing_is_refused(app: Flask, number: str, body: Any) -> None:
    assert _put(app, number, body).status_code == 400


def test_ids_that_are_not_there_are_refused_and_new_ones_are_given(app: Flask, number: str) -> None:
    strange = {**RULE, "components": [{**RULE["components"][0], "id": "strange"}]}  # type: ignore[index]
    assert _put(app, number, {"rule": strange}).status_code == 400
    assert _put(app, number, {"rule": RULE}).status_code == 200
    assert all(each["id"] for each in app.extensions["automations"].rules[number]["rule"]["components"])


def test_a_person_manages_automations_and_a_wrong_token_does_not(app: Flask, number: str) -> None:
    cloud = app.extensions["sandbox"].cloud_id
    transport = SandboxTransport(app)
    with Management(ADDRESS, ADDRESS, cloud, "admin@example.com", "t", transport=transport) as management:
        assert [each["name"] for each in management.summaries()] == ["One"]
        management.put(number, management.rule(number), enabled=False)
        assert management.rule(number)["rule"]["state"] == "DISABLED"
        with pytest.raises(ApiRefused, match="404"):
            management.rule("nobody")
    with (
        Management(ADDRESS, ADDRESS, cloud, "admin@example.com", "wrong", transport=transport) as stranger,
        pytest.raises(ApiRefused, match="401") as refused,
    ):
        stranger.rule(number)
    assert "wrong" not in str(refused.value)
