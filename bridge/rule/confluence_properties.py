"""Properties of pages and spaces: values under keys, for programs and not for people; set, read and deleted.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v2/api-group-content-properties/ and
api-group-space-properties beside it. They are changed by their ids, so a property is read by its key before.
"""

from collections.abc import Mapping
from typing import Any

from bridge.rule.confluence_pages import PAGE, space_of, written_again
from bridge.rule.method import does
from bridge.rule.request import Answer, Caller, Page, Request, name_of, object_of, segment


class Properties:
    """The part of ``context.confluence`` that works on properties."""

    _caller: Caller

    @does(
        "confluence.property",
        "Read page property",
        operations=("getPageContentProperties",),
        verbs=("confluence.read",),
        example={"page": PAGE, "key": "bridge-note"},
    )
    def property(self, page: Page, key: str) -> Any:
        """Read the value of a page's property; None when the page has none of that key."""
        return self._kept(_of_page(page), key, "read").get("value")

    @does(
        "confluence.set-property",
        "Set page property",
        operations=("getPageContentProperties", "createPageProperty", "updatePagePropertyById"),
        example={"page": PAGE, "key": "bridge-note", "value": {"seen": True}},
    )
    def set_property(self, page: Page, key: str, value: Any, *, step: str | None = None) -> dict[str, Any]:
        """Set a page's property to any JSON value; conflicts are met as in ``update_page``."""
        return self._set(_of_page(page), key, value, "set-property", step)

    @does(
        "confluence.delete-property",
        "Delete page property",
        operations=("getPageContentProperties", "deletePagePropertyById"),
        verbs=("confluence.set-property",),
        example={"page": PAGE, "key": "bridge-note"},
    )
    def delete_property(self, page: Page, key: str, *, step: str | None = None) -> bool:
        """Delete a page's property; False when the page has none of that key."""
        return self._delete(_of_page(page), key, "set-property", step)

    @does(
        "confluence.space-property",
        "Read space property",
        operations=("getSpaces", "getSpaceProperties"),
        verbs=("confluence.read",),
        example={"space": "<space>", "key": "bridge-note"},
    )
    def space_property(self, space: str, key: str) -> Any:
        """Read the value of a space's property; None when the space has none of that key."""
        return self._kept(self._of_space(space, "read"), key, "read").get("value")

    @does(
        "confluence.set-space-property",
        "Set space property",
        operations=("getSpaces", "getSpaceProperties", "createSpaceProperty", "updateSpacePropertyById"),
        example={"space": "<space>", "key": "bridge-note", "value": {"seen": True}},
    )
    def set_space_property(self, space: str, key: str, value: Any, *, step: str | None = None) -> dict[str, Any]:
        """Set a space's property to any JSON value; the account must administer the space."""
        return self._set(self._of_space(space, "set-space-property"), key, value, "set-space-property", step)

    @does(
        "confluence.delete-space-property",
        "Delete space property",
        operations=("getSpaces", "getSpaceProperties", "deleteSpacePropertyById"),
        verbs=("confluence.set-space-property",),
        example={"space": "<space>", "key": "bridge-note"},
    )
    def delete_space_property(self, space: str, key: str, *, step: str | None = None) -> bool:
        """Delete a space's property; False when the space has none of that key."""
        return self._delete(self._of_space(space, "set-space-property"), key, "set-space-property", step)

    def _of_space(self, space: str, verb: str) -> tuple[str, str]:
        return f"/wiki/api/v2/spaces/{segment(space_of(self._caller, space, verb)['id'])}/properties", space

    def _kept(self, where: tuple[str, str], key: str, verb: str) -> Mapping[str, Any]:
        """Return the property of a key as it is now, nothing when there is none."""
        found = object_of(self._caller.call(read_property(where, key, verb))).get("results") or []
        return next((each for each in found if each.get("key") == key), {})

    def _set(self, where: tuple[str, str], key: str, value: Any, verb: str, step: str | None) -> dict[str, Any]:
        def write() -> Answer:
            return self._caller.call(put_property(where, key, value, self._kept(where, key, verb), verb, step=step))

        return object_of(written_again(write), {"id": "0", "key": key, "value": value})

    def _delete(self, where: tuple[str, str], key: str, verb: str, step: str | None) -> bool:
        kept = self._kept(where, key, verb)
        if kept:
            self._caller.call(remove_property(where, str(kept["id"]), verb, step=step))
        return bool(kept)


def read_property(where: tuple[str, str], key: str, verb: str) -> Request:
    """GET a property by its key (operations getPageContentProperties, getSpaceProperties).

    ``where`` is the path of the properties, and the page or space that they are of.
    """
    path, target = where
    return Request("confluence", "GET", path, {"key": [key]}, verb=verb, target=target)


def put_property(
    where: tuple[str, str], key: str, value: Any, kept: Mapping[str, Any], verb: str, *, step: str | None = None
) -> Request:
    """POST a new property, or PUT the next version of the one that was just read."""
    path, target = where
    if not kept:
        return Request("confluence", "POST", path, {}, {"key": key, "value": value}, step, verb, target)
    number = int((kept.get("version") or {}).get("number", 0)) + 1
    body = {"key": key, "value": value, "version": {"number": number}}
    return Request("confluence", "PUT", f"{path}/{segment(kept['id'])}", {}, body, step, verb, target)


def remove_property(where: tuple[str, str], number: str, verb: str, *, step: str | None = None) -> Request:
    """DELETE a property by its id (operations deletePagePropertyById, deleteSpacePropertyById)."""
    path, target = where
    return Request("confluence", "DELETE", f"{path}/{segment(number)}", {}, None, step, verb, target)


def _of_page(page: Page) -> tuple[str, str]:
    return f"/wiki/api/v2/pages/{segment(page)}/properties", name_of(page)
