"""What goes wrong on demand: who orders it, whom it hits, and what has happened on the site afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bridge.sandbox.document import paragraphs
from bridge.sandbox.faults import Cut
from bridge.sandbox.transport import SandboxTransport

if TYPE_CHECKING:
    from flask import Flask

    from bridge.sandbox.records import Issue, Page
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

COMMENTS = "/rest/api/3/issue/OPS-1/comment"
BODY = {"body": paragraphs("Once only")}


@pytest.fixture
def order(jira: Api) -> Any:
    """Order a fault as a test of the whole bridge does: over HTTP."""

    def place(fault: str, match: dict[str, str] | None = None, **arguments: Any) -> None:
        answer = jira.client.post("/sandbox/faults", json={"fault": fault, "match": match or {}, **arguments})
        assert answer.status_code == 201, answer.json

    return place


@pytest.fixture
def http(app: Flask, jira: Api) -> httpx.Client:
    """An httpx client in the same process, on which cut connections look as on a network."""
    return httpx.Client(
        transport=SandboxTransport(app),
        base_url=f"http://sandbox/ex/jira/{jira.cloud_id}",
        headers={"Authorization": f"Bearer {jira.token}"},
        timeout=5,
    )


def _made(incident: Issue) -> int:
    return sum(comment.body == BODY["body"] for comment in incident.comments)


def test_a_429_names_its_reason_and_when_to_come_back_and_the_site_did_nothing(
    jira: Api, order: Any, incident: Issue
) -> None:
    order("429", {"operation": "addComment"}, retry_after=7, reason="jira-per-issue-on-write")
    refused = jira.post(COMMENTS, BODY)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "7"
    assert refused.headers["RateLimit-Reason"] == "jira-per-issue-on-write"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.headers["X-RateLimit-Reset"] == "2026-11-22T12:00Z"
    assert _made(incident) == 0
    assert jira.post(COMMENTS, BODY).status_code == 201


def test_the_gateways_own_429_tells_only_when_the_limit_is_reset(jira: Api, order: Any) -> None:
    order("429", reason="gateway")
    refused = jira.get("/rest/api/3/myself")
    assert refused.json == {"code": 429, "message": "Rate limit exceeded"}
    assert "Retry-After" not in refused.headers
    assert "RateLimit-Reason" not in refused.headers
    assert refused.headers["X-Failure-Category"] == "FAILURE_CLIENT_RATE_LIMITED"
    assert "X-RateLimit-Reset" in refused.headers


@pytest.mark.parametrize("status", ["500", "503"])
@pytest.mark.parametrize("processed", [True, False])
def test_a_server_error_does_not_say_whether_the_request_was_executed(
    jira: Api, order: Any, incident: Issue, status: str, *, processed: bool
) -> None:
    order(status, processed=processed, retry_after=3)
    answer = jira.post(COMMENTS, BODY)
    assert answer.status_code == int(status)
    assert answer.headers["Retry-After"] == "3"
    assert _made(incident) == int(processed)


def test_a_401_can_be_that_of_a_dead_token_or_of_a_missing_scope(jira: Api, order: Any) -> None:
    order("401")
    order("401", scope=True)
    assert jira.get("/rest/api/3/myself").json == {"code": 401, "message": "Unauthorized"}
    assert jira.get("/rest/api/3/myself").headers["X-Failure-Category"] == "FAILURE_CLIENT_SCOPE_CHECK"
    assert jira.get("/rest/api/3/myself").status_code == 200


def test_a_conflict_has_the_products_own_body(jira: Api, confluence: Api, order: Any, runbook: Page) -> None:
    order("409", times=2)
    assert jira.put("/rest/api/3/issue/OPS-1", {"fields": {"labels": []}}).status_code == 409
    body = {"id": runbook.id, "status": "current", "title": "x", "body": {}, "version": {"number": 3}}
    conflict = confluence.put(f"/wiki/api/v2/pages/{runbook.id}", body)
    assert conflict.json is not None
    assert conflict.json["errors"][0]["code"] == "CONFLICT"


def test_a_fault_hits_only_what_it_matches_as_often_as_ordered(jira: Api, order: Any) -> None:
    order("503", {"method": "GET", "path_contains": "OPS-2"}, times=2, skip=1)
    statuses = [jira.get(f"/rest/api/3/issue/{key}").status_code for key in ("OPS-1", *["OPS-2"] * 4)]
    assert statuses == [200, 200, 503, 503, 200]
    order("503", times=None)
    assert {jira.get("/rest/api/3/myself").status_code for _ in range(5)} == {503}
    assert jira.client.delete("/sandbox/faults").status_code == 204
    assert jira.get("/rest/api/3/myself").status_code == 200


@pytest.mark.parametrize(("fault", "made"), [("reset-before", 0), ("reset-after", 1)])
def test_a_reset_connection_leaves_the_client_in_doubt(
    http: httpx.Client, order: Any, incident: Issue, fault: str, made: int
) -> None:
    order(fault)
    with pytest.raises(httpx.ReadError, match="reset"):
        http.post(COMMENTS, json=BODY)
    assert _made(incident) == made
    assert http.get("/rest/api/3/myself").status_code == 200


def test_the_flask_test_client_sees_a_cut_as_the_exception_it_is(jira: Api, order: Any) -> None:
    order("reset-before")
    with pytest.raises(Cut):
        jira.get("/rest/api/3/myself")


def test_half_an_answer_comes_after_the_whole_deed(http: httpx.Client, order: Any, incident: Issue) -> None:
    order("half")
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(COMMENTS, json=BODY)
    assert _made(incident) == 1


def test_a_slow_answer_is_waited_for(jira: Api, order: Any, waits: list[float], incident: Issue) -> None:
    order("slow", seconds=2.5)
    assert jira.post(COMMENTS, BODY).status_code == 201
    assert waits == [2.5]
    assert _made(incident) == 1


def test_an_answer_slower_than_the_clients_patience_is_a_timeout_after_the_deed(
    http: httpx.Client, order: Any, incident: Issue, waits: list[float]
) -> None:
    order("slow", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        http.post(COMMENTS, json=BODY)
    assert _made(incident) == 1
    assert waits == []


def test_a_request_that_waits_too_long_before_it_is_executed_is_still_executed(
    http: httpx.Client, order: Any, jira: Api, incident: Issue
) -> None:
    order("slow", seconds=60, processed=False)
    with pytest.raises(httpx.ReadTimeout):
        http.post(COMMENTS, json=BODY)
    assert _made(incident) == 0
    assert jira.client.post("/sandbox/late").json == {"executed": 1}
    assert _made(incident) == 1


def test_a_late_execution_happens_when_the_client_has_long_given_up(
    http: httpx.Client, order: Any, jira: Api, incident: Issue
) -> None:
    order("late")
    with pytest.raises(httpx.ReadError):
        http.post(COMMENTS, json=BODY)
    assert _made(incident) == 0
    assert jira.client.post("/sandbox/late").json == {"executed": 1}
    assert _made(incident) == 1
    assert jira.client.post("/sandbox/late").json == {"executed": 0}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fault": "explode"}, "fault must be one of"),
        ({"fault": "500", "match": {"methods": "GET"}}, "match may name"),
        ({"fault": "500", "match": {"method": 1}}, "match may name"),
        ({"fault": "500", "time": 1}, "unknown argument 'time'"),
        ({"fault": "500", "times": -1}, "times does not take -1"),
        ({"fault": "slow"}, "slow needs seconds"),
        ([], "must be a JSON object"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(jira: Api, given: Any, told: str) -> None:
    answer = jira.client.post("/sandbox/faults", json=given)
    assert answer.status_code == 400
    assert answer.json is not None
    assert told in answer.json["detail"]


def test_standing_orders_are_listed(jira: Api, order: Any) -> None:
    order("503", {"operation": "getIssue"}, times=3)
    listed = jira.client.get("/sandbox/faults").json
    assert listed is not None
    assert [(fault["kind"], fault["operation"], fault["times"]) for fault in listed["faults"]] == [
        ("503", "getIssue", 3)
    ]


def test_burst_limits_are_off_until_they_are_turned_on(jira: Api, site: Site, clock: Clock) -> None:
    assert {jira.put("/rest/api/3/issue/OPS-1", {"fields": {}}).status_code for _ in range(60)} == {204}
    assert jira.client.post("/sandbox/limits", json={"on": True}).status_code == 204
    answers = [jira.put("/rest/api/3/issue/OPS-1", {"fields": {}}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [204] * 20 + [429]
    assert answers[-1].headers["RateLimit-Reason"] == "jira-per-issue-on-write"
    assert answers[-1].headers["Retry-After"] == "2"
    assert jira.put("/rest/api/3/issue/OPS-2", {"fields": {}}).status_code == 204
    clock.forward(seconds=2)
    assert jira.put("/rest/api/3/issue/OPS-1", {"fields": {}}).status_code == 204


def test_a_burst_on_one_operation_leaves_the_others_alone(jira: Api, clock: Clock) -> None:
    jira.client.post("/sandbox/limits", json={"on": True})
    answers = [jira.get("/rest/api/3/myself") for _ in range(101)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["RateLimit-Reason"] == "jira-burst-based"
    assert answers[-2].headers["X-RateLimit-NearLimit"] == "true"
    assert "X-RateLimit-NearLimit" not in answers[0].headers
    assert jira.get("/rest/api/3/issue/OPS-1").status_code == 200
    clock.forward(seconds=1)
    assert jira.get("/rest/api/3/myself").status_code == 200
