"""Who may view and edit a page, who holds which role in a space, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content-restrictions/ and
https://developer.atlassian.com/cloud/confluence/rest/v2/api-group-space-roles/. Single permissions of a space can be
changed only by an older operation that is closed to apps, so spaces are opened and closed by roles.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.confluence_content import of_content
from bridge.rule.confluence_pages import PAGE, space_of
from bridge.rule.confluence_text import NOT_FOUND
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_cursor
from bridge.rule.request import Caller, Page, Request, Words, object_of, segment, words_of

# What people say, and what Confluence calls it.
OPERATIONS: Mapping[str, str] = {"view": "read", "edit": "update"}


class Access:
    """The part of ``context.confluence`` that works on restrictions and roles."""

    _caller: Caller

    @does(
        "confluence.restrictions",
        "Read restrictions",
        operations=("getRestrictions",),
        verbs=("confluence.read",),
        example={"page": PAGE},
    )
    def restrictions(self, page: Page) -> dict[str, Any]:
        """Read who alone may view and edit a page: ``view`` and ``edit``, each with ``users`` and ``groups`` by id.

        Where nobody is named, the space's permissions decide.
        """
        query = {"expand": ["restrictions.user,restrictions.group"], "limit": ["100"]}
        answer = object_of(self._caller.call(of_content("GET", page, "/restriction", "read", query=query)))
        by_operation = {each.get("operation"): each.get("restrictions") or {} for each in answer.get("results") or []}
        return {
            said: {
                "users": [each.get("accountId") for each in _results(by_operation.get(name), "user")],
                "groups": [each.get("id") for each in _results(by_operation.get(name), "group")],
            }
            for said, name in OPERATIONS.items()
        }

    @does(
        "confluence.restrict",
        "Restrict page",
        operations=("addRestrictions",),
        one_of=("users", "groups"),
        example={"page": PAGE, "to": "edit", "users": "{{ initiator }}"},
    )
    def restrict(self, page: Page, to: str, *, users: Words = (), groups: Words = (), step: str | None = None) -> None:
        """Add users and groups, by their ids, to those who alone may ``view`` or ``edit`` a page.

        The first one added shuts out everybody else, the account too, unless it is named as well.
        """
        body = restricted({to: (words_of(users), words_of(groups))})
        self._caller.call(of_content("POST", page, "/restriction", "restrict", body=body, step=step))

    @does(
        "confluence.set-restrictions",
        "Replace restrictions",
        operations=("updateRestrictions",),
        verbs=("confluence.restrict",),
        one_of=("view_users", "view_groups", "edit_users", "edit_groups"),
        example={"page": PAGE, "edit_users": ["{{ initiator }}"]},
    )
    def set_restrictions(
        self,
        page: Page,
        *,
        view_users: Words = (),
        view_groups: Words = (),
        edit_users: Words = (),
        edit_groups: Words = (),
        step: str | None = None,
    ) -> None:
        """Replace all restrictions of a page: only these users and groups may view and edit it from now on.

        Whoever is not named is shut out, the account too; where nobody is named, the space's permissions decide.
        """
        both = {
            "view": (words_of(view_users), words_of(view_groups)),
            "edit": (words_of(edit_users), words_of(edit_groups)),
        }
        body = restricted({said: named for said, named in both.items() if any(named)})
        self._caller.call(of_content("PUT", page, "/restriction", "restrict", body=body, step=step))

    @does(
        "confluence.unrestrict",
        "Remove restrictions",
        operations=("deleteRestrictions", "removeUserFromContentRestriction", "removeGroupFromContentRestriction"),
        verbs=("confluence.restrict",),
        example={"page": PAGE},
    )
    def unrestrict(
        self, page: Page, *, to: str | None = None, users: Words = (), groups: Words = (), step: str | None = None
    ) -> None:
        """Lift all restrictions of a page, or take users and groups out of those for ``view`` or ``edit``."""
        if not (users or groups):
            self._caller.call(of_content("DELETE", page, "/restriction", "restrict", step=step))
            return
        rest = f"/restriction/byOperation/{_operation(to or '')}"
        for user in words_of(users):
            query = {"accountId": [user]}
            self._caller.call(of_content("DELETE", page, f"{rest}/user", "restrict", query=query, step=step))
        for group in words_of(groups):
            self._caller.call(of_content("DELETE", page, f"{rest}/byGroupId/{segment(group)}", "restrict", step=step))

    @does(
        "confluence.set-space-role",
        "Change space permissions",
        operations=("getSpaces", "getAvailableSpaceRoles", "setSpaceRoleAssignments"),
        verbs=("confluence.space-role",),
        one_of=("users", "groups"),
        example={"space": "<space>", "role": "Viewer", "users": "{{ initiator }}"},
    )
    def set_space_role(
        self, space: str, role: str | None, *, users: Words = (), groups: Words = (), step: str | None = None
    ) -> None:
        """Give users and groups, by their ids, a role in a space; an empty role takes theirs away.

        Only sites that manage spaces by roles have this. Raises ``ActionFailed`` (404), naming the roles there are.
        """
        found = str(space_of(self._caller, space, "space-role")["id"])
        chosen = None if role is None else self._role(space, found, role)
        self._caller.call(assign_role(space, found, chosen, words_of(users), words_of(groups), step=step))

    def _role(self, space: str, space_id: str, name: str) -> str:
        roles = list(by_cursor(self._caller, roles_of(space, space_id)))
        for each in roles:
            if str(each.get("name", "")).casefold() == name.strip().casefold():
                return str(each["id"])
        names = ", ".join(str(each.get("name")) for each in roles) or "none"
        raise ActionFailed("space-role", space, NOT_FOUND, f"no role is called {name!r}; there are: {names}")


def restricted(named: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> dict[str, Any]:
    """Return restrictions as Confluence takes them: what people say → users and groups, by their ids.

    Raises ``ValueError`` when nobody is named, or something else is said than ``view`` and ``edit``.
    """
    if not named or not all(any(both) for both in named.values()):
        raise ValueError("a restriction names at least one user or group")
    return {"results": [_restriction(_operation(said), *both) for said, both in named.items()]}


def _restriction(operation: str, users: Sequence[str], groups: Sequence[str]) -> dict[str, Any]:
    restrictions: dict[str, Any] = {}
    if users:
        restrictions["user"] = [{"type": "known", "accountId": each} for each in users]
    if groups:
        restrictions["group"] = [{"type": "group", "id": each} for each in groups]
    return {"operation": operation, "restrictions": restrictions}


def _operation(said: str) -> str:
    if said not in OPERATIONS:
        raise ValueError(f"a restriction is one of {' and '.join(OPERATIONS)}, and not {said!r}")
    return OPERATIONS[said]


def roles_of(space: str, space_id: str) -> Request:
    """GET the roles that a space knows (operation getAvailableSpaceRoles)."""
    query = {"space-id": [space_id], "limit": [str(PAGE_SIZE)]}
    return Request("confluence", "GET", "/wiki/api/v2/space-roles", query, verb="space-role", target=space)


def assign_role(
    space: str,
    space_id: str,
    role: str | None,
    users: Sequence[str],
    groups: Sequence[str],
    *,
    step: str | None = None,
) -> Request:
    """POST who holds a role, or none (operation setSpaceRoleAssignments); ``ValueError`` when nobody is named."""
    named = [*(("USER", each) for each in users), *(("GROUP", each) for each in groups)]
    if not named:
        raise ValueError("a role is given to at least one user or group")
    chosen = {} if role is None else {"roleId": role}
    body = [{"principal": {"principalType": kind, "principalId": each}, **chosen} for kind, each in named]
    path = f"/wiki/api/v2/spaces/{segment(space_id)}/role-assignments"
    return Request("confluence", "POST", path, {}, body, step, "space-role", space)


def _results(restrictions: Mapping[str, Any] | None, kind: str) -> list[Mapping[str, Any]]:
    return list(((restrictions or {}).get(kind) or {}).get("results") or [])
