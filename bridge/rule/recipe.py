"""The steps of a rule's TOML file, run one after another as Automation would: filled in, then done through the context.

Names in expressions are the payload's own fields, then ``payload`` (all of it), ``event`` (issue, page, delivery,
initiator, received_at), the results of earlier steps by their ``id``, and ``item`` in a step with ``each``; of equal
names the later one holds. Everything is inserted as literal text for its place. An expression that cannot be evaluated
will not get better by itself, so the delivery is dead with the reason (``PayloadInvalid``), and replayable.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from bridge.errors import ActionError, PayloadInvalid
from bridge.rule import jql, template
from bridge.rule.adf import Formatted
from bridge.rule.context import Context
from bridge.rule.event import Event, issue_of, page_of
from bridge.rule.manifest import Step
from bridge.rule.markdown import parts_to_adf
from bridge.rule.method import Argument, Kind
from bridge.rule.methods import METHODS
from bridge.rule.places import Parts, Value
from bridge.rule.registry import Rule

MOST_ITEMS = 1_000
Values = Mapping[str, Any]


def run(rule: Rule, event: Event, context: Context) -> dict[str, Any]:
    """Run a rule's steps and return what became of each: verb, how often done (or only observed), skipped and failed.

    Raises ``PayloadInvalid`` when a template does not fit the payload, and what the context raises: an ``ActionError``
    only out of steps whose ``on_failure`` is stop.
    """
    values = _names(event)
    told = []
    for number, step in enumerate(rule.manifest.steps, start=1):
        runner = _Runner(rule.name, number, step, context)
        result, counts = runner.run(values)
        told.append({"verb": step.verb, **counts})
        if step.id:
            values[step.id] = result
    return {"steps": told}


def _names(event: Event) -> dict[str, Any]:
    issue, page = issue_of(event.payload), page_of(event.payload)
    shown: dict[str, Any] = {
        "delivery": event.delivery,
        "initiator": event.initiator,
        "received_at": event.received_at.isoformat(),
    }
    if issue is not None:
        shown["issue"] = {"key": issue.ref, "id": issue.id, "project": issue.project}
    if page is not None:
        shown["page"] = {"id": page.id, "title": page.title, "space": page.space}
    return {**event.payload, "payload": dict(event.payload), "event": shown}


class _Misfit(ValueError):
    """A value that an argument of a step does not take."""


class _Runner:
    """One step of one attempt."""

    def __init__(self, rule: str, number: int, step: Step, context: Context) -> None:
        self._rule = rule
        self._place = f"rules/{rule}.toml: step {number} ({step.verb})"
        self._step = step
        self._context = context
        self._method = METHODS[step.verb]
        self._on = context.jira if self._method.product == "jira" else context.confluence

    def run(self, values: Values) -> tuple[Any, dict[str, int]]:
        """Do the step, once or for each item; return its result (a list with ``each``) and how often it was done."""
        step = self._step
        counts = {"done": 0, "skipped": 0, "failed": 0}
        if step.each is None:
            return self._once(values, counts), counts
        items = self._evaluated("each", step.each, values)
        if not isinstance(items, list):
            raise self._misfit("each", f"{step.each}: must be a list, and it is not")
        if len(items) > MOST_ITEMS:
            raise self._misfit("each", f"{step.each}: has {len(items)} items; the most is {MOST_ITEMS}")
        return [self._once({**values, "item": item}, counts) for item in items], counts

    def _once(self, values: Values, counts: dict[str, int]) -> Any:
        step = self._step
        if step.when is not None:
            due = self._evaluated("when", step.when, values)
            if not isinstance(due, bool):
                raise self._misfit("when", f"{step.when}: must be true or false; compare with something")
            if not due:
                counts["skipped"] += 1
                return None
        arguments = {name: self._filled(name, given, values) for name, given in step.arguments.items()}
        before = self._context.observed
        try:
            result = _listed(getattr(self._on, self._method.attribute)(**arguments))
        except ValueError as error:
            raise self._misfit("", str(error)) from error
        except ActionError:
            if step.on_failure == "stop":
                raise
            counts["failed"] += 1
            return None
        fate = "observed" if self._context.observed > before else "done"
        counts[fate] = counts.get(fate, 0) + 1
        return result

    def _filled(self, name: str, given: Any, values: Values) -> Any:
        argument = self._method.argument(name)
        try:
            return _fitted(argument, _fill(argument, given, values))
        except ValueError as error:
            raise self._misfit(name, str(error)) from error

    def _evaluated(self, key: str, text: str, values: Values) -> Any:
        try:
            return template.parse(text).value(values)
        except ValueError as error:
            raise self._misfit(key, str(error)) from error

    def _misfit(self, key: str, text: str) -> PayloadInvalid:
        return PayloadInvalid(self._rule, {f"{self._place}, {key}" if key else self._place: text})


def _listed(result: Any) -> Any:
    """Return what a method gave; hits that come as they are asked for are asked for here, up to the most."""
    return list(islice(result, MOST_ITEMS)) if isinstance(result, Iterator) else result


def _fill(argument: Argument, given: Any, values: Values) -> Any:
    """Fill an argument in; raise ``ValueError`` when it cannot be."""
    if argument.kind == "markdown":
        return Formatted(parts_to_adf(_parts(given, values)))
    if argument.kind == "query":
        return jql.Jql(jql.join(_parts(given, values)))
    return _evaluated(given, values)


def _evaluated(given: Any, values: Values) -> Any:
    if isinstance(given, str):
        return template.parse(given).value(values)
    if isinstance(given, Mapping):
        return {key: _evaluated(inner, values) for key, inner in given.items()}
    return [_evaluated(inner, values) for inner in given] if isinstance(given, list) else given


def _parts(text: str, values: Values) -> Parts:
    return tuple(part if isinstance(part, str) else Value(part.evaluate(values)) for part in template.parse(text).parts)


def _fitted(argument: Argument, value: Any) -> Any:
    """Return a value as its argument takes it; raise ``_Misfit`` for another kind of value."""
    if value is None and argument.nullable:
        return None
    fit = _FITS.get(argument.kind)
    return value if fit is None else fit(argument.name, value)


def _text(name: str, value: Any) -> str:
    """Take text that is not empty; a whole number, such as an id out of a payload, is written as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _Misfit(f"{name} must be text that is not empty, and it is {_said(value)}")
    return value


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Misfit(f"{name} must be a table, and it is {_said(value)}")
    return value


def _words(name: str, value: Any) -> list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(each, str) and each.strip() for each in words):
        raise _Misfit(f"{name} must be text or a list of texts, and it is {_said(value)}")
    return words


def _number(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Misfit(f"{name} must be a whole number, and it is {_said(value)}")
    if name == "limit" and not 0 < value <= MOST_ITEMS:
        raise _Misfit(f"limit must be a whole number from 1 to {MOST_ITEMS}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Misfit(f"{name} must be true or false, and it is {_said(value)}")
    return value


def _said(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}
    return "empty" if value in (None, "", [], {}) else kinds.get(type(value), "something else")


_FITS: Mapping[Kind, Callable[[str, Any], Any]] = {
    "issue": _text,
    "page": _text,
    "text": _text,
    "words": _words,
    "table": _table,
    "number": _number,
    "flag": _flag,
}
