"""The journal: entries as canonical text, columns that agree with them, and nobody who changes or removes one."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import Fenced
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import Received, State
from bridge.store.engine import new_id
from bridge.store.journal import COLUMNS, Kind, canonical, digest, line
from bridge.store.tables import journal as table


def delivered(store: Store) -> str:
    """Accept a delivery and begin its first attempt."""
    received = Received(new_id(), "rule", State.QUEUED, b"{}")

    def work(connection: sa.Connection) -> None:
        deliveries.accept(connection, received)
        row = deliveries.get(connection, received.id, lock=True)
        assert row is not None
        deliveries.begin(connection, store, row, worker="w", lease=10.0, rule_digest="d")

    store.commit(work)
    return received.id


def execute(store: Store, statement: str) -> None:
    """Run a statement as somebody with the database's password would."""
    store.commit(lambda connection: connection.execute(sa.text(statement)))


def rows(store: Store) -> list[Any]:
    """Return every row of the journal."""
    with store.read() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)))


# ------------------------------------------------------------------------------------------------------ nobody changes

CHANGES = [
    "UPDATE journal SET entry = 'forged'",
    "UPDATE journal SET person = 'nobody' WHERE id = 1",
    "DELETE FROM journal",
    "DELETE FROM journal WHERE id = 1",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_no_entry_is_changed_or_removed(store: Store, statement: str) -> None:
    delivered(store)
    before = rows(store)
    with pytest.raises(sa.exc.DatabaseError, match="the journal takes only new entries"):
        execute(store, statement)
    assert rows(store) == before


def test_no_entry_is_replaced_on_sqlite(one_store: Store) -> None:
    delivered(one_store)
    before = rows(one_store)
    for statement in (
        "INSERT OR REPLACE INTO journal (id, at, kind, entry) VALUES (1, 'x', 'x', 'forged')",
        "REPLACE INTO journal (id, at, kind, entry) VALUES (1, 'x', 'x', 'forged')",
        "INSERT INTO journal (id, at, kind, entry) VALUES (1, 'x', 'x', 'y') ON CONFLICT (id) DO UPDATE SET kind = 'z'",
    ):
        with pytest.raises(sa.exc.DatabaseError, match="the journal takes only new entries"):
            execute(one_store, statement)
    assert rows(one_store) == before


def test_no_entry_is_replaced_or_truncated_on_postgresql(pg_store: Store) -> None:
    delivered(pg_store)
    before = rows(pg_store)
    for statement in (
        "TRUNCATE journal",
        "TRUNCATE journal, deliveries CASCADE",
        "INSERT INTO journal (id, at, kind, entry) VALUES (1, 'x', 'x', 'y') ON CONFLICT (id) DO UPDATE SET kind = 'z'",
    ):
        with pytest.raises(sa.exc.DatabaseError, match="the journal takes only new entries"):
            execute(pg_store, statement)
    assert rows(pg_store) == before


def test_the_number_of_an_entry_is_given_once(one_store: Store, tmp_path: Path) -> None:
    delivered(one_store)
    last = rows(one_store)[-1].id
    path = str(one_store.url.database)
    raw = sqlite3.connect(path)
    raw.executescript("DROP TRIGGER journal_no_delete; DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)")
    raw.close()
    one_store.commit(lambda connection: journal.append(connection, Kind.PAUSED, what="all"))
    assert rows(one_store)[-1].id == last + 1, "a tail that somebody cut leaves a gap"


# ----------------------------------------------------------------------------------------------------- what is written


def test_an_entry_is_canonical_json_and_its_columns_repeat_its_members(store: Store) -> None:
    delivery = delivered(store)
    store.commit(
        lambda connection: journal.append_fenced(
            connection,
            delivery,
            1,
            Kind.OUTCOME,
            step=1,
            verb="jira.comment",
            target="OPS-1",
            account="ops-bot",
            outcome="done",
            person=None,
            why="Grüße, 世界 🚀",
            ms=12,
            found=True,
        )
    )
    for row in rows(store):
        entry = json.loads(row.entry)
        assert row.entry == json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert (row.at, row.kind) == (entry["at"], entry["kind"])
        for name in COLUMNS:
            assert getattr(row, name) == entry.get(name), name
        assert entry["v"] == 1
        assert row.at.endswith("Z")
        assert len(row.at) == 27
    assert "Grüße, 世界 🚀" in rows(store)[-1].entry


def test_the_entries_of_a_delivery_are_numbered_without_a_gap(store: Store) -> None:
    delivery = delivered(store)
    for _ in range(3):
        store.commit(lambda connection: journal.append_to(connection, delivery, Kind.DUPLICATE))
    with pytest.raises(Fenced):
        store.commit(lambda connection: journal.append_fenced(connection, delivery, 7, Kind.LOG, why="not mine"))
    store.commit(lambda connection: journal.append_fenced(connection, delivery, 1, Kind.LOG, why="mine"))
    with store.read() as connection:
        assert [entry["n"] for entry in journal.of_delivery(connection, delivery)] == [1, 2, 3, 4, 5, 6]


TEXTS = ["a\x00b", "a\ud800b", "\udfff", "a\x1b[2Jb", "\u202e", "\x7f", "'; DROP TABLE journal; --", "x" * 5000]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_any_letters_can_be_journalled_and_found_again(store: Store, text: str) -> None:
    members: dict[str, Any] = {
        "target": text,
        "person": text,
        "verb": text,
        "why": text,
        "label": text,
        "deep": [{"a": text}],
    }
    store.commit(lambda connection: journal.append(connection, Kind.PAUSED, **members))
    [row] = rows(store)
    entry = json.loads(row.entry)
    kept = text.encode("utf-8", "backslashreplace").decode()
    assert entry["why"] == (kept if len(text) <= 2000 else kept[:2000] + "…")
    assert row.target == entry["target"].replace("\x00", "\\u0000")
    assert line(entry).isprintable()


def test_only_one_intent_and_one_outcome_of_a_step_stand_in_a_round(store: Store) -> None:
    delivery = delivered(store)

    def add(kind: Kind, step: int) -> None:
        store.commit(lambda connection: journal.append_fenced(connection, delivery, 1, kind, step=step))

    for kind in (Kind.INTENT, Kind.OUTCOME):
        add(kind, 1)
        with pytest.raises(sa.exc.IntegrityError):
            add(kind, 1)
        add(kind, 2)


def test_a_late_outcome_is_taken_only_from_the_attempt_that_asked_last(store: Store) -> None:
    delivery = delivered(store)

    def late(attempt: int, step: int = 1) -> bool:
        return store.commit(
            lambda connection: journal.append_late_outcome(connection, delivery, attempt, step, outcome="done")
        )

    assert not late(1), "it asked nothing"
    store.commit(lambda connection: journal.append_fenced(connection, delivery, 1, Kind.INTENT, step=1))
    assert not late(2), "the intent is not its own"
    assert not late(1, step=2)
    assert late(1)
    assert not late(1), "one stands there"
    with store.read() as connection:
        entries = journal.of_delivery(connection, delivery)
    assert [(entry["n"], entry["kind"]) for entry in entries][-1] == (4, "step:outcome")
    assert entries[-1]["late"] is True


# ---------------------------------------------------------------------------------------------------- canonical text

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(value=_json)
def test_canonical_text_says_what_was_given_whatever_the_order(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert text.encode("utf-8")
    assert not any(ord(letter) < 0x20 for letter in text)


def test_canonical_text_sorts_names_and_leaves_no_blank() -> None:
    assert (
        canonical({"b": [1, True, None, "é\n"], "a": {"d": "", "c": -1}})
        == '{"a":{"c":-1,"d":""},"b":[1,true,null,"é\\n"]}'
    )


@pytest.mark.parametrize("value", [1.0, float("nan"), b"x", {1, 2}, object(), {"a": [1.5]}])
def test_what_has_no_one_text_form_is_not_journalled(value: object) -> None:
    with pytest.raises(TypeError, match="a journal entry cannot hold"):
        canonical(value)


def test_a_digest_depends_on_its_salt() -> None:
    assert digest(b"a", b"bc") != digest(b"x", b"bc")
    assert digest(b"a", b"x").startswith("sha256:")
    assert len({journal.new_salt() for _ in range(100)}) == 100


# ----------------------------------------------------------------------------------------------------- lines for people


def test_a_line_tells_what_when_reading_a_log_matters() -> None:
    entry = {"v": 1, "kind": "step:outcome", "step": 3, "verb": "jira.comment", "target": "OPS-1", "outcome": "done"}
    assert line(
        {**entry, "account": "ops-bot", "ref": "10204", "status": 201, "path": "/x", "answer": "sha256:00"}
    ) == ("step:outcome #3 jira.comment OPS-1 done by ops-bot ref=10204 status=201")
    assert line({"kind": "pause:set", "what": "all", "person": "mia", "account": "x", "why": "a b"}) == (
        "pause:set by mia account=x what=all (a b)"
    )
    assert line({"kind": "x", "rule_digest": "sha256:0123456789abcdef", "deep": {"a": [1]}, "words": "a b"}) == (
        'x rule_digest=0123456789ab deep={"a":[1]} words="a b"'
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=20))
def test_no_line_carries_orders_to_a_terminal(text: str) -> None:
    kept = text.encode("utf-8", "backslashreplace").decode()
    entry = {"kind": "handler:log", "why": kept, "target": kept, "person": kept, "free": kept, kept or "x": kept}
    assert line(entry).isprintable()
