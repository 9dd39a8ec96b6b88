"""Atlassian's burst limits, off unless a test or a demo turns them on.

Per tenant, operation and method: 100 a second for GET and POST, 50 for PUT and DELETE, 150 for reading one issue; per
issue 20 writes in 2 seconds and 100 in 30. Source: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_PER_SECOND = {"GET": 100, "POST": 100, "PUT": 50, "DELETE": 50}
_READ_ISSUE_PER_SECOND = 150
_PER_ISSUE = ((20, timedelta(seconds=2)), (100, timedelta(seconds=30)))
_SECOND = timedelta(seconds=1)
_NEAR = 0.2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and the headers that tell the client where it stands."""

    passes: bool
    headers: Mapping[str, str]


def refusal_headers(reason: str, retry_after: int | None, now: datetime, limit: int = 100) -> dict[str, str]:
    """The headers of a 429. ``retry_after`` in seconds; None gives only when the limit is reset."""
    reset = (now + timedelta(seconds=retry_after or 1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    headers["RateLimit-Reason"] = reason
    return headers | ({"Retry-After": str(retry_after)} if retry_after is not None else {})


@dataclass(slots=True)
class Limits:
    """Sliding windows of the requests that passed. Call it under the site's lock."""

    on: bool = False
    _windows: dict[tuple[str, ...], deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def check(self, now: datetime, method: str, operation: str, issue: str | None) -> Verdict:
        """Count one request; ``issue`` is the id of the issue it writes to, if it does."""
        if not self.on:
            return Verdict(passes=True, headers={})
        burst = _READ_ISSUE_PER_SECOND if operation == "getIssue" else _PER_SECOND.get(method, 100)
        wanted = [(("burst", method, operation), burst, _SECOND, "jira-burst-based")]
        if issue is not None and method != "GET":
            wanted += [
                (("issue", issue, str(span)), limit, span, "jira-per-issue-on-write") for limit, span in _PER_ISSUE
            ]
        for key, limit, span, reason in wanted:
            window = self._windows[key]
            while window and window[0] <= now - span:
                window.popleft()
            if len(window) >= limit:
                wait = max(1, -int(-(window[0] + span - now).total_seconds() // 1))
                return Verdict(passes=False, headers=refusal_headers(reason, wait, now, limit))
        for key, *_ in wanted:
            self._windows[key].append(now)
        left = burst - len(self._windows[wanted[0][0]])
        headers = {"X-RateLimit-Limit": str(burst), "X-RateLimit-Remaining": str(left)}
        return Verdict(
            passes=True, headers=headers | ({"X-RateLimit-NearLimit": "true"} if left < burst * _NEAR else {})
        )
