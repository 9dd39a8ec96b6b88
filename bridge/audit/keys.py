"""The sealing key on disk: one file that only its owner reads, and the public keys beside it for everybody.

    <directory>/key         the key in force                        0600
    <directory>/key.next    its successor, while a change is under way   0600
    <directory>/vkeys       every public key this log ever had, one a line, newest last
    <directory>/last        the last checkpoint that was signed here: what a restored database is noticed by

Whoever reads ``key`` can sign false checkpoints, so neither rules nor egress are given it; the clock alone reads it.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from bridge.audit.note import NoteInvalid, Signer, Verifier
from bridge.errors import BridgeError
from bridge.settings import Settings


def of(known: Settings) -> "Keys":
    """Return where an installation keeps its sealing key."""
    return Keys(known.audit.keys or known.home / "audit")


class KeyProblem(BridgeError):
    """The sealing key is missing, unreadable, readable by others, or there already."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A directory of keys."""

    directory: Path

    @property
    def _key(self) -> Path:
        return self.directory / "key"

    @property
    def _next(self) -> Path:
        return self.directory / "key.next"

    def exist(self) -> bool:
        """Tell whether a key was made; one that we may not even look for counts as made, and cannot be read."""
        try:
            return self._key.exists()
        except PermissionError:
            return True

    def make(self, name: str) -> Signer:
        """Make the first key of a log called ``name``.

        Raises ``KeyProblem`` if there is one, ``NoteInvalid`` if nothing can be called so.
        """
        signer = Signer.new(name)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write(self._key, signer)
        self._publish(signer.verifier)
        return signer

    def read(self) -> Signer:
        """Return the key in force.

        Raises ``KeyProblem`` if there is none, it cannot be read, or others than its owner may read it.
        """
        return self._read(self._key)

    def successor(self, name: str) -> Signer:
        """Make the key that is to follow; it counts from ``succeed`` on. One left by a change that failed is dropped.

        Raises ``NoteInvalid`` if nothing can be called so.
        """
        signer = Signer.new(name)
        with contextlib.suppress(FileNotFoundError):
            self._next.unlink()
        self._write(self._next, signer)
        return signer

    def waiting(self) -> Signer | None:
        """Return the successor of a change that did not come to its end, None if there is none."""
        if not self._next.exists():
            return None
        return self._read(self._next)

    def succeed(self) -> None:
        """Put the successor in the place of the key in force, which is thereby destroyed.

        The clock may have done it already, having found the change half made.
        """
        waiting = self.waiting()
        if waiting is not None:
            self._publish(waiting.verifier)
            with contextlib.suppress(FileNotFoundError):
                self._next.replace(self._key)
            self._settle()

    def vkeys(self) -> list[str]:
        """Return every public key of this log, oldest first, as far as this directory knows."""
        try:
            return [line for line in (self.directory / "vkeys").read_text(encoding="utf-8").splitlines() if line]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProblem(f"{self.directory / 'vkeys'} cannot be read") from error

    def last(self) -> str | None:
        """Return the last note that was signed here, None if there was none yet."""
        try:
            return (self.directory / "last").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProblem(f"{self.directory / 'last'} cannot be read") from error

    def keep_last(self, note: str) -> None:
        """Remember the last note that was signed. Raises ``KeyProblem`` if it cannot be written."""
        fresh = self.directory / "last.new"
        try:
            fresh.write_text(note, encoding="utf-8")
            fresh.replace(self.directory / "last")
        except OSError as error:
            raise KeyProblem(f"{self.directory} cannot be written ({error.strerror})") from error

    def forget_last(self) -> None:
        """Forget it: a new log begins."""
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "last").unlink()

    def _publish(self, verifier: Verifier) -> None:
        if str(verifier) not in self.vkeys():
            with (self.directory / "vkeys").open("a", encoding="utf-8") as file:
                file.write(f"{verifier}\n")

    def _write(self, path: Path, signer: Signer) -> None:
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise KeyProblem(f"{path} is there already: `bridge audit rotate` replaces a key") from error
        with os.fdopen(opened, "w", encoding="ascii") as file:
            file.write(f"{signer.text()}\n")
            file.flush()
            os.fsync(file.fileno())
        self._settle()

    def _settle(self) -> None:
        """Have the directory itself on disk: a key that signed and is gone after a power loss would end the log."""
        opened = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)

    @staticmethod
    def _read(path: Path) -> Signer:
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise KeyProblem(f"{path} can be read by others: chmod 600 it, and consider it known")
                return Signer.read(file.read())
        except FileNotFoundError as error:
            raise KeyProblem(f"there is no sealing key in {path}: run `bridge audit init`") from error
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProblem(f"{path} cannot be read") from error
        except NoteInvalid as error:
            raise KeyProblem(f"{path}: {error}") from error
