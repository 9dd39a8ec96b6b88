"""The gateway in front of the two products: credential, OAuth scopes, limits and faults, then the operation itself.

It answers below ``/ex/jira/<cloudId>`` and ``/ex/confluence/<cloudId>``. A path is decoded and shortened before it is
looked up, as a careless server would do it, so that a client which lets ``..`` or ``%2F`` through is caught by what
happens here and not saved by a 404.
"""

import base64
import binascii
import json
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from flask import Request, Response

from bridge import catalogue
from bridge.sandbox import (
    confluence,
    confluence_access,
    confluence_comments,
    confluence_details,
    confluence_properties,
    confluence_search,
    confluence_spaces,
    confluence_tree,
    files,
    jira,
    jira_boards,
    jira_comments,
    jira_customers,
    jira_links,
    jira_projects,
    jira_properties,
    jira_requests,
    jira_v2,
    jira_versions,
    jira_work,
    metadata,
    removed,
    search,
)
from bridge.sandbox.answer import Answer, Call, Operation, Refused, gateway_refused, refused_by
from bridge.sandbox.faults import PATIENCE, Cut, Fault, reset
from bridge.sandbox.limits import refusal_headers
from bridge.sandbox.records import Account, Seen, Token
from bridge.sandbox.site import Site

_SUPPORTED: Mapping[str, Mapping[str, Operation]] = {
    "jira": {
        **jira.OPERATIONS,
        **jira_comments.OPERATIONS,
        **jira_links.OPERATIONS,
        **jira_projects.OPERATIONS,
        **jira_properties.OPERATIONS,
        **jira_versions.OPERATIONS,
        **jira_work.OPERATIONS,
        **files.JIRA,
        **metadata.OPERATIONS,
        **search.OPERATIONS,
    },
    "agile": jira_boards.OPERATIONS,
    "jsm": {**jira_customers.OPERATIONS, **jira_requests.OPERATIONS},
    "confluence": {
        **confluence.V2,
        **files.V2,
        **confluence_comments.V2,
        **confluence_tree.V2,
        **confluence_details.V2,
        **confluence_access.V2,
        **confluence_properties.V2,
    },
    "confluence-v1": {
        **confluence.V1,
        **files.V1,
        **confluence_search.V1,
        **confluence_tree.V1,
        **confluence_details.V1,
        **confluence_access.V1,
        **confluence_spaces.V1,
    },
}
# They want a header that no page in a browser could send along.
_GUARDED = frozenset({"addContentWatcher", "removeContentWatcher"})
# Atlassian lists an empty set of OAuth scopes for it: any credential will do.
_WITHOUT_SCOPE = frozenset({"getServerInfo"})
_BODY_AT_MOST = 5 * 1024 * 1024
_SCOPE_FAILURE = {"X-Failure-Category": "FAILURE_CLIENT_SCOPE_CHECK"}
_RATE_FAILURE = {"X-Failure-Category": "FAILURE_CLIENT_RATE_LIMITED"}


def supported() -> frozenset[tuple[str, str]]:
    """The operations the sandbox plays, as (product, operationId) of the catalogue."""
    return frozenset((product, name) for product, names in _SUPPORTED.items() for name in names)


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A request that may be executed: what to call, and what to remember about it."""

    call: Call
    operation: catalogue.Operation
    execute: Operation
    headers: Mapping[str, str]


class Gateway:
    """Answers the requests for one site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def answer(self, product: str, cloud_id: str, request: Request) -> Response:
        """Answer one request; raises :class:`bridge.sandbox.faults.Cut` where a fault cuts the connection."""
        trace = self.site.next_trace()
        path = _path(request, product, cloud_id)
        try:
            admitted = self._admit(product, cloud_id, path, request)
        except Refused as refused:
            self._note(request.method, path, trace, status=refused.answer.status)
            return _response(refused.answer, trace)
        return self._play(admitted, trace, request.environ)

    def _admit(self, product: str, cloud_id: str, path: str, request: Request) -> _Admitted:
        if cloud_id != self.site.cloud_id:
            raise gateway_refused(404, "There is no site with this cloud id.")
        if (gone := removed.refusal(product, request.method, path)) is not None:
            self._authenticate(product, None, request)
            raise gone
        played = jira_v2.played_as(path) if product == "jira" else None
        try:
            found = catalogue.match(request.method, played or path)
        except catalogue.PathRefused:
            found = None
        if found is None or found.operation.site_product != product:
            raise gateway_refused(404, "There is no such operation.")
        operation = found.operation
        execute = _SUPPORTED.get(operation.product, {}).get(operation.operation_id)
        if execute is None:
            raise gateway_refused(404, f"The sandbox does not play {operation.operation_id}.")
        if played is not None:
            execute = jira_v2.twin(operation.operation_id, execute)
        account = self._authenticate(product, operation, request)
        if operation.operation_id in _GUARDED and request.headers.get("X-Atlassian-Token", "").lower() != "no-check":
            raise refused_by(operation.product, 403, "XSRF check failed")
        query = parse_qs(request.query_string.decode("latin-1"), keep_blank_values=True)
        base = request.host_url.rstrip("/")
        params = {name: unquote(value) for name, value in found.params.items()}
        gateway_url = f"{base}/ex/{product}/{cloud_id}"
        body = _body(request, operation.product)
        call = Call(self.site, account, request.method, path, params, query, body, gateway_url, self.site.url or base)
        with self.site.lock:
            issue = self.site.find_issue(params["issueIdOrKey"]) if "issueIdOrKey" in params else None
            now = self.site.now()
            verdict = self.site.limits.check(now, request.method, operation.operation_id, issue.id if issue else None)
        if not verdict.passes:
            refused = refused_by(operation.product, 429, "Rate limit exceeded.")
            raise Refused(replace(refused.answer, headers=verdict.headers))
        return _Admitted(call, operation, execute, verdict.headers)

    def _authenticate(self, product: str, operation: catalogue.Operation | None, request: Request) -> Account:
        with self.site.lock:
            token = self._token(request.headers.get("Authorization", ""))
            if token is None or (token.expires is not None and token.expires <= self.site.now()):
                raise gateway_refused(401, "Unauthorized")
            account = self.site.accounts.get(token.account)
        if account is None or not account.active:
            raise gateway_refused(401, "Unauthorized")
        free = operation is None or operation.operation_id in _WITHOUT_SCOPE
        if product not in token.products or (operation and not (free or operation.allowed_by(token.scopes))):
            raise _scope_refused()
        return account

    def _token(self, header: str) -> Token | None:
        kind, _, credential = header.partition(" ")
        if kind.lower() == "bearer":
            return self.site.tokens.get(credential.strip())
        if kind.lower() != "basic":
            return None
        try:
            email, _, text = base64.b64decode(credential, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        token = self.site.tokens.get(text)
        account = self.site.accounts.get(token.account) if token else None
        return token if account is not None and account.email.lower() == email.lower() else None

    def _play(self, admitted: _Admitted, trace: str, environ: Mapping[str, Any]) -> Response:
        call, name = admitted.call, admitted.operation.operation_id
        fault = self.site.faults.take(call.method, call.path, name)
        if fault is not None and fault.kind == "lag":
            admitted = replace(admitted, call=replace(call, index=fault.index))
        if fault is None or fault.kind == "lag":
            return self._told(admitted, self._execute(admitted), trace, executed=True)
        if fault.kind == "late":
            self.site.faults.postpone(lambda: self._execute(admitted), fault.seconds)
        elif fault.kind == "slow" and not fault.processed:
            self._wait(fault.seconds or 0, lambda: self._execute(admitted))
        before = fault.kind in {"reset-before", "late"} or (fault.kind.isdecimal() and not fault.processed)
        answer = None if before else self._execute(admitted)
        if fault.kind == "slow" and fault.processed:
            self._wait(fault.seconds or 0)
        if fault.kind in {"reset-before", "reset-after", "late"}:
            self._note_call(admitted, trace, None, executed=not before)
            reset(environ)
            raise Cut("reset")
        if fault.kind.isdecimal() or answer is None:
            return self._told(admitted, self._ordered(fault, admitted), trace, executed=not before)
        response = self._told(admitted, answer, trace, executed=True)
        return _halved(response) if fault.kind == "half" else response

    def _execute(self, admitted: _Admitted) -> Answer:
        with self.site.lock:
            try:
                return admitted.execute(admitted.call)
            except Refused as refused:
                return refused.answer

    def _ordered(self, fault: Fault, admitted: _Admitted) -> Answer:
        product, status = admitted.operation.product, int(fault.kind)
        if status == 401:  # noqa: PLR2004 - the codes of HTTP name themselves
            return (_scope_refused() if fault.scope else gateway_refused(401, "Unauthorized")).answer
        if status == 429:  # noqa: PLR2004
            headers = refusal_headers(fault.reason, fault.retry_after, self.site.now())
            if fault.reason == "gateway":
                # The gateway's own limit tells neither a reason nor Retry-After, only when it is reset.
                headers = {"X-RateLimit-Reset": headers["X-RateLimit-Reset"], **_RATE_FAILURE}
                return gateway_refused(429, "Rate limit exceeded", headers).answer
            return replace(refused_by(product, 429, "Rate limit exceeded.").answer, headers=headers)
        told = {
            409: "The resource was changed by somebody else.",
            500: "Internal server error",
            503: "Service Unavailable",
        }
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
        return replace(refused_by(product, status, told[status]).answer, headers=headers)

    def _wait(self, seconds: float, afterwards: Callable[[], object] | None = None) -> None:
        patience = PATIENCE.get()
        if patience is not None and seconds >= patience:
            if afterwards is not None:
                self.site.faults.postpone(afterwards, None)
            raise Cut("timeout")
        self.site.sleep(seconds)

    def _told(self, admitted: _Admitted, answer: Answer, trace: str, *, executed: bool) -> Response:
        self._note_call(admitted, trace, answer.status, executed=executed)
        return _response(replace(answer, headers={**admitted.headers, **answer.headers}), trace)

    def _note_call(self, admitted: _Admitted, trace: str, status: int | None, *, executed: bool) -> None:
        call, name = admitted.call, admitted.operation.operation_id
        self._note(
            call.method, call.path, trace, account=call.account.name, name=name, status=status, executed=executed
        )

    def _note(
        self,
        method: str,
        path: str,
        trace: str,
        *,
        account: str = "",
        name: str = "",
        status: int | None,
        executed: bool = False,
    ) -> None:
        with self.site.lock:
            self.site.seen.append(Seen(self.site.now(), account, method, path, name, status, executed, trace))


def _scope_refused() -> Refused:
    return gateway_refused(401, "Unauthorized; scope does not match", _SCOPE_FAILURE)


def _path(request: Request, product: str, cloud_id: str) -> str:
    """The product's path, decoded, without path parameters, with its dots resolved, then encoded again."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or quote(request.path)
    path = str(raw).partition("?")[0].partition(f"/ex/{product}/{cloud_id}")[2]
    decoded = "/".join(segment.partition(";")[0] for segment in unquote(path).split("/"))
    return quote(posixpath.normpath(decoded or "/").replace("//", "/"), safe="/:@!$&'()*+,=~-._")


def _body(request: Request, product: str) -> Any:
    if request.mimetype == "multipart/form-data":
        return files.read_form(request, product)
    text = request.get_data(cache=False)
    if len(text) > _BODY_AT_MOST:
        raise refused_by(product, 413, "The request is larger than 5 MB.")
    if not text:
        return None
    if request.mimetype != "application/json":
        raise gateway_refused(415, "Unsupported Media Type")
    try:
        return json.loads(text)
    except ValueError:
        raise refused_by(
            product, 400, "There was an error parsing JSON. Check that your request body is valid."
        ) from None


def _response(answer: Answer, trace: str) -> Response:
    text = b"" if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
    response = Response(text, answer.status, {**answer.headers, "Atl-Traceid": trace, "Atl-Request-Id": trace})
    if text:
        response.content_type = "application/json;charset=UTF-8"
    elif "Content-Type" in response.headers:
        del response.headers["Content-Type"]
    return response


def _halved(response: Response) -> Response:
    text = response.get_data()

    def body() -> Iterator[bytes]:
        yield text[: len(text) // 2]
        raise Cut("half")

    halved = Response(body(), response.status_code, response.headers)
    halved.headers["Content-Length"] = str(max(len(text), 1))
    return halved
