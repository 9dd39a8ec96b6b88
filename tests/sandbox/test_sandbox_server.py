"""The sandbox under the server it really runs on: connections that are cut for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from bridge.sandbox import seed
from bridge.sandbox.document import paragraphs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes
TOKEN = "a-token-for-the-server"
BODY = {"body": paragraphs("Once only")}


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    """A gunicorn with the sandbox on a free port, and a client below the gateway's prefix for Jira."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        described = {"account": seed.BOT, "products": ["jira"], "scopes": sorted(seed.JIRA_SCOPES)}
        variables = {**os.environ, "BRIDGE_SANDBOX_TOKENS": json.dumps({TOKEN: described})}
        options = ["--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread", "--threads", "4"]
        command = [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "bridge.sandbox.app:wsgi()"]
        process = subprocess.Popen(
            command, env=variables, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            # The listening socket is open before gunicorn runs, so the first request simply waits for its answer.
            cloud_id = httpx.get(f"{base}/_edge/tenant_info", timeout=30).json()["cloudId"]
            address, headers = f"{base}/ex/jira/{cloud_id}", {"Authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=address, headers=headers, timeout=10) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
    assert b"Traceback" not in output, output.decode()


@pytest.fixture
def fresh(server: httpx.Client) -> Iterator[httpx.Client]:
    """The server with its first contents."""
    httpx.post(server.base_url.join("/sandbox/reset"))
    yield server
    httpx.delete(server.base_url.join("/sandbox/faults"))


def _order(client: httpx.Client, fault: str, **arguments: object) -> None:
    order = {"fault": fault, "match": {"operation": "addComment"}, **arguments}
    assert httpx.post(client.base_url.join("/sandbox/faults"), json=order).status_code == 201


def _made(client: httpx.Client) -> int:
    state = httpx.get(client.base_url.join("/sandbox/state")).json()
    return sum(comment["text"] == "Once only" for comment in state["issues"]["OPS-1"]["comments"])


@pytest.mark.parametrize(("fault", "made"), [("reset-before", 0), ("reset-after", 1)])
def test_a_reset_is_a_reset_on_the_wire(fresh: httpx.Client, fault: str, made: int) -> None:
    _order(fresh, fault)
    with pytest.raises(httpx.ReadError) as caught:
        fresh.post("/rest/api/3/issue/OPS-1/comment", json=BODY)
    assert "reset" in str(caught.value).lower()
    assert _made(fresh) == made
    assert fresh.get("/rest/api/3/myself").status_code == 200


def test_half_an_answer_ends_the_connection_too_early(fresh: httpx.Client) -> None:
    _order(fresh, "half")
    with pytest.raises(httpx.RemoteProtocolError):
        fresh.post("/rest/api/3/issue/OPS-1/comment", json=BODY)
    assert _made(fresh) == 1


def test_a_slow_answer_outlasts_the_clients_patience_and_the_deed_is_done(fresh: httpx.Client) -> None:
    _order(fresh, "slow", seconds=2)
    with pytest.raises(httpx.ReadTimeout):
        fresh.post("/rest/api/3/issue/OPS-1/comment", json=BODY, timeout=0.3)
    assert _made(fresh) == 1


def test_a_late_execution_happens_by_itself_after_its_time(fresh: httpx.Client) -> None:
    _order(fresh, "late", seconds=0.5)
    with pytest.raises(httpx.ReadError):
        fresh.post("/rest/api/3/issue/OPS-1/comment", json=BODY)
    end = time.monotonic() + 20
    while _made(fresh) == 0:
        assert time.monotonic() < end, "the request was never executed"
        time.sleep(0.05)
    assert _made(fresh) == 1


def test_an_encoded_path_reaches_the_gateway_as_it_was_sent(fresh: httpx.Client) -> None:
    assert fresh.get("/rest/api/3/issue/OPS%2D1").status_code == 200
