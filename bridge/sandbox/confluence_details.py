"""Confluence's operations on what a page carries, one function per operationId: status, labels, watchers, tasks."""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused, cursor_page
from bridge.sandbox.confluence import content, given_id, not_found
from bridge.sandbox.contents import may_do
from bridge.sandbox.page_facts import SPACE_STATES, ContentState, Task
from bridge.sandbox.records import Account, Page

_NAME_LENGTH = 20
_FIRST_OWN_STATE = 100
_STATUSES = frozenset({"complete", "incomplete"})


def get_content_state(call: Call) -> Answer:
    """GET /wiki/rest/api/content/{id}/state: without a member where there is no status."""
    return Answer(200, _state_of(call, content(call, call.params["id"])))


def _state_of(call: Call, page: Page) -> dict[str, Any]:
    if page.state is None:
        return {}
    return {"contentState": _state(page.state), "lastUpdated": shapes.moment(call.site.now())}


def _state(state: ContentState) -> dict[str, Any]:
    return {"id": state.id, "name": state.name, "color": state.color}


def set_content_state(call: Call) -> Answer:
    """PUT /wiki/rest/api/content/{id}/state: by id, or by name and color; it makes a new version."""
    page, body = content(call, call.params["id"], "edit"), call.body
    if call.first("status") not in {"current", "draft"} or not isinstance(body, dict):
        raise confluence_v1_refused(400, "Status must be in [draft, current].")
    page.state = _chosen(call, body)
    call.site.revise(page, call.account, page.title, page.latest.body, "")
    return Answer(200, _state_of(call, page))


def _chosen(call: Call, body: Mapping[str, Any]) -> ContentState:
    known = [*SPACE_STATES, *_own_states(call)]
    if body.get("id") is not None:
        found = next((each for each in known if each.id == body["id"]), None)
        if found is None:
            raise confluence_v1_refused(400, "There is no content state with this id.")
        return found
    name, color = body.get("name"), body.get("color")
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or not str(color).startswith("#"):
        raise confluence_v1_refused(400, "A state has a name of at most 20 characters and a color in hex.")
    same = next((each for each in known if (each.name, each.color) == (name, color)), None)
    return same or ContentState(max([_FIRST_OWN_STATE, *(each.id for each in known)]) + 1, name, str(color))


def _own_states(call: Call) -> list[ContentState]:
    """The statuses that somebody made by giving them to a page."""
    given = {page.state for page in call.site.pages.values() if page.state is not None}
    return sorted(given - set(SPACE_STATES), key=lambda state: state.id)


def remove_content_state(call: Call) -> Answer:
    """DELETE /wiki/rest/api/content/{id}/state: it makes a new version."""
    page = content(call, call.params["id"], "edit")
    page.state = None
    call.site.revise(page, call.account, page.title, page.latest.body, "")
    return Answer(200, {})


def get_available_content_states(call: Call) -> Answer:
    """GET /wiki/rest/api/content/{id}/state/available."""
    content(call, call.params["id"], "edit")
    own = [_state(each) for each in _own_states(call)][-3:]
    return Answer(200, {"spaceContentStates": [_state(each) for each in SPACE_STATES], "customContentStates": own})


def remove_label(call: Call) -> Answer:
    """DELETE /wiki/rest/api/content/{id}/label?name=: 404 for a label that the page does not have."""
    page, name = content(call, call.params["id"], "edit"), call.first("name")
    if all(each.name != name for each in page.labels):
        raise confluence_v1_refused(404, f"The page has no label {name[:40]!r}.")
    page.labels = [each for each in page.labels if each.name != name]
    return Answer(204)


def _watched(call: Call) -> tuple[Page, Account]:
    """The page and whom the request is about: somebody else only for who administers the space."""
    page = call.site.pages.get(call.params["contentId"])
    if page is None or not may_do(call.site, call.account, "view", page):
        raise confluence_v1_refused(403, "You do not have permission to view the content.")
    account = call.site.accounts.get(call.first("accountId", call.account.id))
    if account is None:
        raise confluence_v1_refused(404, "No user found with this account id.")
    if account is not call.account and not may_do(call.site, call.account, "administer", page):
        raise confluence_v1_refused(403, "Only an administrator of the space can change who else watches.")
    return page, account


def add_content_watcher(call: Call) -> Answer:
    """POST /wiki/rest/api/user/watch/content/{contentId}: who watches already goes on watching."""
    page, account = _watched(call)
    if account.id not in page.watchers:
        page.watchers.append(account.id)
    return Answer(204)


def remove_content_watcher(call: Call) -> Answer:
    """DELETE /wiki/rest/api/user/watch/content/{contentId}."""
    page, account = _watched(call)
    page.watchers = [each for each in page.watchers if each != account.id]
    return Answer(204)


def get_content_watch_status(call: Call) -> Answer:
    """GET /wiki/rest/api/user/watch/content/{contentId}."""
    page, account = _watched(call)
    return Answer(200, {"watching": account.id in page.watchers})


def get_tasks(call: Call) -> Answer:
    """GET /wiki/api/v2/tasks: by page, space, status and assignee."""
    filters = {name: set(call.listed(name)) for name in ("page-id", "space-id", "task-id", "assigned-to")}
    status = call.first("status")
    found = [
        task
        for page in call.site.pages.values()
        if may_do(call.site, call.account, "view", page) and page.status == "current"
        for task in page.tasks
        if _fits(filters["page-id"], page.id)
        and _fits(filters["space-id"], page.space)
        and _fits(filters["task-id"], task.id)
        and _fits(filters["assigned-to"], task.assignee or "")
        and status in {"", task.status}
    ]
    return cursor_page(call, [_task(call, task) for task in found])


def _fits(wanted: set[str], value: str) -> bool:
    return not wanted or value in wanted


def _task(call: Call, shown: Task) -> dict[str, Any]:
    made: dict[str, Any] = {"id": shown.id, "localId": shown.id, "pageId": shown.page, "status": shown.status}
    made |= {"spaceId": call.site.pages[shown.page].space, "createdBy": shown.author}
    made |= {"createdAt": shapes.moment(shown.created), "body": shapes.body(shown.body, call.first("body-format"))}
    made |= {"assignedTo": shown.assignee} if shown.assignee else {}
    made |= {"completedBy": shown.completed_by} if shown.completed_by else {}
    return made | ({"updatedAt": shapes.moment(shown.updated)} if shown.updated else {})


def _visible_task(call: Call, permission: str) -> Task:
    wanted = given_id(call, "id")
    for page in call.site.pages.values():
        for task in page.tasks:
            if task.id == wanted and may_do(call.site, call.account, permission, page):
                return task
    raise not_found("The task")


def get_task_by_id(call: Call) -> Answer:
    """GET /wiki/api/v2/tasks/{id}."""
    return Answer(200, _task(call, _visible_task(call, "view")))


def update_task(call: Call) -> Answer:
    """PUT /wiki/api/v2/tasks/{id}: only the status can be changed."""
    task, body = _visible_task(call, "edit"), call.body
    if not isinstance(body, dict) or body.get("status") not in _STATUSES:
        raise shapes.invalid("'status' is complete or incomplete.")
    task.status, task.updated = body["status"], call.site.now()
    task.completed_by = call.account.id if task.status == "complete" else None
    return Answer(200, _task(call, task))


V2: Mapping[str, Operation] = {
    "getTasks": get_tasks,
    "getTaskById": get_task_by_id,
    "updateTask": update_task,
}
V1: Mapping[str, Operation] = {
    "getContentState": get_content_state,
    "setContentState": set_content_state,
    "removeContentState": remove_content_state,
    "getAvailableContentStates": get_available_content_states,
    "removeLabelFromContentUsingQueryParameter": remove_label,
    "addContentWatcher": add_content_watcher,
    "removeContentWatcher": remove_content_watcher,
    "getContentWatchStatus": get_content_watch_status,
}
