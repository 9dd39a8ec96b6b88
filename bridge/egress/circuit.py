"""The circuit of one product of one site: after some failures in a row nothing is sent there for a while.

Then one request goes as a probe; if it fails the wait doubles, if it is answered all go on. This is the circuit as one
process knows it; with Redis the opening is shared by all (``gate``).
"""

import threading
from dataclasses import dataclass

FAILURES = 5
FIRST_WAIT, LONGEST_WAIT = 5.0, 120.0
# A probe that never came back is forgotten after this, which is longer than any request may take by default.
PROBE_SECONDS = 40.0
WHILE_PROBED = 5.0


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a circuit: ``open`` for ``seconds`` more, because of ``why``; ``failures`` in a row so far."""

    open: bool = False
    seconds: float = 0.0
    why: str | None = None
    failures: int = 0


class Circuit:
    """The circuits of one process, by name; times are seconds of one monotonic clock. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def ask(self, name: str, now: float) -> float:
        """Return 0 if a request may go, else the seconds to wait. After an opening the first to ask is the probe."""
        with self._lock:
            known = self._known.get(name)
            if known is None or not known.opened:
                return 0.0
            if now < known.until:
                return known.until - now
            if now < known.probed_until:
                return WHILE_PROBED
            known.probed_until = now + PROBE_SECONDS
            return 0.0

    def failed(self, name: str, why: str, now: float) -> bool:
        """Note a failure; return True if the circuit is, or goes on being, open because of it."""
        with self._lock:
            known = self._known.setdefault(name, _Known())
            known.failures += 1
            known.why = why
            if now < known.until:
                return True  # an answer to what was sent before it opened
            if known.failures < FAILURES and not known.opened:
                return False
            known.opened += 1
            known.until = now + wait_after(known.opened)
            known.probed_until = 0.0
            return True

    def worked(self, name: str) -> bool:
        """Note an answer; return True if there was anything to forget."""
        with self._lock:
            return self._known.pop(name, None) is not None

    def closed(self, name: str) -> None:
        """Learn that a circuit is closed because another process had an answer; failures that opened none stay."""
        with self._lock:
            known = self._known.get(name)
            if known is not None and known.opened:
                del self._known[name]

    def state(self, name: str, now: float) -> State:
        """Return what is known of a circuit."""
        with self._lock:
            known = self._known.get(name)
            if known is None:
                return State()
            return State(known.opened > 0, max(known.until - now, 0.0), known.why, known.failures)


def wait_after(openings: int) -> float:
    """Return how long the circuit stays open the n-th time in a row."""
    return float(min(FIRST_WAIT * 2.0 ** (openings - 1), LONGEST_WAIT))


@dataclass(slots=True)
class _Known:
    failures: int = 0
    opened: int = 0
    until: float = 0.0
    probed_until: float = 0.0
    why: str | None = None
