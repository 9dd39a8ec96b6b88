"""Confluence's operations on pages, spaces, labels and the current user, one function per operationId.

What cannot be seen and what may not be done are both 404 in the v2 API
(https://developer.atlassian.com/cloud/confluence/rest/v2/); labels are added in the v1 API, which knows 403.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox import confluence_v1_shapes as v1_shapes
from bridge.sandbox.answer import (
    Answer,
    Call,
    Operation,
    Refused,
    confluence_refused,
    confluence_v1_refused,
    cursor_page,
)
from bridge.sandbox.contents import children, may_do
from bridge.sandbox.records import Page, Space

_STATUSES = frozenset({"current", "draft"})
_LABEL_PREFIXES = frozenset({"global", "my", "team"})
_NOT_IN_LABELS = frozenset(" !#&()*,.:;<>?@[]^")
_TITLE_LENGTH = 255
_PAGE_SORTS: Mapping[str, Any] = {
    "id": lambda page: int(page.id),
    "title": lambda page: page.title.casefold(),
    "created-date": lambda page: (page.versions[0].created, int(page.id)),
    "modified-date": lambda page: (page.latest.created, int(page.id)),
}


def not_found(what: str) -> Refused:
    """The 404 of the v2 API."""
    return confluence_refused(404, "NOT_FOUND", f"{what} was not found, or you do not have permission to view it.")


def given_id(call: Call, name: str) -> str:
    """An id from the path; the v2 API takes only numbers there."""
    value = call.params[name]
    if not value.isdecimal():
        raise shapes.invalid(
            f"Provided value {value[:40]!r} for '{name}' is not the correct type. Expected type is long."
        )
    return value


def visible_page(call: Call, wanted: str, permission: str = "view") -> Page:
    """The page with that id, if the account may do that there; otherwise 404. What lies in the trash is only seen."""
    page = call.site.pages.get(wanted)
    if page is None or not may_do(call.site, call.account, permission, page):
        raise not_found("The page")
    if page.status == "trashed" and permission != "view":
        raise not_found("The page")
    return page


def content(call: Call, wanted: str, permission: str = "view") -> Page:
    """The page with that id as the v1 API treats it: 404 for what is not seen, 403 for what may not be done."""
    page = call.site.pages.get(wanted)
    if page is None or page.status == "trashed" or not may_do(call.site, call.account, "view", page):
        raise confluence_v1_refused(404, f"No content found with id: {wanted[:20]}")
    if not may_do(call.site, call.account, permission, page):
        raise confluence_v1_refused(403, f"You do not have permission to {permission} this content.")
    return page


def visible_space(call: Call, wanted: str, permission: str = "view") -> Space:
    """The space with that id, if the account holds the permission there; otherwise 404."""
    space = call.site.spaces.get(wanted)
    if space is None or not call.site.may(call.account, permission, space):
        raise not_found("The space")
    return space


def get_page_by_id(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}: also an earlier version, and a draft when it is asked for."""
    page = visible_page(call, given_id(call, "id"))
    if page.status == "draft" and not call.flag("get-draft"):
        raise not_found("The page")
    at = None
    if wanted := call.first("version"):
        at = next((each for each in page.versions if str(each.number) == wanted), None)
        if at is None:
            raise not_found("The version")
    shown = shapes.based(call, shapes.page(call, page, call.first("body-format"), at))
    if call.flag("include-labels"):
        shown["labels"] = {"results": [shapes.label(each) for each in page.labels], "meta": {"hasMore": False}}
    if call.flag("include-versions"):
        versions = [shapes.version(each) for each in reversed(page.versions)]
        shown["versions"] = {"results": versions, "meta": {"hasMore": False}}
    return Answer(200, shown)


def get_pages(call: Call) -> Answer:
    """GET /wiki/api/v2/pages: by id, space, title and status; a title is compared exactly."""
    filters = {name: set(call.listed(name)) for name in ("id", "space-id", "status")}
    if any(not each.isdecimal() for name in ("id", "space-id") for each in filters[name]):
        raise shapes.invalid("Provided values for 'id' and 'space-id' are not the correct type. Expected type is long.")
    title, statuses = call.first("title"), filters["status"] or {"current", "archived"}
    found = [
        page
        for page in call.site.pages.values()
        if may_do(call.site, call.account, "view", page)
        and page.status in statuses
        and title in {"", page.title}
        and (not filters["id"] or page.id in filters["id"])
        and (not filters["space-id"] or page.space in filters["space-id"])
    ]
    representation = call.first("body-format")
    pages = [shapes.page(call, page, representation) for page in shapes.ordered(call, found, _PAGE_SORTS, "id")]
    return cursor_page(call, pages)


def _title(call: Call, body: Mapping[str, Any], space: str, page: Page | None = None) -> str:
    title = body.get("title")
    if not isinstance(title, str) or not title.strip() or len(title) > _TITLE_LENGTH:
        raise shapes.invalid("A page needs a title of at most 255 characters.")
    other = call.site.titled(space, title)
    if other is not None and other is not page:
        raise shapes.invalid("A page with this title already exists: titles are unique within a space.")
    return title


def create_page(call: Call) -> Answer:
    """POST /wiki/api/v2/pages: 200, not 201; titles are unique in a space, whatever their case."""
    body = call.body
    if not isinstance(body, dict) or not isinstance(body.get("spaceId"), str):
        raise shapes.invalid("'spaceId' is required and is text.")
    space = visible_space(call, body["spaceId"], "create")
    status = body.get("status", "current")
    if status not in _STATUSES:
        raise shapes.invalid("'status' is current or draft.")
    title = _title(call, body, space.id)
    parent = visible_page(call, str(body["parentId"])) if body.get("parentId") else None
    if parent is not None and parent.space != space.id:
        raise shapes.invalid("The parent is in another space.")
    empty = {"representation": "storage", "value": ""}
    content = shapes.read_body(body.get("body") or empty)
    page = call.site.new_page(space, call.account, title, content, parent=parent.id if parent else None)
    page.status = status
    return Answer(200, shapes.based(call, shapes.page(call, page, _sent(body))))


def _sent(body: Mapping[str, Any]) -> str:
    given = body.get("body") or {}
    sent = given.get("representation") or next(iter(given), "")
    return "storage" if sent == "wiki" else str(sent)


def update_page(call: Call) -> Answer:
    """PUT /wiki/api/v2/pages/{id}: the version must be the current one plus one, otherwise 409; its message is kept."""
    body, wanted = call.body, given_id(call, "id")
    page = visible_page(call, wanted)
    visible_page(call, wanted, "edit")
    if not isinstance(body, dict) or {"id", "status", "title", "body", "version"} - set(body):
        raise shapes.invalid("'id', 'status', 'title', 'body' and 'version' are required.")
    if str(body["id"]) != wanted or body["status"] not in _STATUSES:
        raise shapes.invalid("'id' must be the page's own id, and 'status' current or draft.")
    number = body["version"].get("number") if isinstance(body["version"], dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise shapes.invalid("'version.number' is required and is a number.")
    title, content = _title(call, body, page.space, page), shapes.read_body(body["body"])
    if body.get("parentId"):
        visible_page(call, str(body["parentId"]))
    if body.get("ownerId") is not None and body["ownerId"] not in call.site.accounts:
        raise shapes.invalid("'ownerId' is not the account id of anybody here.")
    current = page.latest.number
    if number != current + 1:
        versions = f"Current Version: [{current}]. Provided version: [{number}]"
        raise confluence_refused(409, "CONFLICT", f"Version must be incremented when updating a page. {versions}")
    page.owner = str(body.get("ownerId") or page.owner)
    page.parent, page.status = str(body["parentId"]) if body.get("parentId") else page.parent, body["status"]
    call.site.revise(page, call.account, title, content, str(body["version"].get("message") or ""))
    return Answer(200, shapes.based(call, shapes.page(call, page, _sent(body))))


def get_page_versions(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/versions: newest first."""
    page = visible_page(call, given_id(call, "id"))
    sorts = {"modified-date": lambda version: version.number}
    versions = shapes.ordered(call, page.versions, sorts, "-modified-date")
    return cursor_page(call, [shapes.page_version(page, each, call.first("body-format")) for each in versions])


def get_child_pages(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/children."""
    page = visible_page(call, given_id(call, "id"))
    return cursor_page(call, [shapes.child(each) for each in children(call.site, page)])


def get_page_labels(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/labels."""
    page = visible_page(call, given_id(call, "id"))
    sorts = {"id": lambda label: int(label.id), "name": lambda label: label.name}
    shown = page.labels if call.first("prefix", "global") == "global" else []
    return cursor_page(call, [shapes.label(each) for each in shapes.ordered(call, shown, sorts)])


def add_labels_to_content(call: Call) -> Answer:
    """POST /wiki/rest/api/content/{id}/label: leaves the labels alone that are there, and answers with all of them."""
    page = content(call, call.params["id"], "edit")
    given = call.body if isinstance(call.body, list) else [call.body]
    for each in given:
        named = isinstance(each, dict) and isinstance(each.get("name"), str) and each.get("prefix") in _LABEL_PREFIXES
        if not named or not each["name"] or len(each["name"]) > _TITLE_LENGTH or set(each["name"]) & _NOT_IN_LABELS:
            raise confluence_v1_refused(400, "A label has a prefix and a name without spaces and special characters.")
    for each in given:
        call.site.add_label(page, each["name"].lower())
    results = [shapes.label(each) | {"label": each.name} for each in page.labels]
    links = {"base": f"{call.site_url}/wiki", "context": "/wiki", "self": f"{call.gateway_url}{call.path}"}
    return Answer(200, {"results": results, "start": 0, "limit": 200, "size": len(results), "_links": links})


def get_spaces(call: Call) -> Answer:
    """GET /wiki/api/v2/spaces: by keys and ids."""
    keys, ids = set(call.listed("keys")), set(call.listed("ids"))
    found = [
        space
        for space in call.site.spaces.values()
        if call.site.may(call.account, "view", space)
        and (not keys or space.key in keys)
        and (not ids or space.id in ids)
    ]
    sorts = {"id": lambda space: int(space.id), "key": lambda space: space.key, "name": lambda space: space.name}
    return cursor_page(call, [shapes.space(each) for each in shapes.ordered(call, found, sorts, "id")])


def get_space_by_id(call: Call) -> Answer:
    """GET /wiki/api/v2/spaces/{id}."""
    return Answer(200, shapes.based(call, shapes.space(visible_space(call, given_id(call, "id")))))


def get_current_user(call: Call) -> Answer:
    """GET /wiki/rest/api/user/current (v1): 403 for an account that may see no space at all."""
    account = call.account
    if not any(call.site.may(account, "view", space) for space in call.site.spaces.values()):
        raise confluence_v1_refused(403, "You are not permitted to use Confluence.")
    return Answer(200, v1_shapes.based(call, v1_shapes.user(call, account)))


V2: Mapping[str, Operation] = {
    "getPageById": get_page_by_id,
    "getPages": get_pages,
    "createPage": create_page,
    "updatePage": update_page,
    "getPageVersions": get_page_versions,
    "getChildPages": get_child_pages,
    "getPageLabels": get_page_labels,
    "getSpaces": get_spaces,
    "getSpaceById": get_space_by_id,
}
V1: Mapping[str, Operation] = {"addLabelsToContent": add_labels_to_content, "getCurrentUser": get_current_user}
