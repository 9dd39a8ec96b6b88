"""Confluence's operations on the properties of pages and spaces, one function per operationId.

A property is made under a key that is free, and changed or deleted by its id; a change must name the next version.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_refused, cursor_page
from bridge.sandbox.confluence import given_id, not_found, visible_page, visible_space
from bridge.sandbox.records import ContentProperty, Page, Space

Holder = Page | Space
Hold = Callable[[Call, str], Holder]
Show = Callable[[ContentProperty], dict[str, Any]]

_KEY_LENGTH = 255


def _of_page(call: Call, permission: str) -> Page:
    return visible_page(call, given_id(call, "page-id"), permission)


def _of_space(call: Call, permission: str) -> Space:
    allowed = {"edit": "administer"}.get(permission, permission)
    return visible_space(call, given_id(call, "space-id"), allowed)


def _space_property(shown: ContentProperty) -> dict[str, Any]:
    when = shapes.moment(shown.created)
    version = {"number": shown.number, "message": "", "createdAt": when, "createdBy": shown.author}
    made = {"id": shown.id, "key": shown.key, "value": shown.value, "createdAt": when, "createdBy": shown.author}
    return {**made, "version": version}


def _listed(hold: Hold, show: Show) -> Operation:
    def operation(call: Call) -> Answer:
        key = call.first("key")
        return cursor_page(call, [show(each) for each in hold(call, "view").properties if key in {"", each.key}])

    return operation


def _created(hold: Hold, show: Show, status: int) -> Operation:
    def operation(call: Call) -> Answer:
        holder, body = hold(call, "edit"), call.body
        key = body.get("key") if isinstance(body, dict) else None
        if not isinstance(key, str) or not 0 < len(key) <= _KEY_LENGTH or "value" not in call.body:
            raise shapes.invalid("A property has a key of at most 255 characters and a value.")
        if any(each.key == key for each in holder.properties):
            raise shapes.invalid("A property with this key already exists.")
        made = ContentProperty(call.site.next_id("property"), key, body["value"], call.account.id, call.site.now())
        holder.properties.append(made)
        return Answer(status, show(made))

    return operation


def _kept(call: Call, holder: Holder) -> int:
    wanted = given_id(call, "property-id")
    place = next((number for number, each in enumerate(holder.properties) if each.id == wanted), None)
    if place is None:
        raise not_found("The property")
    return place


def _one(hold: Hold, show: Show) -> Operation:
    def operation(call: Call) -> Answer:
        holder = hold(call, "view")
        return Answer(200, show(holder.properties[_kept(call, holder)]))

    return operation


def _updated(hold: Hold, show: Show) -> Operation:
    def operation(call: Call) -> Answer:
        holder, body = hold(call, "edit"), call.body
        place = _kept(call, holder)
        before = holder.properties[place]
        version = body.get("version") if isinstance(body, dict) else None
        if not isinstance(version, dict) or body.get("key") != before.key or "value" not in body:
            raise shapes.invalid("'key', 'value' and 'version' are required, and the key stays.")
        if version.get("number") != before.number + 1:
            raise confluence_refused(409, "CONFLICT", f"Version must be incremented; it is {before.number} now.")
        holder.properties[place] = replace(
            before, value=body["value"], number=before.number + 1, author=call.account.id, created=call.site.now()
        )
        return Answer(200, show(holder.properties[place]))

    return operation


def _deleted(hold: Hold) -> Operation:
    def operation(call: Call) -> Answer:
        holder = hold(call, "edit")
        del holder.properties[_kept(call, holder)]
        return Answer(204)

    return operation


V2: Mapping[str, Operation] = {
    "getPageContentProperties": _listed(_of_page, shapes.content_property),
    "getPageContentPropertiesById": _one(_of_page, shapes.content_property),
    "createPageProperty": _created(_of_page, shapes.content_property, 200),
    "updatePagePropertyById": _updated(_of_page, shapes.content_property),
    "deletePagePropertyById": _deleted(_of_page),
    "getSpaceProperties": _listed(_of_space, _space_property),
    "getSpacePropertyById": _one(_of_space, _space_property),
    "createSpaceProperty": _created(_of_space, _space_property, 201),
    "updateSpacePropertyById": _updated(_of_space, _space_property),
    "deleteSpacePropertyById": _deleted(_of_space),
}
