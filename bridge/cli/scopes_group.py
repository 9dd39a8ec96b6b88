"""How rules can be spread over several accounts, so that each may do as little as possible beside what it needs.

An account has all that any of its rules needs. What a rule is granted too much by that is counted: OAuth scopes first,
since they reach every project and space, and then the projects and spaces it does not name. Rules that need alike are
put together, step by step, each time the two groups that cost least; then single rules are moved while that helps. It
is a proposal and not certainly the best, but for the same rules it is always the same.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import click

from bridge.catalogue import Operation, oauth
from bridge.catalogue.oauth import Advice
from bridge.cli.words import counted
from bridge.rule.needs import Need, needs
from bridge.rule.reading import PRODUCTS
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE
from bridge.settings import Settings

ROUNDS = 10
Names = frozenset[str]
Cost = tuple[int, int, int]


@dataclass(frozen=True)
class Group:
    """Rules that act as one account; ``wants`` are their needs by rule."""

    rules: Mapping[str, Rule]
    wants: Mapping[str, tuple[Need, ...]]

    @cached_property
    def advice(self) -> Mapping[str, Advice]:
        """The OAuth scopes of its account, by product."""
        found = {product: self._operations(self.rules, product) for product in PRODUCTS}
        return {product: oauth.smallest(operations) for product, operations in found.items() if operations}

    @cached_property
    def places(self) -> Mapping[str, Names]:
        """The projects and spaces that each rule names, as ``jira OPS``."""
        return {
            name: frozenset(
                f"{product} {container}"
                for product in PRODUCTS
                for container in rule.manifest.scope.grants(product)
                if container != SITE
            )
            for name, rule in self.rules.items()
        }

    def too_many(self, name: str) -> tuple[str, ...]:
        """Return the OAuth scopes of the account that a rule does not need."""
        return tuple(
            scope
            for product, advice in self.advice.items()
            for scope in oauth.surplus(self._operations([name], product), advice.scopes)
        )

    def too_far(self, name: str) -> tuple[str, ...]:
        """Return the projects and spaces of the account that a rule does not name."""
        return tuple(sorted(frozenset().union(*self.places.values()) - self.places[name]))

    @cached_property
    def cost(self) -> Cost:
        """How bad it is: products that one credential cannot do, OAuth scopes too many, places too many."""
        broken = sum(not advice.fits for advice in self.advice.values())
        scopes = sum(len(self.too_many(name)) for name in self.rules)
        return broken, scopes, sum(len(self.too_far(name)) for name in self.rules)

    def _operations(self, names: Iterable[str], product: str) -> list[Operation]:
        return [need.operation for name in names for need in self.wants[name] if need.product == product]


class Grouping:
    """Makes groups of rules; ``site`` tells on which site a rule acts, for an account belongs to one."""

    def __init__(self, rules: Sequence[Rule], site: Callable[[Rule], str]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._site = {rule.name: site(rule) for rule in rules}
        self._wants: dict[tuple[str, bool], tuple[Need, ...]] = {}
        self._groups: dict[Names, Group] = {}

    @property
    def sites(self) -> list[str]:
        """The sites on which rules act."""
        return sorted(set(self._site.values()))

    def group(self, names: Names) -> Group:
        """Return the group of these rules."""
        if names not in self._groups:
            chosen = {name: self._rules[name] for name in sorted(names)}
            # Who the account is, is asked of Jira as soon as one of its rules needs Jira.
            asks_jira = any(rule.manifest.scope.grants("jira") for rule in chosen.values())
            wants = {name: self._want(rule, asks_jira=asks_jira) for name, rule in chosen.items()}
            self._groups[names] = Group(chosen, wants)
        return self._groups[names]

    def _want(self, rule: Rule, *, asks_jira: bool) -> tuple[Need, ...]:
        key = (rule.name, asks_jira)
        if key not in self._wants:
            self._wants[key] = needs(rule, ("jira",) if asks_jira else ()).needs
        return self._wants[key]

    def proposed(self, number: int) -> list[Group]:
        """Spread the rules over at most so many accounts. Raises ``ValueError`` if there are more sites than that."""
        if len(self.sites) > number:
            raise ValueError(f"the rules act on {len(self.sites)} sites, and an account belongs to one")
        groups = [frozenset({name}) for name in sorted(self._rules)]
        while len(groups) > number:
            pairs = [pair for pair in itertools.combinations(groups, 2) if self._same_site(*pair)]
            one, other = min(pairs, key=lambda pair: (self._added(*pair), sorted(pair[0]), sorted(pair[1])))
            groups = [each for each in groups if each not in (one, other)] + [one | other]
        return [self.group(names) for names in sorted(self._improved(groups), key=sorted)]

    def _same_site(self, one: Names, other: Names) -> bool:
        return len({self._site[name] for name in one | other}) == 1

    def _added(self, one: Names, other: Names) -> Cost:
        """Return what putting two groups together costs more than leaving them apart."""
        return _minus(self.group(one | other).cost, self._total((one, other)))

    def _total(self, groups: Iterable[Names]) -> Cost:
        costs = [self.group(names).cost for names in groups]
        return sum(each[0] for each in costs), sum(each[1] for each in costs), sum(each[2] for each in costs)

    def _improved(self, groups: list[Names]) -> list[Names]:
        """Move single rules to another group for as long as that makes it better."""
        for _ in range(ROUNDS):
            best = min(self._moves(groups), key=lambda move: (self._total(move), _shown(move)), default=groups)
            if self._total(best) >= self._total(groups):
                break
            groups = best
        return groups

    def _moves(self, groups: list[Names]) -> Iterator[list[Names]]:
        for source, target in itertools.permutations(groups, 2):
            if len(source) > 1 and self._same_site(source, target):
                rest = [each for each in groups if each not in (source, target)]
                for name in sorted(source):
                    yield [*rest, source - {name}, target | {name}]


def _minus(one: Cost, other: Cost) -> Cost:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _shown(groups: Iterable[Names]) -> list[list[str]]:
    return sorted(sorted(names) for names in groups)


def print_groups(known: Settings, rules: Sequence[Rule], number: int, *, as_json: bool) -> None:
    """Print a proposal, and what it costs beside the accounts as they are now."""

    def site(rule: Rule) -> str:
        account = known.accounts.get(rule.manifest.account)
        return account.site if account else ""

    grouping = Grouping(rules, site)
    try:
        groups = grouping.proposed(number)
    except ValueError as error:
        raise click.UsageError(f"{error}: give --group {len(grouping.sites)} or more") from error
    if as_json:
        for each in groups:
            print(json.dumps(_as_data(each), ensure_ascii=False))
        return
    now = [
        grouping.group(frozenset(rule.name for rule in rules if rule.manifest.account == account))
        for account in sorted({rule.manifest.account for rule in rules})
    ]
    print(f"{counted(len(rules), 'rule')} on {counted(len(groups), 'account')}: {_price(groups)}")
    print(f"with the {counted(len(now), 'account')} that the rules name now: {_price(now)}")
    for place, each in enumerate(groups, start=1):
        print()
        for line in _lines(each, place):
            print(line)


def _price(groups: Iterable[Group]) -> str:
    scopes = sum(each.cost[1] for each in groups)
    places = sum(each.cost[2] for each in groups)
    more = f"{places or 'no'} project{'' if places == 1 else 's'} or space{'' if places == 1 else 's'}"
    return f"{counted(scopes, 'OAuth scope')} and {more} too many, added up over the rules"


def _lines(group: Group, place: int) -> Iterator[str]:
    yield f"account {place}: {', '.join(group.rules)}"
    for product, advice in group.advice.items():
        for one in advice.credentials:
            yield f"  {product}, {one.kind}: {' '.join(one.scopes)}"
        for why in advice.why:
            yield f"  {product}: {why}"
            if len(group.rules) == 1 and not advice.fits:
                yield "  no account can do it alone: make several rules of this one"
    for name in group.rules:
        extra = [*group.too_many(name), *group.too_far(name)]
        yield f"  {name} would be granted beside its needs: {', '.join(extra) or 'nothing'}"


def _as_data(group: Group) -> dict[str, object]:
    return {
        "rules": list(group.rules),
        "scopes": {product: list(advice.scopes) for product, advice in group.advice.items()},
        "one_credential": all(advice.fits for advice in group.advice.values()),
        "too_many": {name: list(group.too_many(name)) for name in group.rules},
        "too_far": {name: list(group.too_far(name)) for name in group.rules},
    }
