"""Wording that several rules share."""

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 80


def short(text: str) -> str:
    """Cut a long title at a blank, so that a comment stays one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else flat[:LONGEST].rsplit(" ", 1)[0] + " …"


def listed(names: Sequence[str]) -> str:
    """Join names as people do: ``OPS-1, OPS-2 and OPS-3``."""
    if len(names) < 2:  # noqa: PLR2004 - one name, or none, needs no "and"
        return "".join(names) or "nobody"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def is_closed(issue: Mapping[str, Any]) -> bool:
    """Tell whether an issue's status belongs to the green category, whatever it is called in its workflow."""
    category = issue["fields"]["status"].get("statusCategory") or {}
    return category.get("key") == "done"
