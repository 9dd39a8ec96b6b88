"""``bridge rules list``, ``show``, ``check`` and ``verbs``: what an administrator reads before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.catalogue import lookups
from bridge.egress.resolve import RESOLVERS
from bridge.rule.methods import METHODS

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation


def test_the_list_says_of_each_rule_who_acts_where_and_whether_it_only_observes(bridge: Bridge) -> None:
    said = bridge("rules", "list")
    assert said.status == 0
    heading, *rows = said.lines
    assert heading.split() == ["NAME", "MODE", "PAUSED", "SOURCE", "ACCOUNT", "SCOPE", "TITLE"]
    assert [row.split()[0] for row in rows] == [
        "change_approved",
        "incident_follow_up",
        "page_published",
        "stale_page_review",
    ]
    assert "CHG: read, OPS: comment read" in rows[0]
    assert rows[3].split()[1] == "observe"


def test_the_list_for_programs_has_the_whole_scope(bridge: Bridge) -> None:
    first = json.loads(bridge("rules", "list", "--json").lines[0])
    assert first["scope"] == {"jira": {"CHG": ["read"], "OPS": ["comment", "read"]}}
    assert first["paused"] is None


def test_the_list_shows_which_rules_are_paused(bridge: Bridge) -> None:
    assert bridge("pause", "rule", "page_published", "--reason", "too many").status == 0
    paused = {row["name"]: row["paused"] for row in map(json.loads, bridge("rules", "list", "--json").lines)}
    assert paused == {
        "change_approved": None,
        "incident_follow_up": None,
        "page_published": "rule",
        "stale_page_review": None,
    }
    bridge("pause", "account", "ops-bot", "--reason", "new token")
    listed = {json.loads(line)["paused"] for line in bridge("rules", "list", "--json").lines}
    assert listed == {"account", "account, rule"}


def test_a_database_that_is_away_keeps_nobody_from_reading_the_list(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    said = bridge("rules", "list")
    assert said.status == 0
    assert "whether rules are paused cannot be told" in said.err
    assert said.lines[1].split()[2] == "?"


def test_an_empty_directory_says_how_to_begin(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (installation.home / "none").mkdir(parents=True)
    monkeypatch.setenv("BRIDGE_RULES", str(installation.home / "none"))
    said = bridge("rules", "list")
    assert (said.status, "bridge rules new" in said.out) == (0, True)


def test_a_rule_is_shown_in_words(bridge: Bridge) -> None:
    said = bridge("rules", "show", "incident_follow_up")
    assert said.status == 0
    assert said.lines[0] == "incident_follow_up: Close an incident that is under control and plan its follow-up"
    for sentence in (
        "platform-ops@example.com",
        "step 2: Comment on work item (jira.comment)",
        "ops-bot (ops-bot-x1@serviceaccount.atlassian.com) on https://acme.atlassian.net",
        "with this rule's token, version 1; the body is not signed, so it is only a claim",
        "only bodies that have issue.key and issue.fields.summary",
        "the same issue.id and issue.fields.updated once",
        "one after another for the same issue.key; a dead one lets the next run",
        "comment, create, transition in jira project OPS",
        "only the transitions Done",
        "dead after 8 failures, or 1 day after it came",
        "jira, classic: read:jira-user read:jira-work write:jira-work",
        "digest        sha256:",
    ):
        assert sentence in said.out, sentence
    assert max(map(len, said.lines)) <= 120


def test_what_a_rule_only_observes_and_limits_is_said(bridge: Bridge) -> None:
    assert (
        "observe: reads and refuses as always, but writes are only logged"
        in bridge("rules", "show", "stale_page_review").out
    )
    shown = bridge("rules", "show", "page_published").out
    assert "only on the issue or page that the delivery names" in shown
    assert "runs handle() of page_published.py" in shown
    assert "write:label:confluence" in shown


def test_a_rule_that_is_not_there_is_answered_with_the_nearest(bridge: Bridge) -> None:
    said = bridge("rules", "show", "change_aproved")
    assert said.status == 2
    assert "did you mean 'change_approved'?" in said.err


def test_rules_without_mistakes_pass_the_check(bridge: Bridge) -> None:
    said = bridge("rules", "check")
    assert (said.status, said.lines) == (0, ["4 rules, no mistakes, no warnings"])


def test_every_mistake_of_every_rule_is_told_with_its_place(bridge: Bridge, installation: Installation) -> None:
    installation.write("one.toml", 'title = "x"\nownr = "y"\nsource = "jira-automaton"\naccount = "ops-bot"\n')
    installation.write("two.py", "def handel(event, context):\n    return None\n")
    said = bridge("rules", "check")
    assert said.status == 1
    assert said.lines[:-1] == sorted(said.lines[:-1], key=lambda line: line.partition(":")[0])
    assert "rules/one.toml:2: ownr: unknown key; did you mean 'owner'?" in said.lines
    assert any(line.startswith("rules/one.toml:3: source: must be one of") for line in said.lines)
    assert any(line.startswith("rules/one.toml: owner: is missing") for line in said.lines)
    assert any(line.startswith("rules/two.py") for line in said.lines)
    assert said.lines[-1].endswith("in 2 files; none of the rules is taken")


def test_warnings_are_told_apart_and_are_no_failure(bridge: Bridge, installation: Installation) -> None:
    text = (installation.rules / "page_published.toml").read_text(encoding="utf-8")
    installation.write("page_published.toml", text.replace("idempotency_key", "# idempotency_key"))
    said = bridge("rules", "check")
    assert (said.status, said.lines) == (0, ["4 rules, no mistakes, 1 warning"])
    assert said.err.startswith("warning: rules/page_published.toml:")


def test_the_check_needs_no_bridge_toml(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.config.unlink()
    monkeypatch.delenv("BRIDGE_CONFIG")
    said = bridge("rules", "check")
    assert said.status == 0
    assert said.lines[0].startswith("accounts and their OAuth scopes were not compared: there is no ")


def test_settings_that_cannot_be_read_are_another_matter_than_mistakes(
    bridge: Bridge, installation: Installation
) -> None:
    installation.config.write_text("[site.acme]\n", encoding="utf-8")
    said = bridge("rules", "check")
    assert said.status == 2
    assert "site.acme.url" in said.err


def test_all_verbs_are_listed_in_brief_with_the_names_that_automation_has_for_them(bridge: Bridge) -> None:
    said = bridge("rules", "verbs")
    assert said.status == 0
    first = [line.split()[0] for line in said.lines if line.startswith("  ")]
    assert [word for word in first if word in METHODS] == [*METHODS]
    assert any(line.split(None, 1) == ["jira.edit", "Edit work item"] for line in said.lines)


def test_a_verb_is_explained_with_its_arguments_scope_operations_and_what_happens_in_doubt(bridge: Bridge) -> None:
    said = bridge("rules", "verbs", "jira.edit")
    assert said.status == 0
    assert "in a step     issue: a work item's key or id (needed)" in said.out
    assert "add: a table (one of set, add, remove, clear is needed)" in said.out
    assert "operation     editIssue: write:jira-work | write:issue:jira" in said.out
    assert "where it is   getIssue: read:jira-work |" in said.out
    assert "in doubt      The fields are set to the same values once more" in said.out


def test_an_action_that_no_verb_does_is_found_by_its_name_in_automation_with_the_reason(bridge: Bridge) -> None:
    said = bridge("rules", "verbs", "survey")
    assert (said.status, said.lines[0]) == (0, "Get survey: no verb does this. Surveys have no public API.")


def test_a_verb_that_is_none_is_told_the_nearest_one(bridge: Bridge) -> None:
    said = bridge("rules", "verbs", "jira.comentt")
    assert said.status == 2
    assert "did you mean 'jira.comment'" in said.err


def test_the_page_of_verbs_beside_the_rules_is_what_the_command_writes(bridge: Bridge) -> None:
    page = Path(__file__).resolve().parents[2] / "rules" / "VERBS.md"
    said = bridge("rules", "verbs", "--page")
    assert page.read_text(encoding="utf-8") == said.out, "run `make verbs` and look at what changed"


def test_the_verbs_for_programs_have_each_operation_and_its_oauth_scopes(bridge: Bridge) -> None:
    said = [*map(json.loads, bridge("rules", "verbs", "--json").lines)]
    assert {"unavailable": "Get survey", "why": "Surveys have no public API."} in said
    verbs = {line["verb"]: line for line in said if "verb" in line}
    label = verbs["confluence.label"]
    assert label["operations"][0]["oauth_scopes"] == [
        ["write:confluence-content"],
        ["read:label:confluence", "write:label:confluence"],
    ]
    assert [(each["name"], each["kind"]) for each in label["arguments"]] == [("page", "page"), ("labels", "words")]


def test_every_look_up_of_egress_is_counted() -> None:
    assert lookups.LOOK_UPS.keys() == RESOLVERS.keys() - {"repeat", "gone"}
