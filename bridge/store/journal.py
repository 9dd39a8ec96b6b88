"""The journal: what was intended and what became of it, appended and never changed; it is the audit log.

An entry is one canonical JSON text (RFC 8785 for the values we allow: text, whole numbers, booleans, null, lists and
objects with ASCII names). That text is what is sealed; the columns beside it repeat members for searching and are
derived from it, so they cannot disagree when written. The id of each goes into ``unsealed`` too, for the sealer.

Attempts append through ``append_fenced``: the same statement that numbers the entry checks that the attempt still holds
the delivery, so that an attempt which lost its lease can write nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from bridge.errors import Fenced
from bridge.store.engine import timestamp
from bridge.store.tables import deliveries, journal, unsealed


class Kind(StrEnum):
    """What an entry tells, as ``subject:fact``."""

    RECEIVED = "delivery:received"
    DUPLICATE = "delivery:duplicate"
    IGNORED = "delivery:ignored"
    REJECTED = "delivery:rejected"
    WAITING = "delivery:waiting"
    PARKED = "delivery:parked"
    DONE = "delivery:done"
    DEAD = "delivery:dead"
    REPLAYED = "delivery:replayed"
    CANCELLED = "delivery:cancelled"
    RELEASED = "delivery:decided"
    BEGUN = "attempt:begun"
    FAILED = "attempt:failed"
    LOG = "handler:log"
    READ = "step:read"
    INTENT = "step:intent"
    RESENT = "step:resent"
    UNSENT = "step:unsent"
    OUTCOME = "step:outcome"
    REFUSED = "step:refused"
    OBSERVED = "step:observed"
    DECIDED = "step:decided"
    RULE_LOADED = "rule:loaded"
    RULE_REMOVED = "rule:removed"
    PAUSED = "pause:set"
    RESUMED = "pause:lifted"
    ACCOUNT_SEEN = "account:seen"
    TOKEN_MINTED = "token:minted"  # noqa: S105 - a kind of entry, no password
    LOG_BEGUN = "audit:begun"
    KEY_ROTATED = "audit:rotated"
    LOG_RESTORED = "audit:restored"
    HEARTBEAT = "audit:heartbeat"
    EXPORTED = "audit:exported"
    REMOVED = "audit:removed"


CLOSED = (Kind.READ, Kind.OUTCOME, Kind.REFUSED, Kind.OBSERVED, Kind.DECIDED)
COLUMNS = ("delivery", "n", "run", "round", "attempt", "step", "rule", "account", "verb", "target", "outcome", "person")
TEXT_LIMIT = 2000
# Where a step stands: delivery, run, number of the step.
Place = tuple[str, int, int]


def canonical(value: object) -> str:
    """Return ``value`` as canonical JSON text.

    Raises ``TypeError`` for a float or an object: entries hold neither, because their text form is not the same
    everywhere (RFC 8785 section 3.2.2.3).
    """
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        # A lone surrogate is no Unicode text and no database takes it.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    raise TypeError(f"a journal entry cannot hold {type(value).__name__}")


def digest(salt: bytes, body: bytes) -> str:
    """Return the salted digest by which an entry names a body that it does not hold."""
    return "sha256:" + hashlib.sha256(salt + body).hexdigest()


def new_salt() -> bytes:
    """Return 16 random bytes: with them gone, a digest of a deleted body cannot be guessed."""
    return os.urandom(16)


def append(connection: sa.Connection, kind: Kind, **members: object) -> int:
    """Append an entry that belongs to no delivery (a rule, a pause, a token) and return its id."""
    return _insert(connection, kind, members)


def append_to(connection: sa.Connection, delivery: str, kind: Kind, **members: object) -> int:
    """Append an entry to ``delivery`` on behalf of nobody's attempt: acceptance, sweep or a person."""
    row = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(entries=deliveries.c.entries + 1)
        .returning(deliveries.c.entries, deliveries.c.rule, deliveries.c.run, deliveries.c.round)
    ).one()
    return _insert(connection, kind, {**_place(delivery, row), **members})


def append_fenced(connection: sa.Connection, delivery: str, attempt: int, kind: Kind, **members: object) -> int:
    """Append an entry for ``attempt``.

    Raises ``Fenced`` if another attempt holds the delivery or it ended; then nothing was appended.
    """
    row = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.attempt == attempt, deliveries.c.state == "running")
        .values(entries=deliveries.c.entries + 1)
        .returning(deliveries.c.entries, deliveries.c.rule, deliveries.c.run, deliveries.c.round)
    ).one_or_none()
    if row is None:
        raise Fenced(f"attempt {attempt} no longer holds delivery {delivery}")
    return _insert(connection, kind, {**_place(delivery, row), "attempt": attempt, **members})


def append_late_outcome(connection: sa.Connection, delivery: str, attempt: int, step: int, **members: object) -> bool:
    """Append the outcome of ``attempt``'s own intent although the attempt is fenced; return False if one stands there.

    The answer did come, and an answer that was seen must not be lost: it is what proves the effect.
    """
    row = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(entries=deliveries.c.entries + 1)
        .returning(deliveries.c.entries, deliveries.c.rule, deliveries.c.run, deliveries.c.round)
    ).one()
    entries = connection.execute(
        sa.select(journal.c.kind, journal.c.attempt).where(
            journal.c.delivery == delivery,
            journal.c.run == row.run,
            journal.c.round == row.round,
            journal.c.step == step,
        )
    ).all()
    sent_by = [entry.attempt for entry in entries if entry.kind in (Kind.INTENT, Kind.RESENT)]
    if not sent_by or sent_by[-1] != attempt or any(entry.kind == Kind.OUTCOME for entry in entries):
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == delivery).values(entries=deliveries.c.entries - 1)
        )
        return False
    _insert(
        connection, Kind.OUTCOME, {**_place(delivery, row), "attempt": attempt, "step": step, "late": True, **members}
    )
    return True


def _place(delivery: str, row: sa.Row[Any]) -> dict[str, object]:
    return {"delivery": delivery, "n": row.entries, "rule": row.rule, "run": row.run, "round": row.round}


def _insert(connection: sa.Connection, kind: Kind, members: Mapping[str, object]) -> int:
    entry: dict[str, object] = {"v": 1, "kind": str(kind), "at": timestamp()}
    entry.update({name: short(value) for name, value in members.items() if value is not None})
    columns = {name: _column(entry[name]) for name in COLUMNS if name in entry}
    made = sa.insert(journal).values(at=entry["at"], kind=str(kind), entry=canonical(entry), **columns)
    if connection.dialect.name == "postgresql":
        # Both in one statement: a second way to the server and back would be most of an append's cost.
        new = made.returning(journal.c.id).cte("new")
        both = sa.insert(unsealed).from_select(["entry"], sa.select(new.c.id)).returning(unsealed.c.entry)
        return int(connection.execute(both).scalar_one())
    number = int(connection.execute(made).inserted_primary_key[0])  # type: ignore[index]  # one row has its key
    connection.execute(sa.insert(unsealed).values(entry=number))
    return number


def short(value: object) -> object:
    """Return text as an entry keeps it: at most 2,000 letters of it."""
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        return value[:TEXT_LIMIT] + "…"
    return value


def _column(value: object) -> object:
    return as_text(value) if isinstance(value, str) else value


def as_text(value: str) -> str:
    """Return text that every database takes: PostgreSQL's holds no NUL, and a lone surrogate is no Unicode text.

    In an entry both are safe already, because JSON escapes the one and ``canonical`` the other.
    """
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\u0000")


def rule_of(entry: str) -> str:
    """Return the rule that an entry's text names, empty if it names none, also where somebody spoilt the text."""
    try:
        said = json.loads(entry)
    except ValueError:
        return ""
    return as_text(str(said.get("rule", ""))) if isinstance(said, dict) else ""


def steps(connection: sa.Connection, delivery: str, run: int, step: int | None = None) -> list[dict[str, Any]]:
    """Return the step entries of one run in order, of one step if given."""
    query = sa.select(journal.c.entry).where(
        journal.c.delivery == delivery, journal.c.run == run, journal.c.step.is_not(None)
    )
    if step is not None:
        query = query.where(journal.c.step == step)
    return [json.loads(row.entry) for row in connection.execute(query.order_by(journal.c.n))]


def last_step(connection: sa.Connection, delivery: str, run: int) -> int:
    """Return the highest step number of a run that has an entry, 0 if none has."""
    query = sa.select(sa.func.max(journal.c.step)).where(journal.c.delivery == delivery, journal.c.run == run)
    return connection.execute(query).scalar_one() or 0


def settling(connection: sa.Connection, delivery: str, step: int, boot: str) -> int | None:
    """Return when (``Store.now`` of this boot) a step began to settle last, None if that was in another boot."""
    query = (
        sa.select(journal.c.entry)
        .where(journal.c.delivery == delivery, journal.c.step == step)
        .where(journal.c.kind.in_([Kind.INTENT, Kind.RESENT, Kind.WAITING]))
        .order_by(journal.c.n.desc())
    )
    for row in connection.execute(query):
        entry = json.loads(row.entry)
        if entry.get("boot") == boot and "clock" in entry:
            return int(entry["clock"])
    return None


def keys_used(connection: sa.Connection, rule: str | None) -> list[dict[str, Any]]:
    """Return when each key and token version last opened a rule: rule, scheme, key, version, last_used."""
    kinds = [Kind.RECEIVED, Kind.IGNORED, Kind.REJECTED, Kind.DUPLICATE]
    query = sa.select(journal.c.entry).where(journal.c.kind.in_(kinds)).order_by(journal.c.id)
    if rule is not None:
        query = query.where(journal.c.rule == rule)
    used: dict[tuple[Any, ...], str] = {}
    for row in connection.execution_options(stream_results=True).execute(query):
        entry = json.loads(row.entry)
        used[entry["rule"], entry.get("scheme"), entry.get("key"), entry.get("token_version")] = entry["at"]
    names = ("rule", "scheme", "key", "version")
    return [dict(zip(names, opened, strict=True)) | {"last_used": at} for opened, at in sorted(used.items(), key=str)]


def references(connection: sa.Connection, verb: str, target: str, besides: Place) -> frozenset[str]:
    """Return what the outcomes of a verb at a target name as made, over all deliveries, the step ``besides`` left out.

    What a person decided to have been made is an outcome like any other. An attempt that was fenced may have appended
    that step's own outcome a moment ago.
    """
    delivery, run, step = besides
    own = sa.and_(journal.c.delivery == delivery, journal.c.run == run, journal.c.step == step)
    query = sa.select(journal.c.entry).where(
        journal.c.target == target,
        journal.c.verb == verb,
        journal.c.kind.in_([Kind.OUTCOME, Kind.DECIDED]),
        sa.not_(own),
    )
    entries = (json.loads(row.entry) for row in connection.execute(query))
    return frozenset(str(entry["ref"]) for entry in entries if "ref" in entry)


def sendings(connection: sa.Connection, delivery: str, run: int, step: int, attempt: int) -> int:
    """Count how often an attempt set out to send a step."""
    query = sa.select(sa.func.count()).where(
        journal.c.delivery == delivery,
        journal.c.run == run,
        journal.c.step == step,
        journal.c.attempt == attempt,
        journal.c.kind.in_([Kind.INTENT, Kind.RESENT]),
    )
    return int(connection.execute(query).scalar_one())


def observed(connection: sa.Connection, delivery: str, run: int) -> bool:
    """Tell whether a run has a write that was only observed."""
    query = sa.select(journal.c.id).where(
        journal.c.delivery == delivery, journal.c.run == run, journal.c.kind == str(Kind.OBSERVED)
    )
    return connection.execute(query.limit(1)).first() is not None


def is_taken(connection: sa.Connection, verb: str, target: str, ref: object, place: Place) -> bool:
    """Tell whether another step's outcome names the same reference; what asks so next waits for this commit."""
    if connection.dialect.name == "postgresql":
        name = f"found\n{verb}\n{target}"
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    return str(ref) in references(connection, verb, target, place)


def has_outcome(connection: sa.Connection, place: Place, round_: int) -> bool:
    """Tell whether a step's outcome is known in a round; it may have come late, from an attempt that was fenced."""
    delivery, run, step = place
    query = sa.select(journal.c.id).where(
        journal.c.delivery == delivery,
        journal.c.run == run,
        journal.c.round == round_,
        journal.c.step == step,
        journal.c.kind == str(Kind.OUTCOME),
    )
    return connection.execute(query.limit(1)).first() is not None


def writes(connection: sa.Connection, delivery: str, run: int, *, besides: int = 0) -> int:
    """Count the steps of a run that wrote or, observed, would have written, all but the step ``besides``."""
    query = sa.select(sa.func.count(sa.distinct(journal.c.step))).where(
        journal.c.delivery == delivery,
        journal.c.run == run,
        journal.c.kind.in_([Kind.INTENT, Kind.OBSERVED]),
        journal.c.step != besides,
    )
    return int(connection.execute(query).scalar_one())


def count(connection: sa.Connection, delivery: str, kind: Kind) -> int:
    """Count a delivery's entries of one kind."""
    query = sa.select(sa.func.count()).where(journal.c.delivery == delivery, journal.c.kind == str(kind))
    return int(connection.execute(query).scalar_one())


def of_delivery(connection: sa.Connection, delivery: str) -> list[dict[str, Any]]:
    """Return every entry of a delivery in order."""
    query = sa.select(journal.c.entry).where(journal.c.delivery == delivery).order_by(journal.c.n)
    return [json.loads(row.entry) for row in connection.execute(query)]


_QUIET = frozenset({"v", "kind", "at", "delivery", "n", "rule", "run", "round", "attempt", "step", "verb", "target",
                    "account", "outcome", "person", "why", "request", "answer", "salt", "trace", "site",
                    "operation", "method", "path", "container", "marker", "boot", "clock", "worker", "files",
                    "label", "bytes", "serves", "targets", "bridge"})  # fmt: skip


# In each step's entry, so that it stands by itself, and told to readers once, with the attempt.
_TOLD_ONCE = frozenset({"rule_digest", "initiator"})


def line(entry: Mapping[str, Any]) -> str:
    """Render an entry as one line for people, without its time and delivery.

    The same text is what tests of rules expect, so it changes only on purpose.
    """
    who = entry.get("person") or entry.get("account")
    parts = [str(entry["kind"])]
    if "step" in entry:
        parts.append(f"#{entry['step']}")
    parts.extend(str(entry[name]) for name in ("verb", "target", "outcome") if name in entry)
    if who:
        parts.append(f"by {who}")
    if entry.get("person") and entry.get("account"):
        parts.append(f"account={entry['account']}")
    quiet = _QUIET | _TOLD_ONCE if str(entry["kind"]).startswith("step:") else _QUIET
    parts.extend(f"{name}={_word(value)}" for name, value in entry.items() if name not in quiet)
    if entry.get("why"):
        parts.append(f"({_printable(str(entry['why']))})")
    return " ".join(_printable(part) for part in parts)


def _word(value: object) -> str:
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[7:19]
    return value if isinstance(value, str) and " " not in value else canonical(value)


def _printable(text: str) -> str:
    """A terminal obeys control characters; a log line must not carry orders from a webhook."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def lines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Render entries, see ``line``."""
    return [line(entry) for entry in entries]
