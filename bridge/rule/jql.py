"""JQL and CQL with values that cannot end their literal: queries are built from a template, never glued together.

Both languages write text in double quotes and escape with a backslash:
https://support.atlassian.com/jira-service-management-cloud/docs/use-advanced-search-with-jira-query-language-jql/ and
https://developer.atlassian.com/cloud/confluence/advanced-searching-using-cql/. After ``~`` a site still reads the text
as search words, with ``*`` and the like; that widens a search for words, and nothing else.
"""

import re
from collections.abc import Mapping
from typing import Any

from bridge.rule.places import Parts, Value, split

# Characters that a parser could take for an end or that never belong into a query are written as \uXXXX.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)


class Jql(str):
    """A query that is finished: its values are literals already, and nothing in it is a place to fill."""

    __slots__ = ()


Query = str | Jql


def finished(template: Query, values: Mapping[str, Any]) -> str:
    """Return a query ready to be sent, its places filled unless it came finished."""
    return str(template) if isinstance(template, Jql) else fill(template, values)


def literal(value: Any) -> str:
    """Write a value as JQL: text in quotes, a whole number bare, a list as ``"a", "b"`` to stand in parentheses.

    Raises ``ValueError`` for an empty list, which JQL cannot say, and for values that are no text, number or list.
    """
    if isinstance(value, str):
        return '"' + _ESCAPED.sub(_escape, value) + '"'
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        if not value:
            raise ValueError("a query cannot look for one of no values; ask before you search")
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        if any(isinstance(each, list | tuple | set | frozenset) for each in ordered):
            raise ValueError("a list in a query holds text or whole numbers, not lists")
        return ", ".join(literal(each) for each in ordered)
    if (reference := getattr(value, "ref", None)) is not None:
        return literal(str(reference))
    raise ValueError(f"a query takes text, whole numbers and lists of them, not {type(value).__name__}")


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Put values into the ``{name}`` places of a query, each as a literal of its own.

    A place stands bare, ``summary ~ {words}``; within quotes it would be text, so that is a ``ValueError``.
    """
    return join(split(template, values))


def join(parts: Parts) -> str:
    """Build the query from the parts of a template; raise ``ValueError`` for a place within quotes."""
    built = ""
    text = ""
    for part in parts:
        if isinstance(part, Value):
            if _is_open(text):
                raise ValueError("a place within quotes: write summary ~ {words}, the quotes come with the value")
            built += literal(part.value)
            text += "0"
        else:
            built += part
            text += part
    if _is_open(text):
        raise ValueError("the query has a quote that is not closed, or a backslash outside of quotes")
    return built


def _is_open(text: str) -> bool:
    """Tell whether a text literal of the template itself is still open at its end.

    A backslash outside of a literal counts as open: it could hide a quote from this reading but not from the site's.
    """
    return bool(re.search("[\"'\\\\]", _STRING.sub("", text)))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return "\\" + character if character in '"\\' else f"\\u{ord(character):04x}"
