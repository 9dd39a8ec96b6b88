"""A site that refuses, limits or is not there: deliveries wait for it, none is burnt and none acted on twice."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from bridge.store.deliveries import State

if TYPE_CHECKING:
    from tests.faults.conftest import Install
    from tests.faults.installation import Installation

pytestmark = pytest.mark.processes

COMMENT = 'context.jira.comment(event["at"], event["text"])'

# The answer comes after the request's time is up; the request is executed after the connection broke.
SECONDS: dict[str, dict[str, float]] = {"slow": {"seconds": 20}, "late": {"seconds": 0.3}}


@pytest.fixture(scope="module")
def installation(install: "Install") -> "Installation":
    """Requests that get no answer for two seconds count as unanswered."""
    made = install("sqlite", request_timeout=2)
    made.write_rule("comments", COMMENT)
    made.write_rule("comments_too", COMMENT)
    made.write_rule("lacks_a_scope", COMMENT, account="narrow-bot")
    made.write_rule("is_short_of_time", COMMENT, '[run]\ntimeout = "2s"\n')
    made.start()
    return made


def _times(installation: "Installation", issue: str, text: str) -> int:
    return installation.comments(issue).count(text)


def test_a_rate_limit_makes_the_delivery_wait_as_long_as_the_site_says_and_is_no_failure(
    installation: "Installation",
) -> None:
    installation.fault("429", "addComment", retry_after=3)
    delivery = installation.send("comments", {"at": "OPS-1", "text": "after the limit"})
    found = installation.wait_for_state(delivery, State.WAITING)
    assert (found.failures, found.reason) == (0, "the site limits the rate (jira-burst-based)")
    found = installation.wait_for_state(delivery, State.DONE)
    assert (found.failures, found.crashes) == (0, 0)
    assert _times(installation, "OPS-1", "after the limit") == 1
    first, second = (
        datetime.fromisoformat(entry["at"])
        for entry in installation.entries(delivery)
        if entry["kind"] == "attempt:begun"
    )
    assert 3 <= (second - first).total_seconds() < 10


@pytest.mark.parametrize(
    ("kind", "told"),
    [("reset-before", "sent again"), ("reset-after", "found"), ("half", "found"), ("503", "sent again"),
     ("slow", "found"), ("late", "found")],
)  # fmt: skip
def test_an_answer_that_does_not_come_is_looked_up_before_anything_is_sent_again(
    installation: "Installation", kind: str, told: str
) -> None:
    installation.fault(kind, "addComment", **SECONDS.get(kind, {}))
    delivery = installation.send("comments", {"at": "OPS-2", "text": f"in spite of {kind}"})
    found = installation.wait_for_state(delivery, State.DONE)
    assert (found.failures, found.crashes) == (0, 0)
    assert _times(installation, "OPS-2", f"in spite of {kind}") == 1
    entries = installation.entries(delivery)
    assert ("step:resent" in [entry["kind"] for entry in entries]) == (told == "sent again")
    assert [entry.get("found") for entry in entries if entry["kind"] == "step:outcome"] == [
        True if told == "found" else None
    ]


def test_a_time_limit_that_ends_in_the_middle_of_an_answer_leads_to_one_comment(installation: "Installation") -> None:
    installation.fault("slow", "addComment", seconds=20)
    delivery = installation.send("is_short_of_time", {"at": "OPS-2", "text": "out of time"})
    found = installation.wait_for_state(delivery, State.DONE)
    # Whether the worker or egress notices first decides if it counts as a failure.
    assert found.failures <= 1
    assert _times(installation, "OPS-2", "out of time") == 1
    assert [entry.get("found") for entry in installation.entries(delivery) if entry["kind"] == "step:outcome"] == [True]


def test_a_question_of_the_policy_that_the_site_does_not_answer_is_asked_again(installation: "Installation") -> None:
    installation.fault("503", "getIssue")
    delivery = installation.send("comments", {"at": "OPS-2", "text": "after a second look"})
    assert "the site does not answer" in str(installation.wait_for_state(delivery, State.WAITING).reason)
    found = installation.wait_for_state(delivery, State.DONE)
    assert (found.failures, found.attempt) == (0, 2)
    assert _times(installation, "OPS-2", "after a second look") == 1


def test_a_rejected_token_pauses_its_account_and_after_it_is_mended_nothing_was_burnt(
    installation: "Installation",
) -> None:
    installation.fault("401", "addComment")
    delivery = installation.send("comments", {"at": "OPS-3", "text": "with a new token"})
    found = installation.wait_for_state(delivery, State.WAITING)
    assert found.reason == "the site rejects the jira credential of ops-bot (401)"
    other = installation.send("comments_too", {"at": "OPS-3", "text": "of the same account"})
    time.sleep(1)  # ten looks of the relay, in which it could have offered them
    assert installation.delivery(delivery).state is State.WAITING
    assert installation.delivery(other).state is State.QUEUED
    resumed = installation.bridge("resume", "account", "ops-bot", "--reason", "new token", "--as", "mia")
    assert resumed.returncode == 0, resumed.stderr
    for each, text in ((delivery, "with a new token"), (other, "of the same account")):
        found = installation.wait_for_state(each, State.DONE)
        assert (found.failures, found.crashes) == (0, 0)
        assert _times(installation, "OPS-3", text) == 1


def test_a_missing_oauth_scope_is_named_and_pauses_the_rule_that_needs_it_and_no_other(
    installation: "Installation",
) -> None:
    delivery = installation.send("lacks_a_scope", {"at": "OPS-4", "text": "with more scopes"})
    found = installation.wait_for_state(delivery, State.WAITING)
    assert found.reason == "the jira credential of narrow-bot lacks an OAuth scope for addComment: write:jira-work"
    assert found.failures == 0
    other = installation.send("comments", {"at": "OPS-4", "text": "by another rule"})
    installation.wait_for_state(other, State.DONE)
    again = installation.bridge("resume", "rule", "lacks_a_scope", "--reason", "tried", "--as", "mia")
    assert again.returncode == 0, again.stderr
    # Nobody gave it the scope: it waits again, paused again, and the site has seen no comment.
    installation.until(lambda: installation.delivery(delivery).attempt == 2, "a second attempt")
    assert installation.wait_for_state(delivery, State.WAITING).failures == 0
    assert _times(installation, "OPS-4", "with more scopes") == 0


def test_deliveries_wait_for_a_site_that_is_down_and_go_on_when_it_is_back(installation: "Installation") -> None:
    installation.kill("sandbox")
    delivery = installation.send("comments", {"at": "OPS-5", "text": "after the outage"})
    found = installation.wait_for_state(delivery, State.WAITING)
    assert found.reason == "the site cannot be reached (ConnectError)"
    installation.start("sandbox")
    found = installation.wait_for_state(delivery, State.DONE)
    assert (found.failures, found.crashes) == (0, 0)
    assert _times(installation, "OPS-5", "after the outage") == 1
