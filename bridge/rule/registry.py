"""The rules of a directory, loaded as a whole or not at all, and loaded again when a file changes.

::

    rules/change_approved.toml      the manifest; the file's name is the rule's name everywhere
    rules/change_approved.py        its handler, when steps are not enough
    rules/lib/words.py              what handlers share
    rules/payloads/                 recorded payloads; no part of a rule

Nothing of a rule is executed here, so every process may load rules.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from bridge import catalogue
from bridge.errors import Mistake, RuleInvalid
from bridge.rule import manifest, source
from bridge.rule.manifest import Draft, Manifest
from bridge.rule.methods import METHODS
from bridge.rule.nearest import hint
from bridge.rule.scope import SITE, Ceiling
from bridge.settings import Account

LARGEST = 1024 * 1024  # bytes of one file
ATTEMPTS = 5
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # ingress takes no longer one either
_TAKEN = frozenset({"lib", "payloads"})


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What rules are checked against: an account of bridge.toml, without its secrets.

    ``products`` are those it has a credential for; ``ceiling`` is as bridge.toml has it, None means no ceiling.
    """

    name: str
    site: str
    products: frozenset[str]
    ceiling: Ceiling | None = None


def facts(accounts: Mapping[str, Account]) -> dict[str, AccountFacts]:
    """Return what rules are checked against, from the accounts of bridge.toml."""
    return {
        name: AccountFacts(name, account.site, frozenset(account.credentials), account.ceiling)
        for name, account in accounts.items()
    }


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule: its manifest and the exact texts it is made of, by file name relative to the directory.

    ``digest`` is ``sha256:`` over its texts, every file in ``lib/`` and the bridge's version.
    """

    name: str
    manifest: Manifest
    digest: str
    texts: Mapping[str, str]
    has_handler: bool


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules at one moment; ``warnings`` are no mistakes, but somebody should look at them."""

    rules: Mapping[str, Rule]
    digest: str
    warnings: tuple[Mistake, ...] = ()

    def get(self, name: str) -> Rule | None:
        """Return the rule of that name."""
        return self.rules.get(name)


@dataclass(slots=True)
class _Findings:
    """What is wrong and what is odd, collected over all files before anybody is told."""

    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)


def load(root: Path, accounts: Mapping[str, AccountFacts] | None) -> RuleSet:
    """Load every rule below ``root``; raise ``RuleInvalid`` with all mistakes of all rules.

    Without ``accounts`` the accounts are not checked. Files that change while they are read are read again.
    """
    findings = _Findings()
    texts = _read(root, findings)
    library = {name: text for name, text in texts.items() if name.startswith(source.LIBRARY)}
    for name, text in library.items():
        _add(findings, *_checked(text, name, library))
    manifests = [name for name in texts if name.endswith(".toml")]
    rules = {}
    for name in manifests:
        try:
            rule = _rule(name.removesuffix(".toml"), texts, library, accounts, findings)
        except RecursionError:
            findings.mistakes.append(Mistake(name, "is nested too deeply"))
            continue
        if rule is not None:
            rules[rule.name] = rule
    for name in texts.keys() - library.keys():
        if name.endswith(".py") and name.removesuffix(".py") + ".toml" not in texts:
            stem = name.removesuffix(".py")
            text = f"is a handler without a manifest: write {stem}.toml, or move it to lib/ if rules share it"
            findings.mistakes.append(Mistake(name, text))
    if findings.mistakes:
        raise RuleInvalid(sorted(findings.mistakes, key=lambda each: (each.where, each.line or 0)))
    digest = _digest({name: rule.digest for name, rule in rules.items()})
    return RuleSet(rules, digest, tuple(findings.warnings))


def _checked(text: str, name: str, known: Collection[str]) -> tuple[list[Mistake], list[Mistake]]:
    """Check a Python file; one that is nested so deeply that nobody can read it is a mistake as well."""
    try:
        return source.check(text, name, known)
    except RecursionError:
        return [Mistake(name, "is nested too deeply")], []


class Registry:
    """The rules in force: read again when files changed, at most every so many seconds; the whole set or none of it.

    ``mistakes`` are those of the newest files; while there are any, the last good set stays in force.
    """

    def __init__(
        self,
        root: Path,
        accounts: Mapping[str, AccountFacts] | None,
        every: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mistakes: tuple[Mistake, ...] = ()
        self._root = root
        self._accounts = accounts
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._seen: object = None
        self._good: RuleSet | None = None

    def current(self) -> RuleSet:
        """Return the rules in force; raise ``RuleInvalid`` if there has not been a good set yet."""
        with self._lock:
            now = self._clock()
            if self._looked_at is None or now - self._looked_at >= self._every:
                self._looked_at = now
                self._look()
            if self._good is None:
                raise RuleInvalid(self.mistakes)
            return self._good

    def primed(self) -> "Registry":
        """Read the rules now, so that what is good at the start of a process is what stays in force; return itself."""
        with suppress(RuleInvalid):
            self.current()
        return self

    def _look(self) -> None:
        seen = _signature(self._root)
        if seen == self._seen:
            return
        try:
            self._good = load(self._root, self._accounts)
            self.mistakes = ()
        except RuleInvalid as error:
            self.mistakes = error.mistakes
        self._seen = seen


def _files(root: Path) -> list[Path]:
    """List what belongs to rules: ``*.toml`` and ``*.py`` beside each other, and the Python below ``lib/``."""
    own = [path for path in root.iterdir() if path.suffix in {".toml", ".py"} and path.name != "__init__.py"]
    shared = (root / "lib").rglob("*.py")
    return sorted(path for path in (*own, *shared) if path.is_file() and not path.name.startswith("."))


def _signature(root: Path) -> object:
    """Return something that differs whenever a file may have changed."""
    try:
        stats = [(str(path), path.stat()) for path in _files(root)]
    except OSError as error:
        return str(error)
    return tuple((name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino) for name, stat in stats)


def _read(root: Path, findings: _Findings) -> dict[str, str]:
    """Read all texts as they were at one moment: when a file changes meanwhile, all are read again."""
    for _ in range(ATTEMPTS):
        before, found, texts = _signature(root), _Findings(), {}
        try:
            found.mistakes += [
                Mistake(path.name, "has a rule's name and is no file: a link that leads nowhere, or a device")
                for path in sorted(root.iterdir())
                if path.suffix in {".toml", ".py"} and not path.name.startswith(".") and not path.is_file()
            ]
            for path in _files(root):
                name = path.relative_to(root).as_posix()
                text = _text(path)
                if isinstance(text, str):
                    texts[name] = text
                else:
                    found.mistakes.append(Mistake(name, f"cannot be read: {text}"))
        except OSError as error:
            found.mistakes.append(Mistake(str(root), f"cannot be read: {error.strerror}"))
        if _signature(root) == before:
            break
    findings.mistakes += found.mistakes
    return texts


def _text(path: Path) -> str | Exception:
    if path.stat().st_size > LARGEST:
        return ValueError(f"it is larger than {LARGEST} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ValueError("it is not UTF-8 text")
    except OSError as error:
        return error


def _rule(
    name: str,
    texts: Mapping[str, str],
    library: Mapping[str, str],
    accounts: Mapping[str, AccountFacts] | None,
    findings: _Findings,
) -> Rule | None:
    """Read and check one rule; None when it has mistakes."""
    before = len(findings.mistakes)
    draft = manifest.read(texts[f"{name}.toml"], name)
    findings.mistakes += [*draft.mistakes, *_check_name(name, draft), *_check_scope(draft)]
    handler = texts.get(f"{name}.py")
    if handler is not None:
        _add(findings, *_checked(handler, f"{name}.py", {*library, f"{name}.py"}))
    findings.mistakes += _check_kind(draft, name, has_handler=handler is not None)
    findings.mistakes += _check_account(draft, accounts)
    read = draft.manifest
    if read is None or len(findings.mistakes) > before:
        return None
    findings.warnings += _odd(draft, read, accounts)
    own = {file: texts[file] for file in (f"{name}.toml", f"{name}.py") if file in texts} | dict(library)
    return Rule(name, read, _digest({"bridge": _version(), "files": own}), own, handler is not None)


def _add(findings: _Findings, mistakes: list[Mistake], warnings: list[Mistake]) -> None:
    findings.mistakes += mistakes
    findings.warnings += warnings


def _check_name(name: str, draft: Draft) -> Iterator[Mistake]:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        text = (
            "a rule's file name must be small letters, digits and _, beginning with a letter, and not lib or payloads"
        )
        yield Mistake(draft.where, text)


def _check_kind(draft: Draft, name: str, *, has_handler: bool) -> Iterator[Mistake]:
    if "step" in draft.data and has_handler:
        yield draft.mistake(("step", 0), f"has steps, and there is {name}.py as well: keep one of them")
    elif draft.data and "step" not in draft.data and not has_handler:
        yield Mistake(draft.where, f"does nothing: add [[step]] tables, or a handler in {name}.py")


def _check_scope(draft: Draft) -> Iterator[Mistake]:
    """Check that what the scope grants exists and stands under the right heading."""
    scope = draft.data.get("scope")
    for product in ("jira", "confluence"):
        containers = scope.get(product) if isinstance(scope, Mapping) else None
        for container, verbs in containers.items() if isinstance(containers, Mapping) else ():
            for verb in verbs if isinstance(verbs, list) else ():
                problem = _wrong_grant(product, container, verb) if isinstance(verb, str) else None
                if problem:
                    yield draft.mistake(("scope", product, container), problem)


def _wrong_grant(product: str, container: str, name: str) -> str | None:
    verb = catalogue.verbs().get(f"{product}.{name}")
    if verb is not None:
        if container == SITE and verb.container not in {"site", "anywhere"}:
            return f"'{name}' is granted per project or space, not under {SITE}"
        if container != SITE and verb.container == "site":
            return f"'{name}' belongs to no project or space: grant it under \"{SITE}\""
        return None
    if any(operation.site_product == product for operation in catalogue.operation(name)):
        return None
    known = [each.name for each in catalogue.verbs().values() if each.product == product]
    return f"there is no verb or operation '{name}' in {product}{hint(name, known)}"


def _check_account(draft: Draft, accounts: Mapping[str, AccountFacts] | None) -> Iterator[Mistake]:
    name = draft.data.get("account")
    if accounts is None or not isinstance(name, str):
        return
    account = accounts.get(name)
    if account is None:
        yield draft.mistake(("account",), f"there is no account '{name}' in bridge.toml{hint(name, accounts)}")
        return
    scope = draft.data.get("scope")
    for product in ("jira", "confluence"):
        if isinstance(scope, Mapping) and scope.get(product) and product not in account.products:
            text = f"the account '{name}' has no credential for {product} in bridge.toml"
            yield draft.mistake(("scope", product), text)


def _odd(draft: Draft, read: Manifest, accounts: Mapping[str, AccountFacts] | None) -> Iterator[Mistake]:
    """Find what is allowed and yet seldom meant."""
    automation = read.source in {"jira-automation", "confluence-automation"}
    if not read.accept.idempotency_key and automation:
        text = "without accept.idempotency_key the same payload, sent again by Automation's retry, is a new delivery"
        yield draft.mistake(("accept",), text)
    if read.accept.initiator is None and automation:
        text = "without accept.initiator an automation that our own account sets off is not noticed: a loop"
        yield draft.mistake(("accept",), text)
    if not read.scope.jira and not read.scope.confluence:
        yield draft.mistake(("scope",), "the scope is empty: every action will be refused")
    account = (accounts or {}).get(read.account)
    for beyond in read.scope.beyond(account.ceiling if account else None):
        text = f"is beyond the ceiling of the account '{read.account}' and will be refused"
        yield draft.mistake(("scope", *beyond.split(" ")[:2]), f"{beyond} {text}")
    if read.steps:
        used = {verb for step in read.steps for verb in METHODS[step.verb].verbs}
        for product in ("jira", "confluence"):
            for container, verbs in sorted(read.scope.grants(product).items()):
                for verb in sorted(verbs):
                    if f"{product}.{verb}" not in used:
                        yield draft.mistake(("scope", product, container), f"no step uses '{verb}'")


def _digest(of: Mapping[str, object]) -> str:
    text = json.dumps(of, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def _version() -> str:
    try:
        return metadata.version("bridge")
    except metadata.PackageNotFoundError:
        return "not installed"
