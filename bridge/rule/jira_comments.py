"""Comments on work items: add, read, edit and delete them, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/.
"""

from collections.abc import Iterator
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Text, adf_to_text, to_adf
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_offset
from bridge.rule.request import STAND_IN, Caller, Issue, Request, name_of, object_of, segment

ISSUE = "{{ issue.key }}"

LAST, OWN_LAST, OWN = "last", "own last", "own"
NOT_FOUND = 404


class Comments:
    """The part of ``context.jira`` that works on comments."""

    _caller: Caller

    @does(
        "jira.comment",
        "Comment on work item",
        operations=("getComments", "addComment"),
        example={"issue": ISSUE, "body": "Seen by the bridge."},
    )
    def comment(
        self,
        issue: Issue,
        body: Text,
        *,
        role: str | None = None,
        group: str | None = None,
        once: bool = False,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Comment on an issue, for everybody or only for a project role or a group, both named as people call them.

        Plain text stays plain, formatted text is made with ``context.markdown``. With ``once`` a comment of the same
        words that the issue has already is returned in its place; two deliveries at the same time may both write.
        """
        if once:
            words = adf_to_text(to_adf(body))
            for each in by_offset(self._caller, list_comments(issue, verb="comment"), values="comments"):
                if adf_to_text(each.get("body")) == words:
                    return each
        answer = self._caller.call(add_comment(issue, body, role=role, group=group, step=step))
        return object_of(answer, {"id": "0"})

    @does(
        "jira.read-comments",
        "Read comments",
        verbs=("jira.read",),
        operations=("getComments",),
        example={"issue": ISSUE, "limit": 10},
    )
    def comments(self, issue: Issue, *, newest: bool = False, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read an issue's comments, page by page as they are asked for: oldest first, or ``newest`` first."""
        return by_offset(self._caller, list_comments(issue, newest=newest), limit, values="comments")

    @does(
        "jira.edit-comment",
        "Edit comment",
        operations=("getComments", "updateComment"),
        example={"issue": ISSUE, "body": "Seen by the bridge, and read."},
    )
    def edit_comment(self, issue: Issue, body: Text, comment: str = LAST, *, step: str | None = None) -> dict[str, Any]:
        """Replace the text of a comment, named by its id; without one it is the issue's ``last``.

        Raises ``ActionFailed`` (404) when the issue has no comment.
        """
        found = [comment] if comment != LAST else self._ids(issue, 1, "edit-comment")
        if not found and name_of(issue).endswith(f"-{STAND_IN}"):
            found = [STAND_IN]
        if not found:
            raise ActionFailed("edit-comment", name_of(issue), NOT_FOUND, "the work item has no comment")
        return object_of(self._caller.call(change_comment(issue, found[0], body, step=step)), {"id": found[0]})

    @does(
        "jira.delete-comment",
        "Delete comment",
        operations=("getComments", "getCurrentUser", "deleteComment"),
        example={"issue": ISSUE},
    )
    def delete_comment(self, issue: Issue, comment: str = LAST) -> dict[str, Any]:
        """Delete a comment, named by its id; or the issue's ``last``, this account's ``own last`` or all its ``own``.

        Returns the ids of those it deleted; none when there is none.
        """
        if comment in {OWN, OWN_LAST}:
            caller = self._caller
            mine = object_of(caller.call(read_myself("delete-comment"))).get("accountId")
            ids = self._ids(issue, 1 if comment == OWN_LAST else None, "delete-comment", by=str(mine))
        else:
            ids = self._ids(issue, 1, "delete-comment") if comment == LAST else [comment]
        for each in ids:
            self._caller.call(remove_comment(issue, each))
        return {"deleted": ids}

    def _ids(self, issue: Issue, most: int | None, verb: str, *, by: str | None = None) -> list[str]:
        """Return the ids of the newest comments, of one account only if ``by`` names it."""
        found = by_offset(self._caller, list_comments(issue, newest=True, verb=verb), values="comments")
        ids: list[str] = []
        for each in found:
            if most is not None and len(ids) >= most:
                break
            if by is None or (each.get("author") or {}).get("accountId") == by:
                ids.append(str(each["id"]))
        return ids


def add_comment(
    issue: Issue, text: Text, *, role: str | None = None, group: str | None = None, step: str | None = None
) -> Request:
    """POST a comment (operation addComment); raise ``ValueError`` for a role and a group, since Jira takes one."""
    body: dict[str, Any] = {"body": to_adf(text)}
    if role is not None and group is not None:
        raise ValueError("a comment is for a role or for a group, not for both")
    if role is not None or group is not None:
        body["visibility"] = {"type": "group", "value": group} if role is None else {"type": "role", "value": role}
    return _request("POST", issue, "", "comment", body=body, step=step)


def list_comments(issue: Issue, *, newest: bool = False, verb: str = "read") -> Request:
    """GET comments (operation getComments), oldest first or newest first."""
    query = {"maxResults": [str(PAGE_SIZE)], "orderBy": ["-created" if newest else "created"]}
    path = f"/rest/api/3/issue/{segment(issue)}/comment"
    return Request("jira", "GET", path, query, verb=verb, target=name_of(issue))


def change_comment(issue: Issue, comment: str, text: Text, *, step: str | None = None) -> Request:
    """PUT a comment's text (operation updateComment)."""
    return _request("PUT", issue, f"/{segment(comment)}", "edit-comment", body={"body": to_adf(text)}, step=step)


def remove_comment(issue: Issue, comment: str) -> Request:
    """DELETE a comment (operation deleteComment)."""
    return _request("DELETE", issue, f"/{segment(comment)}", "delete-comment")


def read_myself(verb: str) -> Request:
    """GET the account that asks (operation getCurrentUser)."""
    return Request("jira", "GET", "/rest/api/3/myself", verb=verb, target="myself")


def _request(method: str, issue: Issue, rest: str, verb: str, *, body: Any = None, step: str | None = None) -> Request:
    path = f"/rest/api/3/issue/{segment(issue)}/comment{rest}"
    return Request("jira", method, path, body=body, label=step, verb=verb, target=name_of(issue))
