"""``bridge audit init``, ``rotate``, ``restart``, ``verify`` and ``export``, and what others say of the seal."""

import contextlib
import functools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge import settings
from bridge.audit import keys
from bridge.audit.seal import Sealer
from bridge.audit.ship import note_line
from bridge.cli import audit_checkup
from bridge.store import Store, journal, schema
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint
from bridge.testing import Trial
from bridge.work.retention import Retention

CHANGE = {"change": "CHG-1", "approver": "Mia Keller", "incidents": ["OPS-1", "HR-1"], "approvedAt": "1"}


@pytest.fixture
def trial(installation: Any) -> Iterator[Trial]:
    """The installation's own database, with a delivery that commented on OPS-1 and was refused HR-1."""
    installation.home.mkdir(mode=0o700, exist_ok=True)
    with Trial(installation.rules, database_url=f"sqlite:///{installation.home / 'bridge.db'}") as made:
        made.send("change_approved", CHANGE)
        yield made


@pytest.fixture
def seal(trial: Trial) -> Callable[[], int]:
    """Seal what waits, as the clock does."""
    return lambda: Sealer(trial.store, keys.of(settings.read())).once()


@pytest.fixture
def vkey(bridge: Any, trial: Trial, seal: Callable[[], int]) -> str:
    """The public key of a log that was begun and sealed."""
    said = bridge("audit", "init", "--name", "bridge.example.com/log", "--outside", "no", "--as", "mia")
    assert said.status == 0, said.err
    assert trial
    seal()
    return str(said.out.partition("public key  ")[2].partition("\n")[0])


@pytest.fixture
def outside(trial: Trial, vkey: str, tmp_path: Path) -> str:
    """A file with the checkpoints so far, kept elsewhere."""
    assert vkey
    with trial.store.read() as connection:
        notes = connection.execute(sa.select(checkpoint.c.note)).scalars().all()
    path = tmp_path / "collector.log"
    path.write_text("".join(f"clock    {note_line(note)}\n" for note in notes), encoding="utf-8")
    return str(path)


def unguarded(store: Store, statement: str, **values: object) -> None:
    """Run a statement as an owner of the database would, who puts the guard back."""
    guard = sa.text("SELECT sql FROM sqlite_master WHERE name = 'journal_no_update'")

    def work(connection: sa.Connection) -> None:
        text = connection.execute(guard).scalar_one()
        connection.execute(sa.text("DROP TRIGGER journal_no_update"))
        connection.execute(sa.text(statement), values)
        connection.exec_driver_sql(text)

    store.commit(work)


# ---------------------------------------------------------------------------------------------------------------- init


def test_init_makes_the_key_and_prints_what_the_auditor_keeps(bridge: Any, installation: Any, vkey: str) -> None:
    assert re.fullmatch(r"bridge\.example\.com/log\+[0-9a-f]{8}\+A[\w+/]{43}", vkey)
    key = installation.home / "audit" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    said = bridge("audit", "list", "--json", "--kind", "audit:begun")
    assert json.loads(said.out)["person"] == "mia"
    assert key.read_text().strip() not in said.out
    again = bridge("audit", "init", "--outside", "no")
    assert again.status == 2
    assert "bring it back" in again.err or "is there already" in again.err


def test_the_log_is_called_by_the_bridges_address(bridge: Any, trial: Trial) -> None:
    assert trial
    assert bridge("audit", "init", "--outside", "no").lines[0] == "log         bridge.example.com/log"


def test_without_a_terminal_init_asks_for_an_answer_about_copies_outside(bridge: Any, trial: Trial) -> None:
    said = bridge("audit", "init")
    assert said.status == 2
    assert "give --outside PLACE, or --outside no" in said.err
    assert bridge("audit", "verify").status == 2
    assert trial


@pytest.mark.parametrize(
    ("place", "setting"),
    [
        ("/mnt/elsewhere/checkpoints.log", "checkpoint_file"),
        ("https://witness.example.com/bridge", "checkpoint_url"),
        ("tls://logs.example.com:6514", "syslog"),
    ],
)
def test_a_place_outside_is_written_into_bridge_toml(
    bridge: Any, trial: Trial, installation: Any, place: str, setting: str
) -> None:
    before = installation.config.read_text()
    said = bridge("audit", "init", "--outside", place)
    assert said.status == 0, said.err
    assert "OK inside only" not in said.out
    assert installation.config.read_text().startswith(before)
    assert str(getattr(settings.read().audit, setting)) == place
    assert trial


@pytest.mark.parametrize("place", ["here.log", "http://witness.example.com/", "ftp://x", "tls://no-port"])
def test_a_place_that_is_none_makes_no_key(bridge: Any, trial: Trial, installation: Any, place: str) -> None:
    before = installation.config.read_text()
    assert bridge("audit", "init", "--outside", place).status == 2
    assert not (installation.home / "audit").exists()
    assert installation.config.read_text() == before
    assert trial


# -------------------------------------------------------------------------------------------------------------- verify


def test_verify_says_what_it_looked_at_and_never_more_than_is_known(bridge: Any, vkey: str, outside: str) -> None:
    inside = bridge("audit", "verify", "--key", vkey)
    assert inside.status == 0
    assert inside.lines[0].startswith("log        bridge.example.com/log, ")
    assert inside.lines[-1].startswith("OK inside only: ")
    said = bridge("audit", "verify", "--key", vkey, "--outside", outside)
    assert (said.status, said.lines[-1]) == (0, "OK")
    assert "1 of 1 stored checkpoint valid      outside: 1 found, all agree, newest " in said.lines[2]
    assert said.lines[3] == "rules      1 complete (no missing number)        in doubt 0   parked 0"
    own = bridge("audit", "verify")
    assert "the public key is this machine's own copy" in own.out


def test_what_is_newer_than_the_last_checkpoint_is_counted(
    bridge: Any, vkey: str, trial: Trial, seal: Callable[[], int]
) -> None:
    trial.send("change_approved", CHANGE | {"approvedAt": "2"})
    said = bridge("audit", "verify", "--key", vkey)
    assert re.search(r"sealed +\d+ \(\d+ newer than the last checkpoint, \d s old\)", said.out)
    assert said.status == 0
    seal()
    assert "newer than" not in bridge("audit", "verify", "--key", vkey).out


def test_verify_names_what_was_changed_and_ends_with_status_1(
    bridge: Any, vkey: str, trial: Trial, outside: str
) -> None:
    unguarded(
        trial.store,
        "UPDATE journal SET entry = replace(entry, 'OPS-1', 'OPS-2') WHERE kind = 'step:outcome' AND target = 'OPS-1'",
    )
    said = bridge("audit", "verify", "--key", vkey, "--outside", outside)
    assert said.status == 1
    failed = [line for line in said.lines if line.startswith("FAILED")]
    assert re.fullmatch(r"FAILED: leaf \d+ \(rule change_approved #\d+\): entry text edited", failed[0])
    assert len(failed) == 2, "the column that says OPS-1 still is the other"
    assert json.loads(bridge("audit", "verify", "--json", "--key", vkey).out)["verdict"] == "FAILED"


def test_a_missing_guard_is_told_by_verify_although_other_commands_refuse_to_start(
    bridge: Any, vkey: str, trial: Trial
) -> None:
    trial.store.commit(lambda connection: connection.execute(sa.text("DROP TRIGGER leaf_no_delete")))
    assert bridge("audit", "list").status == 2
    said = bridge("audit", "verify", "--key", vkey)
    assert (said.status, said.lines[-1]) == (
        1,
        "FAILED: guard leaf_no_delete is missing: anybody with the database could change the log",
    )


def test_before_init_verify_says_that_nothing_is_sealed(bridge: Any, trial: Trial) -> None:
    said = bridge("audit", "verify")
    assert said.status == 2
    assert said.lines[-1] == "NOT CHECKED: nothing is sealed: run `bridge audit init`, and let the clock run"
    assert trial


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--key", "nonsense"), "a verifier key looks like name+1a2b3c4d+AbC…"),
        (("--outside", "absent.log"), "does not exist"),
        (("absent.zip",), "does not exist"),
    ],
)
def test_bad_usage_of_verify_is_status_2(bridge: Any, vkey: str, arguments: tuple[str, ...], why: str) -> None:
    said = bridge("audit", "verify", *arguments)
    assert said.status == 2, vkey
    assert why in said.err


def test_a_database_of_another_version_cannot_be_verified(bridge: Any, trial: Trial) -> None:
    schema.downgrade(trial.store, "0001")
    said = bridge("audit", "verify")
    assert said.status == 2
    assert "bridge db upgrade" in said.err


# -------------------------------------------------------------------------------------------------- rotate and restart


def test_after_a_rotation_either_public_key_verifies_the_log(
    bridge: Any, vkey: str, outside: str, seal: Callable[[], int]
) -> None:
    said = bridge("audit", "rotate", "--reason", "every year", "--as", "mia")
    assert said.status == 0, said.err
    new = said.out.removeprefix("public key  ").strip()
    assert new != vkey
    seal()
    for key in (vkey, new):
        assert bridge("audit", "verify", "--key", key, "--outside", outside).lines[-1] == "OK"
    [entry] = [json.loads(line) for line in bridge("audit", "list", "--json", "--kind", "audit:rotated").lines]
    assert (entry["person"], entry["why"], entry["vkey"], entry["previous"]) == ("mia", "every year", new, vkey)


def test_a_log_whose_key_was_lost_goes_on_under_a_new_name(
    bridge: Any, vkey: str, installation: Any, seal: Callable[[], int]
) -> None:
    (installation.home / "audit" / "key").unlink()
    assert bridge("audit", "init", "--outside", "no").status == 2
    said = bridge("audit", "restart", "--reason", "the key was lost", "--yes")
    assert said.status == 0, said.err
    assert said.lines[0] == "log         bridge.example.com/log/2"
    seal()
    assert bridge("audit", "verify", "--key", said.lines[1].removeprefix("public key  ")).status == 0
    assert bridge("audit", "verify", "--key", vkey).status == 1


# -------------------------------------------------------------------------------------------------------------- export


def test_an_export_is_written_under_a_persons_name_and_verified_on_a_machine_without_a_bridge(
    bridge: Any, vkey: str, outside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: Callable[[], int]
) -> None:
    said = bridge("audit", "export", "--rule", "change_approved", "-o", "change.zip", "--as", "mia")
    assert said.status == 0, said.err
    assert re.match(r"change\.zip: \d+ entries, \d+ leaves", said.lines[0])
    seal()
    for name in ("BRIDGE_HOME", "BRIDGE_CONFIG", "BRIDGE_SECRETS", "BRIDGE_RULES"):
        monkeypatch.delenv(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    checked = bridge("audit", "verify", "../change.zip", "--key", vkey, "--outside", outside)
    assert (checked.status, checked.lines[-1]) == (0, "OK")
    assert any("rule change_approved: all of its" in line for line in checked.lines)
    assert not (elsewhere / ".bridge").exists()


def test_an_export_stands_in_the_log(bridge: Any, vkey: str) -> None:
    assert bridge("audit", "export", "--format", "csv", "-o", "log.csv", "--as", "jonas").status == 0
    [entry] = [json.loads(line) for line in bridge("audit", "list", "--json", "--kind", "audit:exported").lines]
    assert (entry["person"], entry["form"], "rule" in entry) == ("jonas", "csv", False)
    assert Path("log.csv").read_text(encoding="utf-8").startswith("id,seq,at,kind,"), vkey


def test_an_export_of_a_log_that_is_not_sealed_is_refused_but_lines_for_people_are_not(
    bridge: Any, trial: Trial
) -> None:
    said = bridge("audit", "export", "-o", "log.zip")
    assert said.status == 2
    assert "nothing is sealed" in said.err
    assert bridge("audit", "export", "--format", "jsonl", "-o", "log.jsonl").status == 0
    assert trial


# -------------------------------------------------------------------------------------------------------- show, follow


def test_an_entry_is_shown_with_its_place_in_the_sealed_log(bridge: Any, vkey: str, trial: Trial) -> None:
    [entry] = [json.loads(line) for line in bridge("audit", "list", "--json", "--outcome", "done").lines]
    assert re.search(
        r"^sealed +leaf \d+, #\d+ of its rule, in checkpoint \d+$",
        bridge("audit", "show", str(entry["id"])).out,
        re.MULTILINE,
    )
    trial.send("change_approved", CHANGE | {"approvedAt": "2"})
    newest = json.loads(bridge("audit", "list", "--json", "--limit", "1").out)["id"]
    assert re.search(r"^sealed +not yet$", bridge("audit", "show", str(newest)).out, re.MULTILINE), vkey


def test_a_body_that_was_removed_is_said_to_be_and_the_log_still_verifies(
    bridge: Any, vkey: str, outside: str, trial: Trial
) -> None:
    entries = [json.loads(line) for line in bridge("audit", "list", "--json").lines]
    ids = [str(each["id"]) for each in entries if {"payload", "answer", "request"} & set(each)]
    before = [bridge("audit", "show", id_).out for id_ in ids]
    assert all("removed after" not in text for text in before)
    ended = (datetime.now(UTC) - timedelta(days=31)).isoformat().replace("+00:00", "Z")
    trial.store.commit(
        lambda connection: connection.execute(sa.text("UPDATE deliveries SET finished_at = :at"), {"at": ended})
    )
    assert Retention(trial.store, 30).once() == 1
    for id_ in ids:
        assert re.search(
            r"^(payload|answer|request) +sha256:\w+  \(removed after 30 days\)$",
            bridge("audit", "show", id_).out,
            re.MULTILINE,
        )
    assert bridge("audit", "verify", "--key", vkey, "--outside", outside).lines[-1] == "OK"


@pytest.mark.processes
def test_follow_shows_entries_as_they_are_written_until_it_is_interrupted(trial: Trial) -> None:
    command = [sys.executable, "-m", "bridge", "audit", "list", "--follow", "--limit", "1", "--person", "mia"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        # Whether the first was there at the beginning or came later, it is shown once.
        for why in ("first", "second", "third"):
            trial.store.commit(functools.partial(_paused, why=why))
            assert f"({why})" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.stdout.close()
    assert process.returncode == 0


def _paused(connection: sa.Connection, why: str) -> int:
    return journal.append(connection, Kind.PAUSED, what="all", person="mia", why=why)


# -------------------------------------------------------------------------------------------------------------- doctor


def _levels(store: Store) -> list[tuple[str, str]]:
    return [(check.level, check.text) for check in audit_checkup.checks(settings.read(), store)]


def test_doctor_warns_of_a_log_without_key_and_of_one_without_copies_outside(
    bridge: Any, trial: Trial, installation: Any
) -> None:
    [(level, text)] = _levels(trial.store)
    assert level == "warn"
    assert "there is no sealing key, so the entries of the log" in text
    bridge("audit", "init", "--outside", "no")
    levels = _levels(trial.store)
    assert [level for level, _ in levels] == ["ok", "warn"]
    assert "nowhere outside" in levels[1][1]
    installation.config.write_text(installation.config.read_text() + '[audit]\ncheckpoint_file = "/mnt/x/log"\n')
    assert [level for level, _ in _levels(trial.store)] == ["ok"]


def test_doctor_fails_where_the_sealer_does_not_keep_up_or_the_key_cannot_be_used(
    vkey: str, trial: Trial, installation: Any
) -> None:
    assert vkey

    number = trial.store.commit(lambda connection: _paused(connection, "long ago"))
    unguarded(trial.store, "UPDATE journal SET at = '2026-01-01T00:00:00.000000Z' WHERE id = :id", id=number)
    level, text = _levels(trial.store)[0]
    assert level == "FAIL"
    assert text.startswith("1 entries wait to be sealed, the first for ")
    (installation.home / "audit" / "key").chmod(0o644)
    [(level, text)] = _levels(trial.store)
    assert level == "FAIL"
    assert "can be read by others" in text
