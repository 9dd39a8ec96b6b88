"""The command line on an installation of its own: run as ``bridge …`` would be, with what it prints and its status."""

import base64
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wsgiref.types import WSGIApplication

import pytest
from werkzeug.serving import make_server

from bridge import cli
from bridge.cli import compose
from bridge.cli.demo import copy_examples
from bridge.sandbox import seed
from bridge.sandbox.app import create_app
from bridge.sandbox.site import Site

EXAMPLES = Path(__file__).resolve().parents[2] / "rules"
KEY = b"k" * 32
CONFIG = """
[site.acme]
url = "{site}"

[account.ops-bot]
site = "acme"
email = "ops-bot-x1@serviceaccount.atlassian.com"

[account.ops-bot.jira]
token = "env:TEST_JIRA_TOKEN"
scopes = {jira}
expires = {expires}

[account.ops-bot.confluence]
token = "env:TEST_CONFLUENCE_TOKEN"
scopes = {confluence}
expires = {expires}

[web]
public_url = "https://bridge.example.com"
"""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Bridge = Callable[..., Said]


@dataclass(frozen=True)
class Installation:
    """Where the test's installation has its things."""

    home: Path
    rules: Path
    config: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file below the rules' directory."""
        path = self.rules / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def configure(self, site: str = "https://acme.atlassian.net", **changes: str) -> None:
        """Write bridge.toml with one account that has what the example rules need; values are TOML."""
        values = {
            "jira": str(sorted(seed.JIRA_SCOPES)),
            "confluence": str(sorted(seed.CONFLUENCE_SCOPES)),
            "expires": str((datetime.now(UTC) + timedelta(days=200)).date()),
        }
        self.config.write_text(CONFIG.format(site=site, **(values | changes)), encoding="utf-8")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with the example rules, one account and one secret."""
    made = Installation(tmp_path / "home", tmp_path / "rules", tmp_path / "bridge.toml")
    copy_examples(EXAMPLES, made.rules)
    made.configure()
    for name in ("BRIDGE_DATABASE_URL", "BRIDGE_REDIS_URL", "BRIDGE_EGRESS", "BRIDGE_AUTH_URL", "BRIDGE_ATLASSIAN_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BRIDGE_HOME", str(made.home))
    monkeypatch.setenv("BRIDGE_RULES", str(made.rules))
    monkeypatch.setenv("BRIDGE_CONFIG", str(made.config))
    monkeypatch.setenv("BRIDGE_SECRETS", f"k1:{base64.b64encode(KEY).decode()}")
    monkeypatch.setenv("TEST_JIRA_TOKEN", "the-jira-token")
    monkeypatch.setenv("TEST_CONFLUENCE_TOKEN", "the-confluence-token")
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def bridge(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bridge]:
    """Run ``bridge`` with these arguments, as its own process would, with settings read anew."""

    def run(*arguments: str) -> Said:
        compose.settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["bridge", *arguments])
        status: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code
        printed = capsys.readouterr()
        return Said(int(str(status or 0)), printed.out, printed.err)

    yield run
    compose.settings.cache_clear()


@contextmanager
def _served(application: WSGIApplication) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[WSGIApplication], str]]:
    """Serve an application on a loopback port until the test ends, and return its address."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda application: stack.enter_context(_served(application))


@pytest.fixture
def site(installation: Installation, serve: Callable[[WSGIApplication], str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """The demo's site, served for real, to which the installation's account has tokens."""
    made = seed.demo(Site(), {"the-jira-token": seed.token("jira"), "the-confluence-token": seed.token("confluence")})
    address = serve(create_app(made).wsgi_app)
    installation.configure(site=address)
    monkeypatch.setenv("BRIDGE_ATLASSIAN_URL", address)
    return made
