"""A worker process's inside: many attempts at a time, none taken too early, none lost, and an end that is orderly."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.registry import StartedJobRegistry

from bridge.rule.registry import Registry
from bridge.store import Store
from bridge.store.deliveries import Delivery, State
from bridge.work.queue import DeliveryJob, open_queue
from bridge.work.relay import Relay
from bridge.work.valkey import Valkey
from bridge.work.worker import ThreadWorker

Accept = Callable[..., str]
Find = Callable[[Store, str], Delivery]
Write = Callable[..., None]
Until = Callable[..., None]
COMMENT = 'context.jira.comment("OPS-1", "hello")'
UNTIL_STOPPED = "import time\nwhile context.stopped is None:\n    time.sleep(0.01)"


class _Running:
    """A worker in a thread of this process; ``status`` is what ``work`` returned."""

    def __init__(self, worker: ThreadWorker) -> None:
        self.worker = worker
        self.status: bool | None = None
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self.status = self.worker.work()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self.worker.halt()
        self._thread.join(30)
        assert self.ended


def _nobody(*_arguments: object) -> str:
    raise AssertionError("no process of its own was asked for")


@pytest.fixture
def start(client: httpx.Client, rules: Registry, queue: Queue) -> Iterator[Callable[..., _Running]]:
    """Start a worker that is stopped at the end."""
    running: list[_Running] = []

    def begin(*, threads: int = 4, queue: Queue = queue, grace: float = 5.0, drain: float = 5.0) -> _Running:
        worker = ThreadWorker(
            queue,
            name=f"worker-{len(running)}",
            client=client,
            rules=rules,
            threads=threads,
            isolate=_nobody,
            grace=grace,
            drain=drain,
            stuck=0.2,
        )
        running.append(_Running(worker))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


@pytest.fixture
def deliver(egress: Any, redis: Redis, rules: Registry, accept: Accept) -> Callable[..., str]:
    """Store a delivery and put it on the queue."""

    def put(rule: str = "some_rule", payload: object = None) -> str:
        delivery = accept(egress.store, rule, payload)
        Relay(egress.store, redis, rules).once()
        return delivery

    return put


@pytest.fixture
def state(egress: Any, found: Find) -> Callable[[str], State]:
    """The state of a delivery."""
    return lambda delivery: found(egress.store, delivery).state


def test_what_is_on_the_queue_is_run_and_nothing_is_left_behind(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    write_rule: Write,
    until: Until,
    redis: Redis,
    queue: Queue,
) -> None:
    write_rule("some_rule", f"{COMMENT}\nreturn None")
    deliveries = [deliver() for _ in range(10)]
    running = start()
    until(lambda: all(state(delivery) is State.DONE for delivery in deliveries))
    running.stop()
    assert running.status is False
    assert not redis.exists(queue.key, queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key)
    kept = [redis.ttl(DeliveryJob.key_for(f"{delivery}-1")) for delivery in deliveries]
    assert all(isinstance(left, int) and 0 < left <= 60 for left in kept)


def test_deliveries_that_wait_for_a_site_run_beside_each_other(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    egress: Any,
    write_rule: Write,
    until: Until,
) -> None:
    write_rule("some_rule", COMMENT)
    together = threading.Barrier(4)
    egress.on_call = lambda _call: together.wait(20)
    deliveries = [deliver() for _ in range(4)]
    start(threads=4)
    until(lambda: all(state(delivery) is State.DONE for delivery in deliveries))


def test_a_worker_with_no_free_thread_takes_nothing(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    egress: Any,
    write_rule: Write,
    until: Until,
    queue: Queue,
) -> None:
    write_rule("some_rule", COMMENT)
    may_end = threading.Event()
    egress.on_call = lambda _call: may_end.wait(20)
    for _ in range(3):
        deliver()
    start(threads=1)
    until(lambda: egress.bodies("/call"))
    # Another worker finds the others where they were.
    assert queue.count == 2
    assert queue.connection.llen(queue.intermediate_queue_key) == 0
    may_end.set()
    until(lambda: len(egress.bodies("/finish")) == 3)


def test_a_worker_that_is_stopped_hands_back_what_it_runs_and_leaves_the_rest_on_the_queue(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    egress: Any,
    write_rule: Write,
    until: Until,
    queue: Queue,
) -> None:
    write_rule("some_rule", f"{COMMENT}\n{UNTIL_STOPPED}\n{COMMENT}")
    first, second = deliver(), deliver()
    running = start(threads=1)
    until(lambda: egress.bodies("/call"))
    running.worker.halt()
    until(lambda: running.ended)
    assert running.status is False
    assert len(egress.bodies("/call")) == 1
    assert egress.bodies("/finish")[0]["ended"] == "handed_back"
    assert state(first) is State.WAITING
    assert queue.job_ids == [f"{second}-1"]


def test_a_stopped_worker_waits_for_a_handler_no_longer_than_its_grace(
    start: Callable[..., _Running], deliver: Callable[..., str], egress: Any, write_rule: Write, until: Until
) -> None:
    write_rule("some_rule", COMMENT)
    may_end = threading.Event()
    egress.on_call = lambda _call: may_end.wait(20)
    deliver()
    running = start(grace=0.3)
    until(lambda: egress.bodies("/call"))
    begun = time.monotonic()
    running.stop()
    assert time.monotonic() - begun < 10
    may_end.set()


def test_a_stuck_handler_is_failed_and_its_worker_lets_the_others_end_and_gives_way(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    egress: Any,
    write_rule: Write,
    until: Until,
    queue: Queue,
) -> None:
    write_rule("stuck_rule", COMMENT, timeout="1s")
    write_rule("some_rule", COMMENT)
    may_end = threading.Event()

    def serve(call: dict[str, Any]) -> None:
        if call["delivery"] == stuck:
            may_end.wait(20)
        else:
            until(lambda: state(stuck) is State.DEAD)

    egress.on_call = serve
    stuck, other = deliver("stuck_rule"), deliver()
    running = start(threads=2)
    until(lambda: running.ended)
    assert running.status is True
    assert egress.bodies("/finish")[0] | {"error": ""} == {
        "delivery": stuck,
        "attempt": 1,
        "ended": "timed_out",
        "result": None,
        "error": "",
    }
    assert state(other) is State.DONE
    # What comes now is for the process that takes this one's place.
    third = deliver()
    assert queue.job_ids == [f"{third}-1"]
    may_end.set()


def test_a_handler_that_ended_late_but_by_itself_costs_no_process(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    egress: Any,
    write_rule: Write,
    until: Until,
) -> None:
    write_rule("slow_rule", COMMENT, timeout="1s")
    write_rule("some_rule", COMMENT)
    slow = deliver("slow_rule")
    egress.on_call = lambda call: until(lambda: call["delivery"] != slow or state(slow) is State.DEAD)
    running = start()
    until(lambda: state(slow) is State.DEAD)
    following = deliver()
    until(lambda: state(following) is State.DONE)
    assert not running.ended


def test_while_egress_is_away_deliveries_stay_on_the_queue_and_run_when_it_is_back(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    egress: Any,
    write_rule: Write,
    until: Until,
    queue: Queue,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_rule("some_rule", COMMENT)
    egress.away = True
    deliveries = [deliver() for _ in range(3)]
    start(threads=2)
    until(lambda: len(egress.bodies("/claim")) >= 6)
    assert caplog.text.count("egress.away") == 1
    assert queue.count >= 1
    egress.away = False
    until(lambda: all(state(delivery) is State.DONE for delivery in deliveries))
    assert caplog.text.count("egress.back") == 1


def test_a_strangers_job_is_removed_and_the_worker_goes_on(
    start: Callable[..., _Running],
    deliver: Callable[..., str],
    state: Callable[[str], State],
    write_rule: Write,
    until: Until,
    redis: Redis,
    tmp_path: Path,
) -> None:
    write_rule("some_rule", COMMENT)
    trace = tmp_path / "trace"
    Queue("bridge", connection=redis).enqueue("subprocess.getoutput", f"touch {trace}")
    Queue("bridge", connection=redis, serializer="json").enqueue("subprocess.getoutput", f"touch {trace}")
    delivery = deliver()
    start()
    until(lambda: state(delivery) is State.DONE)
    assert not trace.exists()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that may be stopped."""
    server = Valkey(tmp_path / "data", tmp_path / "v" / "v.sock")
    yield server
    server.stop()


def test_a_redis_that_is_away_at_the_start_or_later_or_was_emptied_is_outlived(
    start: Callable[..., _Running],
    state: Callable[[str], State],
    egress: Any,
    rules: Registry,
    accept: Accept,
    write_rule: Write,
    until: Until,
    own: Valkey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_rule("some_rule", COMMENT)
    connection = Redis(unix_socket_path=str(own.socket), retry=Retry(NoBackoff(), 0), socket_timeout=5)
    relay = Relay(egress.store, connection, rules)
    may_end = threading.Event()
    running = start(threads=2, queue=open_queue(connection))
    until(lambda: "redis.away" in caplog.text)
    own.ensure()
    # Away while an attempt is under way: the attempt goes on, for it needs only egress.
    egress.on_call = lambda _call: may_end.wait(20)
    first = accept(egress.store, "some_rule")
    relay.once()
    until(lambda: egress.bodies("/call"))
    own.stop()
    until(lambda: caplog.text.count("redis.away") == 2)
    may_end.set()
    until(lambda: state(first) is State.DONE)
    own.ensure()
    second = accept(egress.store, "some_rule")
    until(lambda: caplog.text.count("redis.away") == 2 and relay.once() == 1)
    until(lambda: state(second) is State.DONE)
    connection.flushall()
    third = accept(egress.store, "some_rule")
    relay.once()
    until(lambda: state(third) is State.DONE)
    assert not running.ended
    assert caplog.text.count("redis.away") == 2
    running.stop()
    connection.close()
