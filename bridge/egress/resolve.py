"""Writes of which nobody knows whether they were made: looked up, never blindly repeated.

Each verb of the catalogue names its resolver. One either finds the effect, or finds that it is absent, or cannot tell;
what cannot be told waits for a person. Looking starts 5 minutes before the intent, because the site has a clock of its
own. The marker is what egress wrote with the action (``mark``).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.catalogue import Verb
from bridge.egress.upstream import SiteAnswer

PROPERTY = "bridge.step"
EARLIER = timedelta(minutes=5)
PAGES = 20
NOT_FOUND, GONE, CONFLICT = 404, 410, 409

Get = Callable[[str, Mapping[str, list[str]]], SiteAnswer]
Post = Callable[[str, Mapping[str, list[str]], Any], SiteAnswer]


@dataclass(frozen=True, slots=True)
class Found:
    """It was made: ``body`` is what the site would have answered then, as far as it can still be told."""

    body: Any


@dataclass(frozen=True, slots=True)
class Absent:
    """It was not made: the recorded request may be sent."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell from here; ``why`` is the sentence for the person who will."""

    why: str


Verdict = Found | Absent | Unknown


@dataclass(frozen=True, slots=True)
class Doubt:
    """An intent without outcome: what was sent, when, by whom and with which marker.

    ``others`` are the ids of what other steps are known to have made at the same target.
    """

    path: str
    body: Any
    marker: Mapping[str, Any]
    since: datetime
    own_id: str | None
    get: Get
    post: Post
    others: frozenset[str] = frozenset()

    @property
    def earliest(self) -> datetime:
        """From when on the site may have it."""
        return self.since - EARLIER


def marker(delivery: str, run: int, step: int, rule: str) -> dict[str, Any]:
    """Return what egress writes with an action so that it can be found again, and what an auditor sees on the site."""
    return {"delivery": delivery, "run": run, "step": step, "rule": rule}


def text_of(mark: Mapping[str, Any]) -> str:
    """Return a marker as one line, for a version's message."""
    return f"bridge {mark['rule']} {mark['delivery']}.{mark['run']}.{mark['step']}"


def marked(verb: Verb | None, body: Any, mark: Mapping[str, Any]) -> Any:
    """Return the body with the marker in the place that the verb has for it."""
    kind = verb.marker if verb else None
    if kind is None or not isinstance(body, dict):
        return body
    if kind in {"comment-property", "issue-property"}:
        return {**body, "properties": [{"key": PROPERTY, "value": dict(mark)}]}
    if kind == "version-message":
        return {**body, "version": {**body.get("version", {}), "message": text_of(mark)}}
    extra = {name: str(value) for name, value in mark.items()}
    return {**body, "historyMetadata": {"type": "bridge:step", "description": text_of(mark), "extraData": extra}}


def resolve(verb: Verb | None, doubt: Doubt) -> Verdict:
    """Look up one write in doubt."""
    resolver = RESOLVERS.get(verb.resolver) if verb and verb.resolver else None
    if resolver is None:
        return Unknown("this operation leaves nothing by which it could be found again")
    return resolver(doubt)


def _repeat(_doubt: Doubt) -> Verdict:
    """Doing it again changes nothing that the first time did not."""
    return Absent()


def _when(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _since(doubt: Doubt, text: object) -> bool:
    """Tell whether a time of the site is late enough; one that cannot be read counts as late enough."""
    found = _when(text)
    return found is None or found >= doubt.earliest


def _unclear(answer: SiteAnswer, what: str) -> Unknown:
    return Unknown(f"the site answered {answer.status} when asked for {what}")


def _comment(doubt: Doubt) -> Verdict:
    """Newest comments of the issue first, then their properties: the marker is one."""
    start = 0
    while start < 100 * PAGES:
        query = {"orderBy": ["-created"], "maxResults": ["100"], "startAt": [str(start)]}
        answer = doubt.get(doubt.path, query)
        if not answer.done or not isinstance(answer.body, dict):
            return _unclear(answer, "the comments")
        comments = answer.body.get("comments", [])
        late = [comment for comment in comments if _since(doubt, comment.get("created"))]
        ids = [int(comment["id"]) for comment in late]
        if ids:
            listed = doubt.post("/rest/api/3/comment/list", {"expand": ["properties"]}, {"ids": ids})
            if not listed.done or not isinstance(listed.body, dict):
                return _unclear(listed, "the comments' properties")
            for comment in listed.body.get("values", []):
                if _carries(comment.get("properties"), doubt):
                    return Found(next(one for one in late if str(one["id"]) == str(comment["id"])))
        start += len(comments)
        if len(late) < len(comments) or not comments or start >= int(answer.body.get("total", 0)):
            return Absent()
    return Unknown("the issue got more comments since than can be looked through")


def _carries(properties: object, doubt: Doubt) -> bool:
    """Tell whether an entity's properties hold the marker of this very step."""
    listed = properties if isinstance(properties, list) else []
    return any(
        isinstance(one, dict) and one.get("key") == PROPERTY and one.get("value") == dict(doubt.marker)
        for one in listed
    )


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
            return _unclear(answer, "the newest issues")
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
        if not _since(doubt, change.get("created")):
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
            yield _unclear(answer, "the history")
            return
        values = answer.body.get("values", [])
        yield from values
        start += len(values)
        if answer.body.get("isLast") or not values:
            return
    yield Unknown("the issue has a longer history than can be looked through")


def _page_created(doubt: Doubt) -> Verdict:
    """A title occurs once among a space's current pages (https://support.atlassian.com/confluence-cloud/)."""
    status = str(doubt.body.get("status", "current"))
    query = {"space-id": [str(doubt.body["spaceId"])], "title": [str(doubt.body["title"])], "status": [status]}
    answer = doubt.get("/wiki/api/v2/pages", query)
    if not answer.done or not isinstance(answer.body, dict):
        return _unclear(answer, "a page of that title")
    pages = answer.body.get("results", [])
    if pages and doubt.own_id is None:
        return Unknown("a page of that title stands there, and the account's own id is not known")
    own = [
        page
        for page in pages
        if page.get("authorId") == doubt.own_id
        and _since(doubt, page.get("createdAt"))
        and str(page.get("id")) not in doubt.others
    ]
    if len(own) > 1:
        return Unknown("the space has two drafts of that title of this account since")
    # Another's page of that title makes the site refuse ours for good, which is an answer.
    return Found(own[0]) if own else Absent()


def _page_version(doubt: Doubt) -> Verdict:
    """Find the version by its message; a number that another's version took is a conflict for the site to tell."""
    answer = doubt.get(f"{doubt.path}/versions", {"limit": ["50"], "sort": ["-modified-date"]})
    if not answer.done or not isinstance(answer.body, dict):
        return _unclear(answer, "the versions")
    message = text_of(doubt.marker)
    if any(version.get("message") == message for version in answer.body.get("results", [])):
        page = doubt.get(doubt.path, {"body-format": ["atlas_doc_format"]})
        return Found(page.body if page.done else {"id": doubt.path.rpartition("/")[2]})
    return Absent()


def _footer_comment(doubt: Doubt) -> Verdict:
    """Compare text, author and time, for a comment on a page has no place for a marker."""
    page = str(doubt.body["pageId"])
    wanted = _text(doubt.body.get("body", {}))
    query = {"body-format": ["atlas_doc_format"], "sort": ["-created-date"], "limit": ["100"]}
    answer = doubt.get(f"/wiki/api/v2/pages/{page}/footer-comments", query)
    if not answer.done or not isinstance(answer.body, dict):
        return _unclear(answer, "the comments")
    results = answer.body.get("results", [])
    if doubt.own_id is None:
        return Unknown("the account's own id is not known, so its comments cannot be told from others'")
    same = [
        comment
        for comment in results
        if str(comment.get("id")) not in doubt.others
        and _since(doubt, (comment.get("version") or {}).get("createdAt"))
        and (comment.get("version") or {}).get("authorId") == doubt.own_id
        and _text((comment.get("body") or {}).get("atlas_doc_format", {})) == wanted
    ]
    if len(same) > 1:
        return Unknown("the page has two equal comments of this account since")
    if same:
        return Found(same[0])
    if (answer.body.get("_links") or {}).get("next"):
        return Unknown("the page got more comments since than can be looked through")
    return Absent()


def _text(body: Mapping[str, Any]) -> str:
    """Return the words of an ADF document: a site may add ids and attributes, but not change what is said."""
    try:
        return "".join(_words(json.loads(str(body.get("value", "null")))))
    except ValueError:
        return str(body.get("value"))


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield str(node.get("text", ""))
        for inner in node.get("content", []):
            yield from _words(inner)
        yield "\n" if node.get("type") == "paragraph" else ""


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "repeat": _repeat,
    "comment": _comment,
    "issue-created": _issue_created,
    "transition": _transition,
    "page-created": _page_created,
    "page-version": _page_version,
    "footer-comment": _footer_comment,
}
