"""How what a page or space carries is found again: its status, labels and properties, and a space by its key."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict, since, unclear

GONE = frozenset({404, 410})
_OF_CONTENT = re.compile(r"/wiki/rest/api/content/([0-9]+)/")


def _status(doubt: Doubt) -> Verdict:
    """Compare a page's status with the one that was set, or see that there is none."""
    answer = doubt.get(doubt.path, {"status": ["current"]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the page's status")
    state = answer.body.get("contentState") or {}
    wanted: Mapping[str, Any] = doubt.body if isinstance(doubt.body, dict) else {}
    # An id decides over name and color: https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content-states/
    compared = "id" if "id" in wanted else "name"
    there = state.get(compared) == wanted[compared] if wanted else not state
    return Found(answer.body) if there else Absent()


def _label_removed(doubt: Doubt) -> Verdict:
    page = _OF_CONTENT.match(doubt.path)
    names = doubt.query.get("name", ())
    if page is None or len(names) != 1:
        return Unknown("the request does not name one label of one page")
    answer = doubt.get(f"/wiki/api/v2/pages/{page[1]}/labels", {"limit": ["250"]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the page's labels")
    if any(label.get("name") == names[0] for label in answer.body.get("results", [])):
        return Absent()
    if (answer.body.get("_links") or {}).get("next"):
        return Unknown("the page has more labels than can be looked through")
    return Found(None)


def _property(doubt: Doubt) -> Verdict:
    """Compare a property's value: a new one is found by its key, a changed or deleted one by its id."""
    known = doubt.path.rpartition("/")[2].isdecimal()
    answer = doubt.get(doubt.path, {} if known else {"key": [str(doubt.body.get("key"))]})
    if known and doubt.body is None and answer.status in GONE:
        around = doubt.get(doubt.path.partition("/properties/")[0], {})
        return Found(None) if around.done else unclear(around, "what the property was on")
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the property")
    listed = [answer.body] if known else answer.body.get("results", [])
    if doubt.body is None:
        return Absent()
    same = [each for each in listed if each.get("value") == doubt.body.get("value")]
    return Found(same[0]) if same else Absent()


def _space_created(doubt: Doubt) -> Verdict:
    """Look for the account's own space of that key; another's makes the site refuse ours, which is an answer."""
    answer = doubt.get("/wiki/api/v2/spaces", {"keys": [str(doubt.body.get("key"))]})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "a space of that key")
    spaces = answer.body.get("results", [])
    if spaces and doubt.own_id is None:
        return Unknown("a space of that key stands there, and the account's own id is not known")
    own = [each for each in spaces if each.get("authorId") == doubt.own_id and since(doubt, each.get("createdAt"))]
    return Found(own[0]) if own else Absent()


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "page-status": _status,
    "label-removed": _label_removed,
    "page-property": _property,
    "space-property": _property,
    "space-created": _space_created,
}
