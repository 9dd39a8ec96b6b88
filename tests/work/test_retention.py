"""Bodies are removed when they were kept long enough, and the log goes on to verify and says how many."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.store import Store, answers, deliveries, journal
from bridge.store.answers import Step
from bridge.store.deliveries import Delivery, State
from bridge.store.journal import Kind
from bridge.store.tables import answers as answers_table
from bridge.store.tables import deliveries as table
from bridge.store.tables import journal as entries
from bridge.work.retention import BATCH, Retention

Accept = Callable[..., str]
PAYLOAD = b"personal data"


@pytest.fixture
def kept(store: Store, accept: Accept) -> Callable[..., str]:
    """Make a delivery in some state that ended some days ago, with recorded answers."""

    def make(state: State = State.DONE, days: float = 31) -> str:
        delivery = accept(store, "some_rule")
        at = (datetime.now(UTC) - timedelta(days=days)).isoformat().replace("+00:00", "Z")
        ended = None if state in deliveries.UNFINISHED else at

        def work(connection: sa.Connection) -> None:
            for part in (answers.REQUEST, answers.ANSWER):
                answers.keep(connection, Step(delivery, 0, 0, 1), part, PAYLOAD)
            connection.execute(
                sa.update(table)
                .where(table.c.id == delivery)
                .values(state=str(state), payload=PAYLOAD, result='"personal"', finished_at=ended, accepted_at=at)
            )

        store.commit(work)
        return delivery

    return make


def row(store: Store, delivery: str) -> Delivery:
    """Return a delivery."""
    with store.read() as connection:
        found = deliveries.get(connection, delivery)
    assert found is not None
    return found


def kept_answers(store: Store) -> list[Any]:
    """Return of which deliveries answers are kept."""
    with store.read() as connection:
        return list(connection.execute(sa.select(answers_table.c.delivery).distinct()).scalars())


@pytest.mark.parametrize("state", [State.DONE, State.DEAD, State.CANCELLED, State.IGNORED, State.REJECTED])
def test_bodies_of_what_ended_long_ago_go_with_their_salts(
    store: Store, kept: Callable[..., str], state: State
) -> None:
    old, young = kept(state, days=31), kept(state, days=29)
    assert Retention(store, 30).once() == 1
    assert (row(store, old).payload, row(store, old).result) == (None, None)
    assert row(store, young).payload == PAYLOAD
    assert kept_answers(store) == [young]
    with store.read() as connection:
        assert connection.execute(sa.select(table.c.salt).where(table.c.id == old)).scalar_one() == b""
    assert Retention(store, 30).once() == 0


@pytest.mark.parametrize("state", [State.PARKED, State.WAITING, State.QUEUED, State.RUNNING])
def test_what_is_not_finished_keeps_its_bodies_however_old_it_is(
    store: Store, kept: Callable[..., str], state: State
) -> None:
    delivery = kept(state, days=400)
    assert Retention(store, 30).once() == 0
    assert row(store, delivery).payload == PAYLOAD
    assert kept_answers(store) == [delivery]


def test_an_entry_says_how_many_and_none_is_made_where_nothing_was_due(store: Store, kept: Callable[..., str]) -> None:
    kept()
    kept()
    retention = Retention(store, 7)
    retention.once()
    retention.once()
    with store.read() as connection:
        text = connection.execute(sa.select(entries.c.entry).where(entries.c.kind == str(Kind.REMOVED))).scalar_one()
    assert '"days":7,"deliveries":2,' in text


def test_many_are_removed_in_small_transactions(store: Store, accept: Accept) -> None:
    ended = (datetime.now(UTC) - timedelta(days=31)).isoformat().replace("+00:00", "Z")
    for _ in range(BATCH + 5):
        accept(store, "some_rule")
    values = {"state": "done", "finished_at": ended}
    store.commit(lambda connection: connection.execute(sa.update(table).values(**values)))
    assert Retention(store, 30).once() == BATCH + 5
    with store.read() as connection:
        query = sa.select(sa.func.count()).select_from(entries).where(entries.c.kind == str(Kind.REMOVED))
        assert connection.execute(query).scalar_one() == 2


def test_the_entries_themselves_stay(store: Store, kept: Callable[..., str]) -> None:
    delivery = kept()
    with store.read() as connection:
        before = journal.of_delivery(connection, delivery)
    Retention(store, 30).once()
    with store.read() as connection:
        assert journal.of_delivery(connection, delivery) == before
