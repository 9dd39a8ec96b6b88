"""One attempt in a process of its own, for handlers that compute or crash: nobody else's delivery suffers from them.

The worker starts it, gives it the claim on standard input, renews the lease and kills it when its time is up or another
attempt took over; it dies with its worker. It speaks to egress itself, and reports itself how the attempt ended. If it
cannot, because the handler brought it down, the worker reports that.
"""

import json
import logging
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

import httpx

from bridge.errors import Stop
from bridge.rule.door import Claim, Door
from bridge.rule.registry import Registry
from bridge.work import run
from bridge.work.lease import HANDED_BACK, LOST, Lease, Stoppable
from bridge.work.supervisor import child_environment, die_with_parent, leave

log = logging.getLogger(__name__)

FLAG = "--isolated"
LOST_STATUS = 76  # EX_PROTOCOL of sysexits(3): egress was lost, so the lease runs out and nobody is to blame


class Isolation:
    """Starts ``command`` with ``--isolated`` for one attempt and waits for its end."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [*command, FLAG]

    def __call__(self, client: httpx.Client, claim: Claim, lease: Lease) -> str:
        """Run one attempt; return how it ended, in a word."""
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, env=child_environment())  # noqa: S603 - our own command line
        child = _Child(process)
        lease.bind(child)
        try:
            process.communicate(written(claim).encode())
        finally:
            child.stop(Stop("ended", "its worker no longer waits for it"))
            status = process.wait()
        if child.killed:
            return "killed"
        if status == LOST_STATUS:
            return LOST
        if child.told and status != 0:
            # The order came before the process could take it; nothing of the rule had run.
            return _reported(lambda: Door(client, claim).finish("handed_back", error="the worker is stopping"))
        # A process that ended well has reported, unless the handler ended it: a status says nothing about that, so
        # egress is asked. It refuses a second report of an attempt that ended.
        why = f"the handler's process {_told(status)}"
        try:
            ended = Door(client, claim).finish("raised", error=why)
        except Stop as stop:
            return "isolated" if status == 0 else stop.state
        log.warning("isolated.crashed delivery=%s attempt=%d why=%s", claim.delivery, claim.attempt, why)
        return ended


def _reported(finish: Callable[[], str]) -> str:
    try:
        return finish()
    except Stop as stop:
        return stop.state


class _Child:
    """A process that can be asked to hand its attempt back, and killed for any other reason."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.killed = False
        self.told = False

    def stop(self, stop: Stop) -> None:
        if self._process.poll() is not None:
            return
        if stop.state == HANDED_BACK:
            self.told = True
            self._process.terminate()
        else:
            self.killed = True
            self._process.kill()


def _told(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def written(claim: Claim) -> str:
    """Return a claim as the JSON text that ``conduct`` reads, in the shape of egress's own answer."""
    event = claim.event
    return json.dumps(
        {
            "delivery": claim.delivery,
            "attempt": claim.attempt,
            "capability": claim.capability,
            "rule": claim.rule,
            "digest": claim.digest,
            "isolation": claim.isolation,
            "timeout": claim.timeout,
            "lease": claim.lease,
            "mode": claim.mode,
            "event": {
                "delivery": event.delivery,
                "rule": event.rule,
                "received_at": event.received_at.isoformat(),
                "payload": event.payload,
                "source": event.source,
                "initiator": event.initiator,
            },
        }
    )


class _Told:
    """Passes the worker's order to hand back, a SIGTERM, on to the attempt."""

    def __init__(self) -> None:
        self._attempt: Stoppable | None = None
        self._ordered = False

    def bind(self, attempt: Stoppable) -> None:
        self._attempt = attempt
        if self._ordered:
            self.order()

    def order(self) -> None:
        self._ordered = True
        if self._attempt is not None:
            self._attempt.stop(Stop(HANDED_BACK, "the worker is stopping"))


def serve(client_factory: Callable[[], httpx.Client], rules: Registry, claim: IO[bytes]) -> NoReturn:
    """Be that process: read the claim from ``claim``, run the attempt in this thread, the main one, and end."""
    die_with_parent()
    told = _Told()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told.order())
    try:
        ended = run.conduct(client_factory(), Claim.read(json.loads(claim.read())), rules, told)
        status = LOST_STATUS if ended == LOST else 0
    except BaseException:
        log.exception("isolated.failed")
        status = 1
    leave(status)
