"""``bridge migrate pull`` and ``push``: automations fetched from the site and put back, with a person's token."""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from bridge.cli import init_files, show
from bridge.cli import migrate_access as access
from bridge.cli import migrate_files as files
from bridge.cli.check import near
from bridge.cli.words import counted
from bridge.errors import BridgeError
from bridge.migrate import export
from bridge.migrate.api import ApiRefused, Management
from bridge.migrate.automation import Automation
from bridge.migrate.export import Problem
from bridge.migrate.rule_text import name_of
from bridge.migrate.titles import title_of

Form = Literal["observe", "act", "original"]
BACKUP = "backup-{}.json"
# What the site adds, numbers anew or leaves out by itself; the rest must be equal for a tree to be the same.
_LOOSE = frozenset({"id", "parentId", "conditionParentId", "connectionId", "checksum", "urlSecure"})


class CannotPut(BridgeError):
    """The automation on the site is left as it is; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory that write made for one automation, and what stands in its about.json."""

    directory: Path
    uuid: str
    product: str
    cloud_id: str | None
    rules: tuple[str, ...]

    def form(self, form: str) -> dict[str, Any]:
        """Read a form of the automation; raise ``CannotPut`` for what is none."""
        return dict(_json(self.directory / f"{form}.json"))

    def backups(self) -> list[Path]:
        """The backups, oldest first."""
        return sorted(self.directory.glob(BACKUP.format("*")))


def place(directory: Path) -> Place:
    """Read a directory that write made; raise ``CannotPut`` if it is none, or of a dialect that the API cannot take."""
    about = _json(directory / files.ABOUT)
    if about.get("dialect") != "management-api" or not about.get("uuid"):
        raise CannotPut(
            f"{near(directory)} was not made from what `bridge migrate pull` fetched: import its files by hand"
        )
    rules = tuple(str(each) for each in about.get("rules") or ())
    return Place(directory, str(about["uuid"]), str(about.get("product") or "jira"), about.get("cloud_id"), rules)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotPut(f"{near(path)} cannot be read: {type(error).__name__}") from None
    if not isinstance(data, dict):
        raise CannotPut(f"{near(path)} is no file that write made")
    return data


@click.command(short_help="Fetch automations from the site, with your token.")
@click.argument("names", nargs=-1, metavar="[NAME|UUID]…")
@click.option("-o", "output", default="automations", type=click.Path(path_type=Path, file_okay=False), help="Where to.")
@access.options
def pull(names: tuple[str, ...], output: Path, site: str | None, email: str | None, product: str) -> None:
    """Fetch automations (default: all), with the people and projects they name, into files only you can read.

    Your API token is asked for and not kept. Exits 1 if one could not be fetched.
    """
    asked = access.of(site, email, product)
    problems: list[Problem] = []
    taken: list[str] = []
    people: dict[str, Any] = {}
    projects: dict[str, Any] = {}
    with access.opened(asked) as management:
        for summary in management.summaries():
            if names and not {summary.get("name"), summary.get("uuid")} & set(names):
                continue
            found = _fetched(management, str(summary.get("uuid")), problems)
            if found is None:
                continue
            data, automation = found
            slug = name_of(automation, taken)
            taken.append(slug)
            init_files.put(output / f"{slug}.json", files.as_json(data), init_files.PRIVATE)
            _learn(management, automation, people, projects)
    init_files.put(output / files.PEOPLE, files.as_json(people), init_files.PRIVATE)
    init_files.put(output / files.PROJECTS, files.as_json(projects), init_files.PRIVATE)
    print(f"fetched {counted(len(taken), 'automation')} into {near(output)}/, readable by you only")
    files.warn_of_git(output / files.PEOPLE)
    print(f"next: bridge migrate plan {near(output)}")
    files.tell(problems)
    sys.exit(1 if problems or not taken else 0)


def _fetched(management: Management, uuid: str, problems: list[Problem]) -> tuple[dict[str, Any], Automation] | None:
    try:
        data = management.rule(uuid)
    except ApiRefused as refused:
        problems.append(Problem(uuid, str(refused)))
        return None
    reading = export.read(json.dumps(data).encode(), uuid)
    problems += reading.problems
    return (data, reading.automations[0]) if reading.automations else None


def _learn(management: Management, automation: Automation, people: dict[str, Any], projects: dict[str, Any]) -> None:
    """Ask who the accounts are and which keys the projects have, each once; what may not be seen is left out."""
    owners = [str(each.get("accountId")) for each in automation.connections if each.get("accountId")]
    for account in filter(None, (automation.actor.id, automation.author, *owners)):
        if account not in people and (found := management.person(account)) is not None:
            people[account] = {"name": found.get("displayName"), "active": found.get("active") is not False}
    if automation.product == "jira":
        for number in automation.projects:
            if number not in projects and (found := management.project(number)) is not None:
                service = found.get("projectTypeKey") == "service_desk"
                projects[number] = {"key": found.get("key"), "service": service}


@click.command(short_help="Put a rewritten automation on the site, with your token.")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--undo", is_flag=True, help="Put the first backup back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@access.options
def push(directory: Path, site: str | None, email: str | None, product: str, *, undo: bool, yes: bool) -> None:
    """Put the observing form of DIRECTORY on the site: the automation still acts, and tells the bridge beforehand.

    What is there is kept as a backup first, the change is shown and must be agreed to. The automation stays enabled or
    disabled, as it is. Your API token is asked for and not kept.
    """
    here = place(directory)
    asked = access.of(site, email, here.product if product == "jira" else product)
    with access.opened(asked, here.cloud_id) as management:
        if undo:
            restore(management, here, yes=yes)
        else:
            replace(management, here, "observe", expected="original", yes=yes)


def replace(management: Management, here: Place, form: Form, *, expected: Form, yes: bool) -> None:
    """Put a form in the place of the ``expected`` one: back up, show, have it agreed to, put, look.

    Raises ``CannotPut`` when the site has something else by now, or gives it masked.
    """
    there = management.rule(here.uuid)
    wanted = here.form(form)
    if same(there["rule"], wanted["rule"]):
        print("the site has it already")
        return
    _fit(there)
    before = here.form(expected)
    if not same(there["rule"], before.get("rule", before)):
        raise CannotPut("somebody changed the automation since it was fetched: pull it, and write again")
    backup = here.directory / BACKUP.format(datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f"))
    init_files.put(backup, files.as_json(there), init_files.PRIVATE)
    print(f"backed up to {near(backup)}, readable by you only")
    _put(management, here, there, wanted, yes=yes)


def restore(management: Management, here: Place, *, yes: bool) -> None:
    """Put the first backup back, state included."""
    backups = here.backups()
    if not backups:
        raise CannotPut(f"there is no backup in {near(here.directory)}: nothing was put from here")
    there, wanted = management.rule(here.uuid), dict(_json(backups[0]))
    if same(there["rule"], wanted["rule"]):
        print("the site has it already")
        return
    _put(management, here, there, wanted, yes=yes)


def _fit(there: Mapping[str, Any]) -> None:
    reading = export.read(json.dumps(there).encode(), "the site")
    if not reading.automations:
        raise CannotPut("; ".join(str(each) for each in reading.problems))
    if export.masked(reading.automations[0]):
        raise CannotPut("the site gives hidden headers masked, and putting it back would store the mask")


def _put(
    management: Management, here: Place, there: Mapping[str, Any], wanted: Mapping[str, Any], *, yes: bool
) -> None:
    for line in changed(there["rule"], wanted["rule"]):
        print(show.printable(line))
    if not yes and not _agreed():
        raise click.Abort
    enabled = there["rule"].get("state") == "ENABLED"
    management.put(here.uuid, wanted, enabled=enabled)
    if not same(management.rule(here.uuid)["rule"], wanted["rule"]):
        raise CannotPut("the site keeps something else than was put: look at the automation, or put the backup back")
    print(f"put; the automation is {'enabled' if enabled else 'disabled'}, as it was")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("this is no terminal to ask on, so give --yes")
    return click.confirm("Put it?", default=False)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Show a change as components by their names, and never by what stands in them."""
    old, new = (list(_outline((each["trigger"], *each["components"]), "")) for each in (before, after))
    lines = difflib.unified_diff(old, new, lineterm="", n=2)
    return (line for line in list(lines)[2:] if not line.startswith("@@"))


def _outline(nodes: tuple[Mapping[str, Any], ...], indent: str) -> Iterator[str]:
    for node in nodes:
        value = node.get("value")
        url = str(value.get("url", "")) if isinstance(value, dict) else ""
        to = f" to {url.partition('?')[0]}" if "/hooks/" in url else ""
        yield f"{indent}{title_of(str(node.get('type')))}{to}"
        yield from _outline((*(node.get("conditions") or ()), *(node.get("children") or ())), f"{indent}  ")


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two automations have the same trigger and components, ids and what the site adds aside."""
    return all(_bare(one.get(name)) == _bare(other.get(name)) for name in ("trigger", "components"))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        loose = _LOOSE if {"component", "headerSecure", "method"} & value.keys() else frozenset()
        kept = {name: _bare(inner) for name, inner in value.items() if name not in loose}
        return {name: inner for name, inner in kept.items() if inner not in (None, [], {})}
    return [_bare(each) for each in value] if isinstance(value, list) else value
