"""What a site keeps for planning: boards and sprints, as plain records."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Board:
    """A board: ``kind`` is scrum or kanban, ``issues`` are those on it that were moved out of its backlog, by id."""

    id: str
    name: str
    kind: str
    project: str
    issues: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Sprint:
    """A sprint of a board: ``state`` is future, active or closed; ``issues`` are ids."""

    id: str
    board: str
    name: str
    created: datetime
    state: str = "future"
    start: datetime | None = None
    end: datetime | None = None
    completed: datetime | None = None
    goal: str = ""
    issues: list[str] = field(default_factory=list)
