"""Versions of a project: created, released, released no more, and found again when their fate is unknown."""

from typing import Any

import pytest

from bridge.sandbox.records import ProjectVersion

OPS = {"OPS": ["find-version", "create-version", "release-version"]}


def _version(verbs: Any, name: str, project: str = "OPS") -> Any:
    return next(each for each in verbs.site.projects[project].versions if each.name == name)


def _count(verbs: Any, name: str) -> int:
    return sum(each.name == name for each in verbs.site.projects["OPS"].versions)


def test_the_versions_of_a_project_are_read(verbs: Any) -> None:
    report = verbs.do("[v['name'] for v in context.jira.versions('OPS')]", jira=OPS)
    assert report.result == ["2026.11", "2026.12"]
    assert report.lines == ("step:read #1 jira.find-version OPS read by ops-bot status=200",)


def test_a_version_is_made_in_the_project_of_that_key(verbs: Any) -> None:
    call = "context.jira.create_version('OPS', '2027.01', 'Winter', release_date='2027-01-29T10:00:00Z')"
    report = verbs.do(call, jira=OPS)
    assert report.state == "done", report.reason
    made = _version(verbs, "2027.01")
    assert (made.description, made.release_date, made.start_date) == ("Winter", "2027-01-29", None)
    assert report.lines == (
        "step:read #1 jira.create-version OPS read by ops-bot status=200",
        "step:intent #2 jira.create-version OPS by ops-bot",
        f"step:outcome #2 jira.create-version OPS done by ops-bot ref={made.id} status=201",
    )


def test_a_name_that_is_taken_is_the_sites_refusal(verbs: Any) -> None:
    report = verbs.do("context.jira.create_version('OPS', '2026.11')", jira=OPS)
    assert report.state == "dead"
    assert "A version with this name already exists" in str(report.reason)


@pytest.mark.parametrize("named", ["'2026.11'", "' 2026.11'", "'10013'"])
def test_a_version_is_released_by_its_name_or_id(verbs: Any, named: str) -> None:
    report = verbs.do(f"context.jira.release_version('OPS', {named}, '2026-11-30')", jira=OPS)
    assert report.state == "done", report.reason
    assert (_version(verbs, "2026.11").released, _version(verbs, "2026.11").release_date) == (True, "2026-11-30")
    assert report.lines[1:] == (
        "step:intent #2 jira.release-version 10013 by ops-bot",
        "step:outcome #2 jira.release-version 10013 done by ops-bot ref=10013 status=200",
    )


def test_a_release_is_taken_back_and_keeps_its_day(verbs: Any) -> None:
    verbs.do("context.jira.release_version('OPS', '2026.11', '2026-11-30')", jira=OPS)
    report = verbs.do("context.jira.unrelease_version('OPS', '2026.11')", jira=OPS)
    assert report.state == "done", report.reason
    assert (_version(verbs, "2026.11").released, _version(verbs, "2026.11").release_date) == (False, "2026-11-30")


def test_a_version_that_is_not_there_is_said_to_be_missing(verbs: Any) -> None:
    report = verbs.do("context.jira.release_version('OPS', '2031')", jira=OPS)
    assert report.state == "dead"
    assert "OPS has no version '2031'" in str(report.reason)


def test_a_day_that_is_none_is_the_rules_mistake(verbs: Any) -> None:
    step = """
    [[step]]
    verb = "jira.release-version"
    project = "OPS"
    version = "2026.11"
    release_date = "soon"
    """
    verbs.write(jira=OPS, steps=step)
    report = verbs.send()
    assert report.state == "dead"
    assert "must be a day such as 2027-01-29" in str(report.reason)


@pytest.mark.parametrize(
    "call",
    [
        "context.jira.versions('CHG')",
        "context.jira.create_version('CHG', '1')",
        "context.jira.request('PUT', '/rest/api/3/version/10099', body={'released': True})",
        "context.jira.request('POST', '/rest/api/3/version', body={'name': '1', 'projectId': 10001})",
    ],
)
def test_versions_of_a_project_outside_the_scope_are_left_alone(verbs: Any, call: str) -> None:
    verbs.site.projects["CHG"].versions.append(ProjectVersion("10099", "1.0"))
    report = verbs.do(call, jira=OPS)
    assert report.state == "dead"
    assert "in CHG, where" in str(report.reason)
    assert [each.released for each in verbs.site.projects["CHG"].versions] == [False]


@pytest.mark.parametrize("member", ["archived", "name", "moveUnfixedIssuesTo", "driver"])
def test_a_release_carries_nothing_else_along(verbs: Any, member: str) -> None:
    body = {"released": True, member: "x"}
    report = verbs.do(f"context.jira.request('PUT', '/rest/api/3/version/10013', body={body!r})", jira=OPS)
    assert f"{member} does not belong in jira.release-version" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_version_of_unknown_fate_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=OPS, handle="context.jira.create_version('OPS', '2027.01', 'January')")
    report = verbs.doubt("createVersion", fault)
    assert (report.state, _count(verbs, "2027.01")) == ("done", 1), report.reason


def test_a_version_of_that_name_but_with_another_description_waits_for_a_person(verbs: Any) -> None:
    verbs.write(jira=OPS, handle="context.jira.create_version('OPS', '2026.12', 'Mine')")
    report = verbs.doubt("createVersion", "reset-before")
    assert report.state == "parked"
    assert "with another description or other dates" in str(report.reason)


def test_a_version_that_another_step_made_is_not_taken_for_this_ones(verbs: Any) -> None:
    handle = "context.jira.create_version('OPS', '2027.01')"
    verbs.do(handle, jira=OPS)
    verbs.write(jira=OPS, handle=handle)
    report = verbs.doubt("createVersion", "reset-before")
    assert report.state == "dead", "the name is taken, and the site says so"
    assert _count(verbs, "2027.01") == 1


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_release_of_unknown_fate_is_made_again(verbs: Any, fault: str) -> None:
    verbs.write(jira=OPS, handle="context.jira.release_version('OPS', '2026.11')")
    assert verbs.doubt("updateVersion", fault).state == "done"
    assert _version(verbs, "2026.11").released


def test_a_rule_that_observes_releases_the_version_it_did_not_make(verbs: Any) -> None:
    verbs.write(
        jira=OPS,
        more='mode = "observe"\n',
        steps="""
        [[step]]
        id = "made"
        verb = "jira.create-version"
        project = "OPS"
        name = "2027.01"
        [[step]]
        verb = "jira.release-version"
        project = "OPS"
        version = "{{ made.id }}"
        """,
    )
    report = verbs.send()
    assert report.state == "done", report.reason
    assert report.lines[1:] == (
        "step:observed #2 jira.create-version OPS observed by ops-bot",
        "step:observed #3 jira.release-version 0 observed by ops-bot",
    )
    assert _count(verbs, "2027.01") == 0
