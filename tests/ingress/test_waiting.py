"""Senders that wait for a delivery to end, and those that ask later how it stands."""

import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bridge.ingress.app import seats
from bridge.ingress.signature import hub_secret, mint_token, sign_body
from bridge.ingress.waiting import Standing, Waiting
from bridge.settings import Secret, Settings
from bridge.store import Store, decisions, deliveries
from bridge.store.deliveries import State
from bridge.store.engine import new_id

Post = Callable[..., TestResponse]
Rows = Callable[[], list[Any]]

KEY = Secret("k2", b"n" * 32)


def token(rule: str, version: int = 1) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint_token(KEY, rule, version)}"}


def finish(store: Store, delivery: str, state: State, result: str | None = None) -> None:
    """Do what a worker does: claim the delivery and end the attempt."""

    def work(connection: sa.Connection) -> None:
        found = deliveries.get(connection, delivery, lock=True)
        assert found is not None
        number = deliveries.begin(connection, store, found, worker="w", lease=10, rule_digest="sha256:x")
        deliveries.end_attempt(connection, store, delivery, number, state, why=None, result=result)

    store.commit(work)


def arrived(rows: Rows, count: int = 1) -> str:
    """Return the id of the delivery that is about to be stored."""
    deadline = time.monotonic() + 30
    while len(rows()) < count:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    return str(rows()[-1].id)


def test_a_sender_that_waits_is_told_the_result(post: Post, rows: Rows, store: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, "plain", {}, query="?wait=30")
        delivery = arrived(rows)
        finish(store, delivery, State.DONE, '{"commented":["OPS-1"]}')
        answer = waiting.result()
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.get_json() == {"delivery": delivery, "status": "done", "result": {"commented": ["OPS-1"]}}


@pytest.mark.parametrize("state", [State.DEAD, State.PARKED])
def test_a_sender_that_waits_is_told_when_it_failed_and_not_told_that_it_ended_when_a_person_must_decide(
    post: Post, rows: Rows, store: Store, state: State
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, "plain", {}, query="?wait=2")
        delivery = arrived(rows)
        finish(store, delivery, state)
        answer = waiting.result()
    assert answer.status_code == (424 if state is State.DEAD else 202)
    assert answer.get_json() == {"delivery": delivery, "status": str(state), "result": None}


def test_a_cancelled_delivery_is_no_success(post: Post, rows: Rows, store: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, "plain", {}, query="?wait=30")
        delivery = arrived(rows)
        store.commit(lambda connection: decisions.cancel(connection, delivery, "ada", "a test"))
        answer = waiting.result()
    assert (answer.status_code, answer.get_json()["status"]) == (424, "cancelled")


def test_a_wait_that_is_over_says_that_it_is_still_queued(post: Post) -> None:
    started = time.monotonic()
    answer = post("plain", {}, query="?wait=1")
    assert time.monotonic() - started >= 1
    assert answer.status_code == 202
    assert (answer.get_json()["status"], answer.get_json()["result"]) == ("queued", None)


def test_a_duplicate_that_waits_is_told_how_the_first_delivery_ended(post: Post, store: Store) -> None:
    first = post("script", {}).get_json()["delivery"]
    finish(store, first, State.DONE, "7")
    answer = post("script", {}, query="?wait=30")
    said = {"delivery": first, "status": "done", "result": 7, "duplicate": True}
    assert (answer.status_code, answer.get_json()) == (200, said)


def test_beyond_the_seats_a_sender_is_answered_at_once(
    post: Post, rows: Rows, store: Store, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    app = make_app(dataclasses.replace(settings, waiters=1, web_processes=1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, "plain", {}, query="?wait=30", to=app)
        seated = arrived(rows)
        beyond = post("plain", {}, query="?wait=30", to=app)
        assert (beyond.status_code, beyond.get_json()["status"]) == (202, "queued")
        assert not waiting.done()
        finish(store, seated, State.DONE)
        assert waiting.result().status_code == 200
    finish(store, str(rows()[-1].id), State.DONE)
    again = post("plain", {}, query="?wait=0", to=app)
    assert again.get_json()["status"] == "queued", "no time to wait is an answer at once, in the same form"


@pytest.mark.parametrize(
    ("waiters", "processes", "threads", "expected"),
    [(8, 2, 8, 4), (8, 1, 8, 7), (3, 2, 8, 2), (0, 2, 8, 0), (8, 1, 1, 0), (64, 2, 4, 3)],
)
def test_seats_are_shared_out_among_processes_and_leave_a_thread_for_accepting(
    settings: Settings, waiters: int, processes: int, threads: int, expected: int
) -> None:
    changed = dataclasses.replace(settings, waiters=waiters, web_processes=processes, web_threads=threads)
    assert seats(changed) == expected


def test_a_database_that_goes_away_while_a_sender_waits_does_not_undo_the_acceptance(settings: Settings) -> None:
    away = Store(f"sqlite:///{settings.home}/missing/bridge.db")
    queued = Standing(new_id(), State.QUEUED)
    assert Waiting(away, seats=1).until_ended(queued, "plain", 0.3) == queued


# --- the status address ---------------------------------------------------------------------------------------------


def test_the_rules_token_shows_how_a_delivery_stands(post: Post, app: Flask, store: Store) -> None:
    delivery = post("plain", {}).get_json()["delivery"]
    address = f"/hooks/plain/{delivery}"
    answer = app.test_client().get(address, headers=token("plain"))
    assert (answer.status_code, answer.get_json()) == (
        202,
        {"delivery": delivery, "status": "queued", "result": None},
    )
    finish(store, delivery, State.DONE, '"closed"')
    answer = app.test_client().get(address, headers=token("plain"))
    assert (answer.status_code, answer.get_json()["result"]) == (200, "closed")


def test_the_rules_token_shows_deliveries_that_came_by_another_scheme(post: Post, app: Flask) -> None:
    delivery = post("moved", {}).get_json()["delivery"]
    address = f"/hooks/moved/{delivery}"
    assert app.test_client().get(address, headers=token("moved")).status_code == 202
    signature = sign_body(hub_secret(KEY, "moved"), b"")
    assert app.test_client().get(address, headers={"X-Hub-Signature": signature}).status_code == 401


def test_a_rejected_delivery_can_be_asked_for_and_has_ended(post: Post, app: Flask) -> None:
    delivery = post("plain", b"[]").get_json()["delivery"]
    answer = app.test_client().get(f"/hooks/plain/{delivery}", headers=token("plain"))
    assert (answer.status_code, answer.get_json()["status"]) == (424, "rejected")


@pytest.mark.parametrize("name", ["of another rule", "that never was", "nonsense", "%00", "'; --"])
def test_a_rule_has_only_its_own_deliveries(post: Post, app: Flask, name: str) -> None:
    other = post("triage", {"issue": "OPS-1", "reporter": "Ada", "at": "1"}).get_json()["delivery"]
    delivery = {"of another rule": other, "that never was": new_id()}.get(name, name)
    answer = app.test_client().get(f"/hooks/plain/{delivery}", headers=token("plain"))
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.get_json()["detail"] == "This rule has no such delivery."


def test_asking_can_wait_too(post: Post, app: Flask, store: Store, rows: Rows) -> None:
    delivery = post("plain", {}).get_json()["delivery"]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(app.test_client().get, f"/hooks/plain/{delivery}?wait=30", headers=token("plain"))
        finish(store, delivery, State.DONE)
        assert asked.result().status_code == 200
