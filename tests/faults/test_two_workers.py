"""Two worker processes beside each other: order keys hold, and one that was frozen finds that it was replaced."""

import os
import signal
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from bridge.store.deliveries import State

if TYPE_CHECKING:
    from tests.faults.conftest import Install
    from tests.faults.installation import Installation

pytestmark = pytest.mark.processes

ORDERED = '[order]\nkey = "at"\n'


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, install: "Install") -> "Iterator[Installation]":
    """Two worker processes, so that two deliveries of one key could meet."""
    made = install(request.param, worker_processes=2)
    made.write_rule("in_order", 'context.jira.comment(event["at"], event["text"])', ORDERED)
    made.write_rule(
        "falters",
        """
        if event["text"] == "first" and not Path(event["mended"]).exists():
            Path(event["mended"]).touch()
            raise LookupError("not yet")
        context.jira.comment(event["at"], event["text"])
        """,
        ORDERED,
    )
    made.write_rule(
        "comments_twice", 'context.jira.comment(event["at"], "first")\ncontext.jira.comment(event["at"], "second")'
    )
    made.start()
    yield made
    made.stop()


def test_twenty_deliveries_of_one_key_among_those_of_two_others_are_acted_on_in_order(
    installation: "Installation",
) -> None:
    wanted = {
        "OPS-1": [f"mail {number}" for number in range(1, 21)],
        "OPS-2": [f"calls {number}" for number in range(1, 7)],
        "OPS-3": [f"backup {number}" for number in range(1, 7)],
    }
    sent = [
        installation.send("in_order", {"at": at, "text": text})
        for texts in zip_longest(*wanted.values())
        for at, text in zip(wanted, texts, strict=True)
        if text is not None
    ]
    assert len(sent) == 32
    for delivery in sent:
        installation.wait_for_state(delivery, State.DONE, 40)
    for issue, texts in wanted.items():
        assert [text for text in installation.comments(issue) if text in texts] == texts
    workers = {entry["worker"] for delivery in sent for entry in installation.entries(delivery) if "worker" in entry}
    assert len(workers) == 2


def test_a_delivery_that_waits_after_a_failure_holds_back_those_behind_it(installation: "Installation") -> None:
    mended = str(installation.home / "mended")
    first, second = (
        installation.send("falters", {"at": "OPS-4", "text": text, "mended": mended}) for text in ("first", "second")
    )
    assert installation.wait_for_state(first, State.WAITING).failures == 1
    assert installation.delivery(second).state is State.QUEUED
    for delivery in (first, second):
        installation.wait_for_state(delivery, State.DONE)
    assert installation.comments("OPS-4") == ["first", "second"]


def test_a_worker_frozen_while_it_waits_for_an_answer_finds_its_delivery_taken_over_and_does_nothing_more(
    installation: "Installation",
) -> None:
    installation.fault("slow", "addComment", seconds=2)
    delivery = installation.send("comments_twice", {"at": "OPS-5"})
    installation.until(lambda: installation.comments("OPS-5") == ["first"], "the site has the first comment")
    assert "step:outcome" not in installation.kinds(delivery)
    holder = int(str(installation.delivery(delivery).worker).split("-")[-2])
    assert holder in installation.worker_pids()
    os.kill(holder, signal.SIGSTOP)
    try:
        installation.until(lambda: installation.delivery(delivery).attempt == 2, "the other process takes over", 20)
        installation.wait_for_state(delivery, State.DONE)
        assert installation.entries(delivery)[-1]["attempt"] == 2
        before = len(installation.entries(delivery))
    finally:
        os.kill(holder, signal.SIGCONT)
    installation.until(
        lambda: f"delivery={delivery} attempt=1" in installation.log("worker"), "the first attempt has ended too"
    )
    assert installation.comments("OPS-5") == ["first", "second"]
    # The answer that it had been waiting for adds nothing to what was found out meanwhile.
    assert len(installation.entries(delivery)) == before
    assert installation.delivery(delivery).state is State.DONE
