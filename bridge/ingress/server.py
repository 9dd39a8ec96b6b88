"""The web server: gunicorn with its threaded worker class, set up in code and nowhere else.

Why ``gthread``: a request spends its time waiting for the disk (one shared commit), for a slow sender or, with
``?wait=``, for a delivery to end. Threads wait for all three at once, share one leader per process for their commits
and need no patched standard library. ``sync`` would let one waiting sender hold a whole process, and ``gevent``, though
measured faster, replaces locks and sockets under SQLAlchemy's feet.
"""

import errno
import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it ships no types

from bridge.errors import Mistake, SettingsInvalid, StoreUnavailable
from bridge.ingress.app import create_app
from bridge.ingress.waiting import LONGEST
from bridge.rule.registry import AccountFacts, Registry
from bridge.settings import SOCKET_PATH_BYTES, Settings
from bridge.store import Store, schema

CONTROL = "gunicorn.ctl"
PROBE_SECONDS = 1.0
HANDOVER_SECONDS = 5.0

_log = logging.getLogger(__name__)


def serve(settings: Settings, accounts: Mapping[str, AccountFacts] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP starts new worker processes behind the same listening socket.

    ``accounts`` are those that rules are checked against, see ``Registry``. Does not return: gunicorn ends the process.
    Raises ``SettingsInvalid`` if no secret is configured or the address cannot be listened on.
    """
    settings.key()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A process that was handed its listening socket, by systemd or by the gunicorn it replaces, binds nothing.
    if not {"LISTEN_FDS", "GUNICORN_FD"} & set(os.environ):
        _require_free(settings.listen)
    _Server(settings, accounts).run()


class _Server(BaseApplication):  # type: ignore[misc]  # as above
    def __init__(self, settings: Settings, accounts: Mapping[str, AccountFacts] | None) -> None:
        self._settings = settings
        self._accounts = accounts
        super().__init__()

    def load_config(self) -> None:
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application; gunicorn calls this in each worker process, after the fork."""
        store = Store(self._settings.database_url)
        try:
            schema.ready(store)
        except StoreUnavailable as error:
            # It may come back; until then every webhook is answered 503 and /readyz says why.
            _log.error("started without a usable database: %s", error)
        return create_app(self._settings, store, Registry(self._settings.rules, self._accounts).primed())


def options(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's settings, named as in https://docs.gunicorn.org/en/stable/settings.html."""
    control = str(settings.home / CONTROL)
    return {
        "bind": settings.listen,
        "worker_class": "gthread",
        "workers": settings.web_processes,
        "threads": settings.web_threads,
        "preload_app": False,  # connections and locks must not cross a fork
        "proc_name": "bridge-web",
        # By default the control socket is one per user and would be shared by all instances of this machine.
        "control_socket": control,
        "control_socket_disable": len(os.fsencode(control)) > SOCKET_PATH_BYTES,
        "timeout": 60,
        "graceful_timeout": int(LONGEST) + 5,  # a sender that waits is answered before its worker ends
        "keepalive": 15,  # seconds; longer than most proxies pause between two webhooks
        "limit_request_line": 2048,  # bytes; our longest address has about 130
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
        # The address in the journal is the peer's. Whom to believe a forwarded one is no setting yet, so: nobody.
        "forwarded_allow_ips": "",
        "accesslog": None,  # the journal says more, and costs nothing extra
    }


def _require_free(listen: str) -> None:
    """Try the address, because gunicorn would try it five times and then leave with a bare exit code.

    Raises ``SettingsInvalid`` with what to do.
    """
    deadline = time.monotonic() + HANDOVER_SECONDS
    try:
        while True:
            try:
                _try_socket_file(listen.removeprefix("unix:")) if listen.startswith("unix:") else _try_port(listen)
            except OSError as error:
                # The workers of a server that was killed hold its address until they notice, within seconds.
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    raise
                time.sleep(PROBE_SECONDS / 4)
            else:
                return
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "another process listens there; stop it or choose another address",
            errno.EADDRNOTAVAIL: "this machine has no such address",
            errno.EACCES: "this user may not listen there; ports below 1024 need a privilege",
        }.get(error.errno or 0, str(error.strerror or error))
        raise SettingsInvalid([Mistake("bridge.toml", f"cannot listen on {listen}: {reason}", "web.listen")]) from error


def _try_port(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As gunicorn does: a port that still has connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, int(port)))


def _try_socket_file(path: str) -> None:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"the path of a socket may have at most {SOCKET_PATH_BYTES} bytes")
    if not Path(path).parent.is_dir():
        raise OSError(errno.ENOENT, f"there is no directory {Path(path).parent}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return  # nobody is there; gunicorn removes what an earlier server left behind
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
