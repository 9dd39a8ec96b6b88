"""Component types that somebody taught: mapping files, from a type to a step and its arguments."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from bridge.errors import Mistake, SettingsInvalid
from bridge.migrate.conversion import Converter, Stays, Step, Work
from bridge.rule.methods import METHODS
from bridge.rule.nearest import hint

FILE = Path(__file__).with_name("mapping.toml")
_PLACE = re.compile(r"<([A-Za-z_][\w.-]*)>")


@dataclass(frozen=True, slots=True)
class Mapped:
    """One component type, the step that does the same, and its arguments with places for the component's value."""

    type: str
    verb: str
    arguments: Mapping[str, Any]


class _Component(Schema):
    type = fields.String(required=True, validate=validate.Length(min=1))
    verb = fields.String(required=True)
    arguments = fields.Dict(keys=fields.String(), load_default=dict)


class _File(Schema):
    component = fields.List(fields.Nested(_Component), load_default=list)


def read(path: Path = FILE) -> tuple[Mapped, ...]:
    """Read a mapping file; raise ``SettingsInvalid`` with what is wrong in it."""
    try:
        data: dict[str, Any] = _File().load(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid([Mistake(str(path), f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid([Mistake(str(path), f"is not TOML: {error}")]) from None
    except ValidationError as error:
        raise SettingsInvalid([Mistake(str(path), str(error.messages))]) from None
    found = tuple(Mapped(each["type"], each["verb"], each["arguments"]) for each in data["component"])
    mistakes = [Mistake(str(path), text, key=each.type) for each in found for text in _wrong(each)]
    if mistakes:
        raise SettingsInvalid(mistakes)
    return found


def _wrong(each: Mapped) -> list[str]:
    method = METHODS.get(each.verb)
    if method is None:
        return [f"there is no verb '{each.verb}'{hint(each.verb, METHODS)}"]
    known = {argument.name for argument in method.arguments}
    wrong = [f"{each.verb} has no '{name}'{hint(name, known)}" for name in each.arguments if name not in known]
    missing = [argument.name for argument in method.arguments if argument.required]
    return wrong + [f"{each.verb} needs '{name}'" for name in missing if name not in each.arguments]


def converters(mapped: Sequence[Mapped]) -> dict[str, Converter]:
    """Return a converter for each taught type."""
    return {each.type: partial(_convert, each) for each in mapped}


def _convert(mapped: Mapped, value: Mapping[str, Any], work: Work) -> Sequence[Step]:
    return [Step(mapped.verb, {name: _filled(given, value, work) for name, given in mapped.arguments.items()})]


def _filled(given: Any, value: Mapping[str, Any], work: Work) -> Any:
    if isinstance(given, Mapping):
        return {name: _filled(inner, value, work) for name, inner in given.items()}
    if isinstance(given, list):
        return [_filled(inner, value, work) for inner in given]
    if not isinstance(given, str):
        return given
    lone = _PLACE.fullmatch(given)
    if lone is not None:
        return _rendered(_at(value, lone[1]), work)
    return work.text(_PLACE.sub(lambda place: str(_at(value, place[1])), given))


def _rendered(value: Any, work: Work) -> Any:
    if isinstance(value, list):
        return [_rendered(each, work) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _rendered(inner, work) for name, inner in value.items()}
    return work.text(value) if isinstance(value, str) else value


def _at(value: Any, path: str) -> Any:
    here = value
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            raise Stays(f"it has no {path}, which the mapping asks for")
        here = here[part]
    return here


def template(type_: str, members: Sequence[str]) -> str:
    """Return the lines of a mapping file for an unknown type: its members by name, never by what stands in them."""
    said = ", ".join(members) or "none"
    return (
        f'[[component]]\ntype = "{type_}"\n# members of its value: {said}\n'
        'verb = ""          # `bridge rules verbs` shows all\narguments = { }\n'
    )
