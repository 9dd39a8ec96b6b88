"""The media service: the bytes of attachments, served from another host than the gateway by addresses signed for once.

Jira and Confluence answer a download with a redirect to it. It must see no credential, so it notes what was shown to it
(``Media.shown``), for a test to find nothing there.
"""

import secrets
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

from flask import Response

BINARY = "application/octet-stream"
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a file holds, with the name and media type it was given."""

    name: str
    type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One version of a file on a Confluence page; ``id`` is that of the attachment, the same for all its versions."""

    id: str
    page: str
    number: int
    author: str
    created: datetime
    comment: str
    minor: bool
    bytes: Bytes


@dataclass(slots=True)
class Media:
    """The files of a site. ``issues`` holds bytes by attachment id, ``pages`` all versions by attachment id."""

    issues: dict[str, Bytes] = field(default_factory=dict)
    pages: dict[str, list[PageFile]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    served: int = 0
    _links: dict[str, Bytes] = field(default_factory=dict)

    def address(self, base: str, found: Bytes) -> str:
        """An address at which a file can be fetched, on another host than ``base`` where loopback has two names."""
        parts = urlsplit(base)
        other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(parts.hostname or "", parts.hostname or "")
        port = f":{parts.port}" if parts.port else ""
        token = secrets.token_urlsafe(16)
        self._links[token] = found
        return f"{parts.scheme}://{other}{port}/media/file/{token}/binary?name={quote(found.name)}"

    def serve(self, token: str, headers: Container[str]) -> Response | None:
        """The file behind an address, None if there is none; what credentials came along is noted."""
        self.shown += [name for name in _CREDENTIALS if name in headers]
        found = self._links.get(token)
        if found is None:
            return None
        self.served += 1
        answer = Response(found.content, 200, content_type=found.type)
        # RFC 6266 section 4.3
        answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
        return answer


def padding(name: str, size: int) -> Bytes:
    """What a file of the seed holds, of which only the size is known."""
    line = f"{name}\n".encode()
    return Bytes(name, "text/plain", (line * (size // len(line) + 1))[:size])
