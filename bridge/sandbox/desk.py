"""What a site keeps for its service desks, as plain records: request types, requests, approvals and organizations."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RequestType:
    """A request type; ``issue_type`` is the id of the issue type that its requests get."""

    id: str
    name: str
    issue_type: str


@dataclass(slots=True)
class Approval:
    """One approval of a request; ``approvers`` maps account ids to pending, approved or declined."""

    id: str
    name: str
    approvers: dict[str, str]
    created: datetime
    completed: datetime | None = None

    @property
    def decision(self) -> str:
        """One decline declines it, and only all approvers together approve it."""
        said = set(self.approvers.values())
        return "declined" if "declined" in said else "approved" if said == {"approved"} else "pending"


@dataclass(slots=True)
class ServiceRequest:
    """What makes an issue a request: its type, those who take part in it (account ids), and its approvals."""

    type: str
    participants: list[str] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)


@dataclass(slots=True)
class ServiceDesk:
    """The service desk of a project; ``customers`` are account ids, ``organizations`` ids."""

    id: str
    project: str
    types: list[RequestType]
    customers: list[str] = field(default_factory=list)
    organizations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Organization:
    """An organization of customers; ``members`` are account ids."""

    id: str
    name: str
    created: datetime
    members: list[str] = field(default_factory=list)
