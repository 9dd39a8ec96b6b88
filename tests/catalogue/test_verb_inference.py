"""What a request amounts to: the verbs it needs, or the one sentence that says why none can allow it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import catalogue
from bridge.catalogue import Inference

ISSUE = "/rest/api/3/issue/OPS-1"
EDIT = ("PUT", ISSUE)
CREATE = ("POST", "/rest/api/3/issue")
TRANSITION = ("POST", f"{ISSUE}/transitions")
COMMENT = ("POST", f"{ISSUE}/comment")
ASSIGN = ("PUT", f"{ISSUE}/assignee")
SEARCH = ("POST", "/rest/api/3/search/jql")
PAGES = ("POST", "/wiki/api/v2/pages")
PAGE = ("PUT", "/wiki/api/v2/pages/123")
FOOTER = ("POST", "/wiki/api/v2/footer-comments")
LABEL = ("POST", "/wiki/rest/api/content/123/label")
SPACES = ("GET", "/wiki/api/v2/spaces")
ADF = {"type": "doc", "version": 1, "content": []}
BY_SPACE_KEY = [
    f"confluence.{name}" for name in ("read", "create-page", "copy-page", "space-role", "set-space-property")
]
UPDATE = {"id": "123", "status": "current", "title": "t", "body": {}, "version": {"number": 2}}


def infer(request: tuple[str, str], body: object = None, **query: list[str]) -> Inference:
    found = catalogue.match(*request)
    assert found is not None
    return catalogue.infer(found, query, body)


def needs(inference: Inference) -> list[str]:
    assert inference.refusal is None, inference.refusal
    return [verb.full_name for verb in inference.verbs]


def serves(inference: Inference) -> list[str]:
    assert inference.refusal is None, inference.refusal
    return [verb.full_name for verb in inference.alternatives]


# ------------------------------------------------------------------------------------------------------- writes


@pytest.mark.parametrize(
    ("request_line", "body", "verbs"),
    [
        (COMMENT, {"body": ADF}, ["jira.comment"]),
        (COMMENT, {"body": ADF, "visibility": {"type": "role", "value": "Team"}}, ["jira.comment"]),
        (EDIT, {"fields": {"summary": "x", "labels": ["a"]}}, ["jira.edit"]),
        (EDIT, {"update": {"labels": [{"add": "a"}]}}, ["jira.edit"]),
        (EDIT, {"fields": {"assignee": {"accountId": "5"}}}, ["jira.assign"]),
        (EDIT, {"fields": {"assignee": None}}, ["jira.assign"]),
        (EDIT, {"update": {"assignee": [{"set": {"accountId": "5"}}]}}, ["jira.assign"]),
        (EDIT, {"fields": {"assignee": None, "summary": "x"}}, ["jira.edit", "jira.assign"]),
        (EDIT, {"fields": {"assignee": None}, "update": {"labels": []}}, ["jira.edit", "jira.assign"]),
        (EDIT, {"fields": {}}, ["jira.edit"]),
        (EDIT, {}, ["jira.edit"]),
        (ASSIGN, {"accountId": None}, ["jira.assign"]),
        (CREATE, {"fields": {"project": {"key": "OPS"}, "assignee": {"accountId": "5"}}}, ["jira.create"]),
        (TRANSITION, {"transition": {"id": "5"}}, ["jira.transition"]),
        (TRANSITION, {"transition": {"id": "5"}, "fields": {"resolution": {"id": "1"}}}, ["jira.transition"]),
        (TRANSITION, {"transition": {"id": "5"}, "fields": {"priority": {}}}, ["jira.transition", "jira.edit"]),
        (TRANSITION, {"transition": {"id": "5"}, "fields": {"assignee": None}}, ["jira.transition", "jira.assign"]),
        (TRANSITION, {"fields": {"assignee": None}}, ["jira.transition", "jira.assign"]),
        (PAGES, {"spaceId": "1", "status": "current", "title": "t", "body": {}}, ["confluence.create-page"]),
        (PAGE, UPDATE, ["confluence.update-page"]),
        (FOOTER, {"pageId": "123", "body": {}}, ["confluence.comment"]),
        (LABEL, [{"prefix": "global", "name": "a"}, {"prefix": "global", "name": "b"}], ["confluence.label"]),
        (LABEL, {"prefix": "global", "name": "a"}, ["confluence.label"]),
        (LABEL, [], ["confluence.label"]),
    ],
)
def test_a_write_needs_every_verb_that_its_body_holds(
    request_line: tuple[str, str], body: object, verbs: list[str]
) -> None:
    inference = infer(request_line, body)
    assert needs(inference) == verbs
    assert inference.write
    assert inference.alternatives == ()


@pytest.mark.parametrize(
    ("request_line", "body", "container", "target"),
    [
        (COMMENT, {"body": ADF}, "issue", "OPS-1"),
        (CREATE, {"fields": {"project": {"key": "OPS"}}}, "project-in-body", None),
        (PAGES, {"spaceId": "1"}, "space-in-body", None),
        (PAGE, UPDATE, "page", "123"),
        (FOOTER, {"pageId": "123"}, "page-in-body", None),
        (LABEL, [], "page", "123"),
        (SEARCH, {"jql": "project = OPS"}, "hits", None),
        (("POST", f"{ISSUE}/votes"), None, "issue", "OPS-1"),
        (("DELETE", "/wiki/api/v2/pages/123"), None, "page", "123"),
        (("DELETE", "/wiki/api/v2/pages/123/properties/4"), None, "page", "123"),
        (("DELETE", "/wiki/api/v2/spaces/9/properties/4"), None, "space", "9"),
        (("DELETE", "/rest/api/3/project/OPS/properties/x"), None, "project", "OPS"),
        (("DELETE", "/wiki/rest/api/content/123/version/2"), None, "page", "123"),
        (("GET", "/wiki/rest/api/space/ENG/settings"), None, "space-key", "ENG"),
        (("GET", "/rest/api/3/version/10100/relatedwork"), None, "version", "10100"),
        (("GET", "/rest/servicedeskapi/servicedesk/4/queue"), None, "service-desk", "4"),
        (("DELETE", "/rest/agile/1.0/sprint/7"), None, "site", None),
    ],
)
def test_it_is_said_where_the_container_is_to_be_found(
    request_line: tuple[str, str], body: object, container: str, target: str | None
) -> None:
    inference = infer(request_line, body)
    assert (inference.refusal, inference.container, inference.target) == (None, container, target)


@pytest.mark.parametrize(
    ("request_line", "body", "references"),
    [
        (CREATE, {"fields": {"parent": {"key": "HR-1"}}}, ({"key": "HR-1"},)),
        (EDIT, {"fields": {"parent": {"id": "10"}, "summary": "x"}}, ({"id": "10"},)),
        (EDIT, {"fields": {"parent": None}}, ()),
        (TRANSITION, {"transition": {"id": "5"}, "fields": {"parent": {"key": "HR-1"}}}, ({"key": "HR-1"},)),
        (PAGES, {"spaceId": "1", "parentId": "77"}, ("77",)),
        (PAGE, {**UPDATE, "parentId": "77"}, ("77",)),
        (COMMENT, {"body": {"parent": {"key": "HR-1"}}}, ()),
    ],
)
def test_a_second_target_in_the_body_is_handed_to_the_policy(
    request_line: tuple[str, str], body: object, references: tuple[object, ...]
) -> None:
    inference = infer(request_line, body)
    assert inference.refusal is None
    assert inference.references == references


# ------------------------------------------------------------------------------------------------ nested verbs


@pytest.mark.parametrize(
    ("request_line", "body", "refusal"),
    [
        (EDIT, {"update": {"comment": [{"add": {}}]}}, "update.comment does not belong in jira.edit: use jira.comment"),
        (EDIT, {"fields": {"comment": {}}}, "fields.comment does not belong in jira.edit: use jira.comment"),
        (
            TRANSITION,
            {"transition": {"id": "5"}, "update": {"comment": []}},
            "update.comment does not belong in jira.transition: use jira.comment",
        ),
        (CREATE, {"update": {"comment": []}}, "update.comment does not belong in jira.create: use jira.comment"),
        (EDIT, {"update": {"worklog": []}}, "update.worklog does not belong in jira.edit: use jira.log-work"),
        (CREATE, {"update": {"worklog": []}}, "update.worklog does not belong in jira.create: use jira.log-work"),
        (EDIT, {"update": {"issuelinks": []}}, "update.issuelinks does not belong in jira.edit: use jira.link"),
        (CREATE, {"fields": {"issuelinks": []}}, "fields.issuelinks does not belong in jira.create: use jira.link"),
        (EDIT, {"update": {"attachment": []}}, "update.attachment does not belong in jira.edit: use addAttachment"),
        (EDIT, {"transition": {"id": "5"}}, "transition does not belong in jira.edit: use jira.transition"),
        (CREATE, {"transition": {"id": "5"}}, "transition does not belong in jira.create: use jira.transition"),
        (EDIT, {"fields": {"status": {}}}, "fields.status does not belong in jira.edit: use jira.transition"),
        (
            EDIT,
            {"fields": {"project": {"key": "HR"}}},
            "fields.project does not belong in jira.edit: moving a work item to another project is no edit",
        ),
        (
            CREATE,
            {"fields": {"project": {"key": "OPS"}}, "update": {"project": [{"set": {"key": "HR"}}]}},
            "update.project does not belong in jira.create: name the project in fields.project",
        ),
        (EDIT, {"update": {"parent": []}}, "update.parent does not belong in jira.edit: set fields.parent"),
        (EDIT, {"historyMetadata": {}}, "historyMetadata does not belong in jira.edit: reserved for the mark"),
        (TRANSITION, {"historyMetadata": {}}, "historyMetadata does not belong in jira.transition: reserved"),
        (EDIT, {"properties": []}, "properties does not belong in jira.edit: reserved for the mark"),
        (CREATE, {"properties": []}, "properties does not belong in jira.create: reserved for the mark"),
        (COMMENT, {"properties": []}, "properties does not belong in jira.comment: reserved for the mark"),
        (
            PAGE,
            {**UPDATE, "version": {"number": 2, "message": "x"}},
            "version.message does not belong in confluence.update-page: reserved for the mark",
        ),
        (
            ("POST", "/rest/api/3/issueLink"),
            {"type": {"name": "Relates"}, "comment": {"body": ADF}},
            "comment does not belong in jira.link: use jira.comment",
        ),
    ],
)
def test_what_rides_in_anothers_body_is_refused_with_what_to_use_instead(
    request_line: tuple[str, str], body: object, refusal: str
) -> None:
    inference = infer(request_line, body)
    assert inference.refusal is not None
    assert inference.refusal.startswith(refusal)
    assert inference.verbs == inference.alternatives == ()


@pytest.mark.parametrize(
    ("request_line", "body", "refusal"),
    [
        (COMMENT, {"body": ADF, "author": {}}, "author does not belong in jira.comment: no verb covers it"),
        (COMMENT, {"Body": ADF}, "Body does not belong in jira.comment: no verb covers it"),
        (EDIT, {"fields.assignee": {}}, "'fields.assignee' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"update.comment": []}, "'update.comment' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"": {}}, "'' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"*": {}}, "'*' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {"*": 1}}, "fields.'*' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {"a.b": 1}}, "fields.'a.b' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {"Assignee": 1}}, "fields.Assignee does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {" assignee": 1}}, "fields.' assignee' does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {"assignee\u200b": 1}}, "fields.'assignee\\u200b' does not belong in jira.edit"),
        (EDIT, {"update": {"COMMENT": []}}, "update.COMMENT does not belong in jira.edit: no verb covers it"),
        (EDIT, {1: {}}, "1 does not belong in jira.edit: no verb covers it"),
        (EDIT, {None: {}}, "None does not belong in jira.edit: no verb covers it"),
        (EDIT, {"fields": {("assignee",): 1}}, "fields.('assignee',) does not belong in jira.edit"),
        (EDIT, {"fields": []}, "fields of jira.edit must be an object"),
        (EDIT, {"fields": None}, "fields of jira.edit must be an object"),
        (EDIT, {"fields": '{"comment": 1}'}, "fields of jira.edit must be an object"),
        (EDIT, [{"fields": {}}], "the body of jira.edit must be an object"),
        (EDIT, "fields", "the body of jira.edit must be an object"),
        (EDIT, None, "the body of jira.edit must be an object"),
        (COMMENT, None, "the body of jira.comment must be an object"),
        (TRANSITION, {"transition": "5"}, "transition of jira.transition must be an object"),
        (TRANSITION, {"transition": {"id": "5", "to": {}}}, "transition.to does not belong in jira.transition"),
        (ASSIGN, {"name": "ada"}, "name does not belong in jira.assign: no verb covers it"),
        (ASSIGN, {"fields": {"assignee": {}}}, "fields does not belong in jira.assign: no verb covers it"),
        (PAGE, {**UPDATE, "spaceId": "9"}, "spaceId does not belong in confluence.update-page"),
        (PAGE, {**UPDATE, "subtype": "live"}, "subtype does not belong in confluence.update-page"),
        (FOOTER, {"blogPostId": "9", "body": {}}, "blogPostId does not belong in confluence.comment"),
        (FOOTER, {"attachmentId": "9", "body": {}}, "attachmentId does not belong in confluence.comment"),
        (LABEL, "urgent", "the body of confluence.label must be an object or a list"),
        (LABEL, ["urgent"], "[0] of confluence.label must be an object"),
        (LABEL, {"[]": {"name": "a"}}, "'[]' does not belong in confluence.label: no verb covers it"),
        (LABEL, [{"name": "a", "owner": "b"}], "[0].owner does not belong in confluence.label: no verb covers it"),
        (
            ("POST", "/rest/api/3/issueLink"),
            {"Comment": {}},
            "Comment does not belong in jira.link: no verb covers it",
        ),
        (SEARCH, {"jql": "x", "validateQuery": "none"}, "validateQuery does not belong in jira.search"),
    ],
)
def test_what_no_verb_covers_is_refused_by_name_however_it_is_written(
    request_line: tuple[str, str], body: object, refusal: str
) -> None:
    inference = infer(request_line, body)
    assert inference.refusal is not None
    assert inference.refusal.startswith(refusal)


def test_every_fault_of_a_request_is_named_at_once() -> None:
    inference = infer(EDIT, {"update": {"comment": [], "worklog": []}, "x": 1}, overrideEditableFlag=["true"])
    assert inference.refusal == (
        "the query name 'overrideEditableFlag' is not for jira.edit; "
        "update.comment does not belong in jira.edit: use jira.comment; "
        "update.worklog does not belong in jira.edit: use jira.log-work; "
        "x does not belong in jira.edit: no verb covers it"
    )


@pytest.mark.parametrize("other", ["124", 12, True, None, ["123"], {"id": "123"}])
def test_a_page_whose_id_in_the_body_is_not_that_of_the_path_is_refused(other: object) -> None:
    inference = infer(PAGE, {**UPDATE, "id": other})
    assert inference.refusal == "id in the body of confluence.update-page is not the page of the path"


def test_the_same_id_as_a_number_is_the_same_page() -> None:
    assert needs(infer(PAGE, {**UPDATE, "id": 123})) == ["confluence.update-page"]


# -------------------------------------------------------------------------------------------------------- reads


@pytest.mark.parametrize(
    ("path", "query", "verbs", "alternatives"),
    [
        (ISSUE, {}, ["jira.read"], ["jira.read"]),
        (ISSUE, {"fields": ["summary"]}, ["jira.read"], ["jira.read"]),
        (ISSUE, {"fields": ["status"]}, ["jira.read"], ["jira.read", "jira.transition"]),
        (ISSUE, {"fields": ["status", "*all"]}, ["jira.read"], ["jira.read"]),
        (ISSUE, {"fields": ["status"], "expand": ["changelog"]}, ["jira.read"], ["jira.read"]),
        (f"{ISSUE}/transitions", {}, ["jira.read"], ["jira.read", "jira.transition"]),
        (f"{ISSUE}/changelog", {"startAt": ["0"]}, ["jira.read"], ["jira.read"]),
        (f"{ISSUE}/comment/7", {}, ["jira.read"], ["jira.read"]),
        (f"{ISSUE}/changelog", {"startAt": ["100"]}, ["jira.read"], ["jira.read"]),
        ("/rest/api/3/search/jql", {"jql": ["project = OPS"]}, ["jira.search"], ["jira.search"]),
        (
            "/wiki/api/v2/pages/123",
            {"body-format": ["atlas_doc_format"]},
            ["confluence.read"],
            ["confluence.read", "confluence.update-page"],
        ),
        ("/wiki/api/v2/pages/123", {"version": ["2"]}, ["confluence.read"], ["confluence.read"]),
        (
            "/wiki/api/v2/pages/123/labels",
            {"limit": ["250"]},
            ["confluence.read"],
            ["confluence.read", "confluence.unlabel"],
        ),
        ("/wiki/api/v2/spaces", {"keys": ["ENG"]}, [], BY_SPACE_KEY),
        ("/wiki/api/v2/spaces", {"keys": ["ENG"], "limit": ["1"]}, [], BY_SPACE_KEY),
    ],
)
def test_a_read_is_justified_by_read_or_by_the_verb_it_serves(
    path: str, query: dict[str, list[str]], verbs: list[str], alternatives: list[str]
) -> None:
    inference = infer(("GET", path), **query)
    assert needs(inference) == verbs
    assert serves(inference) == alternatives
    assert not inference.write


def test_a_search_is_a_read_although_it_is_a_post() -> None:
    inference = infer(SEARCH, {"jql": "project = OPS", "fields": ["summary"], "nextPageToken": "x"})
    assert (needs(inference), serves(inference)) == (["jira.search"], ["jira.search"])
    assert not inference.write


def test_a_space_read_for_its_id_is_judged_by_the_key_in_the_query() -> None:
    assert infer(SPACES, keys=["ENG"]).container == "space-in-query"


@pytest.mark.parametrize("query", [{}, {"keys": ["ENG", "HR"]}, {"keys": []}, {"keys": ["ENG"], "ids": ["1"]}])
def test_other_reads_of_spaces_serve_no_verb(query: dict[str, list[str]]) -> None:
    inference = infer(SPACES, **query)
    assert (needs(inference), serves(inference), inference.container) == ([], [], "site")


@pytest.mark.parametrize(
    ("request_line", "body", "query", "refusal"),
    [
        (("GET", ISSUE), None, {"updateHistory": ["true"]}, "the query name 'updateHistory' is not for jira.read"),
        (("GET", ISSUE), None, {"Fields": ["status"]}, "the query name 'Fields' is not for jira.read"),
        (EDIT, {"fields": {}}, {"overrideScreenSecurity": ["true"]}, "'overrideScreenSecurity' is not for jira.edit"),
        (COMMENT, {"body": ADF}, {"notifyUsers": ["false"]}, "'notifyUsers' is not for jira.comment"),
        (PAGES, {"spaceId": "1"}, {"embedded": ["true"]}, "'embedded' is not for confluence.create-page"),
        (LABEL, [], {"": [""]}, "the query name '' is not for confluence.label"),
    ],
)
def test_a_query_name_that_the_verb_does_not_use_is_refused_by_name(
    request_line: tuple[str, str], body: object, query: dict[str, list[str]], refusal: str
) -> None:
    inference = infer(request_line, body, **query)
    assert inference.refusal is not None
    assert refusal in inference.refusal


def test_quiet_edits_are_edits() -> None:
    assert needs(infer(EDIT, {"fields": {"summary": "x"}}, notifyUsers=["false"])) == ["jira.edit"]
    assert needs(infer(EDIT, {"fields": {"assignee": None}}, notifyUsers=["false"])) == ["jira.assign"]


# ------------------------------------------------------------------------------------ whatever the scope holds


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("POST", "/rest/api/3/issue/bulk", "createIssues acts on many targets at once, .*: use jira.create for each"),
        ("POST", "/rest/api/3/bulk/issues/fields", "submitBulkEdit .*: use jira.edit for each"),
        ("POST", "/rest/api/3/bulk/issues/transition", "submitBulkTransition .*: use jira.transition for each"),
        ("POST", "/rest/api/3/issue/bulkfetch", "bulkFetchIssues .*: use jira.read for each"),
        ("POST", "/rest/api/3/bulk/issues/delete", "submitBulkDelete .*: use jira.delete for each"),
        ("POST", "/rest/api/3/bulk/issues/move", "submitBulkMove .*: do it for each by itself"),
        ("PUT", "/rest/api/3/issue/properties/x", "bulkSetIssueProperty .*: use jira.set-property for each"),
        ("DELETE", f"{ISSUE}/worklog", "bulkDeleteWorklogs .*: do it for each by itself"),
        ("PUT", "/rest/api/3/dashboard/bulk/edit", "bulkEditDashboards .*: do it for each by itself"),
        ("GET", "/rest/api/3/user/bulk", "bulkGetUsers .*: do it for each by itself"),
    ],
)
def test_bulk_operations_are_refused_with_the_verb_for_one(method: str, path: str, refusal: str) -> None:
    inference = infer((method, path), None if method == "GET" else {})
    assert inference.refusal is not None
    start, _, end = refusal.partition(".*")
    assert inference.refusal.startswith(start)
    assert inference.refusal.endswith(end)


@pytest.mark.parametrize(
    "name",
    ["_method", "method", "X-HTTP-Method-Override", "x-http-method-override", "X-HTTP-Method", "X_Method_Override"],
)
@pytest.mark.parametrize("request_line", [("GET", ISSUE), EDIT, ("POST", f"{ISSUE}/votes"), SPACES])
def test_a_method_in_disguise_is_refused_for_every_operation(request_line: tuple[str, str], name: str) -> None:
    inference = infer(request_line, None if request_line[0] == "GET" else {}, **{name: ["DELETE"]})
    assert inference.refusal is not None
    assert f"the query name {name!r} could replace the method {request_line[0]}" in inference.refusal


@pytest.mark.parametrize("request_line", [("GET", ISSUE), ("GET", f"{ISSUE}/votes"), SPACES])
def test_a_get_carries_no_body(request_line: tuple[str, str]) -> None:
    inference = infer(request_line, {"fields": {}})
    assert inference.refusal is not None
    assert inference.refusal.endswith("is a GET, which carries no body")


@pytest.mark.parametrize(
    ("method", "path", "body", "write"),
    [
        ("POST", f"{ISSUE}/votes", None, True),
        ("DELETE", f"{ISSUE}/votes", None, True),
        ("POST", "/rest/api/3/issueLinkType", {"name": "Relates"}, True),
        ("PUT", "/rest/agile/1.0/issue/OPS-1/estimation", {"value": "5"}, True),
        ("GET", "/rest/agile/1.0/issue/OPS-1", None, False),
        ("GET", f"{ISSUE}/votes", None, False),
    ],
)
def test_an_operation_without_verb_is_left_to_scopes_that_name_it(
    method: str, path: str, body: object, write: bool
) -> None:
    inference = infer((method, path), body, anything=["goes"])
    assert (needs(inference), serves(inference)) == ([], [])
    assert inference.write is write


# ----------------------------------------------------------------------------------------------- in all shapes

keys = st.sampled_from(
    ["fields", "update", "assignee", "comment", "transition", "id", "summary", "body", "properties", "[]", "*", ""]
) | st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
parts = st.sampled_from(["fields", "update"]) | keys
fields = st.dictionaries(st.sampled_from(["assignee", "summary", "labels", "comment"]) | keys, json_values, max_size=3)
writes = st.sampled_from([EDIT, CREATE, TRANSITION, COMMENT, ASSIGN, SEARCH, PAGES, PAGE, FOOTER, LABEL])


@settings(max_examples=500, deadline=None)
@given(request_line=writes, body=json_values)
def test_any_json_is_judged_and_none_raises(request_line: tuple[str, str], body: Any) -> None:
    inference = infer(request_line, body)
    assert bool(inference.verbs) is (inference.refusal is None)


def _paths(value: object, trail: tuple[object, ...] = ()) -> set[tuple[object, ...]]:
    if isinstance(value, dict):
        return {trail}.union(*(_paths(inner, (*trail, key)) for key, inner in value.items()))
    return {trail}


@settings(max_examples=500, deadline=None)
@given(body=st.dictionaries(parts, fields | json_values, max_size=2))
def test_an_edit_that_passes_names_only_fields_and_every_assignee_needs_assign(body: dict[str, Any]) -> None:
    body = json.loads(json.dumps(body))
    inference = infer(EDIT, body)
    if inference.refusal is not None:
        return
    paths = _paths(body)
    assert {path[0] for path in paths if path} <= {"fields", "update"}
    named = {path[1] for path in paths if len(path) > 1}
    assert named.isdisjoint({"comment", "status", "project", "worklog", "issuelinks", "", "*", "[]"})
    assert ("jira.assign" in needs(inference)) is ("assignee" in named)
    assert ("jira.edit" in needs(inference)) is (named != {"assignee"})
