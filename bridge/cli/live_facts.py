"""What the bridge relies on and Atlassian's documentation does not promise, looked at on a real site.

Each question says what hangs on it: a promise that does not hold is a warning with its consequence, not a failure.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.cli.check import OK, UNKNOWN, WARN, Check
from bridge.cli.live_stage import RULE, Done, Stage
from bridge.cli.live_trials import Throwaway
from bridge.egress.doubt import PROPERTY
from bridge.egress.upstream import SiteAnswer
from bridge.errors import BridgeError

HERE = "on this site"
LONGEST_LAG = 30.0  # seconds for which a search is asked for a new issue
LOOK = 0.5
SKEW = 60.0  # seconds by which the site's clock may differ before look-ups, which begin 5 minutes early, come near it

# Reads as the account: method, path, query, body.
Look = Callable[[str, str, Mapping[str, list[str]], Any], SiteAnswer]


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks them of the throwaway issue and page; ``made`` is what came of making both, with the time it was sent."""

    stage: Stage
    targets: Throwaway
    look: Look
    made: Mapping[str, tuple[Done, datetime]]

    def soon(self) -> Iterator[Check]:
        """Ask what is to be asked just after they were made."""
        if self.targets.issues:
            yield self._search()

    def all(self) -> Iterator[Check]:
        """Ask everything else that there is something to ask about."""
        if self.targets.issues:
            yield self._kind()
            yield self._clock("jira")
            yield self._comment()
            yield self._history()
            yield from self._links()
        if self.targets.pages:
            yield self._clock("confluence")
            yield self._version()
            yield self._title()

    # ------------------------------------------------------------------------------------------------------- Jira

    def _kind(self) -> Check:
        said = self._object("GET", "/rest/api/3/myself", {})
        if said is None:
            return _untold("accountType of a service account")
        kind = said.get("accountType")
        text = f"accountType of a service account is {kind!r}"
        return Check(OK, HERE, text) if kind == "app" else _broken(text, "the e-mail address tells it all the same")

    def _search(self) -> Check:
        """A look-up of a created issue in doubt is a search: how long until it is found, and with its mark?"""
        done, sent = self.made["jira"]
        key = self.targets.issues[0]
        jql = (
            f'project = "{self.targets.project}" AND creator = currentUser() AND created >= "-5m" ORDER BY created DESC'
        )
        body = {"jql": jql, "fields": ["created"], "properties": [PROPERTY], "maxResults": 50}
        deadline = time.monotonic() + LONGEST_LAG
        while True:
            said = self._object("POST", "/rest/api/3/search/jql", {}, body)
            if said is None:
                return _untold("how soon a search finds a new issue")
            hit = next((each for each in said.get("issues", []) if each.get("key") == key), None)
            if hit is not None:
                break
            if time.monotonic() >= deadline:
                text = f"a search did not find a new issue within {LONGEST_LAG:.0f} s"
                return _broken(text, "an issue in doubt is looked for after 120 s; tell us if that is not enough")
            time.sleep(LOOK)
        lag = (datetime.now(UTC) - sent).total_seconds()
        if not _ours((hit.get("properties") or {}).get(PROPERTY), done.delivery):
            return _broken("a search does not give an issue's property", "issues in doubt wait for a person")
        return Check(OK, HERE, f"a search finds a new issue after {lag:.1f} s, with the mark it carries")

    def _comment(self) -> Check:
        key = self.targets.issues[0]
        done = self.stage.perform("comment property", lambda context: context.jira.comment(key, "Tried by the bridge."))
        if done.how != "done":
            return _not_made("a comment", done)
        listed = {"expand": ["properties"]}
        said = self._object("POST", "/rest/api/3/comment/list", listed, {"ids": [int(done.result["id"])]})
        if said is None:
            return _untold("whether a comment keeps its property")
        properties = [each for comment in said.get("values", []) for each in comment.get("properties") or []]
        if any(each.get("key") == PROPERTY and _ours(each.get("value"), done.delivery) for each in properties):
            return Check(OK, HERE, "a comment keeps the property that it is made with")
        return _broken("a comment does not show its property again", "comments in doubt are sent again")

    def _history(self) -> Check:
        key = self.targets.issues[0]
        label = {"labels": [f"{self.targets.mark}-tried"]}
        done = self.stage.perform("history metadata", lambda context: context.jira.edit(key, add=label))
        if done.how != "done":
            return _not_made("an edit", done)
        said = self._object("GET", f"/rest/api/3/issue/{key}/changelog", {"maxResults": ["100"]})
        if said is None:
            return _untold("whether the history keeps what a change is sent with")
        kept = [(change.get("historyMetadata") or {}).get("extraData") or {} for change in said.get("values", [])]
        if any(_ours(each, done.delivery) for each in kept):
            return Check(OK, HERE, "the history keeps the metadata that a change is sent with")
        text = "the history does not show the metadata that a change is sent with"
        return _broken(text, "transitions in doubt wait for a person when the status has changed")

    def _links(self) -> Iterator[Check]:
        """Links carry no mark: they are looked up by what they are, which asks that making one twice makes one."""
        key = self.targets.issues[0]
        told = self._object("GET", "/rest/api/3/issueLinkType", {})
        kinds = (told or {}).get("issueLinkTypes") or []
        if len(self.targets.issues) > 1 and kinds:
            inward, outward = {"key": key}, {"key": self.targets.issues[1]}
            body = {"type": {"id": str(kinds[0].get("id"))}, "inwardIssue": inward, "outwardIssue": outward}
            twice = self._twice("a link", "/rest/api/3/issueLink", body)
            said = self._object("GET", f"/rest/api/3/issue/{key}", {"fields": ["issuelinks"]})
            links = ((said or {}).get("fields") or {}).get("issuelinks")
            yield twice or _one_of("a link between two issues", links)
        name = f"bridge={self.targets.mark}"
        web = {"globalId": name, "object": {"url": "https://example.com/", "title": "Tried"}}
        twice = self._twice("a web link", f"/rest/api/3/issue/{key}/remotelink", web)
        asked = {"globalId": [name]}
        try:
            answer = self.look("GET", f"/rest/api/3/issue/{key}/remotelink", asked, None)
        except BridgeError:
            answer = None
        shown = answer.body if answer is not None and answer.done else None
        yield twice or _one_of("a web link of one globalId", [shown] if isinstance(shown, dict) else shown)

    def _twice(self, what: str, path: str, body: Mapping[str, Any]) -> Check | None:
        """Make something twice; None if the site took it both times."""
        for turn in ("first", "second"):
            done = self.stage.perform(
                f"{what}, {turn} time", lambda context: context.jira.request("POST", path, body=dict(body))
            )
            if done.how != "done":
                return _not_made(f"{what} (the {turn} time)", done)
        return None

    # -------------------------------------------------------------------------------------------------- Confluence

    def _version(self) -> Check:
        page = self.targets.pages[0]
        done = self.stage.perform(
            "version message", lambda context: context.confluence.update_page(page, append="Tried by the bridge.")
        )
        if done.how != "done":
            return _not_made("a version of the page", done)
        said = self._object("GET", f"/wiki/api/v2/pages/{page}/versions", {"limit": ["50"]})
        if said is None:
            return _untold("whether a version keeps its message")
        messages = [str(version.get("message", "")) for version in said.get("results", [])]
        if any(RULE in message and done.delivery in message for message in messages):
            return Check(OK, HERE, "a page's version keeps the message that it is sent with")
        return _broken("a page's version does not show its message again", "changes of pages in doubt are sent again")

    def _title(self) -> Check:
        """A page in doubt is looked up by its title, which therefore must be the only one of its space."""
        made, _ = self.made["confluence"]
        title, space = str(made.result.get("title")), str(self.targets.space)
        done = self.stage.perform(
            "title twice", lambda context: context.confluence.create_page(space, title, "A second one of that title.")
        )
        if done.how == "done":
            self.targets.pages.append(str(done.result.get("id")))
            return _broken("a space takes two pages of one title", "a page in doubt may be made twice")
        if done.how == "failed" and done.status:
            return Check(OK, HERE, f"a space refuses a second page of one title ({done.status})")
        return _not_made("a second page of one title", done)

    # -------------------------------------------------------------------------------------------------------- both

    def _clock(self, product: str) -> Check:
        """Look-ups compare the site's times with our own clock, and begin 5 minutes early."""
        _, sent = self.made[product]
        if product == "jira":
            said = self._object("GET", f"/rest/api/3/issue/{self.targets.issues[0]}", {"fields": ["created"]})
            text = (said or {}).get("fields", {}).get("created")
        else:
            said = self._object("GET", f"/wiki/api/v2/pages/{self.targets.pages[0]}", {})
            text = (said or {}).get("createdAt")
        try:
            created = datetime.fromisoformat(str(text))
        except ValueError:
            return _untold(f"how {product}'s clock differs from ours")
        skew = abs((created - sent).total_seconds())
        if skew <= SKEW:
            return Check(OK, HERE, f"{product}'s clock and ours differ by less than {max(1, round(skew + 0.5))} s")
        text = f"{product}'s clock and ours differ by {skew:.0f} s"
        return _broken(text, "set this machine's clock: writes in doubt are looked for from 5 minutes before")

    def _object(
        self, method: str, path: str, query: Mapping[str, list[str]], body: Any = None
    ) -> dict[str, Any] | None:
        """Return what the site answers, None if it is no object or the question could not be asked."""
        try:
            answer = self.look(method, path, query, body)
        except BridgeError:
            return None
        return answer.body if answer.done and isinstance(answer.body, dict) else None


def _ours(value: object, delivery: str) -> bool:
    return isinstance(value, Mapping) and value.get("delivery") == delivery and value.get("rule") == RULE


def _one_of(what: str, found: object) -> Check:
    if not isinstance(found, list):
        return _untold(f"whether {what} is made once only")
    if len(found) == 1:
        return Check(OK, HERE, f"{what}, made twice, is one")
    return _broken(f"{what}, made twice, is {len(found)}", "a link in doubt may be made a second time")


def _broken(text: str, consequence: str) -> Check:
    return Check(WARN, HERE, text, consequence)


def _untold(what: str) -> Check:
    return Check(UNKNOWN, HERE, f"{what}: the site did not say")


def _not_made(what: str, done: Done) -> Check:
    return Check(UNKNOWN, HERE, f"{what} could not be made to look at: {done.text}")
