"""``bridge deliveries``: what an operator sees of deliveries, and what becomes of what they ask for."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.store import journal, registers
from bridge.store.tables import deliveries
from bridge.testing import Trial

CHANGE = {
    "change": "CHG-1",
    "approver": "Mia Keller",
    "incidents": ["OPS-1"],
    "approvedAt": "2026-11-03T10:00:00Z",
    "initiator": "712020:someone",
}


@pytest.fixture
def trial(installation: Any) -> Iterator[Trial]:
    """The installation's own database, filled by deliveries that really ran."""
    installation.home.mkdir(exist_ok=True)
    with Trial(installation.rules, database_url=f"sqlite:///{installation.home / 'bridge.db'}") as made:
        yield made


@pytest.fixture
def done(trial: Trial) -> str:
    """A delivery that is done."""
    return trial.send("change_approved", CHANGE).delivery


@pytest.fixture
def dead(trial: Trial) -> str:
    """A delivery that is dead after it wrote one comment: its second incident is out of the scope."""
    payload = {**CHANGE, "approvedAt": "2026-11-04T10:00:00Z", "incidents": ["OPS-1", "HR-1"]}
    report = trial.send("change_approved", payload)
    assert report.state == "dead"
    return report.delivery


@pytest.fixture
def queued(trial: Trial) -> str:
    """A delivery that nobody took up yet."""
    return trial.accept("page_published", {"page": {"id": 131076, "version": 1}})


class Terminal(io.StringIO):
    """What a person types, on a terminal."""

    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let a person type this when asked."""
    monkeypatch.setattr(sys, "stdin", Terminal(text))


# ------------------------------------------------------------------------------------------------------------- list


def test_an_empty_bridge_says_so(bridge: Any) -> None:
    said = bridge("deliveries", "list")
    assert (said.status, said.out, said.err) == (0, "no delivery fits\n", "")


def test_the_list_tells_what_became_of_each_newest_first(bridge: Any, done: str, dead: str, queued: str) -> None:
    said = bridge("deliveries", "list")
    assert said.status == 0
    assert said.lines[0].split() == ["ID", "RULE", "STATE", "ATTEMPT", "ACCEPTED_AT", "REASON"]
    assert [line.split()[:4] for line in said.lines[1:]] == [
        [queued, "page_published", "queued", "0"],
        [dead, "change_approved", "dead", "1"],
        [done, "change_approved", "done", "1"],
    ]
    assert said.lines[2].endswith("does not grant read in HR, where HR-1 is; it grants it in CHG, OPS")
    assert said.lines[3].endswith(" -")


def test_the_list_is_filtered_and_paged(bridge: Any, done: str, dead: str, queued: str) -> None:
    def listed(*arguments: str) -> list[str]:
        return [json.loads(line)["id"] for line in bridge("deliveries", "list", "--json", *arguments).lines]

    assert listed() == [queued, dead, done]
    assert listed("--rule", "change_approved") == [dead, done]
    assert listed("--state", "dead") == [dead]
    assert listed("--limit", "1") == [queued]
    assert listed("--before", dead) == [done]
    assert listed("--rule", "nobody") == []


def test_json_lines_hold_everything_but_the_payload(bridge: Any, done: str) -> None:
    [line] = bridge("deliveries", "list", "--json").lines
    row = json.loads(line)
    assert (row["id"], row["state"], row["rule"], row["initiator"]) == (
        done,
        "done",
        "change_approved",
        "712020:someone",
    )
    assert "payload" not in row


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--state", "broken"), "'broken' is not one of"),
        (("--limit", "0"), "0 is not in the range"),
        (("--limit", "x"), "'x' is not a valid integer"),
        (("--sort", "x"), "No such option"),
        (("extra",), "unexpected extra argument"),
    ],
)
def test_bad_usage_of_the_list_is_status_2(bridge: Any, arguments: tuple[str, ...], why: str) -> None:
    said = bridge("deliveries", "list", *arguments)
    assert (said.status, said.out) == (2, "")
    assert why in said.err


# ------------------------------------------------------------------------------------------------------------- show


def test_one_delivery_is_shown_with_all_that_happened_to_it(bridge: Any, dead: str) -> None:
    said = bridge("deliveries", "show", dead)
    assert said.status == 0
    head = dict(line.split(maxsplit=1) for line in said.lines[: said.lines.index("")])
    assert (head["id"], head["state"], head["initiator"], head["order_key"]) == (
        dead,
        "dead",
        "712020:someone",
        '["CHG-1"]',
    )
    told = [line.split("  ", 1)[1].strip() for line in said.lines[said.lines.index("") + 1 :]]
    assert told[0].startswith("delivery:received")
    assert any("step:outcome #3 jira.comment OPS-1 done by ops-bot" in line for line in told)
    assert any("step:refused #4 jira.read HR-1 refused by ops-bot" in line for line in told)
    assert "delivery:dead" in told[-1]
    assert "ops-bot" in said.out


def test_a_delivery_is_found_by_the_letters_that_people_copy(bridge: Any, done: str, dead: str) -> None:
    for letters in (done, done[-12:], done[-6:]):
        assert bridge("deliveries", "show", letters).lines[0].split()[1] == done
    for letters, count in ((done[:5], "2"), ("zzz", "no"), ("", "no"), ("%", "no")):
        said = bridge("deliveries", "show", letters)
        assert (said.status, said.out) == (2, "")
        assert said.err == f"bridge: {count} deliveries are called {letters!r}; give the whole id\n"
    assert dead != done


def test_show_as_json_is_one_object_with_the_entries(bridge: Any, done: str) -> None:
    shown = json.loads(bridge("deliveries", "show", "--json", done).out)
    assert shown["result"] == {"told": ["OPS-1"]}
    assert [entry["n"] for entry in shown["entries"]] == list(range(1, len(shown["entries"]) + 1))


def test_nothing_that_came_in_gives_orders_to_the_terminal(bridge: Any, trial: Trial, installation: Any) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    installation.write("evil.toml", (installation.rules / "page_published.toml").read_text())
    installation.write("evil.py", "def handle(event, context):\n    raise ValueError(event['text'])\n")
    payload = {"page": {"id": 131076, "version": 1}, "initiator": evil, "text": evil}
    delivery = trial.send("evil", payload).delivery
    for arguments in (("deliveries", "list"), ("deliveries", "show", delivery), ("audit", "list")):
        said = bridge(*arguments)
        assert said.status == 0
        assert all(line.isprintable() for line in said.lines), arguments


# ----------------------------------------------------------------------------------------------------------- replay


def test_a_dead_delivery_is_replayed_under_the_persons_name(bridge: Any, trial: Trial, dead: str) -> None:
    said = bridge("deliveries", "replay", dead[-12:], "--reason", "the incident moved", "--as", "mia")
    assert (said.status, said.lines) == (0, [f"{dead}  replayed"])
    with trial.store.read() as connection:
        entry = journal.of_delivery(connection, dead)[-1]
    assert (entry["kind"], entry["person"], entry["why"]) == ("delivery:replayed", "mia", "the incident moved")
    assert trial.report(dead).state == "queued"


def test_the_reason_is_asked_for_and_the_login_name_stands_in_the_log(
    bridge: Any, trial: Trial, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "jonas")
    typed(monkeypatch, "because\n")
    assert bridge("deliveries", "replay", dead).status == 0
    with trial.store.read() as connection:
        entry = journal.of_delivery(connection, dead)[-1]
    assert (entry["person"], entry["why"]) == ("jonas", "because")


def test_only_dead_deliveries_are_replayed_and_one_that_cannot_be_does_not_stop_the_others(
    bridge: Any, trial: Trial, done: str, dead: str
) -> None:
    said = bridge("deliveries", "replay", done, dead, "--reason", "x")
    assert said.status == 1
    assert said.lines == [f"{dead}  replayed"]
    assert said.err == f"{done}  delivery {done} is done: only a dead or parked one can be replayed\n"
    assert trial.report(done).state == "done"


def test_replay_by_rule_takes_its_dead_deliveries_only(bridge: Any, done: str, dead: str) -> None:
    said = bridge("deliveries", "replay", "--rule", "change_approved", "--reason", "x")
    assert (said.status, said.lines) == (0, [f"{dead}  replayed"])
    assert done not in said.out


def test_replay_of_nothing_named_is_bad_usage_and_not_everything(bridge: Any, trial: Trial, dead: str) -> None:
    said = bridge("deliveries", "replay", "--reason", "x")
    assert said.status == 2
    assert "which deliveries? give ids, --rule or --state" in said.err
    assert trial.report(dead).state == "dead"


def test_replay_from_the_start_lists_the_writes_that_were_made_and_asks_first(
    bridge: Any, trial: Trial, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "n\n")
    said = bridge("deliveries", "replay", dead, "--from-start", "--reason", "x")
    assert said.status == 1
    assert f"{dead}  step:outcome #3 jira.comment OPS-1 done by ops-bot" in said.out
    assert "These writes will be made again. Go on?" in said.out + said.err
    assert trial.report(dead).state == "dead"
    typed(monkeypatch, "y\n")
    assert bridge("deliveries", "replay", dead, "--from-start", "--reason", "x").status == 0
    assert trial.report(dead).state == "queued"


def test_replay_from_the_start_lists_a_write_of_unknown_fate_as_well(
    bridge: Any, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = {"fault": "reset-after", "match": {"operation": "addComment"}}
    trial.site.faults.order(order, trial.site.issues)
    delivery = trial.send("change_approved", CHANGE).delivery
    trial.store.commit(lambda connection: connection.execute(sa.update(deliveries).values(not_before=None)))
    claim = trial.client.post("/claim", json={"delivery": delivery, "worker": "w"}).json()
    said = {"delivery": delivery, "attempt": claim["attempt"], "ended": "unfit", "result": None, "error": "x"}
    trial.client.post("/finish", json=said, headers={"Authorization": f"Bearer {claim['capability']}"})
    assert trial.report(delivery).state == "dead"
    typed(monkeypatch, "n\n")
    shown = bridge("deliveries", "replay", delivery, "--from-start", "--reason", "x")
    assert "jira.comment OPS-1" in shown.out, "it may have been made, so it may be made twice"


def test_replay_from_the_start_with_nobody_to_ask_does_nothing(
    bridge: Any, trial: Trial, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "")
    assert bridge("deliveries", "replay", dead, "--from-start", "--reason", "x").status == 1
    assert trial.report(dead).state == "dead"
    assert bridge("deliveries", "replay", dead, "--from-start", "--reason", "x", "--yes").status == 0


def test_replay_of_what_is_not_there_says_so(bridge: Any, done: str) -> None:
    said = bridge("deliveries", "replay", "abc123", "--reason", "x")
    assert said.status == 2
    assert "no deliveries are called 'abc123'" in said.err
    said = bridge("deliveries", "replay", "--rule", "page_published", "--reason", "x")
    assert (said.status, said.out) == (0, "no delivery fits\n")
    assert done


# ----------------------------------------------------------------------------------------------------------- cancel


def test_a_delivery_that_waits_is_cancelled_under_the_persons_name(bridge: Any, trial: Trial, queued: str) -> None:
    said = bridge("deliveries", "cancel", queued, "--reason", "sent by mistake", "--as", "mia")
    assert (said.status, said.lines) == (0, [f"{queued}  cancelled"])
    report = trial.report(queued)
    assert (report.state, report.reason) == ("cancelled", "sent by mistake")
    assert (report.entries[-1]["person"], report.entries[-1]["was"]) == ("mia", "queued")
    assert trial.attempt(queued).state == "cancelled", "no worker gets it any more"


def test_what_is_over_is_not_cancelled(bridge: Any, done: str) -> None:
    said = bridge("deliveries", "cancel", done, "--reason", "x")
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        f"{done}  delivery {done} is done: only a queued, waiting, parked or dead one can be cancelled\n"
    )


def test_cancel_by_filter_takes_what_fits(bridge: Any, trial: Trial, dead: str, queued: str) -> None:
    said = bridge("deliveries", "cancel", "--state", "queued", "--reason", "x")
    assert (said.status, said.lines) == (0, [f"{queued}  cancelled"])
    assert trial.report(dead).state == "dead"


def test_cancel_of_nothing_named_is_bad_usage(bridge: Any, trial: Trial, queued: str) -> None:
    said = bridge("deliveries", "cancel", "--reason", "x")
    assert said.status == 2
    assert "which deliveries? give ids, --rule or --state" in said.err
    assert trial.report(queued).state == "queued"


def test_a_command_that_is_not_there_names_the_nearest(bridge: Any) -> None:
    assert bridge("deliverys").status == 2
    assert "did you mean deliveries?" in bridge("deliverys").err
    assert bridge("deliveries", "decideee").status == 2


def test_without_a_terminal_the_reason_has_to_be_given(bridge: Any, trial: Trial, dead: str) -> None:
    said = bridge("deliveries", "replay", dead)
    assert (said.status, "give --reason" in said.err) == (2, True)
    assert trial.report(dead).state == "dead"


def test_a_person_can_look_at_the_payload_and_at_what_was_asked_and_answered(
    bridge: Any, trial: Trial, done: str
) -> None:
    said = bridge("deliveries", "show", done, "--bodies").out
    assert '"approver"' in said
    assert "step 3 request" in said
    assert "was approved by" in said
    removed = trial.store.commit(
        lambda connection: connection.execute(sa.update(deliveries).values(payload=None)).rowcount
    )
    assert removed
    assert "payload\n  removed" in bridge("deliveries", "show", done, "--bodies").out


def test_a_delivery_that_a_pause_holds_says_so(bridge: Any, trial: Trial) -> None:
    bridge("pause", "rule", "change_approved", "--reason", "network works", "--as", "mia")
    trial.accept("change_approved", CHANGE)
    assert "rule change_approved is paused by mia: network works" in bridge("deliveries", "list").out


def test_cancel_by_rule_takes_only_what_can_be_cancelled(bridge: Any, done: str, dead: str) -> None:
    said = bridge("deliveries", "cancel", "--rule", "change_approved", "--reason", "x")
    assert (said.status, said.err) == (0, "")
    assert said.lines == [f"{dead}  cancelled"]


def test_the_text_of_a_rule_is_found_by_a_digest_of_the_log(bridge: Any, trial: Trial, done: str) -> None:
    found = trial.rules.current().rules["change_approved"]
    trial.store.commit(lambda connection: registers.keep_rule(connection, found.name, found.digest, found.texts, "mia"))
    digest = found.digest.removeprefix("sha256:")[:12]
    assert "def handle" in bridge("rules", "show", "change_approved", "--text", digest).out
    assert bridge("rules", "show", "change_approved", "--text", "0000").status == 2


@pytest.fixture
def parked(trial: Trial) -> str:
    """Return a delivery whose comment was in doubt and cannot be looked up, for its issue is not shown any more."""
    order = {"fault": "reset-after", "match": {"operation": "addComment"}}
    trial.site.faults.order(order, trial.site.issues)
    delivery = trial.send("change_approved", CHANGE).delivery
    trial.site.grant("ops-bot", set(), project="OPS")
    trial.store.commit(lambda connection: connection.execute(sa.update(deliveries).values(not_before=None)))
    assert trial.attempt(delivery).state == "parked"
    return delivery


def test_a_parked_delivery_is_decided_under_the_persons_name(bridge: Any, trial: Trial, parked: str) -> None:
    said = bridge("deliveries", "decide", parked, "--done", "--ref", "10204", "--reason", "I see it", "--as", "mia")
    assert (said.status, said.lines) == (0, [f"{parked}  decided: done"])
    shown = bridge("deliveries", "show", parked)
    assert "step:decided #3 jira.comment OPS-1 done by mia account=ops-bot ref=10204 (I see it)" in shown.out
    assert "delivery:decided by mia (I see it)" in shown.out
    assert trial.report(parked).state == "waiting"


def test_all_parked_deliveries_of_a_rule_are_decided_at_once(bridge: Any, parked: str) -> None:
    said = bridge("deliveries", "decide", "--rule", "change_approved", "--not-done", "--reason", "none is there")
    assert (said.status, said.lines) == (0, [f"{parked}  decided: not-done"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give one of --done, --not-done, --skip and --again"),
        (["--not-done", "--ref", "1"], "--ref goes with --done and one delivery"),
        (["--skip", "--state", "dead"], "only parked deliveries wait for a decision"),
    ],
)
def test_a_decision_that_says_too_little_or_too_much_is_bad_usage(
    bridge: Any, parked: str, arguments: list[str], sentence: str
) -> None:
    said = bridge("deliveries", "decide", parked, *arguments, "--reason", "x")
    assert said.status == 2
    assert sentence in said.err
