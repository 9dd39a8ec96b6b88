"""``bridge rules setup``: what an administrator types at the sender, which the bridge must then accept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bridge.ingress.signature import hub_secret, mint_token, webhook_secret
from bridge.settings import Secret

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation, Said

KEY = Secret("k1", b"k" * 32)
REST = """
title = "Hear of it"
owner = "team@example.com"
source = "{source}"
account = "ops-bot"
[accept]
require = [{require}]
{more}
[scope.jira]
OPS = ["comment"]
[[step]]
verb = "jira.comment"
issue = "OPS-1"
body = "{body}"
"""


def rule(installation: Installation, source: str, *, require: str = "", more: str = "", body: str = "seen") -> None:
    installation.write("heard.toml", REST.format(source=source, require=require, more=more, body=body))


def custom_data(said: Said) -> Any:
    """The JSON that Automation makes of what was printed, each smart value filled with its own name."""
    (text,) = re.findall(r"^\{\n.*?^\}", said.out, re.DOTALL | re.MULTILINE)
    quoted = re.sub(r'"\{\{(now\.format\("[^"]*"\))\}\}"', lambda match: json.dumps(match[1]), text)
    return json.loads(re.sub(r"\{\{([^}]*)\}\}", lambda match: json.dumps(match[1]), quoted))


def test_an_automation_is_told_letter_by_letter(bridge: Bridge) -> None:
    said = bridge("rules", "setup", "change_approved")
    assert (said.status, said.err) == (0, "")
    assert "1. Web request URL     https://bridge.example.com/hooks/change_approved" in said.lines
    assert "2. HTTP method         POST" in said.lines
    token = mint_token(KEY, "change_approved", 1)
    assert f"3. Headers             Authorization   Bearer {token}" in said.lines
    assert '"Hidden"' in said.out
    assert "                       Content-Type    application/json" in said.lines
    delay = "Delay execution of subsequent rule actions until we've received a response for this web request"
    assert f'6. Tick                "{delay}".' in said.lines
    assert "Unticked, it swallows failures" in said.out
    assert '7. Leave unticked      "Continue running the rule even if…"' in said.out
    assert "rule management API can read the token" in said.out


def test_the_custom_data_has_every_field_that_the_manifest_names(bridge: Bridge) -> None:
    assert custom_data(bridge("rules", "setup", "change_approved")) == {
        "change": "issue.key.asJsonString",
        "approver": "initiator.displayName.asJsonString",
        "incidents": "lookupIssues.key.asJsonStringArray",
        "approvedAt": "issue.updated.asJsonString",
        "initiator": "initiator.accountId.asJsonString",
    }


def test_the_custom_data_has_every_field_that_the_steps_read(bridge: Bridge) -> None:
    said = bridge("rules", "setup", "incident_follow_up")
    assert custom_data(said)["issue"]["fields"] == {
        "summary": "issue.summary.asJsonString",
        "updated": "issue.updated.asJsonString",
        "priority": {"name": "issue.priority.name.asJsonString"},
        "status": {"name": "issue.status.name.asJsonString"},
    }
    assert "Guessed" not in said.out


def test_guesses_are_named_as_guesses(bridge: Bridge) -> None:
    assert (
        "Guessed, look at them: change, approver, incidents and approvedAt."
        in bridge("rules", "setup", "change_approved").out
    )


def test_a_confluence_automation_gets_confluences_smart_values(bridge: Bridge) -> None:
    said = bridge("rules", "setup", "page_published")
    assert "In Confluence, open the automation" in said.out
    assert custom_data(said) == {
        "page": {"id": "page.id.asJsonString", "version": "page.version.asJsonString"},
        "initiator": "initiator.accountId.asJsonString",
    }


def test_a_time_that_is_judged_is_the_present_and_one_that_identifies_is_not(
    bridge: Bridge, installation: Installation
) -> None:
    more = 'idempotency_key = ["issue.id", "items.0.at"]\nmax_age = { field = "sentAt", seconds = 60 }'
    rule(installation, "jira-automation", require='"issue", "issue.key"', more=more, body="{{ words | join(', ') }}")
    filled = custom_data(bridge("rules", "setup", "heard"))
    assert filled == {
        "issue": {"key": "issue.key.asJsonString", "id": "issue.id.asJsonString"},
        "items": [{"at": "issue.at.asJsonString"}],
        "words": "issue.words.asJsonString",
        "sentAt": "now.format(\"yyyy-MM-dd'T'HH:mm:ss.SSSZ\")",
    }


@pytest.mark.parametrize(
    ("url", "warnings"),
    [
        ("https://bridge.example.com", []),
        ("https://bridge.example.com:8443/", []),
        ("https://bridge.example.com/hooks/change_approved", []),
        ("https://bridge.example.com:8000", ['port 8000 is none that "Send web request" may call']),
        ("http://bridge.example.com", ["the URL is not https"]),
        ("http://localhost:8080", ["the URL is not https", "localhost is this machine"]),
    ],
)
def test_an_address_that_automation_cannot_or_should_not_call_is_warned_of(
    bridge: Bridge, url: str, warnings: list[str]
) -> None:
    said = bridge("rules", "setup", "change_approved", "--url", url)
    assert said.status == 0
    assert f"{url.removesuffix('/').removesuffix('/hooks/change_approved')}/hooks/change_approved" in said.out
    told = [line for line in said.err.splitlines() if line]
    assert len(told) == len(warnings)
    assert all(warning in line for warning, line in zip(warnings, told, strict=True))


@pytest.mark.parametrize("url", ["bridge.example.com", "ftp://bridge.example.com", "https://bridge.example.com:port"])
def test_an_address_that_is_none_is_refused(bridge: Bridge, url: str) -> None:
    said = bridge("rules", "setup", "change_approved", "--url", url)
    assert said.status == 2
    assert "brt1" not in said.out


def test_without_any_address_it_says_where_to_give_one(bridge: Bridge, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("public_url", "# public_url"), encoding="utf-8")
    said = bridge("rules", "setup", "change_approved")
    assert said.status == 2
    assert "public_url under [web]" in said.err


def test_without_secrets_nothing_can_be_set_up(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_SECRETS")
    said = bridge("rules", "setup", "change_approved")
    assert said.status == 2
    assert "no secret is configured" in said.err


def test_jiras_own_webhook_gets_its_secret(bridge: Bridge, installation: Installation) -> None:
    rule(installation, "jira-webhook", require='"issue.key"')
    said = bridge("rules", "setup", "heard")
    assert said.status == 0
    assert f"4. Secret              {hub_secret(KEY, 'heard')}" in said.lines
    assert "the rule needs issue.key" in said.out


def test_another_sender_gets_a_standard_webhooks_secret(bridge: Bridge, installation: Installation) -> None:
    rule(installation, "other")
    said = bridge("rules", "setup", "heard", "--url", "https://bridge.example.com:8000")
    assert (said.status, said.err) == (0, "")
    assert f"3. Secret              {webhook_secret(KEY, 'heard')}" in said.lines


def test_who_was_shown_a_token_stands_in_the_log(bridge: Bridge) -> None:
    bridge("rules", "setup", "change_approved", "--as", "Ines Duarte")
    log = bridge("audit", "list", "--kind", "token:minted").out
    assert "change_approved" in log
    assert "by Ines Duarte" in log
    assert "brt1" not in log
