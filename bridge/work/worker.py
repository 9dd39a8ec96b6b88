"""A worker process: takes ids off one queue and makes attempts at them, many at a time, each in a thread.

Handlers wait on the network nearly all their time, so threads are what they need. A thread is free before an id is
taken, so that nothing lies in a process that cannot begin it. RQ's own loop is not used: it loads what it is given,
listens to orders on Redis, runs callbacks, and is built for one job at a time. To RQ's tools it looks like one of RQ's
workers all the same (``shown.py``).
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import httpx
from redis import Redis
from rq import Queue

from bridge.errors import QueueUnavailable, Stop
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.work import run
from bridge.work.isolated import Isolation
from bridge.work.lease import Leases
from bridge.work.outage import Outage
from bridge.work.queue import TAKE_SECONDS, DeliveryJob, connect, open_queue, put_back, take
from bridge.work.shown import ShownWorker
from bridge.work.supervisor import RESTART, Pulse, die_with_parent, leave

log = logging.getLogger(__name__)

STUCK_SECONDS = 2.0
DRAIN_SECONDS = 30.0
GRACE_SECONDS = 20.0
WAIT_SECONDS = 1.0
LOOK_SECONDS = 0.25


class ThreadWorker(ShownWorker):
    """One process's worker: ``threads`` attempts at a time from one queue.

    ``client`` reaches egress and is shared by all threads. ``isolate`` runs an attempt in a process of its own.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        name: str,
        client: httpx.Client,
        rules: Registry,
        threads: int,
        isolate: run.Isolate,
        grace: float = GRACE_SECONDS,
        drain: float = DRAIN_SECONDS,
        stuck: float = STUCK_SECONDS,
    ) -> None:
        super().__init__(queue, name)
        self._client = client
        self._rules = rules
        self._isolate = isolate
        self._threads = threads
        self._slots = threading.BoundedSemaphore(threads)
        self._busy = 0
        self._changed = threading.Condition()
        self._grace, self._drain, self._stuck = grace, drain, stuck
        self._leases = Leases()
        self._halt = threading.Event()
        self._pulse = Pulse()
        self._egress = Outage(log, "egress")
        self._again_at = 0.0

    def halt(self) -> None:
        """Let ``work`` end; may be called from a signal handler."""
        self._halt.set()

    def work(self, *_arguments: Any, **_options: Any) -> bool:
        """Go on until ``halt``, or until an attempt is stuck in its thread. Return True if that is the reason.

        On ``halt`` running attempts finish the step at hand and hand their deliveries back. When one is stuck, the
        others have ``drain`` seconds to end. In both cases the caller must end the process.
        """
        # The loop below may be waiting for Redis for a second, in which a handler could make its next call.
        threading.Thread(target=self._ask_to_stop, name="halt", daemon=True).start()
        while not self._halt.is_set():
            self._pulse.beat()
            if self._leases.stuck(self._stuck):
                self._let_others_end()
                return not self._halt.is_set()
            self.show()
            if not self._slots.acquire(timeout=WAIT_SECONDS):
                continue
            if not self._begin_next():
                self._slots.release()
        self._hand_back()
        return False

    def _begin_next(self) -> bool:
        """Begin the next attempt in a thread, if there is one; tell whether it will give its slot back."""
        pause = self._again_at - time.monotonic()
        if pause > 0:
            self._halt.wait(pause)
            return False
        try:
            job = take(self.queues[0], TAKE_SECONDS)
            self.redis.over()
            if job is None:
                return False
            if self._halt.is_set():
                put_back(self.queues[0], job)
                return False
        except QueueUnavailable as error:
            self._halt.wait(self.redis.went(error))
            return False
        self.execute_job(job, self.queues[0])
        return True

    def execute_job(self, job: Any, queue: Queue) -> None:
        """Make the attempt that ``job`` stands for, in a thread of its own."""
        with self._changed:
            self._busy += 1
        threading.Thread(target=self._run, args=(job, queue), name=job.id, daemon=True).start()

    def _run(self, job: DeliveryJob, queue: Queue) -> None:
        try:
            self._attempt(job, queue)
        except BaseException:
            # Nothing of a rule gets here, so this is a fault of ours: the lease runs out and the delivery goes on.
            log.exception("worker.failed delivery=%s", job.delivery)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            self._slots.release()

    def _attempt(self, job: DeliveryJob, queue: Queue) -> None:
        try:
            claim = run.claimed(self._client, job.delivery, self.name)
        except Stop as stop:
            # Egress is away. Taking more would only empty the queue, to be filled by the sweep half a minute later.
            self._again_at = time.monotonic() + self._egress.went(stop)
            self.note(lambda: put_back(queue, job))
            return
        self._egress.over()
        if claim is None:
            self.note(lambda: self.ended(job, queue, None))
            return
        # The lease comes first: what is written to Redis may take longer than it lasts.
        with self._leases.hold(self._client, claim) as lease, self.shown(job, queue):
            run.carry_out(self._client, claim, self._rules, lease, self._isolate)

    def _ask_to_stop(self) -> None:
        self._halt.wait()
        log.info("worker.stopping running=%d", self._busy)
        self._leases.hand_back("the worker is stopping")

    def _hand_back(self) -> None:
        self._wait_for(self._grace, leaving=0)
        self.note(self.gone)

    def _let_others_end(self) -> None:
        log.warning("worker.stuck running=%d stuck=%d", self._busy, self._leases.stuck(self._stuck))
        deadline = time.monotonic() + self._drain
        while not self._halt.is_set() and time.monotonic() < deadline:
            self._pulse.beat()
            if self._wait_for(LOOK_SECONDS, leaving=self._leases.stuck(self._stuck)):
                break
        # Those that still run have the chance of their next call; a stuck one has had it.
        self._leases.hand_back("the worker process gives way to a new one")
        self._wait_for(self._grace if self._halt.is_set() else STUCK_SECONDS, leaving=self._leases.stuck(self._stuck))
        self.note(self.gone)

    def _wait_for(self, seconds: float, *, leaving: int) -> bool:
        """Wait until no more than ``leaving`` attempts are under way; tell whether that came to be in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy <= leaving, seconds)


def serve(
    settings: Settings,
    client_factory: Callable[[], httpx.Client],
    rules: Registry,
    command: Sequence[str],
    pool: str | None = None,
) -> NoReturn:
    """Be a worker process until SIGTERM or SIGINT, or until a handler is stuck (exit status ``RESTART``).

    ``client_factory`` opens the way to egress, ``command`` is what this process was started with.
    """
    die_with_parent()
    client = client_factory()
    queue = open_queue(_connected(settings), pool)
    worker = ThreadWorker(
        queue,
        name=f"{socket.gethostname()}-{os.getpid()}-{int(time.time())}",
        client=client,
        rules=rules,
        threads=settings.worker_threads,
        isolate=Isolation(command),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.halt())
    log.info("worker.ready pid=%d queue=%s threads=%d", os.getpid(), queue.name, settings.worker_threads)
    try:
        status = RESTART if worker.work() else 0
    except BaseException:
        # Left to itself, the interpreter would wait for the threads that rules have started.
        log.exception("worker.ended_by_fault pid=%d", os.getpid())
        status = 1
    leave(status)


def _connected(settings: Settings) -> Redis:
    outage = Outage(log, "redis")
    while True:
        try:
            connection = connect(settings)
        except QueueUnavailable as error:
            time.sleep(outage.went(error))
        else:
            outage.over()
            return connection
