"""Finding entries by what an auditor asks for."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit import query
from bridge.audit.query import Filter
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import Received, State
from bridge.store.engine import new_id
from bridge.store.journal import Kind


@pytest.fixture
def ids(store: Store) -> list[str]:
    """Two deliveries of two rules with a step each, a pause by a person and a token; their ids."""
    made = [new_id(), new_id()]

    def work(connection: sa.Connection) -> None:
        for delivery, rule, account, verb, target, outcome in (
            (made[0], "change_approved", "ops-bot", "jira.comment", "OPS-1", "done"),
            (made[1], "page_published", "docs-bot", "confluence.comment", "131074", "refused"),
        ):
            deliveries.accept(connection, Received(delivery, rule, State.QUEUED, b"{}"))
            journal.append_to(
                connection,
                delivery,
                Kind.OUTCOME if outcome == "done" else Kind.REFUSED,
                step=1,
                account=account,
                verb=verb,
                target=target,
                outcome=outcome,
            )
        journal.append(connection, Kind.PAUSED, what="rule", rule="change_approved", person="mia", why="audit")
        journal.append(connection, Kind.TOKEN_MINTED, rule="page_published", person="jonas", token_version=2)

    store.commit(work)
    return made


def found(store: Store, **wanted: str | None) -> list[int]:
    """Return the numbers of the entries that fit."""
    with store.read() as connection:
        return [number for number, _ in query.entries(connection, Filter(**wanted), limit=100)]


@pytest.fixture
def numbered(store: Store, ids: list[str]) -> list[int]:
    """The numbers of all six entries, in their order."""
    assert ids
    return found(store)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"rule": "change_approved"}, [0, 1, 4]),
        ({"account": "docs-bot"}, [3]),
        ({"target": "OPS-1"}, [1]),
        ({"verb": "comment"}, [1, 3]),
        ({"verb": "jira.comment"}, [1]),
        ({"outcome": "refused"}, [3]),
        ({"person": "mia"}, [4]),
        ({"kind": "token:minted"}, [5]),
        ({"rule": "change_approved", "person": "jonas"}, []),
        ({"verb": "comment", "outcome": "done", "account": "ops-bot", "rule": "change_approved"}, [1]),
        ({"target": "ops-1"}, []),
        ({"target": "OPS-"}, []),
        ({"verb": "comment%"}, []),
        ({"rule": "' OR 1=1 --"}, []),
    ],
)
def test_entries_are_found_by_each_of_their_parts_and_all_together(
    store: Store, numbered: list[int], wanted: dict[str, str], fits: list[int]
) -> None:
    assert found(store, **wanted) == [numbered[at] for at in fits]


def test_a_delivery_is_found_by_its_id_or_its_beginning(store: Store, ids: list[str]) -> None:
    numbers = found(store)
    assert found(store, delivery=ids[0]) == numbers[:2]
    assert found(store, delivery=ids[1]) == numbers[2:4]
    shared = next(length for length in range(len(ids[0])) if ids[0][: length + 1] != ids[1][: length + 1])
    assert found(store, delivery=ids[0][: shared + 1]) == numbers[:2]
    assert found(store, delivery=ids[0][:2]) == numbers[:4]
    assert found(store, delivery="zz") == []


def test_entries_are_found_between_two_moments(store: Store, numbered: list[int]) -> None:
    with store.read() as connection:
        times = [entry["at"] for _, entry in query.entries(connection, Filter(), limit=100)]
    assert found(store, since=times[2]) == numbered[2:]
    assert found(store, until=times[2]) == numbered[:2]
    assert found(store, since=times[1], until=times[4]) == numbered[1:4]
    assert found(store, since="2999-01-01T00:00:00.000000Z") == []


def test_the_newest_that_fit_are_shown_oldest_first_a_page_at_a_time(store: Store, numbered: list[int]) -> None:
    with store.read() as connection:
        newest = query.entries(connection, Filter(), limit=2)
        assert [number for number, _ in newest] == numbered[-2:]
        earlier = query.entries(connection, Filter(), limit=3, before=newest[0][0])
        assert [number for number, _ in earlier] == numbered[1:4]


def test_one_entry_is_given_in_its_exact_text(store: Store, numbered: list[int]) -> None:
    with store.read() as connection:
        text = query.entry(connection, numbered[4])
        assert text is not None
        assert text.startswith('{"at":"')
        assert '"kind":"pause:set"' in text
        assert query.entry(connection, numbered[-1] + 1) is None


NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-03", "2026-11-03T00:00:00.000000Z"),
        ("2026-11-03T14:00", "2026-11-03T14:00:00.000000Z"),
        ("2026-11-03T14:00+01:00", "2026-11-03T13:00:00.000000Z"),
        ("2026-11-03T14:00:00.5Z", "2026-11-03T14:00:00.500000Z"),
        ("90m", "2026-11-03T10:30:00.000000Z"),
        ("2h", "2026-11-03T10:00:00.000000Z"),
        ("7d", "2026-10-27T12:00:00.000000Z"),
        ("1w", "2026-10-27T12:00:00.000000Z"),
        ("0s", "2026-11-03T12:00:00.000000Z"),
    ],
)
def test_moments_are_understood_as_people_write_them(text: str, meant: str) -> None:
    assert query.moment(text, NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "5",
        "5y",
        "-5h",
        "h",
        "2026-11-03T25:00",
        "999999999999d",
        "²d",
        "0001-01-01T00:00+23:59",
    ],
)
def test_a_moment_that_is_none_is_answered_with_what_is_understood(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write 2026-11-03"):
        query.moment(text, NOW)


@given(text=st.text(max_size=12))
def test_no_text_breaks_the_reading_of_moments(text: str) -> None:
    try:
        meant = query.moment(text, NOW)
    except ValueError:
        return
    assert len(meant) == 27
