"""Comments at the foot of a page: answered, edited and deleted, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v2/api-group-comment/. A comment is named
by its id; where it is, egress asks the site.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.rule.adf import Text, to_adf
from bridge.rule.confluence_pages import PAGE, written_again
from bridge.rule.confluence_text import FORMAT, body_of
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_cursor
from bridge.rule.request import Answer, Caller, Page, Request, name_of, object_of, segment

COMMENT = "{{ comment.id }}"


class Comments:
    """The part of ``context.confluence`` that works on comments; ``Pages.comment`` makes them."""

    _caller: Caller

    @does(
        "confluence.comments",
        "Read comments",
        operations=("getPageFooterComments",),
        verbs=("confluence.read",),
        example={"page": PAGE, "limit": 10},
    )
    def comments(self, page: Page, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read the comments at the foot of a page, oldest first, page by page as they are asked for; no replies."""
        path = f"/wiki/api/v2/pages/{segment(page)}/footer-comments"
        return by_cursor(self._caller, _listed(path, name_of(page)), limit)

    @does(
        "confluence.replies",
        "Read replies",
        operations=("getFooterCommentById", "getFooterCommentChildren"),
        verbs=("confluence.read",),
        example={"comment": COMMENT},
    )
    def replies(self, comment: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read the replies to a comment, oldest first, page by page as they are asked for."""
        path = f"/wiki/api/v2/footer-comments/{segment(comment)}/children"
        return by_cursor(self._caller, _listed(path, name_of(comment)), limit)

    @does(
        "confluence.reply",
        "Reply to comment",
        operations=("getFooterCommentById", "createFooterComment"),
        verbs=("confluence.comment",),
        example={"comment": COMMENT, "body": "Seen by the bridge."},
    )
    def reply(self, comment: str, body: Text, *, step: str | None = None) -> dict[str, Any]:
        """Answer a comment at the foot of a page."""
        return object_of(self._caller.call(add_reply(comment, body, step=step)), {"id": "0"})

    @does(
        "confluence.edit-comment",
        "Edit comment",
        operations=("getFooterCommentById", "updateFooterComment"),
        example={"comment": COMMENT, "body": "Seen by the bridge."},
    )
    def edit_comment(self, comment: str, body: Text, *, step: str | None = None) -> dict[str, Any]:
        """Give a comment another text, over the version that is current now; conflicts are met as in ``update_page``.

        Raises ``ActionFailed`` (409) when somebody else was faster three times.
        """

        def write() -> Answer:
            current = object_of(self._caller.call(read_comment(comment)))
            return self._caller.call(replace_comment(comment, current, body, step=step))

        return object_of(written_again(write))

    @does(
        "confluence.delete-comment",
        "Delete comment",
        operations=("deleteFooterComment",),
        example={"comment": COMMENT},
    )
    def delete_comment(self, comment: str, *, step: str | None = None) -> None:
        """Delete a comment for good; there is no trash for comments."""
        self._caller.call(remove_comment(comment, step=step))


def read_comment(comment: str) -> Request:
    """GET a comment, for its version (operation getFooterCommentById)."""
    return _of_comment("GET", comment, "edit-comment")


def add_reply(comment: str, text: Text, *, step: str | None = None) -> Request:
    """POST a reply (operation createFooterComment)."""
    body = {"parentCommentId": name_of(comment), "body": body_of(to_adf(text))}
    return Request(
        "confluence", "POST", "/wiki/api/v2/footer-comments", {}, body, step, "comment", f"comment {name_of(comment)}"
    )


def replace_comment(comment: str, current: Mapping[str, Any], text: Text, *, step: str | None = None) -> Request:
    """PUT the next version of a comment that was just read (operation updateFooterComment)."""
    number = int((current.get("version") or {}).get("number", 0)) + 1
    body = {"version": {"number": number}, "body": body_of(to_adf(text))}
    return _of_comment("PUT", comment, "edit-comment", body=body, step=step)


def remove_comment(comment: str, *, step: str | None = None) -> Request:
    """DELETE a comment (operation deleteFooterComment)."""
    return _of_comment("DELETE", comment, "delete-comment", step=step)


def _listed(path: str, target: str) -> Request:
    query = {"body-format": [FORMAT], "sort": ["created-date"], "limit": [str(PAGE_SIZE)]}
    return Request("confluence", "GET", path, query, verb="read", target=target)


def _of_comment(method: str, comment: str, verb: str, *, body: Any = None, step: str | None = None) -> Request:
    path = f"/wiki/api/v2/footer-comments/{segment(comment)}"
    return Request("confluence", method, path, {}, body, step, verb, f"comment {name_of(comment)}")
