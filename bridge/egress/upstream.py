"""The connection to the sites: one client, no cookies, the credential added here and only here.

A redirect is an answer like any other, and never followed, but for downloads: those are followed by hand, without the
credential, to Atlassian's own hosts (``redirects``). How an answer counts is decided in ``answered``.
"""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from bridge.egress import redirects
from bridge.egress.answered import (
    OK,
    REDIRECTED,
    REFUSED,
    TOO_MANY,
    SiteAnswer,
    Unauthorized,
    astray,
    jitter,
    sort,
    trace_in,
)
from bridge.egress.exchange import Exchange, Leave
from bridge.errors import InDoubt, NotSent

__all__ = ["Arrived", "Attached", "Outgoing", "SiteAnswer", "Unauthorized", "Upstream"]


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes with a request, as the part ``file`` of a form (RFC 7578)."""

    name: str
    type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it leaves: ``base`` is origin and gateway prefix, ``path`` was matched letter by letter.

    ``body`` is sent as JSON, ``form`` as the fields of a form; with ``attached`` the form is a multipart one.
    """

    method: str
    base: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    attached: Attached | None = None

    @property
    def url(self) -> str:
        """The whole URL; query values are encoded, the path is left as it is."""
        pairs = [(name, value) for name, values in self.query.items() for value in values]
        return f"{self.base}{self.path}" + (f"?{urlencode(pairs, quote_via=quote)}" if pairs else "")

    def content(self) -> dict[str, Any]:
        """Return what httpx is given for the body."""
        if self.attached is not None:
            part = (self.attached.name, self.attached.content, self.attached.type)
            # Atlassian refuses a multipart form without this header, as a guard against forged requests of browsers.
            return {
                "data": dict(self.form or {}),
                "files": {"file": part},
                "headers": {"X-Atlassian-Token": "no-check"},
            }
        if self.form is not None:
            return {"data": dict(self.form)}
        if self.body is None:
            # Confluence wants the same header where a watcher is added or removed, which takes no body.
            return {} if self.method == "GET" else {"headers": {"X-Atlassian-Token": "no-check"}}
        text = json.dumps(self.body, ensure_ascii=True, allow_nan=False).encode()
        return {"content": text, "headers": {"Content-Type": "application/json"}}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that a site answers with, while it still comes: ``chunks`` are its bytes, to be read once."""

    chunks: Iterator[bytes]
    headers: Mapping[str, str]
    trace: str | None


Keep = Callable[[Arrived], SiteAnswer]


class Upstream:
    """Sends one request at a time over kept-alive connections; safe for threads."""

    def __init__(self, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        # Loading the certificates costs 20-35 ms of CPU, hence one context and one client for the whole process. It
        # serves all accounts, so it keeps no cookies: a session of one account would be shown for another.
        self._client = httpx.Client(
            transport=transport,
            verify=ssl.create_default_context() if transport is None else True,
            follow_redirects=False,
            trust_env=transport is None,
            limits=httpx.Limits(max_connections=128, max_keepalive_connections=64),
            headers={"User-Agent": "bridge"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._timeout = timeout

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(
        self, outgoing: Outgoing, token: str | None, seconds_left: float, leave: Leave | None = None
    ) -> SiteAnswer:
        """Send and return the site's definite answer; ``leave`` is asked right before, and raises ``NotSent`` or not.

        Raises ``NotSent`` (the site certainly did not act), ``InDoubt`` (it may have), ``Unauthorized`` (nobody was
        let in).
        """
        with _Judged(self._client, min(self._timeout, seconds_left), outgoing, leave) as exchange:
            response = exchange.first(token)
            return sort(response, exchange.read(response))

    def download(self, outgoing: Outgoing, token: str, seconds_left: float, keep: Keep) -> SiteAnswer:
        """Ask for a file, follow where the site sends for it, and return what ``keep`` makes of the file.

        Raises as ``send`` does; an answer that is no file is returned as ``send`` returns it.
        """
        with _Judged(self._client, min(self._timeout, seconds_left), outgoing) as exchange:
            response = exchange.first(token, accept="*/*")
            # The gateway's id is what Atlassian can look up; where the bytes come from is another service.
            start, trace = response.request.url, trace_in(response)
            hops = 0
            try:
                while REDIRECTED <= response.status_code < REFUSED and hops < redirects.MOST:
                    where = redirects.followed(start, response)
                    hops += 1
                    response = exchange.send("GET", where, headers={"Accept": "*/*"})
                if response.status_code == OK:
                    return keep(Arrived(exchange.chunks(response), response.headers, trace))
            except redirects.Astray as error:
                return astray(str(error), trace)
            except (NotSent, InDoubt) as error:
                if hops:
                    raise _away(where, str(error)) from error
                raise
            if not hops or response.status_code < REFUSED:
                return sort(response, exchange.read(response))
            # It was not shown the credential, so what it refuses says nothing about the account, nor about the site.
            if response.status_code < TOO_MANY:
                words = f"the host of the file, {where.host}, answered {response.status_code}"
                return SiteAnswer(response.status_code, {"errorMessages": [words]}, trace)
            raise _away(where, f"it answered {response.status_code}")


def _away(where: httpx.URL, why: str) -> NotSent:
    return NotSent(f"the host of the file, {where.host}, does not give it: {why}", delay=jitter(15))


class _Judged(Exchange):
    """An exchange whose first request goes where the judged one was to go, with the credential, and no other does."""

    def __init__(self, client: httpx.Client, seconds: float, outgoing: Outgoing, leave: Leave | None = None) -> None:
        super().__init__(client, seconds, leave)
        self._outgoing = outgoing

    def first(self, token: str | None, accept: str = "application/json") -> httpx.Response:
        """Send the request itself."""
        content = self._outgoing.content()
        headers = {**content.pop("headers", {}), "Accept": accept}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.send(self._outgoing.method, self._outgoing.url, headers=headers, **content)

    def check(self, request: httpx.Request) -> None:
        """Hold what is about to leave against what was judged: httpx may normalise, and judged must be what is sent."""
        if "authorization" not in request.headers and self._responses:
            return
        wanted = httpx.URL(self._outgoing.base)
        path = request.url.raw_path.split(b"?")[0].decode("ascii")
        origin = (request.url.scheme, request.url.host, request.url.port)
        if (
            origin != (wanted.scheme, wanted.host, wanted.port)
            or path != wanted.raw_path.decode("ascii").rstrip("/") + self._outgoing.path
        ):
            raise NotSent("the request would go to another place than the one that was judged", delay=60)
