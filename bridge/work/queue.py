"""The queue: RQ on Redis, carrying nothing but the ids of deliveries.

Whoever can write to Redis can put anything on the queue, so a job is looked at before RQ reads it: exactly one entry
point with exactly one id is let through, everything else is removed, and nothing of it is imported, unpickled or shown.
What a delivery holds stands in the database. Every error of Redis becomes ``QueueUnavailable`` here and nowhere else.
"""

import json
import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from bridge.errors import BridgeError, QueueUnavailable
from bridge.settings import Settings
from bridge.store.offers import Offer
from bridge.work.valkey import private_directory

log = logging.getLogger(__name__)

NAME = "bridge"
ENTRY = "bridge.work.queue.deliver"
SOCKET_TIMEOUT = 5
TAKE_SECONDS = 1
# RQ keeps failures for a year by default; the journal is where people look, so a finished job is soon forgotten.
KEPT_SECONDS = 60
# RQ wants a time limit on every job. The rule's is what counts and the leases see to it; this one is never reached.
JOB_TIMEOUT = 24 * 3600
DATA_BYTES = 512
# A UUID as RFC 9562 section 4 writes it, which is how the store makes the ids of deliveries.
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# What RQ writes for a plain job. A field that is not listed asks RQ for something: a callback, a webhook, a dependency,
# a retry, a repetition, a group, a limit.
_FIELDS = frozenset({"created_at", "data", "description", "ended_at", "enqueued_at", "failure_ttl", "last_heartbeat",
                     "origin", "result_ttl", "started_at", "status", "timeout", "worker_name"})  # fmt: skip


class JobRefused(BridgeError):
    """A job in Redis is none of ours; ``why`` says so without repeating anything of it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class DeliveryJob(Job):
    """An RQ job that stands for one attempt at one delivery, and cannot be anything else.

    ``restore``, through which RQ passes whatever it read, raises ``JobRefused`` before RQ sees it. The function named
    in the job is never looked up: a worker takes the id and makes the attempt itself (``worker.py``).
    """

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:  # noqa: A002, ARG002 - RQ's own signature, which passes them by name
        # RQ falls back to pickle wherever it forgets to hand the serializer on.
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Take what Redis holds for this job. Raises ``JobRefused`` unless it is one delivery, plainly queued."""
        _inspect(self.id, raw_data)
        try:
            super().restore(raw_data)
        except Exception:  # noqa: BLE001 - a foreign job may break RQ's reader in any way
            raise JobRefused("its fields cannot be read") from None

    @property
    def delivery(self) -> str:
        """The id of the delivery."""
        return str(self.args[0])

    def perform(self) -> object:
        """Raise ``JobRefused``: RQ's own workers must not run deliveries, for they know neither lease nor egress."""
        raise JobRefused("only the bridge's worker runs a delivery")


def deliver(_delivery: str) -> None:
    """Be the one name that a job may carry; always raises ``JobRefused``, because nobody calls what a job names."""
    raise JobRefused("only the bridge's worker runs a delivery")


def _inspect(name: str, raw: Mapping[bytes, bytes]) -> None:
    try:
        fields = {field.decode("ascii"): value for field, value in raw.items()}
    except UnicodeDecodeError:
        raise JobRefused("it has fields that RQ does not write") from None
    asked = {field for field, value in fields.items() if value} - _FIELDS
    if asked:
        raise JobRefused(f"it has {len(asked)} fields beyond those of a plain job")
    call = _unpack(fields.get("data", b""))
    if not isinstance(call, list) or len(call) != 4:  # noqa: PLR2004 - function, instance, arguments, named arguments
        raise JobRefused("it is no call")
    function, instance, arguments, named = call
    if function != ENTRY:
        raise JobRefused("it asks for another function")
    if instance is not None or named != {} or not isinstance(arguments, list) or len(arguments) != 1:
        raise JobRefused("it has other arguments than one id")
    if not isinstance(arguments[0], str) or not ID.fullmatch(arguments[0]):
        raise JobRefused("its argument is no id of a delivery")
    if name.rpartition("-")[0] != arguments[0]:
        raise JobRefused("it has another name than its delivery gives it")


def _unpack(packed: bytes) -> object:
    """Return the call, of which a few hundred bytes are read at most: a small text may unpack to gigabytes."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(packed, DATA_BYTES)
    except zlib.error:
        text = packed
    if reader.unconsumed_tail or len(text) > DATA_BYTES:
        raise JobRefused("it is too large")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise JobRefused("it is not JSON") from None


@contextmanager
def reached() -> Iterator[None]:
    """Map whatever Redis says to ``QueueUnavailable``."""
    try:
        yield
    except RedisError as error:
        said = str(error).splitlines()
        raise QueueUnavailable(f"Redis does not answer ({said[0] if said else type(error).__name__})") from error


def connect(settings: Settings) -> Redis:
    """Return a connection to ``redis_url`` or to the embedded Valkey's socket; nothing is sent yet.

    An error comes back at once instead of being retried inside: every loop here tries again by itself. Raises
    ``QueueUnavailable`` if the socket's directory is not ours alone.
    """
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.redis_url is not None:
        connection: Redis = Redis.from_url(settings.redis_url, **options)
        return connection
    private_directory(settings.redis_socket.parent)
    return Redis(unix_socket_path=str(settings.redis_socket), **options)


def open_queue(connection: Redis, pool: str | None = None) -> Queue:
    """Return the queue of a pool, None being the one that rules use unless they name another."""
    name = NAME if pool is None else f"{NAME}-{pool}"
    return Queue(name, connection=connection, job_class=DeliveryJob, serializer=JSONSerializer)


def job_id(offer: Offer) -> str:
    """Return the id under which an offer stands in RQ: each attempt its own, so that a late one hides nothing."""
    return f"{offer.delivery}-{offer.attempt}"


def offer(connection: Redis, offers: Sequence[Offer], pools: Mapping[str, str | None]) -> None:
    """Put ``offers`` on the queues of their rules' pools, in one round trip for all of them.

    ``pools`` maps a rule to its pool; a rule that is not there goes to the common queue. Offering twice is harmless,
    because a delivery is claimed in the database. Raises ``QueueUnavailable``.
    """
    by_pool: dict[str | None, list[Offer]] = defaultdict(list)
    for each in offers:
        by_pool[pools.get(each.rule)].append(each)
    with reached(), connection.pipeline() as pipeline:
        for pool, group in by_pool.items():
            calls = [
                Queue.prepare_data(
                    ENTRY,
                    args=(each.delivery,),
                    timeout=JOB_TIMEOUT,
                    result_ttl=KEPT_SECONDS,
                    failure_ttl=KEPT_SECONDS,
                    description=each.rule,
                    job_id=job_id(each),
                )
                for each in group
            ]
            open_queue(connection, pool).enqueue_many(calls, pipeline=pipeline)
        pipeline.execute()


def take(queue: Queue, seconds: int = TAKE_SECONDS) -> DeliveryJob | None:
    """Wait up to ``seconds`` for the next job and return it, None if there is none or if it had to be refused.

    The job then stands in RQ's intermediate list until the worker notes it as started. Raises ``QueueUnavailable``.
    """
    with reached():
        entry = queue.connection.blmove(queue.key, queue.intermediate_queue_key, seconds, "LEFT", "RIGHT")
        if entry is None:
            return None
        raw = entry if isinstance(entry, bytes) else str(entry).encode()
        try:
            job = DeliveryJob(raw.decode("ascii"), connection=queue.connection)
            job.refresh()  # type: ignore[no-untyped-call]
        except NoSuchJobError:
            why = "there is nothing behind it"
        except JobRefused as refused:
            why = refused.why
        except ResponseError as error:
            # Not a hash at all. Any other complaint of Redis is no fault of the job.
            if not str(error).startswith("WRONGTYPE"):
                raise
            why = "it is no job"
        except ValueError:
            why = "its name is none that RQ gives"
        else:
            return job
        discard(queue, raw)
    log.warning("queue.refused queue=%s why=%s", queue.name, why)
    return None


def put_back(queue: Queue, job: DeliveryJob) -> None:
    """Return a job that was taken and not begun to the front of its queue. Raises ``QueueUnavailable``."""
    with reached(), queue.connection.pipeline() as pipeline:
        pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
        pipeline.lpush(queue.key, job.id)
        pipeline.execute()


def discard(queue: Queue, entry: bytes) -> None:
    """Remove an entry of the intermediate list and, when it can be named, the job behind it."""
    with queue.connection.pipeline() as pipeline:
        pipeline.lrem(queue.intermediate_queue_key, 0, entry)  # type: ignore[arg-type]  # bytes are as good as text
        try:
            pipeline.delete(DeliveryJob.key_for(entry.decode("ascii")))
        except UnicodeDecodeError:
            log.debug("queue.unnamed queue=%s", queue.name)
        pipeline.execute()
