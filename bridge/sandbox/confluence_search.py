"""Confluence's search by CQL and its users, the parts of the v1 API that v2 has no counterpart for.

See https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-search/. Only pages are found. ``_links.next`` is
relative to ``/wiki``, unlike that of v2, and does not know the gateway's prefix: only the ``cursor`` in it is meant to
be used.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from bridge.sandbox import confluence_v1_shapes as shapes
from bridge.sandbox import document
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused, read_token, write_token
from bridge.sandbox.confluence_shapes import moment
from bridge.sandbox.contents import may_do
from bridge.sandbox.cql import parse
from bridge.sandbox.grammar import QueryInvalid
from bridge.sandbox.records import Page

_LIMIT = 25
_LIMIT_AT_MOST = 250
_EXCERPT_LENGTH = 300


def search_by_cql(call: Call) -> Answer:
    """GET /wiki/rest/api/search: each hit with the content, its place and an excerpt; the total is told."""
    shown, more = _page(call, lambda page: _hit(call, page))
    more |= {"cqlQuery": call.first("cql"), "searchDuration": 1, "archivedResultCount": 0}
    return Answer(200, {"results": shown, **more})


def search_content_by_cql(call: Call) -> Answer:
    """GET /wiki/rest/api/content/search: the content itself, with what ``expand`` names."""
    expand = set(call.listed("expand"))
    shown, more = _page(call, lambda page: shapes.content(call, page, expand))
    return Answer(200, {"results": shown, **{name: value for name, value in more.items() if name != "totalSize"}})


def _page(call: Call, show: Callable[[Page], dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the query finds between the cursor, or ``start``, and the limit; and what the answer says about it."""
    cql = call.first("cql")
    if not cql.strip():
        raise confluence_v1_refused(400, "The query parameter 'cql' is required.")
    try:
        query = parse(cql, call.site, call.account)
    except QueryInvalid as invalid:
        raise confluence_v1_refused(400, f"Could not parse cql : {invalid}") from None
    may_see = (
        page
        for page in call.site.pages.values()
        if page.status == "current" and may_do(call.site, call.account, "view", page)
    )
    found = query.run(list(may_see))
    start, limit = _start(call, cql), min(_number(call, "limit", _LIMIT), _LIMIT_AT_MOST)
    shown = [show(page) for page in found[start : start + limit]]
    links = {"base": f"{call.site_url}/wiki", "context": "/wiki", "self": f"{call.gateway_url}{call.path}"}
    if start + limit < len(found):
        token = write_token(start=start + limit, cql=_mark(cql))
        others = [
            (name, value)
            for name, values in call.query.items()
            if name not in {"cursor", "start", "limit"}
            for value in values
        ]
        query_text = urlencode([*others, ("limit", str(limit)), ("cursor", token), ("next", "true")])
        links["next"] = f"{call.path.removeprefix('/wiki')}?{query_text}"
    return shown, {"start": start, "limit": limit, "size": len(shown), "totalSize": len(found), "_links": links}


def _number(call: Call, name: str, default: int) -> int:
    given = call.first(name) or str(default)
    if not given.isdecimal():
        raise confluence_v1_refused(400, f"{name} must be a number: {given[:40]!r}")
    return int(given)


def _start(call: Call, cql: str) -> int:
    token = call.first("cursor")
    if not token:
        return _number(call, "start", 0)
    facts = read_token(token)
    if facts.get("cql") != _mark(cql) or not isinstance(facts.get("start"), int):
        raise confluence_v1_refused(400, "The cursor is invalid for this query.")
    return int(facts["start"])


def _mark(cql: str) -> str:
    return hashlib.sha256(cql.encode()).hexdigest()[:16]


def _hit(call: Call, page: Page) -> dict[str, Any]:
    space = call.site.spaces[page.space]
    excerpt = "" if call.first("excerpt") == "none" else document.text(page.latest.body)[:_EXCERPT_LENGTH]
    made: dict[str, Any] = {"content": shapes.content(call, page, set(call.listed("expand"))), "title": page.title}
    made |= {"excerpt": excerpt, "url": f"/spaces/{space.key}/pages/{page.id}", "entityType": "content"}
    made["resultGlobalContainer"] = {"title": space.name, "displayUrl": f"/spaces/{space.key}"}
    made |= {"breadcrumbs": [], "iconCssClass": "aui-icon content-type-page", "score": 0.0}
    return made | {"lastModified": moment(page.latest.created), "friendlyLastModified": "recently"}


def get_user(call: Call) -> Answer:
    """GET /wiki/rest/api/user: by account id; 404 for one that does not exist."""
    account = call.site.accounts.get(call.first("accountId"))
    if account is None:
        raise confluence_v1_refused(404, f"No user found with account id: {call.first('accountId')[:80]}")
    return Answer(200, shapes.based(call, shapes.user(call, account)))


V1: Mapping[str, Operation] = {
    "searchByCQL": search_by_cql,
    "searchContentByCQL": search_content_by_cql,
    "getUser": get_user,
}
