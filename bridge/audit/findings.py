"""What the walk through a log is given, and what it finds."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bridge.audit.note import KeyId, Verifier
from bridge.store.journal import COLUMNS

SHOWN = ("at", "kind", *COLUMNS)  # the journal's columns that repeat members of an entry
MOST_PROBLEMS = 100


class Row(NamedTuple):
    """A leaf as it is stored; ``entry`` None if it is not at hand, ``columns`` those of ``SHOWN`` or None."""

    seq: int
    id: int
    rule: str
    rule_seq: int
    text: str
    entry: str | None
    columns: tuple[Any, ...] | None = None

    def __str__(self) -> str:
        return f"leaf {self.seq} ({f'rule {self.rule}' if self.rule else 'no rule'} #{self.rule_seq})"


@dataclass(frozen=True, slots=True)
class Handover:
    """What an entry says of the log's keys: ``key`` signs from here on, ``previous`` did before (None: it was lost)."""

    seq: int
    key: Verifier
    previous: Verifier | None
    origin: str | None
    former_size: int | None


@dataclass(slots=True)
class Findings:
    """What the walk found; ``problems`` are sentences, each naming its place."""

    entries: int = 0
    with_text: int = 0
    first_at: str | None = None
    last_at: str | None = None
    rules: dict[str, int] = field(default_factory=dict)
    in_doubt: set[tuple[Any, ...]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0
    checkpoints: int = 0
    valid: int = 0
    unchecked: int = 0
    last_size: int = 0
    origins: list[tuple[str, int]] = field(default_factory=list)  # each with the size it ended at; -1: it goes on
    roots: dict[int, bytes] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)  # of the bridge, by the digest of the rule loaded with it
    believed: dict[KeyId, Verifier] = field(default_factory=dict)

    def problem(self, text: str) -> None:
        """Note that something does not fit."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(text)
        else:
            self.more_problems += 1

    @property
    def origin(self) -> str | None:
        """The origin of the newest checkpoint."""
        return self.origins[-1][0] if self.origins else None


def origin_at(origins: list[tuple[str, int]], origin: str) -> int | None:
    """Return the size up to which a log had this origin: -1 if it still has, None if it never had."""
    for name, ended in origins:
        if name == origin:
            return ended
    return None
