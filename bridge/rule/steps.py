"""What a ``[[step]]`` may say: the arguments of each verb, and every mistake that shows without running it.

The arguments have the names an Automation administrator sees in the action; how each is filled in stands with it:
``value`` keeps a lone expression's type, ``markdown`` is formatted text with literal values, ``jql`` a query whose
values are quoted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bridge.rule import template
from bridge.rule.lines import Path
from bridge.rule.nearest import hint

MOST_STEPS = 200
RESERVED = frozenset({"item", "event", "payload"})
CONTROL = frozenset({"verb", "id", "each", "when", "on_failure"})


@dataclass(frozen=True, slots=True)
class Argument:
    """One key of a step; ``kind`` says how its templates are filled in."""

    name: str
    kind: Literal["value", "markdown", "jql"] = "value"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """The arguments of a verb; where ``one_of`` is not empty, at least one of these must be given."""

    arguments: tuple[Argument, ...]
    one_of: tuple[str, ...] = ()

    def argument(self, name: str) -> Argument:
        """Return the argument of that name."""
        return next(each for each in self.arguments if each.name == name)


def _optional(name: str, kind: Literal["value", "markdown", "jql"] = "value") -> Argument:
    return Argument(name, kind, required=False)


SHAPES: Mapping[str, Shape] = {
    "jira.read": Shape((Argument("issue"), _optional("fields"))),
    "jira.search": Shape((Argument("jql", "jql"), _optional("fields"), _optional("limit"))),
    "jira.comment": Shape((Argument("issue"), Argument("body", "markdown"))),
    "jira.transition": Shape((Argument("issue"), Argument("to"), _optional("fields"))),
    "jira.edit": Shape(
        (Argument("issue"), _optional("set"), _optional("add"), _optional("remove")), ("set", "add", "remove")
    ),
    "jira.assign": Shape((Argument("issue"), Argument("account_id"))),
    "jira.create": Shape(
        (
            Argument("project"),
            Argument("issue_type"),
            Argument("summary"),
            _optional("description", "markdown"),
            _optional("parent"),
            _optional("fields"),
        )
    ),
    "confluence.read": Shape((Argument("page"),)),
    "confluence.create-page": Shape(
        (Argument("space"), Argument("title"), Argument("body", "markdown"), _optional("parent"))
    ),
    "confluence.update-page": Shape(
        (Argument("page"), _optional("title"), _optional("body", "markdown"), _optional("append", "markdown")),
        ("title", "body", "append"),
    ),
    "confluence.comment": Shape((Argument("page"), Argument("body", "markdown"))),
    "confluence.label": Shape((Argument("page"), Argument("labels"))),
}

Found = tuple[Path, str]


def check(steps: object, scope: object) -> Iterator[Found]:
    """Yield the mistakes of the raw ``step`` list and their key paths, knowing the raw ``scope`` table.

    What the schema reports anyway (a step that is no table, a verb that is no text) is left to it.
    """
    if not isinstance(steps, list):
        return
    if len(steps) > MOST_STEPS:
        yield ("step",), f"has {len(steps)} steps; the most is {MOST_STEPS}: use a handler in Python"
    ids = [step.get("id") if isinstance(step, Mapping) else None for step in steps]
    for position, step in enumerate(steps):
        if isinstance(step, Mapping):
            for path, text in _check_step(step, ids, position, scope):
                yield ("step", position, *path), text


def granted(scope: object, verb: str) -> bool:
    """Tell whether the raw scope table grants a verb (``jira.comment``) anywhere."""
    product, _, name = verb.partition(".")
    containers = scope.get(product) if isinstance(scope, Mapping) else None
    verbs = containers.values() if isinstance(containers, Mapping) else ()
    return any(name in each for each in verbs if isinstance(each, list))


def _check_step(step: Mapping[str, Any], ids: list[Any], position: int, scope: object) -> Iterator[Found]:
    verb = step.get("verb")
    if isinstance(verb, str) and verb not in SHAPES:
        yield ("verb",), f"there is no verb '{verb}' for steps{hint(verb, SHAPES)}"
    elif isinstance(verb, str):
        yield from _check_arguments(step, verb, SHAPES[verb])
        if not granted(scope, verb):
            product, _, name = verb.partition(".")
            yield ("verb",), f"[scope.{product}] grants '{name}' nowhere, so this step would always be refused"
    yield from _check_id(ids, position)
    names: set[str] = set()
    for key, value in step.items():
        if key not in {"verb", "id", "on_failure"}:
            yield from _check_templates((key,), value, names, lone=key in {"each", "when"})
    yield from _check_names(names, ids, position, each="each" in step)


def _check_arguments(step: Mapping[str, Any], verb: str, shape: Shape) -> Iterator[Found]:
    known = {argument.name for argument in shape.arguments}
    for key in step:
        if key not in known | CONTROL:
            yield (key,), f"{verb} has no '{key}'{hint(key, known | CONTROL)}"
    for argument in shape.arguments:
        if argument.required and argument.name not in step:
            yield (argument.name,), f"is missing: {verb} needs it"
        elif argument.kind != "value" and not isinstance(step.get(argument.name, ""), str):
            yield (argument.name,), "must be text, in quotes"
    if shape.one_of and not any(name in step for name in shape.one_of):
        yield (), f"{verb} needs one of {', '.join(shape.one_of)}"


def _check_id(ids: list[Any], position: int) -> Iterator[Found]:
    name = ids[position]
    if name in RESERVED:
        yield ("id",), f"'{name}' already means something in expressions; choose another name"
    elif isinstance(name, str) and name in ids[:position]:
        yield ("id",), f"step {ids.index(name) + 1} is called '{name}' too"


def _check_templates(path: Path, value: object, names: set[str], *, lone: bool) -> Iterator[Found]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _check_templates((*path, key), inner, names, lone=False)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _check_templates((*path, position), inner, names, lone=False)
    elif isinstance(value, str):
        try:
            parsed = template.parse(value)
        except template.TemplateInvalid as error:
            yield path, str(error)
            return
        names.update(*(expression.names for expression in parsed.expressions))
        if lone and parsed.lone is None:
            yield path, 'must be one expression and nothing else: "{{ … }}"'
    elif not isinstance(value, bool | int | float):
        yield path, "must be text, a number, true or false, a list or a table; write a date as text"


def _check_names(names: set[str], ids: list[Any], position: int, *, each: bool) -> Iterator[Found]:
    if "item" in names and not each:
        yield (), "uses 'item', which is known only in a step with each"
    for name in sorted(names & {each for each in ids[position:] if isinstance(each, str)}):
        if name not in ids[:position]:
            yield (), f"uses '{name}', which is known only after step {position + ids[position:].index(name) + 1}"
