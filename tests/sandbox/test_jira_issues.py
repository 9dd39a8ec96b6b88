"""Issues in the sandbox: reading, creating, editing, assigning, moving, the workflow and the changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Account, Issue
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

ISSUE = "/rest/api/3/issue/OPS-1"


def _fields(jira: Api, **query: Any) -> dict[str, Any]:
    answer = jira.get(ISSUE, **query)
    assert answer.status_code == 200
    assert answer.json is not None
    fields: dict[str, Any] = answer.json["fields"]
    return fields


def test_an_issue_shows_its_fields_and_only_those_asked_for(jira: Api) -> None:
    fields = _fields(jira)
    assert fields["summary"] == "Outgoing mail is delayed"
    assert fields["status"]["name"] == "In Progress"
    assert fields["priority"]["name"] == "High"
    assert fields["project"]["key"] == "OPS"
    assert fields["comment"]["total"] == 1
    assert set(_fields(jira, fields="summary,labels")) == {"summary", "labels"}
    assert "description" not in _fields(jira, fields="-description")
    assert "comment" not in _fields(jira, fields="*navigable")


def test_an_address_is_shown_to_its_owner_only(jira: Api) -> None:
    assert "emailAddress" not in _fields(jira)["reporter"]


def test_an_issue_answers_to_its_id_and_to_its_key_in_any_case(jira: Api, incident: Issue) -> None:
    for name in (incident.id, "ops-1", "OPS-1"):
        answer = jira.get(f"/rest/api/3/issue/{name}")
        assert answer.json is not None
        assert answer.json["key"] == "OPS-1"


def test_a_moved_issue_answers_to_its_old_key_with_its_new_one(jira: Api) -> None:
    answer = jira.get("/rest/api/3/issue/OPS-99")
    assert answer.json is not None
    assert answer.json["key"] == "HR-2"
    assert answer.json["fields"]["project"]["key"] == "HR"


@pytest.mark.parametrize("key", ["OPS-404", "99999", "NOPE-1"])
def test_an_issue_that_is_not_there_is_404(jira: Api, key: str) -> None:
    assert jira.get(f"/rest/api/3/issue/{key}").status_code == 404


def test_an_issue_that_cannot_be_seen_looks_like_one_that_is_not_there(jira: Api, site: Site) -> None:
    unknown = jira.get("/rest/api/3/issue/OPS-404")
    site.grant("ops-bot", set(), project="OPS")
    invisible = jira.get(ISSUE)
    assert (invisible.status_code, invisible.json) == (unknown.status_code, unknown.json)
    assert jira.put(ISSUE, {"fields": {"summary": "x"}}).status_code == 404


def test_labels_and_components_are_set_added_and_removed(jira: Api) -> None:
    update = {"labels": [{"add": "rack-7"}, {"remove": "customer"}], "components": [{"add": {"name": "Network"}}]}
    assert jira.put(ISSUE, {"update": update}).status_code == 204
    fields = _fields(jira)
    assert fields["labels"] == ["mail", "rack-7"]
    assert [component["name"] for component in fields["components"]] == ["Mail", "Network"]
    assert jira.put(ISSUE, {"update": {"labels": [{"set": ["one"]}]}}).status_code == 204
    assert _fields(jira)["labels"] == ["one"]


def test_all_kinds_of_fields_can_be_edited_together(jira: Api, mia: Account) -> None:
    fields = {
        "summary": "Mail waits",
        "description": paragraphs("New words"),
        "priority": {"name": "Low"},
        "fixVersions": [{"name": "2026.12"}],
        "duedate": "2026-12-24",
        "customfield_10010": "CHG-1",
        "customfield_10011": {"value": "High"},
        "customfield_10012": 5,
        "customfield_10014": {"accountId": mia.id},
        "parent": {"key": "OPS-2"},
    }
    assert jira.put(ISSUE, {"fields": fields}).status_code == 204
    shown = _fields(jira)
    assert shown["summary"] == "Mail waits"
    assert shown["description"] == paragraphs("New words")
    assert shown["priority"]["name"] == "Low"
    assert shown["fixVersions"][0]["name"] == "2026.12"
    assert shown["customfield_10010"] == "CHG-1"
    assert shown["customfield_10011"]["value"] == "High"
    assert shown["customfield_10012"] == 5
    assert shown["customfield_10014"]["displayName"] == "Mia Keller"
    assert shown["parent"]["key"] == "OPS-2"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"fields": {"nonsense": 1}}, "nonsense"),
        ({"fields": {"summary": ""}}, "summary"),
        ({"fields": {"summary": "two\nlines"}}, "summary"),
        ({"fields": {"summary": 7}}, "summary"),
        ({"fields": {"description": "plain text"}}, "description"),
        ({"fields": {"labels": ["with space"]}}, "labels"),
        ({"fields": {"labels": "no list"}}, "labels"),
        ({"fields": {"priority": {"name": "Urgent"}}}, "priority"),
        ({"fields": {"assignee": {"accountId": "nobody"}}}, "assignee"),
        ({"fields": {"duedate": "tomorrow"}}, "duedate"),
        ({"fields": {"customfield_10012": "five"}}, "customfield_10012"),
        ({"fields": {"components": [{"name": "Nope"}]}}, "components"),
        ({"fields": {"project": {"key": "HR"}}}, "project"),
        ({"fields": {"resolution": {"name": "Done"}}}, "resolution"),
        ({"update": {"summary": [{"add": "x"}]}}, "summary"),
        ({"update": {"labels": [{"add": "a", "remove": "b"}]}}, "labels"),
        ({"update": {"worklog": [{"add": {}}]}}, "worklog"),
        ({"fields": {"labels": ["a"]}, "update": {"labels": [{"add": "b"}]}}, "labels"),
    ],
)
def test_a_bad_value_is_named_by_its_field_and_nothing_is_changed(jira: Api, body: dict[str, Any], field: str) -> None:
    before = _fields(jira)
    body.setdefault("fields", {}).setdefault("duedate", "2026-12-01")
    answer = jira.put(ISSUE, body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert field in answer.json["errors"]
    assert _fields(jira) == before


def test_an_edit_leaves_its_history_metadata_in_the_changelog(jira: Api) -> None:
    metadata = {"type": "bridge", "activityDescription": "bridge", "extraData": {"run": "0192", "step": "3"}}
    body = {"fields": {"summary": "Mail waits"}, "historyMetadata": metadata}
    assert jira.put(ISSUE, body).status_code == 204
    answer = jira.get(f"{ISSUE}/changelog")
    assert answer.json is not None
    last = answer.json["values"][-1]
    assert last["historyMetadata"] == metadata
    assert last["author"]["displayName"] == "ops-bot"
    assert last["items"][0]["fromString"] == "Outgoing mail is delayed"
    assert last["items"][0]["toString"] == "Mail waits"


def test_an_edit_that_changes_nothing_leaves_no_history(jira: Api, incident: Issue) -> None:
    entries = len(incident.changes)
    body = {"fields": {"labels": ["mail", "customer"]}, "historyMetadata": {"type": "bridge"}}
    assert jira.put(ISSUE, body).status_code == 204
    assert len(incident.changes) == entries


def test_entity_properties_come_with_an_edit_and_are_read_back(jira: Api) -> None:
    body = {"fields": {"labels": ["a"]}, "properties": [{"key": "bridge.step", "value": {"step": 1}}]}
    assert jira.put(ISSUE, body).status_code == 204
    keys = jira.get(f"{ISSUE}/properties").json
    assert keys is not None
    assert [entry["key"] for entry in keys["keys"]] == ["bridge.step"]
    assert jira.get(f"{ISSUE}/properties/bridge.step").json == {"key": "bridge.step", "value": {"step": 1}}
    assert jira.get(f"{ISSUE}/properties/other").status_code == 404
    shown = jira.get(ISSUE, properties="bridge.step", fields="summary").json
    assert shown is not None
    assert shown["properties"] == {"bridge.step": {"step": 1}}


def test_an_edit_without_permission_is_400_and_an_override_is_403(jira: Api, site: Site) -> None:
    assert jira.put(ISSUE, {"fields": {"summary": "x"}}, overrideScreenSecurity="true").status_code == 403
    site.grant("ops-bot", {"browse"}, project="OPS")
    assert jira.put(ISSUE, {"fields": {"summary": "x"}}).status_code == 400


def test_an_edit_answers_with_the_issue_when_it_is_asked_to(jira: Api) -> None:
    answer = jira.put(ISSUE, {"fields": {"summary": "Mail waits"}}, returnIssue="true")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["fields"]["summary"] == "Mail waits"


def test_a_comment_nested_in_an_edit_is_made_as_the_real_site_makes_it(jira: Api, incident: Issue) -> None:
    body = {"update": {"comment": [{"add": {"body": paragraphs("By the back door")}}]}}
    assert jira.put(ISSUE, body).status_code == 204
    assert incident.comments[-1].body == paragraphs("By the back door")


def test_an_issue_is_created_with_key_author_and_properties(jira: Api, site: Site) -> None:
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Look after the mail queue"}
    body = {"fields": fields, "properties": [{"key": "bridge.step", "value": {"step": 1}}]}
    answer = jira.post("/rest/api/3/issue", body)
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["key"] == "OPS-100"
    made = site.find_issue("OPS-100")
    assert made is not None
    assert site.accounts[made.creator].name == "ops-bot"
    assert made.properties == {"bridge.step": {"step": 1}}


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"project": {"key": "NOPE"}, "issuetype": {"name": "Task"}, "summary": "x"}, 400, "project"),
        ({"issuetype": {"name": "Task"}, "summary": "x"}, 400, "project"),
        ({"project": {"key": "OPS"}, "summary": "x"}, 400, "issuetype"),
        ({"project": {"key": "OPS"}, "issuetype": {"name": "Task"}}, 400, "summary"),
        ({"project": {"key": "HR"}, "issuetype": {"name": "Task"}, "summary": "x"}, 403, None),
    ],
)
def test_an_issue_that_cannot_be_created_is_refused(
    jira: Api, site: Site, fields: dict[str, Any], status: int, field: str | None
) -> None:
    before = len(site.issues)
    answer = jira.post("/rest/api/3/issue", {"fields": fields})
    assert answer.status_code == status
    assert answer.json is not None
    assert field is None or field in answer.json["errors"]
    assert len(site.issues) == before


def test_an_issue_is_assigned_to_a_person_and_to_nobody(jira: Api, mia: Account) -> None:
    assert jira.put(f"{ISSUE}/assignee", {"accountId": mia.id}).status_code == 204
    assert _fields(jira)["assignee"]["displayName"] == "Mia Keller"
    assert jira.put(f"{ISSUE}/assignee", {"accountId": None}).status_code == 204
    assert _fields(jira)["assignee"] is None


@pytest.mark.parametrize("body", [{}, {"accountId": "nobody"}, {"name": "mia"}, {"accountId": "x", "key": "y"}])
def test_an_assignment_needs_one_valid_account_id(jira: Api, body: dict[str, Any]) -> None:
    assert jira.put(f"{ISSUE}/assignee", body).status_code == 400


def test_an_assignment_without_permission_is_403(jira: Api, site: Site, mia: Account) -> None:
    site.grant("ops-bot", {"browse", "edit"}, project="OPS")
    assert jira.put(f"{ISSUE}/assignee", {"accountId": mia.id}).status_code == 403


def test_the_workflow_offers_what_the_status_allows_and_is_followed(jira: Api, incident: Issue) -> None:
    offered = jira.get(f"{ISSUE}/transitions").json
    assert offered is not None
    names = {step["name"]: step["to"]["name"] for step in offered["transitions"]}
    assert names == {"Stop work": "To Do", "Resolve": "Done"}
    body = {"transition": {"id": "31"}, "historyMetadata": {"extraData": {"step": "1"}}}
    assert jira.post(f"{ISSUE}/transitions", body).status_code == 204
    assert incident.status == "Done"
    assert _fields(jira)["resolution"]["name"] == "Done"
    assert incident.changes[-1].metadata == {"extraData": {"step": "1"}}
    again = jira.post(f"{ISSUE}/transitions", body)
    assert again.status_code == 400
    assert again.json is not None
    assert again.json["errorMessages"]


def test_only_the_transition_asked_for_is_listed(jira: Api) -> None:
    one = jira.get(f"{ISSUE}/transitions", transitionId="31").json
    assert one is not None
    assert [step["id"] for step in one["transitions"]] == ["31"]
    none = jira.get(f"{ISSUE}/transitions", transitionId="11").json
    assert none is not None
    assert none["transitions"] == []


def test_an_account_that_may_not_transition_is_offered_nothing(jira: Api, site: Site) -> None:
    site.grant("ops-bot", {"browse"}, project="OPS")
    offered = jira.get(f"{ISSUE}/transitions").json
    assert offered is not None
    assert offered["transitions"] == []
    assert jira.post(f"{ISSUE}/transitions", {"transition": {"id": "31"}}).status_code == 400


@pytest.mark.parametrize(
    "body", [{}, {"transition": {}}, {"transition": {"id": "21"}, "fields": {"labels": ["not on the screen"]}}]
)
def test_a_transition_needs_an_id_and_takes_only_fields_of_its_screen(jira: Api, body: dict[str, Any]) -> None:
    assert jira.post(f"{ISSUE}/transitions", body).status_code == 400


def test_a_reopened_issue_loses_its_resolution(jira: Api, site: Site) -> None:
    assert jira.post("/rest/api/3/issue/OPS-5/transitions", {"transition": {"id": "41"}}).status_code == 204
    done = site.find_issue("OPS-5")
    assert done is not None
    assert done.status == "In Progress"
    assert done.fields["resolution"] is None
    assert {item["field"] for item in done.changes[-1].items} == {"status", "resolution"}


def test_the_changelog_comes_in_pages_by_offset_oldest_first(jira: Api) -> None:
    for number in range(3):
        jira.put(ISSUE, {"fields": {"customfield_10012": number + 1}})
    first = jira.get(f"{ISSUE}/changelog", startAt=0, maxResults=2).json
    assert first is not None
    assert (first["total"], first["isLast"], len(first["values"])) == (4, False, 2)
    assert "startAt=2" in first["nextPage"]
    last = jira.get(f"{ISSUE}/changelog", startAt=2, maxResults=2).json
    assert last is not None
    assert last["isLast"] is True
    assert "nextPage" not in last
    assert [int(entry["id"]) for entry in first["values"]] == sorted(int(entry["id"]) for entry in first["values"])


def test_a_project_shows_what_can_be_chosen_there(jira: Api) -> None:
    shown = jira.get("/rest/api/3/project/OPS").json
    assert shown is not None
    assert [component["name"] for component in shown["components"]] == ["Mail", "Network", "Storage"]
    assert jira.get("/rest/api/3/project/NOPE").status_code == 404


def test_users_are_found_by_the_beginning_of_a_name(jira: Api) -> None:
    found = jira.get("/rest/api/3/user/search", query="kell").json
    assert [user["displayName"] for user in found or []] == ["Mia Keller"]
    assert jira.get("/rest/api/3/user/search").status_code == 400
    account = (found or [])[0]["accountId"]
    assert jira.get("/rest/api/3/user/search", accountId=account).json == found
    assert jira.get("/rest/api/3/user/search", accountId=account, query="x").status_code == 400


def test_an_attachment_lies_on_another_host(jira: Api, site: Site) -> None:
    found = site.find_issue("OPS-3")
    assert found is not None
    answer = jira.get(f"/rest/api/3/attachment/content/{found.attachments[0].id}")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("http://127.0.0.1/media/file/"), "the test client asks localhost"
    assert jira.get("/rest/api/3/attachment/content/1").status_code == 404
