"""The answers of the hooks: what a sender is told, what is stored, and what an outsider learns."""

import dataclasses
import hashlib
import io
import json
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse, create_environ, run_wsgi_app

from bridge.ingress import create_app
from bridge.ingress.signature import mint_token
from bridge.rule.registry import Registry
from bridge.settings import Secret, Settings
from bridge.store import Store, journal, registers
from bridge.store.registers import KnownAccount

Post = Callable[..., TestResponse]
Rows = Callable[[], list[Any]]

FIRST = {"issue": "OPS-1", "reporter": "Ada", "at": "2026-11-22T09:00", "initiator": "5b10a2844c20165700ede21g"}


def entries(store: Store, delivery: str) -> list[dict[str, Any]]:
    with store.read() as connection:
        return journal.of_delivery(connection, delivery)


def is_problem(answer: TestResponse, status: int, *, kept: bool = False) -> str:
    """RFC 9457 section 3: the media type, and a status that repeats the answer's."""
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    document = json.loads(answer.get_data())
    assert set(document) == {"type", "title", "status", "detail"} | ({"delivery"} if kept else set())
    assert document["status"] == status
    return str(document["detail"])


# --- accepted -------------------------------------------------------------------------------------------------------


def test_an_authentic_webhook_is_queued_with_its_raw_body(post: Post, rows: Rows) -> None:
    raw = json.dumps(FIRST, indent=3).encode()
    answer = post("triage", raw)
    assert (answer.status_code, answer.content_type) == (202, "application/json")
    [row] = rows()
    assert answer.get_json() == {"delivery": row.id, "status": "queued"}
    assert row.payload == raw
    assert (row.rule, row.state, row.reason) == ("triage", "queued", None)
    assert row.rule_digest.startswith("sha256:")
    assert (row.order_key, row.order_seq) == ('["OPS-1"]', 1)
    assert row.identity == 'key:["OPS-1","2026-11-22T09:00"]'


def test_the_entry_says_how_it_was_signed_where_from_and_whose_word_the_initiator_is(post: Post, store: Store) -> None:
    [entry] = entries(store, post("triage", FIRST).get_json()["delivery"])
    told = {name: entry.get(name) for name in ("kind", "scheme", "key", "token_version", "address", "initiator_is")}
    assert told == {
        "kind": "delivery:received",
        "scheme": "rule token",
        "key": "k2",
        "token_version": 3,
        "address": "127.0.0.1",
        "initiator_is": "claimed",
    }
    assert entry["initiator"] == FIRST["initiator"]
    [entry] = entries(store, post("moved", {"user": {"accountId": "ada"}}).get_json()["delivery"])
    assert (entry["scheme"], entry["initiator_is"], entry["initiator"]) == ("body signature", "verified", "ada")
    [entry] = entries(store, post("script", {"a": 1}).get_json()["delivery"])
    assert entry["scheme"] == "standard webhook"
    assert "initiator" not in entry


def test_a_forwarded_address_is_not_believed(post: Post, store: Store) -> None:
    answer = post("plain", {}, {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    [entry] = entries(store, answer.get_json()["delivery"])
    assert entry["address"] == "127.0.0.1"


def test_an_initiator_that_is_no_account_id_is_disarmed_before_it_is_stored(post: Post, rows: Rows) -> None:
    assert post("triage", FIRST | {"initiator": "\x1b[2J\x00" + "x" * 500}).status_code == 202
    assert rows()[0].initiator == ("\\x1b[2J\\x00" + "x" * 500)[:128]


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=UTF-8", "application/vnd.acme.v1+json"]
)
def test_json_is_taken_under_each_of_its_names(post: Post, media_type: str) -> None:
    assert post("plain", {}, {"Content-Type": media_type}).status_code == 202


def test_the_relay_is_nudged_once_for_each_new_delivery(post: Post, settings: Settings) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as relay:
        relay.bind(str(settings.home / "nudge.sock"))
        relay.settimeout(5)
        post("triage", FIRST)
        assert relay.recv(16) == b"\x00"
        post("triage", FIRST)
        post("triage", b"{")
        post("triage", {})
        relay.setblocking(False)
        with pytest.raises(BlockingIOError):
            relay.recv(16)


def test_a_home_too_deep_for_a_socket_takes_deliveries_without_nudging(
    post: Post, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    deep = dataclasses.replace(settings, home=settings.home / ("d" * 120))
    assert post("plain", {}, to=make_app(deep)).status_code == 202


# --- duplicates and order -------------------------------------------------------------------------------------------


def test_the_same_idempotency_key_is_the_first_delivery_and_the_entry_says_if_the_body_differs(
    post: Post, rows: Rows, store: Store
) -> None:
    first = post("triage", FIRST).get_json()["delivery"]
    again = post("triage", FIRST)
    assert (again.status_code, again.get_json()) == (
        200,
        {"delivery": first, "status": "duplicate", "differs": False},
    )
    other = post("triage", FIRST | {"reporter": "Grace"})
    assert other.get_json() == {"delivery": first, "status": "duplicate", "differs": True}
    assert len(rows()) == 1
    told = [(entry["kind"], entry.get("differs")) for entry in entries(store, first)]
    assert told == [("delivery:received", None), ("delivery:duplicate", False), ("delivery:duplicate", True)]


def test_a_signed_webhook_id_identifies_a_delivery(post: Post, rows: Rows) -> None:
    assert post("script", {"a": 1}).get_json()["status"] == "queued"
    assert post("script", {"a": 1}).get_json()["status"] == "duplicate"
    assert post("script", {"a": 1}, signed_id="msg_2").get_json()["status"] == "queued"
    assert [row.identity for row in rows()] == ["webhook-id:msg_1", "webhook-id:msg_2"]


@pytest.mark.parametrize("name", ["X-Atlassian-Webhook-Identifier", "Idempotency-Key"])
@pytest.mark.parametrize("rule", ["plain", "moved"])
def test_an_identifying_header_counts_only_together_with_the_body(post: Post, rule: str, name: str) -> None:
    def status(number: int, identifier: str) -> str:
        return str(post(rule, {"a": number}, {name: identifier}).get_json()["status"])

    assert status(1, "x") == "queued"
    assert status(1, "x") == "duplicate"
    assert status(2, "x") == "queued", "no signature covers the header, so it must not hide another body"
    assert status(1, "y") == "queued"


def test_without_any_identity_each_arrival_is_a_delivery(post: Post, rows: Rows) -> None:
    assert [post("plain", {}).get_json()["status"] for _ in range(2)] == ["queued", "queued"]
    assert [row.identity for row in rows()] == [None, None]


def test_a_long_identity_is_kept_as_its_digest(post: Post, rows: Rows) -> None:
    post("plain", {}, {"Idempotency-Key": "x" * 300})
    whole = f"idempotency-key:{'x' * 300}:{hashlib.sha256(b'{}').hexdigest()}"
    assert rows()[0].identity == f"header:sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def test_identities_of_different_kinds_never_meet(post: Post, rows: Rows) -> None:
    post("triage", FIRST | {"issue": "a", "at": "b"})
    answer = post("script", {}, signed_id='key:["a","b"]')
    assert answer.get_json()["status"] == "queued"
    assert len({row.identity for row in rows()}) == 2


def test_deliveries_of_one_order_key_are_numbered_in_the_order_of_acceptance(post: Post, rows: Rows) -> None:
    for number in range(3):
        post("triage", FIRST | {"at": str(number)})
        post("triage", FIRST | {"at": str(number), "issue": "OPS-2"})
    numbers: dict[str, list[int]] = {}
    for row in rows():
        numbers.setdefault(row.order_key, []).append(row.order_seq)
    assert numbers == {'["OPS-1"]': [1, 2, 3], '["OPS-2"]': [1, 2, 3]}


def test_of_many_duplicates_at_once_one_is_the_delivery(post: Post, rows: Rows) -> None:
    assert post("plain", {}).status_code == 202
    together = threading.Barrier(8)

    def send(_: int) -> tuple[int, str]:
        together.wait()
        answer = post("triage", FIRST)
        return answer.status_code, answer.get_json()["delivery"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [202]
    assert len({delivery for _, delivery in answers}) == 1
    assert len(rows()) == 2


def test_requests_that_arrive_together_share_commits(post: Post, rows: Rows, store: Store) -> None:
    post("plain", {})
    commits: list[object] = []
    sa.event.listen(store.engine, "commit", commits.append)
    entered, go_on = threading.Event(), threading.Event()

    def hold(_connection: sa.Connection) -> None:
        entered.set()
        go_on.wait(30)

    with ThreadPoolExecutor(7) as pool:
        leader = pool.submit(store.commit, hold)
        assert entered.wait(30)
        # While the leader's commit is under way, six requests come to wait for the next one.
        sent = [pool.submit(post, "triage", FIRST | {"at": str(number)}) for number in range(6)]
        while len(store._waiting) < 6:
            threading.Event().wait(0.01)
        go_on.set()
        leader.result()
        assert [answer.result().status_code for answer in sent] == [202] * 6
    assert len(rows()) == 7
    assert len(commits) == 2


# --- the loop guard -------------------------------------------------------------------------------------------------


def know_account(store: Store) -> None:
    known = KnownAccount("ops-bot", "cloud", "5b10a2844c20165700ede21g", "Ops Bot", "app", "2026-11-22T00:00:00Z")
    store.commit(lambda connection: registers.keep_account(connection, known))


def test_what_our_own_account_set_off_is_ignored(post: Post, rows: Rows, store: Store) -> None:
    know_account(store)
    answer = post("triage", FIRST)
    [row] = rows()
    assert (answer.status_code, answer.get_json()) == (200, {"delivery": row.id, "status": "ignored"})
    assert row.state == "ignored"
    [entry] = entries(store, row.id)
    assert (entry["kind"], entry["initiator"]) == ("delivery:ignored", FIRST["initiator"])
    assert "service account" in entry["why"]
    assert post("moved", {"user": {"accountId": FIRST["initiator"]}}).get_json()["status"] == "ignored"


def test_an_ignored_webhook_does_not_make_a_persons_one_look_like_a_duplicate(post: Post, store: Store) -> None:
    know_account(store)
    assert post("triage", FIRST).get_json()["status"] == "ignored"
    assert post("triage", FIRST | {"initiator": "ada"}).get_json()["status"] == "queued"


def test_an_account_that_becomes_known_is_noticed_within_seconds(post: Post, store: Store) -> None:
    assert post("triage", FIRST).get_json()["status"] == "queued"
    know_account(store)
    for number in range(100):
        if post("triage", FIRST | {"at": str(number)}).get_json()["status"] == "ignored":
            break
        threading.Event().wait(0.1)
    else:
        pytest.fail("the account was not noticed within ten seconds")


# --- refused, and nothing learned -----------------------------------------------------------------------------------


def test_every_request_without_a_valid_signature_gets_the_same_bytes_and_leaves_no_row(
    post: Post, rows: Rows, app: Flask
) -> None:
    client = app.test_client()
    other = {"Authorization": f"Bearer {mint_token(Secret('k2', b'x' * 32), 'triage', 3)}"}
    answers = [
        post("triage", FIRST, {"Authorization": None}),
        post("triage", FIRST, other),
        post("triage", FIRST, {"Authorization": "Bearer brt1.k2.3.x"}),
        post("no_such_rule", FIRST, other),
        post("no_such_rule", FIRST, {"Authorization": None}),
        post("triage", b"{", other),
        post("triage", FIRST, other, query="?wait=forever"),
        post("moved", {}, {"X-Hub-Signature": "sha256=" + "0" * 64}),
        post("script", {}, {"webhook-timestamp": "1"}),
        post("Triage", FIRST),
        post("triage/", FIRST),
        post("triage%2F..%2Fplain", FIRST),
        post("triage%00", FIRST),
        post("a" * 65, FIRST),
        post("..", FIRST),
        client.post("/hooks/"),
        client.post("/hooks"),
        client.post("/hooks//triage"),
        client.post("/hooks/a/b/c"),
        client.get("/hooks/triage/019ab000-0000-7000-8000-000000000000"),
        client.get("/hooks/no_such_rule/019ab000-0000-7000-8000-000000000000"),
        client.get("/hooks/triage/nonsense"),
    ]
    seen = {(answer.status_code, answer.get_data(), str(sorted(answer.headers))) for answer in answers}
    assert len(seen) == 1
    assert is_problem(answers[0], 401) == "No valid signature for this address was sent."
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="bridge"'
    assert rows() == []


def test_a_rules_source_decides_which_signature_opens_it(post: Post) -> None:
    token = {"Authorization": f"Bearer {mint_token(Secret('k2', b'n' * 32), 'moved', 1)}", "X-Hub-Signature": None}
    is_problem(post("moved", {}, token), 401)


def test_nothing_is_accepted_while_no_secret_is_configured(
    post: Post, rows: Rows, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    app = make_app(dataclasses.replace(settings, secrets=()))
    is_problem(post("triage", FIRST, to=app), 401)
    assert rows() == []
    assert "BRIDGE_SECRETS is not set" in app.test_client().get("/readyz").get_json()["detail"]


# --- authentic and unfit: kept --------------------------------------------------------------------------------------


def test_an_authentic_webhook_for_a_rule_that_is_not_there_is_kept(post: Post, rows: Rows, store: Store) -> None:
    answer = post("no_such_rule", FIRST)
    assert is_problem(answer, 404, kept=True) == "There is no rule of this name."
    [row] = rows()
    assert answer.get_json()["delivery"] == row.id
    assert (row.rule, row.state, row.reason) == ("no_such_rule", "rejected", "404: There is no rule of this name.")
    assert json.loads(row.payload) == FIRST
    [entry] = entries(store, row.id)
    assert (entry["kind"], entry["scheme"]) == ("delivery:rejected", "rule token")


def test_a_removed_rules_delivery_is_kept_as_rejected(post: Post, settings: Settings) -> None:
    assert post("plain", {}).status_code == 202
    (settings.rules / "plain.toml").unlink()
    is_problem(post("plain", {}), 404, kept=True)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "The body is empty (line 1, column 1)."),
        (b'{"issue": "OPS-1",', "The body is not JSON: expecting property name enclosed in double quotes"),
        (b'{"issue": "OPS-1", "issue": "OPS-2"}', "The body has an object with the same name twice"),
        (b"[" * 5000, "The body nests deeper than 64 lists or objects (line 1, column 65)."),
        (b'["OPS-1"]', "The body must be a JSON object"),
        (b'{"issue": "\xff"}', "The body is not UTF-8"),
        (b'{"issue": NaN}', "The body has NaN or Infinity"),
    ],
)
def test_an_authentic_body_that_is_no_json_is_kept_and_told_where(
    post: Post, rows: Rows, raw: bytes, detail: str
) -> None:
    answer = post("triage", raw)
    assert is_problem(answer, 400, kept=True).startswith(detail)
    [row] = rows()
    assert (row.state, row.payload) == ("rejected", raw)
    assert row.reason.startswith(f"400: {detail}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": None},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_an_authentic_body_of_another_media_type_is_kept(
    post: Post, rows: Rows, headers: dict[str, str | None]
) -> None:
    assert "Content-Type: application/json" in is_problem(post("triage", FIRST, headers), 415, kept=True)
    assert rows()[0].state == "rejected"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"issue": None, "reporter": None}, ["'issue'", "'reporter'"]),
        ({"reporter": "  "}, ["'reporter'"]),
        ({"at": ""}, ["'at' is empty", "accept.idempotency_key"]),
        ({"at": None}, ["'at' is empty"]),
        ({"at": []}, ["'at' is empty"]),
    ],
)
def test_what_the_manifest_asks_for_and_the_payload_lacks_is_listed(
    post: Post, rows: Rows, change: dict[str, object], named: list[str]
) -> None:
    detail = is_problem(post("triage", FIRST | change), 422, kept=True)
    assert all(name in detail for name in named)
    assert rows()[0].state == "rejected"
    assert rows()[0].identity is None


def test_all_missing_fields_are_listed_at_once(post: Post) -> None:
    detail = is_problem(post("triage", {}), 422, kept=True)
    assert all(name in detail for name in ("'issue'", "'reporter'", "'at'"))


def test_a_payload_of_wrong_types_is_taken_or_refused_but_never_breaks(post: Post) -> None:
    oddities: list[object] = [0, -1.5, True, {"key": "OPS-1"}, [[]], "x" * 10_000, "\x00", "\u202e", 10**30]
    for odd in oddities:
        answer = post("triage", FIRST | {"issue": odd, "at": odd, "initiator": odd})
        assert answer.status_code in {202, 422}, odd


def test_a_rejected_webhook_is_accepted_once_it_is_mended(post: Post) -> None:
    is_problem(post("script", b"[]"), 400, kept=True)
    assert post("script", {}).get_json()["status"] == "queued"


def test_a_wait_that_is_no_number_is_refused_and_kept(post: Post, rows: Rows) -> None:
    for text in ("soon", "-1", "", "1e3", "²", "9" * 400):
        assert "wait must be a number" in is_problem(post("plain", {}, query=f"?wait={text}"), 400, kept=True)
    assert {row.state for row in rows()} == {"rejected"}


# --- too large ------------------------------------------------------------------------------------------------------


def test_a_body_beyond_the_limit_is_refused_by_its_announced_length(post: Post, rows: Rows) -> None:
    detail = is_problem(post("plain", b'{"a":"' + b"x" * 65_536 + b'"}'), 413)
    assert detail == "The body may have at most 65536 bytes."
    assert rows() == []


@pytest.mark.parametrize(("size", "status"), [(65_536, 401), (65_537, 413), (200_000, 413)])
def test_a_body_without_announced_length_is_read_no_further_than_the_limit(
    app: Flask, rows: Rows, size: int, status: int
) -> None:
    body = io.BytesIO(b"x" * size)
    environ = create_environ("/hooks/plain", method="POST")
    environ |= {"wsgi.input": body, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    _, line, headers = run_wsgi_app(app, environ)
    assert (line[:3], headers["Content-Type"]) == (str(status), "application/problem+json")
    assert body.tell() <= 65_537
    assert rows() == []


@pytest.mark.parametrize(("size", "status"), [(65_536, 202), (65_537, 413)])
def test_a_body_of_exactly_the_limit_is_taken(post: Post, size: int, status: int) -> None:
    raw = b'{"a":"' + b"x" * (size - 8) + b'"}'
    assert len(raw) == size
    assert post("plain", raw).status_code == status


# --- errors that are not about a delivery ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/hook/triage", 404),
        ("GET", "/hooks/triage", 405),
        ("PUT", "/hooks/triage", 405),
        ("OPTIONS", "/hooks/triage", 405),
        ("POST", "/hooks/triage/019ab000-0000-7000-8000-000000000000", 405),
        ("POST", "/healthz", 405),
    ],
)
def test_errors_of_the_framework_are_problem_documents_too(app: Flask, method: str, path: str, status: int) -> None:
    answer = app.test_client().open(path, method=method)
    is_problem(answer, status)
    assert ("Allow" in answer.headers) is (status == 405)


def test_a_bug_is_answered_without_its_insides_and_logged_without_the_payload(
    settings: Settings, store: Store, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    said = "payload" + "word"

    def broken() -> float:
        raise ArithmeticError(said)

    app = create_app(settings, store, Registry(settings.rules, None), clock=broken)
    answer = post("plain", {}, to=app)
    assert is_problem(answer, 500) == "The bridge failed; its log says where."
    assert "ArithmeticError" in caplog.text
    assert "in broken" in caplog.text
    assert said not in caplog.text


def test_neither_body_nor_token_nor_signature_is_ever_logged_or_answered(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = mint_token(Secret("k2", b"n" * 32), "plain", 1)
    answers = [
        post("plain", {"a": "payloadword"}),
        post("plain", b'{"payloadword": payloadword}'),
        post("plain", b'{"payloadword": 1, "payloadword": 1}'),
        post("plain", {"a": "payloadword"}, {"Authorization": f"Bearer {token}x"}),
        post("triage", {"issue": "payloadword"}),
        post("moved", {"a": "payloadword"}),
    ]
    told = caplog.text + "".join(answer.get_data(as_text=True) for answer in answers)
    for secret in ("payloadword", token, token[10:], "sha256="):
        assert secret not in told


# --- the database away ----------------------------------------------------------------------------------------------


def test_with_the_database_away_the_answer_is_503_and_health_tells(
    settings: Settings, tmp_path: Path, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "directory.db").mkdir()
    for url in (f"sqlite:///{tmp_path}/directory.db", f"sqlite:///{tmp_path}/missing/bridge.db"):
        store = Store(url)
        app = create_app(settings, store, Registry(settings.rules, None), clock=lambda: 1_795_305_600.0)
        answer = post("plain", {}, to=app)
        assert is_problem(answer, 503) == "The database is away and nothing was stored. Send it again."
        assert answer.headers["Retry-After"] == "5"
        is_problem(post("plain", {}, {"Authorization": None}, to=app), 401)
        assert app.test_client().get("/healthz").status_code == 200
        ready = app.test_client().get("/readyz")
        assert (ready.status_code, ready.content_type) == (503, "application/problem+json")
        assert ready.get_json()["checks"]["database"] == "not ready: it does not answer"
        store.close()
    assert "nothing was stored" in caplog.text


def test_a_database_that_goes_away_and_comes_back_is_used_again(
    settings: Settings, new_database: Callable[[str], str], post: Post
) -> None:
    url = new_database("sqlite")
    file = Path(str(sa.make_url(url).database))
    store = Store(url)
    app = create_app(settings, store, Registry(settings.rules, None), clock=lambda: 1_795_305_600.0)
    assert post("plain", {}, to=app).status_code == 202
    store.close()
    file.rename(file.with_suffix(".away"))
    is_problem(post("plain", {}, to=app), 503)
    store.close()
    file.with_suffix(".away").replace(file)
    assert post("plain", {}, to=app).status_code == 202
    store.close()


# --- rules in disorder ----------------------------------------------------------------------------------------------


def test_while_no_rules_are_in_force_an_authentic_webhook_is_kept_and_its_sender_told_to_come_again(
    post: Post, rows: Rows, settings: Settings, app: Flask
) -> None:
    (settings.rules / "broken.toml").write_text("title = ", encoding="utf-8")
    answer = post("plain", {})
    assert "a person must mend them" in is_problem(answer, 503, kept=True)
    assert answer.headers["Retry-After"] == "5"
    assert rows()[0].state == "rejected"
    is_problem(post("plain", {}, {"Authorization": None}), 401)
    assert app.test_client().get("/readyz").get_json()["checks"]["rules"].startswith("not ready: ")


def test_a_typo_leaves_the_last_good_rules_in_force_and_the_server_in_service(
    post: Post, settings: Settings, app: Flask
) -> None:
    assert post("plain", {}).status_code == 202
    (settings.rules / "plain.toml").write_text("title = ", encoding="utf-8")
    assert post("plain", {}).status_code == 202
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "ready")
    assert "last good set is in force" in ready.get_json()["checks"]["rules"]


def test_a_healthy_server_is_ready(app: Flask) -> None:
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.get_json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "secrets": "ok", "rules": "ok"}},
    )
    assert app.test_client().get("/healthz").get_json() == {"status": "ok"}


def test_an_unguarded_journal_makes_the_server_unready(app: Flask, store: Store) -> None:
    drop = "DROP TRIGGER journal_no_update" if store.sqlite else "DROP TRIGGER journal_no_change ON journal"
    store.commit(lambda connection: connection.execute(sa.text(drop)))
    assert "not protected" in app.test_client().get("/readyz").get_json()["detail"]
