"""Search by JQL in the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

SEARCH = "/rest/api/3/search/jql"


def _keys(jira: Api, jql: str) -> list[str]:
    answer = jira.post(SEARCH, {"jql": jql, "fields": ["key"]})
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    return [issue["key"] for issue in answer.json["issues"]]


@pytest.mark.parametrize(
    ("jql", "keys"),
    [
        ("project = OPS ORDER BY key", ["OPS-1", "OPS-2", "OPS-3", "OPS-4", "OPS-5"]),
        ("project in (CHG, HR) order by key asc", ["CHG-1", "HR-1", "HR-2"]),
        ("project = OPS AND status = 'In Progress'", ["OPS-1"]),
        ("project = OPS and status != Done and priority in (High, Highest)", ["OPS-1"]),
        ('assignee = "Jonas Brandt"', ["OPS-1"]),
        ("project = CHG and assignee is EMPTY", ["CHG-1"]),
        ("labels = network OR labels = security order by key", ["OPS-2", "OPS-4"]),
        ("labels not in (network) and labels is not empty order by key", ["OPS-1", "OPS-4"]),
        ('text ~ "rack 7" order by key', ["CHG-1", "OPS-1", "OPS-2"]),
        ('summary ~ "mail"', ["OPS-1"]),
        ('summary ~ "certif*"', ["OPS-4"]),
        ('summary ~ "\\"disk 4\\""', ["OPS-5"]),
        ("key in (OPS-2, OPS-99) order by key", ["HR-2", "OPS-2"]),
        ("creator = currentUser()", []),
        ("reporter = 'Mia Keller' and project = HR order by created asc", ["HR-1", "HR-2"]),
        ("project = OPS and created >= -30h order by created asc", ["OPS-4", "OPS-5"]),
        ("project = OPS and created < '2026-11-20' order by key", ["OPS-1"]),
        ("project = OPS and not (status = Done or status = 'To Do')", ["OPS-1"]),
        ("component = Storage order by key", ["OPS-3", "OPS-5"]),
        ("issuetype = Change", ["CHG-1"]),
        ("statusCategory = Done", ["OPS-5"]),
        ("project = OPS order by priority desc, key", ["OPS-5", "OPS-1", "OPS-2", "OPS-3", "OPS-4"]),
    ],
)
def test_a_query_finds_what_it_says(jira: Api, jql: str, keys: list[str]) -> None:
    found = _keys(jira, jql)
    assert found == keys


@pytest.mark.parametrize(
    "jql",
    [
        "",
        "order by created",
        "nonsense = 1",
        "project = NOPE",
        "project ~ OPS",
        "status",
        "status =",
        "project = OPS and",
        "(project = OPS",
        "project = OPS project = HR",
        "summary = mail",
        "project = membersOf(x)",
        "created >= yesterday",
        "key = OPS-404",
        "project = OPS order by text",
        "project = OPS order by a,b,c,d,e,f,g,h",
        'summary ~ "unterminated',
    ],
)
def test_a_query_that_cannot_be_run_is_400(jira: Api, jql: str) -> None:
    answer = jira.post(SEARCH, {"jql": jql})
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["errorMessages"]


def test_only_ids_are_told_unless_fields_are_asked_for(jira: Api) -> None:
    bare = jira.get(SEARCH, jql="key = OPS-1").json
    assert bare is not None
    assert [set(issue) for issue in bare["issues"]] == [{"id"}]
    assert bare["isLast"] is True
    assert "nextPageToken" not in bare
    assert "total" not in bare
    some = jira.get(SEARCH, jql="key = OPS-1", fields="summary,status").json
    assert some is not None
    assert set(some["issues"][0]["fields"]) == {"summary", "status"}


def test_pages_are_fetched_by_token_and_a_token_belongs_to_its_query(jira: Api, clock: Clock) -> None:
    jql, keys, token, pages = "project = OPS order by key", [], None, 0
    while True:
        body: dict[str, Any] = {"jql": jql, "fields": ["key"], "maxResults": 2}
        answer = jira.post(SEARCH, body | ({"nextPageToken": token} if token else {})).json
        assert answer is not None
        keys += [issue["key"] for issue in answer["issues"]]
        pages += 1
        if answer["isLast"]:
            break
        token = answer["nextPageToken"]
    assert keys == ["OPS-1", "OPS-2", "OPS-3", "OPS-4", "OPS-5"]
    assert pages == 3
    assert jira.get(SEARCH, jql="project = HR", nextPageToken=token).status_code == 400
    assert jira.get(SEARCH, jql=jql, nextPageToken="nonsense").status_code == 400
    clock.forward(days=8)
    assert jira.get(SEARCH, jql=jql, nextPageToken=token).status_code == 400


def test_up_to_five_properties_come_with_the_hits(jira: Api, site: Site) -> None:
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Marked"}
    jira.post("/rest/api/3/issue", {"fields": fields, "properties": [{"key": "bridge.step", "value": {"step": 1}}]})
    body = {"jql": "creator = currentUser() and created >= -30m", "properties": ["bridge.step"], "fields": ["key"]}
    answer = jira.post(SEARCH, body).json
    assert answer is not None
    assert [hit["properties"] for hit in answer["issues"]] == [{"bridge.step": {"step": 1}}]
    body["properties"] = list("abcdef")
    assert jira.post(SEARCH, body).status_code == 400


def test_hits_that_cannot_be_seen_are_not_there(jira: Api, site: Site) -> None:
    site.grant("ops-bot", set(), project="HR")
    assert _keys(jira, "reporter = 'Mia Keller' and issuetype = Task order by key") == ["OPS-4"]
    assert jira.post(SEARCH, {"jql": "project = HR"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [{"jql": "key = OPS-1", "startAt": 0}, {"jql": "key = OPS-1", "fields": "summary"}, {"jql": "x", "maxResults": -1}],
)
def test_a_search_takes_no_other_members(jira: Api, body: dict[str, Any]) -> None:
    assert jira.post(SEARCH, body).status_code == 400


def test_a_lagging_index_knows_nothing_of_what_came_after(jira: Api, site: Site) -> None:
    site.faults.order({"fault": "lag", "times": 2}, site.issues)
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Not indexed yet"}
    made = jira.post("/rest/api/3/issue", {"fields": fields}).json
    assert made is not None
    jira.put("/rest/api/3/issue/OPS-1", {"fields": {"summary": "Renamed", "description": paragraphs("x")}})
    assert _keys(jira, "creator = currentUser()") == []
    body = {"jql": "creator = currentUser()", "fields": ["key"], "reconcileIssues": [int(made["id"])]}
    reconciled = jira.post(SEARCH, body).json
    assert reconciled is not None
    assert [issue["key"] for issue in reconciled["issues"]] == [made["key"]]
    assert _keys(jira, "creator = currentUser()") == [made["key"]]
