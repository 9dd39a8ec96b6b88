"""Files on their way between handlers and sites: kept under their digest, a directory for each delivery.

``BRIDGE_HOME/spool/<delivery>/<sha256>``: a worker can name nothing but the files of the delivery that it holds, and a
file is what its name says. They are kept as long as a delivery may be taken up again, and removed by age.
"""

import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.egress.handle import DIGEST

log = logging.getLogger(__name__)

_DELIVERY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
SWEEP_SECONDS = 3600.0
DAY = 86400.0


class SpoolRefused(Exception):
    """A file is too large, or there is no room for it; the text is for people."""


class FileGone(Exception):
    """The delivery has no file of this digest, or no longer."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that lies in the spool: the SHA-256 of its bytes, in hexadecimal, and how many they are."""

    digest: str
    size: int


class Spool:
    """The files of one installation; ``largest`` and ``total`` are bytes. Safe for threads and processes."""

    def __init__(self, home: Path, *, largest: int, total: int, days: int) -> None:
        self._root = home / "spool"
        self._largest = largest
        self._total = total
        self._age = days * DAY
        self._swept = 0.0
        self._lock = threading.Lock()

    def put(self, delivery: str, chunks: Iterable[bytes]) -> Kept:
        """Keep a file for a delivery; the same one again is kept once. Raises ``SpoolRefused``."""
        self._sweep_now_and_then()
        try:
            folder = self._folder(delivery)
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            number, part = tempfile.mkstemp(prefix=".part-", dir=folder)  # made 0600, and never an existing file
            try:
                with os.fdopen(number, "wb") as file:
                    kept = self._write(file, chunks)
                Path(part).replace(folder / kept.digest)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("egress.spool_unfit why=%s", error.strerror)
            raise SpoolRefused(f"the file cannot be kept ({error.strerror})") from error
        return kept

    def _write(self, file: BinaryIO, chunks: Iterable[bytes]) -> Kept:
        digest, size = hashlib.sha256(), 0
        room = self._total - self.used()
        for chunk in chunks:
            size += len(chunk)
            if size > self._largest:
                raise SpoolRefused(f"the file has more than {self._largest} bytes (egress.largest_file in bridge.toml)")
            if size > room:
                raise SpoolRefused(f"the spool is full ({self._total} bytes, egress.largest_spool in bridge.toml)")
            digest.update(chunk)
            file.write(chunk)
        return Kept(digest.hexdigest(), size)

    def read(self, delivery: str, digest: str) -> bytes:
        """Return a file of a delivery. Raises ``FileGone``, also if what lies there is not what its name says."""
        if not DIGEST.fullmatch(digest):
            raise FileGone(digest[:64])
        try:
            number = os.open(self._folder(delivery) / digest, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise FileGone(digest) from error
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise FileGone(digest)
            content = file.read(self._largest + 1)
        if hashlib.sha256(content).hexdigest() != digest:
            raise FileGone(digest)
        return content

    def used(self) -> int:
        """Return how many bytes lie in the spool."""
        return sum(path.lstat().st_size for path in self._root.glob("*/*") if not path.is_symlink() and path.is_file())

    def sweep(self) -> int:
        """Remove the folders whose newest file is too old, and return how many that were."""
        removed, before = 0, time.time() - self._age
        for folder in self._root.glob("*"):
            try:
                if not _DELIVERY.fullmatch(folder.name) or folder.is_symlink():
                    continue
                newest = max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
                if newest < before:
                    shutil.rmtree(folder)
                    removed += 1
            except OSError as error:
                log.warning("egress.spool_not_swept folder=%s why=%s", folder.name, error.strerror)
        return removed

    def _sweep_now_and_then(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._swept and now - self._swept < SWEEP_SECONDS:
                return
            self._swept = now
        self.sweep()

    def _folder(self, delivery: str) -> Path:
        if not _DELIVERY.fullmatch(delivery):
            raise FileGone("no delivery")
        return self._root / delivery
