"""The files that ``bridge migrate`` reads and writes: exports found in a directory, private files, what was told."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli import init_files
from bridge.cli.check import near
from bridge.migrate import export
from bridge.migrate.conversion import Converter, Names
from bridge.migrate.export import Problem, Reading
from bridge.migrate.mapping import converters
from bridge.migrate.mapping import read as read_mapping
from bridge.migrate.site import Person

PEOPLE = "people.json"
PROJECTS = "projects.json"
ABOUT = "about.json"
_OURS = frozenset({PEOPLE, PROJECTS})

files = click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR…", type=click.Path(path_type=Path))
project = click.option(
    "--project", "projects", multiple=True, metavar="ID=KEY", help="The key of a project that exports call by its id."
)
issue_type = click.option(
    "--issue-type", "issue_types", multiple=True, metavar="ID=NAME", help="The name of an issue type likewise."
)
service = click.option(
    "--service-project",
    "service",
    multiple=True,
    metavar="KEY",
    help="A project that is a service project; repeatable.",
)
mapping = click.option(
    "--mapping", "mappings", multiple=True, type=click.Path(path_type=Path), help="What types mean that are not known."
)


def read(paths: Sequence[Path]) -> Reading:
    """Read exports: files as they are named, directories with all ``.json`` files in them."""
    reading = Reading()
    for path in _found(paths, reading.problems):
        try:
            content = path.read_bytes()
        except OSError as error:
            reading.problems.append(Problem(str(path), f"cannot be read: {error.strerror}"))
            continue
        reading.add(export.read(content, str(path)))
    return reading


def _found(paths: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*.json") if _is_export(each))
            if not inside:
                problems.append(Problem(str(path), "has no .json file in it"))
            yield from inside
        else:
            yield path


def _is_export(path: Path) -> bool:
    """Tell an export from what pull and write put beside it."""
    return path.is_file() and path.name not in _OURS and not (path.parent / ABOUT).exists()


def people(paths: Sequence[Path]) -> dict[str, Person]:
    """Read who the account ids are, from the ``people.json`` that pull writes beside automations."""
    found: dict[str, Person] = {}
    for path in paths:
        beside = (path if path.is_dir() else path.parent) / PEOPLE
        try:
            data = json.loads(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for account, each in data.items() if isinstance(data, dict) else ():
            if isinstance(each, dict):
                found[account] = Person(str(each.get("name") or account), each.get("active") is not False)
    return found


def names(
    projects: Sequence[str], issue_types: Sequence[str], service: Sequence[str] = (), paths: Sequence[Path] = ()
) -> Names:
    """Read ``ID=KEY`` and ``ID=NAME``, and what pull found; raise ``click.UsageError`` for what is neither."""
    keys: dict[str, str] = {}
    desks: set[str] = set()
    for path in paths:
        for number, each in _beside(path).items():
            if isinstance(each, dict) and each.get("key"):
                keys[number] = str(each["key"])
                desks |= {number} if each.get("service") else set()
    keys |= dict(_pair(each, "--project") for each in projects)
    desks |= set(service) | {number for number, key in keys.items() if key in service}
    return Names(keys, dict(_pair(each, "--issue-type") for each in issue_types), frozenset(desks))


def _beside(path: Path) -> dict[str, Any]:
    """Read the ``projects.json`` that pull writes beside automations; empty where there is none."""
    try:
        data = json.loads(((path if path.is_dir() else path.parent) / PROJECTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _pair(text: str, option: str) -> tuple[str, str]:
    number, equals, name = text.partition("=")
    if not equals or not name.strip():
        if option == "--project" and text.strip() and not text.strip().isdigit():
            # A key by itself: for automations that hold for the whole site.
            return text.strip(), text.strip()
        raise click.UsageError(f"{option} {text}: write it as 10001={'OPS' if option == '--project' else 'Task'}")
    return number.strip(), name.strip()


def taught(mappings: Sequence[Path]) -> dict[str, Converter]:
    """Read mapping files, ours first; raise ``SettingsInvalid`` for what is none."""
    found = converters(read_mapping())
    for path in mappings:
        found |= converters(read_mapping(path))
    return found


def warn_of_git(path: Path) -> None:
    """Warn if git would take a file with secrets into a repository."""
    if init_files.seen_by_git(path):
        click.echo(f"WARNING: git would take {near(path.parent)}/ into the repository: add it to .gitignore", err=True)


def as_json(data: Any) -> str:
    """Write JSON as people read it."""
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def payload(path: Path) -> Any:
    """Read a recorded payload."""
    return json.loads(path.read_text(encoding="utf-8"))


def tell(problems: Sequence[Problem]) -> None:
    """Print what could not be read, one line each, on standard error."""
    for each in problems:
        click.echo(f"bridge: {each}", err=True)
