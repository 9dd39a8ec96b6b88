"""The sender: posts each planned delivery as Automation would, also again, and notes what ingress answered."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.plan import Planned
from tests.faults.installation import Installation

THREADS_WITHOUT_LANE = 3
AGAIN_SECONDS = 0.4
LOOK_SECONDS = 0.2
POST_SECONDS = 6.0
AWAY = frozenset({429, 503})
ACCEPTED = frozenset({200, 202})


@dataclass(slots=True)
class Sent:
    """What became of one planned delivery at ingress: the ids it was answered, and answers that must not be."""

    planned: Planned
    ids: set[str] = field(default_factory=set)
    answers: int = 0
    wrong: list[str] = field(default_factory=list)


class Sender:
    """Sends each delivery when the run has come as far as its moment, a thread for each lane."""

    def __init__(self, installation: Installation, planned: Sequence[Planned], progress: Callable[[], float]) -> None:
        self._installation = installation
        self._progress = progress
        self.sent = [Sent(each) for each in planned]
        lanes: dict[str, list[Sent]] = defaultdict(list)
        for number, sent in enumerate(self.sent):
            lanes[sent.planned.lane or f"free-{number % THREADS_WITHOUT_LANE}"].append(sent)
        self._threads = [
            threading.Thread(target=self._send_all, args=(of_lane,), name=f"sender {lane}", daemon=True)
            for lane, of_lane in lanes.items()
        ]
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether there is something left to send."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(POST_SECONDS + 1)

    def _send_all(self, of_lane: Sequence[Sent]) -> None:
        for sent in of_lane:
            while self._progress() < sent.planned.moment and not self._stopping.wait(LOOK_SECONDS):
                continue
            for _ in range(2 if sent.planned.twice else 1):
                self._send(sent)

    def _send(self, sent: Sent) -> None:
        while not self._stopping.is_set():
            if self._accepted(sent) or not sent.planned.insists:
                return
            self._stopping.wait(AGAIN_SECONDS)

    def _accepted(self, sent: Sent) -> bool:
        try:
            answer = self._installation.post(sent.planned.rule, sent.planned.payload, timeout=POST_SECONDS)
        except httpx.HTTPError:
            return False
        if answer.status_code in ACCEPTED:
            sent.ids.add(str(answer.json()["delivery"]))
            sent.answers += 1
            return True
        if answer.status_code not in AWAY:
            sent.wrong.append(f"{answer.status_code} {answer.text[:200]}")
            return True
        return False
