"""What can be told of a handler's Python by reading it: that it parses, has a ``handle``, and what it should not use.

Nothing is executed here, so ingress and egress may load rules. What only shows when the module runs is told by
``handler.py``.
"""

import ast
import threading
from collections.abc import Collection, Iterator

from bridge.errors import Mistake
from bridge.rule.nearest import hint

PARAMETERS = 2
LIBRARY = "lib/"

# What gives another value in a further attempt, so that the calls would differ, and what to use instead.
_UNSTEADY = {
    "time.time": "event.received_at",
    "datetime.now": "event.received_at",
    "datetime.utcnow": "event.received_at",
    "datetime.today": "event.received_at",
    "date.today": "event.received_at",
    "uuid.uuid1": 'event.uuid("name")',
    "uuid.uuid4": 'event.uuid("name")',
}
_UNSTEADY_MODULES = {"random": 'event.uuid("name")', "secrets": 'event.uuid("name")'}


# CPython 3.11 counts the depth of a tree for the whole process: two threads that parse at once can fail with
# "AST constructor recursion depth mismatch" (https://github.com/python/cpython/issues/106905).
_PARSING = threading.Lock()


def parsed(text: str, where: str) -> ast.Module:
    """Parse Python, one text at a time; raises what ``ast.parse`` raises."""
    with _PARSING:
        return ast.parse(text, filename=where)


def check(text: str, where: str, files: Collection[str]) -> tuple[list[Mistake], list[Mistake]]:
    """Return the mistakes and the warnings of one Python file; ``files`` are the names that it can import from.

    ``where`` is the file's own name: a rule's, or one below ``lib/``, which needs no ``handle``.
    """
    try:
        tree = parsed(text, where)
    except SyntaxError as error:
        return [Mistake(where, f"is not Python: {error.msg}", line=error.lineno)], []
    except (ValueError, RecursionError, MemoryError) as error:
        return [Mistake(where, f"is not Python: {error}")], []
    mistakes = [Mistake(where, text, line=line) for line, text in _imports(tree, where, files)]
    if not where.startswith(LIBRARY):
        mistakes += [Mistake(where, text, "handle", line) for line, text in _handle(tree)]
    return mistakes, [Mistake(where, text, line=line) for line, text in _unsteady(tree)]


def _handle(tree: ast.Module) -> Iterator[tuple[int | None, str]]:
    """Look at the last definition of ``handle``; one that is assigned or imported can be judged only when it runs."""
    wanted = "write: def handle(event: Event, context: Context) -> dict | None"
    named = [node for node in tree.body if "handle" in _bound(node)]
    if not named:
        functions = [name for node in tree.body for name in _bound(node)]
        yield None, f"there is no function handle{hint('handle', functions) if functions else ''}; {wanted}"
        return
    node = named[-1]
    if isinstance(node, ast.AsyncFunctionDef):
        yield node.lineno, f"handle is async, and a handler is called plainly; {wanted}"
    elif isinstance(node, ast.ClassDef):
        yield node.lineno, f"handle is a class; {wanted}"
    elif isinstance(node, ast.FunctionDef) and not _takes_two(node.args):
        yield node.lineno, f"handle must take exactly two arguments, event and context; {wanted}"


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for each in targets if isinstance(each, ast.Name)]


def _takes_two(args: ast.arguments) -> bool:
    positional = len(args.posonlyargs) + len(args.args)
    needed = positional - len(args.defaults)
    only_by_name = [default for default in args.kw_defaults if default is None]
    fits = needed <= PARAMETERS <= positional or (args.vararg is not None and needed <= PARAMETERS)
    return fits and not only_by_name


def _imports(tree: ast.Module, where: str, files: Collection[str]) -> Iterator[tuple[int, str]]:
    """Check relative imports: a rule reaches ``.lib`` and nothing else, and files in ``lib/`` reach each other."""
    package = where.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        above = len(package) - (node.level - 1)
        if above < 0:
            yield node.lineno, "imports from outside the rules directory"
            continue
        target = package[:above] + (node.module.split(".") if node.module else [])
        if _is_module(target, files) or _is_module([*target, "__init__"], files):
            continue
        names = [alias.name for alias in node.names] if _is_package(target, files) else []
        wanted = [[*target, name] for name in names] or [target]
        for parts in wanted:
            if not _is_module(parts, files) and not (names and _is_package(parts, files)):
                known = [each.removesuffix(".py").rpartition("/")[2] for each in files if each.startswith(LIBRARY)]
                yield node.lineno, f"imports {'/'.join(parts)}.py, which is not there{hint(parts[-1], known)}"


def _is_module(parts: list[str], files: Collection[str]) -> bool:
    return "/".join(parts) + ".py" in files


def _is_package(parts: list[str], files: Collection[str]) -> bool:
    return not parts or any(name.startswith("/".join(parts) + "/") for name in files)


def _unsteady(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find what would give another value in a further attempt."""
    why = "gives another value when the handler runs again after a crash; use"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in _UNSTEADY_MODULES:
                    yield node.lineno, f"{alias.name} {why} {_UNSTEADY_MODULES[alias.name]}"
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in _UNSTEADY_MODULES:
            yield node.lineno, f"{node.module} {why} {_UNSTEADY_MODULES[node.module]}"
        elif isinstance(node, ast.Call):
            name = _dotted(node.func)
            for unsteady, instead in _UNSTEADY.items():
                if name == unsteady or name.endswith(f".{unsteady}") or name == unsteady.removeprefix("uuid."):
                    yield node.lineno, f"{name}() {why} {instead}"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
