"""The envelopes that workers send to egress, read without trust: a rule's author may have written one by hand."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import WSGIEnvironment

from bridge.egress.calls import Call
from bridge.egress.handle import handle
from bridge.egress.targets import Asked

LARGEST = 8 * 1024 * 1024
CHUNK = 64 * 1024
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Misfit(ValueError):
    """The envelope is not one; the text says what is wrong with it."""


def read(environ: WSGIEnvironment) -> dict[str, Any]:
    """Return the envelope of a request. Raises ``Misfit``."""
    length = _length(environ)
    if not 0 < length <= LARGEST:
        raise Misfit(f"an envelope has 1 to {LARGEST} bytes")
    try:
        said = json.loads(environ["wsgi.input"].read(length), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Misfit("the envelope is not JSON") from error
    if not isinstance(said, dict):
        raise Misfit("the envelope is no object")
    return said


def read_file(environ: WSGIEnvironment) -> tuple[dict[str, Any], Iterator[bytes]]:
    """Return who sends a file, as the query says, and its bytes. Raises ``Misfit``."""
    length = _length(environ)
    said = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
    attempt = said.get("attempt", "")
    number = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < len(str(2**31)) else None
    return {"delivery": said.get("delivery"), "attempt": number}, _chunks(environ, length)


def _chunks(environ: WSGIEnvironment, length: int) -> Iterator[bytes]:
    while length > 0:
        chunk = environ["wsgi.input"].read(min(length, CHUNK))
        if not chunk:
            raise Misfit("the file broke off")
        length -= len(chunk)
        yield chunk


def _length(environ: WSGIEnvironment) -> int:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise Misfit("the length is no number") from error
    if length < 0:
        raise Misfit("the length is no number")
    return length


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """Refuse what is too large for a float: it would become infinite, which no JSON can say again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def delivery(said: dict[str, Any]) -> str:
    """Return the delivery that an envelope names. Raises ``Misfit``."""
    value = said.get("delivery")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Misfit("delivery wants the id of one")
    return value


def number(said: dict[str, Any], name: str, *, least: int = 1) -> int:
    """Return a whole number of an envelope. Raises ``Misfit``."""
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise Misfit(f"{name} wants a number from {least}")
    return value


def text(said: dict[str, Any], name: str, longest: int) -> str:
    """Return a text of an envelope. Raises ``Misfit``."""
    value = said.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise Misfit(f"{name} wants text of at most {longest} characters")
    return value


def _is_text(value: object) -> bool:
    """Tell whether a value is text that can be sent: half a surrogate pair cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def call(said: dict[str, Any]) -> Call:
    """Return the step that an envelope asks for. Raises ``Misfit``."""
    label = None if said.get("label") is None else text(said, "label", 200)
    query = said.get("query") or {}
    fits = isinstance(query, dict) and all(
        isinstance(values, list) and _is_text(name) and all(map(_is_text, values)) for name, values in query.items()
    )
    if not fits:
        raise Misfit("query wants an object of lists of text")
    try:
        file = None if said.get("file") is None else handle(said["file"])
    except ValueError as error:
        raise Misfit(str(error)) from error
    asked = Asked(
        text(said, "product", 20), text(said, "method", 10), text(said, "path", 4000), query, said.get("body"), file
    )
    return Call(number(said, "step"), label, asked)
