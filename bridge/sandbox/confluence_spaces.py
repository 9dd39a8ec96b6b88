"""Confluence's v1 operations on spaces, templates and people, one function per operationId."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bridge.sandbox import confluence_v1_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused
from bridge.sandbox.page_facts import Template
from bridge.sandbox.records import Space

_KEY = re.compile(r"[A-Za-z0-9]{1,255}", re.ASCII)
_NAMED = re.compile(r"""\s*user\.fullname\s*~\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*""")
_LIMIT = 25


def create_space(call: Call) -> Answer:
    """POST /wiki/rest/api/space: whoever makes it administers it; a key that is taken is refused."""
    body = call.body if isinstance(call.body, dict) else {}
    key, name = body.get("key"), body.get("name")
    if not isinstance(key, str) or not _KEY.fullmatch(key) or not isinstance(name, str) or not name.strip():
        raise confluence_v1_refused(400, "A space needs a name, and a key of letters and digits.")
    if any(space.key.casefold() == key.casefold() for space in call.site.spaces.values()):
        raise confluence_v1_refused(400, f"A space already exists with key {key[:40]}.")
    made = call.site.add_space(key, name, call.account)
    return Answer(200, shapes.based(call, shapes.space(call, made)))


def get_content_templates(call: Call) -> Answer:
    """GET /wiki/rest/api/template/page: those of a space, or those of the whole site."""
    key = call.first("spaceKey")
    space = next((each for each in call.site.spaces.values() if each.key == key), None)
    if key and (space is None or not call.site.may(call.account, "view", space)):
        raise confluence_v1_refused(403, "You do not have permission to view the templates of this space.")
    found = [each for each in call.site.templates.values() if each.space == (space.id if space else None)]
    return _page(call, [_template(call, each) for each in found])


def _page(call: Call, results: list[dict[str, Any]]) -> Answer:
    """A page by ``start`` and ``limit``, as the v1 API's lists are."""
    given = {name: call.first(name) or str(default) for name, default in (("start", 0), ("limit", _LIMIT))}
    if not all(value.isdecimal() for value in given.values()):
        raise confluence_v1_refused(400, "start and limit are numbers.")
    start, limit = int(given["start"]), int(given["limit"])
    links = {"base": f"{call.site_url}/wiki", "context": "/wiki", "self": f"{call.gateway_url}{call.path}"}
    shown = results[start : start + limit]
    if start + limit < len(results):
        others = [(name, one) for name, many in call.query.items() if name not in given for one in many]
        query = urlencode([*others, ("start", str(start + limit)), ("limit", str(limit))])
        links["next"] = f"{call.path.removeprefix('/wiki')}?{query}"
    return Answer(200, {"results": shown, "start": start, "limit": limit, "size": len(shown), "_links": links})


def _template(call: Call, shown: Template) -> dict[str, Any]:
    made: dict[str, Any] = {"templateId": shown.id, "name": shown.name, "description": shown.description}
    made |= {"labels": [], "templateType": "page", "editorVersion": "v2", "_links": {}}
    if shown.space is not None:
        made["space"] = shapes.space(call, call.site.spaces[shown.space])
    if {"body", "body.storage"} & set(call.listed("expand")):
        storage = {"value": shown.body, "representation": "storage", "embeddedContent": []}
        return made | {"body": {"storage": storage}}
    return made | {"_expandable": {"body": ""}}


def get_content_template(call: Call) -> Answer:
    """GET /wiki/rest/api/template/{contentTemplateId}: 403 also for one that does not exist."""
    found = call.site.templates.get(call.params["contentTemplateId"])
    space: Space | None = call.site.spaces[found.space] if found and found.space else None
    if found is None or (space is not None and not call.site.may(call.account, "view", space)):
        raise confluence_v1_refused(403, "There is no such template, or you do not have permission to view it.")
    return Answer(200, _template(call, found))


def search_user(call: Call) -> Answer:
    """GET /wiki/rest/api/search/user: people by words of their name; other queries are not played."""
    asked = _NAMED.fullmatch(call.first("cql"))
    if asked is None:
        raise confluence_v1_refused(400, 'Could not parse cql: the sandbox plays user.fullname ~ "..." only.')
    words = re.sub(r"\\(.)", r"\1", asked[1] or asked[2] or "").casefold().split()
    found = [
        account
        for account in call.site.accounts.values()
        if words and all(word in account.name.casefold() for word in words)
    ]
    hits = [
        {"user": shapes.user(call, each), "title": each.name, "excerpt": "", "url": f"/people/{each.id}"}
        | {"breadcrumbs": [], "entityType": "user", "iconCssClass": "", "lastModified": "1970-01-01T00:00:00.000Z"}
        for each in found
    ]
    answer = _page(call, hits)
    answer.body.update(totalSize=len(hits), cqlQuery=call.first("cql"), searchDuration=1)
    return answer


V1: Mapping[str, Operation] = {
    "createSpace": create_space,
    "getContentTemplates": get_content_templates,
    "getContentTemplate": get_content_template,
    "searchUser": search_user,
}
