"""OAuth 2.0 client credentials: an access token is fetched, kept in this process, renewed early and shown nowhere."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import sqlalchemy as sa

from bridge.egress.credentials import Credentials
from bridge.egress.upstream import SiteAnswer, Upstream
from bridge.errors import AccountRejected, NotSent
from bridge.sandbox import seed
from bridge.sandbox.clients import Client
from bridge.settings import Account, Credential, Reference
from bridge.store.tables import metadata

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n'
COMMENT = "context.jira.comment('OPS-1', 'x')\nreturn 'told'"
READ = "return context.jira.issue('OPS-1')['key']"
SECRET = "ATOA-PLANTED-client-secret"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file that holds the client's secret."""
    place = tmp_path / "client.secret"
    place.write_text(SECRET)
    return place


def with_client(make_bench: Make, secret: Path, handle: str = COMMENT, **client: Any) -> Any:
    """A bench whose account opens Jira by an OAuth client."""
    known = make_bench(SCOPE, handle).settings.accounts["ops-bot"].credentials
    own = Credential(Reference(f"file:{secret}"), known["jira"].scopes, None, "client-1")
    account = Account("ops-bot", "sandbox", seed.BOT_EMAIL, {**known, "jira": own}, None)
    bench = make_bench(SCOPE, handle, accounts={"ops-bot": account})
    bench.site.clients["client-1"] = Client(SECRET, seed.token("jira"), **client)
    return bench


def fetched(bench: Any) -> list[httpx.Request]:
    """Return the requests for an access token."""
    return [sent for sent in bench.wire.requests if sent.url.path == "/oauth/token"]


def presented(bench: Any) -> list[str]:
    """Return the credentials that went to the gateway, each once, in order."""
    shown = [sent.headers["authorization"] for sent in bench.wire.requests if sent.url.path.startswith("/ex/")]
    return list(dict.fromkeys(shown))


def test_an_access_token_is_fetched_once_and_opens_every_request(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret)
    assert [bench.send().state, bench.send().state] == ["done", "done"]
    [asked] = fetched(bench)
    assert json.loads(asked.content) == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": SECRET,
    }
    assert "authorization" not in asked.headers
    [bearer] = presented(bench)
    assert SECRET not in bearer


def test_a_server_that_takes_forms_only_is_asked_with_one_and_from_then_on(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret, accepts="form")
    assert bench.send().state == "done"
    first, second = fetched(bench)
    assert first.headers["content-type"] == "application/json"
    assert parse_qs(second.content.decode())["client_secret"] == [SECRET]
    bench.site.tokens.clear()
    assert bench.send().state == "done"
    assert len(fetched(bench)) == 3, "it is known by now how this server wants to be asked"


def test_the_client_id_may_be_a_reference_too(make_bench: Make, secret: Path, tmp_path: Path) -> None:
    bench = with_client(make_bench, secret)
    (tmp_path / "client.id").write_text("client-1\n")
    account = bench.settings.accounts["ops-bot"]
    own = replace(account.credentials["jira"], client_id=f"file:{tmp_path / 'client.id'}")
    bench.egress.accounts._settings = replace(
        bench.settings, accounts={"ops-bot": replace(account, credentials={**account.credentials, "jira": own})}
    )
    assert bench.send().state == "done"


def test_a_rejected_access_token_is_replaced_once_and_the_write_made_once(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret)
    assert bench.send().state == "done"
    bench.site.tokens.clear()
    report = bench.send()
    assert report.state == "done", report.reason
    assert len(fetched(bench)) == 2
    assert bench.texts("OPS-1") == ["x", "x"]
    kinds = [entry["kind"] for entry in report.entries if entry["kind"].startswith("step:")]
    assert kinds == ["step:intent", "step:outcome"]


def test_a_new_access_token_that_is_rejected_too_pauses_the_account_and_burns_nothing(
    make_bench: Make, secret: Path
) -> None:
    bench = with_client(make_bench, secret)
    for _ in range(2):
        bench.wire.answer(401, {"message": "no"}, method="GET", path="/ex/jira")
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "the site rejects the jira credential of ops-bot (401)")
    assert len(fetched(bench)) == 2, "once, and once more after the 401, but never in a loop"
    assert bench.delivery(report.delivery).failures == 0
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


def test_a_missing_oauth_scope_is_no_reason_to_fetch_again(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret)
    bench.fault("401", "getIssue", scope=True)
    assert "lacks an OAuth scope for getIssue" in bench.send().reason
    assert len(fetched(bench)) == 1


def test_a_client_that_the_server_does_not_know_pauses_the_account(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret)
    bench.site.clients.clear()
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason == (
        "the jira credential of ops-bot: http://127.0.0.1:9 gives no access token for this client (401)"
    )
    assert presented(bench) == []
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


def test_a_servers_word_for_its_refusal_is_told_and_its_prose_is_not(make_bench: Make, secret: Path) -> None:
    bench = with_client(make_bench, secret)
    for _ in range(2):
        bench.wire.answer(400, {"error": "invalid_client", "error_description": SECRET}, path="/oauth/token")
    report = bench.send()
    assert report.reason.endswith("gives no access token for this client (400, invalid_client)")
    assert SECRET not in str(report)


@pytest.mark.parametrize(
    "order",
    [
        lambda wire: wire.answer(503, {}, path="/oauth/token"),
        lambda wire: wire.answer(429, {}, path="/oauth/token", retry_after="3"),
        lambda wire: wire.fail(lambda sent: httpx.ConnectError("no", request=sent), path="/oauth/token"),
        lambda wire: wire.fail(lambda sent: httpx.ReadTimeout("no", request=sent), path="/oauth/token"),
    ],
    ids=["broken", "limited", "unreachable", "silent"],
)
def test_while_the_authorization_server_is_away_deliveries_wait(
    make_bench: Make, secret: Path, order: Callable[[Any], None]
) -> None:
    bench = with_client(make_bench, secret)
    order(bench.wire)
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason.startswith("http://127.0.0.1:9 gives no access token now: ")
    assert bench.delivery(report.delivery).failures == 0
    bench.let_time_pass(report.delivery)
    bench.egress.accounts._credentials._slots.clear()
    assert bench.attempt(report.delivery).state == "done"


def test_neither_the_secret_nor_the_access_token_is_found_where_people_look(
    make_bench: Make, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = with_client(make_bench, secret)
    reports = [bench.send()]
    bench.fault("401", "addComment")
    reports.append(bench.send())
    with bench.store.read() as connection:
        kept = repr([tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))])
    tokens = [bearer.removeprefix("Bearer ") for bearer in presented(bench)]
    assert len(tokens) == 2
    looked_at = kept + caplog.text + repr(reports) + repr(bench.settings) + repr(vars(bench.egress.accounts))
    looked_at += repr(vars(bench.egress.accounts._credentials)) + repr(bench.site.clients)
    for planted in (SECRET, *tokens):
        assert planted not in looked_at


# --------------------------------------------------------------------------------------------------- the hour's end


class Server(httpx.BaseTransport):
    """An authorization server that numbers its access tokens and can be made to wait or to fail."""

    def __init__(self) -> None:
        self.given = 0
        self.answers: dict[str, Any] = {"expires_in": 3600}
        self.fails = False
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Give the next access token."""
        self.asked.set()
        assert self.go_on.wait(10)
        if self.fails:
            raise httpx.ConnectError("away", request=request)
        self.given += 1
        return httpx.Response(200, json={"access_token": f"access-{self.given}", **self.answers}, request=request)


class Presenting:
    """Presents an OAuth client's credential and tells which access token that was; ``clock`` is in the test's hand."""

    def __init__(self, secret: Path) -> None:
        self.server = Server()
        self.now = 1000.0
        self._credentials = Credentials("http://127.0.0.1:9", Upstream(5, self.server), lambda: self.now)
        own = Credential(Reference(f"file:{secret}"), frozenset(), None, "client-1")
        self._account = Account("ops-bot", "sandbox", seed.BOT_EMAIL, {"jira": own}, None)

    def token(self) -> str:
        """Return the access token that a request would carry now."""
        return str(self._credentials.use(self._account, "jira", lambda token: SiteAnswer(200, token)).body)


def test_an_access_token_is_renewed_five_minutes_before_its_end(secret: Path) -> None:
    presenting = Presenting(secret)
    assert presenting.token() == "access-1"
    presenting.now += 3299
    assert presenting.token() == "access-1"
    presenting.now += 2
    assert presenting.token() == "access-2"


def test_one_thread_renews_and_the_others_go_on_with_the_token_that_is_still_good(secret: Path) -> None:
    presenting = Presenting(secret)
    presenting.token()
    presenting.now += 3400
    presenting.server.asked.clear()
    presenting.server.go_on.clear()
    with ThreadPoolExecutor(6) as threads:
        renewing = threads.submit(presenting.token)
        assert presenting.server.asked.wait(10)
        others = [threads.submit(presenting.token) for _ in range(5)]
        assert [other.result(timeout=10) for other in others] == ["access-1"] * 5
        presenting.server.go_on.set()
        assert renewing.result(timeout=10) == "access-2"
    assert (presenting.token(), presenting.server.given) == ("access-2", 2)


def test_while_none_is_good_all_wait_for_one_that_fetches(secret: Path) -> None:
    presenting = Presenting(secret)
    presenting.server.go_on.clear()
    with ThreadPoolExecutor(6) as threads:
        asking = [threads.submit(presenting.token) for _ in range(6)]
        assert presenting.server.asked.wait(10)
        presenting.server.go_on.set()
        assert {each.result(timeout=10) for each in asking} == {"access-1"}
    assert presenting.server.given == 1


def test_a_renewal_that_fails_leaves_the_token_that_is_still_good_in_use(secret: Path) -> None:
    presenting = Presenting(secret)
    presenting.token()
    presenting.now += 3400
    presenting.server.fails = True
    assert presenting.token() == "access-1"
    presenting.now += 201
    with pytest.raises(NotSent, match="gives no access token now"):
        presenting.token()
    presenting.server.fails = False
    presenting.now += 2
    assert presenting.token() == "access-2"


@pytest.mark.parametrize(("lifetime", "renewed"), [(None, 3300), ("soon", 3300), (-1, 3300), (120, 60), (10**9, 86100)])
def test_a_lifetime_that_is_not_told_counts_as_an_hour(secret: Path, lifetime: Any, renewed: int) -> None:
    presenting = Presenting(secret)
    presenting.server.answers = {} if lifetime is None else {"expires_in": lifetime}
    presenting.token()
    presenting.now += renewed - 1
    assert presenting.token() == "access-1"
    presenting.now += 1
    assert presenting.token() == "access-2"


@pytest.mark.parametrize("token", ["", "two words", None, 5, "tök€n"])
def test_what_is_no_access_token_is_not_presented(secret: Path, token: Any) -> None:
    presenting = Presenting(secret)
    presenting.server.answers = {"access_token": token}
    from bridge.egress.credentials import ClientRejected

    with pytest.raises((ClientRejected, AccountRejected)):
        presenting.token()
