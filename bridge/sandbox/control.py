"""What a test or a demo does to the site from outside the REST APIs: ``/sandbox/...``, JSON in and out.

* ``GET /sandbox/state``; ``POST /sandbox/reset``
* ``POST /sandbox/faults`` (see :mod:`bridge.sandbox.faults`), ``GET`` and ``DELETE`` likewise; ``POST /sandbox/late``
* ``POST /sandbox/tokens`` ``{"token", "account", "products", "scopes", "expires"?}``
* ``POST /sandbox/clients`` ``{"client_id", "client_secret", "account", "products", "scopes", "lifetime"?, "accepts"?}``
* ``POST /sandbox/grants`` ``{"account", "permissions", "project" or "space"}``
* ``POST /sandbox/move`` ``{"issue", "project"}``; ``POST /sandbox/limits`` ``{"on": true}``

What cannot be done is 400 with ``{"detail": "..."}``. There is no credential: the sandbox holds nothing worth one.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox.clients import read_client
from bridge.sandbox.records import SandboxRefusal
from bridge.sandbox.site import Site
from bridge.sandbox.snapshot import snapshot
from bridge.sandbox.tokens import read_token


def control(site: Site) -> Blueprint:
    """The routes for one site."""
    routes = Blueprint("control", __name__, url_prefix="/sandbox")

    @routes.errorhandler(SandboxRefusal)
    def refuse(refusal: SandboxRefusal) -> tuple[Response, int]:
        return jsonify(detail=str(refusal)), 400

    @routes.get("/state")
    def state() -> Response:
        return jsonify(snapshot(site))

    @routes.post("/reset")
    def reset() -> tuple[str, int]:
        site.reset()
        return "", 204

    @routes.get("/faults")
    def list_faults() -> Response:
        return jsonify(faults=site.faults.shown())

    @routes.post("/faults")
    def order_fault() -> tuple[Response, int]:
        with site.lock:
            return jsonify(site.faults.order(_given(), site.issues).shown()), 201

    @routes.delete("/faults")
    def clear_faults() -> tuple[str, int]:
        site.faults.clear()
        return "", 204

    @routes.post("/late")
    def release_late() -> Response:
        return jsonify(executed=site.faults.release())

    @routes.post("/tokens")
    def add_token() -> tuple[str, int]:
        given = _given()
        text = given.pop("token", None)
        if not isinstance(text, str) or not text:
            raise SandboxRefusal("'token' is required and is text")
        token, wrong = read_token(given)
        if token is None:
            raise SandboxRefusal("; ".join(wrong))
        site.add_token(text, token)
        return "", 204

    @routes.post("/clients")
    def add_client() -> tuple[str, int]:
        found, wrong = read_client(_given())
        if found is None:
            raise SandboxRefusal("; ".join(wrong))
        with site.lock:
            site.account(found[1].token.account)
            site.clients[found[0]] = found[1]
        return "", 204

    @routes.post("/grants")
    def grant() -> tuple[str, int]:
        given = _given()
        permissions = given.get("permissions")
        if not isinstance(permissions, list) or not all(isinstance(each, str) for each in permissions):
            raise SandboxRefusal("'permissions' is a list of names")
        containers = {name: given[name] for name in ("project", "space") if isinstance(given.get(name), str)}
        site.grant(str(given.get("account")), permissions, **containers)
        return "", 204

    @routes.post("/move")
    def move() -> Response:
        given = _given()
        issue = site.move(str(given.get("issue")), str(given.get("project")))
        return jsonify(issue=issue.key, was=str(given.get("issue")))

    @routes.post("/limits")
    def limits() -> tuple[str, int]:
        with site.lock:
            site.limits.on = _given().get("on") is True
        return "", 204

    return routes


def _given() -> dict[str, Any]:
    given = request.get_json(force=True, silent=True)
    if not isinstance(given, dict):
        raise SandboxRefusal("the body must be a JSON object")
    return given
