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
from bridge.sandbox.fields import FIELDS, Field, choices
from bridge.sandbox.records import Account, Attachment, Change, Issue, IssueComment, Named, Project, Status, Transition

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
    made: dict[str, Any] = {"self": address, "id": shown.id, "body": shown.body, "jsdPublic": True}
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
    made = {"self": f"{call.gateway_url}/rest/api/3/project/{shown.id}", "id": shown.id, "key": shown.key}
    return {**made, "name": shown.name, "projectTypeKey": "software", "simplified": False}


def whole_project(call: Call, shown: Project) -> dict[str, Any]:
    """A project with lead, components, versions and issue types, as its own resource."""
    made = project(call, shown) | {"lead": user(call, shown.lead), "assigneeType": "UNASSIGNED", "style": "classic"}
    made |= {"description": "", "isPrivate": False, "properties": {}, "roles": {}}
    made["components"] = [_named(call, "component", entry) for entry in shown.components]
    versions = [_named(call, "version", entry) for entry in shown.versions]
    made["versions"] = [
        entry | {"archived": False, "released": False, "projectId": int(shown.id)} for entry in versions
    ]
    types = [_named(call, "issuetype", entry) for entry in workflow.ISSUE_TYPES]
    made["issueTypes"] = [entry | {"subtask": False, "hierarchyLevel": 0, "description": ""} for entry in types]
    return made


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
            return next(_named(call, field.id, entry) for entry in choices(field, home) if entry.id == value)
        case "many":
            resource = "component" if field.id == "components" else "version"
            return [_named(call, resource, entry) for entry in choices(field, home) if entry.id in value]
        case _:
            return value


def _attachment(call: Call, shown: Attachment) -> dict[str, Any]:
    # Live sites give addresses on the site's own host, where a service account's token opens nothing.
    made: dict[str, Any] = {
        "self": f"{call.site_url}/rest/api/3/attachment/{shown.id}",
        "id": shown.id,
        "filename": shown.name,
    }
    made |= {"author": user(call, shown.author), "created": moment(shown.created), "size": shown.size}
    return {**made, "mimeType": "text/plain", "content": f"{call.site_url}/rest/api/3/attachment/content/{shown.id}"}


def _all_fields(call: Call, shown: Issue) -> dict[str, Any]:
    home = call.site.projects[shown.project]
    made = {name: _value(call, field, home, shown.fields.get(name)) for name, field in FIELDS.items()}
    made |= {"project": project(call, home), "status": status(call, workflow.status(shown.status))}
    made |= {"creator": user(call, shown.creator), "created": moment(shown.created), "updated": moment(shown.updated)}
    comments = [comment(call, each) for each in shown.comments]
    counts: dict[str, Any] = {"maxResults": len(comments), "total": len(comments), "startAt": 0}
    counts["self"] = f"{call.gateway_url}/rest/api/3/issue/{shown.id}/comment"
    made["comment"] = {"comments": comments, **counts}
    made["attachment"] = [_attachment(call, each) for each in shown.attachments]
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
