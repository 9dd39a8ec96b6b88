"""People of a work item: find them, assign it to one of them or to one of a list, and have them watch it.

Where Automation chooses a person out of a list, the choice must be the same in every attempt of a delivery, so it
follows from what is recorded: the delivery's id, a count of open work, or a turn that is kept on the site.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule import jql as query_language
from bridge.rule.jira_history import list_changes
from bridge.rule.jira_issues import assign_issue, found, read_issue
from bridge.rule.jira_properties import keep_turn
from bridge.rule.jql import Query
from bridge.rule.method import does
from bridge.rule.paging import by_offset
from bridge.rule.request import Caller, Issue, Request, Words, name_of, object_of, segment, words_of

ISSUE = "{{ issue.key }}"
SOMEBODY = "{{ initiator }}"

NOT_FOUND, CONFLICT = 404, 409
DEFAULT = "-1"
MOST_FOUND = 50
OPEN = "statusCategory != Done"


class People:
    """The part of ``context.jira`` that deals with people."""

    _caller: Caller

    @does(
        "jira.find-users",
        "Find people",
        verbs=("jira.find-user",),
        operations=("findUsers",),
        example={"query": "ops-bot"},
    )
    def users(self, query: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Find up to 50 people whose name or e-mail address begins so; whom it shows is up to their profiles."""
        answer = self._caller.call(find_users(query))
        return list(answer.body)[:limit] if isinstance(answer.body, list) else []

    @does(
        "jira.find-user",
        "Find a person",
        operations=("findUsers",),
        example={"person": "ops-bot"},
    )
    def person(self, person: str) -> dict[str, Any]:
        """Find the one person of that e-mail address or name; ``accountId`` is what other steps take.

        Raises ``ActionFailed`` (404) when there is nobody, and (409) when several are called so.
        """
        answer = self._caller.call(find_users(person))
        people = [each for each in answer.body if each.get("active", True)] if isinstance(answer.body, list) else []
        exact = [each for each in people if _is_called(each, person)] or people
        if len(exact) != 1:
            several = f"{len(exact)} people are called {person!r}; use the e-mail address or the account id"
            text = several if exact else f"nobody is called {person!r}, or the profile is hidden from this account"
            raise ActionFailed("find-user", person, CONFLICT if exact else NOT_FOUND, text)
        return dict(exact[0])

    @does(
        "jira.assign-person",
        "Assign work item to a person",
        verbs=("jira.assign", "jira.find-user"),
        operations=("findUsers", "assignIssue"),
        example={"issue": ISSUE, "person": "ops-bot"},
    )
    def assign_person(self, issue: Issue, person: str) -> dict[str, Any]:
        """Assign an issue to the one person of that e-mail address or name."""
        return self._assigned(issue, str(self.person(person)["accountId"]))

    @does("jira.unassign", "Unassign work item", verbs=("jira.assign",), operations=("assignIssue",),
          example={"issue": ISSUE})  # fmt: skip
    def unassign(self, issue: Issue) -> dict[str, Any]:
        """Assign an issue to nobody."""
        return self._assigned(issue, None)

    @does("jira.assign-default", "Assign work item to its default assignee", verbs=("jira.assign",),
          operations=("assignIssue",), example={"issue": ISSUE})  # fmt: skip
    def assign_default(self, issue: Issue) -> dict[str, Any]:
        """Assign an issue as the project does by default (Automatic)."""
        return self._assigned(issue, DEFAULT)

    @does(
        "jira.assign-from",
        "Assign work item to the person in a field",
        verbs=("jira.read", "jira.assign"),
        operations=("getIssue", "assignIssue"),
        example={"issue": ISSUE, "field": "reporter"},
    )
    def assign_from(self, issue: Issue, field: str = "reporter", other: Issue | None = None) -> dict[str, Any]:
        """Assign an issue to the person in one of its fields (``reporter``, ``creator``, ``customfield_10014``).

        Of several people it is the first; an empty field means nobody. ``other`` is the issue to copy from, if not
        itself.
        """
        source = issue if other is None else other
        read = object_of(self._caller.call(read_issue(source, field)))
        value = (read.get("fields") or {}).get(field)
        first = next(iter(value), None) if isinstance(value, list) else value
        return self._assigned(issue, str(first["accountId"]) if isinstance(first, Mapping) else None)

    @does(
        "jira.assign-previous",
        "Assign work item to its previous assignee",
        verbs=("jira.read", "jira.assign"),
        operations=("getIssue", "getChangeLogs", "assignIssue"),
        example={"issue": ISSUE},
    )
    def assign_previous(self, issue: Issue) -> dict[str, Any]:
        """Assign an issue to whom it was assigned before; without anybody before, it stays as it is."""
        read = object_of(self._caller.call(read_issue(issue, "assignee")))
        now = ((read.get("fields") or {}).get("assignee") or {}).get("accountId")
        before = None
        for change in by_offset(self._caller, list_changes(issue)):
            for item in change.get("items") or []:
                if item.get("fieldId", item.get("field")) == "assignee" and item.get("from") not in {None, "", now}:
                    before = str(item["from"])
        return {"accountId": now} if before is None else self._assigned(issue, before)

    @does(
        "jira.assign-in-turn",
        "Assign work item to people in turn, by a number",
        verbs=("jira.assign",),
        operations=("assignIssue",),
        example={"issue": ISSUE, "people": [SOMEBODY], "turn": 1},
    )
    def assign_in_turn(self, issue: Issue, people: Words, turn: int) -> dict[str, Any]:
        """Assign an issue to the person (account ids) whose turn a number says it is; 1 is the first of them.

        The number in the issue's key, or one that the automation counts, needs no record and no order of deliveries.
        """
        ids = _people(people)
        return self._assigned(issue, ids[(turn - 1) % len(ids)])

    @does(
        "jira.assign-round-robin",
        "Assign work item to people in turn (round robin)",
        verbs=("jira.read", "jira.assign", "jira.set-project-property"),
        operations=("getIssue", "getProjectPropertyKeys", "getProjectProperty", "setProjectProperty", "assignIssue"),
        example={"issue": ISSUE, "people": [SOMEBODY]},
    )
    def assign_round_robin(self, issue: Issue, people: Words, turn: str = "default") -> dict[str, Any]:
        """Assign an issue to the next of a list of account ids; whose turn it is is kept in a property of the project.

        ``turn`` names the record, for rules that share one. The account must administer the project. Two deliveries at
        the same time may read the same turn: give the rule an ``[order] key`` that is the same in all of them.
        """
        ids = _people(people)
        read = object_of(self._caller.call(read_issue(issue, "project")))
        project = ((read.get("fields") or {}).get("project") or {}).get("key") or name_of(issue).rpartition("-")[0]
        number = keep_turn(self._caller, str(project), turn)
        return self._assigned(issue, ids[number % len(ids)])

    @does(
        "jira.assign-balanced",
        "Assign work item to the person with the least work (balanced)",
        verbs=("jira.search", "jira.assign"),
        operations=("searchAndReconsileIssuesUsingJqlPost", "assignIssue"),
        example={"issue": ISSUE, "people": [SOMEBODY]},
    )
    def assign_balanced(self, issue: Issue, people: Words, jql: Query = OPEN) -> dict[str, Any]:
        """Assign an issue to whom of a list of account ids has the fewest issues that a query finds (default: open).

        Only issues within the scope are counted, and this one is not; of equals it is the first. A search shows new
        assignments only after a while, and two deliveries at the same time count the same.
        """
        ids = _people(people)
        narrowed = query_language.fill("assignee IN ({ids})", {"ids": ids})
        query = f"({query_language.finished(jql, {})}) AND {narrowed}"
        has = Counter(
            str(((hit.get("fields") or {}).get("assignee") or {}).get("accountId"))
            for hit in found(self._caller, query, ("assignee",), None)
            if name_of(issue) not in {hit.get("key"), hit.get("id")}
        )
        return self._assigned(issue, min(ids, key=lambda each: has[each]))

    @does(
        "jira.assign-random",
        "Assign work item to any of some people (random)",
        verbs=("jira.assign",),
        operations=("assignIssue",),
        example={"issue": ISSUE, "people": [SOMEBODY]},
    )
    def assign_random(self, issue: Issue, people: Words) -> dict[str, Any]:
        """Assign an issue to one of a list of account ids, by chance but the same one in every attempt."""
        ids = _people(people)
        drawn = hashlib.sha256(f"{self._caller.delivery} {name_of(issue)}".encode()).digest()
        return self._assigned(issue, ids[int.from_bytes(drawn) % len(ids)])

    @does(
        "jira.watch",
        "Manage watchers",
        operations=("addWatcher",),
        example={"issue": ISSUE, "people": [SOMEBODY]},
    )
    def watch(self, issue: Issue, people: Words) -> dict[str, Any]:
        """Make people, named by their account ids, watchers of an issue."""
        for each in _people(people):
            self._caller.call(add_watcher(issue, each))
        return {}

    @does(
        "jira.unwatch",
        "Manage watchers (remove)",
        verbs=("jira.watch",),
        operations=("removeWatcher",),
        example={"issue": ISSUE, "people": [SOMEBODY]},
    )
    def unwatch(self, issue: Issue, people: Words) -> dict[str, Any]:
        """Take people, named by their account ids, away from an issue's watchers."""
        for each in _people(people):
            self._caller.call(remove_watcher(issue, each))
        return {}

    def _assigned(self, issue: Issue, account_id: str | None) -> dict[str, Any]:
        self._caller.call(assign_issue(issue, account_id))
        return {"accountId": account_id}


def find_users(query: str) -> Request:
    """GET the people whose name or e-mail address begins so (operation findUsers)."""
    asked = {"query": [" ".join(query.split())], "maxResults": [str(MOST_FOUND)]}
    return Request("jira", "GET", "/rest/api/3/user/search", asked, verb="find-user", target=query)


def add_watcher(issue: Issue, account_id: str) -> Request:
    """POST a watcher (operation addWatcher); the whole body is the account id."""
    path = f"/rest/api/3/issue/{segment(issue)}/watchers"
    return Request("jira", "POST", path, body=account_id, verb="watch", target=name_of(issue))


def remove_watcher(issue: Issue, account_id: str) -> Request:
    """DELETE a watcher (operation removeWatcher)."""
    path = f"/rest/api/3/issue/{segment(issue)}/watchers"
    return Request("jira", "DELETE", path, {"accountId": [account_id]}, verb="watch", target=name_of(issue))


def _people(people: Words) -> list[str]:
    ids = words_of(people)
    if not ids:
        raise ValueError("name at least one person by the account id")
    return ids


def _is_called(person: Mapping[str, Any], wanted: str) -> bool:
    names = (str(person.get(member, "")).casefold() for member in ("displayName", "emailAddress", "accountId"))
    return " ".join(wanted.split()).casefold() in names
