"""A subset of JQL: read a query into a test for one issue and an order of issues.

Clauses on the fields in ``_KNOWN`` joined by AND, OR, NOT and parentheses, the functions ``currentUser()`` and
``now()``, dates absolute or relative (``-30m``), ``~`` on words, ``ORDER BY``. What Jira refuses is refused: no clause
at all (unbounded), an unknown field, an operator that does not fit, an unknown project. See
https://support.atlassian.com/jira-software-cloud/docs/jql-fields/.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bridge.sandbox.jql_terms import JqlInvalid, compare, has, held, key_parts, moment, sort_key, speaks, words
from bridge.sandbox.records import Account, Issue
from bridge.sandbox.site import Site

Test = Callable[[Issue], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<mark>!=|!~|<=|>=|[=~<>(),])|(?P<word>[^\s=~<>(),!"']+))"""
)
_ORDER_AT_MOST = 7
_EXACT = frozenset({"=", "!=", "in", "not in", "is", "is not"})
_WORDS = frozenset({"~", "!~", "is", "is not"})
_DATES = frozenset({"=", "!=", "<", ">", "<=", ">="})
_KNOWN: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("project", "status", "statuscategory", "issuetype", "priority", "resolution"), _EXACT),
    **dict.fromkeys(("assignee", "reporter", "creator", "labels", "component", "fixversion", "parent"), _EXACT),
    **dict.fromkeys(("summary", "description", "text", "comment"), _WORDS),
    **dict.fromkeys(("created", "updated"), _DATES),
    **dict.fromkeys(("key", "id"), _EXACT | _DATES),
}
_ALIASES = {"issuekey": "key", "issue": "key", "type": "issuetype", "createddate": "created", "updateddate": "updated"}


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood: whether an issue belongs to it, and by which fields they are ordered."""

    test: Test
    order: tuple[tuple[str, bool], ...]

    def run(self, issues: list[Issue]) -> list[Issue]:
        """The issues that match, in the order asked for, or newest first."""
        found = [issue for issue in issues if self.test(issue)]
        for name, down in reversed(self.order or (("created", True),)):
            found.sort(key=partial(sort_key, name), reverse=down)
        return found


def parse(text: str, site: Site, account: Account) -> Query:
    """Read a query for one account, which is what ``currentUser()`` means; raises JqlInvalid."""
    return _Parser(text, site, account).query()


class _Parser:
    """Recursive descent over the tokens: or, and, not, clause."""

    def __init__(self, text: str, site: Site, account: Account) -> None:
        self.site, self.account = site, account
        self.tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise JqlInvalid(f"Error in the JQL Query: '{text[place:].strip()[:1]}' at position {place + 1}.")
            kind = str(found.lastgroup)
            value = found[kind]
            self.tokens.append((kind, re.sub(r"\\(.)", r"\1", value[1:-1]) if kind == "quoted" else value))
            place = found.end()
        self.place = 0

    def query(self) -> Query:
        if not self.tokens or self._is("order"):
            raise JqlInvalid(
                "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
            )
        test = self._any()
        order = self._order() if self._take("order") else ()
        if self.place < len(self.tokens):
            raise JqlInvalid(f"Error in the JQL Query: expected AND, OR or ORDER BY but got '{self._peek()[1][:40]}'.")
        return Query(test, order)

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def _is(self, word: str) -> bool:
        kind, value = self._peek()
        return kind in {"word", "mark"} and value.lower() == word

    def _take(self, word: str) -> bool:
        here = self._is(word)
        self.place += here
        return here

    def _next(self, wanted: str) -> tuple[str, str]:
        token = self._peek()
        if token[0] == "end":
            raise JqlInvalid(f"Error in the JQL Query: expected {wanted} but the query ended.")
        self.place += 1
        return token

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return lambda issue: any(test(issue) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda issue: all(test(issue) for test in tests)

    def _one(self) -> Test:
        if self._take("not"):
            inner = self._one()
            return lambda issue: not inner(issue)
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise JqlInvalid("Error in the JQL Query: a parenthesis is not closed.")
            return inner
        return self._clause()

    def _clause(self) -> Test:
        given = self._next("a field")[1]
        name = _ALIASES.get(given.lower(), given.lower())
        if name not in _KNOWN:
            raise JqlInvalid(f"Field '{given[:40]}' does not exist or you do not have permission to view it.")
        operator = self._operator()
        if operator not in _KNOWN[name]:
            raise JqlInvalid(f"The operator '{operator}' is not supported by the '{name}' field.")
        if operator in {"is", "is not"}:
            if not (self._take("empty") or self._take("null")):
                raise JqlInvalid(f"The operator '{operator}' only supports EMPTY and NULL.")
            return lambda issue: (not has(self.site, issue, name)) == (operator == "is")
        values = self._values() if operator in {"in", "not in"} else [self._value()]
        return self._test(name, operator, values)

    def _operator(self) -> str:
        operator = self._next("an operator")[1].lower()
        if (operator == "is" and self._take("not")) or (operator == "not" and self._take("in")):
            return "is not" if operator == "is" else "not in"
        return operator

    def _values(self) -> list[str]:
        if not self._take("("):
            raise JqlInvalid("Error in the JQL Query: expected '(' after IN.")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            raise JqlInvalid("Error in the JQL Query: a list is not closed.")
        return values

    def _value(self) -> str:
        kind, value = self._next("a value")
        if kind == "mark":
            raise JqlInvalid(f"Error in the JQL Query: expected a value but got '{value}'.")
        if kind == "word" and self._take("("):
            if not self._take(")") or value.lower() not in {"currentuser", "now"}:
                raise JqlInvalid(f"Unable to find JQL function '{value[:40]}'.")
            return self.account.id if value.lower() == "currentuser" else self.site.now().isoformat()
        return value

    def _order(self) -> tuple[tuple[str, bool], ...]:
        if not self._take("by"):
            raise JqlInvalid("Error in the JQL Query: expected BY after ORDER.")
        order: list[tuple[str, bool]] = []
        while True:
            given = self._next("a field to order by")[1]
            name = _ALIASES.get(given.lower(), given.lower())
            if name not in _KNOWN or name in {"text", "comment"}:
                raise JqlInvalid(f"Not able to sort using field '{given[:40]}'.")
            order.append((name, self._take("desc") or (not self._take("asc") and name in {"created", "updated"})))
            if not self._take(","):
                break
        if len(order) > _ORDER_AT_MOST:
            raise JqlInvalid("ORDER BY takes at most seven fields.")
        return tuple(order)

    def _test(self, name: str, operator: str, values: list[str]) -> Test:
        if operator in {"~", "!~"}:
            wanted = values[0]
            return lambda issue: speaks(words(issue, name), wanted) == (operator == "~")
        if name in {"created", "updated"}:
            limit = moment(values[0], self.site)
            return lambda issue: compare(operator, getattr(issue, name), limit)
        if operator in {"<", ">", "<=", ">="}:
            bound = key_parts(values[0])
            return lambda issue: compare(operator, key_parts(issue.key if name == "key" else issue.id), bound)
        wanted_ids = {self._known(name, value) for value in values}
        yes = operator in {"=", "in"}
        return lambda issue: bool(held(self.site, issue, name) & wanted_ids) == yes

    def _known(self, name: str, value: str) -> str:
        lowered = value.casefold()
        if name == "project":
            for project in self.site.projects.values():
                named = lowered in {project.key.casefold(), project.id, project.name.casefold()}
                if named and self.site.may(self.account, "browse", project):
                    return project.key.casefold()
            raise JqlInvalid(f"The value '{value[:40]}' does not exist for the field 'project'.")
        if name in {"key", "id", "parent"}:
            issue = self.site.find_issue(value)
            if issue is None:
                raise JqlInvalid(f"An issue with key '{value[:40]}' does not exist for field '{name}'.")
            return issue.id
        if name in {"assignee", "reporter", "creator"}:
            ids = (each.id for each in self.site.accounts.values() if each.name.casefold() == lowered)
            return next(ids, value)
        return lowered
