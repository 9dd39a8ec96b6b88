"""Which deliveries a worker may take now: what relay and sweep ask.

A delivery is offered once (``offered_at``) and again only when its offer was dropped. Claiming it clears the offer, so
that an attempt whose lease runs out is found by the same query.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.deliveries import State
from bridge.store.engine import Store
from bridge.store.tables import deliveries


@dataclass(frozen=True, slots=True)
class Offer:
    """A delivery to put on the queue: its id, its rule and the number of the attempt that would take it."""

    delivery: str
    rule: str
    attempt: int


def _may_run(store: Store, now: float) -> sa.ColumnElement[bool]:
    table = deliveries.c
    due = sa.or_(table.not_before.is_(None), table.not_before <= now, table.boot != store.boot)
    ended = sa.or_(table.lease_until.is_(None), table.lease_until <= now, table.boot != store.boot)
    return sa.or_(
        sa.and_(table.state.in_([State.QUEUED, State.WAITING]), due),
        sa.and_(table.state == State.RUNNING, ended),
    )


def _not_blocked() -> sa.ColumnElement[bool]:
    earlier = deliveries.alias("earlier")
    blocked = sa.exists().where(
        earlier.c.rule == deliveries.c.rule,
        earlier.c.order_key == deliveries.c.order_key,
        earlier.c.order_seq < deliveries.c.order_seq,
        earlier.c.blocking == 1,
    )
    return sa.or_(deliveries.c.order_key.is_(None), sa.not_(blocked))


def unoffered(connection: sa.Connection, store: Store, paused: Collection[str], limit: int) -> list[Offer]:
    """Return what is due, free to run, of no paused rule and not yet offered, oldest first."""
    query = (
        sa.select(deliveries.c.id, deliveries.c.rule, deliveries.c.attempt)
        .where(_may_run(store, store.now(connection)), deliveries.c.offered_at.is_(None), _not_blocked())
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    if paused:
        query = query.where(deliveries.c.rule.not_in(sorted(paused)))
    return [Offer(row.id, row.rule, row.attempt + 1) for row in connection.execute(query)]


def mark(connection: sa.Connection, store: Store, offers: Sequence[Offer]) -> None:
    """Note that ``offers`` are on the queue. One that was claimed meanwhile is left alone.

    A lease that ran out is cleared, because its time may belong to an earlier boot; a worker that lives renews it.
    """
    for offer in offers:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == offer.delivery, deliveries.c.attempt == offer.attempt - 1)
            .values(offered_at=store.now(connection), boot=store.boot, not_before=None, lease_until=None)
        )


def stale(connection: sa.Connection, store: Store, seconds: float, limit: int, after: str = "") -> list[Offer]:
    """Return offers nobody took for ``seconds``: their job may have been dropped. ``after`` is the id to go on from."""
    now = store.now(connection)
    query = (
        sa.select(deliveries.c.id, deliveries.c.rule, deliveries.c.attempt)
        .where(
            deliveries.c.offered_at.is_not(None),
            deliveries.c.id > after,
            sa.or_(deliveries.c.offered_at <= now - seconds, deliveries.c.boot != store.boot),
            _may_run(store, now),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return [Offer(row.id, row.rule, row.attempt + 1) for row in connection.execute(query)]


def withdraw(
    connection: sa.Connection, *, ids: Collection[str] | None = None, rules: Collection[str] | None = None
) -> int:
    """Forget offers, only those of ``ids`` or ``rules`` if given, and return how many: the relay makes them again."""
    statement = sa.update(deliveries).where(deliveries.c.offered_at.is_not(None)).values(offered_at=None)
    if ids is not None:
        statement = statement.where(deliveries.c.id.in_(sorted(ids)))
    if rules is not None:
        statement = statement.where(deliveries.c.rule.in_(sorted(rules)))
    return connection.execute(statement).rowcount
