"""The shape of the database: made, brought up to date and checked, never silently repaired."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.errors import StoreUnfit
from bridge.store.engine import Store

GUARDED = ("journal",)


def _config() -> Config:
    config = Config()
    # ConfigParser reads % as the start of a reference.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def newest() -> str:
    """Return the revision that this version of the bridge works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)


def revision(store: Store) -> str | None:
    """Return the database's revision, None if it is empty."""
    with store.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(store: Store, target: str = "head") -> None:
    """Bring the database to ``target``; two processes that try at once follow one another."""
    config = _config()

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
    """Return the names of triggers that should refuse a change of the journal and do not stand there, or are off."""
    if store.sqlite:
        wanted = {f"{table}_no_{what}" for table in GUARDED for what in ("update", "delete")}
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        wanted = {f"{table}_no_{what}" for table in GUARDED for what in ("change", "truncate")}
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    with store.read() as connection:
        return sorted(wanted - set(connection.execute(sa.text(query)).scalars()))
