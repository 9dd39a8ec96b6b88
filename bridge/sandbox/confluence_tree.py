"""Confluence's operations on pages as parts of a tree, one function per operationId: listed, copied, moved, archived.

Copying a tree and archiving are answered with a task; here the work is done at once, and the task tells so.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox import confluence_v1_shapes as v1_shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused, cursor_page
from bridge.sandbox.confluence import content, given_id, visible_page, visible_space
from bridge.sandbox.contents import begin_task, children, may_do
from bridge.sandbox.cql import ancestors
from bridge.sandbox.records import Page

_MOST_ARCHIVED = 300
_DEEPEST = 10


def get_page_direct_children(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/direct-children: pages only, for the sandbox keeps nothing else."""
    page = visible_page(call, given_id(call, "id"))
    return cursor_page(call, [shapes.child(each) | {"type": "page"} for each in _seen(call, children(call.site, page))])


def get_page_descendants(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/descendants: from the top down, two levels unless ``depth`` says otherwise."""
    page, depth = visible_page(call, given_id(call, "id")), call.first("depth", "2")
    if not depth.isdecimal() or not 1 <= int(depth) <= _DEEPEST:
        raise shapes.invalid("Provided value for 'depth' is not between 1 and 10.")
    found: list[dict[str, Any]] = []
    level = [page]
    for number in range(1, int(depth) + 1):
        level = [below for each in level for below in _seen(call, children(call.site, each))]
        for each in level:
            shown = {name: value for name, value in shapes.child(each).items() if name != "spaceId"}
            found.append(shown | {"type": "page", "parentId": each.parent, "depth": number})
    return cursor_page(call, found)


def get_page_ancestors(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/ancestors: from the top down."""
    page = visible_page(call, given_id(call, "id"))
    shown = [{"id": each.id, "type": "page"} for each in ancestors(call.site, page)]
    return Answer(200, {"results": shown, "_links": {"base": f"{call.site_url}/wiki"}})


def get_pages_in_space(call: Call) -> Answer:
    """GET /wiki/api/v2/spaces/{id}/pages: by title and status."""
    space = visible_space(call, given_id(call, "id"))
    statuses, title = set(call.listed("status")) or {"current", "archived"}, call.first("title")
    found = [
        page
        for page in call.site.pages.values()
        if page.space == space.id and page.status in statuses and title in {"", page.title}
    ]
    return cursor_page(call, [shapes.page(call, page, call.first("body-format")) for page in _seen(call, found)])


def _seen(call: Call, pages: list[Page]) -> list[Page]:
    return [page for page in pages if may_do(call.site, call.account, "view", page)]


def delete_page(call: Call) -> Answer:
    """DELETE /wiki/api/v2/pages/{id}: to the trash; pages below it move up. Purging is not played."""
    page = visible_page(call, given_id(call, "id"))
    visible_page(call, page.id, "delete")
    if call.flag("purge") or call.flag("draft"):
        raise shapes.invalid("The sandbox neither purges nor discards drafts.")
    for below in children(call.site, page):
        below.parent = page.parent
    page.status = "trashed"
    return Answer(204)


def copy_page(call: Call) -> Answer:
    """POST /wiki/rest/api/content/{id}/copy: below another page, or at the top of a space."""
    page, body = content(call, call.params["id"]), call.body
    destination = body.get("destination") if isinstance(body, dict) else None
    if not isinstance(destination, dict) or destination.get("type") not in {"parent_page", "space"}:
        raise confluence_v1_refused(400, "destination needs a type (parent_page or space) and a value.")
    if destination["type"] == "space":
        space = next((each for each in call.site.spaces.values() if each.key == destination.get("value")), None)
        if space is None or not call.site.may(call.account, "view", space):
            raise confluence_v1_refused(404, "The destination space does not exist.")
        parent = call.site.pages[space.homepage]
    else:
        parent = content(call, str(destination.get("value")))
    title = body.get("pageTitle") or page.title
    made = _copy(call, page, parent, str(title), body)
    expand = set(call.listed("expand")) | {"space", "history", "version"}
    return Answer(200, v1_shapes.based(call, v1_shapes.content(call, made, expand)))


def _copy(call: Call, page: Page, parent: Page, title: str, options: Mapping[str, Any]) -> Page:
    space = call.site.spaces[parent.space]
    if not may_do(call.site, call.account, "create", parent):
        raise confluence_v1_refused(403, "You do not have permission to create content at the destination.")
    if call.site.titled(space.id, title) is not None:
        raise confluence_v1_refused(400, f"A page with the title '{title[:80]}' already exists in the space.")
    made = call.site.new_page(space, call.account, title, page.latest.body, parent=parent.id)
    made.labels = list(page.labels) if options.get("copyLabels") else []
    made.properties = list(page.properties) if options.get("copyProperties") else []
    return made


def copy_page_hierarchy(call: Call) -> Answer:
    """POST /wiki/rest/api/content/{id}/pagehierarchy/copy: 202 with a task; each title gets the prefix."""
    page, body = content(call, call.params["id"]), call.body
    if not isinstance(body, dict) or not str(body.get("destinationPageId") or "").isdecimal():
        raise confluence_v1_refused(400, "destinationPageId is required.")
    parent = content(call, str(body["destinationPageId"]))
    if page.id in {parent.id, *(each.id for each in ancestors(call.site, parent))}:
        raise confluence_v1_refused(400, "A page cannot be copied to below itself.")
    prefix = str((body.get("titleOptions") or {}).get("prefix") or "")
    task = begin_task(call.site, "copypagehierarchy", _copy_below(call, page, parent, prefix, body))
    return _begun(call, task.id)


def _copy_below(call: Call, page: Page, parent: Page, prefix: str, options: Mapping[str, Any]) -> int:
    made = _copy(call, page, parent, f"{prefix}{page.title}", options)
    below = _seen(call, children(call.site, page))
    return 1 + sum(_copy_below(call, each, made, prefix, options) for each in below)


def move_page(call: Call) -> Answer:
    """PUT /wiki/rest/api/content/{pageId}/move/{position}/{targetId}: below, before or after another page."""
    page, target = content(call, call.params["pageId"], "edit"), content(call, call.params["targetId"])
    position = call.params["position"]
    if position not in {"append", "before", "after"}:
        raise confluence_v1_refused(400, "The position is append, before or after.")
    parent = target if position == "append" else call.site.pages.get(target.parent or "")
    line = [] if parent is None else [parent.id, *(each.id for each in ancestors(call.site, parent))]
    if page.id in {*line, target.id}:
        raise confluence_v1_refused(400, "A page cannot be moved to below itself.")
    if not may_do(call.site, call.account, "create", target):
        raise confluence_v1_refused(403, "You do not have permission to create content in the target space.")
    other = call.site.titled(target.space, page.title)
    if target.space != page.space and other is not None:
        raise confluence_v1_refused(400, "A page of this title already exists in the target space.")
    beside = [each for each in children(call.site, parent) if each is not page] if parent is not None else []
    page.parent = parent.id if parent is not None else None
    _into_space(call, page, target.space)
    at = {"append": len(beside), "before": _index(beside, target), "after": _index(beside, target) + 1}[position]
    for rank, each in enumerate([*beside[:at], page, *beside[at:]]):
        each.rank = float(rank)
    return Answer(200, {"pageId": page.id})


def _index(pages: list[Page], wanted: Page) -> int:
    return next((number for number, each in enumerate(pages) if each is wanted), len(pages))


def _into_space(call: Call, page: Page, space: str) -> None:
    page.space = space
    for below in children(call.site, page):
        _into_space(call, below, space)


def archive_pages(call: Call) -> Answer:
    """POST /wiki/rest/api/content/archive: 202 with a task; a page that is archived already is refused."""
    given = call.body.get("pages") if isinstance(call.body, dict) else None
    numbers = [each.get("id") for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    if not numbers or len(numbers) > _MOST_ARCHIVED or not all(isinstance(each, int) for each in numbers):
        raise confluence_v1_refused(400, "Give the ids of 1 to 300 pages.")
    pages = [call.site.pages.get(str(each)) for each in numbers]
    for page in pages:
        if page is None or page.status != "current" or not may_do(call.site, call.account, "archive", page):
            raise confluence_v1_refused(400, "An id is not that of a page that can be archived.")
        page.status = "archived"
    return _begun(call, begin_task(call.site, "archivepages", len(pages)).id)


def _begun(call: Call, task: str) -> Answer:
    links = {"status": f"/rest/api/longtask/{task}"}
    return Answer(
        202, {"ari": f"ari:cloud:confluence:{call.site.cloud_id}:longtask/{task}", "id": task, "links": links}
    )


def get_task(call: Call) -> Answer:
    """GET /wiki/rest/api/longtask/{id}: finished, whenever it is asked for."""
    task = call.site.long_tasks.get(call.params["id"])
    if task is None:
        raise confluence_v1_refused(404, "There is no task with this id.")
    elapsed = int((call.site.now() - task.begun).total_seconds() * 1000)
    made: dict[str, Any] = {"id": task.id, "name": {"key": f"com.atlassian.confluence.{task.key}", "args": []}}
    made |= {"elapsedTime": elapsed, "percentageComplete": 100, "successful": True, "finished": True, "messages": []}
    made |= {"status": "FINISHED", "errors": [], "additionalDetails": {"totalPageNeedToCopy": task.pages}}
    return Answer(200, made | {"_links": {"base": f"{call.site_url}/wiki", "context": "/wiki"}})


V2: Mapping[str, Operation] = {
    "getPageDirectChildren": get_page_direct_children,
    "getPageDescendants": get_page_descendants,
    "getPageAncestors": get_page_ancestors,
    "getPagesInSpace": get_pages_in_space,
    "deletePage": delete_page,
}
V1: Mapping[str, Operation] = {
    "copyPage": copy_page,
    "copyPageHierarchy": copy_page_hierarchy,
    "movePage": move_page,
    "archivePages": archive_pages,
    "getTask": get_task,
}
