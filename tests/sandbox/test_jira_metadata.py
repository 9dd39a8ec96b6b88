"""What the sandbox's Jira tells about itself, its fields and its projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bridge.sandbox.records import Account
    from bridge.sandbox.site import Site
    from tests.sandbox.conftest import Api

V3 = "/rest/api/3"


def _get(jira: Api, path: str, **query: Any) -> Any:
    answer = jira.get(f"{V3}/{path}", **query)
    assert answer.status_code == 200, answer.data
    return answer.json


def test_each_field_is_listed_with_its_kind_and_its_names_in_jql(jira: Api) -> None:
    fields = {field["id"]: field for field in _get(jira, "field")}
    assert fields["components"]["schema"] == {"type": "array", "items": "component", "system": "components"}
    assert fields["components"]["clauseNames"] == ["component"]
    risk = fields["customfield_10011"]
    assert (risk["name"], risk["custom"], risk["clauseNames"]) == ("Risk", True, ["cf[10011]", "Risk"])
    assert risk["schema"]["customId"] == 10011
    assert {"summary", "description", "project", "status", "creator", "comment"} <= set(fields)


def test_an_issue_shows_no_field_that_is_not_listed(jira: Api) -> None:
    listed = {field["id"] for field in _get(jira, "field")}
    assert set(_get(jira, "issue/OPS-1")["fields"]) <= listed


def test_the_screens_say_what_a_field_may_hold(jira: Api) -> None:
    kinds = _get(jira, "issue/createmeta/OPS/issuetypes")
    assert "Incident" in {kind["name"] for kind in kinds["issueTypes"]}
    page = _get(jira, f"issue/createmeta/OPS/issuetypes/{kinds['issueTypes'][0]['id']}", maxResults=200)
    offered = {field["fieldId"]: field for field in page["fields"]}
    assert page["total"] == len(offered)
    assert {name for name, field in offered.items() if field["required"]} == {"summary", "issuetype"}
    assert [each["name"] for each in offered["components"]["allowedValues"]] == ["Mail", "Network", "Storage"]
    assert offered["labels"]["operations"] == ["add", "set", "remove"]
    assert set(_get(jira, "issue/OPS-1/editmeta")["fields"]) == set(offered)


def test_an_account_that_may_only_read_is_offered_no_screen(jira: Api, site: Site) -> None:
    site.grant("ops-bot", {"browse"}, project="OPS")
    assert _get(jira, "issue/OPS-1/editmeta") == {"fields": {}}
    assert jira.get(f"{V3}/issue/createmeta/OPS/issuetypes").status_code == 400


def test_projects_are_listed_as_far_as_the_account_sees_them(jira: Api, site: Site) -> None:
    assert [project["key"] for project in _get(jira, "project")] == ["CHG", "HR", "OPS"]
    site.grant("ops-bot", set(), project="HR")
    assert [project["key"] for project in _get(jira, "project/search")["values"]] == ["CHG", "OPS"]
    assert [project["key"] for project in _get(jira, "project/search", query="oper")["values"]] == ["OPS"]
    assert [project["key"] for project in _get(jira, "project/search", keys="CHG")["values"]] == ["CHG"]
    page = _get(jira, "project/search", maxResults=1)
    assert (page["isLast"], page["total"]) == (False, 2)


def test_a_project_tells_its_versions_components_and_statuses(jira: Api) -> None:
    assert [version["name"] for version in _get(jira, "project/OPS/versions")] == ["2026.11", "2026.12"]
    assert [component["name"] for component in _get(jira, "project/CHG/components")] == ["Network"]
    statuses = {
        kind["name"]: [each["name"] for each in kind["statuses"]] for kind in _get(jira, "project/OPS/statuses")
    }
    assert statuses["Bug"] == ["To Do", "In Progress", "Done"]


@pytest.mark.parametrize("path", ["versions", "components", "statuses"])
def test_a_project_that_cannot_be_seen_tells_nothing(jira: Api, site: Site, path: str) -> None:
    site.grant("ops-bot", set(), project="HR")
    assert jira.get(f"{V3}/project/HR/{path}").status_code == 404


def test_a_user_is_found_by_account_id_only(jira: Api, mia: Account) -> None:
    assert _get(jira, "user", accountId=mia.id)["displayName"] == "Mia Keller"
    assert "emailAddress" not in _get(jira, "user", accountId=mia.id)
    assert _get(jira, "user", accountId=mia.id, expand="groups")["groups"] == {"size": 0, "items": []}
    assert jira.get(f"{V3}/user", username="mia").status_code == 404
