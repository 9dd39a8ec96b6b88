"""Versions of a project: find, create, release and unrelease them, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-project-versions/.
"""

from datetime import date, datetime
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.method import does
from bridge.rule.request import STAND_IN, Caller, Request, object_of, segment

NOT_FOUND = 404
PROJECT = "<project>"


class Versions:
    """The part of ``context.jira`` that works on a project's versions."""

    _caller: Caller

    @does("jira.find-version", "Find versions", operations=("getProjectVersions",), example={"project": PROJECT})
    def versions(self, project: str) -> list[dict[str, Any]]:
        """Read the versions of a project, named by its key, in the project's order."""
        return _versions(self._caller, project, "find-version")

    @does(
        "jira.create-version",
        "Create version",
        operations=("getProject", "createVersion"),
        example={"project": PROJECT, "name": "2027.01", "release_date": "2027-01-29"},
    )
    def create_version(
        self,
        project: str,
        name: str,
        description: str | None = None,
        *,
        start_date: str | None = None,
        release_date: str | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Make a version in a project, named by its key; days are written ``2027-01-29``.

        Raises ``ActionFailed`` (400) when the project has a version of that name. In observe mode the new version's id
        is ``0``.
        """
        found = object_of(self._caller.call(read_project(project)))
        days = {"startDate": start_date, "releaseDate": release_date}
        request = add_version(project, found.get("id", STAND_IN), name, description, days, step=step)
        return object_of(self._caller.call(request), {"id": STAND_IN, "name": name})

    @does(
        "jira.release-version",
        "Release version",
        operations=("getProjectVersions", "updateVersion"),
        example={"project": PROJECT, "version": "2026.11"},
    )
    def release_version(
        self, project: str, version: str, release_date: str | None = None, *, step: str | None = None
    ) -> dict[str, Any]:
        """Release a version of a project, by its name or id; without a day it keeps the release date it has.

        Raises ``ActionFailed`` (404) when the project has no such version.
        """
        return self._released(project, version, release_date, step, released=True)

    @does(
        "jira.unrelease-version",
        "Unrelease version",
        verbs=("jira.release-version",),
        operations=("getProjectVersions", "updateVersion"),
        example={"project": PROJECT, "version": "2026.11"},
    )
    def unrelease_version(self, project: str, version: str, *, step: str | None = None) -> dict[str, Any]:
        """Take the release of a version back; the version is found by its name or id."""
        return self._released(project, version, None, step, released=False)

    def _released(
        self, project: str, version: str, day: str | None, step: str | None, *, released: bool
    ) -> dict[str, Any]:
        found = _find(self._caller, project, version)
        request = update_version(found, version, {"releaseDate": day}, released=released, step=step)
        return object_of(self._caller.call(request), {"id": found, "released": released})


def _versions(caller: Caller, project: str, verb: str) -> list[dict[str, Any]]:
    answer = caller.call(list_versions(project, verb))
    return [each for each in answer.body if isinstance(each, dict)] if isinstance(answer.body, list) else []


def _find(caller: Caller, project: str, version: str) -> str:
    """Return the id of a version; observe mode did not make the one that is called ``0``, so nobody is asked."""
    if version == STAND_IN:
        return version
    there = _versions(caller, project, "release-version")
    wanted = version.strip().casefold()
    named = [each for each in there if str(each.get("name", "")).strip().casefold() == wanted]
    chosen = next(iter(named + [each for each in there if str(each.get("id")) == version]), None)
    if chosen is None:
        raise ActionFailed("release-version", version, NOT_FOUND, f"{project} has no version {version!r}")
    return str(chosen["id"])


def list_versions(project: str, verb: str = "find-version") -> Request:
    """GET all versions of a project at once (operation getProjectVersions)."""
    return Request("jira", "GET", f"/rest/api/3/project/{segment(project)}/versions", verb=verb, target=project)


def read_project(project: str) -> Request:
    """GET a project, for a version is made under its id (operation getProject)."""
    return Request("jira", "GET", f"/rest/api/3/project/{segment(project)}", verb="create-version", target=project)


def add_version(
    project: str,
    project_id: str,
    name: str,
    description: str | None = None,
    days: dict[str, str | None] | None = None,
    *,
    step: str | None = None,
) -> Request:
    """POST a new version (operation createVersion); raise ``ValueError`` for a day that is none."""
    body: dict[str, Any] = {"name": " ".join(name.split()), "projectId": int(project_id), **_days(days or {})}
    if description is not None:
        body["description"] = description
    return Request("jira", "POST", "/rest/api/3/version", body=body, label=step, verb="create-version", target=project)


def update_version(
    number: str,
    version: str,
    days: dict[str, str | None] | None = None,
    *,
    released: bool,
    step: str | None = None,
) -> Request:
    """PUT whether a version is released (operation updateVersion); what is not named stays as it is."""
    body = {"released": released, **_days(days or {})}
    path = f"/rest/api/3/version/{segment(number)}"
    return Request("jira", "PUT", path, body=body, label=step, verb="release-version", target=version)


def _days(given: dict[str, str | None]) -> dict[str, str]:
    return {name: _day(name, value) for name, value in given.items() if value is not None}


def _day(name: str, value: str) -> str:
    """Write a day as Jira takes it; a time of day, as payloads have it, is left out."""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        try:
            return datetime.fromisoformat(value).date().isoformat()
        except ValueError:
            raise ValueError(f"{name} must be a day such as 2027-01-29, and it is {value!r}") from None
