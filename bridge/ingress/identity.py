"""What makes two webhooks the same delivery: the first of three identities that a webhook has, or none.

Each begins with its kind, so that a value chosen in one place never meets a value of another.
"""

import hashlib
from collections.abc import Mapping

LONGEST = 200  # characters; a longer identity is kept as its digest, so that the index stays small

# Jira's webhooks repeat the first of these with each retry of one webhook; the second is
# draft-ietf-httpapi-idempotency-key-header, which scripts can send.
HEADERS = ("x-atlassian-webhook-identifier", "idempotency-key")


def identify(key: str | None, signed_id: str | None, headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the identity of a webhook, None if it has none and each arrival is a delivery of its own.

    ``key`` is what the manifest's ``idempotency_key`` found in the payload and ``signed_id`` a signed ``webhook-id``. A
    plain header counts only together with the body, because no signature covers it: whoever repeats a header over
    another body must not make that body disappear as a duplicate.
    """
    if key is not None:
        return _bounded("key", key)
    if signed_id is not None:
        return _bounded("webhook-id", signed_id)
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    for name in HEADERS:
        if sent.get(name):
            return _bounded("header", f"{name}:{sent[name]}:{hashlib.sha256(body).hexdigest()}")
    return None


def _bounded(kind: str, text: str) -> str:
    # PostgreSQL's text cannot hold NUL, nor any database a lone surrogate; such a text is kept as its digest too.
    if len(text) <= LONGEST and text.isprintable():
        return f"{kind}:{text}"
    return f"{kind}:sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
