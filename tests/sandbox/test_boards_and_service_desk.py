"""Boards, versions and the service desk of the sandbox: who may do what, and in which order it may be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import seed
from bridge.sandbox.records import PROJECT_PERMISSIONS
from bridge.sandbox.snapshot import snapshot

if TYPE_CHECKING:
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

AGILE, DESK = "/rest/agile/1.0", "/rest/servicedeskapi"
DATES = {"startDate": "2027-01-11T09:00:00.000+01:00", "endDate": "2027-01-25T09:00:00.000+01:00"}


def without(site: Site, permission: str) -> None:
    site.grant(seed.BOT, PROJECT_PERMISSIONS - {permission}, project="OPS")
    site.grant(seed.BOT, set(), project="CHG")


@pytest.mark.parametrize(
    ("permission", "method", "path", "body", "status"),
    [
        ("administer", "POST", "/rest/api/3/version", {"projectId": 10000, "name": "x"}, 404),
        ("administer", "PUT", "/rest/api/3/version/10013", {"released": True}, 400),
        ("manage-sprints", "POST", f"{AGILE}/sprint", {"name": "x", "originBoardId": 1}, 403),
        ("manage-sprints", "POST", f"{AGILE}/sprint/47", {"state": "closed"}, 403),
        ("schedule", "POST", f"{AGILE}/sprint/48/issue", {"issues": ["OPS-1"]}, 403),
        ("schedule", "POST", f"{AGILE}/board/1/issue", {"issues": ["OPS-1"]}, 403),
        ("browse", "GET", f"{AGILE}/sprint/48", None, 404),
        ("browse", "GET", f"{DESK}/request/OPS-1", None, 404),
        ("browse", "GET", f"{DESK}/servicedesk/OPS", None, 404),
        ("comment", "POST", f"{DESK}/request/OPS-1/comment", {"body": "x", "public": True}, 403),
        ("agent", "POST", f"{DESK}/request/OPS-1/comment", {"body": "x", "public": False}, 403),
        ("agent", "POST", f"{DESK}/organization", {"name": "x"}, 403),
        ("administer", "POST", f"{DESK}/customer", {"email": "x@example.com", "displayName": "x"}, 403),
    ],
)
def test_what_the_account_may_not_do_is_refused(
    jira: Api, site: Site, permission: str, method: str, path: str, body: object, status: int
) -> None:
    without(site, permission)
    assert jira.send(method, path, body).status_code == status


def test_a_sprint_goes_from_future_over_active_to_closed_and_never_back(jira: Api) -> None:
    assert jira.post(f"{AGILE}/sprint/48", {"state": "closed"}).status_code == 400
    assert jira.post(f"{AGILE}/sprint/48", {"state": "active", **DATES}).status_code == 200
    assert jira.post(f"{AGILE}/sprint/48", {"state": "active"}).status_code == 400
    closed = jira.post(f"{AGILE}/sprint/48", {"state": "closed"}).json
    assert closed is not None
    assert closed["completeDate"]
    assert jira.post(f"{AGILE}/sprint/48/issue", {"issues": ["OPS-1"]}).status_code == 400


def test_at_most_fifty_issues_are_moved_at_once(jira: Api) -> None:
    assert jira.post(f"{AGILE}/sprint/48/issue", {"issues": ["OPS-1"] * 51}).status_code == 400


def test_internal_comments_are_shown_to_agents_only(jira: Api, site: Site) -> None:
    jira.post(f"{DESK}/request/OPS-2/comment", {"body": "Between us", "public": False})

    def seen() -> list[str]:
        answer = jira.get(f"{DESK}/request/OPS-2/comment").json
        assert answer is not None
        return [each["body"] for each in answer["values"]]

    assert "Between us" in seen()
    without(site, "agent")
    assert "Between us" not in seen()
    assert len(seen()) == 1


def test_an_approval_is_answered_once_and_by_its_approvers_only(jira: Api, site: Site) -> None:
    path = f"{DESK}/request/OPS-1/approval/1"
    assert jira.post(path, {"decision": "approve"}).status_code == 200
    assert jira.post(path, {"decision": "decline"}).status_code == 409
    theirs = site.add_approval(site.issues["10001"], "Theirs", [site.account(seed.PERSON).id])
    assert jira.post(f"{DESK}/request/OPS-1/approval/{theirs.id}", {"decision": "approve"}).status_code == 403


def test_what_happened_shows_in_the_sites_state_as_json(jira: Api, site: Site) -> None:
    jira.post(f"{AGILE}/sprint/48/issue", {"issues": ["OPS-1"]})
    shown = snapshot(site)
    assert next(each for each in shown["sprints"] if each["name"] == "Sprint 48")["issues"] == ["10001"]
    assert shown["issues"]["OPS-1"]["request"]["approvals"][0]["approvers"]
    assert shown["organizations"][0]["name"] == "Northwind"
