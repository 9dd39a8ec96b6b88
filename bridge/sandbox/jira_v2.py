"""Version 2 of Jira's platform API: the operations of version 3 with wiki markup where those have documents.

Atlassian keeps the two versions alike in everything but rich text
(https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#version), OAuth scopes included, so nothing is
played twice: a request's texts are read into documents, version 3 answers, and its documents are written as text
again. ``/rest/api/latest``, by which the client library ``jira`` assigns issues, is taken for version 2.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.sandbox import wiki
from bridge.sandbox.answer import Answer, Call, Operation, jira_refused
from bridge.sandbox.fields import FIELDS

_PATH = re.compile(r"/rest/api/(?:2|latest)(?=/)")
_VERSION_3 = "/rest/api/3"
_VERSION_2 = "/rest/api/2"
_ADDRESSES = frozenset({"self", "nextPage", "content", "thumbnail"})
# What the caller keeps there is returned as it was sent, whatever it looks like.
_THE_CALLERS = frozenset({"properties", "value", "historyMetadata"})


def played_as(path: str) -> str | None:
    """The path of version 3 that a path of version 2 is another name for; None for every other path."""
    return _PATH.sub(_VERSION_3, path, count=1) if _PATH.match(path) else None


def twin(operation_id: str, execute: Operation) -> Operation:
    """The same operation as version 2 knows it; raises Refused for a rich text that is no text."""

    def answered(call: Call) -> Answer:
        path = played_as(call.path) or call.path
        answer = execute(replace(call, path=path, body=_read(operation_id, call.body)))
        return replace(answer, body=_shown(call, answer.body))

    return answered


def _shown(call: Call, value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [_shown(call, each) for each in value]
    if isinstance(value, str) and name in _ADDRESSES:
        return _renamed(call, value)
    if not isinstance(value, dict):
        return value
    if value.get("type") == "doc" and "content" in value:
        return wiki.write(value)
    return {key: each if key in _THE_CALLERS else _shown(call, each, key) for key, each in value.items()}


def _renamed(call: Call, address: str) -> str:
    for host in (call.gateway_url, call.site_url):
        if address.startswith(f"{host}{_VERSION_3}/"):
            return f"{host}{_VERSION_2}{address.removeprefix(f'{host}{_VERSION_3}')}"
    return address


def _read(operation_id: str, body: Any) -> Any:
    reader = _READERS.get(operation_id)
    return reader(body) if reader is not None and isinstance(body, dict) else body


def _document(field: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, str):
        raise jira_refused(400, errors={field: "Operation value must be a string"})
    return wiki.read(given)


def _field(name: str, given: Any) -> Any:
    if name not in FIELDS or FIELDS[name].kind != "document" or given is None:
        return given
    # An empty text takes the field's value away.
    return _document(name, given) if given else None


def _issue(body: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(body)
    if isinstance(body.get("fields"), dict):
        made["fields"] = {name: _field(name, given) for name, given in body["fields"].items()}
    if isinstance(body.get("update"), dict):
        made["update"] = {name: _updates(name, given) for name, given in body["update"].items()}
    return made


def _updates(name: str, given: Any) -> Any:
    inner = {"comment": "body", "worklog": "comment"}.get(name)
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list):
        return given
    return [
        {verb: _inner(name, inner, value) if inner else _field(name, value) for verb, value in each.items()}
        if isinstance(each, dict)
        else each
        for each in given
    ]


def _inner(field: str, name: str, given: Any) -> Any:
    if not isinstance(given, dict) or name not in given:
        return given
    return {**given, name: _document(field, given[name])}


def _member(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda body: {**body, name: _document("comment", body[name])} if name in body else dict(body)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(("createIssue", "editIssue", "doTransition"), _issue),
    **dict.fromkeys(("addComment", "updateComment"), _member("body")),
    **dict.fromkeys(("addWorklog", "updateWorklog"), _member("comment")),
}
