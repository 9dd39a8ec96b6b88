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
from bridge.egress.answered import trace_of
from bridge.egress.capability import Capability, grant, prove
from bridge.errors import AccountRejected, Fenced, RuleInvalid, Stop
from bridge.rule.registry import Registry, Rule
from bridge.rule.scope import Scope
from bridge.settings import Settings
from bridge.store import Store, decisions, deliveries, journal, registers
from bridge.store.deliveries import Delivery, State
from bridge.store.journal import Kind

log = logging.getLogger(__name__)

LEASE = 10.0
LONGEST_BACKOFF = 3600.0
FEW_CRASHES = 2
LONGEST_LOG = 4000
EXCHANGE_SECONDS = 8.0
LOGS_PER_DELIVERY = 1000
CONFLICT = 409
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
        # A write in doubt is looked up however old it is, since nobody would do so afterwards.
        if (
            _overdue(connection, found, rule)
            and _tried(connection, found)
            and decisions.in_doubt(journal.steps(connection, found.id, found.run)) is None
        ):
            why = _gave_up(found, rule)
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

    def wait(
        self,
        held: Held,
        why: str,
        delay: float,
        *,
        step: int | None = None,
        downtime: bool = False,
        trace: str | None = None,
    ) -> NoReturn:
        """Put the delivery back for ``delay`` seconds. Raises ``Stop``.

        ``step`` is one that settles meanwhile; ``downtime`` says that the site is what is waited for, which is not held
        against the delivery; ``trace`` is the id under which Atlassian knows the request.
        """
        now: dict[str, object] = {}
        if step is not None:
            with self._store.read() as connection:
                now = {"step": step, "boot": self._store.boot, "clock": math.floor(self._store.now(connection))}
        said = {"downtime": downtime or None, "trace": trace}
        self._end(held.delivery, held.attempt, State.WAITING, why, delay=max(delay, 0.0), **now, **said)
        raise Stop("waiting", why)

    def park(self, held: Held, why: str, *, step: int) -> NoReturn:
        """Set the delivery aside for a person. Raises ``Stop``."""
        self._end(held.delivery, held.attempt, State.PARKED, why, at_step=step)
        raise Stop("parked", why)

    def give_up_if_overdue(self, held: Held, step: int, *, absent: bool, **members: object) -> None:
        """End a delivery that was kept past its time for a ``step`` in doubt, which could now be sent again.

        If the look-up found that it was not made (``absent``) the delivery is dead; if doing it again would be
        harmless and nothing more is known, a person decides. ``members`` are the step's for the journal. Returns if the
        delivery has time left; raises ``Stop`` otherwise.
        """
        with self._store.read() as connection:
            if not _overdue(connection, held.delivery, held.rule):
                return
        why = _gave_up(held.delivery, held.rule)
        if not absent:
            self.park(held, f"{why}; whether step {step} was done is not known", step=step)
        unsent = f"looked up: not done, and not sent again, because the rule {why}"
        self._store.commit(
            lambda connection: journal.append_fenced(
                connection, held.delivery.id, held.attempt, Kind.UNSENT, step=step, why=unsent, **members
            ),
            key=held.delivery.id,
        )
        self._end(held.delivery, held.attempt, State.DEAD, why)
        raise Stop("ended", why)

    def reject_account(self, held: Held, error: AccountRejected) -> NoReturn:
        """Pause what cannot go on until a person mends it, and put the delivery back unharmed. Raises ``Stop``.

        A dead credential pauses its account; a missing OAuth scope only the rule that needs it.
        """
        what, name = ("rule", held.rule.name) if error.missing else ("account", error.account)

        def work(connection: sa.Connection) -> None:
            if not any((one.what, one.name) == (what, name) for one in registers.pauses(connection)):
                registers.set_pause(connection, what, name, "bridge", str(error))
            deliveries.end_attempt(
                connection,
                self._store,
                held.delivery.id,
                held.attempt,
                State.WAITING,
                why=str(error),
                delay=0,
                trace=trace_of(error),
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


def _tried(connection: sa.Connection, found: Delivery) -> bool:
    """Tell whether there was an attempt since the delivery was accepted or replayed: each gets one, however late."""
    return found.attempt > 0 and any(
        entry["kind"] == Kind.BEGUN and entry["at"] >= found.since
        for entry in journal.of_delivery(connection, found.id)
    )


def _overdue(connection: sa.Connection, found: Delivery, rule: Rule) -> bool:
    """Tell whether a delivery could have been done for longer than its rule wants to try."""
    most, age = rule.manifest.retry.give_up_after, deliveries.age(found)
    return age > most and age - _excused(connection, found, rule.manifest.account) > most


def _gave_up(found: Delivery, rule: Rule) -> str:
    return f"gave up after {rule.manifest.retry.give_up_after} seconds; last: {found.reason or 'no attempt ended'}"


def _excused(connection: sa.Connection, found: Delivery, account: str) -> float:
    """Return for how many seconds a delivery could not have been done: its site was away, or a pause held it."""
    waited = sum(
        float(entry.get("delay") or 0)
        for entry in journal.of_delivery(connection, found.id)
        if entry.get("downtime") and entry["at"] >= found.since
    )
    return waited + registers.paused_for(connection, found.rule, account, found.since)


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
            if _done_after_all(entry, newest):
                continue
            if tolerant and any(map(held.rule.manifest.tolerates, [str(entry["verb"]), *entry.get("serves", ())])):
                continue
            said = entry.get("why") or f"the site answered {entry.get('status')}"
            fate = "was refused" if entry["outcome"] == "refused" else "failed"
            return f"step {step} ({entry['verb']} {entry.get('target', '')}) {fate}: {said}"
    return None


def _done_after_all(conflict: dict[str, Any], newest: dict[int, dict[str, Any]]) -> bool:
    """Tell whether a write over an outdated version was read again and done by a later step."""
    return conflict.get("status") == CONFLICT and any(
        step > conflict["step"]
        and entry["outcome"] == "done"
        and (entry["verb"], entry.get("target")) == (conflict["verb"], conflict.get("target"))
        for step, entry in newest.items()
    )


def _end_now(connection: sa.Connection, store: Store, found: Delivery, why: str, *, blocks: bool) -> None:
    if found.state is State.RUNNING:
        deliveries.end_attempt(connection, store, found.id, found.attempt, State.DEAD, why=why, blocks=blocks)
    else:
        deliveries.end_unclaimed(connection, found, why, blocks=blocks)
