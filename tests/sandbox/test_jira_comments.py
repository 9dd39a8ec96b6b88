"""Comments on issues in the sandbox, with the entity properties by which a bridge finds its own again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Issue
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

COMMENTS = "/rest/api/3/issue/OPS-1/comment"
MARK = {"key": "bridge.step", "value": {"run": "0192", "step": 3}}


def _add(jira: Api, text: str) -> dict[str, Any]:
    answer = jira.post(COMMENTS, {"body": paragraphs(text), "properties": [MARK]})
    assert answer.status_code == 201
    assert answer.json is not None
    made: dict[str, Any] = answer.json
    return made


def test_a_comment_is_made_under_the_service_accounts_name(jira: Api, incident: Issue) -> None:
    made = _add(jira, "CHG-1 was approved.")
    assert made["author"]["displayName"] == "ops-bot"
    assert made["author"]["accountType"] == "app"
    assert made["body"] == paragraphs("CHG-1 was approved.")
    assert incident.comments[-1].id == made["id"]


def test_properties_given_with_a_comment_are_read_back_with_the_list_of_ids(jira: Api) -> None:
    made = _add(jira, "Marked")
    assert "properties" not in made
    listed = jira.post("/rest/api/3/comment/list", {"ids": [int(made["id"]), 1]}, expand="properties").json
    assert listed is not None
    assert [entry["properties"] for entry in listed["values"]] == [[MARK]]
    plain = jira.post("/rest/api/3/comment/list", {"ids": [int(made["id"])]}).json
    assert plain is not None
    assert "properties" not in plain["values"][0]
    address = f"/rest/api/3/comment/{made['id']}/properties"
    keys = jira.get(address).json
    assert keys is not None
    assert [entry["key"] for entry in keys["keys"]] == ["bridge.step"]
    assert jira.get(f"{address}/bridge.step").json == MARK
    assert jira.get(f"{address}/other").status_code == 404


def test_comments_are_listed_newest_first_when_asked(jira: Api, clock: Clock) -> None:
    for text in ("one", "two", "three"):
        clock.forward(seconds=1)
        _add(jira, text)
    newest = jira.get(COMMENTS, orderBy="-created", maxResults=2).json
    assert newest is not None
    assert [entry["body"] for entry in newest["comments"]] == [paragraphs("three"), paragraphs("two")]
    assert newest["total"] == 4
    oldest = jira.get(COMMENTS, orderBy="+created", startAt=3).json
    assert oldest is not None
    assert [entry["body"] for entry in oldest["comments"]] == [paragraphs("three")]
    assert jira.get(COMMENTS, orderBy="author").status_code == 400


def test_one_comment_is_read_by_its_id_on_its_own_issue_only(jira: Api) -> None:
    made = _add(jira, "Here")
    shown = jira.get(f"{COMMENTS}/{made['id']}", expand="renderedBody").json
    assert shown is not None
    assert shown["renderedBody"] == "<p>Here</p>"
    assert jira.get(f"/rest/api/3/issue/OPS-2/comment/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"body": "plain text"},
        {"body": {"type": "doc", "version": 1, "content": []}},
        {"body": {"type": "doc", "content": [{"type": "paragraph"}]}},
        {"body": {"type": "doc", "version": 1, "content": [{"type": "text", "text": "not in a paragraph"}]}},
        {"body": {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text"}]}]}},
        {"body": paragraphs("x" * 32768)},
        {"body": paragraphs("x"), "properties": "no list"},
        {"body": paragraphs("x"), "properties": [{"key": "no value"}]},
        {"body": paragraphs("x"), "visibility": {"type": "nobody"}},
    ],
)
def test_an_unfit_comment_is_400_and_leaves_nothing(jira: Api, incident: Issue, body: dict[str, Any]) -> None:
    before = len(incident.comments)
    assert jira.post(COMMENTS, body).status_code == 400
    assert len(incident.comments) == before


def test_a_comment_without_permission_is_400_and_on_an_unseen_issue_404(jira: Api, site: Site) -> None:
    site.grant("ops-bot", {"browse"}, project="OPS")
    assert jira.post(COMMENTS, {"body": paragraphs("x")}).status_code == 400
    site.grant("ops-bot", set(), project="OPS")
    assert jira.post(COMMENTS, {"body": paragraphs("x")}).status_code == 404
    assert jira.get(COMMENTS).status_code == 404


def test_an_issue_takes_only_so_many_comments(jira: Api, site: Site) -> None:
    site.comments_per_issue = 1
    assert jira.post(COMMENTS, {"body": paragraphs("x")}).status_code == 413


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": [1], "more": 1}, {"ids": list(range(1001))}])
def test_a_list_of_comments_needs_up_to_a_thousand_numbers(jira: Api, body: dict[str, Any]) -> None:
    assert jira.post("/rest/api/3/comment/list", body).status_code == 400


def test_a_comments_properties_are_looked_up_by_number(jira: Api) -> None:
    assert jira.get("/rest/api/3/comment/abc/properties").status_code == 400
    assert jira.get("/rest/api/3/comment/1/properties").status_code == 404


def test_a_comment_keeps_its_visibility(jira: Api) -> None:
    visibility = {"type": "role", "value": "Administrators"}
    made = jira.post(COMMENTS, {"body": paragraphs("Among us"), "visibility": visibility}).json
    assert made is not None
    assert made["visibility"] == visibility
