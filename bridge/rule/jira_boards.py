"""Boards and sprints: find them, create, start and complete sprints, move work items, and the request each one builds.

A board or sprint may be given by name or id. Operations and bodies:
https://developer.atlassian.com/cloud/jira/software/rest/intro/.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.method import does
from bridge.rule.request import STAND_IN, Caller, Issue, Request, name_of, object_of, segment

ISSUE = "{{ issue.key }}"

PAGE_SIZE = 50
MOST_PAGES = 40
NOT_FOUND, CONFLICT = 404, 409
_BOARDS = ("getAllBoards",)
_SPRINTS = ("getAllBoards", "getAllSprints")
# What else than a name may stand for a sprint of a board: the one that runs, and the one after it.
_BY_STATE = {"active": "active", "next": "future"}


class Boards:
    """The part of ``context.jira`` that works on boards and sprints."""

    _caller: Caller

    @does("jira.find-board", "Find boards", operations=_BOARDS, example={"name": "Operations"})
    def boards(self, name: str | None = None, project: str | None = None) -> list[dict[str, Any]]:
        """Find the boards whose name holds ``name``, of all projects or of one."""
        return list(_pages(self._caller, lambda start: list_boards(start, name, project)))

    @does("jira.find-sprint", "Find sprints", operations=_SPRINTS, example={"board": "Operations", "state": "active"})
    def sprints(self, board: str, state: str | None = None) -> list[dict[str, Any]]:
        """Read the sprints of a board; ``state`` limits them to ``future``, ``active`` or ``closed``, or a few."""
        number = _board(self._caller, board, "find-sprint")
        return list(_pages(self._caller, lambda start: list_sprints(number, start, state, verb="find-sprint")))

    @does(
        "jira.create-sprint",
        "Create sprint",
        operations=(*_BOARDS, "createSprint"),
        example={"board": "Operations", "name": "Sprint 49", "goal": "Fewer alarms"},
    )
    def create_sprint(
        self,
        board: str,
        name: str,
        start: str | None = None,
        end: str | None = None,
        goal: str | None = None,
        *,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Make a future sprint on a board; ``start`` and ``end`` are days or times (``2027-01-11T09:00:00+01:00``).

        In observe mode the new sprint's id is ``0``.
        """
        number = _board(self._caller, board, "create-sprint")
        answer = self._caller.call(add_sprint(number, name, start, end, goal, step=step))
        return object_of(answer, {"id": STAND_IN, "name": name, "state": "future"})

    @does(
        "jira.start-sprint",
        "Start sprint",
        operations=(*_SPRINTS, "getSprint", "partiallyUpdateSprint"),
        example={"board": "Operations", "sprint": "Sprint 48", "start": "2027-01-11", "end": "2027-01-25"},
    )
    def start_sprint(
        self,
        sprint: str,
        board: str | None = None,
        start: str | None = None,
        end: str | None = None,
        *,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Start a future sprint, given by its id, or by its name (or as ``next``) with its board.

        Jira wants both dates: those the sprint has stay unless others are given. Returns ``{"already": True}`` when it
        runs. Raises ``ActionFailed`` (404) when there is no such sprint, (400) when Jira will not start it.
        """
        return self._changed(sprint, board, "active", {"startDate": start, "endDate": end}, step)

    @does(
        "jira.complete-sprint",
        "Complete sprint",
        verbs=("jira.start-sprint",),
        operations=(*_SPRINTS, "getSprint", "partiallyUpdateSprint"),
        example={"board": "Operations", "sprint": "active"},
    )
    def complete_sprint(self, sprint: str, board: str | None = None, *, step: str | None = None) -> dict[str, Any]:
        """Complete a sprint that runs, given by its id, or by its name (or as ``active``) with its board.

        Returns ``{"already": True}`` when it is completed. What is not done in it goes back to the backlog.
        """
        return self._changed(sprint, board, "closed", {}, step)

    def _changed(
        self, sprint: str, board: str | None, state: str, days: Mapping[str, str | None], step: str | None
    ) -> dict[str, Any]:
        found = _sprint(self._caller, sprint, board, "start-sprint", states="active,future,closed", whole=True)
        if found.get("state") == state:
            return {"already": True}
        self._caller.call(change_sprint(str(found["id"]), sprint, state, days, step=step))
        return {"already": False}

    @does(
        "jira.move-to-sprint",
        "Move work item to sprint",
        operations=(*_SPRINTS, "moveIssuesToSprintAndRank"),
        example={"issue": ISSUE, "board": "Operations", "sprint": "next"},
    )
    def move_to_sprint(
        self, issue: Issue, sprint: str, board: str | None = None, *, step: str | None = None
    ) -> dict[str, Any]:
        """Put an issue into a sprint, given by its id, or by its name, or as ``active`` or ``next``, with its board."""
        found = _sprint(self._caller, sprint, board, "move-to-sprint", states="active,future")
        return object_of(self._caller.call(put_into_sprint(str(found["id"]), issue, step=step)))

    @does(
        "jira.move-to-board",
        "Move work item to board",
        operations=(*_BOARDS, "moveIssuesToBoard"),
        example={"issue": ISSUE, "board": "Operations"},
    )
    def move_to_board(self, issue: Issue, board: str, *, step: str | None = None) -> dict[str, Any]:
        """Move an issue from a board's backlog onto the board."""
        number = _board(self._caller, board, "move-to-board")
        return object_of(self._caller.call(put_on_board(number, issue, step=step)))

    @does(
        "jira.move-to-backlog",
        "Move work item to backlog",
        operations=(*_BOARDS, "moveIssuesToBacklogForBoard"),
        example={"issue": ISSUE, "board": "Operations"},
    )
    def move_to_backlog(self, issue: Issue, board: str, *, step: str | None = None) -> dict[str, Any]:
        """Move an issue back into a board's backlog, out of the sprint it is in."""
        number = _board(self._caller, board, "move-to-backlog")
        return object_of(self._caller.call(put_in_backlog(number, issue, step=step)))


def _pages(caller: Caller, request: Any) -> Iterator[dict[str, Any]]:
    """Walk a list by offset; its answers are marked where they end, and some have no total."""
    start = 0
    for _ in range(MOST_PAGES):
        page = object_of(caller.call(request(start)))
        values = page.get("values") or []
        yield from values
        start += len(values)
        if page.get("isLast") or not values:
            return


def _board(caller: Caller, board: str, verb: str) -> str:
    """Return a board's id; a name must be the whole name of one board."""
    wanted = board.strip()
    if wanted.isdecimal():
        return wanted
    there = _pages(caller, lambda start: list_boards(start, wanted, verb=verb))
    return str(_only([each for each in there if _called(each, wanted)], "board", board, verb)["id"])


def _sprint(
    caller: Caller, sprint: str, board: str | None, verb: str, *, states: str, whole: bool = False
) -> dict[str, Any]:
    """Find a sprint by its id or by what it is called on its board; ``whole``: read also what has an id."""
    wanted = sprint.strip()
    if wanted.isdecimal():
        if not whole or wanted == STAND_IN:
            return {"id": wanted}
        return object_of(caller.call(read_sprint(wanted, verb)))
    if board is None:
        raise ValueError(f"a sprint that is called by its name, {sprint!r}, needs its board")
    number = _board(caller, board, verb)
    by_state = _BY_STATE.get(wanted.casefold())
    there = _pages(caller, lambda start: list_sprints(number, start, by_state or states, verb=verb))
    if by_state:
        # The board's order is the order in which they are to come.
        found = list(there)
        return _only(found[:1] if by_state == "future" else found, "sprint", sprint, verb)
    return _only([each for each in there if _called(each, wanted)], "sprint", sprint, verb)


def _called(found: Mapping[str, Any], name: str) -> bool:
    return str(found.get("name", "")).strip().casefold() == name.casefold()


def _only(found: list[dict[str, Any]], kind: str, name: str, verb: str) -> dict[str, Any]:
    if not found:
        raise ActionFailed(verb, name, NOT_FOUND, f"there is no {kind} {name!r} that this account can see")
    if len(found) > 1:
        ids = ", ".join(str(each.get("id")) for each in found)
        raise ActionFailed(
            verb, name, CONFLICT, f"{len(found)} {kind}s are called {name!r}: name one by its id ({ids})"
        )
    return found[0]


def list_boards(
    start: int, name: str | None = None, project: str | None = None, *, verb: str = "find-board"
) -> Request:
    """GET a page of boards (operation getAllBoards); ``name`` is any part of the name."""
    query = {"startAt": [str(start)], "maxResults": [str(PAGE_SIZE)]}
    query |= {key: [value] for key, value in (("name", name), ("projectKeyOrId", project)) if value}
    return Request("jira", "GET", "/rest/agile/1.0/board", query, verb=verb, target=name or "boards")


def list_sprints(board: str, start: int, state: str | None = None, *, verb: str = "find-sprint") -> Request:
    """GET a page of a board's sprints (operation getAllSprints); ``state`` may be several, parted by commas."""
    query = {"startAt": [str(start)], "maxResults": [str(PAGE_SIZE)]} | ({"state": [state]} if state else {})
    return Request("jira", "GET", f"/rest/agile/1.0/board/{segment(board)}/sprint", query, verb=verb, target=board)


def read_sprint(sprint: str, verb: str = "find-sprint") -> Request:
    """GET a sprint by its id (operation getSprint)."""
    return Request("jira", "GET", f"/rest/agile/1.0/sprint/{segment(sprint)}", verb=verb, target=sprint)


def add_sprint(
    board: str,
    name: str,
    start: str | None = None,
    end: str | None = None,
    goal: str | None = None,
    *,
    step: str | None = None,
) -> Request:
    """POST a new sprint (operation createSprint); raise ``ValueError`` for a date that is none."""
    body: dict[str, Any] = {"name": name.strip(), "originBoardId": int(board)}
    body |= _moments({"startDate": start, "endDate": end})
    if goal is not None:
        body["goal"] = goal
    return Request("jira", "POST", "/rest/agile/1.0/sprint", body=body, label=step, verb="create-sprint", target=name)


def change_sprint(
    number: str, sprint: str, state: str, days: Mapping[str, str | None], *, step: str | None = None
) -> Request:
    """POST a sprint's new state (operation partiallyUpdateSprint); what is not named stays as it is."""
    body = {"state": state, **_moments(days)}
    path = f"/rest/agile/1.0/sprint/{segment(number)}"
    return Request("jira", "POST", path, body=body, label=step, verb="start-sprint", target=sprint)


def put_into_sprint(sprint: str, issue: Issue, *, step: str | None = None) -> Request:
    """POST an issue into a sprint (operation moveIssuesToSprintAndRank)."""
    path = f"/rest/agile/1.0/sprint/{segment(sprint)}/issue"
    return _moved(path, issue, "move-to-sprint", step)


def put_on_board(board: str, issue: Issue, *, step: str | None = None) -> Request:
    """POST an issue onto a board (operation moveIssuesToBoard)."""
    return _moved(f"/rest/agile/1.0/board/{segment(board)}/issue", issue, "move-to-board", step)


def put_in_backlog(board: str, issue: Issue, *, step: str | None = None) -> Request:
    """POST an issue into a board's backlog (operation moveIssuesToBacklogForBoard)."""
    return _moved(f"/rest/agile/1.0/backlog/{segment(board)}/issue", issue, "move-to-backlog", step)


def _moved(path: str, issue: Issue, verb: str, step: str | None) -> Request:
    return Request(
        "jira", "POST", path, body={"issues": [name_of(issue)]}, label=step, verb=verb, target=name_of(issue)
    )


def _moments(given: Mapping[str, str | None]) -> dict[str, str]:
    return {name: _moment(name, value) for name, value in given.items() if value is not None}


def _moment(name: str, value: str) -> str:
    """Write a day or time as Jira takes it, in milliseconds and with an offset; a bare day begins at midnight UTC."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{name} must be a day or time such as 2027-01-11T09:00:00+01:00: {value!r}") from None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return aware.isoformat(timespec="milliseconds")
