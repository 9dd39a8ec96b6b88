"""What seals the journal: made on new and on existing databases, filled by every append, and changed by nobody."""

import sqlite3
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from bridge.errors import StoreUnfit
from bridge.store import Store, journal, schema
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint, leaf, unsealed
from bridge.store.tables import journal as entries

GUARDED = {"leaf": "takes only new leaves", "checkpoint": "is never changed"}
CHANGES = [
    ("leaf", "UPDATE leaf SET leaf = 'forged'"),
    ("leaf", "DELETE FROM leaf"),
    ("checkpoint", "UPDATE checkpoint SET note = 'forged'"),
    ("checkpoint", "DELETE FROM checkpoint"),
]
OLD_ENTRY = "INSERT INTO journal (at, kind, person, entry) VALUES ('2026', 'pause:set', :name, '{}')"


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a leaf and a checkpoint."""

    def work(connection: sa.Connection) -> None:
        journal.append(connection, Kind.PAUSED, what="all", person="mia")
        connection.execute(sa.insert(leaf).values(seq=0, entry=1, rule="", rule_seq=1, leaf="text"))
        connection.execute(sa.insert(checkpoint).values(size=1, peaks=b"p", note="note", at="2026"))

    store.commit(work)
    return store


def execute(store: Store, statement: str) -> None:
    """Run a statement as somebody with the database's password would."""
    store.commit(lambda connection: connection.execute(sa.text(statement)))


def everything(store: Store) -> list[tuple[object, ...]]:
    """Return every leaf and checkpoint."""
    with store.read() as connection:
        return [tuple(row) for table in (leaf, checkpoint) for row in connection.execute(sa.select(table))]


@pytest.mark.parametrize(("table", "statement"), CHANGES)
def test_no_leaf_and_no_checkpoint_is_changed_or_removed(filled: Store, table: str, statement: str) -> None:
    before = everything(filled)
    with pytest.raises(sa.exc.DatabaseError, match=GUARDED[table]):
        execute(filled, statement)
    assert everything(filled) == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO leaf VALUES (0, 1, '', 1, 'forged')",
        "INSERT OR REPLACE INTO leaf VALUES (1, 1, '', 2, 'forged')",
        "REPLACE INTO leaf VALUES (1, 2, '', 1, 'forged')",
        "INSERT INTO leaf VALUES (0, 1, '', 1, 'x') ON CONFLICT (seq) DO UPDATE SET leaf = 'forged'",
    ],
)
def test_no_leaf_is_replaced_on_sqlite(new_database: Callable[[str], str], statement: str) -> None:
    store = Store(new_database("sqlite"))
    execute(store, "INSERT INTO leaf VALUES (0, 1, '', 1, 'text')")
    before = everything(store)
    with pytest.raises(sa.exc.DatabaseError, match="takes only new leaves"):
        execute(store, statement)
    assert everything(store) == before
    store.close()


def test_no_checkpoint_is_replaced_on_sqlite_or_truncated_on_postgresql(filled: Store) -> None:
    before = everything(filled)
    replace = "INSERT OR REPLACE INTO checkpoint VALUES (1, 'p', 'forged', '')"
    for statement in [replace] if filled.sqlite else ["TRUNCATE checkpoint", "TRUNCATE leaf", "TRUNCATE leaf CASCADE"]:
        with pytest.raises(sa.exc.DatabaseError, match=r"never changed|only new leaves"):
            execute(filled, statement)
    assert everything(filled) == before


@pytest.mark.parametrize("table", GUARDED)
def test_a_guard_of_the_seals_that_was_dropped_is_noticed_at_the_start(store: Store, table: str) -> None:
    name = f"{table}_no_update" if store.sqlite else f"{table}_no_change"
    execute(store, f"DROP TRIGGER {name}" + ("" if store.sqlite else f" ON {table}"))
    assert schema.missing_guards(store) == [name]
    with pytest.raises(StoreUnfit, match=name):
        schema.ready(store)


def test_a_guard_that_stands_before_another_guarded_table_is_none(new_database: Callable[[str], str]) -> None:
    store = Store(new_database("sqlite"))
    execute(store, "DROP TRIGGER leaf_no_update")
    execute(store, "CREATE TRIGGER leaf_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert schema.missing_guards(store) == ["leaf_no_update"]
    store.close()


def test_every_entry_waits_to_be_sealed_from_its_own_commit_on(store: Store) -> None:
    made = store.commit(
        lambda connection: [journal.append(connection, Kind.PAUSED, what="all", person=name) for name in ("mia", "jo")]
    )
    with store.read() as connection:
        assert list(connection.execute(sa.select(unsealed.c.entry).order_by(unsealed.c.entry)).scalars()) == made

    def fails(connection: sa.Connection) -> None:
        journal.append(connection, Kind.PAUSED, what="all")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.commit(fails)
    with store.read() as connection:
        for table in (entries, unsealed):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == len(made)


# ---------------------------------------------------------------------------------------------- existing installations


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Iterator[Store]:
    """A database as the version before had it, with two entries."""
    store = Store(new_database(request.param))
    schema.downgrade(store, "0001")
    for name in ("mia", "jonas"):
        store.commit(lambda connection, name=name: connection.execute(sa.text(OLD_ENTRY), {"name": name}))  # type: ignore[misc]
    yield store
    store.close()


def test_what_an_existing_installation_logged_waits_to_be_sealed_after_the_upgrade(older: Store) -> None:
    with pytest.raises(StoreUnfit, match="bridge db upgrade"):
        schema.ready(older)
    schema.upgrade(older)
    schema.ready(older)
    with older.read() as connection:
        waiting = sa.select(entries.c.person).join(unsealed, unsealed.c.entry == entries.c.id).order_by(entries.c.id)
        assert list(connection.execute(waiting).scalars()) == ["mia", "jonas"]


def test_going_back_a_version_removes_the_seals_and_leaves_the_journal(older: Store) -> None:
    schema.upgrade(older)
    schema.downgrade(older, "0001")
    with older.read() as connection:
        assert set(sa.inspect(connection).get_table_names()).isdisjoint({"leaf", "checkpoint", "unsealed", "shipped"})
        assert connection.execute(sa.select(sa.func.count()).select_from(entries)).scalar_one() == 2
    schema.upgrade(older)
    schema.ready(older)


def test_a_connection_without_our_settings_can_replace_a_leaf_which_is_why_verify_recomputes(
    new_database: Callable[[str], str],
) -> None:
    store = Store(new_database("sqlite"))
    execute(store, "INSERT INTO leaf VALUES (0, 1, '', 1, 'text')")
    raw = sqlite3.connect(str(store.url.database))
    raw.execute("INSERT OR REPLACE INTO leaf VALUES (0, 1, '', 1, 'forged')")
    raw.commit()
    raw.close()
    assert everything(store)[0][-1] == "forged"
    store.close()
