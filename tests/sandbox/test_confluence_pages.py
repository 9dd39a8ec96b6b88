"""Pages, versions, labels and spaces in the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Page, Space
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

PAGES = "/wiki/api/v2/pages"


def _adf(*lines: str) -> dict[str, str]:
    return {"representation": "atlas_doc_format", "value": json.dumps(paragraphs("\n".join(lines)))}


def _create(confluence: Api, space: Space, title: str, **more: Any) -> Any:
    return confluence.post(PAGES, {"spaceId": space.id, "title": title, "body": _adf("Text"), **more})


def _update(page: Page, number: int, message: str = "", **more: Any) -> dict[str, Any]:
    version = {"number": number, "message": message}
    body = {"id": page.id, "status": "current", "title": page.title, "body": _adf("New text"), "version": version}
    return body | more


def test_a_page_is_read_in_the_representation_asked_for(confluence: Api, runbook: Page) -> None:
    shown = confluence.get(f"{PAGES}/{runbook.id}", **{"body-format": "storage"}).json
    assert shown is not None
    assert shown["title"] == "Restart the mail gateway"
    assert shown["version"]["number"] == 2
    assert shown["body"]["storage"]["value"].startswith("<p>Stop the queue.</p>")
    assert shown["_links"]["base"] == "https://acme.atlassian.net/wiki"
    shown = confluence.get(f"{PAGES}/{runbook.id}", **{"body-format": "atlas_doc_format"}).json
    assert shown is not None
    assert json.loads(shown["body"]["atlas_doc_format"]["value"])["type"] == "doc"
    bare = confluence.get(f"{PAGES}/{runbook.id}").json
    assert bare is not None
    assert bare["body"] == {}


def test_a_page_is_read_as_it_was(confluence: Api, runbook: Page) -> None:
    shown = confluence.get(f"{PAGES}/{runbook.id}", **{"body-format": "view", "version": 1}).json
    assert shown is not None
    assert "ten minutes" in shown["body"]["view"]["value"]
    assert confluence.get(f"{PAGES}/{runbook.id}", version=9).status_code == 404


@pytest.mark.parametrize(("page", "status"), [("1", 404), ("abc", 400)])
def test_a_page_that_is_not_there_is_404_and_no_number_400(confluence: Api, page: str, status: int) -> None:
    answer = confluence.get(f"{PAGES}/{page}")
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["errors"][0]["status"] == status


def test_a_page_that_cannot_be_seen_is_not_found_nor_may_it_be_updated(
    confluence: Api, runbook: Page, site: Site
) -> None:
    site.grant("ops-bot", {"view"}, space="ENG")
    assert confluence.get(f"{PAGES}/{runbook.id}").status_code == 200
    assert confluence.put(f"{PAGES}/{runbook.id}", _update(runbook, 3)).status_code == 404
    site.grant("ops-bot", set(), space="ENG")
    assert confluence.get(f"{PAGES}/{runbook.id}").status_code == 404


def test_a_page_is_created_under_the_service_accounts_name(confluence: Api, engineering: Space, runbook: Page) -> None:
    answer = _create(confluence, engineering, "CHG-1 approved", parentId=runbook.id)
    assert answer.status_code == 200
    shown = answer.json
    assert shown["parentId"] == runbook.id
    assert shown["version"]["number"] == 1
    read = confluence.get(f"{PAGES}/{shown['id']}").json
    assert read is not None
    assert read["title"] == "CHG-1 approved"
    assert read["authorId"].startswith("712020:")


@pytest.mark.parametrize("title", ["Restart the mail gateway", "restart the MAIL gateway", "", "x" * 256, None])
def test_a_title_is_needed_and_unique_in_its_space(confluence: Api, engineering: Space, title: str | None) -> None:
    answer = confluence.post(PAGES, {"spaceId": engineering.id, "title": title, "body": _adf("Text")})
    assert answer.status_code == 400


def test_a_title_may_occur_in_two_spaces(confluence: Api, site: Site) -> None:
    site.grant("ops-bot", {"view", "create"}, space="HR")
    people = next(space for space in site.spaces.values() if space.key == "HR")
    assert _create(confluence, people, "Restart the mail gateway").status_code == 200


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"spaceId": 5}, 400),
        ({"spaceId": "1"}, 404),
        ({"parentId": "1"}, 404),
        ({"status": "nonsense"}, 400),
        ({"body": {"representation": "atlas_doc_format", "value": "no json"}}, 400),
        ({"body": {"representation": "atlas_doc_format", "value": '{"type":"doc"}'}}, 400),
        ({"body": {"representation": "nonsense", "value": "x"}}, 400),
    ],
)
def test_a_page_that_cannot_be_created_is_refused(
    confluence: Api, engineering: Space, site: Site, more: dict[str, Any], status: int
) -> None:
    before = len(site.pages)
    assert _create(confluence, engineering, "New", **more).status_code == status
    assert len(site.pages) == before


def test_a_page_is_not_created_without_permission(confluence: Api, engineering: Space, site: Site) -> None:
    site.grant("ops-bot", {"view"}, space="ENG")
    assert _create(confluence, engineering, "New").status_code == 404


def test_an_update_makes_the_next_version_and_keeps_its_message(confluence: Api, runbook: Page) -> None:
    answer = confluence.put(f"{PAGES}/{runbook.id}", _update(runbook, 3, "bridge run 0192 step 3"))
    assert answer.status_code == 200
    versions = confluence.get(f"{PAGES}/{runbook.id}/versions").json
    assert versions is not None
    assert [entry["number"] for entry in versions["results"]] == [3, 2, 1]
    assert versions["results"][0]["message"] == "bridge run 0192 step 3"
    assert versions["results"][1]["message"] == "Ten minutes were too short"


@pytest.mark.parametrize("number", [1, 2, 4])
def test_an_update_that_is_not_based_on_the_current_version_is_409(confluence: Api, runbook: Page, number: int) -> None:
    answer = confluence.put(f"{PAGES}/{runbook.id}", _update(runbook, number))
    assert answer.status_code == 409
    assert answer.json is not None
    error = answer.json["errors"][0]
    assert error["code"] == "CONFLICT"
    assert error["status"] == "409"
    assert f"Current Version: [2]. Provided version: [{number}]" in error["title"]
    assert len(runbook.versions) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "1"},
        {"status": "archived"},
        {"title": "Incident reviews"},
        {"version": {"number": "3"}},
        {"version": 3},
        {"body": {}},
    ],
)
def test_an_unfit_update_is_400(confluence: Api, runbook: Page, wrong: dict[str, Any]) -> None:
    assert confluence.put(f"{PAGES}/{runbook.id}", _update(runbook, 3, **wrong)).status_code == 400
    lacking = _update(runbook, 3)
    del lacking["version"]
    assert confluence.put(f"{PAGES}/{runbook.id}", lacking).status_code == 400


def test_pages_are_found_by_space_and_title(confluence: Api, engineering: Space, runbook: Page) -> None:
    found = confluence.get(PAGES, **{"space-id": engineering.id, "title": runbook.title}).json
    assert found is not None
    assert [page["id"] for page in found["results"]] == [runbook.id]
    nothing = confluence.get(PAGES, **{"space-id": engineering.id, "title": "Restart"}).json
    assert nothing is not None
    assert nothing["results"] == []
    assert "next" not in nothing["_links"]
    assert confluence.get(PAGES, sort="nonsense").status_code == 400
    assert confluence.get(PAGES, **{"space-id": "ENG"}).status_code == 400


def test_the_next_page_is_reached_by_its_cursor_and_not_by_its_address(confluence: Api, site: Site) -> None:
    titles, cursor = [], None
    while True:
        query: dict[str, Any] = {"limit": 2, "sort": "title", **({"cursor": cursor} if cursor else {})}
        answer = confluence.get(PAGES, **query)
        assert answer.json is not None
        titles += [page["title"] for page in answer.json["results"]]
        following = answer.json["_links"].get("next")
        if following is None:
            assert "Link" not in answer.headers
            break
        assert following.startswith("/wiki/api/v2/pages?")
        base = answer.json["_links"]["base"]
        assert answer.headers["Link"] == f'<{following}>; rel="next", <{base}>; rel="base"'
        # Neither joining the two nor following one of them leads on: both leave the gateway.
        assert confluence.client.get(following).status_code == 401
        assert confluence.client.get(f"/wiki{following}").status_code == 404
        [cursor] = parse_qs(urlsplit(following).query)["cursor"]
    assert titles == sorted(titles, key=str.casefold)
    assert len(titles) == len(site.pages)


@pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"limit": "0"}, {"limit": "many"}])
def test_a_bad_cursor_or_limit_is_400(confluence: Api, query: dict[str, str]) -> None:
    assert confluence.get(PAGES, **query).status_code == 400


def test_a_draft_is_shown_only_to_those_who_ask_for_it(confluence: Api, engineering: Space) -> None:
    made = _create(confluence, engineering, "Half finished", status="draft").json
    assert confluence.get(f"{PAGES}/{made['id']}").status_code == 404
    assert confluence.get(f"{PAGES}/{made['id']}", **{"get-draft": "true"}).status_code == 200


def test_children_are_listed(confluence: Api, runbook: Page) -> None:
    listed = confluence.get(f"{PAGES}/{runbook.parent}/children").json
    assert listed is not None
    assert [child["title"] for child in listed["results"]] == ["Restart the mail gateway"]


def test_labels_are_added_in_the_first_api_and_read_in_the_second(confluence: Api, runbook: Page) -> None:
    address = f"/wiki/rest/api/content/{runbook.id}/label"
    labels = [{"prefix": "global", "name": "Approved"}, {"prefix": "global", "name": "runbook"}]
    added = confluence.post(address, labels).json
    assert added is not None
    assert [label["name"] for label in added["results"]] == ["runbook", "approved"]
    assert confluence.post(address, {"prefix": "global", "name": "approved"}).status_code == 200
    listed = confluence.get(f"{PAGES}/{runbook.id}/labels").json
    assert listed is not None
    assert [label["name"] for label in listed["results"]] == ["runbook", "approved"]


@pytest.mark.parametrize("body", [{}, [{"name": "x"}], {"prefix": "global", "name": "two words"}, {"prefix": "no"}])
def test_an_unfit_label_is_400(confluence: Api, runbook: Page, body: Any) -> None:
    assert confluence.post(f"/wiki/rest/api/content/{runbook.id}/label", body).status_code == 400


def test_a_label_is_403_where_one_may_look_and_404_where_one_may_not(
    confluence: Api, runbook: Page, site: Site
) -> None:
    label = {"prefix": "global", "name": "x"}
    address = f"/wiki/rest/api/content/{runbook.id}/label"
    site.grant("ops-bot", {"view"}, space="ENG")
    refused = confluence.post(address, label)
    assert refused.status_code == 403
    assert refused.json is not None
    assert refused.json["statusCode"] == 403
    site.grant("ops-bot", set(), space="ENG")
    assert confluence.post(address, label).status_code == 404


def test_spaces_are_found_by_key(confluence: Api, engineering: Space, site: Site) -> None:
    found = confluence.get("/wiki/api/v2/spaces", keys="ENG").json
    assert found is not None
    assert [space["id"] for space in found["results"]] == [engineering.id]
    shown = confluence.get(f"/wiki/api/v2/spaces/{engineering.id}").json
    assert shown is not None
    assert shown["key"] == "ENG"
    assert confluence.get("/wiki/api/v2/spaces/1").status_code == 404
    site.grant("ops-bot", set(), space="ENG")
    gone = confluence.get("/wiki/api/v2/spaces", keys="ENG,HR").json
    assert gone is not None
    assert [space["key"] for space in gone["results"]] == ["HR"]


def test_the_current_user_is_the_service_account(confluence: Api, site: Site) -> None:
    shown = confluence.get("/wiki/rest/api/user/current").json
    assert shown is not None
    assert shown["displayName"] == "ops-bot"
    site.grant("ops-bot", set(), space="ENG")
    site.grant("ops-bot", set(), space="HR")
    assert confluence.get("/wiki/rest/api/user/current").status_code == 403
