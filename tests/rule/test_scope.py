"""Scopes: absent means denied, and an account's ceiling is never exceeded."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.rule.scope import Limits, Scope

SCOPE = Scope(
    jira={"OPS": frozenset({"read", "comment"}), "@site": frozenset({"find-user"})},
    confluence={"ENG": frozenset({"label"})},
)
grants = st.dictionaries(
    st.sampled_from(["OPS", "CHG", "HR"]), st.frozensets(st.sampled_from(["read", "comment", "edit"])), max_size=3
)
scopes = st.builds(Scope, jira=grants, confluence=grants)
ceilings = st.fixed_dictionaries({}, optional={"jira": grants, "confluence": grants})


def test_a_scope_allows_what_it_lists_and_nothing_else() -> None:
    assert SCOPE.allows("jira", "OPS", "comment")
    assert SCOPE.allows("jira", "@site", "find-user")
    assert not SCOPE.allows("jira", "OPS", "transition")
    assert not SCOPE.allows("jira", "HR", "comment")
    assert not SCOPE.allows("jira", "ops", "comment")
    assert not SCOPE.allows("jira", "OPS", "find-user")
    assert not SCOPE.allows("confluence", "OPS", "comment")
    assert not SCOPE.allows("bitbucket", "OPS", "comment")


def test_a_scope_names_the_containers_of_a_verb() -> None:
    assert SCOPE.containers("jira", "read") == {"OPS"}
    assert SCOPE.containers("jira", "edit") == frozenset()


def test_a_ceiling_takes_away_what_it_does_not_list() -> None:
    left = SCOPE.within({"jira": {"OPS": frozenset({"read", "transition"})}})
    assert left.jira == {"OPS": frozenset({"read"})}
    assert left.confluence == {}
    assert SCOPE.beyond({"jira": {"OPS": frozenset({"read"})}}) == (
        "jira @site find-user",
        "jira OPS comment",
        "confluence ENG label",
    )


def test_no_ceiling_leaves_the_scope_as_it_is() -> None:
    assert SCOPE.within(None) == SCOPE
    assert SCOPE.beyond(None) == ()


@given(scopes, ceilings, st.sampled_from(["OPS", "CHG", "HR"]), st.sampled_from(["read", "comment", "edit"]))
def test_what_is_left_is_exactly_what_both_allow(scope: Scope, ceiling: Any, container: str, verb: str) -> None:
    left = scope.within(ceiling)
    for product in ("jira", "confluence"):
        allowed = verb in ceiling.get(product, {}).get(container, frozenset())
        assert left.allows(product, container, verb) == (scope.allows(product, container, verb) and allowed)


def test_fields_outside_the_limits_are_refused_by_name() -> None:
    limits = Limits(fields=frozenset({"priority", "labels"}))
    assert limits.refuse_fields(["labels"]) is None
    refusal = limits.refuse_fields(["labels", "summary", "duedate"])
    assert refusal == "the rule's scope.limits.fields does not list duedate, summary (it lists labels, priority)"
    assert Limits().refuse_fields(["anything"]) is None
    assert "no field" in (Limits(fields=frozenset()).refuse_fields(["x"]) or "")


def test_a_transition_may_be_listed_by_its_name_or_by_the_status_it_leads_to() -> None:
    limits = Limits(transitions=frozenset({"Done"}))
    assert limits.refuse_transition("Resolve", "done") is None
    assert "does not list 'Start work'" in (limits.refuse_transition("Start work", "In Progress") or "")
    assert Limits().refuse_transition("anything") is None


def test_with_targets_event_only_the_events_own_target_may_be_changed() -> None:
    limits = Limits(targets="event")
    assert limits.refuse_target(["OPS-1", "10001"], ["10001"]) is None
    assert "only the issue or page the delivery names" in (limits.refuse_target(["OPS-2", "10002"], ["10001"]) or "")
    assert limits.refuse_target(["OPS-1"], []) is not None
    assert Limits().refuse_target(["OPS-1"], []) is None


def test_a_delivery_may_make_so_many_writes_and_no_more() -> None:
    assert Limits(actions=2).refuse_count(1) is None
    assert Limits(actions=2).refuse_count(2) == "the rule's scope.limits.actions allows 2 writes per delivery"
