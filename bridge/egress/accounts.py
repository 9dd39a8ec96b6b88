"""Service accounts: which credential opens which product, where their site is and who they are there."""

import logging
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.catalogue import Operation
from bridge.egress.upstream import Outgoing, SiteAnswer, Unauthorized, Upstream
from bridge.errors import AccountRejected, BridgeError, InDoubt, NotSent, SettingsInvalid
from bridge.settings import CLOUD_ID, Account, Settings
from bridge.store import Store, registers
from bridge.store.engine import timestamp
from bridge.store.registers import KnownAccount

log = logging.getLogger(__name__)

# https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-myself/ and, for an account without Jira, v1's
# https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-users/.
_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what RFC 6750 section 2.1 allows and a little more
WHO_AM_I = {"jira": "/rest/api/3/myself", "confluence": "/wiki/rest/api/user/current"}


class Accounts:
    """Sends on behalf of accounts. What a site said of itself is remembered for the life of the process."""

    def __init__(self, settings: Settings, store: Store, upstream: Upstream) -> None:
        self._settings = settings
        self._store = store
        self._upstream = upstream
        self._lock = threading.Lock()
        self._clouds: dict[str, str] = {}
        self._known: set[str] = set()

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

    def send(
        self,
        name: str,
        operation: Operation,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        *,
        seconds_left: float,
    ) -> SiteAnswer:
        """Send one request with the account's credential and return the site's definite answer.

        Raises ``NotSent``, ``InDoubt`` or ``AccountRejected``; the last with the missing OAuth scopes if that was it.
        """
        product = operation.site_product
        account = self.account(name)
        token = self._token(account, product)
        base = f"{self._settings.atlassian_url}/ex/{product}/{self.cloud_id(account)}"
        try:
            return self._upstream.send(Outgoing(operation.method, base, path, query, body), token, seconds_left)
        except Unauthorized as error:
            if not error.scope:
                raise AccountRejected(name, f"the site rejects the {product} credential of {name} (401)") from error
            missing = operation.missing(account.credentials[product].scopes)
            said = " or ".join(missing) if missing else " + ".join(sorted(operation.scope_sets[0].scopes))
            text = f"the {product} credential of {name} lacks an OAuth scope for {operation.operation_id}: {said}"
            raise AccountRejected(name, text, missing or tuple(sorted(operation.scope_sets[0].scopes))) from error

    def _token(self, account: Account, product: str) -> str:
        credential = account.credentials.get(product)
        if credential is None:
            raise AccountRejected(account.name, f"account {account.name} has no [account.{account.name}.{product}]")
        if credential.expires is not None and credential.expires < datetime.now(UTC).date():
            raise AccountRejected(account.name, f"the {product} token of {account.name} ended on {credential.expires}")
        try:
            token = credential.token.open()
        except SettingsInvalid as error:
            raise AccountRejected(account.name, f"the {product} token of {account.name}: {error}") from error
        if not _TOKEN.fullmatch(token):
            raise AccountRejected(account.name, f"the {product} token of {account.name} has letters that no token has")
        return token

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
                log.warning("egress.account_unknown account=%s: %s", name, error)
        self._known.add(name)

    def learn(self, name: str, seconds_left: float) -> KnownAccount:
        """Ask the site who the account is and keep it.

        Raises what ``send`` raises, and ``AccountRejected`` if the site does not say. ``accountType`` is ``app`` for a
        service account and ``atlassian`` for a person.
        """
        account = self.account(name)
        product = "jira" if "jira" in account.credentials else "confluence"
        operation = _who_am_i(product)
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


def _who_am_i(product: str) -> Operation:
    from bridge import catalogue  # noqa: PLC0415 - the operations are read when first needed

    found = catalogue.match("GET", WHO_AM_I[product])
    if found is None:
        raise LookupError(WHO_AM_I[product])
    return found.operation
