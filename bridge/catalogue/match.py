"""The way from a request's method and path to its operation, open only to paths that mean one thing to everybody.

A path that a client, a gateway or a server could decode, shorten or split differently would let a request be judged as
one operation and executed as another. So nothing is decoded or normalised here: a path is matched letter by letter,
and one that is not already in its only form (RFC 3986, section 6.2.2) is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from urllib.parse import unquote

from bridge.catalogue.operations import Operation, operations

LONGEST_PATH = 2000  # characters; the longest template has 126, and an entity property's key at most 255 bytes
_SHOWN = 80

# What RFC 3986 allows in a segment without meaning anything else there: no "%" (looked at by itself), and no ";", which
# servlet containers cut off together with what follows it.
_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]*", re.ASCII)
_ENCODED = re.compile(r"%(..?)?", re.DOTALL)
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)
_STRUCTURE = frozenset("/\\%;?#")


class PathRefused(ValueError):
    """A path that could be read in more than one way, or that is no path at all; the text says what is wrong."""

    def __init__(self, path: object, why: str) -> None:
        shown = repr(path)
        super().__init__(f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}: {why}")


@dataclass(frozen=True, slots=True)
class Match:
    """An operation and the path parameters it was called with, as they stand in the path, undecoded."""

    operation: Operation
    params: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """One place in the tree of templates: where each next segment leads, and what may be done here, by method."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    operations: dict[str, Operation] = field(default_factory=dict)


@cache
def _tree() -> _Node:
    """Build the tree of all templates; a segment in braces is a parameter, whatever its name."""
    root = _Node()
    for operation in operations():
        node = root
        for segment in operation.path.split("/")[1:]:
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.operations[operation.method] = operation
    return root


def match(method: str, path: str) -> Match | None:
    """Find the operation of a request; ``path`` is what follows the host, without a query: ``/rest/api/3/myself``.

    A literal segment wins over a parameter for good, as it does on the site: ``GET /rest/api/3/issue/bulk`` is no
    reading of an issue called "bulk". Methods are upper case. None means that Atlassian documents no such operation.
    Raises PathRefused for a path that could be read in more than one way.
    """
    segments = _segments(path)
    node = _tree()
    values: list[str] = []
    for segment in segments:
        following = node.literals.get(segment)
        if following is None:
            following = node.parameter
            if following is None:
                return None
            _refuse_near_literal(path, segment, node)
            values.append(segment)
        node = following
    operation = node.operations.get(method)
    if operation is None:
        return None
    names = (segment[1:-1] for segment in operation.path.split("/") if segment.startswith("{"))
    return Match(operation, MappingProxyType(dict(zip(names, values, strict=True))))


def _segments(path: object) -> list[str]:
    """Split a path into its segments, or raise PathRefused."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise PathRefused(path, "a path begins with '/'; an address with a host is refused")
    if len(path) > LONGEST_PATH:
        raise PathRefused(path, f"longer than {LONGEST_PATH} characters")
    segments = path.split("/")[1:]
    for segment in segments:
        _check(path, segment)
    return segments


def _check(path: str, segment: str) -> None:
    """Refuse a segment that is empty, walks up or down, or that some decoder would turn into something else."""
    if not segment:
        raise PathRefused(path, "'//' or '/' at the end: an empty segment")
    if segment == "." or ".." in segment:
        raise PathRefused(path, "'.' and '..' lead to another path")
    plain = _ENCODED.sub("", segment)
    if not _PLAIN.fullmatch(plain):
        wrong = next(character for character in plain if not _PLAIN.fullmatch(character))
        raise PathRefused(path, f"the character {wrong!r} does not belong into a path")
    for encoded in _ENCODED.finditer(segment):
        _check_encoded(path, encoded.group())
    meant = unquote(segment)
    # A space at either end gets lost where values are trimmed, and "+" is a space to those who decode forms.
    if meant.strip(" +") != meant:
        raise PathRefused(path, "a space or '+' at the beginning or end of a segment")


def _check_encoded(path: str, encoded: str) -> None:
    """Refuse an encoding that hides a letter of the path, a separator, or more than one character."""
    if not re.fullmatch(r"%[0-9A-Fa-f]{2}", encoded, re.ASCII):
        raise PathRefused(path, f"{encoded!r} is no encoded character")
    character = chr(int(encoded[1:], 16))
    if not character.isascii() or not character.isprintable():
        raise PathRefused(path, f"{encoded!r} stands for a character that is not printable ASCII")
    if character in _STRUCTURE:
        raise PathRefused(path, f"{encoded!r} hides {character!r}, which would split the path or be decoded again")
    if _UNRESERVED.fullmatch(character):
        raise PathRefused(path, f"{encoded!r} hides {character!r}, which is never encoded")


def _refuse_near_literal(path: str, segment: str, node: _Node) -> None:
    """Refuse a parameter that a lenient server would take for the literal beside it.

    ``BULK`` and ``bulk.json`` reach ``bulk`` where case does not count or the ending chooses the format of the answer.
    """
    near = segment.lower().partition(".")[0]
    for literal in node.literals:
        if literal.lower() == near:
            raise PathRefused(path, f"{segment!r} is too near to {literal!r}, another operation; give the id instead")
