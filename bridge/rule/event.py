"""The event a handler is given: the payload, and what it says of the issue or page in every shape that sites send.

Shapes: Automation's "Issue data" (the issue at the root, or under ``issue``), Jira's own webhooks (under ``issue``),
Confluence's (under ``page``) and custom data as people write it (``issue``, ``issueKey``, ``page_id`` ...). See
https://support.atlassian.com/cloud-automation/docs/issue-data-automation-format-payload-for-send-web-request and
https://developer.atlassian.com/cloud/jira/platform/webhooks/.

Whatever a payload says is a claim. Handlers read again what matters, and where a target is, egress asks the site.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import INCLUDE, Schema

from bridge.rule.nearest import hint, shown

_ISSUE_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*-[1-9][0-9]*", re.ASCII)
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)  # Ids are 64-bit integers in both products' OpenAPI files.
_NAMESPACE = uuid.UUID("0f1c1a3e-6a5b-5f0e-9d5c-3c8f5e0b7a11")


class Payload(Schema):
    """What a rule's payload must look like: subclass it as ``Payload`` in the rule's module; other fields stay."""

    class Meta:
        unknown = INCLUDE


class FieldMissing(KeyError):
    """The payload has no such field; the text names the nearest one."""

    def __str__(self) -> str:
        """Return the sentence; a ``KeyError`` would show it quoted."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class IssueRef:
    """The issue a payload names; ``project`` is the key it states or, failing that, the issue key's prefix."""

    key: str | None
    id: str | None
    project: str | None

    @property
    def ref(self) -> str:
        """What the verbs take: the key, or the id where the payload gives only that."""
        return self.key or self.id or ""

    def __str__(self) -> str:
        """Show it as people call it."""
        return self.ref


@dataclass(frozen=True, slots=True)
class PageRef:
    """The page a payload names; ``space`` is a space key."""

    id: str
    title: str | None
    space: str | None

    @property
    def ref(self) -> str:
        """What the verbs take: the id."""
        return self.id

    def __str__(self) -> str:
        """Show it as the verbs take it."""
        return self.id


class Event(Mapping[str, Any]):
    """One delivery as its handler sees it: ``event["field"]`` is the payload.

    ``received_at`` and ``uuid(name)`` stand in for the clock and for chance, so that a further attempt of the same
    delivery makes the same calls. ``initiator`` is the account id that is said to have set the automation off.
    """

    __slots__ = ("_raw", "delivery", "initiator", "payload", "received_at", "rule", "source")

    def __init__(
        self,
        payload: Mapping[str, Any],
        *,
        delivery: str,
        rule: str,
        received_at: datetime,
        source: str = "other",
        initiator: str | None = None,
    ) -> None:
        if received_at.tzinfo is None:
            raise ValueError("received_at must have an offset from UTC")
        self.payload = payload
        self.delivery = delivery
        self.rule = rule
        self.received_at = received_at
        self.source = source
        self.initiator = initiator
        self._raw = payload

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Event":
        """Read the ``event`` of egress's answer to a claim."""
        return cls(
            data["payload"],
            delivery=data["delivery"],
            rule=data["rule"],
            received_at=datetime.fromisoformat(data["received_at"]),
            source=data["source"],
            initiator=data["initiator"],
        )

    def with_payload(self, payload: Mapping[str, Any]) -> "Event":
        """Return the same event with the payload as a rule's ``Payload`` loaded it; ``issue`` and ``page`` stay."""
        event = Event(
            payload,
            delivery=self.delivery,
            rule=self.rule,
            received_at=self.received_at,
            source=self.source,
            initiator=self.initiator,
        )
        event._raw = self._raw
        return event

    def __getitem__(self, field: str) -> Any:
        """Return a field of the payload; raise ``FieldMissing`` naming the nearest one."""
        if field not in self.payload:
            raise FieldMissing(f"the payload has no field {shown(field)}{hint(field, map(str, self.payload))}")
        return self.payload[field]

    def __iter__(self) -> Iterator[str]:
        """Walk the names of the payload's fields."""
        return iter(self.payload)

    def __len__(self) -> int:
        """Count the payload's fields."""
        return len(self.payload)

    def __repr__(self) -> str:
        """Say which event it is without showing the payload."""
        return f"<Event {self.rule} {self.delivery}>"

    @property
    def issue(self) -> IssueRef:
        """The issue the payload names; raise ``FieldMissing`` when it names none."""
        issue = issue_of(self._raw)
        if issue is None:
            raise FieldMissing("the payload names no issue: it has no issue, issueKey or key that is an issue's")
        return issue

    @property
    def page(self) -> PageRef:
        """The page the payload names; raise ``FieldMissing`` when it names none."""
        page = page_of(self._raw)
        if page is None:
            raise FieldMissing("the payload names no page: it has no page, page_id or pageId that is a page's id")
        return page

    def uuid(self, name: str) -> uuid.UUID:
        """Return a UUID that is the same in every attempt of this delivery and for this name, and different elsewhere.

        It is a version 5 UUID, RFC 9562 section 5.5: no secret, for both its inputs may be known.
        """
        return uuid.uuid5(_NAMESPACE, json.dumps([self.delivery, name]))


def issue_of(payload: object) -> IssueRef | None:
    """Read the issue out of a payload, or None; keys and ids that are none are not looked at further."""
    if not isinstance(payload, Mapping):
        return None
    named = _first(payload, "issue", "issueKey", "issue_key", "issueId", "issue_id", "workItem")
    if isinstance(named, Mapping):
        return _issue(named)
    if named is not None:
        return _issue({"key": named, "id": named, "project": payload.get("project")})
    # Automation format: the issue itself is the root. A custom body may have a "key" of its own kind, which is taken
    # for an issue's only if it looks like one.
    return _issue(payload) if "fields" in payload or "key" in payload else None


def page_of(payload: object) -> PageRef | None:
    """Read the page out of a payload, or None."""
    if not isinstance(payload, Mapping):
        return None
    named = _first(payload, "page", "pageId", "page_id", "content", "contentId", "content_id")
    page = named if isinstance(named, Mapping) else {"id": named}
    identifier = _identifier(page.get("id"))
    if identifier is None:
        return None
    title = page.get("title", _first(payload, "pageTitle", "page_title", "title"))
    inner = _first(page, "space", "spaceKey", "space_key")
    space = _key(inner if inner is not None else _first(payload, "space", "spaceKey", "space_key"))
    return PageRef(identifier, title if isinstance(title, str) else None, space)


def _issue(data: Mapping[str, Any]) -> IssueRef | None:
    key, identifier = data.get("key"), _identifier(data.get("id"))
    key = key if isinstance(key, str) and _ISSUE_KEY.fullmatch(key) else None
    if key is None and identifier is None:
        return None
    fields = data.get("fields")
    project = _key(fields.get("project") if isinstance(fields, Mapping) else data.get("project"))
    return IssueRef(key, identifier, project or (key.rpartition("-")[0] if key else None))


def _first(data: Mapping[str, Any], *names: str) -> Any:
    return next((data[name] for name in names if data.get(name) is not None), None)


def _identifier(value: object) -> str | None:
    """Return an id as text; Automation sends ids as JSON numbers and the REST APIs take text."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return str(value)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _key(value: object) -> str | None:
    """Return the key of a project or space given as its key or as an object."""
    inner = value.get("key") if isinstance(value, Mapping) else value
    return inner if isinstance(inner, str) and inner.strip() else None
