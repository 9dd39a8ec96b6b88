"""What becomes of one action: the steps that do the same, with what is lost on the way, or why it stays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.migrate.automation import Node
from bridge.migrate.smart import PLACE, CannotTravel, Values, found
from bridge.migrate.wiki import to_markdown


class Stays(ValueError):
    """The action cannot be taken over; the text is a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Step:
    """One ``[[step]]`` to be: a method's full name and its arguments as templates."""

    verb: str
    arguments: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """What exports call by number, as somebody told: project ids by keys, issue types by names.

    ``service`` are the ids of service projects, in which comments are internal or public.
    """

    projects: Mapping[str, str] = field(default_factory=dict)
    issue_types: Mapping[str, str] = field(default_factory=dict)
    service: frozenset[str] = frozenset()


@dataclass(slots=True)
class Work:
    """What a conversion goes by: the run's smart values, what is known of the automation, and the losses it notes."""

    values: Values
    names: Names
    service_desk: bool
    lost: dict[str, None] = field(default_factory=dict)
    made: int = 0

    def note(self, text: str) -> None:
        """Note a loss, or a difference that somebody should know, as a sentence without its full stop."""
        self.lost[text] = None

    def text(self, source: Any) -> str:
        """Return the template of a text with smart values; a number is its digits."""
        if isinstance(source, bool) or not isinstance(source, str | int | float):
            raise Stays("a text was expected in it and something else stands there")
        return self.values.text(str(source))

    def markdown(self, source: Any) -> str:
        """Return the template of a comment or description in wiki markup, as Markdown."""
        if not isinstance(source, str) or not source.strip():
            raise Stays("its text is empty")
        if any(part.startswith(("#", "^", "=")) for part in found(source)):
            self.note("its text repeats or chooses parts, so Automation renders it and its markup is shown as typed")
            return self.text(source)
        converted = to_markdown(source)
        for lost in converted.lost:
            self.note(f"it loses {lost}")
        if PLACE.search(source):
            self.note("what smart values hold is inserted as plain text: markup in it is shown as typed")
        return self.text(converted.text)

    @property
    def issue(self) -> str:
        """The template of the work item that the automation is at."""
        return self.values.text("{{issue.key}}")

    def issue_of(self, reference: Any) -> str:
        """Return the template of a work item that a reference names."""
        kind, value = parts(reference)
        if kind == "COPY" and value in _ISSUES:
            return self.values.text(_ISSUES[value])
        if kind in {"ID", "NAME", "FREE", "SMART", "TEXT"} and value:
            return self.text(value)
        raise Stays("it names a work item in a way that is not known")

    def named(self, reference: Any) -> str:
        """Return the template of something that a reference names by id, name or smart value."""
        kind, value = parts(reference)
        if kind in {"ID", "NAME", "FREE", "SMART", "TEXT"} and value:
            return self.text(value)
        raise Stays("it names something in a way that is not known")

    def person(self, reference: Any) -> str:
        """Return the template of an account id; a smart value that is a person is asked for its account id."""
        kind, value = parts(reference)
        if kind == "COPY" and value in _PEOPLE:
            return self.values.text("{{issue." + value + ".accountId}}")
        if kind == "COPY" and value in {"initiator", "triggerIssue"}:
            return self.values.text("{{initiator.accountId}}")
        if kind == "SMART":
            bare = value.strip().removeprefix("{{").removesuffix("}}").strip()
            if bare.rpartition(".")[2] in {*_PEOPLE, "initiator", "author"}:
                return self.values.text("{{" + bare + ".accountId}}")
            return self.text(value)
        if kind in {"ID", "TEXT"} and value:
            return self.text(value)
        raise Stays("it names a person in a way that is not known")

    def project(self, reference: Any) -> str:
        """Return a project's key: the present one, or one called by its id, which somebody must have named."""
        kind, value = parts(reference)
        if kind == "COPY" and value in {"current", "trigger"}:
            return self.values.text("{{issue.project.key}}" if value == "current" else "{{triggerIssue.project.key}}")
        if kind in {"ID", "NAME", "TEXT", "SMART", "FREE"} and value:
            return self.names.projects.get(value, f"P{value}") if value.isdigit() else self.text(value)
        raise Stays("it names a project in a way that is not known")

    def created(self) -> str:
        """Return the id for a step that creates something, which ``{{createdIssue}}`` means from now on."""
        self.made += 1
        self.values.created = "created" if self.made == 1 else f"created_{self.made}"
        return self.values.created


_ISSUES = {
    "current": "{{issue.key}}",
    "trigger": "{{triggerIssue.key}}",
    "parent": "{{issue.parent.key}}",
    "recentlycreated": "{{createdIssue.key}}",
}
_PEOPLE = frozenset({"reporter", "assignee", "creator"})

Converter = Callable[[Mapping[str, Any], Work], Sequence[Step]]


def parts(reference: Any) -> tuple[str, str]:
    """Take a reference apart into its type and value; plain text and numbers are references too."""
    if isinstance(reference, Mapping) and isinstance(reference.get("type"), str):
        value = reference.get("value")
        return reference["type"], "" if isinstance(value, dict | list) or value is None else str(value)
    if isinstance(reference, str | int) and not isinstance(reference, bool):
        return "TEXT", str(reference)
    return "", ""


def attempt(node: Node, converter: Converter, work: Work) -> Sequence[Step]:
    """Convert one action; raise ``Stays`` for whatever it holds that no step can say."""
    value = node.value if isinstance(node.value, Mapping) else {}
    try:
        return converter(value, work)
    except CannotTravel as error:
        raise Stays(f"it {error}") from None
