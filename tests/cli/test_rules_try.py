"""``bridge rules test``: recorded payloads against a bridge and a site in the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Bridge, Installation

WATCH = """
title = "Watch another project"
owner = "team@example.com"
source = "jira-automation"
account = "ops-bot"
[accept]
max_age = { field = "sent.at", seconds = 60 }
idempotency_key = ["issue.id"]
initiator = "initiator"
[scope.jira]
WEB = ["comment"]
[[step]]
verb = "jira.comment"
issue = "{{ issue.key }}"
body = "Seen by {{ event.delivery }} at {{ event.received_at }}."
"""
RECORDED = '{"issue": {"id": 7, "key": "WEB-41"}, "sent": {"at": "2020-01-01T00:00:00.000+0000"}}'


def test_the_examples_do_with_their_payloads_what_is_written_beside_them(bridge: Bridge) -> None:
    said = bridge("rules", "test")
    assert said.status == 0, said.out
    assert said.lines[-1] == "8 payloads: 8 as they should be"
    assert "  ok      moved_issue: dead: step 2 (jira.read HR-2) was refused" in said.out
    assert "            step:observed #1 confluence.label 131078 observed by ops-bot" in said.lines


def test_a_delivery_that_ends_other_than_done_fails_unless_that_is_expected(
    bridge: Bridge, installation: Installation
) -> None:
    (installation.rules / "payloads" / "change_approved" / "out_of_scope.expected").unlink()
    said = bridge("rules", "test", "change_approved")
    assert said.status == 1
    assert "  FAIL    out_of_scope: dead: step 2 (jira.read HR-1) was refused" in said.out
    assert said.lines[-1] == "5 payloads: 4 as they should be, 1 not"


def test_a_difference_from_what_is_expected_is_shown_and_can_be_accepted(
    bridge: Bridge, installation: Installation
) -> None:
    expected = installation.write("payloads/page_published/published.expected", "done\nstep:read #1 something else\n")
    said = bridge("rules", "test", "page_published")
    assert said.status == 1
    assert "          -step:read #1 something else" in said.lines
    assert "          +step:intent #2 confluence.label 131077 by ops-bot" in said.lines
    assert bridge("rules", "test", "page_published", "--update").status == 0
    assert expected.read_text(encoding="utf-8").splitlines()[2:4] == [
        "step:intent #2 confluence.label 131077 by ops-bot",
        "step:outcome #2 confluence.label 131077 done by ops-bot status=200",
    ]
    assert bridge("rules", "test", "page_published").status == 0


def test_projects_and_issues_that_the_sandbox_lacks_are_made_and_old_recordings_refreshed(
    bridge: Bridge, installation: Installation
) -> None:
    installation.write("watch.toml", WATCH)
    installation.write("payloads/watch/recorded.json", RECORDED)
    first, second = (bridge("rules", "test", "watch", "--update") for _ in range(2))
    assert first.status == 0
    assert first.out == second.out
    assert "            step:outcome #1 jira.comment WEB-41 done by ops-bot ref=<id> status=201" in first.lines


def test_a_rule_acts_as_its_own_account_under_the_ceiling_of_bridge_toml(
    bridge: Bridge, installation: Installation
) -> None:
    config = installation.config.read_text(encoding="utf-8").replace("ops-bot", "web-bot")
    other = config.replace('email = "', 'ceiling = { jira = { WEB = ["read"] } }\nemail = "', 1)
    installation.config.write_text(other, encoding="utf-8")
    for path in installation.rules.glob("*.toml"):
        path.write_text(path.read_text(encoding="utf-8").replace("ops-bot", "web-bot"), encoding="utf-8")
    installation.write("watch.toml", WATCH.replace("ops-bot", "web-bot"))
    installation.write("payloads/watch/recorded.json", RECORDED)
    said = bridge("rules", "test", "watch")
    assert said.status == 1
    assert "step:refused #1 jira.comment WEB-41 refused by web-bot" in said.out


def test_a_payload_that_ingress_refuses_is_told_with_its_answer(bridge: Bridge, installation: Installation) -> None:
    installation.write("payloads/page_published/empty.json", "{}")
    installation.write("payloads/page_published/broken.json", "{")
    said = bridge("rules", "test", "page_published")
    assert said.status == 1
    assert "  FAIL    empty: not taken: 422 Unprocessable Content: " in said.out
    assert "  FAIL    broken: cannot be read as JSON: " in said.out


def test_a_rule_without_payloads_is_no_failure_and_says_what_to_do(bridge: Bridge, installation: Installation) -> None:
    installation.write("watch.toml", WATCH)
    said = bridge("rules", "test", "watch")
    assert said.status == 0
    assert "there is no payloads/watch/*.json" in said.out


def test_a_trial_needs_neither_secrets_nor_tokens_and_leaves_nothing_behind(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installation.config.unlink()
    for name in ("BRIDGE_SECRETS", "BRIDGE_CONFIG", "TEST_JIRA_TOKEN"):
        monkeypatch.delenv(name)
    assert bridge("rules", "test", "page_published").status == 0
    assert not installation.home.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rules"]


def test_rules_with_mistakes_cannot_be_tried(bridge: Bridge, installation: Installation) -> None:
    installation.write("watch.toml", WATCH.replace("title", "titel"))
    said = bridge("rules", "test")
    assert said.status == 2
    assert "watch.toml:2: titel: unknown key" in said.err
