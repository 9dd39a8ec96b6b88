"""Who may hand in a delivery: published vectors, every way to be wrong, and input nobody thought of."""

import base64
import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import DeliveryRefused
from bridge.ingress.signature import (
    SCHEMES,
    Scheme,
    Verified,
    hub_secret,
    mint_token,
    sign_body,
    sign_webhook,
    verify,
    verify_token,
    webhook_secret,
)
from bridge.settings import Secret

NEW, OLD = Secret("k2", b"n" * 32), Secret("k1", b"o" * 32)
SECRETS = (NEW, OLD)
NOW = 1_795_305_600.0
BODY = b'{"issue":"OPS-1"}'
# The machine may be busy with other tests; how long it takes to think up input says nothing about the product.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def hmac_by_hand(key: bytes, content: bytes) -> bytes:
    """RFC 2104 written out, so that the product's arithmetic is checked by another one."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + content).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()


def opened(
    headers: Mapping[str, str],
    source: str | None = "jira-automation",
    *,
    body: bytes = BODY,
    rule: str = "triage",
    versions: tuple[int, ...] | None = (3,),
    now: float = NOW,
) -> Verified | None:
    try:
        return verify(headers, body, rule=rule, source=source, versions=versions, secrets=SECRETS, now=now)
    except DeliveryRefused as error:
        refusal = error
    assert (refusal.status, refusal.kept) == (401, False)
    assert str(refusal) == "401 Unauthorized: No valid signature for this address was sent."
    return None


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def webhook(*, secret: Secret = NEW, at: float = NOW, rule: str = "triage", body: bytes = BODY) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": sign_webhook(webhook_secret(secret, rule), "msg_1", int(at), body),
    }


def test_a_token_is_the_hmac_of_rule_and_version_under_the_named_key() -> None:
    token = mint_token(NEW, "triage", 3)
    mac = base64.urlsafe_b64encode(hmac_by_hand(NEW.key, b"brt1|triage|3")).decode().rstrip("=")
    assert token == f"brt1.k2.3.{mac}"


def test_a_token_opens_its_rule_from_either_header() -> None:
    token = mint_token(NEW, "triage", 3)
    expected = Verified(Scheme.TOKEN, "k2", 3)
    assert opened(bearer(token)) == expected
    assert opened({"X-Bridge-Token": token}) == expected
    assert opened({"x-bridge-token": token, "authorization": "Basic dTpw"}) == expected
    assert opened(bearer(token), "confluence-automation") == expected
    assert not expected.body_signed


def test_a_token_of_an_older_key_still_opens_while_that_key_is_configured() -> None:
    assert opened(bearer(mint_token(OLD, "triage", 3))) == Verified(Scheme.TOKEN, "k1", 3)


def test_while_an_automation_is_changed_both_listed_versions_open() -> None:
    for version in (3, 4):
        assert opened(bearer(mint_token(NEW, "triage", version)), versions=(3, 4)) is not None
    assert opened(bearer(mint_token(NEW, "triage", 5)), versions=(3, 4)) is None


@pytest.mark.parametrize(
    ("why", "token"),
    [
        ("of another rule", mint_token(NEW, "other_rule", 3)),
        ("of a version no longer listed", mint_token(NEW, "triage", 2)),
        ("naming a key that is not there", mint_token(Secret("k9", NEW.key), "triage", 3)),
        ("naming another key than it was made with", mint_token(Secret("k1", NEW.key), "triage", 3)),
        ("with its version changed", mint_token(NEW, "triage", 2).replace(".2.", ".3.")),
        ("cut short", mint_token(NEW, "triage", 3)[:-1]),
        ("with padding", mint_token(NEW, "triage", 3) + "="),
        ("with something after it", mint_token(NEW, "triage", 3) + ".x"),
        ("of another format", mint_token(NEW, "triage", 3).replace("brt1", "brt2")),
        ("with a leading zero in its version", mint_token(NEW, "triage", 3).replace(".3.", ".03.")),
        ("with a version of Arabic digits", mint_token(NEW, "triage", 3).replace(".3.", ".٣.")),
        ("empty", ""),
    ],
)
def test_a_token_is_refused(why: str, token: str) -> None:
    assert opened(bearer(token)) is None, why
    assert opened({"X-Bridge-Token": token}) is None, why


def test_a_token_is_not_taken_without_bearer_nor_by_another_source() -> None:
    token = mint_token(NEW, "triage", 3)
    assert opened({"Authorization": token}) is None
    assert opened({"Authorization": f"Basic {token}"}) is None
    assert opened(bearer(token), "jira-webhook") is None
    assert opened(bearer(token), "other") is None
    assert opened(bearer(token), "a source of a later version") is None


def test_a_wrong_token_in_its_own_header_is_not_made_good_by_the_other_header() -> None:
    token = mint_token(NEW, "triage", 3)
    assert opened({"X-Bridge-Token": "brt1.k2.3.wrong", **bearer(token)}) is None


def test_jiras_published_example_of_a_body_signature_is_reproduced() -> None:
    """Developer documentation of Jira Cloud's webhooks, "Secure your webhooks"."""
    signature = sign_body("It's a Secret to Everybody", b"Hello World!")
    assert signature == "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    assert sign_body("It's a Secret to Everybody", b"Hello World?") != signature


def test_a_body_signature_opens_jiras_own_webhooks_under_any_configured_key() -> None:
    for secret in SECRETS:
        signature = sign_body(hub_secret(secret, "triage"), BODY)
        verified = opened({"X-Hub-Signature": signature}, "jira-webhook")
        assert verified == Verified(Scheme.BODY, secret.id)
        assert verified.body_signed
        assert opened({"x-hub-signature": signature.replace("sha256=", "sha256=").upper()}, "jira-webhook") is None
        assert opened({"x-hub-signature": "sha256=" + signature[7:].upper()}, "jira-webhook") == verified


def test_a_body_signature_is_refused_for_any_other_body_rule_method_or_source() -> None:
    signature = sign_body(hub_secret(NEW, "triage"), BODY)
    headers = {"X-Hub-Signature": signature}
    assert opened(headers, "jira-webhook", body=BODY + b" ") is None
    assert opened(headers, "jira-webhook", rule="other_rule") is None
    assert opened(headers, "jira-automation") is None
    assert opened(headers, "other") is None
    for wrong in (signature[:-1], signature + "0", "sha1=" + signature[7:47], "sha1=" + signature[7:], signature[7:]):
        assert opened({"X-Hub-Signature": wrong}, "jira-webhook") is None


def test_the_reference_vector_of_standard_webhooks_is_reproduced() -> None:
    """The example of the Standard Webhooks reference libraries and of Svix's documentation."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signature = sign_webhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    by_hand = hmac_by_hand(base64.b64decode(secret[6:]), b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body)
    assert signature == "v1," + base64.b64encode(by_hand).decode()


def test_a_standard_webhook_opens_a_rule_of_another_source() -> None:
    for secret in SECRETS:
        verified = opened(webhook(secret=secret), "other")
        assert verified == Verified(Scheme.WEBHOOK, secret.id, signed_id="msg_1")
        assert verified.body_signed


def test_of_several_signatures_one_right_one_is_enough() -> None:
    headers = webhook()
    right = headers["webhook-signature"]
    headers["webhook-signature"] = f"v1a,ed25519+is+not+ours= v1,AAAA {right}"
    assert opened(headers, "other") is not None
    headers["webhook-signature"] = " ".join(["v1,AAAA"] * 8 + [right])
    assert opened(headers, "other") is None, "a long list would only cost time"


@pytest.mark.parametrize(("seconds", "opens"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_standard_webhook_may_be_five_minutes_off(seconds: int, opens: bool) -> None:
    assert (opened(webhook(at=NOW + seconds), "other") is not None) is opens


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_2"),
        ("webhook-id", ""),
        ("webhook-id", "msg 1"),
        ("webhook-id", "m" * 257),
        ("webhook-timestamp", str(int(NOW) + 1)),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", f" {int(NOW)}"),
        ("webhook-timestamp", f"+{int(NOW)}"),
        ("webhook-timestamp", f"{NOW}"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "NaN"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1"),
    ],
)
def test_a_standard_webhook_is_refused_with_one_header_wrong(name: str, value: str) -> None:
    assert opened(webhook() | {name: value}, "other") is None


def test_a_standard_webhook_is_refused_for_another_rule_body_or_source() -> None:
    assert opened(webhook(rule="other_rule"), "other") is None
    assert opened(webhook(body=b"{}"), "other") is None
    assert opened(webhook(), "jira-webhook") is None
    assert opened(webhook(), "jira-automation") is None


def test_what_would_open_a_rule_that_is_not_there_is_recognised_in_any_version_and_scheme() -> None:
    assert opened(bearer(mint_token(NEW, "gone", 77)), None, rule="gone", versions=None) is not None
    hub = {"X-Hub-Signature": sign_body(hub_secret(OLD, "gone"), BODY)}
    assert opened(hub, None, rule="gone", versions=None) is not None
    assert opened(webhook(rule="gone"), None, rule="gone", versions=None) is not None
    assert opened(bearer(mint_token(NEW, "triage", 3)), None, rule="gone", versions=None) is None


def test_nothing_opens_anything_while_no_secret_is_configured() -> None:
    headers = {
        **bearer(mint_token(NEW, "triage", 3)),
        **webhook(),
        "X-Hub-Signature": sign_body(hub_secret(NEW, "triage"), BODY),
    }
    for source in SCHEMES:
        with pytest.raises(DeliveryRefused):
            verify(headers, BODY, rule="triage", source=source, versions=None, secrets=(), now=NOW)


def test_how_a_delivery_stands_is_told_for_a_token_whatever_the_rules_source() -> None:
    token = mint_token(NEW, "triage", 3)
    assert verify_token(bearer(token), "triage", (3,), SECRETS) == Verified(Scheme.TOKEN, "k2", 3)
    for wrong in (bearer(token[:-1]), {}, webhook()):
        with pytest.raises(DeliveryRefused):
            verify_token(wrong, "triage", (3,), SECRETS)


def test_the_printed_secrets_differ_by_rule_purpose_and_key() -> None:
    printed = {
        form(secret, rule) for form in (hub_secret, webhook_secret) for secret in SECRETS for rule in ("triage", "b")
    }
    assert len(printed) == 8
    assert all(NEW.key.decode() not in text for text in printed)


NAMES = ["Authorization", "X-Bridge-Token", "X-Hub-Signature", "webhook-id", "webhook-timestamp", "webhook-signature"]
PARTS = ["brt1", ".", "k1", "k2", "3", "Bearer ", "sha256=", "v1,", " ", "=", "0" * 64, "A" * 43, str(int(NOW))]
VALUES = st.one_of(st.text(), st.lists(st.sampled_from(PARTS), max_size=8).map("".join))


@UNHURRIED
@given(
    headers=st.dictionaries(st.sampled_from(NAMES), VALUES),
    body=st.binary(),
    source=st.sampled_from([*SCHEMES, "unheard of"]),
)
@example(headers={"X-Bridge-Token": "\ud800"}, body=b"", source="jira-automation")
@example(headers={"webhook-id": "é", "webhook-timestamp": "²", "webhook-signature": "v1,é"}, body=b"", source="other")
def test_whatever_is_sent_without_the_key_is_refused_the_same_way(
    headers: dict[str, str], body: bytes, source: str | None
) -> None:
    assert opened(headers, source, body=body) is None


@UNHURRIED
@given(st.integers(0, 42), st.characters())
def test_a_token_with_any_letter_changed_is_refused(place: int, letter: str) -> None:
    token = mint_token(NEW, "triage", 3)
    start = len(token) - 43 + place
    changed = token[:start] + letter + token[start + 1 :]
    assert (opened({"X-Bridge-Token": changed}) is not None) == (changed.strip() == token)
