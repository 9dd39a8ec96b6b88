"""The body of a webhook as JSON, read so that nobody downstream can understand it otherwise than we did.

RFC 8259 leaves open what duplicate names, huge numbers, lone surrogates or a byte order mark mean, so two readers may
see two different deliveries in one signed body: all of these are refused. A refusal says what is wrong and where, and
never repeats anything of the body.

The quick way is the C scanner of the standard library. Only when it, or a search for the few things it would let
through, finds something suspicious, the text is walked token by token for the first fault and its place.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final, NoReturn

from bridge.errors import DeliveryRefused

DEPTH: Final = 64  # lists and objects within one another
NUMBER: Final = 400  # letters of one number, far more than any that means something has

# Each alternative consumes what it began, even where the text is broken off, so that no input makes it search twice.
_STRING = r'"(?:[^"\\]++|\\.?)*+"?'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKENS = re.compile(_STRING + r"|[\[\]{}:,]|[^\s\"\[\]{}:,]++", re.DOTALL)
# 309 digits are the least that can exceed the largest double (IEEE 754), which is 1.8e308.
_SUSPICIOUS = re.compile(r"[0-9]{309}|\\u[dD][89a-fA-F]")
_OPENING = str.maketrans({"{": "[", "}": "]"})
_NOT_BRACKETS = re.compile(r"[^\[\]{}]++")
_STEP = {"[": 1, "]": -1}


class _Unfit(Exception):
    """The scanner met what JSON readers disagree about; where it stands is found by walking."""


def parse(raw: bytes) -> dict[str, Any]:
    """Return the object that ``raw`` holds.

    Raises ``DeliveryRefused`` 400 with line and column (both from 1, the column in characters) for anything that is not
    exactly one JSON object in UTF-8.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        _refuse("The body is not UTF-8", *_place(before, len(before)))
    if text.startswith("\ufeff"):
        _refuse("The body starts with a byte order mark, which JSON does not allow", 1, 1)
    if not text.strip():
        _refuse("The body is empty", 1, 1)
    if _SUSPICIOUS.search(text) or _too_deep(text):
        _refuse_first_fault(text)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {_said(error.msg)}", error.lineno, error.colno)
    except (_Unfit, ValueError, RecursionError):
        _refuse_first_fault(text)
        _refuse("The body is not JSON that every reader understands alike", 1, 1)
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object, {…}", *_place(text, len(text) - len(text.lstrip())))
    return value


def _refuse(what: str, line: int, column: int) -> NoReturn:
    raise DeliveryRefused(400, "Not acceptable as JSON", f"{what} (line {line}, column {column}).", kept=True)


def _said(message: str) -> str:
    """Keep the scanner's own words, which never quote the text."""
    return message[:1].lower() + message[1:]


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Unfit
    return value


def _float(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise _Unfit
    return value


def _constant(_literal: str) -> NoReturn:
    raise _Unfit


def _too_deep(text: str) -> bool:
    """Judge the depth before anything recurses."""
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    brackets = _NOT_BRACKETS.sub("", _STRINGS.sub("", text)).translate(_OPENING)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH


def _refuse_first_fault(text: str) -> None:
    for offset, what in _faults(text):
        _refuse(what, *_place(text, offset))


def _faults(text: str) -> Iterator[tuple[int, str]]:
    """Walk ``text``, which may be anything, and yield what readers disagree about, in order."""
    open_names: list[set[str]] = []  # for each open object its names; a list has none, and none are ever added
    string: str | None = None
    at = 0
    for token in _TOKENS.finditer(text):
        letters = token[0]
        first = letters[0]
        if first in "[{":
            open_names.append(set())
            if len(open_names) > DEPTH:
                yield token.start(), f"The body nests deeper than {DEPTH} lists or objects"
        elif first in "]}":
            del open_names[-1:]
        elif first == '"':
            string, at = _string(letters), token.start()
            if string is not None and not _is_text(string):
                yield at, "The body has a surrogate without its partner, which is no text"
        elif first == ":" and string is not None and open_names:
            if string in open_names[-1]:
                yield at, "The body has an object with the same name twice"
            open_names[-1].add(string)
        elif first not in ",:":
            what = _literal(letters)
            if what is not None:
                yield token.start(), what


def _string(token: str) -> str | None:
    try:
        value = json.loads(token)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _is_text(string: str) -> bool:
    try:
        string.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _literal(token: str) -> str | None:
    if token in {"NaN", "Infinity", "-Infinity"}:
        return "The body has NaN or Infinity, which JSON does not know"
    if token[0] not in "-0123456789":
        return None
    if len(token) > NUMBER:
        return f"The body has a number of more than {NUMBER} letters"
    try:
        large = math.isinf(float(token))
    except ValueError:
        return None
    return "The body has a number too large for any reader" if large else None
