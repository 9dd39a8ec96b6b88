"""Files that go with a step: which operations carry them, and how they get to a site and from it.

A step carries a handle, never the bytes: the digest under which the file lies in the spool, its name and its type.
"""

from collections.abc import Mapping
from dataclasses import replace
from email.message import Message
from typing import Any

from bridge.catalogue import Operation
from bridge.egress.answered import SiteAnswer
from bridge.egress.handle import LONGEST_NAME, MEDIA_TYPE, Handle, is_name
from bridge.egress.policy import Ruling
from bridge.egress.spool import Spool, SpoolRefused
from bridge.egress.targets import Asked
from bridge.egress.upstream import Arrived, Attached, Keep

UPLOADS = frozenset({"addAttachment", "createAttachment", "createOrUpdateAttachments"})
DOWNLOADS = frozenset({"getAttachmentContent", "downloadAttatchment"})  # the second as Atlassian spells it
BINARY = "application/octet-stream"
TOO_LARGE = 413


def judged(ruling: Ruling, asked: Asked) -> Ruling:
    """Refuse a file where the operation takes none, and an upload without one."""
    if ruling.refusal is not None or ruling.operation is None:
        return ruling
    name = ruling.operation.operation_id
    if name not in UPLOADS:
        return ruling if asked.file is None else replace(ruling, refusal=f"{name} takes no file")
    if asked.file is None:
        return replace(ruling, refusal=f"{name} wants a file")
    fields = {} if asked.body is None else asked.body
    if isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values()):
        return ruling
    return replace(ruling, refusal=f"beside its file {name} takes texts only")


def attached(spool: Spool, delivery: str, file: Handle) -> Attached:
    """Return the file as it is sent. Raises ``FileGone``."""
    return Attached(file.name, file.type, spool.read(delivery, file.digest))


def keeping(spool: Spool, delivery: str) -> Keep:
    """Return what puts a file that arrives into the spool: its answer is the file's handle and size."""

    def keep(arrived: Arrived) -> SiteAnswer:
        try:
            kept = spool.put(delivery, arrived.chunks)
        except SpoolRefused as error:
            return SiteAnswer(TOO_LARGE, {"errorMessages": [str(error)]}, arrived.trace)
        kind = arrived.headers.get("content-type", "")
        body = {
            "digest": kept.digest,
            "size": kept.size,
            "name": _name(arrived.headers.get("content-disposition", "")),
            "type": kind if MEDIA_TYPE.fullmatch(kind) else BINARY,
        }
        return SiteAnswer(200, body, arrived.trace)

    return keep


def is_download(operation: Operation) -> bool:
    """Tell whether the answer to an operation is a file."""
    return operation.operation_id in DOWNLOADS


def in_entry(asked: Asked) -> Mapping[str, Any] | None:
    """Return what the journal says of a step's file."""
    return None if asked.file is None else {"name": asked.file.name, "digest": f"sha256:{asked.file.digest}"}


def _name(disposition: str) -> str:
    """Read a file's name as servers write it (RFC 6266); it may be hostile, so only its last part counts."""
    message = Message()
    message["Content-Disposition"] = disposition
    found = (message.get_filename() or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in found if letter.isprintable())[:LONGEST_NAME].strip()
    return name if is_name(name) else "file"
