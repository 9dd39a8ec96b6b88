"""Spaces that are made, templates and the pages published from them, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-template/ and
api-group-space beside it; the newer way to make a space exists only on sites that manage spaces by roles.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import clean
from bridge.rule.confluence_pages import add_page, space_of
from bridge.rule.confluence_text import NOT_FOUND
from bridge.rule.method import does
from bridge.rule.nearest import hint
from bridge.rule.paging import PAGE_SIZE, by_start
from bridge.rule.request import Caller, Page, Request, object_of, segment

# A template's text is in storage format; its variables are declared first and stand in the text as elements:
# https://developer.atlassian.com/server/confluence/creating-a-template/
_DECLARED = re.compile(r"<at:declarations\s*/>|<at:declarations\b.*?</at:declarations\s*>", re.DOTALL)
_VARIABLE = re.compile(r"<at:var\b([^>]*?)(?:/>|>\s*</at:var\s*>)", re.DOTALL)
_NAME = re.compile(r"""\bat:name\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_KEY = re.compile(r"[A-Za-z0-9]{1,255}", re.ASCII)


class Spaces:
    """The part of ``context.confluence`` that works on spaces and templates."""

    _caller: Caller

    @does(
        "confluence.create-space",
        "Create space",
        operations=("confluence-v1:createSpace",),
        example={"key": "TEAM", "name": "Team"},
    )
    def create_space(
        self, key: str, name: str, *, description: str | None = None, step: str | None = None
    ) -> dict[str, Any]:
        """Make a space; the account administers it. A key is made of letters and digits, else ``ValueError``."""
        return object_of(self._caller.call(add_space(key, name, description, step=step)), {"id": "0", "key": key})

    @does(
        "confluence.templates",
        "Find templates",
        operations=("getContentTemplates",),
        verbs=("confluence.template",),
        example={"space": "<space>"},
    )
    def templates(self, space: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Read the templates of a space: ``templateId``, ``name`` and more; those of the site are not among them."""
        return by_start(self._caller, templates_of(space), limit)

    @does(
        "confluence.create-page-from-template",
        "Publish new page from template",
        operations=("getContentTemplates", "getContentTemplate", "getSpaces", "createPage"),
        verbs=("confluence.create-page", "confluence.template"),
        example={"space": "<space>", "title": "Review", "template": "Incident review", "values": {"incident": "OPS-1"}},
    )
    def create_page_from_template(
        self,
        space: str,
        title: str,
        template: str,
        values: Mapping[str, Any] | None = None,
        parent: Page | None = None,
        *,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Publish a page with the text of a template, named by its name in that space or by its id.

        ``values`` fill in the template's variables, as plain text; a variable without a value stays empty, as in
        Confluence's own form. Raises ``ValueError`` for a value without a variable, and ``ActionFailed`` (404) when
        there is no such template or space.
        """
        number = template if str(template).isdecimal() else self._template(space, template)
        text = object_of(self._caller.call(read_template(number)))
        filled = fill(_storage(text), values or {})
        found = space_of(self._caller, space, "create-page")
        body = {"representation": "storage", "value": filled}
        answer = self._caller.call(add_page(space, str(found["id"]), title, body, parent, step=step))
        return object_of(answer, {"id": "0", "title": title})

    def _template(self, space: str, name: str) -> str:
        names = []
        for each in self.templates(space):
            if str(each.get("name", "")).casefold() == name.strip().casefold():
                return str(each["templateId"])
            names.append(str(each.get("name")))
        text = f"no template of the space {space} is called {name!r}; there are: {', '.join(names) or 'none'}"
        raise ActionFailed("create-page-from-template", name, NOT_FOUND, text)


def add_space(key: str, name: str, description: str | None = None, *, step: str | None = None) -> Request:
    """POST a new space (operation createSpace of v1)."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"a space's key is made of letters and digits, and {key!r} is not")
    body: dict[str, Any] = {"key": key, "name": " ".join(name.split())}
    if description is not None:
        body["description"] = {"plain": {"value": description, "representation": "plain"}}
    return Request("confluence", "POST", "/wiki/rest/api/space", {}, body, step, "create-space", key)


def templates_of(space: str) -> Request:
    """GET the templates of a space (operation getContentTemplates)."""
    query = {"spaceKey": [space], "limit": [str(PAGE_SIZE)]}
    return Request("confluence", "GET", "/wiki/rest/api/template/page", query, verb="template", target=space)


def read_template(number: str) -> Request:
    """GET a template with its text (operation getContentTemplate)."""
    path = f"/wiki/rest/api/template/{segment(number)}"
    query = {"expand": ["body"]}
    return Request("confluence", "GET", path, query, verb="template", target=f"template {number}")


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Put values into the variables of a template in storage format, as text that is no markup.

    Raises ``ValueError`` for a value whose variable the template does not have.
    """
    text = _DECLARED.sub("", template)
    names = {_name(match[1]) for match in _VARIABLE.finditer(text)}
    if unknown := sorted(set(values) - names):
        raise ValueError(f"the template has no variable {unknown[0]!r}{hint(unknown[0], names)}")
    return _VARIABLE.sub(lambda match: _written(values.get(_name(match[1]))), text)


def _name(attributes: str) -> str:
    found = _NAME.search(attributes)
    return (found[1] or found[2] or "") if found else ""


def _written(value: Any) -> str:
    """Write a value as text of the page; its line ends become breaks."""
    return "" if value is None else "<br/>".join(escape(line) for line in clean(str(value)).split("\n"))


def _storage(template: Mapping[str, Any]) -> str:
    return str((((template.get("body") or {}).get("storage")) or {}).get("value") or "")
