"""``bridge audit verify EXPORT.zip``: an export checked where there is neither bridge nor network."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import error as ZlibError  # noqa: N812 - a class, named as one

from bridge.audit import leaf as leaf_room
from bridge.audit.findings import Findings, Row
from bridge.audit.leaf import LeafInvalid
from bridge.audit.note import Checkpoint, KeyId, Note, NoteInvalid, Verifier, known
from bridge.audit.rule_texts import changed
from bridge.audit.verify import Report, compare, sizes
from bridge.audit.walk import Walk
from bridge.errors import BridgeError


class ExportUnreadable(BridgeError):
    """A file is no export, or a part of it is missing: nothing can be told from it."""


def of_export(path: Path, given: Mapping[KeyId, Verifier], outside: Sequence[str] | None) -> Report:
    """Verify an export. Without a key given, those that came with it are believed, and a remark says so.

    Raises ``ExportUnreadable``.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            return _of(opened, given, outside)
    except (OSError, zipfile.BadZipFile, ZlibError, KeyError, ValueError) as error:
        raise ExportUnreadable(f"{path} is no whole export ({error})") from error


def _of(opened: zipfile.ZipFile, given: Mapping[KeyId, Verifier], outside: Sequence[str] | None) -> Report:
    manifest: dict[str, Any] = json.loads(opened.read("manifest.json"))
    believed = dict(given) or known(opened.read("vkeys.txt").decode().split())
    rule, timed = manifest.get("rule"), manifest.get("since") or manifest.get("until")
    walk = Walk(believed, sizes(outside or ()), lambda row: not timed and rule in {None, row.rule})
    with opened.open("leaves.txt") as leaves, opened.open("entries.jsonl") as entries:
        found = walk.go(_rows(_lines(leaves), _entries(_lines(entries))), _notes(opened))
    report = Report(found, compare(found, outside), has_key=bool(believed), live=False)
    if not given:
        report.remarks.append("the public key came with the export: compare it with the one that was kept elsewhere")
    report.remarks += _what(manifest, found)
    report.problems += _rules(opened, found)
    if found.entries != manifest.get("size"):
        report.problems.append(f"the export says that it has {manifest.get('size')} leaves, and has {found.entries}")
    return report


def _what(manifest: Mapping[str, Any], found: Findings) -> Iterator[str]:
    rule = manifest.get("rule")
    if manifest.get("since") or manifest.get("until"):
        span = f"from {manifest.get('since') or 'the beginning'} to {manifest.get('until') or 'the end'}"
        yield f"entries {span}: each is genuine; that none is missing can be shown only without --since and --until"
    elif rule is not None:
        yield f"rule {rule}: all of its {found.rules.get(rule, 0):,} entries are here"


def _lines(raw: Any) -> Iterator[str]:
    for line in raw:
        yield line.decode().removesuffix("\n")


def _entries(lines: Iterator[str]) -> Iterator[tuple[int, int, str]]:
    for line in lines:
        said = json.loads(line)
        head = f'{{"seq":{said["seq"]},"id":{said["id"]},"entry":'
        if not line.startswith(head):
            raise ValueError("an entry is not written as the bridge writes them")
        # The exact text is what was sealed; read and written again it might differ.
        yield said["seq"], said["id"], line[len(head) : -1]


def _rows(leaves: Iterator[str], entries: Iterator[tuple[int, int, str]]) -> Iterator[Row]:
    entry = next(entries, None)
    for seq, text in enumerate(leaves):
        try:
            said = leaf_room.read(text)
        except LeafInvalid as error:
            raise ValueError(f"line {seq + 1} of leaves.txt is no leaf") from error
        mine = None
        if entry is not None and entry[0] == said.seq:
            mine, entry = entry, next(entries, None)
        yield Row(said.seq, mine[1] if mine else said.id, said.rule, said.rule_seq, text, mine[2] if mine else None)
    if entry is not None:
        raise ValueError(f"entry {entry[1]} belongs to leaf {entry[0]}, which is not here in its order")


def _notes(opened: zipfile.ZipFile) -> Iterator[tuple[int, str]]:
    with opened.open("checkpoints.jsonl") as lines:
        for line in _lines(lines):
            note = json.loads(line)["note"]
            try:
                yield Checkpoint.read(Note.read(note).text).size, note
            except NoteInvalid as error:
                raise ValueError(f"checkpoints.jsonl: {error}") from error


def _rules(opened: zipfile.ZipFile, found: Findings) -> Iterator[str]:
    """Hold the rule texts against the digests that entries name; what came from an unknown version is passed over."""
    texts: dict[tuple[str, str], dict[str, str]] = {}
    for name in opened.namelist():
        room, _, rest = name.partition("/")
        rule, _, rest = rest.partition("/")
        digest, _, file = rest.partition("/")
        if room == "rules" and file:
            texts.setdefault((rule, digest), {})[file] = opened.read(name).decode()
    for (rule, digest), files in texts.items():
        named = f"sha256:{digest}"
        if changed(named, files, found.versions.get(named)):
            yield f"rule {rule}: the text kept as {named[:19]}… was changed"
