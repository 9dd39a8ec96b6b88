"""Signed notes and checkpoints: text that names a tree, signed so that anybody can check it later.

The formats are C2SP's (https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint), so that tools other than ours
read them. Of its signature types we use one: Ed25519 (0x01). A checkpoint's text is three lines: origin, number of
leaves, root in base64. Keys have the text forms of Go's golang.org/x/mod/sumdb/note:

    vkey   <name>+<key id in hex>+<base64 of 0x01 and the public key>
    skey   PRIVATE+KEY+<name>+<key id in hex>+<base64 of 0x01 and the seed>
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridge.audit.tree import HASH_BYTES
from bridge.errors import BridgeError

ED25519 = 0x01
ID_BYTES, KEY_BYTES = 4, 32
SIGNATURES = 100  # C2SP: at least 16 must be accepted, and a limit is advised
_DASH = "\u2014 "


class NoteInvalid(BridgeError):
    """A text is no key, no note or no checkpoint, or a known key's signature does not fit it."""


@dataclass(frozen=True, slots=True)
class KeyId:
    """What a signature says of its key: the name and the first four bytes of a hash."""

    name: str
    id: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key: checks signatures."""

    key: KeyId
    public: bytes

    @classmethod
    def read(cls, vkey: str) -> "Verifier":
        """Read a vkey. Raises ``NoteInvalid``."""
        name, claimed, encoded = _parts(vkey.split("+", 2), "a verifier key looks like name+1a2b3c4d+AbC…")
        public = _key_bytes(encoded)
        found = cls(_key_id(name, public), public)
        if found.key.id.hex() != claimed:
            raise NoteInvalid(f"the verifier key of {name} is not {claimed}: it was mistyped or cut")
        return found

    def __str__(self) -> str:
        """Return the vkey."""
        return f"{self.key}+{base64.b64encode(bytes([ED25519]) + self.public).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key; its bytes never appear in a ``repr``."""

    verifier: Verifier
    seed: bytes = field(repr=False)

    @classmethod
    def new(cls, name: str) -> "Signer":
        """Make a key. Raises ``NoteInvalid`` if ``name`` cannot be a key's."""
        return cls.of(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def of(cls, name: str, seed: bytes) -> "Signer":
        """Return the key that a seed makes. Raises ``NoteInvalid`` if ``name`` cannot be a key's."""
        if not is_name(name):
            raise NoteInvalid(f"{name!r} cannot name a log: it wants letters without blanks and without +")
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return cls(Verifier(_key_id(name, public), public), seed)

    @classmethod
    def read(cls, skey: str) -> "Signer":
        """Read an skey. Raises ``NoteInvalid``, which does not show it."""
        parts = skey.strip().split("+", 4)
        if parts[:2] != ["PRIVATE", "KEY"]:
            raise NoteInvalid("the key file does not begin with PRIVATE+KEY+")
        name, claimed, encoded = _parts(parts[2:], "the key file holds no whole key")
        found = cls.of(name, _key_bytes(encoded))
        if found.key.id.hex() != claimed:
            raise NoteInvalid("the key file's key id does not fit its key: it was changed or cut")
        return found

    @property
    def key(self) -> KeyId:
        """Name and id, as signatures carry them."""
        return self.verifier.key

    def text(self) -> str:
        """Return the skey: the secret itself."""
        return f"PRIVATE+KEY+{self.key}+{base64.b64encode(bytes([ED25519]) + self.seed).decode()}"

    def sign(self, text: str) -> bytes:
        """Return the signature over ``text``."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures below it, none of them checked yet."""

    text: str
    signatures: tuple[tuple[KeyId, bytes], ...]

    @classmethod
    def read(cls, note: str) -> "Note":
        """Take a note apart. Raises ``NoteInvalid`` if it is none."""
        if any((letter < " " and letter != "\n") or "\ud800" <= letter <= "\udfff" for letter in note):
            raise NoteInvalid("a note holds no control characters")
        text, blank, below = note.rpartition("\n\n")
        lines = below.split("\n")
        if not blank or lines[-1] != "" or not 1 < len(lines) <= SIGNATURES + 1:
            raise NoteInvalid("a note is text, an empty line and lines of signatures")
        return cls(f"{text}\n", tuple(_signature(line) for line in lines[:-1]))

    def __str__(self) -> str:
        lines = (f"{_DASH}{key.name} {base64.b64encode(key.id + made).decode()}\n" for key, made in self.signatures)
        return f"{self.text}\n{''.join(lines)}"

    def signers(self, known: Mapping[KeyId, Verifier]) -> tuple[KeyId, ...]:
        """Return the known keys that signed it, in the order of their lines.

        Raises ``NoteInvalid`` if a known key's signature does not fit: such a note is to be refused whole.
        """
        found = []
        for key, made in self.signatures:
            if key in known:
                if not known[key].verifies(self.text, made):
                    raise NoteInvalid(f"the signature of {key} does not fit")
                found.append(key)
        return tuple(found)


def sign(text: str, signers: Iterable[Signer]) -> Note:
    """Sign ``text``, which ends with a line feed, with each key."""
    return Note(text, tuple((signer.key, signer.sign(text)) for signer in signers))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log stood at: its origin, the number of its leaves and the root over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def read(cls, text: str) -> "Checkpoint":
        """Read a note's text. Raises ``NoteInvalid`` if it is no checkpoint."""
        lines = text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]) or lines[-1]:  # noqa: PLR2004 - three lines and what follows the last
            raise NoteInvalid("a checkpoint has an origin, a size and a root")
        origin, size = lines[0], lines[1]
        if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")):
            raise NoteInvalid(f"{size!r} is no number of leaves")
        return cls(origin, int(size), _decoded(lines[2], HASH_BYTES))

    def text(self) -> str:
        """Return the note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def is_name(name: str) -> bool:
    """Tell whether a key may have this name."""
    return bool(name) and name.isprintable() and not any(letter.isspace() or letter == "+" for letter in name)


def known(vkeys: Iterable[str]) -> dict[KeyId, Verifier]:
    """Read vkeys. Raises ``NoteInvalid``."""
    return {verifier.key: verifier for verifier in map(Verifier.read, vkeys)}


def _signature(line: str) -> tuple[KeyId, bytes]:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank or not is_name(name):
        raise NoteInvalid("a line of a signature is a dash, a name and base64")
    decoded = _decoded(encoded)
    if len(decoded) <= ID_BYTES:
        raise NoteInvalid("a signature is longer than its key id")
    return KeyId(name, decoded[:ID_BYTES]), decoded[ID_BYTES:]


def _parts(parts: Sequence[str], problem: str) -> Sequence[str]:
    if len(parts) != 3 or not is_name(parts[0]):  # noqa: PLR2004 - name, key id and key
        raise NoteInvalid(problem)
    return parts


def _key_bytes(encoded: str) -> bytes:
    decoded = _decoded(encoded, KEY_BYTES + 1)
    if decoded[0] != ED25519:
        raise NoteInvalid(f"a key of type {decoded[0]:#04x} is not known here; Ed25519 is 0x01")
    return decoded[1:]


def _key_id(name: str, public: bytes) -> KeyId:
    return KeyId(name, hashlib.sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:ID_BYTES])


def _decoded(encoded: str, length: int | None = None) -> bytes:
    """Decode base64 in its one proper form: the same bytes must not have two spellings."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid("this is not base64") from error
    if base64.b64encode(decoded).decode() != encoded or (length is not None and len(decoded) != length):
        raise NoteInvalid("this is not base64 of the length wanted")
    return decoded
