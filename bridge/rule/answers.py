"""What a site says when it refuses, in its own words, out of each shape its errors come in.

Shapes: Jira's ``ErrorCollection`` and JSM's ``errorMessage`` (their OpenAPI files), Confluence v2's list of ``errors``,
Confluence v1's and the gateway's ``message``. A body may also be HTML, text or nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.rule.adf import clean

LONGEST = 500
NOTHING = "no explanation"


def words(body: Any) -> str:
    """Return one line of at most 500 characters; ``"no explanation"`` when the body holds none."""
    said = [each.strip() for each in _said(body) if each.strip()]
    line = " ".join("; ".join(dict.fromkeys(said)).split())
    if not line:
        return NOTHING
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def _said(body: Any) -> Iterator[str]:
    if isinstance(body, str) and not body.lstrip().startswith("<"):
        yield clean(body)
    if not isinstance(body, Mapping):
        return
    yield from _texts(body.get("errorMessages"))
    errors = body.get("errors")
    if isinstance(errors, Mapping):
        for field, text in errors.items():
            yield from (f"{clean(str(field))}: {each}" for each in _texts([text]))
    elif isinstance(errors, list):
        for each in errors:
            yield from _one_error(each)
    yield from _texts([body.get("errorMessage"), body.get("message")])


def _one_error(error: Any) -> Iterator[str]:
    if isinstance(error, Mapping):
        yield ": ".join(_texts([error.get("title") or error.get("code"), error.get("detail")]))
    else:
        yield from _texts([error])


def _texts(values: Any) -> Iterator[str]:
    for value in [values] if isinstance(values, str) else values if isinstance(values, list) else ():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield clean(str(value))
