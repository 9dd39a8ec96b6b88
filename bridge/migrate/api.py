"""Atlassian's rule management API, with a person's token: automations read, put back, switched on and off.

Service accounts and OAuth apps cannot use it; it takes the classic API token of a global administrator with HTTP Basic
(https://developer.atlassian.com/cloud/automation/rest/intro/). The token lives as long as the object and is shown
nowhere. Every answer of a rule is secret: hidden headers come in clear.
"""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import parse_qs

import httpx

from bridge.errors import BridgeError

PAGE = 100
TRIES = 5
LONGEST_WAIT = 60.0  # seconds; what Retry-After says beyond this is not waited for
_READ_ONLY = ("uuid", "created", "updated")
_WHY = {
    401: "the token is not accepted: it must be a classic API token, for scoped ones are refused here",
    403: "the account may not manage automations: it must be a global administrator",
    404: "there is no such automation",
}


class ApiRefused(BridgeError):
    """The site did not do what it was asked; ``status`` is its answer's, 0 where there was none."""

    def __init__(self, text: str, status: int = 0) -> None:
        self.status = status
        super().__init__(text)


class Management:
    """The automations of one product of one site, as one person may manage them; a context manager."""

    def __init__(
        self,
        gateway: str,
        site: str,
        cloud_id: str,
        email: str,
        token: str,
        *,
        product: str = "jira",
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        basic = base64.b64encode(f"{email}:{token}".encode()).decode("ascii")
        headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        self._client = httpx.Client(headers=headers, transport=transport, timeout=30.0)
        self._base = f"{gateway}/automation/public/{product}/{cloud_id}/rest/v1"
        self._site = site
        self._sleep = sleep

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the token with the connections."""
        self._client.close()

    def summaries(self) -> Iterator[dict[str, Any]]:
        """Give the summaries of all automations, page by page."""
        cursor: str | None = None
        while True:
            query = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            page = self._asked("GET", f"{self._base}/rule/summary", query=query)
            yield from page.get("data") or ()
            # The links are query strings: "?cursor=…&limit=…".
            following = parse_qs(str((page.get("links") or {}).get("next") or "").partition("?")[2])
            if not following.get("cursor"):
                return
            cursor = following["cursor"][0]

    def rule(self, uuid: str) -> dict[str, Any]:
        """Return one automation with its connections, hidden headers in clear."""
        return self._asked("GET", f"{self._base}/rule/{uuid}")

    def put(self, uuid: str, data: Mapping[str, Any], *, enabled: bool) -> None:
        """Replace an automation whole and see to its state, which a write is not sure to keep."""
        state = "ENABLED" if enabled else "DISABLED"
        rule = {name: value for name, value in data["rule"].items() if name not in _READ_ONLY and value is not None}
        rule |= {"state": state, "trigger": _bare(rule["trigger"]), "components": [*map(_bare, rule["components"])]}
        body = {"rule": rule, "connections": data.get("connections") or []}
        self._asked("PUT", f"{self._base}/rule/{uuid}", body=body)
        found = self.rule(uuid)["rule"].get("state")
        if found != state:
            self._asked("PUT", f"{self._base}/rule/{uuid}/state", body={"value": state})

    def person(self, account: str) -> dict[str, Any] | None:
        """Return somebody's name and whether the account is active; None where that may not be seen."""
        return self._seen("/rest/api/3/user", {"accountId": account})

    def project(self, number: str) -> dict[str, Any] | None:
        """Return the project with that id, its key and kind among it; None where it may not be seen."""
        return self._seen(f"/rest/api/3/project/{number}", {})

    def issue(self, key: str) -> dict[str, Any] | None:
        """Return a work item with its comments and its history; None where it may not be seen."""
        return self._seen(f"/rest/api/3/issue/{key}", {"expand": "changelog", "fields": "*all"})

    def _seen(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            return self._asked("GET", f"{self._site}{path}", query=query)
        except ApiRefused as refused:
            # What is only good to know keeps nothing from going on; a token that opens nothing does.
            if refused.status == httpx.codes.UNAUTHORIZED:
                raise
            return None

    def _asked(
        self, method: str, url: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        for tried in range(1, TRIES + 1):
            try:
                answer = self._client.request(method, url, params=query, json=body)
            except httpx.HTTPError as error:
                raise ApiRefused(f"{url.partition('/rest/')[0]} does not answer: {type(error).__name__}") from None
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and tried < TRIES:
                self._sleep(min(_seconds(answer), LONGEST_WAIT))
                continue
            if answer.is_success:
                return _object(answer)
            raise ApiRefused(_said(answer), answer.status_code)
        raise ApiRefused("the site asks for too many pauses")


def _bare(node: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a component's ids: those that are not there any more are refused, and the site gives new ones."""
    bare = {name: value for name, value in node.items() if name != "id"}
    for name in ("parentId", "conditionParentId"):
        if name in bare:
            bare[name] = None
    for member in ("conditions", "children"):
        if isinstance(bare.get(member), list):
            bare[member] = [_bare(each) for each in bare[member]]
    return bare


def _seconds(answer: httpx.Response) -> float:
    try:
        return max(float(answer.headers.get("Retry-After", "5")), 0.0)
    except ValueError:
        return 5.0


def _object(answer: httpx.Response) -> dict[str, Any]:
    if not answer.content.strip():
        return {}
    try:
        data = answer.json()
    except ValueError:
        raise ApiRefused(f"{answer.status_code}: the answer is no JSON", answer.status_code) from None
    return data if isinstance(data, dict) else {}


def _said(answer: httpx.Response) -> str:
    """Say what the site answered; its texts name fields and codes, never values."""
    try:
        errors = answer.json().get("errors")
    except (ValueError, AttributeError):
        errors = None
    texts = [
        " ".join(str(each[name]) for name in ("code", "title", "detail", "field") if each.get(name))
        for each in errors or ()
        if isinstance(each, dict)
    ]
    why = _WHY.get(answer.status_code, "the request was refused")
    return f"{answer.status_code}: {'; '.join(texts) or why}"
