"""Jira's JSON: users, issues, comments, changelog entries, transitions and projects as the v3 API shows them.

Members without a value are left out where the API's description allows no null there, so that code which reads the
sandbox's answers cannot rely on a member being present that a live site may lack.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from bridge.sandbox import document, workflow
from bridge.sandbox.answer import Call
from bridge.sandbox.attached import IssueLink, LinkType
from bridge.sandbox.fields import FIELDS, Field, choices
from bridge.sandbox.records import (
    Account,
    Attachment,
    Change,
    Issue,
    IssueComment,
    Named,
    Project,
    ProjectVersion,
    Status,
    Transition,
)

_CATEGORIES = {
    "new": (2, "To Do", "blue-gray"),
    "indeterminate": (4, "In Progress", "yellow"),
    "done": (3, "Done", "green"),
}
_NOT_NAVIGABLE = frozenset({"comment", "attachment"})


def moment(when: datetime) -> str:
    """Jira's timestamp: milliseconds and an offset without a colon."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}+0000"


def user(call: Call, account_id: str) -> dict[str, Any]:
    """A user inside an answer; the address is shown to nobody but its owner, which is what most profiles are set to."""
    account = call.site.accounts[account_id]
    shown = {"self": f"{call.gateway_url}/rest/api/3/user?accountId={quote(account.id)}", "accountId": account.id}
    shown |= {"accountType": account.kind, "displayName": account.name, "timeZone": "Etc/UTC"}
    if account.id == call.account.id and account.email:
        shown["emailAddress"] = account.email
    return {**shown, "active": account.active, "avatarUrls": _avatars(call, account)}


def _avatars(call: Call, account: Account) -> dict[str, str]:
    address = f"{call.site_url}/avatar/{quote(account.id)}"
    return {f"{size}x{size}": f"{address}?size={size}" for size in (16, 24, 32, 48)}


def status(call: Call, shown: Status) -> dict[str, Any]:
    """A status with its category."""
    number, name, color = _CATEGORIES[shown.category]
    category = {"id": number, "key": shown.category, "name": name, "colorName": color}
    category["self"] = f"{call.gateway_url}/rest/api/3/statuscategory/{number}"
    own = {"self": f"{call.gateway_url}/rest/api/3/status/{shown.id}", "id": shown.id, "name": shown.name}
    return {**own, "description": "", "iconUrl": f"{call.site_url}/", "statusCategory": category}


def transition(call: Call, shown: Transition) -> dict[str, Any]:
    """A transition that the workflow offers."""
    target = workflow.status(shown.target)
    flags: dict[str, Any] = {
        "isGlobal": False,
        "isInitial": False,
        "isAvailable": True,
        "isConditional": False,
        "looped": False,
    }
    own: dict[str, Any] = {
        "id": shown.id,
        "name": shown.name,
        "to": status(call, target),
        "hasScreen": target.category == "done",
    }
    return {**own, **flags}


def comment(call: Call, shown: IssueComment, expand: Collection[str] = ()) -> dict[str, Any]:
    """A comment; ``expand`` may name renderedBody and properties."""
    address = f"{call.gateway_url}/rest/api/3/issue/{shown.issue}/comment/{shown.id}"
    made: dict[str, Any] = {"self": address, "id": shown.id, "body": shown.body, "jsdPublic": shown.public}
    made |= {"author": user(call, shown.author), "updateAuthor": user(call, shown.author)}
    made |= {"created": moment(shown.created), "updated": moment(shown.created)}
    if shown.visibility:
        made["visibility"] = shown.visibility
    if "renderedBody" in expand:
        made["renderedBody"] = str(document.html(shown.body))
    if "properties" in expand:
        made["properties"] = [{"key": key, "value": value} for key, value in shown.properties.items()]
    return made


def change(call: Call, shown: Change) -> dict[str, Any]:
    """An entry of the changelog, with the historyMetadata that came with the request."""
    made: dict[str, Any] = {"id": shown.id, "author": user(call, shown.author), "created": moment(shown.created)}
    made["items"] = [{name: value for name, value in item.items() if value is not None} for item in shown.items]
    return made | ({"historyMetadata": shown.metadata} if shown.metadata else {})


def project(call: Call, shown: Project) -> dict[str, Any]:
    """A project as it appears inside an issue."""
    kind = "service_desk" if call.site.desk_of(shown.key) else "software"
    made = {"self": f"{call.gateway_url}/rest/api/3/project/{shown.id}", "id": shown.id, "key": shown.key}
    return {**made, "name": shown.name, "projectTypeKey": kind, "simplified": False}


def whole_project(call: Call, shown: Project) -> dict[str, Any]:
    """A project with lead, components, versions and issue types, as its own resource."""
    made = project(call, shown) | {"lead": user(call, shown.lead), "assigneeType": "UNASSIGNED", "style": "classic"}
    made |= {"description": "", "isPrivate": False, "properties": {}, "roles": {}}
    made["components"] = [_named(call, "component", entry) for entry in shown.components]
    made["versions"] = [version(call, shown, entry) for entry in shown.versions]
    types = [_named(call, "issuetype", entry) for entry in workflow.ISSUE_TYPES]
    made["issueTypes"] = [entry | kind_of(entry["id"]) | {"description": ""} for entry in types]
    return made


def kind_of(issue_type: str) -> dict[str, Any]:
    """Where an issue type stands in the hierarchy."""
    below = issue_type == workflow.SUBTASK
    return {"subtask": below, "hierarchyLevel": -1 if below else 0}


def is_subtask(issue: Issue) -> bool:
    """Whether an issue is the sub-task of another."""
    return issue.fields.get("issuetype") == workflow.SUBTASK and bool(issue.fields.get("parent"))


def version(call: Call, home: Project, shown: ProjectVersion) -> dict[str, Any]:
    """A version of a project, as its own resource; days that were not given are left out."""
    made = _named(call, "version", shown) | {"archived": shown.archived, "released": shown.released}
    made |= {"projectId": int(home.id)} | ({"description": shown.description} if shown.description else {})
    days = {"startDate": shown.start_date, "releaseDate": shown.release_date}
    return made | {name: day for name, day in days.items() if day}


def _named(call: Call, resource: str, entry: Named) -> dict[str, Any]:
    return {"self": f"{call.gateway_url}/rest/api/3/{resource}/{entry.id}", "id": entry.id, "name": entry.name}


def _value(call: Call, field: Field, home: Project, value: Any) -> Any:  # noqa: PLR0911 - one for each kind
    if value is None:
        return [] if field.is_list else None
    match field.kind:
        case "person":
            return user(call, value)
        case "issue":
            parent = call.site.issues[value]
            own = {"id": parent.id, "key": parent.key, "self": f"{call.gateway_url}/rest/api/3/issue/{parent.id}"}
            return own | {"fields": {"summary": parent.fields.get("summary")}}
        case "option":
            chosen = next(entry for entry in choices(field, home) if entry.id == value)
            return {
                "self": f"{call.gateway_url}/rest/api/3/customFieldOption/{value}",
                "value": chosen.name,
                "id": value,
            }
        case "one":
            resource = {"security": "securitylevel"}.get(field.id, field.id)
            told = next(_named(call, resource, entry) for entry in choices(field, home) if entry.id == value)
            return told | (kind_of(value) if field.id == "issuetype" else {})
        case "many":
            resource = "component" if field.id == "components" else "version"
            return [_named(call, resource, entry) for entry in choices(field, home) if entry.id in value]
        case _:
            return value


def link_type(call: Call, shown: LinkType) -> dict[str, Any]:
    """A link type with its two wordings."""
    made = {"self": f"{call.gateway_url}/rest/api/3/issueLinkType/{shown.id}", "id": shown.id, "name": shown.name}
    return {**made, "inward": shown.inward, "outward": shown.outward}


def issue_link(call: Call, shown: IssueLink) -> dict[str, Any]:
    """A link with both its ends: the one that shows the outward wording is ``inwardIssue``."""
    own = {"id": shown.id, "self": f"{call.gateway_url}/rest/api/3/issueLink/{shown.id}"}
    ends = {"inwardIssue": _linked(call, shown.source), "outwardIssue": _linked(call, shown.target)}
    return {**own, "type": link_type(call, shown.type), **ends}


def _linked(call: Call, number: str) -> dict[str, Any]:
    issue = call.site.issues[number]
    own = {"id": issue.id, "key": issue.key, "self": f"{call.gateway_url}/rest/api/3/issue/{issue.id}"}
    fields = {"summary": issue.fields.get("summary"), "status": status(call, workflow.status(issue.status))}
    home = call.site.projects[issue.project]
    kinds = {name: _value(call, FIELDS[name], home, issue.fields.get(name)) for name in ("priority", "issuetype")}
    return {**own, "fields": {**fields, **kinds}}


def _links(call: Call, issue: Issue) -> list[dict[str, Any]]:
    """The links as their issue shows them, each with the other end only, as far as the account can see that."""
    made = []
    for each in call.site.links.values():
        if issue.id in {each.source, each.target}:
            other = each.target if issue.id == each.source else each.source
            if call.site.may(call.account, "browse", call.site.projects[call.site.issues[other].project]):
                shown = issue_link(call, each)
                del shown["inwardIssue" if issue.id == each.source else "outwardIssue"]
                made.append(shown)
    return made


def attachment(call: Call, shown: Attachment) -> dict[str, Any]:
    """A file on an issue."""
    # Live sites give addresses on the site's own host, where a service account's token opens nothing.
    made: dict[str, Any] = {
        "self": f"{call.site_url}/rest/api/3/attachment/{shown.id}",
        "id": shown.id,
        "filename": shown.name,
    }
    made |= {"author": user(call, shown.author), "created": moment(shown.created), "size": shown.size}
    kept = call.site.media.issues.get(shown.id)
    made["mimeType"] = kept.type if kept else "text/plain"
    return {**made, "content": f"{call.site_url}/rest/api/3/attachment/content/{shown.id}"}


def _all_fields(call: Call, shown: Issue) -> dict[str, Any]:
    home = call.site.projects[shown.project]
    made = {name: _value(call, field, home, shown.fields.get(name)) for name, field in FIELDS.items()}
    made |= {"project": project(call, home), "status": status(call, workflow.status(shown.status))}
    made |= {"creator": user(call, shown.creator), "created": moment(shown.created), "updated": moment(shown.updated)}
    comments = [comment(call, each) for each in shown.comments]
    counts: dict[str, Any] = {"maxResults": len(comments), "total": len(comments), "startAt": 0}
    counts["self"] = f"{call.gateway_url}/rest/api/3/issue/{shown.id}/comment"
    made["comment"] = {"comments": comments, **counts}
    made["attachment"] = [attachment(call, each) for each in shown.attachments]
    made["issuelinks"] = _links(call, shown)
    below = (each for each in call.site.issues.values() if is_subtask(each) and each.fields["parent"] == shown.id)
    made["subtasks"] = [_linked(call, each.id) for each in below]
    return made


def _chosen(fields: Mapping[str, Any], asked: Collection[str]) -> dict[str, Any]:
    names = set() if any(not name.startswith("-") for name in asked) else set(fields) - _NOT_NAVIGABLE
    for name in asked:
        if name == "*all":
            names |= set(fields)
        elif name == "*navigable":
            names |= set(fields) - _NOT_NAVIGABLE
        elif name.startswith("-"):
            names.discard(name[1:])
        else:
            names.add(name)
    return {name: value for name, value in fields.items() if name in names}


def issue(
    call: Call, shown: Issue, *, fields: Collection[str], properties: Collection[str], expand: Collection[str]
) -> dict[str, Any]:
    """An issue with the fields asked for (names, ``*all``, ``*navigable``, ``-name``) and some of its properties.

    ``expand`` may name changelog, transitions, names and renderedFields.
    """
    chosen = _chosen(_all_fields(call, shown), fields)
    made: dict[str, Any] = {
        "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations"
    }
    made |= {
        "id": shown.id,
        "self": f"{call.gateway_url}/rest/api/3/issue/{shown.id}",
        "key": shown.key,
        "fields": chosen,
    }
    if properties:
        every = "*all" in properties
        made["properties"] = {key: value for key, value in shown.properties.items() if every or key in properties}
    if "names" in expand:
        made["names"] = {name: FIELDS[name].name if name in FIELDS else name.title() for name in chosen}
    if "renderedFields" in expand:
        documents = {
            name: value for name, value in chosen.items() if name in FIELDS and FIELDS[name].kind == "document"
        }
        made["renderedFields"] = {name: str(document.html(value)) for name, value in documents.items()}
    if "transitions" in expand:
        made["transitions"] = [transition(call, each) for each in workflow.offered(shown)]
    if "changelog" in expand:
        histories = [change(call, each) for each in reversed(shown.changes)]
        made["changelog"] = {
            "startAt": 0,
            "maxResults": len(histories),
            "total": len(histories),
            "histories": histories,
        }
    return made
