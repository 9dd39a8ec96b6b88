"""The control routes of the sandbox, and the tokens it is started with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bridge.errors import SettingsInvalid
from bridge.sandbox.app import wsgi
from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api


def _state(jira: Api) -> dict[str, Any]:
    answer = jira.client.get("/sandbox/state")
    assert answer.status_code == 200
    assert answer.json is not None
    state: dict[str, Any] = answer.json
    return state


def test_the_state_tells_who_did_what_and_what_arrived(jira: Api) -> None:
    mark = {"key": "bridge.step", "value": {"step": 1}}
    jira.post("/rest/api/3/issue/OPS-1/comment", {"body": paragraphs("Hello"), "properties": [mark]})
    jira.get("/rest/api/3/issue/OPS-404")
    state = _state(jira)
    comment = state["issues"]["OPS-1"]["comments"][-1]
    assert (comment["author_name"], comment["text"]) == ("ops-bot", "Hello")
    assert comment["properties"] == {"bridge.step": {"step": 1}}
    assert state["old_keys"] == {"OPS-99": "HR-2"}
    seen = [(entry["operation"], entry["status"], entry["executed"]) for entry in state["seen"]]
    assert seen == [("addComment", 201, True), ("getIssue", 404, True)]
    assert state["seen"][0]["account"] == "ops-bot"
    pages = {page["title"]: page for page in state["pages"].values()}
    assert pages["Restart the mail gateway"]["versions"][1]["author_name"] == "Jonas Brandt"


def test_the_state_holds_no_token(jira: Api) -> None:
    assert jira.token not in json.dumps(_state(jira))


def test_a_reset_brings_the_first_contents_and_ids_back_and_keeps_the_tokens(jira: Api) -> None:
    before = _state(jira)
    made = jira.post("/rest/api/3/issue/OPS-1/comment", {"body": paragraphs("Hello")}).json
    jira.client.post("/sandbox/faults", json={"fault": "500", "times": None})
    assert jira.client.post("/sandbox/reset").status_code == 204
    after = _state(jira)
    assert after["issues"] == before["issues"]
    assert after["seen"] == []
    again = jira.post("/rest/api/3/issue/OPS-1/comment", {"body": paragraphs("Hello")}).json
    assert made is not None
    assert again is not None
    assert again["id"] == made["id"]


def test_an_issue_is_moved_while_a_test_runs(jira: Api) -> None:
    moved = jira.client.post("/sandbox/move", json={"issue": "OPS-1", "project": "HR"})
    assert moved.json == {"issue": "HR-3", "was": "OPS-1"}
    shown = jira.get("/rest/api/3/issue/OPS-1", fields="project,components").json
    assert shown is not None
    assert (shown["key"], shown["fields"]["project"]["key"]) == ("HR-3", "HR")
    for wrong in ({"issue": "OPS-404", "project": "HR"}, {"issue": "OPS-2", "project": "NOPE"}):
        assert jira.client.post("/sandbox/move", json=wrong).status_code == 400


def test_a_token_is_added_while_the_site_runs(jira: Api) -> None:
    given = {"token": "new", "account": "ops-bot", "products": ["jira"], "scopes": ["read:jira-user"]}
    assert jira.client.post("/sandbox/tokens", json=given).status_code == 204
    jira.token = "new"
    assert jira.get("/rest/api/3/myself").status_code == 200
    assert jira.get("/rest/api/3/issue/OPS-1").status_code == 401
    expired = {**given, "expires": "2026-01-01"}
    assert jira.client.post("/sandbox/tokens", json=expired).status_code == 204
    assert jira.get("/rest/api/3/myself").status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": ""},
        {"account": "nobody"},
        {"products": ["bitbucket"]},
        {"scopes": "all"},
        {"expires": "soon"},
        {"x": 1},
    ],
)
def test_an_unfit_token_is_refused(jira: Api, wrong: dict[str, Any]) -> None:
    given = {"token": "new", "account": "ops-bot", "products": ["jira"], "scopes": [], **wrong}
    answer = jira.client.post("/sandbox/tokens", json=given)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["detail"]


def test_permissions_are_taken_away_while_the_site_runs(jira: Api) -> None:
    given: dict[str, Any] = {"account": "ops-bot", "project": "OPS", "permissions": []}
    assert jira.client.post("/sandbox/grants", json=given).status_code == 204
    assert jira.get("/rest/api/3/issue/OPS-1").status_code == 404
    for wrong in (
        {**given, "permissions": ["fly"]},
        {**given, "project": "NOPE"},
        {**given, "space": "ENG"},
        {**given, "account": "nobody"},
        {**given, "permissions": "browse"},
    ):
        assert jira.client.post("/sandbox/grants", json=wrong).status_code == 400


def test_the_servers_entry_reads_tokens_from_its_variable() -> None:
    described = {"account": "ops-bot", "products": ["jira"], "scopes": ["read:jira-user"], "expires": "2999-01-01"}
    app = wsgi({"BRIDGE_SANDBOX_TOKENS": json.dumps({"secret": described})})
    site: Site = app.extensions["sandbox"]
    address = f"/ex/jira/{site.cloud_id}/rest/api/3/myself"
    answer = app.test_client().get(address, headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 200
    assert wsgi({}).test_client().get(address, headers={"Authorization": "Bearer secret"}).status_code == 401


def test_every_mistake_in_the_variable_is_named_and_no_token_is_repeated() -> None:
    given = {"first-secret": {"account": "", "products": []}, "second-secret": [], "": {"scopes": 1}}
    with pytest.raises(SettingsInvalid) as caught:
        wsgi({"BRIDGE_SANDBOX_TOKENS": json.dumps(given)})
    text = str(caught.value)
    assert "secret" not in text
    assert text.count("token 1") == 3
    assert "token 2" in text
    assert "a token must not be empty" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{secret", "is not JSON: line 1"),
        ("[]", "must be a JSON object"),
        ('{"secret": {"account": "nobody", "products": ["jira"], "scopes": []}}', "no account named 'nobody'"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_without_its_contents(text: str, told: str) -> None:
    with pytest.raises(SettingsInvalid, match=told) as caught:
        wsgi({"BRIDGE_SANDBOX_TOKENS": text})
    assert "secret" not in str(caught.value)
