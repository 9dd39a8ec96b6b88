"""How a delivery stands, told at once or when it has ended: ``?wait=20`` and the status address.

A sender that waits keeps a thread of the web server busy, so only some may: the others are told how it stands now.
"""

import json
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus

from flask import Response

from bridge.errors import DeliveryRefused, StoreUnavailable
from bridge.store import Store, deliveries
from bridge.store.deliveries import State

LONGEST = 30.0  # seconds; Automation itself is said to give up after about as many
LOOK_EVERY = 0.1  # seconds

# What a sender is told of a delivery that has ended. Nothing more will happen to one that was ignored, so a sender that
# asks again and again may stop; it did nothing wrong either. 202 stands for everything that is still to come.
ENDED = {
    State.DONE: HTTPStatus.OK,
    State.IGNORED: HTTPStatus.OK,
    State.DEAD: HTTPStatus.FAILED_DEPENDENCY,
    State.CANCELLED: HTTPStatus.FAILED_DEPENDENCY,
    State.REJECTED: HTTPStatus.FAILED_DEPENDENCY,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a delivery stands; ``result`` is what its handler returned, None before.

    ``duplicate`` says to whoever waits that it is an earlier delivery that stands for theirs.
    """

    delivery: str
    state: State
    result: object = None
    duplicate: bool = False

    def answer(self) -> Response:
        """Return ``{delivery, status, result}`` with the status code that says whether it has ended, and how."""
        document: dict[str, object] = {"delivery": self.delivery, "status": str(self.state), "result": self.result}
        document |= {"duplicate": True} if self.duplicate else {}
        return Response(
            json.dumps(document), ENDED.get(self.state, HTTPStatus.ACCEPTED), content_type="application/json"
        )


def seconds(text: str | None) -> float | None:
    """Read the ``wait`` of a request in seconds, at most 30; None if there is none.

    Raises ``DeliveryRefused`` 400 if it is no number of seconds.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 - longer than anybody lives
        raise DeliveryRefused(400, "Bad Request", "wait must be a number of seconds, such as wait=20.", kept=True)
    return min(float(text), LONGEST)


class Waiting:
    """Those who wait in this process: at most ``seats`` at a time."""

    def __init__(self, store: Store, seats: int) -> None:
        self._store = store
        self._seats = threading.Semaphore(seats)

    def look(self, delivery: str, rule: str) -> Standing | None:
        """Return how a delivery of ``rule`` stands now, None if that rule has no such delivery.

        Raises ``StoreUnavailable`` if the database is away.
        """
        with self._store.read() as connection:
            found = deliveries.get(connection, delivery)
        if found is None or found.rule != rule:
            return None
        return Standing(found.id, found.state, deliveries.result_of(found))

    def until_ended(self, now: Standing, rule: str, limit: float) -> Standing:
        """Return how a delivery stands when it has ended, or after ``limit`` seconds, or at once if no seat is free.

        While the database is away the last known standing counts: the delivery was accepted, whatever happens since.
        """
        if now.state in ENDED or limit <= 0 or not self._seats.acquire(blocking=False):
            return now
        try:
            deadline = time.monotonic() + limit
            while now.state not in ENDED and (left := deadline - time.monotonic()) > 0:
                time.sleep(min(LOOK_EVERY, left))
                try:
                    now = self.look(now.delivery, rule) or now
                except StoreUnavailable:
                    continue
            return now
        finally:
            self._seats.release()
