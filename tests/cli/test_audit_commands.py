"""``bridge audit``: the log as an auditor reads it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.store import journal
from bridge.store.journal import Kind
from bridge.testing import Trial

CHANGE = {"change": "CHG-1", "approver": "Mia Keller", "incidents": ["OPS-1", "HR-1"], "approvedAt": "1"}


@pytest.fixture
def trial(installation: Any) -> Iterator[Trial]:
    """The installation's own database, filled by deliveries that really ran."""
    installation.home.mkdir(exist_ok=True)
    with Trial(installation.rules, database_url=f"sqlite:///{installation.home / 'bridge.db'}") as made:
        yield made


@pytest.fixture
def change(trial: Trial) -> str:
    """A delivery that commented on OPS-1 and was refused HR-1."""
    return trial.send("change_approved", CHANGE).delivery


@pytest.fixture
def page(trial: Trial) -> str:
    """A delivery that labelled a page and commented on it."""
    page = next(page.id for page in trial.site.pages.values() if page.title == "Runbooks")
    return trial.send("page_published", {"page": {"id": int(page), "version": 1}}).delivery


def entries(bridge: Any, *arguments: str) -> list[dict[str, Any]]:
    """Run ``audit list --json`` and return the entries."""
    said = bridge("audit", "list", "--json", *arguments)
    assert said.status == 0, said.err
    return [json.loads(line) for line in said.lines]


def test_a_log_without_entries_says_so(bridge: Any) -> None:
    said = bridge("audit", "list")
    assert (said.status, said.out) == (0, "no entry fits\n")


def test_every_line_of_an_action_names_when_which_delivery_rule_step_verb_target_and_who(
    bridge: Any, change: str
) -> None:
    said = bridge("audit", "list", "--outcome", "done")
    [line] = said.lines
    number, at, delivery, rule, rest = line.split(maxsplit=4)
    assert number.isdecimal()
    assert at.endswith("Z")
    assert delivery == change[-12:]
    assert rule == "change_approved"
    assert rest.startswith("step:outcome #3 jira.comment OPS-1 done by ops-bot ")


def test_the_letters_of_a_delivery_that_the_list_prints_find_it_again(bridge: Any, change: str) -> None:
    printed = bridge("audit", "list", "--outcome", "done").lines[0].split()[2]
    assert {entry["delivery"] for entry in entries(bridge, "--delivery", printed)} == {change}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--rule", "page_published", "--kind", "step:outcome"), ["confluence.label", "confluence.comment"]),
        (("--account", "ops-bot", "--kind", "step:intent"), ["jira.comment", "confluence.label", "confluence.comment"]),
        (("--target", "OPS-1", "--outcome", "done"), ["jira.comment"]),
        (("--verb", "comment", "--outcome", "done"), ["jira.comment", "confluence.comment"]),
        (("--verb", "jira.comment", "--outcome", "done"), ["jira.comment"]),
        (("--outcome", "refused"), ["jira.read"]),
        (("--outcome", "observed"), []),
        (("--since", "1h", "--outcome", "refused"), ["jira.read"]),
        (("--until", "1h"), []),
        (("--since", "2999-01-01"), []),
        (("--person", "mia"), []),
        (("--limit", "1", "--outcome", "done"), ["confluence.comment"]),
    ],
)
def test_the_log_is_filtered_by_what_an_auditor_asks_for(
    bridge: Any, change: str, page: str, arguments: tuple[str, ...], expected: list[str]
) -> None:
    assert [entry["verb"] for entry in entries(bridge, *arguments)] == expected
    assert change != page


def test_one_delivery_is_filtered_by_its_id_or_its_first_letters(bridge: Any, change: str, page: str) -> None:
    for letters in (change, change[:23]):
        assert {entry["delivery"] for entry in entries(bridge, "--delivery", letters)} == {change}
    assert page


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--since", "yesterday"), "'yesterday' is no time; write 2026-11-03"),
        (("--until", "2026-13-01"), "is no time"),
        (("--since", "999999999999d"), "is no time"),
        (("--outcome", "fine"), "'fine' is not one of"),
        (("--limit", "0"), "is not in the range"),
        (("--colour", "red"), "No such option"),
    ],
)
def test_bad_usage_of_the_list_is_status_2_with_what_is_understood(
    bridge: Any, arguments: tuple[str, ...], why: str
) -> None:
    said = bridge("audit", "list", *arguments)
    assert (said.status, said.out) == (2, "")
    assert why in said.err
    assert "Traceback" not in said.err


def test_one_entry_is_shown_with_every_member_and_its_exact_text(bridge: Any, change: str) -> None:
    [entry] = entries(bridge, "--outcome", "done")
    said = bridge("audit", "show", str(entry["id"]))
    assert said.status == 0
    shown = dict(line.split(maxsplit=1) for line in said.lines[: said.lines.index("")])
    assert (shown["account"], shown["verb"], shown["target"], shown["delivery"]) == (
        "ops-bot",
        "jira.comment",
        "OPS-1",
        change,
    )
    assert shown["answer"].startswith("sha256:")
    exact = said.lines[said.lines.index("") + 1]
    assert json.loads(exact) == {name: value for name, value in entry.items() if name != "id"}


@pytest.mark.parametrize(("number", "status"), [("999999", 1), ("0", 1), ("x", 2), ("-1", 2), (str(2**70), 1)])
def test_an_entry_that_is_not_there_is_said_in_a_sentence(bridge: Any, change: str, number: str, status: int) -> None:
    said = bridge("audit", "show", number)
    assert said.status == status, change
    assert "Traceback" not in said.err
    if status == 1:
        assert (said.out, said.err) == ("", f"there is no entry {number}\n")


def test_no_entry_gives_orders_to_the_terminal(bridge: Any, trial: Trial) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    number = trial.store.commit(
        lambda connection: journal.append(connection, Kind.PAUSED, what="all", person=evil, why=evil, target=evil)
    )
    assert all(line.isprintable() for line in bridge("audit", "list").lines)
    shown = bridge("audit", "show", str(number))
    assert "\x1b" not in shown.out
    assert all(line.isprintable() for line in shown.lines[: shown.lines.index("")]), "all but the exact text"


def test_a_database_that_is_of_another_version_or_unguarded_is_not_read(bridge: Any, trial: Trial) -> None:
    import sqlalchemy as sa

    trial.store.commit(lambda connection: connection.execute(sa.text("DROP TRIGGER journal_no_update")))
    said = bridge("audit", "list")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("bridge: the journal is not protected against change: journal_no_update missing")
