"""The ``{{ expression }}`` places of a step: Jinja's expressions, and nothing of Jinja that could do harm.

An expression reads what it is given, compares, counts and picks. It can call no function and reach no attribute of a
Python object; a dot is a field of the payload and nothing else, so ``{{ issue.items }}`` is the field *items*. Filters
are those listed here. What remains cannot loop, and cannot grow text beyond what it was given by more than a little.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import GeneratorType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from bridge.rule.nearest import hint, shown

LONGEST_EXPRESSION = 500
LONGEST_TEMPLATE = 32_768
LONGEST_TEXT = 1_000_000
DEEPEST = 40
ALLOWED_FILTERS = frozenset(
    {
        *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "list"),
        *("lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "select", "selectattr", "sort"),
        *("string", "sum", "title", "trim", "truncate", "unique", "upper"),
    }
)


class TemplateInvalid(ValueError):
    """A template that can never be evaluated; the text says what to write instead."""


class EvaluationFailed(ValueError):
    """An expression that could not be evaluated with what it was given; ``source`` is the expression."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        super().__init__(f"{{{{ {source} }}}}: {text}")


class _FieldUnknown(UndefinedError):
    """Jinja met a name or field that is not there."""

    def __init__(self, message: str, *, name: str, around: object) -> None:
        self.name = name
        self.around = around
        super().__init__(message)


class _Missing(StrictUndefined):
    """A missing field, which says so whenever it is used, except by ``default`` and ``is defined``."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        told: Any = exc if name is None else partial(_FieldUnknown, name=str(name), around=obj)
        super().__init__(hint, obj, name, told)


class _Environment(SandboxedEnvironment):
    """Expressions over JSON: a dot or bracket reads fields and entries, and arithmetic is for numbers."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=_Missing, autoescape=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {name: FILTERS[name] for name in ALLOWED_FILTERS} | {"join": _join, "replace": _replace}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read a field of an object, never an attribute of a Python value."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read a field by name or an entry by number."""
        if isinstance(obj, Undefined):
            return obj[argument]  # Raises, naming what was missing first.
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | tuple | str) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply and divide numbers only: ``"x" * 999999999`` and ``"%999999999d" % 1`` fill the memory."""
        if operator == "**" or not all(isinstance(each, int | float) for each in (left, right)):
            raise SecurityError(f"{operator} is for numbers" if operator != "**" else "powers are not available")
        return super().call_binop(context, operator, left, right)


@dataclass(frozen=True, slots=True)
class Expression:
    """One ``{{ … }}``; ``names`` are the names it reads from outside."""

    source: str
    names: frozenset[str]
    compiled: Callable[..., Any]

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return a JSON value; raise ``EvaluationFailed`` naming the missing field and the nearest one."""
        try:
            return _plain(self.compiled(values))
        except _FieldUnknown as error:
            raise EvaluationFailed(self.source, _unknown(error, values)) from error
        except (TypeError, ZeroDivisionError, SecurityError, UndefinedError, _NotJSON) as error:
            raise EvaluationFailed(self.source, str(error)) from error
        except Exception as error:
            # The message of any other exception may hold what the payload says, which has no place in a log.
            raise EvaluationFailed(self.source, type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class Template:
    """Text with expressions in it, in order."""

    parts: tuple[str | Expression, ...]

    @property
    def lone(self) -> Expression | None:
        """Return the expression when there is one and only blanks around it: its value keeps its type."""
        expressions = self.expressions
        blank = all(not part.strip() for part in self.parts if isinstance(part, str))
        return expressions[0] if blank and len(expressions) == 1 else None

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Return the expressions in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return the typed value of a lone expression, else text."""
        lone = self.lone
        return (
            lone.evaluate(values)
            if lone
            else "".join(part if isinstance(part, str) else as_text(part.evaluate(values)) for part in self.parts)
        )


@lru_cache(maxsize=2048)
def parse(text: str) -> Template:
    """Read a template; raise ``TemplateInvalid`` for anything but text and allowed expressions."""
    if len(text) > LONGEST_TEMPLATE:
        raise TemplateInvalid(f"is longer than {LONGEST_TEMPLATE} characters")
    parts: list[str | Expression] = []
    inside: list[str] | None = None
    try:
        for _, kind, value in _ENVIRONMENT.lex(text):
            if kind in {"block_begin", "raw_begin"}:
                raise TemplateInvalid("{% … %} is not available: use when, each, or a handler in Python")
            if kind == "variable_begin":
                inside = []
            elif kind == "variable_end":
                parts.append(_expression("".join(inside or ()).strip()))
                inside = None
            elif inside is not None:
                inside.append(value)
            elif kind == "data":
                parts.append(value)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(f"cannot be read: {error.message}") from error
    if inside is not None:
        raise TemplateInvalid("cannot be read: a {{ has no }}")
    return Template(tuple(parts))


def as_text(value: Any) -> str:
    """Show a JSON value inside text: nothing for null, ``true``/``false``, and JSON for lists and objects."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _expression(source: str) -> Expression:
    if not source:
        raise TemplateInvalid("{{ }} holds no expression")
    if len(source) > LONGEST_EXPRESSION:
        raise TemplateInvalid(f"an expression is longer than {LONGEST_EXPRESSION} characters")
    try:
        tree = _ENVIRONMENT.parse("{{ " + source + " }}")
        for node in tree.find_all((nodes.Call, nodes.Filter, nodes.Getattr)):
            _refuse(node)
        compiled = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except (TemplateError, RecursionError) as error:
        raise TemplateInvalid(f"{{{{ {source} }}}}: {error}") from error
    return Expression(source, frozenset(meta.find_undeclared_variables(tree)), compiled)


def _refuse(node: nodes.Node) -> None:
    if isinstance(node, nodes.Call):
        raise TemplateInvalid("functions cannot be called in an expression; filters can: {{ name | upper }}")
    if isinstance(node, nodes.Filter) and node.name not in ALLOWED_FILTERS:
        raise TemplateInvalid(f"there is no filter '{node.name}'{hint(node.name, ALLOWED_FILTERS)}")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise TemplateInvalid(f"names that begin with _ are not available: {node.attr}")


def _unknown(error: _FieldUnknown, values: Mapping[str, Any]) -> str:
    if error.around is missing:
        return f"the payload has no field {shown(error.name)}{hint(error.name, values)}"
    if isinstance(error.around, Mapping):
        return f"there is no field {shown(error.name)}{hint(error.name, map(str, error.around))}"
    return f"there is no {shown(error.name)} in {_kind(error.around)}"


class _NotJSON(ValueError):
    """The value of an expression is nothing that JSON holds."""


def _plain(value: Any, depth: int = 0) -> Any:
    """Return the value as JSON; what a filter returned lazily is walked here."""
    if isinstance(value, Undefined):
        str(value)  # Raises, naming what is missing.
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - only NaN differs from itself
            raise _NotJSON("the result is no finite number")
        return value
    if depth > DEEPEST:
        raise _NotJSON(f"the result is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | GeneratorType) or hasattr(value, "__next__"):
        return [_plain(inner, depth + 1) for inner in value]
    raise _NotJSON(f"the result is {_kind(value)}, which JSON cannot hold")


def _kind(value: object) -> str:
    for types, kind in (((bool,), "true or false"), ((int, float), "a number"), ((str,), "text"), ((list,), "a list")):
        if isinstance(value, types):
            return kind
    return "null" if value is None else type(value).__name__


def _join(value: Iterable[Any], separator: str = "") -> str:
    texts = [as_text(_plain(each)) for each in value]
    return _bounded(sum(map(len, texts)) + len(separator) * len(texts), lambda: separator.join(texts))


def _replace(value: Any, old: str, new: str) -> str:
    text = as_text(_plain(value))
    return _bounded(len(text) + text.count(old) * len(new), lambda: text.replace(old, new))


def _bounded(length: int, make: Callable[[], str]) -> str:
    if length > LONGEST_TEXT:
        raise SecurityError(f"the result would be longer than {LONGEST_TEXT} characters")
    return make()


_ENVIRONMENT = _Environment()
