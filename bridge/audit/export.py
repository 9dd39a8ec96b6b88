"""``bridge audit export``: the log, or one rule's part of it, in a file that can be checked far away from the bridge.

    entries.jsonl       the entries chosen, one a line: {"seq":41,"id":14,"entry":{…exact text…}}
    leaves.txt          every leaf of the log, one a line: digests only, which show that no entry of a rule is missing
    checkpoints.jsonl   the signed checkpoints
    vkeys.txt           the public keys, oldest first
    rules/              the rule texts that the entries name, by rule and digest
    manifest.json       what was chosen, by whom, when
    README.txt          how to check it

Only what is sealed is exported. Entries by which the log's key changed hands are always in it: without them the
signatures could not be followed.
"""

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TextIO

import sqlalchemy as sa

from bridge.audit.note import Checkpoint, Note
from bridge.audit.rule_texts import installed
from bridge.audit.ship import note_line
from bridge.errors import BridgeError
from bridge.store import Store, journal
from bridge.store.engine import timestamp
from bridge.store.journal import COLUMNS, Kind
from bridge.store.tables import checkpoint, leaf, rule_version
from bridge.store.tables import journal as entries

AT_A_TIME = 2000
KEY_KINDS = (Kind.LOG_BEGUN, Kind.KEY_ROTATED, Kind.LOG_RESTORED)
_README = """This is a part of the audit log of {origin}: {count} entries out of {size} leaves.

To check it, on any machine with the bridge installed, without network:

    bridge audit verify {name} --key VKEY [--outside FILE]

VKEY is the public key that `bridge audit init` printed when the log was begun, from wherever the auditor keeps it. A
copy is in vkeys.txt, but whoever could forge the log could forge that as well. FILE holds checkpoints that were kept
outside the bridge; without one the log is shown to be complete in itself, and no more.

The formats: leaves are hashed as in RFC 6962 (SHA-256 over a zero byte and the line without its end), a checkpoint is
a signed note (https://c2sp.org/signed-note) with the root over the first so many leaves, and each leaf names its entry
by SHA-256 over the entry's exact text, as it stands in entries.jsonl.
"""


class ExportImpossible(BridgeError):
    """There is nothing to export, or nowhere to write it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to export; None means any. Times are RFC 3339 text in UTC."""

    rule: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: entries, the leaves they stand among, and how many entries were not sealed yet."""

    entries: int
    leaves: int
    left_out: int


def note_export(store: Store, chosen: Chosen, form: str, person: str) -> None:
    """Append the entry that says who exported what: first, so that there is no export without it."""
    store.commit(
        lambda connection: journal.append(connection, Kind.EXPORTED, person=person, form=form, **_named(asdict(chosen)))
    )


def _named(chosen: dict[str, Any]) -> dict[str, Any]:
    """Name the rule ``of``: an export is no act of the rule, and must not count among its entries."""
    return {"of" if name == "rule" else name: value for name, value in chosen.items()}


def write_zip(store: Store, path: Path, chosen: Chosen, person: str, vkeys: Sequence[str]) -> Exported:
    """Write a self-contained export. Raises ``ExportImpossible``, ``StoreUnavailable``."""
    with _snapshot(store) as connection, _fresh(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        last = connection.execute(sa.select(checkpoint).order_by(checkpoint.c.size.desc()).limit(1)).one_or_none()
        if last is None:
            raise ExportImpossible("nothing is sealed, so nothing could be shown: `bridge audit init` begins it")
        origin = Checkpoint.read(Note.read(last.note).text).origin
        with _text(made, "leaves.txt") as text:
            for row in _stream(connection, sa.select(leaf.c.leaf).where(leaf.c.seq < last.size).order_by(leaf.c.seq)):
                text.write(f"{row.leaf}\n")
        with _text(made, "entries.jsonl") as text:
            count, digests = _write_entries(connection, text, chosen, last.size)
        with _text(made, "checkpoints.jsonl") as text:
            for row in _stream(connection, sa.select(checkpoint.c.note).order_by(checkpoint.c.size)):
                text.write(f"{note_line(row.note)}\n")
        made.writestr("vkeys.txt", "".join(f"{vkey}\n" for vkey in vkeys))
        _write_rules(connection, made, sorted(digests))
        manifest = {
            "origin": origin, "size": last.size, "entries": count, **asdict(chosen), "exported_by": person,
            "exported_at": timestamp(), "bridge": installed(), "format": 1,
        }  # fmt: skip
        made.writestr("manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        readme = _README.format(origin=origin, count=count, size=last.size, name=path.name)
        made.writestr("README.txt", readme)
        return Exported(count, last.size, _unsealed(connection, chosen))


def _write_entries(connection: sa.Connection, text: TextIO, chosen: Chosen, size: int) -> tuple[int, set[str]]:
    fits = sa.or_(sa.and_(sa.true(), *_fits(chosen)), entries.c.kind.in_([str(kind) for kind in KEY_KINDS]))
    query = (
        sa.select(leaf.c.seq, entries.c.id, entries.c.entry)
        .join(entries, entries.c.id == leaf.c.entry)
        .where(leaf.c.seq < size, fits)
        .order_by(leaf.c.seq)
    )
    count, digests = 0, set()
    for row in _stream(connection, query):
        text.write(f'{{"seq":{row.seq},"id":{row.id},"entry":{row.entry}}}\n')
        count += 1
        said = json.loads(row.entry).get("rule_digest")
        if said is not None:
            digests.add(str(said))
    return count, digests


def _write_rules(connection: sa.Connection, made: zipfile.ZipFile, digests: Sequence[str]) -> None:
    for digest in digests:
        row = connection.execute(sa.select(rule_version).where(rule_version.c.digest == digest)).one_or_none()
        if row is None:
            continue
        place = PurePosixPath("rules") / _harmless(row.rule) / digest.removeprefix("sha256:")
        for name, text in json.loads(row.texts).items():
            made.writestr(str(place / _harmless(name)), text)


def _harmless(name: str) -> PurePosixPath:
    """Return a path that stays where it is unpacked, whatever somebody put into the database."""
    return PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in {"..", "/"}))


def write_lines(store: Store, path: Path, chosen: Chosen, form: str) -> Exported:
    """Write the entries as ``csv`` or ``jsonl``, with those not sealed yet. Raises as ``write_zip``."""
    query = (
        sa.select(entries.c.id, leaf.c.seq, entries.c.entry)
        .select_from(entries.outerjoin(leaf, leaf.c.entry == entries.c.id))
        .where(*_fits(chosen))
        .order_by(entries.c.id)
    )
    with _snapshot(store) as connection, _fresh(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        found = _stream(connection, query)
        count = _write_csv(text, found) if form == "csv" else _write_jsonl(text, found)
    return Exported(count, 0, 0)


def _write_jsonl(text: TextIO, rows: Iterator[sa.Row[Any]]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - it is returned
        seq = "null" if row.seq is None else row.seq
        text.write(f'{{"id":{row.id},"seq":{seq},"entry":{row.entry}}}\n')
    return count


def _write_csv(text: TextIO, rows: Iterator[sa.Row[Any]]) -> int:
    names = ("at", "kind", *COLUMNS, "why")
    written = csv.writer(text)
    written.writerow(["id", "seq", *names, "entry"])
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - it is returned
        said = json.loads(row.entry)
        cells = [row.id, row.seq, *(said.get(name) for name in names), row.entry]
        written.writerow(["" if cell is None else _cell(cell) for cell in cells])
    return count


def _cell(value: Any) -> Any:
    """Return text that no spreadsheet takes for a formula: parts of it came with a webhook."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _fits(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    fits = []
    if chosen.rule is not None:
        fits.append(entries.c.rule == chosen.rule)
    if chosen.since is not None:
        fits.append(entries.c.at >= chosen.since)
    if chosen.until is not None:
        fits.append(entries.c.at < chosen.until)
    return fits


def _unsealed(connection: sa.Connection, chosen: Chosen) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(entries.outerjoin(leaf, leaf.c.entry == entries.c.id))
        .where(leaf.c.seq.is_(None), *_fits(chosen))
    )
    return int(connection.execute(query).scalar_one())


@contextmanager
def _snapshot(store: Store) -> Iterator[sa.Connection]:
    with store.read() as opened:
        yield opened if store.sqlite else opened.execution_options(isolation_level="REPEATABLE READ")


def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    yield from connection.execution_options(stream_results=True).execute(query).yield_per(AT_A_TIME)


@contextmanager
def _fresh(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there when it is whole, and that others may not read."""
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise ExportImpossible(f"{path} cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _text(made: zipfile.ZipFile, name: str) -> Iterator[TextIO]:
    with made.open(name, "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8", newline="\n") as text:
        yield text
