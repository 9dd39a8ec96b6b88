"""What a method of ``context.jira`` or ``context.confluence`` says of itself, so that a ``[[step]]`` can call it too.

``@does`` stands above each method and names the step, the verbs a scope must hold for it and the operations it may
call; names, kinds and defaults of the arguments are those of its signature. So there is one place for a verb, and what
``bridge rules verbs`` shows, what ``rules check`` refuses and what runs cannot differ.
"""

import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union

from bridge.rule.adf import Text
from bridge.rule.jql import Query
from bridge.rule.request import Issue, Page, Words

Kind = Literal["issue", "page", "text", "words", "markdown", "query", "number", "flag", "table", "value"]
F = TypeVar("F", bound=Callable[..., Any])

# What an argument's annotation means for a step; a None beside it means that it may be left empty.
_KINDS: tuple[tuple[Any, Kind], ...] = (
    (Issue, "issue"),
    (Page, "page"),
    (Text, "markdown"),
    (Query, "query"),
    (Words, "words"),
    (str, "text"),
    (bool, "flag"),
    (int, "number"),
    (Mapping[str, Any], "table"),
    (Any, "value"),
)
# How a kind is called where people read.
SAID: Mapping[Kind, str] = {
    "issue": "a work item's key or id",
    "page": "a page's id",
    "text": "text",
    "words": "text or a list of texts",
    "markdown": "text with Markdown",
    "query": "a query; values are quoted",
    "number": "a whole number",
    "flag": "true or false",
    "table": "a table",
    "value": "any value",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: ``kind`` says how a step fills it in; ``nullable`` ones may be empty, ``default`` is Python's."""

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Method:
    """One thing that a handler or a step can do.

    ``name`` is what a step calls it (``jira.clone``) and ``attribute`` what a handler does (``clone``). ``verbs`` are
    the full names a scope must hold where its targets are, ``operations`` all operationIds it may call. ``title`` is
    the action's name in Automation and ``summary`` a sentence. Where ``one_of`` is not empty, one of these arguments
    must be given. ``example`` holds arguments as a step would have them.
    """

    name: str
    attribute: str
    verbs: tuple[str, ...]
    operations: tuple[str, ...]
    title: str
    summary: str
    arguments: tuple[Argument, ...]
    one_of: tuple[str, ...]
    example: Mapping[str, Any]

    @property
    def product(self) -> str:
        """``jira`` or ``confluence``."""
        return self.name.partition(".")[0]

    def argument(self, name: str) -> Argument:
        """Return the argument of that name."""
        return next(each for each in self.arguments if each.name == name)


@dataclass(frozen=True, slots=True)
class _Does:
    name: str
    title: str
    verbs: tuple[str, ...]
    operations: tuple[str, ...]
    one_of: tuple[str, ...]
    example: Mapping[str, Any]


def does(
    name: str,
    title: str,
    *,
    operations: Sequence[str],
    example: Mapping[str, Any],
    verbs: Sequence[str] | None = None,
    one_of: Sequence[str] = (),
) -> Callable[[F], F]:
    """Say what a method does; ``verbs`` are those its scope needs, by default the one of its own name."""

    def mark(function: F) -> F:
        said = _Does(name, title, tuple(verbs or (name,)), tuple(operations), tuple(one_of), dict(example))
        function.__dict__["does"] = said
        return function

    return mark


def methods_of(owner: type) -> dict[str, Method]:
    """Return the methods of a class that say what they do, by the names of their steps, in the order of the class.

    Raises ``TypeError`` for an argument whose annotation says no kind, and for two methods of one name.
    """
    found: dict[str, Method] = {}
    for base in reversed(owner.__mro__):
        for attribute, function in vars(base).items():
            said = getattr(function, "__dict__", {}).get("does")
            if said is None:
                continue
            if said.name in found:
                raise TypeError(f"two methods do {said.name}")
            summary = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
            found[said.name] = Method(
                name=said.name,
                attribute=attribute,
                verbs=said.verbs,
                operations=said.operations,
                title=said.title,
                summary=summary,
                arguments=_arguments(function),
                one_of=said.one_of,
                example=said.example,
            )
    return found


def _arguments(function: Callable[..., Any]) -> tuple[Argument, ...]:
    hints = typing.get_type_hints(function)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in {"self", "step"} or parameter.kind is parameter.VAR_KEYWORD:
            continue
        required = parameter.default is parameter.empty
        kind, nullable = _kind(hints[name], f"{function.__qualname__}, {name}")
        found.append(Argument(name, kind, required, nullable, None if required else parameter.default))
    return tuple(found)


def _kind(hint: Any, where: str) -> tuple[Kind, bool]:
    parts = typing.get_args(hint) if typing.get_origin(hint) in {types.UnionType, Union} else (hint,)
    nullable = type(None) in parts
    bare = functools.reduce(operator.or_, [part for part in parts if part is not type(None)]) if nullable else hint
    for known, kind in _KINDS:
        if bare == known:
            return kind, nullable
    raise TypeError(f"{where}: no step can give a {hint}")
