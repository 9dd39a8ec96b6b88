"""How new sprints, and sprints that were started or completed, are found again."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.egress.doubt import PAGES, Absent, Doubt, Found, Unknown, Verdict, since, unclear

_PAGE_SIZE = 50
_BEFORE: Mapping[str, frozenset[str]] = {"active": frozenset({"future"}), "closed": frozenset({"active"})}


def _sprint_created(doubt: Doubt) -> Verdict:
    """Compare name, goal and dates with all of the board's sprints: names may occur twice, and no author is told.

    A sprint may have been renamed, started or completed since, so any other one made since could be the one.
    """
    path = f"/rest/agile/1.0/board/{doubt.body['originBoardId']}/sprint"
    there: list[dict[str, Any]] = []
    start = 0
    for _ in range(PAGES):
        query = {"startAt": [str(start)], "maxResults": [str(_PAGE_SIZE)]}
        answer = doubt.get(path, query)
        if not answer.done or not isinstance(answer.body, dict):
            return unclear(answer, "the board's sprints")
        values = answer.body.get("values") or []
        there += [each for each in values if str(each.get("id")) not in doubt.others]
        start += len(values)
        if answer.body.get("isLast") or not values:
            break
    else:
        return Unknown("the board has more sprints than can be looked through")
    if any(not each.get("createdDate") and each.get("name") == doubt.body.get("name") for each in there):
        return Unknown("the board has a sprint of that name, and the site does not tell when it was made")
    late = [each for each in there if each.get("createdDate") and since(doubt, each["createdDate"])]
    same = [each for each in late if _is_same(each, doubt.body)]
    if len(same) > 1:
        return Unknown("the board got two equal sprints since")
    if not same and late:
        return Unknown("the board got another sprint since, which may be this one, changed")
    return Found(same[0]) if same else Absent()


def _is_same(found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    words = all((found.get(name) or "") == (sent.get(name) or "") for name in ("name", "goal"))
    return words and all(_moment(found.get(name)) == _moment(sent.get(name)) for name in ("startDate", "endDate"))


def _moment(text: object) -> datetime | None:
    """Read a date, whatever its offset; one that cannot be read is as good as none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _sprint_state(doubt: Doubt) -> Verdict:
    """A sprint goes one way, from future over active to closed."""
    answer = doubt.get(doubt.path, {})
    if not answer.done or not isinstance(answer.body, dict):
        return unclear(answer, "the sprint")
    wanted, state = str(doubt.body["state"]), str(answer.body.get("state"))
    if state == wanted:
        return Found(answer.body)
    if state in _BEFORE.get(wanted, frozenset()):
        return Absent()
    return Unknown(f"the sprint is {state} now, and nobody can tell whether it became {wanted} before")


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {
    "sprint-created": _sprint_created,
    "sprint-state": _sprint_state,
}
