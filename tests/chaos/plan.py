"""What is sent: deliveries of all rules in ``rules/``, drawn from the seed, and what each of them must come to.

A delivery's ``tag`` is a word that occurs nowhere else, so that its effects can be counted on the site. Those of one
``lane`` are sent one after another, each after the answer to the one before: their order is the order of acceptance.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WEIGHTS = {"remarks": 24, "ledger": 22, "career": 20, "chapter": 14, "chronicle": 14, "noted": 6}
LANES = {"remarks": 4, "ledger": 4, "chronicle": 3}
TWICE = 0.12
ANSWERLESS = 0.3  # of those without a lane, so many are not sent again when no answer comes, as Automation does it
POISONED_LANE = "ledger-4"
MISSING = "OPS-4040"


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery; ``moment`` from 0 to 1 is how far the run is when it is sent, ``twice`` sends it again."""

    rule: str
    tag: str
    lane: str
    moment: float
    payload: dict[str, Any]
    twice: bool = False
    insists: bool = True
    poisoned: bool = False


def planned(seed: int, count: int, pages: Sequence[str], person: str) -> list[Planned]:
    """Draw the deliveries, in the order in which they are sent."""
    chance = random.Random(f"plan {seed}")
    rules = [*WEIGHTS, *chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=max(count - len(WEIGHTS), 0))][:count]
    chance.shuffle(rules)
    in_lane: Counter[str] = Counter()
    made = []
    for number, rule in enumerate(rules):
        lane = f"{rule}-{chance.randrange(LANES[rule]) + 1}" if rule in LANES else ""
        in_lane[lane] += 1
        place = int(lane.rpartition("-")[2]) if lane else chance.randrange(3) + 1
        tag = f"t{seed}x{number:04d}"
        # The third of a lane that holds, and now and then one of a lane that goes on.
        poisoned = (lane == POISONED_LANE and in_lane[lane] == 3) or (rule == "remarks" and chance.random() < 0.05)
        payload = {
            "tag": tag,
            "lane": lane,
            "at": MISSING if poisoned and rule == "remarks" else f"OPS-{place}",
            "page": {"id": pages[(place - 1) % len(pages)]},
            "person": person,
            "poison": poisoned,
        }
        insists = bool(lane) or chance.random() > ANSWERLESS
        twice = chance.random() < TWICE
        made.append(Planned(rule, tag, lane, number / count, payload, twice, insists, poisoned))
    return made
