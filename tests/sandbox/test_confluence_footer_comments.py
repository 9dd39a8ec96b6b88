"""Footer comments in the sandbox: no mark can be given with one, only added to it afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Page
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

COMMENTS = "/wiki/api/v2/footer-comments"


def _body(text: str) -> dict[str, str]:
    return {"representation": "atlas_doc_format", "value": json.dumps(paragraphs(text))}


def _add(confluence: Api, page: Page, text: str) -> dict[str, Any]:
    answer = confluence.post(COMMENTS, {"pageId": page.id, "body": _body(text)})
    assert answer.status_code == 201
    assert answer.json is not None
    made: dict[str, Any] = answer.json
    assert answer.headers["Location"].endswith(f"/footer-comments/{made['id']}")
    return made


def test_a_comment_is_made_and_listed_with_its_author(confluence: Api, runbook: Page, clock: Clock) -> None:
    clock.forward(seconds=1)
    made = _add(confluence, runbook, "Restarted at noon.")
    query = {"body-format": "storage", "sort": "-created-date"}
    listed = confluence.get(f"/wiki/api/v2/pages/{runbook.id}/footer-comments", **query).json
    assert listed is not None
    first = listed["results"][0]
    assert first["id"] == made["id"]
    assert first["version"]["authorId"].startswith("712020:")
    assert first["body"]["storage"]["value"] == "<p>Restarted at noon.</p>"
    shown = confluence.get(f"{COMMENTS}/{made['id']}", **{"body-format": "atlas_doc_format"}).json
    assert shown is not None
    assert json.loads(shown["body"]["atlas_doc_format"]["value"]) == paragraphs("Restarted at noon.")


def test_a_reply_belongs_to_its_comment_and_not_to_the_list_of_the_page(confluence: Api, runbook: Page) -> None:
    made = _add(confluence, runbook, "Restarted.")
    answer = confluence.post(COMMENTS, {"parentCommentId": made["id"], "body": _body("Thank you.")})
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["parentCommentId"] == made["id"]
    listed = confluence.get(f"/wiki/api/v2/pages/{runbook.id}/footer-comments").json
    assert listed is not None
    assert answer.json["id"] not in [comment["id"] for comment in listed["results"]]


def test_storage_format_is_understood(confluence: Api, runbook: Page) -> None:
    value = "<p>It is <strong>done</strong>, see <a href='https://example.com'>here</a>.</p><ul><li>one</li></ul>"
    made = confluence.post(COMMENTS, {"pageId": runbook.id, "body": {"representation": "storage", "value": value}}).json
    assert made is not None
    shown = confluence.get(f"{COMMENTS}/{made['id']}", **{"body-format": "storage"}).json
    assert shown is not None
    assert "<strong>done</strong>" in shown["body"]["storage"]["value"]
    assert "<li><p>one</p></li>" in shown["body"]["storage"]["value"]


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ({}, _body("x"), 400),
        ({"pageId": "1", "parentCommentId": "2"}, _body("x"), 400),
        ({"pageId": "1"}, _body("x"), 404),
        ({"parentCommentId": "1"}, _body("x"), 404),
        ({"blogPostId": "1"}, _body("x"), 404),
        ({"pageId": "runbook"}, None, 400),
        ({"pageId": "runbook"}, _body(""), 400),
        ({"pageId": "runbook"}, {"representation": "view", "value": "x"}, 400),
    ],
)
def test_an_unfit_comment_is_refused(
    confluence: Api, runbook: Page, target: dict[str, str], body: Any, status: int
) -> None:
    given = {name: runbook.id if value == "runbook" else value for name, value in target.items()}
    assert confluence.post(COMMENTS, {**given, "body": body}).status_code == status


def test_a_comment_without_permission_is_404(confluence: Api, runbook: Page, site: Site) -> None:
    site.grant("ops-bot", {"view"}, space="ENG")
    assert confluence.post(COMMENTS, {"pageId": runbook.id, "body": _body("x")}).status_code == 404


def test_a_comment_is_marked_afterwards_and_found_again_by_its_key(confluence: Api, runbook: Page) -> None:
    made = _add(confluence, runbook, "Restarted.")
    address = f"/wiki/api/v2/comments/{made['id']}/properties"
    mark = {"key": "bridge.step", "value": {"run": "0192", "step": 3}}
    added = confluence.post(address, mark)
    assert added.status_code == 200
    assert added.json is not None
    assert added.json["value"] == mark["value"]
    assert confluence.post(address, mark).status_code == 400
    assert confluence.post(address, {"key": "no value"}).status_code == 400
    found = confluence.get(address, key="bridge.step").json
    assert found is not None
    assert [entry["value"] for entry in found["results"]] == [mark["value"]]
    assert confluence.get(f"{address}/{added.json['id']}").json == added.json
    assert confluence.get(f"{address}/1").status_code == 404
    nothing = confluence.get(address, key="other").json
    assert nothing is not None
    assert nothing["results"] == []
    shown = confluence.get(f"{COMMENTS}/{made['id']}", **{"include-properties": "true"}).json
    assert shown is not None
    assert shown["properties"]["results"][0]["key"] == "bridge.step"


def test_a_comment_that_is_not_there_is_404(confluence: Api) -> None:
    assert confluence.get(f"{COMMENTS}/1").status_code == 404
    assert confluence.get(f"{COMMENTS}/abc").status_code == 400
    assert confluence.get("/wiki/api/v2/comments/1/properties").status_code == 404
