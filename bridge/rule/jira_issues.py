"""Work items: read, find, transition, edit, assign and create them, and the request each one builds.

The functions that build requests are pure; the class, a part of ``context.jira``, has them sent one step after another.
Operations and bodies: https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule import jql as query_language
from bridge.rule.adf import Text, to_adf
from bridge.rule.jira_fields import by_id, element, emptied, field_value, listed
from bridge.rule.jql import Query
from bridge.rule.method import does
from bridge.rule.request import Caller, Issue, Request, Words, name_of, object_of, segment, words_of

ISSUE = "{{ issue.key }}"

PAGE_SIZE = 100
CONFLICT = 409


class Issues:
    """The part of ``context.jira`` that works on issues; every method is one action, or reads and then one action."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @does("jira.read", "Re-fetch work item data", operations=("getIssue",), example={"issue": ISSUE})
    def issue(self, issue: Issue, fields: Words | None = None) -> dict[str, Any]:
        """Read an issue as it is now; ``fields`` limits what comes back (default: all)."""
        return object_of(self._caller.call(read_issue(issue, fields)))

    @does(
        "jira.search",
        "Lookup work items",
        operations=("searchAndReconsileIssuesUsingJqlPost",),
        example={"jql": "project = <project> AND statusCategory != Done", "limit": 10},
    )
    def search(
        self, jql: Query, *, fields: Words = ("summary", "status"), limit: int | None = None, **values: Any
    ) -> Iterator[dict[str, Any]]:
        """Find issues, page by page as they are asked for; ``values`` go into the ``{name}`` places as literals.

        ``search("project = OPS AND summary ~ {words}", words=event["title"])``. Hits outside the scope are left out.
        """
        return found(self._caller, query_language.finished(jql, values), fields, limit)

    @does(
        "jira.transition",
        "Transition work item",
        operations=("getIssue", "getTransitions", "doTransition"),
        example={"issue": ISSUE, "to": "In Progress"},
    )
    def transition(
        self,
        issue: Issue,
        to: str,
        *,
        resolution: str | None = None,
        fields: Mapping[str, Any] | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Move an issue by the name of a transition, or by the name or id of the status it leads to.

        ``resolution`` is set with it; further ``fields`` need the verb edit too, and only those on the transition's
        screen can be set. Returns ``{"already": True}`` when the issue is in that status. Raises ``ActionFailed`` (409)
        when the workflow offers no way there now, naming the ways it offers.
        """
        if resolution is not None:
            fields = {**(fields or {}), "resolution": resolution}
        if fields:
            [fields] = by_id(self._caller, "edit", name_of(issue), [fields])
        read = self._caller.call(read_issue(issue, "status", verb="transition"))
        if read.observed:
            # Observe mode did not create this issue, so no workflow can be asked for the way.
            self._caller.call(do_transition(issue, "0", fields, step=step))
            return {"already": False}
        status = _status(object_of(read))
        if to.strip().casefold() in {str(status.get(name, "")).strip().casefold() for name in ("name", "id")}:
            return {"already": True}
        offered = object_of(self._caller.call(list_transitions(issue))).get("transitions", [])
        chosen = choose_transition(offered, to)
        if chosen is None:
            ways = ", ".join(sorted({_leads_to(each) for each in offered})) or "none"
            text = f"no transition from {status.get('name') or 'here'} is called {to!r} or leads there; offered: {ways}"
            raise ActionFailed("transition", name_of(issue), CONFLICT, text)
        self._caller.call(do_transition(issue, str(chosen["id"]), fields, step=step))
        return {"already": False}

    @does(
        "jira.edit",
        "Edit work item",
        operations=("getFields", "editIssue"),
        one_of=("set", "add", "remove", "clear"),
        example={"issue": ISSUE, "add": {"labels": ["seen"]}},
    )
    def edit(
        self,
        issue: Issue,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - Jira's own word for it
        add: Mapping[str, Any] | None = None,
        remove: Mapping[str, Any] | None = None,
        clear: Words | None = None,
        notify: bool = True,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Change fields: ``set={"priority": "High"}``, ``add={"labels": "urgent"}``, ``remove={"labels": ["new"]}``.

        Fields are called by id or by the name people see (``"Story points"``), and a value read of another issue can be
        set as it came. ``clear`` empties fields. ``notify=False`` sends no mails; Jira wants an administrator for it.
        """
        emptying = dict.fromkeys(words_of(clear or ()))
        given = [set or {}, add or {}, remove or {}, emptying]
        new, added, removed, emptying = by_id(self._caller, "edit", name_of(issue), given)
        both = sorted(new.keys() & emptying.keys())
        if both:
            raise ValueError(f"{both[0]} stands in set and in clear")
        new |= {name: emptied(name) for name in emptying}
        request = edit_issue(issue, set=new, add=added, remove=removed, notify=notify, step=step)
        return object_of(self._caller.call(request))

    @does(
        "jira.assign",
        "Assign work item",
        operations=("assignIssue",),
        example={"issue": ISSUE, "account_id": "-1"},
    )
    def assign(self, issue: Issue, account_id: str | None, *, step: str | None = None) -> dict[str, Any]:
        """Assign an issue to an account id, to nobody (None) or to its default assignee (``"-1"``)."""
        return object_of(self._caller.call(assign_issue(issue, account_id, step=step)))

    @does(
        "jira.create",
        "Create work item",
        operations=("getFields", "createIssue"),
        example={"project": "<project>", "issue_type": "Task", "summary": "Follow up"},
    )
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
        """Create an issue and return its ``id`` and ``key``; in observe mode the key is ``<PROJECT>-0``.

        A project is named by its key and an issue type by its name, or both by their ids as exported automations do.
        Further ``fields`` are called by id or by the name people see; a value read of another issue can be given as it
        came. ``parent`` makes a sub-task, or a child of an epic.
        """
        [fields] = by_id(self._caller, "create", project, [fields or {}])
        request = create_issue(project, issue_type, summary, description, parent=parent, fields=fields, step=step)
        answer = self._caller.call(request)
        return object_of(answer, {"id": "0", "key": f"{project}-0"})


def found(caller: Caller, jql: str, fields: Words, limit: int | None) -> Iterator[dict[str, Any]]:
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


def read_issue(key: Issue, fields: Words | None = None, *, verb: str = "read") -> Request:
    """GET an issue (operation getIssue)."""
    named = fields if isinstance(fields, str) or fields is None else ",".join(fields)
    query = {"fields": [named]} if named else {}
    return Request("jira", "GET", f"/rest/api/3/issue/{segment(key)}", query, verb=verb, target=name_of(key))


def search_page(jql: str, fields: Words, token: str | None = None) -> Request:
    """POST one page of a search (operation searchAndReconsileIssuesUsingJqlPost)."""
    named = [each.strip() for each in fields.split(",")] if isinstance(fields, str) else list(fields)
    body: dict[str, Any] = {"jql": jql, "fields": named, "maxResults": PAGE_SIZE}
    if token:
        body["nextPageToken"] = token
    return Request("jira", "POST", "/rest/api/3/search/jql", body=body, verb="search", target="search")


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
    notify: bool = True,
    step: str | None = None,
) -> Request:
    """PUT changed fields (operation editIssue); raise ``ValueError`` for no change or a field that stands twice."""
    fields = {name: field_value(name, value) for name, value in (set or {}).items()}
    update: dict[str, list[dict[str, Any]]] = {}
    for operation, changes in (("add", add), ("remove", remove)):
        for name, values in (changes or {}).items():
            update.setdefault(name, []).extend({operation: element(name, each)} for each in listed(values))
    twice = sorted(fields.keys() & update.keys())
    if twice:
        raise ValueError(f"{twice[0]} stands in set and in add or remove; Jira takes one of them")
    body = {key: value for key, value in (("fields", fields), ("update", update)) if value}
    if not body:
        raise ValueError("an edit needs one of set, add, remove and clear")
    query = {} if notify else {"notifyUsers": ["false"]}
    path = f"/rest/api/3/issue/{segment(issue)}"
    return Request("jira", "PUT", path, query, body, step, "edit", name_of(issue))


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
        "project": field_value("project", project),
        "issuetype": {"id": issue_type} if issue_type.isdigit() else {"name": issue_type},
        "summary": " ".join(summary.split()),
    }
    if description is not None:
        body["description"] = to_adf(description)
    if parent is not None:
        body["parent"] = field_value("parent", name_of(parent))
    return Request(
        "jira", "POST", "/rest/api/3/issue", body={"fields": body}, label=step, verb="create", target=project
    )


def choose_transition(offered: Iterable[Any], to: str) -> dict[str, Any] | None:
    """Pick the transition of that name or, failing that, the first one that leads to a status of that name or id."""
    wanted = to.strip().casefold()
    usable = [each for each in offered if isinstance(each, dict) and "id" in each]
    by_name = [each for each in usable if str(each.get("name", "")).strip().casefold() == wanted]
    by_status = [each for each in usable if _leads_to(each).casefold() == wanted]
    by_id = [each for each in usable if str((each.get("to") or {}).get("id", "")) == wanted]
    return next(iter(by_name + by_status + by_id), None)


def _of_issue(method: str, issue: Issue, rest: str, verb: str, *, body: Any = None, step: str | None = None) -> Request:
    path = f"/rest/api/3/issue/{segment(issue)}{rest}"
    return Request("jira", method, path, body=body, label=step, verb=verb, target=name_of(issue))


def _status(issue: Mapping[str, Any]) -> Mapping[str, Any]:
    status = issue.get("fields", {}).get("status")
    return status if isinstance(status, Mapping) else {}


def _leads_to(transition: Mapping[str, Any]) -> str:
    to = transition.get("to")
    return str(to.get("name", "")).strip() if isinstance(to, Mapping) else ""
