"""Jira's verbs as a handler calls them, and the request each one builds.

The functions that build requests are pure; the class has them sent, one step after another. Operations and bodies:
https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule import jql as query_language
from bridge.rule.adf import Formatted, Text, to_adf
from bridge.rule.request import Caller, Issue, Request, free_request, name_of, object_of, segment

PAGE_SIZE = 100
CONFLICT = 409

# Fields that Jira keeps as documents; a field of one's own that does takes context.markdown(...).
_DOCUMENTS = frozenset({"description", "environment"})
# What people call by a name and Jira takes as an object.
_BY_NAME = frozenset({"priority", "resolution", "issuetype", "components", "fixVersions", "versions", "security"})
_BY_KEY = frozenset({"project", "parent"})


class Jira:
    """Jira as the service account of the rule; every method is one action, or reads and then one action."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def issue(self, key: Issue, fields: Sequence[str] | str | None = None) -> dict[str, Any]:
        """Read an issue as it is now; ``fields`` limits what comes back (default: all)."""
        return object_of(self._caller.call(read_issue(key, fields)))

    def search(
        self,
        jql: str,
        *,
        fields: Sequence[str] | str = ("summary", "status"),
        limit: int | None = None,
        **values: Any,
    ) -> Iterator[dict[str, Any]]:
        """Find issues, page by page as they are asked for; ``values`` go into the ``{name}`` places as literals.

        ``search("project = OPS AND summary ~ {words}", words=event["title"])``. Hits outside the scope are left out.
        """
        return found(self._caller, query_language.fill(jql, values), fields, limit)

    def comment(self, issue: Issue, text: Text, *, step: str | None = None) -> dict[str, Any]:
        """Comment on an issue; plain text stays plain, formatted text is made with ``context.markdown``."""
        answer = self._caller.call(add_comment(issue, text, step=step))
        return object_of(answer, {"id": "0"})

    def transition(
        self, issue: Issue, to: str, *, fields: Mapping[str, Any] | None = None, step: str | None = None
    ) -> dict[str, Any]:
        """Move an issue by the name of a transition or of the status it leads to, whatever the case of its letters.

        Returns ``{"already": True}`` when the issue is in that status. Raises ``ActionFailed`` (409) when the workflow
        offers no way there now, naming the ways it offers.
        """
        read = self._caller.call(read_issue(issue, "status", verb="transition"))
        if read.observed:
            # Observe mode did not create this issue, so no workflow can be asked for the way.
            self._caller.call(do_transition(issue, "0", fields, step=step))
            return {"already": False}
        status = _status(object_of(read))
        if status.casefold() == to.strip().casefold():
            return {"already": True}
        offered = object_of(self._caller.call(list_transitions(issue))).get("transitions", [])
        chosen = choose_transition(offered, to)
        if chosen is None:
            ways = ", ".join(sorted({_leads_to(each) for each in offered})) or "none"
            text = f"no transition from {status or 'here'} is called {to!r} or leads there; offered: {ways}"
            raise ActionFailed("transition", name_of(issue), CONFLICT, text)
        self._caller.call(do_transition(issue, str(chosen["id"]), fields, step=step))
        return {"already": False}

    def edit(
        self,
        issue: Issue,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - Jira's own word for it
        add: Mapping[str, Any] | None = None,
        remove: Mapping[str, Any] | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Change fields: ``set={"priority": "High"}``, ``add={"labels": "urgent"}``, ``remove={"labels": ["new"]}``."""
        return object_of(self._caller.call(edit_issue(issue, set=set, add=add, remove=remove, step=step)))

    def assign(self, issue: Issue, account_id: str | None, *, step: str | None = None) -> dict[str, Any]:
        """Assign an issue to an account id, to nobody (None) or to its default assignee (``"-1"``)."""
        return object_of(self._caller.call(assign_issue(issue, account_id, step=step)))

    def create(
        self,
        project: str,
        issue_type: str,
        summary: str,
        description: Text | None = None,
        *,
        parent: Issue | None = None,
        fields: Mapping[str, Any] | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Create an issue and return its ``id`` and ``key``; in observe mode the key is ``<PROJECT>-0``."""
        request = create_issue(project, issue_type, summary, description, parent=parent, fields=fields, step=step)
        answer = self._caller.call(request)
        return object_of(answer, {"id": "0", "key": f"{project}-0"})

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        step: str | None = None,
    ) -> Any:
        """Call any catalogued operation that the scope names by its operationId, and return the body of the answer."""
        return self._caller.call(free_request("jira", method, path, query, body, step=step)).body


def found(caller: Caller, jql: str, fields: Sequence[str] | str, limit: int | None) -> Iterator[dict[str, Any]]:
    """Walk the hits of a finished query, asking for a page when the one before is used up.

    Pages are chained by ``nextPageToken``; the answer has no total, and its last page is marked or has no token.
    """
    count, token = 0, None
    seen: set[str] = set()
    while limit is None or count < limit:
        page = object_of(caller.call(search_page(jql, fields, token)))
        for issue in page.get("issues", []):
            if limit is not None and count >= limit:
                return
            count += 1
            yield issue
        token = page.get("nextPageToken")
        if not token or page.get("isLast") or token in seen:
            return
        seen.add(token)


def read_issue(key: Issue, fields: Sequence[str] | str | None = None, *, verb: str = "read") -> Request:
    """GET an issue (operation getIssue)."""
    named = fields if isinstance(fields, str) or fields is None else ",".join(fields)
    query = {"fields": [named]} if named else {}
    return Request("jira", "GET", f"/rest/api/3/issue/{segment(key)}", query, verb=verb, target=name_of(key))


def search_page(jql: str, fields: Sequence[str] | str, token: str | None = None) -> Request:
    """POST one page of a search (operation searchAndReconsileIssuesUsingJqlPost)."""
    named = [each.strip() for each in fields.split(",")] if isinstance(fields, str) else list(fields)
    body: dict[str, Any] = {"jql": jql, "fields": named, "maxResults": PAGE_SIZE}
    if token:
        body["nextPageToken"] = token
    return Request("jira", "POST", "/rest/api/3/search/jql", body=body, verb="search", target="search")


def add_comment(issue: Issue, text: Text, *, step: str | None = None) -> Request:
    """POST a comment (operation addComment)."""
    return _of_issue("POST", issue, "/comment", "comment", body={"body": to_adf(text)}, step=step)


def list_transitions(issue: Issue) -> Request:
    """GET the transitions offered now (operation getTransitions)."""
    return _of_issue("GET", issue, "/transitions", "transition")


def do_transition(
    issue: Issue, transition: str, fields: Mapping[str, Any] | None = None, *, step: str | None = None
) -> Request:
    """POST a transition by its id (operation doTransition)."""
    body: dict[str, Any] = {"transition": {"id": transition}}
    if fields:
        body["fields"] = {name: field_value(name, value) for name, value in fields.items()}
    return _of_issue("POST", issue, "/transitions", "transition", body=body, step=step)


def edit_issue(
    issue: Issue,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - Jira's own word for it
    add: Mapping[str, Any] | None = None,
    remove: Mapping[str, Any] | None = None,
    step: str | None = None,
) -> Request:
    """PUT changed fields (operation editIssue); raise ``ValueError`` for no change or a field that stands twice."""
    fields = {name: field_value(name, value) for name, value in (set or {}).items()}
    update: dict[str, list[dict[str, Any]]] = {}
    for operation, changes in (("add", add), ("remove", remove)):
        for name, values in (changes or {}).items():
            update.setdefault(name, []).extend({operation: _entry(name, each)} for each in _listed(values))
    twice = sorted(fields.keys() & update.keys())
    if twice:
        raise ValueError(f"{twice[0]} stands in set and in add or remove; Jira takes one of them")
    body = {key: value for key, value in (("fields", fields), ("update", update)) if value}
    if not body:
        raise ValueError("an edit needs one of set, add and remove")
    return _of_issue("PUT", issue, "", "edit", body=body, step=step)


def assign_issue(issue: Issue, account_id: str | None, *, step: str | None = None) -> Request:
    """PUT the assignee (operation assignIssue)."""
    return _of_issue("PUT", issue, "/assignee", "assign", body={"accountId": account_id}, step=step)


def create_issue(
    project: str,
    issue_type: str,
    summary: str,
    description: Text | None = None,
    *,
    parent: Issue | None = None,
    fields: Mapping[str, Any] | None = None,
    step: str | None = None,
) -> Request:
    """POST a new issue (operation createIssue). A summary is one line, so line ends in it become blanks."""
    body: dict[str, Any] = {name: field_value(name, value) for name, value in (fields or {}).items()}
    body |= {
        "project": {"key": project},
        "issuetype": {"name": issue_type},
        "summary": " ".join(summary.split()),
    }
    if description is not None:
        body["description"] = to_adf(description)
    if parent is not None:
        body["parent"] = field_value("parent", name_of(parent))
    return Request(
        "jira", "POST", "/rest/api/3/issue", body={"fields": body}, label=step, verb="create", target=project
    )


def field_value(name: str, value: Any) -> Any:
    """Write a field's value as Jira takes it: documents for texts it formats, objects for what people call by name."""
    if isinstance(value, Formatted) or (name in _DOCUMENTS and isinstance(value, str)):
        return to_adf(value)
    if isinstance(value, list | tuple):
        return [_entry(name, each) for each in value]
    return _entry(name, value)


def choose_transition(offered: Iterable[Any], to: str) -> dict[str, Any] | None:
    """Pick the transition of that name or, failing that, the first one that leads to a status of that name."""
    wanted = to.strip().casefold()
    usable = [each for each in offered if isinstance(each, dict) and "id" in each]
    by_name = [each for each in usable if str(each.get("name", "")).strip().casefold() == wanted]
    by_status = [each for each in usable if _leads_to(each).casefold() == wanted]
    return next(iter(by_name + by_status), None)


def _of_issue(method: str, issue: Issue, rest: str, verb: str, *, body: Any = None, step: str | None = None) -> Request:
    path = f"/rest/api/3/issue/{segment(issue)}{rest}"
    return Request("jira", method, path, body=body, label=step, verb=verb, target=name_of(issue))


def _entry(name: str, value: Any) -> Any:
    if name in _BY_NAME and isinstance(value, str):
        return {"name": value}
    if name in _BY_KEY and isinstance(value, str):
        return {"id": value} if value.isdigit() else {"key": value}
    return value


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _status(issue: Mapping[str, Any]) -> str:
    status = issue.get("fields", {}).get("status") or {}
    return str(status.get("name", "")).strip()


def _leads_to(transition: Mapping[str, Any]) -> str:
    to = transition.get("to")
    return str(to.get("name", "")).strip() if isinstance(to, Mapping) else ""
