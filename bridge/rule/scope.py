"""What a rule may do: verbs per project and space, limits on each action, and the account's ceiling. Pure decisions.

Absent means denied. Where a target *is* must have been asked of the site before a scope is asked; a key's prefix says
nothing, for the old key of a moved issue keeps working.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

SITE = "@site"
Product = Literal["jira", "confluence"]
Grants = Mapping[str, frozenset[str]]
Ceiling = Mapping[str, Mapping[str, Collection[str]]]  # product → project or space → verbs, as bridge.toml has it


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every action: which targets, which fields and transitions (None: all), how many writes."""

    targets: Literal["any", "event"] = "any"
    fields: frozenset[str] | None = None
    transitions: frozenset[str] | None = None
    actions: int = 20

    def refuse_fields(self, names: Iterable[str]) -> str | None:
        """Return the sentence that refuses fields outside ``[scope.limits] fields``, or None."""
        if self.fields is None:
            return None
        beyond = sorted(set(names) - self.fields)
        if not beyond:
            return None
        allowed = ", ".join(sorted(self.fields)) or "no field"
        return f"the rule's scope.limits.fields does not list {', '.join(beyond)} (it lists {allowed})"

    def refuse_transition(self, *names: str) -> str | None:
        """Return the sentence that refuses a transition, or None; any of its names (its own, the status) may do."""
        if self.transitions is None:
            return None
        listed = {each.casefold() for each in self.transitions}
        if any(name.casefold() in listed for name in names):
            return None
        allowed = ", ".join(sorted(self.transitions)) or "none"
        return f"the rule's scope.limits.transitions does not list {names[0]!r} (it lists {allowed})"

    def refuse_target(self, target: Iterable[str], event: Iterable[str]) -> str | None:
        """Return the sentence that refuses a target other than the event's, or None.

        Both are given by all their names (an issue's id and keys, a page's id): one may be called by its key and the
        other by its id.
        """
        if self.targets == "any" or set(target) & set(event):
            return None
        return 'the rule\'s scope.limits.targets is "event": only the issue or page the delivery names may be changed'

    def refuse_count(self, made: int) -> str | None:
        """Return the sentence that refuses a further write after ``made`` of them in this delivery, or None."""
        if made < self.actions:
            return None
        return f"the rule's scope.limits.actions allows {self.actions} writes per delivery"


@dataclass(frozen=True, slots=True)
class Scope:
    """Verbs (or operationIds) by Jira project and by Confluence space; ``@site`` holds what belongs to no project."""

    jira: Grants = field(default_factory=dict)
    confluence: Grants = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def grants(self, product: str) -> Grants:
        """Return the grants of ``"jira"`` or ``"confluence"``; nothing is granted on any other product."""
        return {"jira": self.jira, "confluence": self.confluence}.get(product, {})

    def allows(self, product: str, container: str, verb_or_operation: str) -> bool:
        """Tell whether the verb or operationId is granted in the project or space where the target is now."""
        return verb_or_operation in self.grants(product).get(container, frozenset())

    def containers(self, product: str, verb_or_operation: str) -> frozenset[str]:
        """Return the projects or spaces in which something is granted, for sentences and for dropping search hits."""
        return frozenset(name for name, verbs in self.grants(product).items() if verb_or_operation in verbs)

    def within(self, ceiling: Ceiling | None) -> "Scope":
        """Return what is left of the scope under an account's ceiling; a product the ceiling omits is denied."""
        if ceiling is None:
            return self
        return replace(
            self,
            jira=_intersection(self.jira, ceiling.get("jira", {})),
            confluence=_intersection(self.confluence, ceiling.get("confluence", {})),
        )

    def beyond(self, ceiling: Ceiling | None) -> tuple[str, ...]:
        """Name what the ceiling takes away, as ``jira OPS transition``, sorted."""
        left = self.within(ceiling)
        return tuple(
            f"{product} {container} {verb}"
            for product in ("jira", "confluence")
            for container, verbs in sorted(self.grants(product).items())
            for verb in sorted(verbs - left.grants(product).get(container, frozenset()))
        )


def _intersection(grants: Grants, ceiling: Mapping[str, Collection[str]]) -> Grants:
    both = {container: verbs & frozenset(ceiling.get(container, ())) for container, verbs in grants.items()}
    return {container: verbs for container, verbs in both.items() if verbs}
