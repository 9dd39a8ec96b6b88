"""What lets a worker speak for one attempt of one delivery: signed, so that egress keeps no list of them."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import Fenced
from bridge.settings import Secret
from bridge.store.engine import boot_clock

PREFIX = "cap1"


@dataclass(frozen=True, slots=True)
class Capability:
    """A proven claim: ``deadline`` is the attempt's end in seconds of the boot clock of egress's machine."""

    delivery: str
    attempt: int
    deadline: int

    @property
    def seconds_left(self) -> float:
        """How long the attempt may still take."""
        return self.deadline - boot_clock()


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, f"{PREFIX}|{text}".encode(), hashlib.sha256).hexdigest()


def grant(key: bytes, delivery: str, attempt: int, timeout: float) -> str:
    """Sign the right to act for an attempt until ``timeout`` seconds from now."""
    deadline = int(boot_clock() + timeout) + 1
    return f"{PREFIX}.{deadline}.{_mac(key, f'{delivery}|{attempt}|{deadline}')}"


def prove(secrets: Sequence[Secret], text: str, delivery: str, attempt: int) -> Capability:
    """Check a capability against every configured secret, so that a rotation interrupts no attempt.

    Raises ``Fenced`` if it is not for this delivery and attempt.
    """
    prefix, _, rest = text.partition(".")
    deadline, _, mac = rest.partition(".")
    if prefix == PREFIX and deadline.isascii() and deadline.isdigit() and mac.isascii():
        for secret in secrets:
            if hmac.compare_digest(_mac(secret.key, f"{delivery}|{attempt}|{deadline}"), mac):
                return Capability(delivery, attempt, int(deadline))
    raise Fenced("the capability is not one for this attempt")
