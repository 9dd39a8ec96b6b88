"""Search by CQL in the sandbox, and what is left of Confluence's v1 API beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from bridge.sandbox.records import Account, Page, Space
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api, Clock

V1 = "/wiki/rest/api"
ENG = ["Engineering", "Incident reviews", "Restart the mail gateway", "Runbooks"]


def _titles(confluence: Api, cql: str) -> list[str]:
    answer = confluence.get(f"{V1}/content/search", cql=cql)
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    return [content["title"] for content in answer.json["results"]]


@pytest.mark.parametrize(
    ("cql", "titles"),
    [
        ("space = ENG order by title", ENG),
        ("space.key = eng and type = page order by title desc", ENG[::-1]),
        ("space = ENG and type = blogpost", []),
        ('title = "runbooks"', ["Runbooks"]),
        ('title ~ "incid*"', ["Incident reviews"]),
        ('text ~ "queue"', ["Restart the mail gateway"]),
        ('siteSearch ~ "half an hour"', ["Restart the mail gateway"]),
        ("label = runbook", ["Restart the mail gateway"]),
        ("space = ENG and label not in (runbook) and title !~ engineering order by title", [ENG[1], ENG[3]]),
        ("space in (ENG, HR) and created > now('-7d') order by title", ["Onboarding", "Salary bands"]),
        ('space = ENG and lastmodified > "2026-11-01"', ["Restart the mail gateway"]),
        ("creator = currentUser()", []),
    ],
)
def test_a_query_finds_what_it_says(confluence: Api, cql: str, titles: list[str]) -> None:
    found = _titles(confluence, cql)
    assert [title for title in found if title != "People and culture"] == titles


def test_pages_are_found_by_where_they_hang(confluence: Api, site: Site, engineering: Space, runbook: Page) -> None:
    books = site.titled(engineering.id, "Runbooks")
    assert books is not None
    assert _titles(confluence, f"parent = {books.id}") == [runbook.title]
    assert _titles(confluence, f"ancestor = {engineering.homepage} order by title") == ENG[1:]
    assert _titles(confluence, f"id in ({runbook.id}, {books.id}) order by id") == [books.title, runbook.title]


def test_pages_are_found_by_who_wrote_them(confluence: Api, site: Site, engineering: Space, mia: Account) -> None:
    jonas = site.account("Jonas Brandt")
    assert _titles(confluence, f"space = ENG and creator = '{jonas.id}'") == ["Incident reviews"]
    both = _titles(confluence, f"space = ENG and contributor = '{jonas.id}' and contributor = '{mia.id}'")
    assert both == ["Restart the mail gateway"]


@pytest.mark.parametrize(
    ("cql", "why"),
    [
        ("", "'cql' is required"),
        ("order by title", "Unbounded CQL queries"),
        ("user.fullname ~ mia", "No field exists with name: user.fullname"),
        ("space > ENG", "operator '>' is not supported"),
        ("label is empty", "operator 'is' is not supported"),
        ("type = nonsense", "content type 'nonsense' is not known"),
        ("id = abc", "is not a number"),
        ("created > someday()", "Unknown function"),
        ("space = ENG order by label", "Not able to sort"),
        ("space = ENG title = x", "expected AND, OR or ORDER BY"),
    ],
)
def test_a_query_that_cannot_be_run_is_refused_with_the_reason(confluence: Api, cql: str, why: str) -> None:
    for path in ("search", "content/search"):
        answer = confluence.get(f"{V1}/{path}", cql=cql)
        assert answer.status_code == 400
        assert answer.json is not None
        assert why in answer.json["message"]


def test_only_what_the_account_may_see_is_found(confluence: Api, site: Site) -> None:
    site.grant("ops-bot", set(), space="HR")
    assert _titles(confluence, "type = page order by title") == ENG


def test_the_last_changed_come_first_unless_asked_otherwise(
    confluence: Api, site: Site, runbook: Page, mia: Account
) -> None:
    site.revise(runbook, mia, runbook.title, paragraphs("Again"), "")
    assert _titles(confluence, "space = ENG")[0] == runbook.title


def test_the_next_page_knows_neither_the_gateway_nor_the_context(confluence: Api) -> None:
    answer = confluence.get(f"{V1}/search", cql="space = ENG order by title", limit=3, excerpt="none").json
    assert answer is not None
    assert (answer["size"], answer["totalSize"], answer["cqlQuery"]) == (3, 4, "space = ENG order by title")
    following = urlsplit(answer["_links"]["next"])
    assert following.path == "/rest/api/search"
    query = {name: values[0] for name, values in parse_qs(following.query).items()}
    rest = confluence.get(f"{V1}/search", **query).json
    assert rest is not None
    assert [hit["title"] for hit in rest["results"]] == ["Runbooks"]
    assert "next" not in rest["_links"]
    other = confluence.get(f"{V1}/search", **{**query, "cql": "space = HR"})
    assert other.status_code == 400


def test_a_hit_tells_where_the_page_is_and_what_it_says(confluence: Api, runbook: Page) -> None:
    answer = confluence.get(f"{V1}/search", cql=f"id = {runbook.id}").json
    assert answer is not None
    [hit] = answer["results"]
    assert hit["url"] == f"/spaces/ENG/pages/{runbook.id}"
    assert hit["resultGlobalContainer"] == {"title": "Engineering", "displayUrl": "/spaces/ENG"}
    assert hit["excerpt"].startswith("Stop the queue.")
    assert hit["content"]["id"] == runbook.id


def test_content_shows_what_was_asked_to_be_expanded(confluence: Api, runbook: Page) -> None:
    expand = "space,version,history,ancestors,metadata.labels,body.storage"
    answer = confluence.get(f"{V1}/content/search", cql=f"id = {runbook.id}", expand=expand).json
    assert answer is not None
    [page] = answer["results"]
    assert (page["space"]["key"], page["version"]["number"]) == ("ENG", 2)
    assert page["history"]["createdBy"]["displayName"] == "Mia Keller"
    assert [above["title"] for above in page["ancestors"]] == ["Engineering", "Runbooks"]
    assert [label["name"] for label in page["metadata"]["labels"]["results"]] == ["runbook"]
    assert page["body"]["storage"]["value"].startswith("<p>Stop the queue.</p>")
    bare = confluence.get(f"{V1}/content/search", cql=f"id = {runbook.id}").json
    assert bare is not None
    assert {"space", "version", "body"} <= set(bare["results"][0]["_expandable"])


def test_time_is_the_sites_own(confluence: Api, clock: Clock) -> None:
    clock.forward(days=10)
    assert _titles(confluence, "created > now('-7d')") == []


def test_a_user_is_shown_by_account_id(confluence: Api, mia: Account) -> None:
    answer = confluence.get(f"{V1}/user", accountId=mia.id).json
    assert answer is not None
    assert (answer["displayName"], answer["email"]) == ("Mia Keller", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "content"),
        ("POST", "content"),
        ("POST", "content/"),
        ("GET", "content/131074"),
        ("PUT", "content/131074"),
        ("DELETE", "content/131074"),
        ("GET", "content/131074/child/page"),
        ("GET", "content/131074/history"),
        ("GET", "content/131074/label"),
        ("PUT", "content/131074/property/bridge"),
        ("GET", "space"),
        ("GET", "space/ENG"),
    ],
)
def test_what_version_2_replaced_is_gone(confluence: Api, method: str, path: str) -> None:
    answer = confluence.client.open(
        f"/ex/confluence/{confluence.cloud_id}{V1}/{path}",
        method=method,
        headers={"Authorization": f"Bearer {confluence.token}"},
    )
    assert answer.status_code == 410
    told: Any = answer.json
    assert told["message"].endswith("This deprecated endpoint has been removed.")
    assert told["data"]["authorized"] is True
