"""One clock leads, the others stand by, and one of them takes over when it is gone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import StoreUnavailable
from bridge.store import Store
from bridge.work.leader import candidate


def test_one_of_two_leads_and_the_other_takes_over_when_it_ends(
    store: Store, tmp_path: Path, until: Callable[..., None]
) -> None:
    first, second = candidate(store, tmp_path), candidate(store, tmp_path)
    assert first.leads()
    assert not second.leads()
    assert first.leads()
    first.close()
    until(second.leads)
    assert not first.leads()
    second.close()
    first.close()


def test_a_leader_whose_connection_broke_says_so_and_stands_for_election_again(
    new_database: Callable[[str], str], tmp_path: Path, until: Callable[..., None]
) -> None:
    store = Store(new_database("postgresql"))
    first, second = candidate(store, tmp_path), candidate(store, tmp_path)
    assert first.leads()
    with store.read() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )
        )
    with pytest.raises(StoreUnavailable):
        first.leads()
    assert second.leads()
    assert not first.leads()
    second.close()
    until(first.leads)  # The server learns a little later that the connection is gone.
    first.close()
    store.close()
