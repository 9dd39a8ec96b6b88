"""Which OAuth scopes a credential needs: every operation is reached, no scope is left over, and kinds are not mixed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import catalogue
from bridge.catalogue import Operation, ScopeSet, oauth
from bridge.catalogue.oauth import KINDS, MOST, Sets, kind_of, lacking, smallest, surplus

CLASSIC = ("read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-project")
GRANULAR = tuple(f"{action}:{thing}:jira" for action in ("read", "write") for thing in ("issue", "comment", "user"))
SCOPES = (*CLASSIC, *GRANULAR)


def made(name: str, *sets: frozenset[str]) -> Operation:
    found = tuple(ScopeSet("Current", scopes) for scopes in sets)
    return Operation("jira", "GET", f"/rest/api/3/{name}", name, found, deprecated=False, experimental=False)


def located(product: str, *names: str) -> list[Operation]:
    return [catalogue.locate(product, name) for name in names]


sets = st.frozensets(st.sampled_from(SCOPES), min_size=1, max_size=4)
operations = st.lists(st.lists(sets, max_size=4), max_size=7).map(
    lambda found: [made(f"operation{number}", *scopes) for number, scopes in enumerate(found)]
)


@given(operations)
def test_each_credential_reaches_all_its_operations_and_none_of_its_scopes_can_be_left_out(
    wanted: list[Operation],
) -> None:
    advice = smallest(wanted)
    for one in advice.credentials:
        held = frozenset(one.scopes)
        assert all(operation.allowed_by(held) for operation in one.operations)
        for scope in held:
            less = [oauth.sets_of(operation, one.kind) for operation in one.operations]
            assert any(not any(each <= held - {scope} for each in alternatives) for alternatives in less)


@given(operations)
def test_every_operation_is_either_reached_or_said_to_be_out_of_reach(wanted: list[Operation]) -> None:
    advice = smallest(wanted)
    reached = {operation for one in advice.credentials for operation in one.operations}
    assert reached | set(advice.unreachable) == set(wanted)
    assert not reached & set(advice.unreachable)
    assert all(any(operation.operation_id in why for why in advice.why) for operation in advice.unreachable)


@given(operations)
def test_kinds_are_never_mixed_in_one_credential(wanted: list[Operation]) -> None:
    for one in smallest(wanted).credentials:
        assert {kind_of(scope) for scope in one.scopes} == {one.kind}
        assert len(one.scopes) <= MOST


@given(operations)
def test_no_smaller_set_of_either_kind_would_do(wanted: list[Operation]) -> None:
    advice = smallest(wanted)
    if not advice.fits or not advice.credentials:
        return
    best = min(
        (size for kind in KINDS if (size := fewest([oauth.sets_of(one, kind) for one in wanted])) is not None),
        default=None,
    )
    assert len(advice.scopes) == best
    assert advice.credentials[0].exact


def fewest(choices: list[Sets]) -> int | None:
    """Try every way to choose: the size of the smallest union, None when something has no set of this kind."""
    unions = (frozenset[str]().union(*chosen) for chosen in itertools.product(*choices))
    return min((len(union) for union in unions), default=None)


@given(operations, st.frozensets(st.sampled_from(SCOPES)))
def test_what_is_left_of_a_token_without_its_surplus_allows_as_much_as_before(
    wanted: list[Operation], held: frozenset[str]
) -> None:
    rest = held - set(surplus(wanted, held))
    assert [one.allowed_by(rest) for one in wanted] == [one.allowed_by(held) for one in wanted]


@given(operations, st.frozensets(st.sampled_from(SCOPES)))
def test_with_what_it_lacks_a_token_would_reach_the_operation(wanted: list[Operation], held: frozenset[str]) -> None:
    for operation in wanted:
        lack = lacking(operation, held)
        assert (lack is None) == operation.allowed_by(held)
        if lack is not None and lack.scopes:
            assert operation.allowed_by(held | set(lack.scopes))


def test_a_comment_takes_one_classic_scope_and_not_eight_granular_ones() -> None:
    advice = smallest(located("jira", "addComment"))
    assert (advice.scopes, advice.credentials[0].kind) == (("write:jira-work",), "classic")
    assert len(oauth.credential(located("jira", "addComment"), "granular").scopes) == 8  # type: ignore[union-attr]


def test_of_equals_the_classic_ones_are_chosen() -> None:
    assert smallest(located("confluence", "getCurrentUser")).scopes == ("read:confluence-user",)


def test_one_operation_that_only_granular_scopes_reach_makes_the_whole_credential_granular() -> None:
    advice = smallest(located("confluence", "addLabelsToContent", "getPageById"))
    assert advice.scopes == ("read:label:confluence", "read:page:confluence", "write:label:confluence")
    assert advice.fits


def test_boards_take_granular_scopes_and_the_work_items_beside_them_then_do_too() -> None:
    advice = smallest(located("jira", "getAllBoards", "doTransition"))
    assert advice.credentials[0].kind == "granular"
    assert {"read:board-scope:jira-software", "write:issue:jira"} <= set(advice.scopes)


def test_what_only_classic_and_what_only_granular_scopes_reach_takes_two_credentials() -> None:
    classic = next(
        one for one in catalogue.operations()
        if one.product == "jira" and oauth.sets_of(one, "classic") and not oauth.sets_of(one, "granular")
    )  # fmt: skip
    advice = smallest([classic, *located("jira", "getAllBoards", "getProject")])
    assert not advice.fits
    assert [one.kind for one in advice.credentials] == ["classic", "granular"]
    [why] = advice.why
    assert f"{classic.operation_id} takes classic OAuth scopes only" in why
    assert "getAllBoards takes granular OAuth scopes only" in why
    assert "not mixed in one token" in why
    # What both kinds reach is added where it costs least.
    assert catalogue.locate("jira", "getProject") in advice.credentials[0].operations


def test_more_than_fifty_scopes_are_divided_and_the_reason_is_told() -> None:
    wanted = [made(f"operation{number}", frozenset({f"read:thing{number}:jira"})) for number in range(MOST + 7)]
    advice = smallest(wanted)
    assert [len(one.scopes) for one in advice.credentials] == [MOST, 7]
    assert advice.why == ("57 granular OAuth scopes would be needed, and a token takes 50",)


def test_an_operation_without_scopes_is_named_and_the_others_are_reached_all_the_same() -> None:
    nameless = next(one for one in catalogue.operations() if not one.scope_sets)
    advice = smallest([nameless, *located("jira", "addComment")])
    assert not advice.fits
    assert advice.scopes == ("write:jira-work",)
    assert advice.why == (
        f"Atlassian names no OAuth scope for {nameless.operation_id}, so no token can be relied on to reach it",
    )


def test_nothing_needs_nothing() -> None:
    assert smallest([]).fits
    assert smallest([]).scopes == ()


def test_where_the_search_takes_too_long_a_set_without_surplus_is_given_and_said_not_to_be_the_best_for_certain() -> (
    None
):
    things = [f"read:thing{number}:jira" for number in range(60)]
    choices: list[Sets] = [
        tuple(frozenset({things[number], things[(number * step + step) % 60]}) for step in (7, 11, 13, 17))
        for number in range(60)
    ]
    scopes, exact = oauth.cover(choices)
    assert not exact
    for scope in scopes:
        assert any(not any(each <= scopes - {scope} for each in alternatives) for alternatives in choices)
    assert oauth.cover(choices) == (scopes, False)


def test_scopes_stand_in_the_order_of_atlassians_own_list_classic_ones_first() -> None:
    assert oauth.in_order(
        [
            "write:jira-work",
            "read:comment.property:jira",
            "read:comment:jira",
            "read:comment-info:jira",
            "read:jira-user",
        ]
    ) == (
        "read:jira-user",
        "write:jira-work",
        "read:comment-info:jira",
        "read:comment:jira",
        "read:comment.property:jira",
    )


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        ("read:jira-work", "classic"),
        ("search:confluence", "classic"),
        ("readonly:content.attachment:confluence", "classic"),
        ("read:confluence-content.all", "classic"),
        ("read:page:confluence", "granular"),
        ("read:board-scope.admin:jira-software", "granular"),
    ],
)
def test_classic_scopes_are_told_from_granular_ones(scope: str, kind: str) -> None:
    assert kind_of(scope) == kind


def test_a_classic_token_that_meets_a_board_is_told_that_it_takes_another_token() -> None:
    [board] = located("jira", "getAllBoards")
    lack = lacking(board, {"read:jira-work", "write:jira-work"})
    assert lack is not None
    assert lack.mixed
    assert str(lack) == "read:board-scope:jira-software + read:project:jira"


def test_a_granular_token_is_asked_for_granular_scopes() -> None:
    [issue] = located("jira", "editIssue")
    lack = lacking(issue, {"read:issue:jira", "read:status:jira"})
    assert lack is not None
    assert (lack.scopes, lack.mixed) == (("write:issue:jira",), False)


def test_what_a_token_has_for_an_operation_it_does_not_reach_yet_is_not_called_too_much() -> None:
    [labels] = located("confluence", "addLabelsToContent")
    assert surplus([labels], {"read:label:confluence", "read:space:confluence"}) == ("read:space:confluence",)
