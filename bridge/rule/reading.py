"""A handler's Python, read for what it calls of Jira and Confluence; nothing is executed.

Everything counts that stands behind ``.jira`` or ``.confluence`` in ``rules/<rule>.py`` and in what that reaches of
``rules/lib``. Where a product is handed on, or looked up by a name that only running shows, that place is noted, and
whoever asks must reckon with more.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from bridge import catalogue
from bridge.catalogue import Operation, PathRefused
from bridge.rule.confluence import Confluence
from bridge.rule.jira import Jira
from bridge.rule.method import Method
from bridge.rule.methods import METHODS
from bridge.rule.source import parsed

PRODUCTS = ("jira", "confluence")
_CLASSES = {"jira": Jira, "confluence": Confluence}
REQUEST = "request"
# By these a name is found only while the code runs.
_HIDING = frozenset(
    {"eval", "exec", "vars", "globals", "locals", "attrgetter", "methodcaller", "import_module", "__import__"}
)
_HIDDEN = frozenset({"__dict__", "__getattribute__", "__getattr__"})
_ROOTS = frozenset({"handle", "Payload"})  # what the bridge itself takes from a rule's module


@dataclass(frozen=True, slots=True)
class Use:
    """One method of ``context.jira`` or ``context.confluence``, or one operation called by ``request``.

    ``where`` and ``line`` tell the file and place that says so first. ``given`` are the names of the arguments and of
    the fields in them that are passed anywhere; None when that cannot be told. ``sure`` is False where the rule only
    may use it.
    """

    name: str
    product: str
    where: str
    line: int | None
    method: Method | None = None
    operation: Operation | None = None
    given: frozenset[str] | None = None
    sure: bool = True


@dataclass(slots=True)
class Reading:
    """What the files of a rule say: ``requests`` are those whose operation cannot be told, with product and place.

    ``unsure`` has, as keys, the sentences that say where and why something cannot be told for certain.
    """

    uses: list[Use] = field(default_factory=list)
    unsure: dict[str, None] = field(default_factory=dict)
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def doubt(self, where: str, node: ast.expr | ast.stmt, why: str) -> None:
        """Note a place that cannot be read for certain."""
        self.unsure.setdefault(f"{where}:{node.lineno}: {why}")


def read(texts: Mapping[str, str], name: str) -> Reading:
    """Read the file ``name`` of a rule, and what it reaches of the others. All must be Python that parses."""
    reading = Reading()
    modules = dict(_modules(texts, name))
    context = _context_name(modules[name])
    defined = {each for tree in modules.values() for node in ast.walk(tree) for each in _defines(node)}
    for where, node in _reached(modules):
        try:
            _Reader(reading, where, _aliases(modules[where]), context, defined).visit(node)
        except RecursionError:
            reading.doubt(where, node, "is nested too deeply to be read")
    return reading


def _modules(texts: Mapping[str, str], name: str) -> Iterator[tuple[str, ast.Module]]:
    """Parse the rule's own file and every file below ``lib/`` that is imported from there on."""
    waiting, seen = [name], set[str]()
    while waiting:
        where = waiting.pop(0)
        if where in seen or where not in texts:
            continue
        seen.add(where)
        tree = parsed(texts[where], where)
        yield where, tree
        waiting += _imported(tree, where)


def _imported(tree: ast.Module, where: str) -> Iterator[str]:
    package = where.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            target = package[: len(package) - (node.level - 1)] + (node.module.split(".") if node.module else [])
            for parts in (target, *([*target, alias.name] for alias in node.names)):
                yield "/".join(parts) + ".py"
                yield "/".join([*parts, "__init__.py"])


def _context_name(tree: ast.Module) -> str:
    """Return what ``handle`` calls its second argument."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "handle":
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            return names[1] if len(names) > 1 else "context"
    return "context"


def _reached(modules: Mapping[str, ast.Module]) -> Iterator[tuple[str, ast.stmt]]:
    """Give every statement that runs when the rule does: what no name leads to from ``handle`` on is left out."""
    waiting = [(where, node) for where, tree in modules.items() for node in tree.body]
    named = set(_ROOTS)
    while True:
        ready = [each for each in waiting if not _waits(each[1]) or named & set(_defines(each[1]))]
        if not ready:
            return
        waiting = [each for each in waiting if each not in ready]
        for where, node in ready:
            yield where, node
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):
                    named.add(inner.id)
                elif isinstance(inner, ast.Attribute):
                    named.add(inner.attr)
                elif isinstance(inner, ast.alias):
                    named.add(inner.name.rpartition(".")[2])


def _defines(node: ast.AST) -> tuple[str, ...]:
    return (node.name,) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ()


def _waits(node: ast.stmt) -> bool:
    """Tell whether a statement runs only when its name is used; a decorator may hand it on without its name."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.decorator_list


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Find names that are plainly assigned a product: ``jira = context.jira``."""
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        name, value = node.targets[0], node.value
        if isinstance(name, ast.Name) and isinstance(value, ast.Attribute) and value.attr in PRODUCTS:
            found[name.id] = value.attr
    return found


class _Reader(ast.NodeVisitor):
    """Walks one statement of a file."""

    def __init__(
        self, reading: Reading, where: str, aliases: Mapping[str, str], context: str, defined: Collection[str]
    ) -> None:
        self._reading = reading
        self._where = where
        self._aliases = aliases
        self._context = context
        self._defined = defined

    def visit_Assign(self, node: ast.Assign) -> None:
        """Pass over a plain alias, which is followed, and over ``self.jira = context.jira``, which ends the same."""
        target, product = node.targets[0], self._product(node.value)
        followed = isinstance(target, ast.Name) and target.id in self._aliases
        if (
            product is None
            or len(node.targets) > 1
            or not (followed or (isinstance(target, ast.Attribute) and target.attr == product))
        ):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Read a call: of a method, of something that hides names, or of a stranger that is given the context."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _HIDING or (name == "getattr" and not self._is_harmless(node)):
            self._reading.doubt(self._where, node, f"{name}() finds by name what only running shows")
        handed_on = any(isinstance(each, ast.Name) and each.id == self._context for each in self._given(node))
        if handed_on and name not in self._defined:
            self._reading.doubt(self._where, node, f"{name or 'something'} is given the {self._context}")
        product = self._product(node.func.value) if isinstance(node.func, ast.Attribute) else None
        if product is not None:
            self._called(node, product, name)
            for each in self._given(node):
                self.visit(each)
        else:
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Read what stands behind a product, called or not, and notice a product that is handed on."""
        product = self._product(node.value)
        if product is not None:
            self._use(node, product, node.attr, None)
        elif node.attr in PRODUCTS and isinstance(node.ctx, ast.Load):
            self._reading.doubt(self._where, node, f"{ast.unparse(node)} is handed on")
        else:
            if node.attr in _HIDDEN:
                self._reading.doubt(self._where, node, f"{node.attr} finds by name what only running shows")
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Notice an alias of a product that is handed on."""
        if node.id in self._aliases and isinstance(node.ctx, ast.Load):
            self._reading.doubt(self._where, node, f"{node.id} is handed on")

    def _product(self, node: ast.expr) -> str | None:
        """Tell which product an expression is: ``context.jira``, anything else that ends so, or an alias of it."""
        if isinstance(node, ast.Attribute) and node.attr in PRODUCTS:
            return node.attr
        return self._aliases.get(node.id) if isinstance(node, ast.Name) else None

    def _is_harmless(self, node: ast.Call) -> bool:
        named = node.args[1] if len(node.args) > 1 else None
        return isinstance(named, ast.Constant) and named.value not in PRODUCTS and self._product(node.args[0]) is None

    @staticmethod
    def _given(node: ast.Call) -> list[ast.expr]:
        return [*node.args, *(each.value for each in node.keywords)]

    def _called(self, node: ast.Call, product: str, name: str) -> None:
        if name == REQUEST:
            self._requested(node, product)
        else:
            self._use(node, product, name, node)

    def _use(self, node: ast.expr, product: str, attribute: str, call: ast.Call | None) -> None:
        method = next((one for one in METHODS.values() if (one.product, one.attribute) == (product, attribute)), None)
        if method is None:
            # What is no method of theirs fails as soon as it runs, and sends nothing.
            if hasattr(_CLASSES[product], attribute) or attribute.startswith("_"):
                self._reading.doubt(self._where, node, f"{product}.{attribute} can be anything")
            return
        given = None if call is None else _passed(call, method)
        self._reading.uses.append(Use(method.name, product, self._where, node.lineno, method, given=given))

    def _requested(self, node: ast.Call, product: str) -> None:
        """Read which operation a ``request`` calls; where its path is put together elsewhere, only the scope tells."""
        named = {each.arg: each.value for each in node.keywords}
        method = node.args[0] if node.args else named.get("method")
        path = node.args[1] if len(node.args) > 1 else named.get("path")
        operation = _operation(_text(method), _text(path), product)
        if operation is None:
            self._reading.requests.append((product, self._where, node.lineno))
        else:
            use = Use(operation.operation_id, product, self._where, node.lineno, operation=operation)
            self._reading.uses.append(use)


def _passed(call: ast.Call, method: Method) -> frozenset[str] | None:
    """Name the arguments of a call and the keys of tables written out in them; None if only running shows them."""
    names = [argument.name for argument in method.arguments]
    if len(call.args) > len(names) or any(isinstance(each, ast.Starred) for each in call.args):
        return None
    found = dict(zip(names, call.args, strict=False))
    for each in call.keywords:
        if each.arg is None:
            return None
        found[each.arg] = each.value
    kinds = {argument.name: argument.kind for argument in method.arguments}
    keys: set[str] = set(found)
    for name, value in found.items():
        if isinstance(value, ast.Dict):
            if not all(isinstance(key, ast.Constant) for key in value.keys):
                return None
            keys |= {str(key.value) for key in value.keys if isinstance(key, ast.Constant)}
        elif kinds.get(name) == "table" and not (isinstance(value, ast.Constant) and value.value is None):
            return None
    return frozenset(keys)


def _text(node: ast.expr | None) -> str | None:
    """Return a text that is written out; what is filled in while it runs is taken for one segment of a path."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "1" for each in node.values)
    return None


def _operation(method: str | None, path: str | None, product: str) -> Operation | None:
    if method is None or path is None:
        return None
    try:
        found = catalogue.match(method.upper(), path)
    except PathRefused:
        return None
    return found.operation if found is not None and found.operation.site_product == product else None
