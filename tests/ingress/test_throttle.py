"""429: for strangers who go on trying and for the last of the disk, never for what is authentic."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from bridge.errors import DeliveryRefused
from bridge.ingress import signature
from bridge.ingress.throttle import MOST, WINDOW, Reserve, Strangers
from bridge.settings import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def statuses(strangers: Strangers, address: str, times: int) -> list[int]:
    return [strangers.refuse(signature.refusal(), address).status for _ in range(times)]


def test_a_stranger_who_goes_on_trying_is_told_to_wait() -> None:
    strangers = Strangers(Clock())
    assert statuses(strangers, "192.0.2.1", MOST + 2) == [401] * MOST + [429, 429]


def test_another_address_is_not_made_to_pay_for_it() -> None:
    strangers = Strangers(Clock())
    statuses(strangers, "192.0.2.1", MOST + 2)
    assert statuses(strangers, "192.0.2.2", 1) == [401]


def test_after_a_while_a_stranger_may_try_again() -> None:
    clock = Clock()
    strangers = Strangers(clock)
    statuses(strangers, "192.0.2.1", MOST + 2)
    clock.now += WINDOW
    assert statuses(strangers, "192.0.2.1", 1) == [401]


def test_the_memory_of_addresses_is_bounded() -> None:
    strangers = Strangers(Clock())
    for number in range(25_000):
        strangers.refuse(signature.refusal(), str(number))
    assert len(strangers._counts) <= 10_001


def test_the_last_of_the_disk_is_kept_for_what_is_under_way(tmp_path: Path) -> None:
    Reserve(tmp_path, 1).require()
    with pytest.raises(DeliveryRefused) as refused:
        Reserve(tmp_path, 2**62).require()
    assert refused.value.status == 429
    assert not refused.value.kept


def test_a_disk_that_cannot_be_looked_at_is_left_to_the_database(tmp_path: Path) -> None:
    Reserve(tmp_path / "missing", 2**62).require()


def test_with_the_disk_nearly_full_nothing_is_stored_and_the_sender_knows(
    post: Callable[..., Any], rows: Callable[[], list[Any]], make_app: Callable[[Settings], Flask], settings: Settings
) -> None:
    answer = post("plain", {"x": 1}, to=make_app(replace(settings, disk_reserve=2**62)))
    assert answer.status_code == 429
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert rows() == []


def test_a_stranger_learns_by_429_only_that_there_were_too_many(app: Flask, rows: Callable[[], list[Any]]) -> None:
    client = app.test_client()
    answers = [client.post("/hooks/triage", json={}).status_code for _ in range(MOST + 1)]
    assert answers == [401] * MOST + [429]
    assert rows() == []


def test_the_right_token_is_let_in_from_an_address_of_strangers(app: Flask, post: Callable[..., Any]) -> None:
    for _ in range(MOST + 1):
        app.test_client().post("/hooks/triage", json={})
    assert post("plain", {"x": 1}).status_code == 202
