"""Valkey, database or secret away, at the start or later: what was answered 202 is done, once."""

import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from bridge.store.deliveries import State, listed
from bridge.work.queue import open_queue

if TYPE_CHECKING:
    from tests.faults.conftest import Install
    from tests.faults.installation import Installation

pytestmark = pytest.mark.processes

COMMENT = 'context.jira.comment(event["at"], event["text"])'


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, install: "Install") -> "Iterator[Installation]":
    """One rule that comments, on each kind of database."""
    made = install(request.param)
    made.write_rule("comments", COMMENT)
    made.start()
    yield made
    made.stop()


def _done_once(installation: "Installation", issue: str, sent: dict[str, str]) -> None:
    """Wait until all deliveries, given by the text they comment, are done; then each text must stand there once."""
    for delivery in sent.values():
        found = installation.wait_for_state(delivery, State.DONE, 30)
        assert (found.failures, found.attempt) == (0, 1)
    comments = installation.comments(issue)
    assert {text: comments.count(text) for text in sent} == dict.fromkeys(sent, 1)


def test_webhooks_are_accepted_while_valkey_is_away_when_web_starts_and_done_when_it_comes(
    installation: "Installation",
) -> None:
    installation.kill("clock", signal.SIGTERM)
    assert not installation.settings.redis_socket.exists()
    installation.restart("web")
    sent = {f"no queue {number}": "" for number in (1, 2, 3)}
    for text in sent:
        sent[text] = installation.send("comments", {"at": "OPS-1", "text": text})
    assert {installation.delivery(delivery).state for delivery in sent.values()} == {State.QUEUED}
    installation.start("clock")
    _done_once(installation, "OPS-1", sent)


def test_a_valkey_that_is_killed_and_wiped_while_deliveries_wait_in_it_loses_none(installation: "Installation") -> None:
    installation.kill("worker", signal.SIGTERM)
    sent = {
        text: installation.send("comments", {"at": "OPS-2", "text": text})
        for text in (f"wiped {number}" for number in range(5))
    }
    with installation.redis() as redis:
        installation.until(lambda: len(open_queue(redis)) == 5, "all are on the queue")
    installation.kill_valkey(wiped=True)
    installation.start("worker")
    _done_once(installation, "OPS-2", sent)
    assert "sweep.empty_redis offers_withdrawn=5" in installation.log("clock")


def test_a_valkey_that_is_killed_while_workers_run_is_started_again_and_all_go_on(
    installation: "Installation",
) -> None:
    installation.kill_valkey(wiped=False)
    sent = {
        text: installation.send("comments", {"at": "OPS-3", "text": text})
        for text in (f"killed {number}" for number in range(5))
    }
    _done_once(installation, "OPS-3", sent)


def test_a_killed_clock_leaves_its_valkey_behind_and_the_next_one_adopts_it(installation: "Installation") -> None:
    installation.kill("clock")
    delivery = installation.send("comments", {"at": "OPS-3", "text": "without a clock"})
    installation.start("clock")
    _done_once(installation, "OPS-3", {"without a clock": delivery})
    assert "valkey.adopted" in installation.log("clock")


def test_a_database_that_goes_while_an_answer_is_under_way_costs_no_action_and_makes_none_twice(
    installation: "Installation",
) -> None:
    installation.fault("slow", "addComment", seconds=1)
    delivery = installation.send("comments", {"at": "OPS-3", "text": "answered into the void"})
    installation.until(
        lambda: "answered into the void" in installation.comments("OPS-3"), "the site has the comment", 10
    )
    with installation.database_away():
        time.sleep(2)  # the answer comes meanwhile
    found = installation.wait_for_state(delivery, State.DONE, 30)
    assert found.failures == 0
    assert installation.comments("OPS-3").count("answered into the void") == 1
    assert installation.kinds(delivery).count("step:outcome") == 1


def _count(installation: "Installation") -> int:
    with installation.store.read() as connection:
        return len(listed(connection, limit=10_000))


def test_what_is_sent_while_the_database_is_away_is_503_and_not_stored_or_202_and_kept(
    installation: "Installation",
) -> None:
    before = _count(installation)
    sent: dict[str, str] = {}
    refused = 0
    with installation.database_away():
        for number in range(4):
            answer = installation.post("comments", {"at": "OPS-4", "text": f"away {number}"})
            if answer.status_code == 202:
                # SQLite's file, once open, can be written wherever it is moved to.
                sent[f"away {number}"] = answer.json()["delivery"]
            else:
                assert answer.status_code == 503, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                refused += 1
    assert _count(installation) == before + len(sent)
    assert refused == 4 or installation.store.sqlite
    sent["back again"] = installation.until(
        lambda: (
            (again := installation.post("comments", {"at": "OPS-4", "text": "back again"})).status_code == 202
            and again.json()["delivery"]
        ),
        "the database is used again",
    )
    _done_once(installation, "OPS-4", sent)


def test_a_database_that_is_away_when_web_starts_makes_it_answer_503_until_it_comes(
    installation: "Installation",
) -> None:
    before = _count(installation)
    with installation.database_away():
        installation.restart("web")
        answer = installation.post("comments", {"at": "OPS-5", "text": "too early"})
        assert answer.status_code == 503
        ready = httpx.get(f"{installation.web}/readyz", timeout=15, trust_env=False)
        assert ready.status_code == 503
        assert "database" in ready.json()["detail"]
    assert _count(installation) == before
    _done_once(installation, "OPS-5", {"in time": installation.send("comments", {"at": "OPS-5", "text": "in time"})})
    assert "too early" not in installation.comments("OPS-5")


def test_workers_and_clock_that_start_without_the_database_wait_for_it(installation: "Installation") -> None:
    installation.kill("worker", signal.SIGTERM)
    delivery = installation.send("comments", {"at": "OPS-1", "text": "waits for everything"})
    installation.kill("clock", signal.SIGTERM)
    with installation.database_away():
        installation.start("clock", "worker")
        installation.until(lambda: "database.away" in installation.log("clock"), "the clock says what is missing")
    _done_once(installation, "OPS-1", {"waits for everything": delivery})


@pytest.mark.parametrize("command", ["web", "worker"])
def test_without_a_secret_nothing_starts_and_one_line_says_what_to_set(
    installation: "Installation", command: str
) -> None:
    environment = {name: value for name, value in installation.environment.items() if name != "BRIDGE_SECRETS"}
    ended = installation.bridge(command, environment=environment)
    assert ended.returncode == 2
    said = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(said) == 1
    assert said[0].startswith("bridge: BRIDGE_SECRETS: no secret is configured")
