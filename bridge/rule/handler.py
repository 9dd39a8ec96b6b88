"""The Python of a rule: loaded from the exact text that was checked, and run for one event.

A rule's module and ``lib/`` are a package of their own per digest, so that two versions of a rule can run beside each
other while deliveries are under way, and nothing is read from the disk again. Only workers import this module.
"""

import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from marshmallow import Schema, ValidationError

from bridge.errors import BridgeError, HandlerFailed, Mistake, PayloadInvalid, RuleInvalid, Stop
from bridge.rule import recipe
from bridge.rule.context import Context
from bridge.rule.event import Event, Payload
from bridge.rule.registry import Rule

PREFIX = "bridge_rules_"
DIGITS = 16  # of the digest, in the package's name; enough that two versions never meet
LARGEST_RESULT = 256 * 1024
Handle = Callable[[Event, Context], Any]


def run(rule: Rule, event: Event, context: Context) -> Any:
    """Run a rule, handler or steps, and return its result as JSON.

    Raises ``PayloadInvalid`` when the payload does not fit, ``HandlerFailed`` for whatever else the handler raises or
    returns, ``RuleInvalid`` when the module cannot be loaded, an ``ActionError`` the handler let through, and ``Stop``
    when the attempt is over, also when the handler swallowed it.
    """
    if not rule.has_handler:
        return as_json(rule.name, recipe.run(rule, event, context))
    handle, schema = load(rule)
    if schema is not None:
        event = event.with_payload(_fitting(rule.name, schema, event.payload))
    try:
        result = handle(event, context)
    except (Stop, BridgeError):
        if context.stopped is not None:
            raise context.stopped from None
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if context.stopped is not None:
            raise context.stopped from error
        raise HandlerFailed(rule.name, describe(error, rule)) from error
    if context.stopped is not None:
        raise context.stopped
    return as_json(rule.name, result)


def load(rule: Rule) -> tuple[Handle, type[Schema] | None]:
    """Load the module of a rule, once per digest; return its ``handle`` and its ``Payload``, if it has one.

    Raises ``RuleInvalid`` when it raises on import, has no ``handle(event, context)``, or a ``Payload`` that is none.
    """
    where = f"{rule.name}.py"
    package = _FINDER.add(rule)
    try:
        module = import_module(f"{package}.{rule.name}")
    except (Stop, KeyboardInterrupt):
        raise
    except BaseException as error:
        text = f"cannot be imported: {describe(error, rule)}"
        raise RuleInvalid([Mistake(where, text, line=_line(error, where))]) from error
    handle = getattr(module, "handle", None)
    if not callable(handle):
        raise RuleInvalid([Mistake(where, "there is no function handle(event, context)", "handle")])
    if inspect.iscoroutinefunction(handle) or inspect.isgeneratorfunction(handle):
        raise RuleInvalid([Mistake(where, "handle must be a plain function: no async, no yield", "handle")])
    try:
        inspect.signature(handle).bind(None, None)
    except (TypeError, ValueError) as error:
        text = f"handle must take exactly two arguments, event and context: {error}"
        raise RuleInvalid([Mistake(where, text, "handle")]) from error
    return handle, _schema(module, where)


def as_json(rule: str, result: Any) -> Any:
    """Return what a handler returned as JSON holds it; raise ``HandlerFailed`` for what JSON cannot hold."""
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise HandlerFailed(rule, f"handle returned what JSON cannot hold: {error}") from error
    if len(text) > LARGEST_RESULT:
        raise HandlerFailed(rule, f"handle returned more than {LARGEST_RESULT} characters of JSON")
    return json.loads(text)


def describe(error: BaseException, rule: Rule) -> str:
    """Say what was raised and at which line of the rule's own files.

    The exception's text is the rule author's own and may quote the payload, so only its first 200 characters are kept.
    """
    if isinstance(error, SystemExit):
        said = "the handler called sys.exit, which ends nothing here"
    else:
        text = " ".join(str(error).split())[:200]
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    places = [f"{name}:{line}" for name, line in _places(error) if name.removeprefix("rules/") in rule.texts]
    return f"{said} ({places[-1]})" if places else said


def _places(error: BaseException) -> Iterator[tuple[str, int]]:
    """Walk the traceback, outermost first; a syntax error names a place that was never reached."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        yield error.filename, error.lineno


def _line(error: BaseException, where: str) -> int | None:
    lines = [line for name, line in _places(error) if name == f"rules/{where}"]
    return lines[-1] if lines else None


def _schema(module: ModuleType, where: str) -> type[Schema] | None:
    """Return the module's ``Payload``; the name may also be bridge's own, imported to be subclassed under another."""
    schema = getattr(module, "Payload", None)
    if schema is None or schema is Payload:
        return None
    if not isinstance(schema, type) or not issubclass(schema, Schema):
        raise RuleInvalid([Mistake(where, "Payload must be a class made from bridge.Payload", "Payload")])
    return schema


def _fitting(rule: str, schema: type[Schema], payload: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        loaded = schema().load(payload)
    except ValidationError as error:
        raise PayloadInvalid(rule, dict(_flat(error.messages))) from error
    except Exception as error:
        raise HandlerFailed(rule, f"Payload raised {type(error).__name__}") from error
    if not isinstance(loaded, Mapping):
        raise HandlerFailed(rule, "Payload must load a mapping; a post_load that makes an object is for handle to call")
    return loaded


def _flat(messages: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == "_schema" else f"{path}.{key}".lstrip("."))
    elif isinstance(messages, list) and not any(isinstance(each, Mapping) for each in messages):
        yield path or "payload", " ".join(map(str, messages))
    else:
        yield path or "payload", str(messages)


class _Loader(ExecutionLoader):
    """Gives Python the texts of one rule; tracebacks name them ``rules/<file>`` and show their lines."""

    def __init__(self, package: str, texts: Mapping[str, str]) -> None:
        self._package = package
        self._texts = texts

    def file(self, fullname: str) -> str | None:
        """Return the file name of a module in the texts, ``""`` for a package that has no file, None for no module."""
        parts = fullname.split(".")[1:]
        if not parts:
            return ""
        for name in ("/".join(parts) + ".py", "/".join([*parts, "__init__.py"])):
            if name in self._texts:
                return name
        return "" if any(name.startswith("/".join(parts) + "/") for name in self._texts) else None

    def is_package(self, fullname: str) -> bool:
        """Tell packages, which have no text of their own or one called ``__init__.py``, from modules."""
        name = self.file(fullname)
        return name is not None and (not name or name.endswith("__init__.py"))

    def get_source(self, fullname: str) -> str:
        """Return a module's text."""
        return self._texts.get(self.file(fullname) or "", "")

    def get_filename(self, fullname: str) -> str:
        """Name a module's file as people know it."""
        return f"rules/{self.file(fullname) or ''}"


class _Finder(MetaPathFinder):
    """Finds the modules of every version of a rule that was loaded in this process."""

    def __init__(self) -> None:
        self._loaders: dict[str, _Loader] = {}
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> str:
        """Make a rule's texts importable and return the name of their package."""
        package = PREFIX + rule.digest.removeprefix("sha256:")[:DIGITS]
        with self._lock:
            if package not in self._loaders:
                self._loaders[package] = _Loader(package, rule.texts)
            if self not in sys.meta_path:
                sys.meta_path.append(self)
        return package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the import system's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find one of the rules' own modules; everything else is found by Python's own finders."""
        loader = self._loaders.get(fullname.partition(".")[0])
        if loader is None or loader.file(fullname) is None:
            return None
        return spec_from_loader(
            fullname, loader, origin=loader.get_filename(fullname), is_package=loader.is_package(fullname)
        )


_FINDER = _Finder()
