"""``bridge rules send``: a payload handed to a bridge that really listens, signed for its source."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from bridge.ingress.app import create_app
from bridge.rule.registry import Registry
from bridge.settings import read
from bridge.store import Store, registers, schema
from bridge.store.registers import KnownAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIApplication

    from tests.cli.conftest import Bridge, Installation

HEARD = """
title = "Hear of it"
owner = "team@example.com"
source = "{source}"
account = "ops-bot"
[accept]
require = ["issue"]
initiator = "initiator"
max_age = {{ field = "sentAt", seconds = 60 }}
[scope.jira]
OPS = ["comment"]
[[step]]
verb = "jira.comment"
issue = "OPS-1"
body = "seen"
"""
OLD = '{"issue": "OPS-1", "sentAt": "2020-01-01T00:00:00.000+0000", "initiator": "712020:bot"}'


@pytest.fixture
def store(installation: Installation) -> Iterator[Store]:
    """The installation's own database."""
    installation.home.mkdir()
    opened = Store(read().database_url)
    schema.ready(opened)
    yield opened
    opened.close()


@pytest.fixture
def web(installation: Installation, store: Store, serve: Callable[[WSGIApplication], str]) -> str:
    """The installation's web server, named in its bridge.toml."""
    known = read()
    address = serve(create_app(known, store, Registry(known.rules, None, every=0.0)).wsgi_app)
    with installation.config.open("a", encoding="utf-8") as config:
        config.write(f'listen = "{address.removeprefix("http://")}"\n')
    return address


@pytest.mark.usefixtures("web")
def test_a_recorded_payload_is_sent_by_its_name_and_shows_how_to_look_further(bridge: Bridge) -> None:
    said = bridge("rules", "send", "change_approved", "approved")
    assert said.status == 0, said.err
    assert said.lines[0].startswith("202 ")
    delivery = json.loads(said.lines[0].partition(" ")[2])["delivery"]
    assert said.lines[1] == f"bridge deliveries show {delivery}"
    shown = bridge("deliveries", "show", delivery)
    assert "state        queued" in shown.lines
    again = bridge("rules", "send", "change_approved", "rules/payloads/change_approved/approved.json")
    assert again.status == 0
    assert again.lines[0].startswith("200 ")
    assert "duplicate" in again.lines[0]


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("source", ["jira-webhook", "other", "confluence-automation"])
def test_it_signs_as_the_source_demands_and_makes_an_old_recording_new(
    bridge: Bridge, installation: Installation, source: str
) -> None:
    installation.write("heard.toml", HEARD.format(source=source))
    installation.write("payloads/heard/old.json", OLD)
    said = bridge("rules", "send", "heard", "old")
    assert said.status == 0, said.out
    assert "is set to now" in said.err
    kept = bridge("rules", "send", "heard", "old", "--as-is")
    assert kept.status == 1
    assert "'sentAt' is more than 60 seconds old" in kept.out


@pytest.mark.usefixtures("web")
def test_it_waits_for_the_end_if_asked(bridge: Bridge, installation: Installation, store: Store) -> None:
    installation.write("heard.toml", HEARD.format(source="other"))
    installation.write("payloads/heard/old.json", OLD)
    own = KnownAccount("ops-bot", "cloud", "712020:bot", "ops-bot", "app", "2026-11-22T00:00:00Z")
    store.commit(lambda connection: registers.keep_account(connection, own))
    said = bridge("rules", "send", "heard", "old", "--wait")
    assert said.status == 0
    assert json.loads(said.lines[0].partition(" ")[2])["status"] == "ignored"


@pytest.mark.usefixtures("web")
def test_what_is_no_json_is_sent_as_it_is(bridge: Bridge, installation: Installation) -> None:
    path = installation.write("payloads/change_approved/broken.json", "{")
    said = bridge("rules", "send", "change_approved", str(path))
    assert said.status == 1
    assert said.lines[0].startswith("400 ")


def test_a_bridge_with_other_secrets_refuses_and_the_reason_is_guessed(
    bridge: Bridge, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", f"k1:{base64.b64encode(b'o' * 32).decode()}")
    said = bridge("rules", "send", "change_approved", "approved", "--url", web)
    assert said.status == 1
    assert said.lines[0].startswith("401 ")
    assert "another BRIDGE_SECRETS" in said.err


def test_where_no_bridge_answers_it_says_how_to_start_one(bridge: Bridge) -> None:
    said = bridge("rules", "send", "change_approved", "approved", "--url", "http://127.0.0.1:9")
    assert said.status == 2
    assert "no bridge answers at http://127.0.0.1:9/hooks/change_approved" in said.err
    assert "bridge run" in said.err
    assert bridge("rules", "send", "change_approved", "approved", "--url", "127.0.0.1:9").status == 2


def test_a_payload_that_is_not_there_is_answered_with_those_that_are(bridge: Bridge) -> None:
    said = bridge("rules", "send", "page_published", "nothing")
    assert said.status == 2
    assert "recorded payloads of page_published: published" in said.err
