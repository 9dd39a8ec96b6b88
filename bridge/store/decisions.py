"""What people do to a delivery, under their name and with their reason: cancel it, replay it, decide what was done.

A delivery is parked when nobody can tell from here whether a write was made, or when its rule asks for something else
than it did before. A person who looked at the site says so here; the next attempt then goes on from that.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from bridge.store import answers, journal
from bridge.store import deliveries as deliveries_of
from bridge.store.answers import ANSWER, Step
from bridge.store.deliveries import TRANSITIONS, Delivery, State, TransitionRefused
from bridge.store.engine import timestamp
from bridge.store.journal import CLOSED, Kind, append_to, as_text
from bridge.store.tables import deliveries

Verdict = Literal["done", "not-done", "skipped", "again"]
# What the decision's entry repeats of the intent, so that it stands by itself.
_ABOUT = (
    "verb",
    "target",
    "targets",
    "container",
    "account",
    "operation",
    "method",
    "path",
    "rule_digest",
    "initiator",
)
# By which of these an answer names what was made: issues, requests, people, all else.
_NAMES = ("key", "issueKey", "accountId", "id")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person found out about the step in doubt.

    ``done``: it was made, and ``ref`` is the key or id of what it made, which the handler is given. ``not-done``: it
    was not, so it is sent again. ``skipped``: the handler goes on as if observed. ``again``: nothing is said about the
    step; the delivery is taken up once more, after what held it was mended.
    """

    verdict: Verdict
    ref: str | None = None


def cancel(connection: sa.Connection, delivery: str, person: str, reason: str) -> State:
    """End a delivery that nobody works on, under a person's name; return its former state.

    Raises ``TransitionRefused`` if it is running or already final.
    """
    found = _required(connection, delivery)
    kind = TRANSITIONS.get((found.state, State.CANCELLED))
    if kind is None:
        raise TransitionRefused(
            f"delivery {delivery} is {found.state}: only a queued, waiting, parked or dead one can be cancelled"
        )
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(
            state=str(State.CANCELLED),
            reason=as_text(reason),
            finished_at=timestamp(),
            offered_at=None,
            not_before=None,
            blocking=0,
        )
    )
    append_to(connection, delivery, kind, person=person, why=reason, was=str(found.state))
    return found.state


def replay(connection: sa.Connection, delivery: str, person: str, reason: str, *, from_start: bool) -> None:
    """Put a dead or parked delivery back into the queue under a person's name.

    Done steps are recalled and the others decided afresh; with ``from_start`` a new run begins, which knows nothing of
    the earlier one. Raises ``TransitionRefused`` unless it is dead or parked and its payload is still kept.
    """
    found = _required(connection, delivery)
    if found.payload is None:
        raise TransitionRefused(f"the payload of delivery {delivery} was removed after its retention: send it anew")
    if (found.state, State.QUEUED) not in TRANSITIONS:
        raise TransitionRefused(f"delivery {delivery} is {found.state}: only a dead or parked one can be replayed")
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(
            state=str(State.QUEUED),
            run=deliveries.c.run + int(from_start),
            round=0 if from_start else deliveries.c.round + 1,
            failures=0,
            crashes=0,
            since=timestamp(),
            finished_at=None,
            not_before=None,
            offered_at=None,
            reason=None,
            result=None,
            blocking=1,
        )
    )
    append_to(
        connection, delivery, Kind.REPLAYED, person=person, why=reason, from_start=from_start, was=str(found.state)
    )


def decide(connection: sa.Connection, delivery: str, person: str, reason: str, decision: Decision) -> int | None:
    """Release a parked delivery with what a person found out, and return the step that this was about.

    Raises ``TransitionRefused`` unless it is parked, its payload is still kept and, but for ``again``, one of its steps
    is in doubt.
    """
    found = _required(connection, delivery)
    if found.payload is None:
        raise TransitionRefused(f"the payload of delivery {delivery} was removed after its retention: cancel it")
    if found.state is not State.PARKED:
        raise TransitionRefused(f"delivery {delivery} is {found.state}: only a parked one waits for a decision")
    step = None if decision.verdict == "again" else _decide_step(connection, found, person, reason, decision)
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(
            state=str(State.WAITING),
            failures=0,
            crashes=0,
            since=timestamp(),
            not_before=None,
            offered_at=None,
            reason=as_text(f"decided by {person}: {reason}"),
        )
    )
    append_to(connection, delivery, TRANSITIONS[State.PARKED, State.WAITING], person=person, why=reason)
    return step


def _decide_step(connection: sa.Connection, found: Delivery, person: str, reason: str, decision: Decision) -> int:
    intent = in_doubt(journal.steps(connection, found.id, found.run))
    if intent is None:
        raise TransitionRefused(
            f"no step of delivery {found.id} is in doubt, it was parked because: {found.reason}. Mend that and decide "
            "--again, replay it --from-start, or cancel it"
        )
    step = int(intent["step"])
    kept = None
    if decision.verdict != "not-done":
        # Each operation calls what it made by one of these names, and a handler reads the one it knows.
        body = dict.fromkeys(_NAMES, decision.ref) if decision.ref else None
        answer = {"status": 200, "body": body, "observed": decision.verdict == "skipped", "dropped": 0}
        place = Step(found.id, found.run, found.round, step)
        kept = answers.keep(connection, place, ANSWER, json.dumps(answer).encode())
    append_to(
        connection,
        found.id,
        Kind.DECIDED,
        person=person,
        why=reason,
        step=step,
        outcome=decision.verdict,
        ref=decision.ref,
        answer=kept,
        **{name: intent[name] for name in _ABOUT if name in intent},
    )
    return step


def in_doubt(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the intent, or resent, of which nobody knows what became of it: the last one of a run without outcome."""
    sent: dict[int, Mapping[str, Any]] = {}
    for entry in entries:
        if entry["kind"] in {Kind.INTENT, Kind.RESENT}:
            sent[entry["step"]] = entry
        elif entry["kind"] == Kind.UNSENT or entry["kind"] in CLOSED:
            sent.pop(entry["step"], None)
    return sent[max(sent)] if sent else None


def _required(connection: sa.Connection, delivery: str) -> Delivery:
    found = deliveries_of.get(connection, delivery, lock=True)
    if found is None:
        raise TransitionRefused(f"there is no delivery {delivery}")
    return found
