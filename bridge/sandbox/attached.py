"""What hangs on issues, as plain records: links between two of them, links to the web, and work logs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LinkType:
    """A link type and how it reads from either side."""

    id: str
    name: str
    inward: str
    outward: str


@dataclass(frozen=True, slots=True)
class IssueLink:
    """A link of two issues (by id); the ``source`` shows the outward wording, the ``target`` the inward one."""

    id: str
    type: LinkType
    source: str
    target: str


@dataclass(slots=True)
class WebLink:
    """A link to a page of the web; ``shown`` is the object of the request."""

    id: str
    global_id: str
    relationship: str
    shown: dict[str, Any]


@dataclass(slots=True)
class Worklog:
    """Work logged on an issue; ``comment`` is ADF."""

    id: str
    author: str
    started: datetime
    seconds: int
    created: datetime
    comment: dict[str, Any] | None = None
    properties: dict[str, Any] = field(default_factory=dict)


LINK_TYPES = (
    LinkType("10000", "Blocks", "is blocked by", "blocks"),
    LinkType("10001", "Cloners", "is cloned by", "clones"),
    LinkType("10002", "Duplicate", "is duplicated by", "duplicates"),
    LinkType("10003", "Relates", "relates to", "relates to"),
)
