"""``bridge rules watch`` and ``bridge rules schema``: what an author keeps open beside the editor."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from bridge.cli import compose
from bridge.cli.check import near
from bridge.cli.rules_try import test
from bridge.errors import BridgeError

EVERY = 0.5  # seconds between looks at the files
_SUFFIXES = frozenset({".toml", ".py", ".json", ".expected"})


@click.command(short_help="Try rules again whenever a file is saved.")
@click.argument("rules", nargs=-1, metavar="[RULE]…")
def watch(rules: tuple[str, ...]) -> None:
    """Run `bridge rules test RULE` now and again after each change of a rule, handler, payload or expectation.

    Ctrl-C ends it.
    """
    root = compose.settings().rules
    try:
        for changed in changes(root, lambda: time.sleep(EVERY)):
            if changed:
                print(f"\n{', '.join(near(path) for path in changed)}")
            tried(rules)
            print("watching; Ctrl-C ends it", flush=True)
    except KeyboardInterrupt:
        print()


def changes(root: Path, wait: Callable[[], object]) -> Iterator[list[Path]]:
    """Give an empty list at once, and then the files that changed, each time there are any; ``wait`` between looks.

    Files that come within one wait after the first are given with it, for editors save in more than one step.
    """
    seen = _looked_at(root)
    yield []
    while True:
        wait()
        now = _looked_at(root)
        if now == seen:
            continue
        wait()
        now = _looked_at(root)
        changed = sorted(path for path in seen.keys() | now.keys() if seen.get(path) != now.get(path))
        seen = now
        if changed:
            yield changed


def _looked_at(root: Path) -> dict[Path, tuple[int, int]]:
    found = {}
    for path in root.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.suffix in _SUFFIXES and not path.name.startswith("."):
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def tried(rules: tuple[str, ...]) -> None:
    """Run the test command and say what is wrong; nothing a rule may hold ends the watching."""
    try:
        test.main(args=list(rules), standalone_mode=False)
    except SystemExit:
        pass
    except click.ClickException as error:
        click.echo(f"bridge: {error.format_message()}", err=True)
    except BridgeError as error:
        click.echo(f"bridge: {error}", err=True)
    sys.stdout.flush()


@click.command("schema", short_help="Print the JSON Schema of rule files, for editors.")
def schema() -> None:
    """Print the JSON Schema of a rule's TOML file, by which editors complete and underline.

    `bridge rules schema > rule.schema.json`, then begin a rule with `#:schema ../rule.schema.json`.
    """
    from bridge.rule.schema_json import manifest_schema

    print(json.dumps(manifest_schema(), ensure_ascii=False, indent=2))
