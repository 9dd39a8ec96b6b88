"""Attempts: a delivery given to one worker at a time, and how each attempt ends.

The verdict over a delivery is taken from the journal, not from what the handler let through: a refused or failed step
ends it as dead, unless the rule's steps say ``on_failure = "continue"``.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import sqlalchemy as sa

from bridge.egress import recall
from bridge.egress.capability import Capability, grant, prove
from bridge.errors import AccountRejected, Fenced, RuleInvalid, Stop
from bridge.rule.registry import Registry, Rule
from bridge.rule.scope import Scope
from bridge.settings import Settings
from bridge.store import Store, deliveries, journal, registers
from bridge.store.deliveries import Delivery, State
from bridge.store.journal import Kind

log = logging.getLogger(__name__)

LEASE = 10.0
LONGEST_BACKOFF = 3600.0
FEW_CRASHES = 2
LONGEST_LOG = 4000
EXCHANGE_SECONDS = 8.0
LOGS_PER_DELIVERY = 1000
ENDINGS = ("returned", "raised", "failed", "timed_out", "unfit", "handed_back")


@dataclass(frozen=True)
class Held:
    """An attempt that proved to hold its delivery, with what it may do."""

    delivery: Delivery
    capability: Capability
    rule: Rule
    scope: Scope
    observing: bool = False

    @property
    def attempt(self) -> int:
        """The attempt's number."""
        return self.capability.attempt

    @property
    def account(self) -> str:
        """The name of the account that acts."""
        return self.rule.manifest.account

    @property
    def mode(self) -> str:
        """``act`` or ``observe``.

        A run that observed goes on observing when its rule is switched to act: what it would have made does not exist.
        """
        return "observe" if self.observing else self.rule.manifest.mode

    @property
    def seconds_left(self) -> float:
        """How long the attempt may still take."""
        return self.capability.seconds_left

    @cached_property
    def payload(self) -> Any:
        """The payload as the webhook brought it."""
        return json.loads(self.delivery.payload or b"null")

    def backoff(self) -> float:
        """Seconds to wait after something that is not the rule's fault: longer the more attempts there were."""
        return float(min(2.0 ** min(self.attempt, 6), 60.0))


class Attempts:
    """Gives deliveries to workers and takes them back."""

    def __init__(self, settings: Settings, store: Store, registry: Registry) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._missing: dict[str, float] = {}

    # ------------------------------------------------------------------------------------------------- giving out

    def claim(self, delivery: str, worker: str) -> dict[str, Any]:
        """Give a delivery to a worker: the next attempt, its event and its capability.

        Raises ``Stop`` if it cannot be had now (somebody else has it, it waits, it is paused), ``StoreUnavailable``.
        """
        rules = self._rules()
        for name in [name for name in self._missing if name in rules]:
            self._missing.pop(name, None)

        def work(connection: sa.Connection) -> tuple[Delivery, Rule, int] | Stop:
            # What ends a claim is returned, not raised: a crashed or ruleless delivery is moved in this very commit.
            found = deliveries.get(connection, delivery, lock=True)
            if found is None:
                return Stop("unknown", f"there is no delivery {delivery}")
            stop = self._unavailable(connection, found)
            if stop is not None:
                return stop
            rule = rules.get(found.rule)
            if rule is None:
                return self._without_rule(connection, found)
            return self._begin(connection, found, rule, worker)

        claimed = self._store.commit(work, key=delivery)
        if isinstance(claimed, Stop):
            raise claimed
        row, rule, attempt = claimed
        run = rule.manifest.run
        return {
            "delivery": delivery,
            "attempt": attempt,
            "capability": grant(self._settings.key(), delivery, attempt, run.timeout),
            "rule": rule.name,
            "digest": rule.digest,
            "isolation": run.isolation,
            "timeout": run.timeout,
            "lease": LEASE,
            "mode": rule.manifest.mode,
            "event": {
                "delivery": delivery,
                "rule": rule.name,
                "received_at": row.accepted_at,
                "payload": json.loads(row.payload or b"null"),
                "source": rule.manifest.source,
                "initiator": row.initiator,
            },
        }

    def _without_rule(self, connection: sa.Connection, found: Delivery) -> Stop:
        """End a delivery whose rule was removed, once it was away for a while: files may just be in exchange."""
        since = self._missing.setdefault(found.rule, time.monotonic())
        if time.monotonic() - since < EXCHANGE_SECONDS:
            if found.state is not State.RUNNING:
                deliveries.postpone(connection, self._store, found.id, EXCHANGE_SECONDS / 4)
            return Stop("rules", f"there is no rule {found.rule} at the moment")
        why = f"rule {found.rule} was removed"
        _end_now(connection, self._store, found, why, blocks=False)
        return Stop("ended", why)

    def _rules(self) -> Mapping[str, Rule]:
        try:
            return self._registry.current().rules
        except RuleInvalid as error:
            raise Stop("rules", f"no rule can be used: {error.mistakes[0] if error.mistakes else error}") from error

    def _unavailable(self, connection: sa.Connection, found: Delivery) -> Stop | None:
        now = self._store.now(connection)
        if found.state not in {State.QUEUED, State.WAITING, State.RUNNING}:
            return Stop("ended", f"the delivery is {found.state}")
        if found.state is State.RUNNING and not deliveries.lease_ended(self._store, found, now):
            return Stop("held", f"attempt {found.attempt} holds the delivery")
        if found.state is not State.RUNNING and not deliveries.is_due(self._store, found, now):
            return Stop("waiting", "the delivery is not due yet")
        if deliveries.is_blocked(connection, found):
            return Stop("ordered", "an earlier delivery of its order key is not finished")
        if found.payload is None:
            return Stop("ended", "the payload was removed")
        return None

    def _begin(
        self, connection: sa.Connection, found: Delivery, rule: Rule, worker: str
    ) -> tuple[Delivery, Rule, int] | Stop:
        manifest = rule.manifest
        pause = registers.pause_of(connection, rule.name, manifest.account)
        if pause is not None:
            return Stop("paused", f"{pause.what} {pause.name} is paused by {pause.person}")
        holds = manifest.order.on_dead == "hold"
        if deliveries.age(found) > manifest.retry.give_up_after:
            why = f"gave up after {manifest.retry.give_up_after} seconds; last: {found.reason or 'no attempt ended'}"
            _end_now(connection, self._store, found, why, blocks=holds)
            return Stop("ended", why)
        if found.state is State.RUNNING and found.crashes >= FEW_CRASHES:
            # Whatever kills each worker that takes it must not kill one every few seconds.
            delay = min(2.0 ** (found.crashes + 2), LONGEST_BACKOFF)
            why = f"attempt {found.attempt} gave no sign of life, like {found.crashes} before it"
            deliveries.end_attempt(
                connection, self._store, found.id, found.attempt, State.WAITING, why=why, delay=delay, crashed=True
            )
            return Stop("waiting", why)
        attempt = deliveries.begin(
            connection,
            self._store,
            found,
            worker=worker,
            lease=LEASE,
            rule_digest=rule.digest,
            account=manifest.account,
            mode=manifest.mode,
            round=found.round,
        )
        return found, rule, attempt

    # --------------------------------------------------------------------------------------------------- holding

    def held(self, capability: str, delivery: str, attempt: int) -> Held:
        """Check that a worker speaks for the attempt that holds a delivery.

        Raises ``Fenced`` if it does not, ``Stop`` if the rule is gone; the delivery is then dead.
        """
        proven = prove(self._settings.secrets, capability, delivery, attempt)
        with self._store.read() as connection:
            found = deliveries.get(connection, delivery)
            observing = found is not None and journal.observed(connection, delivery, found.run)
        if found is None or found.state is not State.RUNNING or found.attempt != attempt:
            raise Fenced(f"attempt {attempt} no longer holds delivery {delivery}")
        rule = self._rules().get(found.rule)
        if rule is None:
            # The next claim decides whether it is gone for good.
            why = f"there is no rule {found.rule} at the moment"
            self._end(found, attempt, State.WAITING, why, delay=EXCHANGE_SECONDS)
            raise Fenced(why)
        account = self._settings.accounts.get(rule.manifest.account)
        ceiling = account.ceiling if account else {}
        return Held(found, proven, rule, rule.manifest.scope.within(ceiling), observing)

    def renew(self, capability: str, delivery: str, attempt: int) -> None:
        """Extend the lease. Raises ``Fenced``."""
        prove(self._settings.secrets, capability, delivery, attempt)
        self._store.commit(
            lambda connection: deliveries.renew(connection, self._store, delivery, attempt, LEASE), key=delivery
        )

    def note(self, held: Held, text: str) -> None:
        """Put a handler's line on the delivery's timeline; a flood of them stops at ``LOGS_PER_DELIVERY``."""

        def work(connection: sa.Connection) -> None:
            if journal.count(connection, held.delivery.id, Kind.LOG) < LOGS_PER_DELIVERY:
                journal.append_fenced(connection, held.delivery.id, held.attempt, Kind.LOG, why=text[:LONGEST_LOG])

        self._store.commit(work, key=held.delivery.id)

    # ---------------------------------------------------------------------------------------------------- ending

    def wait(self, held: Held, why: str, delay: float, *, step: int | None = None) -> NoReturn:
        """Put the delivery back for ``delay`` seconds; ``step`` is one that settles meanwhile. Raises ``Stop``."""
        now: dict[str, object] = {}
        if step is not None:
            with self._store.read() as connection:
                now = {"step": step, "boot": self._store.boot, "clock": math.floor(self._store.now(connection))}
        self._end(held.delivery, held.attempt, State.WAITING, why, delay=max(delay, 0.0), **now)
        raise Stop("waiting", why)

    def park(self, held: Held, why: str, *, step: int) -> NoReturn:
        """Set the delivery aside for a person. Raises ``Stop``."""
        self._end(held.delivery, held.attempt, State.PARKED, why, at_step=step)
        raise Stop("parked", why)

    def reject_account(self, held: Held, error: AccountRejected) -> NoReturn:
        """Pause what cannot go on until a person mends it, and put the delivery back unharmed. Raises ``Stop``.

        A dead credential pauses its account; a missing OAuth scope only the rule that needs it.
        """
        what, name = ("rule", held.rule.name) if error.missing else ("account", error.account)

        def work(connection: sa.Connection) -> None:
            if not any((one.what, one.name) == (what, name) for one in registers.pauses(connection)):
                registers.set_pause(connection, what, name, "bridge", str(error))
            deliveries.end_attempt(
                connection, self._store, held.delivery.id, held.attempt, State.WAITING, why=str(error), delay=0
            )

        self._store.commit(work, key=held.delivery.id)
        raise Stop("waiting", str(error))

    def later(self, held: Held, seconds: float) -> NoReturn:
        """End the attempt and forget its reads. Raises ``Stop``, or ``ValueError`` after the first write."""

        def work(connection: sa.Connection) -> None:
            if journal.writes(connection, held.delivery.id, held.delivery.run):
                raise ValueError("later() is only possible before the first write of a delivery")
            why = f"the handler asked for {round(seconds)} s"
            deliveries.end_attempt(
                connection, self._store, held.delivery.id, held.attempt, State.WAITING, why=why, delay=seconds
            )
            deliveries.forget_reads(connection, held.delivery.id)

        self._store.commit(work, key=held.delivery.id)
        raise Stop("waiting", f"asked to wait {round(seconds)} s")

    def finish(self, held: Held, ended: str, result: Any, error: str | None, steps: int | None) -> State:
        """Take the attempt's end from its worker and return the delivery's state. Raises ``Fenced``.

        ``steps`` is how many steps the attempt made, as far as the worker knows.
        """
        if ended == "handed_back":
            return self._end(held.delivery, held.attempt, State.WAITING, error or "handed back", delay=0.0)
        with self._store.read() as connection:
            entries = journal.steps(connection, held.delivery.id, held.delivery.run)
        passed = _passed_over(entries, held.delivery.round, steps) if ended == "returned" else None
        if passed is not None:
            return self._end(held.delivery, held.attempt, State.PARKED, passed)
        bad = _worst(entries, held, tolerant=ended == "returned") or _hopeless(ended, error)
        if bad is not None:
            return self._end(held.delivery, held.attempt, State.DEAD, bad)
        if ended == "returned":
            return self._end(held.delivery, held.attempt, State.DONE, None, result=_text(result))
        failures, why = held.delivery.failures + 1, error or ended
        if failures >= held.rule.manifest.retry.failures:
            return self._end(held.delivery, held.attempt, State.DEAD, f"{why} (failure {failures})", failed=True)
        delay = min(5.0 * 2.0 ** (failures - 1), LONGEST_BACKOFF)
        return self._end(held.delivery, held.attempt, State.WAITING, why, delay=delay, failed=True)

    def _end(self, delivery: Delivery, attempt: int, state: State, why: str | None, **members: Any) -> State:
        rule = self._registry.current().get(delivery.rule)
        holds = rule is not None and rule.manifest.order.on_dead == "hold"
        self._store.commit(
            lambda connection: deliveries.end_attempt(
                connection, self._store, delivery.id, attempt, state, why=why, blocks=holds, **members
            ),
            key=delivery.id,
        )
        return state


def _text(result: Any) -> str | None:
    return None if result is None else json.dumps(result)


def _passed_over(entries: list[dict[str, Any]], round_: int, steps: int | None) -> str | None:
    """Return why a handler that returned did not do what an earlier attempt is recorded to have begun."""
    for step, record in recall.by_step(entries, round_).items():
        if record.in_doubt and record.sent is not None:
            return f"step {step} ({record.sent['verb']}) has no outcome yet, and the handler returned without it"
        # A read proves nothing, and after a replay a person has asked for another outcome.
        made = record.made and record.closed is not None and record.closed["round"] == round_
        if steps is not None and step > steps and made and record.first is not None:
            named = f"{record.first['method']} {record.first['path']}"
            return f"step {step} diverged: recorded {named}, now the handler returned after {steps} steps"
    return None


def _hopeless(ended: str, error: str | None) -> str | None:
    """Return why another attempt would end in the same way: what the handler read is recalled in each of them."""
    if ended == "unfit":
        return f"the payload does not fit: {error}"
    return error or "an action failed" if ended == "failed" else None


def _worst(entries: list[dict[str, Any]], held: Held, *, tolerant: bool) -> str | None:
    """Return why the delivery cannot count as done: the first step of this round that was refused or failed."""
    newest: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if "outcome" in entry:
            newest[entry["step"]] = entry
    for step, entry in sorted(newest.items()):
        if entry["outcome"] in {"refused", "failed"} and entry["round"] == held.delivery.round:
            if tolerant and any(map(held.rule.manifest.tolerates, [str(entry["verb"]), *entry.get("serves", ())])):
                continue
            said = entry.get("why") or f"the site answered {entry.get('status')}"
            fate = "was refused" if entry["outcome"] == "refused" else "failed"
            return f"step {step} ({entry['verb']} {entry.get('target', '')}) {fate}: {said}"
    return None


def _end_now(connection: sa.Connection, store: Store, found: Delivery, why: str, *, blocks: bool) -> None:
    if found.state is State.RUNNING:
        deliveries.end_attempt(connection, store, found.id, found.attempt, State.DEAD, why=why, blocks=blocks)
    else:
        deliveries.end_unclaimed(connection, found, why, blocks=blocks)
