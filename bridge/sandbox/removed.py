"""Operations that Atlassian has removed and still answers for, with 410 and what to use instead.

Older client libraries call them, and a person who tries a script here must be told what the real gateway would say.

* Jira's search by offset: https://developer.atlassian.com/changelog/#CHANGE-2046. The OpenAPI file still lists it as
  "currently being removed"; sites have answered 410 since late 2025.
* Confluence's v1 operations on content and spaces that v2 replaced
  (https://developer.atlassian.com/cloud/confluence/changelog/#CHANGE-864). They are in the OpenAPI file no more, and
  the gateway answers 410 for them (https://github.com/atlassian-api/atlassian-python-api/issues/1560 and
  https://github.com/Spenhouet/confluence-markdown-exporter/issues/207). What v2 lacks stays: search by CQL, labels,
  users.
"""

import re
from collections.abc import Mapping, Sequence

from bridge.sandbox.answer import Answer, Refused, jira_refused

_JIRA_SAYS = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline "
    "is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)
_GONE = "com.atlassian.confluence.api.service.exceptions.pagesmodes.GoneException"
_CONFLUENCE_SAYS = f"{_GONE}: This deprecated endpoint has been removed."
_V1 = "/wiki/rest/api"
# Methods by path; a number stands for any id, since a word there is an operation of its own.
_REMOVED: Mapping[str, Sequence[tuple[str, frozenset[str]]]] = {
    "jira": [(r"/rest/api/(2|3|latest)/search", frozenset({"GET", "POST"}))],
    "confluence": [
        (rf"{_V1}/content", frozenset({"GET", "POST"})),
        (rf"{_V1}/content/\d+", frozenset({"GET", "PUT", "DELETE"})),
        (rf"{_V1}/content/\d+/(child(/(page|comment|attachment))?|history|label|version(/\d+)?)", frozenset({"GET"})),
        (rf"{_V1}/content/\d+/property(/[^/]+)?", frozenset({"GET", "POST", "PUT", "DELETE"})),
        (rf"{_V1}/space(/[^/]+(/content(/[^/]+)?)?)?", frozenset({"GET"})),
    ],
}


def refusal(product: str, method: str, path: str) -> Refused | None:
    """The 410 for a request to something removed, or None; ``path`` is without the gateway's prefix."""
    for pattern, methods in _REMOVED[product]:
        if method in methods and re.fullmatch(pattern, path):
            return jira_refused(410, _JIRA_SAYS) if product == "jira" else _gone()
    return None


def _gone() -> Refused:
    data = {"authorized": True, "valid": True, "errors": [], "successful": True}
    return Refused(Answer(410, {"statusCode": 410, "data": data, "message": _CONFLUENCE_SAYS}))
