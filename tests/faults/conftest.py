"""Installations of real processes to break, which end with the module that made them (``installation.py``)."""

import os
import secrets
from collections.abc import Iterator
from typing import Protocol

import pytest
import sqlalchemy as sa

from bridge.store import schema
from tests.faults.installation import Installation
from tests.postgresql import execute


class Install(Protocol):
    """Makes an installation; nothing of it runs yet."""

    def __call__(
        self, database: str, *, worker_processes: int = 1, request_timeout: float = 30, url: str | None = None
    ) -> Installation:
        """Give "sqlite" or "postgresql"; ``url`` names a database instead of a new one of that kind."""


@pytest.fixture(scope="module")
def install(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """Make installations that end with the module."""
    made: list[Installation] = []

    def make(
        database: str, *, worker_processes: int = 1, request_timeout: float = 30, url: str | None = None
    ) -> Installation:
        home = tmp_path_factory.mktemp("i")
        if url is None:
            url = f"sqlite:///{home / 'data' / 'bridge.db'}" if database == "sqlite" else _new_postgresql(request)
        if database == "sqlite":
            (home / "data").mkdir()
        made.append(Installation(home, url, worker_processes=worker_processes, request_timeout=request_timeout))
        schema.ready(made[-1].store)
        return made[-1]

    yield make
    for installation in made:
        installation.close()


def _new_postgresql(request: pytest.FixtureRequest) -> str:
    template: sa.URL = request.getfixturevalue("postgresql")
    name = f"faults_{os.getpid()}_{secrets.token_hex(4)}"
    execute(template.set(database="postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{template.database}"')
    return template.set(database=name).render_as_string(hide_password=False)
