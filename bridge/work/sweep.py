"""The sweep: finds offers that were dropped on the way and withdraws them, so that the relay makes them again.

Redis may lose anything at any time. Three things tell: its epoch key is gone, then all of it is; an offer is old and no
job stands for it any more; a job was taken off the queue and never begun. What RQ leaves behind is tidied up here too,
by score and by name, without loading a job: RQ's own cleaning would read what a stranger may have written.
"""

import logging
import time
from collections.abc import Callable, Iterable

from redis import Redis
from rq import Queue
from rq.job import JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.worker_registration import clean_worker_registry

from bridge.rule.registry import Registry
from bridge.store import Store, offers
from bridge.store.engine import new_id
from bridge.store.offers import Offer
from bridge.work import queue
from bridge.work.queue import DeliveryJob

log = logging.getLogger(__name__)

EPOCH = "bridge:epoch"
STALE_SECONDS = 30.0
ADRIFT_SECONDS = 4.0  # a worker begins what it took within one; with the lease this keeps a second kill under 20 s
BATCH = 200
LONGEST_LOOK_SECONDS = 10.0  # between two looks at all offers, which cost something on a long queue
_OVER = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


class Sweep:
    """Withdraws dropped offers and tidies up; ``stale_seconds`` is how long an offer may lie before it is looked at."""

    def __init__(
        self,
        store: Store,
        connection: Redis,
        rules: Registry,
        *,
        stale_seconds: float = STALE_SECONDS,
        adrift_seconds: float = ADRIFT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._connection = connection
        self._rules = rules
        self._stale_seconds = stale_seconds
        self._adrift_seconds = adrift_seconds
        self._clock = clock
        self._look_again_at = 0.0
        # Since when a name is out of place at every look: on no list though queued, or taken and not begun.
        self._adrift: dict[str, float] = {}
        self._before: dict[str, float] = {}

    def once(self) -> int:
        """Look once and return how many offers were withdrawn.

        Raises ``StoreUnavailable`` and ``QueueUnavailable``; the next look makes up for this one.
        """
        self._before, self._adrift = self._adrift, {}
        withdrawn = self._emptied()
        with queue.reached():
            pools = {None, *(rule.manifest.run.pool for rule in self._rules.current().rules.values())}
            queues = [queue.open_queue(self._connection, pool) for pool in pools]
            withdrawn += self._dropped([each.key for each in queues])
            for each in queues:
                withdrawn += self._never_begun(each)
                self._tidy(each)
        return withdrawn

    def _emptied(self) -> int:
        with queue.reached():
            known = self._connection.exists(EPOCH)
        if known:
            return 0
        count = self._store.commit(offers.withdraw)
        # Only now: a crash before this line withdraws once more, the other order would forget to.
        with queue.reached():
            self._connection.set(EPOCH, new_id())
        log.log(logging.WARNING if count else logging.INFO, "sweep.empty_redis offers_withdrawn=%d", count)
        return count

    def _dropped(self, keys: list[str]) -> int:
        if self._clock() < self._look_again_at:
            return 0
        self._look_again_at = self._clock() + min(self._stale_seconds / 3, LONGEST_LOOK_SECONDS)
        count, after = 0, ""
        # All of them: those that wait in a long queue must not hide one that was dropped behind them.
        while True:
            with self._store.read() as connection:
                found = offers.stale(connection, self._store, self._stale_seconds, BATCH, after)
            if not found:
                break
            after = found[-1].delivery
            lost = [offer.delivery for offer, gone in zip(found, self._gone(found, keys), strict=True) if gone]
            if lost:
                count += self._store.commit(lambda connection, lost=lost: offers.withdraw(connection, ids=lost))  # type: ignore[misc]
                log.warning("sweep.dropped offers_withdrawn=%d first=%s", len(lost), lost[0])
        return count

    def _gone(self, found: list[Offer], keys: list[str]) -> Iterable[bool]:
        """Tell for each offer whether nobody is going to take it or has it in hand."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for offer in found:
                name = queue.job_id(offer)
                pipeline.hget(DeliveryJob.key_for(name), "status")
                for key in keys:
                    # Old offers stand at the head, where the search begins, so this is short even on a long queue.
                    pipeline.lpos(key, name)
            answers = pipeline.execute(raise_on_error=False)
        width = 1 + len(keys)
        for number, offer in enumerate(found):
            status, *places = answers[number * width : (number + 1) * width]
            if not isinstance(status, bytes) or status.decode(errors="replace") in _OVER:
                yield True
            elif status == JobStatus.QUEUED.encode() and all(not isinstance(place, int) for place in places):
                yield self._is_adrift(queue.job_id(offer))
            else:
                yield False

    def _is_adrift(self, name: str) -> bool:
        """Tell whether ``name`` was out of place at every look for some seconds: a worker may just be taking it."""
        since = self._before.get(name, self._clock())
        if self._clock() - since >= self._adrift_seconds:
            return True
        self._adrift[name] = since
        return False

    def _never_begun(self, swept: Queue) -> int:
        """Withdraw what a worker took and did not begin for some seconds: it ended in between."""
        left = []
        for taken in swept.connection.lrange(swept.intermediate_queue_key, 0, -1):
            entry = taken if isinstance(taken, bytes) else taken.encode()
            name = entry.decode(errors="replace")
            if self._is_adrift(name):
                queue.discard(swept, entry)
                left.append(name.rpartition("-")[0])
        if not left:
            return 0
        count = self._store.commit(lambda connection: offers.withdraw(connection, ids=left))
        log.warning("sweep.never_begun jobs=%d offers_withdrawn=%d", len(left), count)
        return count

    def _tidy(self, swept: Queue) -> None:
        for registry in (FinishedJobRegistry, FailedJobRegistry, StartedJobRegistry):
            self._connection.zremrangebyscore(registry(queue=swept).key, "-inf", time.time())
        clean_worker_registry(swept)
