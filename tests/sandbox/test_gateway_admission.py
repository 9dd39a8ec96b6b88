"""Who gets past the gateway, and what it says to those who do not."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import seed
from bridge.sandbox.records import SandboxRefusal, Token

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock


def test_a_bearer_token_opens_its_product_for_the_account_it_belongs_to(jira: Api) -> None:
    answer = jira.get("/rest/api/3/myself")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["displayName"] == "ops-bot"
    assert answer.json["accountType"] == "app"
    assert answer.json["emailAddress"] == "ops-bot-x1@serviceaccount.atlassian.com"


def test_basic_credentials_work_only_with_the_address_of_the_tokens_own_account(jira: Api) -> None:
    def basic(email: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{email}:{jira.token}".encode()).decode()}

    assert jira.send("GET", "/rest/api/3/myself", headers=basic(seed.BOT_EMAIL)).status_code == 200
    assert jira.send("GET", "/rest/api/3/myself", headers=basic("mia.keller@example.com")).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic %%%", "Digest x"])
def test_a_request_without_a_good_credential_gets_401_of_the_gateways_own(jira: Api, header: str) -> None:
    answer = jira.send("GET", "/rest/api/3/issue/OPS-1", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json == {"code": 401, "message": "Unauthorized"}
    assert "X-Failure-Category" not in answer.headers


def test_a_token_stops_working_at_the_moment_it_expires(site: Site, jira: Api, clock: Clock) -> None:
    end = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    site.add_token("short", Token("ops-bot", frozenset({"jira"}), seed.JIRA_SCOPES, end))
    jira.token = "short"
    assert jira.get("/rest/api/3/myself").status_code == 200
    clock.forward(hours=1)
    assert jira.get("/rest/api/3/myself").json == {"code": 401, "message": "Unauthorized"}


def test_a_missing_oauth_scope_is_told_apart_from_a_bad_token(site: Site, jira: Api) -> None:
    site.add_token("reader", Token("ops-bot", frozenset({"jira"}), frozenset({"read:jira-work"})))
    jira.token = "reader"
    assert jira.get("/rest/api/3/issue/OPS-1").status_code == 200
    answer = jira.put("/rest/api/3/issue/OPS-1", {"fields": {"summary": "No"}})
    assert answer.status_code == 401
    assert answer.json == {"code": 401, "message": "Unauthorized; scope does not match"}
    assert answer.headers["X-Failure-Category"] == "FAILURE_CLIENT_SCOPE_CHECK"


def test_granular_scopes_are_enough_only_when_the_whole_bundle_is_there(site: Site, jira: Api) -> None:
    site.add_token("half", Token("ops-bot", frozenset({"jira"}), frozenset({"write:issue:jira"})))
    jira.token = "half"
    assert jira.put("/rest/api/3/issue/OPS-1", {"fields": {"labels": ["a"]}}).status_code == 204
    step = {"transition": {"id": "31"}}
    assert jira.post("/rest/api/3/issue/OPS-1/transitions", step).status_code == 401


def test_a_token_of_one_product_opens_nothing_in_the_other(jira: Api, confluence: Api) -> None:
    confluence.token, jira.token = jira.token, confluence.token
    for api, path in ((confluence, "/wiki/api/v2/spaces"), (jira, "/rest/api/3/myself")):
        answer = api.get(path)
        assert answer.status_code == 401
        assert answer.json is not None
        assert "scope" in answer.json["message"]


def test_an_operation_of_the_other_product_is_not_found_below_this_ones_prefix(jira: Api) -> None:
    headers = {"Authorization": f"Bearer {jira.token}"}
    assert jira.client.get(f"/ex/jira/{jira.cloud_id}/wiki/api/v2/spaces", headers=headers).status_code == 404


@pytest.mark.parametrize("path", ["/rest/api/3/nothing", "/rest/api/3/issue/OPS-1/votes", "/", "/rest/api/3"])
def test_what_the_sandbox_does_not_play_is_a_plain_404(client: FlaskClient, site: Site, jira: Api, path: str) -> None:
    headers = {"Authorization": f"Bearer {jira.token}"}
    assert client.get(f"/ex/jira/{site.cloud_id}{path}", headers=headers).status_code == 404


def test_another_cloud_id_is_not_found(jira: Api) -> None:
    jira.cloud_id = "00000000-0000-0000-0000-000000000000"
    assert jira.send("GET", "/rest/api/3/nothing").status_code == 404


def test_a_careless_path_is_read_as_a_careless_server_would_read_it(jira: Api, site: Site) -> None:
    moved = {"body": {"type": "doc", "version": 1, "content": [{"type": "rule"}]}}
    for path in ("/rest/api/3/issue/OPS-1/../HR-1/comment", "/rest/api/3/issue/OPS-1%2F..%2FHR-1/comment"):
        address = f"/ex/jira/{site.cloud_id}{path}"
        answer = jira.client.post(address, json=moved, headers={"Authorization": f"Bearer {jira.token}"})
        assert answer.status_code == 201
    found = site.find_issue("HR-1")
    assert found is not None
    assert len(found.comments) == 2


def test_every_answer_carries_a_trace(jira: Api) -> None:
    traces = {jira.get("/rest/api/3/issue/OPS-1").headers["Atl-Traceid"] for _ in range(3)}
    assert len(traces) == 3


def test_a_body_that_is_no_json_is_refused_in_the_products_own_words(jira: Api, confluence: Api) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {jira.token}"}
    address = f"/ex/jira/{jira.cloud_id}/rest/api/3/issue/OPS-1/comment"
    answer = jira.client.post(address, data=b"{", headers=headers)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["errorMessages"]
    headers["Authorization"] = f"Bearer {confluence.token}"
    address = f"/ex/confluence/{jira.cloud_id}/wiki/api/v2/pages"
    answer = confluence.client.post(address, data=b"{", headers=headers)
    assert answer.json is not None
    assert answer.json["errors"][0]["code"] == "INVALID_REQUEST_PARAMETER"
    headers["Content-Type"] = "text/plain"
    assert confluence.client.post(address, data=b"{}", headers=headers).status_code == 415


def test_the_cloud_id_is_told_on_the_sites_own_host_which_opens_no_api(
    client: FlaskClient, site: Site, jira: Api
) -> None:
    assert client.get("/_edge/tenant_info").json == {"cloudId": site.cloud_id}
    headers = {"Authorization": f"Bearer {jira.token}"}
    for path in ("/rest/api/3/myself", "/wiki/api/v2/spaces", "/wiki/rest/api/user/current"):
        assert client.get(path, headers=headers).status_code == 401


def test_a_token_for_an_account_that_is_not_there_is_refused(site: Site) -> None:
    with pytest.raises(SandboxRefusal, match="nobody"):
        site.add_token("x", Token("nobody", frozenset({"jira"}), frozenset()))


def test_a_deactivated_account_gets_nowhere(site: Site, jira: Api) -> None:
    site.account("ops-bot").active = False
    assert jira.get("/rest/api/3/myself").status_code == 401
