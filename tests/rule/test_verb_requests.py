"""Verbs: the requests each one makes, one after another, and what it gives back."""

from __future__ import annotations

import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from bridge import catalogue
from bridge.errors import ActionFailed
from bridge.rule import confluence_pages as confluence
from bridge.rule import jira_comments, jira_fields
from bridge.rule import jira_issues as jira
from bridge.rule.adf import Formatted, document, text_to_adf
from bridge.rule.confluence_text import Change
from bridge.rule.event import IssueRef, PageRef
from bridge.rule.markdown import markdown_to_adf
from bridge.rule.request import Request, free_request

if TYPE_CHECKING:
    from bridge.rule.context import Context
    from tests.rule.conftest import FarEnd

HELLO = text_to_adf("Hello")
PAGE = {
    "id": "131077",
    "status": "current",
    "title": "Reviews",
    "version": {"number": 4},
    "body": {"atlas_doc_format": {"value": json.dumps(HELLO), "representation": "atlas_doc_format"}},
}
BOLD = Formatted(markdown_to_adf("**Hello** {who}", {"who": "<Ines>"}))
ISSUE = "/rest/api/3/issue/OPS-1"

TABLE: list[tuple[Request, str, str, Any, Any]] = [
    (jira.read_issue("OPS-1"), "GET", ISSUE, {}, None),
    (jira.read_issue("OPS-1", ["summary", "status"]), "GET", ISSUE, {"fields": ["summary,status"]}, None),
    (jira.read_issue("OPS-1", "status"), "GET", ISSUE, {"fields": ["status"]}, None),
    (jira.read_issue(IssueRef(None, "10001", None)), "GET", "/rest/api/3/issue/10001", {}, None),
    (
        jira.search_page("project = OPS", ["summary"], "t1"),
        "POST",
        "/rest/api/3/search/jql",
        {},
        {"jql": "project = OPS", "fields": ["summary"], "maxResults": 100, "nextPageToken": "t1"},
    ),
    (jira_comments.add_comment("OPS-1", "Hello"), "POST", ISSUE + "/comment", {}, {"body": HELLO}),
    (jira_comments.add_comment("OPS-1", BOLD), "POST", ISSUE + "/comment", {}, {"body": BOLD.doc}),
    (jira.list_transitions("OPS-1"), "GET", ISSUE + "/transitions", {}, None),
    (jira.do_transition("OPS-1", "31"), "POST", ISSUE + "/transitions", {}, {"transition": {"id": "31"}}),
    (
        jira.do_transition("OPS-1", "31", {"resolution": "Done"}),
        "POST",
        ISSUE + "/transitions",
        {},
        {"transition": {"id": "31"}, "fields": {"resolution": {"name": "Done"}}},
    ),
    (
        jira.edit_issue(
            "OPS-1",
            set={"priority": "High", "summary": "New", "description": "Hello", "customfield_10020": 3},
            add={"labels": "urgent", "components": ["Mail"]},
            remove={"labels": ["new", "old"]},
        ),
        "PUT",
        ISSUE,
        {},
        {
            "fields": {"priority": {"name": "High"}, "summary": "New", "description": HELLO, "customfield_10020": 3},
            "update": {
                "labels": [{"add": "urgent"}, {"remove": "new"}, {"remove": "old"}],
                "components": [{"add": {"name": "Mail"}}],
            },
        },
    ),
    (jira.assign_issue("OPS-1", "712020:ines"), "PUT", ISSUE + "/assignee", {}, {"accountId": "712020:ines"}),
    (jira.assign_issue("OPS-1", None), "PUT", ISSUE + "/assignee", {}, {"accountId": None}),
    (
        jira.create_issue("OPS", "Task", "Two\nlines", "Hello", parent="OPS-1", fields={"labels": ["a"]}),
        "POST",
        "/rest/api/3/issue",
        {},
        {
            "fields": {
                "labels": ["a"],
                "project": {"key": "OPS"},
                "issuetype": {"name": "Task"},
                "summary": "Two lines",
                "description": HELLO,
                "parent": {"key": "OPS-1"},
            }
        },
    ),
    (
        confluence.read_page(PageRef("131077", None, "ENG")),
        "GET",
        "/wiki/api/v2/pages/131077",
        {"body-format": ["atlas_doc_format"]},
        None,
    ),
    (confluence.find_space("ENG"), "GET", "/wiki/api/v2/spaces", {"keys": ["ENG"]}, None),
    (
        confluence.add_page("ENG", "65601", "A\ttitle", "Hello", 131075),
        "POST",
        "/wiki/api/v2/pages",
        {},
        {
            "spaceId": "65601",
            "status": "current",
            "title": "A title",
            "body": {"representation": "atlas_doc_format", "value": json.dumps(HELLO)},
            "parentId": "131075",
        },
    ),
    (
        confluence.next_version(131077, PAGE, title="New"),
        "PUT",
        "/wiki/api/v2/pages/131077",
        {},
        {
            "id": "131077",
            "status": "current",
            "title": "New",
            "body": {"representation": "atlas_doc_format", "value": json.dumps(HELLO)},
            "version": {"number": 5},
        },
    ),
    (
        confluence.next_version(131077, PAGE, change=Change(append="Bye")),
        "PUT",
        "/wiki/api/v2/pages/131077",
        {},
        {
            "id": "131077",
            "status": "current",
            "title": "Reviews",
            "body": {
                "representation": "atlas_doc_format",
                "value": json.dumps(document([*HELLO["content"], *text_to_adf("Bye")["content"]])),
            },
            "version": {"number": 5},
        },
    ),
    (
        confluence.add_footer_comment("131077", "Hello"),
        "POST",
        "/wiki/api/v2/footer-comments",
        {},
        {"pageId": "131077", "body": {"representation": "atlas_doc_format", "value": json.dumps(HELLO)}},
    ),
    (
        confluence.add_labels("131077", ("Review Due", "review-due", "ops")),
        "POST",
        "/wiki/rest/api/content/131077/label",
        {},
        [{"prefix": "global", "name": "review-due"}, {"prefix": "global", "name": "ops"}],
    ),
    (
        free_request("jira", "get", ISSUE + "/watchers", {"a": True, "b": [1, "x"], "c": None}),
        "GET",
        ISSUE + "/watchers",
        {"a": ["true"], "b": ["1", "x"]},
        None,
    ),
]
BUILT = [row[0] for row in TABLE[:-1]]


def name(request: Request) -> str:
    """Name a row of the table after its place in it."""
    number = next(place for place, row in enumerate(TABLE, start=1) if row[0] is request)
    return f"{number} {request.product} {request.verb}"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: name(row[0]))
def test_a_verb_builds_its_request(row: tuple[Request, str, str, Any, Any]) -> None:
    request, method, path, query, body = row
    assert (request.method, request.path, dict(request.query), request.body) == (method, path, query, body)


@pytest.mark.parametrize("request_", BUILT, ids=name)
def test_the_catalogue_finds_in_a_request_the_verb_that_built_it(request_: Request) -> None:
    match = catalogue.match(request_.method, request_.path)
    assert match is not None
    assert match.operation.site_product == request_.product
    found = catalogue.infer(match, request_.query, request_.body)
    assert found.refusal is None
    verbs = found.verbs if found.write else found.alternatives
    assert f"{request_.product}.{request_.verb}" in {verb.full_name for verb in verbs}


@pytest.mark.parametrize("request_", BUILT, ids=name)
def test_atlassians_own_openapi_files_describe_every_request(openapi: ModuleType, request_: Request) -> None:
    problems = openapi.request_errors(request_.method, request_.path, request_.query, request_.body)
    assert problems == []


def test_a_key_out_of_a_payload_cannot_lead_to_another_path() -> None:
    for key in (
        "OPS-1/../HR-2",
        "..",
        "OPS-1?x=y",
        "OPS-1#x",
        "OPS-1%2fx",
        "https://evil.example/",
        "a\ud800",
        "a\\b",
        "",
    ):
        path = jira_comments.add_comment(key, "x").path
        assert path.startswith("/rest/api/3/issue/")
        assert path.endswith("/comment")
        inside = path.removeprefix("/rest/api/3/issue/").removesuffix("/comment")
        assert not set(inside) & set("/?#\\")


def test_an_edit_without_a_change_or_with_a_field_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one of set, add, remove and clear"):
        jira.edit_issue("OPS-1")
    with pytest.raises(ValueError, match="labels stands in set and in add or remove"):
        jira.edit_issue("OPS-1", set={"labels": []}, add={"labels": "a"})


def test_values_of_fields_are_written_as_jira_takes_them() -> None:
    assert jira_fields.field_value("priority", {"id": "2"}) == {"id": "2"}
    assert jira_fields.field_value("components", ["Mail", {"id": "1"}]) == [{"name": "Mail"}, {"id": "1"}]
    assert jira_fields.field_value("parent", "10001") == {"id": "10001"}
    assert jira_fields.field_value("customfield_1", BOLD) == BOLD.doc
    assert jira_fields.field_value("duedate", None) is None


def test_a_page_that_came_without_text_gets_its_first(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, {**PAGE, "body": {}}), (200, {"id": "131077"}))
    context.confluence.update_page("131077", append="Hello")
    assert json.loads(far_end.calls[1]["body"]["body"]["value"]) == HELLO


def test_a_page_in_another_form_is_not_overwritten(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, {**PAGE, "body": {"atlas_doc_format": {"value": "<p>x</p>"}}}))
    with pytest.raises(ActionFailed, match="another form than asked for"):
        context.confluence.update_page("131077", append="Hello")
    assert len(far_end.calls) == 1


def test_an_update_or_a_label_of_nothing_is_refused_before_anything_is_asked(far_end: FarEnd, context: Context) -> None:
    with pytest.raises(ValueError, match="one of title, body, append and prepend"):
        context.confluence.update_page("131077")
    for labels in ((), "", ["  "], ["seen", ""]):
        with pytest.raises(ValueError, match="give at least one"):
            context.confluence.label("131077", labels)
    assert far_end.sent == []


def test_a_page_is_made_in_the_space_of_that_key(far_end: FarEnd, context: Context) -> None:
    spaces = {"results": [{"id": "65609", "key": "ENGX"}, {"id": "65601", "key": "ENG"}]}
    far_end.site_answers((200, spaces), (200, {"id": "131090", "title": "New"}))
    assert context.confluence.create_page("ENG", "New", "Hello", step="page")["id"] == "131090"
    read, write = far_end.calls
    assert (read["step"], read["label"], read["query"]) == (1, None, {"keys": ["ENG"]})
    assert (write["step"], write["label"], write["body"]["spaceId"]) == (2, "page", "65601")


def test_a_space_that_the_account_does_not_see_is_told(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, {"results": []}))
    with pytest.raises(ActionFailed, match="there is no space with the key 'NOPE'"):
        context.confluence.create_page("NOPE", "New", "Hello")


def _issue(status: str) -> dict[str, Any]:
    return {"key": "OPS-1", "fields": {"status": {"name": status}}}


OFFERED = {
    "transitions": [
        {"id": "11", "name": "Start work", "to": {"name": "In Progress"}},
        {"id": "31", "name": "Resolve", "to": {"name": "Done"}},
        {"id": "51", "name": "Reject", "to": {"name": "Done"}},
    ]
}


@pytest.mark.parametrize(
    ("to", "chosen"), [("Done", "31"), ("reject", "51"), (" start WORK ", "11"), ("in progress", "11")]
)
def test_a_transition_is_found_by_its_name_or_by_the_status_it_leads_to(
    far_end: FarEnd, context: Context, to: str, chosen: str
) -> None:
    far_end.site_answers((200, _issue("To Do")), (200, OFFERED), (204, None))
    assert context.jira.transition("OPS-1", to, step="close") == {"already": False}
    assert [call["path"].rpartition("/")[2] for call in far_end.calls] == ["OPS-1", "transitions", "transitions"]
    assert far_end.calls[0]["query"] == {"fields": ["status"]}
    assert far_end.calls[2]["body"] == {"transition": {"id": chosen}}
    assert [call["label"] for call in far_end.calls] == [None, None, "close"]


def test_an_issue_that_is_there_already_is_left_alone(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, _issue("Done")))
    assert context.jira.transition("OPS-1", "done") == {"already": True}
    assert len(far_end.calls) == 1


def test_a_way_that_the_workflow_does_not_offer_names_those_it_does(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((200, _issue("To Do")), (200, OFFERED))
    with pytest.raises(ActionFailed) as caught:
        context.jira.transition("OPS-1", "Closed")
    assert (
        caught.value.detail == "no transition from To Do is called 'Closed' or leads there; offered: Done, In Progress"
    )


def test_a_search_asks_for_a_page_when_the_one_before_is_used_up(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers(
        (200, {"issues": [{"key": "OPS-1"}, {"key": "OPS-2"}], "nextPageToken": "t1"}),
        (200, {"issues": [{"key": "OPS-3"}], "isLast": True}),
    )
    hits = context.jira.search("project = OPS AND summary ~ {words}", words='"', fields="summary, status")
    assert far_end.calls == []
    assert next(hits)["key"] == "OPS-1"
    assert len(far_end.calls) == 1
    assert [hit["key"] for hit in hits] == ["OPS-2", "OPS-3"]
    first, second = (call["body"] for call in far_end.calls)
    assert first == {"jql": 'project = OPS AND summary ~ "\\""', "fields": ["summary", "status"], "maxResults": 100}
    assert second["nextPageToken"] == "t1"


def test_a_search_ends_at_its_limit_and_when_a_site_goes_in_circles(far_end: FarEnd, context: Context) -> None:
    page = {"issues": [{"key": "OPS-1"}, {"key": "OPS-2"}], "nextPageToken": "t1"}
    far_end.site_answers((200, page))
    assert len(list(context.jira.search("project = OPS", limit=1))) == 1
    far_end.site_answers((200, page), (200, page))
    assert len(list(context.jira.search("project = OPS"))) == 4
    assert list(context.jira.search("project = OPS", limit=0)) == []


def test_what_was_only_observed_has_ids_that_cannot_exist(far_end: FarEnd, context: Context) -> None:
    far_end.site_answers((201, None), (201, None), (204, None), observed=True)
    assert context.jira.create("OPS", "Task", "x") == {"id": "0", "key": "OPS-0"}
    assert context.jira.comment("OPS-1", "x") == {"id": "0"}
    assert context.jira.edit("OPS-1", set={"summary": "x"}) == {}
    far_end.site_answers((200, {"results": [{"id": "1", "key": "ENG"}]}))
    far_end.site_answers((200, None), observed=True)
    assert context.confluence.create_page("ENG", "T", "x") == {"id": "0", "title": "T"}
