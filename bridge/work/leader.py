"""Who offers: one clock at a time, the others stand by and take over when it is gone.

With SQLite there is one machine, so a file lock decides, which the system gives back when its holder dies. With
PostgreSQL an advisory lock does, which the server gives back when the connection of its holder breaks. Two leaders for
a moment do no harm, because offering twice does none.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from bridge.errors import StoreUnavailable
from bridge.store import Store

# Any number will do that no other lock of this database has.
LOCK = 7_236_188


class Candidate(Protocol):
    """One clock's part in the election."""

    def leads(self) -> bool:
        """Take the lead if it is free and tell whether we have it. Raises ``StoreUnavailable``."""

    def close(self) -> None:
        """Give the lead away."""


def candidate(store: Store, home: Path) -> Candidate:
    """Return how clocks of this store elect one of them."""
    return FileCandidate(home / "clock.lock") if store.sqlite else DatabaseCandidate(store)


class FileCandidate:
    """Leads while it holds the lock on a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def leads(self) -> bool:
        """See ``Candidate``."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return False
        self._file = opened
        return True

    def close(self) -> None:
        """See ``Candidate``."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class DatabaseCandidate:
    """Leads while its own connection to PostgreSQL holds an advisory lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: sa.Connection | None = None
        self._held = False

    def leads(self) -> bool:
        """See ``Candidate``."""
        try:
            if self._connection is None:
                self._connection = self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if self._held:
                # The lock is as good as the connection.
                self._connection.execute(sa.text("SELECT 1"))
            else:
                query = sa.text("SELECT pg_try_advisory_lock(:lock)")
                self._held = bool(self._connection.execute(query, {"lock": LOCK}).scalar_one())
        except sa.exc.DBAPIError as error:
            self.close()
            raise StoreUnavailable("the database does not answer the clock") from error
        return self._held

    def close(self) -> None:
        """See ``Candidate``."""
        self._held = False
        if self._connection is not None:
            # Handing the connection back to the pool would keep the lock.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
