"""Jira's search by JQL: bounded queries, only ids unless fields are asked for, pages by token, an index that can lag.

See https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/. There is no total, a token ends
after seven days and belongs to the query it came from, and at most five entity properties are returned.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bridge.sandbox import jira_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused, read_token, write_token
from bridge.sandbox.grammar import QueryInvalid
from bridge.sandbox.jql import parse
from bridge.sandbox.records import Issue

_TOKEN_LIFE = timedelta(days=7)
_DEFAULT_PAGE = 50
_LARGE_PAGE = 5000
_PAGE_WITH_FIELDS = 100
_PROPERTIES_AT_MOST = 5
_RECONCILED_AT_MOST = 50
_LISTS = frozenset({"fields", "properties", "reconcileIssues"})
_MEMBERS = _LISTS | {"jql", "nextPageToken", "maxResults", "expand", "fieldsByKeys"}


@dataclass(frozen=True, slots=True)
class _Request:
    """One search, from the query of a GET or the body of a POST."""

    jql: str
    token: str
    count: int
    fields: tuple[str, ...]
    properties: tuple[str, ...]
    expand: tuple[str, ...]
    reconciled: frozenset[str]


def search_get(call: Call) -> Answer:
    """GET /rest/api/3/search/jql."""
    given = {name: call.first(name) for name in ("jql", "nextPageToken", "expand", "maxResults")}
    return _search(call, _request({**given, **{name: call.listed(name) for name in _LISTS}}))


def search_post(call: Call) -> Answer:
    """POST /rest/api/3/search/jql."""
    body = call.body
    if not isinstance(body, dict) or not set(body) <= _MEMBERS:
        raise jira_refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    if any(not isinstance(body.get(name, []), list) for name in _LISTS):
        raise jira_refused(400, "Invalid request payload: fields, properties and reconcileIssues are lists.")
    return _search(call, _request(body))


def _request(given: Mapping[str, Any]) -> _Request:
    count = str(given.get("maxResults") or _DEFAULT_PAGE)
    if not count.isdecimal():
        raise jira_refused(400, "maxResults must be a positive number.")
    fields = tuple(str(name) for name in given.get("fields") or ["id"])
    properties = tuple(str(name) for name in given.get("properties") or [])
    if len(properties) > _PROPERTIES_AT_MOST:
        raise jira_refused(400, "The 'properties' parameter takes at most 5 properties.")
    reconciled = frozenset(str(number) for number in given.get("reconcileIssues") or [])
    if len(reconciled) > _RECONCILED_AT_MOST or not all(number.isdecimal() for number in reconciled):
        raise jira_refused(400, "The 'reconcileIssues' parameter takes at most 50 issue ids.")
    expand = tuple(part.strip() for part in str(given.get("expand") or "").split(","))
    most = _LARGE_PAGE if set(fields) <= {"id", "key"} and not properties else _PAGE_WITH_FIELDS
    token, jql = str(given.get("nextPageToken") or ""), str(given.get("jql") or "")
    return _Request(jql, token, min(int(count), most), fields, properties, expand, reconciled)


def _search(call: Call, request: _Request) -> Answer:
    try:
        found = parse(request.jql, call.site, call.account).run(_known(call, request))
    except QueryInvalid as invalid:
        raise jira_refused(400, str(invalid)) from None
    mark = hashlib.sha256(request.jql.encode()).hexdigest()[:16]
    start = _start(call, request.token, mark)
    end = start + request.count
    answer: dict[str, Any] = {"issues": [_shown(call, request, issue) for issue in found[start:end]]}
    answer["isLast"] = end >= len(found)
    if not answer["isLast"]:
        answer["nextPageToken"] = write_token(start=end, jql=mark, at=call.site.now().isoformat())
    return Answer(200, answer)


def _known(call: Call, request: _Request) -> list[Issue]:
    """What the index holds of what the account may see; issues to be reconciled are taken as they really are."""
    known = live = call.site.issues
    if call.index is not None:
        known = {**call.index, **{number: live[number] for number in request.reconciled if number in live}}
    projects = call.site.projects
    return [issue for issue in known.values() if call.site.may(call.account, "browse", projects[issue.project])]


def _start(call: Call, token: str, mark: str) -> int:
    if not token:
        return 0
    facts = read_token(token)
    if facts.get("jql") != mark or not isinstance(facts.get("start"), int):
        raise jira_refused(400, "The nextPageToken is invalid for this query.")
    if call.site.now() - datetime.fromisoformat(str(facts.get("at"))) > _TOKEN_LIFE:
        raise jira_refused(400, "The nextPageToken has expired.")
    return int(facts["start"])


def _shown(call: Call, request: _Request, issue: Issue) -> dict[str, Any]:
    asked = set(request.fields)
    if asked == {"id"} and not request.properties:
        return {"id": issue.id}
    only_names = asked <= {"id", "key"}
    shown = shapes.issue(call, issue, fields=request.fields, properties=request.properties, expand=request.expand)
    return {name: value for name, value in shown.items() if not (only_names and name == "fields")}


OPERATIONS: Mapping[str, Operation] = {
    "searchAndReconsileIssuesUsingJql": search_get,
    "searchAndReconsileIssuesUsingJqlPost": search_post,
}
