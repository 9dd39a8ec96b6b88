"""One request and its answer within one deadline: what httpx raises becomes "not sent" or "in doubt" here."""

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from bridge.egress.answered import Broken, Unreachable, jitter
from bridge.errors import InDoubt, NotSent

# Raises ``NotSent`` if a request must not leave any more, however far its way was prepared.
Leave = Callable[[], None]
LARGEST_ANSWER = 16 * 1024 * 1024
# A site that does not answer within this is in trouble; a rule that is in a greater hurry proves nothing about it.
FAIR_SECONDS = 10.0
# What httpx raises before a byte of the request can have reached the site.
NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    httpx.LocalProtocolError,
)
_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)


class Exchange:
    """What was sent in answer to one question, redirects included; closes every response when it ends.

    ``leave`` is asked before a connection is made and once more when the first byte is about to go over it.
    """

    def __init__(self, client: httpx.Client, seconds: float, leave: Leave | None = None) -> None:
        if seconds <= 0:
            raise NotSent("the attempt's time is up", delay=0)
        self._client = client
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._responses: list[httpx.Response] = []
        self._leave = leave

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close what is still open."""
        for response in self._responses:
            response.close()

    def send(self, method: str, url: str | httpx.URL, **content: Any) -> httpx.Response:
        """Send a request and return the beginning of its answer. Raises ``NotSent`` or ``InDoubt``."""
        try:
            request = self._client.build_request(method, url, timeout=self._left(), **content)
            self.check(request)
            if self._leave is not None:
                self._leave()
                request.extensions["trace"] = self._traced
            response = self._client.send(request, stream=True)
        except NEVER_LEFT as error:
            raise self._not_sent(error) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._in_doubt(f"no answer came ({type(error).__name__})", error) from error
        self._responses.append(response)
        return response

    def check(self, request: httpx.Request) -> None:
        """Look at a request before it leaves; raise ``NotSent`` to keep it."""

    def _traced(self, event: str, _about: Mapping[str, Any]) -> None:
        # To connect can take as long as the whole request may. The event's name: https://www.encode.io/httpcore/extensions/
        if self._leave is not None and event.endswith(".send_request_headers.started"):
            self._leave()

    def read(self, response: httpx.Response) -> bytes:
        """Return the whole body. Raises ``InDoubt`` if it breaks off, takes too long or is too large."""
        content = bytearray()
        for chunk in self.chunks(response):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise InDoubt(f"the answer has more than {LARGEST_ANSWER} bytes")
        return bytes(content)

    def chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """Give the body piece by piece. Raises ``InDoubt`` if it breaks off or takes too long."""
        try:
            for chunk in response.iter_bytes():
                yield chunk
                if time.monotonic() > self._deadline:
                    # httpx bounds the wait for each chunk only, and an attempt has one deadline for all of them.
                    raise InDoubt("the answer did not end in time")
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._in_doubt(f"the answer broke off ({type(error).__name__})", error) from error

    def _left(self) -> float:
        # A first request gets the whole time, so that a limit of 30 s reads as 30 and not as 29.999.
        return self._seconds if not self._responses else max(self._deadline - time.monotonic(), 0.001)

    def _not_sent(self, error: httpx.HTTPError) -> NotSent:
        text = f"the site cannot be reached ({type(error).__name__})"
        hurried = isinstance(error, httpx.ConnectTimeout) and self._seconds < FAIR_SECONDS
        kind = Unreachable if isinstance(error, _NO_CONNECTION) and not hurried else NotSent
        return kind(text, delay=jitter(5))

    def _in_doubt(self, text: str, error: Exception) -> InDoubt:
        hurried = isinstance(error, httpx.TimeoutException) and self._seconds < FAIR_SECONDS
        return InDoubt(text) if hurried or not isinstance(error, httpx.TransportError) else Broken(text)
