"""Every answer that is an error, as ``application/problem+json`` (RFC 9457).

An answer says what the sender can do about it and nothing of what was sent, how far it got, or why a signature did not
fit. What broke inside is logged by its kind and place; messages of errors are not, because they may quote a body.
"""

import json
import logging
import traceback
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from bridge.errors import DeliveryRefused, StoreUnavailable
from bridge.ingress import signature, throttle

RETRY_AFTER = 5  # seconds; a database that restarts is back within them

_log = logging.getLogger(__name__)


def problem(status: int, title: str, detail: str, **members: object) -> Response:
    """Return a problem document; ``members`` are extensions of it and are left out where they are None."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {name: value for name, value in members.items() if value is not None}
    body = json.dumps(document, ensure_ascii=False)
    return Response(body, status, content_type="application/problem+json")


def refused(error: DeliveryRefused, delivery: str | None = None) -> Response:
    """Return the answer to a refused request, naming the ``delivery`` under which it was kept, if it was."""
    answer = problem(error.status, error.title, error.detail, delivery=delivery)
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="bridge"'  # RFC 9110 section 11.6.1 demands one
    elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    elif error.status == HTTPStatus.TOO_MANY_REQUESTS:
        answer.headers["Retry-After"] = str(throttle.RETRY_AFTER)
    return answer


def unavailable(error: StoreUnavailable) -> Response:
    """Return the answer while the database is away; its reason is for our log only."""
    _log.error("nothing was stored: %s", error)
    answer = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Service Unavailable",
        "The database is away and nothing was stored. Send it again.",
    )
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


def install(app: Flask, max_body: int) -> None:
    """Make every error that leaves ``app``, whoever raised it, a problem document; ``max_body`` in bytes is told."""

    def of_http(error: HTTPException) -> Response | HTTPException:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        if status < HTTPStatus.BAD_REQUEST:
            return error
        if status == HTTPStatus.NOT_FOUND and request.path.startswith("/hooks"):
            # An address that cannot be a rule's is no more than a rule that is not there.
            return refused(signature.refusal())
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            answer = problem(status, "Content Too Large", f"The body may have at most {max_body} bytes.")
        else:
            answer = problem(status, HTTPStatus(status).phrase, _DETAILS.get(status, "The request cannot be answered."))
        for name, value in error.get_headers(request.environ):
            if name in {"Allow", "Retry-After"}:
                answer.headers[name] = value
        return answer

    def of_bug(error: Exception) -> Response:
        _log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return problem(500, "Internal Server Error", "The bridge failed; its log says where.")

    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(DeliveryRefused, refused)
    app.register_error_handler(StoreUnavailable, unavailable)
    app.register_error_handler(Exception, of_bug)


_DETAILS = {
    400: "The request is not complete HTTP.",
    404: "There is nothing at this address.",
    405: "This address does not take that method; the Allow header lists those it takes.",
}
