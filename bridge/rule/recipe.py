"""The steps of a rule's TOML file, run one after another as Automation would: filled in, then done through the context.

Names in expressions are the payload's own fields, then ``payload`` (all of it), ``event`` (issue, page, delivery,
initiator, received_at), the results of earlier steps by their ``id``, and ``item`` in a step with ``each``; of equal
names the later one holds. Everything is inserted as literal text for its place. An expression that cannot be evaluated
will not get better by itself, so the delivery is dead with the reason (``PayloadInvalid``), and replayable.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from bridge.errors import ActionError, PayloadInvalid
from bridge.rule import jql, template
from bridge.rule.adf import Formatted
from bridge.rule.context import Context
from bridge.rule.event import Event, issue_of, page_of
from bridge.rule.jira import found
from bridge.rule.manifest import Step
from bridge.rule.markdown import parts_to_adf
from bridge.rule.places import Parts, Value
from bridge.rule.registry import Rule
from bridge.rule.steps import SHAPES, Argument

MOST_ITEMS = 1_000
Values = Mapping[str, Any]


def run(rule: Rule, event: Event, context: Context) -> dict[str, Any]:
    """Run a rule's steps and return what became of each: verb, how often done, skipped and failed.

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
        try:
            result = _DO[step.verb](self._context, arguments)
        except ValueError as error:
            raise self._misfit("", str(error)) from error
        except ActionError:
            if step.on_failure == "stop":
                raise
            counts["failed"] += 1
            return None
        counts["done"] += 1
        return result

    def _filled(self, name: str, given: Any, values: Values) -> Any:
        argument = SHAPES[self._step.verb].argument(name)
        try:
            return _fill(argument, given, values)
        except ValueError as error:
            raise self._misfit(name, str(error)) from error

    def _evaluated(self, key: str, text: str, values: Values) -> Any:
        try:
            return template.parse(text).value(values)
        except ValueError as error:
            raise self._misfit(key, str(error)) from error

    def _misfit(self, key: str, text: str) -> PayloadInvalid:
        return PayloadInvalid(self._rule, {f"{self._place}, {key}" if key else self._place: text})


def _fill(argument: Argument, given: Any, values: Values) -> Any:
    """Fill an argument in; raise ``ValueError`` when it cannot be."""
    if argument.kind == "markdown":
        return Formatted(parts_to_adf(_parts(given, values)))
    if argument.kind == "jql":
        return jql.join(_parts(given, values))
    if isinstance(given, str):
        return template.parse(given).value(values)
    if isinstance(given, Mapping):
        return {key: _fill(argument, inner, values) for key, inner in given.items()}
    return [_fill(argument, inner, values) for inner in given] if isinstance(given, list) else given


def _parts(text: str, values: Values) -> Parts:
    return tuple(part if isinstance(part, str) else Value(part.evaluate(values)) for part in template.parse(text).parts)


def _text(arguments: Values, name: str) -> str:
    """Return an argument that must be text; a whole number, such as an id out of a payload, is written as text."""
    value = arguments[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _Misfit(f"{name} must be text that is not empty, and it is {_said(value)}")
    return value


def _perhaps(arguments: Values, name: str) -> str | None:
    return None if arguments.get(name) is None else _text(arguments, name)


def _table(arguments: Values, name: str) -> dict[str, Any] | None:
    value = arguments.get(name)
    if value is not None and not isinstance(value, dict):
        raise _Misfit(f"{name} must be a table of fields, and it is {_said(value)}")
    return value


def _words(value: Any, name: str) -> list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(each, str) and each.strip() for each in words):
        raise _Misfit(f"{name} must be text or a list of texts, and it is {_said(value)}")
    return words


def _said(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}
    return "empty" if value in (None, "", [], {}) else kinds.get(type(value), "something else")


def _read(context: Context, given: Values) -> Any:
    fields = given.get("fields")
    return context.jira.issue(_text(given, "issue"), None if fields is None else _words(fields, "fields"))


def _search(context: Context, given: Values) -> Any:
    limit = given.get("limit", MOST_ITEMS)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MOST_ITEMS:
        raise _Misfit(f"limit must be a whole number from 1 to {MOST_ITEMS}")
    fields = _words(given.get("fields", ["summary", "status"]), "fields")
    return list(islice(found(context, given["jql"], fields, limit), limit))


def _edit(context: Context, given: Values) -> Any:
    changed, added, removed = (_table(given, name) for name in ("set", "add", "remove"))
    return context.jira.edit(_text(given, "issue"), set=changed, add=added, remove=removed)


def _create(context: Context, given: Values) -> Any:
    return context.jira.create(
        _text(given, "project"),
        _text(given, "issue_type"),
        _text(given, "summary"),
        given.get("description"),
        parent=_perhaps(given, "parent"),
        fields=_table(given, "fields"),
    )


def _transition(context: Context, given: Values) -> Any:
    return context.jira.transition(_text(given, "issue"), _text(given, "to"), fields=_table(given, "fields"))


def _create_page(context: Context, given: Values) -> Any:
    parent = _perhaps(given, "parent")
    return context.confluence.create_page(_text(given, "space"), _text(given, "title"), given["body"], parent)


def _update_page(context: Context, given: Values) -> Any:
    title = _perhaps(given, "title")
    body, append = given.get("body"), given.get("append")
    return context.confluence.update_page(_text(given, "page"), title=title, body=body, append=append)


_DO: Mapping[str, Callable[[Context, Values], Any]] = {
    "jira.read": _read,
    "jira.search": _search,
    "jira.comment": lambda context, given: context.jira.comment(_text(given, "issue"), given["body"]),
    "jira.transition": _transition,
    "jira.edit": _edit,
    "jira.assign": lambda context, given: context.jira.assign(_text(given, "issue"), _perhaps(given, "account_id")),
    "jira.create": _create,
    "confluence.read": lambda context, given: context.confluence.page(_text(given, "page")),
    "confluence.create-page": _create_page,
    "confluence.update-page": _update_page,
    "confluence.comment": lambda context, given: context.confluence.comment(_text(given, "page"), given["body"]),
    "confluence.label": lambda context, given: context.confluence.label(
        _text(given, "page"), *_words(given["labels"], "labels")
    ),
}
