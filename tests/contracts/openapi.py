"""Atlassian's OpenAPI files as a judge of requests and answers, for tests of the sandbox and of the verbs.

The files lie beside a checkout (``../shared/specs`` from the root) and are no part of the repository; :func:`available`
says whether they are there. Paths are the gateway's without its prefix: ``/rest/api/3/...``, ``/wiki/api/v2/...``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import validators
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

SPECS = Path(__file__).resolve().parents[2] / ".." / "shared" / "specs"
WHY_ABSENT = "the OpenAPI files are not beside this checkout (../shared/specs)"
# The files say oneOf where the alternatives are open objects and every one of them fits (a page's body, for instance),
# so that taken literally no value would do: here it means at least one.
_READ = validators.extend(OAS30ReadValidator, {"oneOf": OAS30ReadValidator.VALIDATORS["anyOf"]})
_WRITE = validators.extend(OAS30WriteValidator, {"oneOf": OAS30WriteValidator.VALIDATORS["anyOf"]})
# File name and what its paths lack in front.
_FILES = {
    "jira-platform-v3": "",
    "jira-software": "",
    "jira-service-management": "",
    "confluence-v2": "/wiki/api/v2",
    "confluence-v1": "",
}
# The gateway answers these for every operation, whether or not the operation's description lists them.
_GATEWAY = frozenset({401, 413, 415, 429, 500, 502, 503, 504})
# What live sites answer although the description does not list it: atlassian-cloud facts, section 4.1.
_SEEN_LIVE = {("updatePage", 409)}
# What has versions too and is taken to say the same of a conflict; nobody has looked at a live site.
_TAKEN_FOR = {("updateFooterComment", 409), ("updatePagePropertyById", 409), ("updateSpacePropertyById", 409)}
# Members that the prose of a description allows to be null where its schema forgets to.
_NULL_ALLOWED = {("assignIssue", "accountId")}
_ERRORS: Mapping[str, Mapping[str, Any]] = {
    "confluence-v2": {
        "type": "object",
        "required": ["errors"],
        "properties": {
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["status", "code", "title"]},
            }
        },
    },
    "confluence-v1": {"type": "object", "required": ["statusCode", "message"]},
    # The boards' file describes no error; they answer as the platform does.
    "jira-software": {"$ref": "urn:openapi:jira-platform-v3#/components/schemas/ErrorCollection"},
    "jira-service-management": {"$ref": "urn:openapi:jira-service-management#/components/schemas/ErrorResponse"},
}
_GATEWAY_ERROR = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Described:
    """An operation as its file describes it: ``pointer`` leads to it within the file."""

    file: str
    pointer: str
    facts: Mapping[str, Any]
    params: Mapping[str, str]

    @property
    def name(self) -> str:
        """The operationId."""
        return str(self.facts["operationId"])


def available() -> bool:
    """Whether the files are there."""
    return all((SPECS / f"{name}.json").is_file() for name in _FILES)


def described(method: str, path: str) -> Described | None:
    """The operation that a method and a path mean; a literal segment goes before a parameter."""
    segments = path.partition("?")[0].split("/")
    for file, prefix, template, item in sorted(_templates(), key=lambda entry: entry[2].count("{")):
        facts = item.get(method.lower())
        params = _params(f"{prefix}{template}".split("/"), segments)
        if facts is not None and params is not None:
            pointer = "/".join(("#", "paths", _escaped(template), method.lower()))
            shared = {"parameters": [*item.get("parameters", ()), *facts.get("parameters", ())]}
            return Described(file, pointer, {**facts, **shared}, params)
    return None


def request_errors(method: str, path: str, query: Mapping[str, Sequence[str]] | None, body: Any) -> list[str]:
    """Everything in a request that the description does not allow; ``query`` maps names to values, ``body`` is JSON."""
    operation = described(method, path)
    if operation is None:
        return [f"{method} {path}: no such operation is described"]
    errors = [*_parameter_errors(operation, query or {}), *_body_errors(operation, body)]
    return [f"{operation.name}: {error}" for error in errors]


def answer_errors(method: str, path: str, status: int, body: Any) -> list[str]:
    """Everything in an answer that the description does not allow; ``body`` is JSON, or None when there is none.

    Where an error's body is not described, it must have the shape that all errors of its product have, or, for what
    the gateway says by itself, the gateway's.
    """
    operation = described(method, path)
    if operation is None:
        return [f"{method} {path}: no such operation is described"]
    response = operation.facts["responses"].get(str(status))
    taken = (operation.name, status) in _SEEN_LIVE | _TAKEN_FOR
    if response is None and status not in _GATEWAY and not taken:
        return [f"{operation.name}: {status} is not among its answers ({', '.join(operation.facts['responses'])})"]
    if status in _GATEWAY and not _problems(_READ, _GATEWAY_ERROR, body):
        return []
    content = (response or {}).get("content", {})
    kind = next((name for name in content if name.startswith("application/json")), None)
    if kind is not None and "schema" in content[kind]:
        schema = _reference(operation, "responses", str(status), "content", kind, "schema")
        found = [] if body is None and status == 204 else _problems(_READ, schema, body)
    elif status >= 400:
        found = _problems(_READ, _error_schema(operation.file), body)
    else:
        found = [] if body is None or kind is not None else ["has a body where none is described"]
    return [f"{operation.name} {status}: {error}" for error in found]


def _error_schema(file: str) -> Mapping[str, Any]:
    return _ERRORS.get(file) or {"$ref": f"urn:openapi:{file}#/components/schemas/ErrorCollection"}


def _parameter_errors(operation: Described, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
    known = {parameter["name"]: parameter for parameter in _parameters(operation) if parameter["in"] == "query"}
    for name, parameter in known.items():
        if parameter.get("required") and name not in query:
            yield f"the query lacks {name}"
    for name, values in query.items():
        if name not in known:
            yield f"the query has {name}, which is not described"
            continue
        schema = known[name].get("schema", {})
        if schema.get("type") == "object":
            # The boards' file calls a few plain texts objects; their descriptions tell the words.
            continue
        given = [_typed(schema.get("items", {}), each) for value in values for each in value.split(",")]
        value = given if schema.get("type") == "array" else _typed(schema, ",".join(values))
        yield from (f"query {name}: {error}" for error in _problems(_WRITE, _rooted(operation, schema), value))
    for parameter in _parameters(operation):
        if parameter["in"] == "path":
            schema, text = parameter.get("schema", {}), unquote(operation.params[parameter["name"]])
            problems = _problems(_WRITE, _rooted(operation, schema), _typed(schema, text))
            yield from (f"path {parameter['name']}: {error}" for error in problems)


def _body_errors(operation: Described, body: Any) -> list[str]:
    described_body = operation.facts.get("requestBody")
    if described_body is None:
        return [] if body is None else ["has a body where none is described"]
    if body is None:
        return ["lacks its body"] if described_body.get("required") else []
    if isinstance(body, dict):
        nulls = {name for name, value in body.items() if value is None and (operation.name, name) in _NULL_ALLOWED}
        body = {name: value for name, value in body.items() if name not in nulls}
    if "$ref" in described_body:
        schema: Mapping[str, Any] = {
            "$ref": f"urn:openapi:{operation.file}{described_body['$ref']}/content/application~1json/schema"
        }
    else:
        schema = _reference(operation, "requestBody", "content", "application/json", "schema")
    return _problems(_WRITE, schema, body)


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    """A text of a query or path as the type its schema wants, or the text itself where it is none of that type."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if schema.get("type") == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _problems(validator: Any, schema: Mapping[str, Any], value: Any) -> list[str]:
    found = validator(schema, registry=_registry()).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def _parameters(operation: Described) -> list[Mapping[str, Any]]:
    components = _file(operation.file).get("components", {}).get("parameters", {})
    listed = operation.facts["parameters"]
    return [components[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in listed]


def _rooted(operation: Described, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    return {"$ref": f"urn:openapi:{operation.file}{reference}"} if reference.startswith("#") else schema


def _reference(operation: Described, *steps: str) -> Mapping[str, Any]:
    return {"$ref": f"urn:openapi:{operation.file}" + "/".join([operation.pointer, *map(_escaped, steps)])}


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _params(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    pairs = list(zip(template, segments, strict=True))
    if any(known != given and not known.startswith("{") for known, given in pairs):
        return None
    return {known[1:-1]: given for known, given in pairs if known.startswith("{")}


@cache
def _file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text(encoding="utf-8"))
    return content


@cache
def _templates() -> list[tuple[str, str, str, Mapping[str, Any]]]:
    return [
        (file, prefix, path, item) for file, prefix in _FILES.items() for path, item in _file(file)["paths"].items()
    ]


@cache
def _registry() -> Registry[Any]:
    files = ((f"urn:openapi:{name}", DRAFT4.create_resource(_file(name))) for name in _FILES)
    return Registry().with_resources(files)
