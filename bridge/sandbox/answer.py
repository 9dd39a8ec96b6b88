"""One call and its answer, the errors of the four APIs behind the gateway, and their three styles of pages.

Error bodies differ by product, and so does the way to the next page; see
https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/ and
https://developer.atlassian.com/cloud/confluence/rest/v2/intro/.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bridge.sandbox.records import Account, Issue
from bridge.sandbox.site import Site


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON body (None: no body at all) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Ends an operation with an error answer of its product."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"{answer.status}: {answer.body}")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request for a known operation.

    ``params`` are the decoded path parameters, ``path`` is raw and without the gateway's prefix, ``gateway_url`` is the
    address that the prefix stands for, ``site_url`` the site's own address. ``index`` is the state that a lagging
    search still answers from.
    """

    site: Site
    account: Account
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Any
    gateway_url: str
    site_url: str
    index: Mapping[str, Issue] | None = None

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query name."""
        return self.query.get(name, [default])[0]

    def listed(self, name: str) -> list[str]:
        """All values of a query name, whether repeated or separated by commas."""
        return [part.strip() for value in self.query.get(name, ()) for part in value.split(",") if part.strip()]

    def flag(self, name: str) -> bool:
        """Whether the query name is ``true``."""
        return self.first(name).lower() == "true"


Operation = Callable[[Call], Answer]


def jira_refused(status: int, *messages: str, errors: Mapping[str, str] | None = None) -> Refused:
    """Jira's ErrorCollection: messages, and errors by field."""
    return Refused(Answer(status, {"errorMessages": list(messages), "errors": dict(errors or {})}))


def confluence_refused(status: int, code: str, title: str, detail: str | None = None) -> Refused:
    """The error list of Confluence's v2 API; live sites write the status of a 409 as text."""
    shown = str(status) if status == 409 else status  # noqa: PLR2004 - the one status that is written as text
    return Refused(Answer(status, {"errors": [{"status": shown, "code": code, "title": title, "detail": detail}]}))


def confluence_v1_refused(status: int, message: str) -> Refused:
    """The error of Confluence's v1 API."""
    data = {"authorized": status != 403, "valid": False, "errors": [], "successful": False}  # noqa: PLR2004
    return Refused(Answer(status, {"statusCode": status, "data": data, "message": message}))


def desk_refused(status: int, message: str) -> Refused:
    """The error of the service desk's API."""
    told = {"i18nKey": "sd.error", "parameters": []}
    return Refused(Answer(status, {"errorMessage": message, "i18nErrorMessage": told}))


def gateway_refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """What the gateway itself says, before any product is asked."""
    return Refused(Answer(status, {"code": status, "message": message}, headers or {}))


def refused_by(product: str, status: int, message: str) -> Refused:
    """The error of whichever product the operation belongs to."""
    if product == "confluence":
        codes = {404: "NOT_FOUND", 409: "CONFLICT", 500: "INTERNAL_SERVER_ERROR", 503: "SERVICE_UNAVAILABLE"}
        return confluence_refused(status, codes.get(status, "INVALID_REQUEST_PARAMETER"), message)
    if product == "confluence-v1":
        return confluence_v1_refused(status, message)
    return desk_refused(status, message) if product == "jsm" else jira_refused(status, message)


def number(call: Call, name: str, default: int, most: int | None = None) -> int:
    """A query number that must not be negative; larger ones than ``most`` are cut to it, as the servers do."""
    given = call.first(name)
    if not given:
        return default
    if not given.isdecimal():
        raise jira_refused(400, f"{name} is not a number: {given[:40]!r}")
    return min(int(given), most) if most is not None else int(given)


def offset_page(call: Call, values: Sequence[Any], default: int, most: int) -> dict[str, Any]:
    """Jira's page by offset (PageBean): ``values`` is everything; the answer holds what ``startAt`` asks for."""
    start, count = number(call, "startAt", 0), number(call, "maxResults", default, most)
    address = f"{call.gateway_url}{call.path}"
    end = start + count
    page: dict[str, Any] = {"self": f"{address}?startAt={start}&maxResults={count}", "startAt": start}
    page |= {"maxResults": count, "total": len(values), "isLast": end >= len(values), "values": values[start:end]}
    if end < len(values):
        page["nextPage"] = f"{address}?startAt={end}&maxResults={count}"
    return page


def write_token(**facts: object) -> str:
    """An opaque token for the next page."""
    return base64.urlsafe_b64encode(json.dumps(facts, sort_keys=True).encode()).decode()


def read_token(token: str) -> dict[str, Any]:
    """The facts in such a token; empty when it is none of ours."""
    try:
        facts = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def cursor_page(call: Call, values: Sequence[Any], *, default: int = 25, most: int = 250) -> Answer:
    """A page of Confluence's v2 API: ``_links.next`` is relative to the site and does not know the gateway's prefix.

    Following ``_links.base`` leads away from the gateway, and base and next joined give ``/wiki/wiki``: only the
    ``cursor`` in it is meant to be used.
    """
    given = call.first("limit")
    if given and not (given.isdecimal() and int(given)):
        raise confluence_refused(400, "INVALID_REQUEST_PARAMETER", "limit must be a number from 1 to 250")
    limit = min(int(given or default), most)
    start = 0
    if token := call.first("cursor"):
        start = read_token(token).get("start", -1)
        if not isinstance(start, int) or start < 0:
            raise confluence_refused(400, "INVALID_REQUEST_PARAMETER", "the cursor is invalid")
    base = f"{call.site_url}/wiki"
    links, headers = {"base": base}, {}
    if start + limit < len(values):
        others = [
            (name, value) for name, many in call.query.items() if name not in {"cursor", "limit"} for value in many
        ]
        query = urlencode([*others, ("cursor", write_token(start=start + limit)), ("limit", str(limit))])
        links["next"] = f"{call.path}?{query}"
        headers["Link"] = f'<{links["next"]}>; rel="next", <{base}>; rel="base"'
    return Answer(200, {"results": list(values[start : start + limit]), "_links": links}, headers)
