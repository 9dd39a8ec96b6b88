"""The worker's side of egress's protocol: JSON both ways over the httpx client it is given.

A definite answer comes back; everything else ends the attempt. An egress that is lost, slow or broken is never shown
to a handler as an HTTP error of a site: the handler could take it for one and go on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import httpx

from bridge.errors import ActionRefused, Fenced, HandlerFailed, Stop
from bridge.rule.event import Event
from bridge.rule.request import Answer, Request

OK, NO_CONTENT, BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE = 200, 204, 400, 403, 404, 409, 413


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker is given with a delivery: the event, its number of attempt and the capability to act for it.

    ``timeout`` and ``lease`` are seconds. ``capability`` never appears in a ``repr``.
    """

    delivery: str
    attempt: int
    capability: str
    rule: str
    digest: str
    isolation: Literal["thread", "process"]
    timeout: float
    lease: float
    mode: Literal["act", "observe"]
    event: Event

    def __repr__(self) -> str:
        """Say which claim it is, and nothing that opens a door."""
        return f"<Claim {self.delivery} attempt {self.attempt} of {self.rule}>"

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Claim":
        """Read egress's answer to ``POST /claim``."""
        plain = ("delivery", "attempt", "capability", "rule", "digest", "isolation", "timeout", "lease", "mode")
        return cls(**{name: data[name] for name in plain}, event=Event.read(data["event"]))


class Door:
    """Egress, as one attempt reaches it. Safe to use from several threads, as far as the httpx client is."""

    def __init__(self, client: httpx.Client, claim: Claim) -> None:
        self._client = client
        self._claim = claim

    @staticmethod
    def claim(client: httpx.Client, delivery: str, worker: str) -> Claim:
        """Take a delivery for this worker; raise ``Stop`` or ``Fenced`` when it is not to be had now."""
        response = _post(client, "/claim", {"delivery": delivery, "worker": worker}, {})
        return Claim.read(_body(_expect(response, OK)))

    def renew(self) -> None:
        """Renew the lease; raise ``Fenced`` when another attempt took over."""
        _expect(self._post("/renew", {}), NO_CONTENT)

    def call(self, step: int, request: Request) -> Answer:
        """Have a request sent as the step of that number; the answer may be one of the site's own 4xx.

        Raises ``ActionRefused`` when the scope forbids it, ``HandlerFailed`` when egress cannot make sense of it, and
        ``TypeError`` or ``ValueError``, before anything is sent, for a body that JSON cannot hold.
        """
        envelope = {
            "step": step,
            "label": request.label,
            "product": request.product,
            "method": request.method,
            "path": request.path,
            "query": {name: list(values) for name, values in request.query.items()},
            "body": request.body,
        }
        if request.file is not None:
            envelope["file"] = {name: request.file[name] for name in ("digest", "name", "type")}
        response = self._post("/call", envelope)
        if response.status_code == FORBIDDEN:
            said = _body(response)
            raise ActionRefused(said.get("verb") or request.verb, said.get("target") or request.target, said["refused"])
        if response.status_code == BAD_REQUEST:
            raise HandlerFailed(self._claim.rule, f"egress cannot take this call: {_detail(response)}")
        said = _body(_expect(response, OK))
        kept = {name: said[name] for name in ("observed", "recalled", "dropped") if said.get(name) is not None}
        return Answer(int(said["status"]), said.get("body"), **kept)

    def keep(self, content: bytes) -> tuple[str, int]:
        """Have egress keep a file for this delivery; return its digest and size.

        Raises ``HandlerFailed`` when it is too large or there is no room for it.
        """
        who = {"delivery": self._claim.delivery, "attempt": str(self._claim.attempt)}
        headers = {"Authorization": f"Bearer {self._claim.capability}", "Content-Type": "application/octet-stream"}
        response = _send(self._client, "/spool", content, headers, who)
        if response.status_code in {BAD_REQUEST, TOO_LARGE}:
            raise HandlerFailed(self._claim.rule, _detail(response))
        said = _body(_expect(response, OK))
        return str(said["digest"]), int(said["size"])

    def kept(self, digest: str) -> bytes:
        """Return the bytes of a file of this delivery. Raises ``HandlerFailed`` when egress has none of that digest."""
        response = self._post("/spool/read", {"digest": digest})
        if response.status_code in {BAD_REQUEST, NOT_FOUND}:
            raise HandlerFailed(self._claim.rule, _detail(response))
        return _expect(response, OK).content

    def log(self, text: str) -> None:
        """Put a line on the delivery's timeline."""
        _expect(self._post("/log", {"text": text}), NO_CONTENT)

    def later(self, seconds: float) -> NoReturn:
        """End the attempt, to begin afresh in ``seconds``: raises ``Stop``; ``HandlerFailed`` after the first write."""
        response = self._post("/later", {"seconds": seconds})
        if response.status_code == BAD_REQUEST:
            raise HandlerFailed(self._claim.rule, _detail(response))
        raise _over(response) or Stop("lost", f"egress answered {response.status_code} where the attempt was to end")

    def finish(
        self,
        ended: Literal["returned", "raised", "failed", "timed_out", "unfit", "handed_back"],
        *,
        result: Any = None,
        error: str | None = None,
        steps: int | None = None,
    ) -> str:
        """Report how the attempt ended, after how many steps, and return the state the delivery is in now."""
        counted = {} if steps is None else {"steps": steps}
        response = self._post("/finish", {"ended": ended, "result": result, "error": error, **counted})
        return str(_body(_expect(response, OK))["state"])

    def _post(self, path: str, said: Mapping[str, Any]) -> httpx.Response:
        claim = self._claim
        envelope = {"delivery": claim.delivery, "attempt": claim.attempt, **said}
        return _post(self._client, path, envelope, {"Authorization": f"Bearer {claim.capability}"})


def _post(client: httpx.Client, path: str, said: Mapping[str, Any], headers: Mapping[str, str]) -> httpx.Response:
    # ASCII with escapes, so that half a surrogate pair in a payload is carried as it came instead of failing here.
    content = json.dumps(said, allow_nan=False).encode("ascii")
    return _send(client, path, content, {**headers, "Content-Type": "application/json"}, {})


def _send(
    client: httpx.Client, path: str, content: bytes, headers: Mapping[str, str], query: Mapping[str, str]
) -> httpx.Response:
    try:
        return client.post(path, params=dict(query), content=content, headers=dict(headers))
    except Exception as error:
        # Whatever it is, nobody knows whether egress acted. In-process, egress's own exceptions arrive here as well.
        raise Stop("lost", f"egress cannot be reached ({type(error).__name__})") from error


def _expect(response: httpx.Response, status: int) -> httpx.Response:
    """Return the response if it has the expected status; raise the ``Stop`` that it means otherwise."""
    if response.status_code != status:
        raise _over(response) or Stop("lost", f"egress answered {response.status_code} where {status} was due")
    return response


def _over(response: httpx.Response) -> Stop | None:
    if response.status_code != CONFLICT:
        return None
    said = _body(response)
    state, why = str(said["stop"]), str(said["why"])
    return Fenced(why) if state == "fenced" else Stop(state, why)


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Stop("lost", f"egress answered {response.status_code} with a body that is no JSON object")
    return _Said(said)


class _Said(dict[str, Any]):
    """What egress said; a field that should be there and is not means that it is not egress that answers."""

    def __missing__(self, name: str) -> Any:
        raise Stop("lost", f"egress's answer has no {name}")


def _detail(response: httpx.Response) -> str:
    return str(_body(response).get("detail") or "no explanation")
