"""How commands show things: a table on a terminal, JSON lines with ``--json``."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

NARROWEST = 12

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def _asked(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    """Ask on a terminal; elsewhere say what to give, because nobody is there to ask."""
    if value is not None and value.strip():
        return value
    if not sys.stdin.isatty():
        raise click.UsageError("this is no terminal to ask on, so give --reason", context)
    return str(click.prompt("Why"))


reason = click.option("--reason", callback=_asked, help="Stands in the log; asked for on a terminal.")
by = click.option("--as", "by", metavar="NAME", help="Whose name stands in the log (default: your login name).")


def rows(columns: Sequence[str], found: Iterable[Mapping[str, Any]], *, json_lines: bool, nothing: str) -> None:
    """Print rows with these columns, or as JSON lines; ``nothing`` is what to say when there are none."""
    listed = list(found)
    if json_lines:
        for row in listed:
            print(json.dumps(row, ensure_ascii=False))
        return
    if not listed:
        print(nothing)
        return
    cells = [[printable(row.get(name)) for name in columns] for row in listed]
    widths = [max(len(name), *(len(row[at]) for row in cells)) for at, name in enumerate(columns)]
    widths[-1] = _last(widths)
    print("  ".join(name.upper().ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for line in cells:
        last = line[-1] if len(line[-1]) <= widths[-1] else line[-1][: widths[-1] - 1] + "…"
        print("  ".join(text.ljust(width) for text, width in zip([*line[:-1], last], widths, strict=True)).rstrip())


def _last(widths: Sequence[int]) -> int:
    """Let the last column end at the terminal's edge; into a file or pipe it goes whole."""
    if not sys.stdout.isatty():
        return widths[-1]
    left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
    return max(NARROWEST, min(widths[-1], left))


def printable(value: Any) -> str:
    """Return what a terminal takes for text and not for orders; ``-`` for None."""
    if value is None:
        return "-"
    return "".join(letter if letter.isprintable() else "·" for letter in str(value))
