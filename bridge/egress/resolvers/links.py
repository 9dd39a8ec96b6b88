"""How a link to the web is found again: by its global id, under which a repeat changes the one that is there."""

from collections.abc import Callable, Mapping

from bridge.egress.doubt import Absent, Doubt, Unknown, Verdict


def _web_link(doubt: Doubt) -> Verdict:
    """The same global id again changes what is there, and without one a second link would be made."""
    if isinstance(doubt.body, dict) and doubt.body.get("globalId"):
        return Absent()
    return Unknown("the web link has no global id, so making it again could make a second one")


RESOLVERS: Mapping[str, Callable[[Doubt], Verdict]] = {"web-link": _web_link}
