"""Files: a handle that a step carries instead of bytes, and attaching, listing and fetching files in both products.

The bytes lie with egress, under their digest (``POST /spool``), so a step of a further attempt is compared by its
handle. A handle is also a mapping, so that the steps of a manifest can pass on what an earlier step gave.
"""

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from bridge.rule.method import does
from bridge.rule.paging import by_cursor
from bridge.rule.request import Answer, Caller, Issue, Page, Request, name_of, object_of, segment

ISSUE, PAGE = "{{ issue.key }}", "{{ page.id }}"
TEXT, BINARY = "text/plain", "application/octet-stream"
# Only what is built in: a machine's own tables would give a further attempt on another machine another answer.
_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True, slots=True)
class File(Mapping[str, Any]):
    """A file that egress keeps: the SHA-256 of its bytes, its name, how many bytes it has and its media type."""

    digest: str
    name: str
    size: int
    type: str

    def __getitem__(self, key: str) -> Any:
        """Return a member by its name."""
        if key not in list(self):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        """Walk the names of the members."""
        return (each.name for each in fields(self))

    def __len__(self) -> int:
        """Count the members."""
        return len(fields(self))


def type_of(name: str, content: bytes | str) -> str:
    """Guess a media type from a file's name, else from whether it holds text."""
    guessed, encoding = _TYPES.guess_type(name)
    if guessed is None or encoding is not None:
        return TEXT if isinstance(content, str) else BINARY
    return guessed


def handle_of(caller: Caller, given: Mapping[str, Any]) -> File:
    """Return the handle of a file: one that is given, or a new one of ``name`` and ``content`` (and ``type``).

    Raises ``ValueError`` if it is neither.
    """
    if isinstance(given, File):
        return given
    names = set(given)
    if {"name", "content"} <= names <= {"name", "content", "type"}:
        made: File = caller.file(str(given["name"]), str(given["content"]), given.get("type"))
        return made
    if {"digest", "name"} <= names <= {"digest", "name", "size", "type"}:
        name = str(given["name"])
        kind = str(given.get("type") or type_of(name, b""))
        return File(str(given["digest"]), name, int(given.get("size") or 0), kind)
    raise ValueError("a file is what another step gave, or { name = …, content = … }")


class JiraFiles:
    """The part of ``context.jira`` that works with attached files."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @does(
        "jira.attach",
        "Attach file to work item",
        operations=("addAttachment",),
        example={"issue": ISSUE, "file": {"name": "report.txt", "content": "All is well."}},
    )
    def attach(self, issue: Issue, file: Mapping[str, Any], *, step: str | None = None) -> dict[str, Any]:
        """Attach a file to an issue and return it as Jira shows it: a ``File``, or ``{"name": …, "content": …}``."""
        answer = self._caller.call(attach_to_issue(issue, handle_of(self._caller, file), step=step))
        return _first(answer.body, answer)

    @does(
        "jira.attachments",
        "Re-fetch work item's attachments",
        verbs=("jira.read",),
        operations=("getIssue",),
        example={"issue": ISSUE},
    )
    def attachments(self, issue: Issue) -> list[dict[str, Any]]:
        """List the files of an issue, each with its ``id``, ``filename``, ``size``, ``mimeType`` and ``author``."""
        read = object_of(self._caller.call(attachments_of_issue(issue)))
        return list((read.get("fields") or {}).get("attachment") or [])

    @does(
        "jira.download",
        "Fetch attached file of work item",
        operations=("getAttachmentContent",),
        example={"issue": ISSUE, "attachment": "10801"},
    )
    def download(self, issue: Issue, attachment: str) -> File:
        """Fetch a file of an issue by its id and return its handle; ``context.content`` gives the bytes."""
        return _handle(self._caller.call(attachment_content(issue, attachment)))


class ConfluenceFiles:
    """The part of ``context.confluence`` that works with attached files."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @does(
        "confluence.attach",
        "Attach file to page",
        operations=("createOrUpdateAttachments",),
        example={"page": PAGE, "file": {"name": "report.txt", "content": "All is well."}},
    )
    def attach(self, page: Page, file: Mapping[str, Any], *, step: str | None = None) -> dict[str, Any]:
        """Attach a file to a page, as a new version of the one of that name if there is one.

        ``file`` is a ``File``, or ``{"name": …, "content": …}``. Returns it as Confluence shows it.
        """
        answer = self._caller.call(attach_to_page(page, handle_of(self._caller, file), step=step))
        return _first(object_of(answer).get("results"), answer)

    @does(
        "confluence.attachments",
        "Read page's attachments",
        verbs=("confluence.download",),
        operations=("getPageAttachments",),
        example={"page": PAGE},
    )
    def attachments(self, page: Page) -> Iterator[dict[str, Any]]:
        """Walk the files of a page, each with ``id``, ``title``, ``fileSize``, ``mediaType`` and ``comment``."""
        return by_cursor(self._caller, attachments_of_page(page))

    @does(
        "confluence.download",
        "Fetch attached file of page",
        operations=("downloadAttatchment",),
        example={"page": PAGE, "attachment": "att131080"},
    )
    def download(self, page: Page, attachment: str) -> File:
        """Fetch a file of a page by its id and return its handle; ``context.content`` gives the bytes."""
        return _handle(self._caller.call(attachment_download(page, attachment)))


def attach_to_issue(issue: Issue, file: File, *, step: str | None = None) -> Request:
    """POST a file to an issue (operation addAttachment)."""
    path = f"/rest/api/3/issue/{segment(issue)}/attachments"
    return Request("jira", "POST", path, label=step, verb="attach", target=name_of(issue), file=file)


def attachments_of_issue(issue: Issue) -> Request:
    """GET what an issue has attached (operation getIssue)."""
    query = {"fields": ["attachment"]}
    return Request("jira", "GET", f"/rest/api/3/issue/{segment(issue)}", query, verb="read", target=name_of(issue))


def attachment_content(issue: Issue, attachment: str) -> Request:
    """GET a file's bytes (operation getAttachmentContent); the issue is for egress, which takes it off."""
    path, query = f"/rest/api/3/attachment/content/{segment(attachment)}", {"issue": [name_of(issue)]}
    return Request("jira", "GET", path, query, verb="download", target=name_of(issue))


def attach_to_page(page: Page, file: File, *, step: str | None = None) -> Request:
    """PUT a file on a page (operation createOrUpdateAttachments); its followers are told, as of any edit."""
    path, body = f"/wiki/rest/api/content/{segment(page)}/child/attachment", {"minorEdit": "false"}
    return Request("confluence", "PUT", path, body=body, label=step, verb="attach", target=name_of(page), file=file)


def attachments_of_page(page: Page) -> Request:
    """GET the files of a page (operation getPageAttachments)."""
    path = f"/wiki/api/v2/pages/{segment(page)}/attachments"
    return Request("confluence", "GET", path, {"limit": ["100"]}, verb="download", target=name_of(page))


def attachment_download(page: Page, attachment: str) -> Request:
    """GET a file's bytes (operation downloadAttatchment, as Atlassian spells it)."""
    path = f"/wiki/rest/api/content/{segment(page)}/child/attachment/{segment(attachment)}/download"
    return Request("confluence", "GET", path, verb="download", target=name_of(page))


def _first(listed: Any, answer: Answer) -> dict[str, Any]:
    """Return the one file that an upload made; one that was only observed has an id that no site gives."""
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):
        return dict(listed[0])
    if isinstance(listed, dict):
        # A person who decided that it was made named it by its id alone.
        return listed
    return {"id": "0"} if answer.observed else {}


def _handle(answer: Answer) -> File:
    # A file of what observe mode did not make is an empty one, which nobody keeps.
    said: dict[str, Any] = {"digest": "0" * 64, "name": "file", "size": 0, "type": BINARY} | object_of(answer)
    return File(str(said["digest"]), str(said["name"]), int(said["size"]), str(said["type"]))
