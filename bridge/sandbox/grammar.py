"""The grammar that JQL and CQL share: clauses joined by AND, OR, NOT and parentheses, then ORDER BY.

A language is a subclass of :class:`Grammar` that names its fields and says what a clause, a function and emptiness
mean; :mod:`bridge.sandbox.jql` asks about issues, :mod:`bridge.sandbox.cql` about pages.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

T = TypeVar("T")
Test = Callable[[T], bool]
#: Fields to order by, each with whether it runs downwards.
Order = tuple[tuple[str, bool], ...]

EXACT = frozenset({"=", "!=", "in", "not in", "is", "is not"})
WORDS = frozenset({"~", "!~", "is", "is not"})
DATES = frozenset({"=", "!=", "<", ">", "<=", ">="})

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<mark>!=|!~|<=|>=|[=~<>(),])|(?P<word>[^\s=~<>(),!"']+))"""
)
_ORDER_AT_MOST = 7


class QueryInvalid(ValueError):
    """The query cannot be run; the text is for the person who wrote it."""


class Grammar(ABC, Generic[T]):
    """Recursive descent over the tokens of one query: or, and, not, clause.

    ``known`` maps each field, in lower case, to its operators; ``unordered`` are those of them that ORDER BY refuses,
    and ``downwards`` those it takes from high to low unless told otherwise.
    """

    language: ClassVar[str]
    known: ClassVar[Mapping[str, frozenset[str]]]
    aliases: ClassVar[Mapping[str, str]] = {}
    unordered: ClassVar[frozenset[str]] = frozenset()
    downwards: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._wrong(f"'{text[place:].strip()[:1]}' at position {place + 1}.")
            kind = str(found.lastgroup)
            value = found[kind]
            self._tokens.append((kind, re.sub(r"\\(.)", r"\1", value[1:-1]) if kind == "quoted" else value))
            place = found.end()
        self._place = 0

    def read(self) -> tuple[Test[T], Order]:
        """The whole query: a test for one thing, and the order of those that pass; raises QueryInvalid."""
        if not self._tokens or self._is("order"):
            refusal = f"Unbounded {self.language} queries are not allowed here."
            raise QueryInvalid(f"{refusal} Please add a search restriction to your query.")
        test = self._any()
        order = self._order() if self._take("order") else ()
        if self._place < len(self._tokens):
            raise self._wrong(f"expected AND, OR or ORDER BY but got '{self._peek()[1][:40]}'.")
        return test, order

    @abstractmethod
    def test(self, name: str, operator: str, values: Sequence[str]) -> Test[T]:
        """What a clause asks of one thing; ``name`` is one of ``known`` and ``operator`` one of its operators."""

    def filled(self, name: str) -> Test[T]:
        """Whether one thing holds anything under the field, for IS EMPTY; not every language has that."""
        raise QueryInvalid(f"{self.language} cannot ask whether '{name}' is empty.")

    @abstractmethod
    def function(self, name: str, arguments: Sequence[str]) -> str:
        """The value of a function, whose name is in lower case; raises QueryInvalid for one that is not known."""

    def unknown(self, given: str) -> QueryInvalid:
        """The refusal of a field that the language does not know."""
        return QueryInvalid(f"Field '{given[:40]}' does not exist or you do not have permission to view it.")

    def _wrong(self, what: str) -> QueryInvalid:
        return QueryInvalid(f"Error in the {self.language} Query: {what}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _is(self, word: str) -> bool:
        kind, value = self._peek()
        return kind in {"word", "mark"} and value.lower() == word

    def _take(self, word: str) -> bool:
        here = self._is(word)
        self._place += here
        return here

    def _next(self, wanted: str) -> tuple[str, str]:
        token = self._peek()
        if token[0] == "end":
            raise self._wrong(f"expected {wanted} but the query ended.")
        self._place += 1
        return token

    def _any(self) -> Test[T]:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return lambda thing: any(test(thing) for test in tests)

    def _all(self) -> Test[T]:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda thing: all(test(thing) for test in tests)

    def _one(self) -> Test[T]:
        if self._take("not"):
            inner = self._one()
            return lambda thing: not inner(thing)
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise self._wrong("a parenthesis is not closed.")
            return inner
        return self._clause()

    def _clause(self) -> Test[T]:
        given = self._next("a field")[1]
        name = self._field(given)
        if name not in self.known:
            raise self.unknown(given)
        operator = self._operator()
        if operator not in self.known[name]:
            raise QueryInvalid(f"The operator '{operator}' is not supported by the '{name}' field.")
        if operator in {"is", "is not"}:
            if not (self._take("empty") or self._take("null")):
                raise QueryInvalid(f"The operator '{operator}' only supports EMPTY and NULL.")
            filled = self.filled(name)
            return lambda thing: filled(thing) == (operator == "is not")
        return self.test(name, operator, self._values() if operator in {"in", "not in"} else [self._value()])

    def _field(self, given: str) -> str:
        return self.aliases.get(given.lower(), given.lower())

    def _operator(self) -> str:
        operator = self._next("an operator")[1].lower()
        if (operator == "is" and self._take("not")) or (operator == "not" and self._take("in")):
            return "is not" if operator == "is" else "not in"
        return operator

    def _values(self) -> list[str]:
        if not self._take("("):
            raise self._wrong("expected '(' after IN.")
        return self._listed()

    def _listed(self) -> list[str]:
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            raise self._wrong("a list is not closed.")
        return values

    def _value(self) -> str:
        kind, value = self._next("a value")
        if kind == "mark":
            raise self._wrong(f"expected a value but got '{value}'.")
        if kind == "word" and self._take("("):
            return self.function(value.lower(), [] if self._take(")") else self._listed())
        return value

    def _order(self) -> Order:
        if not self._take("by"):
            raise self._wrong("expected BY after ORDER.")
        order: list[tuple[str, bool]] = []
        while True:
            given = self._next("a field to order by")[1]
            name = self._field(given)
            if name not in self.known or name in self.unordered:
                raise QueryInvalid(f"Not able to sort using field '{given[:40]}'.")
            order.append((name, self._take("desc") or (not self._take("asc") and name in self.downwards)))
            if not self._take(","):
                break
        if len(order) > _ORDER_AT_MOST:
            raise QueryInvalid("ORDER BY takes at most seven fields.")
        return tuple(order)
