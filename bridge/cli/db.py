"""``bridge db``: the database made and brought up to date."""

import click

from bridge.cli import compose
from bridge.store import schema


@click.group()
def db() -> None:
    """Make or upgrade the database."""


@db.command()
def upgrade() -> None:
    """Bring the database to what this version works with; an empty one is made."""
    store = compose.store(compose.settings(), ready=False)
    before = schema.revision(store)
    schema.upgrade(store)
    after = schema.revision(store)
    print(f"{before or 'empty'} → {after}" if before != after else f"nothing to do: {after}")
