"""``bridge rules new``: what it writes can be checked and tried at once, and nothing is overwritten."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.rule.methods import METHODS

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation

MANY = (
    "jira.read", "jira.search", "jira.comment", "jira.transition", "jira.edit", "jira.assign", "jira.create",
    "confluence.read", "confluence.create-page", "confluence.update-page", "confluence.comment", "confluence.label",
)  # fmt: skip
SOME = ("--title", 'Say "hello" \\ to all', "--owner", "team@example.com")


@pytest.mark.parametrize("kind", ["--steps", "--python"])
@pytest.mark.parametrize(("project", "space"), [("OPS", "ENG"), ("WEB", "DOCS")])
def test_a_new_rule_with_many_verbs_passes_check_and_test(bridge: Bridge, kind: str, project: str, space: str) -> None:
    verbs = [word for verb in MANY for word in ("--verb", verb)]
    made = bridge("rules", "new", "fresh", *SOME, *verbs, "--project", project, "--space", space, kind)
    assert made.status == 0, made.err
    assert bridge("rules", "check").out == "5 rules, no mistakes, no warnings\n"
    tried = bridge("rules", "test", "fresh")
    assert tried.status == 0, tried.out
    assert f"jira.create {project} observed by ops-bot" in tried.out
    assert f"confluence.create-page {space} observed by ops-bot" in tried.out


@pytest.mark.parametrize("source", ["jira-automation", "jira-webhook", "confluence-automation", "other"])
@pytest.mark.parametrize("verb", ["jira.comment", "confluence.label"])
def test_a_new_rule_of_every_source_passes_check_and_test(bridge: Bridge, source: str, verb: str) -> None:
    place = ("--project", "OPS") if verb.startswith("jira") else ("--space", "ENG")
    assert bridge("rules", "new", "fresh", *SOME, "--source", source, "--verb", verb, *place).status == 0
    assert bridge("rules", "check").out == "5 rules, no mistakes, no warnings\n"
    tried = bridge("rules", "test", "fresh")
    assert tried.status == 0, tried.out
    assert f"step:observed #1 {verb}" in tried.out


def test_a_new_rule_observes_and_says_what_to_do_next(bridge: Bridge, installation: Installation) -> None:
    said = bridge("rules", "new", "fresh", *SOME, "--verb", "jira.comment", "--project", "OPS")
    written = tomllib.loads((installation.rules / "fresh.toml").read_text(encoding="utf-8"))
    assert written["mode"] == "observe"
    assert written["title"] == 'Say "hello" \\ to all'
    assert written["account"] == "ops-bot"
    assert written["source"] == "jira-automation"
    assert "bridge rules test fresh" in said.out
    example = json.loads((installation.rules / "payloads" / "fresh" / "example.json").read_text(encoding="utf-8"))
    assert example["issue"]["key"] == "OPS-1"


def test_nothing_is_overwritten(bridge: Bridge, installation: Installation) -> None:
    before = installation.write("fresh.py", "mine\n")
    said = bridge("rules", "new", "fresh", *SOME, "--verb", "jira.comment", "--project", "OPS", "--steps")
    assert said.status == 2
    assert "is there already, and nothing is overwritten" in said.err
    assert before.read_text(encoding="utf-8") == "mine\n"
    assert not (installation.rules / "fresh.toml").exists()
    assert not (installation.rules / "payloads" / "fresh").exists()


def test_what_is_missing_is_named_all_at_once_where_nobody_can_be_asked(bridge: Bridge) -> None:
    said = bridge("rules", "new", "fresh")
    assert said.status == 2
    assert "give --title, --owner, --verb" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--verb", "comment", "--project", "OPS"], "the verb comment is jira.comment or confluence.comment"),
        (["--verb", "jira.coment", "--project", "OPS"], "did you mean 'jira.comment'?"),
        (["--verb", "jira.comment", "--project", "ops"], "scope.jira.ops: 'ops' is not the key of a project"),
        (["--verb", "jira.comment", "--project", "OPS", "--space", "ENG"], "no verb of confluence to do there"),
        (["--verb", "jira.comment"], "give --project"),
        (["--verb", "jira.comment", "--project", "OPS", "--account", "nobody"], "there is no account 'nobody'"),
    ],
)
def test_a_rule_that_would_be_none_is_refused_before_anything_is_written(
    bridge: Bridge, installation: Installation, arguments: list[str], sentence: str
) -> None:
    before = sorted(installation.rules.rglob("*"))
    said = bridge("rules", "new", "fresh", *SOME, *arguments)
    assert said.status == 2
    assert sentence in said.err
    assert sorted(installation.rules.rglob("*")) == before


@pytest.mark.parametrize("name", ["Fresh", "lib", "../fresh", "a-b", "a" * 65])
def test_a_name_that_cannot_be_a_rules_is_refused(bridge: Bridge, installation: Installation, name: str) -> None:
    said = bridge("rules", "new", name, *SOME, "--verb", "jira.comment", "--project", "OPS")
    assert said.status == 2
    assert sorted(path.name for path in installation.rules.glob("*.toml")) == [
        "change_approved.toml",
        "incident_follow_up.toml",
        "page_published.toml",
        "stale_page_review.toml",
    ]


def test_a_short_verb_is_that_of_the_sources_product(bridge: Bridge, installation: Installation) -> None:
    arguments = ("--source", "confluence-automation", "--verb", "comment", "--space", "ENG")
    assert bridge("rules", "new", "fresh", *SOME, *arguments).status == 0
    assert 'ENG = ["comment"]' in (installation.rules / "fresh.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["--steps", "--python"])
def test_every_verb_has_a_first_text_that_passes_check(bridge: Bridge, kind: str) -> None:
    verbs = [word for name in METHODS for word in ("--verb", name)]
    made = bridge("rules", "new", "fresh", *SOME, *verbs, "--project", "OPS", "--space", "ENG", kind)
    assert made.status == 0, made.err
    assert bridge("rules", "check").lines[-1] == "5 rules, no mistakes, no warnings"


def test_on_a_terminal_it_asks(installation: Installation) -> None:
    answers = ["Greet everybody", "team@example.com", "jira.comment jira.read", "OPS", "", "", "n"]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "rules", "new", "fresh"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    os.close(terminal)
    os.write(controller, "".join(f"{answer}\n" for answer in answers).encode())
    printed, _ = process.communicate(timeout=60)
    os.close(controller)
    assert process.returncode == 0, printed.decode()
    assert "Which team answers for it" in printed.decode()
    written = tomllib.loads((installation.rules / "fresh.toml").read_text(encoding="utf-8"))
    assert written["title"] == "Greet everybody"
    assert written["scope"]["jira"] == {"OPS": ["comment", "read"]}
    assert (installation.rules / "fresh.py").is_file()
