"""What the tests of the verbs stand on: rules that run against the sandbox through the real egress, and a judge beside.

Nothing of the bridge is imitated. ``Wire`` stands where the network is: it keeps every request that egress sends and
the answer it gets, and when the test is over Atlassian's OpenAPI files judge all of them, where the files are there. So
a family's tests say what a rule does and look at the site and the log; that the requests are Atlassian's own is seen
to here.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from bridge import catalogue
from bridge.egress.app import Egress
from bridge.egress.upstream import Upstream
from bridge.sandbox.records import Issue, Page, Token
from bridge.sandbox.seed import BOT
from bridge.sandbox.transport import SandboxTransport
from bridge.store import journal
from bridge.store.deliveries import State
from bridge.testing import STEPS, Report, Trial
from bridge.work import run

HEAD = """
title   = "A rule for a test"
owner   = "platform-ops@example.com"
source  = "jira-automation"
account = "ops-bot"
"""
PATIENCE = 15.0
# What hides a write's fate although the site made it, and what keeps the site from making it.
DONE_BUT_UNANSWERED: Mapping[str, Mapping[str, Any]] = {"reset-after": {}, "500": {"processed": True}}
NOT_DONE: Mapping[str, Mapping[str, Any]] = {"reset-before": {}, "503": {}}
Grants = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of egress and its answer; ``path`` is without the gateway's prefix. None: no JSON, or no answer."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    status: int | None
    answer: Any
    is_json: bool

    @property
    def operation(self) -> str:
        """The operationId, as the catalogue finds it."""
        found = catalogue.match(self.method, self.path)
        return found.operation.operation_id if found else ""


class Wire(httpx.BaseTransport):
    """The network between egress and the site: it keeps what passes."""

    def __init__(self, inner: httpx.BaseTransport, cloud_id: str) -> None:
        self._inner = inner
        self._cloud_id = cloud_id
        self.exchanges: list[Exchange] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request to the site and keep both sides of it."""
        try:
            response = self._inner.handle_request(request)
        except httpx.TransportError:
            self._keep(request, None)
            raise
        self._keep(request, response)
        return response

    def _keep(self, request: httpx.Request, response: httpx.Response | None) -> None:
        _, found, path = request.url.raw_path.decode().partition("?")[0].partition(self._cloud_id)
        if not found:
            return
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        content = request.read()
        is_json = not content or request.headers.get("Content-Type", "").startswith("application/json")
        sent = json.loads(content) if content and is_json else None
        status = response.status_code if response is not None else None
        answer = _json(response) if response is not None else None
        self.exchanges.append(Exchange(request.method, path, query, sent, status, answer, is_json))


def _json(response: httpx.Response) -> Any:
    content = response.read()
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    return json.loads(content) if content and is_json else None


class _Nobody:
    """Nobody ends an attempt from outside here."""

    def bind(self, attempt: object) -> None:
        """Take no hold of it."""


class Verbs:
    """One bridge, one site, and a rule ``rule`` that each test writes anew."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._trial = Trial(home, settle_factor=0.0)
        self.site = self._trial.site
        self._permit_everything()
        self.wire = Wire(SandboxTransport(self._trial.sandbox), self.site.cloud_id)
        self._upstream = Upstream(self._trial.settings.request_timeout, self.wire)
        self._egress = Egress(self._trial.settings, self._trial.store, self._trial.rules, self._upstream)
        self._client = httpx.Client(transport=httpx.WSGITransport(app=self._egress), base_url="http://egress")

    def _permit_everything(self) -> None:
        """Let the credentials hold every OAuth scope there is: what a verb needs of them is another test's matter."""
        known = catalogue.operations()
        everything = frozenset(scope for each in known for found in each.scope_sets for scope in found.scopes)
        for product in ("jira", "confluence"):
            self.site.add_token(f"trial-{product}", Token(BOT, frozenset({product}), everything))

    def close(self) -> None:
        """Close everything."""
        self._client.close()
        self._upstream.close()
        self._trial.close()

    # What a rule does

    def write(
        self,
        *,
        jira: Grants | None = None,
        confluence: Grants | None = None,
        handle: str | None = None,
        steps: str = "",
        more: str = "",
    ) -> None:
        """Write the rule: its scope, the body of ``handle(event, context)`` or its steps, and the manifest's rest."""
        text = HEAD + dedent(more)
        for product, grants in (("jira", jira), ("confluence", confluence)):
            if grants:
                lines = [f"{json.dumps(key)} = {json.dumps(list(verbs))}" for key, verbs in grants.items()]
                text += "\n".join(("", f"[scope.{product}]", *lines, ""))
        (self._home / "rule.toml").write_text(text + dedent(steps), encoding="utf-8")
        module = self._home / "rule.py"
        module.unlink(missing_ok=True)
        if handle is not None:
            body = indent(dedent(handle).strip(), "    ")
            module.write_text(f"def handle(event, context):\n{body}\n", encoding="utf-8")

    def send(self, payload: Mapping[str, Any] | None = None) -> Report:
        """Send a webhook to the rule and make one attempt."""
        return self._attempt(self._trial.accept("rule", dict(payload or {})))

    def do(
        self,
        call: str,
        *,
        jira: Grants | None = None,
        confluence: Grants | None = None,
        payload: Mapping[str, Any] | None = None,
        more: str = "",
    ) -> Report:
        """Run a handler that makes this one call, ``context.jira.link(...)``, and returns what it gives."""
        self.write(jira=jira, confluence=confluence, handle=f"return {call}", more=more)
        return self.send(payload)

    def doubt(self, operation: str, fault: str) -> Report:
        """Let the next call of an operation meet a fault, send a webhook and try until nothing waits any more."""
        more = {**DONE_BUT_UNANSWERED, **NOT_DONE}[fault]
        self.site.faults.order({"fault": fault, "match": {"operation": operation}, **more}, self.site.issues)
        return self.finish(self._trial.accept("rule", {}))

    def finish(self, delivery: str) -> Report:
        """Make attempts until the delivery does not wait any more."""
        deadline = time.monotonic() + PATIENCE
        while (report := self._attempt(delivery)).state is State.WAITING:
            assert time.monotonic() < deadline, report.reason
            time.sleep(0.02)
        return report

    def _attempt(self, delivery: str) -> Report:
        claim = run.claimed(self._client, delivery, "verbs")
        if claim is not None:
            run.conduct(self._client, claim, self._trial.rules, _Nobody())
        report = self._trial.report(delivery)
        return replace(report, lines=tuple(_line(entry) for entry in report.entries if _is_step(entry)))

    # What anybody can look at

    def issue(self, key: str) -> Issue:
        """An issue of the site."""
        found = self.site.find_issue(key)
        assert found is not None, key
        return found

    def page(self, title: str) -> Page:
        """A page of the site, by its title."""
        return next(page for page in self.site.pages.values() if page.title == title)

    def sent(self, operation: str) -> list[Exchange]:
        """What egress sent of an operation, oldest first."""
        return [each for each in self.wire.exchanges if each.operation == operation]

    def executed(self, operation: str) -> int:
        """How often the site executed an operation."""
        return sum(seen.executed and seen.operation == operation for seen in self.site.seen)


def _is_step(entry: Mapping[str, Any]) -> bool:
    return str(entry["kind"]).startswith(STEPS)


def _line(entry: Mapping[str, Any]) -> str:
    return journal.line({name: value for name, value in entry.items() if name not in {"ms", "trace"}})


@pytest.fixture(scope="session")
def openapi() -> ModuleType:
    """Atlassian's OpenAPI files as a judge; loaded once, for they are large."""
    path = Path(__file__).resolve().parents[1] / "contracts" / "openapi.py"
    spec = importlib.util.spec_from_file_location("verbs_openapi", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_verbs(tmp_path: Path, openapi: ModuleType) -> Iterator[Callable[[], Verbs]]:
    """Make benches for rules; whatever passed between egress and the site is judged when the test is over."""
    made: list[Verbs] = []

    def make() -> Verbs:
        home = tmp_path / f"rules{len(made)}"
        home.mkdir()
        made.append(Verbs(home))
        return made[-1]

    yield make
    for each in made:
        each.close()
    if openapi.available():
        wrong = [error for each in made for exchange in each.wire.exchanges for error in _misfits(openapi, exchange)]
        assert wrong == []


@pytest.fixture
def verbs(make_verbs: Callable[[], Verbs]) -> Verbs:
    """A bench of this test's own."""
    return make_verbs()


def _misfits(openapi: ModuleType, exchange: Exchange) -> list[str]:
    """Everything in a request and its answer that the OpenAPI files do not allow."""
    errors: list[str] = []
    if exchange.is_json and exchange.status not in {400, 404}:
        # A request that the site refuses may be the very mistake that a test makes.
        errors += openapi.request_errors(exchange.method, exchange.path, exchange.query, exchange.body)
    if exchange.status is not None:
        errors += openapi.answer_errors(exchange.method, exchange.path, exchange.status, exchange.answer)
    return errors
