"""A sandbox site with a clock of its own, and a way to call it by which the OpenAPI files judge every answer."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bridge.sandbox import seed
from bridge.sandbox.app import create_app
from bridge.sandbox.records import Account, Issue, Page, Space
from bridge.sandbox.site import Site

JIRA_TOKEN = "the-jira-token"
CONFLUENCE_TOKEN = "the-confluence-token"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"judge_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Api:
    """One product behind the gateway. Every answer is held against the OpenAPI files where those are there."""

    client: FlaskClient
    product: str
    cloud_id: str
    token: str
    openapi: ModuleType
    exercised: set[tuple[str, int]] = field(default_factory=set)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        given = {} if body is None else {"json": body}
        if form is not None:
            given = {"data": dict(form), "content_type": "multipart/form-data"}
            sent.setdefault("X-Atlassian-Token", "no-check")
        address = f"/ex/{self.product}/{self.cloud_id}{path}"
        answer = self.client.open(address, method=method, query_string=query, headers=sent, **given)
        if self.openapi.available() and (described := self.openapi.described(method, path)) is not None:
            shown = answer.get_json() if answer.data else None
            errors = self.openapi.answer_errors(method, path, answer.status_code, shown)
            assert errors == [], errors
            self.exercised.add((described.name, answer.status_code))
        return answer

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any, **query: Any) -> TestResponse:
        return self.send("POST", path, body, query=query)

    def put(self, path: str, body: Any, **query: Any) -> TestResponse:
        return self.send("PUT", path, body, query=query)


def document(*lines: str) -> dict[str, Any]:
    """A document with a paragraph per line."""
    content = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": content}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits() -> list[float]:
    """How long the site was made to wait, in seconds, without waiting."""
    return []


@pytest.fixture
def site(clock: Clock, waits: list[float]) -> Site:
    made = Site(clock=clock, sleep=waits.append, url="https://acme.atlassian.net")
    return seed.demo(made, tokens={JIRA_TOKEN: seed.token("jira"), CONFLUENCE_TOKEN: seed.token("confluence")})


@pytest.fixture
def app(site: Site) -> Flask:
    return create_app(site)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def openapi() -> ModuleType:
    """Atlassian's OpenAPI files; loaded once, for they are large."""
    return _load(Path(__file__).resolve().parents[1] / "contracts" / "openapi.py")


@pytest.fixture
def jira(client: FlaskClient, site: Site, openapi: ModuleType) -> Api:
    return Api(client, "jira", site.cloud_id, JIRA_TOKEN, openapi)


@pytest.fixture
def confluence(client: FlaskClient, site: Site, openapi: ModuleType) -> Api:
    return Api(client, "confluence", site.cloud_id, CONFLUENCE_TOKEN, openapi)


@pytest.fixture
def bot(site: Site) -> Account:
    return site.account("ops-bot")


@pytest.fixture
def mia(site: Site) -> Account:
    return site.account("Mia Keller")


@pytest.fixture
def incident(site: Site) -> Issue:
    found = site.find_issue("OPS-1")
    assert found is not None
    return found


@pytest.fixture
def engineering(site: Site) -> Space:
    return next(space for space in site.spaces.values() if space.key == "ENG")


@pytest.fixture
def runbook(site: Site, engineering: Space) -> Page:
    found = site.titled(engineering.id, "Restart the mail gateway")
    assert found is not None
    return found
