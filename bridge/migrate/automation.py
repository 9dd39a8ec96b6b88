"""One automation as every dialect means it: a trigger, and a tree of conditions, branches and actions.

The dialects differ in names and places (an actor is ``actor.value``, ``actor.actor``, ``actorAccountId`` or
``actorKey``); from here on nobody needs to know. The raw JSON stays beside it for whoever writes it back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["cloud-export", "management-api", "data-center", "cloud-2018", "unknown"]
Path = tuple[str | int, ...]

# What each dialect is called where people read, and whether an automation can be written back in it.
SAID: Mapping[Dialect, str] = {
    "cloud-export": "export of Jira or Confluence Cloud",
    "management-api": "answer of the rule management API",
    "data-center": "export of Jira Data Center",
    "cloud-2018": "export of Jira Cloud of 2018",
    "unknown": "none of the known dialects",
}
WRITABLE: frozenset[Dialect] = frozenset({"cloud-export", "management-api"})

# The app account by which Automation acts where no person is chosen; the same on many sites.
ROBOT = "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077"


@dataclass(frozen=True, slots=True)
class Node:
    """One component; ``path`` leads to it within the automation's JSON, ``("components", 0, "children", 2)``."""

    component: str
    type: str
    value: Any
    children: tuple["Node", ...]
    conditions: tuple["Node", ...]
    raw: Mapping[str, Any]
    path: Path

    def walk(self) -> Iterator["Node"]:
        """Walk this component and all below it in the order in which they are run: its conditions first."""
        yield self
        for each in (*self.conditions, *self.children):
            yield from each.walk()


@dataclass(frozen=True, slots=True)
class Actor:
    """As whom the automation acts: an account, whoever set it off, what a smart value says, or nobody knows."""

    kind: Literal["person", "robot", "initiator", "smart-value", "unknown"]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Automation:
    """One automation; ``projects`` are project ids or keys, ``site_wide`` says that it holds for the whole site.

    ``where`` names the file it came from, ``uuid`` is what the management API calls it.
    """

    where: str
    dialect: Dialect
    name: str
    uuid: str | None
    enabled: bool
    actor: Actor
    author: str | None
    owner_only: bool
    others_may_trigger: bool
    product: Literal["jira", "confluence"]
    cloud_id: str | None
    projects: tuple[str, ...]
    site_wide: bool
    trigger: Node
    components: tuple[Node, ...]
    raw: Mapping[str, Any]
    connections: tuple[Mapping[str, Any], ...] = field(default=())

    def walk(self) -> Iterator[Node]:
        """Walk all components but the trigger in the order in which they are run."""
        for each in self.components:
            yield from each.walk()

    @property
    def service_desk(self) -> bool:
        """Whether something in it shows that it works on a service project."""
        billing = str((self.raw.get("ruleHome") or {}).get("ruleBillingHome", "")) if self.raw else ""
        kinds = {str(each.get("projectTypeKey")) for each in self.raw.get("projects") or () if isinstance(each, dict)}
        types = (self.trigger.type, *(node.type for node in self.walk()))
        desk = any(each.startswith(("jira.sd.", "jsm.")) or "servicedesk" in each for each in types)
        return desk or "jira-servicedesk" in billing or "service_desk" in kinds
