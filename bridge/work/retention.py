"""Retention: once an hour the bodies of deliveries that ended long ago are removed, and an entry says how many."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from bridge.store import Store, journal
from bridge.store.journal import Kind
from bridge.store.retention import remove_bodies

EVERY_SECONDS = 3600.0
BATCH = 200


class Retention:
    """Removes what was kept for ``days``."""

    name = "retention"
    every = EVERY_SECONDS

    def __init__(self, store: Store, days: int) -> None:
        self._store = store
        self._days = days

    def once(self) -> int:
        """Remove everything that is due and return of how many deliveries. Raises ``StoreUnavailable``."""
        before = datetime.now(UTC) - timedelta(days=self._days)
        text = before.isoformat(timespec="microseconds").replace("+00:00", "Z")
        removed = 0
        while True:
            # In small transactions, because others write meanwhile.
            found = self._store.commit(lambda connection: self._remove(connection, text))
            removed += found
            if found < BATCH:
                return removed

    def _remove(self, connection: sa.Connection, before: str) -> int:
        found = remove_bodies(connection, before, BATCH)
        if found:
            journal.append(connection, Kind.REMOVED, deliveries=found, before=before, days=self._days)
        return found
