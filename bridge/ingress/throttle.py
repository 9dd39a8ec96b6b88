"""429, and for whom: never for an authentic delivery that is merely one of many, since Automation does not send again.

``Strangers`` answers it to an address that shows wrong signatures again and again; who has the right one is let in from
the same address all the same. ``Reserve`` answers it to everybody when the disk is nearly full: what little is left is
for the outcomes of deliveries that are under way.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bridge.errors import DeliveryRefused

WINDOW = 10.0  # seconds
MOST = 100  # wrong signatures from one address in a window
ADDRESSES = 10_000  # remembered in a window; beyond that an address starts anew, which only costs a 401
LOOK = 1.0  # seconds for which a look at the disk is believed
RETRY_AFTER = 60


class Strangers:
    """Counts wrong signatures by remote address, in windows of ten seconds; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._window = 0
        self._counts: Counter[str] = Counter()

    def refuse(self, refusal: DeliveryRefused, address: str) -> DeliveryRefused:
        """Return the refusal, or 429 in its place for an address with too many of them."""
        with self._lock:
            window = int(self._clock() // WINDOW)
            if window != self._window or len(self._counts) > ADDRESSES:
                self._window = window
                self._counts.clear()
            self._counts[address] += 1
            too_many = self._counts[address] > MOST
        if not too_many:
            return refusal
        return DeliveryRefused(429, "Too Many Requests", "Too many requests without a valid signature.", kept=False)


class Reserve:
    """Looks whether the disk that ``directory`` is on has at least ``wanted`` bytes left for us."""

    def __init__(self, directory: Path, wanted: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._wanted = wanted
        self._clock = clock
        self._looked_at = -LOOK
        self._enough = True

    def require(self) -> None:
        """Raise ``DeliveryRefused`` 429 if there is less; nothing is stored then."""
        now = self._clock()
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            try:
                found = os.statvfs(self._directory)
            except OSError:  # the database itself will tell what is wrong
                return
            self._enough = found.f_bavail * found.f_frsize >= self._wanted
        if not self._enough:
            detail = "The bridge's disk is nearly full and nothing was stored. Free some space, then send it again."
            raise DeliveryRefused(429, "Too Many Requests", detail, kept=False)
