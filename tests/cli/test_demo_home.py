"""The demo's own home: it removes nothing that it did not make, and works on no database but its own."""

from pathlib import Path

import pytest

from bridge.cli import demo
from bridge.cli.demo import DemoFailed


def test_a_directory_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("[site.acme]\n", encoding="utf-8")
    with pytest.raises(DemoFailed, match="is not a demo's"):
        demo._lay_out(tmp_path)
    assert (tmp_path / "bridge.toml").exists()


def test_the_demo_does_not_touch_the_database_or_queue_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("BRIDGE_DATABASE_URL", "sqlite:////somebody/elses.db")
    monkeypatch.setenv("BRIDGE_REDIS_URL", "redis://elsewhere:6379/0")
    environment, _, _ = demo._lay_out(tmp_path / "demo")
    assert not {"BRIDGE_DATABASE_URL", "BRIDGE_REDIS_URL"} & set(environment)
    assert ((tmp_path / "demo" / "demo.env").stat().st_mode & 0o777) == 0o600
