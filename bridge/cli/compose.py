"""Rooms put together from settings, for the commands."""

import functools
import getpass
import logging
import os
import sys

import httpx

from bridge import settings as settings_room
from bridge.egress.app import Egress
from bridge.egress.upstream import Upstream
from bridge.errors import QueueUnavailable
from bridge.rule.registry import Registry, facts
from bridge.settings import Settings
from bridge.store import Store, schema
from bridge.work import scripts

log = logging.getLogger(__name__)


@functools.cache
def settings() -> Settings:
    """Read the settings once. Raises ``SettingsInvalid``."""
    return settings_room.read()


def registry(known: Settings) -> Registry:
    """Return the rules, read when first asked for."""
    return Registry(known.rules, facts(known.accounts)).primed()


def readable(known: Settings) -> Registry:
    """Return the rules for a command that only reads them: before there is a bridge.toml, accounts are not checked."""
    return registry(known) if known.accounts or known.config.exists() else Registry(known.rules, None)


def store(known: Settings, *, ready: bool = True) -> Store:
    """Open the database; made if it is empty. Raises ``StoreUnavailable``."""
    known.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = Store(known.database_url)
    if ready:
        schema.ready(opened)
    return opened


def egress(known: Settings, opened: Store) -> httpx.Client:
    """Return the way to egress in this process."""
    application = Egress(known, opened, registry(known), Upstream(known.request_timeout), _scripts(known))
    return httpx.Client(transport=httpx.WSGITransport(app=application), base_url="http://egress")


def _scripts(known: Settings) -> scripts.Scripts | None:
    """Return the Redis that egress shares its limits by, or None where it cannot be trusted."""
    try:
        return scripts.connect(known)
    except QueueUnavailable as error:
        log.warning("egress.limits_not_shared: %s", error)
        return None


def person(given: str | None) -> str:
    """Return whose name stands in the log for what somebody does at the terminal."""
    if given:
        return given
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        return f"uid {os.getuid()}"


def log_to_stderr() -> None:
    """Write what operators read to standard error, one line each."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    for noisy in ("httpx", "httpcore", "alembic", "rq"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
