"""A rule's TOML file, read: everything ingress, egress and workers need to know of a rule without running it.

``rules/<rule>.toml`` is all a reviewer must read. What the file leaves out has the defaults written here.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from marshmallow import ValidationError

from bridge.errors import Mistake, RuleInvalid
from bridge.rule import lines, schema, steps
from bridge.rule.methods import METHODS
from bridge.rule.scope import Limits, Scope

Source = Literal["jira-automation", "jira-webhook", "confluence-automation", "other"]
Mode = Literal["act", "observe"]
LARGEST = 256 * 1024  # Characters; a file beyond this is no text that a reviewer reads.


@dataclass(frozen=True, slots=True)
class MaxAge:
    """The payload's own time stands at the dotted path ``field`` and may be at most ``seconds`` old."""

    field: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Accept:
    """What is asked of a payload before it is queued; all names are dotted paths into the payload."""

    require: tuple[str, ...] = ()
    idempotency_key: tuple[str, ...] = ()
    max_age: MaxAge | None = None
    initiator: str | None = None
    token_versions: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class Order:
    """Deliveries whose ``key`` is equal run one after another; a dead one lets the next run unless told to hold."""

    key: str | None = None
    on_dead: Literal["continue", "hold"] = "continue"


@dataclass(frozen=True, slots=True)
class Retry:
    """After ``failures`` failed attempts, or ``give_up_after`` seconds after acceptance, a delivery is dead."""

    failures: int = 8
    give_up_after: int = 24 * 3600


@dataclass(frozen=True, slots=True)
class Run:
    """An attempt may take ``timeout`` seconds, in a thread or a child process; ``pool`` names a set of workers."""

    timeout: int = 120
    isolation: Literal["thread", "process"] = "thread"
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """Silence longer than ``every`` seconds raises an alarm; None means that silence says nothing."""

    every: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One ``[[step]]``: a verb, its arguments as templates, and when it is done."""

    verb: str
    arguments: Mapping[str, Any]
    id: str | None = None
    each: str | None = None
    when: str | None = None
    on_failure: Literal["stop", "continue"] = "stop"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole rule file; times in seconds."""

    title: str
    owner: str
    source: Source
    account: str
    mode: Mode = "act"
    accept: Accept = field(default_factory=Accept)
    order: Order = field(default_factory=Order)
    scope: Scope = field(default_factory=Scope)
    retry: Retry = field(default_factory=Retry)
    run: Run = field(default_factory=Run)
    expect: Expect = field(default_factory=Expect)
    steps: tuple[Step, ...] = ()

    def tolerates(self, verb: str) -> bool:
        """Tell whether a failed action of this verb (``jira.comment``) lets the delivery go on, by ``on_failure``.

        Only steps can say so. When one step of a verb says continue and another stop, the recipe itself ends the
        attempt at the second, so an attempt that returned met only failures it may go on from.
        """
        forgiving = (step for step in self.steps if step.on_failure == "continue")
        return any(verb in METHODS[step.verb].verbs for step in forgiving)


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a file, mistakes or not, so that further checks can add theirs before anybody is told.

    ``data`` is the parsed TOML (empty on a syntax error) and ``manifest`` is None when there are mistakes.
    """

    where: str
    text: str
    data: Mapping[str, Any]
    manifest: Manifest | None
    mistakes: tuple[Mistake, ...]

    def mistake(self, path: lines.Path, text: str) -> Mistake:
        """Point at a key of this file."""
        return _mistake(self.where, lines.of_keys(self.text), path, text)


def parse(text: str, name: str) -> Manifest:
    """Read the manifest of the rule ``name``; raise ``RuleInvalid`` with every mistake of the file."""
    draft = read(text, name)
    if draft.manifest is None:
        raise RuleInvalid(draft.mistakes)
    return draft.manifest


def read(text: str, name: str) -> Draft:
    """Read a manifest and its steps as far as they can be read."""
    where = f"{name}.toml"
    if len(text) > LARGEST:
        return Draft(where, text, {}, None, (Mistake(where, f"is longer than {LARGEST} characters"),))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = lines.of_syntax_error(error, text)
        return Draft(where, text, {}, None, (Mistake(where, f"is not TOML: {message}", line=line),))
    except RecursionError:
        return Draft(where, text, {}, None, (Mistake(where, "is nested too deeply"),))
    found = list(steps.check(data.get("step"), data.get("scope")))
    loaded: dict[str, Any] = {}
    try:
        loaded = schema.Manifest().load(data)
    except ValidationError as error:
        found.extend(_flat(error.messages))
    if not found:
        return Draft(where, text, data, _built(loaded), ())
    places = lines.of_keys(text)
    mistakes = [_mistake(where, places, path, message) for path, message in found]
    return Draft(where, text, data, None, tuple(sorted(mistakes, key=lambda each: each.line or 0)))


def _mistake(where: str, places: Mapping[lines.Path, int], path: lines.Path, text: str) -> Mistake:
    # People count from 1, and so do the errors of a running recipe: step.1 is the first step.
    names = (str(part + 1) if isinstance(part, int) else part for part in path)
    return Mistake(where, text, key=".".join(names), line=lines.nearest(places, path))


def _flat(messages: object, path: lines.Path = ()) -> Iterator[tuple[lines.Path, str]]:
    """Walk marshmallow's nested messages; ``_schema`` stands for the table itself."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == "_schema" else (*path, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        yield path, str(messages)


def _built(data: Mapping[str, Any]) -> Manifest:
    accept = dict(data.get("accept", {}))
    if "max_age" in accept:
        accept["max_age"] = MaxAge(**accept["max_age"])
    scope = dict(data.get("scope", {}))
    limits = dict(scope.pop("limits", {}))
    for key in limits.keys() & {"fields", "transitions"}:
        limits[key] = frozenset(limits[key])
    return Manifest(
        **{key: data[key] for key in ("title", "owner", "source", "account", "mode") if key in data},
        accept=Accept(**accept),
        order=Order(**data.get("order", {})),
        scope=Scope(**scope, limits=Limits(**limits)),
        retry=Retry(**data.get("retry", {})),
        run=Run(**data.get("run", {})),
        expect=Expect(**data.get("expect", {})),
        steps=tuple(_step(each) for each in data.get("step", ())),
    )


def _step(data: Mapping[str, Any]) -> Step:
    control = {key: value for key, value in data.items() if key in schema.STEP_KEYS}
    return Step(**control, arguments={key: value for key, value in data.items() if key not in schema.STEP_KEYS})
