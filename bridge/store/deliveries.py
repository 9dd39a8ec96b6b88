"""Deliveries and their states; each change of state stands in ``TRANSITIONS`` and appends its entry in the same commit.

        queued ──> running ──> done | parked | dead
          │        │   ^  └──> waiting ──> running
          │        └───┘ (a lease ran out: the next attempt)
          └──> cancelled        dead, parked ──> queued (replay)        parked ──> waiting (decided)

``rejected`` and ``ignored`` are final from the start. A parked or dead delivery can be cancelled, which lets go of an
order key that it held. What people do to deliveries stands in ``decisions.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.errors import BridgeError, Fenced
from bridge.store.engine import Store, timestamp
from bridge.store.journal import Kind, append_fenced, append_to, as_text, digest, new_salt
from bridge.store.tables import deliveries


class State(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PARKED = "parked"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"
    IGNORED = "ignored"
    REJECTED = "rejected"


UNFINISHED = (State.QUEUED, State.RUNNING, State.WAITING, State.PARKED)

# Every change of state there is, with the entry that tells it. None: the delivery did not exist before.
TRANSITIONS: Mapping[tuple[State | None, State], Kind] = {
    (None, State.QUEUED): Kind.RECEIVED,
    (None, State.IGNORED): Kind.IGNORED,
    (None, State.REJECTED): Kind.REJECTED,
    (State.QUEUED, State.RUNNING): Kind.BEGUN,
    (State.WAITING, State.RUNNING): Kind.BEGUN,
    (State.RUNNING, State.RUNNING): Kind.BEGUN,
    (State.RUNNING, State.WAITING): Kind.WAITING,
    (State.RUNNING, State.DONE): Kind.DONE,
    (State.RUNNING, State.PARKED): Kind.PARKED,
    (State.RUNNING, State.DEAD): Kind.DEAD,
    (State.QUEUED, State.DEAD): Kind.DEAD,
    (State.WAITING, State.DEAD): Kind.DEAD,
    (State.DEAD, State.QUEUED): Kind.REPLAYED,
    (State.PARKED, State.QUEUED): Kind.REPLAYED,
    (State.PARKED, State.WAITING): Kind.RELEASED,
    (State.QUEUED, State.CANCELLED): Kind.CANCELLED,
    (State.WAITING, State.CANCELLED): Kind.CANCELLED,
    (State.PARKED, State.CANCELLED): Kind.CANCELLED,
    (State.DEAD, State.CANCELLED): Kind.CANCELLED,
}


class TransitionRefused(BridgeError):
    """A person or process asked for a change of state that the table does not have, or somebody was faster."""


@dataclass(frozen=True, slots=True)
class Received:
    """What ingress knows of a webhook it accepted; ``facts`` go into the entry (scheme, key id, version, address)."""

    id: str
    rule: str
    state: State
    payload: bytes
    identity: str | None = None
    order_key: str | None = None
    initiator: str | None = None
    reason: str | None = None
    rule_digest: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """How an acceptance ended: the delivery that stands for it, and whether it was there before."""

    id: str
    state: State
    duplicate: bool = False
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of ``deliveries``; ``payload`` is the raw body, None once it was removed."""

    id: str
    rule: str
    state: State
    run: int
    round: int
    attempt: int
    failures: int
    crashes: int
    accepted_at: str
    since: str
    identity: str | None
    order_key: str | None
    order_seq: int | None
    initiator: str | None
    reason: str | None
    result: str | None
    rule_digest: str | None
    worker: str | None
    finished_at: str | None
    boot: str | None
    lease_until: float | None
    not_before: float | None
    blocking: int
    payload: bytes | None


_FIELDS = tuple(deliveries.c[name] for name in Delivery.__dataclass_fields__)


def accept(connection: sa.Connection, received: Received) -> Accepted:
    """Insert a delivery, or find the one with the same identity; the entry goes into the same commit."""
    salt = new_salt()
    now = timestamp()
    values = {
        "id": received.id,
        "rule": received.rule,
        "identity": _kept(received.identity),
        "payload": received.payload,
        "salt": salt,
        "payload_digest": digest(salt, received.payload),
        "initiator": _kept(received.initiator),
        "state": str(received.state),
        "blocking": int(received.state is State.QUEUED),
        "accepted_at": now,
        "since": now,
        "reason": _kept(received.reason),
        "rule_digest": received.rule_digest,
        "finished_at": None if received.state is State.QUEUED else now,
    }
    if received.order_key is not None and received.state is State.QUEUED:
        values |= {"order_key": _kept(received.order_key), "order_seq": _next_in_order(connection, received)}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(deliveries).values(**values).on_conflict_do_nothing(index_elements=["rule", "identity"])
    if connection.execute(statement.returning(deliveries.c.id)).first() is None:
        return _duplicate(connection, received)
    append_to(
        connection,
        received.id,
        TRANSITIONS[None, received.state],
        payload=values["payload_digest"],
        bytes=len(received.payload),
        initiator=received.initiator,
        why=received.reason,
        rule_digest=received.rule_digest,
        **received.facts,
    )
    return Accepted(received.id, received.state)


def _next_in_order(connection: sa.Connection, received: Received) -> int:
    """Give the next number of (rule, key): SQLite has one writer anyway, PostgreSQL locks the key until the commit."""
    if connection.dialect.name == "postgresql":
        name = f"{received.rule}\n{_kept(received.order_key)}"
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    query = sa.select(sa.func.max(deliveries.c.order_seq)).where(
        deliveries.c.rule == received.rule, deliveries.c.order_key == _kept(received.order_key)
    )
    return int(connection.execute(query).scalar_one() or 0) + 1


def _duplicate(connection: sa.Connection, received: Received) -> Accepted:
    first = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.state, deliveries.c.salt, deliveries.c.payload_digest).where(
            deliveries.c.rule == received.rule, deliveries.c.identity == _kept(received.identity)
        )
    ).one()
    # A body that was removed after its retention took its salt with it, so nothing can be compared with it any more.
    differs = bool(first.salt) and digest(first.salt, received.payload) != first.payload_digest
    append_to(connection, first.id, Kind.DUPLICATE, differs=differs, **received.facts)
    return Accepted(first.id, State(first.state), duplicate=True, differs=differs)


def get(connection: sa.Connection, delivery: str, *, lock: bool = False) -> Delivery | None:
    """Return a delivery, with ``lock`` holding its row until the commit."""
    query = sa.select(*_FIELDS).where(deliveries.c.id == delivery)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _delivery(row)


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "state": State(row.state)})  # noqa: SLF001 - SQLAlchemy's public name for it


def is_blocked(connection: sa.Connection, delivery: Delivery) -> bool:
    """Tell whether an earlier delivery of the same order key still has to finish."""
    if delivery.order_key is None:
        return False
    query = sa.select(deliveries.c.id).where(
        deliveries.c.rule == delivery.rule,
        deliveries.c.order_key == delivery.order_key,
        deliveries.c.order_seq < delivery.order_seq,
        deliveries.c.blocking == 1,
    )
    return connection.execute(query.limit(1)).first() is not None


def lease_ended(store: Store, delivery: Delivery, now: float) -> bool:
    """Tell whether a running delivery's worker gave no sign for its lease, or the machine was started anew."""
    return delivery.boot != store.boot or delivery.lease_until is None or delivery.lease_until <= now


def is_due(store: Store, delivery: Delivery, now: float) -> bool:
    """Tell whether a delivery that waits for a time may go on."""
    return delivery.not_before is None or delivery.boot != store.boot or delivery.not_before <= now


def begin(
    connection: sa.Connection,
    store: Store,
    delivery: Delivery,
    *,
    worker: str,
    lease: float,
    rule_digest: str,
    **members: object,
) -> int:
    """Give ``delivery``, whose row is locked, to ``worker`` for ``lease`` seconds; return the attempt's number."""
    attempt = delivery.attempt + 1
    crashed = delivery.state is State.RUNNING
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery.id)
        .values(
            state=str(State.RUNNING),
            attempt=attempt,
            crashes=deliveries.c.crashes + int(crashed),
            worker=as_text(worker),
            boot=store.boot,
            lease_until=store.now(connection) + lease,
            not_before=None,
            offered_at=None,
            reason=None,
            rule_digest=rule_digest,
        )
    )
    append_fenced(
        connection,
        delivery.id,
        attempt,
        TRANSITIONS[delivery.state, State.RUNNING],
        worker=worker,
        rule_digest=rule_digest,
        why=f"attempt {delivery.attempt} gave no sign of life" if crashed else None,
        **members,
    )
    return attempt


def postpone(connection: sa.Connection, store: Store, delivery: str, seconds: float) -> None:
    """Have a queued or waiting delivery, whose row is locked, offered again in ``seconds``; its state stays."""
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(offered_at=None, not_before=store.now(connection) + seconds, boot=store.boot)
    )


def renew(connection: sa.Connection, store: Store, delivery: str, attempt: int, lease: float) -> None:
    """Extend an attempt's lease. Raises ``Fenced`` if it no longer holds the delivery."""
    held = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.attempt == attempt, deliveries.c.state == str(State.RUNNING))
        .values(lease_until=store.now(connection) + lease, boot=store.boot)
    )
    if held.rowcount == 0:
        raise Fenced(f"attempt {attempt} no longer holds delivery {delivery}")


def end_attempt(
    connection: sa.Connection,
    store: Store,
    delivery: str,
    attempt: int,
    state: State,
    *,
    why: str | None,
    delay: float | None = None,
    failed: bool = False,
    crashed: bool = False,
    result: str | None = None,
    blocks: bool = False,
    **members: object,
) -> None:
    """Move a running delivery to ``state`` at the end of ``attempt``.

    ``delay`` in seconds makes it wait; ``failed`` counts a failure, ``crashed`` an attempt that just vanished;
    ``blocks`` says that a dead delivery goes on holding its order key. Raises ``Fenced`` if the attempt no longer holds
    the delivery.
    """
    append_fenced(
        connection, delivery, attempt, TRANSITIONS[State.RUNNING, state], why=why, delay=_whole(delay), **members
    )
    final = state in {State.DONE, State.DEAD}
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(
            state=str(state),
            worker=None,
            boot=store.boot,
            lease_until=None,
            not_before=None if delay is None else store.now(connection) + delay,
            offered_at=None,
            failures=deliveries.c.failures + int(failed),
            crashes=deliveries.c.crashes + int(crashed),
            reason=_kept(why),
            result=result,
            finished_at=timestamp() if final else None,
            blocking=int(state in UNFINISHED or (state is State.DEAD and blocks)),
        )
    )


def forget_reads(connection: sa.Connection, delivery: str) -> None:
    """Begin a new run of a delivery that has written nothing yet: its next attempt reads afresh."""
    connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(run=deliveries.c.run + 1))


def _kept(text: str | None) -> str | None:
    return None if text is None else as_text(text)


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def end_unclaimed(connection: sa.Connection, delivery: Delivery, why: str, *, blocks: bool) -> None:
    """Make a queued or waiting delivery, whose row is locked, dead: its rule is gone or it waited too long."""
    kind = TRANSITIONS.get((delivery.state, State.DEAD))
    if kind is None:
        raise TransitionRefused(f"delivery {delivery.id} is {delivery.state} and cannot become dead")
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery.id)
        .values(
            state=str(State.DEAD), reason=_kept(why), finished_at=timestamp(), offered_at=None, blocking=int(blocks)
        )
    )
    append_to(connection, delivery.id, kind, why=why)


def age(delivery: Delivery) -> float:
    """Return the seconds since the delivery was accepted or last replayed."""
    since = datetime.fromisoformat(delivery.since)
    return (datetime.now(UTC) - since).total_seconds()


def result_of(delivery: Delivery) -> object:
    """Return what the handler returned, None if nothing."""
    return None if delivery.result is None else json.loads(delivery.result)


def listed(
    connection: sa.Connection,
    *,
    rule: str | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Return deliveries, newest first; ``before`` is the id to go on from."""
    query = sa.select(*_FIELDS).order_by(deliveries.c.id.desc()).limit(limit)
    if rule is not None:
        query = query.where(deliveries.c.rule == rule)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [_delivery(row) for row in connection.execute(query)]


def called(connection: sa.Connection, text: str) -> list[Delivery]:
    """Return up to two deliveries whose id begins or ends with ``text``, as people copy it from a table."""
    if not text or not set(text) <= set("0123456789abcdef-"):
        return []
    fits = sa.or_(deliveries.c.id.startswith(text), deliveries.c.id.endswith(text))
    return [_delivery(row) for row in connection.execute(sa.select(*_FIELDS).where(fits).limit(2))]
