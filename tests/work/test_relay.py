"""The relay: committed deliveries come onto the queue, once when all is well and at least once when it is not."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from bridge.errors import QueueUnavailable
from bridge.rule.registry import Registry
from bridge.store import Store, deliveries, offers, registers
from bridge.store.deliveries import Delivery
from bridge.work import queue as bridge_queue
from bridge.work.queue import open_queue
from bridge.work.relay import BATCH, Nudges, Relay

Accept = Callable[..., str]


@pytest.fixture(autouse=True)
def _two_rules(write_rule: Callable[..., None]) -> None:
    write_rule("first_rule", "return None")
    write_rule("second_rule", "return None", more='pool = "finance"')


@pytest.fixture
def relay(store: Store, redis: Redis, rules: Registry) -> Relay:
    """A relay on each kind of database."""
    return Relay(store, redis, rules)


def test_each_delivery_is_offered_once_in_the_order_of_acceptance(
    relay: Relay, store: Store, accept: Accept, queue: Queue
) -> None:
    accepted = [accept(store, "first_rule") for _ in range(3)]
    assert relay.once() == 3
    assert relay.once() == 0
    assert queue.job_ids == [f"{delivery}-1" for delivery in accepted]


def test_more_than_one_batch_is_offered_in_several_looks(
    relay: Relay, store: Store, accept: Accept, queue: Queue
) -> None:
    for _ in range(BATCH + 1):
        accept(store, "first_rule")
    assert [relay.once(), relay.once(), relay.once()] == [BATCH, 1, 0]
    assert queue.count == BATCH + 1


def test_the_pool_of_a_rule_decides_its_queue(relay: Relay, store: Store, accept: Accept, redis: Redis) -> None:
    delivery = accept(store, "second_rule")
    relay.once()
    assert open_queue(redis, "finance").job_ids == [f"{delivery}-1"]


def test_a_delivery_whose_rule_was_removed_is_offered_so_that_it_comes_to_an_end(
    relay: Relay, store: Store, accept: Accept, queue: Queue
) -> None:
    delivery = accept(store, "rule_of_yesterday")
    relay.once()
    assert queue.job_ids == [f"{delivery}-1"]


@pytest.mark.parametrize(("what", "name"), [("rule", "first_rule"), ("account", "ops-bot"), ("all", "")])
def test_what_is_paused_is_not_offered_until_it_is_resumed(
    relay: Relay, store: Store, accept: Accept, queue: Queue, what: str, name: str
) -> None:
    store.commit(lambda connection: registers.set_pause(connection, what, name, "ann", "trying"))
    delivery = accept(store, "first_rule")
    assert relay.once() == 0
    store.commit(lambda connection: registers.lift_pause(connection, what, name, "ann", "tried"))
    assert relay.once() == 1
    assert queue.job_ids == [f"{delivery}-1"]


def test_a_paused_rule_does_not_hold_another_up(
    relay: Relay, store: Store, accept: Accept, queue: Queue, redis: Redis
) -> None:
    store.commit(lambda connection: registers.set_pause(connection, "rule", "first_rule", "ann", "trying"))
    accept(store, "first_rule")
    accept(store, "second_rule")
    assert relay.once() == 1
    assert queue.is_empty()
    assert open_queue(redis, "finance").count == 1


def test_a_delivery_that_waits_for_an_earlier_one_of_its_key_is_not_offered(
    relay: Relay, store: Store, accept: Accept, queue: Queue
) -> None:
    first = accept(store, "first_rule", order_key="OPS-1")
    accept(store, "first_rule", order_key="OPS-1")
    assert relay.once() == 1
    assert queue.job_ids == [f"{first}-1"]


def test_with_redis_away_nothing_is_noted_as_offered(
    store: Store, absent_redis: Redis, redis: Redis, rules: Registry, accept: Accept
) -> None:
    accept(store, "first_rule")
    with pytest.raises(QueueUnavailable):
        Relay(store, absent_redis, rules).once()
    assert Relay(store, redis, rules).once() == 1


def test_a_relay_that_ends_between_queue_and_note_offers_twice_and_one_claim_wins(
    relay: Relay, store: Store, accept: Accept, redis: Redis, queue: Queue, found: Callable[[Store, str], Delivery]
) -> None:
    delivery = accept(store, "first_rule")
    # The first half of what a relay does, and then it ends.
    with store.read() as connection:
        due = offers.unoffered(connection, store, (), 10)
    bridge_queue.offer(redis, due, {})
    assert relay.once() == 1
    assert queue.job_ids == [f"{delivery}-1", f"{delivery}-1"]
    row = found(store, delivery)
    store.commit(
        lambda connection: deliveries.begin(connection, store, row, worker="w", lease=10, rule_digest="sha256:x")
    )
    assert relay.once() == 0


def test_a_nudge_ends_the_wait(tmp_path: Path) -> None:
    nudges = Nudges(tmp_path / "nudge.sock")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    threading.Timer(0.05, sender.sendto, (b"", str(tmp_path / "nudge.sock"))).start()
    begun = time.monotonic()
    nudges.wait(10)
    assert time.monotonic() - begun < 5
    sender.close()
    nudges.close()


def test_many_nudges_end_one_wait(tmp_path: Path) -> None:
    nudges = Nudges(tmp_path / "nudge.sock")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for _ in range(5):
        sender.sendto(b"something", str(tmp_path / "nudge.sock"))
    nudges.wait(10)
    begun = time.monotonic()
    nudges.wait(0.05)
    assert time.monotonic() - begun >= 0.05
    sender.close()
    nudges.close()


def test_the_socket_left_behind_by_a_killed_relay_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(tmp_path / "nudge.sock"))
    left.close()
    nudges = Nudges(tmp_path / "nudge.sock")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(b"", str(tmp_path / "nudge.sock"))
    nudges.wait(10)
    sender.close()
    nudges.close()
    assert not (tmp_path / "nudge.sock").exists()


def test_where_no_socket_can_be_made_the_relay_looks_without_being_nudged(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    nudges = Nudges(deep / "nudge.sock")
    nudges.wait(0.01)
    nudges.close()
