"""Confluence's operations on who may do what, one function per operationId: restrictions of pages, roles in spaces."""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox import confluence_v1_shapes as v1_shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused, cursor_page
from bridge.sandbox.confluence import content, given_id, visible_space
from bridge.sandbox.page_facts import SPACE_ROLES, Restriction, SpaceRole
from bridge.sandbox.records import Page

_OPERATIONS = ("read", "update")
_PRINCIPALS = frozenset({"USER", "GROUP"})


def get_restrictions(call: Call) -> Answer:
    """GET /wiki/rest/api/content/{id}/restriction: users and groups only where they are expanded."""
    return _shown(call, content(call, call.params["id"]), set(call.listed("expand")))


def _shown(call: Call, page: Page, expand: set[str]) -> Answer:
    results = []
    for operation in _OPERATIONS:
        named = page.restrictions.get(operation, Restriction())
        restrictions: dict[str, Any] = {"_expandable": {}}
        if {"restrictions.user", f"{operation}.restrictions.user"} & expand:
            users = [v1_shapes.user(call, call.site.accounts[each]) for each in named.users]
            restrictions["user"] = {"results": users, "start": 0, "limit": 200, "size": len(users)}
        if {"restrictions.group", f"{operation}.restrictions.group"} & expand:
            groups = [{"type": "group", "name": call.site.groups[each].name, "id": each} for each in named.groups]
            restrictions["group"] = {"results": groups, "start": 0, "limit": 200, "size": len(groups)}
        links = {"self": f"{call.gateway_url}{call.path}/byOperation/{operation}"}
        results.append(
            {"operation": operation, "restrictions": restrictions, "_expandable": {"content": ""}, "_links": links}
        )
    made: dict[str, Any] = {"results": results, "start": 0, "limit": 200, "size": len(results)}
    return Answer(200, made | {"restrictionsHash": "", "_links": {"base": f"{call.site_url}/wiki", "context": "/wiki"}})


def add_restrictions(call: Call) -> Answer:
    """POST /wiki/rest/api/content/{id}/restriction: adds to those that are there."""
    page = content(call, call.params["id"], "restrict")
    for operation, named in _given(call).items():
        kept = page.restrictions.setdefault(operation, Restriction())
        kept.users += [each for each in named.users if each not in kept.users]
        kept.groups += [each for each in named.groups if each not in kept.groups]
    return _shown(call, page, {"restrictions.user", "restrictions.group"})


def update_restrictions(call: Call) -> Answer:
    """PUT /wiki/rest/api/content/{id}/restriction: replaces all that are there."""
    page = content(call, call.params["id"], "restrict")
    page.restrictions = _given(call)
    return _shown(call, page, {"restrictions.user", "restrictions.group"})


def _given(call: Call) -> dict[str, Restriction]:
    listed = call.body.get("results") if isinstance(call.body, dict) else call.body
    given: dict[str, Restriction] = {}
    for each in listed if isinstance(listed, list) else [None]:
        if not isinstance(each, dict) or each.get("operation") not in _OPERATIONS:
            raise confluence_v1_refused(400, "A restriction is on read or update.")
        named = each.get("restrictions") or {}
        users = [str(one.get("accountId")) for one in named.get("user", [])]
        groups = [str(one.get("id")) for one in named.get("group", [])]
        if not set(users) <= set(call.site.accounts) or not set(groups) <= set(call.site.groups):
            raise confluence_v1_refused(400, "A restriction names a user or group that does not exist.")
        given[each["operation"]] = Restriction(users, groups)
    return given


def delete_restrictions(call: Call) -> Answer:
    """DELETE /wiki/rest/api/content/{id}/restriction: lifts all of them."""
    page = content(call, call.params["id"], "restrict")
    page.restrictions = {}
    return _shown(call, page, {"restrictions.user", "restrictions.group"})


def remove_user_from_restriction(call: Call) -> Answer:
    """DELETE .../restriction/byOperation/{operationKey}/user?accountId=."""
    page = content(call, call.params["id"], "restrict")
    kept = page.restrictions.setdefault(call.params["operationKey"], Restriction())
    kept.users = [each for each in kept.users if each != call.first("accountId")]
    return Answer(200)


def remove_group_from_restriction(call: Call) -> Answer:
    """DELETE .../restriction/byOperation/{operationKey}/byGroupId/{groupId}."""
    page = content(call, call.params["id"], "restrict")
    kept = page.restrictions.setdefault(call.params["operationKey"], Restriction())
    kept.groups = [each for each in kept.groups if each != call.params["groupId"]]
    return Answer(200)


def get_available_space_roles(call: Call) -> Answer:
    """GET /wiki/api/v2/space-roles."""
    return cursor_page(call, [_role(each) for each in SPACE_ROLES])


def _role(shown: SpaceRole) -> dict[str, Any]:
    made: dict[str, Any] = {"id": shown.id, "type": "SYSTEM", "name": shown.name, "description": ""}
    return made | {"spacePermissions": sorted(shown.permissions)}


def get_space_role_assignments(call: Call) -> Answer:
    """GET /wiki/api/v2/spaces/{id}/role-assignments."""
    return cursor_page(call, _assignments(visible_space(call, given_id(call, "id")).roles))


def _assignments(roles: Mapping[str, str]) -> list[dict[str, Any]]:
    pairs = ((*principal.split(" ", 1), role) for principal, role in roles.items())
    return [{"principal": {"principalType": kind, "principalId": one}, "roleId": role} for kind, one, role in pairs]


def set_space_role_assignments(call: Call) -> Answer:
    """POST /wiki/api/v2/spaces/{id}/role-assignments: an entry without a role takes the principal's away."""
    space = visible_space(call, given_id(call, "id"), "administer")
    given = call.body if isinstance(call.body, list) else []
    roles = {each.id: each for each in SPACE_ROLES}
    for each in given:
        principal = each.get("principal") or {} if isinstance(each, dict) else {}
        kind, one = principal.get("principalType"), str(principal.get("principalId"))
        known = one in (call.site.accounts if kind == "USER" else call.site.groups)
        if kind not in _PRINCIPALS or not known or each.get("roleId") not in {None, *roles}:
            raise shapes.invalid("An assignment names a user or group and a role that exist.")
    for each in given:
        kind, one = each["principal"]["principalType"], str(each["principal"]["principalId"])
        role = each.get("roleId")
        space.roles.pop(f"{kind} {one}", None)
        if role is not None:
            space.roles[f"{kind} {one}"] = role
        for member in [one] if kind == "USER" else call.site.groups[one].members:
            call.site.grant(member, roles[role].permissions if role else (), space=space.key)
    return cursor_page(call, _assignments(space.roles))


V2: Mapping[str, Operation] = {
    "getAvailableSpaceRoles": get_available_space_roles,
    "getSpaceRoleAssignments": get_space_role_assignments,
    "setSpaceRoleAssignments": set_space_role_assignments,
}
V1: Mapping[str, Operation] = {
    "getRestrictions": get_restrictions,
    "addRestrictions": add_restrictions,
    "updateRestrictions": update_restrictions,
    "deleteRestrictions": delete_restrictions,
    "removeUserFromContentRestriction": remove_user_from_restriction,
    "removeGroupFromContentRestriction": remove_group_from_restriction,
}
