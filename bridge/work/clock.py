"""The clock: the one process that looks at what is due, offers it, and keeps what an installation needs going.

    every turn      relay: what is due and not offered goes on the queue
    every 1.5 s     lead, embedded Valkey, sweep, rule texts
    beside that     chores in threads of their own (sealing the log, telling it outside, retention)

It lives through the absence of the database or of Redis at any time, says once that a thing went and once that it is
back, and never waits longer than two seconds before it looks again.
"""

import logging
import signal
import threading
import time
from collections.abc import Sequence

from bridge.errors import QueueUnavailable, RuleInvalid, StoreUnavailable
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.store import Store, registers, schema
from bridge.work import leader, queue
from bridge.work.chores import Chore, Chores
from bridge.work.outage import Outage
from bridge.work.relay import BATCH, Nudges, Relay
from bridge.work.sweep import Sweep
from bridge.work.valkey import Valkey

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
CARE_SECONDS = 1.5
STAND_BY_SECONDS = 1.0


class Clock:
    """One clock; several may run, one of them leads."""

    def __init__(self, settings: Settings, store: Store, rules: Registry, chores: Sequence[Chore] = ()) -> None:
        self._settings = settings
        self._store = store
        self._rules = rules
        self._chores = Chores(chores)
        self._candidate = leader.candidate(store, settings.home)
        self._valkey = None if settings.redis_url else Valkey(settings.home / "valkey", settings.redis_socket)
        self._database = Outage(log, "database")
        self._redis = Outage(log, "redis")
        self._readable = Outage(log, "rules")
        self._stopping = threading.Event()
        self._nudges: Nudges | None = None
        self._relay: Relay | None = None
        self._sweep: Sweep | None = None
        self._cared = -CARE_SECONDS
        self._checked = False
        self._kept: set[str] = set()
        self._mistakes: object = ()

    def run(self) -> None:
        """Go on until ``stop``, then shut the embedded Valkey down and give the lead away."""
        try:
            while not self._stopping.is_set():
                self._wait(self._turn())
        finally:
            led = self._nudges is not None
            self._stand_by()
            if led and self._valkey is not None:
                self._valkey.stop()
            self._candidate.close()

    def stop(self) -> None:
        """Let ``run`` end after its present turn; may be called from a signal handler."""
        self._stopping.set()

    def _wait(self, seconds: float) -> None:
        # A nudge says that there is something to offer, which is of no use while something is away.
        if self._nudges is None or self._troubled:
            self._stopping.wait(seconds)
        elif seconds:
            self._nudges.wait(seconds)

    @property
    def _troubled(self) -> bool:
        return self._database.lasts or self._redis.lasts or self._readable.lasts

    def _turn(self) -> float:
        """Do what is due and return the seconds until the next look."""
        try:
            if time.monotonic() - self._cared >= CARE_SECONDS or self._troubled:
                if not self._candidate.leads():
                    self._database.over()
                    self._stand_by()
                    return STAND_BY_SECONDS
                self._care()
            return self._offer()
        except StoreUnavailable as error:
            # What comes back may be another database.
            self._checked = False
            self._kept.clear()
            return self._database.went(error)
        except QueueUnavailable as error:
            # Where the database was asked it answered, or this error would not have been reached.
            self._database.over()
            return self._redis.went(error)
        except RuleInvalid as error:
            # Not one good set since the start: which account and pool is a rule's cannot be told, so all waits.
            return self._readable.went(error)

    def _care(self) -> None:
        if self._nudges is None:
            log.info("clock.leads")
            self._nudges = Nudges(self._settings.home / "nudge.sock")
        if not self._checked:
            schema.ready(self._store)
            self._checked = True
        self._chores.start()
        self._keep_rules()
        if self._valkey is not None:
            self._valkey.ensure()
        if self._relay is None or self._sweep is None:
            connection = queue.connect(self._settings)
            self._relay = Relay(self._store, connection, self._rules)
            self._sweep = Sweep(self._store, connection, self._rules)
        self._sweep.once()
        self._cared = time.monotonic()

    def _offer(self) -> float:
        offered = 0 if self._relay is None else self._relay.once()
        self._database.over()
        if self._relay is not None:
            self._redis.over()
        return 0.0 if offered == BATCH else POLL_SECONDS

    def _keep_rules(self) -> None:
        """Keep each rule's text under its digest, so that an entry which names a digest can be read for ever."""
        new = [rule for rule in self._rules.current().rules.values() if rule.digest not in self._kept]
        self._readable.over()
        for rule in new:
            texts, name, digest = rule.texts, rule.name, rule.digest
            self._store.commit(
                lambda connection, name=name, digest=digest, texts=texts: registers.keep_rule(  # type: ignore[misc]
                    connection, name, digest, texts, None
                )
            )
            self._kept.add(digest)
        mistakes = self._rules.mistakes
        if mistakes != self._mistakes:
            self._mistakes = mistakes
            if mistakes:
                log.error("rules.not_taken mistakes=%d first=%s", len(mistakes), mistakes[0])
            else:
                log.info("rules.taken rules=%d", len(self._rules.current().rules))

    def _stand_by(self) -> None:
        self._chores.stop()
        if self._nudges is not None:
            self._nudges.close()
            self._nudges = None
            log.info("clock.stands_by")


def serve(settings: Settings, store: Store, rules: Registry, chores: Sequence[Chore] = ()) -> int:
    """Run a clock until SIGTERM or SIGINT; return the exit status."""
    clock = Clock(settings, store, rules, chores)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: clock.stop())
    clock.run()
    return 0
