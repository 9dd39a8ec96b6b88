"""Every operation the sandbox plays is exercised, and every answer fits Atlassian's own description.

The fixtures judge each answer while it is given (``Api.send``); here all operations must have had their turn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs
from bridge.sandbox.gateway import supported

if TYPE_CHECKING:
    from types import ModuleType

    from bridge.sandbox.records import Account, Page, Space
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

ISSUE = "/rest/api/3/issue/OPS-1"
MARK = {"key": "bridge.step", "value": {"run": "0192", "step": 3}}


@pytest.fixture(autouse=True)
def _files(openapi: ModuleType) -> None:
    if not openapi.available():
        pytest.skip(openapi.WHY_ABSENT)


def _use_jira(jira: Api, mia: Account) -> None:
    """Every operation of Jira, first as it should go, then as it should not."""
    made = jira.post(f"{ISSUE}/comment", {"body": paragraphs("x"), "properties": [MARK]}, expand="renderedBody").json
    assert made is not None
    comment = made["id"]
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Bug"}, "summary": "New"}
    jira.post("/rest/api/3/issue", {"fields": fields, "properties": [MARK]})
    jira.put(ISSUE, {"update": {"labels": [{"add": "x"}]}, "historyMetadata": {"type": "a", "extraData": {"a": "b"}}})
    jira.put(ISSUE, {"fields": {"parent": {"key": "OPS-2"}, "customfield_10011": {"value": "Low"}}}, returnIssue="true")
    jira.put(ISSUE, {"fields": {"summary": "y"}, "properties": [MARK]})
    jira.put(f"{ISSUE}/assignee", {"accountId": mia.id})
    jira.get(f"{ISSUE}/transitions")
    jira.post(f"{ISSUE}/transitions", {"transition": {"id": "31"}, "historyMetadata": {"extraData": {"a": "b"}}})
    for path in ("changelog", "properties", "properties/bridge.step", "comment", f"comment/{comment}"):
        jira.get(f"{ISSUE}/{path}")
    jira.get(ISSUE, expand="changelog,transitions,names,renderedFields", properties="*all")
    jira.get("/rest/api/3/issue/OPS-3")
    jira.get("/rest/api/3/issue/OPS-99", fields="summary")
    jira.post("/rest/api/3/comment/list", {"ids": [int(comment)]}, expand="properties,renderedBody")
    jira.get(f"/rest/api/3/comment/{comment}/properties")
    jira.get(f"/rest/api/3/comment/{comment}/properties/bridge.step")
    jira.get("/rest/api/3/search/jql", jql="project = OPS", maxResults=1)
    jira.post("/rest/api/3/search/jql", {"jql": "project = OPS", "fields": ["*all"], "properties": ["bridge.step"]})
    jira.get("/rest/api/3/user/search", query="mia")
    for path in ("project/OPS", "myself", "project/NOPE", "user/search", "issue/NOPE-1"):
        jira.get(f"/rest/api/3/{path}")
    jira.get("/rest/api/3/attachment/content/10801")
    jira.get("/rest/api/3/attachment/content/1")


def _misuse_jira(jira: Api) -> None:
    for path in ("comment", "transitions", "changelog", "properties", "properties/x", "comment/1"):
        jira.get(f"/rest/api/3/issue/NOPE-1/{path}")
    for body in ({}, {"body": paragraphs("x")}):
        jira.post("/rest/api/3/issue/NOPE-1/comment", body)
        jira.post("/rest/api/3/issue/NOPE-1/transitions", body)
        jira.put("/rest/api/3/issue/NOPE-1", body)
        jira.put("/rest/api/3/issue/NOPE-1/assignee", body)
        jira.post(f"{ISSUE}/transitions", body)
        jira.put(f"{ISSUE}/assignee", body)
        jira.post("/rest/api/3/issue", body)
    jira.put(ISSUE, [])
    jira.get("/rest/api/3/search/jql")
    jira.post("/rest/api/3/search/jql", {"jql": "nonsense ="})
    jira.post("/rest/api/3/comment/list", {})
    for path in ("abc/properties", "1/properties", "1/properties/x"):
        jira.get(f"/rest/api/3/comment/{path}")


def _use_confluence(confluence: Api, space: Space, page: Page) -> None:
    """Every operation of Confluence, first as it should go, then as it should not."""
    body = {"representation": "atlas_doc_format", "value": json.dumps(paragraphs("x"))}
    v2 = "/wiki/api/v2"
    confluence.post(f"{v2}/pages", {"spaceId": space.id, "status": "current", "title": "New", "body": body})
    version = {"number": 3, "message": "bridge"}
    update = {"id": page.id, "status": "current", "title": page.title, "body": body, "version": version}
    confluence.put(f"{v2}/pages/{page.id}", update)
    confluence.put(f"{v2}/pages/{page.id}", update)
    made = confluence.post(f"{v2}/footer-comments", {"pageId": page.id, "body": body}).json
    assert made is not None
    properties = f"{v2}/comments/{made['id']}/properties"
    mark = confluence.post(properties, MARK).json
    assert mark is not None
    confluence.get(properties, key="bridge.step")
    confluence.get(f"{properties}/{mark['id']}")
    confluence.get(f"{v2}/footer-comments/{made['id']}", **{"body-format": "storage", "include-properties": "true"})
    for path in ("", "/versions", "/footer-comments", "/labels", "/children"):
        confluence.get(
            f"{v2}/pages/{page.id}{path}", **({} if path in {"/labels", "/children"} else {"body-format": "storage"})
        )
    confluence.get(f"{v2}/pages/{page.id}", **{"include-labels": "true", "include-versions": "true", "version": 1})
    confluence.get(f"{v2}/pages", **{"space-id": space.id, "limit": 1, "body-format": "atlas_doc_format"})
    confluence.get(f"{v2}/spaces", keys="ENG")
    confluence.get(f"{v2}/spaces/{space.id}")
    confluence.post(f"/wiki/rest/api/content/{page.id}/label", [{"prefix": "global", "name": "x"}])
    confluence.get("/wiki/rest/api/user/current")


def _misuse_confluence(confluence: Api) -> None:
    v2 = "/wiki/api/v2"
    for number in ("1", "abc"):
        for path in ("", "/versions", "/footer-comments", "/labels"):
            confluence.get(f"{v2}/pages/{number}{path}")
        confluence.get(f"{v2}/spaces/{number}")
        confluence.get(f"{v2}/footer-comments/{number}")
        confluence.get(f"{v2}/comments/{number}/properties")
        confluence.put(f"{v2}/pages/{number}", {})
        confluence.post(f"{v2}/comments/{number}/properties", {"key": "x", "value": 1})
    confluence.post(f"{v2}/pages", {})
    confluence.post(f"{v2}/footer-comments", {})
    confluence.get(f"{v2}/pages", limit="x")
    confluence.get(f"{v2}/spaces", cursor="x")
    confluence.post("/wiki/rest/api/content/1/label", [])
    confluence.post("/wiki/rest/api/content/131073/label", {})


def test_every_operation_answers_as_it_is_described_when_all_goes_well_and_when_not(
    jira: Api, confluence: Api, mia: Account, engineering: Space, runbook: Page
) -> None:
    _use_jira(jira, mia)
    _misuse_jira(jira)
    _use_confluence(confluence, engineering, runbook)
    _misuse_confluence(confluence)
    good = {name for name, status in jira.exercised if status < 400}
    good |= {name for name, status in confluence.exercised if status < 400}
    assert good == {name for _, name in supported()}
    bad = {name for name, status in jira.exercised | confluence.exercised if status >= 400}
    never_wrong = {"getCurrentUser", "getChildPages", "getCommentContentPropertiesById"}
    assert bad >= good - never_wrong


@pytest.mark.parametrize("fault", ["401", "429", "500", "503"])
def test_what_the_gateway_says_by_itself_is_accepted_everywhere(jira: Api, site: Site, fault: str) -> None:
    site.faults.order({"fault": fault, "times": None}, site.issues)
    assert jira.get(ISSUE).status_code == int(fault)
    assert jira.post("/rest/api/3/issue", {}).status_code == int(fault)


def test_the_judge_finds_what_does_not_fit(openapi: ModuleType) -> None:
    def wrong(method: str, path: str, status: int, body: Any) -> bool:
        return bool(openapi.answer_errors(method, path, status, body))

    assert wrong("GET", ISSUE, 418, {})
    assert wrong("GET", ISSUE, 200, {"id": 10001})
    assert wrong("GET", ISSUE, 200, {"invented": True})
    assert wrong("GET", ISSUE, 404, {"message": "no"})
    assert wrong("GET", "/rest/api/3/invented", 200, {})
    assert wrong("GET", "/wiki/api/v2/pages/1", 404, {"errorMessages": []})
    assert wrong("POST", f"{ISSUE}/comment", 201, {"id": "1", "created": 5})
    assert not wrong("GET", ISSUE, 404, {"errorMessages": ["no"], "errors": {}})


def test_the_judge_knows_good_requests_from_bad_ones(openapi: ModuleType) -> None:
    def errors(method: str, path: str, query: dict[str, list[str]] | None = None, body: Any = None) -> list[str]:
        found: list[str] = openapi.request_errors(method, path, query, body)
        return found

    page = {"spaceId": "1", "title": "x", "body": {"representation": "atlas_doc_format", "value": "{}"}}
    assert errors("POST", f"{ISSUE}/comment", body={"body": paragraphs("x"), "properties": [MARK]}) == []
    assert errors("PUT", f"{ISSUE}/assignee", body={"accountId": None}) == []
    assert errors("POST", f"{ISSUE}/transitions", body={"transition": {"id": "31"}}) == []
    assert errors("POST", "/wiki/api/v2/pages", body=page) == []
    assert errors("GET", f"{ISSUE}/comment", {"orderBy": ["-created"], "maxResults": ["5"]}) == []
    assert errors("POST", "/wiki/rest/api/content/5/label", body=[{"prefix": "global", "name": "x"}]) == []
    assert errors("GET", "/wiki/api/v2/spaces", {"keys": ["ENG"]}) == []
    assert errors("GET", f"{ISSUE}/comment", {"orderBy": ["author"]})
    assert errors("GET", f"{ISSUE}/comment", {"maxResults": ["five"]})
    assert errors("GET", f"{ISSUE}/comment", {"invented": ["1"]})
    assert errors("GET", ISSUE, body={})
    assert errors("POST", f"{ISSUE}/comment")
    assert errors("POST", "/rest/api/3/comment/list", body={"ids": [1], "more": 1})
    assert errors("POST", "/wiki/api/v2/pages", body={"title": "x"})
    assert errors("GET", "/wiki/api/v2/pages/abc")
    assert errors("PATCH", ISSUE, body={})
