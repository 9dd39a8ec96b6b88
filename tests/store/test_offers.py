"""Offers: which deliveries relay and sweep may put on the queue."""

from typing import Any

import pytest
import sqlalchemy as sa

from bridge.store import Store, decisions, deliveries, offers, registers
from bridge.store.deliveries import Delivery, Received, State
from bridge.store.engine import new_id
from bridge.store.offers import Offer


def accept(store: Store, rule: str = "rule", **members: Any) -> str:
    """Accept a delivery and return its id."""
    received = Received(new_id(), rule, State.QUEUED, b"{}", **members)
    return store.commit(lambda connection: deliveries.accept(connection, received)).id


def row(store: Store, delivery: str) -> Delivery:
    """Return a delivery's row."""
    with store.read() as connection:
        found = deliveries.get(connection, delivery)
    assert found is not None
    return found


def begin(store: Store, delivery: str, lease: float = 10.0) -> int:
    """Begin an attempt."""
    found = row(store, delivery)
    return store.commit(
        lambda connection: deliveries.begin(connection, store, found, worker="w", lease=lease, rule_digest="d")
    )


def wait(store: Store, delivery: str, delay: float) -> None:
    """Begin an attempt and put the delivery back for some seconds."""
    attempt = begin(store, delivery)
    store.commit(
        lambda connection: deliveries.end_attempt(
            connection, store, delivery, attempt, State.WAITING, why="later", delay=delay
        )
    )


def unoffered(store: Store, paused: tuple[str, ...] = (), limit: int = 100) -> list[str]:
    """Return the ids of what may be offered."""
    with store.read() as connection:
        return [offer.delivery for offer in offers.unoffered(connection, store, paused, limit)]


def offer(store: Store) -> list[Offer]:
    """Offer everything that may be."""
    with store.read() as connection:
        found = offers.unoffered(connection, store, (), 100)
    store.commit(lambda connection: offers.mark(connection, store, found))
    return found


def stale(store: Store, seconds: float) -> list[str]:
    """Return the ids of offers that nobody took."""
    with store.read() as connection:
        return [each.delivery for each in offers.stale(connection, store, seconds, 100)]


def test_what_is_queued_or_due_is_offered_once_oldest_first(store: Store) -> None:
    first, due, later, last = accept(store), accept(store), accept(store), accept(store)
    wait(store, due, 0.0)
    wait(store, later, 60.0)
    assert unoffered(store) == [first, due, last]
    assert unoffered(store, limit=2) == [first, due]
    assert [(each.delivery, each.rule, each.attempt) for each in offer(store)] == [
        (first, "rule", 1),
        (due, "rule", 2),
        (last, "rule", 1),
    ]
    assert unoffered(store) == []


@pytest.mark.parametrize("state", [State.DONE, State.PARKED, State.DEAD])
def test_what_is_over_or_waits_for_a_person_is_not_offered(store: Store, state: State) -> None:
    delivery = accept(store)
    attempt = begin(store, delivery)
    store.commit(lambda connection: deliveries.end_attempt(connection, store, delivery, attempt, state, why="so it is"))
    assert unoffered(store) == []


def test_what_is_held_is_offered_when_its_lease_has_run_out(store: Store) -> None:
    held, lost = accept(store), accept(store)
    begin(store, held)
    begin(store, lost, lease=-1.0)
    assert unoffered(store) == [lost]
    [made] = offer(store)
    assert made.attempt == 2


def test_of_an_order_key_only_the_first_unfinished_is_offered(store: Store) -> None:
    first = accept(store, order_key="k")
    accept(store, order_key="k")
    other = accept(store, order_key="other")
    free = accept(store)
    another_rule = accept(store, "another", order_key="k")
    assert unoffered(store) == [first, other, free, another_rule]
    begin(store, first)
    assert unoffered(store) == [other, free, another_rule]


def test_a_waiting_delivery_holds_back_the_later_ones_of_its_key(store: Store) -> None:
    first, second = accept(store, order_key="k"), accept(store, order_key="k")
    wait(store, first, 60.0)
    assert unoffered(store) == []
    store.commit(lambda connection: decisions.cancel(connection, first, "mia", "x"))
    assert unoffered(store) == [second]


def test_a_paused_rule_is_left_out(store: Store) -> None:
    accept(store, "resting")
    working = accept(store, "working")
    assert unoffered(store, paused=("resting", "other")) == [working]


def test_an_offer_that_was_claimed_meanwhile_is_not_marked(store: Store) -> None:
    delivery = accept(store)
    with store.read() as connection:
        found = offers.unoffered(connection, store, (), 100)
    attempt = begin(store, delivery)
    store.commit(lambda connection: offers.mark(connection, store, found))
    kept = row(store, delivery)
    assert (kept.attempt, kept.state) == (attempt, State.RUNNING)
    assert kept.lease_until is not None


def test_an_offer_that_nobody_took_is_stale_after_its_time(store: Store) -> None:
    delivery = accept(store)
    assert stale(store, 0.0) == [], "it was not offered yet"
    offer(store)
    assert stale(store, 60.0) == []
    assert stale(store, 0.0) == [delivery]
    begin(store, delivery)
    assert stale(store, 0.0) == []


def test_withdrawn_offers_are_made_again(store: Store) -> None:
    first, second, other = accept(store), accept(store), accept(store, "another")
    offer(store)
    assert store.commit(lambda connection: offers.withdraw(connection, ids=[first, new_id()])) == 1
    assert unoffered(store) == [first]
    assert store.commit(lambda connection: offers.withdraw(connection, rules=["another"])) == 1
    assert unoffered(store) == [first, other]
    assert store.commit(offers.withdraw) == 1
    assert unoffered(store) == [first, second, other]
    assert store.commit(lambda connection: offers.withdraw(connection, ids=[])) == 0


def test_after_a_restart_of_the_machine_nothing_waits_for_a_clock_that_is_gone(one_store: Store) -> None:
    waiting, running, offered = accept(one_store), accept(one_store), accept(one_store)
    wait(one_store, waiting, 3600.0)
    begin(one_store, running, lease=3600.0)
    assert [each.delivery for each in offer(one_store)] == [offered]
    one_store.boot = "another boot"
    assert unoffered(one_store) == [waiting, running]
    assert stale(one_store, 3600.0) == [offered]
    offer(one_store)
    kept = row(one_store, running)
    assert (kept.boot, kept.lease_until) == ("another boot", None)


def test_a_pause_is_in_force_for_its_rule_its_account_or_all(store: Store) -> None:
    def pause_of(rule: str, account: str) -> str | None:
        with store.read() as connection:
            found = registers.pause_of(connection, rule, account)
        return None if found is None else f"{found.what} {found.name}".strip()

    assert pause_of("a", "bot") is None
    store.commit(lambda connection: registers.set_pause(connection, "rule", "a", "mia", "x"))
    assert (pause_of("a", "bot"), pause_of("b", "bot")) == ("rule a", None)
    store.commit(lambda connection: registers.set_pause(connection, "account", "bot", "mia", "x"))
    assert (pause_of("b", "bot"), pause_of("b", "other")) == ("account bot", None)
    store.commit(lambda connection: registers.set_pause(connection, "all", "", "mia", "x"))
    assert pause_of("b", "other") == "all"
    assert store.commit(lambda connection: registers.lift_pause(connection, "all", "", "mia", "x"))
    assert not store.commit(lambda connection: registers.lift_pause(connection, "all", "", "mia", "x"))
    assert pause_of("b", "other") is None


def test_a_pause_set_again_keeps_the_newest_reason_and_both_entries(store: Store) -> None:
    store.commit(lambda connection: registers.set_pause(connection, "rule", "a", "mia", "mia says so"))
    store.commit(lambda connection: registers.set_pause(connection, "rule", "a", "jonas", "jonas says so"))
    with store.read() as connection:
        [found] = registers.pauses(connection)
        kinds = list(connection.execute(sa.text("SELECT person FROM journal ORDER BY id")).scalars())
    assert (found.person, found.reason) == ("jonas", "jonas says so")
    assert kinds == ["mia", "jonas"]


def test_stale_offers_are_found_page_by_page_so_that_none_hides_another(store: Store) -> None:
    accepted = [accept(store) for _ in range(5)]
    store.commit(lambda connection: offers.mark(connection, store, [Offer(each, "rule", 1) for each in accepted]))
    found: list[str] = []
    with store.read() as connection:
        while page := offers.stale(connection, store, 0, 2, found[-1] if found else ""):
            found += [offer.delivery for offer in page]
    assert found == sorted(accepted)
