"""Every operation the sandbox plays is exercised, and every answer fits Atlassian's own description.

The fixtures judge each answer while it is given (``Api.send``); here all operations must have had their turn.
"""

from __future__ import annotations

import json
from io import BytesIO
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
    _ask_jira_about_itself(jira, mia)


def _ask_jira_about_itself(jira: Api, mia: Account) -> None:
    for path in ("serverInfo", "field", "issuetype", "priority", "status", "project"):
        jira.get(f"/rest/api/3/{path}")
    jira.get("/rest/api/3/user", accountId=mia.id, expand="groups,applicationRoles")
    jira.get("/rest/api/3/user", accountId="nobody")
    jira.get("/rest/api/3/project/search", maxResults=1)
    jira.get("/rest/api/3/project/search", maxResults="x")
    for path in ("versions", "components", "statuses"):
        jira.get(f"/rest/api/3/project/OPS/{path}")
        jira.get(f"/rest/api/3/project/NOPE/{path}")
    for path in ("OPS/issuetypes", "OPS/issuetypes/10101", "NOPE/issuetypes", "OPS/issuetypes/1"):
        jira.get(f"/rest/api/3/issue/createmeta/{path}")
    jira.get(f"{ISSUE}/editmeta")
    jira.get("/rest/api/3/issue/NOPE-1/editmeta")


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
    _search_confluence(confluence, page)


def _search_confluence(confluence: Api, page: Page) -> None:
    v1 = "/wiki/rest/api"
    expand = "space,version,history,ancestors,metadata.labels,body.storage,body.atlas_doc_format"
    for path in ("search", "content/search"):
        confluence.get(f"{v1}/{path}", cql="type = page", limit=1)
        confluence.get(f"{v1}/{path}", cql=f"id = {page.id}", expand=expand)
        confluence.get(f"{v1}/{path}", cql="nonsense =")
    confluence.get(f"{v1}/user", accountId=page.latest.author)
    confluence.get(f"{v1}/user", accountId="nobody")


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


def _use_work(jira: Api, mia: Account) -> None:
    """Links, work, watchers, files, properties and deleting, first as it should go, then as it should not."""
    link = {"type": {"name": "Blocks"}, "inwardIssue": {"key": "OPS-1"}, "outwardIssue": {"key": "OPS-2"}}
    web = {"globalId": "g", "object": {"url": "https://example.com", "title": "x"}}
    jira.get("/rest/api/3/issueLinkType")
    for body in (link, {}):
        jira.post("/rest/api/3/issueLink", body)
    for method in ("GET", "DELETE", "DELETE"):
        jira.send(method, "/rest/api/3/issueLink/10601")
    jira.get("/rest/api/3/issueLink/10601")
    for issue in ("OPS-1", "NOPE-1"):
        at = f"/rest/api/3/issue/{issue}"
        jira.post(f"{at}/remotelink", web)
        jira.get(f"{at}/remotelink")
        jira.post(f"{at}/worklog", {"timeSpent": "1h"})
        jira.get(f"{at}/worklog", expand="properties")
        jira.post(f"{at}/watchers", mia.id)
        jira.get(f"{at}/watchers")
        jira.send("DELETE", f"{at}/watchers", query={"accountId": mia.id})
        jira.put(f"{at}/properties/x", 1)
        jira.send("DELETE", f"{at}/properties/x")
        jira.put(f"{at}/comment/10201", {"body": paragraphs("x")})
        jira.send("DELETE", f"{at}/comment/10201")
    for place in ("/rest/api/3/project/OPS/properties", "/rest/api/3/project/NOPE/properties"):
        jira.put(f"{place}/x", 1)
        jira.get(place)
        jira.get(f"{place}/x")
        jira.send("DELETE", f"{place}/x")
    for person in (mia.id, "nobody"):
        jira.put("/rest/api/3/user/properties/x", 1, accountId=person)
        jira.get("/rest/api/3/user/properties/x", accountId=person)
    for _ in range(2):
        jira.get("/rest/api/3/attachment/10801")
        jira.send("DELETE", "/rest/api/3/attachment/10801")
        jira.send("DELETE", "/rest/api/3/issue/OPS-4")


def _use_boards(jira: Api) -> None:
    """Versions, boards and sprints, first as it should go, then as it should not."""
    v3, agile, issues = "/rest/api/3/version", "/rest/agile/1.0", {"issues": ["OPS-1"]}
    made = jira.post(v3, {"projectId": 10000, "name": "2027.01", "releaseDate": "2027-01-29"}).json
    assert made is not None
    jira.put(f"{v3}/{made['id']}", {"released": True})
    jira.get(f"{v3}/{made['id']}")
    jira.post(v3, {"projectId": 10000, "name": "2027.01"})
    jira.post(v3, {"projectId": 1, "name": "x"})
    jira.put(f"{v3}/{made['id']}", {"releaseDate": "soon"})
    jira.put(f"{v3}/1", {})
    jira.get(f"{v3}/1")
    jira.get(f"{agile}/board", name="oper", projectKeyOrId="OPS", type="scrum")
    jira.get(f"{agile}/board", startAt="x")
    for board in (1, 2, 99):
        jira.get(f"{agile}/board/{board}/sprint", state="active,future")
        jira.post(f"{agile}/backlog/{board}/issue", issues)
    jira.get(f"{agile}/board/1/sprint", state="gone")
    jira.post(f"{agile}/board/1/issue", issues)
    jira.post(f"{agile}/board/1/issue", {"issues": []})
    for name, board in (("S", 1), ("", 1), ("S", 9)):
        jira.post(f"{agile}/sprint", {"name": name, "originBoardId": board})
    dates = {"startDate": "2027-01-11T09:00:00.000+01:00", "endDate": "2027-01-25"}
    for sprint in (48, 46, 99):
        jira.get(f"{agile}/sprint/{sprint}")
        jira.post(f"{agile}/sprint/{sprint}/issue", issues)
        jira.post(f"{agile}/sprint/{sprint}", {"state": "active"})
        jira.post(f"{agile}/sprint/{sprint}", {"state": "active", **dates})


def _use_service_desk(jira: Api, mia: Account) -> None:
    """The service desk, first as it should go, then as it should not."""
    base, people = "/rest/servicedeskapi", {"accountIds": [mia.id]}
    values = {"summary": "Help", "description": "*Now*"}
    asked = {"serviceDeskId": "1", "requestTypeId": "12", "requestFieldValues": values, "raiseOnBehalfOf": mia.id}
    jira.post(f"{base}/request", asked)
    jira.post(f"{base}/request", {**asked, "requestTypeId": "1"})
    for key in ("OPS-1", "OPS-3"):
        request = f"{base}/request/{key}"
        jira.get(request)
        for body in ({"body": "x", "public": False}, {"body": ""}):
            jira.post(f"{request}/comment", body)
        for part in ("comment", "participant", "approval", "approval/1"):
            jira.get(f"{request}/{part}")
        for method in ("POST", "DELETE"):
            jira.send(method, f"{request}/participant", people)
        for decision in ("approve", "decline", "perhaps"):
            jira.post(f"{request}/approval/1", {"decision": decision})
    for desk in ("1", "OPS", "projectKey:OPS", "99"):
        jira.get(f"{base}/servicedesk/{desk}")
        jira.get(f"{base}/servicedesk/{desk}/requesttype", limit=1)
        jira.get(f"{base}/servicedesk/{desk}/organization")
        jira.post(f"{base}/servicedesk/{desk}/customer", people)
        jira.post(f"{base}/servicedesk/{desk}/organization", {"organizationId": 1})
    for query in ({}, {}, {"strictConflictStatusCode": "true"}):
        jira.post(f"{base}/customer", {"email": "jo@example.com", "displayName": "Jo"}, **query)
    for name in ("Contoso", ""):
        jira.post(f"{base}/organization", {"name": name})
    jira.get(f"{base}/organization", accountId=mia.id)
    for organization in (1, 99):
        for method in ("POST", "DELETE"):
            jira.send(method, f"{base}/organization/{organization}/user", people)


def _use_page_tree(confluence: Api, space: Space, page: Page) -> None:
    """Pages as parts of a tree, first as it should go, then as it should not; ``1`` is a page that nobody made."""
    v2, v1 = "/wiki/api/v2", "/wiki/rest/api"
    for number in (page.id, "1"):
        for part in ("direct-children", "descendants", "ancestors"):
            confluence.get(f"{v2}/pages/{number}/{part}")
        for title in ("Copied", "Copied"):
            target = {"destination": {"type": "parent_page", "value": page.parent}, "pageTitle": title}
            confluence.post(f"{v1}/content/{number}/copy", target)
        body = {"destinationPageId": page.parent, "titleOptions": {"prefix": "New "}}
        confluence.post(f"{v1}/content/{number}/pagehierarchy/copy", body)
        confluence.put(f"{v1}/content/{number}/move/after/{page.parent}", None)
    confluence.get(f"{v2}/pages/{page.id}/descendants", depth=11)
    made = confluence.get(f"{v2}/spaces/{space.id}/pages", title="New Restart the mail gateway").json
    assert made is not None
    for number in (made["results"][0]["id"], "1"):
        task = confluence.post(f"{v1}/content/archive", {"pages": [{"id": int(number)}]}).json
        confluence.get(f"{v1}/longtask/{(task or {}).get('id', '1')}")
        confluence.send("DELETE", f"{v2}/pages/{number}")
    confluence.get(f"{v2}/spaces/1/pages")


def _use_page_details(confluence: Api, mia: Account, site: Site, page: Page) -> None:
    """What a page carries, first as it should go, then as it should not."""
    v2, v1 = "/wiki/api/v2", "/wiki/rest/api"
    reviews = next(each for each in site.pages.values() if each.tasks)
    confluence.get(f"{v2}/tasks", **{"page-id": reviews.id, "body-format": "atlas_doc_format"})
    confluence.get(f"{v2}/tasks", cursor="x")
    for task in (reviews.tasks[0].id, "1"):
        confluence.get(f"{v2}/tasks/{task}")
        confluence.put(f"{v2}/tasks/{task}", {"status": "complete"})
    group = next(iter(site.groups))
    users = [{"type": "known", "accountId": each} for each in (mia.id, site.account("ops-bot").id)]
    named = {"user": users, "group": [{"type": "group", "id": group}]}
    for number in (page.id, "1"):
        content = f"{v1}/content/{number}"
        for body in ({"id": 2}, {"name": "On ice", "color": "#36b37e"}, {"id": 99}):
            confluence.put(f"{content}/state", body, status="current")
        for part in ("state", "state/available"):
            confluence.get(f"{content}/{part}")
        confluence.send("DELETE", f"{content}/state")
        confluence.send("DELETE", f"{content}/label", query={"name": "runbook"})
        for method in ("POST", "DELETE", "GET"):
            watch, sure = f"{v1}/user/watch/content/{number}", {"X-Atlassian-Token": "no-check"}
            confluence.send(method, watch, query={"accountId": mia.id}, headers=sure)
            confluence.send(method, watch, query={"accountId": mia.id})
        for method in ("POST", "PUT"):
            restrictions = {"results": [{"operation": "update", "restrictions": named}]}
            confluence.send(method, f"{content}/restriction", restrictions)
        confluence.get(f"{content}/restriction", expand="restrictions.user,restrictions.group")
        confluence.send("DELETE", f"{content}/restriction/byOperation/update/user", query={"accountId": mia.id})
        confluence.send("DELETE", f"{content}/restriction/byOperation/update/byGroupId/{group}")
        confluence.send("DELETE", f"{content}/restriction")


def _use_properties(confluence: Api, holder: str, *, missing: str) -> None:
    """The properties of a page or space, first as it should go, then as it should not."""
    for path in (f"{holder}/properties", f"{missing}/properties"):
        made = confluence.post(path, {"key": "note", "value": {"a": 1}}).json or {}
        confluence.post(path, {"key": "note", "value": 2})
        confluence.get(path, key="note")
        for number in (made.get("id", "1"), "1"):
            for version in (2, 7):
                confluence.put(f"{path}/{number}", {"key": "note", "value": 3, "version": {"number": version}})
            confluence.get(f"{path}/{number}")
            confluence.send("DELETE", f"{path}/{number}")


def _use_spaces(confluence: Api, mia: Account, site: Site, space: Space) -> None:
    """Comments, spaces, roles, templates and people, first as it should go, then as it should not."""
    v2, v1 = "/wiki/api/v2", "/wiki/rest/api"
    comment = next(page.comments[0].id for page in site.pages.values() if page.comments)
    body = {"representation": "storage", "value": "<p>x</p>"}
    for number in (comment, "1"):
        path = f"{v2}/footer-comments/{number}"
        for version in (2, 7):
            confluence.put(path, {"version": {"number": version}, "body": body})
        for part in ("children", "versions"):
            confluence.get(f"{path}/{part}")
        confluence.send("DELETE", path)
    for key in ("TEAM", "TEAM"):
        confluence.post(f"{v1}/space", {"key": key, "name": "Our team"})
    confluence.get(f"{v2}/space-roles", **{"space-id": space.id})
    confluence.get(f"{v2}/space-roles", cursor="x")
    role = confluence.get(f"{v2}/space-roles").get_json()["results"][0]["id"]
    for number in (space.id, "1"):
        for chosen in (role, "none"):
            given = [{"principal": {"principalType": "USER", "principalId": mia.id}, "roleId": chosen}]
            confluence.post(f"{v2}/spaces/{number}/role-assignments", given)
        confluence.get(f"{v2}/spaces/{number}/role-assignments")
    for key in (space.key, "NOPE"):
        confluence.get(f"{v1}/template/page", spaceKey=key)
    for number in (*site.templates, "1"):
        confluence.get(f"{v1}/template/{number}", expand="body")
    for cql in ('user.fullname ~ "mia"', "user = x"):
        confluence.get(f"{v1}/search/user", cql=cql)


def _use_files(jira: Api, confluence: Api, page: Page) -> None:
    [made] = jira.send("POST", f"{ISSUE}/attachments", form={"file": (BytesIO(b"x"), "a.txt")}).get_json()
    jira.get(f"/rest/api/3/attachment/content/{made['id']}")
    jira.get("/rest/api/3/attachment/content/1")
    jira.send("POST", "/rest/api/3/issue/OPS-404/attachments", form={"file": (BytesIO(b"x"), "a.txt")})
    path = f"/wiki/rest/api/content/{page.id}/child/attachment"
    for method in ("POST", "PUT", "POST"):
        form = {"file": (BytesIO(b"x"), "a.txt"), "minorEdit": "false", "comment": "why"}
        confluence.send(method, path, form=form)
    confluence.send("PUT", path, form={"minorEdit": "false"})
    [listed] = confluence.get(f"/wiki/api/v2/pages/{page.id}/attachments", filename="a.txt").get_json()["results"]
    confluence.get(f"{path}/{listed['id']}/download")
    confluence.get(f"{path}/att1/download")
    confluence.get(f"/wiki/api/v2/attachments/{listed['id']}/versions")
    confluence.get("/wiki/api/v2/attachments/att1/versions")
    confluence.get("/wiki/api/v2/pages/1/attachments")


def test_every_operation_answers_as_it_is_described_when_all_goes_well_and_when_not(
    jira: Api, confluence: Api, site: Site, mia: Account, engineering: Space, runbook: Page
) -> None:
    _use_jira(jira, mia)
    _misuse_jira(jira)
    _use_work(jira, mia)
    _use_boards(jira)
    _use_service_desk(jira, mia)
    _use_confluence(confluence, engineering, runbook)
    _misuse_confluence(confluence)
    _use_files(jira, confluence, runbook)
    _use_page_details(confluence, mia, site, runbook)
    _use_properties(confluence, f"/wiki/api/v2/pages/{runbook.id}", missing="/wiki/api/v2/pages/1")
    _use_properties(confluence, f"/wiki/api/v2/spaces/{engineering.id}", missing="/wiki/api/v2/spaces/1")
    _use_page_tree(confluence, engineering, runbook)
    _use_spaces(confluence, mia, site, engineering)
    good = {name for name, status in jira.exercised if status < 400}
    good |= {name for name, status in confluence.exercised if status < 400}
    assert good == {name for _, name in supported()}
    bad = {name for name, status in jira.exercised | confluence.exercised if status >= 400}
    never_wrong = {"getCurrentUser", "getChildPages", "getCommentContentPropertiesById", "getIssueLinkTypes"}
    never_wrong |= {"getServerInfo", "getFields", "getIssueAllTypes", "getPriorities", "getStatuses", "getAllProjects"}
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
