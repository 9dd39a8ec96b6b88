"""What opens a product for an account now: an API token, or an access token that was fetched for a client secret.

Access tokens are kept in this process only, never in Redis or the database, where others could read them. One thread
fetches a new one five minutes before the old one ends, while the others go on with that. Of two credentials in rotation
the one before is used while the site rejects the current one.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.egress.answered import REFUSED, SiteAnswer, Unauthorized
from bridge.egress.upstream import Outgoing, Upstream
from bridge.errors import AccountRejected, InDoubt, NotSent, SettingsInvalid
from bridge.settings import REFERENCES, Account, Credential, Reference

log = logging.getLogger(__name__)

EARLY = 300.0
LIFETIME = (
    3600.0  # https://support.atlassian.com/user-management/docs/create-oauth-2-0-credential-for-service-accounts/
)
LONGEST_LIFETIME = 86400.0
FETCH_SECONDS = 10.0
# A renewal that failed is tried again after this, and those who waited for it meanwhile fail with it.
AGAIN = 15.0
# How long a credential that was rejected comes last.
DISTRUST = 300.0
_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what RFC 6750 section 2.1 allows and a little more
_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)  # RFC 6749 section 5.2

Send = Callable[[str], SiteAnswer]
Key = tuple[str, str, str]


class ClientRejected(Unauthorized):
    """The authorization server gives no access token for this client."""

    def __init__(self, text: str) -> None:
        super().__init__("credential")
        self.text = text


@dataclass(frozen=True, slots=True)
class _Held:
    text: str = field(repr=False)
    due: float
    ends: float


@dataclass(slots=True)
class _Slot:
    """One access token, and the lock of who fetches it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    held: _Held | None = None
    failed: Exception | None = None
    failed_at: float = 0.0


class Credentials:
    """Finds what to present. ``clock`` gives seconds that only ever grow. Safe for threads."""

    def __init__(self, auth_url: str, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._auth_url = auth_url
        self._upstream = upstream
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[Key, _Slot] = {}
        self._rejected: dict[Key, float] = {}
        self._as_form = False

    def use(self, account: Account, product: str, send: Send, *, only: str | None = None) -> SiteAnswer:
        """Send with the first credential that the site accepts; ``only`` is ``current`` or ``previous``.

        Raises what ``send`` raises, ``Unauthorized`` if none is accepted, ``AccountRejected`` if there is none to try
        and ``NotSent`` while none can be fetched.
        """
        rejected: Unauthorized | None = None
        unusable: AccountRejected | None = None
        for which, credential in self._in_order(account, product, only):
            key = (account.name, product, which)
            try:
                answer = self._present(account, product, key, credential, send)
            except AccountRejected as error:
                unusable = unusable or error
                continue
            except Unauthorized as error:
                if error.why != "credential":
                    raise
                self._rejected[key] = self._clock() + DISTRUST
                rejected = rejected or error
                continue
            self._rejected.pop(key, None)
            return answer if which == "current" else replace(answer, credential=which)
        raise rejected or unusable or AccountRejected(account.name, _none(account, product))

    def prepare(self, account: Account, product: str) -> None:
        """Fetch an access token now if the credential that comes first will need a new one.

        What is rejected here is rejected again, and told, when it is used. Raises ``NotSent`` while none can be
        fetched.
        """
        for which, credential in self._in_order(account, product, None):
            try:
                self._token(account, product, (account.name, product, which), credential)
            except (AccountRejected, Unauthorized):
                continue
            return

    def _in_order(self, account: Account, product: str, only: str | None) -> Iterator[tuple[str, Credential]]:
        credential = account.credentials.get(product)
        both = [] if credential is None else [pair for pair in credential.both() if only in {None, pair[0]}]
        now = self._clock()
        yield from sorted(both, key=lambda pair: self._rejected.get((account.name, product, pair[0]), 0.0) > now)

    def _present(self, account: Account, product: str, key: Key, credential: Credential, send: Send) -> SiteAnswer:
        token = self._token(account, product, key, credential)
        try:
            return send(token)
        except Unauthorized as error:
            if error.why != "credential" or credential.client_id is None:
                raise
            # A 401 is certainly not executed, so it may be sent again with a token that is certainly new.
            slot = self._slot(key)
            with slot.lock:
                if slot.held is not None and slot.held.text == token:
                    slot.held = None
        return send(self._token(account, product, key, credential))

    def _token(self, account: Account, product: str, key: Key, credential: Credential) -> str:
        """Return what is presented: the API token, or an access token for the client."""
        if credential.ended:
            text = f"the {product} {credential.kind} of {account.name} ended on {credential.expires}"
            raise AccountRejected(account.name, text)
        secret = _opened(account.name, product, credential.kind, credential.secret)
        if credential.client_id is None:
            return secret
        client = credential.client_id
        if client.startswith(REFERENCES):
            client = _opened(account.name, product, "client id", Reference(client))
        return self._access(self._slot(key), client, secret)

    def _slot(self, key: Key) -> _Slot:
        with self._lock:
            return self._slots.setdefault(key, _Slot())

    def _access(self, slot: _Slot, client: str, secret: str) -> str:
        """Return an access token that is valid, fetched only if there is none or the one there is soon ends."""
        held, now = slot.held, self._clock()
        if held is not None and now < held.due:
            return held.text
        if held is not None and now < held.ends:
            if slot.lock.acquire(blocking=False):
                try:
                    self._renew(slot, held, client, secret)
                finally:
                    slot.lock.release()
            return (slot.held or held).text
        with slot.lock:
            now = self._clock()
            if slot.held is not None and now < slot.held.ends:
                return slot.held.text
            if slot.failed is not None and now < slot.failed_at + 1.0:
                raise slot.failed
            try:
                slot.held, slot.failed = self._fetch(client, secret), None
            except (NotSent, ClientRejected) as error:
                slot.failed, slot.failed_at = error, self._clock()
                raise
            return slot.held.text

    def _renew(self, slot: _Slot, held: _Held, client: str, secret: str) -> None:
        if slot.held is not held:
            return
        try:
            slot.held = self._fetch(client, secret)
        except (NotSent, ClientRejected) as error:
            # The old one is good for some minutes yet, so nobody has to wait for this.
            log.warning("egress.access_token_not_renewed: %s", error)
            slot.held = replace(held, due=min(self._clock() + AGAIN, held.ends))

    def _fetch(self, client: str, secret: str) -> _Held:
        """Fetch an access token (RFC 6749 section 4.4).

        The form is what the RFC asks for, JSON what Atlassian's examples send; what is refused one way is tried the
        other way. Raises ``ClientRejected`` or ``NotSent``.
        """
        asked = self._clock()
        fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        answer = self._ask(fields, as_form=self._as_form)
        if answer is None or answer.status >= REFUSED:
            other = self._ask(fields, as_form=not self._as_form)
            if other is not None and other.done:
                self._as_form, answer = not self._as_form, other
        said: dict[str, Any] = answer.body if answer is not None and isinstance(answer.body, dict) else {}
        token = said.get("access_token")
        if answer is None or not answer.done or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            code = said.get("error")
            named = f", {code}" if isinstance(code, str) and _ERROR.fullmatch(code) else ""
            status = "401" if answer is None else str(answer.status)
            raise ClientRejected(f"{self._auth_url} gives no access token for this client ({status}{named})")
        lifetime = said.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else LIFETIME
        seconds = min(seconds, LONGEST_LIFETIME)
        return _Held(token, asked + seconds - min(EARLY, seconds / 2), asked + seconds)

    def _ask(self, fields: dict[str, str], *, as_form: bool) -> SiteAnswer | None:
        """Ask for an access token; None is a 401."""
        body, form = (None, fields) if as_form else (fields, None)
        try:
            return self._upstream.send(
                Outgoing("POST", self._auth_url, "/oauth/token", {}, body, form), None, FETCH_SECONDS
            )
        except Unauthorized:
            return None
        except (NotSent, InDoubt) as error:
            # Nothing was asked of the site yet, whatever became of this.
            delay = error.delay if isinstance(error, NotSent) else AGAIN
            raise NotSent(f"{self._auth_url} gives no access token now: {error}", delay=delay) from error


def _opened(account: str, product: str, kind: str, reference: Reference) -> str:
    try:
        text = reference.open()
    except SettingsInvalid as error:
        raise AccountRejected(account, f"the {product} {kind} of {account}: {error}") from error
    if not _TOKEN.fullmatch(text):
        raise AccountRejected(account, f"the {product} {kind} of {account} has letters that none has")
    return text


def _none(account: Account, product: str) -> str:
    return f"account {account.name} has no [account.{account.name}.{product}]"
