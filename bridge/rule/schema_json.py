"""The JSON Schema of a rule's TOML file, for editors that complete and underline as somebody types.

It says what ``schema.py`` and the methods say, as far as JSON Schema can: which keys there are, which words they take,
and for each verb the arguments of its step. What it cannot say (that a scope grants what a step needs) is found by
``bridge rules check``. https://json-schema.org/draft-07: the draft that editors of TOML know.
"""

from collections.abc import Mapping
from typing import Any

from bridge.rule.method import SAID, Kind, Method
from bridge.rule.methods import METHODS
from bridge.rule.schema import SOURCES
from bridge.rule.scope import SITE
from bridge.rule.steps import CONTROL

_TEXT: dict[str, Any] = {"type": "string"}
_DURATION = {"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"}
_PATHS = {"type": "array", "items": _TEXT, "uniqueItems": True}
_PLACE = {"type": "string", "pattern": r"\{\{"}
# A step's value may always be an expression; beside that it is what the argument's kind takes.
_KINDS: Mapping[Kind, dict[str, Any]] = {
    "issue": _TEXT,
    "page": _TEXT,
    "text": _TEXT,
    "markdown": _TEXT,
    "query": _TEXT,
    "words": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    "number": {"anyOf": [{"type": "integer"}, _PLACE]},
    "flag": {"anyOf": [{"type": "boolean"}, _PLACE]},
    "table": {"anyOf": [{"type": "object"}, _PLACE]},
    "value": {},
}
_CONTROL: Mapping[str, dict[str, Any]] = {
    "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "The name of its result in later steps."},
    "each": {**_PLACE, "description": "A list: the step is done for each item, called item."},
    "when": {**_PLACE, "description": "The step is done only if this is true."},
    "on_failure": {"enum": ["stop", "continue"], "default": "stop"},
}


def manifest_schema() -> dict[str, Any]:
    """Return the schema of ``rules/<rule>.toml``."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A rule of the bridge",
        **_table(
            {
                "title": {**_TEXT, "description": "What the rule does, in one sentence."},
                "owner": {**_TEXT, "description": "Who answers for it: a team, not a person."},
                "source": {"enum": list(SOURCES)},
                "account": {**_TEXT, "description": "The service account of bridge.toml as which it acts."},
                "mode": {"enum": ["act", "observe"], "default": "act"},
                "accept": _accept(),
                "order": _table({"key": _TEXT, "on_dead": {"enum": ["continue", "hold"]}}, "key"),
                "scope": _scope(),
                "retry": _table({"failures": _whole(100), "give_up_after": _DURATION}),
                "run": _table({"timeout": _DURATION, "isolation": {"enum": ["thread", "process"]}, "pool": _TEXT}),
                "expect": _table({"every": _DURATION}, "every"),
                "step": {"type": "array", "items": {"oneOf": [_step(method) for method in METHODS.values()]}},
            },
            "title",
            "owner",
            "source",
            "account",
        ),
    }


def _table(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _whole(most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _accept() -> dict[str, Any]:
    versions = {"type": "array", "items": _whole(10**9, 1), "minItems": 1, "uniqueItems": True}
    return _table(
        {
            "require": {**_PATHS, "description": "Fields that a payload must have; others are refused with 422."},
            "idempotency_key": {**_PATHS, "description": "The same values again are the same delivery."},
            "max_age": _table({"field": _TEXT, "seconds": _whole(30 * 86400, 1)}, "field", "seconds"),
            "initiator": {**_TEXT, "description": "The field with the account id that set it off."},
            "token_versions": versions,
        }
    )


def _scope() -> dict[str, Any]:
    tables = {}
    for product in ("jira", "confluence"):
        names = dict.fromkeys(
            verb.partition(".")[2]
            for method in METHODS.values()
            for verb in method.verbs
            if verb.startswith(f"{product}.")
        )
        # Operations may be granted by their operationId too, so any text will do; the verbs are offered.
        verbs = {"type": "array", "items": {"anyOf": [{"enum": list(names)}, _TEXT]}, "uniqueItems": True}
        site = {SITE: {**verbs, "description": "What belongs to no project or space."}}
        tables[product] = {"type": "object", "properties": site, "additionalProperties": verbs}
    limits = {
        "targets": {"enum": ["any", "event"]},
        "fields": _PATHS,
        "transitions": _PATHS,
        "actions": {**_whole(10_000), "description": "Writes in each delivery."},
    }
    return _table({**tables, "limits": _table(limits)})


def _step(method: Method) -> dict[str, Any]:
    properties: dict[str, Any] = {"verb": {"const": method.name, "description": method.summary}}
    for argument in method.arguments:
        properties[argument.name] = {**_KINDS[argument.kind], "description": SAID[argument.kind]}
    properties |= {name: _CONTROL[name] for name in sorted(CONTROL & _CONTROL.keys())}
    required = [argument.name for argument in method.arguments if argument.required]
    return {"title": method.title, **_table(properties, "verb", *required)}
