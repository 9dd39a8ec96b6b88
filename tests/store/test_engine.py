"""Shared commits: what callers that wait for the disk together may rely on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import Fenced, StoreUnavailable
from bridge.store import Store
from bridge.store.engine import new_id
from bridge.store.tables import pause


def insert(name: str) -> sa.Insert:
    return sa.insert(pause).values(what="rule", name=name, person="p", reason="r", since="now")


def names(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(sa.select(pause.c.name)).scalars())


def test_many_callers_at_once_each_get_their_own_answer(store: Store) -> None:
    def work(number: int) -> int:
        def run(connection: sa.Connection) -> int:
            connection.execute(insert(str(number)))
            return number

        return store.commit(run)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(64)))
    assert answers == list(range(64))
    assert names(store) == {str(number) for number in range(64)}


def test_one_callers_mistake_leaves_the_others_of_the_same_commit_alone(store: Store) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> str:
        barrier.wait()
        try:
            store.commit(lambda connection: connection.execute(insert("same" if number % 2 else str(number))))
        except sa.exc.IntegrityError:
            return "refused"
        return "written"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    assert answers.count("refused") == 3
    assert names(store) == {"0", "2", "4", "6", "same"}


def test_a_fenced_caller_does_not_undo_the_commit_it_shared(store: Store) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> str:
        def run(connection: sa.Connection) -> None:
            connection.execute(insert(str(number)))
            if number == 0:
                raise Fenced("too late")

        barrier.wait()
        try:
            store.commit(run)
        except Fenced:
            return "fenced"
        return "written"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(4)))
    assert answers == ["fenced", "written", "written", "written"]
    assert names(store) == {"1", "2", "3"}


def test_a_database_that_is_not_there_is_told_apart_from_a_mistake_of_ours(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'missing' / 'bridge.db'}")
    with pytest.raises(StoreUnavailable, match=r"bridge\.db"):
        store.commit(lambda connection: connection.execute(insert("x")))


def test_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    ids = [new_id() for _ in range(3)]
    assert all(made[14] == "7" and made[19] in "89ab" for made in ids)
    assert ids[0][:8] <= ids[1][:8] <= ids[2][:8]
