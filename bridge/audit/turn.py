"""One turn of the sealer: a transaction in which entries that wait get their leaves, and a checkpoint over all.

Whoever seals (the clock, or a command that changes the key) does it here, so that every checkpoint is made under the
same conditions: alone, on the tree that was signed last, and by the key that is in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.audit import leaf as leaf_room
from bridge.audit.note import Checkpoint, KeyId, Note, Signer, sign
from bridge.audit.tree import Frontier
from bridge.errors import BridgeError
from bridge.store import journal
from bridge.store.engine import timestamp
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint, leaf, unsealed
from bridge.store.tables import journal as entries

BATCH = 1000  # leaves of one transaction: some 30 ms in which nobody else writes to SQLite
LOCK = 7_236_189  # a number that no other lock of this database has


class SealRefused(BridgeError):
    """The log is not as the sealer left it: nothing is sealed until a person has looked."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a turn did: the leaves it added, the log's size since, and the signed note."""

    added: int
    size: int
    note: str


@dataclass(slots=True)
class Order:
    """What is to be sealed with: all ``signers`` sign, the last one gives the origin and signs from then on.

    ``holder`` is whose signature the last checkpoint must end with, None after a loss of the key; ``last`` the note
    signed last by this installation, None if that does not matter any more.
    """

    signers: Sequence[Signer]
    holder: KeyId | None
    last: str | None = None
    limit: int | None = BATCH
    patient: bool = False
    first: Sequence[tuple[Kind, Mapping[str, object]]] = ()


def take(connection: sa.Connection, order: Order) -> Sealed | None:
    """Seal up to ``limit`` entries that wait; None if there are none, or another sealer is at work."""
    if connection.dialect.name == "postgresql" and not _alone(connection, patient=order.patient):
        return None
    tree = _go_on(connection, order)
    for kind, members in order.first:
        journal.append(connection, kind, **members)
    taken = _waiting(connection, order.limit)
    if not taken:
        return None
    _add_leaves(connection, tree, taken)
    origin = order.signers[-1].key.name
    note = str(sign(Checkpoint(origin, tree.size, tree.root()).text(), order.signers))
    connection.execute(sa.insert(checkpoint).values(size=tree.size, peaks=tree.to_bytes(), note=note, at=timestamp()))
    return Sealed(len(taken), tree.size, note)


def _alone(connection: sa.Connection, *, patient: bool) -> bool:
    if patient:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        return True
    query = sa.text("SELECT pg_try_advisory_xact_lock(:lock)")
    return bool(connection.execute(query, {"lock": LOCK}).scalar_one())


def _go_on(connection: sa.Connection, order: Order) -> Frontier:
    """Return the tree so far, having made sure that it is the one that was signed last, and by whom.

    Raises ``SealRefused``, and ``NoteInvalid`` for a last checkpoint that the key in force did not sign as it stands.
    """
    last = last_checkpoint(connection)
    highest = connection.execute(sa.select(sa.func.max(leaf.c.seq))).scalar_one()
    size = 0 if last is None else last.size
    if (0 if highest is None else highest + 1) != size:
        raise SealRefused("leaves and checkpoints do not fit each other: run `bridge audit verify`")
    if last is not None and order.holder is not None and holder_of(last.note) != order.holder:
        raise SealRefused(
            f"the last checkpoint was signed with {holder_of(last.note)}, and the key file holds {order.holder}: "
            "`bridge audit rotate` is how a key is replaced"
        )
    known = read(order.last)
    if known is not None and known.origin == order.signers[-1].key.name:
        note = connection.execute(sa.select(checkpoint.c.note).where(checkpoint.c.size == known.size)).scalar()
        if note is None or Checkpoint.read(Note.read(note).text).root != known.root:
            raise SealRefused(
                f"{known.size} leaves were signed here, and the database does not hold them: was it restored from a "
                "backup? then run `bridge db restored`; else run `bridge audit verify` with an outside copy"
            )
    return Frontier() if last is None else _tree_of(last, order)


def _tree_of(last: sa.Row[Any], order: Order) -> Frontier:
    """Return the tree of the last checkpoint, which its note must tell of and the key in force must have signed."""
    try:
        tree = Frontier.from_bytes(last.size, last.peaks)
    except ValueError as error:
        raise SealRefused(f"the last checkpoint was changed ({error}): run `bridge audit verify`") from error
    note = Note.read(last.note)
    if order.holder is not None:
        note.signers({order.holder: order.signers[0].verifier})
    said = Checkpoint.read(note.text)
    if (said.size, said.root) != (tree.size, tree.root()):
        raise SealRefused("the last checkpoint was changed: its note tells of another tree: run `bridge audit verify`")
    return tree


def _waiting(connection: sa.Connection, limit: int | None) -> list[tuple[int, str]]:
    """Return the entries that wait, in the order of their numbers, as id and text.

    In two questions, so that no database thinks of going through the whole journal. One that was deleted while it
    waited stays among the numbers, for ``audit verify`` to tell.
    """
    taken: list[tuple[int, str]] = []
    after = -1
    while limit is None or len(taken) < limit:
        numbers = sa.select(unsealed.c.entry).where(unsealed.c.entry > after).order_by(unsealed.c.entry).limit(BATCH)
        ids = list(connection.execute(numbers).scalars())
        if not ids:
            break
        after = ids[-1]
        query = sa.select(entries.c.id, entries.c.entry).where(entries.c.id.in_(ids)).order_by(entries.c.id)
        taken += [(int(row.id), str(row.entry)) for row in connection.execute(query)]
    return taken[:limit]


def _add_leaves(connection: sa.Connection, tree: Frontier, taken: Sequence[tuple[int, str]]) -> None:
    counts: dict[str, int] = {}
    made = []
    for number, entry in taken:
        rule = journal.rule_of(entry)
        if rule not in counts:
            # One by one, because both databases answer this from the end of an index.
            query = sa.select(sa.func.max(leaf.c.rule_seq)).where(leaf.c.rule == rule)
            counts[rule] = connection.execute(query).scalar_one() or 0
        counts[rule] += 1
        text = leaf_room.text(tree.size, number, leaf_room.digest(entry), rule, counts[rule])
        made.append({"seq": tree.size, "entry": number, "rule": rule, "rule_seq": counts[rule], "leaf": text})
        tree.append(text.encode())
    connection.execute(sa.insert(leaf), made)
    # By number, not "up to": on PostgreSQL an entry with a lower number may be committed in between.
    numbers = [{"id": number} for number, _ in taken]
    connection.execute(sa.delete(unsealed).where(unsealed.c.entry == sa.bindparam("id")), numbers)


def last_checkpoint(connection: sa.Connection) -> sa.Row[Any] | None:
    """Return the row of the newest checkpoint, None before the first."""
    return connection.execute(sa.select(checkpoint).order_by(checkpoint.c.size.desc()).limit(1)).one_or_none()


def holder_of(note: str) -> KeyId:
    """Return the key that signs from a checkpoint on: its last signature's. Raises ``NoteInvalid``."""
    return Note.read(note).signatures[-1][0]


def read(note: str | None) -> Checkpoint | None:
    """Return what a note tells of, None for none. Raises ``NoteInvalid``."""
    return None if note is None else Checkpoint.read(Note.read(note).text)
