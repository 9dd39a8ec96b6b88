"""Confluence's operations on footer comments and their entity properties, one function per operationId.

A footer comment takes no property and no message when it is created, which is why a bridge can mark it only afterwards.
"""

from collections.abc import Mapping
from typing import Any

from bridge.sandbox import confluence_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_refused, cursor_page
from bridge.sandbox.confluence import given_id, not_found, visible_page
from bridge.sandbox.records import ContentProperty, PageComment, Version

_TARGETS = ("pageId", "blogPostId", "parentCommentId", "attachmentId", "customContentId")
_KEY_LENGTH = 255
_COMMENT_SORTS: Mapping[str, Any] = {
    "created-date": lambda comment: (comment.versions[0].created, int(comment.id)),
    "modified-date": lambda comment: (comment.versions[-1].created, int(comment.id)),
}


def create_footer_comment(call: Call) -> Answer:
    """POST /wiki/api/v2/footer-comments: on a page, or as a reply to a comment; 201 with a Location."""
    body = call.body
    given = [name for name in _TARGETS if isinstance(body, dict) and body.get(name)]
    if not isinstance(body, dict) or len(given) != 1:
        raise shapes.invalid(f"Give exactly one of {', '.join(_TARGETS)}.")
    if given[0] not in {"pageId", "parentCommentId"}:
        raise not_found("The content")
    parent = _visible(call, str(body["parentCommentId"])) if given[0] == "parentCommentId" else None
    page = visible_page(call, parent.page if parent else str(body["pageId"]))
    visible_page(call, page.id, "comment")
    content = shapes.read_body(body.get("body"))
    if not content["content"]:
        raise shapes.invalid("A comment must not be empty.")
    made = call.site.add_footer_comment(page, call.account, content, parent=parent.id if parent else None)
    sent = body["body"].get("representation") or next(iter(body["body"]))
    shown = shapes.based(call, shapes.comment(call, made, "storage" if sent == "wiki" else sent))
    return Answer(201, shown, {"Location": f"/wiki/api/v2/footer-comments/{made.id}"})


def _visible(call: Call, wanted: str) -> PageComment:
    comment = call.site.find_footer_comment(wanted)
    if comment is None:
        raise not_found("The comment")
    visible_page(call, comment.page)
    return comment


def get_page_footer_comments(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/footer-comments: the comments at the root, not the replies."""
    page = visible_page(call, given_id(call, "id"))
    roots = [each for each in page.comments if each.parent is None]
    representation = call.first("body-format")
    shown = [shapes.comment(call, each, representation) for each in shapes.ordered(call, roots, _COMMENT_SORTS)]
    return cursor_page(call, shown)


def get_footer_comment_by_id(call: Call) -> Answer:
    """GET /wiki/api/v2/footer-comments/{comment-id}: also an earlier version, and its properties when asked for."""
    comment, at = _visible(call, given_id(call, "comment-id")), None
    if wanted := call.first("version"):
        at = next((each for each in comment.versions if str(each.number) == wanted), None)
        if at is None:
            raise not_found("The version")
    shown = shapes.based(call, shapes.comment(call, comment, call.first("body-format"), at))
    if call.flag("include-properties"):
        kept = [shapes.content_property(each) for each in comment.properties]
        shown["properties"] = {"results": kept, "meta": {"hasMore": False}}
    return Answer(200, shown)


def get_footer_comment_children(call: Call) -> Answer:
    """GET /wiki/api/v2/footer-comments/{id}/children: the replies; they do not tell their page."""
    comment = _visible(call, given_id(call, "id"))
    replies = [each for each in call.site.pages[comment.page].comments if each.parent == comment.id]
    shown = [
        shapes.comment(call, each, call.first("body-format")) for each in shapes.ordered(call, replies, _COMMENT_SORTS)
    ]
    return cursor_page(call, [{name: each[name] for name in each if name != "pageId"} for each in shown])


def get_footer_comment_versions(call: Call) -> Answer:
    """GET /wiki/api/v2/footer-comments/{id}/versions: newest first."""
    comment = _visible(call, given_id(call, "id"))
    sorts = {"modified-date": lambda version: version.number}
    versions = shapes.ordered(call, comment.versions, sorts, "-modified-date")
    return cursor_page(call, [shapes.comment_version(comment, each, call.first("body-format")) for each in versions])


def update_footer_comment(call: Call) -> Answer:
    """PUT /wiki/api/v2/footer-comments/{comment-id}: the version must be the current one plus one, otherwise 409."""
    comment, body = _visible(call, given_id(call, "comment-id")), call.body
    visible_page(call, comment.page, "comment")
    version = body.get("version") if isinstance(body, dict) else None
    if not isinstance(version, dict) or not isinstance(version.get("number"), int):
        raise shapes.invalid("'version.number' is required and is a number.")
    content, last = shapes.read_body(body.get("body")), comment.versions[-1]
    if version["number"] != last.number + 1:
        versions = f"Current Version: [{last.number}]. Provided version: [{version['number']}]"
        raise confluence_refused(409, "CONFLICT", f"Version must be incremented when updating a comment. {versions}")
    message = str(version.get("message") or "")
    made = Version(last.number + 1, call.account.id, call.site.now(), message, last.title, content)
    comment.versions.append(made)
    sent = body["body"].get("representation") or next(iter(body["body"]))
    return Answer(200, shapes.based(call, shapes.comment(call, comment, "storage" if sent == "wiki" else sent)))


def delete_footer_comment(call: Call) -> Answer:
    """DELETE /wiki/api/v2/footer-comments/{comment-id}: for good, with its replies."""
    comment = _visible(call, given_id(call, "comment-id"))
    visible_page(call, comment.page, "delete")
    page = call.site.pages[comment.page]
    page.comments = [each for each in page.comments if comment.id not in {each.id, each.parent}]
    return Answer(204)


def create_comment_property(call: Call) -> Answer:
    """POST /wiki/api/v2/comments/{comment-id}/properties: 200; a key that is there already is refused."""
    comment, body = _visible(call, given_id(call, "comment-id")), call.body
    key = body.get("key") if isinstance(body, dict) else None
    if (
        not isinstance(body, dict)
        or not isinstance(key, str)
        or not key
        or len(key) > _KEY_LENGTH
        or "value" not in body
    ):
        raise shapes.invalid("A property has a key of at most 255 characters and a value.")
    visible_page(call, comment.page, "comment")
    if any(each.key == key for each in comment.properties):
        raise shapes.invalid("A property with this key already exists on the comment.")
    made = ContentProperty(call.site.next_id("property"), key, body["value"], call.account.id, call.site.now())
    comment.properties.append(made)
    return Answer(200, shapes.content_property(made))


def get_comment_content_properties(call: Call) -> Answer:
    """GET /wiki/api/v2/comments/{comment-id}/properties: all, or the one with a key."""
    comment, key = _visible(call, given_id(call, "comment-id")), call.first("key")
    found = [each for each in comment.properties if key in {"", each.key}]
    sorts = {"key": lambda entry: entry.key}
    return cursor_page(call, [shapes.content_property(each) for each in shapes.ordered(call, found, sorts)])


def get_comment_content_properties_by_id(call: Call) -> Answer:
    """GET /wiki/api/v2/comments/{comment-id}/properties/{property-id}."""
    comment, wanted = _visible(call, given_id(call, "comment-id")), given_id(call, "property-id")
    found = next((each for each in comment.properties if each.id == wanted), None)
    if found is None:
        raise not_found("The property")
    return Answer(200, shapes.content_property(found))


V2: Mapping[str, Operation] = {
    "createFooterComment": create_footer_comment,
    "getPageFooterComments": get_page_footer_comments,
    "getFooterCommentById": get_footer_comment_by_id,
    "getFooterCommentChildren": get_footer_comment_children,
    "getFooterCommentVersions": get_footer_comment_versions,
    "updateFooterComment": update_footer_comment,
    "deleteFooterComment": delete_footer_comment,
    "createCommentProperty": create_comment_property,
    "getCommentContentProperties": get_comment_content_properties,
    "getCommentContentPropertiesById": get_comment_content_properties_by_id,
}
