"""The shape of the database: made, brought up to date and checked, never silently repaired."""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.errors import StoreUnfit
from bridge.store.engine import Store

GUARDED = ("journal", "leaf", "checkpoint")


def _config() -> Config:
    config = Config()
    # ConfigParser reads % as the start of a reference.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def newest() -> str:
    """Return the revision that this version of the bridge works with."""
    return str(_scripts().get_current_head())


def revision(store: Store) -> str | None:
    """Return the database's revision, None if it is empty."""
    with store.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(store: Store, target: str = "head") -> None:
    """Bring the database to ``target``; two processes that try at once follow one another.

    Raises ``StoreUnfit`` if the database has a revision that this version of the bridge does not know.
    """
    config = _config()
    found = revision(store)
    if found is not None and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise StoreUnfit(f"the database has revision {found}, which this bridge does not know: use a newer bridge")

    def work(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236187)"))
        config.attributes["connection"] = connection
        command.upgrade(config, target)

    store.commit(work)


def downgrade(store: Store, target: str) -> None:
    """Take the database back to ``target``; ``base`` empties it."""
    config = _config()

    def work(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, target)

    store.commit(work)


def ready(store: Store) -> None:
    """Make an empty database, accept a current one.

    Raises ``StoreUnfit`` if it is of another version or does not guard the journal against change, and
    ``StoreUnavailable`` if it is away.
    """
    found = revision(store)
    if found is None:
        upgrade(store)
        found = revision(store)
    if found != newest():
        raise StoreUnfit(
            f"the database has revision {found}, this bridge works with {newest()}: run `bridge db upgrade`"
        )
    unguarded = missing_guards(store)
    if unguarded:
        raise StoreUnfit(
            f"the journal is not protected against change: {', '.join(unguarded)} missing. Somebody removed it; "
            "find out who before you run on (README, the log)"
        )


def missing_guards(store: Store) -> list[str]:
    """Return the names of triggers that should refuse a change of the log and are not there, or refuse nothing."""
    if store.sqlite:
        wanted = {f"{table}_no_{what}" for table in GUARDED for what in ("update", "delete")}
        query = _SQLITE_TRIGGERS
    else:
        wanted = {f"{table}_no_{what}" for table in GUARDED for what in ("change", "truncate")}
        query = _POSTGRESQL_TRIGGERS
    with store.read() as connection:
        rows = connection.execute(sa.text(query)).all()
    found = {
        row.name for row in rows if row.name.startswith(f"{row.place}_no_") and _refuses(row.name, row.head, row.body)
    }
    return sorted(wanted - found)


_SQLITE_TRIGGERS = "SELECT name, tbl_name AS place, sql AS head, sql AS body FROM sqlite_master WHERE type = 'trigger'"
# Enabled ("origin" or "always"), without a condition, and with the body of the function it calls.
_POSTGRESQL_TRIGGERS = """
SELECT t.tgname AS name, c.relname AS place, pg_get_triggerdef(t.oid) AS head, p.prosrc AS body
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL
"""
_REFUSAL = re.compile(
    r"(CREATE TRIGGER \w+ BEFORE (UPDATE|DELETE) ON \w+ BEGIN SELECT RAISE\(ABORT, '[^']+'\); END"
    r"|BEGIN RAISE EXCEPTION '[^']+'; END)"
)


# What a trigger of each name has to stand before; PostgreSQL writes its own definition in this order.
_BEFORE = {
    "no_update": "BEFORE UPDATE ON",
    "no_delete": "BEFORE DELETE ON",
    "no_change": "BEFORE DELETE OR UPDATE ON",
    "no_truncate": "BEFORE TRUNCATE ON",
}


def _refuses(name: str, head: str, body: str) -> bool:
    """Tell whether a trigger does nothing but refuse what its name says: a look-alike guards nothing."""
    before = _BEFORE.get(name.partition("_")[2], "no such guard")
    return before in " ".join(head.split()) and _REFUSAL.fullmatch(" ".join(body.split())) is not None
