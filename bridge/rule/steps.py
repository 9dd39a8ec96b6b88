"""What a ``[[step]]`` may say, and every mistake that shows without running it.

A step calls a method of the context by the name that ``@does`` gives it; its keys are the method's arguments
(``methods.py``), filled in as their kinds say (``recipe.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.rule import template
from bridge.rule.lines import Path
from bridge.rule.method import Method
from bridge.rule.methods import METHODS
from bridge.rule.nearest import hint

MOST_STEPS = 200
RESERVED = frozenset({"item", "event", "payload"})
CONTROL = frozenset({"verb", "id", "each", "when", "on_failure"})
# Templates of these kinds are taken apart and filled in piece by piece, so they must be text.
IN_PIECES = frozenset({"markdown", "query"})

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
    if isinstance(verb, str) and verb not in METHODS:
        yield ("verb",), f"there is no verb '{verb}' for steps{hint(verb, METHODS)}"
    elif isinstance(verb, str):
        method = METHODS[verb]
        yield from _check_arguments(step, method)
        for needed in method.verbs:
            if not granted(scope, needed):
                yield ("verb",), _not_granted(method, needed)
    yield from _check_id(ids, position)
    names: set[str] = set()
    for key, value in step.items():
        if key not in {"verb", "id", "on_failure"}:
            yield from _check_templates((key,), value, names, lone=key in {"each", "when"})
    yield from _check_names(names, ids, position, each="each" in step)


def _not_granted(method: Method, needed: str) -> str:
    product, _, name = needed.partition(".")
    why = "" if method.verbs == (method.name,) else f" and {method.name} needs it,"
    return f"[scope.{product}] grants '{name}' nowhere,{why} so this step would always be refused"


def _check_arguments(step: Mapping[str, Any], method: Method) -> Iterator[Found]:
    known = {argument.name for argument in method.arguments}
    for key in step:
        if key not in known | CONTROL:
            yield (key,), f"{method.name} has no '{key}'{hint(key, known | CONTROL)}"
    for argument in method.arguments:
        if argument.required and argument.name not in step:
            yield (argument.name,), f"is missing: {method.name} needs it"
        elif argument.kind in IN_PIECES and not isinstance(step.get(argument.name, ""), str):
            yield (argument.name,), "must be text, in quotes"
    if method.one_of and not any(name in step for name in method.one_of):
        yield (), f"{method.name} needs one of {', '.join(method.one_of)}"


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
