"""A write of which nobody knows whether it was made: what was sent, and what a look-up can find out about it.

Looking starts 5 minutes before the intent, because the site has a clock of its own. The marker is what egress wrote
with the action (``resolve.marked``). The look-ups themselves stand in ``resolvers/``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.catalogue.infer import MARK
from bridge.egress.upstream import SiteAnswer

PROPERTY = MARK
EARLIER = timedelta(minutes=5)
PAGES = 20

Get = Callable[[str, Mapping[str, list[str]]], SiteAnswer]
Post = Callable[[str, Mapping[str, list[str]], Any], SiteAnswer]


@dataclass(frozen=True, slots=True)
class Found:
    """It was made: ``body`` is what the site would have answered then, as far as it can still be told."""

    body: Any


@dataclass(frozen=True, slots=True)
class Absent:
    """It was not made: the recorded request may be sent."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell from here; ``why`` is the sentence for the person who will."""

    why: str


Verdict = Found | Absent | Unknown


@dataclass(frozen=True, slots=True)
class Doubt:
    """An intent without outcome: what was sent, when, by whom and with which marker.

    ``others`` are the ids of what other steps are known to have made at the same target; ``file`` is the name of a file
    that went along, and ``size`` how many bytes it has, None when it is no longer kept.
    """

    path: str
    body: Any
    marker: Mapping[str, Any]
    since: datetime
    own_id: str | None
    get: Get
    post: Post
    others: frozenset[str] = frozenset()
    file: str | None = None
    size: int | None = None
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def earliest(self) -> datetime:
        """From when on the site may have it."""
        return self.since - EARLIER


def _when(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since(doubt: Doubt, text: object) -> bool:
    """Tell whether a time of the site is late enough; one that cannot be read counts as late enough."""
    found = _when(text)
    return found is None or found >= doubt.earliest


def unclear(answer: SiteAnswer, what: str) -> Unknown:
    return Unknown(f"the site answered {answer.status} when asked for {what}")


def carries(properties: object, doubt: Doubt) -> bool:
    """Tell whether an entity's properties hold the marker of this very step."""
    listed = properties if isinstance(properties, list) else []
    return any(
        isinstance(one, dict) and one.get("key") == PROPERTY and one.get("value") == dict(doubt.marker)
        for one in listed
    )


def text_of(mark: Mapping[str, Any]) -> str:
    """Return a marker as one line, for a version's message."""
    return f"bridge {mark['rule']} {mark['delivery']}.{mark['run']}.{mark['step']}"
