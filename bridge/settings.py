"""What an installation is told from outside: the environment and ``bridge.toml``, every mistake named at once.

The environment says where things are (section "Settings" of the README); ``bridge.toml`` names the sites and the
service accounts (``bridge.config``). A printed ``Settings`` shows no secret.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bridge import config as config_file
from bridge.audit_settings import AuditSettings
from bridge.config import CLOUD_ID, LOOPBACK, REFERENCES, Account, Credential, Reference, Site, url_problem
from bridge.errors import Mistake, SettingsInvalid

__all__ = [
    "CLOUD_ID",
    "LOOPBACK",
    "REFERENCES",
    "SOCKET_PATH_BYTES",
    "Account",
    "Credential",
    "Reference",
    "Secret",
    "Settings",
    "Site",
    "read",
]

SECRET_BYTES = 32  # RFC 2104 section 3: a key shorter than the hash's output weakens HMAC.
# sun_path holds 104 bytes on macOS and 108 on Linux (unix(4), unix(7)); the smaller one counts everywhere.
SOCKET_PATH_BYTES = 100


@dataclass(frozen=True, slots=True)
class Secret:
    """One key of ``BRIDGE_SECRETS``; its bytes never appear in a ``repr``."""

    id: str
    key: bytes = field(repr=False)


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
    largest_file: int = 20 * 1024 * 1024
    largest_spool: int = 2 * 1024**3
    spool_days: int = 30
    audit: AuditSettings = field(default_factory=AuditSettings)

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
        "no secret is configured, so no signature can be checked; `bridge init` makes one, or set it to k1:<32 or more "
        "random bytes in base64>, made once and kept in bridge.env, which every command reads",
    )


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
    said = config_file.read(config, required="BRIDGE_CONFIG" in environ, mistakes=mistakes)
    if mistakes:
        raise SettingsInvalid(mistakes)
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
        sites=said.sites,
        accounts=said.accounts,
        **said.chosen,
    )


def _outside_url(name: str, environ: Mapping[str, str], default: str, mistakes: list[Mistake]) -> str:
    value = (environ.get(name) or default).rstrip("/")
    problem = url_problem(value)
    if problem:
        mistakes.append(Mistake(name, problem))
    return value


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
