"""Service accounts: which credential opens which product, where their site is and who they are there."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.catalogue import Operation, oauth
from bridge.egress.answered import Broken, Limited, SiteAnswer, Unauthorized, Unreachable
from bridge.egress.circuit import State
from bridge.egress.credentials import ClientRejected, Credentials
from bridge.egress.exchange import Leave
from bridge.egress.gate import Gate, Scripts
from bridge.egress.upstream import Attached, Keep, Outgoing, Upstream
from bridge.errors import AccountRejected, BridgeError, InDoubt, NotSent
from bridge.settings import CLOUD_ID, Account, Settings
from bridge.store import Store, registers
from bridge.store.engine import timestamp
from bridge.store.registers import KnownAccount

log = logging.getLogger(__name__)

# https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-myself/ and, for an account without Jira, v1's
# https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-users/.
WHO_AM_I = {"jira": "/rest/api/3/myself", "confluence": "/wiki/rest/api/user/current"}


@dataclass(frozen=True, slots=True)
class Tried:
    """How a credential did: ``which`` is ``current`` or ``previous``, ``works`` None if that could not be told."""

    which: str
    kind: str
    works: bool | None
    text: str


class Accounts:
    """Sends on behalf of accounts. What a site said of itself is remembered for the life of the process."""

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, scripts: Scripts | None = None) -> None:
        self._settings = settings
        self._store = store
        self._upstream = upstream
        self._credentials = Credentials(settings.auth_url, upstream)
        self._gate = Gate(scripts)
        self._lock = threading.Lock()
        self._clouds: dict[str, str] = {}
        self._known: set[str] = set()
        self._nameless: dict[str, str] = {}

    def account(self, name: str) -> Account:
        """Return the account; raise ``AccountRejected`` if bridge.toml no longer has it."""
        found = self._settings.accounts.get(name)
        if found is None:
            raise AccountRejected(name, f"bridge.toml has no [account.{name}]")
        return found

    def cloud_id(self, account: Account) -> str:
        """Return the site's cloudId, given in bridge.toml or asked of the site once.

        https://support.atlassian.com/jira/kb/retrieve-my-atlassian-sites-cloud-id/ names the address. Raises
        ``NotSent`` while the site cannot be asked.
        """
        site = self._settings.sites[account.site]
        if site.cloud_id is not None:
            return site.cloud_id
        with self._lock:
            known = self._clouds.get(site.name)
        if known is not None:
            return known
        try:
            answer = self._upstream.send(Outgoing("GET", site.url, "/_edge/tenant_info", {}), None, 10)
        except (InDoubt, Unauthorized) as error:
            raise NotSent(f"{site.url} does not tell its cloudId ({error})", delay=15) from error
        found = answer.body.get("cloudId") if isinstance(answer.body, dict) else None
        if not answer.done or not isinstance(found, str) or not CLOUD_ID.fullmatch(found):
            raise NotSent(f"{site.url}/_edge/tenant_info answered {answer.status} without a cloudId", delay=60)
        with self._lock:
            self._clouds[site.name] = found
        return found

    def admit(self, name: str, operation: Operation, target: str | None, seconds_left: float) -> None:
        """Return when a request may leave; ``target`` is what it acts on, such as the key of an issue.

        Raises ``NotSent`` if the site's limits or its circuit hold it up.
        """
        tenant = self._tenant(self.account(name), operation.site_product)
        self._gate.admit(tenant, operation, _issue(operation, target), seconds_left)

    def prepare(self, name: str, operation: Operation) -> None:
        """Fetch beforehand what a request would have to wait for on its way: the site's cloudId, an access token.

        Raises ``NotSent`` while that cannot be had.
        """
        account = self.account(name)
        self.cloud_id(account)
        self._credentials.prepare(account, operation.site_product)

    def send(
        self,
        name: str,
        operation: Operation,
        path: str,
        query: Mapping[str, Sequence[str]],
        body: Any = None,
        *,
        seconds_left: float,
        target: str | None = None,
        attached: Attached | None = None,
        leave: Leave | None = None,
    ) -> SiteAnswer:
        """Send one request, already admitted, with the account's credential and return the site's definite answer.

        With a file ``attached`` the body is a form's fields. ``leave`` is asked each time that it is about to leave,
        with whichever credential, and raises ``NotSent`` to keep it. Raises ``NotSent``, ``InDoubt`` or
        ``AccountRejected``; the last with the missing OAuth scopes if that was it.
        """
        request = _Request(operation, path, query, body, attached, target)

        def send(out: Outgoing, token: str) -> SiteAnswer:
            return self._upstream.send(out, token, seconds_left, leave)

        return self._send(self.account(name), request, send)

    def download(
        self,
        name: str,
        operation: Operation,
        path: str,
        query: Mapping[str, Sequence[str]],
        keep: Keep,
        *,
        seconds_left: float,
    ) -> SiteAnswer:
        """Send a request that a file comes for, as ``send`` does, and return what ``keep`` makes of the file."""
        return self._send(
            self.account(name),
            _Request(operation, path, query),
            lambda out, token: self._upstream.download(out, token, seconds_left, keep),
        )

    def _send(
        self,
        account: Account,
        request: "_Request",
        send: Callable[[Outgoing, str], SiteAnswer],
        *,
        only: str | None = None,
    ) -> SiteAnswer:
        operation, product = request.operation, request.operation.site_product
        tenant = self._tenant(account, product)
        out = request.outgoing(f"{self._settings.atlassian_url}/ex/{product}/{self.cloud_id(account)}")

        def counted(token: str) -> SiteAnswer:
            try:
                answer = send(out, token)
            except (Broken, Unreachable) as error:
                self._gate.failed(tenant, str(error))
                raise
            except (Limited, Unauthorized) as error:
                self._gate.worked(tenant)
                if isinstance(error, Limited):
                    self._gate.limited(tenant, operation, _issue(operation, request.target), error)
                raise
            self._gate.worked(tenant)
            return answer

        try:
            return self._credentials.use(account, product, counted, only=only)
        except Unauthorized as error:
            raise self._rejection(account, operation, error) from error

    @staticmethod
    def _rejection(account: Account, operation: Operation, error: Unauthorized) -> AccountRejected:
        """Say why nobody was let in, in words that tell who has to do what."""
        name, product = account.name, operation.site_product
        if error.why == "address":
            text = (
                f"the IP allowlist of {account.site} rejects the address of this machine (403): an organisation admin "
                "adds it at admin.atlassian.com, under Security"
            )
            return AccountRejected(name, text)
        if error.why == "scope":
            return _scope_missing(name, product, operation, account.credentials[product].scopes)
        if isinstance(error, ClientRejected):
            return AccountRejected(name, f"the {product} credential of {name}: {error.text}")
        return AccountRejected(name, f"the site rejects the {product} credential of {name} (401)")

    def _tenant(self, account: Account, product: str) -> str:
        return f"{self.cloud_id(account)}:{product}"

    def circuit(self, name: str, product: str) -> State:
        """Return the state of the circuit of the account's site. Raises ``NotSent`` if its cloudId is not known."""
        return self._gate.state(self._tenant(self.account(name), product))

    def tried(self, name: str, product: str, seconds_left: float) -> list[Tried]:
        """Ask who the account is with each of its credentials for a product, so that a dead one is seen in time."""
        account = self.account(name)
        operation = _who_am_i(product)
        request = _Request(operation, operation.path)
        credential = account.credentials.get(product)
        found = []

        def send(out: Outgoing, token: str) -> SiteAnswer:
            return self._upstream.send(out, token, seconds_left)

        for which, each in credential.both() if credential else ():
            try:
                answer = self._send(account, request, send, only=which)
            except AccountRejected as error:
                # Without the OAuth scope to ask who it is, a credential is alive all the same.
                found.append(Tried(which, each.kind, bool(error.missing), str(error)))
            except (NotSent, InDoubt) as error:
                found.append(Tried(which, each.kind, None, str(error)))
            else:
                found.append(Tried(which, each.kind, answer.done, f"{product} answered {answer.status}"))
        return found

    def introduce(self, name: str, seconds_left: float) -> None:
        """Learn who an account is before its first write, so that ingress can tell our own doings from others'.

        Without the OAuth scope to ask, the account works all the same and ``doctor`` says what is missing. Raises
        ``NotSent`` while the site cannot be asked.
        """
        if name in self._known:
            return
        account = self.account(name)
        with self._store.read() as connection:
            known = registers.account_named(connection, name)
        if known is None or known.cloud_id != self.cloud_id(account):
            try:
                self.learn(name, seconds_left)
            except InDoubt as error:
                raise NotSent(f"the site does not say who {name} is ({error})", delay=15) from error
            except BridgeError as error:
                if isinstance(error, NotSent):
                    raise
                self._nameless[name] = str(error)
                log.warning("egress.account_unknown account=%s: %s", name, error)
        self._known.add(name)

    def nameless(self, name: str) -> str | None:
        """Return why the site did not say who an account is, such as the OAuth scope that is missing; else None."""
        return self._nameless.get(name)

    def learn(self, name: str, seconds_left: float) -> KnownAccount:
        """Ask the site who the account is and keep it.

        Raises what ``send`` raises, and ``AccountRejected`` if the site does not say. ``accountType`` is ``app`` for a
        service account and ``atlassian`` for a person.
        """
        account = self.account(name)
        product = "jira" if "jira" in account.credentials else "confluence"
        operation = _who_am_i(product)
        self.admit(name, operation, None, seconds_left)
        answer = self.send(name, operation, operation.path, {}, seconds_left=seconds_left)
        said = answer.body if isinstance(answer.body, dict) else {}
        if not answer.done or not said.get("accountId"):
            raise AccountRejected(name, f"{product} answered {answer.status} when asked who {name} is")
        known = KnownAccount(
            name=name,
            cloud_id=self.cloud_id(account),
            account_id=str(said["accountId"]),
            display_name=str(said.get("displayName") or said.get("publicName") or name),
            account_type=said.get("accountType"),
            seen_at=timestamp(),
        )
        self._store.commit(lambda connection: registers.keep_account(connection, known))
        return known


def _scope_missing(name: str, product: str, operation: Operation, declared: frozenset[str]) -> AccountRejected:
    """Say which OAuth scope a credential lacks, or that it does not have what bridge.toml says it has."""
    lack = oauth.lacking(operation, declared)
    if lack is not None and lack.scopes:
        said = " or ".join(lack.scopes)
        text = f"the {product} credential of {name} lacks an OAuth scope for {operation.operation_id}: {said}"
        return AccountRejected(name, text, lack.scopes)
    # What is declared would do, so it is not what the token was made with.
    claimed = next((one.scopes for one in operation.scope_sets if one.scopes <= declared), frozenset())
    said = " + ".join(sorted(claimed))
    what = f"the {product} credential of {name} lacks an OAuth scope for {operation.operation_id}"
    text = f"{what}: it does not have all of {said}, as bridge.toml says; make a new one with them"
    return AccountRejected(name, text, tuple(sorted(claimed)))


def _who_am_i(product: str) -> Operation:
    from bridge import catalogue  # noqa: PLC0415 - the operations are read when first needed

    found = catalogue.match("GET", WHO_AM_I[product])
    if found is None:
        raise LookupError(WHO_AM_I[product])
    return found.operation


def _issue(operation: Operation, target: str | None) -> str | None:
    """Return the key of the issue that a request is about, if it is about one."""
    return target if "{issueIdOrKey}" in operation.path else None


@dataclass(frozen=True, slots=True)
class _Request:
    operation: Operation
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: Any = None
    attached: Attached | None = None
    target: str | None = None

    def outgoing(self, base: str) -> Outgoing:
        """Return it as it leaves for ``base``."""
        if self.attached is None:
            return Outgoing(self.operation.method, base, self.path, self.query, self.body)
        fields = {name: str(value) for name, value in (self.body or {}).items()}
        return Outgoing(self.operation.method, base, self.path, self.query, None, fields, self.attached)
