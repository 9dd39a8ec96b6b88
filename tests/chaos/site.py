"""What stands on the site after a run: each effect that a delivery was to have, and when it came about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.chaos.plan import Planned

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """One action of a delivery: how often it is wanted, and when each of its executions was (wall-clock seconds)."""

    what: str
    operation: str
    wanted: int
    times: tuple[float, ...]

    @property
    def over(self) -> int:
        """How many executions there are too many; below zero, too few."""
        return len(self.times) - self.wanted


def effects(planned: Planned, state: State) -> list[Effect]:
    """Find what one delivery did; what its rule does stands in ``rules/``."""
    return _OF_RULE[planned.rule](planned, state)


def _remarks(planned: Planned, state: State) -> list[Effect]:
    made = _issues(state, planned.tag)
    return [
        _comments(state, planned.payload["at"], planned.tag),
        _created(made),
        Effect("comment on the new work item", "addComment", 1,
               _times(comment["created"] for issue in made for comment in _saying(issue, f"{planned.tag} made"))),
    ]  # fmt: skip


def _ledger(planned: Planned, state: State) -> list[Effect]:
    return [_comments(state, planned.payload["at"], planned.tag)]


def _career(planned: Planned, state: State) -> list[Effect]:
    made = _issues(state, planned.tag)
    found = [_created(made)]
    moves = [
        change["created"]
        for issue in made
        for change in issue["changes"]
        if any(item["field"] == "status" for item in change["items"])
    ]
    found.append(Effect("transition", "doTransition", 1, _times(moves)))
    for word in ("alpha", "beta", "gamma"):
        said = [comment["created"] for issue in made for comment in _saying(issue, f"{planned.tag} {word}")]
        found.append(Effect(f"comment {word}", "addComment", 1, _times(said)))
    moved = [
        comment["created"] for issue in made for comment in _saying(issue, f"{planned.tag} moved by somebody else")
    ]
    found.append(Effect("comment that must not be", "addComment", 0, _times(moved)))
    work = [each["created"] for issue in made for each in issue["worklogs"]]
    found.append(Effect("logged work", "addWorklog", 1, _times(work)))
    labelled = [
        issue["updated"] for issue in made for label in issue["fields"].get("labels", []) if label == planned.tag
    ]
    found.append(Effect("label by an edit", "editIssue", 1, _times(labelled)))
    given = [issue["updated"] for issue in made if issue["fields"].get("assignee") == planned.payload["person"]]
    return [*found, Effect("assignee", "assignIssue", 1, _times(given))]


def _chapter(planned: Planned, state: State) -> list[Effect]:
    made = [page for page in state["pages"].values() if page["title"] == planned.tag]
    first = [page["versions"][0]["created"] for page in made]
    words = [comment["versions"][0]["created"] for page in made for comment in _saying(page, planned.tag)]
    labels = [page["versions"][0]["created"] for page in made for label in page["labels"] if label == planned.tag]
    return [
        Effect("page", "createPage", 1, _times(first)),
        Effect("label on the page", "addLabelsToContent", 1, _times(labels)),
        Effect("two equal comments on the page", "createFooterComment", 2, _times(words)),
        Effect("text added to the page", "updatePage", 1,
               tuple(time for page in made for time in _written(page, f"{planned.tag} again"))),
    ]  # fmt: skip


def _chronicle(planned: Planned, state: State) -> list[Effect]:
    page = state["pages"][planned.payload["page"]["id"]]
    return [
        Effect("text added to the page", "updatePage", 1, tuple(_written(page, planned.tag))),
        _page_comments(planned, page),
    ]


def _noted(planned: Planned, state: State) -> list[Effect]:
    page = state["pages"][planned.payload["page"]["id"]]
    kept = [each["versions"][0]["created"] for each in page["comments"] if planned.tag in each["properties"]]
    return [_page_comments(planned, page), Effect("property", "createCommentProperty", 1, _times(kept))]


_OF_RULE: Mapping[str, Callable[[Planned, State], list[Effect]]] = {
    "remarks": _remarks,
    "ledger": _ledger,
    "career": _career,
    "chapter": _chapter,
    "chronicle": _chronicle,
    "noted": _noted,
}


def order(rule: str, payload: Mapping[str, Any], state: State) -> list[str]:
    """The words, oldest first, in which the order of one lane shows."""
    if rule == "chronicle":
        text = str(state["pages"][payload["page"]["id"]]["versions"][-1]["text"])
        return text.split()
    comments = state["issues"].get(payload["at"], {"comments": []})["comments"]
    return [str(comment["text"]) for comment in sorted(comments, key=lambda each: time_of(each["created"]))]


def _issues(state: State, tag: str) -> list[Mapping[str, Any]]:
    return [issue for issue in state["issues"].values() if issue["fields"]["summary"] == tag]


def _created(made: Sequence[Mapping[str, Any]]) -> Effect:
    return Effect("work item", "createIssue", 1, _times(issue["created"] for issue in made))


def _comments(state: State, key: str, tag: str) -> Effect:
    issue = state["issues"].get(key, {"comments": []})
    return Effect("comment", "addComment", 1, _times(each["created"] for each in _saying(issue, tag)))


def _page_comments(planned: Planned, page: Mapping[str, Any]) -> Effect:
    said = [comment["versions"][0]["created"] for comment in _saying(page, planned.tag)]
    return Effect("comment on the page", "createFooterComment", 1, _times(said))


def _saying(place: Mapping[str, Any], text: str) -> list[Mapping[str, Any]]:
    return [comment for comment in place["comments"] if comment["text"] == text]


def _written(page: Mapping[str, Any], words: str) -> list[float]:
    """When words were added to a page: once for each time they are more often in a version than in the one before."""
    found, before = [], 0
    for version in page["versions"]:
        count = f" {' '.join(version['text'].split())} ".count(f" {words} ")
        found += [time_of(version["created"])] * max(count - before, 0)
        before = count
    return found


def _times(texts: Any) -> tuple[float, ...]:
    return tuple(sorted(time_of(text) for text in texts))


def time_of(text: str) -> float:
    """Read a time of the site, in wall-clock seconds."""
    return datetime.fromisoformat(text).timestamp()


def shown(time: float) -> str:
    """Write a wall-clock time as the journal does, to the millisecond."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S.%f")[:-3]
