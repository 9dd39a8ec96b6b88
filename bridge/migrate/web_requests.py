"""Web requests in an automation: those that call Atlassian with a credential become the verb that does the same.

A token in a header is the usual way round the limits of Automation's own actions, and it is somebody's: whoever may
read the automation through the management API reads it. Requests to other systems stay; that they carry a credential is
said. What the credential is, is never shown.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bridge import catalogue
from bridge.catalogue import Match, Operation
from bridge.migrate.conversion import Stays, Step, Work
from bridge.migrate.smart import PLACE
from bridge.rule.adf import adf_to_text

TYPE = "jira.issue.outgoing.webhook"
_SECRET_NAME = re.compile(r"authori[sz]ation|token|secret|api[-_]?key|password|cookie|signature", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\s*(bearer|basic)\s+\S", re.IGNORECASE)
_GATEWAY = re.compile(r"/ex/(jira|confluence)/[^/]+(/.*)")
_STAND_IN = "1"  # what stands for a smart value while a path is compared with the catalogue's


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One "Send web request", as far as people may read it: no header's value, no query."""

    method: str
    host: str
    path: str
    credentials: tuple[str, ...]
    atlassian: bool
    operation: Operation | None = None


def read(value: Any) -> WebRequest:
    """Read the component's value; what is not there is empty."""
    value = value if isinstance(value, Mapping) else {}
    url = value.get("url")
    url = url if isinstance(url, str) else ""
    method = str(value.get("method") or "POST").upper()
    bare = re.sub(r"^\{\{\s*baseUrl\s*\}\}", "https://the-site.atlassian.net", url.strip())
    try:
        cut = urlsplit(PLACE.sub(_STAND_IN, bare))
        host = cut.hostname or ""
    except ValueError:
        return WebRequest(method, "", "", tuple(_credentials(value, "")), atlassian=False)
    gateway = _GATEWAY.fullmatch(cut.path) if host == "api.atlassian.com" else None
    ours = host.endswith((".atlassian.net", ".jira.com")) or gateway is not None
    path = gateway[2] if gateway else cut.path
    operation = _operation(method, path) if ours else None
    return WebRequest(method, host, path, tuple(_credentials(value, url)), ours, operation)


def _operation(method: str, path: str) -> Operation | None:
    newest = re.sub(r"^/rest/api/(2|latest)/", "/rest/api/3/", path)
    try:
        found = catalogue.match(method, newest)
    except catalogue.PathRefused:
        return None
    return found.operation if isinstance(found, Match) else None


def _credentials(value: Mapping[str, Any], url: str) -> list[str]:
    """Say where a credential seems to be, by names only."""
    found = []
    for header in value.get("headers") or ():
        if not isinstance(header, Mapping):
            continue
        name, given = str(header.get("name") or ""), header.get("value")
        secret = isinstance(given, Mapping) and given.get("secret") is True
        shown = given if isinstance(given, str) else ""
        if secret or header.get("headerSecure") is True or _SECRET_NAME.search(name) or _SECRET_VALUE.match(shown):
            found.append(f"header {name or 'without a name'}")
    bare = PLACE.sub("", url)
    try:
        cut = urlsplit(bare)
        if cut.username or cut.password:
            found.append("user and password in the URL")
        found += [f"query {name}" for name, _ in parse_qsl(cut.query) if _SECRET_NAME.search(name) or name == "key"]
    except ValueError:
        pass
    body = value.get("customBody") or value.get("body")
    if isinstance(body, str) and re.search(r'"[^"]*(token|secret|password|apikey)[^"]*"\s*:', body, re.IGNORECASE):
        found.append("the body")
    if value.get("urlSecure") is True:
        found.append("the URL, which is hidden")
    return found


def convert(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    """Return the step for a request that calls Atlassian; raise ``Stays`` for any other."""
    asked = read(value)
    if not asked.atlassian:
        raise Stays("it calls another system, which no rule reaches")
    if asked.operation is None:
        raise Stays("it calls Atlassian in a way that is not in the catalogue")
    if not asked.credentials:
        raise Stays("it calls Atlassian without a credential")
    make = _STEPS.get(asked.operation.operation_id)
    if make is None:
        raise Stays(f"it calls Atlassian ({asked.operation.operation_id}): write a rule in Python for it")
    names = _names(str(value.get("url") or ""), asked.operation)
    step: Step = make(names, _body(value), work)
    work.note("its credential is no longer needed: revoke it once nothing else uses it")
    return [step]


def _names(url: str, operation: Operation) -> dict[str, str]:
    """Return the path parameters of the URL with their smart values."""
    given = PLACE.sub(lambda place: place[0].replace("/", "\x00").replace("?", "\x01"), url).partition("?")[0]
    there, here = operation.path.split("/"), given.rstrip("/").split("/")
    here = here[len(here) - len(there) :]
    pairs = zip(there, here, strict=False)
    return {name[1:-1]: part.replace("\x00", "/").replace("\x01", "?") for name, part in pairs if name.startswith("{")}


def _body(value: Mapping[str, Any]) -> Any:
    text = value.get("customBody")
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        return json.loads(_unescaped(text))
    except (ValueError, RecursionError):
        raise Stays("the body that it sends is no JSON before its smart values are filled in") from None


def _unescaped(text: str) -> str:
    """Take Automation's escaping off, for the steps escape by themselves; a bare smart value becomes text."""
    text = re.sub(r"\.(jsonEncode|asJsonString)\s*\}\}", "}}", text)
    return re.sub(r'(?<=[:\[,])(\s*)(\{\{[^{}"]*\}\})(?=\s*[,}\]])', r'\1"\2"', text)


def _member(body: Any, *path: str) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else None
    if body is None:
        raise Stays(f"the body that it sends has no {'.'.join(path)}")
    return body


def _issue(names: Mapping[str, str], work: Work) -> str:
    return work.text(names.get("issueIdOrKey", ""))


def _prose(value: Any, work: Work) -> str:
    if isinstance(value, Mapping) and value.get("type") == "doc":
        work.note("the document that it sends is taken as plain text")
        return work.text(adf_to_text(value))
    return work.markdown(value)


def _comment(names: Mapping[str, str], body: Any, work: Work) -> Step:
    if set(body or ()) - {"body"}:
        raise Stays("it comments with more than a text")
    return Step("jira.comment", {"issue": _issue(names, work), "body": _prose(_member(body, "body"), work)})


def _assign(names: Mapping[str, str], body: Any, work: Work) -> Step:
    return Step("jira.assign", {"issue": _issue(names, work), "account_id": work.text(_member(body, "accountId"))})


def _edit(names: Mapping[str, str], body: Any, work: Work) -> Step:
    if set(body or ()) - {"fields"}:
        raise Stays("it edits with more than fields")
    found = {str(name): _rendered(value, work) for name, value in dict(_member(body, "fields")).items()}
    return Step("jira.edit", {"issue": _issue(names, work), "set": found})


def _create(_names: Mapping[str, str], body: Any, work: Work) -> Step:
    given = dict(_member(body, "fields"))
    if set(body) - {"fields"}:
        raise Stays("it creates with more than fields")
    project = _rendered(given.pop("project", {}), work)
    kind = _rendered(given.pop("issuetype", {}), work)
    key, named = project.get("key"), kind.get("name") or kind.get("id")
    if not key or not named or not given.get("summary"):
        raise Stays("it names no project by its key, no issue type or no summary")
    arguments = {"project": key, "issue_type": named, "summary": work.text(given.pop("summary"))}
    if "description" in given:
        arguments["description"] = _prose(given.pop("description"), work)
    if given:
        arguments["fields"] = _rendered(given, work)
    return Step("jira.create", arguments, id=work.created())


def _property(names: Mapping[str, str], body: Any, work: Work) -> Step:
    key = work.text(names.get("propertyKey", ""))
    return Step("jira.set-property", {"issue": _issue(names, work), "key": key, "value": _rendered(body, work)})


def _web_link(names: Mapping[str, str], body: Any, work: Work) -> Step:
    url, title = _member(body, "object", "url"), _member(body, "object", "title")
    return Step("jira.web-link", {"issue": _issue(names, work), "url": work.text(url), "title": work.text(title)})


def _watch(names: Mapping[str, str], body: Any, work: Work) -> Step:
    return Step("jira.watch", {"issue": _issue(names, work), "people": [work.text(body)]})


def _rendered(value: Any, work: Work) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _rendered(inner, work) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rendered(inner, work) for inner in value]
    return work.text(value) if isinstance(value, str) else value


_STEPS = {
    "addComment": _comment,
    "assignIssue": _assign,
    "editIssue": _edit,
    "createIssue": _create,
    "setIssueProperty": _property,
    "createOrUpdateRemoteIssueLink": _web_link,
    "addWatcher": _watch,
}
