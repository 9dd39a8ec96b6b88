"""Long lists: how the next page is asked for, when the last one was, and that none is asked for too early."""

from collections.abc import Sequence
from typing import Any

import pytest

from bridge.rule.paging import by_cursor, by_offset, by_start, cursor_in
from bridge.rule.request import Answer, Request

LIST = Request("confluence", "GET", "/wiki/api/v2/pages/1/children", {"limit": ["2"], "sort": ["id"]})


class Site:
    """A caller that answers with these bodies one after another and keeps what it was asked."""

    def __init__(self, *bodies: Any) -> None:
        self._bodies = list(bodies)
        self.asked: list[Request] = []

    def call(self, request: Request) -> Answer:
        self.asked.append(request)
        return Answer(200, self._bodies[len(self.asked) - 1])


def _page(*numbers: int, following: str | None = None, **more: Any) -> dict[str, Any]:
    links = {"base": "https://acme.atlassian.net/wiki", **({"next": following} if following else {})}
    return {"results": [{"id": number} for number in numbers], "_links": links, **more}


def _ids(found: Any) -> list[int]:
    return [each["id"] for each in found]


@pytest.mark.parametrize(
    "link",
    [
        "/wiki/api/v2/pages/1/children?limit=2&cursor=eyJ%2BfQ%3D%3D",
        "/wiki/api/v2/pages/1/children?cursor=eyJ%2BfQ%3D%3D&limit=2&sort=id",
        "https://acme.atlassian.net/wiki/wiki/api/v2/pages/1/children?next=true&cursor=eyJ%2BfQ%3D%3D",
        "/rest/api/content/search?cql=type%3Dpage%26cursor%3Dx&cursor=eyJ+fQ==",
    ],
)
def test_only_the_cursor_of_the_next_link_is_used_wherever_it_stands(link: str) -> None:
    site = Site(_page(1, 2, following=link), _page(3))
    assert _ids(by_cursor(site, LIST)) == [1, 2, 3]
    first, second = site.asked
    assert (second.method, second.path) == (first.method, first.path)
    assert second.query == {"limit": ["2"], "sort": ["id"], "cursor": ["eyJ+fQ=="]}


@pytest.mark.parametrize(
    "answer",
    [{}, {"_links": None}, {"_links": {}}, {"_links": {"next": None}}, {"_links": {"next": 5}},
     {"_links": {"next": "/wiki/api/v2/pages?limit=2"}}, {"_links": {"next": "/wiki/api/v2/pages?cursor="}}],
)  # fmt: skip
def test_without_a_cursor_the_page_is_the_last(answer: dict[str, Any]) -> None:
    assert cursor_in(answer) is None


def test_a_page_all_of_whose_hits_were_left_out_is_not_the_last() -> None:
    site = Site(_page(following="?cursor=a"), _page(following="?cursor=b"), _page(7))
    assert _ids(by_cursor(site, LIST)) == [7]


def test_a_cursor_that_comes_again_ends_the_list() -> None:
    site = Site(_page(1, following="?cursor=a"), _page(2, following="?cursor=a"))
    assert _ids(by_cursor(site, LIST)) == [1, 2]


def test_no_page_is_asked_for_before_it_is_needed() -> None:
    site = Site(_page(1, 2, following="?cursor=a"), _page(3))
    found = by_cursor(site, LIST)
    assert site.asked == []
    assert [next(found)["id"], next(found)["id"]] == [1, 2]
    assert len(site.asked) == 1
    assert next(found)["id"] == 3
    assert len(site.asked) == 2


@pytest.mark.parametrize(("limit", "ids", "asked"), [(0, [], 0), (1, [1], 1), (2, [1, 2], 1), (3, [1, 2, 3], 2)])
def test_a_limit_ends_the_walk(limit: int, ids: Sequence[int], asked: int) -> None:
    site = Site(_page(1, 2, following="?cursor=a"), _page(3, 4, following="?cursor=b"))
    assert _ids(by_cursor(site, LIST, limit)) == ids
    assert len(site.asked) == asked


def test_a_list_by_start_goes_on_by_what_the_site_gave_and_not_by_what_was_left() -> None:
    site = Site(_page(1, size=2, following="/rest/api/template/page?start=2"), _page(3, size=1))
    assert _ids(by_start(site, LIST)) == [1, 3]
    assert [each.query["start"] for each in site.asked] == [["0"], ["2"]]


def test_a_list_by_start_that_gives_nothing_more_ends() -> None:
    site = Site(_page(1, size=1, following="?start=1"), _page(size=0, following="?start=1"))
    assert _ids(by_start(site, LIST)) == [1]


def test_a_jira_list_goes_on_by_the_number_of_values_for_the_server_may_give_fewer_than_asked() -> None:
    bodies = [
        {"startAt": 0, "maxResults": 1, "total": 3, "isLast": False, "values": [{"id": 1}]},
        {"startAt": 1, "maxResults": 1, "total": 3, "isLast": False, "values": [{"id": 2}]},
        {"startAt": 2, "maxResults": 1, "total": 3, "isLast": True, "values": [{"id": 3}]},
    ]
    site = Site(*bodies)
    assert _ids(by_offset(site, LIST)) == [1, 2, 3]
    assert [each.query["startAt"] for each in site.asked] == [["0"], ["1"], ["2"]]


def test_a_jira_list_without_is_last_ends_at_its_total_or_when_nothing_comes() -> None:
    page = {"startAt": 0, "maxResults": 2, "total": 2, "comments": [{"id": 1}, {"id": 2}]}
    site = Site(page)
    assert _ids(by_offset(site, LIST, values="comments")) == [1, 2]
    assert _ids(by_offset(Site({"values": [{"id": 1}]}, {"values": []}), LIST)) == [1]


def test_a_service_desk_list_says_that_it_is_the_last_page() -> None:
    assert _ids(by_offset(Site({"isLastPage": True, "values": [{"id": 1}]}), LIST)) == [1]


def test_what_observe_mode_did_not_make_has_nothing_in_its_lists() -> None:
    assert _ids(by_cursor(Site({"id": "0"}), LIST)) == []
    assert _ids(by_offset(Site({"id": "0"}), LIST)) == []
