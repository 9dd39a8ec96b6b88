"""The sandbox's pages in a real Chromium: what a person sees after a delivery, by day, by night and on a phone."""

import json
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from bridge.testing import Trial

pytestmark = pytest.mark.host

ROOT = Path(__file__).resolve().parents[2]
# Without these, Chromium looks for its maker's servers and cannot run as root.
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--virtual-time-budget=4000")  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a sandbox on which the bridge has just commented on an issue."""
    payload = json.loads((ROOT / "rules/payloads/change_approved/approved.json").read_text(encoding="utf-8"))
    with Trial(ROOT / "rules") as trial:
        trial.send("change_approved", payload)
        server = make_server("127.0.0.1", 0, trial.sandbox, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()


def chromium(profile: Path, *arguments: str) -> str:
    """Run Chromium once with a profile of its own and return what it prints."""
    found = shutil.which("chromium")
    assert found, "tests/host/prepare installs chromium"
    command = [found, *QUIET, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


def size(picture: Path) -> tuple[int, int]:
    """Read width and height from a PNG's header (https://www.w3.org/TR/png/#11IHDR)."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return int(width), int(height)


def test_a_person_sees_that_the_service_account_commented(site: str, tmp_path: Path) -> None:
    page = chromium(tmp_path, "--dump-dom", f"{site}/browse/OPS-1")
    assert "ops-bot" in page
    assert "was approved by Ines Duarte" in page
    assert "service account" in page.lower()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_pages_can_be_looked_at(site: str, tmp_path: Path, look: str) -> None:
    for name, path in (("index", "/"), ("issue", "/browse/OPS-1"), ("page", "/wiki/spaces/ENG/pages/131077")):
        picture = tmp_path / f"{name}-{look}.png"
        width = 400 if look == "phone" else 1200
        dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if look == "dark" else []
        chromium(tmp_path / name, *dark, f"--window-size={width},1400", f"--screenshot={picture}", f"{site}{path}")
        assert size(picture) == (width, 1400)
