"""The automation with its actions replaced by web requests, in the dialect it came in.

Two forms are written. In the *observing* form each web request stands before the actions that it stands for, which
still act: what the rule would have done can be compared with what the automation did. In the *acting* form they are
gone. The two carry tokens of different versions, so that a rule that acts refuses what the observing form still sends.

Component ids are dropped: the site refuses ids that no longer fit the tree, and gives new ones. The ``checksum`` is
emptied, and the state is DISABLED, so that nothing runs before somebody enables it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bridge.migrate.automation import WRITABLE, Path
from bridge.migrate.body import custom_data
from bridge.migrate.plan import Plan, Run
from bridge.migrate.web_requests import TYPE

Form = Literal["observe", "act"]
WAIT = 20  # seconds; the most that ingress lets a sender wait for the result
# Not part of what the management API takes.
_READ_ONLY = ("uuid", "created", "updated")
_CONNECTION = ("id", "accountId", "connectionTargetKey", "targetConfigJson", "authType")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a rule's webhooks go, and what opens it; ``authorization`` is a secret and is never shown."""

    url: str
    authorization: str

    def __repr__(self) -> str:
        """Name the address without what opens it."""
        return f"<Address {self.url}>"


def rewritten(plan: Plan, addresses: Mapping[int, Address], form: Form) -> dict[str, Any]:
    """Return the file's JSON; ``addresses`` are those of the runs, by their numbers.

    Raises ``ValueError`` for a dialect that is read for planning only.
    """
    automation = plan.automation
    if automation.dialect not in WRITABLE:
        raise ValueError(f"{automation.dialect} is read for planning only")
    rule = {name: value for name, value in automation.raw.items() if name != "connections"}
    rule |= {"state": "DISABLED", "trigger": _component(automation.raw["trigger"], ("trigger",), {}, {}, form)}
    runs = {(run.path, run.first): run for run in plan.runs}
    rule["components"] = list(_list(automation.raw["components"], ("components",), runs, addresses, form))
    if automation.dialect == "cloud-export":
        return {"cloud": True, "rules": [{**rule, "checksum": None}]}
    rule = {name: value for name, value in rule.items() if name not in _READ_ONLY and value is not None}
    used = set(_connections((rule["trigger"], *rule["components"])))
    kept = [
        {name: each[name] for name in _CONNECTION if name in each}
        for each in automation.connections
        if each.get("id") in used
    ]
    return {"rule": rule, "connections": kept}


Runs = Mapping[tuple[Path, int], Run]


def _list(
    listed: list[Any], path: Path, runs: Runs, addresses: Mapping[int, Address], form: Form
) -> Iterator[dict[str, Any]]:
    skipped = -1
    for at, raw in enumerate(listed):
        run = runs.get((path, at))
        if run is not None:
            yield _request(run, addresses[run.number], form)
            skipped = run.last if form == "act" else skipped
        if at > skipped:
            yield _component(raw, (*path, at), runs, addresses, form)


def _component(
    raw: Mapping[str, Any], path: Path, runs: Runs, addresses: Mapping[int, Address], form: Form
) -> dict[str, Any]:
    kept = {name: value for name, value in raw.items() if name != "id"}
    for name in ("parentId", "conditionParentId", "checksum"):
        if name in kept:
            kept[name] = None
    for member in ("conditions", "children"):
        if isinstance(kept.get(member), list):
            kept[member] = list(_list(kept[member], (*path, member), runs, addresses, form))
    return kept


def _request(run: Run, address: Address, form: Form) -> dict[str, Any]:
    """Return the component "Send web request" for a run."""
    waits = run.wait and form == "act"
    return {
        "component": "ACTION",
        "type": TYPE,
        "schemaVersion": 1,
        "value": {
            "url": f"{address.url}?wait={WAIT}" if waits else address.url,
            "urlSecure": False,
            "headers": [
                {"id": None, "name": "Authorization", "value": address.authorization, "headerSecure": True},
                {"id": None, "name": "Content-Type", "value": "application/json", "headerSecure": False},
            ],
            "sendIssue": False,
            "contentType": "custom",
            "customBody": custom_data(run.carried),
            "method": "POST",
            "responseEnabled": True,
            # While the automation still acts itself, a bridge that is away must not keep it from doing so.
            "continueOnErrorEnabled": form == "observe",
        },
        "children": [],
        "conditions": [],
        "parentId": None,
        "conditionParentId": None,
        "connectionId": None,
    }


def _connections(components: tuple[Mapping[str, Any], ...]) -> Iterator[Any]:
    for each in components:
        if each.get("connectionId"):
            yield each["connectionId"]
        yield from _connections((*(each.get("conditions") or ()), *(each.get("children") or ())))
