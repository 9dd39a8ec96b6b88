"""What a loop says and how long it waits while the database, Redis or egress is away: one line when it goes, one when
it is back, and a pause that grows to two seconds.
"""

import logging
import threading
import time

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Outage:
    """The absence of one thing, as one process sees it; ``name`` is what the log calls it. Safe between threads."""

    def __init__(self, log: logging.Logger, name: str) -> None:
        self._log = log
        self._name = name
        self._since: float | None = None
        self._pause = FIRST_PAUSE
        self._lock = threading.Lock()

    @property
    def lasts(self) -> bool:
        """Whether the thing is away as far as is known."""
        return self._since is not None

    def went(self, why: BaseException) -> float:
        """Note that it is away; return the seconds to wait before trying again."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                self._pause = FIRST_PAUSE
                self._log.warning("%s.away why=%s", self._name, why)
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
            return pause

    def over(self) -> None:
        """Note that it answers."""
        if self._since is None:
            return
        with self._lock:
            if self._since is not None:
                self._log.warning("%s.back after=%.1fs", self._name, time.monotonic() - self._since)
                self._since = None
