"""Pages as parts of a tree: copied, moved, archived and deleted, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content---children-and-descendants/
and api-group-content---copy and ---archive beside it. Copying a tree and archiving take their time: Confluence starts a
task and answers with its id.
"""

from typing import Any

from bridge.rule.confluence_content import of_content
from bridge.rule.confluence_pages import PAGE, space_of
from bridge.rule.method import does
from bridge.rule.request import Caller, Page, Request, name_of, object_of, segment

POSITIONS = ("append", "before", "after")
COPY = "Copy of "


class Tree:
    """The part of ``context.confluence`` that works on where pages are."""

    _caller: Caller

    @does(
        "confluence.copy-page",
        "Copy page",
        operations=("getPageById", "getSpaces", "copyPage"),
        example={"page": PAGE, "title": "A copy"},
    )
    def copy_page(
        self,
        page: Page,
        title: str | None = None,
        *,
        parent: Page | None = None,
        space: str | None = None,
        attachments: bool = True,
        labels: bool = True,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Copy a page below ``parent``, below the home page of ``space``, or else to where the page itself is.

        Without a title the copy is called "Copy of …"; a title occurs once in a space. Restrictions are not copied. In
        observe mode the copy's id is ``0``.
        """
        if title is None or (parent is None and space is None):
            source = object_of(self._caller.call(read_source(page)))
            title = f"{COPY}{source.get('title', '')}" if title is None else title
        if parent is None and space is None:
            parent = str(source.get("parentId") or name_of(page))
        elif parent is None:
            parent = str(space_of(self._caller, str(space), "copy-page").get("homepageId"))
        request = copy(page, title, str(name_of(parent)), attachments=attachments, labels=labels, step=step)
        return object_of(self._caller.call(request), {"id": "0", "title": title})

    @does(
        "confluence.copy-tree",
        "Copy page tree",
        operations=("copyPageHierarchy",),
        example={"page": PAGE, "parent": "{{ parent.id }}"},
    )
    def copy_tree(
        self,
        page: Page,
        parent: Page,
        *,
        prefix: str = COPY,
        attachments: bool = True,
        labels: bool = True,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Start to copy a page and all below it to below another page; ``id`` is the task's, for ``progress``.

        ``prefix`` stands before the title of each copy, since a title occurs once in a space.
        """
        request = copy_hierarchy(page, parent, prefix, attachments=attachments, labels=labels, step=step)
        return object_of(self._caller.call(request), {"id": "0"})

    @does(
        "confluence.move-page",
        "Move page",
        operations=("movePage",),
        example={"page": PAGE, "target": "{{ parent.id }}"},
    )
    def move_page(
        self, page: Page, target: Page, *, position: str = "append", step: str | None = None
    ) -> dict[str, Any]:
        """Move a page, and all below it, to below another page (``append``), or ``before`` or ``after`` it.

        Beside a page at the top of its space a page would vanish from the page tree, so choose a target below it.
        Raises ``ValueError`` for another position.
        """
        return object_of(self._caller.call(move(page, target, position, step=step)))

    @does(
        "confluence.archive-page",
        "Archive page",
        operations=("archivePages",),
        example={"page": PAGE},
    )
    def archive_page(self, page: Page, *, step: str | None = None) -> dict[str, Any]:
        """Start to archive a page; ``id`` is the task's, for ``progress``."""
        return object_of(self._caller.call(archive(page, step=step)), {"id": "0"})

    @does(
        "confluence.progress",
        "Look up a long task",
        operations=("getTask",),
        example={"task": "{{ task.id }}"},
    )
    def progress(self, task: str) -> dict[str, Any]:
        """Read how far a task is: ``finished``, ``successful`` and ``percentageComplete``.

        The task of a copy or an archiving that was only observed counts as finished.
        """
        if str(task) == "0":
            return {"id": "0", "finished": True, "successful": True, "percentageComplete": 100}
        return object_of(self._caller.call(read_task(str(task))))

    @does(
        "confluence.delete-page",
        "Delete page",
        operations=("deletePage",),
        example={"page": PAGE},
    )
    def delete_page(self, page: Page, *, step: str | None = None) -> None:
        """Move a page to the trash, from which people can restore it."""
        self._caller.call(delete(page, step=step))


def read_source(page: Page) -> Request:
    """GET a page without its text (operation getPageById)."""
    path = f"/wiki/api/v2/pages/{segment(page)}"
    return Request("confluence", "GET", path, verb="copy-page", target=name_of(page))


def copy(page: Page, title: str, parent: str, *, attachments: bool, labels: bool, step: str | None = None) -> Request:
    """POST a copy of a page below another (operation copyPage)."""
    body = {
        "destination": {"type": "parent_page", "value": parent},
        "pageTitle": " ".join(title.split()),
        "copyAttachments": attachments,
        "copyLabels": labels,
    }
    return of_content("POST", page, "/copy", "copy-page", body=body, step=step)


def copy_hierarchy(
    page: Page, parent: Page, prefix: str, *, attachments: bool, labels: bool, step: str | None = None
) -> Request:
    """POST a copy of a page and all below it (operation copyPageHierarchy)."""
    body: dict[str, Any] = {
        "destinationPageId": name_of(parent),
        "copyAttachments": attachments,
        "copyLabels": labels,
    }
    if prefix:
        body["titleOptions"] = {"prefix": prefix}
    return of_content("POST", page, "/pagehierarchy/copy", "copy-tree", body=body, step=step)


def move(page: Page, target: Page, position: str, *, step: str | None = None) -> Request:
    """PUT a page to another place (operation movePage)."""
    if position not in POSITIONS:
        raise ValueError(f"position is one of {', '.join(POSITIONS)}, and not {position!r}")
    return of_content("PUT", page, f"/move/{position}/{segment(target)}", "move-page", step=step)


def archive(page: Page, *, step: str | None = None) -> Request:
    """POST a page to be archived (operation archivePages, which takes ids as numbers)."""
    number = name_of(page)
    body = {"pages": [{"id": int(number) if number.isdecimal() else number}]}
    path = "/wiki/rest/api/content/archive"
    return Request("confluence", "POST", path, {}, body, step, "archive-page", number)


def read_task(task: str) -> Request:
    """GET how far a task is (operation getTask)."""
    path = f"/wiki/rest/api/longtask/{segment(task)}"
    return Request("confluence", "GET", path, verb="progress", target=f"task {task}")


def delete(page: Page, *, step: str | None = None) -> Request:
    """DELETE a page, which moves it to the trash (operation deletePage)."""
    path = f"/wiki/api/v2/pages/{segment(page)}"
    return Request("confluence", "DELETE", path, {}, None, step, "delete-page", name_of(page))
