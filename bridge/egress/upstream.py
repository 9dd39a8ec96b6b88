"""The connection to the sites: one client, no redirects, the credential added here and only here.

Every way in which a request can end is sorted here by what may have happened at the site, after
https://developer.atlassian.com/cloud/jira/platform/rate-limiting/ and the OpenAPI files.
"""

import json
import logging
import random
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from bridge.errors import InDoubt, NotSent

log = logging.getLogger(__name__)

LARGEST_ANSWER = 16 * 1024 * 1024
TRACE_HEADERS = ("atl-traceid", "x-arequestid", "atl-request-id")
OK, REDIRECTED, UNAUTHORIZED, TIMED_OUT, TOO_MANY, BROKEN = 200, 300, 401, 408, 429, 500
LONGEST_DELAY = 3600.0
# What httpx raises before a byte of the request can have reached the site.
NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    httpx.LocalProtocolError,
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it leaves: ``base`` is origin and gateway prefix, ``path`` was matched letter by letter."""

    method: str
    base: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any = None

    @property
    def url(self) -> str:
        """The whole URL; query values are encoded, the path is left as it is."""
        pairs = [(name, value) for name, values in self.query.items() for value in values]
        return f"{self.base}{self.path}" + (f"?{urlencode(pairs, quote_via=quote)}" if pairs else "")


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What the site said: the body as JSON, or as text if it is none."""

    status: int
    body: Any
    trace: str | None = None
    category: str | None = None

    @property
    def done(self) -> bool:
        """Whether the site did it."""
        return OK <= self.status < REDIRECTED


class Unauthorized(Exception):
    """The site answered 401; ``scope`` tells whether for a missing OAuth scope."""

    def __init__(self, *, scope: bool) -> None:
        self.scope = scope
        super().__init__("401")


class Upstream:
    """Sends one request at a time over kept-alive connections; safe for threads."""

    def __init__(self, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        # Loading the certificates costs 20-35 ms of CPU, hence one context and one client for the whole process.
        self._client = httpx.Client(
            transport=transport,
            verify=ssl.create_default_context() if transport is None else True,
            follow_redirects=False,
            trust_env=transport is None,
            limits=httpx.Limits(max_connections=128, max_keepalive_connections=64),
            headers={"Accept": "application/json", "User-Agent": "bridge"},
        )
        self._timeout = timeout

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, outgoing: Outgoing, token: str | None, seconds_left: float) -> SiteAnswer:
        """Send and return the site's definite answer.

        Raises ``NotSent`` (the site certainly did not act), ``InDoubt`` (it may have), ``Unauthorized`` (401).
        """
        timeout = min(self._timeout, seconds_left)
        if timeout <= 0:
            raise NotSent("the attempt's time is up", delay=0)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None
        if outgoing.body is not None:
            content = json.dumps(outgoing.body, ensure_ascii=True, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        try:
            request = self._client.build_request(
                outgoing.method, outgoing.url, content=content, headers=headers, timeout=timeout
            )
            _same_place(outgoing, request)
            response = self._client.send(request, stream=True)
        except NEVER_LEFT as error:
            raise NotSent(f"the site cannot be reached ({type(error).__name__})", delay=_jitter(5)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise InDoubt(f"no answer came ({type(error).__name__})") from error
        try:
            return _sorted(response, _read(response, time.monotonic() + timeout))
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise InDoubt(f"the answer broke off ({type(error).__name__})") from error
        finally:
            response.close()


def _same_place(outgoing: Outgoing, request: httpx.Request) -> None:
    """Hold what is about to leave against what was judged: httpx may normalise, and judged must be what is sent."""
    wanted = httpx.URL(outgoing.base)
    path = request.url.raw_path.split(b"?")[0].decode("ascii")
    origin = (request.url.scheme, request.url.host, request.url.port)
    if (
        origin != (wanted.scheme, wanted.host, wanted.port)
        or path != wanted.raw_path.decode("ascii").rstrip("/") + outgoing.path
    ):
        raise NotSent("the request would go to another place than the one that was judged", delay=60)


def _read(response: httpx.Response, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise InDoubt(f"the answer has more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            # httpx bounds the wait for each chunk only, and an attempt has one deadline for all of them.
            raise InDoubt("the answer did not end in time")
    return bytes(content)


def _sorted(response: httpx.Response, content: bytes) -> SiteAnswer:
    status = response.status_code
    category = response.headers.get("x-failure-category")
    if status == UNAUTHORIZED:
        raise Unauthorized(scope=category == "FAILURE_CLIENT_SCOPE_CHECK" or b"scope does not match" in content)
    if status == TOO_MANY:
        reason = response.headers.get("ratelimit-reason") or category or "no reason given"
        raise NotSent(f"the site limits the rate ({reason})", delay=_delay(response.headers))
    if status >= BROKEN or status == TIMED_OUT:
        raise InDoubt(f"the site answered {status}")
    trace = next((response.headers[name] for name in TRACE_HEADERS if name in response.headers), None)
    if REDIRECTED <= status < 400:  # noqa: PLR2004 - RFC 9110 section 15.4
        words = f"the site redirects elsewhere ({status}), which egress does not follow"
        return SiteAnswer(421, {"errorMessages": [words]}, trace, category)
    return SiteAnswer(status, _decoded(content, done=status < REDIRECTED), trace, category)


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


def _delay(headers: Mapping[str, str]) -> float:
    """Read when to come back: Retry-After is the minimum, X-RateLimit-Reset a time of day, neither may be missing."""
    seconds = headers.get("retry-after", "")
    if seconds.strip().isdigit():
        return min(float(seconds), LONGEST_DELAY) + _jitter(0.5)
    reset = headers.get("x-ratelimit-reset", "")
    try:
        until = datetime.fromisoformat(reset)
    except ValueError:
        return _jitter(10)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 1.0), LONGEST_DELAY) + _jitter(0.5)


def _jitter(seconds: float) -> float:
    """Spread out those who wait for the same thing (Atlassian's recipe: 0.7 to 1.3)."""
    return seconds * random.uniform(0.7, 1.3)  # noqa: S311 - no secret
