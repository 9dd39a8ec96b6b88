"""What is killed: a process chosen at random, by a signal chosen at random, and started again where nobody else does.

Everything here happens in the main thread: a process that this one starts is ended by the kernel when the thread that
started it ends.
"""

import contextlib
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redis.exceptions import RedisError

from bridge.egress.attempts import LEASE
from tests.faults.installation import Installation
from tests.postgresql import Server

FROZEN_SECONDS = (LEASE + 2.0, LEASE + 5.0)  # past the lease, and short of what the supervisor takes for hung
WEIGHTS = {
    "worker process": 50, "worker": 5, "worker stopped": 4, "worker frozen": 8, "web": 8, "web stopped": 2,
    "clock": 8, "clock stopped": 2, "valkey": 6, "valkey wiped": 3, "database": 2, "database connection": 4,
}  # fmt: skip

PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Killed:
    """A SIGKILL: when, in wall-clock seconds, and which worker processes it ended."""

    at: float
    pids: frozenset[int]


@dataclass(slots=True)
class Frozen:
    """A worker process that was stopped and continued, in wall-clock seconds."""

    pid: int
    begins: float
    ends: float


@dataclass(slots=True)
class Done:
    """What was done so far: how often each, the kills by SIGKILL, the freezes, and what ended unasked."""

    counts: Counter[str] = field(default_factory=Counter)
    killed: list[Killed] = field(default_factory=list)
    frozen: list[Frozen] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class Killer:
    """Kills one thing after the other in an installation; ``server`` is its PostgreSQL, if it has one."""

    def __init__(self, installation: Installation, server: Server | None, seed: int) -> None:
        self._installation = installation
        self._server = server
        self._chance = random.Random(f"kills {seed}")
        self._thaws: dict[int, float] = {}
        self.done = Done()
        self._drawn: str | None = None
        self._drawn_at = 0.0
        self._ways: Mapping[str, Callable[[], bool]] = {
            "worker process": self._worker_process,
            "worker": self._worker,
            "worker stopped": lambda: self._stopped("worker"),
            "worker frozen": self._freeze,
            "web": lambda: self._process("web", signal.SIGKILL),
            "web stopped": lambda: self._stopped("web"),
            "clock": lambda: self._process("clock", signal.SIGKILL),
            "clock stopped": lambda: self._stopped("clock"),
            "valkey": lambda: self._valkey(wiped=False),
            "valkey wiped": lambda: self._valkey(wiped=True),
            "database": self._database,
            "database connection": self._connection,
        }

    @property
    def total(self) -> int:
        """How many times something was killed, stopped or frozen."""
        return self.done.counts.total()

    def kill(self) -> bool:
        """Kill what was drawn; return False if that cannot be killed yet.

        What is still starting is spared, so that a slow machine makes a run longer and not a run of starts. What cannot
        be killed for ``PATIENCE`` seconds is passed over.
        """
        if self._drawn is None:
            weights = WEIGHTS if self._server else {name: WEIGHTS[name] for name in WEIGHTS if "database" not in name}
            [self._drawn] = self._chance.choices(list(weights), list(weights.values()))
            self._drawn_at = time.monotonic()
        name = self._drawn
        killed = self._ways[name]()
        if killed:
            self.done.counts[name] += 1
        if killed or time.monotonic() - self._drawn_at > PATIENCE:
            self._drawn = None
        return killed

    def look_after(self, *, everything: bool = False) -> None:
        """Continue what was frozen long enough, or everything, and start what ended by itself."""
        for pid, due in list(self._thaws.items()):
            if everything or time.monotonic() >= due:
                self._thaw(pid)
        for name, status in self._installation.ended().items():
            self.done.ended.append(f"{name} ended with status {status}:\n{self._installation.log(name)[-1500:]}")
            self._installation.start(name)

    def _thaw(self, pid: int) -> None:
        self._thaws.pop(pid)
        frozen = next(each for each in reversed(self.done.frozen) if each.pid == pid)
        frozen.ends = time.time()
        if self._is_ours(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _workers(self) -> list[int]:
        """The processes of the worker that work, and are not frozen."""
        ready = {int(pid) for pid in re.findall(r"worker\.ready pid=(\d+)", self._installation.log("worker"))}
        pids = self._installation.worker_pids()
        return [pid for pid in pids if pid in ready and pid not in self._thaws and self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a number is still that of a process of our worker, and not of another's by now."""
        try:
            # The name in parentheses may hold anything; what follows it are state and parent (proc_pid_stat(5)).
            said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return False
        return said[0] != "Z" and int(said[1]) == self._installation.pid("worker")

    def _worker_process(self) -> bool:
        pids = self._workers()
        if len(pids) < 2:
            # With nobody left to take over, it would be the machine's speed that is measured.
            return False
        pid = self._chance.choice(pids)
        self.done.killed.append(Killed(time.time(), frozenset({pid})))
        os.kill(pid, signal.SIGKILL)
        return True

    def _worker(self) -> bool:
        pids = self._workers()
        if not pids or self._thaws:
            return False
        self.done.killed.append(Killed(time.time(), frozenset(pids)))
        return self._process("worker", signal.SIGKILL)

    def _freeze(self) -> bool:
        pids = self._workers()
        if len(pids) < 2:
            return False
        pid = self._chance.choice(pids)
        os.kill(pid, signal.SIGSTOP)
        self._thaws[pid] = time.monotonic() + self._chance.uniform(*FROZEN_SECONDS)
        self.done.frozen.append(Frozen(pid, time.time(), time.time() + FROZEN_SECONDS[1]))
        return True

    def _stopped(self, name: str) -> bool:
        """SIGTERM; a worker with a frozen process would be waited for in vain."""
        if name == "worker" and (self._thaws or not self._workers()):
            return False
        return self._process(name, signal.SIGTERM)

    def _process(self, name: str, number: signal.Signals) -> bool:
        log = self._installation.log(name)
        if (
            name == "clock"
            and log.count("clock.leads") <= self.done.counts["clock"] + self.done.counts["clock stopped"]
        ):
            return False
        self._installation.kill(name, number)
        self._installation.start(name)
        return True

    def _valkey(self, *, wiped: bool) -> bool:
        try:
            self._installation.kill_valkey(wiped=wiped)
        except (RedisError, ProcessLookupError):
            return False
        return True

    def _database(self) -> bool:
        if self._server is None:
            return False
        self._installation.store.close()
        self._server.kill()
        return True

    def _connection(self) -> bool:
        name = str(self._installation.store.url.database)
        return self._server is not None and self._server.kill_connection(name, self._chance.choice)
