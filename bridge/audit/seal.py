"""The sealer: gives each new entry its place in the log and signs what the log stands at.

    journal + unsealed ──> leaf (seq 0, 1, 2 …; rule_seq 1, 2 … for each rule) ──> tree ──> signed checkpoint

Writers never wait for it. All of a turn is one transaction: it is made or not, wherever the sealer dies. Two sealers at
once cannot fork the log: SQLite lets one write at a time, PostgreSQL is asked for a lock, and ``leaf.seq`` is a primary
key. A sealer goes on only from a state that fits what it signed before, so that a restored or cut database stops it
instead of being sealed over.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from bridge.audit import turn
from bridge.audit.keys import KeyProblem, Keys
from bridge.audit.note import Checkpoint, Note, NoteInvalid, Signer
from bridge.audit.turn import BATCH, Order, SealRefused
from bridge.store import Store, journal
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint, unsealed
from bridge.store.tables import journal as entries

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
HEARTBEAT_SECONDS = 3600.0


class Sealer:
    """Seals what is new each time it is asked to; with nothing new for an hour it adds a heartbeat."""

    name = "audit.seal"
    every = EVERY_SECONDS

    def __init__(self, store: Store, keys: Keys, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._store = store
        self._keys = keys
        self._heartbeat = heartbeat
        self._beat = time.monotonic()
        self._said = ""

    def once(self) -> int:
        """Seal everything that waits and return how many leaves that made.

        Raises ``StoreUnavailable``. Without a key, or where ``SealRefused`` applies, it says so in the log, once.
        """
        if not self._keys.exist():
            self._say("audit.unsealed: there is no sealing key, so entries wait: run `bridge audit init`")
            return 0
        try:
            made = self._seal()
        except (SealRefused, NoteInvalid, KeyProblem) as error:
            self._say(f"audit.not_sealed: {error}")
            return 0
        self._said = ""
        return made

    def _say(self, text: str) -> None:
        if text != self._said:
            log.error("%s", text)
            self._said = text

    def _seal(self) -> int:
        made = 0
        while True:
            beats = self._is_silent()
            if not beats and not _something_waits(self._store):
                return made
            recover(self._store, self._keys)
            signer = self._keys.read()
            order = Order([signer], signer.key, self._keys.last())
            order.first = [(Kind.HEARTBEAT, {})] if beats else []
            sealed = self._store.commit(lambda connection, order=order: turn.take(connection, order))  # type: ignore[misc]
            if sealed is None:
                return made
            self._keys.keep_last(sealed.note)
            self._beat = time.monotonic()
            made += sealed.added
            if sealed.added < BATCH:
                return made

    def _is_silent(self) -> bool:
        """Tell whether a heartbeat is due; by the clock since boot, and by the wall clock over restarts."""
        if time.monotonic() - self._beat >= self._heartbeat:
            return True
        with self._store.read() as connection:
            at = connection.execute(sa.select(checkpoint.c.at).order_by(checkpoint.c.size.desc()).limit(1)).scalar()
        if at is None:
            return False
        return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() >= self._heartbeat


def begin(store: Store, keys: Keys, name: str, person: str) -> Signer:
    """Make the first key of a log, and an entry that says who made it. The clock seals what waits from then on.

    Raises ``SealRefused`` if the log was sealed before, ``KeyProblem`` if there is a key, ``NoteInvalid`` for a name.
    """
    if state(store, keys).size:
        raise SealRefused("this log was sealed with a key that is not here: bring it back, or begin a new origin")
    signer = keys.make(name)
    members = {"person": person, "origin": name, "vkey": str(signer.verifier)}
    store.commit(lambda connection: journal.append(connection, Kind.LOG_BEGUN, **members))
    return signer


def rotate(store: Store, keys: Keys, person: str, why: str | None = None) -> Signer:
    """Replace the key by a new one of the same name; both sign the checkpoint that says so. Return the new key.

    Raises ``KeyProblem``, ``SealRefused``, ``StoreUnavailable``; then the old key stays in force.
    """
    recover(store, keys)
    Sealer(store, keys).once()
    old = keys.read()
    new = keys.successor(old.key.name)
    members = {"person": person, "why": why, "vkey": str(new.verifier), "previous": str(old.verifier)}
    order = Order([old, new], old.key, keys.last(), first=[(Kind.KEY_ROTATED, members)])
    _succeed(store, keys, order)
    return new


def new_origin(store: Store, keys: Keys, person: str, why: str, name: str | None = None) -> Signer:
    """Begin a new log on a restored database, or where the key was lost; return its key.

    The leaves that are there stay as they are, and the next checkpoint has another origin: outside copies of the former
    one then tell up to where both agree. ``name`` must differ from the former; None counts it up (see ``next_name``).
    Raises ``KeyProblem``, ``NoteInvalid``, ``SealRefused``, ``StoreUnavailable``.
    """
    recover(store, keys)
    old = keys.read() if keys.exist() else None
    before = state(store, keys)
    former = old.key.name if old is not None else before.origin
    if name is None and former is None:
        raise SealRefused("nothing was sealed yet: `bridge audit init` begins a log")
    chosen = name or next_name(str(former))
    if chosen == former:
        raise SealRefused(f"the new origin must differ from the former one, {former}")
    known = turn.read(keys.last())
    new = keys.successor(chosen)
    members = {
        "person": person,
        "why": why,
        "origin": chosen,
        "former": former,
        "vkey": str(new.verifier),
        "previous": None if old is None else str(old.verifier),
        "size": before.size,
        "signed_before": None if known is None else known.size,
    }
    signers = [new] if old is None else [old, new]
    order = Order(signers, None, None, first=[(Kind.LOG_RESTORED, members)])
    _succeed(store, keys, order)
    return new


def next_name(name: str) -> str:
    """Return the name of the log that follows one: ``example.com/log`` → ``example.com/log/2`` → ``…/3``."""
    stem, slash, number = name.rpartition("/")
    if slash and number.isascii() and number.isdigit():
        return f"{stem}/{int(number) + 1}"
    return f"{name}/2"


def recover(store: Store, keys: Keys) -> None:
    """Bring a change of the key to its end that was cut off between its checkpoint and its file."""
    waiting = keys.waiting()
    if waiting is None:
        return
    with store.read() as connection:
        last = turn.last_checkpoint(connection)
    if last is not None and turn.holder_of(last.note) == waiting.key:
        keys.succeed()
        keys.keep_last(last.note)


def _succeed(store: Store, keys: Keys, order: Order) -> None:
    order.limit, order.patient = None, True
    sealed = store.commit(lambda connection: turn.take(connection, order))
    if sealed is not None:
        keys.succeed()
        keys.keep_last(sealed.note)


@dataclass(frozen=True, slots=True)
class SealState:
    """How the log is sealed: ``waiting`` entries are not; ``oldest`` is when the first of them was written."""

    has_key: bool
    origin: str | None
    size: int
    at: str | None
    waiting: int
    oldest: str | None


def state(store: Store, keys: Keys) -> SealState:
    """Return how the log is sealed. Raises ``StoreUnavailable``."""
    with store.read() as connection:
        last = turn.last_checkpoint(connection)
        waiting = connection.execute(sa.select(sa.func.count()).select_from(unsealed)).scalar_one()
        first = sa.select(sa.func.min(unsealed.c.entry)).scalar_subquery()
        oldest = connection.execute(sa.select(entries.c.at).where(entries.c.id == first)).scalar_one_or_none()
    origin = None if last is None else Checkpoint.read(Note.read(last.note).text).origin
    return SealState(keys.exist(), origin, last.size if last else 0, last.at if last else None, waiting, oldest)


def _something_waits(store: Store) -> bool:
    with store.read() as connection:
        return connection.execute(sa.select(unsealed.c.entry).limit(1)).first() is not None
