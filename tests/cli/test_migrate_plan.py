"""``bridge migrate plan`` and ``write``: what people see of their automations, and what is written of them."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "automation-rules"
SECRET = "c29tZWJvZHk6c2VjcmV0"
GIVEN = ("--owner", "team@example.com", "--project", "10000=OPS")


def node(kind: str, value: Any) -> dict[str, Any]:
    return {"id": kind, "component": "ACTION", "type": kind, "value": value, "children": [], "conditions": []}


def export(name: str = "Look after incidents", *components: Any, **more: Any) -> dict[str, Any]:
    """An export of Jira Cloud with one automation."""
    header = {"name": "Authorization", "value": f"Basic {SECRET}", "headerSecure": True}
    foreign = node("jira.issue.outgoing.webhook", {"url": "https://ci.example.com/x", "headers": [header]})
    rule = {
        "name": name,
        "state": "ENABLED",
        "idUuid": "019e7434-f5c7-7d87-9061-5d5ea978cb79",
        "actor": {"type": "ACCOUNT_ID", "value": "5b10ac8d82e05b22cc7d4ef5"},
        "authorAccountId": "5b10ac8d82e05b22cc7d4ef5",
        "canOtherRuleTrigger": False,
        "ruleScope": {"resources": ["ari:cloud:jira:4e11:project/10000"]},
        "trigger": {**node("jira.issue.event.trigger:created", {}), "component": "TRIGGER"},
        "components": list(components) or [node("jira.issue.comment", {"comment": "Hello {{issue.summary}}"}), foreign],
        "checksum": {"version": 3, "value": "x"},
        **more,
    }
    return {"cloud": True, "rules": [rule]}


def written(place: Path, data: Any) -> str:
    place.write_text(json.dumps(data), encoding="utf-8")
    return str(place)


def test_a_plan_says_what_is_done_what_stays_and_shows_no_secret(bridge: Bridge, tmp_path: Path) -> None:
    said = bridge("migrate", "plan", written(tmp_path / "export.json", export()))
    assert said.status == 0, said.err
    assert "Look after incidents  enabled  5b10ac8d82e05b22cc7d4ef5  partly  1       1     1" in said.out
    assert "bridge    Comment on work item: jira.comment (rule 1)" in said.out
    assert "stays     Send web request: it calls another system, which no rule reaches" in said.out
    assert "a credential stands in it: Look after incidents: ci.example.com (header Authorization)" in said.out
    assert "depends on a person: Look after incidents acts as 5b10ac8d82e05b22cc7d4ef5" in said.out
    assert "OAuth scopes for jira: read:jira-user read:jira-work write:jira-work" in said.out
    assert SECRET not in said.out + said.err


def test_a_plan_needs_no_set_up(bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.config.unlink()
    monkeypatch.delenv("BRIDGE_SECRETS")
    place = written(installation.config.parent / "export.json", export())
    assert bridge("migrate", "plan", place).status == 0
    assert not installation.home.exists()


def test_a_plan_as_json_is_one_line_for_each_automation(bridge: Bridge, tmp_path: Path) -> None:
    two = {"cloud": True, "rules": [*export("One")["rules"], *export("Two")["rules"]]}
    said = bridge("migrate", "plan", "--json", written(tmp_path / "export.json", two))
    found = [json.loads(line) for line in said.lines]
    assert [(each["automation"], each["leaves"], each["verbs"]) for each in found] == [
        ("One", "partly", ["jira.comment"]),
        ("Two", "partly", ["jira.comment"]),
    ]
    assert [each["by"] for each in found[0]["actions"]] == ["bridge", "stays"]
    assert found[0]["credentials"] == [
        {"host": "ci.example.com", "where": ["header Authorization"], "atlassian": False}
    ]
    assert SECRET not in said.out


@pytest.mark.parametrize("ending", ["md", "html"])
def test_the_page_can_be_handed_round_and_its_names_are_harmless(bridge: Bridge, tmp_path: Path, ending: str) -> None:
    place = written(tmp_path / "export.json", export("<script>alert(1)</script> | x"))
    said = bridge("migrate", "plan", place, "--page", str(tmp_path / f"page.{ending}"))
    assert said.status == 0, said.err
    text = (tmp_path / f"page.{ending}").read_text(encoding="utf-8")
    assert "What to ask for" in text
    assert "<script>" not in text
    assert SECRET not in text


def test_unknown_types_are_printed_ready_to_map_without_values_and_a_mapping_makes_them_known(
    bridge: Bridge, tmp_path: Path
) -> None:
    unknown = node("confluence.page.label.add", {"labels": ["very secret"], "mode": "all"})
    confluence = export("Label it", unknown, ruleScope={"resources": ["ari:cloud:confluence:4e11:space/ENG"]})
    place = written(tmp_path / "export.json", confluence)
    said = bridge("migrate", "plan", "--unknown", place)
    assert 'type = "confluence.page.label.add"' in said.out
    assert "# members of its value: labels, mode" in said.out
    assert "secret" not in said.out
    (tmp_path / "map.toml").write_text(
        '[[component]]\ntype = "confluence.page.label.add"\nverb = "confluence.label"\n'
        'arguments = { page = "{{page.id}}", labels = "<labels>" }\n',
        encoding="utf-8",
    )
    mapped = bridge("migrate", "plan", place, "--mapping", str(tmp_path / "map.toml"))
    assert "bridge    Add label: confluence.label (rule 1)" in mapped.out or "confluence.label (rule 1)" in mapped.out
    assert "page.id" in mapped.out


def test_files_that_are_none_get_a_line_each_and_the_others_are_planned(bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    written(tmp_path / "exports" / "good.json", export())
    (tmp_path / "exports" / "cut.json").write_text('{"rules": [{"na', encoding="utf-8")
    (tmp_path / "exports" / "empty.json").write_text("", encoding="utf-8")
    said = bridge("migrate", "plan", str(tmp_path / "exports"), str(tmp_path / "absent.json"))
    assert said.status == 1
    assert "Look after incidents" in said.out
    assert len(said.err.splitlines()) == 3
    assert all(line.startswith("bridge: ") for line in said.err.splitlines())


def test_a_rule_a_payload_and_two_forms_of_the_automation_are_written_checked_and_tried(
    bridge: Bridge, installation: Installation, tmp_path: Path
) -> None:
    place = written(tmp_path / "export.json", export())
    said = bridge("migrate", "write", place, "-o", str(tmp_path / "out"), *GIVEN)
    assert said.status == 0, said.err
    rule = tomllib.loads((tmp_path / "out" / "rules" / "look_after_incidents.toml").read_text(encoding="utf-8"))
    assert (rule["mode"], rule["account"], rule["scope"]["jira"]) == ("observe", "ops-bot", {"OPS": ["comment"]})
    assert rule["step"][0]["body"] == "Hello {{ issue.summary }}"
    assert "tried look_after_incidents: done" in said.out
    assert "step:observed #1 jira.comment OPS-1 observed by ops-bot" in said.out
    directory = tmp_path / "out" / "automations" / "look_after_incidents"
    assert {path.name for path in directory.iterdir()} == {"observe.json", "act.json", "original.json", "about.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    token = re.search(r"brt1\.\S+?\"", (directory / "act.json").read_text(encoding="utf-8"))
    assert token is not None
    assert token[0].strip('"') not in said.out + said.err
    assert SECRET not in said.out + said.err
    minted = bridge("audit", "list", "--json")
    assert minted.out.count("token:minted") == 2
    assert installation.rules.exists()


def test_nothing_is_overwritten_and_what_cannot_be_written_says_what_to_do(bridge: Bridge, tmp_path: Path) -> None:
    place = written(tmp_path / "export.json", export())
    nameless = bridge("migrate", "write", place, "-o", str(tmp_path / "out"), "--owner", "team@example.com")
    assert nameless.status == 1
    assert "which key has project 10000? Give --project 10000=KEY" in nameless.err
    assert bridge("migrate", "write", place, "-o", str(tmp_path / "out"), *GIVEN).status == 0
    again = bridge("migrate", "write", place, "-o", str(tmp_path / "out"), *GIVEN)
    assert again.status == 1
    assert "is there already, and nothing is overwritten" in again.err


def test_two_automations_of_one_name_become_two_rules_and_a_bad_one_keeps_none_from_being_written(
    bridge: Bridge, tmp_path: Path
) -> None:
    center = {**export("Old")["rules"][0], "actorAccountId": "JIRAUSER1"}
    rules = [*export("../Tidy up")["rules"], center, *export("../Tidy up")["rules"]]
    place = written(tmp_path / "export.json", {"cloud": True, "rules": rules})
    said = bridge("migrate", "write", place, "-o", str(tmp_path / "out"), *GIVEN)
    assert said.status == 1
    assert "(Old): export of Jira Data Center: read for planning only" in said.err
    assert {path.stem for path in (tmp_path / "out" / "rules").glob("*.toml")} == {"tidy_up", "tidy_up_2"}


def test_masked_headers_are_not_written_back(bridge: Bridge, tmp_path: Path) -> None:
    data = json.loads(json.dumps(export()).replace(f"Basic {SECRET}", "********"))
    said = bridge("migrate", "write", written(tmp_path / "export.json", data), "-o", str(tmp_path / "out"), *GIVEN)
    assert said.status == 1
    assert "its hidden headers are masked" in said.err
    assert not (tmp_path / "out").exists()


def test_a_plan_of_5_mb_takes_seconds(bridge: Bridge, tmp_path: Path) -> None:
    many = [node("jira.issue.comment", {"comment": "Hello {{issue.summary}}"}) for _ in range(60)]
    rules = [export(f"Automation {number}", *many)["rules"][0] for number in range(600)]
    place = written(tmp_path / "export.json", {"cloud": True, "rules": rules})
    assert Path(place).stat().st_size > 5_000_000
    begun = time.monotonic()
    said = bridge("migrate", "plan", place)
    assert said.status == 0, said.err
    assert "600 automations, 600 enabled" in said.out
    assert time.monotonic() - begun < 90


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the example automations are not beside this checkout")
def test_every_example_is_planned_without_error_and_the_counts_are_printed(bridge: Bridge) -> None:
    said = bridge("migrate", "plan", str(EXAMPLES))
    assert said.status == 0, said.err
    assert "9 automations, 8 enabled; they leave their actor: 6 entirely, 3 partly and 0 not at all" in said.out
    assert "20 actions by the bridge with 15 rules; 4 stay" in said.out


def test_a_repository_that_would_take_the_secrets_is_warned_of(bridge: Bridge, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607 - git is what is asked about
    place = written(tmp_path / "export.json", export())
    said = bridge("migrate", "write", place, "-o", str(tmp_path / "out"), *GIVEN)
    assert said.status == 0, said.err
    assert "add it to .gitignore" in said.err
