"""Atlassian's rate limits, kept by all processes together in a real Valkey, and left to the site while that is away."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bridge import catalogue
from bridge.catalogue import Operation
from bridge.egress.answered import Limited
from bridge.egress.gate import PREFIX, Gate
from bridge.egress.limits import held_up, weigh
from bridge.errors import NotSent, QueueUnavailable
from bridge.work.scripts import Scripts

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n'
COMMENT = "context.jira.comment(event['issue'], 'x')"
READ = "return context.jira.issue(event['issue'])['key']"
TENANT = "cloud:jira"


def operation(method: str, path: str) -> Operation:
    """Return the operation of a request."""
    found = catalogue.match(method, path)
    assert found is not None
    return found.operation


READ_ISSUE = operation("GET", "/rest/api/3/issue/OPS-1")
READ_PROJECT = operation("GET", "/rest/api/3/project/OPS")
EDIT = operation("PUT", "/rest/api/3/issue/OPS-1")
ADD_COMMENT = operation("POST", "/rest/api/3/issue/OPS-1/comment")


@pytest.fixture
def scripts(redis: Redis) -> Scripts:
    """The way to an emptied Valkey, as egress is handed it."""
    return Scripts(redis)


class Process:
    """One process's gate, which does not really sleep: it tells how long it would have."""

    def __init__(self, scripts: Scripts | None) -> None:
        self.slept: list[float] = []
        self.gate = Gate(scripts, sleep=self.slept.append)

    def passes(self, what: Operation, issue: str | None = None, tenant: str = TENANT) -> bool:
        """Tell whether a request may leave without waiting."""
        try:
            # In so little time nothing can be waited for.
            self.gate.admit(tenant, what, issue, 0.0)
        except NotSent:
            return False
        return True


def passed(process: Process, what: Operation, issue: str | None = None, *, of: int) -> int:
    """Return how many of so many requests may leave at once."""
    return sum(process.passes(what, issue) for _ in range(of))


# ------------------------------------------------------------------------------------------------------ dimensions


def test_a_request_counts_in_atlassians_dimensions() -> None:
    def told(what: Operation, issue: str | None = None) -> list[tuple[int, float]]:
        return [(window.limit, round(window.span)) for window in weigh(what, issue).windows]

    assert told(READ_ISSUE) == [(150, 1)]
    assert told(READ_PROJECT) == [(100, 1)]
    assert told(ADD_COMMENT, "OPS-1") == [(100, 1), (20, 2), (100, 30)]
    assert told(EDIT, "OPS-1") == [(50, 1), (20, 2), (100, 30)]
    assert told(operation("DELETE", "/rest/api/3/issue/OPS-1"), "OPS-1")[0] == (50, 1)
    assert told(READ_ISSUE, "OPS-1") == [(150, 1)], "reading an issue is no write to it"


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("jira-quota-global-based", "tenant"),
        ("jira-quota-tenant-based", "tenant"),
        ("confluence-quota-tenant-based", "tenant"),
        ("conf-global-based", "tenant"),
        ("jira-cost-based", "tenant"),
        ("jira-max-concurrent-threads-exceeded", "tenant"),
        ("FAILURE_CLIENT_RATE_LIMITED", "tenant"),
        ("JIRA-QUOTA-GLOBAL-BASED", "tenant"),
        ("jira-per-issue-on-write", "issue:OPS-1"),
        ("jira-burst-based", "endpoint:POST:addComment"),
        ("something new", "endpoint:POST:addComment"),
        ("", "endpoint:POST:addComment"),
    ],
)
def test_the_reason_of_a_429_says_what_is_held_up(reason: str, name: str) -> None:
    assert held_up(reason, ADD_COMMENT, "OPS-1") == name


def test_a_reason_about_an_issue_where_there_is_none_holds_up_the_endpoint() -> None:
    assert held_up("jira-per-issue-on-write", READ_PROJECT, None) == "endpoint:GET:getProject"


# --------------------------------------------------------------------------------------------------------- counting


def test_a_burst_is_cut_at_the_sites_limit_and_other_endpoints_are_free(scripts: Scripts) -> None:
    process = Process(scripts)
    assert passed(process, EDIT, "OPS-1", of=25) == 20, "20 writes to one issue"
    assert passed(process, EDIT, None, of=40) == 30, "50 in all, of which 20 are used"
    assert process.passes(ADD_COMMENT, "OPS-2")
    assert process.passes(READ_ISSUE)
    assert process.passes(EDIT, "OPS-2", tenant="other:jira")


def test_a_refused_request_is_not_counted(scripts: Scripts, redis: Redis) -> None:
    process = Process(scripts)
    passed(process, ADD_COMMENT, "OPS-1", of=60)
    assert redis.zcard(f"{PREFIX}{TENANT}:endpoint:POST:addComment") == 20
    assert redis.zcard(f"{PREFIX}{TENANT}:issue:OPS-1:30") == 20


def test_processes_count_together(scripts: Scripts, valkey_socket: Path) -> None:
    processes = [Process(Scripts(Redis(unix_socket_path=str(valkey_socket)))) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        counts = threads.map(lambda process: passed(process, ADD_COMMENT, "OPS-1", of=10), processes)
    assert sum(counts) == 20


def test_what_left_the_window_makes_room_again(scripts: Scripts, redis: Redis) -> None:
    process = Process(scripts)
    assert passed(process, ADD_COMMENT, "OPS-1", of=21) == 20
    seconds, micros = redis.time()
    for name, span in (("issue:OPS-1:2", 2.2), ("endpoint:POST:addComment", 1.2)):
        key = f"{PREFIX}{TENANT}:{name}"
        members = [bytes(member) for member in redis.zrange(key, 0, -1)]  # type: ignore[arg-type]  # no scores asked
        redis.zadd(key, dict.fromkeys(members, (seconds - span) * 1e6 + micros))
    assert process.passes(ADD_COMMENT, "OPS-1")


def test_nothing_stays_in_redis_for_good(scripts: Scripts, redis: Redis) -> None:
    process = Process(scripts)
    process.passes(ADD_COMMENT, "OPS-1")
    process.gate.limited(TENANT, ADD_COMMENT, "OPS-1", Limited("x", "x", delay=5, trace=None))
    for _ in range(5):
        process.gate.failed(TENANT, "no answer")
    keys = list(redis.scan_iter(f"{PREFIX}*"))
    assert len(keys) >= 6
    assert all(0 < redis.ttl(key) <= 3600 for key in keys)


def test_a_short_wait_is_waited_for_and_a_longer_one_puts_the_delivery_back(scripts: Scripts) -> None:
    process = Process(scripts)
    passed(process, ADD_COMMENT, "OPS-1", of=20)
    with pytest.raises(NotSent, match=r"the site allows 20 writes to OPS-1 in 2 s") as raised:
        process.gate.admit(TENANT, ADD_COMMENT, "OPS-1", 60)
    assert 1 < raised.value.delay < 3
    assert process.slept == []
    passed(process, EDIT, None, of=60)
    with pytest.raises(NotSent, match=r"50 requests a second of editIssue"):
        process.gate.admit(TENANT, EDIT, None, 60)
    limited = Limited("jira-burst-based", "x", delay=0.4, trace=None)
    process.gate.limited(TENANT, READ_ISSUE, None, limited)
    with pytest.raises(NotSent, match=r"holds up endpoint:GET:getIssue"):
        process.gate.admit(TENANT, READ_ISSUE, None, 60)
    assert 0.2 < process.slept[0] <= 0.4
    assert sum(process.slept) <= 1.0, "however often it has to ask again"


# ------------------------------------------------------------------------------------------------------------ pauses


@pytest.mark.parametrize(
    ("reason", "held", "free"),
    [
        ("jira-per-issue-on-write", [(ADD_COMMENT, "OPS-1"), (EDIT, "OPS-1")], [(EDIT, "OPS-2"), (READ_ISSUE, None)]),
        ("jira-burst-based", [(ADD_COMMENT, "OPS-1"), (ADD_COMMENT, "OPS-2")], [(EDIT, "OPS-1"), (READ_ISSUE, None)]),
        ("jira-quota-tenant-based", [(ADD_COMMENT, "OPS-2"), (READ_ISSUE, None), (READ_PROJECT, None)], []),
    ],
)  # fmt: skip
def test_a_429_holds_up_what_its_reason_names_in_every_process(
    scripts: Scripts, valkey_socket: Path, reason: str, held: list[Any], free: list[Any]
) -> None:
    Process(scripts).gate.limited(TENANT, ADD_COMMENT, "OPS-1", Limited(reason, reason, delay=30, trace=None))
    other = Process(Scripts(Redis(unix_socket_path=str(valkey_socket))))
    assert [other.passes(*each) for each in held] == [False] * len(held)
    assert [other.passes(*each) for each in free] == [True] * len(free)
    assert other.passes(ADD_COMMENT, "OPS-1", tenant="other:jira")


def test_the_longer_of_two_pauses_holds(scripts: Scripts, redis: Redis) -> None:
    gate = Process(scripts).gate
    for delay in (30, 5):
        gate.limited(TENANT, READ_ISSUE, None, Limited("jira-burst-based", "x", delay=delay, trace=None))
    assert redis.ttl(f"{PREFIX}{TENANT}:pause:endpoint:GET:getIssue") > 20


def test_a_delivery_that_met_a_429_keeps_others_from_running_into_it(make_bench: Make, scripts: Scripts) -> None:
    bench = make_bench(SCOPE, COMMENT, scripts=scripts)
    bench.fault("429", "addComment", reason="jira-quota-tenant-based", retry_after=30)
    first = bench.send({"issue": "OPS-1"})
    assert first.state == "waiting"
    sent = len(bench.wire.requests)
    second = bench.send({"issue": "OPS-2"})
    assert (second.state, second.reason) == ("waiting", "the site limits the rate, which holds up tenant")
    assert len(bench.wire.requests) == sent, "nothing was sent for it"
    found = bench.delivery(second.delivery)
    with bench.store.read() as connection:
        assert 25 < found.not_before - bench.store.now(connection) < 32
    assert (found.failures, found.crashes) == (0, 0)


def test_a_write_that_has_to_wait_leaves_no_intent_behind(make_bench: Make, scripts: Scripts) -> None:
    bench = make_bench(SCOPE, COMMENT, scripts=scripts)
    bench.fault("429", "addComment", reason="jira-per-issue-on-write", retry_after=30)
    assert bench.send({"issue": "OPS-1"}).state == "waiting"
    held = bench.send({"issue": "10001"})
    assert held.state == "waiting", "OPS-1 by its id is OPS-1"
    assert bench.entries(held.delivery, "step:intent", "step:unsent") == []
    assert bench.send({"issue": "OPS-2"}).state == "done"
    assert bench.texts("OPS-1") == []


def test_a_rule_is_held_up_at_the_sites_limit_before_it_runs_into_it(
    make_bench: Make, scripts: Scripts, redis: Redis
) -> None:
    bench = make_bench(
        SCOPE + "[scope.limits]\nactions = 100",
        "for n in range(5):\n    context.jira.comment('OPS-1', str(n))",
        scripts=scripts,
    )
    # Others wrote to the issue a moment ago: of the hundred writes in 30 s two are left.
    seconds, micros = redis.time()
    written = {f"another-{n}": seconds * 1e6 + micros for n in range(98)}
    redis.zadd(f"{PREFIX}{bench.site.cloud_id}:jira:issue:OPS-1:30", written)
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "the site allows 100 writes to OPS-1 in 30 s")
    assert bench.texts("OPS-1") == ["0", "1"]
    assert len(bench.wire.writes) == 2
    found = bench.delivery(report.delivery)
    with bench.store.read() as connection:
        assert 10 < found.not_before - bench.store.now(connection) < 32


# ------------------------------------------------------------------------------------------------------ Redis is away


class Away:
    """A Redis that is away."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, *_: object) -> list[int | str]:
        """Say so."""
        self.asked += 1
        raise QueueUnavailable("Redis does not answer")


def test_without_redis_everything_goes_on_and_the_sites_429_is_what_holds(make_bench: Make) -> None:
    for scripts in (None, Away()):
        bench = make_bench(SCOPE, COMMENT, scripts=scripts)
        assert bench.send({"issue": "OPS-1"}).state == "done"
        bench.fault("429", "addComment", retry_after=3)
        assert bench.send({"issue": "OPS-1"}).state == "waiting"


def test_a_redis_that_goes_away_is_told_of_once_and_not_asked_all_the_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    process = Process(Scripts(Redis(unix_socket_path=str(tmp_path / "nobody"), socket_timeout=0.2)))
    assert passed(process, ADD_COMMENT, "OPS-1", of=200) == 200
    assert len([record for record in caplog.records if "shared.away" in record.getMessage()]) == 1
