"""A file of a step as requests name it: by digest, name and media type, never by a path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# RFC 9110 section 8.3.1, with a parameter.
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,80}(; ?[A-Za-z0-9=\"._-]{1,80})?", re.ASCII)
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Handle:
    """A file in the spool, as a step names it."""

    digest: str
    name: str
    type: str

    def as_data(self) -> dict[str, str]:
        """Return it as requests are kept and compared."""
        return {"digest": self.digest, "name": self.name, "type": self.type}


def handle(said: object) -> Handle:
    """Read a handle as a worker sends it. Raises ``ValueError``."""
    if not isinstance(said, Mapping) or set(said) != {"digest", "name", "type"}:
        raise ValueError("file wants digest, name and type")
    digest, name, kind = said["digest"], said["name"], said["type"]
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ValueError("file.digest wants 64 hexadecimal letters")
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(f"file.name wants a plain file name of at most {LONGEST_NAME} characters")
    if not isinstance(kind, str) or not MEDIA_TYPE.fullmatch(kind):
        raise ValueError("file.type wants a media type such as text/plain")
    return Handle(digest, name, kind)


def is_name(name: str) -> bool:
    """Tell whether a name is that of a file and nothing else: no path, nothing that cannot be printed."""
    plain = name.isprintable() and not set(name) & set("/\\") and name not in {".", ".."}
    return plain and 0 < len(name) <= LONGEST_NAME
