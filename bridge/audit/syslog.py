"""Syslog: RFC 5424 messages over a Unix socket, UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425)."""

import contextlib
import os
import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

AUDIT, INFORMATIONAL = 13, 6  # RFC 5424 section 6.2.1: facility "log audit", severity
PRIORITY = AUDIT * 8 + INFORMATIONAL


def message(name: str, text: str) -> bytes:
    """Return one message; ``name`` becomes its MSGID. The text follows as it is, in UTF-8 without a mark."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"<{PRIORITY}>1 {now} {socket.gethostname() or '-'} bridge {os.getpid()} {name} - {text}".encode()


class Line:
    """A connection to a syslog server, made when first needed and again after ``close``."""

    def __init__(self, target: str, patience: float) -> None:
        """``target`` is tls://host:port, tcp://…, udp://… or unix:/path; ``patience`` in seconds."""
        self._target = target
        self._patience = patience
        self._socket: socket.socket | None = None

    def send(self, name: str, text: str) -> None:
        """Send a message. Raises ``OSError``."""
        sent = message(name, text)
        if self._socket is None:
            self._socket = self._connect()
        if self._socket.type == socket.SOCK_DGRAM:
            self._socket.send(sent)
        else:
            # Counted, because an entry may hold line feeds in what ends it elsewhere (RFC 6587 section 3.4.1).
            self._socket.sendall(b"%d " % len(sent) + sent)

    def _connect(self) -> socket.socket:
        if self._target.startswith("unix:"):
            return self._connect_unix(self._target.removeprefix("unix:"))
        parts = urlsplit(self._target)
        host, port = str(parts.hostname), parts.port
        if parts.scheme == "udp":
            (family, kind, number, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            made = socket.socket(family, kind, number)
            made.connect(address)
            return made
        made = socket.create_connection((host, port), self._patience)
        if parts.scheme == "tls":
            return ssl.create_default_context().wrap_socket(made, server_hostname=host)
        return made

    def _connect_unix(self, path: str) -> socket.socket:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            made = socket.socket(socket.AF_UNIX, kind)
            made.settimeout(self._patience)
            try:
                made.connect(path)
            except OSError:
                made.close()
                if kind == socket.SOCK_STREAM:
                    raise
            else:
                return made
        raise OSError(path)

    def listen(self) -> None:
        """Take in what the server said: nothing but TLS's tickets, or its end. Raises ``OSError`` if it has closed.

        What it leaves unread would make the kernel throw away what is still under way to it at the end.
        """
        if self._socket is None or self._socket.type == socket.SOCK_DGRAM:
            return
        self._socket.settimeout(0)
        try:
            while self._socket.recv(4096):
                pass  # RFC 6587 and RFC 5425 have the server say nothing.
        except (BlockingIOError, ssl.SSLWantReadError):
            self._socket.settimeout(self._patience)
        else:
            raise OSError("the server has closed the connection")

    def close(self) -> None:
        """End the connection, so that what was sent still arrives."""
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap().close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
