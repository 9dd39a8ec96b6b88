"""One run of ``bridge doctor --live``: the throwaway issue and page are made, acted on, looked at and deleted."""

import contextlib
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bridge import catalogue
from bridge.catalogue import Operation
from bridge.cli import live_scopes, live_told, live_trials
from bridge.cli.account_needs import of_account
from bridge.cli.check import OK, WARN, Check, some
from bridge.cli.checkup import PATIENCE
from bridge.cli.live_stage import RULE, Done, Stage
from bridge.cli.live_trials import NotTried, Throwaway
from bridge.cli.words import listed
from bridge.egress.accounts import Accounts
from bridge.egress.upstream import SiteAnswer
from bridge.errors import AccountRejected, BridgeError, InDoubt, NotSent
from bridge.rule.method import Method
from bridge.rule.registry import Rule

ISSUES = 2  # one to act on, and one for what links two
GONE = (404, 410)
_FOR = re.compile(r"lacks an OAuth scope for (\w+):")  # how egress says which operation it was


class Trial:
    """One run of it: what was made so far, and what is asked besides through the account's own credential."""

    def __init__(self, place: Stage, accounts: Accounts, where: Mapping[str, str]) -> None:
        self._stage = place
        self._accounts = accounts
        self._where = where
        self._about = f"account {place.account.name}"
        mark = f"bridge-doctor-{secrets.token_hex(4)}"
        self.targets = Throwaway(where.get("jira"), where.get("confluence"), mark)
        self.made: dict[str, tuple[Done, datetime]] = {}
        self._title = f"Thrown away by bridge doctor {mark}"
        self._doubtful = False
        self._probed: dict[str, list[live_scopes.Probed]] = {}

    def look(self, method: str, path: str, query: Mapping[str, list[str]], body: Any = None) -> SiteAnswer:
        """Read something as the account, without a step; raises what ``Accounts.send`` raises."""
        found = catalogue.match(method, path)
        if found is None:
            raise LookupError(path)
        return self._send(found.operation, path, query, body)

    def _send(self, operation: Operation, path: str, query: Mapping[str, Any], body: Any = None) -> SiteAnswer:
        name = self._stage.account.name
        return self._accounts.send(name, operation, path, query, body, seconds_left=PATIENCE)

    # ---------------------------------------------------------------------------------------------- who, and with what

    def who(self) -> Iterator[Check]:
        """Learn who the account is, which some methods take as an argument."""
        try:
            found = self._accounts.learn(self._stage.account.name, PATIENCE)
        except BridgeError as error:
            yield Check(WARN, self._about, f"who it is could not be asked: {error}", "see `bridge doctor`")
            return
        self.targets.own, self.targets.name = found.account_id, found.display_name
        yield Check(OK, self._about, f"is {found.display_name} ({found.account_id})")

    def scopes(self, rules: Sequence[Rule]) -> Iterator[Check]:
        """Find out which OAuth scopes the credentials really have."""
        needed = of_account(self._stage.account.name, rules, self._stage.account)
        for product in self._where:
            declared = self._stage.account.credentials[product].scopes
            wanted = frozenset(needed.advice(product).scopes)
            found = live_scopes.probe(product, declared | wanted, needed.operations(product), self._passes)
            self._probed[product] = found
            yield from live_scopes.told(self._about, product, declared, wanted, found)

    def _passes(self, operation: Operation, path: str) -> bool | None:
        body: dict[str, Any] | None = None if operation.method in {"GET", "DELETE"} else {}
        try:
            self._send(operation, path, {}, body)
        except AccountRejected as error:
            return False if error.missing else None
        except (NotSent, InDoubt):
            return None
        return True

    # ----------------------------------------------------------------------------------------------------- throwaways

    def make(self, methods: Iterable[Method]) -> Iterator[Check]:
        """Make what is acted on: two issues, of which one is linked to, and a page or two."""
        if "jira" in self._where:
            yield from self._made("jira", ISSUES, self._issue, self.targets.issues, "key")
        if "confluence" in self._where:
            pages = 2 if any(map(live_trials.takes_two_pages, methods)) else 1
            yield from self._made("confluence", pages, self._page, self.targets.pages, "id")

    def _made(
        self, product: str, count: int, make: Callable[[int], tuple[Done, datetime]], made: list[str], name: str
    ) -> Iterator[Check]:
        what, where = ("an issue", self.targets.project) if product == "jira" else ("a page", self.targets.space)
        for number in range(count):
            done, sent = make(number)
            self._doubtful = self._doubtful or done.how == "stopped"
            if done.how != "done":
                yield live_told.not_made(f"{what} in {where} could not be made", done)
                break
            made.append(str(done.result[name]))
            self.made.setdefault(product, (done, sent))
        if made:
            yield Check(OK, "made", listed(made) if product == "jira" else f"{live_told.pages(made)} in {where}")

    def _issue(self, number: int) -> tuple[Done, datetime]:
        kind = self._issue_type()
        summary = f"Thrown away by bridge doctor ({number + 1} of {ISSUES})"
        fields = {"labels": [self.targets.mark]}
        sent = datetime.now(UTC)
        project = str(self.targets.project)
        done = self._stage.perform(
            "create an issue", lambda context: context.jira.create(project, kind, summary, fields=fields)
        )
        return done, sent

    def _issue_type(self) -> str:
        """Return an issue type that the project has and that stands by itself."""
        with contextlib.suppress(BridgeError):
            said = self.look("GET", f"/rest/api/3/project/{self.targets.project}", {})
            kinds = said.body.get("issueTypes", []) if said.done and isinstance(said.body, dict) else []
            names = [str(each.get("name")) for each in kinds if not each.get("subtask")]
            if names and "Task" not in names:
                return names[0]
        return "Task"

    def _page(self, number: int) -> tuple[Done, datetime]:
        title, space = f"{self._title} {number + 1}", str(self.targets.space)
        sent = datetime.now(UTC)
        done = self._stage.perform(
            "create a page", lambda context: context.confluence.create_page(space, title, "Tried by the bridge.")
        )
        return done, sent

    # -------------------------------------------------------------------------------------------------------- methods

    def methods(self, found: Mapping[str, tuple[Method, list[str]]]) -> Iterator[Check]:
        """Try each method that the rules use, and tell together what came to the same."""
        done: list[str] = []
        alone: dict[str, list[str]] = {}
        lacking: dict[tuple[str, ...], list[str]] = {}
        for method in live_trials.in_order(method for method, _ in found.values()):
            try:
                came = self._try(method)
            except NotTried as error:
                alone.setdefault(str(error), []).append(method.name)
                continue
            if came is None or came.how == "done":
                done.append(method.name)
            elif came.lacks:
                lacking.setdefault(self._wanting(method.product, came), []).append(method.name)
            else:
                yield live_told.failed(f"{method.name}, which {some(found[method.name][1])} uses", came)
        for scopes, names in lacking.items():
            yield live_told.lacking(listed(names), scopes)
        if done:
            yield Check(OK, "tried", f"{listed(done)}: done, and logged under {RULE}")
        for why, names in alone.items():
            yield Check(OK, "not tried", f"{listed(names)}: {why}")

    def _wanting(self, product: str, came: Done) -> tuple[str, ...]:
        """Return what a trial was stopped for want of, as exactly as it was found out."""
        named = _FOR.search(came.text)
        if named is None or product not in self._probed:
            return came.lacks
        operation = catalogue.locate(product, named[1])
        declared = self._stage.account.credentials[product].scopes
        return live_scopes.wanting(operation, declared, self._probed[product]) or came.lacks

    def _try(self, method: Method) -> Done | None:
        """Try one method; None for one that made what the others are tried on. Raises ``NotTried``."""
        why = live_trials.left_alone(method)
        if why is not None:
            raise NotTried(why)
        if not self.targets.has(method.product):
            raise NotTried("there is nothing to try it on")
        if method.name in live_trials.FIRST:
            return None
        if live_trials.wants_comment(method) and self.targets.comment is None:
            self.targets.comment = self._comment()
        given = live_trials.arguments(method, self.targets, self._offered())
        came = self._stage.perform(method.name, partial(live_trials.call, method, given))
        self._keep(method.product, came.delivery)
        return came

    def _comment(self) -> str | None:
        page = self.targets.pages[0]
        done = self._stage.perform("comment", lambda context: context.confluence.comment(page, "Tried by the bridge."))
        return str(done.result["id"]) if done.how == "done" else None

    def _offered(self) -> list[str]:
        if not self.targets.issues:
            return []
        try:
            said = self.look("GET", f"/rest/api/3/issue/{self.targets.issues[0]}/transitions", {})
        except BridgeError:
            return []
        offered = said.body.get("transitions", []) if said.done and isinstance(said.body, dict) else []
        return [str(each.get("name")) for each in offered]

    def _keep(self, product: str, delivery: str) -> None:
        """Remember what a trial made, by what the log says of it, so that it is deleted too."""
        known = self.targets.issues if product == "jira" else self.targets.pages
        for entry in self._stage.entries(delivery):
            made = entry.get("operation") in live_trials.MAKES[product] and entry.get("outcome") == "done"
            reference = entry.get("ref") if made else None
            if isinstance(reference, str) and reference not in known:
                known.append(reference)

    def asked_by_hand(self, rules: Sequence[Rule]) -> Iterator[Check]:
        """Name what rules do by context.jira.request, whose meaning cannot be known from here."""
        names = sorted(set(live_trials.operations_used(rules)))
        if names:
            text = f"{listed(names)}: asked for by hand, so what they would do cannot be known from here"
            yield Check(OK, "not tried", text)

    # ------------------------------------------------------------------------------------------------------- clean-up

    def clean_up(self) -> Iterator[Check]:
        """Delete everything that was made, what was made without an answer too, and say what could not be."""
        if self._doubtful or sys.exc_info()[0] is not None:
            self._find_lost()
        gone: list[str] = []
        for key in reversed(self.targets.issues):
            path = f"/rest/api/3/issue/{key}"
            yield from self._delete(key, "jira", path, {"deleteSubtasks": "true"}, gone)
        for number in reversed(self.targets.pages):
            yield from self._delete(f"page {number}", "confluence", f"/wiki/api/v2/pages/{number}", {}, gone)
        if gone:
            trash = "; pages lie in the space's trash" if any(name.startswith("page ") for name in gone) else ""
            yield Check(OK, "cleaned up", f"deleted {listed(gone)}{trash}")

    def _delete(self, name: str, product: str, path: str, query: Mapping[str, str], gone: list[str]) -> Iterator[Check]:
        def act(context: Any) -> Any:
            owner = context.jira if product == "jira" else context.confluence
            return owner.request("DELETE", path, query=dict(query))

        try:
            done = self._stage.perform(f"delete {name}", act)
        except BridgeError as error:
            done = Done("stopped", "", text=str(error))
        if done.how == "done" or (done.status in GONE and self._is_gone(path)):
            gone.append(name)
            return
        url = self._stage.known.sites[self._stage.account.site].url
        place = f"{url}/browse/{name}" if product == "jira" else f"{url}/wiki/pages/viewpage.action?pageId={name[5:]}"
        yield Check(
            WARN, "left behind", f"{name} could not be deleted: {live_told.why(done)}", f"delete it yourself: {place}"
        )

    def _is_gone(self, path: str) -> bool:
        """Tell whether something is really not there: for want of a permission both products answer 404 as well."""
        with contextlib.suppress(BridgeError):
            return self.look("GET", path, {}, None).status in GONE
        return False

    def _find_lost(self) -> None:
        """Look for what was made and never answered: issues by their label, a page by its title."""
        with contextlib.suppress(BridgeError, LookupError):
            jql = f'project = "{self.targets.project}" AND labels = "{self.targets.mark}"'
            if self.targets.project is not None:
                said = self.look("POST", "/rest/api/3/search/jql", {}, {"jql": jql, "fields": ["created"]})
                hits = said.body.get("issues", []) if said.done and isinstance(said.body, dict) else []
                keys = [str(hit.get("key")) for hit in hits]
                self.targets.issues += [key for key in keys if key not in self.targets.issues]
        with contextlib.suppress(BridgeError, LookupError):
            for title in (f"{self._title} {number}" for number in (1, 2) if self.targets.space is not None):
                said = self.look("GET", "/wiki/api/v2/pages", {"title": [title]})
                pages = said.body.get("results", []) if said.done and isinstance(said.body, dict) else []
                numbers = [str(page.get("id")) for page in pages if page.get("title") == title]
                self.targets.pages += [number for number in numbers if number not in self.targets.pages]
