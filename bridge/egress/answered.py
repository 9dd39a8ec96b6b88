"""What a site answered, sorted by what it means for the request: done, refused for good, not sent, or in doubt.

The signatures are Atlassian's: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/ for 429, the OpenAPI
files for the rest, and for 401 what the gateway in front of the products is seen to say.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from bridge.errors import InDoubt, NotSent

TRACE_HEADERS = ("atl-traceid", "x-arequestid", "atl-request-id")
OK, MULTIPLE, REDIRECTED, REFUSED, UNAUTHORIZED, FORBIDDEN = 200, 207, 300, 400, 401, 403
TIMED_OUT, MISDIRECTED, TOO_MANY, BROKEN = 408, 421, 429, 500
LONGEST_DELAY = 3600.0
# What a site with an IP allowlist says to others: https://confluence.atlassian.com/pages/viewpage.action?pageId=1384133808
_NOT_ALLOWED = b"IP address has been rejected because it is not on the allowed list"


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What the site said: the body as JSON, or as text if it is none.

    ``credential`` is ``previous`` if the credential that is being replaced had to be used; ``elsewhere`` is set if the
    site answered with a redirect, which says nothing about whether a write was made.
    """

    status: int
    body: Any
    trace: str | None = None
    category: str | None = None
    credential: str | None = None
    elsewhere: bool = False

    @property
    def done(self) -> bool:
        """Whether the site did it."""
        return OK <= self.status < REDIRECTED


class Unauthorized(Exception):
    """The site let nobody in, so it certainly did nothing: 401, or 403 from an IP allowlist.

    ``why`` is ``credential`` (unknown, ended or revoked), ``scope`` (an OAuth scope is missing) or ``address``.
    """

    def __init__(self, why: str, trace: str | None = None) -> None:
        self.why = why
        self.trace = trace
        super().__init__("403" if why == "address" else "401")


class Limited(NotSent):
    """The site limits the rate (429); ``reason`` is its own word for which of its limits that is, or empty."""

    def __init__(self, reason: str, shown: str, *, delay: float, trace: str | None) -> None:
        self.reason = reason
        self.trace = trace
        super().__init__(f"the site limits the rate ({shown})", delay=delay)


class Unreachable(NotSent):
    """No connection came about: the site is not there."""


class Broken(InDoubt):
    """The site did not answer as it should (5xx, a connection that broke off, no answer in a fair time).

    ``delay`` is when it said to come back, in seconds.
    """

    def __init__(self, text: str, *, delay: float | None = None, trace: str | None = None) -> None:
        self.delay = delay
        self.trace = trace
        super().__init__(text)


def trace_of(error: BaseException | None) -> str | None:
    """Return the trace id that came with what went wrong, wherever in its causes that is."""
    while error is not None:
        trace = getattr(error, "trace", None)
        if isinstance(trace, str):
            return trace
        error = error.__cause__
    return None


def trace_in(response: httpx.Response) -> str | None:
    """Return the id under which Atlassian can look up the request."""
    return next((response.headers[name] for name in TRACE_HEADERS if name in response.headers), None)


def sort(response: httpx.Response, content: bytes) -> SiteAnswer:
    """Return a definite answer; raise ``Unauthorized``, ``Limited``, ``Broken`` or ``InDoubt`` for anything else."""
    status, headers = response.status_code, response.headers
    category = headers.get("x-failure-category")
    trace = trace_in(response)
    if status == UNAUTHORIZED:
        scope = category == "FAILURE_CLIENT_SCOPE_CHECK" or b"scope does not match" in content
        raise Unauthorized("scope" if scope else "credential", trace)
    if status == FORBIDDEN and _NOT_ALLOWED in content:
        raise Unauthorized("address", trace)
    if status == TOO_MANY:
        reason = headers.get("ratelimit-reason", "")
        raise Limited(reason, reason or category or "no reason given", delay=_delay(headers), trace=trace)
    if status >= BROKEN or status == TIMED_OUT:
        raise Broken(f"the site answered {status}", delay=_retry_after(headers), trace=trace)
    if REDIRECTED <= status < REFUSED:
        return astray(f"the site redirects elsewhere ({status}), which egress does not follow", trace)
    answer = SiteAnswer(status, _decoded(content, done=status < REDIRECTED), trace, category)
    return answer if status != MULTIPLE else _in_parts(answer)


def _in_parts(answer: SiteAnswer) -> SiteAnswer:
    """Return what a board says of each issue that was to be moved (207): the first that was not gives the status.

    Where there are several, the words name those that were not moved and those that were.

    https://developer.atlassian.com/cloud/jira/software/rest/api-group-board/#api-rest-agile-1-0-board-boardid-issue-post
    """
    entries = answer.body.get("entries") if isinstance(answer.body, dict) else None
    parts = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    failed = [each for each in parts if isinstance(each.get("status"), int) and each["status"] >= REFUSED]
    if not failed:
        return answer
    status, names = failed[0]["status"], [str(each.get("issueKey") or each.get("issueId")) for each in failed]
    every = (str(each.get("issueKey") or each.get("issueId")) for each in parts)
    made = [name for name in dict.fromkeys(every) if name not in names]
    said = [", ".join(str(word) for word in each.get("errors") or []) for each in failed]
    if made or len(set(names)) > 1:
        said = [f"{name}: {words or each['status']}" for name, words, each in zip(names, said, failed, strict=True)]
        said += [f"done for {', '.join(made)}"] if made else []
    if status >= BROKEN:
        raise Broken(f"the site answered {status} for {names[0]}: {'; '.join(said)}", trace=answer.trace)
    return SiteAnswer(status, {"errorMessages": said}, answer.trace, answer.category)


def astray(words: str, trace: str | None = None) -> SiteAnswer:
    """Return the answer to a request that was sent somewhere else (RFC 9110 section 15.5.20)."""
    return SiteAnswer(MISDIRECTED, {"errorMessages": [words]}, trace, elsewhere=True)


def _decoded(content: bytes, *, done: bool) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        if done:
            # Every operation answers in JSON or nothing: this is somebody else's page, and proves no effect.
            raise InDoubt("the answer is no JSON") from error
        return content.decode("utf-8", "replace")[:4000]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    seconds = headers.get("retry-after", "").strip()
    # The other form, a date, is not what Atlassian sends (RFC 9110 section 10.2.3 knows both).
    return min(float(seconds), LONGEST_DELAY) if seconds.isascii() and seconds.isdigit() else None


def _delay(headers: Mapping[str, str]) -> float:
    """Read when to come back: Retry-After is the minimum, X-RateLimit-Reset a time of day, neither may be missing."""
    seconds = _retry_after(headers)
    if seconds is not None:
        return seconds + jitter(0.5)
    reset = headers.get("x-ratelimit-reset", "")
    try:
        until = datetime.fromisoformat(reset)
    except ValueError:
        return jitter(10)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 1.0), LONGEST_DELAY) + jitter(0.5)


def jitter(seconds: float) -> float:
    """Spread out those who wait for the same thing (Atlassian's recipe: 0.7 to 1.3)."""
    return seconds * random.uniform(0.7, 1.3)  # noqa: S311 - no secret
