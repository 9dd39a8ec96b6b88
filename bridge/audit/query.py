"""Entries by what an auditor asks for; newest last, a page at a time."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bridge.store.tables import deliveries, journal

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
    query = sa.select(journal.c.id, journal.c.entry).order_by(journal.c.id.desc()).limit(limit)
    for column in ("rule", "account", "target", "outcome", "person", "kind"):
        value = getattr(wanted, column)
        if value is not None:
            query = query.where(journal.c[column] == value)
    if wanted.delivery is not None:
        # People copy the first or the last letters of an id from a table.
        fitting = sa.select(deliveries.c.id).where(
            sa.or_(
                deliveries.c.id.startswith(wanted.delivery, autoescape=True),
                deliveries.c.id.endswith(wanted.delivery, autoescape=True),
            )
        )
        query = query.where(journal.c.delivery.in_(fitting))
    if wanted.verb is not None:
        products = () if "." in wanted.verb else ("jira.", "confluence.")
        names = [wanted.verb, *(product + wanted.verb for product in products)]
        query = query.where(journal.c.verb.in_(names))
    if wanted.since is not None:
        query = query.where(journal.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(journal.c.at < wanted.until)
    if before is not None:
        query = query.where(journal.c.id < before)
    found = [(row.id, json.loads(row.entry)) for row in connection.execute(query)]
    return found[::-1]


def entry(connection: sa.Connection, number: int) -> str | None:
    """Return the exact text of one entry by its id, None if there is none."""
    if not 0 <= number < 2**63:
        return None
    return connection.execute(sa.select(journal.c.entry).where(journal.c.id == number)).scalar_one_or_none()
