"""``bridge migrate plan``: what of automations the bridge can do, before anything is set up or changed."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli import migrate_files as files
from bridge.cli import show
from bridge.cli.words import counted, listed
from bridge.migrate import page
from bridge.migrate.automation import SAID
from bridge.migrate.conversion import Names
from bridge.migrate.export import Problem
from bridge.migrate.mapping import template
from bridge.migrate.plan import Plan, weigh
from bridge.migrate.site import People, Summary, actor_of, advice, called, containers_of, summed

COLUMNS = ("automation", "state", "actor", "leaves", "bridge", "stay", "rules")
FEW = 12


@click.command(short_help="Say what of automations the bridge can do, and what stays.")
@files.files
@files.project
@files.issue_type
@files.service
@files.mapping
@show.as_json
@click.option("--page", "to_page", type=click.Path(path_type=Path), help="Write a page to hand round: .html or .md.")
@click.option("--unknown", is_flag=True, help="Print the component types that are not known, ready to be mapped.")
def plan(
    paths: tuple[Path, ...],
    projects: tuple[str, ...],
    issue_types: tuple[str, ...],
    service: tuple[str, ...],
    mappings: tuple[Path, ...],
    *,
    as_json: bool,
    to_page: Path | None,
    unknown: bool,
) -> None:
    """Read exported automations and say of each action whether the bridge can do it, and if not, why it stays.

    FILE is an export of Jira or Confluence Cloud, an answer of the rule management API, or an export of Data Center or
    of 2018; a DIR stands for all .json files in it. Needs no account and no set-up, changes nothing, and shows no value
    of any component. Exits 1 if something could not be read.
    """
    found, problems, people = planned(paths, files.names(projects, issue_types, service, paths), mappings)
    if unknown:
        _print_unknown(found)
    elif as_json:
        _print_json(found, people)
    else:
        _print(found, people)
    if to_page is not None:
        sections = list(page.sections(found, problems, people))
        text = page.as_html(sections) if to_page.suffix in {".html", ".htm"} else page.markdown(sections)
        to_page.write_text(text, encoding="utf-8")
        click.echo(f"wrote {to_page}", err=True)
    files.tell(problems)
    sys.exit(1 if problems else 0)


def planned(paths: Sequence[Path], names: Names, mappings: Sequence[Path]) -> tuple[list[Plan], list[Problem], People]:
    """Read and weigh; what cannot be read is a problem of its own, and the rest goes on."""
    taught = files.taught(mappings)
    reading = files.read(paths)
    found = [weigh(each, names, taught) for each in reading.automations]
    return found, reading.problems, files.people(paths)


def _print_unknown(plans: Sequence[Plan]) -> None:
    """Print each unknown type once, with the names of its value's members and none of their contents."""
    members: dict[str, dict[str, None]] = {}
    for each in plans:
        for decision in each.decisions:
            if not decision.known:
                value = decision.node.value
                known = members.setdefault(decision.node.type, {})
                known.update(dict.fromkeys(map(show.printable, value) if isinstance(value, dict) else ()))
    print("\n".join(template(show.printable(kind), list(names)) for kind, names in members.items()) or "# none")


def _print(plans: Sequence[Plan], people: People) -> None:
    rows = [_row(each, people) for each in plans]
    show.rows(COLUMNS, rows, json_lines=False, nothing="no automation was read")
    if 0 < len(plans) <= FEW:
        for each in plans:
            print()
            for line in _details(each, people):
                print(show.printable(line))
    if plans:
        print()
        for line in _summary(summed(plans, people)):
            print(show.printable(line))


def _row(each: Plan, people: People) -> dict[str, Any]:
    done = sum(decision.verdict == "bridge" for decision in each.decisions)
    return {
        "automation": each.automation.name,
        "state": "enabled" if each.automation.enabled else "disabled",
        "actor": actor_of(each.automation, people),
        "leaves": each.leaves,
        "bridge": done,
        "stay": len(each.decisions) - done,
        "rules": len(each.runs),
    }


def _details(each: Plan, people: People) -> Iterator[str]:
    automation = each.automation
    yield f"{automation.name}  ({automation.where}: {SAID[automation.dialect]})"
    yield f"  for       {listed(containers_of(each))}"
    yield f"  actor     {actor_of(automation, people)}; made by {called(automation.author, people)}"
    for decision in each.decisions:
        if decision.verdict == "bridge":
            verbs = ", ".join(step.verb for step in decision.steps)
            yield f"  bridge    {decision.title}: {verbs} (rule {decision.run})"
        else:
            yield f"  stays     {decision.title}: {decision.why.rstrip('.')}"
        for lost in decision.lost:
            yield f"              note: {lost}"
    for run in each.runs:
        yield f"  carries   {listed([one.path for one in run.carried])} (rule {run.number})"
    if each.runs:
        yield f"  scope     {listed(each.verbs)}"
        yield f"  then      {advice(automation)}"
    for note in each.notes:
        yield f"  note      {note}"


def _summary(sums: Summary) -> Iterator[str]:
    leaves = [f"{sums.leaves.get(how, 0)} {how}" for how in ("entirely", "partly", "not at all")]
    yield f"{counted(sums.automations, 'automation')}, {sums.enabled} enabled; they leave their actor: {listed(leaves)}"
    yield f"{counted(sums.performed, 'action')} by the bridge with {counted(sums.rules, 'rule')}; {sums.staying} stay"
    for name, why in sums.mortal:
        yield f"depends on a person: {name} {why}"
    for each in sums.exposed:
        yield f"a credential stands in it: {each}"
    for container, verbs in sorted(sums.verbs.items()):
        yield f"access: the service account needs, in {container}, what {listed(verbs)} take"
    for credential in sums.credentials:
        yield f"OAuth scopes for {credential.product}: {' '.join(credential.scopes)}"


def _print_json(plans: Sequence[Plan], people: People) -> None:
    rows = [_row(each, people) | _as_data(each, people) for each in plans]
    show.rows((), rows, json_lines=True, nothing="")


def _as_data(each: Plan, people: People) -> dict[str, Any]:
    automation = each.automation
    return {
        "file": automation.where,
        "dialect": automation.dialect,
        "uuid": automation.uuid,
        "product": automation.product,
        "for": containers_of(each),
        "author": called(automation.author, people),
        "actions": [
            {
                "title": one.title,
                "type": one.node.type,
                "at": list(one.node.path),
                "by": one.verdict,
                "rule": one.run,
                "steps": [step.verb for step in one.steps],
                "why": one.why or None,
                "lost": one.lost,
            }
            for one in each.decisions
        ],
        "carries": [[one.path for one in run.carried] for run in each.runs],
        "verbs": each.verbs,
        "notes": each.notes,
        "credentials": [
            {"host": one.host, "where": one.credentials, "atlassian": one.atlassian}
            for one in each.requests
            if one.credentials
        ],
    }
