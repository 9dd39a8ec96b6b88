"""What holds for the code base as a whole: documented, named once, and free of what must not be committed."""

import re
import subprocess
from pathlib import Path

import pytest

from bridge.cli import COMMANDS
from bridge.rule.manifest import read
from bridge.store.deliveries import TRANSITIONS, State
from bridge.store.journal import Kind

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def committed() -> list[Path]:
    """Every file of the project, as git knows it; none when this is no checkout."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_setting_is_in_the_readme() -> None:
    text = (ROOT / "bridge" / "settings.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"(BRIDGE_[A-Z_]+)"', text)) - {"BRIDGE_EGRESS"}
    assert named
    assert {name for name in named if name not in README} == set()


def test_every_command_is_in_the_readme() -> None:
    assert {name for name in COMMANDS if f"bridge {name}" not in README and f"make {name}" not in README} == set()


def test_every_state_is_in_the_readme() -> None:
    assert {str(state) for state in State if f"{state}" not in README} == set()


def test_every_change_of_state_has_an_entry_of_its_own_subject() -> None:
    assert {kind for kind in TRANSITIONS.values() if not kind.startswith(("delivery:", "attempt:"))} == set()
    assert set(State) == {after for _, after in TRANSITIONS}


def test_kinds_of_entries_are_named_subject_and_fact() -> None:
    assert {kind for kind in Kind if not re.fullmatch(r"[a-z]+:[a-z]+", kind)} == set()


def test_the_rule_in_the_readme_is_one_that_can_be_loaded() -> None:
    (text,) = (block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[[step]]" in block)
    draft = read(text, "readme")
    assert [str(mistake) for mistake in draft.mistakes] == []


def test_the_lock_pins_every_package_by_hash_and_names_no_index() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("-") or "://" in line] == []
    pinned = [line for line in lines if line and not line.startswith(" ")]
    assert pinned
    assert [line for line in pinned if "==" not in line or not line.endswith("\\")] == []


def test_the_procfile_names_commands_that_exist() -> None:
    for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
        name, _, command = line.partition(": ")
        assert command == f"bridge {name}"
        assert name in COMMANDS


def test_no_path_of_a_machine_and_no_address_of_a_package_host_is_committed() -> None:
    files = committed()
    if not files:
        pytest.skip("this is no git checkout")
    unwanted = re.compile(r"/(?:work|root|home)/[a-z]|pypi\.org|pythonhosted")
    own = Path(__file__)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        if path != own and path.suffix in {".py", ".toml", ".md", ".lock", ".html", ""}
        for match in [unwanted.search(path.read_text(encoding="utf-8", errors="replace"))]
        if match
    ]
    assert found == []
