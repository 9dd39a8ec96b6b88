"""An httpx transport to a sandbox in the same process, on which cut connections look as they do on a network.

For tests and the test kit: ``httpx.Client(transport=SandboxTransport(create_app(site)), base_url="http://sandbox")``.
A fault that resets the connection becomes ReadError, half an answer RemoteProtocolError, and a wait longer than the
request's read timeout ReadTimeout, at once and without the wait.
"""

import httpx
from flask import Flask

from bridge.sandbox.faults import PATIENCE, Cut


class SandboxTransport(httpx.BaseTransport):
    """Hands requests to the application and reads the whole answer before it returns."""

    def __init__(self, app: Flask) -> None:
        self._inner = httpx.WSGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; raises what httpx raises for a connection that was cut."""
        limit = request.extensions.get("timeout", {}).get("read")
        before = PATIENCE.set(limit)
        try:
            response = self._inner.handle_request(request)
            content = response.read()
        except Cut as cut:
            raise _seen_as(cut, request) from cut
        finally:
            PATIENCE.reset(before)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)


def _seen_as(cut: Cut, request: httpx.Request) -> httpx.TransportError:
    if cut.how == "timeout":
        return httpx.ReadTimeout("the answer did not come in time", request=request)
    if cut.how == "half":
        return httpx.RemoteProtocolError("the connection ended before the whole body had come", request=request)
    return httpx.ReadError("connection reset by peer", request=request)
