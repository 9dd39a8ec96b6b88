"""The shape of the database: made and upgraded by command or when empty, refused when it is another or unguarded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bridge.errors import StoreUnavailable, StoreUnfit
from bridge.store import Store, schema
from bridge.store.tables import metadata

UPDATE = "UPDATE alembic_version SET version_num = '{}'"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Iterator[Store]:
    """A store on a database that holds nothing, once on each kind."""
    opened = Store(new_database(request.param))
    schema.downgrade(opened, "base")
    yield opened
    opened.close()


def tables(store: Store) -> set[str]:
    """Return the names of the tables that are there, Alembic's own aside."""
    with store.read() as connection:
        return set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def execute(store: Store, statement: str) -> None:
    """Run a statement as somebody with the database's password would."""
    store.commit(lambda connection: connection.execute(sa.text(statement)))


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_goes_up_and_down_and_up_again(empty: Store) -> None:
    assert schema.revision(empty) is None
    assert tables(empty) == set()
    schema.ready(empty)
    assert schema.revision(empty) == schema.newest()
    assert tables(empty) == set(metadata.tables)
    assert schema.missing_guards(empty) == []
    schema.downgrade(empty, "base")
    assert tables(empty) == set()
    schema.upgrade(empty)
    schema.upgrade(empty)
    schema.ready(empty)


def test_two_processes_that_find_it_empty_both_end_up_ready(empty: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stores = [Store(empty.url.render_as_string(hide_password=False)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(schema.ready, stores))
    assert schema.revision(empty) == schema.newest()
    for each in stores:
        each.close()


@pytest.mark.parametrize("revision", ["0000", "9999_of_a_newer_bridge"])
def test_a_database_of_another_revision_is_refused_with_what_to_run(store: Store, revision: str) -> None:
    execute(store, UPDATE.format(revision))
    with pytest.raises(StoreUnfit, match="bridge db upgrade") as raised:
        schema.ready(store)
    assert revision in str(raised.value)
    assert schema.newest() in str(raised.value)


def test_a_revision_that_this_bridge_does_not_know_is_said_in_a_sentence_by_upgrade_too(store: Store) -> None:
    execute(store, UPDATE.format("9999"))
    with pytest.raises(StoreUnfit, match="9999"):
        schema.upgrade(store)


GUARDS = {
    "sqlite": ("journal_no_delete", "journal_no_update"),
    "postgresql": ("journal_no_change", "journal_no_truncate"),
}


@pytest.mark.parametrize("number", [0, 1])
def test_a_guard_that_was_dropped_is_noticed(store: Store, number: int) -> None:
    name = GUARDS["sqlite" if store.sqlite else "postgresql"][number]
    execute(store, f"DROP TRIGGER {name}" + ("" if store.sqlite else " ON journal"))
    assert schema.missing_guards(store) == [name]
    with pytest.raises(StoreUnfit, match=f"not protected against change: {name} missing"):
        schema.ready(store)


@pytest.mark.parametrize(
    "how", ["DISABLE TRIGGER journal_no_change", "DISABLE TRIGGER ALL", "ENABLE REPLICA TRIGGER journal_no_change"]
)
def test_a_guard_that_was_switched_off_is_noticed(pg_store: Store, how: str) -> None:
    execute(pg_store, f"ALTER TABLE journal {how}")
    with pytest.raises(StoreUnfit, match="journal_no_change"):
        schema.ready(pg_store)


def test_a_trigger_of_that_name_on_another_table_is_no_guard(store: Store) -> None:
    if store.sqlite:
        execute(store, "DROP TRIGGER journal_no_delete")
        execute(store, "CREATE TRIGGER journal_no_delete BEFORE DELETE ON pause BEGIN SELECT 1; END")
    else:
        execute(store, "DROP TRIGGER journal_no_change ON journal")
        execute(
            store,
            "CREATE TRIGGER journal_no_change BEFORE DELETE ON pause FOR EACH ROW EXECUTE FUNCTION journal_refuse()",
        )
    with pytest.raises(StoreUnfit, match="journal_no_"):
        schema.ready(store)


def test_a_guard_that_refuses_nothing_is_no_guard(store: Store) -> None:
    if store.sqlite:
        execute(store, "DROP TRIGGER journal_no_delete")
        execute(store, "CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT 1; END")
    else:
        execute(
            store,
            "CREATE OR REPLACE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN OLD; END $$",
        )
    with pytest.raises(StoreUnfit, match="journal"):
        schema.ready(store)


def test_a_file_that_is_no_database_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    path.write_bytes(b"this is a letter to my aunt, and no database" * 100)
    store = Store(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        schema.ready(store)
    store.close()
    assert path.read_bytes().startswith(b"this is a letter")


def test_a_home_with_a_percent_sign_and_a_blank_in_its_name_works(tmp_path: Path) -> None:
    home = tmp_path / "100% mine"
    home.mkdir()
    store = Store(f"sqlite:///{home / 'bridge.db'}")
    schema.ready(store)
    store.close()


def test_the_journal_survives_an_upgrade_that_is_run_again(store: Store) -> None:
    from bridge.store import journal
    from bridge.store.journal import Kind

    store.commit(lambda connection: journal.append(connection, Kind.PAUSED, what="all", person="mia"))
    schema.upgrade(store)
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM journal")).scalar_one() == 1


def test_a_guard_against_another_change_than_it_is_named_for_is_no_guard(store: Store) -> None:
    if store.sqlite:
        execute(store, "DROP TRIGGER journal_no_update")
        execute(
            store,
            "CREATE TRIGGER journal_no_update BEFORE DELETE ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal takes only new entries'); END",
        )
    else:
        execute(store, "DROP TRIGGER journal_no_change ON journal")
        execute(
            store,
            "CREATE TRIGGER journal_no_change BEFORE TRUNCATE ON journal "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse()",
        )
    assert schema.missing_guards(store) == ["journal_no_update" if store.sqlite else "journal_no_change"]
