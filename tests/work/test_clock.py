"""The clock: goes on through the absence of everything it needs, and says so in one line each time."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.retry import Retry
from rq import Queue

from bridge.rule.registry import Registry
from bridge.settings import Settings, read
from bridge.store import Store, registers, schema
from bridge.store.tables import rule_version
from bridge.work.clock import Clock
from bridge.work.queue import open_queue
from bridge.work.valkey import Valkey

Accept = Callable[..., str]
Until = Callable[..., None]
Start = Callable[..., Clock]


@pytest.fixture(autouse=True)
def _rule(write_rule: Callable[..., None]) -> None:
    write_rule("some_rule", "return None")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with a Valkey of its own."""
    return read({"BRIDGE_HOME": str(tmp_path / "home")})


@pytest.fixture
def own(settings: Settings) -> Iterator[Queue]:
    """The queue on that Valkey, which may not be there yet."""
    connection = Redis(unix_socket_path=str(settings.redis_socket), retry=Retry(NoBackoff(), 0))
    yield open_queue(connection)
    connection.close()


@contextmanager
def _running(clock: Clock) -> Iterator[Clock]:
    thread = threading.Thread(target=clock.run)
    thread.start()
    try:
        yield clock
    finally:
        clock.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Open a store that is closed when the clocks have ended."""
    with ExitStack() as stack:

        def open_one(url: str) -> Store:
            made = Store(url)
            stack.callback(made.close)
            return made

        yield open_one


@pytest.fixture
def start(store: Store, settings: Settings, rules: Registry, opened: object) -> Iterator[Start]:
    """Start a clock that is stopped at the end."""
    del opened  # It is there only to be closed later.
    with ExitStack() as stack:
        yield lambda store=store, settings=settings: stack.enter_context(_running(Clock(settings, store, rules)))


def _answers(queue: Queue) -> bool:
    try:
        return bool(queue.connection.ping())
    except NoConnection:
        return False


def _holds(queue: Queue, *names: str) -> bool:
    try:
        return set(names) <= set(queue.job_ids)
    except NoConnection:
        return False


def test_a_delivery_that_waited_for_the_clock_comes_onto_the_queue(
    start: Start, store: Store, accept: Accept, own: Queue, until: Until
) -> None:
    before = accept(store, "some_rule")
    start()
    until(lambda: _holds(own, f"{before}-1"))
    after = accept(store, "some_rule")
    until(lambda: _holds(own, f"{before}-1", f"{after}-1"))


def test_a_valkey_that_is_killed_comes_back_and_so_does_what_was_on_it(
    start: Start, store: Store, accept: Accept, own: Queue, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    first = accept(store, "some_rule")
    start()
    until(lambda: _holds(own, f"{first}-1"))
    own.connection.flushall()
    os.kill(int(own.connection.info("server")["process_id"]), signal.SIGKILL)
    second = accept(store, "some_rule")
    until(lambda: _holds(own, f"{first}-1", f"{second}-1"))
    assert caplog.text.count("redis.away") <= 1


def test_the_clock_takes_its_valkey_down_when_it_is_stopped(
    store: Store, settings: Settings, rules: Registry, own: Queue, until: Until
) -> None:
    with _running(Clock(settings, store, rules)):
        until(lambda: _answers(own))
    assert not _answers(own)


def test_a_second_clock_stands_by_and_takes_over_with_the_same_valkey(
    store: Store, settings: Settings, rules: Registry, accept: Accept, own: Queue, until: Until
) -> None:
    with _running(Clock(settings, store, rules)) as first:
        until(lambda: _answers(own))
        with _running(Clock(settings, store, rules)):
            first.stop()
            delivery = accept(store, "some_rule")
            until(lambda: _holds(own, f"{delivery}-1"))


def test_a_database_that_is_away_at_the_start_is_waited_for_and_said_to_be_away_once(
    start: Start, opened: Callable[[str], Store], tmp_path: Path, accept: Accept, own: Queue, until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    late = opened(f"sqlite:///{tmp_path}/later/bridge.db")
    with caplog.at_level(logging.INFO):
        start(store=late)
        until(lambda: "database.away" in caplog.text)
        (tmp_path / "later").mkdir()
        schema.upgrade(late)
        delivery = accept(late, "some_rule")
        until(lambda: _holds(own, f"{delivery}-1"))
        until(lambda: "database.back" in caplog.text)
    assert caplog.text.count("database.away") == 1
    assert caplog.text.count("database.back") == 1


def test_an_empty_database_gets_its_tables_from_the_clock_if_it_is_there_first(
    start: Start, opened: Callable[[str], Store], tmp_path: Path, accept: Accept, own: Queue, until: Until
) -> None:
    empty = opened(f"sqlite:///{tmp_path}/empty.db")
    start(store=empty)
    until(lambda: _answers(own))
    until(lambda: schema.revision(empty) == schema.newest())
    delivery = accept(empty, "some_rule")
    until(lambda: _holds(own, f"{delivery}-1"))


def test_a_redis_that_is_away_at_the_start_is_waited_for_and_said_to_be_away_once(
    start: Start, store: Store, tmp_path: Path, accept: Accept, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    server = Valkey(tmp_path / "data", tmp_path / "r" / "r.sock")
    elsewhere = read({"BRIDGE_HOME": str(tmp_path / "home"), "BRIDGE_REDIS_URL": f"unix://{server.socket}"})
    delivery = accept(store, "some_rule")
    connection = Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0))
    with caplog.at_level(logging.INFO):
        start(settings=elsewhere)
        until(lambda: "redis.away" in caplog.text)
        server.ensure()
        until(lambda: _holds(open_queue(connection), f"{delivery}-1"))
        until(lambda: "redis.back" in caplog.text)
    assert caplog.text.count("redis.away") == 1
    connection.close()
    server.stop()


def _kept(store: Store) -> set[str]:
    with store.read() as connection:
        digests = set(connection.execute(sa.select(rule_version.c.digest)).scalars())
        return {
            text["some_rule.py"]
            for digest in digests
            for text in registers.rule_texts(connection, "some_rule", digest.removeprefix("sha256:"))
        }


def test_every_text_that_a_rule_ever_had_is_kept(
    start: Start, store: Store, rules_dir: Path, write_rule: Callable[..., None], until: Until
) -> None:
    first = (rules_dir / "some_rule.py").read_text()
    start()
    until(lambda: _kept(store) == {first})
    write_rule("some_rule", "return 1")
    second = (rules_dir / "some_rule.py").read_text()
    until(lambda: _kept(store) == {first, second})


def test_with_no_good_set_of_rules_deliveries_wait_and_the_mistake_is_named(
    start: Start,
    store: Store,
    accept: Accept,
    own: Queue,
    rules_dir: Path,
    write_rule: Callable[..., None],
    until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (rules_dir / "some_rule.toml").write_text("title = ")
    delivery = accept(store, "some_rule")
    start()
    until(lambda: "rules.away" in caplog.text)
    assert "some_rule.toml" in caplog.text
    write_rule("some_rule", "return None")
    until(lambda: _holds(own, f"{delivery}-1"))


def test_a_mistake_in_a_changed_rule_is_named_once_and_the_old_text_stays_in_force(
    start: Start,
    store: Store,
    accept: Accept,
    own: Queue,
    rules_dir: Path,
    until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:
    start()
    until(lambda: _answers(own))
    (rules_dir / "some_rule.toml").write_text("title = ")
    until(lambda: "rules.not_taken" in caplog.text)
    delivery = accept(store, "some_rule")
    until(lambda: _holds(own, f"{delivery}-1"))
    assert caplog.text.count("rules.not_taken") == 1


class _Chore:
    """A chore that notes when it is done."""

    name = "a chore"
    every = 0.05

    def __init__(self) -> None:
        self.turns = 0

    def once(self) -> None:
        self.turns += 1


def test_chores_are_done_by_the_clock_that_leads_and_once_more_when_it_stops(
    store: Store, settings: Settings, rules: Registry, until: Until
) -> None:
    chore, idle = _Chore(), _Chore()
    with _running(Clock(settings, store, rules, [chore])) as first:
        until(lambda: chore.turns > 2)
        with _running(Clock(settings, store, rules, [idle])):
            assert idle.turns == 0
            first.stop()
            until(lambda: idle.turns > 0)
