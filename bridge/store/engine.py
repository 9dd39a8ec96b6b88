"""Connections, shared commits and the clock of leases.

A commit is what accepting costs, because the disk has to answer. So callers that wait for one share it: the first
becomes the leader, runs everybody's work in one transaction, each in a savepoint of its own, and wakes the others.
Between processes, SQLite's own waiting is unfair (it sleeps longer and longer), hence a file lock around each
transaction that is asked for again every millisecond.
"""

import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.errors import Stop, StoreUnavailable

T = TypeVar("T")

BUSY_SECONDS = 10.0
TURN_SECONDS = 0.001
# libpq's own names (https://www.postgresql.org/docs/current/libpq-connect.html): a network that was cut is noticed
# within seconds. By default it takes the kernel a quarter of an hour.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}


def timestamp() -> str:
    """Return the time now as RFC 3339 text in UTC with microseconds, the form of every entry."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562 section 5.7): the id of a delivery, sortable by the time of acceptance."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
    return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


def boot_id() -> str:
    """Return what names this boot of the machine; a lease of another boot has ended."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # macOS has no such file; its monotonic clock starts anew with each boot as well.
        return f"boot-{round((time.time() - time.monotonic()) / 600)}"


def boot_clock() -> float:
    """Return seconds since boot, counting sleep, unmoved by anybody who sets the wall clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(slots=True)
class _Job(Generic[T]):
    """One caller's work on its way through a shared commit."""

    work: Callable[[sa.Connection], T]
    key: str
    wake: threading.Event = field(default_factory=threading.Event)
    lead: bool = False
    value: T | None = None
    error: BaseException | None = None

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set whenever no error is


class Store:
    """A database that may be shared by processes and, on PostgreSQL, by machines.

    Made cheaply; connects on first use, so that it can be made before a fork and used after it (not on both sides).
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.boot = boot_id() if self.sqlite else "database"
        self._mutex = threading.Lock()
        self._waiting: list[_Job[Any]] = []
        self._leading = False
        self._engine: sa.Engine | None = None
        self._lock_file: int | None = None

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, made on first use."""
        if self._engine is None:
            with self._mutex:
                if self._engine is None:
                    self._lock_file = self._open_lock() if self.sqlite else None
                    self._engine = _connect(self.url, sqlite=self.sqlite)
        return self._engine

    def _open_lock(self) -> int | None:
        if not self.url.database or self.url.database == ":memory:":
            return None
        try:
            return os.open(f"{self.url.database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"the database {self.url.database} cannot be opened: {error.strerror}") from error

    def close(self) -> None:
        """Close every connection of this process."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection for reading.

        Raises ``StoreUnavailable`` if the database is away.
        """
        with _mapped(), self.engine.connect() as connection:
            yield connection

    def now(self, connection: sa.Connection) -> float:
        """Return the time of leases in seconds: the database's clock, or with SQLite the clock since boot."""
        if self.sqlite:
            return boot_clock()
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def commit(self, work: Callable[[sa.Connection], T], key: str = "") -> T:
        """Run ``work`` in a transaction and return its value once it is on disk.

        ``work`` shares the transaction with whoever else waits, so it may be run twice and must do nothing but use its
        connection. ``key`` orders the works of one transaction: two processes then take their row locks in one order
        and cannot wait for each other in a circle. Raises what ``work`` raises, ``StoreUnavailable`` if the database
        is away.
        """
        _ = self.engine
        job = _Job(work, key)
        with self._mutex:
            self._waiting.append(job)
            lead, self._leading = not self._leading, True
        if not lead:
            job.wake.wait()
            if not job.lead:
                return job.result()
        with self._mutex:
            batch, self._waiting = sorted(self._waiting, key=lambda waiting: waiting.key), []
        try:
            self._run(batch)
        finally:
            with self._mutex:
                if self._waiting:
                    self._waiting[0].lead = True
                    self._waiting[0].wake.set()
                else:
                    self._leading = False
            for other in batch:
                if other is not job:
                    other.wake.set()
        return job.result()

    def _run(self, batch: list[_Job[Any]], tries: int = 3) -> None:
        try:
            with _mapped(), self._exclusive(), self.engine.connect() as opened:
                connection = opened.execution_options(bridge_write=True)
                with connection.begin():
                    for job in batch:
                        self._run_one(connection, job, alone=len(batch) == 1)
        except BaseException as error:  # noqa: BLE001 - every waiting caller must learn what happened
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                # One caller's statement broke the shared transaction (PostgreSQL refuses to go on): each on its own.
                for job in batch:
                    self._run([job])
                return
            if _is_collision(error) and tries > 1:
                self._run(batch, tries - 1)
                return
            for job in batch:
                job.value, job.error = None, error

    @staticmethod
    def _run_one(connection: sa.Connection, job: _Job[Any], *, alone: bool) -> None:
        job.value, job.error = None, None
        if alone:
            job.value = job.work(connection)
            return
        try:
            with connection.begin_nested():
                job.value = job.work(connection)
        except DBAPIError as error:
            if not isinstance(error, sa.exc.IntegrityError):
                raise
            job.error = error
        except (Exception, Stop) as error:  # noqa: BLE001 - it is the caller's own and goes back to the caller alone
            job.error = error

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self._lock_file is None:
            yield
            return
        self._take_turn(self._lock_file)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @staticmethod
    def _take_turn(lock_file: int) -> None:
        """Wait for the other processes; one that is frozen while it has its turn must not hang everybody for ever."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable("another process has been writing for too long") from None
                time.sleep(TURN_SECONDS)
            else:
                return


@contextmanager
def _mapped() -> Iterator[None]:
    """Map the driver's "cannot reach, cannot write" to StoreUnavailable; what is our own fault stays as it is."""
    try:
        yield
    except (OperationalError, PoolTimeout, sa.exc.InterfaceError) as error:
        if _is_collision(error):
            raise
        raise StoreUnavailable(f"the database does not answer ({_brief(error)})") from error
    except DBAPIError as error:
        # A file that is no database, or a damaged one, is a plain DatabaseError of sqlite3.
        if error.connection_invalidated or type(error.orig) is sqlite3.DatabaseError:
            raise StoreUnavailable(f"the database cannot be used ({_brief(error)})") from error
        raise


def _is_collision(error: BaseException | None) -> bool:
    """Tell whether PostgreSQL gave up one of two transactions that met (class 40): it may simply be run again."""
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")).startswith("40")


def _brief(error: SQLAlchemyError) -> str:
    """Keep the driver's first line only: further lines repeat the statement and its values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).splitlines()
    return lines[0] if lines else type(error).__name__


def _connect(url: sa.URL, *, sqlite: bool) -> sa.Engine:
    # Parameters hold payloads, and errors travel into logs.
    if not sqlite:
        return sa.create_engine(
            url, hide_parameters=True, pool_size=8, max_overflow=24, pool_pre_ping=True, connect_args=_PATIENCE
        )
    engine = sa.create_engine(
        url, hide_parameters=True, pool_size=8, max_overflow=24, connect_args={"timeout": BUSY_SECONDS}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    # Without this the driver opens transactions by itself and never an immediate one.
    raw.isolation_level = None
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",  # NORMAL may forget the last commits at power loss: an effect without an intent
        "PRAGMA recursive_triggers = ON",  # else INSERT OR REPLACE deletes without firing the delete trigger
        "PRAGMA foreign_keys = ON",
    ):
        raw.execute(statement)


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("bridge_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
