"""Faults on demand: which request is to go wrong, how, and how often.

A fault is ordered with ``POST /sandbox/faults`` (``control.py``) and taken by the first requests it matches. Kinds:

* ``401`` (``scope``: true for a missing OAuth scope), ``409``, ``429`` (``reason``, ``retry_after``), ``500``, ``503``
  (``retry_after``): the answer is that; with ``processed`` the request is executed all the same.
* ``reset-before``, ``reset-after``: the connection is reset before or after the request is executed.
* ``slow`` (``seconds``): executed, then the answer waits; with ``processed`` false it waits first.
* ``half``: executed, and half the answer's body arrives before the connection ends.
* ``late`` (``seconds``): the connection is reset at once and the request executed that much later; without ``seconds``
  when ``POST /sandbox/late`` says so.
* ``lag``: a search answers from the index as it was when the fault was ordered.

A WSGI application cannot cut its connection by portable means. Under gunicorn's ``gthread`` worker the socket stands
in ``environ["gunicorn.socket"]``: with SO_LINGER at zero, closing it sends a reset (see :func:`reset`). What the
application then raises, :class:`Cut`, is an ECONNRESET, which gunicorn takes for a client that went away. In the same
process :mod:`bridge.sandbox.transport` turns it into what an HTTP client sees.
"""

import copy
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from bridge.sandbox.records import Issue, SandboxRefusal

KINDS = ("401", "409", "429", "500", "503", "reset-before", "reset-after", "slow", "half", "late", "lag")
_ARGUMENTS: Mapping[str, type | tuple[type, ...]] = {
    "times": (int, type(None)),
    "skip": int,
    "processed": bool,
    "scope": bool,
    "reason": str,
    "retry_after": (int, type(None)),
    "seconds": (int, float),
}
_MATCHES = frozenset({"method", "path_contains", "operation"})

#: How long the client of an in-process request waits for its answer; set by the transport, None for a real connection.
PATIENCE: ContextVar[float | None] = ContextVar("PATIENCE", default=None)


class Cut(ConnectionResetError):
    """The connection ends here; ``how`` is reset, half or timeout."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(errno.ECONNRESET, f"the sandbox cut the connection: {how}")


@dataclass(slots=True)
class Fault:
    """One order. ``times`` counts down with each request it takes (None: until cleared); ``skip`` lets as many pass.

    ``seconds`` is None when the order names none; ``retry_after`` None leaves the header out; ``index`` is what a
    lagging search still knows.
    """

    kind: str
    method: str | None = None
    path_contains: str | None = None
    operation: str | None = None
    times: int | None = 1
    skip: int = 0
    processed: bool = False
    scope: bool = False
    reason: str = "jira-burst-based"
    retry_after: int | None = None
    seconds: float | None = None
    index: Mapping[str, Issue] | None = None

    def matches(self, method: str, path: str, operation: str) -> bool:
        """Whether a request is one that the order means."""
        return (
            self.method in {None, method}
            and (self.path_contains or "") in path
            and self.operation in {None, operation}
            and (self.kind != "lag" or operation.startswith("search"))
        )

    def shown(self) -> dict[str, Any]:
        """The order as JSON."""
        names = ("kind", "method", "path_contains", "operation", "times", "skip", "processed", "seconds")
        return {name: getattr(self, name) for name in names}


class Faults:
    """The orders that stand, oldest first, and the requests that are still to be executed late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._late: list[Callable[[], object]] = []

    def order(self, given: Any, issues: Mapping[str, Issue]) -> Fault:
        """Take an order as JSON; raises SandboxRefusal naming everything that is wrong with it."""
        fault = parse(given)
        if fault.kind == "lag":
            fault.index = copy.deepcopy(dict(issues))
        with self._lock:
            self._orders.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all orders, and what was to be executed late."""
        with self._lock:
            self._orders.clear()
            self._late.clear()

    def take(self, method: str, path: str, operation: str) -> Fault | None:
        """The first order that means this request, used up by one."""
        with self._lock:
            for fault in self._orders:
                if not fault.matches(method, path, operation) or fault.times == 0:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def postpone(self, execute: Callable[[], object], seconds: float | None) -> None:
        """Execute something later: after that many seconds, or when :meth:`release` is called."""
        if seconds is None:
            with self._lock:
                self._late.append(execute)
            return
        timer = threading.Timer(seconds, execute)
        timer.daemon = True
        timer.start()

    def release(self) -> int:
        """Execute everything that was postponed without a time; gives how many requests that were."""
        with self._lock:
            due, self._late = self._late, []
        for execute in due:
            execute()
        return len(due)

    def shown(self) -> list[dict[str, Any]]:
        """The orders as JSON."""
        with self._lock:
            return [fault.shown() for fault in self._orders]


def parse(given: Any) -> Fault:
    """Read an order: ``{"match": {...}, "fault": "429", "times": 1, ...}``; raises SandboxRefusal."""
    if not isinstance(given, dict):
        raise SandboxRefusal("an order is a JSON object")
    wrong: list[str] = []
    kind, match = given.get("fault"), given.get("match") or {}
    if kind not in KINDS:
        wrong.append(f"fault must be one of {', '.join(KINDS)}")
    if (
        not isinstance(match, dict)
        or set(match) - _MATCHES
        or not all(isinstance(each, str) for each in match.values())
    ):
        wrong.append(f"match may name {', '.join(sorted(_MATCHES))}, each as text")
        match = {}
    arguments = {name: value for name, value in given.items() if name not in {"fault", "match"}}
    for name, value in arguments.items():
        if name not in _ARGUMENTS:
            wrong.append(f"unknown argument {name!r}; there are {', '.join(_ARGUMENTS)}")
        elif not isinstance(value, _ARGUMENTS[name]) or (
            isinstance(value, int) and not isinstance(value, bool) and value < 0
        ):
            wrong.append(f"{name} does not take {value!r}")
    if kind == "slow" and "seconds" not in arguments:
        wrong.append("slow needs seconds")
    if wrong:
        raise SandboxRefusal("; ".join(wrong))
    arguments.setdefault("processed", kind in {"slow", "half", "reset-after"})
    arguments.setdefault("retry_after", 1 if kind == "429" else None)
    arguments.setdefault("times", None if kind == "lag" else 1)
    return Fault(str(kind), **match, **arguments)


def reset(environ: Mapping[str, Any]) -> None:
    """Reset the connection that a request of gunicorn's came on; nothing happens for a request in the same process.

    The descriptor is replaced, not closed: gunicorn goes on to shut it down, drain it and count one connection less,
    and must find something there. The end that takes its place has no peer, so that is over at once.
    """
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stand_in, peer = socket.socketpair()
        with stand_in, peer:
            os.dup2(stand_in.fileno(), connection.fileno(), inheritable=False)
