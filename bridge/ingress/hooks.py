"""``POST /hooks/<rule>`` and ``GET /hooks/<rule>/<delivery>``: the decisions of this room, asked in order.

1. Is the name one that a rule could have, and the body no larger than allowed?
2. Does the signature open this rule? If not: 401, nothing is kept, and a rule that is not there looks the same. Those
   who try too often, and everybody while the disk is nearly full, get 429 (``throttle.py``).
3. Is the body JSON as everybody understands it, and does it have what the manifest asks for? If not, the delivery is
   kept as rejected, because its sender is authentic and somebody will look for it.
4. One INSERT, in a commit shared with all requests that wait for one. The relay is nudged, and the answer is 202.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus

import sqlalchemy as sa
from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from bridge.errors import DeliveryRefused, RuleInvalid
from bridge.ingress import body, problem, signature, waiting
from bridge.ingress.identity import identify
from bridge.ingress.nudge import Nudge
from bridge.ingress.signature import Verified
from bridge.ingress.throttle import Reserve, Strangers
from bridge.ingress.waiting import Standing, Waiting
from bridge.rule.accept import Judgement, judge
from bridge.rule.registry import Registry, Rule
from bridge.settings import Settings
from bridge.store import Store, deliveries, registers
from bridge.store.deliveries import Accepted, Received, State
from bridge.store.engine import new_id

OWN_FOR = 2.0  # seconds for which the account ids that are ours are believed
LONGEST_INITIATOR = 128  # "Max length: 128" of accountId in Atlassian's OpenAPI file of Jira platform

_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DELIVERY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JSON = re.compile(r"application/(json|[a-z0-9.!#$&^_+-]+\+json)")  # RFC 6839 section 3.1 for the suffix


@dataclass(slots=True)
class OwnAccounts:
    """The account ids of our service accounts, asked again every two seconds."""

    store: Store
    _known: tuple[float, frozenset[str]] = field(default=(-OWN_FOR, frozenset()))

    def ids(self) -> frozenset[str]:
        """Return them. Raises ``StoreUnavailable`` if the database is away when they have to be asked for."""
        asked, known = self._known
        now = time.monotonic()
        if now - asked >= OWN_FOR or asked < 0:
            with self.store.read() as connection:
                known = registers.own_account_ids(connection)
            self._known = (now, known)
        return known


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An authentic webhook: the name it was sent to, the rule of that name if there is one, and when it came."""

    name: str
    rule: Rule | None
    verified: Verified
    raw: bytes
    at: float

    def received(
        self,
        state: State,
        judgement: Judgement | None = None,
        *,
        identity: str | None = None,
        reason: str | None = None,
    ) -> Received:
        """Return what is stored of it."""
        initiator = None if judgement is None or judgement.initiator is None else _printable(judgement.initiator)
        return Received(
            id=new_id(),
            rule=self.name,
            state=state,
            payload=self.raw,
            identity=identity,
            order_key=None if judgement is None else judgement.order_key,
            initiator=initiator,
            reason=reason,
            rule_digest=None if self.rule is None else self.rule.digest,
            facts={
                "scheme": str(self.verified.scheme),
                "key": self.verified.key_id,
                "token_version": self.verified.version,
                "address": request.remote_addr or None,
                # Whose word the initiator is: the signed body's, or that of whoever has the token.
                "initiator_is": None if initiator is None else "verified" if self.verified.body_signed else "claimed",
            },
        )

    def rejected(self, refusal: DeliveryRefused) -> Received:
        """Return what is stored of it when it is unfit; without identity, so that it is accepted once it is mended."""
        return self.received(State.REJECTED, reason=f"{refusal.status}: {refusal.detail}")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The two views and what they stand on; ``clock`` gives seconds since 1970."""

    settings: Settings
    store: Store
    registry: Registry
    waiting: Waiting
    nudge: Nudge
    own: OwnAccounts
    strangers: Strangers
    reserve: Reserve
    clock: Callable[[], float]

    def receive(self, rule: str) -> Response:
        """Accept a webhook for ``rule``, or say why not."""
        _require_name(rule)
        raw = request.get_data(cache=False)
        if len(raw) > self.settings.max_body:
            raise RequestEntityTooLarge
        known, usable = self._rule(rule)
        now = self.clock()
        try:
            verified = signature.verify(
                dict(request.headers),
                raw,
                rule=rule,
                source=None if known is None else known.manifest.source,
                versions=None if known is None else known.manifest.accept.token_versions,
                secrets=self.settings.secrets,
                now=now,
            )
        except DeliveryRefused as refusal:
            raise self.strangers.refuse(refusal, request.remote_addr or "") from refusal
        self.reserve.require()
        arrival = _Arrival(rule, known, verified, raw, now)
        try:
            if not usable:
                raise _no_rules()
            limit = waiting.seconds(request.args.get("wait"))
            received = self._judged(arrival)
        except DeliveryRefused as refusal:
            return problem.refused(refusal, self._accept(arrival.rejected(refusal)).id)
        accepted = self._accept(received)
        if accepted.state is State.QUEUED and not accepted.duplicate:
            self.nudge.send()
        return _answer(accepted) if limit is None else self._wait(accepted, rule, limit).answer()

    def show(self, rule: str, delivery: str) -> Response:
        """Tell how a delivery of ``rule`` stands, for the rule's token only."""
        _require_name(rule)
        known, _ = self._rule(rule)
        versions = None if known is None else known.manifest.accept.token_versions
        try:
            signature.verify_token(dict(request.headers), rule, versions, self.settings.secrets)
        except DeliveryRefused as refusal:
            raise self.strangers.refuse(refusal, request.remote_addr or "") from refusal
        limit = waiting.seconds(request.args.get("wait"))
        now = self.waiting.look(delivery, rule) if _DELIVERY.fullmatch(delivery) else None
        if now is None:
            raise DeliveryRefused(404, "Not Found", "This rule has no such delivery.", kept=False)
        return self.waiting.until_ended(now, rule, limit or 0).answer()

    def _rule(self, name: str) -> tuple[Rule | None, bool]:
        """Return the rule of that name, and whether any rules are in force: a process may start among mistakes."""
        try:
            return self.registry.current().get(name), True
        except RuleInvalid:
            return None, False

    def _judged(self, arrival: _Arrival) -> Received:
        if arrival.rule is None:
            raise DeliveryRefused(404, "Not Found", "There is no rule of this name.", kept=True)
        _require_json()
        payload = body.parse(arrival.raw)
        judgement = judge(arrival.rule.manifest, payload, datetime.fromtimestamp(arrival.at, UTC), self.own.ids())
        if judgement.verdict == "reject":
            raise DeliveryRefused(422, "Unprocessable Content", _listed(judgement), kept=True)
        if judgement.verdict == "ignore":
            # Without identity: what is ignored must never make a later delivery look like a duplicate.
            return arrival.received(State.IGNORED, judgement, reason=_listed(judgement))
        identity = identify(judgement.identity, arrival.verified.signed_id, dict(request.headers), arrival.raw)
        return arrival.received(State.QUEUED, judgement, identity=identity)

    def _accept(self, received: Received) -> Accepted:
        def work(connection: sa.Connection) -> Accepted:
            return deliveries.accept(connection, received)

        # Works of one commit take their locks in the order of this text, see Store.commit.
        key = received.order_key or received.identity or received.id
        return self.store.commit(work, key=f"{received.rule}\n{key}")

    def _wait(self, accepted: Accepted, rule: str, limit: float) -> Standing:
        now = Standing(accepted.id, accepted.state)
        if accepted.duplicate:
            now = self.waiting.look(accepted.id, rule) or now
        return replace(self.waiting.until_ended(now, rule, limit), duplicate=accepted.duplicate)


def _no_rules() -> DeliveryRefused:
    # Kept, because Automation does not send again; senders that do are told to.
    detail = "The bridge's rule files have mistakes and none is in force; a person must mend them."
    return DeliveryRefused(503, "Service Unavailable", detail, kept=True)


def _require_name(rule: str) -> None:
    if not _RULE.fullmatch(rule):
        raise signature.refusal()


def _require_json() -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if not _JSON.fullmatch(request.mimetype) or charset not in {"utf-8", "utf8"} or coding != "identity":
        raise DeliveryRefused(
            415,
            "Unsupported Media Type",
            "The body must be JSON in UTF-8, sent with the header Content-Type: application/json and not compressed.",
            kept=True,
        )


def _answer(accepted: Accepted) -> Response:
    document: dict[str, object] = {"delivery": accepted.id, "status": str(accepted.state)}
    status = HTTPStatus.OK
    if accepted.duplicate:
        document |= {"status": "duplicate", "differs": accepted.differs}
    elif accepted.state is State.QUEUED:
        status = HTTPStatus.ACCEPTED
    return Response(json.dumps(document), status, content_type="application/json")


def _listed(judgement: Judgement) -> str:
    return "; ".join(judgement.reasons)


def _printable(text: str) -> str:
    """Keep an account id as it is and disarm what is none: no database takes NUL, no terminal an escape."""
    kept = text if text.isprintable() else ascii(text)[1:-1]
    return kept[:LONGEST_INITIATOR]
