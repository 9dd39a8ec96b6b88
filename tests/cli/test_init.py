"""``bridge init``: from an empty directory to an installation, by questions or by options, and safe to run again."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Self

import pytest
from flask import Flask

from bridge.cli import init_files, init_site
from bridge.config import Reference
from bridge.sandbox import seed
from bridge.sandbox.app import create_app
from bridge.sandbox.clients import Client
from bridge.sandbox.site import Site
from bridge.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from tests.cli.conftest import Bridge, Said

EMAIL = "ops-bot-x1@serviceaccount.atlassian.com"
JIRA, CONFLUENCE = "ATSTT-jira-secret", "ATSTT-confluence-secret"
JIRA_SCOPES = "read:jira-user read:jira-work write:jira-work"
CONFLUENCE_SCOPES = " ".join(sorted(seed.CONFLUENCE_SCOPES))
# A session leader without a terminal takes the first one it opens, as a login shell's child would have it.
ON_TERMINAL = (
    "import os, runpy; os.close(os.open(os.ttyname(0), os.O_RDWR)); runpy.run_module('bridge', run_name='__main__')"
)
PATIENCE = 30.0


@pytest.fixture
def site() -> Site:
    """A site that takes the two tokens."""
    return seed.demo(Site(), {JIRA: seed.token("jira"), CONFLUENCE: seed.token("confluence")})


@pytest.fixture
def address(site: Site, serve: Callable[[WSGIApplication], str]) -> str:
    """Where the site is."""
    return serve(create_app(site).wsgi_app)


@pytest.fixture
def empty(bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory, and nothing in the environment that names an installation."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("BRIDGE_")]:
        del os.environ[name]
    place = tmp_path / "new"
    place.mkdir()
    monkeypatch.chdir(place)
    yield place
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def fresh(bridge: Bridge, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """The command line as a new shell has it: every time with an environment in which nothing was set."""
    names = {name for name in os.environ if name.startswith("BRIDGE_")}

    def run(*arguments: str, stdin: str = "", **environ: str) -> Said:
        for name in {name for name in os.environ if name.startswith("BRIDGE_")} - names:
            del os.environ[name]
        os.environ.update(environ)
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        return bridge(*arguments)

    return run


def options(address: str, **changes: str) -> list[str]:
    """The command that answers everything, its tokens on standard input."""
    given = {
        "email": EMAIL,
        "jira-token-file": "-",
        "jira-scopes": JIRA_SCOPES,
        "confluence-token-file": "-",
        "confluence-scopes": CONFLUENCE_SCOPES,
        "expires": "200",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    return ["init", address, *(word for name, value in given.items() for word in (f"--{name}", value))]


TOKENS = f"{JIRA}\n{CONFLUENCE}\n"


def free_port() -> int:
    """A port where nobody listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def files(place: Path) -> dict[str, bytes]:
    """What a directory holds, but for databases and locks."""
    found = [path for path in place.rglob("*") if path.is_file() and "bridge.db" not in path.name]
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class Terminal:
    """``bridge`` on a terminal: what it shows is read, and answers are typed when a question was asked."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self._master, slave = os.openpty()
        self.shown = ""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=place, env={**environ, "COLUMNS": "200"},
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def answer(self, question: str, text: str) -> None:
        """Wait for a question that was not answered yet, and type the answer."""
        self.wait_for(question)
        self.shown = self.shown.rpartition(question)[2]
        os.write(self._master, f"{text}\n".encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self._read(deadline), f"{text!r} was not shown, but {self.shown!r}"

    def interrupt(self) -> int:
        """Press Ctrl-C until it ends: one that comes just before it begins to read the answer is not noticed."""
        for _ in range(20):
            os.write(self._master, b"\x03")
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)
                break
        return self.end()

    def end(self) -> int:
        """Read on until it ends, and return its status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            continue
        status = self.process.wait(PATIENCE)
        os.close(self._master)
        return status

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        with suppress(OSError):  # the other end of a terminal is closed: EIO
            said = os.read(self._master, 65536).decode("utf-8", "replace") if ready else ""
            self.shown += said.replace("\r\n", "\n")
            return bool(said)
        return False


def test_from_nothing_by_options_alone(fresh: Bridge, empty: Path, address: str, site: Site) -> None:
    said = fresh(*options(address), stdin=TOKENS)
    assert said.status == 0, said.out + said.err
    assert f"{address} is there: cloudId {site.cloud_id}" in said.lines
    assert any(line.startswith("ok    account ops-bot: is ops-bot") for line in said.lines)
    assert "Next: `bridge rules new NAME` writes the first rule, `bridge run` starts the bridge." in said.lines
    # A new shell in that directory needs nothing else.
    said = fresh("doctor", "--json")
    assert said.status == 0
    assert '"FAIL"' not in said.out
    assert read().accounts["ops-bot"].credentials["jira"].scopes == set(JIRA_SCOPES.split())
    assert read().atlassian_url == address


def test_what_is_secret_is_kept_apart_readable_by_its_user_only_and_never_shown(
    fresh: Bridge, empty: Path, address: str
) -> None:
    said = fresh(*options(address), stdin=TOKENS)
    kept = read().home / "secrets"
    assert mode(kept) == mode(read().home) == 0o700
    assert (kept / "ops-bot.jira.token").read_text(encoding="utf-8") == f"{JIRA}\n"
    assert mode(kept / "ops-bot.jira.token") == mode(kept / "ops-bot.confluence.token") == 0o600
    assert mode(empty / "bridge.env") == 0o600
    assert (kept / ".gitignore").read_text(encoding="utf-8") == (read().home / ".gitignore").read_text("utf-8") == "*\n"
    config = (empty / "bridge.toml").read_text(encoding="utf-8")
    secret = os.environ["BRIDGE_SECRETS"].partition(":")[2]
    assert len(secret) >= 43
    for hidden in (JIRA, CONFLUENCE, secret):
        assert hidden not in said.out + said.err + config


def test_bridge_toml_is_written_for_people(fresh: Bridge, empty: Path, address: str, site: Site) -> None:
    fresh(*options(address), "--public-url", "http://127.0.0.1:8080", stdin=TOKENS)
    text = (empty / "bridge.toml").read_text(encoding="utf-8")
    assert text.count("#") >= 6
    ends = (datetime.now(UTC) + timedelta(days=200)).date()
    kept = empty / ".bridge" / "secrets"
    assert tomllib.loads(text) == {
        "site": {"local": {"url": address, "cloud_id": site.cloud_id}},
        "account": {
            "ops-bot": {
                "site": "local",
                "email": EMAIL,
                "jira": {"token": f"file:{kept}/ops-bot.jira.token", "scopes": JIRA_SCOPES.split(), "expires": ends},
                "confluence": {
                    "token": f"file:{kept}/ops-bot.confluence.token",
                    "scopes": CONFLUENCE_SCOPES.split(),
                    "expires": ends,
                },
            }
        },
        "web": {"public_url": "http://127.0.0.1:8080"},
    }


def test_everything_that_is_missing_is_named_at_once_and_nothing_is_written(
    fresh: Bridge, empty: Path, address: str
) -> None:
    said = fresh("init", address)
    assert said.status == 2
    for option in ("--email", "--jira-token-env or --jira-token-file", "--confluence-token-env"):
        assert option in said.err
    assert files(empty) == {}


def test_run_again_it_finds_everything_there(fresh: Bridge, empty: Path, address: str) -> None:
    fresh(*options(address), stdin=TOKENS)
    before = files(empty)
    said = fresh("init", address)
    assert said.status == 0, said.out + said.err
    assert "Nothing is to be written: everything is there." in said.lines
    assert files(empty) == before


def test_run_again_it_adds_what_is_missing_and_keeps_what_a_person_wrote(
    fresh: Bridge, empty: Path, address: str
) -> None:
    fresh(*options(address), "--product", "jira", stdin=TOKENS)
    config = empty / "bridge.toml"
    mine = config.read_text(encoding="utf-8").replace(
        "[account.ops-bot]", "# Ask Mia before you change it.\n[account.ops-bot]"
    )
    config.write_text(mine, encoding="utf-8")
    more = [
        "init",
        address,
        "--product",
        "confluence",
        "--confluence-token-file",
        "-",
        "--public-url",
        "http://localhost",
    ]
    said = fresh(*more, stdin=f"{CONFLUENCE}\n")
    assert said.status == 2
    assert "give --yes to have it changed as shown" in said.err
    assert "+[account.ops-bot.confluence]" in said.out
    assert config.read_text(encoding="utf-8") == mine
    said = fresh(*more, "--yes", stdin=f"{CONFLUENCE}\n")
    text = config.read_text(encoding="utf-8")
    assert text.startswith(mine)
    added = tomllib.loads(text)
    assert added["account"]["ops-bot"]["confluence"]["scopes"] == []
    assert added["web"] == {"public_url": "http://localhost"}
    assert any("does not say which OAuth scopes its confluence token has" in line for line in said.lines)


def test_a_new_token_takes_the_place_of_the_old_one_with_its_day_and_scopes(
    fresh: Bridge, empty: Path, address: str, site: Site
) -> None:
    fresh(*options(address), stdin=TOKENS)
    site.add_token("ATSTT-jira-newer", seed.token("jira"))
    env = (empty / "bridge.env").read_bytes()
    given = [
        "--product",
        "jira",
        "--jira-token-file",
        "-",
        "--jira-scopes",
        "read:jira-work",
        "--expires",
        "90",
        "--yes",
    ]
    said = fresh("init", address, *given, stdin="ATSTT-jira-newer\n")
    credential = read().accounts["ops-bot"].credentials["jira"]
    assert credential.secret.open() == "ATSTT-jira-newer"
    assert credential.scopes == {"read:jira-work"}
    assert credential.expires == (datetime.now(UTC) + timedelta(days=90)).date()
    assert read().accounts["ops-bot"].credentials["confluence"].scopes == seed.CONFLUENCE_SCOPES
    assert (empty / "bridge.env").read_bytes() == env
    assert "ATSTT" not in said.out


def test_a_file_that_lines_cannot_be_added_to_is_left_alone(fresh: Bridge, empty: Path, address: str) -> None:
    text = f'site = {{ local = {{ url = "{address}" }} }}\naccount.ops-bot = {{ site = "local", email = "{EMAIL}", '
    text += 'jira = { token = "env:JIRA", scopes = [] } }\n'
    (empty / "bridge.toml").write_text(text, encoding="utf-8")
    said = fresh(*options(address), "--product", "confluence", "--yes", stdin=TOKENS)
    assert said.status == 2
    assert "it is written in a way that lines cannot be added to" in said.err
    assert "[account.ops-bot.confluence]" in said.err
    assert (empty / "bridge.toml").read_text(encoding="utf-8") == text
    assert set(files(empty)) == {"bridge.toml"}


def test_a_bridge_toml_with_mistakes_is_to_be_mended_first(fresh: Bridge, empty: Path, address: str) -> None:
    (empty / "bridge.toml").write_text("[site.acme]\nurll = 1\n", encoding="utf-8")
    said = fresh(*options(address), stdin=TOKENS)
    assert said.status == 2
    assert "site.acme.urll: is not a setting; did you mean url?" in said.err
    assert set(files(empty)) == {"bridge.toml"}


def test_tokens_may_stay_in_the_environment_or_in_a_file_of_its_own(
    fresh: Bridge, empty: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_JIRA_TOKEN", JIRA)
    mine = tmp_path / "confluence.token"
    mine.write_text(CONFLUENCE, encoding="utf-8")
    given = ["--email", EMAIL, "--jira-token-env", "MY_JIRA_TOKEN", "--confluence-token-file", str(mine)]
    said = fresh("init", address, *given)
    assert said.status == 0, said.out + said.err
    credentials = read().accounts["ops-bot"].credentials
    assert credentials["jira"].secret == Reference("env:MY_JIRA_TOKEN")
    assert credentials["confluence"].secret == Reference(f"file:{mine}")
    assert not (empty / ".bridge" / "secrets").exists()


def test_an_oauth_client_takes_the_place_of_a_token(fresh: Bridge, empty: Path, address: str, site: Site) -> None:
    site.clients["an-id"] = Client("a-client-secret", seed.token("jira"))
    given = ["--product", "jira", "--email", EMAIL, "--jira-client-id", "an-id", "--jira-client-secret-file", "-"]
    said = fresh("init", address, *given, "--jira-scopes", JIRA_SCOPES, stdin="a-client-secret\n")
    assert said.status == 0, said.out + said.err
    credential = read().accounts["ops-bot"].credentials["jira"]
    assert (credential.client_id, credential.secret.open()) == ("an-id", "a-client-secret")
    assert (
        "ok    account ops-bot: jira client secret is there, and bridge.toml names no day on which it ends"
        in said.lines
    )
    assert any("is ops-bot" in line and "a service account with access to Jira" in line for line in said.lines)
    assert "a-client-secret" not in said.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--expires", "2020-01-01"], "a token lasts 1 to 365 days"),
        (["--expires", "400"], "a token lasts 1 to 365 days"),
        (["--expires", "soon"], "write a date such as 2027-06-30"),
        (["--jira-scopes", "read:jira-wrok everything"], "'everything' is no OAuth scope"),
        (["--jira-client-id", "an-id"], "--jira-client-id wants --jira-client-secret-env or -file"),
        (["--jira-token-env", "A", "--jira-token-file", "b"], "give either a variable or a file"),
        (["--jira-token-file", "/nowhere/token"], "/nowhere/token cannot be read"),
        (["--public-url", "http://bridge.example.com"], "is not https"),
        (["--public-url", "https://bridge.example.com:8000"], "Automation may not call port 8000"),
        (["--email", "ops-bot"], "that is no e-mail address"),
        (["--account", "ops bot"], "a name has letters, digits, - and _"),
        (["--cloud-id", "a/b"], "is no cloudId"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    fresh: Bridge, empty: Path, address: str, options: list[str], sentence: str
) -> None:
    said = fresh("init", address, "--product", "jira", *options, "--yes")
    assert said.status == 2
    assert sentence in said.err
    assert files(empty) == {}


def test_a_file_is_written_whole_or_not_at_all(empty: Path) -> None:
    place = empty / "bridge.toml"
    init_files.put(place, "old\n", 0o600)
    with pytest.raises(UnicodeEncodeError):
        init_files.put(place, "new" * 10_000 + "\ud800", 0o600)
    assert place.read_text(encoding="utf-8") == "old\n"
    assert set(files(empty)) == {"bridge.toml"}


def test_git_is_not_to_take_the_secrets_and_a_warning_says_so(fresh: Bridge, empty: Path, address: str) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("there is no git here")
    subprocess.run([git, "init", "--quiet"], cwd=empty, check=True)
    said = fresh(*options(address), stdin=TOKENS)
    assert f"WARNING: git would take {empty}/bridge.env into the repository: add it to .gitignore" in said.err
    (empty / ".gitignore").write_text("bridge.env\n", encoding="utf-8")
    listed = [git, "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(listed, cwd=empty, check=True, capture_output=True, text=True)
    assert seen.stdout.split() == [".gitignore", "bridge.toml"]


def test_an_installation_elsewhere_tells_every_place_from_its_root(
    fresh: Bridge, empty: Path, address: str, tmp_path: Path
) -> None:
    etc = {"BRIDGE_CONFIG": str(tmp_path / "etc" / "bridge.toml"), "BRIDGE_HOME": str(tmp_path / "var")}
    said = fresh(*options(address), stdin=TOKENS, **etc)
    assert said.status == 0, said.out + said.err
    assert files(empty) == {}
    said = fresh("doctor", BRIDGE_CONFIG=etc["BRIDGE_CONFIG"])
    assert said.status == 0, said.out + said.err
    assert (read().home, read().rules) == (tmp_path / "var", empty / "rules")


def test_an_oauth_scope_that_nothing_needs_is_kept_and_said(fresh: Bridge, empty: Path, address: str) -> None:
    said = fresh(*options(address, jira_scopes="read:jira-wrok write:jira-work"), stdin=TOKENS)
    assert "no operation needs read:jira-wrok; did you mean read:jira-work?" in said.err


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("acme", "https://acme.atlassian.net"),
        ("ACME", "https://acme.atlassian.net"),
        (" acme.atlassian.net ", "https://acme.atlassian.net"),
        ("https://acme.atlassian.net/", "https://acme.atlassian.net"),
        ("http://acme.atlassian.net/browse/OPS-1", "https://acme.atlassian.net"),
        ("https://acme.atlassian.net/wiki/spaces/ENG?a=b#c", "https://acme.atlassian.net"),
        ("support.acme.com", "https://support.acme.com"),
        ("http://127.0.0.1:8090/browse/OPS-1", "http://127.0.0.1:8090"),
        ("http://localhost:8090", "http://localhost:8090"),
    ],
)
def test_a_site_may_be_named_as_people_name_it(given: str, url: str) -> None:
    assert init_site.address(given) == url


@pytest.mark.parametrize("given", ["", "a b", "https://", "https://me:secret@acme.atlassian.net", "api.atlassian.com"])
def test_what_is_no_site_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"site"):
        init_site.address(given)


def elsewhere(status: int, body: str) -> Flask:
    """Something on the web that is no Atlassian site."""
    app = Flask("elsewhere")
    app.add_url_rule("/_edge/tenant_info", view_func=lambda: (body, status))
    return app


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, "Not here", "there is no Atlassian site at"),
        (200, "<html>Hello</html>", "Is it an Atlassian Cloud site?"),
        (200, '{"cloudId": 7}', "tells no cloudId"),
        (500, "", "does not tell its cloudId"),
    ],
)
def test_a_site_that_is_none_is_said_with_the_way_to_go_on(
    fresh: Bridge, empty: Path, serve: Callable[[WSGIApplication], str], status: int, body: str, sentence: str
) -> None:
    address = serve(elsewhere(status, body).wsgi_app)
    said = fresh("init", address)
    assert said.status == 2
    assert sentence in said.err
    assert f"open {address}/_edge/tenant_info in a browser and give what it says with --cloud-id" in said.err
    assert files(empty) == {}


def test_a_site_that_cannot_be_reached_may_be_given_by_its_cloud_id(
    fresh: Bridge, empty: Path, address: str, site: Site
) -> None:
    away = options("http://127.0.0.1:9")
    said = fresh(*away, stdin=TOKENS)
    assert said.status == 2
    assert "http://127.0.0.1:9: the site cannot be reached (ConnectError). Is it spelled right?" in said.err
    gateway = {"BRIDGE_ATLASSIAN_URL": address, "BRIDGE_AUTH_URL": address}
    said = fresh(*away, "--cloud-id", site.cloud_id, stdin=TOKENS, **gateway)
    assert said.status == 0, said.out + said.err
    assert any(line.startswith("ok    account ops-bot: is ops-bot") for line in said.lines)


def test_the_examples_are_not_taken_for_the_rules_of_the_site(
    fresh: Bridge, empty: Path, address: str, tmp_path: Path
) -> None:
    (tmp_path / "rules").rename(empty / "rules")
    said = fresh(*options(address), stdin=TOKENS)
    assert "made site-rules, for your rules" in said.lines
    assert read().rules == empty / "site-rules"
    assert any("there is no rule in" in line for line in said.lines)


def test_secrets_of_the_environment_stay_there(
    fresh: Bridge, empty: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "k7:" + "QUFB" * 12
    (empty / "bridge.env").write_text(f"export BRIDGE_SECRETS='{secret}'  # ours\n", encoding="utf-8")
    (empty / "bridge.env").chmod(0o600)
    fresh(*options(address), stdin=TOKENS)
    text = (empty / "bridge.env").read_text(encoding="utf-8")
    assert text.startswith(f"export BRIDGE_SECRETS='{secret}'  # ours\n")
    assert text.count("BRIDGE_SECRETS") == 1
    assert [each.id for each in read().secrets] == ["k7"]


def test_a_public_address_is_looked_at_before_the_bridge_runs(
    fresh: Bridge, empty: Path, address: str, serve: Callable[[WSGIApplication], str]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    given = ["--listen", listen, "--public-url", f"http://{listen}"]
    said = fresh(*options(address), *given, stdin=TOKENS)
    assert (
        f"ok    web: http://{listen} is this bridge, on this machine only: Atlassian's cloud cannot reach it"
        in said.lines
    )
    said = fresh("doctor")
    assert any(line.startswith(f"warn  web: http://{listen} does not answer (ConnectError). Start `bridge run`")
               for line in said.lines)  # fmt: skip


def test_from_nothing_by_questions_on_a_terminal(empty: Path, address: str) -> None:
    with Terminal(empty, "init") as on:
        on.answer("Your site (acme, or https://acme.atlassian.net):", "what is this")
        on.wait_for("is no site; write acme")
        on.answer("Your site (acme, or https://acme.atlassian.net):", address)
        on.answer("What shall rules call it [ops-bot]:", "")
        on.answer("Its e-mail address:", EMAIL)
        on.answer("Products it is for [jira confluence]:", "")
        on.wait_for("read:jira-user read:jira-work write:jira-work")
        on.answer("Paste the token", JIRA)
        on.answer("OAuth scopes it was made with [Enter: those above; - : not known]:", "")
        on.answer("It ends on (a date, or in how many days):", "365")
        on.answer("Paste the token", CONFLUENCE)
        on.answer("OAuth scopes it was made with", CONFLUENCE_SCOPES.replace(" ", ", "))
        on.answer("It ends on (a date, or in how many days):", "2020-01-01")
        on.answer("It ends on (a date, or in how many days):", "365")
        on.answer("Under which https address does Automation reach this bridge [Enter: not known yet]:", "")
        on.answer("Write it [Y/n]:", "")
        on.answer("Write the first rule now", "y")
        on.answer("Its name", "greet")
        on.answer("What does it do, in one sentence:", "Greet")
        on.answer("Which team answers for it", "ops@example.com")
        on.answer("Which verbs", "jira.comment")
        on.answer("In which Jira projects", "OPS")
        on.answer("Where do its webhooks come from", "")
        on.answer("As which account of bridge.toml does it act [ops-bot]:", "")
        on.answer("Steps in the file rather than Python [Y/n]:", "")
        assert on.end() == 0, on.shown
    assert (empty / "rules" / "greet.toml").exists()
    credentials = tomllib.loads((empty / "bridge.toml").read_text(encoding="utf-8"))["account"]["ops-bot"]
    assert credentials["jira"]["scopes"] == JIRA_SCOPES.split()
    assert credentials["confluence"]["scopes"] == CONFLUENCE_SCOPES.split()


def for_jira(address: str) -> list[str]:
    """The command that leaves the token and its OAuth scopes to be asked."""
    given = ["--product", "jira", "--email", EMAIL, "--account", "ops-bot", "--expires", "100"]
    return ["init", address, *given, "--public-url", "http://127.0.0.1:8080"]


def test_interrupted_at_a_question_it_has_written_nothing(empty: Path, address: str) -> None:
    with Terminal(empty, *for_jira(address)) as on:
        on.answer("Paste the token", "two words")
        on.wait_for("a token is one word without blanks")
        on.answer("Paste the token", "")
        on.wait_for("Client id:")
        assert on.interrupt() != 0
    assert files(empty) == {}


def test_a_typed_token_is_not_shown_and_enter_keeps_the_one_there_is(empty: Path, address: str) -> None:
    shown = []
    with Terminal(empty, *for_jira(address)) as on:
        on.answer("Paste the token", JIRA)
        on.answer("OAuth scopes it was made with", "read:jira-wrok")
        on.wait_for("no operation needs read:jira-wrok; did you mean read:jira-work?")
        on.answer("Keep them so? [y/N]:", "n")
        on.answer("OAuth scopes it was made with", "-")
        shown.append(on.shown)
        on.answer("Write it [Y/n]:", "y")
        shown.append(on.shown)
        on.answer("Write the first rule now", "n")
        assert on.end() == 0
        shown.append(on.shown)
    assert JIRA not in "".join(shown)
    before = files(empty)
    with Terminal(empty, "init", address) as on:
        on.answer("What shall rules call it [ops-bot]:", "")
        on.answer("Its token is there. Enter keeps it, or paste another", "")
        on.answer("Write the first rule now", "n")
        assert on.end() == 0
    assert files(empty) == before


def test_whoever_says_no_finds_nothing_changed(empty: Path, address: str) -> None:
    with Terminal(empty, *for_jira(address), "--jira-scopes", JIRA_SCOPES) as on:
        on.answer("Paste the token", JIRA)
        on.answer("Write it [Y/n]:", "n")
        assert on.end() != 0
    assert files(empty) == {}


@pytest.mark.processes
def test_from_an_empty_directory_to_the_first_attributed_action(empty: Path, address: str, site: Site) -> None:
    web = f"127.0.0.1:{free_port()}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}

    def bridge(*arguments: str, stdin: str = "") -> str:
        command = [sys.executable, "-m", "bridge", *arguments]
        done = subprocess.run(
            command, input=stdin, env=environ, cwd=empty, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    bridge(*options(address), "--public-url", f"http://{web}", "--listen", web, stdin=TOKENS)
    new = ["--title", "Greet", "--owner", "ops@example.com", "--verb", "jira.comment", "--project", "OPS", "--steps"]
    bridge("rules", "new", "greet", *new)
    rule = empty / "rules" / "greet.toml"
    rule.write_text(rule.read_text(encoding="utf-8").replace('"observe"', '"act"'), encoding="utf-8")
    log = (empty / "run.log").open("wb")
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-m", "bridge", "run"], env=environ, cwd=empty, stdout=log, stderr=log
        ) as running,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while f"ok    web: http://{web} is this bridge" not in bridge("doctor"):
                assert time.monotonic() < deadline, (empty / "run.log").read_text(encoding="utf-8")
            assert '"status": "done"' in bridge("rules", "send", "greet", "example", "--wait")
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(PATIENCE * 2)
    acted = [line for line in bridge("audit", "list", "--rule", "greet").splitlines() if "step:outcome" in line]
    assert len(acted) == 1
    assert "jira.comment OPS-1 done by ops-bot" in acted[0]
    comment = site.issues[next(key for key, issue in site.issues.items() if issue.key == "OPS-1")].comments[-1]
    assert site.accounts[comment.author].name == "ops-bot"
