"""What the journal already holds of a step, and whether what is asked now is the same: pure decisions.

Strict order; operation, path and the digest of query and body must agree. A label (``step="…"``) forgives another body.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.egress.targets import Asked
from bridge.store.answers import Kept
from bridge.store.journal import CLOSED, Kind, short

_SENDING = (Kind.INTENT, Kind.RESENT, Kind.UNSENT)
_MADE = frozenset({"done", "read", "observed", "skipped"})


@dataclass(frozen=True, slots=True)
class Record:
    """A step's entries, weighed.

    ``closed`` is the entry whose answer is given back; ``sent`` the last intent, or resent, of which no outcome is
    known; ``unsent`` tells that it certainly never left. All are None or False for a step to be decided afresh.
    """

    first: dict[str, Any] | None = None
    closed: dict[str, Any] | None = None
    sent: dict[str, Any] | None = None
    unsent: bool = False

    @property
    def in_doubt(self) -> bool:
        """Whether a write left and nobody knows what became of it."""
        return self.sent is not None and not self.unsent

    @property
    def made(self) -> bool:
        """Whether a write is recorded to have been made."""
        closed = self.closed
        return closed is not None and closed["kind"] in {Kind.OUTCOME, Kind.DECIDED} and closed["outcome"] == "done"


def weigh(entries: Sequence[dict[str, Any]], round_: int) -> Record:
    """Weigh a step's entries in the delivery's present round.

    What was made is made in every round; what was refused or failed before a replay is decided afresh.
    """
    first: dict[str, Any] | None = None
    closed: dict[str, Any] | None = None
    sent: dict[str, Any] | None = None
    unsent = False
    for entry in entries:
        kind = Kind(entry["kind"])
        if kind in (Kind.INTENT, Kind.RESENT):
            first = entry if kind is Kind.INTENT or first is None else first
            sent, unsent, closed = entry, False, None
        elif kind is Kind.UNSENT or (kind is Kind.DECIDED and entry["outcome"] == "not-done"):
            # Nobody did it, says the site's refusal or a person: the recorded request may be sent.
            unsent = True
        elif kind in CLOSED:
            closed, sent, unsent = entry, None, False
            first = entry if first is None or first.get("round") != entry.get("round") else first
    if closed is not None and closed["outcome"] not in _MADE and closed["round"] != round_:
        return Record()
    return Record(first, closed, sent, unsent)


def by_step(entries: Sequence[dict[str, Any]], round_: int) -> dict[int, Record]:
    """Weigh all steps of a run, in their order."""
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["step"], []).append(entry)
    return {step: weigh(of_step, round_) for step, of_step in sorted(found.items())}


def envelope(asked: Asked) -> bytes:
    """Return the bytes by which query, body and file are compared and kept."""
    content = {"query": {name: list(values) for name, values in asked.query.items()}, "body": asked.body}
    if asked.file is not None:
        content["file"] = asked.file.as_data()
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def difference(recorded: dict[str, Any], asked: Asked, label: str | None, kept: Kept | None) -> str | None:
    """Return one sentence naming both sides if what is asked is not what was recorded, else None."""
    before = f"{recorded['method']} {recorded['path']}"
    now = f"{asked.method} {short(asked.path)}"
    step = recorded["step"]
    if before != now or recorded.get("label") != label:
        named = f" ({recorded['label']})" if recorded.get("label") else ""
        also = f" ({label})" if label else ""
        return f"step {step} diverged: recorded {before}{named}, now {now}{also}"
    if label is not None:
        return None
    if kept is None:
        return f"step {step}: what was recorded of {before} was removed, so it cannot be compared"
    if kept.body != envelope(asked):
        return f"step {step} diverged: {now} with another query or body than recorded; give it a step label if it may"
    return None
