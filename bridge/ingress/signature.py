"""Who may hand in a delivery: three schemes, decided from header, body, key and time alone, without I/O.

=================== ============================================= ====================================================
scheme              what the sender sends                         what it proves
=================== ============================================= ====================================================
rule token          ``Authorization: Bearer brt1.…`` or           the sender was given this rule's token; the body is
                    ``X-Bridge-Token: brt1.…``                    a claim, because Automation cannot sign it
body signature      ``X-Hub-Signature: sha256=<hex>``             the body is the sender's
                    (`Jira's webhooks`_)
Standard Webhooks   ``webhook-id``, ``webhook-timestamp``,        body and id are the sender's, and not older than
                    ``webhook-signature: v1,<base64>`` (`spec`_)  five minutes
=================== ============================================= ====================================================

Everything derives from the master keys of ``BRIDGE_SECRETS`` by HMAC-SHA256 over a text that names purpose and rule, so
that what opens one rule says nothing about another. How much is computed depends on what was sent, never on whether the
rule exists, and each failure is the same refusal: an outsider learns nothing.

.. _Jira's webhooks: https://developer.atlassian.com/cloud/jira/platform/webhooks/
.. _spec: https://www.standardwebhooks.com
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.errors import DeliveryRefused
from bridge.settings import Secret

TOLERANCE = 300  # seconds a Standard Webhooks timestamp may differ from our clock, as its reference libraries have it

_TOKEN = re.compile(r"brt1\.([A-Za-z0-9]{1,64})\.([1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})")
_BEARER = re.compile(r"[Bb]earer +(\S+)")
_HUB = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SIGNED_ID = re.compile(r"[!-~]{1,256}")
_SIGNED_AT = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES = 8  # a rotation has two; more would only cost time


class Scheme(StrEnum):
    """How a sender showed that it may; the words of the journal."""

    TOKEN = "rule token"  # noqa: S105 - the name of a scheme
    BODY = "body signature"
    WEBHOOK = "standard webhook"


# A rule's source fixes the scheme. None stands for a rule that does not exist: what would open it if it did exist is
# enough to be told so, and nothing can be made of the answer.
SCHEMES: Mapping[str | None, frozenset[Scheme]] = {
    "jira-automation": frozenset({Scheme.TOKEN}),
    "confluence-automation": frozenset({Scheme.TOKEN}),
    "jira-webhook": frozenset({Scheme.BODY}),
    "other": frozenset({Scheme.WEBHOOK}),
    None: frozenset(Scheme),
}


@dataclass(frozen=True, slots=True)
class Verified:
    """What opened the door: ``version`` only for a token, ``signed_id`` (``webhook-id``) only for Standard Webhooks."""

    scheme: Scheme
    key_id: str
    version: int | None = None
    signed_id: str | None = None

    @property
    def body_signed(self) -> bool:
        """Tell whether the body is the sender's own word rather than a claim."""
        return self.scheme is not Scheme.TOKEN


def refusal() -> DeliveryRefused:
    """Return the one refusal for every cause; nothing is kept of such a request."""
    return DeliveryRefused(401, "Unauthorized", "No valid signature for this address was sent.", kept=False)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, _bytes(text), hashlib.sha256)


def _bytes(text: str) -> bytes:
    # Header values and paths may hold anything, lone surrogates included, and comparing must not fail on them.
    return text.encode("utf-8", "surrogatepass")


def mint_token(secret: Secret, rule: str, version: int) -> str:
    """Return the token that opens ``rule`` in ``version``: ``brt1.<key id>.<version>.<43 letters>``."""
    mac = _mac(secret.key, f"brt1|{rule}|{version}")
    return f"brt1.{secret.id}.{version}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode('ascii')}"


def hub_secret(secret: Secret, rule: str) -> str:
    """Return the text an administrator enters as *Secret* of Jira's webhook for ``rule``."""
    return base64.urlsafe_b64encode(_mac(secret.key, f"hub1|{rule}")).rstrip(b"=").decode("ascii")


def webhook_secret(secret: Secret, rule: str) -> str:
    """Return the Standard Webhooks secret of ``rule`` as its libraries take it: ``whsec_<base64>``."""
    return "whsec_" + base64.b64encode(_mac(secret.key, f"swh1|{rule}")).decode("ascii")


def sign_body(secret: str, body: bytes) -> str:
    """Return the ``X-Hub-Signature`` of ``body`` under a secret text, ``sha256=<hex>``."""
    return "sha256=" + hmac.digest(_bytes(secret), body, hashlib.sha256).hex()


def sign_webhook(secret: str, signed_id: str, timestamp: int | str, body: bytes) -> str:
    """Return the ``webhook-signature`` of id, timestamp (seconds since 1970) and body under a ``whsec_…`` secret.

    Raises ``ValueError`` if what follows ``whsec_`` is not base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    content = _bytes(f"{signed_id}.{timestamp}.") + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode("ascii")


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    rule: str,
    source: str | None,
    versions: Collection[int] | None,
    secrets: Sequence[Secret],
    now: float,
) -> Verified:
    """Decide whether a request may hand in a delivery for ``rule``.

    ``source`` is the rule's, None if there is no such rule; ``versions`` are the token versions it lists, None for any
    (no such rule); ``now`` is in seconds since 1970. Raises ``DeliveryRefused`` 401, the same for every cause.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    # Each is computed whenever it was sent, whatever the source: the time taken must not tell which rules there are.
    found = (
        _verify_token(sent, rule, versions, secrets),
        _verify_body(sent, body, rule, secrets),
        _verify_webhook(sent, body, rule, secrets, now),
    )
    opening = SCHEMES.get(source, frozenset())
    for verified in found:
        if verified is not None and verified.scheme in opening:
            return verified
    raise refusal()


def verify_token(
    headers: Mapping[str, str], rule: str, versions: Collection[int] | None, secrets: Sequence[Secret]
) -> Verified:
    """Decide whether a request may ask how a delivery of ``rule`` stands: by rule token, whatever the rule's source.

    Raises ``DeliveryRefused`` 401, the same for every cause.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    verified = _verify_token(sent, rule, versions, secrets)
    if verified is None:
        raise refusal()
    return verified


def _verify_token(
    sent: Mapping[str, str], rule: str, versions: Collection[int] | None, secrets: Sequence[Secret]
) -> Verified | None:
    # A proxy may need Authorization for itself, hence the second header, which then counts alone.
    text = sent.get("x-bridge-token")
    if text is None:
        bearer = _BEARER.fullmatch(sent.get("authorization", "").strip())
        text = bearer[1] if bearer else ""
    parts = _TOKEN.fullmatch(text.strip())
    if parts is None or not secrets:
        return None
    version = int(parts[2])
    named = next((secret for secret in secrets if secret.id == parts[1]), None)
    # With an unknown key id the work is done all the same, and thrown away.
    expected = mint_token(Secret(parts[1], (named or secrets[0]).key), rule, version)
    same = hmac.compare_digest(_bytes(parts[0]), _bytes(expected))
    listed = versions is None or version in versions
    return Verified(Scheme.TOKEN, named.id, version) if same and named is not None and listed else None


def _verify_body(sent: Mapping[str, str], body: bytes, rule: str, secrets: Sequence[Secret]) -> Verified | None:
    # Atlassian reserves other methods than sha256 for the future; sha1 is not one of them.
    parts = _HUB.fullmatch(sent.get("x-hub-signature", "").strip())
    if parts is None:
        return None
    given = _bytes(f"sha256={parts[1].lower()}")
    found: Verified | None = None
    for secret in secrets:
        same = hmac.compare_digest(given, _bytes(sign_body(hub_secret(secret, rule), body)))
        if same and found is None:
            found = Verified(Scheme.BODY, secret.id)
    return found


def _verify_webhook(
    sent: Mapping[str, str], body: bytes, rule: str, secrets: Sequence[Secret], now: float
) -> Verified | None:
    signed_id = sent.get("webhook-id", "")
    signed_at = sent.get("webhook-timestamp", "")
    if not _SIGNED_ID.fullmatch(signed_id) or not _SIGNED_AT.fullmatch(signed_at):
        return None
    if abs(now - int(signed_at)) > TOLERANCE:
        return None
    given = [_bytes(each) for each in sent.get("webhook-signature", "").split()[:_MOST_SIGNATURES]]
    found: Verified | None = None
    for secret in secrets:
        expected = _bytes(sign_webhook(webhook_secret(secret, rule), signed_id, signed_at, body))
        # Every signature is compared, wherever the right one stands.
        same = sum(hmac.compare_digest(each, expected) for each in given)
        if same and found is None:
            found = Verified(Scheme.WEBHOOK, secret.id, signed_id=signed_id)
    return found
