"""Confluence's JSON as the v1 API shows it: content with what ``expand`` names, spaces, versions and users.

What was not expanded is named in ``_expandable``, as on live sites.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from bridge.sandbox import document
from bridge.sandbox.answer import Call
from bridge.sandbox.confluence_shapes import label, moment
from bridge.sandbox.cql import ancestors
from bridge.sandbox.records import Account, Page, Space, Version

_BODIES = frozenset({"storage", "view", "export_view", "styled_view", "atlas_doc_format"})


def based(call: Call, shown: Mapping[str, Any]) -> dict[str, Any]:
    """A single resource: its ``_links`` also say the site's base address and context."""
    own = {"base": f"{call.site_url}/wiki", "context": "/wiki"}
    return {**shown, "_links": {**shown.get("_links", {}), **own}}


def user(call: Call, shown: Account) -> dict[str, Any]:
    """A user; the address is shown to nobody but its owner, which is what most profiles are set to."""
    picture = {"path": f"/wiki/avatar/{shown.id}", "width": 48, "height": 48, "isDefault": True}
    made: dict[str, Any] = {"type": "known", "accountId": shown.id, "accountType": shown.kind}
    made |= {"email": shown.email if shown.id == call.account.id else "", "publicName": shown.name}
    made |= {"displayName": shown.name, "profilePicture": picture, "timeZone": "Etc/UTC"}
    made |= {"isExternalCollaborator": False, "isGuest": False, "_expandable": {"operations": "", "personalSpace": ""}}
    return made | {"_links": {"self": f"{call.gateway_url}/wiki/rest/api/user?accountId={shown.id}"}}


def version(call: Call, shown: Version) -> dict[str, Any]:
    """A version's number, author, time and message."""
    made: dict[str, Any] = {"number": shown.number, "message": shown.message, "minorEdit": shown.minor}
    made |= {"by": user(call, call.site.accounts[shown.author]), "when": moment(shown.created)}
    return made | {"friendlyWhen": "recently", "_expandable": {"content": "", "collaborators": ""}}


def space(call: Call, shown: Space) -> dict[str, Any]:
    """A space; its id is a number here and text in v2."""
    made: dict[str, Any] = {"id": int(shown.id), "key": shown.key, "name": shown.name, "type": "global"}
    links = {"webui": f"/spaces/{shown.key}", "self": f"{call.gateway_url}/wiki/rest/api/space/{shown.key}"}
    return made | {"status": "current", "_expandable": {"homepage": "", "settings": ""}, "_links": links}


def content(call: Call, shown: Page, expand: Collection[str]) -> dict[str, Any]:
    """A page with those of space, version, history, ancestors, metadata.labels and body.* that ``expand`` names.

    A name with a ``content.`` in front, as search takes it, means the same.
    """
    asked = {name.removeprefix("content.") for name in expand}
    address = f"/spaces/{call.site.spaces[shown.space].key}/pages/{shown.id}"
    made: dict[str, Any] = {"id": shown.id, "type": "page", "status": shown.status, "title": shown.title}
    expanded = {name: value() for name, value in _members(call, shown).items() if name in asked}
    if bodies := {name.removeprefix("body.") for name in asked if name.startswith("body.")} & _BODIES:
        expanded["body"] = {name: _body(shown, name) for name in sorted(bodies)}
    if "metadata.labels" in asked:
        labels = [{**label(each), "label": each.name} for each in shown.labels]
        expanded["metadata"] = {
            "labels": {"results": labels, "start": 0, "limit": 200, "size": len(labels), "_links": {}}
        }
    made["_expandable"] = {
        name: ""
        for name in ("ancestors", "body", "history", "metadata", "operations", "space", "version")
        if name not in expanded
    }
    links = {"webui": address, "tinyui": f"/x/{shown.id}"}
    return {**made, **expanded, "_links": links | {"self": f"{call.gateway_url}/wiki/rest/api/content/{shown.id}"}}


def _members(call: Call, shown: Page) -> Mapping[str, Callable[[], Any]]:
    return {
        "space": lambda: space(call, call.site.spaces[shown.space]),
        "version": lambda: version(call, shown.latest),
        "ancestors": lambda: [content(call, above, ()) for above in ancestors(call.site, shown)],
        "history": lambda: _history(call, shown),
    }


def _history(call: Call, shown: Page) -> dict[str, Any]:
    first = shown.versions[0]
    made: dict[str, Any] = {"latest": True, "createdBy": user(call, call.site.accounts[first.author])}
    return made | {"createdDate": moment(first.created), "lastUpdated": version(call, shown.latest)}


def _body(shown: Page, representation: str) -> dict[str, Any]:
    value = shown.latest.body
    text = document.dump(value) if representation == "atlas_doc_format" else str(document.html(value))
    return {"value": text, "representation": representation, "_expandable": {}}
