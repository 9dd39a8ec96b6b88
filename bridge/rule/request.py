"""A request as a verb builds it: method, path, query and body for egress, which alone sends it.

The path is written once here and judged letter by letter in egress; nothing between decodes or normalises it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import quote

from bridge.rule.event import IssueRef, PageRef

Query = Mapping[str, Sequence[str]]
Issue = str | int | IssueRef
Page = str | int | PageRef
Words = str | Sequence[str]

# The id of what observe mode did not make; no site gives it to anything.
STAND_IN = "0"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a handler. ``verb`` and ``target`` are for the texts of errors; egress finds both out by itself.

    ``file`` is the handle of a file that goes along (``bridge.rule.files.File``).
    """

    product: Literal["jira", "confluence"]
    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: Any = None
    label: str | None = None
    verb: str = ""
    target: str = ""
    file: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The site's definite answer; ``observed`` writes were not made, ``dropped`` counts hits outside the scope."""

    status: int
    body: Any = None
    observed: bool = False
    recalled: bool = False
    dropped: int = 0


def object_of(answer: Answer, instead: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the object an answer holds, or an empty one.

    A write that was only observed made nothing that could be described. A handler goes on all the same with
    ``instead``, whose id or key cannot exist on a site (``"0"``, ``OPS-0``).
    """
    if isinstance(answer.body, dict):
        return answer.body
    return dict(instead or {}) if answer.observed else {}


class Caller(Protocol):
    """What the verbs need of the context."""

    @property
    def delivery(self) -> str:
        """The delivery's id: the same in every attempt, so it can stand in for chance."""
        ...

    def file(self, name: str, content: bytes | str, type: str | None = None) -> Any:  # noqa: A002 - as on Context
        """Have egress keep a file for this delivery and return its handle (``bridge.rule.files.File``)."""
        ...

    def call(self, request: Request) -> Answer:
        """Have egress do it; raise ``ActionFailed`` for a 4xx answer, ``ActionRefused`` when the scope forbids it."""
        ...


def segment(value: object) -> str:
    """Write a value as one segment of a path. Slashes and dots survive only encoded, where egress refuses them."""
    return quote(name_of(value), safe="", errors="replace")


def name_of(target: object) -> str:
    """Return the key or id of an issue or page that was given as text, number or reference."""
    return target.ref if isinstance(target, IssueRef | PageRef) else str(target)


def words_of(value: Words) -> list[str]:
    """Return one text or several as a list."""
    return [value] if isinstance(value, str) else list(value)


def free_request(
    product: Literal["jira", "confluence"],
    method: str,
    path: str,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    *,
    step: str | None = None,
) -> Request:
    """Build the request of any catalogued operation that the scope names by its operationId.

    Query values are text, numbers, true or false, or lists of them.
    """
    verb = f"{method.upper()} {path}"
    return Request(product, method.upper(), path, query_of(query or {}), body, step, verb, path)


def query_of(query: Mapping[str, Any]) -> dict[str, list[str]]:
    """Write query values as text, each name with a list; None leaves a name out."""
    return {
        name: [_query_text(each) for each in (value if isinstance(value, list | tuple) else [value])]
        for name, value in query.items()
        if value is not None
    }


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else name_of(value)
