"""What RQ's own tools see of a worker: that it lives, what it has in hand, what it ended.

All of it is for show. An attempt goes on without it, nothing is decided by it, and it vanishes by itself when the
worker ends, so that a killed worker leaves nothing behind. Each occasion is one round trip.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rq import Queue
from rq.executions import Execution, cleanup_execution
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker import SimpleWorker, WorkerStatus
from rq.worker_registration import register

from bridge.errors import QueueUnavailable
from bridge.work.outage import Outage
from bridge.work.queue import KEPT_SECONDS, SOCKET_TIMEOUT, TAKE_SECONDS, DeliveryJob, reached

log = logging.getLogger(__name__)

T = TypeVar("T")

SIGN_OF_LIFE_SECONDS = 5.0
SILENCE_SECONDS = 60


class ShownWorker(SimpleWorker):
    """An RQ worker on one queue, as far as it shows; how it works is for who derives from it."""

    def __init__(self, queue: Queue, name: str) -> None:
        super().__init__(
            [queue],
            name=name,
            connection=queue.connection,
            job_class=DeliveryJob,
            serializer=JSONSerializer,
            prepare_for_work=False,  # It would ask Redis, which may be away.
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self.birth_date = now()
        self.redis = Outage(log, "redis")
        self._shown_at = -SIGN_OF_LIFE_SECONDS

    @property
    def dequeue_timeout(self) -> int:
        """Seconds that one look at the queue takes at most."""
        return TAKE_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Seconds after which Redis is taken to be away, even if its connection stands."""
        return SOCKET_TIMEOUT

    def note(self, write: Callable[[], T]) -> T | None:
        """Write to Redis; None if it is away."""
        try:
            return write()
        except QueueUnavailable as error:
            self.redis.went(error)
            return None

    @contextmanager
    def shown(self, job: DeliveryJob, queue: Queue) -> Iterator[None]:
        """Show an attempt for as long as the block runs."""
        execution = self.note(lambda: self._begun(job, queue))
        try:
            yield
        finally:
            self.note(lambda: self.ended(job, queue, execution))
            if execution is not None:
                self.executions.pop(execution.id, None)

    def _begun(self, job: DeliveryJob, queue: Queue) -> Execution:
        with reached(), self.connection.pipeline() as pipeline:
            execution = Execution.create(job, SILENCE_SECONDS, pipeline, worker_name=self.name)
            job.prepare_for_execution(self.name, pipeline)
            # A job that nobody speaks for any more vanishes, and the sweep offers its delivery again.
            pipeline.expire(job.key, SILENCE_SECONDS)
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.execute()
        self.executions[execution.id] = execution
        return execution

    def ended(self, job: DeliveryJob, queue: Queue, execution: Execution | None) -> None:
        """Show that nothing is left to do for a job, whether it was begun or not. Raises ``QueueUnavailable``."""
        with reached(), self.connection.pipeline() as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            job.set_status(JobStatus.FINISHED, pipeline)
            pipeline.expire(job.key, KEPT_SECONDS)
            job.finished_job_registry.add(job, KEPT_SECONDS, pipeline)
            cleanup_execution(self, job, pipeline, execution)
            self.increment_successful_job_count(pipeline)
            pipeline.execute()

    def show(self) -> None:
        """Tell Redis every few seconds that this worker lives and what it has in hand, in one round trip."""
        if time.monotonic() - self._shown_at < SIGN_OF_LIFE_SECONDS:
            return
        self._shown_at = time.monotonic()
        self.last_heartbeat = now()
        self.note(self._show)

    def _show(self) -> None:
        state = WorkerStatus.BUSY if self.executions else WorkerStatus.IDLE
        with reached(), self.connection.pipeline() as pipeline:
            pipeline.hset(self.key, mapping=self.serialize() | {"state": state.value})
            pipeline.expire(self.key, SILENCE_SECONDS)
            pipeline.expire(self.executions_key, SILENCE_SECONDS)
            register(self, pipeline)
            for execution in list(self.executions.values()):
                execution.heartbeat(execution.job.started_job_registry, SILENCE_SECONDS, pipeline)
                pipeline.expire(execution.job.key, SILENCE_SECONDS)
            pipeline.execute()

    def gone(self) -> None:
        """Show that this worker ended. Raises ``QueueUnavailable``."""
        with reached():
            self.register_death()  # type: ignore[no-untyped-call]
