"""The operations of Atlassian's REST APIs, as facts: what there is, and which OAuth scopes each one needs.

``operations.csv`` beside this file holds one row for each; ``python -m bridge.catalogue`` rebuilds it from Atlassian's
OpenAPI files. What a rule may do with an operation is said by the verbs (``verbs.py``), not here.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from bridge.errors import Mistake, SettingsInvalid

FILE = Path(__file__).with_name("operations.csv")
COLUMNS = ("product", "method", "path", "operation_id", "scopes", "deprecated", "experimental")
PRODUCTS = ("jira", "agile", "jsm", "confluence", "confluence-v1")
STATES = ("Current", "Beta", "security")
SITES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"jira": ("jira", "agile", "jsm"), "confluence": ("confluence", "confluence-v1")}
)


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """OAuth scopes that together allow an operation.

    ``state`` is Atlassian's word for the set: ``Current`` (classic, or granular where only that exists), ``Beta``
    (granular), or ``security`` where the file lists scopes only under OpenAPI's own ``security`` key.
    """

    state: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: ``path`` is a template such as ``/rest/api/3/issue/{issueIdOrKey}/comment``.

    ``product`` is jira, agile, jsm, confluence (REST v2) or confluence-v1. Method and path make an operation unique; an
    ``operation_id`` may occur in several products, and six of the service desk's stand for two operations each.
    ``scope_sets`` are alternatives: any one of them is enough, and none means that
    Atlassian names no OAuth scope, so that a service account's token cannot be relied on to reach it.
    """

    product: str
    method: str
    path: str
    operation_id: str
    scope_sets: tuple[ScopeSet, ...]
    deprecated: bool
    experimental: bool

    @property
    def site_product(self) -> str:
        """Which credential and gateway prefix it takes: ``jira`` for the boards and the service desk too."""
        return "confluence" if self.product in SITES["confluence"] else "jira"

    def allowed_by(self, granted: frozenset[str]) -> bool:
        """Tell whether a credential with these OAuth scopes may use it: all scopes of at least one set.

        Forge's own check works the same way: https://www.npmjs.com/package/@forge/manifest.
        """
        return any(one.scopes <= granted for one in self.scope_sets)

    def missing(self, granted: frozenset[str]) -> tuple[str, ...]:
        """List, sorted, the fewest OAuth scopes that ``granted`` lacks.

        Of equals it is the set of which most is held, since classic and granular scopes do not go into one token. It
        is empty when nothing is lacking and also when Atlassian names no set: ``allowed_by`` tells these apart.
        """
        ranked = [(len(one.scopes - granted), -len(one.scopes & granted), one.scopes) for one in self.scope_sets]
        _, _, best = min(ranked, key=lambda rank: rank[:2], default=(0, 0, frozenset[str]()))
        return tuple(sorted(best - granted))


def order(operation: Operation) -> tuple[str, str, str]:
    """Give the key by which operations.csv is sorted, so that two rebuilds differ only where the facts differ."""
    return operation.product, operation.path, operation.method


def cells(row: Operation) -> tuple[str, ...]:
    """Write an operation as it stands in the file, in the order of COLUMNS.

    Scope sets look like ``Current=write:jira-work|Beta=read:x:jira+write:y:jira``.
    """
    scopes = "|".join(f"{one.state}={'+'.join(sorted(one.scopes))}" for one in row.scope_sets)
    flags = ("yes" if flag else "no" for flag in (row.deprecated, row.experimental))
    return row.product, row.method, row.path, row.operation_id, scopes, *flags


def render(rows: Iterable[Operation]) -> str:
    """Write operations as the text of operations.csv, sorted, with ``\\n`` line ends."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(cells(row) for row in sorted(rows, key=order))
    return text.getvalue()


def parse(text: str, name: str) -> tuple[Operation, ...]:
    """Read the text of an operations.csv; ``name`` is what mistakes call the file.

    Raises SettingsInvalid with every line that cannot be read, since a catalogue with holes would refuse or allow the
    wrong things silently.
    """
    reader = csv.reader(text.splitlines())
    if tuple(next(reader, ())) != COLUMNS:
        raise SettingsInvalid([Mistake(name, f"the first line must be {','.join(COLUMNS)}", line=1)])
    rows: list[Operation] = []
    mistakes: list[Mistake] = []
    sets: dict[str, tuple[ScopeSet, ...]] = {"": ()}
    flag = {"yes": True, "no": False}
    for line in reader:
        try:
            product, method, path, operation_id, scopes, deprecated, experimental = line
            if scopes not in sets:
                sets[scopes] = tuple(_scope_set(one) for one in scopes.split("|"))
            if product not in PRODUCTS or not path.startswith("/") or not operation_id:
                raise ValueError(product)  # noqa: TRY301 - one line per row, whatever is wrong with it
            flags = flag[deprecated], flag[experimental]
            rows.append(Operation(product, method, path, operation_id, sets[scopes], *flags))
        except (ValueError, KeyError):
            mistakes.append(Mistake(name, f"not a row of operations: {','.join(line)[:120]}", line=reader.line_num))
    if mistakes:
        raise SettingsInvalid(mistakes)
    return tuple(rows)


def _scope_set(text: str) -> ScopeSet:
    """Read one ``state=scope+scope``; an unknown state or an empty scope is a ValueError."""
    state, _, scopes = text.partition("=")
    found = frozenset(scopes.split("+"))
    if state not in STATES or "" in found:
        raise ValueError(text)
    return ScopeSet(state, found)


@cache
def operations() -> tuple[Operation, ...]:
    """Give every operation Atlassian documents for Jira, boards, service desk and Confluence, in the file's order."""
    return parse(FILE.read_text(encoding="utf-8"), FILE.name)


@cache
def _by_id() -> Mapping[str, tuple[Operation, ...]]:
    """Group the operations by operationId."""
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for row in operations():
        found[row.operation_id].append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def operation(operation_id: str) -> tuple[Operation, ...]:
    """Give all operations with that id, in whatever product; empty when there is none."""
    return _by_id().get(operation_id, ())


def locate(site_product: str, operation_id: str) -> Operation:
    """Give the one operation that a verb of ``site_product`` (``jira``, ``confluence``) means by that id.

    The platform comes before boards and service desk, Confluence's v2 before v1; ``confluence-v1:createSpace`` says
    which. Raises KeyError when none has it, or when the first product that has it means two operations by it; then
    method and path say which: ``GET /rest/servicedeskapi/organization``.
    """
    method, _, path = operation_id.partition(" ")
    if path:
        for row in operations():
            if (row.method, row.path) == (method, path) and row.product in SITES[site_product]:
                return row
        raise KeyError(f"{site_product} has no operation {operation_id!r}")
    named, _, operation_id = operation_id.rpartition(":")
    for product in SITES[site_product]:
        if named not in {"", product}:
            continue
        match [row for row in operation(operation_id) if row.product == product]:
            case []:
                continue
            case [one]:
                return one
            case several:
                raise KeyError(f"{product} has {len(several)} operations {operation_id!r}")
    raise KeyError(f"{site_product} has no operation {operation_id!r}")
