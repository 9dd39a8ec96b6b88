"""Jira's operations on boards and sprints: an issue is in one sprint that is not closed, at most.

See https://developer.atlassian.com/cloud/jira/software/rest/intro/. A board is seen by whoever sees its project; one
permission there lets manage sprints, another move issues.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, number
from bridge.sandbox.planning import Board, Sprint
from bridge.sandbox.records import Issue

_MOVED_AT_MOST = 50
_STATES = frozenset({"future", "active", "closed"})
_CAN_BECOME = {"active": "future", "closed": "active"}


def _sees(call: Call, board: Board) -> bool:
    return call.site.may(call.account, "browse", call.site.projects[board.project])


def _board(call: Call, wanted: str) -> Board:
    board = call.site.boards.get(wanted)
    if board is None or not _sees(call, board):
        raise jira_refused(404, "The requested board cannot be viewed because it either does not exist or you do not "
                                "have permission to view it.")  # fmt: skip
    return board


def _sprint(call: Call) -> Sprint:
    sprint = call.site.sprints.get(call.params["sprintId"])
    if sprint is None or not _sees(call, call.site.boards[sprint.board]):
        raise jira_refused(404, "Sprint does not exist or you do not have permission to view it.")
    return sprint


def _page(call: Call, values: list[dict[str, Any]], *, total: bool) -> Answer:
    start, count = number(call, "startAt", 0), number(call, "maxResults", 50, 50)
    page = {"startAt": start, "maxResults": count, "isLast": start + count >= len(values)}
    return Answer(200, page | ({"total": len(values)} if total else {}) | {"values": values[start : start + count]})


def get_all_boards(call: Call) -> Answer:
    """GET /rest/agile/1.0/board: ``name`` is part of a board's name, ``projectKeyOrId`` the project it belongs to."""
    name, project, kind = call.first("name").casefold(), call.first("projectKeyOrId"), call.first("type")
    found = [
        each
        for each in call.site.boards.values()
        if _sees(call, each)
        and name in each.name.casefold()
        and project in {"", each.project, call.site.projects[each.project].id}
        and kind in {"", each.kind}
    ]
    return _page(call, [_shown_board(call, each) for each in found], total=True)


def _shown_board(call: Call, board: Board) -> dict[str, Any]:
    home = call.site.projects[board.project]
    made = {"id": int(board.id), "self": f"{call.gateway_url}/rest/agile/1.0/board/{board.id}", "name": board.name}
    located = {"projectId": int(home.id), "projectKey": home.key, "projectName": home.name}
    located |= {"name": f"{home.name} ({home.key})", "displayName": f"{home.name} ({home.key})"}
    return made | {"type": board.kind, "location": located, "isPrivate": False}


def get_all_sprints(call: Call) -> Answer:
    """GET /rest/agile/1.0/board/{boardId}/sprint: only scrum boards have sprints; ``state`` may name several."""
    board = _scrum_board(call, call.params["boardId"])
    states = set(call.listed("state")) or _STATES
    if not states <= _STATES:
        raise jira_refused(400, "The state must be future, active or closed.")
    there = (each for each in call.site.sprints.values() if each.board == board.id and each.state in states)
    return _page(call, [_shown(call, each) for each in there], total=False)


def _scrum_board(call: Call, wanted: str) -> Board:
    board = _board(call, wanted)
    if board.kind != "scrum":
        raise jira_refused(400, "The board does not support sprints")
    return board


def get_sprint(call: Call) -> Answer:
    """GET /rest/agile/1.0/sprint/{sprintId}."""
    return Answer(200, _shown(call, _sprint(call)))


def _shown(call: Call, sprint: Sprint) -> dict[str, Any]:
    made: dict[str, Any] = {"id": int(sprint.id), "self": f"{call.gateway_url}/rest/agile/1.0/sprint/{sprint.id}"}
    made |= {"state": sprint.state, "name": sprint.name, "createdDate": _told(sprint.created)}
    moments = {"startDate": sprint.start, "endDate": sprint.end, "completeDate": sprint.completed}
    made |= {name: _told(moment) for name, moment in moments.items() if moment is not None}
    return made | {"originBoardId": int(sprint.board), "goal": sprint.goal}


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def create_sprint(call: Call) -> Answer:
    """POST /rest/agile/1.0/sprint: a future sprint; its name is trimmed."""
    body = _body(call)
    board = _scrum_board(call, str(body.get("originBoardId", "")))
    _manages(call, board)
    name = str(body.get("name") or "").strip()
    if not name:
        raise jira_refused(400, errors={"name": "The sprint name cannot be empty."})
    start, end = _moment(body, "startDate"), _moment(body, "endDate")
    made = call.site.add_sprint(board, name, goal=str(body.get("goal") or ""))
    made.start, made.end = start, end
    return Answer(201, _shown(call, made))


def partially_update_sprint(call: Call) -> Answer:
    """POST /rest/agile/1.0/sprint/{sprintId}: future becomes active, if both dates are set, and active closed."""
    sprint, body = _sprint(call), _body(call)
    _manages(call, call.site.boards[sprint.board])
    start, end = _moment(body, "startDate") or sprint.start, _moment(body, "endDate") or sprint.end
    state = str(body.get("state") or sprint.state)
    if state not in {sprint.state, *_STATES} or _CAN_BECOME.get(state, state) != sprint.state:
        raise jira_refused(400, f"A sprint that is {sprint.state} cannot become {state[:20]}.")
    if state == "active" and (start is None or end is None):
        raise jira_refused(400, "You must specify a start date and an end date for a sprint to be started.")
    sprint.name, sprint.goal = str(body.get("name") or sprint.name), str(body.get("goal") or sprint.goal)
    sprint.start, sprint.end = start, end
    if (sprint.state, state) == ("active", "closed"):
        sprint.completed = call.site.now()
    sprint.state = state
    return Answer(200, _shown(call, sprint))


def _manages(call: Call, board: Board) -> None:
    if not call.site.may(call.account, "manage-sprints", call.site.projects[board.project]):
        raise jira_refused(403, "You do not have the permission to manage sprints in the projects of this board.")


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    if body.get(name) is None:
        return None
    try:
        found = datetime.fromisoformat(str(body[name]))
    except ValueError:
        raise jira_refused(400, errors={name: "Not a date and time: expected yyyy-MM-ddTHH:mm:ss.SSSZ"}) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _body(call: Call) -> Mapping[str, Any]:
    if not isinstance(call.body, dict):
        raise jira_refused(400, "The request body is missing or is not a JSON object.")
    return call.body


def move_to_sprint(call: Call) -> Answer:
    """POST /rest/agile/1.0/sprint/{sprintId}/issue: out of any other sprint that is not closed."""
    sprint = _sprint(call)
    issues = _moved(call)
    if sprint.state == "closed":
        raise jira_refused(400, "Issues can only be moved to open or active sprints.")
    _leave_sprints(call, issues)
    sprint.issues += [issue.id for issue in issues]
    return Answer(204)


def move_to_board(call: Call) -> Answer:
    """POST /rest/agile/1.0/board/{boardId}/issue: from the board's backlog onto it."""
    board = _board(call, call.params["boardId"])
    board.issues += [issue.id for issue in _moved(call) if issue.id not in board.issues]
    return Answer(204)


def move_to_backlog(call: Call) -> Answer:
    """POST /rest/agile/1.0/backlog/{boardId}/issue: out of its sprints, or off a board that has none."""
    board = _board(call, call.params["boardId"])
    issues = _moved(call)
    _leave_sprints(call, issues)
    gone = {issue.id for issue in issues}
    board.issues = [each for each in board.issues if each not in gone]
    return Answer(204)


def _leave_sprints(call: Call, issues: list[Issue]) -> None:
    gone = {issue.id for issue in issues}
    for sprint in call.site.sprints.values():
        if sprint.state != "closed":
            sprint.issues = [each for each in sprint.issues if each not in gone]


def _moved(call: Call) -> list[Issue]:
    named = _body(call).get("issues")
    if not isinstance(named, list) or not named or len(named) > _MOVED_AT_MOST:
        raise jira_refused(400, "Between 1 and 50 issues can be moved at once.")
    found = []
    for each in named:
        issue = call.site.find_issue(str(each))
        if issue is None or not call.site.may(call.account, "browse", call.site.projects[issue.project]):
            raise jira_refused(400, f"Issue does not exist or you do not have permission to see it: {str(each)[:40]}")
        if not call.site.may(call.account, "schedule", call.site.projects[issue.project]):
            raise jira_refused(403, "You do not have the permission to schedule issues in this project.")
        found.append(issue)
    return found


OPERATIONS: Mapping[str, Operation] = {
    "getAllBoards": get_all_boards,
    "getAllSprints": get_all_sprints,
    "getSprint": get_sprint,
    "createSprint": create_sprint,
    "partiallyUpdateSprint": partially_update_sprint,
    "moveIssuesToSprintAndRank": move_to_sprint,
    "moveIssuesToBoard": move_to_board,
    "moveIssuesToBacklogForBoard": move_to_backlog,
}
