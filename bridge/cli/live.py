"""``bridge doctor --live``: what the rules do, tried on a real site with an issue and a page that are deleted again.

What only a site can tell is found out here before it matters: which OAuth scopes a credential really has, whether each
method is answered as the bridge expects, and whether what Atlassian does not promise holds there.
"""

import contextlib
import json
import logging
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from bridge import catalogue
from bridge.cli import check, compose, live_trials
from bridge.cli.check import Check
from bridge.cli.live_facts import Questions
from bridge.cli.live_stage import stage
from bridge.cli.live_trial import ISSUES, Trial
from bridge.cli.live_trials import DELETE
from bridge.cli.words import listed
from bridge.egress.accounts import Accounts
from bridge.egress.upstream import Upstream
from bridge.errors import BridgeError
from bridge.rule.registry import Rule
from bridge.settings import Account, Settings

NONE = "-"


class CannotTry(BridgeError):
    """There is nothing to try, or nobody to try it as."""


def try_out(project: str, space: str, account: str | None, by: str | None, *, yes: bool, as_json: bool) -> int:
    """Try everything in ``project`` and ``space`` (``-`` for none), print what came of it, return the exit status."""
    known = compose.settings()
    known.key()
    rules = list(compose.registry(known).current().rules.values())
    chosen = _account(known, rules, account)
    mine = [rule for rule in rules if rule.manifest.account == chosen.name]
    containers = {"jira": project, "confluence": space}
    where = {product: each for product, each in containers.items() if each != NONE and product in chosen.credentials}
    if not where:
        raise CannotTry(f"{chosen.name} has no credential for what was named: give a project or a space to try in")
    _agree(known, chosen, where, yes=yes)
    person = compose.person(by)
    levels = set()
    with _quietly(), _ended_in_order():
        for found in _tried(known, chosen, mine, where, person):
            levels.add(found.level)
            print(json.dumps(found.as_data(), ensure_ascii=False) if as_json else found, flush=True)
    return check.status(levels)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what egress logs for operators off the terminal: the checks tell it."""
    ours = logging.getLogger("bridge")
    before = ours.level
    ours.setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.setLevel(before)


def _account(known: Settings, rules: Sequence[Rule], named: str | None) -> Account:
    acting = sorted({rule.manifest.account for rule in rules} & set(known.accounts)) or sorted(known.accounts)
    if named is None and len(acting) != 1:
        raise CannotTry(f"there are {listed(acting)}: say with --account which of them to try" if acting
                        else "bridge.toml has no account: `bridge init` adds one")  # fmt: skip
    found = known.accounts.get(named or acting[0])
    if found is None:
        raise CannotTry(f"bridge.toml has no account {named}; it has {listed(sorted(known.accounts))}")
    return found


def _agree(known: Settings, account: Account, where: Mapping[str, str], *, yes: bool) -> None:
    """Say what is about to happen, and have somebody agree to it."""
    things = {"jira": f"{ISSUES} issues in project {{}}", "confluence": "a page or two in space {}"}
    made = " and ".join(things[product].format(container) for product, container in where.items())
    click.echo(
        f"This makes {made} of {known.sites[account.site].url} as {account.name}, tries there what the rules do, and "
        "deletes them again. Whoever watches them is notified.",
        err=True,
    )
    deletes = [(product, _cannot_delete(account, product)) for product in where]
    for product, lacking in deletes:
        if lacking:
            what = "issues" if product == "jira" else "page"
            text = f"By bridge.toml the {product} credential lacks {lacking}: the {what} will be left to you to delete."
            click.echo(text, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this is no terminal to ask on, so give --yes")
    click.confirm("Go on", abort=True, err=True)


def _cannot_delete(account: Account, product: str) -> str:
    scopes = account.credentials[product].scopes
    return ", ".join(catalogue.locate(product, DELETE[product]).missing(scopes)) if scopes else ""


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a SIGTERM end it as Ctrl-C does, so that it cleans up."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tried(
    known: Settings, account: Account, rules: Sequence[Rule], where: Mapping[str, str], person: str
) -> Iterator[Check]:
    methods = {name: found for name, found in live_trials.used(rules).items() if found[0].product in where}
    grants = live_trials.scope([method for method, _ in methods.values()], where.get("jira"), where.get("confluence"))
    upstream = Upstream(known.request_timeout)
    with contextlib.closing(upstream), stage(known, account, grants, person) as place:
        trial = Trial(place, Accounts(place.known, place.store, upstream), where)
        try:
            yield from trial.who()
            yield from trial.scopes(rules)
            yield from trial.make([method for method, _ in methods.values()])
            questions = Questions(place, trial.targets, trial.look, trial.made)
            yield from questions.soon()
            yield from trial.methods(methods)
            yield from trial.asked_by_hand(rules)
            yield from questions.all()
        finally:
            # Nothing of it may be left behind, whatever happened; a second Ctrl-C would leave it there.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            left = [*trial.clean_up()]
            signal.signal(signal.SIGINT, before)
            if sys.exc_info()[0] is not None:
                for each in left:
                    print(each, flush=True)
        yield from left
