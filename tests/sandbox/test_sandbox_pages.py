"""The pages on which a person sees who did what in the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Page
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

MARK = {"key": "bridge.step", "value": {"run": "0192", "step": 3}}


def test_the_index_lists_issues_and_pages_with_who_touched_them_last(jira: Api, clock: Clock) -> None:
    clock.forward(minutes=1)
    jira.put("/rest/api/3/issue/OPS-4", {"fields": {"summary": "Renew all certificates"}})
    text = jira.client.get("/").text
    for expected in ("OPS-1", "HR-2", "CHG-1", "Restart the mail gateway", "Salary bands", "Mia Keller"):
        assert expected in text
    first = text.partition("<tbody>")[2].partition("</tr>")[0]
    assert "Renew all certificates" in first
    assert "ops-bot" in first
    assert "service account" in first
    assert "<script" not in text


def test_an_issue_tells_what_a_service_account_did_and_the_mark_it_left(jira: Api, clock: Clock) -> None:
    clock.forward(minutes=1)
    jira.post("/rest/api/3/issue/OPS-1/comment", {"body": paragraphs("CHG-1 was approved."), "properties": [MARK]})
    clock.forward(minutes=1)
    metadata = {"activityDescription": "bridge", "extraData": {"step": "4"}}
    step = {"transition": {"id": "31"}, "historyMetadata": metadata}
    jira.post("/rest/api/3/issue/OPS-1/transitions", step)
    text = jira.client.get("/browse/OPS-1").text
    newest, comment = text.split('<li class="event')[1:3]
    assert "ops-bot" in newest
    assert "service account" in newest
    assert "changed status from In Progress to Done" in newest
    assert "extraData" in newest
    assert "<p>CHG-1 was approved.</p>" in comment
    assert "bridge.step" in comment
    assert "0192" in comment


def test_an_old_key_leads_to_the_issue_where_it_is_now(jira: Api) -> None:
    answer = jira.client.get("/browse/OPS-99")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/browse/HR-2"


def test_a_page_tells_its_versions_and_comments(confluence: Api, runbook: Page, clock: Clock) -> None:
    clock.forward(minutes=1)
    value = json.dumps(paragraphs("Restarted at noon."))
    body = {"representation": "atlas_doc_format", "value": value}
    made = confluence.post("/wiki/api/v2/footer-comments", {"pageId": runbook.id, "body": body}).json
    assert made is not None
    confluence.post(f"/wiki/api/v2/comments/{made['id']}/properties", MARK)
    text = confluence.client.get(f"/wiki/spaces/ENG/pages/{runbook.id}").text
    assert "Restarted at noon." in text
    assert "bridge.step" in text
    assert "service account" in text
    assert "saved version 2: Ten minutes were too short" in text
    assert "runbook" in text
    home = confluence.client.get("/wiki/spaces/ENG").text
    assert "Incident reviews" in home


def test_what_was_written_is_shown_as_text_and_never_as_markup(jira: Api) -> None:
    nasty = "<script>alert(1)</script>"
    link = {"type": "text", "text": "here", "marks": [{"type": "link", "attrs": {"href": "javascript:alert(1)"}}]}
    body = paragraphs(nasty)
    body["content"][0]["content"].append(link)
    jira.post("/rest/api/3/issue/OPS-1/comment", {"body": body})
    jira.put("/rest/api/3/issue/OPS-1", {"fields": {"summary": nasty, "labels": ["<b>"]}})
    for address in ("/", "/browse/OPS-1"):
        text = jira.client.get(address).text
        assert "<script>" not in text
        assert "javascript:" not in text
        assert "&lt;script&gt;" in text


def test_what_is_not_there_is_said_on_a_page(jira: Api, site: Site) -> None:
    number = next(iter(site.pages))
    for address in (
        "/browse/OPS-404",
        "/wiki/spaces/NOPE",
        "/wiki/spaces/ENG/pages/1",
        f"/wiki/spaces/HR/pages/{number}",
    ):
        answer = jira.client.get(address)
        assert answer.status_code == 404
        assert "Not found" in answer.text


def test_the_pages_suit_a_phone_and_the_dark(jira: Api) -> None:
    text = jira.client.get("/").text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
