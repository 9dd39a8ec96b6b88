"""Real worker processes, really killed: nothing is lost, nothing lives on, and a new process takes the place."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bridge.rule.registry import Registry
from bridge.store import Store
from bridge.store.deliveries import Delivery, State, result_of
from bridge.work.relay import Relay
from bridge.work.sweep import Sweep

pytestmark = pytest.mark.processes

Accept = Callable[..., str]
Find = Callable[[Store, str], Delivery]
Write = Callable[..., None]
Until = Callable[..., None]
COMMENT = 'context.jira.comment("OPS-1", "hello")'
UNTIL_STOPPED = "import time\nwhile context.stopped is None:\n    time.sleep(0.01)"
PROGRAM = Path(__file__).with_name("worker_program.py")


@pytest.fixture
def start(
    redis: Redis, valkey_socket: Path, egress_socket: Path, rules_dir: Path, tmp_path: Path
) -> Iterator[Callable[[int], "subprocess.Popen[bytes]"]]:
    """Start a supervisor with so many worker processes, to be ended at the end."""
    del redis  # It is emptied first.
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "BRIDGE_HOME": str(tmp_path / "home"),
        "BRIDGE_RULES": str(rules_dir),
        "BRIDGE_REDIS_URL": f"unix://{valkey_socket}",
        "TEST_EGRESS": str(egress_socket),
    }

    def begin(processes: int = 1) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, str(PROGRAM), str(processes)], env=environment))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def clock(egress: Any, redis: Redis, rules: Registry) -> Iterator[None]:
    """Relay and sweep, going on beside the test."""
    stop = threading.Event()

    def go_on() -> None:
        relay, sweep = Relay(egress.store, redis, rules), Sweep(egress.store, redis, rules)
        while not stop.wait(0.1):
            sweep.once()
            relay.once()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def state(egress: Any, found: Find) -> Callable[[str], State]:
    """The state of a delivery."""
    return lambda delivery: found(egress.store, delivery).state


def _pids(egress: Any) -> list[int]:
    """The processes that claimed something, in that order: a worker's name holds its process id."""
    return [int(body["worker"].split("-")[-2]) for body in egress.bodies("/claim")]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        # A process that nobody waited for has ended all the same.
        return not status.exists() or status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_delivery_of_a_killed_worker_is_claimed_again_within_15_seconds(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("some_rule", COMMENT)
    released = threading.Event()
    egress.on_call = lambda _call: released.wait(30)
    start()
    delivery = accept(egress.store, "some_rule")
    until(lambda: egress.bodies("/call"))
    released.set()
    killed_at = time.monotonic()
    os.kill(_pids(egress)[0], signal.SIGKILL)
    until(lambda: len(egress.bodies("/claim")) > 1)
    assert time.monotonic() - killed_at < 15
    until(lambda: state(delivery) is State.DONE)
    assert egress.bodies("/finish")[-1]["attempt"] == 2
    assert len(set(_pids(egress))) == 2


def test_the_processes_of_a_killed_supervisor_die_with_it(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until
) -> None:
    write_rule("some_rule", COMMENT)
    write_rule("apart", "import os\ncontext.log(str(os.getpid()))\n" + COMMENT, isolation="process")
    released = threading.Event()
    egress.on_call = lambda _call: released.wait(30)
    supervisor = start(2)
    for rule in ("some_rule", "apart"):
        accept(egress.store, rule)
    until(lambda: len(egress.bodies("/call")) == 2)
    pids = {*_pids(egress), int(egress.bodies("/log")[0]["text"])}
    assert all(_lives(pid) for pid in pids)
    supervisor.kill()
    until(lambda: not any(_lives(pid) for pid in pids))
    released.set()


def test_a_stopped_supervisor_ends_with_all_its_processes_also_when_a_rule_left_a_thread_behind(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("some_rule", "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()")
    supervisor = start(2)
    delivery = accept(egress.store, "some_rule")
    until(lambda: state(delivery) is State.DONE)
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert not any(_lives(pid) for pid in _pids(egress))


def test_a_handler_that_ends_its_process_costs_that_process_and_nothing_else(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("fatal_rule", "import os\nos._exit(3)")
    write_rule("some_rule", COMMENT)
    start()
    accept(egress.store, "fatal_rule")
    until(lambda: egress.bodies("/claim"))
    until(lambda: not _lives(_pids(egress)[0]))
    delivery = accept(egress.store, "some_rule")
    until(lambda: state(delivery) is State.DONE)
    assert len(set(_pids(egress))) == 2


def test_a_stuck_handler_is_failed_and_its_process_replaced(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("stuck_rule", "import time\ntime.sleep(600)", timeout="1s")
    write_rule("some_rule", COMMENT)
    start()
    stuck = accept(egress.store, "stuck_rule")
    until(lambda: state(stuck) is State.DEAD)
    assert egress.bodies("/finish")[0]["ended"] == "timed_out"
    until(lambda: not _lives(_pids(egress)[0]))
    delivery = accept(egress.store, "some_rule")
    until(lambda: state(delivery) is State.DONE)


def test_hashes_are_the_same_in_every_process_that_runs_rules(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State], found: Find,
) -> None:  # fmt: skip
    write_rule("in_thread", 'return hash("a")')
    write_rule("apart", 'return hash("a")', isolation="process")
    start()
    deliveries = [accept(egress.store, rule) for rule in ("in_thread", "apart")]
    until(lambda: all(state(delivery) is State.DONE for delivery in deliveries))
    first, second = (result_of(found(egress.store, delivery)) for delivery in deliveries)
    told = subprocess.run(
        [sys.executable, "-c", 'print(hash("a"))'],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        stdout=subprocess.PIPE,
    )
    assert first == second == int(told.stdout)


def test_a_handler_that_crashes_in_a_process_of_its_own_is_a_failed_handler_and_no_dead_worker(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("fatal_rule", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", isolation="process")
    write_rule("some_rule", COMMENT)
    start()
    fatal = accept(egress.store, "fatal_rule")
    until(lambda: state(fatal) is State.DEAD)
    assert egress.bodies("/finish")[0]["ended"] == "raised"
    assert "SIGSEGV" in egress.bodies("/finish")[0]["error"]
    delivery = accept(egress.store, "some_rule")
    until(lambda: state(delivery) is State.DONE)
    assert len(set(_pids(egress))) == 1


def test_a_handler_that_computes_for_ever_in_a_process_of_its_own_is_killed_when_its_time_is_up(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("endless", "import os\ncontext.log(str(os.getpid()))\nwhile True: pass", isolation="process",
               timeout="8s")  # fmt: skip
    write_rule("some_rule", COMMENT)
    start()
    endless = accept(egress.store, "endless")
    until(lambda: state(endless) is State.DEAD)
    assert egress.bodies("/finish")[0]["ended"] == "timed_out"
    until(lambda: not _lives(int(egress.bodies("/log")[0]["text"])))
    delivery = accept(egress.store, "some_rule")
    until(lambda: state(delivery) is State.DONE)
    assert len(set(_pids(egress))) == 1


def test_an_attempt_in_a_process_of_its_own_is_handed_back_when_the_worker_stops(
    start: Callable[..., Any], clock: None, egress: Any, accept: Accept, write_rule: Write, until: Until,
    state: Callable[[str], State],
) -> None:  # fmt: skip
    write_rule("apart", f"{COMMENT}\n{UNTIL_STOPPED}\n{COMMENT}", isolation="process")
    supervisor = start()
    delivery = accept(egress.store, "apart")
    until(lambda: egress.bodies("/call"))
    supervisor.terminate()
    assert supervisor.wait(25) == 0
    assert state(delivery) is State.WAITING
    assert egress.bodies("/finish")[0]["ended"] == "handed_back"
    assert len(egress.bodies("/call")) == 1
