"""``bridge audit verify``: what can be said of a log, of a live store or an export, without asking anybody.

Inside alone it shows that the log fits the checkpoints that are kept beside it. Whoever holds both database and key can
make both anew; only copies of checkpoints that were kept elsewhere show that. So a report never says more than was
looked at: without such copies it is "OK inside only".
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from bridge.audit.findings import SHOWN, Findings, Row, origin_at
from bridge.audit.note import Checkpoint, KeyId, Note, NoteInvalid, Verifier
from bridge.audit.rule_texts import changed
from bridge.audit.walk import Walk
from bridge.store import Store, schema
from bridge.store.tables import checkpoint, deliveries, journal, leaf, rule_version, unsealed

AT_A_TIME = 5000
SOME = 20


@dataclass(slots=True)
class Outside:
    """What the outside copies said: how many are this log's, the newest size among them, and what did not fit."""

    given: int = 0
    found: int = 0
    newest: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything ``bridge audit verify`` says; ``remarks`` are no faults.

    ``outside`` None: no copy was given. ``live``: it is a store's, which entries are still added to.
    """

    found: Findings
    outside: Outside | None
    has_key: bool
    waiting: int = 0
    waiting_since: str | None = None
    parked: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    live: bool = True

    @property
    def failures(self) -> list[str]:
        """Every sentence that makes the log fail."""
        return [*self.problems, *self.found.problems, *(self.outside.problems if self.outside else [])]

    @property
    def untold(self) -> str | None:
        """Why nothing could be told, None if something could."""
        if not self.found.checkpoints and not self.found.entries:
            if self.waiting:
                return "nothing is sealed: run `bridge audit init`, and let the clock run"
            return "the log is empty"
        if not self.has_key:
            return "no public key is known: give --key with the one that `bridge audit init` printed"
        if self.outside is not None and not self.outside.found:
            return "the outside copies hold no checkpoint of this log"
        return None

    @property
    def status(self) -> int:
        """0 fine, 1 found wrong, 2 could not tell."""
        return 1 if self.failures else 2 if self.untold else 0


def of_store(store: Store, given: Mapping[KeyId, Verifier], outside: Sequence[str] | None) -> Report:
    """Verify a live store in one unmoving view of it; ``outside`` are notes kept elsewhere, None if there are none.

    Raises ``StoreUnavailable``.
    """
    guards = schema.missing_guards(store)
    with store.read() as opened:
        # SQLite's reading transactions are of that kind anyway.
        connection = opened if store.sqlite else opened.execution_options(isolation_level="REPEATABLE READ")
        walk = Walk(given, sizes(outside or ()))
        notes = connection.execute(sa.select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size))
        found = walk.go(_rows(connection), ((row.size, row.note) for row in notes.yield_per(AT_A_TIME)))
        report = Report(found, compare(found, outside), has_key=bool(given))
        report.problems += [
            f"guard {name} is missing: anybody with the database could change the log" for name in guards
        ]
        _beside(connection, report)
    return report


def _rows(connection: sa.Connection) -> Iterator[Row]:
    columns = [journal.c[name] for name in SHOWN]
    query = (
        sa.select(leaf.c.seq, leaf.c.entry, leaf.c.rule, leaf.c.rule_seq, leaf.c.leaf, journal.c.entry, *columns)
        .select_from(leaf.outerjoin(journal, journal.c.id == leaf.c.entry))
        .order_by(leaf.c.seq)
    )
    result = connection.execution_options(stream_results=True, max_row_buffer=AT_A_TIME).execute(query)
    for part in result.yield_per(AT_A_TIME).partitions():
        for seq, number, rule, rule_seq, text, entry, *rest in part:
            yield Row(seq, number, rule, rule_seq, text, entry, tuple(rest))


def _beside(connection: sa.Connection, report: Report) -> None:
    """Look at what has no leaf: entries that wait, that were put in past the bridge, or that are gone."""
    waiting = (
        sa.select(unsealed.c.entry, journal.c.id, journal.c.at, leaf.c.seq)
        .select_from(
            unsealed.outerjoin(journal, journal.c.id == unsealed.c.entry).outerjoin(
                leaf, leaf.c.entry == unsealed.c.entry
            )
        )
        .order_by(unsealed.c.entry)
    )
    for row in connection.execute(waiting).yield_per(AT_A_TIME):
        if row.id is None:
            report.problems.append(f"entry {row.entry} waited to be sealed and is gone")
        elif row.seq is not None:
            report.problems.append(f"entry {row.entry} is leaf {row.seq} and waits to be sealed again")
        else:
            report.waiting += 1
            report.waiting_since = report.waiting_since or row.at
    total = connection.execute(sa.select(sa.func.count()).select_from(journal)).scalar_one()
    if total != report.found.with_text + report.waiting:
        report.problems += _foreign(connection)
    report.problems += _gaps(connection)
    report.problems += _rule_texts(connection, report.found)
    query = sa.select(deliveries.c.id).where(deliveries.c.state == "parked").order_by(deliveries.c.id).limit(SOME)
    report.parked = tuple(connection.execute(query).scalars())


def _foreign(connection: sa.Connection) -> list[str]:
    query = (
        sa.select(journal.c.id)
        .select_from(
            journal.outerjoin(leaf, leaf.c.entry == journal.c.id).outerjoin(unsealed, unsealed.c.entry == journal.c.id)
        )
        .where(leaf.c.seq.is_(None), unsealed.c.entry.is_(None))
        .order_by(journal.c.id)
        .limit(SOME)
    )
    return [
        f"entry {number} is neither sealed nor waits for it: it was put in past the bridge"
        for number in connection.execute(query).scalars()
    ]


def _gaps(connection: sa.Connection) -> list[str]:
    """Entries of a delivery are numbered, so one that was removed even before it was sealed leaves a gap."""
    of_delivery = (
        sa.select(journal.c.delivery, sa.func.count().label("counted"), sa.func.max(journal.c.n).label("highest"))
        .where(journal.c.delivery.is_not(None))
        .group_by(journal.c.delivery)
        .subquery()
    )
    query = (
        sa.select(deliveries.c.id, deliveries.c.entries, of_delivery.c.counted, of_delivery.c.highest)
        .select_from(deliveries.outerjoin(of_delivery, of_delivery.c.delivery == deliveries.c.id))
        .where(
            sa.or_(
                deliveries.c.entries != sa.func.coalesce(of_delivery.c.highest, 0),
                of_delivery.c.counted != of_delivery.c.highest,
            )
        )
        .limit(SOME)
    )
    return [
        f"delivery {row.id} counted {row.entries} entries, and {row.counted or 0} are there, "
        f"numbered up to {row.highest or 0}"
        for row in connection.execute(query)
    ]


def _rule_texts(connection: sa.Connection, found: Findings) -> Iterator[str]:
    query = sa.select(rule_version.c.digest, rule_version.c.rule, rule_version.c.texts)
    for row in connection.execute(query).yield_per(SOME):
        if changed(row.digest, json.loads(row.texts), found.versions.get(row.digest)):
            yield f"rule {row.rule}: the text kept as {row.digest[:19]}… was changed"


# ------------------------------------------------------------------------------------------------------ outside copies


def sizes(notes: Iterable[str]) -> Iterator[int]:
    """Give the sizes at which the walk has to keep a root for these notes."""
    for note in notes:
        said = _checkpoint(note)
        if said is not None:
            yield said.size


def _checkpoint(note: str) -> Checkpoint | None:
    try:
        return Checkpoint.read(Note.read(note).text)
    except NoteInvalid:
        return None


def compare(found: Findings, notes: Sequence[str] | None) -> Outside | None:
    """Hold outside copies against what the walk found."""
    if notes is None:
        return None
    outside = Outside(given=len(notes))
    former: dict[str, int] = {}
    for text in notes:
        said = _checkpoint(text)
        ended = None if said is None else origin_at(found.origins, said.origin)
        if said is None:
            continue
        if ended is None:
            if _is_ours(found, text):
                outside.problems.append(
                    f"outside checkpoint {said.size} of {said.origin}: a key of this log signed it, and the log has no "
                    "such name"
                )
            continue
        problem = _disagrees(found, said, Note.read(text), ended)
        if problem is not None:
            outside.problems.append(problem)
        elif ended != -1 and said.size > ended:
            former[said.origin] = max(former.get(said.origin, 0), said.size - ended)
        outside.found += 1
        outside.newest = max(outside.newest, said.size if ended == -1 or said.size <= ended else ended)
    outside.remarks += [
        f"{lost} entries of the former log {origin} are not here: a backup was restored, and the log says so"
        for origin, lost in former.items()
    ]
    return outside


def _is_ours(found: Findings, text: str) -> bool:
    try:
        return bool(Note.read(text).signers(found.believed))
    except NoteInvalid:
        return False


def _disagrees(found: Findings, said: Checkpoint, note: Note, ended: int) -> str | None:
    place = f"outside checkpoint {said.size}"
    try:
        signers = note.signers(found.believed)
    except NoteInvalid as error:
        return f"{place}: {error}"
    if not signers:
        names = ", ".join(str(key) for key, _ in note.signatures)
        return f"{place}: it is signed with {names}, and no key that is believed vouches for that"
    if ended != -1 and said.size > ended:
        return None
    if said.size > found.entries:
        return (
            f"outside checkpoint says {said.size:,} entries, the log has {found.entries:,}: "
            "tail cut or restored from an old backup"
        )
    root = found.roots.get(said.size)
    if root is not None and root != said.root:
        return f"{place}: the root differs: history was rewritten, or the log was forked"
    return None


def age(moment: str, now: datetime | None = None) -> float:
    """Return the seconds since a moment that an entry gives."""
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
