"""How new versions of a project are found again."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.egress.doubt import Absent, Doubt, Found, Unknown, Verdict, unclear

_SENT = ("description", "startDate", "releaseDate")


def _version_created(doubt: Doubt) -> Verdict:
    """A name occurs once in a project; what differs from what was sent is another's, or was changed since.

    A version tells neither author nor time. Ids grow, so one that is older than a version known to be another step's
    cannot be the one, and a newer one that differs in nothing but its name can.
    """
    answer = doubt.get(f"/rest/api/3/project/{doubt.body['projectId']}/versions", {})
    if not answer.done or not isinstance(answer.body, list):
        return unclear(answer, "the project's versions")
    wanted = str(doubt.body["name"]).strip().casefold()
    named = [each for each in answer.body if str(each.get("name", "")).strip().casefold() == wanted]
    if named and str(named[0].get("id")) in doubt.others:
        # What another step made under that name lets the site refuse this one for good, which is an answer.
        return Absent()
    if named and not _is_as_sent(named[0], doubt):
        return Unknown("the project has a version of that name with another description or other dates")
    if named:
        return Found(named[0])
    newest = max((_number(each) for each in doubt.others), default=0)
    if any(_number(each.get("id")) > newest and _is_as_sent(each, doubt) for each in answer.body):
        return Unknown("the project has a version that differs in nothing but its name, and may be this one, renamed")
    return Absent()


def _is_as_sent(version: Mapping[str, Any], doubt: Doubt) -> bool:
    return all((version.get(name) or None) == (doubt.body.get(name) or None) for name in _SENT)


def _number(name: object) -> int:
    return int(str(name)) if str(name).isdecimal() else 0


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {"version-created": _version_created}
