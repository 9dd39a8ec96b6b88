"""What a page carries besides its text: status, watchers, tasks, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v1/intro/ (content states, watches) and
https://developer.atlassian.com/cloud/confluence/rest/v2/api-group-task/. A task is made by writing it into a page's
text; there is no other way to make one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.confluence_content import of_content
from bridge.rule.confluence_pages import PAGE
from bridge.rule.confluence_text import FORMAT, NOT_FOUND
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_cursor
from bridge.rule.request import Caller, Page, Request, Words, name_of, object_of, segment, words_of

TASK = "{{ task.id }}"


class Details:
    """The part of ``context.confluence`` that works on what a page carries."""

    _caller: Caller

    @does(
        "confluence.set-status",
        "Change page status",
        operations=("getAvailableContentStates", "setContentState"),
        verbs=("confluence.status",),
        example={"page": PAGE, "status": "In progress"},
    )
    def set_status(
        self, page: Page, status: str, *, color: str | None = None, step: str | None = None
    ) -> dict[str, Any]:
        """Give a page a status by its name; with a color (``#ff7452``) also one that the space does not offer.

        It makes a new version of the page. Raises ``ActionFailed`` (404), naming what is offered, for another name.
        """
        answer = self._caller.call(available_states(page))
        offered = [] if answer.observed else _states(object_of(answer))
        named = [each for each in offered if str(each.get("name", "")).casefold() == status.strip().casefold()]
        if not (named or color or answer.observed):
            names = ", ".join(str(each.get("name")) for each in offered) or "none"
            text = f"no status is called {status!r}; offered: {names}; give a color to make one of your own"
            raise ActionFailed("status", name_of(page), NOT_FOUND, text)
        body = {"id": named[0]["id"]} if named else {"name": status.strip(), "color": color or "#ffffff"}
        return object_of(self._caller.call(put_state(page, body, step=step)))

    @does(
        "confluence.clear-status",
        "Remove page status",
        operations=("removeContentState",),
        verbs=("confluence.status",),
        example={"page": PAGE},
    )
    def clear_status(self, page: Page, *, step: str | None = None) -> None:
        """Take the status off a page, which makes a new version of it."""
        query = {"status": ["current"]}
        self._caller.call(of_content("DELETE", page, "/state", "status", query=query, step=step))

    @does(
        "confluence.watch",
        "Add watcher",
        operations=("addContentWatcher",),
        example={"page": PAGE, "account_ids": "{{ initiator }}"},
    )
    def watch(self, page: Page, account_ids: Words, *, step: str | None = None) -> None:
        """Make people watch a page, one call for each; the account must administer the space."""
        for account_id in words_of(account_ids):
            self._caller.call(watcher("POST", page, account_id, step=step))

    @does(
        "confluence.unwatch",
        "Remove watcher",
        operations=("removeContentWatcher",),
        verbs=("confluence.watch",),
        example={"page": PAGE, "account_ids": "{{ initiator }}"},
    )
    def unwatch(self, page: Page, account_ids: Words, *, step: str | None = None) -> None:
        """Make people watch a page no longer, one call for each; the account must administer the space."""
        for account_id in words_of(account_ids):
            self._caller.call(watcher("DELETE", page, account_id, step=step))

    @does(
        "confluence.tasks",
        "Find tasks",
        operations=("getTasks",),
        example={"page": PAGE, "status": "incomplete"},
    )
    def tasks(
        self, page: Page, *, status: str | None = None, assignee: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Read the tasks on a page: all, those ``complete`` or ``incomplete``, or those of an account id."""
        return by_cursor(self._caller, tasks_on(page, status, assignee), limit)

    @does(
        "confluence.complete-task",
        "Complete task",
        operations=("updateTask",),
        verbs=("confluence.task",),
        example={"task": TASK},
    )
    def complete_task(self, task: str, *, step: str | None = None) -> dict[str, Any]:
        """Tick a task off, by the id that ``tasks`` gives."""
        return object_of(self._caller.call(set_task(task, "complete", step=step)))

    @does(
        "confluence.reopen-task",
        "Reopen task",
        operations=("updateTask",),
        verbs=("confluence.task",),
        example={"task": TASK},
    )
    def reopen_task(self, task: str, *, step: str | None = None) -> dict[str, Any]:
        """Open a task again, by the id that ``tasks`` gives."""
        return object_of(self._caller.call(set_task(task, "incomplete", step=step)))


def available_states(page: Page) -> Request:
    """GET the statuses that a page may be given (operation getAvailableContentStates)."""
    return of_content("GET", page, "/state/available", "status")


def put_state(page: Page, body: Mapping[str, Any], *, step: str | None = None) -> Request:
    """PUT a status (operation setContentState): by its id, or by name and color."""
    query = {"status": ["current"]}
    return of_content("PUT", page, "/state", "status", query=query, body=dict(body), step=step)


def watcher(method: str, page: Page, account_id: str, *, step: str | None = None) -> Request:
    """POST or DELETE a watcher (operations addContentWatcher, removeContentWatcher)."""
    path = f"/wiki/rest/api/user/watch/content/{segment(page)}"
    query = {"accountId": [account_id]}
    return Request("confluence", method, path, query, None, step, "watch", name_of(page))


def tasks_on(page: Page, status: str | None, assignee: str | None) -> Request:
    """GET the tasks on a page (operation getTasks of v2)."""
    query = {"page-id": [name_of(page)], "body-format": [FORMAT], "limit": [str(PAGE_SIZE)]}
    query |= {} if status is None else {"status": [status]}
    query |= {} if assignee is None else {"assigned-to": [assignee]}
    return Request("confluence", "GET", "/wiki/api/v2/tasks", query, verb="tasks", target=name_of(page))


def set_task(task: str, status: str, *, step: str | None = None) -> Request:
    """PUT a task's status (operation updateTask)."""
    path = f"/wiki/api/v2/tasks/{segment(task)}"
    return Request("confluence", "PUT", path, {}, {"status": status}, step, "task", f"task {name_of(task)}")


def _states(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for name in ("spaceContentStates", "customContentStates") for each in answer.get(name) or []]
