"""On which line of a TOML text a key stands, so that a mistake can be shown where it was made.

``tomllib`` forgets lines. This reads the text again, one statement at a time: a statement is the shortest run of lines
that ``tomllib`` accepts by itself, and what it parses to is its key. Only files with mistakes are read this way.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
_SYNTAX_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def of_keys(text: str) -> dict[Path, int]:
    """Map every key path of a valid TOML text to its line, from 1; entries of ``[[step]]`` are numbered from 0."""
    found: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    for line, statement, parsed in _statements(text):
        if not parsed:
            continue
        if statement.lstrip().startswith("["):
            table = tuple(_numbered(_only_path(parsed), counts, opens_entry=statement.lstrip().startswith("[[")))
            found.setdefault(table, line)
        else:
            for path in _all_paths(parsed):
                found.setdefault(table + path, line)
    return found


def nearest(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a key, or of the closest table around it; None when nothing of it stands in the text."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def of_syntax_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """Split what ``tomllib`` says into the line and the bare message."""
    message = str(error)
    place = _SYNTAX_PLACE.search(message)
    if place is None:
        return 1, message
    line = int(place[1]) if place[1] else max(1, len(text.rstrip("\n").split("\n")))
    return line, message[: place.start()]


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    start, pending = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):  # as TOML counts lines, unlike splitlines
        if not pending:
            start = number
        pending += line + "\n"
        try:
            parsed = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        yield start, pending, parsed
        pending = ""


def _only_path(parsed: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names of a header: each level holds exactly one key, and ``[[x]]`` a list of one empty table."""
    names: list[str] = []
    here: Any = parsed
    while here and here != [{}]:
        name, here = next(iter(here.items()))
        names.append(name)
    return tuple(names)


def _numbered(names: tuple[str, ...], counts: dict[Path, int], *, opens_entry: bool) -> Iterator[str | int]:
    walked: Path = ()
    for position, name in enumerate(names):
        walked += (name,)
        yield name
        if opens_entry and position == len(names) - 1:
            counts[walked] = counts.get(walked, -1) + 1
        if walked in counts:
            yield counts[walked]
            walked += (counts[walked],)


def _all_paths(parsed: object, before: Path = ()) -> Iterator[Path]:
    if before:
        yield before
    if isinstance(parsed, Mapping):
        for name, value in parsed.items():
            yield from _all_paths(value, (*before, name))
