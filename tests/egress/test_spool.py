"""The spool: files under their digest, for one delivery each, never more than was said, and gone by their age."""

import hashlib
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bridge.egress.spool import DAY, FileGone, Kept, Spool, SpoolRefused

ONE, OTHER = "01a2023c-1789-7b21-b85b-ff4be793ab86", "01a2023c-1789-7b21-b85b-ff4be793ab87"
TEXT = b"the log\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool for small files."""
    return Spool(tmp_path, largest=100, total=250, days=30)


def lying_there(home: Path) -> set[str]:
    """Return the names of all files below the spool's directory."""
    return {path.name for path in (home / "spool").glob("*/*")}


def test_a_file_is_kept_under_its_digest_where_only_we_can_read_it(spool: Spool, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert spool.put(ONE, [TEXT[:3], TEXT[3:]]) == Kept(DIGEST, len(TEXT))
    finally:
        os.umask(before)
    place = tmp_path / "spool" / ONE / DIGEST
    assert place.read_bytes() == TEXT
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert spool.read(ONE, DIGEST) == TEXT


def test_the_same_file_again_is_kept_once_and_another_delivery_has_its_own(spool: Spool, tmp_path: Path) -> None:
    for _ in range(3):
        spool.put(ONE, [TEXT])
    assert lying_there(tmp_path) == {DIGEST}
    with pytest.raises(FileGone):
        spool.read(OTHER, DIGEST)


@pytest.mark.parametrize("size", [100, 101])
def test_a_file_that_is_too_large_leaves_nothing_behind(spool: Spool, tmp_path: Path, size: int) -> None:
    if size == 100:
        assert spool.put(ONE, [b"x" * 60, b"x" * 40]).size == 100
        return
    with pytest.raises(SpoolRefused, match=r"more than 100 bytes \(egress.largest_file"):
        spool.put(ONE, [b"x" * 60, b"x" * 41])
    assert lying_there(tmp_path) == set()


def test_an_endless_file_is_not_read_to_its_end(spool: Spool) -> None:
    def endless() -> Any:
        while True:
            yield b"x" * 50

    with pytest.raises(SpoolRefused):
        spool.put(ONE, endless())


def test_a_full_spool_takes_no_more(spool: Spool) -> None:
    for letter in b"ab":
        spool.put(ONE, [bytes([letter]) * 100])
    with pytest.raises(SpoolRefused, match="the spool is full"):
        spool.put(OTHER, [b"c" * 100])
    spool.put(OTHER, [b"c" * 50])


def test_a_file_that_breaks_off_leaves_nothing_behind(spool: Spool, tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"x"
        raise OSError("the network went away")

    with pytest.raises(SpoolRefused, match="cannot be kept"):
        spool.put(ONE, broken())
    assert lying_there(tmp_path) == set()


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, f"{DIGEST}\n", f"./{DIGEST}"])
def test_nothing_but_a_digest_names_a_file(spool: Spool, digest: str) -> None:
    spool.put(ONE, [TEXT])
    with pytest.raises(FileGone):
        spool.read(ONE, digest)


@pytest.mark.parametrize("delivery", ["", "..", "../..", f"{ONE}/..", f"{ONE}\n", ONE.upper()])
def test_nothing_but_a_deliverys_id_names_a_folder(spool: Spool, delivery: str) -> None:
    with pytest.raises(FileGone):
        spool.put(delivery, [TEXT])
    with pytest.raises(FileGone):
        spool.read(delivery, DIGEST)


@given(some.text(max_size=80))
def test_no_text_reads_what_was_not_put_there(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    home = tmp_path_factory.getbasetemp() / "never"
    with pytest.raises(FileGone):
        Spool(home, largest=100, total=250, days=30).read(ONE, text)


def test_what_is_not_what_its_name_says_is_not_given_out(spool: Spool, tmp_path: Path) -> None:
    spool.put(ONE, [TEXT])
    place = tmp_path / "spool" / ONE / DIGEST
    place.write_bytes(b"something else")
    with pytest.raises(FileGone):
        spool.read(ONE, DIGEST)


def test_a_link_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(TEXT)
    spool.put(ONE, [b"x"])
    (tmp_path / "spool" / ONE / DIGEST).symlink_to(tmp_path / "secret")
    with pytest.raises(FileGone):
        spool.read(ONE, DIGEST)


def test_files_go_when_they_are_old_and_nothing_else_does(spool: Spool, tmp_path: Path) -> None:
    for delivery in (ONE, OTHER):
        spool.put(delivery, [TEXT])
    (tmp_path / "spool" / "a-persons-folder").mkdir()
    old = time.time() - 31 * DAY
    for path in (tmp_path / "spool" / ONE / DIGEST, tmp_path / "spool" / ONE, tmp_path / "spool" / "a-persons-folder"):
        os.utime(path, (old, old))
    assert spool.sweep() == 1
    assert {path.name for path in (tmp_path / "spool").iterdir()} == {OTHER, "a-persons-folder"}


def test_a_file_that_is_put_there_again_is_young_again(spool: Spool, tmp_path: Path) -> None:
    spool.put(ONE, [TEXT])
    old = time.time() - 31 * DAY
    for path in (tmp_path / "spool" / ONE / DIGEST, tmp_path / "spool" / ONE):
        os.utime(path, (old, old))
    spool.put(ONE, [TEXT])
    assert spool.sweep() == 0


def test_old_files_are_looked_for_whenever_one_comes(tmp_path: Path) -> None:
    Spool(tmp_path, largest=100, total=250, days=30).put(ONE, [TEXT])
    old = time.time() - 31 * DAY
    for path in (tmp_path / "spool" / ONE / DIGEST, tmp_path / "spool" / ONE):
        os.utime(path, (old, old))
    Spool(tmp_path, largest=100, total=250, days=30).put(OTHER, [TEXT])
    assert lying_there(tmp_path) == {DIGEST}
    assert not (tmp_path / "spool" / ONE).exists()
