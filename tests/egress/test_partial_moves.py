"""A board answers 207 and says of each issue whether it was moved: what was not moved is not taken for done."""

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["move-to-board"]'
MOVE = "context.jira.move_to_board('OPS-3', '1')"


def entry(status: int, *errors: str) -> dict[str, Any]:
    return {"issueId": 10003, "issueKey": "OPS-3", "status": status, **({"errors": list(errors)} if errors else {})}


def outcomes(bench: Any, delivery: str) -> list[tuple[str, int]]:
    return [(each["outcome"], each["status"]) for each in bench.entries(delivery, "step:outcome")]


def test_moved_is_done(make_bench: Make) -> None:
    bench = make_bench(SCOPE, MOVE)
    bench.wire.answer(207, {"entries": [entry(200)]}, method="POST", path="/board/1/issue")
    report = bench.send()
    assert report.state == "done", report.reason
    assert outcomes(bench, report.delivery) == [("done", 207)]


@pytest.mark.parametrize("entries", [[entry(403, "Not yours")], [entry(200), entry(403, "Not yours")]])
def test_refused_is_failed_with_the_boards_own_words(make_bench: Make, entries: list[Any]) -> None:
    bench = make_bench(SCOPE, MOVE)
    bench.wire.answer(207, {"entries": entries}, method="POST", path="/board/1/issue")
    report = bench.send()
    assert report.state == "dead"
    assert outcomes(bench, report.delivery) == [("failed", 403)]
    assert [each["why"] for each in bench.entries(report.delivery, "step:outcome")] == ["Not yours"]


def test_not_moved_for_the_time_being_is_moved_later(make_bench: Make) -> None:
    bench = make_bench(SCOPE, MOVE)
    later = entry(503, "JIRA Agile cannot execute the rank operation at this time. Please try again later.")
    bench.wire.answer(207, {"entries": [later]}, method="POST", path="/board/1/issue")
    [report] = bench.finish(bench.accept())
    assert report.state == "done", report.reason
    assert bench.site.boards["1"].issues == [bench.site.find_issue("OPS-3").id]
