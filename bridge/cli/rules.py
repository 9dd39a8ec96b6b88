"""``bridge rules``: what the rules' files say, and every mistake in them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bridge import catalogue
from bridge.catalogue import Operation, Verb
from bridge.cli import compose, oauth, show
from bridge.cli.rules_new import new
from bridge.cli.rules_send import send
from bridge.cli.rules_setup import setup
from bridge.cli.rules_show import show_rule
from bridge.cli.rules_try import test
from bridge.cli.words import counted
from bridge.errors import Mistake, RuleInvalid, StoreUnavailable, StoreUnfit
from bridge.rule.manifest import Manifest
from bridge.rule.registry import RuleSet, facts, load
from bridge.rule.scope import Scope
from bridge.rule.steps import SHAPES
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
        for product in oauth.PRODUCTS
        if scope.grants(product)
    }


def _summary(scope: Scope) -> str:
    """Say a scope in a few letters: ``CHG: read, OPS: comment read``."""
    parts = [
        f"{container}: {' '.join(sorted(verbs))}"
        for product in oauth.PRODUCTS
        for container, verbs in sorted(scope.grants(product).items())
    ]
    text = ", ".join(parts) or "nothing"
    return text if len(text) <= LONGEST_SCOPE else text[: LONGEST_SCOPE - 1].rstrip(" ,:") + "…"


@rules.command(short_help="Find every mistake of every rule.")
def check() -> None:
    """Find every mistake of every rule, one on each line as file:line: key: text. Exits 1 if there is any."""
    known = compose.settings()
    # Without bridge.toml there is no account yet, and the rules can be checked all the same: in CI for instance.
    accounts = facts(known.accounts) if known.config.exists() else None
    try:
        found = load(known.rules, accounts)
    except RuleInvalid as error:
        for mistake in error.mistakes:
            print(_placed(mistake, known.rules))
        files = len({mistake.where for mistake in error.mistakes})
        print(f"{counted(len(error.mistakes), 'mistake')} in {counted(files, 'file')}; none of the rules is taken")
        sys.exit(1)
    _print_warnings(found, known.rules)
    if accounts is None:
        click.echo(f"warning: there is no {known.config}, so the rules' accounts were not checked", err=True)
    print(f"{counted(len(found.rules), 'rule')}, no mistakes, {counted(len(found.warnings), 'warning')}")


def _print_warnings(found: RuleSet, root: Path) -> None:
    for warning in found.warnings:
        print(f"warning: {_placed(warning, root)}", file=sys.stderr)


def _placed(mistake: Mistake, root: Path) -> Mistake:
    """Name the file from where the person stands, so that an editor finds it."""
    path = root / mistake.where
    here = Path.cwd()
    return replace(mistake, where=str(path.relative_to(here) if path.is_relative_to(here) else path))


@rules.command(short_help="Show what a scope can grant.")
@show.as_json
def verbs(*, as_json: bool) -> None:
    """Show what a scope can grant: each verb, how a step says it, and the OAuth scopes it needs."""
    for verb in catalogue.verbs().values():
        if as_json:
            print(json.dumps(_verb_as_data(verb), ensure_ascii=False))
        else:
            _print_verb(verb)


def _own(verb: Verb) -> list[Operation]:
    return [catalogue.locate(verb.product, name) for name in dict.fromkeys((*verb.operations, *verb.reads))]


def _print_verb(verb: Verb) -> None:
    print(f"{verb.full_name}: {verb.title}")
    print(f"    {verb.what}")
    shape = SHAPES.get(verb.full_name)
    if shape is not None:
        needed = [argument.name for argument in shape.arguments if argument.required]
        others = [argument.name for argument in shape.arguments if not argument.required]
        one = f"; one of {', '.join(shape.one_of)}" if shape.one_of else ""
        others = [name for name in others if name not in shape.one_of]
        perhaps = f" (and perhaps {', '.join(others)})" if others else ""
        print(f"    {'in a step':14}{', '.join(needed)}{one}{perhaps}")
    for operation in _own(verb):
        print(f"    {'operation':14}{operation.operation_id}: {_alternatives(operation)}")
    print(f"    {'in doubt':14}{verb.when_in_doubt}\n")


def _alternatives(operation: Operation) -> str:
    """Say the OAuth scopes of an operation: any one of the sets is enough."""
    said = [" + ".join(sorted(one.scopes)) for one in operation.scope_sets]
    return " | ".join(said) or "Atlassian names no OAuth scope"


def _verb_as_data(verb: Verb) -> dict[str, Any]:
    shape = SHAPES.get(verb.full_name)
    arguments = {} if shape is None else {each.name: each.required for each in shape.arguments}
    return {
        "verb": verb.full_name,
        "title": verb.title,
        "what": verb.what,
        "write": verb.write,
        "arguments": [{"name": name, "required": required} for name, required in arguments.items()],
        "one_of": [] if shape is None else list(shape.one_of),
        "operations": [
            {
                "id": operation.operation_id,
                "method": operation.method,
                "path": operation.path,
                "oauth_scopes": [sorted(one.scopes) for one in operation.scope_sets],
            }
            for operation in _own(verb)
        ],
        "in_doubt": verb.when_in_doubt,
    }
