"""Look-ups that what people do meanwhile does not fool: what may be ours, changed, waits and is never made twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict
from bridge.egress.resolve import RESOLVERS
from bridge.egress.upstream import SiteAnswer

Make = Callable[..., Any]
SINCE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATE, EARLY = (SINCE + timedelta(seconds=1)).isoformat(), (SINCE - timedelta(days=1)).isoformat()
US, SHE = "712020:us", "712020:she"


def _looked_up(
    name: str, path: str, body: Any, answers: Mapping[str, Any], query: Mapping[str, Sequence[str]] | None = None
) -> Verdict:
    """Look a write up at a site that answers paths with bodies, and everything else with 404."""

    def get(asked: str, _query: Mapping[str, list[str]]) -> SiteAnswer:
        return SiteAnswer(200, answers[asked]) if asked in answers else SiteAnswer(404, None)

    def post(asked: str, query: Mapping[str, list[str]], _body: Any) -> SiteAnswer:
        return get(asked, query)

    return RESOLVERS[name](Doubt(path, body, {}, SINCE, US, get, post, others=frozenset({"8"}), query=query or {}))


# What people do between the write and the look-up, through the whole of egress


def _in_doubt(bench: Any, operation: str, payload: Mapping[str, Any] | None = None) -> str:
    bench.fault("reset-after", operation)
    delivery = str(bench.accept(payload))
    assert bench.attempt(delivery).state == "waiting"
    return delivery


def _parked(bench: Any, delivery: str, why: str) -> None:
    [report] = bench.finish(delivery)
    assert report.state == "parked", report.result
    assert why in report.reason


def test_a_page_comment_that_a_person_edited_is_not_made_again(make_bench: Make) -> None:
    bench = make_bench('[scope.confluence]\nENG = ["comment"]', "context.confluence.comment(event['at'], 'once')")
    page = next(page for page in bench.site.pages.values() if page.title == "Incident reviews")
    before = len(page.comments)
    delivery = _in_doubt(bench, "createFooterComment", {"at": page.id})
    first = page.comments[-1].versions[-1]
    mia = bench.site.account("Mia Keller").id
    page.comments[-1].versions.append(replace(first, number=2, author=mia))
    _parked(bench, delivery, "which may be this one, edited")
    assert len(page.comments) == before + 1


def test_a_sprint_that_a_person_started_is_found_and_one_that_was_renamed_waits(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\n"@site" = ["create-sprint"]', "context.jira.create_sprint('1', event['name'])")
    for name in ("Started", "Renamed"):
        delivery = _in_doubt(bench, "createSprint", {"name": name})
        [made] = [each for each in bench.site.sprints.values() if each.name == name]
        if name == "Started":
            made.state = "active"
            [report] = bench.finish(delivery)
            assert report.state == "done", report.reason
        else:
            made.name = "Sprint 99"
            _parked(bench, delivery, "the board got another sprint since, which may be this one, changed")
    assert bench.executed("createSprint") == 2


def test_a_request_whose_summary_was_changed_is_not_made_again(make_bench: Make) -> None:
    handle = "context.jira.create_request('OPS', 'Ask for help', 'A new laptop')"
    bench = make_bench('[scope.jira]\nOPS = ["create-request"]', handle)
    delivery = _in_doubt(bench, "createCustomerRequest")
    [made] = [each for each in bench.site.issues.values() if each.fields["summary"] == "A new laptop"]
    made.fields["summary"] = "Laptop (triaged)"
    _parked(bench, delivery, f"the account made request {made.key} since, which may be this one, changed")
    assert bench.executed("createCustomerRequest") == 1


def test_a_request_is_found_whatever_the_spaces_of_its_summary(make_bench: Make) -> None:
    handle = """
    fields = {'summary': 'Printer  is broken '}
    body = {'serviceDeskId': '1', 'requestTypeId': '12', 'requestFieldValues': fields}
    context.jira.request('POST', '/rest/servicedeskapi/request', body=body)
    """
    bench = make_bench('[scope.jira]\nOPS = ["create-request"]', handle)
    [report] = bench.finish(_in_doubt(bench, "createCustomerRequest"))
    assert report.state == "done", report.reason
    assert bench.executed("createCustomerRequest") == 1


@pytest.mark.parametrize("change", ["retitled", "trashed"])
def test_a_page_that_was_retitled_or_thrown_away_is_not_made_again(make_bench: Make, change: str) -> None:
    handle = "context.confluence.create_page('ENG', 'Only one', 'text')"
    bench = make_bench('[scope.confluence]\nENG = ["create-page"]', handle)
    delivery = _in_doubt(bench, "createPage")
    [made] = [page for page in bench.site.pages.values() if page.title == "Only one"]
    if change == "retitled":
        made.versions.append(replace(made.versions[-1], number=2, title="Only one (reviewed)"))
    else:
        made.status = "trashed"
    _parked(bench, delivery, f"this account made page {made.id} since, which may be this one, changed")
    assert bench.executed("createPage") == 1


def test_a_version_that_was_renamed_is_not_made_again(make_bench: Make) -> None:
    handle = "context.jira.create_version('OPS', 'Ours', 'Words')"
    bench = make_bench('[scope.jira]\nOPS = ["create-version"]', handle)
    delivery = _in_doubt(bench, "createVersion")
    versions = bench.site.projects["OPS"].versions
    versions[-1] = replace(versions[-1], name="Theirs")
    _parked(bench, delivery, "a version that differs in nothing but its name, and may be this one, renamed")
    assert bench.executed("createVersion") == 1


def test_an_organization_that_was_renamed_is_not_made_again(make_bench: Make) -> None:
    handle = "context.jira.create_organization('Ours')"
    bench = make_bench('[scope.jira]\n"@site" = ["create-organization"]', handle)
    delivery = _in_doubt(bench, "createOrganization")
    [made] = [each for each in bench.site.organizations.values() if each.name == "Ours"]
    made.name = "Theirs"
    _parked(bench, delivery, "another organization was made since, which may be this one under a new name")
    assert bench.executed("createOrganization") == 1


@pytest.mark.parametrize("body", [{"body": "once"}, {"body": "once", "public": "false"}])
def test_a_comment_that_does_not_say_truly_whether_it_is_public_waits_for_a_person(body: Any) -> None:
    verdict = _looked_up("request-comment", "/rest/servicedeskapi/request/OPS-1/comment", body, {})
    assert isinstance(verdict, Unknown)
    assert "by true or false" in verdict.why


# Whose account an address is


def test_a_customer_is_whoever_is_shown_with_that_very_address() -> None:
    body = {"email": "Jo@example.com"}
    shown = {"accountId": "1", "emailAddress": "jo@example.com"}
    other = {"accountId": "2", "emailAddress": "jo@example.com.au"}
    hidden = {"accountId": "3"}

    def found(*users: Any) -> Verdict:
        return _looked_up("customer-created", "/c", body, {"/rest/api/3/user/search": list(users)})

    assert found(hidden, shown, other) == Found(shown)
    assert found() == found(other) == Absent()
    assert isinstance(found(hidden), Unknown)
    assert isinstance(found(shown, shown), Unknown)


# What a 404 says of something deleted

ISSUE = "/rest/api/3/issue/OPS-1"


@pytest.mark.parametrize(
    ("path", "query", "holder"),
    [
        (f"{ISSUE}/comment/7", {}, ISSUE),
        (f"{ISSUE}/properties/key", {}, ISSUE),
        ("/rest/api/3/project/OPS/properties/key", {}, "/rest/api/3/project/OPS"),
        ("/rest/api/3/attachment/7", {"issue": ["OPS-1"]}, ISSUE),
    ],
)
def test_what_is_not_shown_is_deleted_only_if_what_held_it_is_shown(path: str, query: Any, holder: str) -> None:
    assert _looked_up("gone", path, None, {holder: {"id": "1"}}, query) == Found(None)
    assert _looked_up("gone", path, None, {holder: {"id": "1"}, path: {"id": "7"}}, query) == Absent()
    assert isinstance(_looked_up("gone", path, None, {}, query), Unknown)


@pytest.mark.parametrize(
    "path", [ISSUE, "/rest/api/3/issueLink/7", "/wiki/api/v2/pages/7", "/wiki/api/v2/footer-comments/7"]
)
def test_a_404_alone_says_of_nothing_that_it_was_deleted(path: str) -> None:
    verdict = _looked_up("gone", path, None, {})
    assert isinstance(verdict, Unknown)
    assert "may be deleted, or not be shown any more" in verdict.why
    assert _looked_up("gone", path, None, {path: {"status": "trashed"}}) == Found(None)


def test_an_issue_that_the_account_may_not_see_any_more_is_not_taken_for_deleted(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["delete"]', "context.jira.delete('OPS-1')")
    bench.fault("reset-before", "deleteIssue")
    delivery = bench.send().delivery
    bench.site.grant("ops-bot", set(), project="OPS")
    [report] = bench.finish(delivery)
    assert report.state == "parked", report.reason
    assert bench.site.find_issue("OPS-1") is not None


# What stays certain


def _comment(number: int, author: str, made: str, **more: Any) -> dict[str, Any]:
    return {"id": "7", "version": {"number": number, "authorId": author, "createdAt": made}, **more}


@pytest.mark.parametrize(
    ("comment", "first", "verdict"),
    [
        (_comment(1, SHE, LATE), None, Absent),
        (_comment(1, US, LATE), None, Absent),
        (_comment(1, US, EARLY), None, Absent),
        (_comment(2, SHE, LATE), {"number": 1, "authorId": US, "createdAt": LATE}, Unknown),
        (_comment(2, SHE, LATE), {"number": 1, "authorId": US, "createdAt": EARLY}, Absent),
        (_comment(2, US, LATE), {"number": 1, "authorId": SHE, "createdAt": LATE}, Absent),
        (_comment(2, SHE, LATE), None, Unknown),
        (_comment(1, US, LATE) | {"id": "8"}, None, Absent),
    ],
)
def test_a_comment_with_other_words_may_be_ours_only_if_this_account_wrote_it_since(
    comment: Any, first: Any, verdict: type
) -> None:
    body = {"pageId": "5", "body": {"value": '{"type": "text", "text": "once"}'}}
    answers: dict[str, Any] = {"/wiki/api/v2/pages/5/footer-comments": {"results": [comment]}}
    if first:
        answers["/wiki/api/v2/footer-comments/7/versions"] = {"results": [first]}
    assert isinstance(_looked_up("footer-comment", "/wiki/api/v2/footer-comments", body, answers), verdict)


def _page(**more: Any) -> dict[str, Any]:
    return {"id": "9", "title": "Two", "authorId": US, "createdAt": LATE, "version": {"number": 1}, **more}


@pytest.mark.parametrize(
    ("page", "copy", "tree"),
    [
        (_page(), Absent, Unknown),
        (_page(version={"number": 2}), Unknown, Unknown),
        (_page(subtype="live"), Unknown, Unknown),
        (_page(authorId=SHE, version={"number": 2}), Absent, Absent),
        (_page(createdAt=EARLY, version={"number": 2}), Absent, Absent),
        (_page(id="8", version={"number": 2}), Absent, Absent),
    ],
)
def test_a_page_in_its_first_version_has_the_title_it_was_made_with(page: Any, copy: type, tree: type) -> None:
    def titled(_asked: str, query: Mapping[str, list[str]]) -> SiteAnswer:
        if _asked == "/wiki/api/v2/pages":
            return SiteAnswer(200, {"results": [] if "title" in query else [page]})
        return SiteAnswer(200, {"id": _asked.rpartition("/")[2], "title": "One", "spaceId": "1"})

    def post(asked: str, _query: Mapping[str, list[str]], _body: Any) -> SiteAnswer:
        raise AssertionError(asked)

    known = frozenset({"8"})
    one = {"destination": {"value": "5"}, "pageTitle": "One"}
    doubt = Doubt("/wiki/rest/api/content/7/copy", one, {}, SINCE, US, titled, post, others=known)
    assert isinstance(RESOLVERS["page-copied"](doubt), copy)
    below = replace(doubt, path="/wiki/rest/api/content/7/pagehierarchy/copy", body={"destinationPageId": "5"})
    assert isinstance(RESOLVERS["tree-copied"](below), tree)
