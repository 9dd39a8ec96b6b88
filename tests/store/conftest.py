"""What the tests of the store share beside the fixtures of all rooms."""

from collections.abc import Callable, Iterator

import pytest

from bridge.store import Store


@pytest.fixture
def one_store(new_database: Callable[[str], str]) -> Iterator[Store]:
    """A store on SQLite, where the kind of database makes no difference."""
    opened = Store(new_database("sqlite"))
    yield opened
    opened.close()


@pytest.fixture
def pg_store(new_database: Callable[[str], str]) -> Iterator[Store]:
    """A store on PostgreSQL, for what only PostgreSQL has."""
    opened = Store(new_database("postgresql"))
    yield opened
    opened.close()
