"""What the processes of an installation know together: small Lua scripts, run by the Redis that carries the queue.

Egress keeps its limits and circuits there. It is handed ``Scripts`` by the command line and never learns what a Redis
is; when there is none it goes on without, and is told so by ``QueueUnavailable``.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from bridge.errors import QueueUnavailable
from bridge.settings import Settings
from bridge.work.outage import Outage
from bridge.work.queue import reached
from bridge.work.valkey import private_directory

log = logging.getLogger(__name__)

# A request of a handler waits for this, so a Redis that is slow counts as away sooner than it does for the queue.
ANSWER_SECONDS = 0.5


def connect(settings: Settings) -> "Scripts":
    """Return the scripts' way to ``redis_url`` or to the embedded Valkey's socket; nothing is sent yet.

    Raises ``QueueUnavailable`` if the socket's directory is not ours alone.
    """
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.redis_url is not None:
        return Scripts(Redis.from_url(settings.redis_url, **options))
    private_directory(settings.redis_socket.parent)
    return Scripts(Redis(unix_socket_path=str(settings.redis_socket), **options))


class Scripts:
    """Runs scripts; while Redis is away it is asked only now and then, and the log says so once."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._known: dict[str, Script] = {}
        self._outage = Outage(log, "shared")
        self._again = 0.0
        self._lock = threading.Lock()

    def run(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> list[int | str]:
        """Run a script, all or nothing, and return the list that it gives. Raises ``QueueUnavailable``."""
        if time.monotonic() < self._again:
            raise QueueUnavailable("Redis did not answer a moment ago")
        try:
            with reached():
                said = self._script(script)(keys=list(keys), args=list(values))
        except QueueUnavailable as error:
            self._again = time.monotonic() + self._outage.went(error)
            raise
        self._outage.over()
        return [each.decode() if isinstance(each, bytes) else int(each) for each in said or ()]

    def _script(self, text: str) -> Script:
        name = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            if name not in self._known:
                self._known[name] = self._connection.register_script(text)
            return self._known[name]
