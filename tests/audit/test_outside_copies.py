"""Checkpoints kept outside, found in whatever file they were kept in."""

import json
from pathlib import Path

import pytest

from bridge.audit import outside
from bridge.audit.note import Checkpoint, Signer, sign
from bridge.audit.outside import OutsideUnreadable
from bridge.audit.ship import note_line


def note(size: int) -> str:
    """Return a signed checkpoint."""
    return str(sign(Checkpoint("bridge.example/actions", size, bytes(32)).text(), [SIGNER]))


SIGNER = Signer.new("bridge.example/actions")
ONE, TWO = note(1), note(2)
LINE = note_line(ONE)
WRAPPINGS = {
    "the second path": LINE,
    "a process manager's prefix": f"clock    {LINE}",
    "a time and a host before it": f"2026-11-03T12:00:00Z host1 bridge[12]: {LINE}",
    "a text with a brace before it": f"{{not json {LINE}",
    "another JSON object before it": f'{{"level":"info"}} {LINE}',
    "a container's log": json.dumps({"log": f"{LINE}\n", "stream": "stdout", "time": "2026-11-03T12:00:00Z"}),
    "a collector's record": json.dumps({"_source": {"message": LINE, "host": ["a", "b"]}}),
    "the object in a record": json.dumps({"source": {"audit": {"note": ONE, "event": "audit.checkpoint"}}}),
    "the note as it was posted": ONE.removesuffix("\n"),
}


@pytest.mark.parametrize("kept", WRAPPINGS.values(), ids=WRAPPINGS.keys())
def test_a_checkpoint_is_found_in(kept: str, tmp_path: Path) -> None:
    path = tmp_path / "kept.log"
    path.write_text(f"a line of something else\n\n{kept}\nand another\n{note_line(TWO)}\n", encoding="utf-8")
    assert outside.notes([path]) == [ONE, TWO]


def test_each_is_counted_once_over_all_files(tmp_path: Path) -> None:
    paths = [tmp_path / "a.log", tmp_path / "b.log"]
    for path in paths:
        path.write_text(f"{LINE}\n{ONE}\n{ONE}{TWO}", encoding="utf-8")
    assert outside.notes(paths) == [ONE, TWO]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"event":"audit.checkpoint"}',
        '{"event":"audit.checkpoint","note":7}',
        '{"event":"audit.checkpoint","note":"no note"}',
        "audit.checkpoint {{{{{{",
        "— bridge.example/actions AAAA\n",
        json.dumps({"a": {"b": {"c": {"d": {"e": LINE}}}}}),
        "\x00\xff audit.checkpoint",
    ],
)
def test_what_is_no_checkpoint_is_passed_over(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kept.log"
    path.write_bytes(text.encode("latin-1", "replace"))
    assert outside.notes([path]) == []


def test_a_file_that_cannot_be_read_is_said_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(OutsideUnreadable, match="cannot be read"):
        outside.notes([tmp_path / "absent.log"])
