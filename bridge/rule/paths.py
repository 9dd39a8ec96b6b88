"""The dotted paths by which a manifest points into a payload: ``issue.fields.project.key``, ``changes.0.field``."""

from collections.abc import Mapping

from bridge.rule.nearest import hint


class Absent(LookupError):
    """The payload has nothing at the path; the text says how far it reached and names the nearest field."""


def find(payload: object, path: str) -> object:
    """Return what stands at the dotted ``path``; raise ``Absent`` when a part of it is not there.

    A part made of digits counts into a list from 0. A key that holds a dot cannot be reached.
    """
    here = payload
    walked: list[str] = []
    for part in path.split("."):
        place = f"'{'.'.join(walked)}'" if walked else "the payload"
        if isinstance(here, Mapping):
            if part not in here:
                raise Absent(f"{place} has no field '{part}'{hint(part, map(str, here))}")
            here = here[part]
        elif isinstance(here, list) and part.isascii() and part.isdigit():
            if len(part) > 6 or int(part) >= len(here):  # noqa: PLR2004 - more digits than any list has entries
                raise Absent(f"{place} has only {len(here)} entries")
            here = here[int(part)]
        else:
            raise Absent(f"{place} holds no fields, so it has no '{part}'")
        walked.append(part)
    return here


def is_blank(value: object) -> bool:
    """Tell whether a value says nothing: null, or what an unset smart value leaves behind (``""``, ``[]``)."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})
