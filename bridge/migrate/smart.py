"""Smart values: found in the texts of actions, carried to the bridge as data, and put back by a rule's expressions.

Automation renders ``{{issue.summary}}`` before it sends. So each smart value that an action holds becomes a field
of the web request's body, escaped by Automation's own ``jsonEncode``, and the step reads it. A text with sections
(``{{#issues}}…{{/}}``) is rendered there as a whole and travels as one field. What an earlier action of the same run
makes (``{{createdIssue.key}}``) is not known when the request is sent: there the step's own result takes its place.
https://support.atlassian.com/cloud-automation/docs/jira-smart-values-json-functions/
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_CHAIN = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)*", re.ASCII)
_CREATED = re.compile(r"createdIssue(?:\.(\w+))?")
_BARE = re.compile(r"(?:issue|triggerIssue|createdIssue)\.id|now|\w+\.size")
_OPENING = re.compile(r"\{[{%#]")
_SECTION = ("#", "/", "^", "=", "!")
# Words that an expression would take for something else.
_TAKEN = frozenset(
    {
        *("and", "or", "not", "in", "is", "if", "else", "elif", "for", "recursive", "loop", "true", "false", "none"),
        *("True", "False", "None", "event", "payload", "item"),
    }
)
# What jira.create and its kin give back of what they made.
_KNOWN_OF_CREATED = {"key": "key", "id": "id", None: "key"}
LONGEST_FIELD = 40


class CannotTravel(ValueError):
    """A smart value that neither Automation nor the rule can fill in; the text ends a sentence about the action."""


@dataclass(frozen=True, slots=True)
class Carried:
    """One field of the body: its dotted path, and how it is written in the custom data, quotation marks included."""

    path: str
    written: str
    smart: str


@dataclass(slots=True)
class Values:
    """The smart values of one run: what travels in the body, and what stands for ``createdIssue`` by now."""

    carried: dict[str, Carried] = field(default_factory=dict)
    created: str | None = None
    _by_smart: dict[str, str] = field(default_factory=dict)

    def text(self, source: str) -> str:
        """Return a step's template for a text with smart values."""
        if sections(source):
            return "{{ " + self._whole(source) + " }}"
        return "".join(
            literal(part) if kind == "text" else "{{ " + self.expression(part) + " }}" for kind, part in _parts(source)
        )

    def expression(self, smart: str) -> str:
        """Return the expression that a smart value (without its braces) becomes."""
        made = _CREATED.fullmatch(smart)
        if smart.startswith("createdIssue") and self.created is not None:
            if made is None or made[1] not in _KNOWN_OF_CREATED:
                raise CannotTravel("reads more of the work item just created than its key and id")
            return f"{self.created}.{_KNOWN_OF_CREATED[made[1]]}"
        path = self._by_smart.get(smart)
        if path is None:
            path = self._named(smart)
            self._by_smart[smart] = path
            self.carried[path] = Carried(path, f'"{{{{{_encoded(smart)}}}}}"', smart)
        return path

    def _whole(self, source: str) -> str:
        known = self._by_smart.get(source)
        if known is not None:
            return known
        for kind, part in _parts(source):
            if kind == "value" and part.lstrip("#^").startswith("createdIssue") and self.created is not None:
                raise CannotTravel("repeats something of the work item just created")
        path = self._free("text")
        written = "".join(
            json.dumps(part, ensure_ascii=False)[1:-1] if kind == "text" else "{{" + _within(part) + "}}"
            for kind, part in _parts(source)
        )
        self._by_smart[source] = path
        self.carried[path] = Carried(path, f'"{written}"', source)
        return path

    def _named(self, smart: str) -> str:
        """Choose a field's path: the smart value's own where that is plain names and no other path goes on from it."""
        plain = _CHAIN.fullmatch(smart) is not None and not _TAKEN & set(smart.split("."))
        if plain and not any(_crossing(smart, other) for other in self.carried):
            return smart
        return self._free(re.sub(r"\W+", "_", smart, flags=re.ASCII).strip("_").lower()[:LONGEST_FIELD] or "value")

    def _free(self, wanted: str) -> str:
        name = wanted if wanted[0].isalpha() and wanted not in _TAKEN else f"value_{wanted}"
        number = 1
        while any(_crossing(name, other) or name == other for other in self.carried) or name in {"issue", "initiator"}:
            number += 1
            name = f"{name.rstrip('0123456789').rstrip('_')}_{number}"
        return name


def found(source: str) -> Iterator[str]:
    """Give the smart values of a text, without their braces."""
    return (part for kind, part in _parts(source) if kind == "value")


def sections(source: str) -> bool:
    """Tell whether a text repeats or chooses: ``{{#issues}}…{{/}}``."""
    return any(part.startswith(_SECTION) for part in found(source))


def literal(text: str) -> str:
    """Write text so that a template takes it as it is."""
    return _OPENING.sub(lambda opening: "{{ '" + opening[0] + "' }}", text)


def _parts(source: str) -> Iterator[tuple[str, str]]:
    end = 0
    for place in PLACE.finditer(source):
        if place.start() > end:
            yield "text", source[end : place.start()]
        if place[1]:
            yield "value", place[1]
        end = place.end()
    if end < len(source):
        yield "text", source[end:]


def _within(part: str) -> str:
    """Write what stands between the braces within a text that travels whole: values escaped, tags as they are."""
    return part if part.startswith(_SECTION) or part == "else" else _encoded(part)


def _encoded(smart: str) -> str:
    """Append the escaping, which is for text: ids and counts are numbers and ``now`` is a moment, and need none.

    A default stays last: ``issue.assignee.displayName.jsonEncode|nobody``.
    """
    if _BARE.fullmatch(smart):
        return smart
    depth, quoted = 0, False
    for at, letter in enumerate(smart):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and not quoted and depth == 0:
            return f"{smart[:at].rstrip()}.jsonEncode|{smart[at + 1 :].lstrip()}"
    return f"{smart}.jsonEncode"


def _crossing(one: str, other: str) -> bool:
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")
