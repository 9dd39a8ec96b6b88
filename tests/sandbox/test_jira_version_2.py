"""Version 2 of Jira's platform API in the sandbox: version 3 with wiki markup."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs
from bridge.sandbox.records import Token

if TYPE_CHECKING:
    from bridge.sandbox.records import Issue
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

V2 = "/rest/api/2"
ISSUE = f"{V2}/issue/OPS-1"


def _fields(jira: Api, path: str) -> dict[str, Any]:
    answer = jira.get(path)
    assert answer.status_code == 200, answer.data
    assert answer.json is not None
    fields: dict[str, Any] = answer.json["fields"]
    return fields


def test_rich_text_goes_in_as_markup_and_is_kept_as_a_document(jira: Api, incident: Issue) -> None:
    fields = {"description": "h1. Why\n\nSee *this*", "customfield_10013": "Large"}
    assert jira.put(ISSUE, {"fields": fields}).status_code == 204
    assert incident.fields["description"]["content"][0]["type"] == "heading"
    assert incident.fields["customfield_10013"] == paragraphs("Large")
    shown = _fields(jira, ISSUE)
    assert (shown["description"], shown["customfield_10013"]) == ("h1. Why\n\nSee *this*", "Large")
    assert _fields(jira, "/rest/api/3/issue/OPS-1")["description"] == incident.fields["description"]


def test_an_empty_text_takes_a_description_away(jira: Api, incident: Issue) -> None:
    assert jira.put(ISSUE, {"update": {"description": [{"set": ""}]}}).status_code == 204
    assert incident.fields["description"] is None
    assert _fields(jira, ISSUE)["description"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", ISSUE, {"fields": {"description": paragraphs("x")}}, "description"),
        ("POST", f"{ISSUE}/comment", {"body": paragraphs("x")}, "comment"),
        ("PUT", ISSUE, {"update": {"comment": [{"add": {"body": paragraphs("x")}}]}}, "comment"),
    ],
)
def test_a_document_is_refused_where_text_belongs(
    jira: Api, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = jira.send(method, path, body)
    assert answer.status_code == 400
    assert answer.json == {"errorMessages": [], "errors": {field: "Operation value must be a string"}}


def test_comments_are_markup_wherever_they_stand(jira: Api) -> None:
    assert jira.post(f"{ISSUE}/comment", {"body": "First\nline"}).status_code == 201
    edit = {"update": {"comment": [{"add": {"body": "With an edit"}}]}}
    assert jira.put(ISSUE, edit).status_code == 204
    step = {"transition": {"id": 31}, "update": {"comment": [{"add": {"body": "With a step"}}]}}
    assert jira.post(f"{ISSUE}/transitions", step).status_code == 204
    listed = jira.get(f"{ISSUE}/comment").json
    assert listed is not None
    bodies = [comment["body"] for comment in listed["comments"]]
    assert bodies[-3:] == ["First\nline", "With an edit", "With a step"]
    assert [comment["body"] for comment in _fields(jira, ISSUE)["comment"]["comments"]] == bodies


def test_addresses_in_answers_stay_in_version_2(jira: Api) -> None:
    answer = jira.get(ISSUE).json
    assert answer is not None
    assert answer["self"].endswith(f"{V2}/issue/10001")
    assert f"{V2}/status/" in answer["fields"]["status"]["self"]
    page = jira.get(f"{ISSUE}/changelog", maxResults=0).json
    assert page is not None
    assert f"{ISSUE}/changelog" in page["nextPage"]
    [attachment] = _fields(jira, f"{V2}/issue/OPS-3")["attachment"]
    assert attachment["content"] == f"https://acme.atlassian.net{V2}/attachment/content/{attachment['id']}"


def test_a_property_that_looks_like_a_document_is_not_touched(jira: Api, incident: Issue) -> None:
    incident.properties["draft"] = paragraphs("x")
    answer = jira.get(ISSUE, properties="draft").json
    assert answer is not None
    assert answer["properties"] == {"draft": paragraphs("x")}
    one = jira.get(f"{ISSUE}/properties/draft").json
    assert one == {"key": "draft", "value": paragraphs("x")}


def test_search_answers_in_the_version_it_was_asked_in(jira: Api) -> None:
    asked = {"jql": "key = OPS-1", "fields": ["description"]}
    older, newer = jira.post(f"{V2}/search/jql", asked).json, jira.post("/rest/api/3/search/jql", asked).json
    assert older is not None
    assert newer is not None
    text = "Mails to partners wait up to two hours.\n\nFirst seen after the weekend."
    assert older["issues"][0]["fields"]["description"] == text
    assert newer["issues"][0]["fields"]["description"]["type"] == "doc"


def test_the_latest_version_is_version_2(jira: Api, incident: Issue) -> None:
    assert jira.put("/rest/api/latest/issue/OPS-1/assignee", {"accountId": None}).status_code == 204
    assert incident.fields["assignee"] is None
    assert isinstance(_fields(jira, "/rest/api/latest/issue/OPS-1")["description"], str)


def test_both_versions_need_the_same_oauth_scopes(jira: Api, site: Site) -> None:
    held = site.tokens[jira.token]
    site.tokens[jira.token] = Token(held.account, held.products, held.scopes - {"write:jira-work"})
    for version in (2, 3):
        answer = jira.post(f"/rest/api/{version}/issue/OPS-1/comment", {"body": "x"})
        assert answer.status_code == 401
        assert answer.headers["X-Failure-Category"] == "FAILURE_CLIENT_SCOPE_CHECK"


def test_a_fault_and_the_list_of_requests_know_the_operation_by_its_name(jira: Api, site: Site) -> None:
    site.faults.order({"fault": "503", "match": {"operation": "addComment"}}, site.issues)
    assert jira.post(f"{ISSUE}/comment", {"body": "x"}).status_code == 503
    assert (site.seen[-1].path, site.seen[-1].operation) == (f"{ISSUE}/comment", "addComment")


def test_the_server_is_described_to_a_credential_without_any_scope(jira: Api, site: Site) -> None:
    site.tokens[jira.token] = replace(site.tokens[jira.token], scopes=frozenset())
    for version in (2, 3):
        answer = jira.get(f"/rest/api/{version}/serverInfo")
        assert answer.json is not None
        assert answer.json["deploymentType"] == "Cloud"
    site.tokens[jira.token] = replace(site.tokens[jira.token], products=frozenset({"confluence"}))
    assert jira.get("/rest/api/3/serverInfo").status_code == 401


@pytest.mark.parametrize("version", ["2", "3", "latest"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_by_offset_is_gone_and_names_its_successor(jira: Api, method: str, version: str) -> None:
    answer = jira.client.open(
        f"/ex/jira/{jira.cloud_id}/rest/api/{version}/search",
        method=method,
        headers={"Authorization": f"Bearer {jira.token}"},
    )
    assert answer.status_code == 410
    assert answer.json is not None
    assert "/rest/api/3/search/jql" in answer.json["errorMessages"][0]


def test_what_is_gone_is_told_to_nobody_without_a_credential(jira: Api) -> None:
    address = f"/ex/jira/{jira.cloud_id}{V2}/search"
    assert jira.client.get(address, headers={"Authorization": "Bearer wrong"}).status_code == 401
