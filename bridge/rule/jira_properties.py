"""Entity properties of work items, projects and people: set, read and delete them, and the request each one builds.

They hold any JSON of up to 32,768 characters, and no screen shows them:
https://developer.atlassian.com/cloud/jira/platform/jira-entity-properties/.
"""

from typing import Any

from bridge.rule.method import does
from bridge.rule.request import Caller, Issue, Request, name_of, object_of, segment

ISSUE = "{{ issue.key }}"
PROJECT = "<project>"

TURN = "bridge.turn."


class Properties:
    """The part of ``context.jira`` that works on entity properties."""

    _caller: Caller

    @does(
        "jira.set-property",
        "Set entity property",
        operations=("setIssueProperty",),
        example={"issue": ISSUE, "key": "seen", "value": {"by": "the bridge"}},
    )
    def set_property(self, issue: Issue, key: str, value: Any) -> dict[str, Any]:
        """Set an issue's property to any JSON value but null."""
        self._caller.call(put_property(_of_issue(issue), key, value, "set-property", name_of(issue)))
        return {"key": key}

    @does(
        "jira.read-property",
        "Read entity property",
        verbs=("jira.read",),
        operations=("getIssuePropertyKeys", "getIssueProperty"),
        example={"issue": ISSUE, "key": "seen"},
    )
    def issue_property(self, issue: Issue, key: str) -> Any:
        """Read an issue's property; None when it has none of that key."""
        return read_property(self._caller, _of_issue(issue), key, "read", name_of(issue))

    @does(
        "jira.delete-property",
        "Delete entity property",
        operations=("deleteIssueProperty",),
        example={"issue": ISSUE, "key": "seen"},
    )
    def delete_property(self, issue: Issue, key: str) -> dict[str, Any]:
        """Delete an issue's property."""
        path = f"{_of_issue(issue)}/{segment(key)}"
        self._caller.call(Request("jira", "DELETE", path, verb="delete-property", target=name_of(issue)))
        return {}

    @does(
        "jira.set-project-property",
        "Set entity property of a project",
        operations=("setProjectProperty",),
        example={"project": PROJECT, "key": "seen", "value": True},
    )
    def set_project_property(self, project: str, key: str, value: Any) -> dict[str, Any]:
        """Set a project's property to any JSON value but null; the account must administer the project."""
        self._caller.call(put_property(_of_project(project), key, value, "set-project-property", project))
        return {"key": key}

    @does(
        "jira.read-project-property",
        "Read entity property of a project",
        verbs=("jira.set-project-property",),
        operations=("getProjectPropertyKeys", "getProjectProperty"),
        example={"project": PROJECT, "key": "seen"},
    )
    def project_property(self, project: str, key: str) -> Any:
        """Read a project's property; None when it has none of that key."""
        return read_property(self._caller, _of_project(project), key, "set-project-property", project)

    @does(
        "jira.delete-project-property",
        "Delete entity property of a project",
        operations=("deleteProjectProperty",),
        example={"project": PROJECT, "key": "seen"},
    )
    def delete_project_property(self, project: str, key: str) -> dict[str, Any]:
        """Delete a project's property; the account must administer the project."""
        path = f"{_of_project(project)}/{segment(key)}"
        self._caller.call(Request("jira", "DELETE", path, verb="delete-project-property", target=project))
        return {}

    @does(
        "jira.set-user-property",
        "Set entity property of a person",
        operations=("setUserProperty",),
        example={"person": "{{ initiator }}", "key": "seen", "value": True},
    )
    def set_user_property(self, person: str, key: str, value: Any) -> dict[str, Any]:
        """Set a person's property, named by the account id; Jira wants an administrator for anybody but oneself."""
        request = put_property("/rest/api/3/user/properties", key, value, "set-user-property", person, person=person)
        self._caller.call(request)
        return {"key": key}


def put_property(place: str, key: str, value: Any, verb: str, target: str, *, person: str | None = None) -> Request:
    """PUT a property; the whole body is its value. Raises ``ValueError`` for null, which is no value to Jira."""
    if value is None:
        raise ValueError("a property holds a value; delete it to have none")
    query = {} if person is None else {"accountId": [person]}
    return Request("jira", "PUT", f"{place}/{segment(key)}", query, value, verb=verb, target=target)


def read_property(caller: Caller, place: str, key: str, verb: str, target: str) -> Any:
    """Return a property's value, or None; the keys are read first, since what is not there would count as a failure."""
    known = object_of(caller.call(Request("jira", "GET", place, verb=verb, target=target))).get("keys") or []
    if all(each.get("key") != key for each in known):
        return None
    answer = caller.call(Request("jira", "GET", f"{place}/{segment(key)}", verb=verb, target=target))
    return object_of(answer).get("value")


def keep_turn(caller: Caller, project: str, name: str) -> int:
    """Return whose turn it is, counted from 0, and keep that the next one's is next."""
    place, key, verb = _of_project(project), TURN + name, "set-project-property"
    kept = read_property(caller, place, key, verb, project)
    number = kept.get("next") if isinstance(kept, dict) else None
    turn = number if isinstance(number, int) and not isinstance(number, bool) else 0
    caller.call(put_property(place, key, {"next": turn + 1}, verb, project))
    return turn


def _of_issue(issue: Issue) -> str:
    return f"/rest/api/3/issue/{segment(issue)}/properties"


def _of_project(project: str) -> str:
    return f"/rest/api/3/project/{segment(project)}/properties"
