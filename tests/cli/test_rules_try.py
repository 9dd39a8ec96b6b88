"""``bridge rules test``: recorded payloads against a bridge and a site in the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

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


UNSTEADY = """
title = "A handler that is not the same twice"
owner = "team@example.com"
source = "jira-automation"
account = "ops-bot"
[accept]
idempotency_key = ["issue.id"]
[scope.jira]
OPS = ["comment"]
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("context.jira.comment('OPS-1', f'It is {datetime.now(UTC):%Y}.')", "step 1: body was "),
        ("context.jira.comment('OPS-1', f'It is {time.time():.0f}.')", "step 1: body was "),
        ("context.jira.comment('OPS-1', str(uuid.uuid4()))", "step 1: body was "),
        ("context.jira.comment('OPS-1', str(random.random()))", "step 1: body was "),
        ("[context.jira.comment(key, 'x') for key in set(event['keys'])]", "step 1: path was "),
        (
            "if datetime.now(UTC).year > event.received_at.year + 1:\n        context.jira.comment('OPS-1', 'late')",
            "step 1 is new: POST ",
        ),
        (
            "if datetime.now(UTC).year <= event.received_at.year + 1:\n        context.jira.comment('OPS-1', 'early')",
            "it made 0 steps, and 1 the first time",
        ),
    ],
    ids=["day", "time", "uuid", "random", "order of a set", "one step more", "one step less"],
)
def test_a_handler_that_would_do_something_else_in_a_further_attempt_is_reported_with_both_sides(
    bridge: Bridge, installation: Installation, body: str, said: str
) -> None:
    installation.write("fresh.toml", UNSTEADY)
    imports = "import random\nimport time\nimport uuid\nfrom datetime import UTC, datetime\n"
    installation.write("fresh.py", f"{imports}\n\ndef handle(event, context):\n    {body}\n")
    keys = ", ".join(f'"OPS-{number}"' for number in range(1, 8))
    installation.write("payloads/fresh/case.json", f'{{"issue": {{"id": 1, "key": "OPS-1"}}, "keys": [{keys}]}}')
    tried = bridge("rules", "test", "fresh")
    assert tried.status == 1
    assert f"FAIL    case: not deterministic: {said}" in tried.out


@pytest.mark.parametrize(
    "body",
    [
        "context.jira.comment('OPS-1', f'{event.received_at:%Y} {event.uuid(\"a\")}')",
        "context.jira.comment('OPS-1', f'It is {datetime.now(UTC):%Y}.', step='the year')",
        "[context.jira.comment(key, 'x') for key in sorted(set(event['keys']))]",
        "context.log(f'{datetime.now(UTC)}')",
    ],
    ids=["what the event gives", "a labelled step", "a sorted set", "a line of log"],
)
def test_a_handler_that_makes_the_same_calls_again_is_fine_whatever_the_clock_says(
    bridge: Bridge, installation: Installation, body: str
) -> None:
    installation.write("fresh.toml", UNSTEADY)
    installation.write("fresh.py", f"from datetime import UTC, datetime\n\n\ndef handle(event, context):\n    {body}\n")
    installation.write("payloads/fresh/case.json", '{"issue": {"id": 1, "key": "OPS-1"}, "keys": ["OPS-1", "OPS-2"]}')
    tried = bridge("rules", "test", "fresh")
    assert tried.status == 0, tried.out
