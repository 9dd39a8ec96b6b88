"""Egress as a WSGI application: the protocol that workers speak, in-process or over a Unix socket.

    POST /claim   → 200 the attempt · 409 it cannot be had now
    POST /renew   → 204
    POST /call    → 200 the site's answer · 403 the scope refuses · 409 the attempt is over
    POST /log     → 204
    POST /later   → 409 the attempt is over · 400 a write was made
    POST /finish  → 200 the delivery's state

Plain WSGI and no framework, because in-process every call of every handler passes through here. What a worker sends is
not trusted: in the separate mode a rule's author may write it by hand.
"""

import json
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from bridge.egress.accounts import Accounts
from bridge.egress.attempts import ENDINGS, Attempts
from bridge.egress.calls import Call, Calls
from bridge.egress.policy import Asked
from bridge.egress.upstream import Upstream
from bridge.errors import Stop, StoreUnavailable
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.store import Store

log = logging.getLogger(__name__)

LARGEST_ENVELOPE = 8 * 1024 * 1024
LONGEST_LATER = 30 * 86400
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    413: "Content Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class Misfit(ValueError):
    """The envelope is not one; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a JSON body, or none."""

    status: int
    body: dict[str, Any] | None = None


class Egress:
    """The application; one for each process."""

    def __init__(self, settings: Settings, store: Store, registry: Registry, upstream: Upstream) -> None:
        self.accounts = Accounts(settings, store, upstream)
        self.attempts = Attempts(settings, store, registry)
        self._calls = Calls(store, self.accounts, self.attempts, settings.settle_factor)
        self._routes: dict[str, Callable[[dict[str, Any], str], Reply]] = {
            "/claim": self._claim,
            "/renew": self._renew,
            "/call": self._call,
            "/log": self._log,
            "/later": self._later,
            "/finish": self._finish,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reply = self._reply(environ)
        content = b"" if reply.body is None else json.dumps(reply.body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        start_response(f"{reply.status} {_REASONS[reply.status]}", headers)
        return [content]

    def _reply(self, environ: WSGIEnvironment) -> Reply:
        route = self._routes.get(environ.get("PATH_INFO", ""))
        if route is None or environ["REQUEST_METHOD"] != "POST":
            return Reply(404, {"detail": "no such call"})
        try:
            envelope = _envelope(environ)
            capability = str(environ.get("HTTP_AUTHORIZATION", "")).removeprefix("Bearer ")
            return route(envelope, capability)
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

    def _claim(self, said: dict[str, Any], _capability: str) -> Reply:
        return Reply(200, self.attempts.claim(_delivery(said), _text(said, "worker", 200)))

    def _renew(self, said: dict[str, Any], capability: str) -> Reply:
        self.attempts.renew(capability, _delivery(said), _number(said, "attempt"))
        return Reply(204)

    def _call(self, said: dict[str, Any], capability: str) -> Reply:
        held = self.attempts.held(capability, _delivery(said), _number(said, "attempt"))
        call = _read_call(said)
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
        held = self.attempts.held(capability, _delivery(said), _number(said, "attempt"))
        self.attempts.note(held, _text(said, "text", LARGEST_ENVELOPE))
        return Reply(204)

    def _later(self, said: dict[str, Any], capability: str) -> Reply:
        held = self.attempts.held(capability, _delivery(said), _number(said, "attempt"))
        seconds = said.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_LATER:
            raise Misfit("seconds wants a number up to 30 days")
        try:
            self.attempts.later(held, float(seconds))
        except ValueError as error:
            raise Misfit(str(error)) from error

    def _finish(self, said: dict[str, Any], capability: str) -> Reply:
        held = self.attempts.held(capability, _delivery(said), _number(said, "attempt"))
        ended, error = said.get("ended"), said.get("error")
        if ended not in ENDINGS:
            raise Misfit(f"ended wants one of {', '.join(ENDINGS)}")
        why = None if error is None else str(error)[:1000]
        steps = None if said.get("steps") is None else _number(said, "steps", least=0)
        state = self.attempts.finish(held, str(ended), said.get("result"), why, steps)
        return Reply(200, {"state": str(state)})


def _envelope(environ: WSGIEnvironment) -> dict[str, Any]:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise Misfit("the length is no number") from error
    if not 0 < length <= LARGEST_ENVELOPE:
        raise Misfit(f"an envelope has 1 to {LARGEST_ENVELOPE} bytes")
    try:
        said = json.loads(environ["wsgi.input"].read(length), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Misfit("the envelope is not JSON") from error
    if not isinstance(said, dict):
        raise Misfit("the envelope is no object")
    return said


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """Refuse what is too large for a float: it would become infinite, which no JSON can say again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _delivery(said: dict[str, Any]) -> str:
    value = said.get("delivery")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Misfit("delivery wants the id of one")
    return value


def _number(said: dict[str, Any], name: str, *, least: int = 1) -> int:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise Misfit(f"{name} wants a number from {least}")
    return value


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    value = said.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise Misfit(f"{name} wants text of at most {longest} characters")
    return value


def _is_text(value: object) -> bool:
    """Tell whether a value is text that can be sent: half a surrogate pair cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _read_call(said: dict[str, Any]) -> Call:
    label = None if said.get("label") is None else _text(said, "label", 200)
    query = said.get("query") or {}
    fits = isinstance(query, dict) and all(
        isinstance(values, list) and _is_text(name) and all(map(_is_text, values)) for name, values in query.items()
    )
    if not fits:
        raise Misfit("query wants an object of lists of text")
    asked = Asked(
        _text(said, "product", 20), _text(said, "method", 10), _text(said, "path", 4000), query, said.get("body")
    )
    return Call(_number(said, "step"), label, asked)
