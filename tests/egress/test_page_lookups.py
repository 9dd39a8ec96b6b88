"""How Confluence's writes in doubt are looked up where the site's answer is no plain yes or no."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.catalogue import Operation
from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict
from bridge.egress.places import Places, Unnamed
from bridge.egress.resolve import RESOLVERS
from bridge.egress.upstream import SiteAnswer

SINCE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATE, EARLY = (SINCE + timedelta(seconds=1)).isoformat(), (SINCE - timedelta(days=1)).isoformat()
US, SHE = "712020:us", "712020:she"
PAGE = {"id": "9", "title": "One", "authorId": US, "createdAt": LATE}
COPY = {"destination": {"type": "parent_page", "value": "5"}, "pageTitle": "One"}
TREE = "/wiki/rest/api/content/7/pagehierarchy/copy"


def _looked_up(
    name: str,
    path: str,
    body: Any,
    answers: Mapping[str, Any],
    *,
    own: str | None = US,
    query: Mapping[str, Sequence[str]] | None = None,
) -> Verdict:
    """Look a write up at a site that answers paths with bodies, or with a status."""

    def get(asked: str, _query: Mapping[str, list[str]]) -> SiteAnswer:
        said = answers.get(asked, 404)
        return SiteAnswer(said, None) if isinstance(said, int) else SiteAnswer(200, said)

    def post(asked: str, _query: Mapping[str, list[str]], _body: Any) -> SiteAnswer:
        raise AssertionError(asked)

    return RESOLVERS[name](Doubt(path, body, {}, SINCE, own, get, post, others=frozenset({"8"}), query=query or {}))


def _pages(*pages: Any) -> dict[str, Any]:
    return {"/wiki/api/v2/pages/5": {"id": "5", "spaceId": "1"}, "/wiki/api/v2/pages": {"results": list(pages)}}


@pytest.mark.parametrize(
    ("pages", "verdict"),
    [
        ([PAGE], Found(PAGE)),
        ([], Absent()),
        ([{**PAGE, "authorId": SHE}], Absent()),
        ([{**PAGE, "createdAt": EARLY}], Absent()),
        ([{**PAGE, "id": "8"}], Absent()),
    ],
)
def test_a_copy_is_the_accounts_own_new_page_of_that_title_that_no_other_step_made(
    pages: list[Any], verdict: Verdict
) -> None:
    assert _looked_up("page-copied", "/wiki/rest/api/content/7/copy", COPY, _pages(*pages)) == verdict


@pytest.mark.parametrize(
    ("body", "answers", "own", "why"),
    [
        ({**COPY, "pageTitle": None}, _pages(), US, "the copy was given no title"),
        (COPY, {}, US, "the site answered 404 when asked for the page below which"),
        (COPY, {**_pages(), "/wiki/api/v2/pages": 403}, US, "the site answered 403 when asked for a page"),
        (COPY, _pages(PAGE), None, "the account's own id is not known"),
    ],
)
def test_a_copy_of_which_nothing_certain_is_known_waits_for_a_person(
    body: Any, answers: Mapping[str, Any], own: str | None, why: str
) -> None:
    verdict = _looked_up("page-copied", "/wiki/rest/api/content/7/copy", body, answers, own=own)
    assert isinstance(verdict, Unknown)
    assert why in verdict.why


def test_a_tree_is_looked_up_by_the_title_of_its_top() -> None:
    body = {"destinationPageId": "5", "titleOptions": {"prefix": "Copy of "}}
    answers = {**_pages(PAGE), "/wiki/api/v2/pages/7": {"id": "7", "title": "One"}}
    assert _looked_up("tree-copied", TREE, body, answers) == Found({})
    assert _looked_up("tree-copied", TREE, body, {**answers, **_pages()}) == Absent()
    verdict = _looked_up("tree-copied", TREE, body, {**answers, "/wiki/api/v2/pages/7": 404})
    assert isinstance(verdict, Unknown)


@pytest.mark.parametrize(("state", "verdict"), [("archived", Found({})), ("current", Absent())])
def test_an_archived_page_says_so(state: str, verdict: Verdict) -> None:
    answers = {"/wiki/api/v2/pages/7": {"status": state}}
    assert _looked_up("page-archived", "/wiki/rest/api/content/archive", {"pages": [{"id": 7}]}, answers) == verdict


def test_a_page_that_cannot_be_read_may_or_may_not_be_archived() -> None:
    assert isinstance(_looked_up("page-archived", "/", {"pages": [{"id": 7}]}, {}), Unknown)


STATE = "/wiki/rest/api/content/7/state"


@pytest.mark.parametrize(
    ("body", "answer", "there"),
    [
        ({"id": 2}, {"contentState": {"id": 2, "name": "Ready"}}, True),
        ({"id": 2}, {"contentState": {"id": 1, "name": "Ready"}}, False),
        ({"name": "On ice", "color": "#fff"}, {"contentState": {"id": 101, "name": "On ice"}}, True),
        ({"id": 2}, {}, False),
        (None, {}, True),
        (None, {"contentState": None}, True),
        (None, {"contentState": {"id": 1, "name": "Ready"}}, False),
    ],
)
def test_a_status_is_compared_by_its_id_or_else_by_its_name(body: Any, answer: Any, there: bool) -> None:
    verdict = _looked_up("page-status", STATE, body, {STATE: answer})
    assert verdict == (Found(answer) if there else Absent())


def test_what_cannot_be_read_is_unknown() -> None:
    assert isinstance(_looked_up("page-status", STATE, None, {}), Unknown)
    assert isinstance(_looked_up("page-property", "/p/properties", {"key": "k", "value": 1}, {}), Unknown)
    assert isinstance(_looked_up("space-created", "/s", {"key": "K"}, {}), Unknown)


LABEL = "/wiki/rest/api/content/7/label"
LABELS = "/wiki/api/v2/pages/7/labels"


@pytest.mark.parametrize(
    ("query", "answers", "verdict"),
    [
        ({"name": ["old"]}, {LABELS: {"results": [{"name": "old"}]}}, Absent),
        ({"name": ["old"]}, {LABELS: {"results": [{"name": "new"}]}}, Found),
        ({"name": ["old"]}, {LABELS: {"results": [], "_links": {"next": "?cursor=a"}}}, Unknown),
        ({"name": ["old"]}, {}, Unknown),
        ({"name": ["old", "new"]}, {LABELS: {"results": []}}, Unknown),
    ],
)
def test_a_label_is_gone_when_all_labels_were_seen_and_it_is_not_among_them(
    query: Mapping[str, Sequence[str]], answers: Mapping[str, Any], verdict: type
) -> None:
    assert isinstance(_looked_up("label-removed", LABEL, None, answers, query=query), verdict)


@pytest.mark.parametrize(
    ("path", "body", "answers", "verdict"),
    [
        ("/p", {"key": "k", "value": {"a": 1}}, {"/p": {"results": [{"key": "k", "value": {"a": 1}}]}}, Found),
        ("/p", {"key": "k", "value": {"a": 1}}, {"/p": {"results": [{"key": "k", "value": {"a": 2}}]}}, Absent),
        ("/p", {"key": "k", "value": 1}, {"/p": {"results": []}}, Absent),
        ("/p/3", {"key": "k", "value": 1}, {"/p/3": {"id": "3", "value": 1}}, Found),
        ("/p/3", {"key": "k", "value": 1}, {"/p/3": {"id": "3", "value": 0}}, Absent),
        ("/p/3", {"key": "k", "value": 1}, {}, Unknown),
        ("/p/3", None, {"/p/3": {"id": "3", "value": 1}}, Absent),
        ("/p/properties/3", None, {"/p": {"id": "1"}}, Found),
        ("/p/properties/3", None, {}, Unknown),
    ],
)
def test_a_property_is_compared_by_its_value_and_a_deleted_one_is_gone(
    path: str, body: Any, answers: Mapping[str, Any], verdict: type
) -> None:
    assert isinstance(_looked_up("page-property", path, body, answers), verdict)


SPACE = {"key": "TEAM", "authorId": US, "createdAt": LATE}


@pytest.mark.parametrize(
    ("spaces", "own", "verdict"),
    [
        ([SPACE], US, Found),
        ([], US, Absent),
        ([{**SPACE, "authorId": SHE}], US, Absent),
        ([{**SPACE, "createdAt": EARLY}], US, Absent),
        ([SPACE], None, Unknown),
    ],
)
def test_a_space_is_the_accounts_own_new_one_of_that_key(spaces: list[Any], own: str | None, verdict: type) -> None:
    answers = {"/wiki/api/v2/spaces": {"results": spaces}}
    assert isinstance(_looked_up("space-created", "/s", {"key": "TEAM"}, answers, own=own), verdict)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("task", {"id": "5", "blogPostId": "9"}),
        ("comment-on-page", {"id": "5", "blogPostId": "9"}),
        ("comment-on-page", {"id": "5", "attachmentId": "9"}),
    ],
)
def test_what_is_on_a_blog_post_or_a_file_is_no_target_of_any_verb(word: str, said: Mapping[str, Any]) -> None:
    def ask(_operation: Operation, _path: str, _query: Mapping[str, list[str]]) -> SiteAnswer:
        return SiteAnswer(200, dict(said))

    with pytest.raises(Unnamed, match="is not on a page"):
        Places(ask).of(word, "5")
