"""Entries by what an auditor asks for; newest last, a page at a time or as they come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bridge.store.tables import answers, checkpoint, deliveries, journal, leaf

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Filter:
    """What to show; None means any. ``verb`` is taken with or without its product, times are RFC 3339 text in UTC."""

    rule: str | None = None
    delivery: str | None = None
    account: str | None = None
    target: str | None = None
    verb: str | None = None
    outcome: str | None = None
    person: str | None = None
    kind: str | None = None
    since: str | None = None
    until: str | None = None


def moment(text: str, now: datetime | None = None) -> str:
    """Return the moment that people mean by ``text`` as RFC 3339: a date, a date and time, or an age such as ``2h``.

    Raises ``ValueError`` with what is understood.
    """
    try:
        found = _moment(text, now or datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        said = f"{text!r} is no time; write 2026-11-03, 2026-11-03T14:00+01:00 or an age such as 90m, 2h, 7d"
        raise ValueError(said) from error
    return found.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(text: str, now: datetime) -> datetime:
    if text.isascii() and text[:-1].isdigit() and text[-1:] in _UNITS:
        return now - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def entries(
    connection: sa.Connection, wanted: Filter, *, limit: int, before: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """Return the newest ``limit`` entries that fit, oldest first, each with its id; ``before`` is an id to end at."""
    query = sa.select(journal.c.id, journal.c.entry).where(*_fits(wanted))
    query = query.order_by(journal.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(journal.c.id < before)
    found = [(row.id, json.loads(row.entry)) for row in connection.execute(query)]
    return found[::-1]


def _fits(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    fits: list[sa.ColumnElement[bool]] = []
    for column in ("rule", "account", "target", "outcome", "person", "kind"):
        value = getattr(wanted, column)
        if value is not None:
            fits.append(journal.c[column] == value)
    if wanted.delivery is not None:
        # People copy the first or the last letters of an id from a table.
        fitting = sa.select(deliveries.c.id).where(
            sa.or_(
                deliveries.c.id.startswith(wanted.delivery, autoescape=True),
                deliveries.c.id.endswith(wanted.delivery, autoescape=True),
            )
        )
        fits.append(journal.c.delivery.in_(fitting))
    if wanted.verb is not None:
        products = () if "." in wanted.verb else ("jira.", "confluence.")
        names = [wanted.verb, *(product + wanted.verb for product in products)]
        fits.append(journal.c.verb.in_(names))
    if wanted.since is not None:
        fits.append(journal.c.at >= wanted.since)
    if wanted.until is not None:
        fits.append(journal.c.at < wanted.until)
    return fits


def newer(
    connection: sa.Connection, wanted: Filter, seen: frozenset[int], after: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return the entries that fit, have a number above ``after`` and were not seen, oldest first.

    On PostgreSQL an entry may be committed after one of a higher number, hence not only those above the highest seen.
    """
    query = sa.select(journal.c.id, journal.c.entry).where(journal.c.id > after, *_fits(wanted)).order_by(journal.c.id)
    return [(row.id, json.loads(row.entry)) for row in connection.execute(query) if row.id not in seen]


def highest(connection: sa.Connection) -> int:
    """Return the number of the newest entry, 0 if there is none."""
    return connection.execute(sa.select(sa.func.max(journal.c.id))).scalar_one() or 0


@dataclass(frozen=True, slots=True)
class Seal:
    """Where an entry stands in the sealed log: its leaf, its number among its rule's, the checkpoint that covers it."""

    seq: int
    rule_seq: int
    checkpoint: int | None


def seal_of(connection: sa.Connection, number: int) -> Seal | None:
    """Return where an entry is sealed, None if it waits for that."""
    row = connection.execute(sa.select(leaf.c.seq, leaf.c.rule_seq).where(leaf.c.entry == number)).one_or_none()
    if row is None:
        return None
    covering = sa.select(sa.func.min(checkpoint.c.size)).where(checkpoint.c.size > row.seq)
    return Seal(row.seq, row.rule_seq, connection.execute(covering).scalar_one())


def bodies_kept(connection: sa.Connection, entry: Mapping[str, Any]) -> dict[str, bool]:
    """Tell for each body that an entry names by digest (payload, request, answer) whether it is still kept."""
    kept: dict[str, bool] = {}
    delivery, named = entry.get("delivery"), [name for name in ("payload", "request", "answer") if name in entry]
    for name in named if delivery is not None else ():
        if name == "payload":
            query = sa.select(deliveries.c.id).where(deliveries.c.id == delivery, deliveries.c.payload.is_not(None))
        else:
            query = sa.select(answers.c.step).where(
                answers.c.delivery == delivery,
                answers.c.run == entry.get("run"),
                answers.c.step == entry.get("step"),
                answers.c.part == name,
            )
        kept[name] = connection.execute(query.limit(1)).first() is not None
    return kept


def entry(connection: sa.Connection, number: int) -> str | None:
    """Return the exact text of one entry by its id, None if there is none."""
    if not 0 <= number < 2**63:
        return None
    return connection.execute(sa.select(journal.c.entry).where(journal.c.id == number)).scalar_one_or_none()
