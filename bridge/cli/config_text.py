"""Changes to a TOML file that a person wrote: lines are added, every other letter stays as it is.

A table or key is put in as text, and the result is read again: if it does not say exactly what it said before and what
was to be added, nothing is changed and the caller is told so.
"""

import copy
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.errors import BridgeError

LONGEST_VALUE = 400  # lines
WIDEST = 118  # characters of a line
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

Path = tuple[str, ...]


class CannotEdit(BridgeError):
    """The file is written in a way that lines cannot be added to; the text says what to add by hand."""


def line(key: str, value: object) -> str:
    """Write a key and its value; a list that is too long for a line goes over several."""
    whole = f"{key} = {literal(value)}"
    if len(whole) <= WIDEST or not isinstance(value, list | tuple):
        return whole
    rows = [""]
    for each in map(literal, value):
        if rows[-1] and len(rows[-1]) + len(each) > WIDEST - 8:
            rows.append("")
        rows[-1] += f"{' ' if rows[-1] else ''}{each},"
    return "\n".join([f"{key} = [", *(f"  {row}" for row in rows), "]"])


def literal(value: object) -> str:
    """Write text, a number or a list of texts as TOML, whose strings are JSON's but for DEL; dates as they are."""
    if isinstance(value, str | int | float | list | tuple):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def header(path: Path) -> str:
    """Write the line that begins a table."""
    return f"[{'.'.join(part if _BARE.fullmatch(part) else literal(part) for part in path)}]"


def has_table(text: str, path: Path) -> bool:
    """Tell whether a table has a header of its own, to which keys can be added. Raises ``CannotEdit``."""
    _read(text)
    return _header(text.splitlines(), path) is not None


def with_table(text: str, path: Path, values: Mapping[str, object], remark: str = "", example: str = "") -> str:
    """Add a table at the end of the text, below a remark; ``example`` is a line that is commented out.

    Raises ``CannotEdit``.
    """
    keys = [line(name, value) for name, value in values.items()]
    shown = [f"# {each}" for each in (remark,) if each] + [header(path), *keys]
    block = "\n".join(shown + [f"# {each}" for each in (example,) if each])
    wanted = _put(_read(text), path, tomllib.loads("\n".join(keys)))
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return _checked(f"{text}{gap}{block}\n", wanted, block)


def with_key(text: str, path: Path, key: str, value: object) -> str:
    """Give a key of a table a value: in place of the one it has, else as the first line of the table.

    Raises ``CannotEdit``, also when there is no such table.
    """
    written = line(key, value)
    wanted = _put(_read(text), path, tomllib.loads(written))
    lines = text.splitlines()
    begin = _header(lines, path)
    if begin is None:
        raise CannotEdit(f"write {written} under {header(path)} yourself")
    old = _span(lines, begin, key)
    first, last = old if old is not None else (begin + 1, begin + 1)
    lines[first:last] = written.split("\n")
    return _checked("\n".join(lines) + "\n", wanted, f"{header(path)}\n{written}")


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it is not TOML: {error}") from error


def _put(data: dict[str, Any], path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with these values in the table ``path``."""
    wanted = copy.deepcopy(data)
    table = wanted
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise CannotEdit(f"{part} is no table there")
    table.update(values)
    return wanted


def _checked(text: str, wanted: Mapping[str, Any], block: str) -> str:
    try:
        if tomllib.loads(text) == wanted:
            return text
    except tomllib.TOMLDecodeError:
        pass  # Whatever it is that stands there, these lines do not go in as text.
    raise CannotEdit(f"it is written in a way that lines cannot be added to; write there yourself:\n\n{block}")


def _header(lines: Sequence[str], path: Path) -> int | None:
    for number, line in enumerate(lines):
        if line.lstrip().startswith("[") and not line.lstrip().startswith("[["):
            try:
                found: Any = tomllib.loads(line)
            except tomllib.TOMLDecodeError:
                continue
            if tuple(_trail(found)) == path:
                return number
    return None


def _trail(data: Any) -> Iterator[str]:
    while isinstance(data, dict) and data:
        name, data = next(iter(data.items()))
        yield name


def _span(lines: Sequence[str], begin: int, key: str) -> tuple[int, int] | None:
    """Return the lines that a key of the table which begins at ``begin`` takes, None if it has no such key."""
    for first in range(begin + 1, len(lines)):
        if lines[first].lstrip().startswith("["):
            return None
        if not re.match(rf"\s*(\"{re.escape(key)}\"|{re.escape(key)})\s*=", lines[first]):
            continue
        for last in range(first + 1, min(first + LONGEST_VALUE, len(lines)) + 1):
            try:
                tomllib.loads("\n".join(lines[first:last]))
            except tomllib.TOMLDecodeError:
                continue
            return first, last
    return None
