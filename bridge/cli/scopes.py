"""``bridge scopes``: the OAuth scopes that the rules need, why, and what the declared ones lack or have too many of."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from bridge.catalogue.oauth import Advice, Credential, kind_held, sets_of, smallest
from bridge.cli import compose, show
from bridge.cli.account_needs import AccountNeeds, of_all, shortfalls
from bridge.cli.words import counted, listed
from bridge.rule.needs import Need
from bridge.rule.reading import PRODUCTS
from bridge.rule.registry import Rule, load
from bridge.settings import Settings

FINE, LACKING, UNTOLD = 0, 1, 2


@click.command(short_help="Say which OAuth scopes each account needs, and why.")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--request", "wanted", metavar="RULE", help="Print a ticket that asks an organization admin for RULE.")
@click.option("--group", "number", type=click.IntRange(1), metavar="N", help="Propose how N accounts share the rules.")
@show.as_json
def scopes(account: str | None, wanted: str | None, number: int | None, *, as_json: bool) -> None:
    """Say the smallest set of OAuth scopes that each account's rules need, for each product, and why.

    What egress asks for itself is counted. With a bridge.toml, what it declares is compared: exits 1 if something is
    lacking, 2 if that cannot be told for certain.
    """
    from bridge.cli import scopes_group, scopes_request

    if wanted is not None and number is not None:
        raise click.UsageError("give either --request or --group")
    known = compose.settings()
    rules = _chosen(known, account)
    if wanted is not None:
        scopes_request.print_ticket(known, rules, wanted, as_json=as_json)
    elif number is not None:
        scopes_group.print_groups(known, rules, number, as_json=as_json)
    else:
        sys.exit(_print_all(known, rules, account, as_json=as_json))


def _chosen(known: Settings, account: str | None) -> list[Rule]:
    """Return the rules, by name, of one account if it is given. Raises ``RuleInvalid`` for rules with mistakes."""
    found = [rule for _, rule in sorted(load(known.rules, None).rules.items())]
    if account is None:
        return found
    names = sorted({rule.manifest.account for rule in found} | set(known.accounts))
    if account not in names:
        from bridge.rule.nearest import hint

        raise click.UsageError(f"no rule and no [account.…] names {account!r}{hint(account, names)}")
    return [rule for rule in found if rule.manifest.account == account]


def _print_all(known: Settings, rules: Sequence[Rule], account: str | None, *, as_json: bool) -> int:
    compared = known.config.exists()
    status = FINE
    every = [each for each in of_all(rules, known) if account in {None, each.name}]
    if not every and not as_json:
        print(f"no rule in {known.rules}, so no OAuth scope is needed")
    for number, each in enumerate(every):
        opened = each.account.credentials if each.account else {}
        products = [product for product in PRODUCTS if product in each.products or product in opened]
        told = [_status(each, product, compared=compared) for product in products]
        status = max([status, *told], key=_gravity)
        if as_json:
            for product in products:
                print(json.dumps(_as_data(each, product, known, compared=compared), ensure_ascii=False))
            continue
        if number:
            print()
        for line in _lines(each, products, known, compared=compared):
            print(show.printable(line))
    if not compared:
        click.echo(f"there is no {known.config}, so nothing was compared with what accounts have", err=True)
    return status


def _gravity(status: int) -> int:
    return (FINE, UNTOLD, LACKING).index(status)


def _status(each: AccountNeeds, product: str, *, compared: bool) -> int:
    """Judge one credential: something certainly lacking, perhaps lacking, or fine. Without bridge.toml all is fine."""
    if not each.advice(product).fits:
        return LACKING
    if not compared or not each.needs(product):
        return FINE
    if not each.held(product):
        return LACKING if each.held(product) is None else UNTOLD
    now = [need for need, _ in each.lacks(product) if not need.acting]
    if any(need.sure for need in now):
        return LACKING
    return UNTOLD if now else FINE


# ---------------------------------------------------------------------------------------------------- for people


def _lines(each: AccountNeeds, products: Sequence[str], known: Settings, *, compared: bool) -> Iterator[str]:
    yield f"account {each.name}{_whose(each, known)}"
    if compared and each.account is None:
        yield f"  bridge.toml has no [account.{each.name}]"
    if not each.rules:
        yield "  no rule acts as it, so it needs no OAuth scope"
    for product in products:
        yield ""
        yield from _product_lines(each, product, compared=compared)
    for place in each.unsure:
        yield ""
        yield f"  cannot be told by reading, so all that the scope grants was counted: {place}"


def _whose(each: AccountNeeds, known: Settings) -> str:
    if each.account is None:
        return ""
    return f" ({each.account.email}) on {known.sites[each.account.site].url}"


def _product_lines(each: AccountNeeds, product: str, *, compared: bool) -> Iterator[str]:
    if not each.needs(product):
        yield f"  {product}: no rule needs this credential"
        return
    advice = each.advice(product)
    for number, one in enumerate(advice.credentials, start=1):
        yield f"  {product}{_which(advice, number)}: {choose(one)}"
        yield from _no_classic(one)
        for name in one.scopes:
            yield f"    {_mark(each, product, one, name)}{name}"
    for why in advice.why:
        yield f"  {product}: {'' if advice.fits else 'one credential cannot do it: '}{why}"
    if len(advice.credentials) > 1:
        yield from _division(each, product, advice)
    if compared:
        yield from _comparison(each, product)
    yield from _why(each, product, advice)


def _division(each: AccountNeeds, product: str, advice: Advice) -> Iterator[str]:
    """Say which rules each of several credentials serves; an account takes one, so these are several accounts."""
    yield f"  {product}: an account takes one credential, so make several accounts and divide the rules among them"
    served: set[str] = set()
    for number, one in enumerate(advice.credentials, start=1):
        held = frozenset(one.scopes)
        names = [
            read.rule
            for read in each.rules
            if read.of(product) and all(need.operation.allowed_by(held) for need in read.of(product))
        ]
        served.update(names)
        yield f"    credential {number} is enough for {listed(names)}"
    for read in each.rules:
        if not read.of(product) or read.rule in served:
            continue
        own = smallest(need.operation for need in read.of(product))
        if own.fits:
            yield f"    {read.rule} wants one of its own: {choose(own.credentials[0])}"
        else:
            yield f"    {read.rule} needs several by itself: make several rules of it"


def _which(advice: Advice, number: int) -> str:
    return f", credential {number} of {len(advice.credentials)}" if len(advice.credentials) > 1 else ""


def choose(one: Credential) -> str:
    """Say what to choose for a credential: ``3 classic OAuth scopes, and no others``."""
    much = counted(len(one.scopes), f"{one.kind} OAuth scope")
    return f"{much}, and no others" if one.exact else f"{much}; none can be left out, but fewer might do"


def _no_classic(one: Credential) -> Iterator[str]:
    """Say why many granular OAuth scopes are asked for where a few classic ones were expected."""
    only = sorted({each.operation_id for each in one.operations if not sets_of(each, "classic")})
    if one.kind == "granular" and only:
        yield f"    no classic OAuth scope reaches {listed(only)}"


def _mark(each: AccountNeeds, product: str, one: Credential, name: str) -> str:
    """Say whether a scope is declared; nothing where the declared ones are of the other kind, or there are none."""
    held = each.held(product)
    if not held or kind_held(held) != one.kind:
        return ""
    return "has    " if name in held else "LACKS  "


def _comparison(each: AccountNeeds, product: str) -> Iterator[str]:
    held = each.held(product)
    if held is None:
        if each.account is not None:
            yield f"  {product}: bridge.toml has no [account.{each.name}.{product}]"
        return
    if not held:
        yield f"  {product}: bridge.toml does not say which OAuth scopes its credential has, so nothing was compared"
        return
    lacks = shortfalls(each, product)
    for one in lacks:
        when = ", perhaps" if not one.sure else ", once it acts" if one.acting else ""
        yield f"  {product}: LACKING for {one.rule}{when}: {one.text}"
    if not lacks:
        yield f"  {product}: bridge.toml declares enough"
    surplus = each.surplus(product)
    if surplus:
        yield f"  {product}: too many, which no rule needs: {' '.join(surplus)}"


def _why(each: AccountNeeds, product: str, advice: Advice) -> Iterator[str]:
    """List for each OAuth scope what needs it; those that are needed for exactly the same stand together."""
    reasons: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in advice.scopes:
        told = [need for one in advice.credentials for need in each.needs(product) if _takes(one, need, name)]
        reasons[tuple(_told(told))].append(name)
    yield f"  {product}: why"
    for lines, names in reasons.items():
        yield f"    {' '.join(names)}"
        yield from (f"      {line}" for line in lines)


def _takes(one: Credential, need: Need, scope: str) -> bool:
    """Tell whether an operation would not be allowed without this OAuth scope."""
    held = frozenset(one.scopes)
    return need.operation.allowed_by(held) and not need.operation.allowed_by(held - {scope})


def _told(needs: Iterable[Need]) -> Iterator[str]:
    """Say who needs it: rule → verb → operations, and why, what is needed for the same in one line."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for need in needs:
        when = ", once it acts" if need.acting else ""
        perhaps = ", perhaps" if not need.sure else ""
        found[need.rule, need.verb, f"{need.reason}{when}{perhaps}"].append(need.operation.operation_id)
    for (rule, verb, reason), operations in sorted(found.items()):
        yield f"{rule} → {verb} → {listed(sorted(set(operations)))}, {reason}"


# -------------------------------------------------------------------------------------------------- for programs


def _as_data(each: AccountNeeds, product: str, known: Settings, *, compared: bool) -> dict[str, Any]:
    advice = each.advice(product)
    held = each.held(product)
    return {
        "account": each.name,
        "site": known.sites[each.account.site].url if each.account else None,
        "product": product,
        "credentials": [
            {"kind": one.kind, "scopes": list(one.scopes), "exact": one.exact} for one in advice.credentials
        ],
        "one_credential": advice.fits,
        "why_not": list(advice.why),
        "needs": [_need_as_data(need) for need in each.needs(product)],
        "unsure": list(each.unsure),
        "declared": None if held is None or not compared else sorted(held),
        "lacks": [{"scopes": list(lack.scopes), **_need_as_data(need)} for need, lack in each.lacks(product)],
        "too_many": list(each.surplus(product)),
    }


def _need_as_data(need: Need) -> dict[str, Any]:
    return {
        "rule": need.rule,
        "verb": need.verb,
        "operation": need.operation.operation_id,
        "why": str(need.reason),
        "only_when_acting": need.acting,
        "certain": need.sure,
    }
