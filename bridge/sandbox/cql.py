"""A subset of CQL: read a query into a test for one page and an order of pages.

Clauses on the fields in ``known``, the functions ``currentUser()`` and ``now()``, ``~`` on words, ``ORDER BY``. Fields
of users are refused as Confluence has refused them since it took them out of this search. See
https://developer.atlassian.com/cloud/confluence/advanced-searching-using-cql/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from bridge.sandbox import document
from bridge.sandbox.grammar import DATES, EXACT, WORDS, Grammar, Order, QueryInvalid, Test
from bridge.sandbox.jql_terms import compare, moment, speaks
from bridge.sandbox.records import Account, Page
from bridge.sandbox.site import Site

# CQL does not know IS.
_EXACT, _WORDS = EXACT - {"is", "is not"}, WORDS - {"is", "is not"}
_TYPES = frozenset({"page", "blogpost", "comment", "attachment", "whiteboard", "database", "folder", "embed"})


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood: whether a page belongs to it, and by which fields they are ordered."""

    test: Test[Page]
    order: Order
    site: Site

    def run(self, pages: list[Page]) -> list[Page]:
        """The pages that match, in the order asked for, or the last changed first."""
        found = [page for page in pages if self.test(page)]
        for name, down in reversed(self.order or (("lastmodified", True),)):
            found.sort(key=partial(_sort_key, self.site, name), reverse=down)
        return found


def parse(text: str, site: Site, account: Account) -> Query:
    """Read a query for one account, which is what ``currentUser()`` means; raises QueryInvalid."""
    return Query(*_Cql(text, site, account).read(), site)


class _Cql(Grammar[Page]):
    """CQL as one account asks it."""

    language = "CQL"
    known: ClassVar[Mapping[str, frozenset[str]]] = {
        **dict.fromkeys(("type", "space", "label", "id", "parent", "ancestor", "creator", "contributor"), _EXACT),
        "title": _EXACT | _WORDS,
        "text": _WORDS,
        **dict.fromkeys(("created", "lastmodified"), DATES),
    }
    aliases: ClassVar[Mapping[str, str]] = {
        "content": "id",
        "content.type": "type",
        "space.key": "space",
        "sitesearch": "text",
    }
    unordered = frozenset({"type", "label", "text", "parent", "ancestor", "contributor"})
    downwards = frozenset({"created", "lastmodified"})

    def __init__(self, text: str, site: Site, account: Account) -> None:
        super().__init__(text)
        self._site, self._account = site, account

    def unknown(self, given: str) -> QueryInvalid:
        return QueryInvalid(f"No field exists with name: {given[:40]}")

    def function(self, name: str, arguments: Sequence[str]) -> str:
        match name, list(arguments):
            case "currentuser", []:
                return self._account.id
            case "now", []:
                return self._site.now().isoformat()
            case "now", [ago]:
                return moment(ago, self._site).isoformat()
        raise QueryInvalid(f"Unknown function {name[:40]!r}, or not its arguments.")

    def test(self, name: str, operator: str, values: Sequence[str]) -> Test[Page]:
        if operator in {"~", "!~"}:
            wanted = values[0]
            return lambda page: speaks(_words(page, name), wanted) == (operator == "~")
        if name in {"created", "lastmodified"}:
            limit = moment(values[0], self._site)
            return lambda page: compare(operator, _moment(page, name), limit)
        asked = {self._named(name, value) for value in values}
        yes = operator in {"=", "in"}
        return lambda page: bool(_held(self._site, page, name) & asked) == yes

    def _named(self, name: str, value: str) -> str:
        if name == "type" and value.lower() not in _TYPES:
            raise QueryInvalid(f"The content type {value[:40]!r} is not known.")
        if name in {"id", "parent", "ancestor"} and not value.isdecimal():
            raise QueryInvalid(f"The id {value[:40]!r} for '{name}' is not a number.")
        return value if name in {"creator", "contributor"} else value.casefold()


def _words(page: Page, name: str) -> str:
    return page.title if name == "title" else f"{page.title}\n{document.text(page.latest.body)}"


def _moment(page: Page, name: str) -> Any:
    return page.versions[0].created if name == "created" else page.latest.created


def _held(site: Site, page: Page, name: str) -> set[str]:  # noqa: PLR0911 - one for each field
    """What a page holds under a field, texts case folded."""
    match name:
        case "type":
            return {"page"}
        case "space":
            return {site.spaces[page.space].key.casefold()}
        case "title":
            return {page.title.casefold()}
        case "label":
            return {label.name.casefold() for label in page.labels}
        case "id":
            return {page.id}
        case "parent":
            return {page.parent} if page.parent else set()
        case "ancestor":
            return {above.id for above in ancestors(site, page)}
        case "creator":
            return {page.versions[0].author}
        case _:
            return {version.author for version in page.versions}


def ancestors(site: Site, page: Page) -> list[Page]:
    """The pages above a page, from the top down."""
    above: list[Page] = []
    while page.parent in site.pages:
        page = site.pages[page.parent]
        above.insert(0, page)
    return above


def _sort_key(site: Site, name: str, page: Page) -> Any:
    match name:
        case "created" | "lastmodified":
            return (_moment(page, name), int(page.id))
        case "id":
            return int(page.id)
        case _:
            return min(_held(site, page, name))
