"""The answer to a write that comes to a fenced attempt while the next one looks the write up: it counts, once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Make = Callable[..., Any]
PATIENCE = 10.0  # seconds; nothing waits as long unless it is wrong
SETTLED = 1.2  # seconds; the journal keeps whole ones, so that a write settles a second longer


@pytest.mark.parametrize("moment", ["/footer-comments", "/pages/"])
def test_what_another_attempt_was_answered_meanwhile_is_neither_parked_nor_done_again(
    make_bench: Make, moment: str
) -> None:
    """The answer comes during the look-up, or before it, while the policy still asks where the page is."""
    bench = make_bench(
        '[scope.confluence]\nENG = ["read", "comment"]', 'context.confluence.comment(event["at"], "once")'
    )
    page = next(page for page in bench.site.pages.values() if page.title == "Incident reviews")
    before = len(page.comments)
    delivery = bench.accept({"at": page.id})
    executed, answered = threading.Event(), threading.Event()
    first = threading.Thread(target=bench.attempt, args=(delivery,))

    def keep_back(request: httpx.Request) -> httpx.Response:
        response: httpx.Response = bench.wire.pass_on(request)
        executed.set()
        answered.wait(PATIENCE)
        return response

    def let_it_come(request: httpx.Request) -> httpx.Response:
        answered.set()
        first.join(PATIENCE)
        response: httpx.Response = bench.wire.pass_on(request)
        return response

    bench.wire.play(keep_back, method="POST", path="/footer-comments")
    first.start()
    assert executed.wait(PATIENCE)
    time.sleep(SETTLED)
    bench.let_time_pass(delivery)
    bench.wire.play(let_it_come, method="GET", path=moment)
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert len(page.comments) == before + 1
    [outcome] = bench.entries(delivery, "step:outcome")
    assert (outcome["attempt"], outcome["late"]) == (1, True)
