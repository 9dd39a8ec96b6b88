"""How logged work is found again: by the mark it carries."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.egress.doubt import PAGES, Absent, Doubt, Found, Unknown, Verdict, carries, unclear

MOST = 1000


def _worklog(doubt: Doubt) -> Verdict:
    """Walk all of the issue's work logs: they are sorted by when the work began, and that may be any time."""
    start = 0
    for _ in range(PAGES):
        query = {"expand": ["properties"], "maxResults": [str(MOST)], "startAt": [str(start)]}
        answer = doubt.get(doubt.path, query)
        if not answer.done or not isinstance(answer.body, dict):
            return unclear(answer, "the work logs")
        logs: list[Any] = answer.body.get("worklogs", [])
        for each in logs:
            if carries(each.get("properties"), doubt):
                return Found({name: value for name, value in each.items() if name != "properties"})
        start += len(logs)
        if not logs or start >= int(answer.body.get("total", 0)):
            return Absent()
    return Unknown("the work item has more work logs than can be looked through")


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {"worklog": _worklog}
