"""Atlassian's rate limits, in their own dimensions: which of them a request counts for, and what a 429 holds up.

For each tenant and endpoint so many requests a second, whoever makes them; for each issue so many writes; and quotas of
the whole tenant. Source: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/. The names that are given
here are those under which ``gate`` keeps count.
"""

from dataclasses import dataclass

from bridge.catalogue import Operation

PER_SECOND = {"GET": 100, "POST": 100, "PUT": 50, "DELETE": 50}
PER_SECOND_OF = {"getIssue": 150}
WRITES_OF_ISSUE = ((20, 2.0), (100, 30.0))
# Requests that left evenly may arrive closer together, so each span is counted a little longer than the site does.
SLACK = 0.1
_WHOLE_TENANT = ("quota", "global", "tenant", "cost", "concurrent", "client_rate_limited")


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``limit`` requests in ``span`` seconds; ``text`` says so to people."""

    name: str
    limit: int
    span: float
    text: str


@dataclass(frozen=True, slots=True)
class Weight:
    """What one request counts for: its windows, and the names of the pauses that hold it up."""

    windows: tuple[Window, ...]
    pauses: tuple[str, ...]


def weigh(operation: Operation, issue: str | None) -> Weight:
    """Tell what a request counts for; ``issue`` is the key of the issue that it writes to."""
    endpoint = _endpoint(operation)
    limit = PER_SECOND_OF.get(operation.operation_id, PER_SECOND.get(operation.method, 100))
    windows = [Window(endpoint, limit, 1.0 + SLACK, f"{limit} requests a second of {operation.operation_id}")]
    pauses = ["tenant", endpoint]
    if issue is not None and operation.method != "GET":
        pauses.append(_issue(issue))
        windows += [
            Window(f"{_issue(issue)}:{span:.0f}", most, span + SLACK, f"{most} writes to {issue} in {span:.0f} s")
            for most, span in WRITES_OF_ISSUE
        ]
    return Weight(tuple(windows), tuple(pauses))


def held_up(reason: str, operation: Operation, issue: str | None) -> str:
    """Return the name of the pause that a 429 asks for.

    Reasons are matched loosely, because live sites give others than the documented ones (``conf-global-based``,
    ``jira-cost-based``, ``jira-max-concurrent-threads-…``); one that says nothing is about the endpoint.
    """
    said = reason.casefold()
    if "per-issue" in said and issue is not None:
        return _issue(issue)
    return "tenant" if any(word in said for word in _WHOLE_TENANT) else _endpoint(operation)


def _endpoint(operation: Operation) -> str:
    return f"endpoint:{operation.method}:{operation.operation_id}"


def _issue(issue: str) -> str:
    return f"issue:{issue}"
