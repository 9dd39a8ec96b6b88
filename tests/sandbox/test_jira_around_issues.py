"""What hangs on issues: links, work logs, watchers, files, entity properties, and deleting; also what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Account, Issue
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

ISSUE = "/rest/api/3/issue/OPS-1"
BLOCKS = {"type": {"name": "Blocks"}, "inwardIssue": {"key": "OPS-1"}, "outwardIssue": {"key": "CHG-1"}}
PAGE = {"globalId": "g", "object": {"url": "https://example.com", "title": "Page"}}


def _only(site: Site, *permissions: str, project: str = "OPS") -> None:
    """Leave the account these permissions and no others."""
    site.grant("ops-bot", {"browse", *permissions}, project=project)


def test_a_link_reads_outward_from_the_inward_issue_and_inward_from_the_other(jira: Api) -> None:
    assert jira.post("/rest/api/3/issueLink", BLOCKS).status_code == 201
    [ours] = _fields(jira, "OPS-1")["issuelinks"]
    assert (ours["type"]["outward"], ours["outwardIssue"]["key"], "inwardIssue" in ours) == ("blocks", "CHG-1", False)
    [theirs] = _fields(jira, "CHG-1")["issuelinks"]
    assert (theirs["type"]["inward"], theirs["inwardIssue"]["key"]) == ("is blocked by", "OPS-1")
    both = jira.get(f"/rest/api/3/issueLink/{ours['id']}").json
    assert both is not None
    assert (both["inwardIssue"]["key"], both["outwardIssue"]["key"]) == ("OPS-1", "CHG-1")


def _fields(jira: Api, key: str) -> Any:
    answer = jira.get(f"/rest/api/3/issue/{key}").json
    assert answer is not None
    return answer["fields"]


def test_the_same_link_again_is_answered_as_if_it_were_new_and_stays_one(jira: Api, site: Site) -> None:
    assert [jira.post("/rest/api/3/issueLink", BLOCKS).status_code for _ in range(2)] == [201, 201]
    assert len(site.links) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"type": {"name": "Resembles"}}, 404),
        ({"outwardIssue": {"key": "OPS-1"}}, 400),
        ({"outwardIssue": {"key": "OPS-4711"}}, 404),
        ({"outwardIssue": {"key": "HR-1"}}, 401),
    ],
)
def test_a_link_that_cannot_be_made_is_refused(jira: Api, site: Site, change: Any, status: int) -> None:
    assert jira.post("/rest/api/3/issueLink", BLOCKS | change).status_code == status
    assert site.links == {}


def test_a_link_is_only_shown_and_deleted_by_who_sees_both_ends(jira: Api, site: Site) -> None:
    jira.post("/rest/api/3/issueLink", BLOCKS)
    [link] = site.links
    path = f"/rest/api/3/issueLink/{link}"
    _only(site, project="CHG")
    assert jira.send("DELETE", path).status_code == 401
    site.grant("ops-bot", [], project="CHG")
    assert _fields(jira, "OPS-1")["issuelinks"] == []
    assert (jira.get(path).status_code, jira.send("DELETE", path).status_code) == (404, 404)
    site.grant("ops-bot", {"browse", "link"}, project="CHG")
    assert jira.send("DELETE", path).status_code == 204
    assert site.links == {}


def test_link_types_have_two_wordings(jira: Api) -> None:
    answer = jira.get("/rest/api/3/issueLinkType").json
    assert answer is not None
    assert {(each["name"], each["inward"], each["outward"]) for each in answer["issueLinkTypes"]} > {
        ("Cloners", "is cloned by", "clones")
    }


def test_a_web_link_of_a_known_global_id_is_replaced(jira: Api, incident: Issue) -> None:
    assert jira.post(f"{ISSUE}/remotelink", PAGE | {"relationship": "see"}).status_code == 201
    assert jira.post(f"{ISSUE}/remotelink", PAGE).status_code == 200
    [link] = incident.web_links
    assert link.relationship == "", "what is not given again is lost"
    one = jira.get(f"{ISSUE}/remotelink", globalId="g").json
    assert one is not None
    assert one["object"]["title"] == "Page"
    assert jira.get(f"{ISSUE}/remotelink").json == [one]
    assert jira.get(f"{ISSUE}/remotelink", globalId="x").status_code == 404


def test_a_web_link_that_cannot_be_made_is_refused(jira: Api, site: Site, incident: Issue) -> None:
    assert jira.post(f"{ISSUE}/remotelink", {"object": {"url": "https://example.com"}}).status_code == 400
    assert jira.post(f"{ISSUE}/remotelink", PAGE | {"globalId": "x" * 256}).status_code == 400
    _only(site)
    assert jira.post(f"{ISSUE}/remotelink", PAGE).status_code == 403
    assert incident.web_links == []


def test_work_is_logged_in_days_of_eight_hours(jira: Api, incident: Issue) -> None:
    body = {"timeSpent": "1w 2d 3h 30m", "started": "2026-11-20T09:00:00.000+0100", "comment": paragraphs("x")}
    made = jira.post(f"{ISSUE}/worklog", body | {"properties": [{"key": "k", "value": 1}]}, expand="properties").json
    assert made is not None
    assert made["timeSpentSeconds"] == ((5 + 2) * 8 + 3) * 3600 + 1800
    assert made["properties"] == [{"key": "k", "value": 1}]
    assert incident.worklogs[0].started.isoformat() == "2026-11-20T09:00:00+01:00"
    late = str(int(incident.worklogs[0].started.timestamp() * 1000))
    for query, count in (({}, 1), ({"startedAfter": late}, 0), ({"startedBefore": late}, 0), ({"startAt": "1"}, 0)):
        answer = jira.get(f"{ISSUE}/worklog", **query).json
        assert answer is not None
        assert len(answer["worklogs"]) == count


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"timeSpent": "soon"}, {}),
        ({}, {}),
        ({"timeSpent": "1h", "started": "2026-11-20"}, {}),
        ({"timeSpent": "1h", "comment": {"type": "paragraph"}}, {}),
        ({"timeSpent": "1h"}, {"adjustEstimate": "new"}),
        ({"timeSpent": "1h"}, {"adjustEstimate": "manual", "reduceBy": "some"}),
    ],
)
def test_work_that_cannot_be_logged_is_refused(jira: Api, incident: Issue, body: Any, query: Any) -> None:
    assert jira.post(f"{ISSUE}/worklog", body, **query).status_code == 400
    assert incident.worklogs == []


def test_work_is_logged_only_with_the_permission(jira: Api, site: Site) -> None:
    _only(site)
    assert jira.post(f"{ISSUE}/worklog", {"timeSpent": "1h"}).status_code == 400
    assert jira.get("/rest/api/3/issue/NOPE-1/worklog").status_code == 404


def test_everybody_may_watch_and_only_some_may_have_others_watch(jira: Api, site: Site, mia: Account) -> None:
    _only(site)
    path = f"{ISSUE}/watchers"
    assert jira.send("POST", path).status_code == 204
    assert jira.post(path, mia.id).status_code == 403
    _only(site, "manage-watchers")
    assert [jira.post(path, mia.id).status_code for _ in range(2)] == [204, 204]
    assert jira.post(path, "nobody").status_code == 400
    shown = jira.get(path).json
    assert shown is not None
    assert (shown["isWatching"], shown["watchCount"]) == (True, 2)
    assert [jira.send("DELETE", path, query={"accountId": mia.id}).status_code for _ in range(2)] == [204, 204]
    assert jira.send("DELETE", path, query={"accountId": "nobody"}).status_code == 400
    assert jira.get("/rest/api/3/issue/NOPE-1/watchers").status_code == 404


def test_an_issue_is_deleted_with_its_links_and_its_keys_lead_nowhere(jira: Api, site: Site) -> None:
    jira.post("/rest/api/3/issueLink", BLOCKS)
    assert jira.send("DELETE", ISSUE).status_code == 204
    assert site.links == {}
    assert jira.get(ISSUE).status_code == 404
    made = jira.post(
        "/rest/api/3/issue", {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "x"}}
    ).json
    assert made is not None
    assert made["key"] != "OPS-1"
    _only(site)
    assert jira.send("DELETE", "/rest/api/3/issue/OPS-2").status_code == 403


def test_a_sub_task_needs_a_parent_and_keeps_it_from_being_deleted_alone(jira: Api) -> None:
    fields: dict[str, Any] = {"project": {"key": "OPS"}, "issuetype": {"name": "Sub-task"}, "summary": "x"}
    assert jira.post("/rest/api/3/issue", {"fields": fields}).status_code == 400
    assert jira.post("/rest/api/3/issue", {"fields": fields | {"parent": {"key": "OPS-1"}}}).status_code == 201
    assert [each["fields"]["summary"] for each in _fields(jira, "OPS-1")["subtasks"]] == ["x"]
    assert jira.send("DELETE", ISSUE).status_code == 400
    assert jira.send("DELETE", ISSUE, query={"deleteSubtasks": "true"}).status_code == 204


def test_a_file_is_described_and_deleted_by_its_owner_or_a_moderator(jira: Api, site: Site) -> None:
    path = "/rest/api/3/attachment/10801"
    shown = jira.get(path).json
    assert shown is not None
    assert (shown["id"], shown["filename"]) == (10801, "backup.log")
    _only(site)
    assert jira.send("DELETE", path).status_code == 403
    _only(site, "moderate")
    assert jira.send("DELETE", path).status_code == 204
    assert (jira.get(path).status_code, jira.send("DELETE", path).status_code) == (404, 404)


def test_properties_of_issues_are_set_and_deleted_by_who_may_edit(jira: Api, site: Site) -> None:
    path = f"{ISSUE}/properties/seen"
    assert [jira.put(path, {"a": 1}).status_code for _ in range(2)] == [201, 200]
    assert jira.send("DELETE", path).status_code == 204
    assert jira.send("DELETE", path).status_code == 404
    assert jira.put(path, "x" * 32767).status_code == 400
    assert jira.put(f"{ISSUE}/properties/{'k' * 256}", 1).status_code == 400
    _only(site)
    assert jira.put(path, 1).status_code == 403
    assert jira.send("DELETE", path).status_code == 404


def test_properties_of_projects_are_their_administrators(jira: Api, site: Site) -> None:
    path = "/rest/api/3/project/OPS/properties"
    assert jira.put(f"{path}/turn", 1).status_code == 201
    keys = jira.get(path).json
    assert keys is not None
    assert [each["key"] for each in keys["keys"]] == ["turn"]
    assert jira.get(f"{path}/turn").json == {"key": "turn", "value": 1}
    _only(site, "edit")
    assert (jira.put(f"{path}/turn", 1).status_code, jira.send("DELETE", f"{path}/turn").status_code) == (403, 403)
    _only(site, "administer")
    assert jira.send("DELETE", f"{path}/turn").status_code == 204
    assert jira.get(f"{path}/turn").status_code == 404
    assert jira.get("/rest/api/3/project/NOPE/properties").status_code == 404


def test_properties_of_others_are_for_administrators(jira: Api, site: Site, mia: Account) -> None:
    path = "/rest/api/3/user/properties/shift"
    assert jira.put(path, "night", accountId=mia.id).status_code == 201
    assert jira.get(path, accountId=mia.id).json == {"key": "shift", "value": "night"}
    assert jira.put(path, "night", accountId="nobody").status_code == 404
    for project in site.projects:
        site.grant("ops-bot", {"browse"}, project=project)
    assert jira.put(path, "day", accountId=mia.id).status_code == 403
    assert jira.get(path).status_code == 404
    assert jira.put(path, "day").status_code == 201


def test_comments_of_others_are_changed_by_moderators_only(jira: Api, site: Site, incident: Issue) -> None:
    path = f"{ISSUE}/comment/{incident.comments[0].id}"
    body = {"body": paragraphs("y"), "visibility": {"type": "role", "value": "Administrators"}}
    assert jira.put(path, {"body": "text"}).status_code == 400
    changed = jira.put(path, body).json
    assert changed is not None
    assert changed["visibility"]["value"] == "Administrators"
    _only(site, "comment")
    assert (jira.put(path, body).status_code, jira.send("DELETE", path).status_code) == (400, 400)
    _only(site, "comment", "moderate")
    assert jira.send("DELETE", path).status_code == 204
    assert (jira.put(path, body).status_code, jira.send("DELETE", path).status_code) == (404, 404)


def test_the_security_level_is_set_with_the_permission(jira: Api, site: Site, incident: Issue) -> None:
    body = {"fields": {"security": {"name": "Staff only"}}}
    assert jira.put(ISSUE, body).status_code == 204
    assert _fields(jira, "OPS-1")["security"]["name"] == "Staff only"
    incident.fields["security"] = None
    _only(site, "edit")
    assert jira.put(ISSUE, body).status_code == 400
    assert incident.fields["security"] is None


def test_the_snapshot_shows_all_of_it(jira: Api, client: Any) -> None:
    jira.post("/rest/api/3/issueLink", BLOCKS)
    jira.post(f"{ISSUE}/worklog", {"timeSpent": "1h"})
    jira.put("/rest/api/3/project/OPS/properties/turn", 1)
    state = client.get("/sandbox/state").json
    assert state["issues"]["OPS-1"]["worklogs"][0]["seconds"] == 3600
    assert next(each for each in state["projects"] if each["key"] == "OPS")["properties"] == {"turn": 1}
    assert [link["type"]["name"] for link in state["links"]] == ["Blocks"]
