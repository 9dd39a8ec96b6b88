"""The circuit: a site that is down is left alone, no delivery is burnt, and one probe finds out when it is up."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from bridge import catalogue
from bridge.egress.circuit import FAILURES, FIRST_WAIT, LONGEST_WAIT, PROBE_SECONDS, Circuit, wait_after
from bridge.egress.gate import PREFIX, Gate
from bridge.errors import NotSent
from bridge.store import deliveries, registers
from bridge.work.scripts import Scripts

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n[scope.confluence]\nENG = ["read"]\n'
COMMENT = "context.jira.comment('OPS-1', 'x')"
READ = "return context.jira.issue('OPS-1')['key']"
TENANT = "cloud:jira"
AWAY = "the site does not answer (jira), so nothing is sent to it for a while"


@pytest.fixture
def scripts(redis: Redis) -> Scripts:
    """The way to an emptied Valkey, as egress is handed it."""
    return Scripts(redis)


def is_admitted(gate: Gate) -> bool:
    """Tell whether a request may leave."""
    found = catalogue.match("GET", "/rest/api/3/issue/OPS-1")
    assert found is not None
    try:
        gate.admit(TENANT, found.operation, None, 0.0)
    except NotSent:
        return False
    return True


def fails(gate: Gate, times: int) -> None:
    for _ in range(times):
        gate.failed(TENANT, "the site answered 503")


# ------------------------------------------------------------------------------------------- as one process knows it


def test_only_failures_in_a_row_open_it() -> None:
    circuit = Circuit()
    for _ in range(3):
        assert not any(circuit.failed(TENANT, "x", 0) for _ in range(FAILURES - 1))
        circuit.worked(TENANT)
    assert [circuit.failed(TENANT, "x", 0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert circuit.ask(TENANT, 0) == FIRST_WAIT
    assert circuit.ask("cloud:confluence", 0) == 0, "the other product of the site goes on"


def test_one_probe_goes_and_its_answer_closes_it() -> None:
    circuit = Circuit()
    for _ in range(FAILURES):
        circuit.failed(TENANT, "x", 0)
    asked = [circuit.ask(TENANT, FIRST_WAIT) for _ in range(4)]
    assert asked[0] == 0
    assert all(asked[1:])
    assert circuit.worked(TENANT)
    assert circuit.ask(TENANT, FIRST_WAIT) == 0


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    circuit, now, waits = Circuit(), 0.0, []
    for _ in range(FAILURES):
        circuit.failed(TENANT, "x", now)
    for _ in range(8):
        waits.append(circuit.ask(TENANT, now))
        now += waits[-1]
        assert circuit.ask(TENANT, now) == 0
        circuit.failed(TENANT, "x", now)
    assert waits == [5, 10, 20, 40, 80, 120, 120, 120] == [wait_after(n) for n in range(1, 9)]
    assert waits[-1] == LONGEST_WAIT


def test_a_probe_of_which_nothing_is_heard_is_followed_by_another() -> None:
    circuit = Circuit()
    for _ in range(FAILURES):
        circuit.failed(TENANT, "x", 0)
    assert circuit.ask(TENANT, FIRST_WAIT) == 0
    assert circuit.ask(TENANT, FIRST_WAIT + PROBE_SECONDS - 1) > 0
    assert circuit.ask(TENANT, FIRST_WAIT + PROBE_SECONDS) == 0


def test_late_failures_of_what_was_sent_before_do_not_prolong_it() -> None:
    circuit = Circuit()
    for _ in range(FAILURES + 20):
        circuit.failed(TENANT, "x", 0)
    assert circuit.ask(TENANT, 0) == FIRST_WAIT


# ---------------------------------------------------------------------------------------- as all processes know it


def test_an_opening_holds_up_every_process_and_one_probe_goes_for_all(scripts: Scripts, valkey_socket: Path) -> None:
    first = Gate(scripts)
    others = [Gate(Scripts(Redis(unix_socket_path=str(valkey_socket)))) for _ in range(4)]
    fails(first, FAILURES - 1)
    assert is_admitted(first)
    fails(first, 1)
    assert not any(is_admitted(gate) for gate in [first, *others])
    pass_by(valkey_socket)
    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(is_admitted, [first, *others])) == 1


def pass_by(socket: Path) -> None:
    """Let the time for which the circuit is open be over."""
    assert Redis(unix_socket_path=str(socket)).delete(f"{PREFIX}{TENANT}:open")


def test_an_answer_to_one_process_closes_it_for_all(scripts: Scripts, valkey_socket: Path) -> None:
    first, other = Gate(scripts), Gate(Scripts(Redis(unix_socket_path=str(valkey_socket))))
    fails(first, FAILURES)
    pass_by(valkey_socket)
    assert is_admitted(other)
    assert not is_admitted(first)
    other.worked(TENANT)
    assert is_admitted(first)
    fails(first, FAILURES - 1)
    assert is_admitted(first), "what it counted before is forgotten too"


def test_a_probe_that_fails_opens_it_longer_whichever_process_sent_it(
    scripts: Scripts, valkey_socket: Path, redis: Redis
) -> None:
    gates = [Gate(scripts), Gate(Scripts(Redis(unix_socket_path=str(valkey_socket))))]
    fails(gates[0], FAILURES)
    seconds = [redis.pttl(f"{PREFIX}{TENANT}:open") / 1000]
    for turn in range(1, 7):
        pass_by(valkey_socket)
        probing = gates[turn % 2]
        assert is_admitted(probing)
        fails(probing, 1)
        seconds.append(redis.pttl(f"{PREFIX}{TENANT}:open") / 1000)
    assert [round(each) for each in seconds] == [5, 10, 20, 40, 80, 120, 120]


def test_failures_that_other_processes_meet_meanwhile_do_not_prolong_it(
    scripts: Scripts, valkey_socket: Path, redis: Redis
) -> None:
    for gate in (Gate(scripts), *(Gate(Scripts(Redis(unix_socket_path=str(valkey_socket)))) for _ in range(3))):
        fails(gate, FAILURES)
    assert redis.pttl(f"{PREFIX}{TENANT}:open") <= FIRST_WAIT * 1000
    assert redis.hget(f"{PREFIX}{TENANT}:trouble", "times") == b"1"


def test_its_state_can_be_read(scripts: Scripts, valkey_socket: Path) -> None:
    for gate, reading in (
        (Gate(clock=lambda: 0.0), None),
        (Gate(scripts), Gate(Scripts(Redis(unix_socket_path=str(valkey_socket))))),
    ):
        reader = reading or gate
        assert (reader.state(TENANT).open, reader.state(TENANT).why) == (False, None)
        fails(gate, FAILURES)
        state = reader.state(TENANT)
        assert (state.open, state.why) == (True, "the site answered 503")
        assert 4 < state.seconds <= 5
        gate.worked(TENANT)
        assert reader.state(TENANT).open is False


# ------------------------------------------------------------------------------------------------ what deliveries see


@pytest.fixture(params=["with Redis", "without Redis"])
def shared(request: pytest.FixtureRequest) -> Scripts | None:
    """Redis, or none."""
    return request.getfixturevalue("scripts") if request.param == "with Redis" else None


def over(bench: Any, scripts: Scripts | None) -> None:
    """Let the time for which the circuit is open be over."""
    for known in bench.egress.accounts._gate._circuit._known.values():
        known.until = known.probed_until = 0.0
    if scripts is not None:
        scripts._connection.delete(f"{PREFIX}{bench.site.cloud_id}:jira:open")


def test_while_a_site_is_down_deliveries_wait_and_none_is_burnt(make_bench: Make, shared: Scripts | None) -> None:
    bench = make_bench(SCOPE, READ, scripts=shared)
    bench.fault("503", "getIssue", times=FAILURES)
    delivered = [bench.send().delivery for _ in range(FAILURES)]
    sent = len(bench.wire.requests)
    late = bench.send()
    assert (late.state, late.reason) == ("waiting", AWAY)
    assert len(bench.wire.requests) == sent, "nothing is sent while it is open"
    for delivery in (*delivered, late.delivery):
        found = bench.delivery(delivery)
        assert (found.state, found.failures, found.crashes) == ("waiting", 0, 0)
    state = bench.egress.accounts.circuit("ops-bot", "jira")
    assert (state.open, state.why) == (True, "the site answered 503")
    assert bench.egress.accounts.circuit("ops-bot", "confluence").open is False
    over(bench, shared)
    for delivery in (*delivered, late.delivery):
        bench.let_time_pass(delivery)
        assert bench.attempt(delivery).state == "done"
    assert bench.egress.accounts.circuit("ops-bot", "jira").open is False


def test_a_write_is_not_intended_while_the_circuit_is_open(make_bench: Make, scripts: Scripts) -> None:
    bench = make_bench(SCOPE, COMMENT, scripts=scripts)
    assert bench.send().state == "done"

    def play(sent: httpx.Request) -> httpx.Response:
        # While this attempt is told where its issue is, another process finds the site down.
        another = Gate(scripts)
        for _ in range(FAILURES):
            another.failed(f"{bench.site.cloud_id}:jira", "the site answered 503")
        answer: httpx.Response = bench.wire.pass_on(sent)
        return answer

    bench.wire.play(play, method="GET")
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", AWAY)
    assert bench.entries(report.delivery, "step:intent", "step:unsent") == []
    over(bench, scripts)
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).state == "done"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
def test_a_site_that_says_no_is_up(make_bench: Make, status: int) -> None:
    bench = make_bench(SCOPE, READ)
    for _ in range(FAILURES + 1):
        bench.wire.answer(status, {}, method="GET", path="/issue")
        bench.send()
        bench.store.commit(lambda connection: registers.lift_pause(connection, "account", "ops-bot", "mia", "x"))
    assert bench.send().state == "done"


def test_a_rule_in_a_hurry_proves_nothing_about_the_site(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[run]\ntimeout = '5s'", READ)
    for _ in range(FAILURES + 1):
        bench.wire.fail(lambda sent: httpx.ReadTimeout("slow", request=sent), method="GET")
        assert "ReadTimeout" in bench.send().reason
    assert bench.send().state == "done"


def test_an_answer_that_is_too_large_proves_nothing_about_the_site(make_bench: Make) -> None:
    bench = make_bench(SCOPE, READ)
    for _ in range(FAILURES + 1):
        bench.wire.play(lambda sent: httpx.Response(200, content=b"x" * (17 * 1024 * 1024), request=sent))
        assert "has more than" in bench.send().reason
    assert bench.send().state == "done"


# ------------------------------------------------------------------------------------------------- give_up_after


def days_ago(days: float) -> str:
    """Return a time as the store writes it."""
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_the_time_for_which_a_site_was_down_is_not_held_against_a_delivery(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\ngive_up_after = '1h'", COMMENT)
    bench.wire.answer(429, {}, method="POST", retry_after="3600")
    delivery = bench.send().delivery
    bench._set(delivery, since=days_ago(1.5 / 24))
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert report.state == "done", report.reason


def test_what_it_asked_for_itself_is(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\ngive_up_after = '1h'", "context.later(7200)")
    delivery = bench.send().delivery
    bench._set(delivery, since=days_ago(2 / 24))
    bench.let_time_pass(delivery)
    assert bench.attempt(delivery).reason.startswith("gave up after 3600 seconds")


@pytest.mark.parametrize(("what", "name"), [("account", "ops-bot"), ("rule", "rule"), ("all", "")])
def test_the_time_for_which_a_pause_held_it_is_not_held_against_a_delivery(
    make_bench: Make, what: str, name: str
) -> None:
    bench = make_bench(SCOPE + "[retry]\ngive_up_after = '1h'", COMMENT)
    bench.store.commit(lambda connection: registers.set_pause(connection, what, name, "mia", "weekend"))
    delivery = bench.accept()
    assert bench.attempt(delivery).state == "queued"
    since = bench.delivery(delivery).since
    bench.store.commit(lambda connection: registers.lift_pause(connection, what, name, "mia", "back"))
    with bench.store.read() as connection:
        held = registers.paused_for(connection, "rule", "ops-bot", since)
        assert 0 < held < 30
        assert registers.paused_for(connection, "rule", "ops-bot", days_ago(-1)) == 0
        other = registers.paused_for(connection, "other", "another-bot", since)
        assert (other > 0) is (what == "all")
    bench.store.commit(lambda connection: registers.set_pause(connection, "account", "ops-bot", "mia", "again"))
    with bench.store.read() as connection:
        assert registers.paused_for(connection, "rule", "ops-bot", since) >= held, "a pause that lasts counts so far"


def test_a_delivery_that_a_pause_held_longer_than_it_may_wait_is_done_afterwards(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[retry]\ngive_up_after = '2s'", COMMENT)
    bench.store.commit(lambda connection: registers.set_pause(connection, "account", "ops-bot", "mia", "weekend"))
    delivery = bench.accept()
    while deliveries.age(bench.delivery(delivery)) < 2.2:
        time.sleep(0.05)
    bench.store.commit(lambda connection: registers.lift_pause(connection, "account", "ops-bot", "mia", "back"))
    report = bench.attempt(delivery)
    assert report.state == "done", report.reason
