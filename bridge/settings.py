"""What an installation is told from outside: the environment and ``bridge.toml``, every mistake named at once.

The environment says where things are (section "Settings" of the README); ``bridge.toml`` names the sites and the
service accounts. A secret never stands in ``bridge.toml``: it is referred to as ``env:NAME`` or ``file:/path`` and
opened only by who needs it, so that a printed ``Settings`` shows no secret.
"""

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from bridge.errors import Mistake, SettingsInvalid

CLOUD_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)  # it becomes part of every path
REFERENCES = ("env:", "file:/")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
SECRET_BYTES = 32  # RFC 2104 section 3: a key shorter than the hash's output weakens HMAC.
# sun_path holds 104 bytes on macOS and 108 on Linux (unix(4), unix(7)); the smaller one counts everywhere.
SOCKET_PATH_BYTES = 100


@dataclass(frozen=True, slots=True)
class Secret:
    """One key of ``BRIDGE_SECRETS``; its bytes never appear in a ``repr``."""

    id: str
    key: bytes = field(repr=False)


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
    """How an account signs in to one product: an API token, the OAuth scopes it was made with and the day it ends."""

    token: Reference
    scopes: frozenset[str]
    expires: date | None


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
class Settings:
    """Everything an installation is told; times in seconds, sizes in bytes."""

    home: Path
    rules: Path
    config: Path
    database_url: str
    redis_url: str | None
    secrets: tuple[Secret, ...]
    atlassian_url: str
    auth_url: str
    egress: str | None
    sites: Mapping[str, Site] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    listen: str = "127.0.0.1:8080"
    public_url: str | None = None
    max_body: int = 1024 * 1024
    disk_reserve: int = 64 * 1024 * 1024
    waiters: int = 8
    web_processes: int = 2
    web_threads: int = 8
    worker_processes: int = 2
    worker_threads: int = 16
    settle_factor: float = 1.0
    request_timeout: float = 30.0

    @property
    def redis_socket(self) -> Path:
        """The embedded Valkey's socket, used while ``redis_url`` is None."""
        wanted = self.home / "valkey" / "valkey.sock"
        if len(os.fsencode(wanted)) <= SOCKET_PATH_BYTES:
            return wanted
        # The name is derived from the home, so that every process of this home finds the same short path.
        digest = base64.b32encode(str(self.home).encode())[-16:].decode().strip("=").lower()
        return Path("/tmp") / f"bridge-{os.getuid()}-{digest}" / "valkey.sock"  # noqa: S108 - made 0700, owner checked

    def key(self) -> bytes:
        """Return the newest secret.

        Raises ``SettingsInvalid`` when none is configured: nothing is accepted and nothing is run without one.
        """
        if not self.secrets:
            raise SettingsInvalid([_no_secret()])
        return self.secrets[0].key


def _no_secret() -> Mistake:
    return Mistake(
        "BRIDGE_SECRETS",
        "no secret is configured, so no signature can be checked; set it to k1:<32 or more random bytes in base64>, "
        'made once and kept, for example with: echo "export BRIDGE_SECRETS=k1:$(head -c 32 /dev/urandom | base64)" >> '
        "bridge.env",
    )


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Site(_Strict):
    url = fields.Str(required=True)
    cloud_id = fields.Str(load_default=None, validate=validate.Regexp(CLOUD_ID.pattern + r"\Z", error="is no cloudId"))


class _Credential(_Strict):
    token = fields.Str(required=True)
    scopes = fields.List(fields.Str(), required=True)
    expires = fields.Raw(load_default=None)


class _Account(_Strict):
    site = fields.Str(required=True)
    email = fields.Str(required=True, validate=validate.Regexp(r"^[^@\s]+@[^@\s]+$", error="is not an e-mail address"))
    jira = fields.Nested(_Credential, load_default=None)
    confluence = fields.Nested(_Credential, load_default=None)
    ceiling = fields.Dict(
        keys=fields.Str(validate=validate.OneOf(["jira", "confluence"])),
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


class _Config(_Strict):
    site = fields.Dict(keys=fields.Str(), values=fields.Nested(_Site), load_default=dict)
    account = fields.Dict(keys=fields.Str(), values=fields.Nested(_Account), load_default=dict)
    web = fields.Nested(_Web, load_default=dict)
    worker = fields.Nested(_Worker, load_default=dict)
    egress = fields.Nested(_Egress, load_default=dict)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment and ``bridge.toml``.

    Raises ``SettingsInvalid`` with every mistake of both. A missing ``bridge.toml`` means: no site, no account.
    """
    environ = os.environ if environ is None else environ
    mistakes: list[Mistake] = []
    home = Path(environ.get("BRIDGE_HOME") or ".bridge").absolute()
    config = Path(environ.get("BRIDGE_CONFIG") or "bridge.toml").absolute()
    atlassian = _outside_url("BRIDGE_ATLASSIAN_URL", environ, "https://api.atlassian.com", mistakes)
    auth = _outside_url("BRIDGE_AUTH_URL", environ, "https://auth.atlassian.com", mistakes)
    database = environ.get("BRIDGE_DATABASE_URL") or f"sqlite:///{home / 'bridge.db'}"
    if not database.startswith(("sqlite:///", "postgresql+psycopg://", "postgresql://")):
        mistakes.append(
            Mistake("BRIDGE_DATABASE_URL", "wants sqlite:///path or postgresql+psycopg://user@host/name"),
        )
    redis_url = environ.get("BRIDGE_REDIS_URL") or None
    for name, url in (("BRIDGE_DATABASE_URL", database), ("BRIDGE_REDIS_URL", redis_url)):
        if url and not url.startswith(("sqlite:", "unix:")) and not _has_port(url):
            mistakes.append(Mistake(name, "the port is no number"))
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        mistakes.append(Mistake("BRIDGE_REDIS_URL", "wants redis://host:port/0, rediss://… or unix:///path"))
    egress = environ.get("BRIDGE_EGRESS") or None
    if egress:
        # Whoever sets it relies on a wall; running on without one, silently, would be the worst answer.
        mistakes.append(Mistake("BRIDGE_EGRESS", "egress as a process of its own is not there yet: unset it"))
    secrets = _secrets(environ.get("BRIDGE_SECRETS") or "", mistakes)
    loaded = _load_config(config, required="BRIDGE_CONFIG" in environ, mistakes=mistakes)
    sites = {name: _site(name, entry, config.name, mistakes) for name, entry in loaded.get("site", {}).items()}
    accounts = {
        name: _account(name, entry, sites, config.name, mistakes) for name, entry in loaded.get("account", {}).items()
    }
    if mistakes:
        raise SettingsInvalid(mistakes)
    web, worker, out = loaded.get("web", {}), loaded.get("worker", {}), loaded.get("egress", {})
    chosen: dict[str, Any] = {
        key: web[key] for key in ("listen", "public_url", "max_body", "disk_reserve", "waiters") if key in web
    }
    chosen |= {f"web_{key}": web[key] for key in ("processes", "threads") if key in web}
    chosen |= {f"worker_{key}": value for key, value in worker.items()}
    return Settings(
        home=home,
        rules=Path(environ.get("BRIDGE_RULES") or "rules").absolute(),
        config=config,
        database_url=database.replace("postgresql://", "postgresql+psycopg://", 1),
        redis_url=redis_url,
        secrets=secrets,
        atlassian_url=atlassian,
        auth_url=auth,
        egress=egress,
        sites=sites,
        accounts=accounts,
        **chosen,
        **out,
    )


def _outside_url(name: str, environ: Mapping[str, str], default: str, mistakes: list[Mistake]) -> str:
    value = (environ.get(name) or default).rstrip("/")
    problem = _url_problem(value)
    if problem:
        mistakes.append(Mistake(name, problem))
    return value


def _url_problem(value: str) -> str | None:
    """Https, or http on loopback: a token must not cross a network in clear text."""
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


def _has_port(url: str) -> bool:
    """Tell whether the port of a URL, if it has one, is a number; the URL itself may hold a password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _secrets(text: str, mistakes: list[Mistake]) -> tuple[Secret, ...]:
    found: list[Secret] = []
    for number, part in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
        name, colon, encoded = part.partition(":")
        # The text itself is secret, so a mistake names only its position.
        where = f"entry {number}"
        if not colon or not name.isalnum():
            mistakes.append(Mistake("BRIDGE_SECRETS", f"{where}: wants <key id>:<base64>, the id letters or digits"))
            continue
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            mistakes.append(Mistake("BRIDGE_SECRETS", f"{where} ({name}): is not base64"))
            continue
        if len(key) < SECRET_BYTES:
            mistakes.append(Mistake("BRIDGE_SECRETS", f"{where} ({name}): has {len(key)} bytes, wants {SECRET_BYTES}"))
        elif name in {secret.id for secret in found}:
            mistakes.append(Mistake("BRIDGE_SECRETS", f"{where}: the key id {name} stands there twice"))
        else:
            found.append(Secret(name, key))
    return tuple(found)


def _load_config(path: Path, *, required: bool, mistakes: list[Mistake]) -> dict[str, Any]:
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
    try:
        loaded: dict[str, Any] = _Config().load(data)
    except ValidationError as error:
        mistakes.extend(_config_mistakes(path.name, error.messages_dict))
        # What is said further on rests on a whole file, but a secret in clear text must be told in any case.
        mistakes.extend(_literal_secrets(path.name, data))
        return {}
    return loaded


def _literal_secrets(file: str, data: Mapping[str, Any]) -> list[Mistake]:
    accounts = data.get("account")
    found: list[Mistake] = []
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        for product in ("jira", "confluence"):
            given = account.get(product) if isinstance(account, dict) else None
            token = given.get("token") if isinstance(given, dict) else None
            if token is not None and not str(token).startswith(REFERENCES):
                # Never echo it: it may be the token itself.
                text = "a secret must not stand in this file; write env:NAME or file:/path"
                found.append(Mistake(file, text, f"account.{name}.{product}.token"))
    return found


def _config_mistakes(file: str, messages: Mapping[str, Any], key: str = "") -> list[Mistake]:
    found: list[Mistake] = []
    for name, inner in messages.items():
        here = f"{key}.{name}" if key else str(name)
        if name in {"key", "value"} and isinstance(inner, Mapping | list) and key.count("."):
            here = key  # marshmallow files a Dict's findings under key and value; people see neither in their file.
        if isinstance(inner, Mapping):
            found.extend(_config_mistakes(file, inner, here))
            continue
        for text in inner:
            said = str(text).removesuffix(".")
            if said == "Unknown field":
                known = [field for part in (_Config, _Site, _Account, _Credential, _Web, _Worker, _Egress)
                         for field in part().fields]  # fmt: skip
                near = get_close_matches(str(name), known, 1)
                said = "is not a setting" + (f"; did you mean {near[0]}?" if near else "")
            found.append(Mistake(file, said, here.replace(".value.", ".").removesuffix(".value")))
    return found


def _site(name: str, entry: Mapping[str, Any], file: str, mistakes: list[Mistake]) -> Site:
    url = str(entry["url"]).rstrip("/")
    problem = _url_problem(url)
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
    mistakes.extend(_literal_secrets(file, {"account": {name: entry}}))
    credentials: dict[str, Credential] = {}
    for product in ("jira", "confluence"):
        given = entry[product]
        if given is None:
            continue
        expires = given["expires"]
        if expires is not None and (not isinstance(expires, date) or hasattr(expires, "hour")):
            mistakes.append(Mistake(file, "wants a date without quotes: 2027-06-30", f"{key}.{product}.expires"))
        credentials[product] = Credential(Reference(str(given["token"])), frozenset(given["scopes"]), expires)
    if not credentials:
        mistakes.append(Mistake(file, f"has no credential; add [{key}.jira] or [{key}.confluence]", key))
    return Account(name, str(entry["site"]), str(entry["email"]), credentials, entry["ceiling"])
