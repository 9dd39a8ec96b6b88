"""``make chaos``: a short run on each kind of database, and that its verdict sees what would be wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.store.deliveries import Delivery, State
from tests.chaos.__main__ import lines
from tests.chaos.judge import Judge, Known, Verdict
from tests.chaos.kills import Frozen
from tests.chaos.options import Options, read
from tests.chaos.plan import Planned
from tests.chaos.run import run
from tests.chaos.sending import Sent
from tests.chaos.troubles import Late

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


@pytest.mark.processes
@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_short_chaos_run_loses_nothing_does_nothing_twice_and_keeps_the_order(database: str) -> None:
    report = run(Options(seed=20261122, deliveries=10, kills=4, database=database, gap=0.5))
    told = "\n".join(lines(report))
    print(told)  # noqa: T201 - shown when it fails
    assert report.done.counts.total() == 4
    assert sum(report.states.values()) >= report.answered > 0
    assert report.verdict.wrong == 0, told


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


def _planned(number: int) -> Planned:
    return Planned("ledger", f"t{number}", "ledger-1", number / 10, {"at": "OPS-1"})


def _delivery(number: int, state: State = State.DONE) -> Delivery:
    fields: dict[str, Any] = dict.fromkeys(Delivery.__dataclass_fields__)
    return Delivery(**{**fields, "id": f"d{number}", "rule": "ledger", "state": state, "order_seq": number})


def _verdict(
    *comments: tuple[str, float],
    states: tuple[State, ...] = (State.DONE, State.DONE),
    cut: float | None = None,
    late: tuple[Late, ...] = (),
    frozen: tuple[Frozen, ...] = (),
    parked: str = "",
) -> Verdict:
    """Judge two deliveries of one lane by the comments, as words and seconds, that stand on the work item."""
    numbers = range(1, len(states) + 1)
    listed = [{"text": text, "created": _at(seconds)} for text, seconds in comments]
    seen = [] if cut is None else [{"operation": "addComment", "status": None, "executed": False, "at": _at(cut)}]
    begun = {"kind": "attempt:begun", "worker": "host-77-1", "at": _at(0)}
    entries = {f"d{number}": [begun] for number in numbers}
    if parked:
        entries["d1"].append({"kind": "delivery:parked", "why": parked, "rule": "ledger", "delivery": "d1"})
    known = Known({f"t{number}": [_delivery(number, state)] for number, state in enumerate(states, 1)}, entries)
    site = {"issues": {"OPS-1": {"comments": listed}}, "pages": {}, "seen": seen}
    return Judge(known, site, late, frozen).judge([Sent(_planned(number)) for number in numbers])


def test_what_stands_there_once_and_in_order_is_right() -> None:
    assert _verdict(("t1", 1), ("t2", 2)).wrong == 0


def test_an_effect_that_is_missing_and_a_delivery_that_is_not_done_are_lost() -> None:
    found = _verdict(("t1", 1), states=(State.DONE, State.WAITING))
    assert [text.partition(": ")[2] for text in found.lost] == ["waiting: None", "comment: 0 instead of 1"]


def test_an_effect_that_stands_there_twice_is_told() -> None:
    found = _verdict(("t1", 1), ("t1", 1.5), ("t2", 2))
    assert (len(found.twice), len(found.holes), found.wrong) == (1, 0, 1)


def test_what_was_seen_cut_and_executed_as_late_as_ordered_is_the_documented_hole() -> None:
    ordered = (Late("addComment", NOON, 10),)
    found = _verdict(("t1", 6), ("t2", 7), ("t1", 11.2), cut=1, late=ordered)
    assert (len(found.twice), len(found.holes), found.wrong) == (0, 1, 0)
    # The same surplus at another time is not what was ordered.
    assert len(_verdict(("t1", 6), ("t2", 7), ("t1", 9), cut=1, late=ordered).twice) == 1


def test_what_a_thawed_process_sent_is_the_documented_hole_and_of_no_other_process() -> None:
    effects = (("t1", 6.0), ("t2", 7.0), ("t1", 13.1))
    assert len(_verdict(*effects, frozen=(Frozen(77, NOON, NOON + 13),)).holes) == 1
    assert len(_verdict(*effects, frozen=(Frozen(78, NOON, NOON + 13),)).twice) == 1


def test_effects_in_another_order_than_that_of_acceptance_are_told() -> None:
    found = _verdict(("t2", 1), ("t1", 2))
    assert found.disordered == ["ledger-1: t2 where t1 was accepted first"]


def test_a_step_parked_for_another_reason_than_its_class_is_unexplained() -> None:
    assert len(_verdict(("t1", 1), ("t2", 2), parked="step 2 diverged").unexplained) == 1
    why = "step 2 (createCommentProperty): this operation leaves nothing by which it could be found again"
    found = _verdict(("t1", 1), ("t2", 2), parked=why)
    assert (found.parked, found.wrong) == (1, 0)


def test_options_are_read_from_the_environment_and_a_wrong_one_is_named() -> None:
    given = read({"SEED": "7", "DELIVERIES": "20", "KILLS": "4", "DATABASE": "postgresql", "RECALL": "off"})
    assert given == Options(seed=7, deliveries=20, kills=4, database="postgresql", recall=False)
    with pytest.raises(ValueError, match="DATABASE=oracle: one of sqlite, postgresql"):
        read({"DATABASE": "oracle"})
