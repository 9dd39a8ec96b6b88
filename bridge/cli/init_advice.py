"""The OAuth scopes to make a credential with, before there is one: what the rules need, or what most rules do."""

from collections.abc import Iterator, Mapping

from bridge import catalogue
from bridge.catalogue import Operation, lookups, oauth
from bridge.errors import RuleInvalid
from bridge.rule.needs import needs
from bridge.rule.registry import load
from bridge.settings import Settings

# What an administrator's first rules do, mostly; `bridge scopes` says it exactly once there are some.
USUAL: Mapping[str, tuple[str, ...]] = {
    "jira": ("read", "search", "comment", "transition", "edit", "assign", "create"),
    "confluence": ("read", "comment", "label", "create-page", "update-page"),
}


def recommended(known: Settings, account: str, product: str) -> tuple[str, ...]:
    """Return the fewest OAuth scopes for the rules that act as ``account``, or for the usual verbs if none does yet."""
    try:
        rules = [rule for rule in load(known.rules, None).rules.values() if rule.manifest.account == account]
    except RuleInvalid:
        rules = []
    asked = [need.operation for rule in rules for need in needs(rule, (product,)).of(product)]
    return oauth.smallest(asked or _usual(product)).scopes


def _usual(product: str) -> Iterator[Operation]:
    yield catalogue.locate(product, "getCurrentUser")
    for name in USUAL[product]:
        verb = catalogue.verb(f"{product}.{name}")
        for operation in (verb.operations[0], *verb.reads):
            yield catalogue.locate(product, operation)
        yield from (*lookups.places(verb), *lookups.look_ups(verb))
