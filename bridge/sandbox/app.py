"""The sandbox as a Flask application: the gateway, the site's own host, the pages for people and the control routes.

``create_app`` is given a site; ``wsgi`` builds the demo's site for gunicorn from ``BRIDGE_SANDBOX_TOKENS``.
"""

import os
from collections.abc import Mapping

from flask import Flask, Response, jsonify, request

from bridge.errors import Mistake, SettingsInvalid
from bridge.sandbox import seed
from bridge.sandbox.automation_api import Automations, as_person, automation_api
from bridge.sandbox.control import control
from bridge.sandbox.files import media
from bridge.sandbox.gateway import Gateway
from bridge.sandbox.oauth import authorization
from bridge.sandbox.pages import pages
from bridge.sandbox.records import SandboxRefusal
from bridge.sandbox.site import Site
from bridge.sandbox.tokens import VARIABLE, read_variable

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def create_app(site: Site) -> Flask:
    """The application for one site; ``app.extensions`` has it as ``sandbox``, and its ``automations``."""
    app = Flask(__name__)
    app.extensions["sandbox"] = site
    automations = app.extensions["automations"] = Automations()
    # A cut connection is an exception on its way to the server, and a mistake of ours should not look like a 500 that
    # was ordered: neither may end in Flask's error page.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.url_map.merge_slashes = False
    gateway = Gateway(site)

    @app.route("/ex/<any(jira, confluence):product>/<cloud_id>/<path:rest>", methods=_METHODS)
    def through_gateway(product: str, cloud_id: str, rest: str) -> Response:  # noqa: ARG001 - the raw path is what counts
        return gateway.answer(product, cloud_id, request)

    @app.get("/_edge/tenant_info")
    def tenant_info() -> Response:
        return jsonify(cloudId=site.cloud_id)

    @app.route("/rest/<path:rest>", methods=_METHODS)
    @app.route("/wiki/rest/<path:rest>", methods=_METHODS)
    @app.route("/wiki/api/<path:rest>", methods=_METHODS)
    def on_the_site(rest: str) -> Response | tuple[Response, int]:  # noqa: ARG001
        answer = as_person(site, automations)
        if answer is not None:
            return answer
        # A service account's token opens nothing on the site's own address, only on the gateway's.
        return jsonify(code=401, message="Unauthorized"), 401

    app.register_blueprint(automation_api(site, automations))
    app.register_blueprint(authorization(site))
    app.register_blueprint(media(site))
    app.register_blueprint(control(site))
    app.register_blueprint(pages(site))
    return app


def wsgi(environ: Mapping[str, str] = os.environ) -> Flask:
    """The demo's site with the tokens of ``BRIDGE_SANDBOX_TOKENS``; raises SettingsInvalid with every mistake in it."""
    site = Site()
    tokens = read_variable(environ.get(VARIABLE, ""))
    try:
        seed.demo(site, tokens=tokens)
    except SandboxRefusal as refusal:
        raise SettingsInvalid([Mistake(VARIABLE, str(refusal))]) from None
    return create_app(site)
