"""Copies of checkpoints that were kept outside, found in whatever they were kept in.

A file may be the second path of bridge.toml, a collector's export, a container's log or notes as they were posted: what
counts is that a checkpoint's note stands in it, as JSON inside a line or as its own lines.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bridge.audit.note import Note, NoteInvalid
from bridge.errors import BridgeError

_MARK = "audit.checkpoint"
_DASH = "\u2014 "
_DEEPEST = 4


class OutsideUnreadable(BridgeError):
    """A file with outside copies cannot be read: nothing can be told from it."""


def notes(paths: Iterable[Path]) -> list[str]:
    """Return the notes in these files, each once. Raises ``OutsideUnreadable``."""
    found: dict[str, None] = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
                found.update(dict.fromkeys(_notes(file)))
        except OSError as error:
            raise OutsideUnreadable(f"{path} cannot be read ({error.strerror})") from error
    return list(found)


def _notes(lines: Iterable[str]) -> Iterator[str]:
    before: deque[str] = deque(maxlen=4)  # origin, size, root and the empty line
    signatures: list[str] = []
    for line in lines:
        if line.startswith(_DASH):
            signatures.append(line)
            continue
        yield from _own_lines(before, signatures)
        if signatures:
            before.clear()
            signatures = []
        before.append(line)
        if _MARK in line:
            yield from _in_line(line)
    yield from _own_lines(before, signatures)


def _own_lines(before: Iterable[str], signatures: list[str]) -> Iterator[str]:
    text = "".join([*before, *signatures])
    if signatures and _is_note(text):
        yield text


def _in_line(line: str) -> Iterator[str]:
    """Find the JSON in a line that may begin with a time, a host and a process's name."""
    decoder = json.JSONDecoder()
    at = line.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(line, at)
        except ValueError:
            at = line.find("{", at + 1)
            continue
        yield from _inside(value, _DEEPEST)
        at = line.find("{", end)


def _inside(value: Any, deepest: int) -> Iterator[str]:
    """Look into what wraps a line: container runtimes and collectors put it as text into JSON of their own."""
    if deepest == 0:
        return
    if isinstance(value, dict):
        note = value.get("note")
        if value.get("event") == _MARK and isinstance(note, str) and _is_note(note):
            yield note
            return
        for inner in value.values():
            yield from _inside(inner, deepest - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _inside(inner, deepest - 1)
    elif isinstance(value, str) and _MARK in value:
        yield from _in_line(value)


def _is_note(text: str) -> bool:
    try:
        Note.read(text)
    except NoteInvalid:
        return False
    return True
