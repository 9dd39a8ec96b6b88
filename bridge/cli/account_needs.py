"""What the rules of one account need of its credentials, held against what bridge.toml says that these have."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.catalogue import Operation, oauth
from bridge.catalogue.oauth import Advice, Lack
from bridge.cli.words import listed
from bridge.rule.needs import Need, Needs, needs
from bridge.rule.reading import PRODUCTS
from bridge.rule.registry import Rule
from bridge.settings import Account, Settings


@dataclass(frozen=True, slots=True)
class AccountNeeds:
    """The needs of all rules that act as one account; ``account`` is None where bridge.toml does not have it."""

    name: str
    account: Account | None
    rules: tuple[Needs, ...]

    @property
    def products(self) -> tuple[str, ...]:
        """The products whose credential some rule needs."""
        return tuple(product for product in PRODUCTS if any(one.of(product) for one in self.rules))

    @property
    def unsure(self) -> tuple[str, ...]:
        """The places, as sentences, that keep the needs from being known exactly."""
        return tuple(place for one in self.rules for place in one.unsure)

    def needs(self, product: str) -> tuple[Need, ...]:
        """Return what is sent with the credential of a product, for all rules."""
        return tuple(need for one in self.rules for need in one.of(product))

    def operations(self, product: str) -> tuple[Operation, ...]:
        """Return the operations of ``needs``, each once."""
        return tuple(dict.fromkeys(need.operation for need in self.needs(product)))

    def advice(self, product: str) -> Advice:
        """Return the OAuth scopes to choose for a product."""
        return oauth.smallest(self.operations(product))

    def held(self, product: str) -> frozenset[str] | None:
        """Return the OAuth scopes that bridge.toml declares for a product; None where there is no credential.

        None declared means that nobody wrote down which the credential has, and not that it has none.
        """
        credential = self.account.credentials.get(product) if self.account else None
        return None if credential is None else credential.scopes

    def lacks(self, product: str) -> list[tuple[Need, Lack]]:
        """Return the needs that the declared OAuth scopes do not reach, and what each lacks; none if none is declared.

        Those with ``acting`` harm only once a rule acts that still observes, those without ``sure`` perhaps never.
        """
        held = self.held(product)
        if not held:
            return []
        found = ((need, oauth.lacking(need.operation, held)) for need in self.needs(product))
        return [(need, lack) for need, lack in found if lack is not None]

    def surplus(self, product: str) -> tuple[str, ...]:
        """Return the declared OAuth scopes that no rule needs."""
        return oauth.surplus(self.operations(product), self.held(product) or ())


def of_account(name: str, rules: Iterable[Rule], account: Account | None) -> AccountNeeds:
    """Return what these rules need of the account that they act as; what its ceiling forbids is not needed."""
    allowed = [_under_ceiling(rule, account) for rule in rules]
    asked = {product for rule in allowed for product in PRODUCTS if rule.manifest.scope.grants(product)}
    if account is not None:
        asked = set(account.credentials)
    return AccountNeeds(name, account, tuple(needs(rule, asked) for rule in allowed))


def of_all(rules: Sequence[Rule], known: Settings) -> list[AccountNeeds]:
    """Return the needs of every account that a rule names or bridge.toml has, by name."""
    names = sorted({rule.manifest.account for rule in rules} | set(known.accounts))
    return [
        of_account(name, [rule for rule in rules if rule.manifest.account == name], known.accounts.get(name))
        for name in names
    ]


def _under_ceiling(rule: Rule, account: Account | None) -> Rule:
    if account is None or account.ceiling is None:
        return rule
    return replace(rule, manifest=replace(rule.manifest, scope=rule.manifest.scope.within(account.ceiling)))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a credential lacks for one verb of one rule, in a sentence, and the file and line that need it.

    ``acting``: only once the rule acts that still observes. ``sure`` is False where it perhaps is never needed.
    """

    rule: str
    verb: str
    scopes: tuple[str, ...]
    acting: bool
    sure: bool
    where: str
    line: int | None
    text: str


def shortfalls(each: AccountNeeds, product: str) -> list[Shortfall]:
    """Put what a credential lacks into sentences: one for each rule, verb and set of OAuth scopes."""
    found: dict[object, list[tuple[Need, Lack]]] = defaultdict(list)
    for need, lack in each.lacks(product):
        found[need.rule, need.verb, lack.scopes, need.acting, need.sure].append((need, lack))
    made = []
    for same in found.values():
        need, lack = same[0]
        text = _sentence([need for need, _ in same], lack, each.name)
        made.append(Shortfall(need.rule, need.verb, lack.scopes, need.acting, need.sure, need.where, need.line, text))
    return made


def _sentence(same: Sequence[Need], lack: Lack, account: str) -> str:
    reasons: dict[str, list[str]] = defaultdict(list)
    for need in same:
        reasons[need.reason].append(need.operation.operation_id)
    sent = "; ".join(f"{listed(names)} {reason}" for reason, names in reasons.items())
    verb, product = same[0].verb, same[0].product
    if not lack.scopes:
        return f"{verb} sends what Atlassian names no OAuth scope for ({sent})"
    several = len(lack.scopes) > 1
    text = (
        f"{verb} needs the OAuth scope{'s' if several else ''} {' '.join(lack.scopes)} ({sent}), "
        f"and the {product} credential of {account} does not have {'them' if several else 'it'}"
    )
    if lack.mixed:
        text += "; it takes another credential, for classic and granular OAuth scopes are not mixed in one"
    return text
