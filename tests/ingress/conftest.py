"""A web application on a real store and real rule files, and the senders that know its secrets."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bridge.ingress import create_app
from bridge.ingress.signature import hub_secret, mint_token, sign_body, sign_webhook, webhook_secret
from bridge.rule.registry import Registry
from bridge.settings import Secret, Settings
from bridge.store import Store
from bridge.store.tables import deliveries

NOW = 1_795_305_600.0
SECRETS = (Secret("k2", b"n" * 32), Secret("k1", b"o" * 32))

STEP = """
[scope.jira]
OPS = ["comment"]

[[step]]
verb = "jira.comment"
issue = "OPS-1"
body = "seen"
"""

RULES = {
    "triage": """
title = "Tell the team"
owner = "team@example.com"
source = "jira-automation"
account = "ops-bot"
[accept]
require = ["issue", "reporter"]
idempotency_key = ["issue", "at"]
initiator = "initiator"
token_versions = [3, 4]
[order]
key = "issue"
""",
    "plain": """
title = "Take anything"
owner = "team@example.com"
source = "confluence-automation"
account = "ops-bot"
""",
    "moved": """
title = "Follow Jira's own webhook"
owner = "team@example.com"
source = "jira-webhook"
account = "ops-bot"
""",
    "script": """
title = "Hear a script"
owner = "team@example.com"
source = "other"
account = "ops-bot"
""",
}

Post = Callable[..., TestResponse]
Rows = Callable[[], list[sa.Row[tuple[object, ...]]]]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A directory with one rule of each source."""
    root = tmp_path / "rules"
    root.mkdir()
    for name, text in RULES.items():
        (root / f"{name}.toml").write_text(text + STEP, encoding="utf-8")
    return root


@pytest.fixture
def settings(tmp_path: Path, rules: Path) -> Settings:
    """Settings of an installation in a directory of its own; tests replace what they are about."""
    return Settings(
        home=tmp_path,
        rules=rules,
        config=tmp_path / "bridge.toml",
        database_url="sqlite:///unused",
        redis_url=None,
        secrets=SECRETS,
        atlassian_url="http://127.0.0.1:1",
        auth_url="http://127.0.0.1:1",
        egress=None,
        max_body=64 * 1024,
    )


@pytest.fixture
def make_app(store: Store) -> Callable[[Settings], Flask]:
    """Make an application on the test's store, at a time that stands still."""
    return lambda settings: create_app(settings, store, Registry(settings.rules, None, every=0), clock=lambda: NOW)


@pytest.fixture
def app(make_app: Callable[[Settings], Flask], settings: Settings) -> Flask:
    """The application."""
    return make_app(settings)


@pytest.fixture
def post(app: Flask) -> Post:
    """Send a webhook as the rule's source would sign it; headers given by name replace or, with None, omit one."""

    def send(
        rule: str,
        payload: object,
        headers: Mapping[str, str | None] | None = None,
        *,
        query: str = "",
        to: Flask = app,
        signed_id: str = "msg_1",
    ) -> TestResponse:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        sent = {"Content-Type": "application/json"} | signed(rule, raw, signed_id) | dict(headers or {})
        return to.test_client().post(
            f"/hooks/{rule}{query}", data=raw, headers={name: text for name, text in sent.items() if text is not None}
        )

    return send


def signed(rule: str, raw: bytes, signed_id: str) -> dict[str, str | None]:
    """Return the headers with which the test rule's source proves itself."""
    if rule == "moved":
        return {"X-Hub-Signature": sign_body(hub_secret(SECRETS[0], rule), raw)}
    if rule == "script":
        signature = sign_webhook(webhook_secret(SECRETS[0], rule), signed_id, int(NOW), raw)
        return {"webhook-id": signed_id, "webhook-timestamp": str(int(NOW)), "webhook-signature": signature}
    return {"Authorization": f"Bearer {mint_token(SECRETS[0], rule, 3 if rule == 'triage' else 1)}"}


@pytest.fixture
def rows(store: Store) -> Rows:
    """Return every delivery that is stored, oldest first."""

    def read() -> list[sa.Row[tuple[object, ...]]]:
        with store.read() as connection:
            return list(connection.execute(sa.select(deliveries).order_by(deliveries.c.id)))

    return read
