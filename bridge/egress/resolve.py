"""Writes of which nobody knows whether they were made: marked when they are sent, looked up, never blindly repeated.

Each verb of the catalogue names its resolver. One either finds the effect, or finds that it is absent, or cannot tell;
what cannot be told waits for a person.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from bridge.catalogue import Verb
from bridge.egress.doubt import PROPERTY, Absent, Doubt, Found, Unknown, Verdict, text_of, unclear
from bridge.egress.resolvers import (
    boards,
    content,
    files,
    issues,
    links,
    page_tree,
    pages,
    service_desk,
    versions,
    work,
)

GONE = frozenset({404, 410})
_HELD = re.compile(r"(/rest/api/3/(?:issue|project)/[^/]+)/[^/]+/[^/]+$")


def marker(delivery: str, run: int, step: int, rule: str) -> dict[str, Any]:
    """Return what egress writes with an action so that it can be found again, and what an auditor sees on the site."""
    return {"delivery": delivery, "run": run, "step": step, "rule": rule}


def marked(verb: Verb | None, body: Any, mark: Mapping[str, Any]) -> Any:
    """Return the body with the marker in the place that the verb has for it."""
    kind = verb.marker if verb else None
    if kind is None or not isinstance(body, dict):
        return body
    if kind in {"comment-property", "issue-property", "worklog-property"}:
        return {**body, "properties": [{"key": PROPERTY, "value": dict(mark)}]}
    if kind == "version-message":
        return {**body, "version": {**body.get("version", {}), "message": text_of(mark)}}
    if kind == "upload-comment":
        return {**body, "comment": text_of(mark)}
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


def _gone(doubt: Doubt) -> Verdict:
    """What was to be deleted is there no more, or lies in the trash; or it is there, and nothing was done.

    A site answers 404 as well for what this account may not see. So the answer counts only where the issue or project
    that held it is shown; where nothing is named that did, nobody can tell.
    """
    answer = doubt.get(doubt.path, {})
    if answer.status in GONE:
        around = _around(doubt)
        if around is None:
            return Unknown(f"the site answered {answer.status} for it: it may be deleted, or not be shown any more")
        holder = doubt.get(around, {})
        return Found(None) if holder.done else unclear(holder, "what it was on")
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "what was to be deleted")
    return Found(None) if answer.body.get("status") == "trashed" else Absent()


def _around(doubt: Doubt) -> str | None:
    """Return the path of the issue or project that the request names as holding what was to be deleted."""
    named = doubt.query.get("issue", ())
    if doubt.path.startswith("/rest/api/3/attachment/") and len(named) == 1:
        return f"/rest/api/3/issue/{quote(str(named[0]), safe='')}"
    found = _HELD.match(doubt.path)
    return found[1] if found else None


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "repeat": _repeat,
    "gone": _gone,
    **issues.RESOLVERS,
    **links.RESOLVERS,
    **pages.RESOLVERS,
    **work.RESOLVERS,
    **page_tree.RESOLVERS,
    **content.RESOLVERS,
    **boards.RESOLVERS,
    **service_desk.RESOLVERS,
    **versions.RESOLVERS,
    **files.RESOLVERS,
}
