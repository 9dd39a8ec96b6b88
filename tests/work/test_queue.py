"""A job in Redis is one delivery or it is nothing: whoever can write there can write anything."""

import json
import logging
import pickle
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, Repeat, Retry
from rq.rate_limit import RateLimit
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from bridge.errors import QueueUnavailable
from bridge.store.engine import new_id
from bridge.store.offers import Offer
from bridge.work import queue as bridge_queue
from bridge.work.queue import ENTRY, DeliveryJob, JobRefused, open_queue, put_back, take

SECRET = "s3cret-of-the-stranger"


def _strangers_queue(redis: Redis) -> Queue:
    """The queue as anybody with RQ and access to Redis has it."""
    return Queue("bridge", connection=redis, serializer=JSONSerializer)


def _offer(redis: Redis, rule: str = "some_rule", attempt: int = 1) -> Offer:
    offer = Offer(new_id(), rule, attempt)
    bridge_queue.offer(redis, [offer], {})
    return offer


def _is_gone(redis: Redis, name: str) -> bool:
    return not redis.exists(f"rq:job:{name}", "rq:queue:bridge", "rq:queue:bridge:intermediate")


def test_what_is_offered_is_taken_in_the_order_of_offering(redis: Redis, queue: Queue) -> None:
    offers = [Offer(new_id(), "some_rule", 1) for _ in range(3)]
    bridge_queue.offer(redis, offers, {})
    taken = [take(queue) for _ in offers]
    assert [job and job.delivery for job in taken] == [offer.delivery for offer in offers]
    assert [job and job.id for job in taken] == [f"{offer.delivery}-1" for offer in offers]


def test_an_empty_queue_gives_nothing(queue: Queue) -> None:
    assert take(queue) is None


def test_a_rule_with_a_pool_is_offered_on_the_queue_of_that_pool_alone(redis: Redis, queue: Queue) -> None:
    offers = [Offer(new_id(), "common", 1), Offer(new_id(), "special", 1)]
    bridge_queue.offer(redis, offers, {"special": "finance", "common": None})
    assert queue.job_ids == [f"{offers[0].delivery}-1"]
    assert open_queue(redis, "finance").job_ids == [f"{offers[1].delivery}-1"]


def test_a_job_that_was_put_back_is_the_next_to_be_taken(redis: Redis, queue: Queue) -> None:
    first, _second = _offer(redis), _offer(redis)
    job = take(queue)
    assert job is not None
    put_back(queue, job)
    again = take(queue)
    assert again is not None
    assert again.delivery == first.delivery


def test_redis_holds_the_id_of_a_delivery_and_the_name_of_its_rule_and_nothing_else_of_it(redis: Redis) -> None:
    offer = _offer(redis)
    data, description = redis.hmget(f"rq:job:{offer.delivery}-1", ["data", "description"])
    assert isinstance(data, bytes)
    assert json.loads(zlib.decompress(data)) == [ENTRY, None, [offer.delivery], {}]
    assert description == b"some_rule"


def test_a_job_that_names_another_function_is_removed_and_the_next_delivery_is_taken(
    redis: Redis, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = tmp_path / "trace"
    job = _strangers_queue(redis).enqueue("subprocess.getoutput", f"touch {trace}; echo {SECRET}")
    offer = _offer(redis)
    with caplog.at_level(logging.DEBUG):
        assert take(queue) is None
        following = take(queue)
    assert following is not None
    assert following.delivery == offer.delivery
    assert not trace.exists()
    assert not redis.exists(f"rq:job:{job.id}")
    assert "queue.refused" in caplog.text
    assert "another function" in caplog.text
    assert SECRET not in caplog.text
    assert "getoutput" not in caplog.text


class _Bomb:
    """Unpickled, it runs a command."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.getoutput, (f"touch {self.trace}",)


@pytest.mark.parametrize("field", ["data", "meta", "result"])
def test_a_pickle_is_never_opened(redis: Redis, queue: Queue, tmp_path: Path, field: str) -> None:
    trace = tmp_path / "trace"
    offer = _offer(redis)
    redis.hset(f"rq:job:{offer.delivery}-1", field, zlib.compress(pickle.dumps(_Bomb(trace))))
    assert take(queue) is None
    assert not trace.exists()
    assert _is_gone(redis, f"{offer.delivery}-1")


EXTRAS: dict[str, Callable[[], dict[str, Any]]] = {
    "a callback on success": lambda: {"on_success": Callback("os.getpid")},
    "a callback on failure": lambda: {"on_failure": Callback("os.getpid")},
    "a callback on stop": lambda: {"on_stopped": Callback("os.getpid")},
    "a webhook": lambda: {"webhooks": [Webhook("http://127.0.0.1:1/", "finished")]},
    "a retry": lambda: {"retry": Retry(max=3)},
    "a repetition": lambda: {"repeat": Repeat(times=2, interval=1)},
    "metadata": lambda: {"meta": {"a": 1}},
    "a place at the front": lambda: {"at_front": True, "ttl": 60},
    "a limit of its own": lambda: {"rate_limit": RateLimit("key", 1)},
}


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
def test_a_delivery_with_something_beyond_a_plain_call_is_refused(redis: Redis, queue: Queue, extra: str) -> None:
    delivery = new_id()
    _strangers_queue(redis).enqueue(ENTRY, delivery, job_id=f"{delivery}-1", **EXTRAS[extra]())
    assert take(queue) is None
    assert _is_gone(redis, f"{delivery}-1")


def test_a_delivery_that_another_job_waits_for_is_taken_but_nothing_comes_of_the_other(
    redis: Redis, queue: Queue
) -> None:
    delivery, other = new_id(), new_id()
    stranger = _strangers_queue(redis)
    first = stranger.enqueue(ENTRY, delivery, job_id=f"{delivery}-1")
    second = stranger.enqueue(ENTRY, other, job_id=f"{other}-1", depends_on=first)
    assert take(queue) is not None
    redis.rpush(queue.key, second.id)
    assert take(queue) is None


CALLS: dict[str, Callable[[str], object]] = {
    "two arguments": lambda delivery: [ENTRY, None, [delivery, delivery], {}],
    "no argument": lambda _delivery: [ENTRY, None, [], {}],
    "a named argument": lambda delivery: [ENTRY, None, [delivery], {"a": 1}],
    "an object to call it on": lambda delivery: [ENTRY, {"a": 1}, [delivery], {}],
    "a number": lambda _delivery: [ENTRY, None, [1], {}],
    "a text that is no id": lambda _delivery: [ENTRY, None, ["../../etc/passwd"], {}],
    "an id with a line break": lambda delivery: [ENTRY, None, [delivery + "\n"], {}],
    "another delivery than its name says": lambda _delivery: [ENTRY, None, [new_id()], {}],
    "no call": lambda _delivery: "deliver",
    "deep nesting": lambda _delivery: json.loads("[" * 900 + "]" * 900),
}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_that_is_not_one_id_for_the_one_entry_is_refused(redis: Redis, queue: Queue, call: str) -> None:
    offer = _offer(redis)
    data = json.dumps(CALLS[call](offer.delivery)).encode()
    redis.hset(f"rq:job:{offer.delivery}-1", "data", zlib.compress(data))
    assert take(queue) is None
    assert _is_gone(redis, f"{offer.delivery}-1")


def test_a_small_text_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(redis: Redis, queue: Queue) -> None:
    offer = _offer(redis)
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    redis.hset(f"rq:job:{offer.delivery}-1", "data", bomb)
    assert take(queue) is None


@pytest.mark.parametrize(
    "field", ["timeout", "result_ttl", "status", "created_at", "ended_at", "origin", "description"]
)
def test_a_field_that_rq_cannot_read_is_no_end_of_the_worker(redis: Redis, queue: Queue, field: str) -> None:
    offer = _offer(redis)
    redis.hset(f"rq:job:{offer.delivery}-1", field, b"\xff nonsense")
    assert take(queue) is None
    assert _is_gone(redis, f"{offer.delivery}-1")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a:b", b"nothing-behind-it", b"", b"with space", b"../x"])
def test_an_entry_that_names_no_job_is_removed(redis: Redis, queue: Queue, name: bytes) -> None:
    redis.rpush(queue.key, name)
    assert take(queue) is None
    assert not redis.exists(queue.key, queue.intermediate_queue_key)


def test_something_else_than_a_job_under_a_jobs_name_is_removed(redis: Redis, queue: Queue) -> None:
    redis.set("rq:job:text", "not a hash")
    redis.rpush(queue.key, "text")
    assert take(queue) is None
    assert not redis.exists("rq:job:text", queue.intermediate_queue_key)


def test_rqs_own_worker_cannot_run_a_delivery(redis: Redis) -> None:
    offer = _offer(redis)
    job = DeliveryJob.fetch(f"{offer.delivery}-1", connection=redis)
    with pytest.raises(JobRefused):
        job.perform()
    with pytest.raises(JobRefused):
        bridge_queue.deliver(offer.delivery)


def test_a_redis_that_is_away_is_one_kind_of_error(absent_redis: Redis) -> None:
    with pytest.raises(QueueUnavailable):
        bridge_queue.offer(absent_redis, [Offer(new_id(), "some_rule", 1)], {})
    with pytest.raises(QueueUnavailable):
        take(open_queue(absent_redis))
