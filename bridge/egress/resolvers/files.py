"""How attached files are found again.

Jira tells name, size, author and time of a file and keeps no mark of ours with it; its bytes are not compared, for the
look-up would have to fetch every file of that name. A file on a Confluence page carries the mark in its comment.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict, since, text_of, unclear


def _attachment(doubt: Doubt) -> Verdict:
    """Compare author, name, size and time: two equal files of this account cannot be told apart."""
    answer = doubt.get(doubt.path.removesuffix("/attachments"), {"fields": ["attachment"]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the issue's attachments")
    listed = (answer.body.get("fields") or {}).get("attachment") or []
    same = [
        one
        for one in listed
        if one.get("filename") == doubt.file
        and doubt.size in {None, one.get("size")}
        and since(doubt, one.get("created"))
        and str(one.get("id")) not in doubt.others
    ]
    if same and doubt.own_id is None:
        return Unknown("a file of that name is there, and the account's own id is not known")
    own = [one for one in same if (one.get("author") or {}).get("accountId") == doubt.own_id]
    if len(own) > 1:
        return Unknown("the issue got two equal files by this account since")
    return Found(own) if own else Absent()


def _page_file(doubt: Doubt) -> Verdict:
    """Find the version by its comment, among all versions of the file if another has put a newer one on top."""
    page = doubt.path.split("/")[5]  # /wiki/rest/api/content/{id}/child/attachment
    answer = doubt.get(f"/wiki/api/v2/pages/{page}/attachments", {"filename": [str(doubt.file)]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the page's attachments")
    mark = text_of(doubt.marker)
    for file in answer.body.get("results", []):
        if file.get("comment") == mark:
            return _found(file)
        newest = file.get("version") or {}
        if not since(doubt, newest.get("createdAt") or file.get("createdAt")):
            continue
        versions = doubt.get(f"/wiki/api/v2/attachments/{file['id']}/versions", {"limit": ["50"]})
        if not versions.done or not isinstance(versions.body, dict):
            return unclear(versions, "the file's versions")
        if any(version.get("message") == mark for version in versions.body.get("results", [])):
            return _found(file)
        return Unknown("the page got another version of this file since, and none says that it is this step's")
    return Absent()


def _found(file: Mapping[str, Any]) -> Found:
    return Found({"results": [file], "size": 1})


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {"attachment": _attachment, "page-file": _page_file}
