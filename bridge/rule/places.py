"""Templates whose ``{name}`` places hold values: Markdown, JQL and CQL of a handler. A value is never glued into text.

Whoever fills a template gets its parts one by one and decides what a value looks like there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from bridge.rule.nearest import hint


@dataclass(frozen=True, slots=True)
class Value:
    """Something to be put into a template as literal text for its place."""

    value: Any


Parts = tuple[str | Value, ...]


def split(template: str, values: Mapping[str, Any]) -> Parts:
    """Cut a template at its ``{name}`` places; ``{{`` and ``}}`` stand for the braces themselves.

    Raises ``ValueError`` for a place without a value, a value without a place, and anything but a name in braces.
    """
    parts: list[str | Value] = []
    used: set[str] = set()
    for text, name, form, conversion in Formatter().parse(template):
        if text:
            parts.append(text)
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}}: a place holds a name and nothing else; write {{{{ and }}}} for braces")
        if name not in values:
            raise ValueError(f"the place {{{name}}} has no value{hint(name, values)}")
        used.add(name)
        parts.append(Value(values[name]))
    if unused := sorted(set(values) - used):
        raise ValueError(f"the template has no place {{{unused[0]}}}, for which a value is given")
    return tuple(parts)
