"""The authorization server, as far as a service account's OAuth 2.0 client needs it: ``POST /oauth/token``.

Atlassian's stands at https://auth.atlassian.com; ``BRIDGE_AUTH_URL`` points here instead. An access token is a token of
the site like any other, but for its end. A client is told to the sandbox with ``POST /sandbox/clients``.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox.site import Site

FORMS = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


def authorization(site: Site) -> Blueprint:
    """The authorization server of one site."""
    routes = Blueprint("authorization", __name__)

    @routes.post("/oauth/token")
    def token() -> tuple[Response, int]:
        given: Any = request.get_json(silent=True) if request.mimetype == FORMS["json"] else request.form
        if not isinstance(given, Mapping) or given.get("grant_type") != "client_credentials":
            return jsonify(error="unsupported_grant_type"), 400
        with site.lock:
            client = site.clients.get(str(given.get("client_id")))
            if client is not None and client.accepts != "both" and request.mimetype != FORMS[client.accepts]:
                return jsonify(error="invalid_request"), 415
            secret = str(given.get("client_secret"))
            if client is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
                return jsonify(error="access_denied", error_description="Unauthorized"), 401
            text = secrets.token_urlsafe(32)
            ends = site.now() + timedelta(seconds=client.lifetime)
            site.add_token(text, replace(client.token, expires=ends))
        scope = " ".join(sorted(client.token.scopes))
        answer = jsonify(access_token=text, expires_in=client.lifetime, token_type="Bearer", scope=scope)  # noqa: S106
        # RFC 6749 section 5.1
        answer.headers["Cache-Control"] = "no-store"
        return answer, 200

    return routes
