"""The shape of a rule's TOML file, as marshmallow schemas whose messages say what to write instead.

Every mistake of a file is found in one pass. The schemas check shape and spelling only; whether verbs, accounts and
handlers exist is asked by ``registry.py``, and what steps say is read by ``steps.py``.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validates_schema

from bridge.rule.nearest import hint, shown
from bridge.rule.scope import SITE

T = TypeVar("T")

SOURCES = ("jira-automation", "jira-webhook", "confluence-automation", "other")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY = SECONDS["d"]
STEP_KEYS = ("verb", "id", "each", "when", "on_failure")

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
# "Must start with an uppercase letter, followed by one or more uppercase alphanumeric characters", Create project in
# https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-projects/; sites may also allow an underscore.
_PROJECT = re.compile(r"[A-Z][A-Z0-9_]+")
_SPACE = re.compile(r"[A-Za-z0-9]+|~[A-Za-z0-9:_-]+")  # Personal spaces are named after their owner, with a tilde.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def in_seconds(text: str) -> int | None:
    """Read ``"24h"`` as seconds; None when it is no such time."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * SECONDS[match[2]] if match else None


def _not_one_of(allowed: tuple[str, ...], value: str) -> str | None:
    return None if value in allowed else f"must be one of {', '.join(allowed)}{hint(value, allowed)}"


def _not_a_path(value: str) -> str | None:
    return None if all(part.strip() for part in value.split(".")) else "must be a field, or fields joined by dots"


def _not_a_name(value: str) -> str | None:
    return None if _NAME.fullmatch(value) else "must be a name of small letters, digits and _, starting with a letter"


class _Field(fields.Field[T]):
    """A key whose value is read by a plain function."""

    def __init__(self, read: Callable[[Any], T], *, required: bool = False) -> None:
        super().__init__(required=required, error_messages={"required": "is missing"})
        self._read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> T:  # noqa: ARG002 - marshmallow's
        return self._read(value)


class _Table(fields.Nested):
    """A table within a table."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("must be a table")
        return super()._deserialize(value, *args, **kwargs)


def text(check: Callable[[str], str | None] | None = None, *, required: bool = False) -> fields.Field[str]:
    """Declare text that is not blank; ``check`` returns a sentence for what does not fit."""
    return _Field(partial(_read_text, check), required=required)


def choice(*allowed: str, required: bool = False) -> fields.Field[str]:
    """Declare one of a few words."""
    return text(partial(_not_one_of, allowed), required=required)


def whole(*, least: int = 0, most: int = 10**9, required: bool = False) -> fields.Field[int]:
    """Declare a whole number between two bounds."""
    return _Field(partial(_read_whole, least, most), required=required)


def duration(*, most: str, required: bool = False) -> fields.Field[int]:
    """Declare a time such as ``"120s"``, ``"10m"``, ``"24h"`` or ``"7d"``; it loads as seconds."""
    return _Field(partial(_read_duration, most), required=required)


def several(each: fields.Field[T], *, least: int = 0) -> fields.Field[tuple[T, ...]]:
    """Declare a list of one kind of thing, none of them twice."""
    return _Field(partial(_read_several, each, least))


def grants(container: re.Pattern[str], kind: str) -> fields.Field[dict[str, frozenset[str]]]:
    """Declare verbs by project or space: ``OPS = ["read", "comment"]``."""
    return _Field(partial(_read_grants, container, kind))


def _read_text(check: Callable[[str], str | None] | None, value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("must be text, in quotes")
    problem = (check(value) if check else None) if value.strip() else "must not be empty"
    if problem:
        raise ValidationError(problem)
    return value


def _read_whole(least: int, most: int, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError("must be a whole number, without quotes")
    if not least <= value <= most:
        raise ValidationError(f"must be between {least} and {most}")
    return value


def _read_duration(most: str, value: Any) -> int:
    seconds = in_seconds(value) if isinstance(value, str) else None
    if seconds is None:
        raise ValidationError('must be a time such as "120s", "10m", "24h" or "7d"')
    if seconds > (in_seconds(most) or 0):
        raise ValidationError(f'must be at most "{most}"')
    return seconds


def _read_several(each: fields.Field[T], least: int, value: Any) -> tuple[T, ...]:
    if not isinstance(value, list):
        raise ValidationError('must be a list, such as ["one", "two"]')
    wrong: dict[str | int, Any] = {}
    loaded: list[Any] = []
    for position, entry in enumerate(value):
        try:
            one = each.deserialize(entry)
        except ValidationError as error:
            wrong[position] = error.messages
            continue
        if one in loaded:
            wrong[position] = [f"{shown(one)} stands twice in the list"]
        loaded.append(one)
    if wrong:
        raise ValidationError(wrong)
    if len(loaded) < least:
        raise ValidationError("must not be an empty list")
    return tuple(loaded)


def _read_grants(container: re.Pattern[str], kind: str, value: Any) -> dict[str, frozenset[str]]:
    if not isinstance(value, Mapping):
        raise ValidationError(
            f'must be a table with lines such as KEY = ["read"], one for each {kind.partition(":")[0]}'
        )
    wrong: dict[str | int, Any] = {}
    loaded: dict[str, frozenset[str]] = {}
    for name, verbs in value.items():
        if name != SITE and not container.fullmatch(name):
            wrong[name] = [f"{shown(name)} is not the key of a {kind}"]
            continue
        try:
            loaded[name] = frozenset(_read_several(text(), 0, verbs))
        except ValidationError as error:
            wrong[name] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return loaded


class _Strict(Schema):
    """A table in which an unknown key is a mistake that names the nearest known one."""

    class Meta:
        unknown = EXCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _no_unknown_keys(self, _data: Any, original: Any, **_: Any) -> None:
        given = original if isinstance(original, Mapping) else {}
        unknown = {name: [f"unknown key{hint(name, self.fields)}"] for name in given if name not in self.fields}
        if unknown:
            raise ValidationError(unknown)


class MaxAge(_Strict):
    """``max_age = { field = "sentAt", seconds = 600 }``: how old a payload may say it is."""

    field = text(_not_a_path, required=True)
    seconds = whole(required=True, least=1, most=30 * DAY)


class Accept(_Strict):
    """``[accept]``: what ingress asks of a payload before it queues it."""

    require = several(text(_not_a_path))
    idempotency_key = several(text(_not_a_path), least=1)
    max_age = _Table(MaxAge)
    initiator = text(_not_a_path)
    token_versions = several(whole(least=1), least=1)


class Order(_Strict):
    """``[order]``: deliveries with one key run one after another."""

    key = text(_not_a_path, required=True)
    on_dead = choice("continue", "hold")


class Limits(_Strict):
    """``[scope.limits]``: what holds for every action of the rule."""

    class Meta:
        unknown = EXCLUDE
        include = {"fields": several(text())}  # noqa: RUF012 - a name that Schema uses can only be declared so

    targets = choice("any", "event")
    transitions = several(text())
    actions = whole(most=10_000)


class Scope(_Strict):
    """``[scope.jira]``, ``[scope.confluence]``, ``[scope.limits]``."""

    jira = grants(_PROJECT, "project: capital letters, digits and _")
    confluence = grants(_SPACE, "space")
    limits = _Table(Limits)


class Retry(_Strict):
    """``[retry]``: how often a handler may fail, and how long a delivery may take."""

    failures = whole(most=100)
    give_up_after = duration(most="30d")


class Run(_Strict):
    """``[run]``: how an attempt is run."""

    timeout = duration(most="1h")
    isolation = choice("thread", "process")
    pool = text(_not_a_name)


class Expect(_Strict):
    """``[expect]``: how long the automation may be silent."""

    every = duration(most="365d", required=True)


class Step(Schema):
    """One ``[[step]]``; what else stands in it are the verb's arguments, read by ``steps.py``."""

    class Meta:
        unknown = INCLUDE

    verb = text(required=True)
    id = text(_not_a_name)
    each = text()
    when = text()
    on_failure = choice("stop", "continue")


class Manifest(_Strict):
    """A whole rule file."""

    title = text(required=True)
    owner = text(required=True)
    source = choice(*SOURCES, required=True)
    account = text(required=True)
    mode = choice("act", "observe")
    accept = _Table(Accept)
    order = _Table(Order)
    scope = _Table(Scope)
    retry = _Table(Retry)
    run = _Table(Run)
    expect = _Table(Expect)
    step = fields.List(
        _Table(Step),
        error_messages={"invalid": "must be written as [[step]], one for each step"},
    )
