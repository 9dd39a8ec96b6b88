"""Every attack on the log that we know of, made by an owner of the database, and what ``audit verify`` says of it.

``inside`` is what can be told from the store alone, ``outside`` with the checkpoints that a collector had kept before.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.audit import leaf as leaf_room
from bridge.audit.keys import Keys
from bridge.audit.note import Checkpoint, sign
from bridge.audit.seal import Sealer
from bridge.audit.tree import Frontier
from bridge.audit.verify import Report
from bridge.store import Store, journal
from bridge.store.journal import Kind, canonical
from bridge.store.tables import journal as entries

Runs = Callable[..., None]


@pytest.fixture
def outside(log: Any) -> list[str]:
    """What was kept outside before the attack."""
    return list(log.notes())


def failed(report: Report, *words: str) -> bool:
    """Tell whether a report fails with a sentence that has all these words."""
    return report.status == 1 and any(all(word in text for word in words) for text in report.failures)


def forged(log: Any, seq: int, **members: object) -> str:
    """Return a leaf's entry with some members changed, as canonical text."""
    with log.store.read() as connection:
        query = "SELECT journal.entry FROM journal JOIN leaf ON leaf.entry = journal.id WHERE seq = :seq"
        text = connection.execute(sa.text(query), {"seq": seq}).scalar_one()
    return canonical(json.loads(text) | members)


def test_an_honest_log_is_ok_inside_only_and_ok_with_outside_copies(log: Any, outside: list[str]) -> None:
    inside = log.verify()
    assert (inside.status, inside.failures, inside.outside) == (0, [], None)
    report = log.verify(outside)
    assert (report.status, report.failures) == (0, [])
    assert report.outside is not None
    assert (report.outside.found, report.outside.newest) == (3, 49)
    assert report.found.rules == {"": 1, "escalate": 24, "change_approved": 12, "page_published": 12}
    assert (report.found.valid, report.found.checkpoints, len(report.found.in_doubt)) == (3, 3, 0)


# ----------------------------------------------------------------------------------------------- changes of what stands


def test_an_edited_entry_is_named_by_its_leaf_and_its_number_among_the_rules(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    text = forged(log, 8, target="HR-1")
    unguarded("UPDATE journal SET entry = :text, target = 'HR-1' WHERE id = 9", text=text)
    for report in (log.verify(), log.verify(outside)):
        assert report.failures == ["leaf 8 (rule change_approved #4): entry text edited"]
        assert report.status == 1


CHANGES = [
    ("target", "UPDATE journal SET target = 'HR-1' WHERE id = 8"),
    ("person", "UPDATE journal SET person = 'nobody' WHERE id = 8"),
    ("account", "UPDATE journal SET account = NULL WHERE id = 8"),
    ("at", "UPDATE journal SET at = '2020' WHERE id = 8"),
    ("kind", "UPDATE journal SET kind = 'step:read' WHERE id = 8"),
    ("rule", "UPDATE journal SET rule = 'another' WHERE id = 8"),
    ("step", "UPDATE journal SET step = 7 WHERE id = 8"),
    ("outcome", "UPDATE journal SET outcome = 'failed' WHERE id = 8"),
]


@pytest.mark.parametrize(("column", "statement"), CHANGES)
def test_a_changed_column_is_named_with_what_the_entry_says(
    log: Any, outside: list[str], unguarded: Runs, column: str, statement: str
) -> None:
    unguarded(statement)
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7 (rule change_approved #3): column", column, "was changed")


def test_a_changed_number_of_an_entry_is_noticed(log: Any, outside: list[str], unguarded: Runs) -> None:
    unguarded("UPDATE journal SET id = 900 WHERE id = 8", "UPDATE leaf SET entry = 900 WHERE entry = 8")
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7", "it is entry 8, and the leaf is put beside entry 900")


def test_a_deleted_entry_is_missed(log: Any, outside: list[str], unguarded: Runs) -> None:
    unguarded("DELETE FROM journal WHERE id = 8")
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7 (rule change_approved #3): the entry is gone")
        assert failed(report, "delivery", "counted 4 entries, and 3 are there")


def test_an_entry_deleted_together_with_its_leaf_is_missed(log: Any, outside: list[str], unguarded: Runs) -> None:
    unguarded("DELETE FROM journal WHERE id = 8", "DELETE FROM leaf WHERE seq = 7")
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7 is missing: the log has a gap before leaf 8 (rule change_approved #4)")
        assert failed(report, "rule change_approved: #3 is missing before leaf 8")


def test_two_leaves_that_were_swapped_are_named(log: Any, outside: list[str], unguarded: Runs) -> None:
    unguarded(
        "UPDATE leaf SET entry = -1 WHERE seq = 7",
        "UPDATE leaf SET entry = 8 WHERE seq = 8",
        "UPDATE leaf SET entry = 9 WHERE seq = 7",
    )
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7")
        assert failed(report, "leaf 8")


def test_two_leaves_whose_texts_were_swapped_are_named(log: Any, outside: list[str], unguarded: Runs) -> None:
    with log.store.read() as connection:
        texts = dict(connection.execute(sa.text("SELECT seq, leaf FROM leaf WHERE seq IN (7, 8)")).all())
    unguarded(
        "UPDATE leaf SET leaf = :eight WHERE seq = 7",
        "UPDATE leaf SET leaf = :seven WHERE seq = 8",
        seven=texts[7],
        eight=texts[8],
    )
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 7", "its text says leaf 8")
        assert failed(report, "leaf 8", "its text says leaf 7")


def test_an_entry_edited_together_with_its_leaf_breaks_the_next_checkpoint(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    text = forged(log, 8, target="HR-1")
    leaf = leaf_room.text(8, 9, leaf_room.digest(text), "change_approved", 4)
    unguarded(
        "UPDATE journal SET entry = :text, target = 'HR-1' WHERE id = 9",
        "UPDATE leaf SET leaf = :leaf WHERE seq = 8",
        text=text,
        leaf=leaf,
    )
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "checkpoint 17: the root differs: a leaf among 0 to 16")


def test_a_changed_checkpoint_is_noticed(log: Any, outside: list[str], unguarded: Runs) -> None:
    unguarded("UPDATE checkpoint SET note = :note WHERE size = 33", note=outside[0])
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "checkpoint 33: its note says 17")
    text = outside[1].replace("\n33\n", "\n34\n")
    unguarded("UPDATE checkpoint SET note = :note WHERE size = 33", note=text)
    assert failed(log.verify(), "checkpoint 33")


def test_a_signature_that_somebody_else_made_is_noticed(
    log: Any, outside: list[str], unguarded: Runs, tmp_path: Path
) -> None:
    mallory = Keys(tmp_path / "mallory").make("bridge.example/actions")
    text = outside[-1].partition("\n\n")[0] + "\n"
    unguarded("UPDATE checkpoint SET note = :note WHERE size = 49", note=str(sign(text, [mallory])))
    report = log.verify()
    assert failed(report, "checkpoint 49: it is signed with", "the key in force")
    assert failed(report, "which no key that was given vouches for")


def test_an_entry_that_names_another_key_hands_nothing_over(
    log: Any, outside: list[str], unguarded: Runs, tmp_path: Path
) -> None:
    """Whoever can write to the database can have an entry sealed; a handover needs the old key's signature."""
    mallory = Keys(tmp_path / "mallory").make("bridge.example/actions")
    members = {"vkey": str(mallory.verifier), "previous": log.keys.vkeys()[0], "person": "mallory"}
    log.store.commit(lambda connection: journal.append(connection, Kind.KEY_ROTATED, **members))
    log.seal()
    report = log.verify(outside)
    assert failed(report, "hands the log over", "not both keys signed it")
    assert mallory.key not in report.found.believed


# ------------------------------------------------------------------------------------------- what only outside can tell


def cut_tail(unguarded: Runs) -> None:
    """Cut the log back to its second checkpoint, as restoring an old backup would."""
    unguarded(
        "DELETE FROM checkpoint WHERE size > 33",
        "DELETE FROM deliveries WHERE id IN (SELECT delivery FROM journal JOIN leaf ON leaf.entry = journal.id "
        "WHERE seq >= 33)",
        "DELETE FROM journal WHERE id IN (SELECT entry FROM leaf WHERE seq >= 33)",
        "DELETE FROM leaf WHERE seq >= 33",
    )


def test_a_cut_tail_is_ok_inside_and_fails_with_outside_copies(log: Any, outside: list[str], unguarded: Runs) -> None:
    cut_tail(unguarded)
    inside = log.verify()
    assert (inside.status, inside.outside) == (0, None)
    assert log.verify(outside).failures == [
        "outside checkpoint says 49 entries, the log has 33: tail cut or restored from an old backup"
    ]


def test_a_cut_tail_that_was_written_over_fails_with_outside_copies(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    cut_tail(unguarded)
    log.keys.forget_last()
    log.write(8)
    log.seal()
    assert log.verify().status == 0
    assert failed(log.verify(outside), "outside checkpoint 49: the root differs", "rewritten")


def resign(log: Any, unguarded: Runs, **members: object) -> None:
    """Do what root can: change an entry, build every leaf and checkpoint anew and sign them with the real key."""
    text = forged(log, 8, **members)
    unguarded("UPDATE journal SET entry = :text, target = 'HR-1' WHERE id = 9", text=text)
    signer = log.keys.read()
    with log.store.read() as connection:
        query = "SELECT seq, leaf.entry AS id, leaf.rule, rule_seq, journal.entry FROM leaf JOIN journal "
        rows = connection.execute(sa.text(query + "ON journal.id = leaf.entry ORDER BY seq")).all()
    tree = Frontier()
    for row in rows:
        leaf = leaf_room.text(row.seq, row.id, leaf_room.digest(row.entry), row.rule, row.rule_seq)
        unguarded("UPDATE leaf SET leaf = :leaf WHERE seq = :seq", leaf=leaf, seq=row.seq)
        tree.append(leaf.encode())
        if tree.size in {17, 33, 49}:
            note = str(sign(Checkpoint(signer.key.name, tree.size, tree.root()).text(), [signer]))
            unguarded("UPDATE checkpoint SET note = :note WHERE size = :size", note=note, size=tree.size)


def test_root_who_rewrites_and_signs_everything_anew_is_found_by_outside_copies_alone(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    resign(log, unguarded, target="HR-1")
    inside = log.verify()
    assert (inside.status, inside.outside) == (0, None)
    report = log.verify(outside)
    assert failed(report, "outside checkpoint 17: the root differs: history was rewritten, or the log was forked")


def test_root_who_brings_a_key_and_a_log_of_their_own_is_found_by_outside_copies(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    shutil.rmtree(log.keys.directory)
    unguarded("DELETE FROM checkpoint", "DELETE FROM leaf", "INSERT INTO unsealed SELECT id FROM journal")
    log.keys.make("bridge.example/actions")
    Sealer(log.store, log.keys).once()
    report = log.verify(outside)
    assert failed(report, "outside checkpoint", "no key that is believed vouches for that")


def test_a_log_that_was_made_anew_under_another_name_does_not_get_around_the_outside_copies(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    first = log.keys.vkeys()
    unguarded("DELETE FROM checkpoint", "DELETE FROM leaf", "INSERT INTO unsealed SELECT id FROM journal")
    (log.keys.directory / "key").unlink()
    log.keys.forget_last()
    log.keys.make("bridge.example/another")
    log.seal()
    report = log.verify(outside, vkeys=[*first, *log.keys.vkeys()])
    assert failed(report, "outside checkpoint 49 of bridge.example/actions", "the log has no such name")


# -------------------------------------------------------------------------------------------------------- false entries


def test_a_false_entry_put_in_past_the_bridge_is_noticed_unless_it_is_offered_to_the_sealer_as_well(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    text = canonical({"v": 1, "kind": "step:outcome", "at": "2026-11-01T00:00:00.000000Z", "person": "nobody"})
    unguarded(
        "INSERT INTO journal (id, at, kind, person, entry) VALUES (50, :at, 'step:outcome', 'nobody', :text)",
        at="2026-11-01T00:00:00.000000Z",
        text=text,
    )
    for report in (log.verify(), log.verify(outside)):
        assert report.failures == ["entry 50 is neither sealed nor waits for it: it was put in past the bridge"]
    # What is offered like a genuine entry is sealed as one: only a look at the sites (audit reconcile) tells, or
    # keeping the owner's password from everybody.
    unguarded("INSERT INTO unsealed VALUES (50)")
    log.seal()
    assert log.verify([*outside, *log.notes()]).status == 0


def test_a_false_entry_within_a_delivery_must_take_a_number_that_is_counted(log: Any, unguarded: Runs) -> None:
    delivery = log.write(1)[0]
    text = canonical(
        {"v": 1, "kind": "step:outcome", "at": "2026-11-01T00:00:00.000000Z", "delivery": delivery, "n": 5}
    )
    unguarded(
        "INSERT INTO journal (id, at, kind, delivery, n, entry) VALUES (60, :at, 'step:outcome', :delivery, 5, :text)",
        "INSERT INTO unsealed VALUES (60)",
        at="2026-11-01T00:00:00.000000Z",
        delivery=delivery,
        text=text,
    )
    log.seal()
    assert log.verify().failures == [f"delivery {delivery} counted 4 entries, and 5 are there, numbered up to 5"]


def test_an_entry_removed_before_it_was_sealed_leaves_a_gap_in_its_delivery(log: Any, unguarded: Runs) -> None:
    delivery = log.write(1)[0]
    unguarded("DELETE FROM unsealed WHERE entry = 53", "DELETE FROM journal WHERE id = 53")
    log.seal()
    assert log.verify().failures == [f"delivery {delivery} counted 4 entries, and 3 are there, numbered up to 3"]


def test_an_entry_that_is_offered_to_be_sealed_twice_is_told(log: Any, unguarded: Runs) -> None:
    unguarded("INSERT INTO unsealed VALUES (8)")
    assert log.verify().failures == ["entry 8 is leaf 7 and waits to be sealed again"]


# -------------------------------------------------------------------------------------------- ways around the guards


def test_insert_or_replace_is_refused_by_our_connections_and_found_where_another_one_did_it(
    log: Any, outside: list[str]
) -> None:
    text = forged(log, 8, target="HR-1")
    if not log.store.sqlite:
        upsert = (
            "INSERT INTO journal (id, at, kind, entry) VALUES (9, '', '', '') ON CONFLICT (id) DO UPDATE SET verb = ''"
        )
        with pytest.raises(sa.exc.DatabaseError, match="only new entries"):
            log.store.commit(lambda connection: connection.execute(sa.text(upsert)))
        assert log.verify(outside).status == 0
        return
    replace = (
        "INSERT OR REPLACE INTO journal SELECT id, at, kind, delivery, n, run, round, attempt, step, rule, account, "
        "verb, target, outcome, person, ? FROM journal WHERE id = 9"
    )
    with pytest.raises(sa.exc.DatabaseError, match="only new entries"):
        log.store.commit(lambda connection: connection.exec_driver_sql(replace, (text,)))
    raw = sqlite3.connect(str(log.store.url.database))
    raw.execute(replace, (text,))
    raw.commit()
    raw.close()
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "leaf 8 (rule change_approved #4): entry text edited")


def test_a_guard_that_was_dropped_is_named_although_nothing_was_changed_yet(log: Any, outside: list[str]) -> None:
    statement = "DROP TRIGGER journal_no_update" if log.store.sqlite else "DROP TRIGGER journal_no_change ON journal"
    log.store.commit(lambda connection: connection.execute(sa.text(statement)))
    for report in (log.verify(), log.verify(outside)):
        assert failed(report, "guard journal_no_", "is missing")


def test_an_owner_who_goes_around_grants_and_guards_and_puts_them_back_is_found(
    log: Any, outside: list[str], unguarded: Runs
) -> None:
    unguarded("UPDATE journal SET outcome = 'failed' WHERE id = 9")
    with log.store.read() as connection:
        assert connection.execute(sa.select(entries.c.outcome).where(entries.c.id == 9)).scalar_one() == "failed"
    for report in (log.verify(), log.verify(outside)):
        assert report.status == 1
        assert not any("guard" in text for text in report.failures), "the guards are back"


def test_a_changed_rule_text_is_noticed(log: Any, unguarded: Runs) -> None:
    from importlib import metadata

    from bridge.audit.rule_texts import digest
    from bridge.store import registers

    texts = {"escalate.toml": "title = 'x'"}
    named = digest(texts, metadata.version("bridge"))
    log.store.commit(lambda connection: registers.keep_rule(connection, "escalate", named, texts, None))
    log.seal()
    assert log.verify().status == 0
    unguarded('UPDATE rule_version SET texts = \'{"escalate.toml": "title = 1"}\'')
    assert failed(log.verify(), "rule escalate: the text kept as sha256:", "was changed")


# --------------------------------------------------------------------------------------------- what cannot be told


def test_what_cannot_be_told_is_neither_well_nor_wrong(store: Store, keys: Keys, log: Any, outside: list[str]) -> None:
    without_key = log.verify(vkeys=[])
    assert (without_key.status, without_key.untold) == (
        2,
        "no public key is known: give --key with the one that `bridge audit init` printed",
    )
    others = log.verify([])
    assert (others.status, others.untold) == (2, "the outside copies hold no checkpoint of this log")
    assert outside


def test_a_log_that_was_never_sealed_is_not_called_well(store: Store, keys: Keys) -> None:
    from bridge.audit import verify

    assert verify.of_store(store, {}, None).untold == "the log is empty"
    store.commit(lambda connection: journal.append(connection, Kind.PAUSED, what="all"))
    report = verify.of_store(store, {}, None)
    assert (report.status, report.waiting) == (2, 1)
    assert report.untold == "nothing is sealed: run `bridge audit init`, and let the clock run"
    assert keys
