"""Ways to make egress act elsewhere than the scope says: each refused or made harmless, with an entry in the log.

The list is that of ``facts``: absolute addresses, dots and encoded slashes in paths, old keys of moved issues, verbs
that ride in another's body, bulk operations, methods in disguise, markup in payload fields, other products' paths.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
EVERYTHING = """
[scope.jira]
OPS = ["read", "search", "comment", "transition", "edit", "assign", "create"]
[scope.confluence]
ENG = ["read", "create-page", "update-page", "comment", "label"]
"""
WORDS = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x"}]}]}
PAGE_TEXT = {"representation": "atlas_doc_format", "value": json.dumps(WORDS)}
CREATE = {"issuetype": {"name": "Task"}, "summary": "x"}


@pytest.fixture(scope="module")
def court(make_shared_bench: Make) -> Any:
    """A bench whose rule may do everything in OPS and ENG, for requests that are refused all the same."""
    return make_shared_bench(EVERYTHING, "return None")


@pytest.fixture
def bench(make_bench: Make) -> Any:
    """A bench of the test's own, with the same rule."""
    return make_bench(EVERYTHING, "return None")


def refusal(bench: Any, method: str, path: str, body: Any = None, *, asks: bool = True, **more: Any) -> str:
    """Ask for a step that must be refused; the log says why.

    Nothing but questions of egress itself may leave, and not even these without ``asks``.
    """
    bench.wire.requests.clear()
    delivery = bench.accept()
    claim = bench.claim(delivery)
    answer = bench.call(claim, 1, method, path, body, **more)
    assert answer.status_code == 403, answer.text
    assert bench.wire.writes == []
    assert asks or bench.wire.requests == []
    [entry] = bench.entries(delivery, "step:refused")
    assert entry["outcome"] == "refused"
    assert entry["why"] == answer.json()["refused"]
    assert entry["path"] == path
    assert entry["method"] == method
    ended = bench.post("/finish", claim, ended="returned", result=None, error=None)
    assert ended.json() == {"state": "dead"}
    return str(entry["why"])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("https://evil.example/rest/api/3/issue/OPS-1/comment", "an address with a host is refused"),
        ("//evil.example/rest/api/3/issue/OPS-1/comment", "an empty segment"),
        ("/rest/api/3/issue/OPS-1/comment/../../HR-1/comment", "lead to another path"),
        ("/rest/api/3/issue/OPS-1/./comment", "lead to another path"),
        ("/rest/api/3/issue/OPS-1%2f..%2fHR-1/comment", "lead to another path"),
        ("/rest/api/3/issue/OPS-1%2F%2E%2E%2FHR-1/comment", "hides '/'"),
        ("/rest/api/3/issue/OPS-1%252f..%252fHR-1/comment", "lead to another path"),
        ("/rest/api/3/issue/OPS-1%5cHR-1/comment", r"hides '\\'"),
        ("/rest/api/3/issue/OPS-1;a=b/comment", "';' does not belong into a path"),
        ("/rest/api/3/issue/OPS-1/comment?x=1", "'?' does not belong into a path"),
        ("/rest/api/3/issue/OPS-1/comment#x", "'#' does not belong into a path"),
        ("/rest/api/3/issue/OPS-1%00/comment", "not printable ASCII"),
        ("/rest/api/3/issue/OPS-1\r\nX-Evil: 1/comment", "does not belong into a path"),
        ("/rest/api/3/issue/OPS-1@evil.example/comment", "is no issue"),
        ("/gateway/api/graphql", "is no operation of jira that the catalogue knows"),
        ("/rest/api/2/issue/OPS-1/comment", "is no operation of jira that the catalogue knows"),
        ("/wiki/api/v2/footer-comments", "is no operation of jira that the catalogue knows"),
        ("/rest/api/3/issue/OPS-1/comment/", "an empty segment"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_before_anything_leaves(court: Any, path: str, why: str) -> None:
    assert why in refusal(court, "POST", path, {"body": WORDS}, asks=False)


def test_another_products_path_in_the_envelope_is_refused(court: Any) -> None:
    path = "/rest/api/3/issue/OPS-1/comment"
    why = refusal(court, "POST", path, {"body": WORDS}, product="confluence", asks=False)
    assert "no operation of confluence" in why


@pytest.mark.parametrize("product", ["", "agile", "Jira", "jira/../confluence", "ex"])
def test_a_product_that_is_none_is_refused(court: Any, product: str) -> None:
    refusal(court, "POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS}, product=product)


def test_the_old_key_of_a_moved_issue_is_judged_by_where_the_issue_is_now(court: Any) -> None:
    why = refusal(court, "POST", "/rest/api/3/issue/OPS-99/comment", {"body": WORDS})
    assert "does not grant comment in HR" in why
    assert "HR-2" in why


def test_an_issue_is_judged_by_its_project_when_it_is_named_by_its_id(bench: Any) -> None:
    assert "in HR" in refusal(
        bench, "POST", f"/rest/api/3/issue/{bench.site.find_issue('HR-1').id}/comment", {"body": WORDS}
    )


def test_an_issue_that_moves_between_two_steps_is_judged_anew_at_the_second(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read", "comment"]', "return None")
    delivery = bench.accept()
    claim = bench.claim(delivery)
    assert bench.call(claim, 1, "POST", "/rest/api/3/issue/OPS-3/comment", {"body": WORDS}).status_code == 200
    bench.site.move("OPS-3", "HR")
    answer = bench.call(claim, 2, "POST", "/rest/api/3/issue/OPS-3/comment", {"body": WORDS})
    assert answer.status_code == 403
    assert "in HR" in answer.json()["refused"]
    assert len(bench.texts("OPS-3")) == 1


def test_a_page_that_was_moved_to_another_space_is_judged_by_where_it_is_now(bench: Any) -> None:
    page = next(page for page in bench.site.pages.values() if page.title == "Runbooks")
    page.space = next(space.id for space in bench.site.spaces.values() if space.key == "HR")
    body = {"pageId": page.id, "body": PAGE_TEXT}
    assert "in HR" in refusal(bench, "POST", "/wiki/api/v2/footer-comments", body, product="confluence")


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("PUT", "OPS-1", {"update": {"comment": [{"add": {"body": WORDS}}]}}, "jira.comment"),
        ("PUT", "OPS-1", {"update": {"worklog": [{"add": {"timeSpent": "1h"}}]}}, "jira.log-work"),
        ("PUT", "OPS-1", {"update": {"issuelinks": [{"add": {}}]}}, "jira.link"),
        ("PUT", "OPS-1", {"fields": {"status": {"name": "Done"}}}, "jira.transition"),
        ("PUT", "OPS-1", {"fields": {"labels": []}, "transition": {"id": "31"}}, "jira.transition"),
        ("PUT", "OPS-1", {"fields": {"project": {"key": "HR"}}}, "is no edit"),
        ("PUT", "OPS-1", {"update": {"project": [{"set": {"key": "HR"}}]}}, "is no edit"),
        ("PUT", "OPS-1", {"update": {"parent": [{"set": {"key": "HR-1"}}]}}, "fields.parent"),
        ("PUT", "OPS-1", {"historyMetadata": {}, "fields": {"labels": []}}, "reserved"),
        ("PUT", "OPS-1", {"properties": [{"key": "bridge.step", "value": {}}], "fields": {}}, "reserved"),
        ("POST", "OPS-1/comment", {"body": WORDS, "properties": [{"key": "bridge.step", "value": {}}]}, "reserved"),
        ("POST", "OPS-1/transitions", {"transition": {"id": "31"}, "update": {"comment": []}}, "jira.comment"),
        ("POST", "", {"fields": CREATE | {"project": {"key": "OPS"}}, "update": {"comment": []}}, "jira.comment"),
        ("POST", "", {"fields": CREATE | {"project": {"key": "OPS"}}, "transition": {"id": "31"}}, "jira.transition"),
        ("POST", "", {"fields": CREATE | {"project": {"key": "OPS"}}, "update": {"project": []}}, "fields.project"),
    ],
)
def test_a_verb_that_rides_in_anothers_body_is_refused_with_the_proper_one(
    court: Any, method: str, path: str, body: Any, why: str
) -> None:
    assert why in refusal(court, method, f"/rest/api/3/issue/{path}".rstrip("/"), body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/rest/api/3/issue/bulk", {"issueUpdates": []}),
        ("POST", "/rest/api/3/bulk/issues/transition", {}),
        ("POST", "/rest/api/3/bulk/issues/fields", {}),
        ("POST", "/rest/api/3/issue/bulkfetch", {"issueIdsOrKeys": ["HR-1"]}),
        ("PUT", "/rest/api/3/issue/properties/bridge.step", {"value": 1}),
    ],
)
def test_what_acts_on_many_targets_at_once_is_refused(court: Any, method: str, path: str, body: Any) -> None:
    refusal(court, method, path, body)


@pytest.mark.parametrize("name", ["_method", "X-HTTP-Method-Override", "httpMethod"])
def test_a_query_that_could_override_the_method_is_refused(court: Any, name: str) -> None:
    why = refusal(court, "POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS}, query={name: ["DELETE"]})
    assert "could replace the method" in why


def test_headers_in_an_envelope_never_reach_the_site(bench: Any) -> None:
    hostile = {"X-HTTP-Method-Override": "DELETE", "Authorization": "Bearer other", "Host": "evil.example"}
    claim = bench.claim(bench.accept())
    answer = bench.call(claim, 1, "POST", "/rest/api/3/issue/OPS-1/comment", {"body": WORDS}, headers=hostile)
    assert answer.json()["status"] == 201
    [sent] = bench.wire.writes
    assert sent.url.host == "127.0.0.1"
    assert sent.headers["authorization"] == "Bearer trial-jira"
    assert "x-http-method-override" not in sent.headers


@pytest.mark.parametrize("method", ["post", "POST ", "POST\r\nX: 1", "DELETE", "TRACE", "CONNECT", ""])
def test_a_method_that_the_operation_does_not_have_is_refused(court: Any, method: str) -> None:
    refusal(court, method, "/rest/api/3/issue/OPS-1/comment", {"body": WORDS})


@pytest.mark.parametrize(
    "named",
    [
        {"key": "OPS", "id": "10002"},
        {"key": "OPS", "self": "https://evil.example"},
        {"name": "HR"},
        {},
        ["OPS"],
        None,
        True,
        {"key": {"key": "OPS"}},
        {"key": "HR", "KEY": "OPS"},
    ],
)
def test_a_body_that_names_its_project_in_two_ways_or_none_is_refused(court: Any, named: Any) -> None:
    refusal(court, "POST", "/rest/api/3/issue", {"fields": CREATE | {"project": named}})


@pytest.mark.parametrize("project", [{"key": "HR"}, {"id": "10002"}, {"key": "HR "}, {"key": "OPS/../HR"}])
def test_an_issue_is_created_nowhere_but_in_the_scope(court: Any, project: Any) -> None:
    refusal(court, "POST", "/rest/api/3/issue", {"fields": CREATE | {"project": project}})


@pytest.mark.parametrize(
    ("method", "path", "rest"),
    [("POST", "/rest/api/3/issue", CREATE | {"project": {"key": "OPS"}}), ("PUT", "/rest/api/3/issue/OPS-1", {})],
)
@pytest.mark.parametrize("parent", [{"key": "HR-1"}, {"key": "OPS-99"}, {"key": "OPS-1", "id": "10007"}, {"key": ""}])
def test_a_parent_in_another_project_or_named_twice_is_refused(
    court: Any, method: str, path: str, rest: Any, parent: Any
) -> None:
    refusal(court, method, path, {"fields": {**rest, "parent": parent}})


def test_a_parent_page_in_another_space_is_refused(bench: Any) -> None:
    space = next(space for space in bench.site.spaces.values() if space.key == "ENG")
    parent = next(page for page in bench.site.pages.values() if page.title == "Salary bands")
    body = {"spaceId": space.id, "status": "current", "title": "x", "parentId": parent.id, "body": PAGE_TEXT}
    assert "in HR" in refusal(bench, "POST", "/wiki/api/v2/pages", body, product="confluence")


def test_the_id_in_a_pages_body_cannot_turn_an_update_to_another_page(bench: Any) -> None:
    own = next(page for page in bench.site.pages.values() if page.title == "Runbooks")
    other = next(page for page in bench.site.pages.values() if page.title == "Salary bands")
    body = {"id": other.id, "status": "current", "title": "x", "body": PAGE_TEXT, "version": {"number": 2}}
    why = refusal(bench, "PUT", f"/wiki/api/v2/pages/{own.id}", body, product="confluence")
    assert "is not the page of the path" in why


def test_of_duplicate_keys_in_an_envelope_what_is_judged_is_what_is_sent(bench: Any) -> None:
    claim = bench.claim(bench.accept())
    headers = {"Authorization": f"Bearer {claim['capability']}"}
    body = '{"fields": {"labels": ["a"]}, "fields": {"labels": ["b"]}}'
    raw = (
        f'{{"delivery": "{claim["delivery"]}", "attempt": 1, "step": 1, "product": "jira", "method": "PUT", '
        f'"path": "/rest/api/3/issue/HR-1", "path": "/rest/api/3/issue/OPS-1", "query": {{}}, "body": {body}}}'
    )
    assert bench.client.post("/call", content=raw, headers=headers).status_code == 200
    [sent] = bench.wire.writes
    assert sent.url.path.endswith("/rest/api/3/issue/OPS-1")
    assert json.loads(sent.content)["fields"] == {"labels": ["b"]}
    assert sent.content.count(b'"fields"') == 1
    [entry] = bench.entries(claim["delivery"], "step:intent")
    assert (entry["path"], entry["target"]) == ("/rest/api/3/issue/OPS-1", "OPS-1")


def test_markdown_in_a_payload_field_stays_the_text_it_was(make_bench: Make) -> None:
    bench = make_bench(
        """
        [scope.jira]
        OPS = ["comment"]
        [[step]]
        verb  = "jira.comment"
        issue = "OPS-1"
        body  = "Approved by **{{ name }}**."
        """
    )
    name = "** [click](https://evil.example) \n\n# Mia {{ 7*7 }} <script> @everyone"
    report = bench.send({"name": name})
    assert report.state == "done"
    written = json.loads(bench.wire.writes[0].content)["body"]
    assert [node["type"] for node in written["content"]] == ["paragraph"]
    marks = [mark["type"] for node in written["content"][0]["content"] for mark in node.get("marks", [])]
    assert set(marks) == {"strong"}
    assert "[click](https://evil.example)" in json.dumps(written)
    assert "49" not in bench.texts("OPS-1")[-1]
    assert bench.entries(report.delivery, "step:outcome")[0]["outcome"] == "done"


@pytest.mark.parametrize(
    "words", ['" OR project = HR OR summary ~ "', "x\\", "' OR project=HR --", "x\n) OR (project = HR"]
)
def test_jql_in_a_payload_field_stays_a_literal(make_bench: Make, words: str) -> None:
    bench = make_bench(
        '[scope.jira]\nOPS = ["search"]\nHR = ["search"]',
        "return [hit['key'] for hit in context.jira.search('project = OPS AND summary ~ {w}', w=event['words'])]",
    )
    report = bench.send({"words": words})
    assert report.state == "done", report.reason
    assert report.result == []
    assert bench.entries(report.delivery, "step:read")[0]["verb"] == "jira.search"


@pytest.mark.parametrize(
    "key", ["OPS-1/../HR-1", "HR-1", "../HR-1", "OPS-1%2f..%2fHR-1", "OPS-1?x", "https://evil.example"]
)
def test_an_issue_key_out_of_a_payload_cannot_leave_the_scope(make_bench: Make, key: str) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["comment"]', "context.jira.comment(event['issue'], 'hello')")
    report = bench.send({"issue": key})
    assert report.state == "dead"
    assert bench.wire.writes == []
    [entry] = bench.entries(report.delivery, "step:refused")
    assert entry["verb"] in {"jira.comment", entry["method"] + " " + entry["path"]}


def test_hits_outside_the_scope_are_dropped_and_counted(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.jira]\nOPS = ["search"]\nCHG = ["read"]',
        """
        found = context.jira.search("created >= -90d ORDER BY key ASC", fields=["summary"])
        return [(hit["key"], sorted(hit["fields"])) for hit in found]
        """,
    )
    report = bench.send()
    keys = [key for key, _ in report.result]
    assert keys == [f"OPS-{number}" for number in range(1, 6)]
    assert all(fields == ["summary"] for _, fields in report.result)
    [entry] = bench.entries(report.delivery, "step:read")
    assert entry["dropped"] == 3, "CHG-1, HR-1 and HR-2, which was OPS-99"
    assert entry["target"] == "OPS"


def test_a_search_that_excludes_the_project_field_shows_no_hit_rather_than_any(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["search"]', "return None")
    claim = bench.claim(bench.accept())
    body = {"jql": "project = HR", "fields": ["*all", "-project"]}
    answer = bench.call(claim, 1, "POST", "/rest/api/3/search/jql", body)
    assert answer.json()["body"]["issues"] == []
    assert answer.json()["dropped"] == 2


def test_a_search_by_get_drops_hits_as_well(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["search"]', "return None")
    claim = bench.claim(bench.accept())
    query = {"jql": ["project in (OPS, HR)"], "fields": ["summary"]}
    said = bench.call(claim, 1, "GET", "/rest/api/3/search/jql", query=query).json()
    assert {hit["key"] for hit in said["body"]["issues"]} == {f"OPS-{number}" for number in range(1, 6)}
    assert said["dropped"] == 2
