"""What the leading clock does beside offering: each chore in a thread of its own, so that none holds up the relay.

Chores are handed in (``cli`` knows them), done every some seconds, and once more when the clock stops, in their order:
the sealer first, so that those who tell outside still find its last checkpoint.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from bridge.errors import BridgeError
from bridge.work.outage import LONGEST_PAUSE, Outage

log = logging.getLogger(__name__)

STOP_SECONDS = 6.0


class Chore(Protocol):
    """Something to be done every ``every`` seconds; ``name`` is what the log calls it."""

    name: str
    every: float

    def once(self) -> object:
        """Do it. A ``BridgeError`` is said once while it lasts, and it is tried again."""


class Chores:
    """The chores of one clock; started and stopped with its lead."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores
        self._running: list[tuple[threading.Thread, threading.Event]] = []

    def start(self) -> None:
        """Begin, if they do not run."""
        if self._running:
            return
        for chore in self._chores:
            stopping = threading.Event()
            thread = threading.Thread(target=_go_on, args=(chore, stopping), name=chore.name, daemon=True)
            thread.start()
            self._running.append((thread, stopping))

    def stop(self) -> None:
        """Have each done once more and end; one that hangs is left behind after some seconds."""
        for thread, stopping in self._running:
            stopping.set()
            thread.join(STOP_SECONDS)
        self._running = []


def _go_on(chore: Chore, stopping: threading.Event) -> None:
    outage = Outage(log, chore.name)
    while not stopping.wait(_done(chore, outage)):
        pass
    _done(chore, outage)


def _done(chore: Chore, outage: Outage) -> float:
    """Do a chore and return the seconds until it is to be done again."""
    try:
        chore.once()
    except BridgeError as error:
        return outage.went(error)
    except Exception:
        # A mistake of ours in one chore must end neither it nor the clock.
        log.exception("%s.failed", chore.name)
        return max(chore.every, LONGEST_PAUSE)
    outage.over()
    return chore.every
