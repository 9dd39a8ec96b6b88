"""``bridge.toml``: the sites, the service accounts and their credentials, and what the rooms are told besides.

A secret never stands in the file: it is referred to as ``env:NAME`` or ``file:/path`` and opened only by who needs it,
so that a printed ``Account`` shows no secret. ``bridge.settings`` reads the environment and calls ``read``.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from bridge import audit_settings
from bridge.audit_settings import AuditTable, RetentionTable
from bridge.errors import Mistake, SettingsInvalid

CLOUD_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)  # it becomes part of every path
REFERENCES = ("env:", "file:/")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PRODUCTS = ("jira", "confluence")
_SECRETS = ("token", "client_secret")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is kept: ``env:NAME`` or ``file:/path``."""

    text: str

    def open(self) -> str:
        """Return the secret without surrounding white space.

        Raises ``SettingsInvalid`` if the variable is unset, the file cannot be read or either is empty.
        """
        kind, _, place = self.text.partition(":")
        if kind == "env":
            value = os.environ.get(place, "")
            problem = f"the environment variable {place} is not set"
        else:
            try:
                value = Path(place).read_text(encoding="utf-8")
                problem = f"the file {place} is empty"
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not text"
                value, problem = "", f"the file {place} cannot be read ({reason})"
        if not value.strip():
            raise SettingsInvalid([Mistake(self.text, f"{problem}: the credential is missing")])
        return value.strip()


@dataclass(frozen=True, slots=True)
class Credential:
    """How an account signs in to one product, the OAuth scopes that was made with and the day it ends.

    ``secret`` is an API token or, with ``client_id`` (text, or a reference to it), the client secret of an OAuth 2.0
    client by which access tokens are fetched. ``previous`` is the credential that this one replaces, for as long as
    both are kept: it is used while the site rejects this one.
    """

    secret: Reference
    scopes: frozenset[str]
    expires: date | None
    client_id: str | None = None
    previous: "Credential | None" = None

    @property
    def kind(self) -> str:
        """What people call it: ``token`` or ``client secret``."""
        return "token" if self.client_id is None else "client secret"

    @property
    def ended(self) -> bool:
        """Whether its last day, as bridge.toml has it, is over."""
        return self.expires is not None and self.expires < datetime.now(UTC).date()

    def both(self) -> Iterator[tuple[str, "Credential"]]:
        """Give itself as ``current`` and the one before it, if there is one, as ``previous``."""
        yield "current", self
        if self.previous is not None:
            yield "previous", self.previous


@dataclass(frozen=True, slots=True)
class Site:
    """One Atlassian site, such as https://acme.atlassian.net; ``cloud_id`` None means: discover it."""

    name: str
    url: str
    cloud_id: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """A service account: its site, a credential per product (``jira``, ``confluence``) and an optional ceiling.

    ``ceiling`` has the shape of a rule's scope, ``{"jira": {"OPS": ["read"]}}``; no rule's scope exceeds it.
    """

    name: str
    site: str
    email: str
    credentials: Mapping[str, Credential]
    ceiling: Mapping[str, Mapping[str, Sequence[str]]] | None


@dataclass(frozen=True, slots=True)
class Config:
    """What a ``bridge.toml`` says; ``chosen`` are further fields of ``Settings`` by their names."""

    sites: Mapping[str, Site] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Site(_Strict):
    url = fields.Str(required=True)
    cloud_id = fields.Str(load_default=None, validate=validate.Regexp(CLOUD_ID.pattern + r"\Z", error="is no cloudId"))


class _Secret(_Strict):
    """What opens a product: an API token, or a client id with its secret."""

    token = fields.Str(load_default=None)
    client_id = fields.Str(load_default=None, validate=validate.Length(min=1, max=200))
    client_secret = fields.Str(load_default=None)
    expires = fields.Raw(load_default=None)

    @validates_schema
    def _one_kind(self, data: Mapping[str, Any], **_: object) -> None:
        given = {name for name in ("token", "client_id", "client_secret") if data.get(name) is not None}
        if given not in ({"token"}, {"client_id", "client_secret"}):
            raise ValidationError("wants either token, or client_id and client_secret", "token")


class _Previous(_Secret):
    scopes = fields.List(fields.Str(), load_default=None)


class _Credential(_Secret):
    scopes = fields.List(fields.Str(), required=True)
    previous = fields.Nested(_Previous, load_default=None)


class _Account(_Strict):
    site = fields.Str(required=True)
    email = fields.Str(required=True, validate=validate.Regexp(r"^[^@\s]+@[^@\s]+$", error="is not an e-mail address"))
    jira = fields.Nested(_Credential, load_default=None)
    confluence = fields.Nested(_Credential, load_default=None)
    ceiling = fields.Dict(
        keys=fields.Str(validate=validate.OneOf(PRODUCTS)),
        values=fields.Dict(keys=fields.Str(), values=fields.List(fields.Str())),
        load_default=None,
    )


class _Web(_Strict):
    listen = fields.Str(validate=validate.Regexp(r"^(unix:/.+|.+:\d+)$", error="wants host:port or unix:/path"))
    public_url = fields.Url(schemes={"https", "http"}, require_tld=False)
    max_body = fields.Int(strict=True, validate=validate.Range(min=1024, max=64 * 1024 * 1024))
    disk_reserve = fields.Int(strict=True, validate=validate.Range(min=0))
    waiters = fields.Int(strict=True, validate=validate.Range(min=0, max=64))
    processes = fields.Int(strict=True, validate=validate.Range(min=1, max=64))
    threads = fields.Int(strict=True, validate=validate.Range(min=1, max=256))


class _Worker(_Strict):
    processes = fields.Int(strict=True, validate=validate.Range(min=1, max=64))
    threads = fields.Int(strict=True, validate=validate.Range(min=1, max=256))


class _Egress(_Strict):
    settle_factor = fields.Float(validate=validate.Range(min=0.001, max=100))
    request_timeout = fields.Float(validate=validate.Range(min=0.1, max=300))
    largest_file = fields.Int(strict=True, validate=validate.Range(min=1024, max=1024**3))
    largest_spool = fields.Int(strict=True, validate=validate.Range(min=1024))
    spool_days = fields.Int(strict=True, validate=validate.Range(min=1, max=365))


class _Config(_Strict):
    site = fields.Dict(keys=fields.Str(), values=fields.Nested(_Site), load_default=dict)
    account = fields.Dict(keys=fields.Str(), values=fields.Nested(_Account), load_default=dict)
    web = fields.Nested(_Web, load_default=dict)
    worker = fields.Nested(_Worker, load_default=dict)
    egress = fields.Nested(_Egress, load_default=dict)
    audit = fields.Nested(AuditTable, load_default=dict)
    retention = fields.Nested(RetentionTable, load_default=dict)


_SCHEMAS = (_Config, _Site, _Account, _Credential, _Web, _Worker, _Egress, AuditTable, RetentionTable)


def read(path: Path, *, required: bool, mistakes: list[Mistake]) -> Config:
    """Read the file and add every mistake in it to ``mistakes``; a missing one means no site and no account."""
    loaded = _load(path, required=required, mistakes=mistakes)
    sites = {name: _site(name, entry, path.name, mistakes) for name, entry in loaded.get("site", {}).items()}
    accounts = {
        name: _account(name, entry, sites, path.name, mistakes) for name, entry in loaded.get("account", {}).items()
    }
    web, worker = loaded.get("web", {}), loaded.get("worker", {})
    chosen: dict[str, Any] = {
        key: web[key] for key in ("listen", "public_url", "max_body", "disk_reserve", "waiters") if key in web
    }
    chosen |= {f"web_{key}": web[key] for key in ("processes", "threads") if key in web}
    chosen |= {f"worker_{key}": value for key, value in worker.items()}
    chosen["audit"] = audit_settings.chosen(loaded.get("audit", {}), loaded.get("retention", {}))
    return Config(sites, accounts, chosen | loaded.get("egress", {}))


def url_problem(value: str) -> str | None:
    """Return what is wrong with an address that credentials go to: https, or http on loopback."""
    try:
        parts = urlsplit(value)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return f"{value!r} is not a URL"
    if not host or parts.query or parts.fragment or parts.username:
        return "wants https://host without user, query or fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK):
        return None
    return "wants https, or http on 127.0.0.1: a token must not cross a network in clear text"


def _load(path: Path, *, required: bool, mistakes: list[Mistake]) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            mistakes.append(Mistake(str(path), "BRIDGE_CONFIG names this file, but it does not exist"))
        return {}
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(str(path), f"cannot be read: {error}"))
        return {}
    except tomllib.TOMLDecodeError as error:
        mistakes.append(Mistake(path.name, f"is not TOML: {error}"))
        return {}
    # What is said further on rests on a whole file, but a secret in clear text must be told in any case.
    mistakes.extend(_literal_secrets(path.name, data))
    try:
        loaded: dict[str, Any] = _Config().load(data)
    except ValidationError as error:
        mistakes.extend(_config_mistakes(path.name, error.messages_dict))
        return {}
    return loaded


def _literal_secrets(file: str, data: Mapping[str, Any]) -> list[Mistake]:
    found: list[Mistake] = []
    for key, table in _secret_tables(data):
        for name in _SECRETS:
            if table.get(name) is not None and not str(table[name]).startswith(REFERENCES):
                # Never echo it: it may be the secret itself.
                text = "a secret must not stand in this file; write env:NAME or file:/path"
                found.append(Mistake(file, text, f"{key}.{name}"))
    return found


def _secret_tables(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give every table that should refer to secrets, with its key, in a file that may have any shape."""
    accounts = data.get("account")
    for account, entry in accounts.items() if isinstance(accounts, dict) else ():
        for product in PRODUCTS:
            key, table = f"account.{account}.{product}", entry.get(product) if isinstance(entry, dict) else None
            if isinstance(table, dict):
                yield key, table
                if isinstance(table.get("previous"), dict):
                    yield f"{key}.previous", table["previous"]


def _config_mistakes(file: str, messages: Mapping[str, Any], key: str = "") -> list[Mistake]:
    found: list[Mistake] = []
    for name, inner in messages.items():
        here = f"{key}.{name}" if key else str(name)
        if name == "_schema":
            found.append(Mistake(file, "wants a table in braces, or under a heading of its own", key))
            continue
        if name in {"key", "value"} and isinstance(inner, Mapping | list) and key.count("."):
            here = key  # marshmallow files a Dict's findings under key and value; people see neither in their file.
        if isinstance(inner, Mapping):
            found.extend(_config_mistakes(file, inner, here))
            continue
        for text in inner:
            said = str(text).removesuffix(".")
            if said == "Unknown field":
                known = [name for part in _SCHEMAS for name in part().fields]
                near = get_close_matches(str(name), known, 1)
                said = "is not a setting" + (f"; did you mean {near[0]}?" if near else "")
            found.append(Mistake(file, said, here.replace(".value.", ".").removesuffix(".value")))
    return found


def _site(name: str, entry: Mapping[str, Any], file: str, mistakes: list[Mistake]) -> Site:
    url = str(entry["url"]).rstrip("/")
    problem = url_problem(url)
    if problem:
        mistakes.append(Mistake(file, problem, f"site.{name}.url"))
    return Site(name, url, entry["cloud_id"])


def _account(
    name: str, entry: Mapping[str, Any], sites: Mapping[str, Site], file: str, mistakes: list[Mistake]
) -> Account:
    key = f"account.{name}"
    if entry["site"] not in sites:
        known = ", ".join(sites) or "none"
        mistakes.append(Mistake(file, f"no [site.{entry['site']}] is defined; defined: {known}", f"{key}.site"))
    credentials = {
        product: _credential(entry[product], file, f"{key}.{product}", mistakes)
        for product in PRODUCTS
        if entry[product] is not None
    }
    if not credentials:
        mistakes.append(Mistake(file, f"has no credential; add [{key}.jira] or [{key}.confluence]", key))
    return Account(name, str(entry["site"]), str(entry["email"]), credentials, entry["ceiling"])


def _credential(
    given: Mapping[str, Any], file: str, key: str, mistakes: list[Mistake], scopes: Sequence[str] = ()
) -> Credential:
    """Build a credential; ``scopes`` are those of the one that it precedes."""
    expires = given["expires"]
    if expires is not None and (not isinstance(expires, date) or isinstance(expires, datetime)):
        mistakes.append(Mistake(file, "wants a date without quotes: 2027-06-30", f"{key}.expires"))
        expires = None
    own = scopes if given["scopes"] is None else given["scopes"]
    before = given.get("previous")
    return Credential(
        Reference(str(given["token"] or given["client_secret"])),
        frozenset(own),
        expires,
        given["client_id"],
        None if before is None else _credential(before, file, f"{key}.previous", mistakes, own),
    )
