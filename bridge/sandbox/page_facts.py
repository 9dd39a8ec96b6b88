"""What pages and spaces keep besides texts, as plain records: statuses, restrictions, tasks, templates, roles."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ContentState:
    """A status that a page can be given; ``color`` is a hex string."""

    id: int
    name: str
    color: str


#: The statuses that every space starts with.
SPACE_STATES = (
    ContentState(0, "Rough draft", "#ffc400"),
    ContentState(1, "In progress", "#2684ff"),
    ContentState(2, "Ready for review", "#57d9a3"),
    ContentState(3, "Verified", "#1d7afc"),
)


@dataclass(slots=True)
class Restriction:
    """Who alone may do something to a page: account ids and group ids; with neither, the space decides."""

    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether anybody is named at all."""
        return bool(self.users or self.groups)


@dataclass(slots=True)
class Task:
    """A task in the text of a page; ``body`` is ADF, ``status`` complete or incomplete."""

    id: str
    page: str
    body: dict[str, Any]
    author: str
    created: datetime
    assignee: str | None = None
    status: str = "incomplete"
    completed_by: str | None = None
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A template for pages; ``body`` is in storage format, ``space`` None for one of the whole site."""

    id: str
    name: str
    space: str | None
    body: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class LongTask:
    """A task that the site works off by itself; here it is done as soon as anybody asks."""

    id: str
    key: str
    pages: int
    begun: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group of people, by account id."""

    id: str
    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpaceRole:
    """A role that spaces can give, with the space permissions that the sandbox knows."""

    id: str
    name: str
    permissions: frozenset[str]


#: The roles that Confluence brings along: https://support.atlassian.com/confluence-cloud/docs/manage-user-roles/.
SPACE_ROLES = (
    SpaceRole("d1b2f3a4-0001-4000-8000-000000000001", "Viewer", frozenset({"view"})),
    SpaceRole("d1b2f3a4-0001-4000-8000-000000000002", "Commenter", frozenset({"view", "comment"})),
    SpaceRole(
        "d1b2f3a4-0001-4000-8000-000000000003",
        "Collaborator",
        frozenset({"view", "comment", "create", "edit", "delete", "archive", "restrict"}),
    ),
    SpaceRole(
        "d1b2f3a4-0001-4000-8000-000000000004",
        "Admin",
        frozenset({"view", "comment", "create", "edit", "delete", "archive", "restrict", "administer"}),
    ),
)
