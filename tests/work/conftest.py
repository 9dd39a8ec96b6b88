"""What the tests of work stand on: rules on disk, a small egress that speaks the protocol, and ways to wait."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler

import httpx
import pytest
import sqlalchemy as sa
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue

from bridge.errors import Fenced, Stop
from bridge.rule.registry import Registry
from bridge.store import Store, deliveries
from bridge.store.deliveries import Delivery, Received, State
from bridge.store.engine import new_id
from bridge.work.queue import open_queue

MANIFEST = """
title   = "A rule for a test"
owner   = "platform-ops@example.com"
source  = "other"
account = "ops-bot"
[scope.jira]
OPS = ["read", "comment"]
[run]
timeout   = "{timeout}"
isolation = "{isolation}"
{more}
"""
HANDLER = "def handle(event, context):\n"


class Egress:
    """The protocol of egress on a real store, without policy and sites: each call is answered 201.

    ``on_call`` is run while a call is under way; ``away`` makes it answer 503 as when its database is gone; a failed
    handler makes the delivery dead at once.
    """

    def __init__(self, store: Store, rules: Registry, *, lease: float = 10.0) -> None:
        self.store = store
        self.rules = rules
        self.lease = lease
        self.away = False
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.on_call: Callable[[dict[str, Any]], None] = lambda _call: None
        self.digest: str | None = None

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was sent to one of the protocol's paths."""
        return [body for asked, body in list(self.asked) if asked == path]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        path = environ["PATH_INFO"]
        self.asked.append((path, body))
        try:
            status, said = (503, {}) if self.away else getattr(self, path[1:])(body)
        except Stop as stop:
            status, said = 409, {"stop": stop.state, "why": stop.why}
        start_response(f"{status} Said", [("Content-Type", "application/json")])
        return [] if status == 204 else [json.dumps(said).encode()]

    def claim(self, body: dict[str, Any]) -> tuple[int, Any]:
        def work(connection: sa.Connection) -> dict[str, Any]:
            found = deliveries.get(connection, body["delivery"], lock=True)
            now = self.store.now(connection)
            if found is None or found.state not in {State.QUEUED, State.WAITING, State.RUNNING}:
                raise Fenced("it is over or never was")
            held = found.state is State.RUNNING and not deliveries.lease_ended(self.store, found, now)
            if held or not deliveries.is_due(self.store, found, now):
                raise Stop("waiting", "not now")
            rule = self.rules.current().rules[found.rule]
            digest = self.digest or rule.digest
            attempt = deliveries.begin(
                connection, self.store, found, worker=body["worker"], lease=self.lease, rule_digest=digest
            )
            return {
                "delivery": found.id,
                "attempt": attempt,
                "capability": "open sesame",
                "rule": found.rule,
                "digest": digest,
                "isolation": rule.manifest.run.isolation,
                "timeout": rule.manifest.run.timeout,
                "lease": self.lease,
                "mode": rule.manifest.mode,
                "event": {
                    "delivery": found.id,
                    "rule": found.rule,
                    "received_at": found.accepted_at,
                    "payload": json.loads(found.payload or b"null"),
                    "source": rule.manifest.source,
                    "initiator": None,
                },
            }

        return 200, self.store.commit(work)

    def renew(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.store.commit(
            lambda connection: deliveries.renew(connection, self.store, body["delivery"], body["attempt"], self.lease)
        )
        return 204, None

    def call(self, body: dict[str, Any]) -> tuple[int, Any]:
        with self.store.read() as connection:
            found = deliveries.get(connection, body["delivery"])
        if found is None or (found.state, found.attempt) != (State.RUNNING, body["attempt"]):
            raise Fenced("another attempt has it")
        self.on_call(body)
        return 200, {"status": 201, "body": {"id": "1"}, "observed": False, "recalled": False, "dropped": 0}

    def log(self, _body: dict[str, Any]) -> tuple[int, Any]:
        return 204, None

    def finish(self, body: dict[str, Any]) -> tuple[int, Any]:
        state = {"returned": State.DONE, "handed_back": State.WAITING}.get(body["ended"], State.DEAD)
        self.store.commit(
            lambda connection: deliveries.end_attempt(
                connection,
                self.store,
                body["delivery"],
                body["attempt"],
                state,
                why=body["error"],
                delay=0.0 if state is State.WAITING else None,
                result=json.dumps(body["result"]),
            )
        )
        return 200, {"state": str(state)}


class _Handler(WSGIRequestHandler):
    """Serves on a Unix socket, where a client has no address."""

    def address_string(self) -> str:
        return "local"

    def handle(self) -> None:
        self.client_address = ("local", 0)
        self.raw_requestline = self.rfile.readline(65537)
        if not self.parse_request():
            return
        handler = ServerHandler(self.rfile, self.wfile, self.get_stderr(), self.get_environ())  # type: ignore[arg-type]  # binary streams, as wsgiref itself gives it
        handler.request_handler = self  # type: ignore[attr-defined]
        handler.run(self.server.application)  # type: ignore[attr-defined]

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    base_environ: Mapping[str, str] = {"SERVER_NAME": "egress", "SERVER_PORT": "0", "SCRIPT_NAME": ""}

    def __init__(self, path: str, application: Egress) -> None:
        super().__init__(path, _Handler)
        self.application = application

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that was killed in mid-call hangs up, which is what the test is about."""


@pytest.fixture
def rules_dir(tmp_path: Path) -> Path:
    """A directory of rules, empty."""
    made = tmp_path / "rules"
    made.mkdir()
    return made


@pytest.fixture
def write_rule(rules_dir: Path) -> Callable[..., None]:
    """Write a rule: its name, the body of its handler, and what stands in the manifest."""

    def write(name: str, body: str, *, timeout: str = "120s", isolation: str = "thread", more: str = "") -> None:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (rules_dir / f"{name}.py").write_text(HANDLER + lines)
        manifest = MANIFEST.format(timeout=timeout, isolation=isolation, more=more)
        (rules_dir / f"{name}.toml").write_text(manifest)

    return write


@pytest.fixture
def rules(rules_dir: Path) -> Registry:
    """The rules of that directory, looked at anew each time."""
    return Registry(rules_dir, None, every=0.0)


@pytest.fixture
def one_store(new_database: Callable[[str], str]) -> Iterator[Store]:
    """A store on SQLite, where the kind of database makes no difference."""
    opened = Store(new_database("sqlite"))
    yield opened
    opened.close()


@pytest.fixture
def egress(one_store: Store, rules: Registry) -> Egress:
    """An egress of this process."""
    return Egress(one_store, rules)


@pytest.fixture
def client(egress: Egress) -> Iterator[httpx.Client]:
    """The way to that egress."""
    with httpx.Client(transport=httpx.WSGITransport(app=egress), base_url="http://egress") as opened:
        yield opened


@pytest.fixture
def egress_socket(egress: Egress, tmp_path: Path) -> Iterator[Path]:
    """The same egress on a Unix socket, for processes of their own."""
    path = tmp_path / "egress.sock"
    server = _Server(str(path), egress)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def accept() -> Callable[..., str]:
    """Store a delivery and return its id."""

    def accept_one(store: Store, rule: str, payload: object = None, *, order_key: str | None = None) -> str:
        raw = json.dumps({} if payload is None else payload).encode()
        received = Received(new_id(), rule, State.QUEUED, raw, order_key=order_key)
        return store.commit(lambda connection: deliveries.accept(connection, received)).id

    return accept_one


@pytest.fixture
def found() -> Callable[[Store, str], Delivery]:
    """Look a delivery up."""

    def find(store: Store, delivery: str) -> Delivery:
        with store.read() as connection:
            row = deliveries.get(connection, delivery)
        assert row is not None
        return row

    return find


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until something is so, 20 seconds at most."""

    def wait(so: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not so():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.02)

    return wait


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The common queue on an emptied Valkey."""
    return open_queue(redis)


@pytest.fixture
def absent_redis(tmp_path: Path) -> Redis:
    """A connection to where nothing listens."""
    return Redis(unix_socket_path=str(tmp_path / "absent.sock"), retry=Retry(NoBackoff(), 0))
