"""What the tests of the sealed log share: a key, a log written and sealed in turns, and ways to ask about it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.audit import seal, verify
from bridge.audit.keys import Keys
from bridge.audit.note import known
from bridge.audit.seal import Sealer
from bridge.audit.verify import Report
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import Received, State
from bridge.store.engine import new_id
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint

_NAMES = re.compile(r"(?<![:\w]):(\w+)")
RULES = ("escalate", "change_approved", "page_published")
NAME = "bridge.example/actions"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Where the sealing key is."""
    return Keys(tmp_path / "audit")


@dataclass(frozen=True)
class Log:
    """A log that can be written to, sealed and asked about."""

    store: Store
    keys: Keys

    def write(self, count: int = 1) -> list[str]:
        """Accept deliveries of the three rules in turn, each with an action; return their ids. Four entries each."""
        made = []
        for number in range(count):
            delivery, rule = new_id(), RULES[number % len(RULES)]
            received = Received(delivery, rule, State.QUEUED, f"payload {number}".encode())

            def work(connection: sa.Connection, received: Received = received) -> None:
                deliveries.accept(connection, received)
                step = {"step": 1, "account": "ops-bot", "verb": "jira.comment", "target": "OPS-1", "person": None}
                journal.append_to(connection, received.id, Kind.INTENT, **step)
                journal.append_to(connection, received.id, Kind.OUTCOME, **step, outcome="done", why="Grüße 🚀")
                journal.append_to(connection, received.id, Kind.DONE)

            self.store.commit(work)
            made.append(delivery)
        return made

    def seal(self) -> int:
        """Seal what waits."""
        return Sealer(self.store, self.keys).once()

    def notes(self) -> list[str]:
        """Return the notes of every stored checkpoint, as a collector outside would have them."""
        with self.store.read() as connection:
            return list(connection.execute(sa.select(checkpoint.c.note).order_by(checkpoint.c.size)).scalars())

    def verify(self, outside: Sequence[str] | None = None, *, vkeys: Sequence[str] | None = None) -> Report:
        """Verify with the keys that the key's directory tells, or these."""
        return verify.of_store(self.store, known(self.keys.vkeys() if vkeys is None else vkeys), outside)

    def numbers(self) -> tuple[int, ...]:
        """Return the ids of all entries."""
        with self.store.read() as connection:
            return tuple(connection.execute(sa.text("SELECT id FROM journal ORDER BY id")).scalars())


@pytest.fixture
def log(store: Store, keys: Keys) -> Log:
    """A sealed log of three turns: 49 leaves, of which 16 belong to each rule and one to none."""
    made = Log(store, keys)
    seal.begin(store, keys, NAME, "mia")
    for _ in range(3):
        made.write(4)
        made.seal()
    return made


@pytest.fixture
def unguarded(log: Log) -> Callable[..., None]:
    """Run statements as somebody who owns the database: guards are taken away before and put back after."""
    return lambda *statements, **values: owner_runs(log.store, *statements, **values)


def owner_runs(store: Store, *statements: str, **values: object) -> None:
    """Run statements, in which ``:name`` stands for a value, without guards and without anybody's notice."""

    def work(connection: sa.Connection) -> None:
        triggers: list[Any] = []
        if store.sqlite:
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            triggers = list(connection.execute(sa.text(query)))
            for row in triggers:
                connection.execute(sa.text(f"DROP TRIGGER {row.name}"))
        else:
            connection.execute(sa.text("SET session_replication_role = replica"))
        for statement in statements:
            connection.execute(sa.text(statement), {name: values[name] for name in _NAMES.findall(statement)})
        for row in triggers:
            connection.exec_driver_sql(row.sql)
        if not store.sqlite:
            connection.execute(sa.text("SET session_replication_role = DEFAULT"))

    store.commit(work)
