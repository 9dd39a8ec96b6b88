"""The server we bring along: there when it is needed, adopted when it outlived its clock, never a stranger's."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection

from bridge.errors import QueueUnavailable
from bridge.settings import read
from bridge.work.queue import connect
from bridge.work.valkey import Valkey, private_directory


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """Where the server is to answer."""
    return tmp_path / "v" / "v.sock"


@pytest.fixture
def valkey(tmp_path: Path, socket: Path) -> Iterator[Valkey]:
    """A server that is not started yet and is stopped at the end."""
    server = Valkey(tmp_path / "data", socket)
    yield server
    server.stop()


def _pid(client: Redis) -> int:
    return int(client.info("server")["process_id"])


def test_it_is_started_on_a_socket_that_only_we_can_reach_and_on_no_port(valkey: Valkey, socket: Path) -> None:
    valkey.ensure()
    client = Redis(unix_socket_path=str(socket))
    assert client.ping()
    assert client.info("server")["tcp_port"] == 0
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert client.config_get("append*")["appendonly"] == "yes"
    client.close()


def test_a_server_that_still_answers_is_adopted_and_can_be_stopped(
    valkey: Valkey, socket: Path, tmp_path: Path
) -> None:
    valkey.ensure()
    client = Redis(unix_socket_path=str(socket))
    pid = _pid(client)
    adopter = Valkey(tmp_path / "data", socket)
    adopter.ensure()
    assert _pid(client) == pid
    adopter.stop()
    with pytest.raises(NoConnection):
        client.ping()
    client.close()


def test_a_server_that_was_killed_is_started_again_with_what_it_had_written(
    valkey: Valkey, socket: Path, until: Callable[..., None]
) -> None:
    valkey.ensure()
    client = Redis(unix_socket_path=str(socket))
    client.set("kept", "yes")
    client.waitaof(1, 0, 2000)
    first = _pid(client)
    os.kill(first, signal.SIGKILL)
    client.connection_pool.disconnect()

    def answers() -> bool:
        valkey.ensure()
        return _pid(client) != first

    until(answers)
    assert client.get("kept") == b"yes"
    client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_on_the_terminal_does_not_end_it_before_its_clock_does(valkey: Valkey, socket: Path) -> None:
    valkey.ensure()
    client = Redis(unix_socket_path=str(socket))
    status = Path(f"/proc/{_pid(client)}/status").read_text(encoding="ascii")
    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
    assert blocked & 1 << (signal.SIGINT - 1)
    assert not blocked & 1 << (signal.SIGTERM - 1)
    client.close()


def test_stopping_what_does_not_run_is_no_error(valkey: Valkey) -> None:
    valkey.stop()


def test_a_directory_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(QueueUnavailable, match="not a directory of ours"):
        private_directory(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused_by_server_and_client(tmp_path: Path) -> None:
    foreign = tmp_path / "home" / "valkey"
    foreign.mkdir(mode=0o700, parents=True)
    os.chown(foreign, 65534, 65534)
    with pytest.raises(QueueUnavailable, match="somebody else"):
        Valkey(tmp_path / "data", foreign / "valkey.sock").ensure()
    with pytest.raises(QueueUnavailable, match="somebody else"):
        connect(read({"BRIDGE_HOME": str(tmp_path / "home")}))


def test_a_directory_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    private_directory(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_a_place_where_no_server_can_be_made_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QueueUnavailable, match="cannot be used"):
        Valkey(tmp_path / "data", tmp_path / "file" / "v" / "v.sock").ensure()
