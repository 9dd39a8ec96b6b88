"""``make chaos``: one run with the options of the environment, and what came of it in a few lines.

Exit status 0 if there was no wrong effect, 1 if there was one (the documented hole apart), 2 for a wrong option.
"""

import os
import sys

from tests.chaos import options, recovery
from tests.chaos.run import Report, run

MOST_LINES = 12
SLOWEST = 4
RANKS = (("p50", 50), ("p99", 99), ("max", 100))
WRONG = (
    ("lost", "lost"), ("twice", "twice"), ("disordered", "out of order"), ("unexplained", "unexplained parked"),
    ("other", "other"),
)  # fmt: skip


def lines(report: Report) -> list[str]:
    """Return a report as people read it."""
    verdict, times = report.verdict, report.recovery
    ranks = ", ".join(f"{name} {recovery.percentile(times, rank):.1f} s" for name, rank in RANKS)
    told = [
        f"deliveries  {report.sent} sent, {report.answered} answered 2xx; {_counts(report.states)}",
        f"kills       {report.done.counts.total()}: {_counts(report.done.counts)}",
        f"faults      {report.faults.total()}: {_counts(report.faults)}",
        f"parked      {verdict.parked}, unexplained {len(verdict.unexplained)}",
        f"wrong       {verdict.wrong}: {', '.join(f'{text} {len(getattr(verdict, name))}' for name, text in WRONG)}",
        f"the hole    {len(verdict.holes)} (executed after settle, or by a frozen sender: documented, counted apart)",
        f"recovery    {len(times)} deliveries taken up again after SIGKILL: {ranks}",
        *(f"            {each.seconds:.1f} s  {each.delivery}  {each.at}" for each in times[:-SLOWEST:-1]),
        f"took        {report.seconds:.0f} s",
    ]
    for name in (*dict(WRONG), "holes"):
        found = getattr(verdict, name)
        told += [f"{name}: {text}" for text in found[:MOST_LINES]]
        told += [f"{name}: and {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
    told += [f"ended by itself: {text}" for text in report.done.ended]
    return told + (report.evidence if verdict.wrong else [])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def main() -> int:
    """Make the run; return the exit status."""
    try:
        chosen = options.read(os.environ)
    except ValueError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    recall = "" if chosen.recall else " RECALL=off"
    print(
        f"make chaos SEED={chosen.seed} DELIVERIES={chosen.deliveries} KILLS={chosen.kills} "
        f"DATABASE={chosen.database}{recall}",
        flush=True,
    )
    report = run(chosen)
    print("\n".join(lines(report)), flush=True)
    return 1 if report.verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
