"""The one workflow of the sandbox's projects, and the priorities, issue types and resolutions they share.

To Do → In Progress → Done. Names of transitions differ from the statuses they lead to, as they do on most sites.
"""

from collections.abc import Sequence
from typing import Any

from bridge.sandbox.records import Account, Issue, Item, Named, Status, Transition
from bridge.sandbox.site import Site

STATUSES = (
    Status("10000", "To Do", "new"),
    Status("10001", "In Progress", "indeterminate"),
    Status("10002", "Done", "done"),
)
TRANSITIONS = (
    Transition("11", "Start work", frozenset({"To Do"}), "In Progress"),
    Transition("21", "Stop work", frozenset({"In Progress"}), "To Do"),
    Transition("31", "Resolve", frozenset({"In Progress"}), "Done"),
    Transition("41", "Reopen", frozenset({"Done"}), "In Progress"),
)
PRIORITIES = tuple(Named(str(n), name) for n, name in enumerate(("Highest", "High", "Medium", "Low", "Lowest"), 1))
ISSUE_TYPES = tuple(
    Named(str(n), name) for n, name in enumerate(("Task", "Bug", "Incident", "Change", "Sub-task"), 10100)
)
SUBTASK = ISSUE_TYPES[-1].id
RESOLUTIONS = (Named("10000", "Done"), Named("10001", "Won't Do"))


def status(name: str) -> Status:
    """The status with that name."""
    return next(each for each in STATUSES if each.name == name)


def offered(issue: Issue) -> list[Transition]:
    """What the workflow allows from the issue's status."""
    return [each for each in TRANSITIONS if issue.status in each.sources]


def take(
    site: Site,
    issue: Issue,
    author: Account,
    step: Transition,
    *,
    metadata: dict[str, Any] | None = None,
    items: Sequence[Item] = (),
) -> None:
    """Take one step of the workflow; ``items`` are field changes made with it and share its changelog entry."""
    before, after = status(issue.status), status(step.target)
    issue.status = after.name
    resolved = _resolve(issue, done=after.category == "done")
    moved: Item = {"field": "status", "fieldtype": "jira", "fieldId": "status", "from": before.id}
    moved |= {"fromString": before.name, "to": after.id, "toString": after.name}
    site.note_change(issue, author, [moved, *items, *resolved], metadata)


def _resolve(issue: Issue, *, done: bool) -> list[Item]:
    """Set the resolution when work is done and none was given, and take it away when work begins again."""
    given = issue.fields.get("resolution")
    if done == bool(given):
        return []
    issue.fields["resolution"] = RESOLUTIONS[0].id if done else None
    told: Item = {"field": "resolution", "fieldtype": "jira", "fieldId": "resolution"}
    if done:
        return [told | {"to": RESOLUTIONS[0].id, "toString": RESOLUTIONS[0].name}]
    return [told | {"from": given, "fromString": next(each.name for each in RESOLUTIONS if each.id == given)}]
