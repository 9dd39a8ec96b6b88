"""A subset of JQL: read a query into a test for one issue and an order of issues.

Clauses on the fields in ``known``, the functions ``currentUser()`` and ``now()``, dates absolute or relative
(``-30m``), ``~`` on words, ``ORDER BY``. What Jira refuses is refused: no clause at all (unbounded), an unknown field,
an operator that does not fit, an unknown project. See https://support.atlassian.com/jira-software-cloud/docs/jql-fields/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from bridge.sandbox.grammar import DATES, EXACT, WORDS, Grammar, Order, QueryInvalid, Test
from bridge.sandbox.jql_terms import compare, has, held, key_parts, moment, sort_key, speaks, words
from bridge.sandbox.records import Account, Issue
from bridge.sandbox.site import Site


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood: whether an issue belongs to it, and by which fields they are ordered."""

    test: Test[Issue]
    order: Order

    def run(self, issues: list[Issue]) -> list[Issue]:
        """The issues that match, in the order asked for, or newest first."""
        found = [issue for issue in issues if self.test(issue)]
        for name, down in reversed(self.order or (("created", True),)):
            found.sort(key=partial(sort_key, name), reverse=down)
        return found


def parse(text: str, site: Site, account: Account) -> Query:
    """Read a query for one account, which is what ``currentUser()`` means; raises QueryInvalid."""
    return Query(*_Jql(text, site, account).read())


class _Jql(Grammar[Issue]):
    """JQL as one account asks it."""

    language = "JQL"
    known: ClassVar[Mapping[str, frozenset[str]]] = {
        **dict.fromkeys(("project", "status", "statuscategory", "issuetype", "priority", "resolution"), EXACT),
        **dict.fromkeys(("assignee", "reporter", "creator", "labels", "component", "fixversion", "parent"), EXACT),
        **dict.fromkeys(("summary", "description", "text", "comment"), WORDS),
        **dict.fromkeys(("created", "updated"), DATES),
        **dict.fromkeys(("key", "id"), EXACT | DATES),
    }
    aliases: ClassVar[Mapping[str, str]] = {
        "issuekey": "key",
        "issue": "key",
        "type": "issuetype",
        "createddate": "created",
        "updateddate": "updated",
    }
    unordered = frozenset({"text", "comment"})
    downwards = frozenset({"created", "updated"})

    def __init__(self, text: str, site: Site, account: Account) -> None:
        super().__init__(text)
        self._site, self._account = site, account

    def filled(self, name: str) -> Test[Issue]:
        return lambda issue: has(self._site, issue, name)

    def function(self, name: str, arguments: Sequence[str]) -> str:
        if arguments or name not in {"currentuser", "now"}:
            raise QueryInvalid(f"Unable to find JQL function '{name[:40]}'.")
        return self._account.id if name == "currentuser" else self._site.now().isoformat()

    def test(self, name: str, operator: str, values: Sequence[str]) -> Test[Issue]:
        if operator in {"~", "!~"}:
            wanted = values[0]
            return lambda issue: speaks(words(issue, name), wanted) == (operator == "~")
        if name in {"created", "updated"}:
            limit = moment(values[0], self._site)
            return lambda issue: compare(operator, getattr(issue, name), limit)
        if operator in {"<", ">", "<=", ">="}:
            bound = key_parts(values[0])
            return lambda issue: compare(operator, key_parts(issue.key if name == "key" else issue.id), bound)
        wanted_ids = {self._named(name, value) for value in values}
        yes = operator in {"=", "in"}
        return lambda issue: bool(held(self._site, issue, name) & wanted_ids) == yes

    def _named(self, name: str, value: str) -> str:
        lowered = value.casefold()
        if name == "project":
            for project in self._site.projects.values():
                named = lowered in {project.key.casefold(), project.id, project.name.casefold()}
                if named and self._site.may(self._account, "browse", project):
                    return project.key.casefold()
            raise QueryInvalid(f"The value '{value[:40]}' does not exist for the field 'project'.")
        if name in {"key", "id", "parent"}:
            issue = self._site.find_issue(value)
            if issue is None:
                raise QueryInvalid(f"An issue with key '{value[:40]}' does not exist for field '{name}'.")
            return issue.id
        if name in {"assignee", "reporter", "creator"}:
            ids = (each.id for each in self._site.accounts.values() if each.name.casefold() == lowered)
            return next(ids, value)
        return lowered
