"""The site's troubles: faults ordered at random, a few at a time, for the requests that come next.

Late execution comes in two kinds. Shorter than ``settle`` it must do no harm. Longer than ``settle`` it is the hole
that the design names: the request is executed after egress looked, found nothing and sent it again.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.options import REQUEST_TIMEOUT, SETTLE_FACTOR
from tests.faults.installation import Installation

TICK_SECONDS = 1.5
LATEST = 120 * SETTLE_FACTOR + 3.0  # seconds, after the longest settle of the verbs in use
WRITES = (
    "addComment", "createIssue", "doTransition", "editIssue", "assignIssue", "addWorklog",
    "createPage", "addLabelsToContent", "createFooterComment", "updatePage", "createCommentProperty",
)  # fmt: skip
READS = (
    "getIssue",
    "getTransitions",
    "getPageById",
    "getSpaces",
    "searchAndReconsileIssuesUsingJqlPost",
    "getComments",
)
REASONS = (
    "jira-burst-based", "jira-quota-global-based", "jira-quota-tenant-based", "jira-per-issue-on-write", "gateway",
)  # fmt: skip
KINDS = {
    "reset-before": 4, "reset-after": 6, "half": 4, "slow": 3, "slow-before": 2, "429": 5, "500": 3, "503": 3,
    "burst": 1, "lag": 2, "late": 2, "late-after-settle": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Late:
    """An order, given at ``since`` (wall-clock), to execute a request ``seconds`` after it is cut."""

    operation: str
    since: float
    seconds: float


class Troubles:
    """Orders faults until it is stopped; ``taken`` counts those that met a request."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self._installation = installation
        self._chance = random.Random(f"troubles {seed}")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="troubles", daemon=True)
        self._standing: list[tuple[str, dict[str, Any]]] = []
        self.taken: Counter[str] = Counter()
        self.late: list[Late] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let the site answer as it should from now on."""
        self._stopping.set()
        self._thread.join(TICK_SECONDS + 30)
        self._clear()

    def _go_on(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            # Answers of a site that is very busy are missed by this thread too; the next tick makes up for it.
            with contextlib.suppress(httpx.HTTPError):
                self._clear()
                for _ in range(2):
                    kind, order = self._drawn()
                    if kind == "late-after-settle":
                        self.late.append(Late(order["match"]["operation"], time.time(), order["seconds"]))
                    if self._ask("POST", order).status_code == httpx.codes.CREATED:
                        self._standing.append((kind, order))

    def _clear(self) -> None:
        standing, self._standing = self._standing, []
        left = self._ask("GET").json()["faults"]
        self._ask("DELETE")
        for (kind, order), remaining in zip(standing, left, strict=False):
            used = order["times"] - (remaining["times"] or 0)
            self.taken[kind] += used

    def _ask(self, method: str, order: Any = None) -> httpx.Response:
        return httpx.request(method, f"{self._installation.site}/sandbox/faults", json=order, timeout=10,
                             trust_env=False)  # fmt: skip

    def _drawn(self) -> tuple[str, dict[str, Any]]:
        chance = self._chance
        [kind] = chance.choices(list(KINDS), list(KINDS.values()))
        order: dict[str, Any] = {"fault": kind, "match": {"operation": chance.choice(WRITES)}, "times": 1}
        if kind in {"429", "500", "503", "reset-before", "half"} and chance.random() < 0.3:
            order["match"] = {"operation": chance.choice(READS)}
        if kind == "429":
            order |= {"reason": chance.choice(REASONS), "retry_after": 1}
        elif kind in {"500", "503"}:
            order |= {"processed": chance.random() < 0.5}
        elif kind == "slow":
            order |= {"seconds": REQUEST_TIMEOUT + 1}
        elif kind == "slow-before":
            # Executed after egress gave up waiting, but before it looks.
            order |= {"fault": "slow", "seconds": REQUEST_TIMEOUT + 0.3, "processed": False}
        elif kind == "burst":
            order |= {"fault": chance.choice(["500", "503"]), "match": {}, "times": 8}
        elif kind == "lag":
            order |= {"match": {}, "times": 1000}
        elif kind == "late":
            order |= {"seconds": 0.3}
        elif kind == "late-after-settle":
            order |= {"fault": "late", "seconds": LATEST}
        return kind, order
