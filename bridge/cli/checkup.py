"""What ``bridge doctor`` asks of sites and accounts: who they are there, and whether their rules could do their work.

Reads only, through the same way to the sites that egress takes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge import catalogue
from bridge.cli import oauth
from bridge.cli.words import counted
from bridge.egress.accounts import Accounts
from bridge.egress.upstream import Outgoing, SiteAnswer, Unauthorized, Upstream
from bridge.errors import AccountRejected, InDoubt, NotSent, SettingsInvalid, StoreUnavailable
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE
from bridge.settings import Account, Credential, Settings
from bridge.settings import Site as KnownSite
from bridge.store import Store

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "FAIL", "?"
SERVICE = "@serviceaccount.atlassian.com"  # the ending of every service account's generated address
SOON = 30  # days
LONGEST_LIFE = 365  # days; https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/
PATIENCE = 10.0  # seconds for one question
NOT_FOUND = 404
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``level`` is ok, warn, FAIL or ? (could not be told), ``todo`` what to do then."""

    level: str
    about: str
    text: str
    todo: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        said = f"{self.level:4}  {self.about}: {self.text}"
        line = said if self.level == OK or not self.todo else f"{said}. {self.todo[0].upper()}{self.todo[1:]}"
        # What a site or a file says must not give orders to a terminal.
        return "".join(letter if letter.isprintable() else "·" for letter in line)

    def as_data(self) -> dict[str, str]:
        """Return it for ``--json``."""
        return {"level": self.level, "about": self.about, "text": self.text, "todo": self.todo}


class Checkup:
    """Asks the sites. ``keeps``: the database is well, so that who an account is can be kept there."""

    def __init__(self, known: Settings, store: Store, upstream: Upstream, *, keeps: bool) -> None:
        self._known = known
        self._upstream = upstream
        self._accounts = Accounts(known, store, upstream)
        self._keeps = keeps
        self._away: set[str] = set()

    def sites(self) -> Iterator[Check]:
        """Check that every site is there and which cloudId it has."""
        for site in self._known.sites.values():
            check = self._site(site)
            if check.level in {FAIL, UNKNOWN}:
                self._away.add(site.name)
            yield check

    def _site(self, site: KnownSite) -> Check:
        about = f"site {site.name}"
        address = f"look at {site.url} in a browser, at bridge.toml, and whether this machine may reach it"
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
        return Check(OK, about, f"{site.url} answers, cloudId {told}")

    def account(self, account: Account, rules: Sequence[Rule]) -> Iterator[Check]:
        """Check one account for the rules that act as it."""
        about = f"account {account.name}"
        if not rules:
            yield Check(OK, about, "no rule acts as it")
        for product in oauth.PRODUCTS:
            users = [rule.name for rule in rules if rule.manifest.scope.grants(product)]
            if users and product not in account.credentials:
                text = f"has no credential for {product}, and {_some(users)} needs one"
                yield Check(FAIL, about, text, f"make a token and name it under [account.{account.name}.{product}]")
        usable: list[str] = []
        for name, credential in account.credentials.items():
            token = _token(account, name, credential)
            yield token
            yield from _oauth(account, name, credential, rules)
            usable += [name] if token.level != FAIL else []
        if account.site in self._away:
            yield Check(UNKNOWN, about, f"site {account.site} was not reached, so who it is was not asked")
            return
        if usable:
            yield self._who(account, usable)
        for name in usable:
            yield from self._sight(account, name, rules)

    def _who(self, account: Account, usable: Sequence[str]) -> Check:
        about = f"account {account.name}"
        why = "" if self._keeps else "for the database could not keep it"
        if "jira" in account.credentials and "jira" not in usable:
            why = "for that needs its jira token"
        if why:
            return Check(UNKNOWN, about, f"who it is was not asked, {why}", "mend that first")
        try:
            who = self._accounts.learn(account.name, PATIENCE)
        except AccountRejected as error:
            return _rejected(about, error)
        except (NotSent, InDoubt, StoreUnavailable) as error:
            return Check(UNKNOWN, about, f"who it is could not be asked: {error}", "try again in a minute")
        text = f"is {who.display_name} ({who.account_id})"
        if who.account_type == "app" or account.email.casefold().endswith(SERVICE):
            return Check(OK, about, f"{text}, a service account")
        text = f"{text}, which is a person's account: what rules do is done in that person's name, with all they may do"
        return Check(WARN, about, text, "make a service account, so that it does not end when the person leaves")

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
                todo = (
                    f"give it access to {product} and a role there, or correct the scope of {_some(users[container])}"
                )
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
        listed = answer.body.get("results") if isinstance(answer.body, dict) else None
        spaces = listed if isinstance(listed, list) else []
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


def _token(account: Account, product: str, credential: Credential) -> Check:
    """Check that a token is there and for how long it will do."""
    about = f"account {account.name}"
    place = f"account.{account.name}.{product}"
    try:
        credential.token.open()
    except SettingsInvalid as error:
        text = f"{product} token: {error.mistakes[0].text}"
        return Check(FAIL, about, text, f"put it where {place}.token of bridge.toml points")
    if credential.expires is None:
        text = f"bridge.toml does not say when its {product} token ends, and none lasts more than {LONGEST_LIFE} days"
        return Check(WARN, about, text, f"write {place}.expires, so that you are warned in time")
    days = (credential.expires - datetime.now(UTC).date()).days
    if days < 0:
        text = f"{product} token ended on {credential.expires}"
        return Check(FAIL, about, text, "make a new one at admin.atlassian.com; deliveries wait meanwhile")
    text = f"{product} token is there and ends in {counted(days, 'day')}, on {credential.expires}"
    if days < SOON:
        return Check(WARN, about, text, "make a new one at admin.atlassian.com and write down its day")
    return Check(OK, about, text)


def _oauth(account: Account, product: str, credential: Credential, rules: Sequence[Rule]) -> Iterator[Check]:
    """Compare the OAuth scopes that bridge.toml declares with what the rules of the account need."""
    about = f"account {account.name}"
    granted = sorted({verb for rule in rules for verb in oauth.granted(rule.manifest.scope, product)})
    lacking: dict[str, set[str]] = defaultdict(set)
    perhaps: dict[str, set[str]] = defaultdict(set)
    for need in oauth.needs(product, granted):
        for scope in oauth.missing(need.operation, credential.scopes):
            (lacking if need.certain else perhaps)[scope].add(need.granted)
    if lacking:
        todo = "a token's OAuth scopes cannot be changed: make a new one, and write its scopes into bridge.toml"
        yield Check(FAIL, about, f"{product} token lacks {_for_verbs(lacking)}", todo)
    elif granted:
        yield Check(OK, about, f"{product} OAuth scopes are enough for {', '.join(granted)}")
    beside = {scope: verbs for scope, verbs in perhaps.items() if scope not in lacking}
    if beside:
        text = f"{product} token lacks {_for_verbs(beside)}, which only some handlers need"
        yield Check(WARN, about, text, "leave it, unless a handler asks for comments, versions or the like")


def _for_verbs(lacking: Mapping[str, set[str]]) -> str:
    """Say OAuth scopes with what needs them: ``write:jira-work (comment, edit)``."""
    return ", ".join(f"{scope} ({', '.join(sorted(verbs))})" for scope, verbs in sorted(lacking.items()))


def _some(names: Sequence[str]) -> str:
    """Name a few rules and count the rest."""
    shown = ", ".join(sorted(names)[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
