"""The relay: puts the ids of committed deliveries on the queue and notes in the database that it did.

First the queue, then the note. A crash between the two leads to a second offer, which is harmless because a delivery is
claimed in the database; the other order would lose the delivery until the sweep finds it.
"""

import logging
import os
import select
import socket
import time
from pathlib import Path

import sqlalchemy as sa
from redis import Redis

from bridge.rule.registry import Registry, RuleSet
from bridge.store import Store, offers, registers
from bridge.work import queue

log = logging.getLogger(__name__)

BATCH = 200
NUDGE_BYTES = 16
NUDGES_AT_ONCE = 1000


class Relay:
    """Offers what is due; which rules are paused stands in the database, which account and pool is a rule's in it."""

    def __init__(self, store: Store, connection: Redis, rules: Registry) -> None:
        self._store = store
        self._connection = connection
        self._rules = rules

    def once(self) -> int:
        """Offer up to ``BATCH`` deliveries, oldest first, and return how many.

        Raises ``StoreUnavailable`` and ``QueueUnavailable``; nothing is lost by either.
        """
        known = self._rules.current()
        with self._store.read() as connection:
            paused = _paused(connection, known)
            if paused is None:
                return 0
            found = offers.unoffered(connection, self._store, paused, BATCH)
        if not found:
            return 0
        queue.offer(self._connection, found, {name: rule.manifest.run.pool for name, rule in known.rules.items()})
        self._store.commit(lambda connection: offers.mark(connection, self._store, found))
        log.debug("relay.offered deliveries=%d", len(found))
        return len(found)


def _paused(connection: sa.Connection, known: RuleSet) -> set[str] | None:
    """Return the names of the rules that wait for a person, None when everything does."""
    held = registers.pauses(connection)
    if any(pause.what == "all" for pause in held):
        return None
    accounts = {pause.name for pause in held if pause.what == "account"}
    return {pause.name for pause in held if pause.what == "rule"} | {
        name for name, rule in known.rules.items() if rule.manifest.account in accounts
    }


class Nudges:
    """The socket on which ingress says that there is something new: any datagram, whatever is in it.

    It only spares the wait until the next look. Where it cannot be made (a home whose path is too long for a socket's
    address), the relay looks ten times a second all the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            path.unlink(missing_ok=True)
            made.bind(os.fspath(path))
        except OSError as error:
            made.close()
            log.warning("relay.unnudged path=%s why=%s", path, error)
            return
        made.setblocking(False)
        self._socket = made

    def wait(self, seconds: float) -> None:
        """Return at a nudge, after ``seconds`` at the latest."""
        if self._socket is None:
            time.sleep(seconds)
            return
        ready, _, _ = select.select([self._socket], [], [], seconds)
        for _ in range(NUDGES_AT_ONCE if ready else 0):
            # Whoever nudged is served by the next look, however many they were.
            try:
                self._socket.recv(NUDGE_BYTES)
            except BlockingIOError:
                return

    def close(self) -> None:
        """Take the socket away."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)
