"""Atlassian's OpenAPI files, read for what the catalogue keeps of them: operations and their OAuth scopes.

The five files are published at https://developer.atlassian.com/cloud/ (Jira platform, Jira software, Jira service
desk, Confluence v1 and v2). Which one a file is shows in the paths it describes, because file names and titles change.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.catalogue.operations import STATES, Operation, ScopeSet

_TELLTALE = {
    "/rest/api/3/": "jira",
    "/rest/agile/1.0/": "agile",
    "/rest/servicedeskapi/": "jsm",
    "/wiki/api/v2/": "confluence",
    "/wiki/rest/api/": "confluence-v1",
}
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}
_SCHEMES = ("OAuth2", "oAuthDefinitions")


class SpecUnusable(ValueError):
    """A file is not one of the five OpenAPI files, or not in a shape that can be trusted; the text says why."""


def read(path: Path) -> tuple[str, tuple[Operation, ...]]:
    """Read one OpenAPI file and give its product and its operations.

    Raises SpecUnusable, with the file's name in the text, for anything that is not one of Atlassian's five files.
    """
    try:
        spec = json.loads(path.read_bytes())
    except OSError as error:
        raise SpecUnusable(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError:
        raise SpecUnusable(f"{path}: nested too deeply to be an OpenAPI file") from None
    except ValueError as error:
        raise SpecUnusable(f"{path}: is not JSON: {error}") from error
    try:
        rows = tuple(_operations(spec))
        product = _product(rows)
    except SpecUnusable as error:
        raise SpecUnusable(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise SpecUnusable(f"{path}: not in the shape of an OpenAPI file ({type(error).__name__}: {error})") from error
    return product, tuple(Operation(product, *row) for row in rows)


_Row = tuple[str, str, str, tuple[ScopeSet, ...], bool, bool]


def _operations(spec: Any) -> Iterator[_Row]:
    """Walk ``paths``: the fields of an Operation without its product, which only shows once all paths are known."""
    if not isinstance(spec, dict) or not str(spec.get("openapi", "")).startswith("3."):
        raise SpecUnusable("not an OpenAPI 3 file")
    # Confluence v2 puts the beginning of its paths into the server's address (.../wiki/api/v2), the others do not.
    address = next((str(server["url"]) for server in spec.get("servers", ())), "")
    base = urlsplit(address.replace("{", "").replace("}", "")).path.rstrip("/")
    for path, item in spec["paths"].items():
        for method, found in item.items():
            if method not in _METHODS:
                continue
            if not isinstance(found.get("operationId"), str):
                raise SpecUnusable(f"{method.upper()} {path} has no operationId")
            yield (
                method.upper(),
                base + path,
                found["operationId"],
                _scope_sets(found),
                found.get("deprecated") is True,
                found.get("x-experimental") is True,
            )


def _scope_sets(found: Mapping[str, Any]) -> tuple[ScopeSet, ...]:
    """Take Atlassian's own key, whose entries are alternatives; without it, what ``security`` says of OAuth."""
    own = found.get("x-atlassian-oauth2-scopes") or ()
    sets = {ScopeSet(one["state"], frozenset(one["scopes"])) for one in own if one["scopes"]}
    if not sets:
        listed = (one.get(scheme) for one in found.get("security", ()) for scheme in _SCHEMES)
        sets = {ScopeSet("security", frozenset(scopes)) for scopes in listed if scopes}
    unknown = {one.state for one in sets} - set(STATES)
    if unknown:
        raise SpecUnusable(f"{found['operationId']}: unknown state of OAuth scopes: {', '.join(sorted(unknown))}")
    return tuple(sorted(sets, key=lambda one: (STATES.index(one.state), sorted(one.scopes))))


def _product(rows: tuple[_Row, ...]) -> str:
    """Recognise the file by its paths: exactly one of the five ways to begin must occur."""
    seen = {product for start, product in _TELLTALE.items() if any(row[1].startswith(start) for row in rows)}
    if not seen:
        raise SpecUnusable(f"describes none of the catalogue's APIs: no path begins with {' or '.join(_TELLTALE)}")
    if len(seen) > 1:
        raise SpecUnusable(f"describes several APIs at once: {', '.join(sorted(seen))}")
    return seen.pop()
