"""The walk through a request's body: which verbs own what stands in it, and what no verb covers.

Body paths such as ``fields.*`` become a tree of places, and the JSON value is followed through it key by key. Paths
are never joined into text and compared, so that a key which contains a dot or is no text at all cannot pass for
another.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bridge.catalogue.verbs import Verb

# Jira names fields by ids of such characters (duedate, customfield_10010); anything else might be read as another id.
_WORD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(slots=True)
class Place:
    """One place in the bodies that an operation may carry: who owns it, or why it must not be there.

    ``apart`` is the end of a sentence, such as "use jira.comment"; ``reference`` marks a value that names a second
    target.
    """

    keys: dict[str, "Place"] = field(default_factory=dict)
    any_key: "Place | None" = None
    element: "Place | None" = None
    owners: list[Verb] = field(default_factory=list)
    apart: str | None = None
    reference: bool = False

    @property
    def shape(self) -> str:
        """What a value must be to stand here, in words."""
        words = ["an object"] if self.keys or self.any_key else []
        words += ["a list"] if self.element else []
        return " or ".join(words) or "absent"

    def at(self, path: str) -> "Place":
        """Find or make the place of a body path such as ``fields.*`` or ``[].name``; ``.`` is the whole body."""
        place = self
        if path == ".":
            return place
        for word in path.split("."):
            if word == "*":
                place.any_key = place.any_key or Place()
                place = place.any_key
            elif word == "[]":
                place.element = place.element or Place()
                place = place.element
            else:
                place = place.keys.setdefault(word, Place())
        return place

    def claim(self, verb: Verb, paths: Iterable[str]) -> None:
        """Make a verb the owner of these paths, and mark those of its references that lie under them."""
        tops = set()
        for path in paths:
            self.at(path).owners.append(verb)
            tops.add(path.partition(".")[0])
        for path in verb.references:
            if not path.startswith("{") and path.partition(".")[0] in tops:
                self.at(path).reference = True

    def inherit(self) -> None:
        """Give places that were only marked (a reference within ``fields.*``) the owners of the ``*`` beside them."""
        for place in self.keys.values():
            if self.any_key and not (place.owners or place.apart or place.keys):
                place.owners = list(self.any_key.owners)
            place.inherit()


@dataclass(slots=True)
class Walk:
    """A walk through one body and what it finds; ``name`` is what refusals call the request."""

    name: str
    owners: list[Verb] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    references: list[object] = field(default_factory=list)

    def go(self, place: Place, value: object, owners: Sequence[Verb] | None, trail: str = "") -> None:
        """Look at one value and all below it.

        ``owners`` are those of the nearest place above that has any. None means that nothing above covers what stands
        here; an empty sequence that anything goes, as in an operation without verb.
        """
        owners = place.owners or owners
        if place.apart:
            self.refusals.append(f"{trail} does not belong in {self.name}: {place.apart}")
            return
        if place.reference and value is not None:
            self.references.append(value)
        if isinstance(value, dict) and (place.keys or place.any_key):
            for key, inner in value.items():
                self._go_below(place, key, inner, owners, trail)
        elif isinstance(value, list) and place.element:
            for number, inner in enumerate(value):
                self.go(place.element, inner, owners, f"{trail}[{number}]")
        elif owners is not None:
            self.owners.extend(owners)
        else:
            self.refusals.append(f"{trail or 'the body'} of {self.name} must be {place.shape}")

    def _go_below(self, place: Place, key: object, value: object, owners: Sequence[Verb] | None, trail: str) -> None:
        """Follow one key: the place of that name wins over ``*``; what only resembles a name (case) is refused."""
        name = key if isinstance(key, str) and _WORD.fullmatch(key) else None
        here = f"{trail}.{name or repr(key)}".lstrip(".")
        child = place.keys.get(name) if name else None
        resembles = child is None and str(key).strip().lower() in {known.lower() for known in place.keys}
        if child is None and name and not resembles:
            child = place.any_key
        if child is not None:
            self.go(child, value, owners, here)
        elif owners is None or resembles:
            self.refusals.append(f"{here} does not belong in {self.name}: no verb covers it")
        else:
            self.owners.extend(owners)
