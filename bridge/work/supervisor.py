"""The worker's parent process: starts the processes that work, replaces those that end, and stops them all.

It runs no rule and holds no connection, so there is nothing that could end it. A process it started dies with it: on
Linux the kernel sees to that (prctl(2), PR_SET_PDEATHSIG), elsewhere the process itself looks whose child it is.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

log = logging.getLogger(__name__)

PARENT = "BRIDGE_WORKER_PARENT"
PULSE = "BRIDGE_WORKER_PULSE"
LATE_SECONDS = 5.0
SILENT_SECONDS = 30.0  # after which a process is taken for hung; its own loop comes round every second or two
RESTART = 75  # EX_TEMPFAIL of sysexits(3): a process that gives way to a new one, because a thread of it is stuck.
GRACE_SECONDS = 25.0
LOOK_SECONDS = 0.2
YOUNG_SECONDS = 5.0
FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
ORPHANED = 1
_PR_SET_PDEATHSIG = 1


def child_environment() -> Mapping[str, str]:
    """Return the environment of a process that belongs to this one.

    Without hash randomisation: a handler that walks over a set makes its calls in the same order in each attempt.
    """
    return {**os.environ, "PYTHONHASHSEED": "0", PARENT: str(os.getpid())}


def die_with_parent() -> None:
    """Have this process killed when the one that started it ends; do nothing if it was not started by a worker.

    Otherwise an orphan would go on with a delivery that another worker has claimed meanwhile.
    """
    parent = int(os.environ.get(PARENT, "0"))
    if not parent:
        return
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_look_for, args=(parent,), name="parent", daemon=True).start()
    # It may have ended before the line above.
    if os.getppid() != parent:
        os._exit(ORPHANED)


class Pulse:
    """A process's sign of life to its supervisor; says nothing to nobody if it has none.

    A handler that computes without end inside one C function, such as a regular expression, stops every thread of its
    process. No time limit within it takes effect then, so somebody outside has to notice.
    """

    def __init__(self) -> None:
        self._pipe = int(os.environ.pop(PULSE, "-1"))
        if self._pipe >= 0:
            os.set_blocking(self._pipe, False)

    def beat(self) -> None:
        """Show that this process still comes round."""
        if self._pipe >= 0:
            with suppress(OSError):  # full: the supervisor has enough to read; broken: it is gone, and so are we soon
                os.write(self._pipe, b".")


def leave(status: int) -> NoReturn:
    """End this process at once: a thread that a rule started, or that is stuck in one, would keep it for ever."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _look_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(ORPHANED)


@dataclass(slots=True)
class _Place:
    """A process, or the wait until there is one again."""

    number: int
    process: "subprocess.Popen[bytes] | None" = None
    pulse: int = -1
    heard: float | None = None
    looked: float = 0.0
    began: float = 0.0
    due: float = 0.0
    delay: float = FIRST_DELAY


class Supervisor:
    """Keeps ``processes`` processes of ``command`` running."""

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        *,
        grace: float = GRACE_SECONDS,
        silent: float = SILENT_SECONDS,
    ) -> None:
        self._command = list(command)
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._grace = grace
        self._silent = silent
        self._stopping = threading.Event()

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run now."""
        return [place.process.pid for place in self._places if place.process is not None]

    def stop(self) -> None:
        """Let ``run`` end; may be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Go on until ``stop``, then give the processes ``grace`` seconds to end before they are killed.

        Must be called in the main thread: the kernel takes the end of the thread that started a process for the end of
        its parent.
        """
        while not self._stopping.is_set():
            for place in self._places:
                self._look(place)
            self._stopping.wait(LOOK_SECONDS)
        self._end()

    def _look(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is not None:
            status = place.process.poll()
            if status is None:
                self._listen(place, place.process, now)
                return
            os.close(place.pulse)
            place.process = None
            # One that dies at once would die at once again; one that gave way on purpose would not.
            young = now - place.began < YOUNG_SECONDS and status != RESTART
            place.due = now + place.delay if young else now
            place.delay = min(place.delay * 2, LONGEST_DELAY) if young else FIRST_DELAY
            log.warning("worker.ended process=%d status=%d again_in=%.1fs", place.number, status, place.due - now)
        if now >= place.due:
            place.pulse, theirs = os.pipe()
            os.set_blocking(place.pulse, False)
            environment = {**child_environment(), PULSE: str(theirs)}
            place.process = subprocess.Popen(self._command, env=environment, pass_fds=[theirs])  # noqa: S603 - our own
            os.close(theirs)
            place.began, place.heard, place.looked = now, None, now
            log.info("worker.started process=%d pid=%d", place.number, place.process.pid)

    def _listen(self, place: _Place, process: "subprocess.Popen[bytes]", now: float) -> None:
        """Kill a process that has begun to give signs of life and then stopped."""
        try:
            heard = os.read(place.pulse, 4096)
        except BlockingIOError:
            heard = b""
        if heard or (place.heard is not None and now - place.looked > LATE_SECONDS):
            # If this very process was stopped for a while, its children's silence says nothing.
            place.heard = now
        elif place.heard is not None and now - place.heard > self._silent:
            log.error("worker.hung process=%d pid=%d silent=%.0fs", place.number, process.pid, now - place.heard)
            place.heard = now
            process.kill()
        place.looked = now

    def _end(self) -> None:
        running = [place.process for place in self._places if place.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._grace
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker.killed pid=%d after=%.0fs", process.pid, self._grace)
                process.kill()
                process.wait()
        log.info("worker.stopped processes=%d", len(running))


def supervise(command: Sequence[str], processes: int) -> int:
    """Run a supervisor until SIGTERM or SIGINT; return the exit status."""
    supervisor = Supervisor(command, processes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: supervisor.stop())
    supervisor.run()
    return 0
