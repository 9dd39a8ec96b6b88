"""What ``bridge init`` changes: worked out whole, read as the next command would read it, shown, agreed to, written."""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from bridge import settings as settings_room
from bridge.cli import envfile, init_files
from bridge.cli.check import near
from bridge.cli.config_text import CannotEdit
from bridge.cli.init_ask import Asked
from bridge.cli.init_files import Wanted
from bridge.errors import BridgeError, SettingsInvalid
from bridge.settings import Settings


class NotWritten(BridgeError):
    """Nothing was written; the text says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """The files as they will be; ``kept`` are typed secrets by their files."""

    config: Path
    before: str
    after: str
    env: Path
    env_before: str
    env_after: str
    kept: Mapping[Path, str]
    home: Path
    rules: Path

    def __repr__(self) -> str:
        """Name the file, and none of the secrets."""
        return f"<Change of {self.config}>"


def prepare(known: Settings, wanted: Wanted, rules: Path) -> Change:
    """Work out what is to be written. Raises ``NotWritten`` if the result could not be read or was edited by hand."""
    env = envfile.place(os.environ)
    before, env_before = _read(known.config), _read(env)
    try:
        after = init_files.config(before, known, wanted)
    except CannotEdit as error:
        raise NotWritten(f"{known.config} stays as it is: {error}") from error
    env_after = init_files.environment(env_before, os.environ, known, wanted, rules)
    kept = {
        Path(credential.kept_at.removeprefix("file:")): credential.typed
        for credential in wanted.credentials.values()
        if credential.typed is not None
    }
    _try(known.config.name, after, env_after)
    return Change(known.config, before, after, env, env_before, env_after, kept, known.home, rules)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NotWritten(f"{path} cannot be read: {error}") from error


def _try(name: str, config: str, env: str) -> None:
    """Read the texts as every command will, before anything of them is written."""
    with tempfile.TemporaryDirectory(prefix="bridge-init-") as directory:
        place = Path(directory) / name
        place.write_text(config, encoding="utf-8")
        environ = {**os.environ, "BRIDGE_CONFIG": str(place)}
        for each, value in envfile.parse(env, environ, []):
            environ.setdefault(each, value)
        try:
            settings_room.read(environ)
        except SettingsInvalid as error:
            raise NotWritten(f"nothing was written, for this would not do:\n{error}") from error


def carry_out(asked: Asked, change: Change, *, yes: bool) -> None:
    """Show the change, have it agreed to, and write it: secrets first, so that what names them finds them."""
    if change.after != change.before:
        print(f"\n{near(change.config)}" + (" is to be:" if not change.before else " is to change:"))
        print(_shown(change))
    if change.before and change.after != change.before and not yes and not asked.interactive:
        raise NotWritten(f"{change.config} is there already: give --yes to have it changed as shown")
    if (change.after, change.env_after, change.kept) == (change.before, change.env_before, {}):
        print("\nNothing is to be written: everything is there.")
        return
    if not asked.yes("Write it", usual=True):
        raise click.Abort
    init_files.private(change.home)
    for path, secret in change.kept.items():
        init_files.private(path.parent)
        init_files.put(path, f"{secret}\n", init_files.PRIVATE)
        print(f"wrote {near(path)}, readable by you only")
    if change.env_after != change.env_before:
        names = [name for name, _ in envfile.parse(change.env_after, {}, [])]
        init_files.put(change.env, change.env_after, init_files.PRIVATE)
        print(f"wrote {near(change.env)} ({', '.join(names)}), readable by you only; every command finds it here")
        if init_files.seen_by_git(change.env):
            click.echo(f"WARNING: git would take {change.env} into the repository: add it to .gitignore", err=True)
    if change.after != change.before:
        mode = change.config.stat().st_mode & 0o777 if change.before else init_files.OPEN
        init_files.put(change.config, change.after, mode)
        print(f"wrote {near(change.config)}")
    if not change.rules.exists():
        change.rules.mkdir(parents=True)
        print(f"made {near(change.rules)}, for your rules")
    envfile.load(os.environ)


def _shown(change: Change) -> str:
    if not change.before:
        return "\n".join(f"  {line}".rstrip() for line in change.after.splitlines()) + "\n"
    lines = difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), n=1, lineterm="")
    shown = "\n".join(f"  {line}" for line in list(lines)[2:]) + "\n"
    return "".join(letter if letter.isprintable() or letter == "\n" else "·" for letter in shown)
