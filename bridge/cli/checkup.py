"""What ``bridge doctor`` asks of sites and accounts: who they are there, and whether their rules could do their work.

Reads only, through the same way to the sites that egress takes. The site's own address tells its cloudId, and
everything else goes to Atlassian's gateway: either may be away without the other.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bridge import catalogue
from bridge.cli import checkup_credentials
from bridge.cli.account_needs import of_account
from bridge.cli.check import FAIL, OK, UNKNOWN, WARN, Check, some
from bridge.cli.words import listed
from bridge.egress.accounts import WHO_AM_I, Accounts
from bridge.egress.gate import Scripts
from bridge.egress.upstream import Outgoing, SiteAnswer, Unauthorized, Upstream
from bridge.errors import AccountRejected, BridgeError, InDoubt, NotSent, StoreUnavailable
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE
from bridge.settings import Account, Settings
from bridge.settings import Site as KnownSite
from bridge.store import Store

PRODUCTS = ("jira", "confluence")
TITLES = {"jira": "Jira", "confluence": "Confluence"}
SERVICE = "@serviceaccount.atlassian.com"  # the ending of every service account's generated address
PATIENCE = 10.0  # seconds for one question
FORBIDDEN, NOT_FOUND = 403, 404


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a product says that a credential belongs to."""

    product: str
    id: str
    name: str
    kind: str | None


class Checkup:
    """Asks the sites.

    ``keeps``: the database is well, so that who an account is can be kept there. ``scripts`` reach the Redis in which
    the processes share their circuits.
    """

    def __init__(
        self, known: Settings, store: Store, upstream: Upstream, *, keeps: bool, scripts: Scripts | None = None
    ) -> None:
        self._known = known
        self._upstream = upstream
        self._accounts = Accounts(known, store, upstream, scripts)
        self._keeps = keeps
        self._unknown: set[str] = set()  # sites whose cloudId cannot be had
        self._clouds: list[str] = []
        self._gateway_away = False

    def sites(self) -> Iterator[Check]:
        """Check that every site is there and which cloudId it has, and that the gateway to them answers."""
        for site in self._known.sites.values():
            check = self._site(site)
            if check.level in {FAIL, UNKNOWN}:
                self._unknown.add(site.name)
            yield check
        if self._known.sites:
            yield self._gateway()

    def _site(self, site: KnownSite) -> Check:
        about = f"site {site.name}"
        address = f"look at {site.url} in a browser, at bridge.toml, and whether this machine may reach it"
        if site.cloud_id is not None:
            self._clouds.append(site.cloud_id)
        try:
            answer = self._upstream.send(Outgoing("GET", site.url, "/_edge/tenant_info", {}), None, PATIENCE)
        except (NotSent, InDoubt, Unauthorized) as error:
            if site.cloud_id is not None:
                # Requests go to Atlassian's gateway, so a site that is not reached itself can do without.
                return Check(WARN, about, f"{site.url} cannot be asked ({error}); cloud_id is given", address)
            return Check(FAIL, about, f"{site.url}: {error}", address)
        told = answer.body.get("cloudId") if isinstance(answer.body, dict) else None
        if not answer.done or not isinstance(told, str):
            level = FAIL if site.cloud_id is None else WARN
            return Check(level, about, f"{site.url} does not tell its cloudId (it answered {answer.status})", address)
        if site.cloud_id not in {None, told}:
            text = f"{site.url} has the cloudId {told}, and bridge.toml gives another"
            return Check(FAIL, about, text, f"correct or remove site.{site.name}.cloud_id")
        self._clouds.append(told)
        return Check(OK, about, f"{site.url} answers, cloudId {told}")

    def _gateway(self) -> Check:
        """Ask the gateway for something without credential: whatever it answers, it is there."""
        url = self._known.atlassian_url
        cloud = next(iter(self._clouds), "0")
        asked = Outgoing("GET", f"{url}/ex/jira/{cloud}", WHO_AM_I["jira"], {})
        try:
            self._upstream.send(asked, None, PATIENCE)
        except Unauthorized:
            return Check(OK, "gateway", f"{url} answers")
        except (NotSent, InDoubt) as error:
            self._gateway_away = True
            text = f"{url}, to which all requests go: {str(error).replace('the site', 'it')}"
            todo = "deliveries wait meanwhile. See https://status.atlassian.com, and whether this machine may reach it"
            return Check(FAIL, "gateway", text, todo)
        return Check(OK, "gateway", f"{url} answers")

    def account(self, account: Account, rules: Sequence[Rule]) -> Iterator[Check]:
        """Check one account for the rules that act as it."""
        about = f"account {account.name}"
        if not rules:
            yield Check(OK, about, "no rule acts as it")
        for product in PRODUCTS:
            users = [rule.name for rule in rules if rule.manifest.scope.grants(product)]
            if users and product not in account.credentials:
                text = f"has no credential for {product}, and {some(users)} needs one"
                yield Check(FAIL, about, text, f"make one and name it under [account.{account.name}.{product}]")
        needed = of_account(account.name, rules, account)
        usable: list[str] = []
        for product, credential in account.credentials.items():
            there = [checkup_credentials.is_there(account, product, one, which) for which, one in credential.both()]
            yield from there
            for _, one in credential.both():
                yield from checkup_credentials.is_open(account, one)
            yield from checkup_credentials.reaches(account, product, needed)
            usable += [product] if any(check.level != FAIL for check in there) else []
        if account.site in self._unknown or self._gateway_away:
            away = "the gateway" if self._gateway_away else f"site {account.site}"
            yield Check(UNKNOWN, about, f"{away} was not reached, so who it is was not asked")
            return
        for product in usable:
            yield from self._circuit(account, product)
        yield from self._who(account, usable)
        for product in usable:
            yield from self._rotation(account, product)
            yield from self._sight(account, product, rules)

    # ------------------------------------------------------------------------------------------------- who it is

    def _who(self, account: Account, usable: Sequence[str]) -> Iterator[Check]:
        """Ask each product who the account is: it should be one service account, with access to both."""
        about = f"account {account.name}"
        found: list[Who] = []
        for product in usable:
            said = self._asked_who(account, product)
            if isinstance(said, Check):
                yield said
            else:
                found.append(said)
        if not found:
            return
        if len({who.id for who in found}) > 1:
            text = " and ".join(f"{who.product} credential is {who.name}'s ({who.id})" for who in found)
            todo = "make both at one service account: what rules do is logged under one name"
            yield Check(FAIL, about, f"its {text}", todo)
            return
        yield self._one(account, found)
        yield from self._remembered(account)

    def _asked_who(self, account: Account, product: str) -> Who | Check:
        about = f"account {account.name}"
        try:
            answer = self._ask(account, WHO_AM_I[product], {})
        except AccountRejected as error:
            return _rejected(about, error)
        except (NotSent, InDoubt) as error:
            return Check(UNKNOWN, about, f"{product} could not be asked who it is: {error}", "try again in a minute")
        said = answer.body if isinstance(answer.body, dict) else {}
        if answer.done and said.get("accountId"):
            name = str(said.get("displayName") or said.get("publicName") or account.name)
            return Who(product, str(said["accountId"]), name, said.get("accountType"))
        if answer.status in {FORBIDDEN, NOT_FOUND}:
            todo = f"give it access to {TITLES[product]} at admin.atlassian.com, and a role where it shall act"
            return Check(FAIL, about, f"has no access to {TITLES[product]} (it answered {answer.status})", todo)
        return Check(UNKNOWN, about, f"{product} answered {answer.status} when asked who it is", "try again later")

    def _one(self, account: Account, found: Sequence[Who]) -> Check:
        about = f"account {account.name}"
        text = f"is {found[0].name} ({found[0].id})"
        access = f"with access to {listed([TITLES[who.product] for who in found])}"
        if any(who.kind == "app" for who in found) or account.email.casefold().endswith(SERVICE):
            return Check(OK, about, f"{text}, a service account {access}")
        text = f"{text}, which is a person's account: what rules do is done in that person's name, with all they may do"
        return Check(WARN, about, text, "make a service account, so that it does not end when the person leaves")

    def _remembered(self, account: Account) -> Iterator[Check]:
        """Keep who it is, by which ingress tells what our own account set off."""
        about = f"account {account.name}"
        if not self._keeps:
            text = "who it is was not kept, for the database is not well"
            yield Check(UNKNOWN, about, text, "mend that first; it tells our own doings from others'")
            return
        try:
            self._accounts.learn(account.name, PATIENCE)
        except (BridgeError, StoreUnavailable) as error:
            yield Check(WARN, about, f"who it is was not kept: {error}", "until then its own doings may set rules off")

    def _rotation(self, account: Account, product: str) -> Iterator[Check]:
        """While two credentials are kept, try each by itself."""
        if account.credentials[product].previous is None:
            return
        about = f"account {account.name}"
        works = {one.which: one.works for one in self._accounts.tried(account.name, product, PATIENCE)}
        if works.get("current"):
            still = {True: "works still", False: "works no more", None: "could not be tried"}[works.get("previous")]
            text = f"the new {product} credential works, and the previous one {still}"
            yield Check(OK, about, f"{text}: take account.{account.name}.{product}.previous out of bridge.toml")
        elif works.get("previous"):
            text = f"the new {product} credential is rejected, and the previous one is used in its place"
            yield Check(WARN, about, text, "put the new one right before the previous one ends")
        elif None in works.values():
            yield Check(UNKNOWN, about, f"its two {product} credentials could not be tried", "try again later")

    def _circuit(self, account: Account, product: str) -> Iterator[Check]:
        """Say that nothing is sent for a while, as the processes of the running bridge know it."""
        try:
            state = self._accounts.circuit(account.name, product)
        except NotSent:
            return
        if state.open:
            text = f"the circuit of {product} is open for {state.seconds:.0f} s more: {state.why}"
            yield Check(WARN, f"account {account.name}", text, "deliveries wait until the site answers again")

    # -------------------------------------------------------------------------------------------------- what it sees

    def _sight(self, account: Account, product: str, rules: Sequence[Rule]) -> Iterator[Check]:
        """Check that the account sees each project or space that its rules name."""
        about = f"account {account.name}"
        kind = "project" if product == "jira" else "space"
        users: dict[str, list[str]] = defaultdict(list)
        for rule in rules:
            for container in rule.manifest.scope.grants(product).keys() - {SITE}:
                users[container].append(rule.name)
        seen = []
        for container in sorted(users):
            try:
                problem = self._unseen(account, product, container)
            except AccountRejected as error:
                level = WARN if error.missing else FAIL
                yield Check(level, about, f"{kind} {container} could not be asked for: {error}", "see to its token")
                break
            except (NotSent, InDoubt) as error:
                yield Check(UNKNOWN, about, f"{kind} {container} could not be asked for: {error}", "try again later")
                continue
            if problem is None:
                seen.append(container)
            else:
                todo = f"give it access to {product} and a role there, or correct the scope of {some(users[container])}"
                yield Check(FAIL, about, problem, todo)
        if seen:
            yield Check(OK, about, f"sees {product} {kind}{'' if len(seen) == 1 else 's'} {', '.join(seen)}")

    def _unseen(self, account: Account, product: str, container: str) -> str | None:
        """Return the sentence that says what is wrong with a project or space, None if the account sees it."""
        if product == "jira":
            answer = self._ask(account, f"/rest/api/3/project/{container}", {})
            if answer.done and isinstance(answer.body, dict) and answer.body.get("key") != container:
                return f"project {container} is called {answer.body.get('key')} now, and scopes go by that"
            return None if answer.done else _not_seen("project", container, answer)
        answer = self._ask(account, "/wiki/api/v2/spaces", {"keys": [container]})
        told = answer.body.get("results") if isinstance(answer.body, dict) else None
        spaces = told if isinstance(told, list) else []
        if answer.done and any(isinstance(one, dict) and one.get("key") == container for one in spaces):
            return None
        return _not_seen("space", container, answer)

    def _ask(self, account: Account, path: str, query: dict[str, Any]) -> SiteAnswer:
        found = catalogue.match("GET", path)
        if found is None:
            raise LookupError(path)
        return self._accounts.send(account.name, found.operation, path, query, seconds_left=PATIENCE)


def _not_seen(kind: str, container: str, answer: SiteAnswer) -> str:
    if answer.done or answer.status == NOT_FOUND:
        return f"cannot see {kind} {container}, or there is none"
    return f"{kind} {container}: the site answered {answer.status}"


def _rejected(about: str, error: AccountRejected) -> Check:
    """Tell a token that lacks an OAuth scope, with which rules can still work, from one that opens nothing."""
    if error.missing:
        todo = "without it the bridge may answer to what the account itself set off: make a new token"
        return Check(WARN, about, str(error), todo)
    return Check(FAIL, about, str(error), "make a new token for it at admin.atlassian.com")
