"""``bridge.env``: taken over by every command, as far as nothing else says otherwise, and only from a safe file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bridge.cli import envfile
from bridge.errors import SettingsInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Bridge, Installation


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(place: Path, text: str, mode: int = 0o600) -> Path:
    path = place / "bridge.env"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_what_is_written_is_read_the_same_here_and_by_a_shell(here: Path) -> None:
    values = {"A": "k1:bGFuZw+/==", "B": "/var/lib/my bridge", "C": "", "D": 'x;y|z&(1) $HOME `id` \\ "', "E": "a#b"}
    written(here, envfile.HEAD + "".join(f"{envfile.line(name, value)}\n" for name, value in values.items()))
    environ: dict[str, str] = {}
    envfile.load(environ)
    assert environ == values
    shell = 'set -a; . ./bridge.env; set +a; printf "%s\\n" "$A" "$B" "$C" "$D" "$E"'
    said = subprocess.run(["/bin/sh", "-c", shell], cwd=here, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == list(values.values())


def test_what_the_environment_has_already_stays(here: Path) -> None:
    written(here, "A=file\nB=file\n")
    environ = {"A": "shell"}
    envfile.load(environ)
    assert environ == {"A": "shell", "B": "file"}


def test_it_stands_beside_bridge_toml(here: Path, tmp_path: Path) -> None:
    (here / "etc").mkdir()
    written(here / "etc", "A=there\n")
    environ = {"BRIDGE_CONFIG": str(here / "etc" / "bridge.toml")}
    envfile.load(environ)
    assert environ["A"] == "there"


def test_exports_quotes_comments_and_blank_lines_are_understood(here: Path) -> None:
    written(here, "# a comment\n\nexport A='one two'   # said so\n B=\"three\"\nC=four # five\nD= # nothing\n")
    environ: dict[str, str] = {}
    envfile.load(environ)
    assert environ == {"A": "one two", "B": "three", "C": "four", "D": ""}


def test_what_a_shell_would_fill_in_is_refused_by_line_and_without_its_value(here: Path) -> None:
    written(here, 'A=1\nBRIDGE_RULES=$PWD/rules\nB="secret$(id)"\nnonsense\n')
    with pytest.raises(SettingsInvalid) as refused:
        envfile.load({})
    assert [(mistake.line, mistake.key) for mistake in refused.value.mistakes] == [
        (2, "BRIDGE_RULES"),
        (3, "B"),
        (4, ""),
    ]
    assert "secret" not in str(refused.value)


def test_what_a_shell_did_fill_in_is_not_read_again(here: Path) -> None:
    written(here, "export BRIDGE_RULES=$PWD/rules\n")
    environ = {"BRIDGE_RULES": "/srv/rules"}
    envfile.load(environ)
    assert environ == {"BRIDGE_RULES": "/srv/rules"}


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
def test_a_file_that_others_may_read_or_write_is_refused(here: Path, mode: int) -> None:
    written(here, "A=1\n", mode)
    environ: dict[str, str] = {}
    with pytest.raises(SettingsInvalid, match=r"is open to other users of this machine: chmod 600"):
        envfile.load(environ)
    assert environ == {}


def test_a_group_may_read_it_as_a_services_group_does(here: Path) -> None:
    written(here, "A=1\n", 0o640)
    environ: dict[str, str] = {}
    envfile.load(environ)
    assert environ == {"A": "1"}


def test_without_a_file_nothing_happens(here: Path) -> None:
    environ: dict[str, str] = {}
    envfile.load(environ)
    assert environ == {}


def test_a_value_that_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"A has quotes or control characters"):
        envfile.line("A", "it's")


def test_every_command_finds_it(bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_JIRA_TOKEN", "")
    monkeypatch.delenv("TEST_JIRA_TOKEN")
    written(installation.config.parent, "TEST_JIRA_TOKEN=the-jira-token\nBRIDGE_SECRETS=nonsense\n")
    said = bridge("doctor")
    assert "jira token is there" in said.out
    assert "ok    secrets: key k1" in said.lines, "the environment has the last word"


def test_a_file_that_cannot_be_read_stops_a_command_with_the_reason(bridge: Bridge, installation: Installation) -> None:
    written(installation.config.parent, "nonsense\n")
    said = bridge("doctor")
    assert said.status == 2
    assert said.err == "bridge: bridge.env:1: wants NAME=value\n"
