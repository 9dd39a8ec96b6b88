"""The worker's parent: it replaces what ends, without hurry when that would be useless, and ends what does not end."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.work.supervisor import PARENT, PULSE, RESTART, Supervisor

pytestmark = pytest.mark.processes

Until = Callable[..., None]


@contextmanager
def _running(supervisor: Supervisor) -> Iterator[None]:
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join(30)
        assert not thread.is_alive()


def _command(program: str) -> list[str]:
    return [sys.executable, "-S", "-c", program]


def _note(path: Path) -> str:
    """A program that leaves a line behind."""
    return f"open({str(path)!r}, 'a').write('begun\\n')\n"


def _begun(path: Path) -> int:
    return path.read_text().count("begun") if path.exists() else 0


def test_a_process_that_gives_way_is_replaced_at_once(tmp_path: Path, until: Until) -> None:
    program = f"{_note(tmp_path / 'log')}raise SystemExit({RESTART})"
    with _running(Supervisor(_command(program), 1)):
        until(lambda: _begun(tmp_path / "log") >= 4)


def test_a_process_that_dies_at_once_is_given_more_and_more_time(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        _running(Supervisor(_command(f"{_note(tmp_path / 'log')}raise SystemExit(1)"), 1)),
    ):
        until(lambda: _begun(tmp_path / "log") >= 3)
    delays = [record.getMessage().rpartition("again_in=")[2] for record in caplog.records if "ended" in record.msg]
    assert delays[:2] == ["0.5s", "1.0s"]


def test_a_process_that_does_not_stop_is_killed_after_the_grace(until: Until, tmp_path: Path) -> None:
    program = (
        f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{_note(tmp_path / 'log')}time.sleep(600)"
    )
    supervisor = Supervisor(_command(program), 2, grace=0.5)
    with _running(supervisor):
        until(lambda: _begun(tmp_path / "log") == 2)
        pids = supervisor.pids
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 10
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_whose_parent_ended_before_it_looked_ends_too() -> None:
    program = "from bridge.work.supervisor import die_with_parent\ndie_with_parent()\nprint('lives on')"
    nobody = {**os.environ, PARENT: "999999999"}
    ended = subprocess.run([sys.executable, "-c", program], env=nobody, check=False, stdout=subprocess.PIPE)
    assert ended.returncode == 1
    assert ended.stdout == b""


def test_a_process_that_no_worker_started_is_nobodys_child() -> None:
    program = "from bridge.work.supervisor import die_with_parent\ndie_with_parent()\nprint('lives on')"
    somebody = {name: value for name, value in os.environ.items() if name != PARENT}
    ended = subprocess.run([sys.executable, "-c", program], env=somebody, check=True, stdout=subprocess.PIPE)
    assert ended.stdout == b"lives on\n"


BEAT = f"import os, re, time; os.write(int(os.environ[{PULSE!r}]), b'.')\n"


def test_a_process_that_a_handler_brought_to_a_stand_is_killed_and_replaced(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    # A regular expression that never ends keeps the interpreter's lock, so no thread and no time limit runs any more.
    program = f"{_note(tmp_path / 'log')}{BEAT}re.match('(a+)+$', 'a' * 80 + 'b')"
    with (
        caplog.at_level(logging.INFO),
        _running(Supervisor(_command(program), 1, silent=0.5)),
    ):
        until(lambda: _begun(tmp_path / "log") >= 2)
    assert "worker.hung" in caplog.text


def test_a_process_that_goes_on_giving_signs_of_life_is_left_alone(tmp_path: Path, until: Until) -> None:
    program = (
        f"{_note(tmp_path / 'log')}import os, time\n"
        f"for _ in range(40):\n    os.write(int(os.environ[{PULSE!r}]), b'.')\n    time.sleep(0.1)\n"
        f"{_note(tmp_path / 'end')}time.sleep(60)"
    )
    with _running(Supervisor(_command(program), 1, silent=1.0)):
        until(lambda: _begun(tmp_path / "end") == 1)
        assert _begun(tmp_path / "log") == 1


def test_a_process_that_has_not_begun_to_give_signs_is_given_time(tmp_path: Path, until: Until) -> None:
    program = f"import time\ntime.sleep(1.5)\n{_note(tmp_path / 'log')}time.sleep(60)"
    with _running(Supervisor(_command(program), 1, silent=0.2)):
        until(lambda: _begun(tmp_path / "log") == 1)
