"""Confluence's JSON: pages, versions, comments, properties, labels and spaces as the v2 API shows them.

Bodies are kept as ADF and shown in the representation asked for. Members without a value are left out where the API's
description allows no null.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.sandbox import document, storage
from bridge.sandbox.answer import Call, Refused, confluence_refused
from bridge.sandbox.records import ContentProperty, Named, Page, PageComment, Space, Version

_READABLE = frozenset({"storage", "atlas_doc_format", "view", "export_view", "styled_view", "anonymous_export_view"})


def moment(when: datetime) -> str:
    """Confluence's timestamp: RFC 3339 in UTC with milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def invalid(title: str) -> Refused:
    """The 400 of the v2 API."""
    return confluence_refused(400, "INVALID_REQUEST_PARAMETER", title)


def read_body(given: Any) -> dict[str, Any]:
    """The ADF of a body in a request: ``{representation, value}``, or the same below the representation's name.

    Below its name the representation need not be said again, and the client library atlassian-python-api does not.
    """
    if isinstance(given, dict) and "representation" not in given and len(given) == 1:
        [(name, given)] = given.items()
        given = {"representation": name, **given} if isinstance(given, dict) else given
    if not isinstance(given, dict) or not isinstance(given.get("value"), str):
        raise invalid("A body has a representation and a value, which is text.")
    value: str = given["value"]
    match given.get("representation"):
        case "atlas_doc_format":
            try:
                read = json.loads(value)
            except ValueError:
                raise invalid("Error parsing the body: the value is not JSON text.") from None
            if (wrong := document.mistake(read)) is not None:
                raise invalid(f"Error parsing the body: the Atlassian document {wrong}.")
            return dict(read)
        case "storage":
            return storage.read(value)
        case "wiki":
            return document.paragraphs(value)
        case other:
            raise invalid(f"Provided value {str(other)[:40]!r} for 'representation' is not known.")


def body(shown: Mapping[str, Any], representation: str) -> dict[str, Any]:
    """A body in the representation asked for, below its name; nothing when none was asked for."""
    if not representation:
        return {}
    if representation not in _READABLE:
        raise invalid(f"Provided value {representation[:40]!r} for 'body-format' is not one of the known formats.")
    value = document.dump(shown) if representation == "atlas_doc_format" else str(document.html(shown))
    return {representation: {"representation": representation, "value": value}}


def version(shown: Version) -> dict[str, Any]:
    """A version's number, author, time and message."""
    made = {"number": shown.number, "message": shown.message, "minorEdit": shown.minor}
    return {**made, "authorId": shown.author, "createdAt": moment(shown.created)}


def page_version(page: Page, shown: Version, representation: str) -> dict[str, Any]:
    """A version in the list of versions, with the page as it then was."""
    then: dict[str, Any] = {"id": page.id, "title": shown.title}
    return version(shown) | {"page": then | {"body": body(shown.body, representation)}}


def page(call: Call, shown: Page, representation: str, at: Version | None = None) -> dict[str, Any]:
    """A page as it is, or as it was at one of its versions."""
    at, first = at or shown.latest, shown.versions[0]
    made: dict[str, Any] = {"id": shown.id, "status": shown.status, "title": at.title, "spaceId": shown.space}
    made |= {"authorId": first.author, "ownerId": shown.owner or first.author, "lastOwnerId": None, "position": None}
    if shown.parent:
        made |= {"parentId": shown.parent, "parentType": "page"}
    if at is not shown.latest:
        made["status"] = "historical"
    address = f"/spaces/{call.site.spaces[shown.space].key}/pages/{shown.id}"
    made |= {"createdAt": moment(first.created), "version": version(at), "body": body(at.body, representation)}
    made["_links"] = {"webui": address, "editui": f"{address}/edit", "tinyui": f"/x/{shown.id}"}
    return made


def child(shown: Page) -> dict[str, Any]:
    """A page in the list of its parent's children."""
    return {"id": shown.id, "status": shown.status, "title": shown.title, "spaceId": shown.space, "childPosition": None}


def comment(call: Call, shown: PageComment, representation: str, at: Version | None = None) -> dict[str, Any]:
    """A footer comment; its author is the author of its first version."""
    at = at or shown.versions[-1]
    made: dict[str, Any] = {"id": shown.id, "status": "current", "title": at.title, "pageId": shown.page}
    if shown.parent:
        made["parentCommentId"] = shown.parent
    home = call.site.pages[shown.page]
    address = f"/spaces/{call.site.spaces[home.space].key}/pages/{home.id}?focusedCommentId={shown.id}"
    made |= {"version": version(at), "body": body(at.body, representation), "_links": {"webui": address}}
    return made


def comment_version(comment: PageComment, shown: Version, representation: str) -> dict[str, Any]:
    """A version in the list of a comment's versions, with the comment as it then was."""
    then: dict[str, Any] = {"id": comment.id, "title": shown.title}
    return version(shown) | {"comment": then | {"body": body(shown.body, representation)}}


def content_property(shown: ContentProperty) -> dict[str, Any]:
    """An entity property of a page or comment."""
    made = {
        "number": shown.number,
        "message": "",
        "minorEdit": False,
        "authorId": shown.author,
        "createdAt": moment(shown.created),
    }
    return {"id": shown.id, "key": shown.key, "value": shown.value, "version": made}


def label(shown: Named) -> dict[str, Any]:
    """A label."""
    return {"id": shown.id, "name": shown.name, "prefix": "global"}


def space(shown: Space) -> dict[str, Any]:
    """A space."""
    made: dict[str, Any] = {"id": shown.id, "key": shown.key, "name": shown.name, "type": "global", "status": "current"}
    made |= {"authorId": shown.author, "spaceOwnerId": shown.author, "createdAt": moment(shown.created)}
    return made | {"homepageId": shown.homepage, "_links": {"webui": f"/spaces/{shown.key}"}}


def based(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    """A single resource: its ``_links`` also say the site's base address."""
    return shown | {"_links": {**shown.get("_links", {}), "base": f"{call.site_url}/wiki"}}


def ordered(call: Call, values: Sequence[Any], keys: Mapping[str, Any], default: str = "") -> list[Any]:
    """The values in the order that ``sort`` asks for (a name in ``keys``, descending after a minus sign)."""
    asked = call.first("sort", default)
    if not asked:
        return list(values)
    if asked.removeprefix("-") not in keys:
        raise invalid(f"Provided value {asked[:40]!r} for 'sort' is not known.")
    return sorted(values, key=keys[asked.removeprefix("-")], reverse=asked.startswith("-"))
