"""A datagram to the relay: there is something to offer, no need to wait for your next poll.

It carries nothing and may be lost: the relay polls anyway, so a nudge only saves time and never decides anything.
"""

import contextlib
import os
import socket
import weakref
from pathlib import Path

from bridge.settings import SOCKET_PATH_BYTES

NAME = "nudge.sock"  # within the home; the relay binds it


class Nudge:
    """One socket of one process, made after the fork; ``send`` costs microseconds, never waits and never fails."""

    def __init__(self, home: Path) -> None:
        path = str(home / NAME)
        # A longer path fits in no address (unix(7)); the relay of such a home is not nudged and polls.
        self._path = path if len(os.fsencode(path)) <= SOCKET_PATH_BYTES else None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        weakref.finalize(self, self._socket.close)

    def send(self) -> None:
        """Nudge the relay, whether or not it is there; a full buffer means that it is awake already."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._socket.sendto(b"\x00", self._path)
