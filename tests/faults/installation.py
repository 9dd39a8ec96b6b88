"""A whole installation of real processes to break: sandbox, web, worker and clock as the Procfile starts them.

An ``Installation`` lies in a directory of its own with ports, tokens, rules and a database of its own. Whatever is done
to it, it ends only what it started, each by its process id, and waits for nothing without a limit. The tests of this
directory and ``make chaos`` break it.
"""

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import httpx
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from bridge import settings
from bridge.cli.processes import GROUP
from bridge.ingress import sender
from bridge.sandbox import seed
from bridge.settings import Secret
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import UNFINISHED, Delivery, State
from tests.postgresql import execute

ALL = ("sandbox", "clock", "web", "worker")
SETTLE_FACTOR = 0.02  # an answerless comment is looked up after 1.2 s instead of a minute
NARROW = "narrow-bot"  # an account whose Jira token may read and not write
START_SECONDS = 30.0
STOP_SECONDS = 8.0
LOOK_SECONDS = 0.05
PRELUDE = "import os\nimport signal\nimport sys\nimport threading\nimport time\nfrom pathlib import Path\n\n\n"


class NotAsWanted(AssertionError):
    """Something did not happen in time, or happened that must not; the text says what, with the logs' last lines."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """One home with its processes. ``start`` them, ``send`` to a rule, break something, look what became of it."""

    def __init__(
        self,
        home: Path,
        database_url: str,
        *,
        worker_processes: int,
        request_timeout: float,
        settle_factor: float = SETTLE_FACTOR,
        started_by: Mapping[str, str] | None = None,
    ) -> None:
        """Lay out a home. ``started_by`` names a module for each process that something else than ``bridge`` starts."""
        self.home = home
        self._settle_factor = settle_factor
        self._started_by = started_by or {}
        self.rules = home / "rules"
        self.logs = home / "logs"
        for directory in (self.rules, self.logs):
            directory.mkdir(parents=True)
        self.web = f"http://127.0.0.1:{_free_port()}"
        self.site = f"http://127.0.0.1:{_free_port()}"
        self._key = secrets.token_bytes(32)
        self.environment = self._lay_out(database_url, worker_processes, request_timeout)
        self.settings = settings.read(self.environment)
        self.store = Store(self.settings.database_url)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _lay_out(self, database_url: str, worker_processes: int, request_timeout: float) -> dict[str, str]:
        scopes = {product: seed.token(product).scopes for product in ("jira", "confluence")}
        credentials = {("ops-bot", product): granted for product, granted in scopes.items()}
        credentials[NARROW, "jira"] = frozenset({"read:jira-work", "read:jira-user"})
        lines = ["[site.sandbox]", f'url = "{self.site}"']
        for account in (seed.BOT, NARROW):
            lines += [f"[account.{account}]", 'site = "sandbox"', f'email = "{account}@serviceaccount.atlassian.com"']
            for name, product in credentials:
                if name == account:
                    lines += [f"[account.{account}.{product}]", f'token = "file:{self._token_file(account, product)}"']
                    lines += [f"scopes = {json.dumps(sorted(credentials[account, product]))}"]
        lines += ["[web]", f'listen = "{self.web.removeprefix("http://")}"', "processes = 1"]
        lines += ["[worker]", f"processes = {worker_processes}"]
        lines += ["[egress]", f"settle_factor = {self._settle_factor}", f"request_timeout = {request_timeout}"]
        (self.home / "bridge.toml").write_text("\n".join(lines), encoding="utf-8")
        accepted = {}
        for (account, product), granted in credentials.items():
            token = secrets.token_urlsafe(24)
            self._token_file(account, product).write_text(token, encoding="utf-8")
            accepted[token] = {"account": seed.BOT, "products": [product], "scopes": sorted(granted)}
        return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")} | {
            "BRIDGE_HOME": str(self.home),
            "BRIDGE_CONFIG": str(self.home / "bridge.toml"),
            "BRIDGE_RULES": str(self.rules),
            "BRIDGE_SECRETS": "k1:" + base64.b64encode(self._key).decode(),
            "BRIDGE_ATLASSIAN_URL": self.site,
            "BRIDGE_DATABASE_URL": database_url,
            "BRIDGE_SANDBOX_TOKENS": json.dumps(accepted),
        }

    def _token_file(self, account: str, product: str) -> Path:
        return self.home / f"{account}.{product}.token"

    # ----------------------------------------------------------------------------------------------------- rules

    def write_rule(self, name: str, body: str, tables: str = "", *, account: str = seed.BOT) -> None:
        """Write a rule whose ``handle`` has this body; ``tables`` are further lines of its manifest."""
        handler = f"def handle(event, context):\n{indent(dedent(body).strip(), '    ')}\n"
        grants = '[scope.jira]\nOPS = ["read", "comment", "create", "transition"]\n'
        if account == seed.BOT:
            grants += '[scope.confluence]\nENG = ["read", "comment", "label", "create-page", "update-page"]\n'
        manifest = (
            f'title = "{name}"\nowner = "team@example.com"\nsource = "jira-automation"\naccount = "{account}"\n\n'
            f"{grants}\n{dedent(tables)}"
        )
        # The handler first, so that no set of files is seen with a manifest that lacks its handler.
        self._replace(self.rules / f"{name}.py", PRELUDE + handler)
        self._replace(self.rules / f"{name}.toml", manifest)

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        made = path.with_suffix(".new")
        made.write_text(text, encoding="utf-8")
        made.replace(path)

    def remove_rule(self, name: str) -> None:
        """Remove a rule; the manifest first, for a handler alone is a mistake for a moment only."""
        for suffix in (".toml", ".py"):
            (self.rules / f"{name}{suffix}").unlink()

    # ------------------------------------------------------------------------------------------------- processes

    def start(self, *names: str) -> None:
        """Start these processes, or all four, and wait until they answer."""
        for name in names or ALL:
            command = [sys.executable, "-m", self._started_by.get(name, "bridge"), name]
            if name == "sandbox":
                command += ["--listen", self.site.removeprefix("http://")]
            with (self.logs / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    command,
                    # Should this test process be killed, what it started ends as well.
                    env={**self.environment, GROUP: str(os.getpid())},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        for name in names or ALL:
            if name in {"sandbox", "web"}:
                self._wait_until_it_answers(name)

    def _wait_until_it_answers(self, name: str) -> None:
        address = f"{self.site}/_edge/tenant_info" if name == "sandbox" else f"{self.web}/healthz"

        def answers() -> bool:
            if self._processes[name].poll() is not None:
                raise NotAsWanted(
                    f"{name} ended with status {self._processes[name].returncode}:\n{self.log(name)[-2000:]}"
                )
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(address, timeout=2, trust_env=False).status_code == 200
            return False

        self.until(answers, f"{name} answers", START_SECONDS)

    @staticmethod
    def until(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
        """Return the condition's first true value; fail, naming ``what`` was waited for, when it takes longer."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise NotAsWanted(f"not within {seconds:g} s: {what}")
            time.sleep(LOOK_SECONDS)
        return found

    def pid(self, name: str) -> int:
        """The process id of a process that was started by name."""
        return self._processes[name].pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a process a signal that ends it, wait for its end and return its status.

        A server that is killed goes with its processes, which would live on for a second otherwise.
        """
        process = self._processes.pop(name)
        if number is signal.SIGKILL and name in {"web", "sandbox"}:
            self._end(process)
            return int(process.returncode)
        process.send_signal(number)
        try:
            return process.wait(START_SECONDS)
        except subprocess.TimeoutExpired as error:
            self._end(process)
            text = f"{name} did not end within {START_SECONDS:g} s:\n{self.log(name)[-2000:]}"
            raise NotAsWanted(text) from error

    def restart(self, name: str) -> None:
        """End a process in order, if it runs, and start it again."""
        if name in self._processes:
            self.kill(name, signal.SIGTERM)
        self.start(name)

    def ended(self) -> dict[str, int]:
        """The processes that ended though nobody ended them, with their exit status; each is told once."""
        found = {name: process.poll() for name, process in self._processes.items()}
        gone = {name: status for name, status in found.items() if status is not None}
        for name in gone:
            self._processes.pop(name)
        return gone

    def worker_pids(self) -> list[int]:
        """The process ids of the worker's processes, in order, as the supervisor named them last."""
        found = re.findall(r"worker\.started process=(\d+) pid=(\d+)", self.log("worker"))
        return [pid for _, pid in sorted({int(number): int(pid) for number, pid in found}.items())]

    def log(self, name: str) -> str:
        """What a process wrote so far."""
        path = self.logs / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def bridge(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the bridge to its end, as a person would at the terminal."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            env=dict(self.environment if environment is None else environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    def redis(self) -> Redis:
        """A connection to the embedded Valkey; the caller closes it."""
        return Redis(unix_socket_path=str(self.settings.redis_socket), socket_timeout=2, retry=Retry(NoBackoff(), 0))

    def kill_valkey(self, *, wiped: bool) -> None:
        """Kill the embedded Valkey, and with ``wiped`` remove all that it has written."""
        with self.redis() as redis:
            os.kill(int(redis.info("server")["process_id"]), signal.SIGKILL)
        for kept in (self.home / "valkey").iterdir() if wiped else ():
            if kept.is_dir():
                shutil.rmtree(kept)
            elif kept.name != "valkey.log":
                kept.unlink(missing_ok=True)

    def stop(self) -> None:
        """End every process: the clock in order, for it takes its Valkey with it, the others at once."""
        clock = self._processes.pop("clock", None)
        for process in self._processes.values():
            self._end(process)
        self._processes.clear()
        if clock is not None:
            clock.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                clock.wait(STOP_SECONDS)
            self._end(clock)
        with contextlib.suppress(RedisError), self.redis() as left:
            # A clock that was killed has left its Valkey behind.
            left.shutdown(nosave=True)

    def close(self) -> None:
        """End everything, also the connections to the database."""
        self.stop()
        self.store.close()

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        if process.returncode is None:
            # It leads a process group of its own, in which are only its children. Nobody has waited for it, so its
            # number cannot have been given to another process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Take the database away: SQLite's directory is moved, PostgreSQL ends every connection and admits nobody."""
        self.store.close()
        url = self.store.url
        if self.store.sqlite:
            place = Path(str(url.database)).parent
            moved = place.with_name("moved")
            place.rename(moved)
            try:
                yield
            finally:
                moved.rename(place)
            return
        admit, server = f'ALTER DATABASE "{url.database}" WITH ALLOW_CONNECTIONS', url.set(database="postgres")
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        execute(server, f"{admit} false")
        execute(server, end, name=url.database)
        try:
            yield
        finally:
            execute(server, f"{admit} true")

    # -------------------------------------------------------------------------------------------------- webhooks

    def post(self, rule: str, payload: object, *, timeout: float = 15) -> httpx.Response:
        """Send a payload as Automation would and return the answer."""
        body = json.dumps(payload).encode()
        signed = sender.headers("jira-automation", rule, 1, body, Secret("k1", self._key), time.time())
        headers = {"Content-Type": "application/json", **signed}
        return httpx.post(f"{self.web}/hooks/{rule}", content=body, headers=headers, timeout=timeout, trust_env=False)

    def send(self, rule: str, payload: object) -> str:
        """Send a payload that must be accepted and return the delivery's id."""
        answer = self.post(rule, payload)
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        return str(answer.json()["delivery"])

    def delivery(self, delivery: str) -> Delivery:
        """A delivery as it stands in the database."""
        with self.store.read() as connection:
            found = deliveries.get(connection, delivery)
        assert found is not None, f"there is no delivery {delivery}"
        return found

    def wait_for_state(self, delivery: str, state: State, seconds: float = 20) -> Delivery:
        """Wait until a delivery is in ``state`` and return it; fail at once if it ended in another."""
        deadline = time.monotonic() + seconds
        while (found := self.delivery(delivery)).state is not state:
            if found.state not in UNFINISHED or time.monotonic() > deadline:
                told = "\n".join(self.lines(delivery))
                logged = "\n".join(self.log("worker").splitlines()[-15:])
                raise NotAsWanted(f"{found.state} instead of {state} ({found.reason})\n{told}\n\nworker:\n{logged}")
            time.sleep(LOOK_SECONDS)
        return found

    def entries(self, delivery: str) -> list[dict[str, Any]]:
        """Every entry of a delivery in the journal."""
        with self.store.read() as connection:
            return journal.of_delivery(connection, delivery)

    def kinds(self, delivery: str) -> list[str]:
        """The kinds of a delivery's entries, in order."""
        return [str(entry["kind"]) for entry in self.entries(delivery)]

    def lines(self, delivery: str) -> list[str]:
        """A delivery's entries as people read them."""
        return journal.lines(self.entries(delivery))

    # ------------------------------------------------------------------------------------------------------ site

    def site_state(self) -> dict[str, Any]:
        """Everything there is on the site."""
        answer = httpx.get(f"{self.site}/sandbox/state", timeout=10, trust_env=False)
        return dict(answer.json())

    def comments(self, issue: str) -> list[str]:
        """The texts of an issue's comments, oldest first."""
        return [str(comment["text"]) for comment in self.site_state()["issues"][issue]["comments"]]

    def fault(self, kind: str, operation: str, **more: Any) -> None:
        """Let the next request of an operation go wrong, see bridge/sandbox/faults.py."""
        order = {"fault": kind, "match": {"operation": operation}, **more}
        answer = httpx.post(f"{self.site}/sandbox/faults", json=order, timeout=10, trust_env=False)
        assert answer.status_code == 201, answer.text

    def faults_left(self) -> int:
        """How many requests are still to go wrong."""
        answer = httpx.get(f"{self.site}/sandbox/faults", timeout=10, trust_env=False)
        return sum(fault["times"] or 0 for fault in answer.json()["faults"])
