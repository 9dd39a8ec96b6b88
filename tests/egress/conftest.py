"""What the tests of egress stand on: a bridge and a site in this process, and the wire between them in the test's hand.

Nothing of the bridge is imitated. The site is the sandbox; ``Wire`` stands where the network is, notes every request
that leaves egress and can fail the way networks do. ``Bench`` speaks to egress as a worker does, by running a rule or,
where a hostile worker is meant, envelope by envelope.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from bridge import catalogue
from bridge.egress.app import Egress
from bridge.egress.gate import Scripts
from bridge.egress.upstream import Upstream
from bridge.sandbox.transport import SandboxTransport
from bridge.settings import Account, Settings
from bridge.store import decisions, deliveries, journal
from bridge.store.deliveries import Delivery, State
from bridge.store.tables import deliveries as table
from bridge.testing import Report, Trial
from bridge.work import run

HEAD = """
title   = "A rule for a test"
owner   = "platform-ops@example.com"
source  = "jira-automation"
account = "ops-bot"
"""
READS_BY_POST = ("/search/jql", "/comment/list")
Meets = Callable[[httpx.Request], bool]
Play = Callable[[httpx.Request], httpx.Response]


class Wire(httpx.BaseTransport):
    """The network between egress and the site: it notes what passes and, when told so, plays something else once."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self._plays: list[tuple[Meets, Play]] = []
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request to the site, or play what was ordered for it."""
        self.requests.append(request)
        for order in self._plays:
            if order[0](request):
                self._plays.remove(order)
                return order[1](request)
        return self._inner.handle_request(request)

    def pass_on(self, request: httpx.Request) -> httpx.Response:
        """Hand a request to the site after all."""
        return self._inner.handle_request(request)

    def play(self, play: Play, *, method: str | None = None, path: str = "") -> None:
        """Order what the next request of that method, whose path holds ``path``, is to meet."""
        self._plays.append((lambda sent: method in {None, sent.method} and path in sent.url.path, play))

    def answer(
        self, status: int, body: Any = None, *, method: str | None = None, path: str = "", **headers: str
    ) -> None:
        """Order an answer of the site."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.play(lambda sent: httpx.Response(status, json=body, headers=named, request=sent), method=method, path=path)

    def fail(self, error: Callable[[httpx.Request], Exception], *, method: str | None = None, path: str = "") -> None:
        """Order an error of the network."""

        def play(sent: httpx.Request) -> httpx.Response:
            raise error(sent)

        self.play(play, method=method, path=path)

    @property
    def writes(self) -> list[httpx.Request]:
        """The requests that could have changed something."""
        return [sent for sent in self.requests if sent.method != "GET" and not sent.url.path.endswith(READS_BY_POST)]


class Nobody:
    """Nobody ends an attempt from outside here."""

    def bind(self, attempt: object) -> None:
        """Take no hold of it."""


class Bench:
    """One bridge, one site and the rules of a directory."""

    def __init__(
        self,
        home: Path,
        database_url: str | None,
        settle_factor: float,
        settings: Mapping[str, Any],
        scripts: Scripts | None = None,
    ) -> None:
        self.rules = home
        self._trial = Trial(home, database_url=database_url, settle_factor=settle_factor)
        self.site = self._trial.site
        self.store = self._trial.store
        self.settings: Settings = replace(self._trial.settings, **settings)
        self.wire = Wire(SandboxTransport(self._trial.sandbox))
        self._upstream = Upstream(self.settings.request_timeout, self.wire)
        self.egress = Egress(self.settings, self.store, self._trial.rules, self._upstream, scripts)
        self.client = httpx.Client(transport=httpx.WSGITransport(app=self.egress), base_url="http://egress")

    def close(self) -> None:
        """Close everything."""
        self.client.close()
        self._upstream.close()
        self._trial.close()

    # What administrators, senders and people do

    def write(self, toml: str, handle: str | None = None, *, name: str = "rule") -> None:
        """Write a rule: the manifest below the required keys, and the body of ``handle(event, context)``."""
        (self.rules / f"{name}.toml").write_text(HEAD + dedent(toml), encoding="utf-8")
        if handle is not None:
            body = indent(dedent(handle).strip(), "    ")
            (self.rules / f"{name}.py").write_text(f"def handle(event, context):\n{body}\n", encoding="utf-8")

    def accept(self, payload: Mapping[str, Any] | None = None, *, rule: str = "rule") -> str:
        """Send a webhook and return the delivery's id."""
        return self._trial.accept(rule, payload or {})

    def replay(self, delivery: str, *, from_start: bool = False) -> None:
        """Have a person ask for a dead delivery again."""
        self.store.commit(
            lambda connection: decisions.replay(connection, delivery, "mia", "mended", from_start=from_start)
        )

    def _set(self, delivery: str, **values: object) -> None:
        self.store.commit(
            lambda connection: connection.execute(sa.update(table).where(table.c.id == delivery).values(**values))
        )

    def let_time_pass(self, delivery: str) -> None:
        """Let what a waiting delivery waits for have come, and a worker's lease have run out."""
        self._set(delivery, not_before=None, lease_until=0.0)

    # What workers do

    def attempt(self, delivery: str) -> Report:
        """Make one attempt, if the delivery is to be had now."""
        claim = run.claimed(self.client, delivery, "bench")
        if claim is not None:
            run.conduct(self.client, claim, self._trial.rules, Nobody())
        return self._trial.report(delivery)

    def send(self, payload: Mapping[str, Any] | None = None, *, rule: str = "rule") -> Report:
        """Send a webhook and make one attempt."""
        return self.attempt(self.accept(payload, rule=rule))

    def finish(self, *delivered: str, seconds: float = 15.0) -> list[Report]:
        """Take up deliveries whenever they are due, until none waits any more."""
        deadline = time.monotonic() + seconds
        while True:
            reports = [self.attempt(each) for each in delivered]
            if all(report.state is not State.WAITING for report in reports):
                return reports
            assert time.monotonic() < deadline, [report.reason for report in reports]
            time.sleep(0.02)

    def claim(self, delivery: str, worker: str = "bench") -> dict[str, Any]:
        """Claim a delivery envelope by envelope."""
        response = self.client.post("/claim", json={"delivery": delivery, "worker": worker})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def post(self, door: str, claim: Mapping[str, Any], /, **said: Any) -> httpx.Response:
        """Send an envelope with a claim's capability."""
        envelope = {"delivery": claim["delivery"], "attempt": claim["attempt"], **said}
        headers = {b"Authorization": f"Bearer {claim['capability']}".encode()}
        return self.client.post(door, content=json.dumps(envelope), headers=headers)

    def call(
        self, claim: Mapping[str, Any], step: int, method: str, path: str, body: Any = None, **more: Any
    ) -> httpx.Response:
        """Ask for a step; ``more`` holds product, query and label."""
        said = {"product": "jira", "query": {}, "label": None, **more}
        return self.post("/call", claim, step=step, method=method, path=path, body=body, **said)

    # What anybody can look at

    def entries(self, delivery: str, *kinds: str) -> list[dict[str, Any]]:
        """Return a delivery's entries of the journal, of some kinds only if given."""
        with self.store.read() as connection:
            found = journal.of_delivery(connection, delivery)
        return [entry for entry in found if not kinds or entry["kind"] in kinds]

    def delivery(self, delivery: str) -> Delivery:
        """Return the delivery's row."""
        with self.store.read() as connection:
            found = deliveries.get(connection, delivery)
        assert found is not None
        return found

    def sent(self, operation: str) -> int:
        """Count how often egress sent an operation."""
        count = 0
        for request in self.wire.requests:
            path = request.url.raw_path.decode().partition("?")[0].partition(self.site.cloud_id)[2]
            match = catalogue.match(request.method, path) if path else None
            count += match is not None and match.operation.operation_id == operation
        return count

    def executed(self, operation: str) -> int:
        """Count how often the site executed an operation."""
        return sum(seen.executed and seen.operation == operation for seen in self.site.seen)

    def fault(self, fault: str, operation: str, **more: Any) -> None:
        """Order a fault of the site."""
        self.site.faults.order({"fault": fault, "match": {"operation": operation}, **more}, self.site.issues)

    def texts(self, key: str) -> list[str]:
        """Return the words of an issue's comments by the account."""
        issue = self.site.find_issue(key)
        assert issue is not None
        bot = self.site.account("ops-bot").id
        return [_words(comment.body) for comment in issue.comments if comment.author == bot]

    def account(self, **changes: Any) -> dict[str, Account]:
        """Return the accounts with something else in ``ops-bot``, for ``Settings``."""
        return {"ops-bot": replace(self.settings.accounts["ops-bot"], **changes)}


def _words(node: Mapping[str, Any]) -> str:
    return str(node.get("text", "")) + "".join(_words(inner) for inner in node.get("content", []))


def _makes(root: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(
        toml: str = "",
        handle: str | None = None,
        *,
        database_url: str | None = None,
        settle_factor: float = 0.0,
        scripts: Scripts | None = None,
        **settings: Any,
    ) -> Bench:
        home = root / f"rules{len(made)}"
        home.mkdir()
        bench = Bench(home, database_url, settle_factor, settings, scripts)
        made.append(bench)
        if toml or handle:
            bench.write(toml, handle)
        return bench

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches: the manifest's end and the handler's body of the rule ``rule``, and what its settings have else."""
    yield from _makes(tmp_path)


@pytest.fixture(scope="module")
def make_shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Bench]]:
    """Make benches that the tests of a module share, because none of them leaves a trace that another would see."""
    yield from _makes(tmp_path_factory.mktemp("shared"))
