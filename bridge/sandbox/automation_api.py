"""The rule management API of the sandbox's Automation, and the site's own address for a person with an API token.

It keeps automations and gives them back, and runs none. Who may use it stands in ``Automations.admins`` (e-mail address
to token), and nobody does unless a test says so. Shapes and refusals follow
https://developer.atlassian.com/cloud/automation/rest/ and what clients report of it: component ids that are sent must
be those that are there, new components get new ones, and a body without ``rule`` cannot be parsed.
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, jsonify, request

from bridge.sandbox.records import Token
from bridge.sandbox.site import Site

_NEEDED = ("name", "state", "notifyOnError", "canOtherRuleTrigger", "actor", "trigger", "components", "ruleScopeARIs")
_STATES = frozenset({"ENABLED", "DISABLED"})
_LARGEST_PAGE = 100


@dataclass(slots=True)
class Automations:
    """The automations by their UUIDs, as GET gives them: ``{"rule": …, "connections": […]}``.

    ``admins`` are the people who may manage them, e-mail address to token; ``account`` acts for them on the site's own
    address. ``puts`` counts replacements.
    """

    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    admins: dict[str, str] = field(default_factory=dict)
    account: str = ""
    puts: int = 0

    def add(self, rule: Mapping[str, Any], connections: list[Any] | None = None) -> str:
        """Keep an automation and return its UUID; components get ids."""
        number = str(rule.get("uuid") or uuid.uuid4())
        now = time.time()
        kept = {"notifyOnError": "FIRSTERROR", **rule, "uuid": number, "created": now, "updated": now}
        self.rules[number] = {"rule": _numbered(kept), "connections": list(connections or ())}
        return number

    def admitted(self, header: str) -> str | None:
        """Return the e-mail address of whom a Basic header admits."""
        kind, _, text = header.partition(" ")
        try:
            email, _, token = base64.b64decode(text.encode()).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        good = kind.lower() == "basic" and token != "" and self.admins.get(email) == token
        return email if good else None


class _Refused(Exception):
    def __init__(self, status: int, title: str) -> None:
        self.status = status
        self.title = title
        super().__init__(title)


def automation_api(site: Site, automations: Automations) -> Blueprint:
    """The API's routes for one site."""
    routes = Blueprint("automation", __name__, url_prefix="/automation/public/<any(jira, confluence):product>/<cloud>")

    @routes.before_request
    def admit() -> None:
        if automations.admitted(request.headers.get("Authorization", "")) is None:
            raise _Refused(401, "Unauthorized; scope does not match")
        if (request.view_args or {}).get("cloud") != site.cloud_id:
            raise _Refused(404, "No such site")

    @routes.errorhandler(_Refused)
    def refuse(refused: _Refused) -> tuple[Response, int]:
        error = {"id": str(uuid.uuid4()), "status": refused.status, "code": "refused", "title": refused.title}
        return jsonify(errors=[error]), refused.status

    @routes.get("/rest/<any(v1, latest):version>/rule/summary")
    def summaries(**_: str) -> Response:
        size = min(max(int(request.args.get("limit", str(_LARGEST_PAGE))), 1), _LARGEST_PAGE)
        begin = int(request.args.get("cursor", "0"))
        found = list(automations.rules.values())
        links: dict[str, str | None] = {
            "self": f"?{urlencode({'cursor': begin, 'limit': size})}",
            "next": None,
            "prev": None,
        }
        if begin + size < len(found):
            links["next"] = f"?{urlencode({'cursor': begin + size, 'limit': size})}"
        return jsonify(links=links, data=[_summary(each["rule"]) for each in found[begin : begin + size]])

    @routes.get("/rest/<any(v1, latest):version>/rule/<number>")
    def get(number: str, **_: str) -> Response:
        redacted = request.args.get("redactSensitiveFields") == "true"
        found = _found(automations, number)
        return jsonify(_redacted(found) if redacted else found)

    @routes.put("/rest/<any(v1, latest):version>/rule/<number>")
    def update(number: str, **_: str) -> Response:
        found, body = _found(automations, number), request.get_json(silent=True)
        body = body if isinstance(body, dict) else {}
        rule = body.get("rule")
        if (
            not isinstance(rule, dict)
            or any(rule.get(name) is None for name in _NEEDED)
            or rule["state"] not in _STATES
        ):
            raise _Refused(400, "The request body could not be parsed")
        given = [each for each in _ids((rule["trigger"], *rule["components"])) if each is not None]
        there = set(_ids((found["rule"]["trigger"], *found["rule"]["components"])))
        if not set(given) <= there or len(given) != len(set(given)):
            raise _Refused(400, "Component ids do not match the existing rule or there are duplicate ids")
        kept = {**rule, "uuid": number, "created": found["rule"]["created"], "updated": time.time()}
        automations.rules[number] = {"rule": _numbered(kept), "connections": list(body.get("connections") or ())}
        automations.puts += 1
        return jsonify(ruleUuid=number)

    @routes.put("/rest/<any(v1, latest):version>/rule/<number>/state")
    def switch(number: str, **_: str) -> tuple[str, int]:
        found, body = _found(automations, number), request.get_json(silent=True)
        if not isinstance(body, dict) or body.get("value") not in _STATES:
            raise _Refused(400, "The request body could not be parsed")
        found["rule"]["state"] = body["value"]
        return "", 200

    return routes


def as_person(site: Site, automations: Automations) -> Response | None:
    """Answer a request to the site's own address if a person's token admits it, by way of the gateway."""
    if automations.admitted(request.headers.get("Authorization", "")) is None or not automations.account:
        return None
    text = f"person-{uuid.uuid4()}"
    scopes = frozenset({"read:jira-work", "read:jira-user", "write:jira-work"})
    site.add_token(text, Token(automations.account, frozenset({"jira"}), scopes))
    try:
        answer = current_app.test_client().open(
            f"/ex/jira/{site.cloud_id}{request.path}",
            method=request.method,
            query_string=request.query_string.decode(),
            headers={"Authorization": f"Bearer {text}"},
        )
    finally:
        del site.tokens[text]
    return Response(answer.data, status=answer.status_code, content_type=answer.content_type)


def _found(automations: Automations, number: str) -> dict[str, Any]:
    found = automations.rules.get(number)
    if found is None:
        raise _Refused(404, "Rule not found")
    return found


def _summary(rule: Mapping[str, Any]) -> dict[str, Any]:
    names = ("uuid", "name", "description", "state", "labels", "ruleScopeARIs", "authorAccountId", "created", "updated")
    return {name: rule[name] for name in names if name in rule} | {
        "actorAccountId": (rule.get("actor") or {}).get("actor")
    }


def _numbered(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Give every component without an id one."""

    def given(node: Mapping[str, Any]) -> dict[str, Any]:
        made = {**node, "id": node.get("id") or str(uuid.uuid4())}
        for member in ("conditions", "children"):
            if isinstance(node.get(member), list):
                made[member] = [given(each) for each in node[member]]
        return made

    return {**rule, "trigger": given(rule["trigger"]), "components": [given(each) for each in rule["components"]]}


def _ids(nodes: tuple[Mapping[str, Any], ...]) -> Iterator[str | None]:
    for node in nodes:
        yield node.get("id")
        yield from _ids((*(node.get("conditions") or ()), *(node.get("children") or ())))


def _redacted(found: Mapping[str, Any]) -> Any:
    copy = json.loads(json.dumps(found))

    def masked(node: dict[str, Any]) -> None:
        value = node.get("value")
        for header in value.get("headers") or () if isinstance(value, dict) else ():
            if header.get("headerSecure"):
                header["value"] = "********"
        for each in (*(node.get("conditions") or ()), *(node.get("children") or ())):
            masked(each)

    for node in copy["rule"]["components"]:
        masked(node)
    return copy
