"""Entries and checkpoints told outside: all of them, in order, at least once, and whatever else is away."""

import contextlib
import io
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.audit import outside, ship
from bridge.audit.ship import Address, Collector, File, Output, PlaceAway, Shipper, Syslog
from bridge.audit_settings import AuditSettings
from bridge.errors import SettingsInvalid
from bridge.settings import read


class Receiver:
    """An address that keeps what it is posted and answers ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.posted: list[tuple[dict[str, str], str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if receiver.status == 200:
                    receiver.posted.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Keep the test's output clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/logs"

    @property
    def lines(self) -> list[str]:
        """Every line that was posted."""
        return [line for _, body in self.posted for line in body.splitlines()]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on a loopback port."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def read_lines(lines: list[str]) -> list[tuple[str, object]]:
    """Return what each line tells: an entry's seq, or a checkpoint's size."""
    said = [json.loads(line) for line in lines]
    return [
        ("entry", each["seq"]) if each["event"] == "audit.entry" else ("note", int(each["note"].split("\n")[1]))
        for each in said
    ]


def whole(*sizes: int) -> list[tuple[str, object]]:
    """Return what a place that takes entries is told up to these checkpoints."""
    told: list[tuple[str, object]] = []
    begin = 0
    for size in sizes:
        told += [*(("entry", seq) for seq in range(begin, size)), ("note", size)]
        begin = size
    return told


def test_standard_output_tells_every_entry_and_then_the_checkpoint_that_covers_it(log: Any) -> None:
    stream = io.StringIO()
    shipper = Shipper(log.store, Output(stream, entries=True))
    assert shipper.once() == 3
    assert read_lines(stream.getvalue().splitlines()) == whole(17, 33, 49)
    assert shipper.once() == 0
    log.write(1)
    log.seal()
    assert shipper.once() == 1
    assert read_lines(stream.getvalue().splitlines()) == whole(17, 33, 49, 53)


def test_a_line_holds_the_exact_text_of_its_entry_so_that_it_can_be_checked_far_away(log: Any) -> None:
    stream = io.StringIO()
    Shipper(log.store, Output(stream, entries=True)).once()
    with log.store.read() as connection:
        query = "SELECT seq, journal.id, journal.entry, rule_seq FROM leaf JOIN journal ON journal.id = leaf.entry"
        rows = connection.execute(sa.text(f"{query} ORDER BY seq")).all()
    lines = [line for line in stream.getvalue().splitlines() if '"event":"audit.entry"' in line]
    for row, line in zip(rows, lines, strict=True):
        assert line.startswith(f'{{"entry":{row.entry},"event":"audit.entry","id":{row.id},')
        said = json.loads(line)
        assert (said["log"], said["seq"], said["rule_seq"]) == ("bridge.example/actions", row.seq, row.rule_seq)


def test_what_standard_output_told_is_an_outside_copy(log: Any, tmp_path: Path) -> None:
    kept = tmp_path / "collector.log"
    with kept.open("w") as stream:
        Shipper(log.store, Output(stream, entries=False)).once()
    report = log.verify(outside.notes([kept]))
    assert (report.status, report.failures) == (0, [])
    assert report.outside is not None
    assert report.outside.newest == 49


def test_a_new_process_goes_on_where_the_last_one_ended(log: Any) -> None:
    first, second = io.StringIO(), io.StringIO()
    Shipper(log.store, Output(first, entries=True)).once()
    log.write(2)
    log.seal()
    Shipper(log.store, Output(second, entries=True)).once()
    assert read_lines(second.getvalue().splitlines()) == whole(17, 33, 49, 57)[52:]


def test_a_file_is_given_the_newest_checkpoint_which_covers_all_before_it(log: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    shipper = Shipper(log.store, File(path))
    shipper.once()
    log.write(1)
    log.seal()
    shipper.once()
    assert read_lines(path.read_text(encoding="utf-8").splitlines()) == [("note", 49), ("note", 53)]


def test_a_file_that_cannot_be_written_is_away_and_told_later(log: Any, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "checkpoints.log"
    shipper = Shipper(log.store, File(path))
    with pytest.raises(PlaceAway, match="takes nothing"):
        shipper.once()
    path.parent.mkdir()
    assert shipper.once() == 1


def test_an_address_is_posted_the_note_itself(log: Any, receiver: Receiver) -> None:
    Shipper(log.store, Address(receiver.url)).once()
    [(headers, body)] = receiver.posted
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body == log.notes()[-1]


def test_a_collector_is_posted_json_lines_with_its_token_and_told_again_what_it_did_not_take(
    log: Any, receiver: Receiver
) -> None:
    shipper = Shipper(log.store, Collector(receiver.url, lambda: "the-token"))
    receiver.status = 503
    with pytest.raises(PlaceAway, match="answers 503"):
        shipper.once()
    receiver.status = 200
    assert shipper.once() == 3
    assert read_lines(receiver.lines) == whole(17, 33, 49)
    assert {headers["Authorization"] for headers, _ in receiver.posted} == {"Bearer the-token"}
    assert {headers["Content-Type"] for headers, _ in receiver.posted} == {"application/x-ndjson"}


def test_an_address_where_nobody_listens_is_away(log: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(PlaceAway, match="does not answer"):
            Shipper(log.store, Collector(url, None)).once()


def test_places_know_nothing_of_each_other(log: Any, tmp_path: Path) -> None:
    stream = io.StringIO()
    with pytest.raises(PlaceAway):
        Shipper(log.store, File(tmp_path / "absent" / "x")).once()
    assert Shipper(log.store, Output(stream, entries=False)).once() == 1
    assert read_lines(stream.getvalue().splitlines()) == [("note", 49)]


# -------------------------------------------------------------------------------------------------------------- syslog


def _messages(raw: bytes) -> list[str]:
    """Split a stream of counted messages (RFC 6587 section 3.4.1)."""
    found = []
    while raw:
        length, _, rest = raw.partition(b" ")
        found.append(rest[: int(length)].decode())
        raw = rest[int(length) :]
    return found


@pytest.fixture
def accept_all() -> Iterator[Callable[[socket.socket], Callable[[], bytes]]]:
    """Collect what one connection to a listening socket sends; calling what is returned waits for its end."""
    with ExitStack() as stack:

        def collect(listening: socket.socket) -> Callable[[], bytes]:
            received: list[bytes] = []

            def serve() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    with connection:
                        while data := connection.recv(65536):
                            received.append(data)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(listening.close)
            stack.callback(thread.join)

            def everything() -> bytes:
                thread.join(20)
                return b"".join(received)

            return everything

        yield collect


def test_a_syslog_server_over_tcp_gets_counted_messages_of_rfc_5424(
    log: Any, accept_all: Callable[[socket.socket], Callable[[], bytes]]
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    received = accept_all(listening)
    place = Syslog(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
    Shipper(log.store, place).once()
    place.close()
    messages = _messages(received())
    heads = [message.split(" ", 7) for message in messages]
    assert {(head[0], head[3], head[6]) for head in heads} == {("<110>1", "bridge", "-")}
    assert {head[5] for head in heads} == {"audit.entry", "audit.checkpoint"}
    assert read_lines([head[7] for head in heads]) == whole(17, 33, 49)


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_a_syslog_server_over_datagrams_gets_one_message_in_each(log: Any, kind: str, tmp_path: Path) -> None:
    family = socket.AF_INET if kind == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0) if kind == "udp" else str(tmp_path / "log"))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listening.settimeout(10)
        target = f"udp://127.0.0.1:{listening.getsockname()[1]}" if kind == "udp" else f"unix:{tmp_path / 'log'}"
        told: list[bytes] = []
        thread = threading.Thread(target=lambda: told.extend(listening.recv(65536) for _ in range(52)))
        thread.start()
        place = Syslog(target)
        Shipper(log.store, place).once()
        thread.join(20)
        place.close()
    assert read_lines([message.decode().split(" ", 7)[7] for message in told]) == whole(17, 33, 49)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths[1].write_bytes(secret)
    return paths


def test_a_syslog_server_over_tls_must_show_a_certificate_that_is_trusted(
    log: Any,
    certificate: tuple[Path, Path],
    accept_all: Callable[[socket.socket], Callable[[], bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    for trusted in (False, True):
        listening = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        received = accept_all(listening)
        place = Syslog(f"tls://localhost:{listening.getsockname()[1]}")
        if not trusted:
            with pytest.raises(PlaceAway, match="certificate verify failed"):
                Shipper(log.store, place).once()
            continue
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert Shipper(log.store, place).once() == 3
        place.close()
        told = [message.split(" ", 7)[7] for message in _messages(received())]
        assert read_lines(told) == whole(17, 33, 49)


def test_a_syslog_server_that_is_not_there_is_away(log: Any, tmp_path: Path) -> None:
    for target in (f"unix:{tmp_path / 'absent'}", "tcp://127.0.0.1:1"):
        with pytest.raises(PlaceAway, match="the syslog server takes nothing"):
            Shipper(log.store, Syslog(target)).once()


# ------------------------------------------------------------------------------------------------------------ settings


def _settings(tmp_path: Path, text: str) -> AuditSettings:
    config = tmp_path / "bridge.toml"
    config.write_text(text, encoding="utf-8")
    return read({"BRIDGE_HOME": str(tmp_path), "BRIDGE_CONFIG": str(config)}).audit


def test_without_settings_entries_go_to_standard_output_and_bodies_are_kept_for_30_days(tmp_path: Path) -> None:
    assert _settings(tmp_path, "") == AuditSettings()
    assert AuditSettings().days == 30
    assert not AuditSettings().has_outside()


def test_every_place_of_bridge_toml_is_told(tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(
        f"""
        [audit]
        entries = false
        keys = "{tmp_path}/keys"
        checkpoint_file = "{tmp_path}/checkpoints.log"
        checkpoint_url = "https://witness.example.com/bridge"
        syslog = "udp://127.0.0.1:514"
        collector = "https://logs.example.com/ingest"
        collector_token = "env:LOGS_TOKEN"
        [retention]
        days = 7
        """,
        encoding="utf-8",
    )
    known = read({"BRIDGE_HOME": str(tmp_path), "BRIDGE_CONFIG": str(config)})
    places = list(ship.places(known, io.StringIO()))
    assert [(place.name, place.entries) for place in places] == [
        ("stdout", False),
        ("checkpoint_file", False),
        ("checkpoint_url", False),
        ("syslog", True),
        ("collector", True),
    ]
    assert known.audit.days == 7
    assert known.audit.has_outside()


@pytest.mark.parametrize(
    ("line", "where", "why"),
    [
        ('checkpoint_file = "here.log"', "audit.checkpoint_file", "absolute path"),
        ('checkpoint_url = "http://witness.example.com/"', "audit.checkpoint_url", "wants https"),
        ('collector = "https://user:secret@logs.example.com/"', "audit.collector", "without user"),
        ('collector = "logs"', "audit.collector", "https://host/path"),
        ('collector_token = "s3cr3t-t0k3n"', "audit.collector_token", "env:NAME or file:/path"),
        ('syslog = "logs.example.com"', "audit.syslog", "wants tls://host:port"),
        ('entries = "yes"', "audit.entries", "boolean"),
        ('checkpoint_path = "/x"', "audit.checkpoint_path", "is not a setting; did you mean checkpoint_"),
        ("[retention]\ndays = 0", "retention.days", "greater than or equal to 1"),
    ],
)
def test_a_mistake_in_the_settings_of_the_log_is_named(tmp_path: Path, line: str, where: str, why: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        _settings(tmp_path, f"[audit]\n{line}\n")
    assert f"bridge.toml: {where}: " in str(raised.value)
    assert why in str(raised.value)
    assert "s3cr3t-t0k3n" not in str(raised.value)
    assert "secret@" not in str(raised.value)
