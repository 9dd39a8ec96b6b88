"""``bridge migrate write``: the rules, a payload for each, and the automation that calls them, tried before it ends."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from bridge.cli import compose, init_files, migrate_next, show
from bridge.cli import migrate_files as files
from bridge.cli.check import near
from bridge.cli.migrate_plan import planned
from bridge.cli.rules_send import with_path
from bridge.cli.words import counted, listed
from bridge.errors import RuleInvalid
from bridge.migrate.automation import SAID, WRITABLE
from bridge.migrate.body import example
from bridge.migrate.conversion import Names
from bridge.migrate.export import Problem, masked
from bridge.migrate.plan import Plan
from bridge.migrate.rewrite import Address, Form, rewritten
from bridge.migrate.rule_text import ACTING, OBSERVING, Wanted, manifest, name_of, rule
from bridge.rule.registry import load
from bridge.settings import Settings

_KEY = re.compile(r"[A-Z][A-Z0-9_]+|~?[A-Za-z0-9:_-]+")
_UNNAMED = re.compile(r"P([0-9]+)")
_FORMS: tuple[tuple[Form, int], ...] = (("observe", OBSERVING), ("act", ACTING))


class CannotWrite(ValueError):
    """One automation cannot be written; the text is one line that says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the command was told, or knows: where to write, for whom, and under which address the bridge is reached."""

    known: Settings
    output: Path
    names: Names
    url: str
    owner: str
    account: str


@dataclass(slots=True)
class Written:
    """What was written for one automation: its directory and its rules."""

    plan: Plan
    directory: Path
    rules: list[str] = field(default_factory=list)


@click.command(short_help="Write rules, payloads and the rewritten automation.")
@files.files
@files.project
@files.issue_type
@files.service
@files.mapping
@click.option(
    "-o", "output", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where; default: here."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only the automation of this name; repeatable.")
@click.option("--owner", help="Who answers for the rules: a team's address, not a person's.")
@click.option("--account", help="The service account of bridge.toml as which they act.")
@click.option("--url", metavar="URL", help="Where the bridge is reached from outside (default: [web] public_url).")
@show.by
def write(
    paths: tuple[Path, ...],
    projects: tuple[str, ...],
    issue_types: tuple[str, ...],
    service: tuple[str, ...],
    mappings: tuple[Path, ...],
    *,
    output: Path,
    only: tuple[str, ...],
    owner: str | None,
    account: str | None,
    url: str | None,
    by: str | None,
) -> None:
    """Write DIR/rules/RULE.toml in observe mode, a payload for it, and DIR/automations/RULE/ with the automation.

    The automation is written twice: observe.json, in which it still acts and tells the bridge beforehand, and act.json,
    in which the bridge acts in its place. Both are disabled, and hold the rule's token: only you can read them. Nothing
    is overwritten. Exits 1 if an automation could not be read, written or tried; the others are written all the same.
    """
    known = compose.settings()
    names = files.names(projects, issue_types, service, paths)
    plans, problems, _ = planned(paths, names, mappings)
    files.tell(problems)
    told = _told(known, output, names, url, owner, account)
    chosen = [each for each in plans if not only or each.automation.name in only]
    for name in sorted(set(only) - {each.automation.name for each in chosen}):
        problems.append(Problem("--only", f"there is no automation called {name} in these files"))
        files.tell(problems[-1:])
    written: list[Written] = []
    for plan in chosen:
        try:
            written.append(_one(told, plan, {name for each in written for name in each.rules}))
        except CannotWrite as error:
            problems.append(Problem(f"{plan.automation.where} ({plan.automation.name})", str(error)))
            files.tell(problems[-1:])
    made = [name for each in written for name in each.rules]
    _note_tokens(known, made, compose.person(by))
    good = _tried(replace(known, rules=output / "rules"), made)
    if made and (output / "rules").resolve() != known.rules.resolve():
        print(f"the bridge reads its rules from {known.rules}: put those of {output / 'rules'} there")
    for each in written:
        for line in migrate_next.steps(each.plan.automation, each.rules, each.directory):
            print(line)
    sys.exit(0 if written and good and not problems else 1)


def _told(known: Settings, output: Path, names: Names, url: str | None, owner: str | None, account: str | None) -> Told:
    """Complete what is given by what is usual; raise ``click.UsageError`` for what nobody said."""
    known.key()
    base = url or known.public_url
    accounts = list(known.accounts)
    usual = account or (accounts[0] if len(accounts) == 1 else None)
    missing = [
        option
        for option, value in (("--owner", owner), ("--account", usual), ("--url (or public_url in bridge.toml)", base))
        if not value
    ]
    if missing or not (owner and usual and base):
        raise click.UsageError(f"give {listed(missing)}")
    return Told(known, output, names, base, owner, usual)


def _one(told: Told, plan: Plan, taken: set[str]) -> Written:
    """Write one automation and its rules; raise ``CannotWrite`` before anything is written."""
    automation = plan.automation
    if not plan.runs:
        raise CannotWrite("the bridge takes over none of its actions: `bridge migrate plan` says why")
    if automation.dialect not in WRITABLE:
        raise CannotWrite(f"{SAID[automation.dialect]}: read for planning only, so export it from Cloud")
    if masked(automation):
        raise CannotWrite("its hidden headers are masked, and writing it back would store the mask: fetch it unmasked")
    wanted = Wanted(told.owner, told.account, _containers(told.names, plan))
    directory = told.output / "automations"
    made = Written(plan, directory)
    texts: dict[Path, str] = {}
    addresses: dict[Form, dict[int, Address]] = {"observe": {}, "act": {}}
    for run in plan.runs:
        name = name_of(automation, taken | set(made.rules))
        made.rules.append(name)
        text = manifest(plan, run, wanted)
        _readable(name, text)
        texts[told.output / "rules" / f"{name}.toml"] = text
        payload = files.as_json(example(run.carried, wanted.containers[0]))
        texts[told.output / "rules" / "payloads" / name / "example.json"] = payload
        for form, version in _FORMS:
            addresses[form][run.number] = _address(told, name, version)
    made.directory = directory / made.rules[0]
    secret = {f"{form}.json": rewritten(plan, addresses[form], form) for form, _ in _FORMS}
    secret["original.json"] = dict(automation.raw)
    secret[files.ABOUT] = _about(plan, made.rules)
    for path in (*texts, *(made.directory / name for name in secret)):
        if path.exists():
            raise CannotWrite(f"{near(path)} is there already, and nothing is overwritten")
    for path, text in texts.items():
        init_files.put(path, text, init_files.OPEN)
        print(f"wrote {near(path)}")
    for name, data in secret.items():
        init_files.put(made.directory / name, files.as_json(data), init_files.PRIVATE)
    print(f"wrote {near(made.directory)}/ ({', '.join(secret)}), readable by you only")
    files.warn_of_git(made.directory / "act.json")
    return made


def _containers(names: Names, plan: Plan) -> tuple[str, ...]:
    """Return the keys of the projects or spaces the rules are for, as somebody named them."""
    automation = plan.automation
    kind = "space" if automation.product == "confluence" else "project"
    if automation.site_wide:
        keys = [key for number, key in names.projects.items() if number == key]
        if not keys:
            raise CannotWrite(f"it is for every {kind}: say where its rules may act, --project KEY for each")
    else:
        unknown = [each for each in automation.projects if each not in names.projects and each.isdigit()]
        if unknown:
            raise CannotWrite(f"which key has {kind} {unknown[0]}? Give --project {unknown[0]}=KEY")
        keys = [names.projects.get(each, each) for each in automation.projects]
    for run in plan.runs:
        for step in run.steps:
            unnamed = _UNNAMED.fullmatch(str(step.arguments.get("project", "")))
            if unnamed and unnamed[0] not in names.projects.values():
                raise CannotWrite(f"which key has {kind} {unnamed[1]}? Give --project {unnamed[1]}=KEY")
    wrong = next((key for key in keys if not _KEY.fullmatch(key)), None)
    if wrong is not None:
        raise CannotWrite(f"{wrong} is no key of a {kind}")
    return tuple(dict.fromkeys(keys))


def _readable(name: str, text: str) -> None:
    try:
        rule(name, text)
    except ValueError as error:
        raise CannotWrite(f"its rule would have mistakes: {error}") from None


def _address(told: Told, name: str, version: int) -> Address:
    from bridge.ingress.signature import mint_token

    token = mint_token(told.known.secrets[0], name, version)
    return Address(with_path(told.url, f"/hooks/{name}"), f"Bearer {token}")


def _about(plan: Plan, rules: Sequence[str]) -> dict[str, Any]:
    automation = plan.automation
    return {
        "name": automation.name,
        "uuid": automation.uuid,
        "product": automation.product,
        "cloud_id": automation.cloud_id,
        "dialect": automation.dialect,
        "enabled": automation.enabled,
        "rules": list(rules),
    }


def _note_tokens(known: Settings, names: Sequence[str], person: str) -> None:
    """Write into the log that tokens were minted, as `bridge rules setup` does."""
    from bridge.store import journal
    from bridge.store.journal import Kind

    if not names:
        return
    key = known.secrets[0].id

    def note(connection: sa.Connection) -> None:
        for name in names:
            for _, version in _FORMS:
                journal.append(connection, Kind.TOKEN_MINTED, rule=name, token_version=version, key=key, person=person)

    compose.store(known).commit(note)


def _tried(known: Settings, names: Sequence[str]) -> bool:
    """Check all rules and send each new one its payload through a bridge and a site in this process."""
    if not names:
        return True
    try:
        current = load(known.rules, None)
    except RuleInvalid as error:
        for mistake in error.mistakes:
            click.echo(f"bridge: {known.rules / mistake.where}: {mistake.text}", err=True)
        return False
    print(f"checked {counted(len(current.rules), 'rule')}, no mistakes")
    from bridge.cli.trial import trial_of
    from bridge.testing import Refused

    good = True
    for name in names:
        payload = files.payload(known.rules / "payloads" / name / "example.json")
        with trial_of(known, current, current.rules[name], payload) as trial:
            try:
                report = trial.send(name, payload)
                state, why = str(report.state), report.reason
            except Refused as refused:
                state, why, report = "not taken", str(refused), None
        good = good and state == "done"
        print(f"tried {name}: {state}{f' ({why})' if why else ''}")
        for line in report.lines if report else ():
            print(f"  {show.printable(line)}")
    return good
