"""The actions of Automation that no verb does, each with the reason in a sentence: what stays in the automation.

``unavailable.toml`` beside this file holds them, in the order in which they are shown. Whoever lists the verbs lists
these too, so that nobody searches for what is not there; whoever converts an automation finds them by component type.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from bridge.catalogue.verbs import verbs
from bridge.errors import Mistake, SettingsInvalid

FILE = Path(__file__).with_name("unavailable.toml")
_SENTENCE = validate.Regexp(r"[A-Z][^\n]+\.\Z", error="must be a sentence with a full stop")


@dataclass(frozen=True, slots=True)
class Unavailable:
    """One action, or a group of them, by the name that Automation shows.

    ``types`` are the component types of exported automations, none where they are not known; ``instead`` are full names
    of verbs that do the nearest thing.
    """

    group: str
    title: str
    why: str
    types: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()


class _Action(Schema):
    group = fields.String(required=True, validate=validate.Length(min=1))
    title = fields.String(required=True, validate=validate.Length(min=1))
    why = fields.String(required=True, validate=_SENTENCE)
    types = fields.List(fields.String(validate=validate.Regexp(r"[a-z][a-z.-]+\Z")), load_default=list)
    instead = fields.List(fields.String(), load_default=list)


class _File(Schema):
    action = fields.List(fields.Nested(_Action), required=True)


def parse(text: str, name: str) -> tuple[Unavailable, ...]:
    """Read the text of an unavailable.toml; ``name`` is what mistakes call the file.

    Raises SettingsInvalid for what is no such file, a component type that stands twice, and a verb that there is not.
    """
    try:
        data: dict[str, Any] = _File().load(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid([Mistake(name, f"is not TOML: {error}")]) from None
    except ValidationError as error:
        raise SettingsInvalid([Mistake(name, str(error.messages))]) from None
    found = tuple(
        Unavailable(each["group"], each["title"], each["why"], tuple(each["types"]), tuple(each["instead"]))
        for each in data["action"]
    )
    mistakes = [
        Mistake(name, f"there is no verb {verb}", each.title)
        for each in found
        for verb in each.instead
        if verb not in verbs()
    ]
    types = [one for each in found for one in each.types]
    mistakes += [Mistake(name, f"{one} stands twice") for one in sorted({one for one in types if types.count(one) > 1})]
    if mistakes:
        raise SettingsInvalid(mistakes)
    return found


@cache
def unavailable() -> tuple[Unavailable, ...]:
    """Give all of them, in the order of the file."""
    return parse(FILE.read_text(encoding="utf-8"), FILE.name)


@cache
def by_type() -> Mapping[str, Unavailable]:
    """Give those that have a component type, by that: ``jira.create.variable``."""
    return {one: each for each in unavailable() for one in each.types}
