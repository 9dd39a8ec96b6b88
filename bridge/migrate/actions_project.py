"""Which steps do what actions on versions, boards, sprints and requests do, by component type; see ``actions.py``."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.migrate import fields
from bridge.migrate.conversion import Converter, Stays, Step, Work

_HERE = {"type": "COPY", "value": "current"}


def _move(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    verb = {"BOARD": "jira.move-to-board", "BACKLOG": "jira.move-to-backlog"}.get(str(value.get("moveTarget")))
    if verb is None:
        raise Stays("where it moves the work item to is not known")
    return [Step(verb, {"issue": work.issue, "board": work.text(value.get("boardId"))})]


def _sprint(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    arguments = {"board": work.text(value.get("boardId")), "name": work.text(value.get("sprintName"))}
    for name, member in (("start", "startDate"), ("end", "endDate")):
        if value.get(member):
            arguments[name] = work.named(value[member])
    if value.get("sprintGoal"):
        arguments["goal"] = work.text(value["sprintGoal"])
    return [Step("jira.create-sprint", arguments)]


def _version(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    arguments = {"project": work.project(value.get("project") or _HERE), "name": work.text(value.get("versionName"))}
    for name, member in (("start_date", "startDate"), ("release_date", "releaseDate")):
        if value.get(member):
            arguments[name] = work.named(value[member])
    if value.get("description"):
        arguments["description"] = work.text(value["description"])
    return [Step("jira.create-version", arguments)]


def _release(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    arguments = {"project": work.project(value.get("project") or _HERE), "version": work.text(value.get("versionName"))}
    if value.get("releaseDate"):
        arguments["release_date"] = work.named(value["releaseDate"])
    if value.get("overrideReleaseDate") not in {None, "SET_ON_EMPTY"}:
        work.note("when it changed a release date that was there is not known: look at release_date")
    return [Step("jira.release-version", arguments)]


def _unrelease(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    project, version = work.project(value.get("project") or _HERE), work.text(value.get("versionName"))
    return [Step("jira.unrelease-version", {"project": project, "version": version})]


def _approve(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    verb = {"Approve": "jira.approve", "Decline": "jira.decline"}.get(str(value.get("approveAction")))
    if verb is None:
        raise Stays("whether it approves or declines is not known")
    work.note("Automation may approve without being asked to; the service account must be an approver")
    return [Step(verb, {"issue": work.issue})]


def _request(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    changed = fields.changes(value, work)
    fields.only_set(changed, "what creates a request")
    desk, kind = work.named(value.get("serviceDesk")), work.named(value.get("requestType"))
    for name in ("project", "issuetype"):
        changed.take(name)
    summary = changed.take("summary")
    if summary is None:
        raise Stays("it names no summary")
    arguments: dict[str, Any] = {"service_desk": desk, "request_type": kind, "summary": summary}
    if changed.description:
        arguments["description"] = work.markdown(changed.description)
    if changed.set:
        arguments["fields"] = changed.set
    return [Step("jira.create-request", arguments, id=work.created())]


CONVERTERS: Mapping[str, Converter] = {
    "jira.board.issue.move": _move,
    "jira.sprint.create": _sprint,
    "jira.version.create": _version,
    "jira.version.release": _release,
    "jira.version.unrelease": _unrelease,
    "jira.auto.approve.action": _approve,
    "jira.sd.create.request": _request,
}
