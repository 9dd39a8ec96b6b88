"""The ticket by which an organization admin is asked for what a rule needs: plain text, to be pasted anywhere.

Where to click: https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/.
"""

import json
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence

import click

from bridge.catalogue.permissions import permissions
from bridge.cli.account_needs import AccountNeeds, of_account
from bridge.cli.words import counted, listed
from bridge.rule.nearest import hint
from bridge.rule.needs import Reason
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE
from bridge.settings import Settings

WIDTH = 100
NAMES = {"jira": "Jira", "confluence": "Confluence"}
KINDS = {"jira": "project", "confluence": "space"}
LONGEST_LIFE = 365  # days; https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/


def print_ticket(known: Settings, rules: Sequence[Rule], wanted: str, *, as_json: bool) -> None:
    """Print the ticket for a rule: a token for all rules of its account, since none can be widened later."""
    found = {rule.name: rule for rule in rules}
    if wanted not in found:
        raise click.UsageError(f"there is no rule {wanted!r}{hint(wanted, found)}")
    rule = found[wanted]
    together, each = _account(known, rules, rule)
    name = each.name
    text = "\n".join(_lines(rule, together, each, known))
    if as_json:
        scopes = {product: list(each.advice(product).scopes) for product in each.products}
        print(json.dumps({"rule": wanted, "account": name, "scopes": scopes, "text": text}, ensure_ascii=False))
        return
    print(text)
    if each.products and all(each.held(product) is not None and not each.lacks(product) for product in each.products):
        click.echo(f"\nby bridge.toml, {name} has all of this: there is nothing to ask for", err=True)


def _account(known: Settings, rules: Sequence[Rule], rule: Rule) -> tuple[list[Rule], AccountNeeds]:
    """Return the rules that the token is for, and their needs: those of the rule's account, if one token can serve all.

    Otherwise the rule wants an account of its own, which is given a name.
    """
    name = rule.manifest.account
    together = [each for each in rules if each.manifest.account == name]
    each = of_account(name, together, known.accounts.get(name))
    if len(together) == 1 or all(each.advice(product).fits for product in each.products):
        return together, each
    return [rule], of_account(f"{rule.name.replace('_', '-')}-bot", [rule], None)


def _lines(rule: Rule, together: Sequence[Rule], each: AccountNeeds, known: Settings) -> Iterator[str]:
    account = each.account
    site = known.sites[account.site].url if account else "the site where the rule's projects and spaces are"
    products = listed([NAMES[product] for product in each.products])
    yield f"Subject: service account {each.name}: API token for {products}, for the bridge's rule {rule.name}"
    yield ""
    others = [other.name for other in together if other is not rule]
    yield f"Asked by     {rule.manifest.owner}, for: {rule.manifest.title}"
    yield f"Account      {each.name} ({account.email})" if account else f"Account      {each.name}, a service account"
    yield f"Site         {site}"
    yield f"Products     {products}"
    if others:
        instead = " and takes the place of the present one" if account else ""
        said = f"{', '.join(others)}. A token's OAuth scopes cannot be changed, so it is for all of them{instead}."
        yield from _folded("Used also by ", said)
    if each.name != rule.manifest.account:
        said = f"new, because one token could not serve all the rules that act as {rule.manifest.account}."
        yield from _folded("             ", said)
    yield ""
    yield "1. The account"
    yield "   admin.atlassian.com > your organization > Directory > Service accounts"
    yield f"   {'Open' if account else 'Create'} {each.name}, and give it access to {products} on {site}."
    yield ""
    yield "2. What it may do there"
    yield from _permissions(together, each)
    for number, product in enumerate(each.products, start=3):
        yield ""
        yield from _token(each, product, number)
    yield ""
    yield f"{len(each.products) + 3}. Afterwards"
    said = (
        "Hand the tokens over by a password manager, not in this ticket. Tell us with them the day on which they end "
        "and the OAuth scopes that were ticked: Atlassian shows neither again."
    )
    yield from _folded("   ", said)


def _folded(first: str, text: str) -> Iterator[str]:
    indent = " " * len(first)
    yield from textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def _permissions(together: Sequence[Rule], each: AccountNeeds) -> Iterator[str]:
    """Name the permissions in each project or space, which its verbs need there."""
    ticked: dict[tuple[str, str], set[str]] = defaultdict(set)
    unknown: set[str] = set()
    for rule, read in zip(together, each.rules, strict=True):
        for need in read.needs:
            if need.reason is Reason.WHO:
                continue
            word = need.verb.removeprefix(f"{need.product}.")
            for container in rule.manifest.scope.containers(need.product, word):
                found = permissions(need.operation)
                unknown |= {need.operation.operation_id} if found is None else set()
                ticked[need.product, container].update(found or ())
    for (product, container), names in sorted(ticked.items(), key=lambda item: (item[0][0] != "jira", item[0][1])):
        place = f"{NAMES[product]} {KINDS[product]} {container}"
        if container == SITE:
            place = f"{NAMES[product]}, in every {KINDS[product]} concerned"
        yield from _folded(f"   {place}: ", ", ".join(sorted(names)))
    for name in sorted(unknown):
        yield f"   and what Atlassian's page about the operation {name} asks for"
    said = (
        "A role that has these will do: in a project under Settings > People (or Access), in a space under Space "
        "settings > Space permissions."
    )
    yield from _folded("   ", said)


def _token(each: AccountNeeds, product: str, number: int) -> Iterator[str]:
    advice = each.advice(product)
    for place, one in enumerate(advice.credentials, start=1):
        which = f", {place} of {len(advice.credentials)}" if len(advice.credentials) > 1 else ""
        yield f"{number}. The API token for {NAMES[product]}{which}"
        yield f"   In the account: Create credentials > API token. Name: bridge-{product}"
        yield f"   Expiry: the longest that is offered ({LONGEST_LIFE} days)."
        much = counted(len(one.scopes), f"{one.kind} OAuth scope")
        yield f"   Tick exactly {'this' if len(one.scopes) == 1 else 'these'} {much}, and nothing else:"
        yield from (f"     {name}" for name in one.scopes)
    for why in advice.why:
        yield from _folded("   Note: ", f"{why}.")
    if len(advice.credentials) > 1:
        yield from _folded(
            "   Note: ", "one account takes one token for each product, so these are for separate accounts."
        )
