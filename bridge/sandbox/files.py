"""Attachments of both products: files come in as a multipart form and go out by a redirect to the media service.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-attachments/ and
https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content---attachments/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Request, Response, jsonify, request

from bridge.sandbox import confluence_shapes, jira_shapes
from bridge.sandbox.answer import Answer, Call, Operation, confluence_v1_refused, cursor_page, jira_refused, refused_by
from bridge.sandbox.confluence import content, given_id, not_found, visible_page
from bridge.sandbox.media import BINARY, Bytes, PageFile, padding
from bridge.sandbox.records import Attachment
from bridge.sandbox.site import Site

LARGEST = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: its files, and its other fields by name."""

    files: tuple[Bytes, ...]
    fields: Mapping[str, str]


def read_form(given: Request, product: str) -> Form:
    """The form of a request. Both products refuse one without ``X-Atlassian-Token``, as a guard against browsers."""
    if given.headers.get("X-Atlassian-Token", "").lower() not in {"no-check", "nocheck"}:
        raise refused_by(product, 403, "XSRF check failed")
    if (given.content_length or 0) > LARGEST:
        raise refused_by(product, 413, "The file is too large.")
    files = (Bytes(each.filename or "", each.mimetype or BINARY, each.read()) for each in given.files.getlist("file"))
    return Form(tuple(files), given.form.to_dict())


def _form(call: Call, product: str) -> Form:
    if not isinstance(call.body, Form) or not call.body.files or not all(each.name for each in call.body.files):
        # The descriptions know no 400 here, so whatever is no form with a file in it is of the wrong kind.
        raise refused_by(product, 415, "Unsupported Media Type")
    return call.body


# Jira


def add_attachment(call: Call) -> Answer:
    """POST /rest/api/3/issue/{issueIdOrKey}/attachments: the answer lists what was made."""
    issue = call.site.find_issue(call.params["issueIdOrKey"])
    if issue is None or not call.site.may(call.account, "browse", call.site.projects[issue.project]):
        raise jira_refused(404, "Issue does not exist or you do not have permission to see it.")
    if not call.site.may(call.account, "edit", call.site.projects[issue.project]):
        raise jira_refused(403, "You do not have permission to create attachments for this issue.")
    made = []
    for file in _form(call, "jira").files:
        number = call.site.next_id("attachment")
        made.append(Attachment(number, file.name, len(file.content), call.account.id, call.site.now()))
        call.site.media.issues[number] = file
    issue.attachments += made
    issue.updated = call.site.now()
    return Answer(200, [jira_shapes.attachment(call, each) for each in made])


def get_attachment_content(call: Call) -> Answer:
    """GET /rest/api/3/attachment/content/{id}: 303 to the media service's host, which must see no credential."""
    for issue in call.site.issues.values():
        if call.site.may(call.account, "browse", call.site.projects[issue.project]):
            for attachment in issue.attachments:
                if attachment.id == call.params["id"]:
                    return Answer(303, None, {"Location": _address(call, _bytes(call.site, attachment))})
    raise jira_refused(404, f"The attachment with id '{call.params['id'][:20]}' does not exist")


def _bytes(site: Site, shown: Attachment) -> Bytes:
    return site.media.issues.get(shown.id) or padding(shown.name, shown.size)


def _address(call: Call, found: Bytes) -> str:
    return call.site.media.address(call.gateway_url.partition("/ex/")[0], found)


# Confluence


def create_attachment(call: Call) -> Answer:
    """POST /wiki/rest/api/content/{id}/child/attachment: a file whose name is taken is refused."""
    return _put(call, again=False)


def create_or_update_attachments(call: Call) -> Answer:
    """PUT /wiki/rest/api/content/{id}/child/attachment: a file whose name is taken becomes its next version."""
    return _put(call, again=True)


def _put(call: Call, *, again: bool) -> Answer:
    page = content(call, call.params["id"], "edit")
    form = _form(call, "confluence-v1")
    if "minorEdit" not in form.fields:
        raise confluence_v1_refused(415, "minorEdit is required")
    made = []
    for file in form.files:
        known = next((each for each in _on(call.site, page.id) if each[-1].bytes.name == file.name), None)
        if known is not None and not again:
            text = f"Cannot add a new attachment with same file name as an existing attachment: {file.name}"
            raise confluence_v1_refused(400, text)
        number = known[-1].id if known else f"att{call.site.next_id('page')}"
        versions = call.site.media.pages.setdefault(number, [])
        comment, minor = form.fields.get("comment", ""), form.fields["minorEdit"] == "true"
        versions.append(
            PageFile(number, page.id, len(versions) + 1, call.account.id, call.site.now(), comment, minor, file)
        )
        made.append(_v1(call, versions[-1]))
    links = {"base": f"{call.site_url}/wiki", "context": "/wiki"}
    return Answer(200, {"results": made, "start": 0, "limit": len(made), "size": len(made), "_links": links})


def download_attachment(call: Call) -> Answer:
    """GET /wiki/rest/api/content/{id}/child/attachment/{attachmentId}/download: 302 to the media service."""
    page = content(call, call.params["id"])
    versions = call.site.media.pages.get(call.params["attachmentId"], [])
    if not versions or versions[0].page != page.id:
        raise confluence_v1_refused(404, "The content has no attachment with that id.")
    wanted = call.first("version") or str(versions[-1].number)
    found = next((each for each in versions if str(each.number) == wanted), None)
    if found is None:
        raise confluence_v1_refused(400, f"There is no version {wanted[:10]}.")
    return Answer(302, None, {"Location": _address(call, found.bytes)})


def get_page_attachments(call: Call) -> Answer:
    """GET /wiki/api/v2/pages/{id}/attachments: the newest version of each file, or of those with a ``filename``."""
    page = visible_page(call, given_id(call, "id"))
    found = [each[-1] for each in _on(call.site, page.id)]
    if name := call.first("filename"):
        found = [each for each in found if each.bytes.name == name]
    return cursor_page(call, [_v2(each) for each in found], default=50)


def get_attachment_versions(call: Call) -> Answer:
    """GET /wiki/api/v2/attachments/{id}/versions: newest first."""
    versions = call.site.media.pages.get(call.params["id"], [])
    if not versions:
        raise not_found("The attachment")
    visible_page(call, versions[0].page)
    return cursor_page(call, [_version(each) for each in reversed(versions)])


def _on(site: Site, page: str) -> list[list[PageFile]]:
    return [versions for versions in site.media.pages.values() if versions[0].page == page]


def _version(shown: PageFile) -> dict[str, Any]:
    made = {"number": shown.number, "authorId": shown.author, "message": shown.comment, "minorEdit": shown.minor}
    return made | {"createdAt": confluence_shapes.moment(shown.created)}


def _v2(shown: PageFile) -> dict[str, Any]:
    made = {"id": shown.id, "status": "current", "title": shown.bytes.name, "pageId": shown.page}
    made |= {"createdAt": confluence_shapes.moment(shown.created), "mediaType": shown.bytes.type}
    made |= {"comment": shown.comment, "fileId": f"{shown.id}-{shown.number}"}
    download = f"/wiki/download/attachments/{shown.page}/{shown.bytes.name}?version={shown.number}"
    made |= {"downloadLink": download, "webuiLink": f"/pages/{shown.page}/attachments"}
    return {**made, "fileSize": len(shown.bytes.content), "version": _version(shown)}


def _v1(call: Call, shown: PageFile) -> dict[str, Any]:
    facts = {"mediaType": shown.bytes.type, "fileSize": len(shown.bytes.content), "comment": shown.comment}
    made: dict[str, Any] = {"id": shown.id, "type": "attachment", "status": "current", "title": shown.bytes.name}
    made |= {"extensions": facts, "_expandable": {}}
    return {**made, "_links": {"self": f"{call.site_url}/wiki/rest/api/content/{shown.id}"}}


def media(site: Site) -> Blueprint:
    """The media service's routes for one site."""
    routes = Blueprint("media", __name__, url_prefix="/media")

    @routes.get("/file/<token>/binary")
    def binary(token: str) -> Response | tuple[Response, int]:
        with site.lock:
            return site.media.serve(token, {name for name, _ in request.headers}) or (jsonify(error="not found"), 404)

    return routes


JIRA: Mapping[str, Operation] = {"addAttachment": add_attachment, "getAttachmentContent": get_attachment_content}
V1: Mapping[str, Operation] = {
    "createAttachment": create_attachment,
    "createOrUpdateAttachments": create_or_update_attachments,
    "downloadAttatchment": download_attachment,
}
V2: Mapping[str, Operation] = {
    "getPageAttachments": get_page_attachments,
    "getAttachmentVersions": get_attachment_versions,
}
