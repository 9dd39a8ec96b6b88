"""Two credentials while one replaces the other: the one before is used as long as the site rejects the current one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import seed
from bridge.sandbox.clients import Client
from bridge.settings import Credential, Reference

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n'
COMMENT = "context.jira.comment('OPS-1', 'x')"
YESTERDAY = (datetime.now(UTC) - timedelta(days=2)).date()


@pytest.fixture
def rotating(make_bench: Make, tmp_path: Path) -> Callable[..., Any]:
    """Make a bench with two tokens, ``new`` and ``old``; ``alive`` are those that the site knows."""

    def make(*alive: str, current: dict[str, Any] | None = None, previous: dict[str, Any] | None = None) -> Any:
        known = make_bench(SCOPE, COMMENT).settings.accounts["ops-bot"]
        held = {}
        for name in ("new", "old"):
            (tmp_path / name).write_text(f"token-{name}")
            held[name] = Credential(Reference(f"file:{tmp_path / name}"), known.credentials["jira"].scopes, None)
        before = replace(held["old"], **(previous or {}))
        own = replace(held["new"], previous=before, **(current or {}))
        account = replace(known, credentials={**known.credentials, "jira": own})
        bench = make_bench(SCOPE, COMMENT, accounts={"ops-bot": account})
        for name in alive:
            bench.site.add_token(f"token-{name}", seed.token("jira"))
        return bench

    return make


def shown(bench: Any) -> list[str]:
    """Return the tokens that requests carried, in order, without repetitions in a row."""
    found: list[str] = []
    for sent in bench.wire.requests:
        text = sent.headers.get("authorization", "").removeprefix("Bearer ")
        if text and found[-1:] != [text]:
            found.append(text)
    return found


def used(bench: Any, delivery: str) -> list[str | None]:
    """Return what the outcomes in the journal say of the credential."""
    return [entry.get("credential") for entry in bench.entries(delivery, "step:outcome")]


def test_while_the_site_takes_the_current_credential_the_one_before_is_not_shown(rotating: Make) -> None:
    bench = rotating("new", "old")
    report = bench.send()
    assert report.state == "done"
    assert shown(bench) == ["token-new"]
    assert used(bench, report.delivery) == [None]


def test_a_current_credential_that_the_site_rejects_gives_way_and_the_log_says_so(rotating: Make) -> None:
    bench = rotating("old")
    report = bench.send()
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]
    assert shown(bench) == ["token-new", "token-old"], "the rejected one is not shown with every request"
    assert used(bench, report.delivery) == ["previous"]


def test_the_credential_before_that_dies_gives_way_to_the_current_one(rotating: Make) -> None:
    bench = rotating("old")
    assert bench.send().state == "done"
    bench.site.add_token("token-new", seed.token("jira"))
    del bench.site.tokens["token-old"]
    report = bench.send()
    assert report.state == "done", report.reason
    assert used(bench, report.delivery) == [None]


def test_when_both_are_dead_the_account_is_paused(rotating: Make) -> None:
    bench = rotating()
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "the site rejects the jira credential of ops-bot (401)")
    assert shown(bench) == ["token-new", "token-old"]
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


@pytest.mark.parametrize(
    "current", [{"expires": YESTERDAY}, {"secret": Reference("file:/no/such/file")}, {"secret": Reference("env:NONE")}]
)
def test_a_current_credential_that_cannot_be_used_gives_way_unseen(rotating: Make, current: dict[str, Any]) -> None:
    bench = rotating("old", "new", current=current)
    report = bench.send()
    assert report.state == "done"
    assert shown(bench) == ["token-old"]
    assert used(bench, report.delivery) == ["previous"]


def test_a_credential_before_that_ended_is_not_tried(rotating: Make) -> None:
    bench = rotating("old", previous={"expires": YESTERDAY})
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "the site rejects the jira credential of ops-bot (401)")
    assert shown(bench) == ["token-new"]


def test_a_missing_oauth_scope_is_not_tried_with_the_other_credential(rotating: Make) -> None:
    bench = rotating("new", "old")
    bench.fault("401", "getIssue", scope=True)
    assert "lacks an OAuth scope" in bench.send().reason
    assert shown(bench) == ["token-new"]


def test_a_token_gives_way_to_an_oauth_client_just_the_same(rotating: Make) -> None:
    bench = rotating(previous={"client_id": "client-1"})
    bench.site.clients["client-1"] = Client("token-old", seed.token("jira"))
    report = bench.send()
    assert report.state == "done", report.reason
    assert used(bench, report.delivery) == ["previous"]


def test_doctor_can_tell_which_of_the_two_work(rotating: Make) -> None:
    bench = rotating("old")
    tried = bench.egress.accounts.tried("ops-bot", "jira", 5)
    assert [(one.which, one.kind, one.works) for one in tried] == [
        ("current", "token", False),
        ("previous", "token", True),
    ]
    assert tried[0].text == "the site rejects the jira credential of ops-bot (401)"
    bench.site.add_token("token-new", seed.token("jira"))
    assert [one.works for one in bench.egress.accounts.tried("ops-bot", "jira", 5)] == [True, True]
    bench.wire.answer(503, {}, path="/myself")
    assert [one.works for one in bench.egress.accounts.tried("ops-bot", "jira", 5)] == [None, True]
    assert "token-" not in repr(tried)
