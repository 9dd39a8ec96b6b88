"""Egress as a WSGI application: the protocol that workers speak, in-process or over a Unix socket.

    POST /claim   → 200 the attempt · 409 it cannot be had now
    POST /renew   → 204
    POST /call    → 200 the site's answer · 403 the scope refuses · 409 the attempt is over
    POST /log     → 204
    POST /later   → 409 the attempt is over · 400 a write was made
    POST /finish  → 200 the delivery's state
    POST /spool?delivery=…&attempt=… → 200 digest and size of the file that was sent · 413 it is too large
    POST /spool/read → 200 the bytes of a file of the delivery · 404 there is none of that digest

Plain WSGI and no framework, because in-process every call of every handler passes through here. What a worker sends is
not trusted: in the separate mode a rule's author may write it by hand.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from bridge.egress import envelope
from bridge.egress.accounts import Accounts
from bridge.egress.attempts import ENDINGS, Attempts, Held
from bridge.egress.calls import Calls
from bridge.egress.envelope import Misfit
from bridge.egress.gate import Scripts
from bridge.egress.spool import FileGone, Spool, SpoolRefused
from bridge.egress.upstream import Upstream
from bridge.errors import Stop, StoreUnavailable
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.store import Store

log = logging.getLogger(__name__)

LONGEST_LATER = 30 * 86400
_REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    413: "Content Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a JSON body, the bytes of a file, or nothing."""

    status: int
    body: dict[str, Any] | None = None
    file: bytes | None = None


class Egress:
    """The application; one for each process."""

    def __init__(
        self, settings: Settings, store: Store, registry: Registry, upstream: Upstream, scripts: Scripts | None = None
    ) -> None:
        self.accounts = Accounts(settings, store, upstream, scripts)
        self.attempts = Attempts(settings, store, registry)
        self._spool = Spool(
            settings.home, largest=settings.largest_file, total=settings.largest_spool, days=settings.spool_days
        )
        self._calls = Calls(store, self.accounts, self.attempts, self._spool, settings.settle_factor)
        self._routes: dict[str, Callable[[dict[str, Any], str], Reply]] = {
            "/claim": self._claim,
            "/renew": self._renew,
            "/call": self._call,
            "/log": self._log,
            "/later": self._later,
            "/finish": self._finish,
            "/spool/read": self._read_spooled,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reply = self._reply(environ)
        kind, content = "application/json", b"" if reply.body is None else json.dumps(reply.body).encode()
        if reply.file is not None:
            kind, content = "application/octet-stream", reply.file
        headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        start_response(f"{reply.status} {_REASONS[reply.status]}", headers)
        return [content]

    def _reply(self, environ: WSGIEnvironment) -> Reply:
        path = environ.get("PATH_INFO", "")
        route = self._routes.get(path)
        if environ["REQUEST_METHOD"] != "POST" or (route is None and path != "/spool"):
            return Reply(404, {"detail": "no such call"})
        capability = str(environ.get("HTTP_AUTHORIZATION", "")).removeprefix("Bearer ")
        try:
            return self._spooled(environ, capability) if route is None else route(envelope.read(environ), capability)
        except Misfit as error:
            return Reply(400, {"detail": str(error)})
        except Stop as stop:
            return Reply(409, {"stop": stop.state, "why": stop.why})
        except StoreUnavailable as error:
            log.warning("egress.store_unavailable: %s", error)
            return Reply(503, {"detail": "the database is away"})
        except Exception:
            log.exception("egress.failed path=%s", environ.get("PATH_INFO"))
            return Reply(500, {"detail": "egress failed; its log says why"})

    def _held(self, said: dict[str, Any], capability: str) -> Held:
        return self.attempts.held(capability, envelope.delivery(said), envelope.number(said, "attempt"))

    def _claim(self, said: dict[str, Any], _capability: str) -> Reply:
        return Reply(200, self.attempts.claim(envelope.delivery(said), envelope.text(said, "worker", 200)))

    def _renew(self, said: dict[str, Any], capability: str) -> Reply:
        self.attempts.renew(capability, envelope.delivery(said), envelope.number(said, "attempt"))
        return Reply(204)

    def _call(self, said: dict[str, Any], capability: str) -> Reply:
        held = self._held(said, capability)
        call = envelope.call(said)
        try:
            done = self._calls.call(held, call)
        except ValueError as error:
            raise Misfit(str(error)) from error
        if done.refused is not None:
            return Reply(403, {"refused": done.refused, "verb": done.verb, "target": done.target})
        return Reply(
            200,
            {
                "status": done.status,
                "body": done.body,
                "observed": done.observed,
                "recalled": done.recalled,
                "dropped": done.dropped,
            },
        )

    def _log(self, said: dict[str, Any], capability: str) -> Reply:
        held = self._held(said, capability)
        self.attempts.note(held, envelope.text(said, "text", envelope.LARGEST))
        return Reply(204)

    def _later(self, said: dict[str, Any], capability: str) -> Reply:
        held = self._held(said, capability)
        seconds = said.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_LATER:
            raise Misfit("seconds wants a number up to 30 days")
        try:
            self.attempts.later(held, float(seconds))
        except ValueError as error:
            raise Misfit(str(error)) from error

    def _finish(self, said: dict[str, Any], capability: str) -> Reply:
        held = self._held(said, capability)
        ended, error = said.get("ended"), said.get("error")
        if ended not in ENDINGS:
            raise Misfit(f"ended wants one of {', '.join(ENDINGS)}")
        why = None if error is None else str(error)[:1000]
        steps = None if said.get("steps") is None else envelope.number(said, "steps", least=0)
        state = self.attempts.finish(held, str(ended), said.get("result"), why, steps)
        return Reply(200, {"state": str(state)})

    def _spooled(self, environ: WSGIEnvironment, capability: str) -> Reply:
        said, chunks = envelope.read_file(environ)
        held = self._held(said, capability)
        try:
            kept = self._spool.put(held.delivery.id, chunks)
        except SpoolRefused as error:
            return Reply(413, {"detail": str(error)})
        return Reply(200, {"digest": kept.digest, "size": kept.size})

    def _read_spooled(self, said: dict[str, Any], capability: str) -> Reply:
        held = self._held(said, capability)
        try:
            return Reply(200, file=self._spool.read(held.delivery.id, envelope.text(said, "digest", 64)))
        except FileGone:
            return Reply(404, {"detail": "this delivery has no such file"})
