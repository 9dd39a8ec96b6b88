"""``bridge rules watch`` and ``bridge rules schema``."""

from __future__ import annotations

import json
import tomllib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft7Validator

from bridge.cli.watch import changes, tried
from bridge.rule.manifest import read
from bridge.rule.methods import METHODS
from bridge.rule.schema_json import manifest_schema

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation

EXAMPLES = Path(__file__).resolve().parents[2] / "rules"


def test_what_was_saved_is_told_once_and_together(tmp_path: Path) -> None:
    looks = 0

    def wait() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            (tmp_path / "one.toml").write_text("x", encoding="utf-8")
        if looks == 3:
            (tmp_path / "payloads").mkdir()
            (tmp_path / "payloads" / "one.json").write_text("{}", encoding="utf-8")
            (tmp_path / "notes.txt").write_text("not looked at", encoding="utf-8")
        if looks == 6:
            (tmp_path / "one.toml").unlink()

    found = list(islice(changes(tmp_path, wait), 3))
    assert [[path.name for path in each] for each in found] == [[], ["one.toml", "one.json"], ["one.toml"]]


def test_a_rule_with_mistakes_is_told_and_does_not_end_the_watching(
    bridge: Bridge, installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bridge("rules", "list").status == 0
    tried(("change_approved",))
    assert "as they should be" in capsys.readouterr().out
    installation.write("change_approved.toml", "title = ")
    tried(("change_approved",))
    assert "change_approved.toml" in capsys.readouterr().err
    tried(("no_such_rule",))
    assert capsys.readouterr().err.startswith("bridge: ")


def test_the_schema_takes_every_example_rule_and_finds_what_check_finds(bridge: Bridge) -> None:
    said = bridge("rules", "schema")
    assert said.status == 0, said.err
    judge = Draft7Validator(json.loads(said.out))
    Draft7Validator.check_schema(json.loads(said.out))
    for path in EXAMPLES.glob("*.toml"):
        assert [error.message for error in judge.iter_errors(tomllib.loads(path.read_text(encoding="utf-8")))] == []
    text = (EXAMPLES / "incident_follow_up.toml").read_text(encoding="utf-8")
    for wrong in ('mode = "watch"\n', 'titel = "x"\n'):
        assert not judge.is_valid(tomllib.loads(wrong + text))
        assert read(wrong + text, "one").manifest is None
    without = tomllib.loads(text.replace("summary     =", "sumary      ="))
    assert not judge.is_valid(without)


def test_the_schema_knows_every_verb_of_a_step() -> None:
    offered = {
        each["properties"]["verb"]["const"] for each in manifest_schema()["properties"]["step"]["items"]["oneOf"]
    }
    assert offered == set(METHODS)
