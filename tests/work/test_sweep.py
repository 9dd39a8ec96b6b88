"""The sweep: whatever Redis loses is offered again, and whatever RQ leaves behind is tidied up."""

import time
from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue

from bridge.errors import QueueUnavailable
from bridge.rule.registry import Registry
from bridge.store import Store, deliveries
from bridge.store.deliveries import Delivery
from bridge.work.queue import take
from bridge.work.relay import Relay
from bridge.work.sweep import ADRIFT_SECONDS, Sweep

Accept = Callable[..., str]
Find = Callable[[Store, str], Delivery]


class _Clock:
    """A clock that goes on when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """The sweep's own clock."""
    return _Clock()


@pytest.fixture(autouse=True)
def _rule(write_rule: Callable[..., None]) -> None:
    write_rule("some_rule", "return None")


@pytest.fixture
def relay(store: Store, redis: Redis, rules: Registry) -> Relay:
    """What offers again."""
    return Relay(store, redis, rules)


@pytest.fixture
def sweep(store: Store, redis: Redis, rules: Registry, clock: _Clock) -> Sweep:
    """A sweep that looks at every offer, however new."""
    swept = Sweep(store, redis, rules, stale_seconds=0.0, clock=clock)
    swept.once()
    return swept


def test_after_redis_was_emptied_every_offer_is_made_again(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, queue: Queue
) -> None:
    accepted = [accept(store, "some_rule") for _ in range(3)]
    relay.once()
    redis.flushall()
    assert sweep.once() == 3
    assert relay.once() == 3
    assert queue.job_ids == [f"{delivery}-1" for delivery in accepted]
    assert sweep.once() == 0


def test_a_job_that_vanished_is_offered_again(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, queue: Queue
) -> None:
    vanished, kept = accept(store, "some_rule"), accept(store, "some_rule")
    relay.once()
    redis.delete(f"rq:job:{vanished}-1")
    assert sweep.once() == 1
    relay.once()
    assert queue.job_ids == [f"{vanished}-1", f"{kept}-1", f"{vanished}-1"]


@pytest.mark.parametrize("status", ["finished", "failed", "canceled", "stopped"])
def test_an_offer_whose_job_is_over_is_made_again(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, status: str
) -> None:
    delivery = accept(store, "some_rule")
    relay.once()
    redis.hset(f"rq:job:{delivery}-1", "status", status)
    assert sweep.once() == 1
    assert relay.once() == 1


def test_offers_that_wait_on_a_long_queue_are_left_alone(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, clock: _Clock
) -> None:
    for _ in range(20):
        accept(store, "some_rule")
    relay.once()
    for _ in range(3):
        clock.now += ADRIFT_SECONDS
        assert sweep.once() == 0


def test_an_offer_whose_entry_is_on_no_list_any_more_is_made_again_after_a_while(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, queue: Queue, clock: _Clock
) -> None:
    accept(store, "some_rule")
    relay.once()
    redis.delete(queue.key)
    assert sweep.once() == 0
    clock.now += ADRIFT_SECONDS
    assert sweep.once() == 1


def test_an_id_that_a_worker_took_before_it_was_killed_is_offered_again(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, queue: Queue, clock: _Clock
) -> None:
    delivery = accept(store, "some_rule")
    relay.once()
    assert take(queue) is not None
    assert sweep.once() == 0
    clock.now += ADRIFT_SECONDS
    assert sweep.once() == 1
    assert not redis.exists(queue.intermediate_queue_key)
    assert relay.once() == 1
    assert queue.job_ids == [f"{delivery}-1"]


def test_a_delivery_that_a_worker_has_claimed_is_not_offered_again(
    sweep: Sweep, relay: Relay, store: Store, accept: Accept, redis: Redis, found: Find
) -> None:
    delivery = accept(store, "some_rule")
    relay.once()
    row = found(store, delivery)
    store.commit(
        lambda connection: deliveries.begin(connection, store, row, worker="w", lease=10, rule_digest="sha256:x")
    )
    redis.flushall()
    assert sweep.once() == 0
    assert relay.once() == 0


def test_a_delivery_whose_worker_gave_no_sign_is_offered_as_its_next_attempt(
    relay: Relay, store: Store, accept: Accept, queue: Queue, found: Find, until: Callable[..., None]
) -> None:
    delivery = accept(store, "some_rule")
    row = found(store, delivery)
    store.commit(
        lambda connection: deliveries.begin(connection, store, row, worker="w", lease=0.2, rule_digest="sha256:x")
    )
    until(relay.once)
    assert queue.job_ids == [f"{delivery}-2"]


def test_what_rq_remembers_of_jobs_that_are_over_does_not_pile_up(sweep: Sweep, redis: Redis) -> None:
    past, future = time.time() - 1, time.time() + 60
    for key in ("rq:finished:bridge", "rq:failed:bridge", "rq:wip:bridge"):
        redis.zadd(key, {"old": past, "new": future})
    sweep.once()
    for key in ("rq:finished:bridge", "rq:failed:bridge", "rq:wip:bridge"):
        assert redis.zrange(key, 0, -1) == [b"new"]


def test_a_strangers_job_in_rqs_lists_is_never_loaded(sweep: Sweep, redis: Redis, clock: _Clock) -> None:
    redis.zadd("rq:wip:bridge", {"stranger:1": time.time() - 1})
    redis.hset("rq:job:stranger", mapping={"data": b"\x80\x04.", "status": "started", "failure_callback_name": "os.x"})
    redis.rpush("rq:queue:bridge:intermediate", b"\xff\xfe")
    sweep.once()
    clock.now += ADRIFT_SECONDS
    sweep.once()
    assert not redis.exists("rq:wip:bridge", "rq:queue:bridge:intermediate")


def test_with_redis_away_nothing_is_withdrawn(
    store: Store, relay: Relay, absent_redis: Redis, rules: Registry, accept: Accept
) -> None:
    accept(store, "some_rule")
    relay.once()
    with pytest.raises(QueueUnavailable):
        Sweep(store, absent_redis, rules, stale_seconds=0.0).once()
    assert relay.once() == 0
