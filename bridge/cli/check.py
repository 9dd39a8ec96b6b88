"""One thing that ``bridge doctor`` looked at: how it stands, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "FAIL", "?"
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``level`` is ok, warn, FAIL or ? (could not be told), ``todo`` what to do then."""

    level: str
    about: str
    text: str
    todo: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        said = f"{self.level:4}  {self.about}: {self.text}"
        todo = "" if self.level == OK or not self.todo else f". {self.todo[0].upper()}{self.todo[1:]}"
        line = said.removesuffix(".") + todo if todo else said
        # What a site or a file says must not give orders to a terminal.
        return "".join(letter if letter.isprintable() else "·" for letter in line)

    def as_data(self) -> dict[str, str]:
        """Return it for ``--json``."""
        return {"level": self.level, "about": self.about, "text": self.text, "todo": self.todo}


def status(levels: set[str]) -> int:
    """Return the exit status that these levels come to: 1 if something failed, 2 if something could not be told."""
    return 1 if FAIL in levels else 2 if UNKNOWN in levels else 0


def some(names: Sequence[str]) -> str:
    """Name a few of them and count the rest."""
    shown = ", ".join(sorted(names)[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def near(path: Path) -> str:
    """Say where a file is, from here if it is below the present directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
