"""Which steps do what an action of Automation does, by component type.

What each ``value`` holds was learned from real exports; where only a part of the values of a member is known
(``assignType``, ``adjustEstimate``), only that part is converted and everything else stays: nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bridge.migrate import actions_project, fields
from bridge.migrate.conversion import Converter, Stays, Step, Work, parts

NOTHING = "{{ none }}"


def _transition(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    wanted = value.get("destinationStatus")
    kind, named = parts(wanted)
    match = str(value.get("transitionMatch") or "").strip()
    if match:
        work.note(
            f"it picks among several transitions by a text, which is taken for the transition's whole name: {match}"
        )
        to = work.text(match)
    elif kind == "COPY" and named == "trigger":
        to = work.values.text("{{triggerIssue.status.name}}")
    else:
        to = work.named(wanted)
    changed = fields.changes(value, work)
    fields.only_set(changed, "a transition")
    _described(changed, work)
    arguments: dict[str, Any] = {"issue": work.issue, "to": to}
    if changed.set:
        arguments["fields"] = changed.set
    return [Step("jira.transition", arguments)]


def _edit(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    changed = fields.changes(value, work)
    _described(changed, work)
    arguments: dict[str, Any] = {"issue": work.issue}
    for name in ("set", "add", "remove", "clear"):
        if given := getattr(changed, name):
            arguments[name] = given
    if value.get("sendNotifications") is False:
        work.note("it sent no mails, and as an edit by the service account it does, as all of Jira's edits")
    steps = [Step("jira.edit", arguments)] if len(arguments) > 1 else []
    steps += _links(changed.links, work.issue)
    if not steps:
        raise Stays("it changes nothing")
    return steps


def _create(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    changed = fields.changes(value, work)
    fields.only_set(changed, "what creates a work item")
    project, kind, summary = (changed.take(name) for name in ("project", "issuetype", "summary"))
    if not project or not kind or not summary:
        raise Stays("it names no project, issue type or summary")
    arguments: dict[str, Any] = {"project": project, "issue_type": kind, "summary": summary}
    parent = changed.take("parent")
    if changed.description:
        arguments["description"] = work.markdown(changed.description)
    if parent is not None:
        arguments["parent"] = parent
    if changed.set:
        arguments["fields"] = changed.set
    name = work.created()
    return [Step("jira.create", arguments, id=name), *_links(changed.links, "{{ " + name + ".key }}")]


def _clone(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    changed = fields.changes(value, work)
    # A field that is emptied in the clone is set to nothing there; it would be copied otherwise.
    changed.set |= dict.fromkeys(changed.clear, NOTHING)
    changed.clear = []
    _described(changed, work)
    fields.only_set(changed, "what creates a work item")
    project, kind, summary = (changed.take(name) for name in ("project", "issuetype", "summary"))
    if kind and kind.isdigit():
        raise Stays(f"its issue type is known by its number only: give --issue-type {kind}=NAME")
    arguments: dict[str, Any] = {"issue": work.issue, "link": NOTHING}
    if project:
        arguments["project"] = project
    if kind:
        arguments["issue_type"] = kind
    if summary:
        arguments["summary"] = summary
    if changed.set:
        arguments["fields"] = changed.set
    name = work.created()
    return [Step("jira.clone", arguments, id=name), *_links(changed.links, "{{ " + name + ".key }}")]


def _described(changed: fields.Changes, work: Work) -> None:
    """Put the description among the fields, where it is plain text."""
    if changed.description is not None:
        changed.set["description"] = work.text(changed.description)
        work.note(fields.PLAIN)


def _links(links: Sequence[tuple[str, str]], issue: str) -> list[Step]:
    return [Step("jira.link", {"issue": issue, "link": link, "to": other}) for link, other in links]


def _subtasks(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    listed = value.get("subtasks")
    if not isinstance(listed, list) or not listed or not all(isinstance(each, Mapping) for each in listed):
        raise Stays("the sub-tasks that it creates cannot be read")
    return [
        Step("jira.create-subtasks", {"issue": work.issue, "summaries": [work.text(each.get("summary"))]})
        for each in listed
    ]


def _comment(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    body = work.markdown(value.get("comment"))
    public, once = value.get("publicComment") is True, value.get("addCommentOnce") is True
    if public or work.service_desk:
        if once:
            raise Stays("it comments once only, on a request, which no step can do")
        return [Step("jira.comment-on-request", {"issue": work.issue, "body": body, "public": public})]
    if value.get("publicComment") is False:
        work.note("in a service project it was internal and would be public: give --service-project KEY if so")
    arguments: dict[str, Any] = {"issue": work.issue, "body": body}
    arguments |= _visibility(value.get("commentVisibility"), work)
    if once:
        arguments["once"] = True
    if value.get("sendNotifications") is False:
        work.note("it sent no mails, and Jira's API has no comment without")
    return [Step("jira.comment", arguments)]


def _visibility(visibility: Any, work: Work) -> dict[str, str]:
    if not visibility:
        return {}
    kind = str(visibility.get("type", "")).lower() if isinstance(visibility, Mapping) else ""
    if kind not in {"role", "group"}:
        raise Stays("who may see its comment is said in a way that is not known")
    return {kind: work.text(visibility.get("value"))}


def _which_comment(value: Mapping[str, Any], work: Work) -> dict[str, str]:
    kind, named = parts(value.get("commentId"))
    if kind == "REFERENCE":
        if named != "LAST_COMMENT":
            raise Stays("it names a comment in a way that is not known")
        return {}
    return {"comment": work.named(value.get("commentId"))}


def _edit_comment(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    body = work.markdown(value.get("comment"))
    return [Step("jira.edit-comment", {"issue": work.issue, "body": body, **_which_comment(value, work)})]


def _delete_comment(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    return [Step("jira.delete-comment", {"issue": work.issue, **_which_comment(value, work)})]


def _assign(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    how = str(value.get("assignType") or "SPECIFY_USER")
    kind, named = parts(value.get("assignee"))
    if how in {"UNASSIGNED", "UNASSIGN"} or kind == "CLEAR":
        return [Step("jira.unassign", {"issue": work.issue})]
    if how == "AUTOMATIC":
        return [Step("jira.assign-default", {"issue": work.issue})]
    if how != "SPECIFY_USER":
        raise Stays(f"how it chooses a person ({how}) is not known")
    if kind == "COPY":
        work.note(f"the person is read from the field {named} of the work item when the rule runs")
        return [Step("jira.assign-from", {"issue": work.issue, "field": named})]
    ending = named.removesuffix("}}").strip().rpartition(".")[2]
    if kind == "SMART" and ending in {"emailAddress", "displayName"}:
        return [Step("jira.assign-person", {"issue": work.issue, "person": work.text(named)})]
    return [Step("jira.assign", {"issue": work.issue, "account_id": work.person(value.get("assignee"))})]


def _link(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    kind = value.get("linkType")
    if not isinstance(kind, str):
        raise Stays("it makes a link in a way that is not known")
    return [Step("jira.link", {"issue": work.issue, "link": kind, "to": work.issue_of(value.get("issue"))})]


def _unlink(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    kinds = value.get("linkTypes")
    if not isinstance(kinds, list) or not kinds or not all(isinstance(each, str) for each in kinds):
        raise Stays("which links it deletes cannot be read")
    return [Step("jira.unlink", {"issue": work.issue, "link": list(kinds)})]


def _delete(_value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    work.note("a work item with sub-tasks is not deleted unless subtasks = true is added to the step")
    return [Step("jira.delete", {"issue": work.issue})]


def _watchers(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    if value.get("removeAll") is True:
        raise Stays("it removes all watchers, whoever they are")
    steps = []
    for verb, member in (("jira.watch", "watchers"), ("jira.unwatch", "removeWatchers")):
        people = value.get(member) or []
        if people:
            steps.append(Step(verb, {"issue": work.issue, "people": [work.person(each) for each in people]}))
    if not steps:
        raise Stays("it names nobody")
    return steps


def _log_work(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    if value.get("adjustEstimate") not in {None, "ADJUST_AUTOMATICALLY"}:
        raise Stays(f"how it changes the estimate ({value.get('adjustEstimate')}) is not known")
    if value.get("visibility"):
        raise Stays("it limits who sees the work log")
    arguments: dict[str, Any] = {"issue": work.issue, "time_spent": work.text(value.get("timeSpent"))}
    if value.get("description"):
        arguments["comment"] = work.markdown(value["description"])
    if value.get("dateStarted"):
        started = work.named(value["dateStarted"])
        if started != work.values.text("{{now}}"):
            arguments["started"] = started
    return [Step("jira.log-work", arguments)]


def _web_link(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    arguments = {"issue": work.issue, "url": work.text(value.get("url"))}
    if value.get("title"):
        arguments["title"] = work.text(value["title"])
    return [Step("jira.web-link", arguments)]


def _delete_attachments(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    if value.get("matches", "matches") != "matches" or not value.get("regex"):
        raise Stays("which attachments it deletes is said in a way that is not known")
    return [Step("jira.delete-attachments", {"issue": work.issue, "regex": work.text(value["regex"])})]


def _property(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    key, given = work.text(value.get("key")), value.get("value")
    said = work.text(given) if isinstance(given, str) else given
    if value.get("entity"):
        raise Stays("it sets a property of something other than the present work item")
    if value.get("entityType") == "ISSUE":
        return [Step("jira.set-property", {"issue": work.issue, "key": key, "value": said})]
    if value.get("entityType") == "PROJECT":
        project = work.values.text("{{issue.project.key}}")
        return [Step("jira.set-project-property", {"project": project, "key": key, "value": said})]
    raise Stays("it sets a property of something that is no work item and no project")


def _security(value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    return [Step("jira.set-security", {"issue": work.issue, "level": work.named(value.get("securityLevel"))})]


CONVERTERS: Mapping[str, Converter] = MappingProxyType(
    {
        "jira.issue.transition": _transition,
        "jira.issue.edit": _edit,
        "jira.issue.create": _create,
        "jira.issue.clone": _clone,
        "jira.issue.create.subtasks": _subtasks,
        "jira.issue.comment": _comment,
        "jira.issue.comment.update": _edit_comment,
        "jira.issue.delete.comment": _delete_comment,
        "jira.issue.assign": _assign,
        "jira.issue.link": _link,
        "jira.issue.delete.link": _unlink,
        "jira.issue.delete": _delete,
        "jira.issue.add.watcher": _watchers,
        "jira.worklog.add": _log_work,
        "jira.work-item.remote-link.add": _web_link,
        "jira.issue.deleteattachment": _delete_attachments,
        "jira.set.entity.property": _property,
        "jira.issue.set.security.level": _security,
        **actions_project.CONVERTERS,
    }
)
CREATING = frozenset({"jira.issue.create", "jira.issue.clone", "jira.sd.create.request", "jira.issue.create.subtasks"})
