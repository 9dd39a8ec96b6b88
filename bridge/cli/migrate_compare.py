"""What a rule that observed would have done, held against what the automation did, as the site tells it.

For each delivery the site is asked for the work item's history and comments around that time. What leaves no trace of
its own there (a property, a deletion, a created work item) is said not to be comparable.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bridge.migrate.api import Management
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import State
from bridge.store.journal import Kind

MOST = 25  # deliveries, the newest ones
AROUND = timedelta(minutes=10)
# The field of Jira's history that an action leaves an item of; None: a comment.
_TRACES: Mapping[str, str | None] = {
    "jira.comment": None,
    "jira.comment-on-request": None,
    "jira.transition": "status",
    "jira.assign": "assignee",
    "jira.link": "Link",
    "jira.edit": "",
    "jira.security": "security",
    "jira.log-work": "timespent",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One action that would have been done, and whether the automation did it."""

    delivery: str
    line: str
    verdict: Literal["done", "not found", "not comparable"]

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.verdict:14}  {self.line}"


def compared(store: Store, management: Management, rule: str) -> Iterator[Compared]:
    """Compare the newest deliveries that a rule observed."""
    with store.read() as connection:
        found = deliveries.listed(connection, rule=rule, state=str(State.DONE), limit=MOST)
        entries = {each.id: journal.of_delivery(connection, each.id) for each in found}
    issues: dict[str, dict[str, Any] | None] = {}
    for each in found:
        observed = [entry for entry in entries[each.id] if entry["kind"] == Kind.OBSERVED]
        for entry in observed:
            target = str(entry.get("target") or "")
            if target not in issues:
                issues[target] = management.issue(target)
            yield Compared(each.id, journal.line(entry), _verdict(entry, issues[target]))


def _verdict(
    entry: Mapping[str, Any], issue: Mapping[str, Any] | None
) -> Literal["done", "not found", "not comparable"]:
    verb = str(entry.get("verb"))
    if verb not in _TRACES or issue is None:
        return "not comparable"
    moment = _moment(entry.get("at"))
    trace = _TRACES[verb]
    if trace is None:
        listed = ((issue.get("fields") or {}).get("comment") or {}).get("comments") or ()
        times = [each.get("created") for each in listed]
    else:
        histories = (issue.get("changelog") or {}).get("histories") or ()
        times = [
            each.get("created")
            for each in histories
            if any(trace in {"", str(item.get("field")), str(item.get("fieldId"))} for item in each.get("items") or ())
        ]
    near = any(abs(_moment(text) - moment) <= AROUND for text in times)
    return "done" if near else "not found"


def _moment(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
