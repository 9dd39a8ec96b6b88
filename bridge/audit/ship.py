"""What is sealed, told outside: to the clock's standard output, a file, an address, syslog or a collector.

Each place is told in the log's order and at least once: ``shipped`` keeps how many leaves it knows of, and is moved on
only after the place took them. A place that is away holds up neither the sealer nor another place. Those that take
entries are given every one of them, then the checkpoint that covers them; those that take checkpoints alone are given
the newest, which covers all before it.

    {"entry":{…},"event":"audit.entry","id":14,"log":"bridge.example/actions","rule_seq":7,"seq":41}
    {"event":"audit.checkpoint","note":"…"}
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

import httpx
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.audit import syslog
from bridge.audit.note import Checkpoint, Note
from bridge.errors import BridgeError
from bridge.settings import Reference, Settings
from bridge.store import Store
from bridge.store.tables import checkpoint, journal, leaf, shipped

EVERY_SECONDS = 1.0
PATIENCE = 5.0
LARGEST_POST = 500  # lines


class PlaceAway(BridgeError):
    """A place outside did not take what it was told: it is told again."""


class Place(Protocol):
    """Where the log is told: ``entries`` says whether it takes entries, or checkpoints alone."""

    name: str
    entries: bool

    def tell(self, lines: Sequence[str], note: str) -> None:
        """Tell it of entries and the note that covers them. Raises ``PlaceAway``."""


@dataclass(frozen=True, slots=True)
class _Unsent:
    size: int
    lines: list[str]
    note: str


class Shipper:
    """Tells one place what it does not know yet, each time it is asked to."""

    every = EVERY_SECONDS

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self.name = f"audit.{place.name}"

    def once(self) -> int:
        """Tell the place everything it does not know; return the number of checkpoints that were.

        Raises ``PlaceAway`` and ``StoreUnavailable``; what was taken until then is not told again.
        """
        told = 0
        while True:
            with self._store.read() as connection:
                unsent = _unsent(connection, self._place)
            if unsent is None:
                return told
            self._place.tell(unsent.lines, unsent.note)
            self._store.commit(lambda connection, size=unsent.size: _note(connection, self._place.name, size))  # type: ignore[misc]
            told += 1


def places(known: Settings, output: TextIO | None = None) -> Iterator[Place]:
    """Give the places that the settings name; standard output is always one.

    Raises ``SettingsInvalid`` if a token is referred to and missing.
    """
    said = known.audit
    yield Output(output or sys.stdout, entries=said.entries)
    if said.checkpoint_file is not None:
        yield File(said.checkpoint_file)
    if said.checkpoint_url is not None:
        yield Address(said.checkpoint_url)
    if said.syslog is not None:
        yield Syslog(said.syslog)
    if said.collector is not None:
        token = None if said.collector_token is None else Reference(said.collector_token).open
        yield Collector(said.collector, token)


class Output:
    """The clock's standard output, which whoever runs the process keeps."""

    name = "stdout"

    def __init__(self, stream: TextIO, *, entries: bool) -> None:
        self._stream = stream
        self.entries = entries

    def tell(self, lines: Sequence[str], note: str) -> None:
        """See ``Place``."""
        try:
            self._stream.write("".join(f"{line}\n" for line in [*lines, note_line(note)]))
            self._stream.flush()
        except OSError as error:
            raise PlaceAway(f"standard output takes nothing ({error.strerror})") from error


class File:
    """A second path, best on another machine's disk or one that only takes appends."""

    name = "checkpoint_file"
    entries = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, lines: Sequence[str], note: str) -> None:  # noqa: ARG002 - it takes no entries
        """See ``Place``."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{note_line(note)}\n")
        except OSError as error:
            raise PlaceAway(f"{self._path} takes nothing ({error.strerror})") from error


class Address:
    """An address that each newest checkpoint is posted to, as the note itself."""

    name = "checkpoint_url"
    entries = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=PATIENCE)

    def tell(self, lines: Sequence[str], note: str) -> None:  # noqa: ARG002 - it takes no entries
        """See ``Place``."""
        _post(self._client, self._url, note, {"Content-Type": "text/plain; charset=utf-8"})


class Syslog:
    """A syslog server. With tcp and tls there is no answer either: what was under way when it fell is lost to it."""

    name = "syslog"
    entries = True

    def __init__(self, target: str) -> None:
        self._line = syslog.Line(target, PATIENCE)

    def close(self) -> None:
        """End the connection; the next entry makes another."""
        self._line.close()

    def tell(self, lines: Sequence[str], note: str) -> None:
        """See ``Place``."""
        try:
            self._line.listen()
            for line in lines:
                self._line.send("audit.entry", line)
            self._line.send("audit.checkpoint", note_line(note))
            self._line.listen()
        except OSError as error:
            self._line.close()
            raise PlaceAway(f"the syslog server takes nothing ({error.strerror or error})") from error


class Collector:
    """An address that takes JSON lines, such as those of log platforms. ``token`` is opened each time, so that it can
    be changed."""

    name = "collector"
    entries = True

    def __init__(self, url: str, token: Callable[[], str] | None) -> None:
        self._url = url
        self._token = token
        self._client = httpx.Client(timeout=PATIENCE)

    def tell(self, lines: Sequence[str], note: str) -> None:
        """See ``Place``."""
        headers = {"Content-Type": "application/x-ndjson"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        whole = [*lines, note_line(note)]
        for at in range(0, len(whole), LARGEST_POST):
            _post(self._client, self._url, "".join(f"{line}\n" for line in whole[at : at + LARGEST_POST]), headers)


def _post(client: httpx.Client, url: str, body: str, headers: dict[str, str]) -> None:
    try:
        answer = client.post(url, content=body.encode(), headers=headers)
    except httpx.HTTPError as error:
        raise PlaceAway(f"{url} does not answer ({type(error).__name__})") from error
    if not answer.is_success:
        raise PlaceAway(f"{url} answers {answer.status_code}")


def note_line(note: str) -> str:
    """Return a checkpoint as one JSON line, as ``audit verify --outside`` finds it in any log file."""
    return json.dumps({"event": "audit.checkpoint", "note": note}, ensure_ascii=False, separators=(",", ":"))


def _unsent(connection: sa.Connection, place: Place) -> _Unsent | None:
    known = connection.execute(sa.select(shipped.c.size).where(shipped.c.place == place.name)).scalar() or 0
    order = checkpoint.c.size.asc() if place.entries else checkpoint.c.size.desc()
    found = connection.execute(
        sa.select(checkpoint.c.size, checkpoint.c.note).where(checkpoint.c.size > known).order_by(order).limit(1)
    ).one_or_none()
    if found is None:
        return None
    if not place.entries:
        return _Unsent(found.size, [], found.note)
    origin = json.dumps(Checkpoint.read(Note.read(found.note).text).origin, ensure_ascii=False)
    rows = connection.execute(
        sa.select(leaf.c.seq, leaf.c.entry.label("id"), leaf.c.rule_seq, journal.c.entry)
        .join(journal, journal.c.id == leaf.c.entry)
        .where(leaf.c.seq >= known, leaf.c.seq < found.size)
        .order_by(leaf.c.seq)
    )
    # The entry's exact text stands in its line, so that whoever keeps the lines can check them against the leaves.
    lines = [
        f'{{"entry":{row.entry},"event":"audit.entry","id":{row.id},"log":{origin},'
        f'"rule_seq":{row.rule_seq},"seq":{row.seq}}}'
        for row in rows
    ]
    return _Unsent(found.size, lines, found.note)


def _note(connection: sa.Connection, place: str, size: int) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(shipped).values(place=place, size=size)
    connection.execute(statement.on_conflict_do_update(index_elements=["place"], set_={"size": size}))
