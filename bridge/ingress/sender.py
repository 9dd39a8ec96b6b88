"""What a sender adds to its webhook: the other side of ``signature``, for trying rules, for tests and the demo."""

from bridge.ingress import signature
from bridge.ingress.signature import SCHEMES, Scheme
from bridge.settings import Secret
from bridge.store.engine import new_id


def headers(source: str, rule: str, version: int, body: bytes, secret: Secret, now: float) -> dict[str, str]:
    """Return the headers that open ``rule`` for ``body``, in the scheme of the rule's source; ``now`` in seconds."""
    (scheme,) = SCHEMES[source]
    if scheme is Scheme.TOKEN:
        return {"Authorization": f"Bearer {signature.mint_token(secret, rule, version)}"}
    if scheme is Scheme.BODY:
        identifier = {"X-Atlassian-Webhook-Identifier": new_id()}
        return {"X-Hub-Signature": signature.sign_body(signature.hub_secret(secret, rule), body), **identifier}
    signed_id, timestamp = new_id(), str(int(now))
    signed = signature.sign_webhook(signature.webhook_secret(secret, rule), signed_id, timestamp, body)
    return {"webhook-id": signed_id, "webhook-timestamp": timestamp, "webhook-signature": signed}
