"""``bridge pause`` and ``resume``, ``bridge token`` and ``bridge db``."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.store import schema
from bridge.testing import Refused, Trial

CHANGE = {"change": "CHG-1", "approver": "Mia Keller", "incidents": ["OPS-1"], "approvedAt": "1"}


@pytest.fixture
def trial(installation: Any) -> Iterator[Trial]:
    """A bridge on the installation's own database."""
    installation.home.mkdir(exist_ok=True)
    with Trial(installation.rules, database_url=f"sqlite:///{installation.home / 'bridge.db'}") as made:
        yield made


def entries(bridge: Any, *arguments: str) -> list[dict[str, Any]]:
    """Return entries of the log."""
    return [json.loads(line) for line in bridge("audit", "list", "--json", *arguments).lines]


# -------------------------------------------------------------------------------------------------- pause and resume


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (("rule", "change_approved"), "rule change_approved"),
        (("account", "ops-bot"), "account ops-bot"),
        (("all",), "all"),
    ],
)
def test_what_is_paused_waits_and_goes_on_when_it_is_resumed(
    bridge: Any, trial: Trial, subject: tuple[str, ...], shown: str
) -> None:
    said = bridge("pause", *subject, "--reason", "the site is being moved", "--as", "mia")
    assert (said.status, said.out) == (0, f"{shown}: paused; deliveries are accepted and wait\n")
    delivery = trial.accept("change_approved", CHANGE)
    assert trial.attempt(delivery).state == "queued"
    said = bridge("resume", *subject, "--reason", "it is over", "--as", "jonas")
    assert (said.status, said.out) == (0, f"{shown}: resumed\n")
    assert trial.attempt(delivery).state == "done"
    assert [(entry["kind"], entry["person"], entry["why"]) for entry in entries(bridge) if "what" in entry] == [
        ("pause:set", "mia", "the site is being moved"),
        ("pause:lifted", "jonas", "it is over"),
    ]


def test_a_pause_of_one_rule_leaves_the_others_alone(bridge: Any, trial: Trial) -> None:
    bridge("pause", "rule", "page_published", "--reason", "x")
    assert trial.send("change_approved", CHANGE).state == "done"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("rule", "change_aproved"), "there is no rule 'change_aproved'; there are: change_approved, "),
        (("rule",), "which rule? give its name"),
        (("account", "nobody"), "bridge.toml has no account 'nobody'; it has: ops-bot"),
        (("account",), "which account? give its name"),
        (("all", "rules"), "all takes no name"),
        (("site", "acme"), "'site' is not one of"),
        ((), "Missing argument"),
    ],
)
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_what_cannot_be_paused_is_bad_usage_and_named(
    bridge: Any, command: str, arguments: tuple[str, ...], why: str
) -> None:
    said = bridge(command, *arguments, "--reason", "x")
    if command == "resume" and arguments == ("rule", "change_aproved"):
        assert (said.status, said.out) == (1, "rule change_aproved: was not paused\n"), "its pause may have outlived it"
        return
    assert (said.status, said.out) == (2, "")
    assert why in said.err
    assert entries(bridge) == []


def test_what_was_not_paused_cannot_be_resumed(bridge: Any) -> None:
    said = bridge("resume", "all", "--reason", "x")
    assert (said.status, said.out) == (1, "all: was not paused\n")
    assert entries(bridge) == []


def test_the_pause_of_a_rule_that_is_gone_can_be_lifted(bridge: Any, installation: Any) -> None:
    bridge("pause", "rule", "page_published", "--reason", "x")
    for name in ("page_published.toml", "page_published.py"):
        (installation.rules / name).unlink()
    assert bridge("resume", "rule", "page_published", "--reason", "x").status == 0


def test_the_pause_of_an_account_that_is_gone_can_be_lifted(bridge: Any, installation: Any) -> None:
    bridge("pause", "account", "ops-bot", "--reason", "x")
    for path in installation.rules.glob("*.toml"):
        path.write_text(path.read_text().replace('"ops-bot"', '"new-bot"'))
    installation.config.write_text(installation.config.read_text().replace("account.ops-bot", "account.new-bot"))
    said = bridge("resume", "account", "ops-bot", "--reason", "it was renamed")
    assert said.status == 0, said.err


# ------------------------------------------------------------------------------------------------------------- token


def test_a_minted_token_opens_its_rule_and_the_log_says_who_minted_it(bridge: Any, trial: Trial) -> None:
    said = bridge("token", "mint", "page_published", "--as", "mia")
    assert said.status == 0
    [token] = said.lines
    assert token.startswith("brt1.k1.1.")
    [entry] = entries(bridge, "--kind", "token:minted")
    assert (entry["rule"], entry["person"], entry["key"], entry["token_version"]) == ("page_published", "mia", "k1", 1)
    assert token.rpartition(".")[2] not in json.dumps(entries(bridge))
    assert bridge("token", "show", "page_published").lines == [token]


def test_a_version_that_the_rule_does_not_list_is_minted_with_a_warning(bridge: Any) -> None:
    said = bridge("token", "mint", "page_published", "--version", "2")
    assert said.status == 0
    assert said.lines[0].startswith("brt1.k1.2.")
    assert said.err == "the rule lists versions 1: add 2 to accept.token_versions\n"


def test_without_a_version_the_newest_that_the_rule_lists_is_minted(bridge: Any, installation: Any) -> None:
    text = (
        (installation.rules / "page_published.toml")
        .read_text()
        .replace("[accept]", "[accept]\ntoken_versions = [3, 4]")
    )
    installation.write("page_published.toml", text)
    assert bridge("token", "mint", "page_published").lines[0].startswith("brt1.k1.4.")
    assert bridge("token", "show", "page_published").lines[0].startswith("brt1.k1.4.")


@pytest.mark.parametrize(
    ("source", "begins"), [("jira-webhook", ""), ("other", "whsec_"), ("confluence-automation", "brt1.k1.1.")]
)
def test_show_prints_what_the_rules_source_needs(bridge: Any, installation: Any, source: str, begins: str) -> None:
    text = (installation.rules / "page_published.toml").read_text().replace("confluence-automation", source)
    installation.write("page_published.toml", text)
    said = bridge("token", "show", "page_published")
    assert said.status == 0, said.err
    [secret] = said.lines
    assert secret.startswith(begins)
    assert len(secret) >= 32
    assert base64.b64encode(b"k" * 32).decode().rstrip("=") not in secret, "the master secret itself"


@pytest.mark.parametrize("command", ["mint", "show"])
def test_a_token_for_no_rule_is_bad_usage(bridge: Any, command: str) -> None:
    said = bridge("token", command, "nobody")
    assert (said.status, said.out) == (2, "")
    assert "there is no rule 'nobody'; `bridge rules list` shows them" in said.err
    assert bridge("token", command).status == 2
    assert bridge("token", "mint", "page_published", "--version", "0").status == 2


@pytest.mark.parametrize("command", ["mint", "show"])
def test_without_a_master_secret_no_token_is_made(bridge: Any, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", "")
    said = bridge("token", command, "page_published")
    assert (said.status, said.out) == (2, "")
    assert "no secret is configured" in said.err


def test_the_list_shows_which_key_and_version_was_last_used(bridge: Any, trial: Trial) -> None:
    assert bridge("token", "list").out == "no delivery was accepted yet\n"
    trial.send("change_approved", CHANGE)
    with pytest.raises(Refused):
        trial.send("page_published", {})
    said = bridge("token", "list")
    assert said.status == 0
    assert said.lines[0].split() == ["RULE", "SCHEME", "KEY", "VERSION", "LAST_USED"]
    assert [line.split()[0] for line in said.lines[1:]] == ["change_approved", "page_published"]
    assert [[cell.strip() for cell in line.split("  ") if cell.strip()][1:4] for line in said.lines[1:]] == [
        ["rule token", "trial", "1"]
    ] * 2
    [only] = [json.loads(line) for line in bridge("token", "list", "change_approved", "--json").lines]
    assert (only["rule"], only["version"]) == ("change_approved", 1)
    assert only["last_used"].endswith("Z")


# ---------------------------------------------------------------------------------------------------------------- db


def test_an_empty_database_is_made_and_a_current_one_left_alone(bridge: Any, installation: Any) -> None:
    said = bridge("db", "upgrade")
    assert (said.status, said.out) == (0, f"empty → {schema.newest()}\n")
    said = bridge("db", "upgrade")
    assert (said.status, said.out) == (0, f"nothing to do: {schema.newest()}\n")
    assert (installation.home / "bridge.db").stat().st_size > 0


@pytest.mark.parametrize("arguments", [("deliveries", "list"), ("audit", "list"), ("token", "list")])
def test_a_database_of_another_version_is_refused_with_what_to_run(
    bridge: Any, trial: Trial, arguments: tuple[str, ...]
) -> None:
    trial.store.commit(lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0'")))
    said = bridge(*arguments)
    assert (said.status, said.out) == (2, "")
    assert "run `bridge db upgrade`" in said.err


def test_a_database_of_a_newer_bridge_is_refused_in_a_sentence_by_upgrade_as_well(bridge: Any, trial: Trial) -> None:
    trial.store.commit(
        lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    )
    said = bridge("db", "upgrade")
    assert said.status == 2
    assert said.err.startswith("bridge: ")
    assert "9999" in said.err


def test_a_file_that_is_no_database_is_said_in_a_sentence(bridge: Any, installation: Any) -> None:
    installation.home.mkdir(exist_ok=True)
    (installation.home / "bridge.db").write_bytes(b"a letter to my aunt" * 500)
    for arguments in (("db", "upgrade"), ("audit", "list")):
        said = bridge(*arguments)
        assert said.status == 2
        assert said.err.startswith("bridge: the database cannot be used")
