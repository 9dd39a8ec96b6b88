"""What a site keeps, as plain mutable records: accounts, tokens, projects and issues, spaces and pages.

:class:`bridge.sandbox.site.Site` owns them all behind one lock; ``jira_shapes`` and ``confluence_shapes`` turn them
into the JSON of the two products. Accounts are referred to by account id everywhere, as the products do.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.errors import BridgeError
from bridge.sandbox.attached import WebLink, Worklog
from bridge.sandbox.desk import ServiceRequest
from bridge.sandbox.page_facts import ContentState, Restriction, Task

PROJECT_PERMISSIONS = frozenset(
    {"browse", "create", "edit", "assign", "transition", "comment", "administer", "agent", "manage-sprints", "schedule"}
    | {"delete", "link", "manage-watchers", "moderate", "secure", "work-on"}
)
SPACE_PERMISSIONS = frozenset({"view", "create", "edit", "comment", "delete", "archive", "restrict", "administer"})
#: One changed field in an entry of the changelog: field, fieldtype, fieldId, from, fromString, to, toString.
Item = dict[str, str | None]
SERVICE_ACCOUNT_DOMAIN = "@serviceaccount.atlassian.com"


class SandboxRefusal(BridgeError):
    """The sandbox cannot do what it was asked from outside the two products' REST APIs; the text says what to mend."""


@dataclass(slots=True)
class Account:
    """A person (``atlassian``), an app or service account (``app``), or a customer.

    Service accounts have a generated address below ``serviceaccount.atlassian.com``; other apps, such as
    Automation itself, have none.
    """

    id: str
    name: str
    kind: str = "atlassian"
    email: str = ""
    active: bool = True
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def is_service(self) -> bool:
        """Whether this is a service account rather than a person or an installed app."""
        return self.email.lower().endswith(SERVICE_ACCOUNT_DOMAIN)


@dataclass(frozen=True, slots=True)
class Token:
    """A scoped API token: which products it opens, its OAuth scopes, and when it ends (None: never)."""

    account: str
    products: frozenset[str]
    scopes: frozenset[str]
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and a name that fields point to: a priority, a component, a version, an issue type."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ProjectVersion(Named):
    """A version of a project; days are ISO dates."""

    description: str = ""
    released: bool = False
    archived: bool = False
    start_date: str | None = None
    release_date: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A workflow status; ``category`` is one of ``new``, ``indeterminate``, ``done``."""

    id: str
    name: str
    category: str


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of the workflow from the statuses named in ``sources`` to the status ``target``."""

    id: str
    name: str
    sources: frozenset[str]
    target: str


@dataclass(slots=True)
class Project:
    """A Jira project; ``last`` is the number of the newest issue key that was given out."""

    id: str
    key: str
    name: str
    lead: str
    components: list[Named] = field(default_factory=list)
    versions: list[ProjectVersion] = field(default_factory=list)
    last: int = 0
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Change:
    """One entry of an issue's changelog; ``metadata`` is the ``historyMetadata`` that came with the request."""

    id: str
    author: str
    created: datetime
    items: list[Item]
    metadata: dict[str, Any] | None = None


@dataclass(slots=True)
class IssueComment:
    """A comment on an issue; ``body`` is ADF; one that is not ``public`` is for a service desk's agents."""

    id: str
    issue: str
    author: str
    body: dict[str, Any]
    created: datetime
    properties: dict[str, Any] = field(default_factory=dict)
    visibility: dict[str, Any] | None = None
    public: bool = True


@dataclass(slots=True)
class Attachment:
    """A file on an issue; its bytes are the media service's (``media``), so only the facts are kept."""

    id: str
    name: str
    size: int
    author: str
    created: datetime


@dataclass(slots=True)
class Issue:
    """A Jira issue. ``fields`` holds plain values (ids, texts, ADF) as :mod:`bridge.sandbox.fields` reads them."""

    id: str
    key: str
    project: str
    status: str
    creator: str
    created: datetime
    updated: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    comments: list[IssueComment] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    watchers: list[str] = field(default_factory=list)
    worklogs: list[Worklog] = field(default_factory=list)
    web_links: list[WebLink] = field(default_factory=list)
    request: ServiceRequest | None = None


@dataclass(slots=True)
class Space:
    """A Confluence space; ``homepage`` is a page id, ``roles`` maps ``USER id`` and ``GROUP id`` to role ids."""

    id: str
    key: str
    name: str
    author: str
    created: datetime
    homepage: str = ""
    properties: list["ContentProperty"] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a page or comment: who wrote which title and body (ADF) when, and the message given with it."""

    number: int
    author: str
    created: datetime
    message: str
    title: str
    body: dict[str, Any]
    minor: bool = False


@dataclass(frozen=True, slots=True)
class ContentProperty:
    """A property of Confluence content or of a space, at its version ``number``."""

    id: str
    key: str
    value: Any
    author: str
    created: datetime
    number: int = 1


@dataclass(slots=True)
class PageComment:
    """A footer comment; ``parent`` is the id of the comment it replies to."""

    id: str
    page: str
    versions: list[Version]
    parent: str | None = None
    properties: list[ContentProperty] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """A Confluence page; the last of ``versions`` is the current one.

    ``owner`` is empty where it is the author; ``rank`` orders the children of one page; ``restrictions`` are by
    operation (read, update).
    """

    id: str
    space: str
    parent: str | None
    status: str
    versions: list[Version]
    labels: list[Named] = field(default_factory=list)
    comments: list[PageComment] = field(default_factory=list)
    owner: str = ""
    rank: float = 0.0
    state: ContentState | None = None
    watchers: list[str] = field(default_factory=list)
    restrictions: dict[str, Restriction] = field(default_factory=dict)
    properties: list[ContentProperty] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)

    @property
    def latest(self) -> Version:
        """The current version."""
        return self.versions[-1]

    @property
    def title(self) -> str:
        """The current title."""
        return self.versions[-1].title


@dataclass(frozen=True, slots=True)
class Seen:
    """One request the gateway answered: kept so that a test can count what really arrived.

    ``status`` is None when the connection was cut instead of an answer.
    """

    at: datetime
    account: str
    method: str
    path: str
    operation: str
    status: int | None
    executed: bool
    trace: str
