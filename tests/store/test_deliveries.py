"""Deliveries: which changes of state there are, acceptance in order and once, and what people may ask for."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.errors import Fenced
from bridge.store import Store, decisions, deliveries, journal
from bridge.store.deliveries import TRANSITIONS, Accepted, Delivery, Received, State, TransitionRefused
from bridge.store.engine import new_id
from bridge.store.tables import deliveries as table

RULE = "change_approved"


def accept(store: Store, *, state: State = State.QUEUED, **members: Any) -> Accepted:
    """Accept a delivery."""
    given = {"payload": b"{}", **members}
    received = Received(new_id(), given.pop("rule", RULE), state, **given)
    return store.commit(lambda connection: deliveries.accept(connection, received))


def found(store: Store, delivery: str) -> Delivery:
    """Return a delivery's row."""
    with store.read() as connection:
        row = deliveries.get(connection, delivery)
    assert row is not None
    return row


def kinds(store: Store, delivery: str) -> list[str]:
    """Return the kinds of a delivery's entries."""
    with store.read() as connection:
        return [entry["kind"] for entry in journal.of_delivery(connection, delivery)]


def begin(store: Store, delivery: str) -> int:
    """Begin the next attempt."""

    def work(connection: sa.Connection) -> int:
        row = deliveries.get(connection, delivery, lock=True)
        assert row is not None
        return deliveries.begin(connection, store, row, worker="w", lease=10.0, rule_digest="sha256:0")

    return store.commit(work)


def end(store: Store, delivery: str, attempt: int, state: State, **members: Any) -> None:
    """End an attempt."""
    given = {"why": None, **members}
    store.commit(lambda connection: deliveries.end_attempt(connection, store, delivery, attempt, state, **given))


def in_state(store: Store, state: State) -> str:
    """Accept a delivery and bring it into a state by the ways there are."""
    if state in {State.IGNORED, State.REJECTED}:
        return accept(store, state=state).id
    delivery = accept(store).id
    if state is State.CANCELLED:
        store.commit(lambda connection: decisions.cancel(connection, delivery, "mia", "not needed"))
    elif state is not State.QUEUED:
        attempt = begin(store, delivery)
        if state is not State.RUNNING:
            end(store, delivery, attempt, state, delay=0.0 if state is State.WAITING else None)
    return delivery


def _asked(store: Store, delivery: str, to: State) -> None:
    """Ask for a change of state, by whichever function makes it."""
    row = found(store, delivery)
    if to is State.RUNNING:
        begin(store, delivery)
    elif to is State.CANCELLED:
        store.commit(lambda connection: decisions.cancel(connection, delivery, "mia", "why not"))
    elif to is State.QUEUED:
        store.commit(lambda connection: decisions.replay(connection, delivery, "mia", "why not", from_start=False))
    elif to is State.DEAD and row.state is not State.RUNNING:
        store.commit(lambda connection: deliveries.end_unclaimed(connection, row, "too old", blocks=False))
    elif to is State.WAITING and row.state is State.PARKED:
        again = decisions.Decision("again")
        store.commit(lambda connection: decisions.decide(connection, delivery, "mia", "mended", again))
    else:
        end(store, delivery, row.attempt, to)


CHANGES = list(itertools.product(State, [state for state in State if state not in {State.IGNORED, State.REJECTED}]))


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_there_are_the_changes_of_state_in_the_table_and_no_others(
    one_store: Store, before: State, after: State
) -> None:
    delivery = in_state(one_store, before)
    entries = kinds(one_store, delivery)
    kind = TRANSITIONS.get((before, after))
    if kind is None:
        with pytest.raises((TransitionRefused, Fenced, KeyError)):
            _asked(one_store, delivery, after)
        assert found(one_store, delivery).state is before
        assert kinds(one_store, delivery) == entries
    else:
        _asked(one_store, delivery, after)
        assert found(one_store, delivery).state is after
        assert kinds(one_store, delivery) == [*entries, kind]


@pytest.mark.parametrize("state", [State.QUEUED, State.IGNORED, State.REJECTED])
def test_what_comes_in_is_journalled_in_the_same_commit(store: Store, state: State) -> None:
    accepted = accept(store, state=state, reason="a reason", facts={"scheme": "rule-token", "key": "k1"})
    with store.read() as connection:
        [entry] = journal.of_delivery(connection, accepted.id)
    assert entry["kind"] == TRANSITIONS[None, state]
    assert (entry["n"], entry["rule"], entry["scheme"], entry["key"], entry["bytes"]) == (
        1,
        RULE,
        "rule-token",
        "k1",
        2,
    )
    assert entry["payload"].startswith("sha256:")
    assert (found(store, accepted.id).finished_at is None) is (state is State.QUEUED)


def test_an_acceptance_that_fails_leaves_neither_row_nor_entry(store: Store) -> None:
    received = Received(new_id(), RULE, State.QUEUED, b"{}", facts={"odd": 1.5})
    with pytest.raises(TypeError):
        store.commit(lambda connection: deliveries.accept(connection, received))
    with store.read() as connection:
        assert deliveries.get(connection, received.id) is None
        assert journal.of_delivery(connection, received.id) == []


# ------------------------------------------------------------------------------------------------------ duplicates


def test_the_same_identity_again_is_the_first_delivery(store: Store) -> None:
    first = accept(store, identity="key:1", payload=b'{"a": 1}')
    again = accept(store, identity="key:1", payload=b'{"a": 1}')
    other = accept(store, identity="key:1", payload=b'{"a": 2}')
    assert again == Accepted(first.id, State.QUEUED, duplicate=True, differs=False)
    assert other == Accepted(first.id, State.QUEUED, duplicate=True, differs=True)
    with store.read() as connection:
        entries = journal.of_delivery(connection, first.id)
    assert [(entry["kind"], entry.get("differs")) for entry in entries] == [
        ("delivery:received", None),
        ("delivery:duplicate", False),
        ("delivery:duplicate", True),
    ]
    assert found(store, first.id).payload == b'{"a": 1}'


def test_identities_are_a_rules_own_and_none_is_never_a_duplicate(store: Store) -> None:
    accepted = [
        accept(store, identity="key:1"),
        accept(store, identity="key:1", rule="another"),
        accept(store),
        accept(store),
    ]
    assert len({each.id for each in accepted}) == 4
    assert not any(each.duplicate for each in accepted)


def test_a_duplicate_of_what_is_over_says_how_it_ended(store: Store) -> None:
    first = accept(store, identity="key:1")
    end(store, first.id, begin(store, first.id), State.DONE)
    assert accept(store, identity="key:1").state is State.DONE


def test_of_many_that_arrive_at_once_with_one_identity_one_is_accepted(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda _: accept(store, identity="key:1", order_key="k"), range(24)))
    assert len({each.id for each in accepted}) == 1
    assert [each.duplicate for each in accepted].count(False) == 1
    assert len(kinds(store, accepted[0].id)) == 24


# ----------------------------------------------------------------------------------------------------------- order


def numbers(store: Store, key: str) -> list[int]:
    """Return the sequence numbers of an order key."""
    with store.read() as connection:
        query = sa.select(table.c.order_seq).where(table.c.order_key == key).order_by(table.c.order_seq)
        return list(connection.execute(query).scalars())


def test_deliveries_of_one_key_are_numbered_without_gap_or_double_however_they_arrive(
    database_url: str,
) -> None:
    # Two stores are two processes to the database: each shares commits of its own.
    stores = [Store(database_url), Store(database_url)]
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(5):
            accept(stores[number % 2], order_key=f"k{(number + turn) % 2}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert numbers(stores[0], "k0") == list(range(1, 21))
    assert numbers(stores[0], "k1") == list(range(1, 21))
    for store in stores:
        store.close()


def test_a_duplicate_and_what_is_not_queued_take_no_number(store: Store) -> None:
    accept(store, order_key="k", identity="key:1")
    accept(store, order_key="k", identity="key:1")
    accept(store, order_key="k", state=State.REJECTED)
    accept(store, order_key="k", state=State.IGNORED)
    accept(store, order_key="k")
    assert numbers(store, "k") == [1, 2]


@pytest.mark.parametrize(
    ("state", "blocks", "blocked"),
    [
        (State.QUEUED, False, True),
        (State.RUNNING, False, True),
        (State.WAITING, False, True),
        (State.PARKED, False, True),
        (State.DONE, False, False),
        (State.CANCELLED, False, False),
        (State.DEAD, False, False),
        (State.DEAD, True, True),
    ],
)
def test_a_delivery_waits_for_earlier_ones_of_its_key_that_are_not_finished(
    store: Store, state: State, blocks: bool, blocked: bool
) -> None:
    first = accept(store, order_key="k").id
    if state is State.CANCELLED:
        store.commit(lambda connection: decisions.cancel(connection, first, "mia", "x"))
    elif state is not State.QUEUED:
        attempt = begin(store, first)
        if state is not State.RUNNING:
            end(store, first, attempt, state, blocks=blocks)
    second, other, of_another_rule = (
        accept(store, order_key="k").id,
        accept(store, order_key="other").id,
        accept(store, order_key="k", rule="another").id,
    )
    with store.read() as connection:
        assert deliveries.is_blocked(connection, found(store, second)) is blocked
        assert not deliveries.is_blocked(connection, found(store, first))
        assert not deliveries.is_blocked(connection, found(store, other))
        assert not deliveries.is_blocked(connection, found(store, of_another_rule))


def test_cancelling_a_dead_delivery_that_holds_its_key_lets_go_of_it(store: Store) -> None:
    first = accept(store, order_key="k").id
    end(store, first, begin(store, first), State.DEAD, blocks=True)
    second = accept(store, order_key="k").id
    store.commit(lambda connection: decisions.cancel(connection, first, "mia", "will not be mended"))
    with store.read() as connection:
        assert not deliveries.is_blocked(connection, found(store, second))


def test_a_replayed_delivery_is_in_its_old_place_again(store: Store) -> None:
    first, second = accept(store, order_key="k").id, accept(store, order_key="k").id
    end(store, first, begin(store, first), State.DEAD)
    store.commit(lambda connection: decisions.replay(connection, first, "mia", "x", from_start=False))
    with store.read() as connection:
        assert deliveries.is_blocked(connection, found(store, second))


# ------------------------------------------------------------------------------------------------- attempts and people


def test_an_attempt_that_no_longer_holds_a_delivery_cannot_end_or_renew_it(store: Store) -> None:
    delivery = accept(store).id
    first = begin(store, delivery)
    second = begin(store, delivery)
    before = kinds(store, delivery)
    with pytest.raises(Fenced):
        end(store, delivery, first, State.DONE)
    with pytest.raises(Fenced):
        store.commit(lambda connection: deliveries.renew(connection, store, delivery, first, 10.0))
    store.commit(lambda connection: deliveries.renew(connection, store, delivery, second, 10.0))
    assert kinds(store, delivery) == before
    assert (found(store, delivery).attempt, found(store, delivery).crashes) == (2, 1)


def test_a_lease_ends_with_its_time_or_with_the_boot_it_was_given_in(one_store: Store) -> None:
    delivery = accept(one_store).id
    begin(one_store, delivery)
    row = found(one_store, delivery)
    with one_store.read() as connection:
        now = one_store.now(connection)
    assert not deliveries.lease_ended(one_store, row, now)
    assert deliveries.lease_ended(one_store, row, now + 10.1)
    one_store.boot = "another boot"
    assert deliveries.lease_ended(one_store, row, now)


def test_a_delivery_that_waits_is_due_at_its_time_or_after_a_restart(one_store: Store) -> None:
    delivery = accept(one_store).id
    end(one_store, delivery, begin(one_store, delivery), State.WAITING, delay=60.0)
    row = found(one_store, delivery)
    with one_store.read() as connection:
        now = one_store.now(connection)
    assert not deliveries.is_due(one_store, row, now)
    assert deliveries.is_due(one_store, row, now + 60.1)
    one_store.boot = "another boot"
    assert deliveries.is_due(one_store, row, now)


def test_a_replay_keeps_the_run_and_begins_a_round_or_from_the_start_a_run(store: Store) -> None:
    delivery = accept(store).id
    end(store, delivery, begin(store, delivery), State.DEAD, failed=True)
    store.commit(lambda connection: decisions.replay(connection, delivery, "mia", "mended", from_start=False))
    row = found(store, delivery)
    assert (row.state, row.run, row.round, row.failures, row.attempt) == (State.QUEUED, 0, 1, 0, 1)
    end(store, delivery, begin(store, delivery), State.DEAD)
    store.commit(lambda connection: decisions.replay(connection, delivery, "mia", "once more", from_start=True))
    row = found(store, delivery)
    assert (row.state, row.run, row.round, row.attempt) == (State.QUEUED, 1, 0, 2)
    with store.read() as connection:
        entries = [entry for entry in journal.of_delivery(connection, delivery) if entry["kind"] == "delivery:replayed"]
    assert [(entry["person"], entry["why"], entry["from_start"]) for entry in entries] == [
        ("mia", "mended", False),
        ("mia", "once more", True),
    ]


def test_a_delivery_whose_payload_was_removed_is_not_replayed(store: Store) -> None:
    delivery = in_state(store, State.DEAD)
    store.commit(lambda connection: connection.execute(sa.update(table).values(payload=None)))
    with pytest.raises(TransitionRefused, match="after its retention: send it anew"):
        store.commit(lambda connection: decisions.replay(connection, delivery, "mia", "x", from_start=True))


@pytest.mark.parametrize("act", [decisions.cancel, lambda *given: decisions.replay(*given, from_start=False)])
def test_what_is_not_there_is_not_acted_on(store: Store, act: Callable[..., Any]) -> None:
    with pytest.raises(TransitionRefused, match="there is no delivery"):
        store.commit(lambda connection: act(connection, new_id(), "mia", "x"))


# --------------------------------------------------------------------------------------------------------- searching


def test_deliveries_are_listed_newest_first_by_rule_and_state_and_page(store: Store) -> None:
    ids = [accept(store).id for _ in range(5)]
    other = accept(store, rule="another").id
    begin(store, ids[0])
    with store.read() as connection:
        assert [row.id for row in deliveries.listed(connection)] == [other, *ids[::-1]]
        assert [row.id for row in deliveries.listed(connection, rule=RULE, limit=2)] == ids[:2:-1]
        assert [row.id for row in deliveries.listed(connection, rule=RULE, before=ids[3], limit=2)] == [ids[2], ids[1]]
        assert [row.id for row in deliveries.listed(connection, state="running")] == [ids[0]]
        assert deliveries.listed(connection, rule="nobody") == []


def test_a_delivery_is_found_by_the_beginning_or_the_end_of_its_id(store: Store) -> None:
    ids = [accept(store).id for _ in range(3)]
    with store.read() as connection:
        assert [row.id for row in deliveries.called(connection, ids[1][-12:])] == [ids[1]]
        assert [row.id for row in deliveries.called(connection, ids[1])] == [ids[1]]
        assert len(deliveries.called(connection, ids[1][:4])) == 2, "enough to say that it is not one"
        for nothing in ("", "%", "_", "'", "xyz", "\x00", ids[1].upper()):
            assert deliveries.called(connection, nothing) == []


TEXTS = ["a\x00b", "a\ud800b", "a\x1b[2Jb", "Ж🚀", "x" * 5000]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_any_letters_are_kept_where_people_and_errors_put_them(store: Store, text: str) -> None:
    delivery = accept(store).id
    end(store, delivery, begin(store, delivery), State.WAITING, why=text, delay=0.0)
    end(store, delivery, begin(store, delivery), State.DEAD, why=text)
    store.commit(lambda connection: decisions.replay(connection, delivery, text, text, from_start=False))
    store.commit(lambda connection: decisions.cancel(connection, delivery, text, text))
    row = found(store, delivery)
    assert row.state is State.CANCELLED
    assert row.reason is not None
    assert "\x00" not in row.reason


@pytest.mark.parametrize("text", TEXTS)
def test_what_ingress_hands_over_is_text_that_a_database_takes(store: Store, text: str) -> None:
    accepted = accept(store, state=State.REJECTED, reason=text, facts={"address": text})
    assert found(store, accepted.id).state is State.REJECTED
