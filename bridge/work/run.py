"""One attempt at one delivery, from the claim to the report of how it ended.

The rule's own text is run here, so everything it can do is expected: it raises, exits, catches all, recurses, returns
what JSON cannot hold. Each of these is a failed handler and never a dead worker. Only ``Stop`` is no failure: egress
has ended the attempt itself, or is lost, and then the lease runs out by itself.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal, Protocol

import httpx

from bridge.errors import ActionError, BridgeError, PayloadInvalid, RuleInvalid, Stop
from bridge.rule import handler
from bridge.rule.context import Context
from bridge.rule.door import Claim, Door
from bridge.rule.registry import Registry, Rule
from bridge.work.lease import HANDED_BACK, LOST, Lease, Stoppable

log = logging.getLogger(__name__)

LONGEST_ERROR = 500
# A changed file is read within two seconds (registry.py), in egress as well as here, but not at the same moment.
TEXT_SECONDS = 3.0
LOOK_SECONDS = 0.1
Isolate = Callable[[httpx.Client, Claim, Lease], str]


class Holder(Protocol):
    """Whoever may have to end an attempt before its time: a lease, or the process an attempt has for itself."""

    def bind(self, attempt: Stoppable) -> None:
        """Name what is to be stopped."""


def claimed(client: httpx.Client, delivery: str, worker: str) -> Claim | None:
    """Claim a delivery for ``worker``; None if it is not to be had: somebody has it, it waits, or it is over.

    Raises ``Stop("lost", …)`` if egress cannot be reached.
    """
    try:
        return Door.claim(client, delivery, worker)
    except Stop as stop:
        if stop.state == LOST:
            raise
        log.info("run.not_claimed delivery=%s why=%s", delivery, stop)
        return None


def carry_out(client: httpx.Client, claim: Claim, rules: Registry, lease: Lease, isolate: Isolate) -> str:
    """Run a claimed delivery, in this thread or, if its rule wants that, in a process of its own.

    The caller holds the lease for as long as this lasts. Returns how it ended, in a word for the log.
    """
    alone = claim.isolation == "process"
    ended = isolate(client, claim, lease) if alone else conduct(client, claim, rules, lease)
    log.info("run.ended delivery=%s attempt=%d rule=%s ended=%s", claim.delivery, claim.attempt, claim.rule, ended)
    return ended


def conduct(client: httpx.Client, claim: Claim, rules: Registry, holder: Holder) -> str:
    """Run the rule of a claim in this thread and report to egress; return how it ended, in a word."""
    door = Door(client, claim)
    rule = _same_text(rules, claim)
    if rule is None:
        why = f"the worker has another text of rule {claim.rule} than {claim.digest}"
        return _report(lambda: door.finish("handed_back", error=why))
    context = Context(client, claim)
    holder.bind(context)
    result, error = None, None
    try:
        result = handler.run(rule, claim.event, context)
    except BaseException as raised:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt: a rule must not end a worker
        error = raised
    # Asked of the context and not of what was raised: a handler that catches everything has swallowed the Stop, and
    # what it returns or raises afterwards rests on a call that was not made.
    stop = context.stopped or (error if isinstance(error, Stop) else None)
    if stop is not None:
        if stop.state == HANDED_BACK:
            return _report(lambda: door.finish("handed_back", error=stop.why))
        return stop.state
    if error is not None:
        return _report(lambda: door.finish(_ending(error), error=brief(error)))
    return _report(lambda: door.finish("returned", result=result, steps=context.steps))


def _ending(error: BaseException) -> Literal["unfit", "failed", "raised"]:
    """Sort what a handler raised by what egress does next."""
    if isinstance(error, PayloadInvalid):
        return "unfit"
    return "failed" if isinstance(error, ActionError) else "raised"


def _same_text(rules: Registry, claim: Claim) -> Rule | None:
    """Return the rule in the very text that egress claimed it under; None if it does not turn up here in time."""
    deadline = time.monotonic() + TEXT_SECONDS
    while True:
        try:
            rule = rules.current().get(claim.rule)
        except RuleInvalid:
            rule = None
        if rule is not None and rule.digest == claim.digest:
            return rule
        if time.monotonic() >= deadline:
            return None
        time.sleep(LOOK_SECONDS)


def _report(finish: Callable[[], str]) -> str:
    try:
        return finish()
    except Stop as stop:
        return stop.state


def brief(error: BaseException) -> str:
    """Say in one line what was raised, at most 500 characters: our own errors as they are, others by class."""
    try:
        message = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 - a rule's own exception class may raise when it is shown
        message = ""
    if not isinstance(error, BridgeError):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return message[:LONGEST_ERROR]
