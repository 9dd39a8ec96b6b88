"""The verdict: what ingress answered, what the journal says and what stands on the site, compared with the promises.

Every delivery that was answered 2xx must be done, or dead where its payload is poisoned; each of its effects must stand
on the site as often as wanted; those of a lane in the order of acceptance; and what was parked must have been of a
class that parks. A surplus effect counts as the documented hole only if it can be shown to be that: the request was
seen cut and executed ``seconds`` later by order, or its sender was frozen between its intent and the effect.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.store import Store, journal
from bridge.store.deliveries import Delivery, State, listed
from tests.chaos.kills import Frozen
from tests.chaos.plan import Planned
from tests.chaos.sending import Sent
from tests.chaos.site import Effect, effects, order, shown, time_of
from tests.chaos.site import State as SiteState
from tests.chaos.troubles import Late

# The one sentence for which a step of these rules may be parked, and the operation it is about.
PARKS = ("createCommentProperty", "this operation leaves nothing by which it could be found again")
SLACK = 1.0  # seconds by which a busy machine executes a late request before or after the time ordered
THAWED = 5.0  # seconds in which a thawed process sends what it was about to send

Entries = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Known:
    """What the database holds at the end: deliveries by tag, several where ingress took one twice; their entries."""

    by_tag: Mapping[str, list[Delivery]]
    entries: Mapping[str, Entries]


@dataclass(slots=True)
class Verdict:
    """What is wrong, by kind, one sentence each; ``holes`` are surplus effects of the documented hole."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    parked: int = 0
    deliveries: set[str] = field(default_factory=set)

    @property
    def wrong(self) -> int:
        """How many wrong effects there are."""
        return sum(map(len, (self.lost, self.twice, self.disordered, self.unexplained, self.other)))


def known(store: Store, tags: Mapping[bytes, str]) -> Known:
    """Read all deliveries and their entries; ``tags`` are by payload."""
    by_tag: dict[str, list[Delivery]] = defaultdict(list)
    with store.read() as connection:
        found = listed(connection, limit=100_000)
        for delivery in found:
            by_tag[tags[delivery.payload or b""]].append(delivery)
        return Known(by_tag, {each.id: journal.of_delivery(connection, each.id) for each in found})


class Judge:
    """Judges one run; ``late`` and ``frozen`` are what may excuse a surplus effect."""

    def __init__(self, known: Known, site: SiteState, late: Sequence[Late], frozen: Sequence[Frozen]) -> None:
        self._known = known
        self._site = site
        self._late = late
        self._frozen = frozen
        self._cut: dict[str, list[float]] = defaultdict(list)
        for seen in site["seen"]:
            if seen["status"] is None and not seen["executed"]:
                self._cut[seen["operation"]].append(time_of(seen["at"]))
        self.verdict = Verdict()

    def judge(self, sent: Sequence[Sent]) -> Verdict:
        """Judge all that was sent."""
        for each in sent:
            self._accepted(each)
            self._effects(each.planned)
        for entries in self._known.entries.values():
            self._parked(entries)
        self._order([each.planned for each in sent])
        return self.verdict

    def _say(self, kind: list[str], planned: Planned, text: str) -> None:
        found = self._known.by_tag.get(planned.tag, [])
        self.verdict.deliveries.update(each.id for each in found)
        kind.append(f"{planned.rule} {planned.tag} ({', '.join(each.id for each in found) or 'not stored'}): {text}")

    def _accepted(self, sent: Sent) -> None:
        planned, verdict = sent.planned, self.verdict
        stored = self._known.by_tag.get(planned.tag, [])
        for text in sent.wrong:
            self._say(verdict.other, planned, f"ingress answered {text}")
        if len(stored) > 1:
            self._say(verdict.twice, planned, f"stored {len(stored)} times")
        for answered in sent.ids - {each.id for each in stored}:
            self._say(verdict.lost, planned, f"answered with {answered}, which is not stored")
        wanted = {State.DEAD, State.CANCELLED} if planned.poisoned else {State.DONE}
        for each in stored:
            if each.state not in wanted:
                self._say(verdict.lost, planned, f"{each.state}: {each.reason}")

    def _effects(self, planned: Planned) -> None:
        stored = self._known.by_tag.get(planned.tag, [])
        for effect in effects(planned, self._site):
            wanted = effect.wanted if stored and not planned.poisoned else 0
            count = len(effect.times)
            if count < wanted:
                self._say(self.verdict.lost, planned, f"{effect.what}: {count} instead of {wanted}")
            elif count > wanted:
                text = f"{effect.what}: {count} instead of {wanted}, at {', '.join(map(shown, effect.times))}"
                hole = self._hole(stored, effect, count - wanted)
                self._say(self.verdict.holes if hole else self.verdict.twice, planned, f"{text}{hole}")

    def _hole(self, stored: Sequence[Delivery], effect: Effect, surplus: int) -> str:
        """Return why so many executions are no fault of the bridge's, empty if that cannot be shown."""
        late = [time for time in effect.times if self._was_late(effect.operation, time)]
        if len(late) >= surplus:
            return " (executed after settle)"
        thawed = [time for time in effect.times if self._was_frozen(stored, time)]
        return " (sent by a thawed process)" if len(late) + len(thawed) >= surplus else ""

    def _was_late(self, operation: str, executed: float) -> bool:
        return any(
            each.operation == operation
            and any(
                each.since - SLACK <= cut and abs(executed - cut - each.seconds) <= SLACK
                for cut in self._cut[operation]
            )
            for each in self._late
        )

    def _was_frozen(self, stored: Sequence[Delivery], executed: float) -> bool:
        workers = {
            int(str(entry["worker"]).split("-")[-2])
            for delivery in stored
            for entry in self._known.entries[delivery.id]
            if "worker" in entry
        }
        return any(each.pid in workers and each.ends <= executed <= each.ends + THAWED for each in self._frozen)

    def _parked(self, entries: Entries) -> None:
        for entry in entries:
            if entry["kind"] == journal.Kind.PARKED:
                self.verdict.parked += 1
                operation, sentence = PARKS
                said = str(entry.get("why"))
                if operation not in said or sentence not in said:
                    self.verdict.unexplained.append(f"{entry['rule']} {entry['delivery']}: {said}")
                    self.verdict.deliveries.add(str(entry["delivery"]))

    def _order(self, planned: Sequence[Planned]) -> None:
        lanes: dict[str, list[Planned]] = defaultdict(list)
        for each in planned:
            if each.lane and not each.poisoned and each.tag in self._known.by_tag:
                lanes[each.lane].append(each)
        for lane, each_of in lanes.items():
            accepted = sorted(each_of, key=lambda each: self._known.by_tag[each.tag][0].order_seq or 0)
            if accepted != each_of:
                self.verdict.disordered.append(f"{lane}: not accepted in the order in which they were answered")
            tags = [each.tag for each in accepted]
            # Of a word that stands there twice, which is told elsewhere, the first counts.
            found = [word for word in dict.fromkeys(order(accepted[0].rule, accepted[0].payload, self._site))
                     if word in set(tags)]  # fmt: skip
            wanted = [tag for tag in tags if tag in set(found)]
            if found != wanted:
                at = next(number for number, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])
                text = f"{lane}: {found[at]} where {wanted[at]} was accepted first"
                self.verdict.disordered.append(text)
                self.verdict.deliveries.update(self._known.by_tag[tag][0].id for tag in (found[at], wanted[at]))
