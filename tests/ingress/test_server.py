"""The web server as a process: sockets, signals and requests that no test client could send."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.errors import SettingsInvalid
from bridge.ingress.server import options, serve
from bridge.ingress.signature import mint_token
from bridge.settings import Secret, Settings, read

KEY = Secret("k1", b"s" * 32)
RUN = "from bridge.ingress.server import serve; from bridge.settings import read; serve(read())"
TOKEN = {"Authorization": f"Bearer {mint_token(KEY, 'plain', 1)}", "Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


@pytest.fixture
def environment(tmp_path: Path, rules: Path, database_url: str) -> dict[str, str]:
    (tmp_path / "bridge.toml").write_text(
        f'[web]\nlisten = "127.0.0.1:{free_port()}"\nthreads = 4\nmax_body = 32768\n', encoding="utf-8"
    )
    return {
        "BRIDGE_HOME": str(tmp_path / "home"),
        "BRIDGE_RULES": str(rules),
        "BRIDGE_CONFIG": str(tmp_path / "bridge.toml"),
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_SECRETS": f"k1:{base64.b64encode(KEY.key).decode()}",
    }


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment,
        stderr=subprocess.PIPE,
    )
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        yield process


@pytest.fixture
def client(server: subprocess.Popen[bytes], environment: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{read(environment).listen}", trust_env=False, timeout=30) as opened:

        def answers() -> bool:
            assert server.poll() is None, server.stderr and server.stderr.read().decode()
            with contextlib.suppress(httpx.TransportError):
                return opened.get("/healthz").is_success
            return False

        until(answers)
        yield opened


@pytest.mark.processes
def test_a_real_server_accepts_refuses_and_ends_when_told(
    client: httpx.Client, server: subprocess.Popen[bytes], environment: dict[str, str]
) -> None:
    assert client.get("/readyz").json()["status"] == "ready"
    accepted = client.post("/hooks/plain", content=b"{}", headers=TOKEN)
    assert (accepted.status_code, accepted.json()["status"]) == (202, "queued")
    address = f"/hooks/plain/{accepted.json()['delivery']}"
    assert client.get(address, headers=TOKEN).json()["status"] == "queued"
    assert client.post("/hooks/plain", content=b"{}").status_code == 401

    def chunks(size: int) -> Iterator[bytes]:
        yield b'{"a":"'
        for _ in range(size // 1000):
            yield b"x" * 1000
        yield b'"}'

    in_parts = client.post("/hooks/plain", content=chunks(20_000), headers=TOKEN)
    assert in_parts.status_code == 202, "a body sent in chunks has no announced length"
    # A little too much, so that gunicorn reads the rest away and the answer is not lost to a reset connection.
    for content in (b"x" * 40_000, chunks(40_000)):
        too_large = client.post("/hooks/plain", content=content, headers=TOKEN)
        assert (too_large.status_code, too_large.headers["Content-Type"]) == (413, "application/problem+json")
    assert client.get("/healthz").status_code == 200

    control = Path(environment["BRIDGE_HOME"]) / "gunicorn.ctl"
    until(control.is_socket)
    server.send_signal(signal.SIGTERM)
    _, errors = server.communicate(timeout=60)
    assert server.returncode == 0
    assert b"Traceback" not in errors, errors.decode()
    assert TOKEN["Authorization"][7:].encode() not in errors


@pytest.mark.processes
@pytest.mark.parametrize("database_url", ["sqlite:////nowhere/bridge.db"])
def test_a_server_whose_database_is_away_starts_and_says_so(client: httpx.Client) -> None:
    answer = client.post("/hooks/plain", content=b"{}", headers=TOKEN)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.get("/readyz").status_code == 503


def mistake(settings: Settings) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        serve(settings)
    [found] = caught.value.mistakes
    return str(found)


@pytest.fixture
def quiet(environment: dict[str, str]) -> Callable[..., Settings]:
    """Settings read from an environment of which a test changes a part."""

    def make(listen: str | None = None, **changes: str) -> Settings:
        if listen is not None:
            Path(environment["BRIDGE_CONFIG"]).write_text(f'[web]\nlisten = "{listen}"\n', encoding="utf-8")
        return read(environment | changes)

    return make


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite:///unused"])


@ON_SQLITE
def test_a_server_without_a_secret_does_not_start(quiet: Callable[..., Settings]) -> None:
    assert mistake(quiet(BRIDGE_SECRETS="")).startswith("BRIDGE_SECRETS: no secret is configured")


@ON_SQLITE
def test_a_port_that_is_taken_is_named_at_once(quiet: Callable[..., Settings]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = mistake(quiet(f"127.0.0.1:{taken.getsockname()[1]}"))
    assert said.startswith("bridge.toml: web.listen: cannot listen on 127.0.0.1:")
    assert said.endswith("another process listens there; stop it or choose another address")


@ON_SQLITE
def test_addresses_that_cannot_be_listened_on_are_explained(
    quiet: Callable[..., Settings], tmp_path: Path, tmp_path_factory: Any
) -> None:
    assert "this machine has no such address" in mistake(quiet("192.0.2.1:8080"))
    assert "there is no directory" in mistake(quiet(f"unix:{tmp_path}/no/s"))
    assert "at most 100 bytes" in mistake(quiet(f"unix:{tmp_path}/{'d' * 100}/s"))


@ON_SQLITE
def test_a_socket_file_is_taken_only_while_somebody_listens_on_it(quiet: Callable[..., Settings]) -> None:
    settings = quiet()
    settings.home.mkdir()
    path = settings.home / "web.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert "another process listens there" in mistake(quiet(f"unix:{path}"))


@ON_SQLITE
def test_gunicorn_is_told_nothing_that_crosses_instances_or_trusts_a_header(quiet: Callable[..., Settings]) -> None:
    settings = quiet()
    told = options(settings)
    assert (told["worker_class"], told["preload_app"], told["accesslog"]) == ("gthread", False, None)
    assert told["control_socket"] == str(settings.home / "gunicorn.ctl")
    assert told["forwarded_allow_ips"] == ""
    assert told["graceful_timeout"] > 30
