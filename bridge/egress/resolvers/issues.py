"""How comments, new issues and transitions are found again."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.egress.doubt import PAGES, PROPERTY, Absent, Doubt, Found, Unknown, Verdict, carries, since, unclear


def _comment(doubt: Doubt) -> Verdict:
    """Newest comments of the issue first, then their properties: the marker is one."""
    start = 0
    while start < 100 * PAGES:
        query = {"orderBy": ["-created"], "maxResults": ["100"], "startAt": [str(start)]}
        answer = doubt.get(doubt.path, query)
        if not answer.done or not isinstance(answer.body, dict):
            return unclear(answer, "the comments")
        comments = answer.body.get("comments", [])
        late = [comment for comment in comments if since(doubt, comment.get("created"))]
        ids = [int(comment["id"]) for comment in late]
        if ids:
            listed = doubt.post("/rest/api/3/comment/list", {"expand": ["properties"]}, {"ids": ids})
            if not listed.done or not isinstance(listed.body, dict):
                return unclear(listed, "the comments' properties")
            for comment in listed.body.get("values", []):
                if carries(comment.get("properties"), doubt):
                    return Found(next(one for one in late if str(one["id"]) == str(comment["id"])))
        start += len(comments)
        if len(late) < len(comments) or not comments or start >= int(answer.body.get("total", 0)):
            return Absent()
    return Unknown("the issue got more comments since than can be looked through")


def _issue_created(doubt: Doubt) -> Verdict:
    """Search the account's newest issues of the project: JQL cannot ask for a property, so each hit is compared."""
    project = doubt.body["fields"]["project"]
    name = project.get("key") or project.get("id")
    minutes = int((datetime.now(UTC) - doubt.earliest).total_seconds() // 60) + 1
    jql = f'project = "{name}" AND creator = currentUser() AND created >= "-{minutes}m" ORDER BY created DESC'
    token: str | None = None
    for _ in range(PAGES):
        body: dict[str, Any] = {"jql": jql, "fields": ["created"], "properties": [PROPERTY], "maxResults": 100}
        if token:
            body["nextPageToken"] = token
        answer = doubt.post("/rest/api/3/search/jql", {}, body)
        if not answer.done or not isinstance(answer.body, dict):
            return unclear(answer, "the newest issues")
        for issue in answer.body.get("issues", []):
            if (issue.get("properties") or {}).get(PROPERTY) == dict(doubt.marker):
                return Found({name: issue[name] for name in ("id", "key", "self") if name in issue})
        token = answer.body.get("nextPageToken")
        if not token or answer.body.get("isLast"):
            return Absent()
    return Unknown("the project got more issues since than can be looked through")


def _transition(doubt: Doubt) -> Verdict:
    """Compare the history: our own entry is found by its metadata, anybody's later change makes it unclear."""
    issue = doubt.path.removesuffix("/transitions")
    ours = {name: str(value) for name, value in doubt.marker.items()}
    moved = False
    for change in _changes(doubt, issue):
        if isinstance(change, Unknown):
            return change
        if not since(doubt, change.get("created")):
            continue
        if ((change.get("historyMetadata") or {}).get("extraData") or {}) == ours:
            return Found(None)
        moved = moved or any(item.get("field") == "status" for item in change.get("items", []))
    if moved:
        return Unknown("the issue's status changed since, and the history does not say that it was this step")
    return Absent()


def _changes(doubt: Doubt, issue: str) -> Iterator[Any]:
    """Walk the whole changelog of an issue; it is sorted oldest first."""
    start = 0
    for _ in range(100):
        answer = doubt.get(f"{issue}/changelog", {"startAt": [str(start)], "maxResults": ["100"]})
        if not answer.done or not isinstance(answer.body, dict):
            yield unclear(answer, "the history")
            return
        values = answer.body.get("values", [])
        yield from values
        start += len(values)
        if answer.body.get("isLast") or not values:
            return
    yield Unknown("the issue has a longer history than can be looked through")


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "comment": _comment,
    "issue-created": _issue_created,
    "transition": _transition,
}
