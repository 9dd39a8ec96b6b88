"""How long deliveries lay after their worker was killed, read off the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.store.journal import Kind
from tests.chaos.kills import Killed
from tests.chaos.site import time_of

SILENT = "gave no sign of life"


@dataclass(frozen=True, slots=True, order=True)
class TakenUp:
    """A delivery that was taken up again ``seconds`` after its worker was killed, at ``at``, as the journal has it."""

    seconds: float
    delivery: str
    at: str


def taken_up(entries: Mapping[str, Sequence[Mapping[str, Any]]], killed: Sequence[Killed]) -> list[TakenUp]:
    """Return how long it took after each SIGKILL of a worker until each delivery that it held was taken up, sorted.

    Taken up is also one that is put off on purpose because it lost several workers: somebody has looked at it.
    """
    found = []
    for delivery, of_delivery in entries.items():
        begun: Mapping[str, Any] | None = None
        for entry in of_delivery:
            if begun is not None and SILENT in str(entry.get("why")) and entry["kind"] in {Kind.BEGUN, Kind.WAITING}:
                pid = int(str(begun["worker"]).split("-")[-2])
                kills = [each.at for each in killed if pid in each.pids and each.at >= time_of(begun["at"])]
                until = time_of(entry["at"])
                found += [TakenUp(until - at, delivery, entry["at"]) for at in kills[:1] if at <= until]
                begun = None
            if entry["kind"] == Kind.BEGUN:
                begun = entry
    return sorted(found)


def percentile(found: Sequence[TakenUp], percent: int) -> float:
    """Return the shortest time that so many percent do not exceed (nearest rank), in seconds; 0 for none."""
    return found[max(0, -(-len(found) * percent // 100) - 1)].seconds if found else 0.0
