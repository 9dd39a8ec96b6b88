"""The operations and their OAuth scopes: what operations.csv says and how questions to it are answered."""

import subprocess
import sys
from collections import Counter

import pytest

from bridge import catalogue
from bridge.catalogue.operations import parse
from bridge.errors import SettingsInvalid

HEADER = "product,method,path,operation_id,scopes,deprecated,experimental\n"
GRANULAR_COMMENT = frozenset(
    f"{word}:jira"
    for word in (
        "read:comment",
        "read:comment.property",
        "read:group",
        "read:project",
        "read:project-role",
        "read:user",
        "read:avatar",
        "write:comment",
    )
)


def only(operation_id: str) -> catalogue.Operation:
    (found,) = catalogue.operation(operation_id)
    return found


def test_all_operations_of_the_five_apis_are_there() -> None:
    assert Counter(one.product for one in catalogue.operations()) == {
        "jira": 616,
        "agile": 105,
        "jsm": 69,
        "confluence": 218,
        "confluence-v1": 130,
    }


def test_method_and_path_make_an_operation_unique() -> None:
    assert max(Counter((one.method, one.path) for one in catalogue.operations()).values()) == 1


def test_an_operation_id_can_belong_to_several_products() -> None:
    assert {one.product for one in catalogue.operation("getIssue")} == {"jira", "agile"}
    assert catalogue.operation("noSuchThing") == ()


def test_locating_an_id_prefers_the_platform_and_never_guesses_between_two() -> None:
    assert catalogue.locate("jira", "getIssue").path == "/rest/api/3/issue/{issueIdOrKey}"
    assert catalogue.locate("confluence", "createSpace").product == "confluence"
    with pytest.raises(KeyError, match="confluence has no operation 'addComment'"):
        catalogue.locate("confluence", "addComment")
    with pytest.raises(KeyError, match="jsm has 2 operations 'getArticles'"):
        catalogue.locate("jira", "getArticles")


@pytest.mark.parametrize(
    ("operation_id", "site_product"),
    [("addComment", "jira"), ("getAllBoards", "jira"), ("getServiceDesks", "jira"), ("getPageById", "confluence")],
)
def test_boards_and_the_service_desk_go_through_jiras_credential(operation_id: str, site_product: str) -> None:
    assert only(operation_id).site_product == site_product


def test_confluence_v1_goes_through_confluences_credential() -> None:
    assert only("addLabelsToContent").site_product == "confluence"


@pytest.mark.parametrize(
    ("granted", "allowed", "missing"),
    [
        ({"write:jira-work"}, True, ()),
        ({"write:jira-work", "read:jira-user"}, True, ()),
        (GRANULAR_COMMENT, True, ()),
        (GRANULAR_COMMENT - {"write:comment:jira"}, False, ("write:comment:jira",)),
        (GRANULAR_COMMENT - {"write:comment:jira", "read:user:jira"}, False, ("write:jira-work",)),
        ({"read:jira-work"}, False, ("write:jira-work",)),
        (set(), False, ("write:jira-work",)),
    ],
)
def test_one_whole_set_of_scopes_is_needed_and_the_fewest_missing_ones_are_named(
    granted: set[str], allowed: bool, missing: tuple[str, ...]
) -> None:
    comment = only("addComment")
    assert comment.allowed_by(frozenset(granted)) is allowed
    assert comment.missing(frozenset(granted)) == missing


def test_halves_of_two_sets_do_not_make_a_whole() -> None:
    halves = catalogue.Operation(
        "jira",
        "GET",
        "/x",
        "x",
        (
            catalogue.ScopeSet("Current", frozenset({"a", "b"})),
            catalogue.ScopeSet("Beta", frozenset({"c", "d"})),
        ),
        deprecated=False,
        experimental=False,
    )
    assert not halves.allowed_by(frozenset({"a", "c"}))
    assert halves.missing(frozenset({"a", "c"})) == ("b",)


def test_an_operation_for_which_atlassian_names_no_scope_is_allowed_by_none() -> None:
    silent = next(one for one in catalogue.operations() if not one.scope_sets)
    every_scope = frozenset(scope for one in catalogue.operations() for some in one.scope_sets for scope in some.scopes)
    assert not silent.allowed_by(every_scope)
    assert silent.missing(frozenset()) == ()


def test_deprecated_and_experimental_are_told() -> None:
    assert only("getChildPages").deprecated
    assert not only("addComment").deprecated
    assert any(one.experimental for one in catalogue.operations())


def test_every_damaged_line_is_named_with_its_number() -> None:
    text = (
        HEADER
        + "jira,GET,/a,a,Current=read:jira-work,no,no\n"
        + "trello,GET,/b,b,,no,no\n"
        + "jira,GET,/c,c,Someday=x,no,no\n"
        + "jira,GET,/d,d,,maybe,no\n"
        + "jira,GET\n"
    )
    with pytest.raises(SettingsInvalid) as caught:
        parse(text, "operations.csv")
    assert [mistake.line for mistake in caught.value.mistakes] == [3, 4, 5, 6]
    assert "operations.csv:3: not a row of operations: trello,GET,/b,b,,no,no" in str(caught.value)


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match=r"x\.csv:1: the first line must be product,method"):
        parse("method,path\n", "x.csv")


def test_importing_reads_nothing_and_asking_reads_once() -> None:
    program = (
        "from bridge import catalogue; from bridge.catalogue.verbs import vocabulary\n"
        "print(catalogue.operations.cache_info().currsize, vocabulary.cache_info().currsize)\n"
        "print(catalogue.operations() is catalogue.operations(), catalogue.verbs() is catalogue.verbs())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "True", "True"]
