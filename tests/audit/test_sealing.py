"""The sealer: every entry once, in order, signed, whoever dies and whoever else seals; and never over a changed log."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.audit import leaf as leaf_room
from bridge.audit import seal
from bridge.audit.keys import KeyProblem, Keys
from bridge.audit.note import Checkpoint, Note, NoteInvalid, known
from bridge.audit.seal import Sealer
from bridge.audit.turn import BATCH, SealRefused
from bridge.store import Store, journal
from bridge.store.journal import Kind
from bridge.store.tables import checkpoint, leaf, unsealed
from bridge.store.tables import journal as entries


def leaves(store: Store) -> list[Any]:
    """Return every leaf in order."""
    with store.read() as connection:
        return list(connection.execute(sa.select(leaf).order_by(leaf.c.seq)))


def write(store: Store, count: int) -> None:
    """Append entries that belong to no delivery."""

    def work(connection: sa.Connection) -> None:
        for number in range(count):
            journal.append(connection, Kind.PAUSED, what="rule", rule=f"rule_{number % 3}", person="mia")

    store.commit(work)


def test_each_entry_becomes_one_leaf_with_dense_numbers_for_the_log_and_for_its_rule(log: Any) -> None:
    made = leaves(log.store)
    assert [row.seq for row in made] == list(range(49))
    assert tuple(row.entry for row in made) == log.numbers()
    for rule in ("", "escalate", "change_approved", "page_published"):
        numbers = [row.rule_seq for row in made if row.rule == rule]
        assert numbers == list(range(1, len(numbers) + 1))
    with log.store.read() as connection:
        texts = dict(connection.execute(sa.select(entries.c.id, entries.c.entry)).all())
    for row in made:
        said = leaf_room.read(row.leaf)
        assert (said.seq, said.id, said.rule, said.rule_seq) == (row.seq, row.entry, row.rule, row.rule_seq)
        assert said.entry == leaf_room.digest(texts[row.entry])


def test_each_turn_with_something_new_signs_one_checkpoint_over_all_leaves_so_far(log: Any) -> None:
    assert log.seal() == 0, "nothing is new"
    notes = log.notes()
    assert [Checkpoint.read(Note.read(note).text).size for note in notes] == [17, 33, 49]
    believed = known(log.keys.vkeys())
    for note in notes:
        assert Note.read(note).signers(believed) == tuple(believed)
        assert note.startswith("bridge.example/actions\n")


def test_without_a_key_entries_wait_and_the_log_of_the_clock_says_so_once(
    store: Store, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, 3)
    sealer = Sealer(store, keys)
    assert [sealer.once(), sealer.once()] == [0, 0]
    assert caplog.text.count("there is no sealing key, so entries wait: run `bridge audit init`") == 1
    assert seal.state(store, keys).waiting == 3
    seal.begin(store, keys, "bridge.example/log", "mia")
    assert sealer.once() == 4
    said = seal.state(store, keys)
    assert (said.has_key, said.origin, said.size, said.waiting, said.oldest) == (True, "bridge.example/log", 4, 0, None)


def test_many_entries_are_sealed_in_turns_that_let_others_write(store: Store, keys: Keys) -> None:
    write(store, 2 * BATCH + 10)
    seal.begin(store, keys, "bridge.example/log", "mia")
    assert Sealer(store, keys).once() == 2 * BATCH + 11
    with store.read() as connection:
        sizes = list(connection.execute(sa.select(checkpoint.c.size).order_by(checkpoint.c.size)).scalars())
        waiting = connection.execute(sa.select(sa.func.count()).select_from(unsealed)).scalar_one()
    assert sizes == [BATCH, 2 * BATCH, 2 * BATCH + 11]
    assert waiting == 0


def test_an_hour_of_silence_is_ended_by_a_heartbeat_so_that_longer_silence_is_an_alarm(log: Any) -> None:
    assert Sealer(log.store, log.keys, heartbeat=3600).once() == 0
    assert Sealer(log.store, log.keys, heartbeat=0).once() == 1
    last = leaves(log.store)[-1]
    with log.store.read() as connection:
        kind = connection.execute(sa.select(entries.c.kind).where(entries.c.id == last.entry)).scalar_one()
    assert kind == Kind.HEARTBEAT


def test_before_the_first_checkpoint_there_is_no_heartbeat_to_begin_a_log(store: Store, keys: Keys) -> None:
    seal.begin(store, keys, "bridge.example/log", "mia")
    sealer = Sealer(store, keys, heartbeat=1e9)
    assert sealer.once() == 1
    assert sealer.once() == 0


def test_sealers_that_work_at_once_give_every_entry_one_place(store: Store, keys: Keys) -> None:
    seal.begin(store, keys, "bridge.example/log", "mia")
    url = store.url.render_as_string(hide_password=False)
    stores = [Store(url) for _ in range(4)]
    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, store, 7) for _ in range(40)]
        sealers = [pool.submit(Sealer(each, keys).once) for _ in range(15) for each in stores]
        for written in writers:
            written.result()
        for sealed in sealers:
            sealed.result()
    Sealer(store, keys).once()
    made = leaves(store)
    assert [row.seq for row in made] == list(range(281))
    assert len({row.entry for row in made}) == 281
    for each in stores:
        each.close()


PROGRAM = """
import sys
from pathlib import Path
from bridge.audit.keys import Keys
from bridge.audit.seal import Sealer
from bridge.store import Store
sealer = Sealer(Store(sys.argv[1]), Keys(Path(sys.argv[2])))
print("ready", flush=True)
while True:
    sealer.once()
"""


@pytest.mark.processes
def test_a_sealer_that_is_killed_at_any_moment_leaves_a_log_that_goes_on(log: Any) -> None:
    url = log.store.url.render_as_string(hide_password=False)
    for turn in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, str(log.keys.directory)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        while time.monotonic() - began < 0.03 * (turn + 1):
            write(log.store, 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        log.seal()
        report = log.verify(log.notes())
        assert (report.status, report.failures, report.waiting) == (0, [], 0)


# ------------------------------------------------------------------------------------------- it stops rather than forge


def test_a_database_older_than_what_was_signed_is_not_sealed_over(
    log: Any, unguarded: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    unguarded(
        "DELETE FROM checkpoint WHERE size > 33",
        "DELETE FROM journal WHERE id IN (SELECT entry FROM leaf WHERE seq >= 33)",
        "DELETE FROM leaf WHERE seq >= 33",
    )
    write(log.store, 1)
    assert log.seal() == 0
    assert "49 leaves were signed here, and the database does not hold them" in caplog.text
    assert "bridge db restored" in caplog.text


def test_leaves_without_their_checkpoint_stop_the_sealer(
    log: Any, unguarded: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    unguarded("DELETE FROM checkpoint WHERE size > 33")
    write(log.store, 1)
    assert log.seal() == 0
    assert "leaves and checkpoints do not fit each other" in caplog.text


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE checkpoint SET peaks = :other WHERE size = 49", "the last checkpoint was changed"),
        ("UPDATE checkpoint SET note = replace(note, '49', '48') WHERE size = 49", "does not fit"),
    ],
)
def test_a_last_checkpoint_that_was_changed_is_not_gone_on_from(
    log: Any, unguarded: Callable[..., None], caplog: pytest.LogCaptureFixture, statement: str, why: str
) -> None:
    unguarded(statement, other=bytes(32 * 3))
    write(log.store, 1)
    assert log.seal() == 0
    assert why in caplog.text


def test_a_key_that_somebody_put_in_the_place_of_the_real_one_signs_nothing(
    log: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Keys(tmp_path / "other")
    other.make("bridge.example/actions")
    (other.directory / "key").replace(log.keys.directory / "key")
    write(log.store, 1)
    assert log.seal() == 0
    assert "`bridge audit rotate` is how a key is replaced" in caplog.text


def test_a_key_that_others_may_read_is_not_used(log: Any, caplog: pytest.LogCaptureFixture) -> None:
    (log.keys.directory / "key").chmod(0o640)
    write(log.store, 1)
    assert log.seal() == 0
    assert "can be read by others" in caplog.text
    (log.keys.directory / "key").chmod(0o600)
    assert log.seal() == 1


def test_an_entry_that_was_deleted_while_it_waited_does_not_keep_the_others_from_being_sealed(
    log: Any, unguarded: Callable[..., None]
) -> None:
    write(log.store, 3)
    unguarded("DELETE FROM journal WHERE id = 51")
    assert log.seal() == 2
    assert log.verify().failures == ["entry 51 waited to be sealed and is gone"]


def test_an_entry_that_was_spoilt_while_it_waited_is_sealed_as_it_is_and_told(
    log: Any, unguarded: Callable[..., None]
) -> None:
    write(log.store, 1)
    unguarded("UPDATE journal SET entry = 'no json' WHERE id = 50")
    assert log.seal() == 1
    assert "leaf 49 (no rule #2): the entry is no JSON object" in log.verify().failures


# ------------------------------------------------------------------------------------------------------------- the key


def test_the_key_is_readable_by_its_owner_alone_and_is_made_once(store: Store, keys: Keys) -> None:
    signer = seal.begin(store, keys, "bridge.example/log", "mia")
    file = keys.directory / "key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.directory.stat().st_mode & 0o777 == 0o700
    assert keys.vkeys() == [str(signer.verifier)]
    with pytest.raises(KeyProblem, match="is there already"):
        seal.begin(store, keys, "bridge.example/log", "mia")
    assert keys.read() == signer


def test_who_made_the_key_stands_in_the_log(log: Any) -> None:
    with log.store.read() as connection:
        text = connection.execute(sa.select(entries.c.entry).where(entries.c.kind == str(Kind.LOG_BEGUN))).scalar_one()
    assert '"person":"mia"' in text
    assert log.keys.vkeys()[0] in text
    assert log.keys.read().text() not in text


def test_a_log_whose_key_is_gone_is_not_begun_a_second_time(log: Any) -> None:
    (log.keys.directory / "key").unlink()
    with pytest.raises(SealRefused, match="sealed with a key that is not here"):
        seal.begin(log.store, log.keys, "bridge.example/other", "mia")


def test_a_new_key_is_vouched_for_by_the_old_one_and_either_public_key_verifies_all(log: Any) -> None:
    old = log.keys.read()
    new = seal.rotate(log.store, log.keys, "mia", "every year")
    assert log.keys.read() == new
    assert not (log.keys.directory / "key.next").exists()
    assert [key for key, _ in Note.read(log.notes()[-1]).signatures] == [old.key, new.key]
    log.write(2)
    log.seal()
    assert [key for key, _ in Note.read(log.notes()[-1]).signatures] == [new.key]
    for signer in (old, new):
        report = log.verify(log.notes(), vkeys=[str(signer.verifier)])
        assert (report.status, report.failures) == (0, [])
        assert (report.found.valid, report.found.checkpoints) == (5, 5)


@pytest.mark.parametrize("by", ["the clock", "the next change of the key"])
def test_a_change_of_the_key_that_was_cut_off_after_its_checkpoint_is_brought_to_its_end(
    log: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    class PowerLostError(Exception):
        pass

    def cut(_path: Path, _target: Path) -> None:
        raise PowerLostError

    with monkeypatch.context() as cut_off:
        cut_off.setattr(Path, "replace", cut)
        with pytest.raises(PowerLostError):
            seal.rotate(log.store, log.keys, "mia")
    assert (log.keys.directory / "key.next").exists()
    log.write(1)
    if by == "the clock":
        assert log.seal() == 4
    else:
        seal.rotate(log.store, log.keys, "mia")
    report = log.verify(log.notes(), vkeys=log.keys.vkeys()[:1])
    assert (report.status, report.failures) == (0, [])


def test_a_change_of_the_key_that_failed_before_its_checkpoint_leaves_the_old_key_in_force(
    log: Any, unguarded: Callable[..., None]
) -> None:
    before = log.keys.read()
    unguarded("DELETE FROM checkpoint WHERE size > 33")
    with pytest.raises(SealRefused):
        seal.rotate(log.store, log.keys, "mia")
    assert log.keys.read() == before


# ----------------------------------------------------------------------------------------------------- a log begun anew


def test_a_restored_database_goes_on_as_a_new_log_and_outside_copies_tell_up_to_where_both_agree(
    log: Any, unguarded: Callable[..., None]
) -> None:
    outside, first = log.notes(), log.keys.vkeys()
    unguarded(
        "DELETE FROM checkpoint WHERE size > 33",
        "DELETE FROM journal WHERE id IN (SELECT entry FROM leaf WHERE seq >= 33)",
        "DELETE FROM leaf WHERE seq >= 33",
        "DELETE FROM answers",
        "DELETE FROM deliveries WHERE id NOT IN (SELECT delivery FROM journal WHERE delivery IS NOT NULL)",
    )
    seal.new_origin(log.store, log.keys, "mia", "the disk died")
    log.write(8)
    log.seal()
    assert seal.state(log.store, log.keys).origin == "bridge.example/actions/2"
    report = log.verify([*outside, *log.notes()], vkeys=first)
    assert (report.status, report.failures) == (0, [])
    assert report.outside is not None
    assert report.outside.remarks == [
        "16 entries of the former log bridge.example/actions are not here: a backup was restored, and the log says so"
    ]


def test_where_the_key_was_lost_a_new_log_begins_that_the_old_key_does_not_vouch_for(log: Any) -> None:
    old = log.keys.vkeys()
    for name in ("key", "last"):
        (log.keys.directory / name).unlink()
    new = seal.new_origin(log.store, log.keys, "mia", "the disk died", name="bridge.example/after")
    log.write(1)
    log.seal()
    with_new = log.verify(vkeys=[str(new.verifier)])
    assert (with_new.status, with_new.failures) == (0, [])
    with_old = log.verify(vkeys=old)
    assert with_old.status == 1
    assert "which no key that was given vouches for" in with_old.failures[0]


def test_a_new_log_must_have_another_name(log: Any) -> None:
    with pytest.raises(SealRefused, match="must differ"):
        seal.new_origin(log.store, log.keys, "mia", "why", name="bridge.example/actions")
    with pytest.raises(NoteInvalid, match="cannot name a log"):
        seal.new_origin(log.store, log.keys, "mia", "why", name="two words")
    assert [seal.next_name(name) for name in ("a.example/log", "a.example/log/2", "log", "a.example/9")] == [
        "a.example/log/2",
        "a.example/log/3",
        "log/2",
        "a.example/10",
    ]


def test_the_sealer_logs_what_stops_it_once_and_again_only_when_it_is_something_else(
    log: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sealer = Sealer(log.store, log.keys)
    write(log.store, 1)
    (log.keys.directory / "key").chmod(0o644)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            sealer.once()
    assert len(caplog.records) == 1


def test_verify_cries_no_wolf_while_the_bridge_writes_and_seals(log: Any) -> None:
    url = log.store.url.render_as_string(hide_password=False)
    other = Store(url)
    with ThreadPoolExecutor(3) as pool:
        written = [pool.submit(log.write, 2) for _ in range(20)]
        sealed = [pool.submit(Sealer(other, log.keys).once) for _ in range(20)]
        for _ in range(6):
            report = log.verify(log.notes()[:2])
            assert (report.status, report.failures) == (0, [])
        for future in written:
            future.result()
        for turn in sealed:
            turn.result()
    other.close()
    log.seal()
    report = log.verify(log.notes())
    assert (report.status, report.failures, report.waiting, report.found.entries) == (0, [], 0, 49 + 20 * 2 * 4)
