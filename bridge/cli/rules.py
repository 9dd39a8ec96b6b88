"""``bridge rules``: what the rules' files say, and every mistake in them."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from bridge.cli import compose, show
from bridge.cli.account_needs import of_all, shortfalls
from bridge.cli.rules_new import new
from bridge.cli.rules_send import send
from bridge.cli.rules_setup import setup
from bridge.cli.rules_show import show_rule
from bridge.cli.rules_try import test
from bridge.cli.verbs import verbs
from bridge.cli.watch import schema, watch
from bridge.cli.words import counted
from bridge.errors import Mistake, RuleInvalid, StoreUnavailable, StoreUnfit
from bridge.rule.manifest import Manifest
from bridge.rule.reading import PRODUCTS
from bridge.rule.registry import RuleSet, facts, load
from bridge.rule.scope import Scope
from bridge.settings import Settings
from bridge.store import registers
from bridge.store.registers import Pause

COLUMNS = ("name", "mode", "paused", "source", "account", "scope", "title")
LONGEST_SCOPE = 60


@click.group()
def rules() -> None:
    """List, check, write and try rules."""


rules.add_command(show_rule)
rules.add_command(new)
rules.add_command(test)
rules.add_command(send)
rules.add_command(setup)
rules.add_command(verbs)
rules.add_command(watch)
rules.add_command(schema)


@rules.command("list", short_help="Show all rules in a table.")
@show.as_json
def list_rules(*, as_json: bool) -> None:
    """Show all rules: who sends to them, as whom they act, what they may do, and whether somebody paused them."""
    known = compose.settings()
    current = compose.readable(known).current()
    paused = _pauses(known)
    rows = [
        {
            "name": name,
            "title": rule.manifest.title,
            "mode": rule.manifest.mode,
            "paused": _paused(name, rule.manifest, paused),
            "source": rule.manifest.source,
            "account": rule.manifest.account,
            "scope": _scope_as_data(rule.manifest.scope) if as_json else _summary(rule.manifest.scope),
        }
        for name, rule in sorted(current.rules.items())
    ]
    show.rows(COLUMNS, rows, json_lines=as_json, nothing=f"no rule in {known.rules}; `bridge rules new` writes one")


def _pauses(known: Settings) -> Sequence[Pause] | None:
    """Return the pauses in force; None, with a word on standard error, when the database cannot tell."""
    try:
        with compose.store(known).read() as connection:
            return registers.pauses(connection)
    except (StoreUnavailable, StoreUnfit) as error:
        click.echo(f"bridge: whether rules are paused cannot be told: {error}", err=True)
        return None


def _paused(name: str, manifest: Manifest, pauses: Sequence[Pause] | None) -> str | None:
    if pauses is None:
        return "?"
    held = {("all", ""), ("rule", name), ("account", manifest.account)}
    return ", ".join(found.what for found in pauses if (found.what, found.name) in held) or None


def _scope_as_data(scope: Scope) -> dict[str, dict[str, list[str]]]:
    return {
        product: {container: sorted(verbs) for container, verbs in sorted(scope.grants(product).items())}
        for product in PRODUCTS
        if scope.grants(product)
    }


def _summary(scope: Scope) -> str:
    """Say a scope in a few letters: ``CHG: read, OPS: comment read``."""
    parts = [
        f"{container}: {' '.join(sorted(verbs))}"
        for product in PRODUCTS
        for container, verbs in sorted(scope.grants(product).items())
    ]
    text = ", ".join(parts) or "nothing"
    return text if len(text) <= LONGEST_SCOPE else text[: LONGEST_SCOPE - 1].rstrip(" ,:") + "…"


@rules.command(short_help="Find every mistake of every rule.")
def check() -> None:
    """Find every mistake of every rule, one on each line as file:line: key: text. Exits 1 if there is any.

    With a bridge.toml, the OAuth scopes that it declares for an account are compared with what its rules need.
    """
    known = compose.settings()
    # Without bridge.toml there is no account yet, and the rules can be checked all the same: in CI for instance.
    accounts = facts(known.accounts) if known.config.exists() else None
    try:
        found = load(known.rules, accounts)
    except RuleInvalid as error:
        _print_mistakes(error.mistakes, known.rules, "none of the rules is taken")
        sys.exit(1)
    lacking, doubtful = _scopes_lacking(found, known) if accounts is not None else ([], [])
    warnings = [*found.warnings, *doubtful]
    _print_warnings(warnings, known.rules)
    if accounts is None:
        print(f"accounts and their OAuth scopes were not compared: there is no {known.config}")
    if lacking:
        _print_mistakes(lacking, known.rules, "the rules are taken, and what needs these OAuth scopes will fail")
        sys.exit(1)
    print(f"{counted(len(found.rules), 'rule')}, no mistakes, {counted(len(warnings), 'warning')}")


def _print_mistakes(mistakes: Sequence[Mistake], root: Path, consequence: str) -> None:
    for mistake in mistakes:
        print(_placed(mistake, root))
    files = len({mistake.where for mistake in mistakes})
    print(f"{counted(len(mistakes), 'mistake')} in {counted(files, 'file')}; {consequence}")


def _scopes_lacking(found: RuleSet, known: Settings) -> tuple[list[Mistake], list[Mistake]]:
    """Return the OAuth scopes that rules need and their account lacks, and those that they may come to need.

    May come to: once it acts and no longer observes, or where its Python does not show what it calls.
    """
    mistakes, warnings = [], []
    for each in of_all(list(found.rules.values()), known):
        for product in each.products:
            if each.held(product) == frozenset():
                text = "says no OAuth scopes of the credential that rules use, so they were not compared"
                warnings.append(Mistake(str(known.config), text, key=f"account.{each.name}.{product}.scopes"))
            for one in shortfalls(each, product):
                if one.sure and not one.acting:
                    mistakes.append(Mistake(one.where, one.text, line=one.line))
                else:
                    when = "perhaps" if not one.sure else "once it acts,"
                    warnings.append(Mistake(one.where, f"{when} {one.text}", line=one.line))
    return mistakes, warnings


def _print_warnings(warnings: Sequence[Mistake], root: Path) -> None:
    for warning in warnings:
        print(f"warning: {_placed(warning, root)}", file=sys.stderr)


def _placed(mistake: Mistake, root: Path) -> Mistake:
    """Name the file from where the person stands, so that an editor finds it."""
    path = root / mistake.where
    here = Path.cwd()
    return replace(mistake, where=str(path.relative_to(here) if path.is_relative_to(here) else path))
