"""What running attempts hold: a lease that is renewed while they run, a time limit, and a way to end them from outside.

One thread looks after all attempts of a process. It renews their leases also while a call is under way, ends those
whose time is up through egress, which fences them, and passes on what it learns: an attempt that was fenced, timed out
or must be handed back is told, and its next call ends it. A thread cannot be ended by force; one that does not come to
its next call is stuck, and its process has to make room (``worker.py``).
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import httpx

from bridge.errors import Stop
from bridge.rule.door import Claim, Door

log = logging.getLogger(__name__)

RENEW_SECONDS = 3.0
AGAIN_SECONDS = 1.0
LOST = "lost"
HANDED_BACK = "handed back"
TIMED_OUT = "timed out"


class Stoppable(Protocol):
    """What runs under a lease: a ``Context`` in this process, or a process of its own."""

    def stop(self, stop: Stop) -> None:
        """End it as soon as that is possible; called from another thread."""


class Lease:
    """One attempt's hold on its delivery."""

    def __init__(self, claim: Claim, door: Door) -> None:
        self.claim = claim
        self._door = door
        self._deadline = time.monotonic() + claim.timeout
        self._due = self._next_renewal()
        self._lock = threading.Lock()
        self._stops: list[Stop] = []
        self._bound: Stoppable | None = None
        self._timed_out = False
        self._over = False

    @property
    def wakes(self) -> float:
        """When something is due next, in seconds of the monotonic clock."""
        if self._over:
            return float("inf")
        return self._due if self._timed_out else min(self._due, self._deadline)

    @property
    def overrun(self) -> float:
        """Seconds by which the time limit was passed, 0 before."""
        return max(0.0, time.monotonic() - self._deadline)

    def bind(self, attempt: Stoppable) -> None:
        """Name what is to be stopped; orders that came first are passed on at once."""
        with self._lock:
            self._bound = attempt
            stops = list(self._stops)
        for stop in stops:
            attempt.stop(stop)

    def stop(self, stop: Stop) -> None:
        """End the attempt. A later order may be stronger than the first, so each is passed on."""
        with self._lock:
            self._stops.append(stop)
            bound = self._bound
        if bound is not None:
            bound.stop(stop)

    def look(self, now: float) -> None:
        """Do what is due at ``now`` (seconds of the monotonic clock): renew the lease or end the attempt."""
        if self._over:
            return
        if not self._timed_out and now >= self._deadline:
            self._time_out()
        elif now >= self._due:
            self._report() if self._timed_out else self._renew()

    def postpone(self) -> None:
        """Look again in a second."""
        self._due = time.monotonic() + AGAIN_SECONDS

    def _renew(self) -> None:
        try:
            self._door.renew()
        except Stop as stop:
            self.postpone()
            if stop.state != LOST:
                self._over = True
                log.info("lease.ended delivery=%s attempt=%d why=%s", self.claim.delivery, self.claim.attempt, stop)
                self.stop(stop)
        else:
            self._due = self._next_renewal()

    def _time_out(self) -> None:
        self._timed_out = True
        log.warning("lease.timed_out delivery=%s attempt=%d", self.claim.delivery, self.claim.attempt)
        self.stop(Stop(TIMED_OUT, self._took_too_long))
        self._report()

    def _report(self) -> None:
        """Have egress fence the attempt and count the failure; again until it could, and renew the lease no more."""
        try:
            self._door.finish("timed_out", error=self._took_too_long)
        except Stop as stop:
            self.postpone()
            self._over = stop.state != LOST
        else:
            self._over = True

    @property
    def _took_too_long(self) -> str:
        return f"the handler took longer than {self.claim.timeout:g} s"

    def _next_renewal(self) -> float:
        return time.monotonic() + min(RENEW_SECONDS, self.claim.lease / 3)


class Leases:
    """The leases of all attempts that run in this process."""

    def __init__(self) -> None:
        self._held: set[Lease] = set()
        self._changed = threading.Condition()
        self._handed_back: Stop | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Count the attempts that run."""
        return len(self._held)

    @contextmanager
    def hold(self, client: httpx.Client, claim: Claim) -> Iterator[Lease]:
        """Keep a claim alive for as long as the block runs."""
        lease = Lease(claim, Door(client, claim))
        with self._changed:
            self._held.add(lease)
            if self._handed_back is not None:
                lease.stop(self._handed_back)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_after, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            yield lease
        finally:
            with self._changed:
                self._held.discard(lease)
                self._changed.notify_all()

    def hand_back(self, why: str) -> None:
        """Ask every attempt, also those that are still to begin, to finish the step at hand and give itself back."""
        self._handed_back = Stop(HANDED_BACK, why)
        for lease in self._snapshot():
            lease.stop(self._handed_back)

    def stuck(self, seconds: float) -> int:
        """Count the attempts that still run ``seconds`` after their time was up."""
        return sum(lease.overrun > seconds for lease in self._snapshot())

    def _snapshot(self) -> list[Lease]:
        with self._changed:
            return list(self._held)

    def _look_after(self) -> None:
        while True:
            with self._changed:
                if not self._held:
                    self._thread = None
                    return
                wakes = min(lease.wakes for lease in self._held)
                self._changed.wait(min(RENEW_SECONDS, max(0.0, wakes - time.monotonic())))
            for lease in self._snapshot():
                try:
                    lease.look(time.monotonic())
                except Exception:
                    # Whatever it is, the other attempts must keep their leases.
                    log.exception("lease.failed delivery=%s", lease.claim.delivery)
                    lease.postpone()
