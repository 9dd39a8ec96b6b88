"""The processes: each of them a command of its own, as the Procfile names them, and all together with ``run``."""

import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import httpx

from bridge.cli import compose
from bridge.errors import Mistake, SettingsInvalid
from bridge.settings import Settings

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
YOUNG_SECONDS = 5.0
LONGEST_PATIENCE = 60.0
GRACE_SECONDS = 40.0  # a worker hands its deliveries back within 25 seconds, a waiting sender is answered within 35


GROUP = "BRIDGE_GROUP"


def _belong_to_group() -> None:
    """End with ``bridge run`` or the demo that started this process, also when that is killed.

    On Linux the kernel sends us the SIGTERM (prctl(2), PR_SET_PDEATHSIG); elsewhere a killed ``run`` leaves us behind.
    """
    parent = int(os.environ.pop(GROUP, "0"))
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


@click.command()
def web() -> None:
    """Receive webhooks on the address of [web] listen in bridge.toml (127.0.0.1:8080)."""
    from bridge.ingress import server
    from bridge.rule.registry import facts

    _belong_to_group()
    compose.log_to_stderr()
    known = compose.settings()
    server.serve(known, facts(known.accounts))


@click.command()
@click.option("--pool", metavar="NAME", help="Take only the deliveries of rules with this [run] pool.")
@click.option("--process", is_flag=True, hidden=True, help="Be one of the processes that work.")
@click.option("--isolated", is_flag=True, hidden=True, help="Be the process of one attempt.")
def worker(pool: str | None, *, process: bool, isolated: bool) -> None:
    """Run rules on deliveries, as many at a time as [worker] processes and threads say."""
    from bridge.work import isolated as isolated_room
    from bridge.work import supervisor
    from bridge.work import worker as worker_room

    _belong_to_group()
    compose.log_to_stderr()
    known = compose.settings()
    known.key()
    command = [sys.executable, "-m", "bridge", "worker", "--process", *(["--pool", pool] if pool else [])]
    if isolated:
        isolated_room.serve(_client, compose.registry(known), sys.stdin.buffer)
    if process:
        worker_room.serve(known, _client, compose.registry(known), command, pool)
    sys.exit(supervisor.supervise(command, known.worker_processes))


def _client() -> httpx.Client:
    known = compose.settings()
    return compose.egress(known, compose.store(known, ready=False))


@click.command()
def clock() -> None:
    """Offer deliveries to the workers, recover dropped ones, seal the log and look after the embedded Valkey."""
    from bridge.audit import keys, ship
    from bridge.audit.seal import Sealer
    from bridge.work import clock as clock_room
    from bridge.work.chores import Chore
    from bridge.work.retention import Retention

    _belong_to_group()
    compose.log_to_stderr()
    known = compose.settings()
    store = compose.store(known, ready=False)
    tellers = [ship.Shipper(store, place) for place in ship.places(known)]
    chores: list[Chore] = [Sealer(store, keys.of(known)), *tellers, Retention(store, known.audit.days)]
    sys.exit(clock_room.serve(known, store, compose.registry(known), chores))


@click.command()
@click.option("--listen", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="A loopback address.")
def sandbox(listen: str) -> None:
    """Run a local Jira and Confluence with demo contents; everything is in memory.

    BRIDGE_SANDBOX_TOKENS names the API tokens it accepts.
    """
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from bridge.sandbox.app import wsgi
    from bridge.settings import LOOPBACK

    if listen.rpartition(":")[0].strip("[]") not in LOOPBACK:
        raise click.BadParameter("the sandbox listens on a loopback address only: anybody may change it")
    _belong_to_group()
    compose.log_to_stderr()
    application = wsgi()
    print(f"a local Jira and Confluence on http://{listen}/", flush=True)

    class Sandbox(BaseApplication):  # type: ignore[misc]  # as above
        def load_config(self) -> None:
            settings = {"bind": listen, "worker_class": "gthread", "workers": 1, "threads": 32, "accesslog": None,
                        "control_socket_disable": True, "graceful_timeout": 2, "loglevel": "warning"}  # fmt: skip
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            return application

    Sandbox().run()


@click.command()
def run() -> None:
    """Run web, worker and clock together until Ctrl-C; when one of them ends, it is started again."""
    known = compose.settings()
    known.key()
    compose.store(known)
    compose.registry(known).current()
    with _alone(known.home):
        _run(known)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Refuse a second installation in the same home: two clocks and twice the workers help nobody."""
    with (home / "run.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsInvalid([Mistake("BRIDGE_HOME", f"the bridge runs in {home} already")]) from error
        yield


def _run(known: Settings) -> None:
    group = Group({name: [name] for name in ("clock", "web", "worker")}, os.environ)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    group.start()
    print(f"web on {known.listen}; Ctrl-C stops", flush=True)
    while not stopped.wait(1.0):
        group.revive()
    group.stop()


class Group:
    """Named processes of the bridge, started and stopped together; what they write is prefixed with their name."""

    def __init__(
        self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], logs: Path | None = None
    ) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, float] = {}
        self._patience: dict[str, float] = {}

    def start(self) -> None:
        """Start every process that does not run."""
        for name in self._commands:
            self._start(name)

    def _start(self, name: str) -> None:
        self._began[name] = time.monotonic()
        command = [sys.executable, "-m", "bridge", *self._commands[name]]
        # A session of its own: Ctrl-C at the terminal must reach us alone, so that we stop the others in order.
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            env={**self._environment, GROUP: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._processes[name] = process
        threading.Thread(target=self._copy, args=(name, process), daemon=True).start()

    def _copy(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            if self._logs is None:
                print(f"{name:8} {text}", flush=True)
            else:
                with (self._logs / f"{name}.log").open("a", encoding="utf-8") as file:
                    file.write(f"{text}\n")

    def revive(self) -> list[str]:
        """Start again what ended by itself; return the names."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            # One that ends at once would do so again: it is given longer and longer to find things mended.
            young = time.monotonic() - self._began[name] < self._patience.get(name, 1.0) + YOUNG_SECONDS
            patience = self._patience.get(name, 1.0) if young else 1.0
            if time.monotonic() - self._began[name] < patience:
                continue
            self._patience[name] = min(patience * 2, LONGEST_PATIENCE)
            print(f"{name} ended with status {self._processes[name].returncode}: starting it again", flush=True)
            self._start(name)
        return ended

    def ended(self) -> dict[str, int]:
        """Return the processes that ended, with their exit status."""
        return {name: process.returncode for name, process in self._processes.items() if process.poll() is not None}

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def stop(self) -> None:
        """End them, those first that take work in, and the clock with its Valkey last."""
        order = sorted(self._processes, key=("web", "worker", "sandbox", "clock").index)
        for name in order:
            process = self._processes[name]
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
