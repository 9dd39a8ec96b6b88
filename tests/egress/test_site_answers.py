"""Every way in which a site or the network can answer, and what becomes of the delivery then."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bridge.egress.upstream import Outgoing, Upstream
from bridge.errors import InDoubt, NotSent

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n'
COMMENT = "context.jira.comment('OPS-1', 'x')\nreturn 'told'"
READ = "return context.jira.issue('OPS-1')['key']"


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422])
def test_a_definite_no_ends_the_delivery_as_dead_with_the_sites_own_words(make_bench: Make, status: int) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.answer(status, {"errorMessages": ["Not on a Sunday."], "errors": {"body": "too long"}}, method="POST")
    report = bench.send()
    assert report.state == "dead"
    assert report.reason.startswith("step 1 (jira.comment OPS-1) failed: ")
    assert "Not on a Sunday.; body: too long" in report.reason
    [entry] = bench.entries(report.delivery, "step:outcome")
    assert (entry["status"], entry["outcome"]) == (status, "failed")
    assert len(bench.wire.writes) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": [{"title": "No.", "detail": "never"}]}, "No."),
        ({"message": "No."}, "No."),
        ({"errorMessage": "No."}, "No."),
        ("No.", "No."),
        ({"errors": ["No."]}, "No."),
        ({"errorMessages": [], "errors": {}}, "400"),
        ([], "400"),
        (None, "400"),
        ({"errorMessages": None, "errors": None}, "400"),
        ({"errorMessages": 5, "errors": 5}, "400"),
    ],
)
def test_an_error_body_of_any_shape_is_understood_or_left_alone(make_bench: Make, body: Any, words: str) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.answer(400, body, method="POST")
    report = bench.send()
    assert report.state == "dead", report.reason
    assert words in report.reason


@pytest.mark.parametrize("status", [404, 409])
def test_a_handler_may_catch_a_definite_no_and_is_told_status_and_words(make_bench: Make, status: int) -> None:
    bench = make_bench(
        SCOPE,
        """
        from bridge.errors import ActionFailed
        try:
            context.jira.comment("OPS-1", "x")
        except ActionFailed as no:
            context.log(f"{no.status}: {no.detail}")
        """,
    )
    bench.wire.answer(status, {"errorMessages": ["Not on a Sunday."]}, method="POST")
    report = bench.send()
    assert f"{status}: Not on a Sunday." in report.lines[-1]
    assert report.state == "dead"


def test_a_target_that_the_site_does_not_show_is_the_sites_answer(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('OPS-404', 'x')")
    report = bench.send()
    assert report.state == "dead"
    [entry] = bench.entries(report.delivery, "step:refused")
    assert (entry["outcome"], entry["verb"], entry["target"]) == ("failed", "jira.comment", "OPS-404")
    assert bench.wire.writes == []


# --------------------------------------------------------------------------------------------------------- 401


def test_a_dead_token_pauses_its_account_and_burns_no_delivery(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT)
    del bench.site.tokens["trial-jira"]
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason == "the site rejects the jira credential of ops-bot (401)"
    assert bench.delivery(report.delivery).failures == 0
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


def test_a_token_that_dies_between_intent_and_answer_leaves_a_write_that_was_not_sent(make_bench: Make) -> None:
    from bridge.store import registers

    bench = make_bench(SCOPE, COMMENT)
    bench.fault("401", "addComment")
    report = bench.send()
    assert [entry["kind"] for entry in report.entries if entry["kind"].startswith("step:")] == [
        "step:intent",
        "step:unsent",
    ]
    with bench.store.read() as connection:
        [pause] = registers.pauses(connection)
    assert (pause.what, pause.name, pause.person) == ("account", "ops-bot", "bridge")
    assert "401" in pause.reason
    bench.store.commit(lambda connection: registers.lift_pause(connection, "account", "ops-bot", "mia", "new token"))
    report = bench.attempt(report.delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]


def test_a_missing_oauth_scope_pauses_the_rule_that_needs_it_and_names_the_scope(make_bench: Make) -> None:
    from dataclasses import replace

    from bridge.store import registers

    bench = make_bench(SCOPE, COMMENT)
    bench.write(SCOPE, READ, name="reader")
    known = bench.settings.accounts["ops-bot"].credentials
    told = {**known, "jira": replace(known["jira"], scopes=frozenset({"read:jira-work", "read:jira-user"}))}
    bench.egress.accounts._settings = replace(bench.settings, accounts=bench.account(credentials=told))
    token = bench.site.tokens["trial-jira"]
    bench.site.tokens["trial-jira"] = replace(token, scopes=frozenset({"read:jira-work", "read:jira-user"}))
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason == "the jira credential of ops-bot lacks an OAuth scope for addComment: write:jira-work"
    with bench.store.read() as connection:
        [pause] = registers.pauses(connection)
    assert (pause.what, pause.name) == ("rule", "rule")
    assert "write:jira-work" in pause.reason
    assert bench.send(rule="reader").state == "done", "other rules of the account go on"


def test_an_ip_allowlist_pauses_the_account_in_words_that_tell_what_to_do(make_bench: Make) -> None:
    said = (
        "The IP address has been rejected because it is not on the allowed list. See your admin for more information."
    )
    for method in ("GET", "POST"):
        bench = make_bench(SCOPE, COMMENT)
        bench.wire.answer(403, {"errorMessages": [said], "errors": {}}, method=method)
        report = bench.send()
        assert report.state == "waiting", report.reason
        assert report.reason.startswith("the IP allowlist of sandbox rejects the address of this machine (403): an org")
        assert bench.delivery(report.delivery).failures == 0
        stopped = bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()
        assert (stopped["stop"], "account ops-bot" in stopped["why"]) == ("paused", True)
        assert bench.texts("OPS-1") == []


EDITS = [
    ("context.jira.edit('OPS-3', set={'priority': 'Low'})", "PUT"),
    ("context.jira.transition('OPS-2', 'Start work')", "POST"),
]


@pytest.mark.parametrize(("handle", "method"), EDITS)
def test_a_conflicting_change_of_another_is_waited_out(make_bench: Make, handle: str, method: str) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read", "edit", "transition"]', handle)
    for _ in range(3):
        bench.wire.answer(409, {"errorMessages": ["conflicting update"]}, method=method)
    report = bench.send()
    assert report.state == "done", report.reason
    assert len(bench.wire.writes) == 4
    steps = [
        entry["kind"] for entry in bench.entries(report.delivery) if entry["kind"] in {"step:intent", "step:outcome"}
    ]
    assert steps == ["step:intent", "step:outcome"]


@pytest.mark.parametrize(("handle", "method"), EDITS)
def test_a_conflict_that_lasts_is_the_answer(make_bench: Make, handle: str, method: str) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read", "edit", "transition"]', handle)
    for _ in range(4):
        bench.wire.answer(409, {"errorMessages": ["conflicting update"]}, method=method)
    report = bench.send()
    assert report.state == "dead"
    assert "conflicting update" in report.reason
    assert len(bench.wire.writes) == 4


def test_a_write_that_may_have_been_made_after_a_conflict_is_looked_up(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read", "edit"]', EDITS[0][0])
    bench.wire.answer(409, {}, method="PUT")
    bench.wire.fail(lambda sent: httpx.ReadTimeout("no", request=sent), method="PUT")
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", "no answer came (ReadTimeout): to be looked up")


def test_any_other_403_is_the_answer_to_its_step(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.answer(403, {"errorMessages": ["You may not comment here."]}, method="POST")
    assert bench.send().state == "dead"


# --------------------------------------------------------------------------------------------------------- trace ids


@pytest.mark.parametrize("header", ["Atl-Traceid", "X-ARequestId", "Atl-Request-Id"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, "step:outcome"),
        (400, "step:outcome"),
        (404, "step:outcome"),
        (413, "step:outcome"),
        (401, "step:unsent"),
        (401, "delivery:waiting"),
        (429, "step:unsent"),
        (429, "delivery:waiting"),
        (503, "delivery:waiting"),
    ],
)
def test_the_id_under_which_atlassian_knows_a_request_is_in_the_log_however_it_ended(
    make_bench: Make, header: str, status: int, kind: str
) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.answer(status, {}, method="POST", **{header: "planted-trace"})
    report = bench.send()
    assert [entry.get("trace") for entry in bench.entries(report.delivery, kind)] == ["planted-trace"]


@pytest.mark.parametrize(("status", "kind"), [(200, "step:read"), (404, "step:refused"), (429, "delivery:waiting")])
def test_the_trace_of_a_read_is_in_the_log_too(make_bench: Make, status: int, kind: str) -> None:
    bench = make_bench(SCOPE, READ)
    if status == 200:
        [entry] = bench.entries(bench.send().delivery, kind)
        assert len(entry["trace"]) == 32, "the sandbox gives one with each answer"
        return
    bench.wire.answer(status, {}, method="GET", atl_traceid="planted-trace")
    assert [entry.get("trace") for entry in bench.entries(bench.send().delivery, kind)] == ["planted-trace"]


# --------------------------------------------------------------------------------------------------------- 429


@pytest.mark.parametrize("reason", ["jira-burst-based", "jira-per-issue-on-write", "jira-quota-based", "gateway"])
@pytest.mark.parametrize("handle", [READ, COMMENT])
def test_too_many_requests_let_the_delivery_wait_and_count_no_failure(
    make_bench: Make, reason: str, handle: str
) -> None:
    bench = make_bench(SCOPE, handle)
    bench.fault("429", "addComment" if handle is COMMENT else "getIssue", reason=reason, retry_after=7)
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason.startswith("the site limits the rate (")
    assert (reason if reason != "gateway" else "FAILURE_CLIENT_RATE_LIMITED") in report.reason
    found = bench.delivery(report.delivery)
    assert (found.failures, found.crashes) == (0, 0)
    with bench.store.read() as connection:
        wait = found.not_before - bench.store.now(connection)
    assert reason == "gateway" or 6 < wait <= 8
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).state == "done"


def delay_of(headers: dict[str, str]) -> float:
    """Return how long one would wait after a 429 with these headers."""
    transport = httpx.MockTransport(lambda _: httpx.Response(429, headers=headers))
    with pytest.raises(NotSent) as raised:
        Upstream(5, transport).send(Outgoing("GET", "http://127.0.0.1:9", "/x", {}), None, 5)
    return raised.value.delay


def test_retry_after_is_obeyed_and_the_reset_time_is_read_where_it_is_missing() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
    assert 30 <= delay_of({"retry-after": "30"}) < 31
    assert 85 <= delay_of({"x-ratelimit-reset": soon}) < 92
    assert 85 <= delay_of({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "x-ratelimit-reset": soon}) < 92
    assert delay_of({"retry-after": "99999999"}) < 3601
    assert 1 <= delay_of({"x-ratelimit-reset": "2020-01-01T00:00Z"}) < 2
    for nothing in ({}, {"retry-after": ""}, {"retry-after": "-5"}, {"x-ratelimit-reset": "soon"}):
        assert 5 < delay_of(nothing) < 15


# --------------------------------------------------------------------------------------------------------- 5xx


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_broken_site_lets_a_read_wait(make_bench: Make, status: int) -> None:
    bench = make_bench(SCOPE, READ)
    bench.wire.answer(status, {}, method="GET")
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason == f"the site does not answer: the site answered {status}"
    assert bench.delivery(report.delivery).failures == 0
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).result == "OPS-1"


def test_a_broken_site_that_says_when_to_come_back_is_obeyed(make_bench: Make) -> None:
    bench = make_bench(SCOPE, READ)
    bench.wire.answer(503, {}, method="GET", retry_after="90")
    found = bench.delivery(bench.send().delivery)
    with bench.store.read() as connection:
        assert 85 < found.not_before - bench.store.now(connection) <= 90


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_broken_site_puts_a_write_in_doubt(make_bench: Make, status: int) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.answer(status, {}, method="POST")
    report = bench.send()
    assert (report.state, report.reason) == ("waiting", f"the site answered {status}: to be looked up")


def test_a_page_of_somebody_in_between_is_no_answer_to_a_read(make_bench: Make) -> None:
    bench = make_bench(SCOPE, READ)
    bench.wire.play(lambda sent: httpx.Response(200, text="<html>sign in", request=sent), method="GET")
    report = bench.send()
    assert report.state == "waiting"
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).result == "OPS-1"


def test_a_page_of_somebody_in_between_proves_no_write(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.play(lambda sent: httpx.Response(200, text="<html>sign in", request=sent), method="POST")
    delivery = bench.accept()
    assert bench.attempt(delivery).state == "waiting"
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["x"]


def test_a_place_that_the_site_tells_in_another_shape_is_no_place(make_bench: Make) -> None:
    shapes: list[Any] = [{}, {"key": "OPS-1", "id": "1"}, {"key": "OPS-1", "id": "1", "fields": None}, [], "x", None]
    for said in shapes:
        bench = make_bench(SCOPE, COMMENT)
        bench.wire.answer(200, said, method="GET")
        report = bench.send()
        assert report.state != "done", said
        assert bench.wire.writes == []


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    def endless() -> Any:
        while True:
            yield b"x" * 1024 * 1024

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    with pytest.raises(InDoubt, match="more than"):
        Upstream(5, transport).send(Outgoing("GET", "http://127.0.0.1:9", "/x", {}), None, 5)


# ---------------------------------------------------------------------------------------------------- redirects


def test_a_redirect_is_not_followed_and_no_credential_goes_with_it(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT)
    for status in (301, 302, 303, 304, 307, 308):
        bench.wire.requests.clear()
        bench.wire.answer(status, {}, method="POST", location="https://evil.example/rest/api/3/issue/OPS-1/comment")
        report = bench.send()
        assert report.state == "waiting"
        assert f"the site redirects elsewhere ({status}), which egress does not follow" in report.reason
        assert {sent.url.host for sent in bench.wire.requests} == {"127.0.0.1"}
        assert len(bench.wire.writes) == 1


def test_an_attachments_redirect_to_another_host_is_an_answer_that_says_so(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["download"]', "context.jira.download('OPS-3', event['file'])")
    attachment = bench.site.find_issue("OPS-3").attachments[0].id
    bench.wire.answer(303, path="/attachment/content/", location="https://media.example/file?token=signed")
    report = bench.send({"file": attachment})
    assert report.state == "dead"
    assert "redirects elsewhere (303), to https://media.example, which egress does not follow" in report.reason
    assert all("media.example" not in str(sent.url) for sent in bench.wire.requests)


# ---------------------------------------------------------------------------------------------- the network's errors

NEVER_SENT: set[type[Exception]] = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
}
MAYBE_SENT: set[type[Exception]] = {
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
    httpx.TooManyRedirects,
}


def _leaves(kind: type[Exception]) -> set[type[Exception]]:
    below = kind.__subclasses__()
    return {kind} if not below else set().union(*(_leaves(each) for each in below))


def test_every_error_that_httpx_can_raise_for_a_request_is_sorted_here() -> None:
    known = {each for each in _leaves(httpx.RequestError) if each.__module__.startswith("httpx")}
    assert known == NEVER_SENT | MAYBE_SENT, "a new kind of error: may the request have reached the site or not?"


@pytest.mark.parametrize("kind", sorted(NEVER_SENT, key=repr))
def test_a_request_that_never_left_waits_and_is_sent_once(make_bench: Make, kind: type[httpx.RequestError]) -> None:
    bench = make_bench(SCOPE, COMMENT)
    bench.wire.fail(lambda sent: kind("no", request=sent), method="POST")
    report = bench.send()
    assert report.state == "waiting"
    assert report.reason == f"the site cannot be reached ({kind.__name__})"
    assert bench.delivery(report.delivery).failures == 0
    bench.let_time_pass(report.delivery)
    report = bench.attempt(report.delivery)
    assert report.state == "done", "it was not sent, so there is nothing to settle or look up"
    assert [entry["kind"] for entry in report.entries if entry["kind"].startswith("step:")] == [
        "step:intent",
        "step:unsent",
        "step:resent",
        "step:outcome",
    ]
    assert bench.texts("OPS-1") == ["x"]


@pytest.mark.parametrize("kind", sorted(MAYBE_SENT, key=repr))
def test_a_request_that_may_have_left_is_in_doubt(make_bench: Make, kind: type[httpx.RequestError]) -> None:
    bench = make_bench(SCOPE, COMMENT)

    def play(sent: httpx.Request) -> httpx.Response:
        bench.wire.pass_on(sent)
        raise kind("no", request=sent)

    bench.wire.play(play, method="POST")
    delivery = bench.accept()
    report = bench.attempt(delivery)
    assert (report.state, report.reason) == ("waiting", f"no answer came ({kind.__name__}): to be looked up")
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.texts("OPS-1") == ["x"]


def test_no_error_of_the_network_reaches_a_handler_as_an_answer_to_a_read(make_bench: Make) -> None:
    bench = make_bench(SCOPE, f"try:\n    {READ}\nexcept Exception as error:\n    return repr(error)")

    def fail(kind: type[Exception]) -> None:
        bench.wire.fail(lambda sent: kind("no", request=sent), method="GET")  # type: ignore[call-arg]  # as httpx's do

    for kind in sorted(NEVER_SENT | MAYBE_SENT, key=repr):
        fail(kind)
        report = bench.send()
        assert report.state == "waiting", kind
        bench.let_time_pass(report.delivery)
        assert bench.attempt(report.delivery).result == "OPS-1", kind


def test_an_error_while_the_answer_is_read_is_in_doubt_too() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b'{"id": '
            raise httpx.ReadError("reset")

    transport = httpx.MockTransport(lambda _: httpx.Response(201, stream=Broken()))
    with pytest.raises(InDoubt, match=r"broke off \(ReadError\)"):
        Upstream(5, transport).send(Outgoing("POST", "http://127.0.0.1:9", "/x", {}, {}), None, 5)


# ------------------------------------------------------------------------------------------------------- what is sent


def test_what_leaves_is_what_was_judged_letter_by_letter() -> None:
    sent: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    transport = httpx.MockTransport(play)
    upstream = Upstream(5, transport)
    base = "http://127.0.0.1:9/ex/jira/cloud"
    upstream.send(
        Outgoing("PUT", base, "/rest/api/3/issue/OPS-1/properties/a%20b", {"x": ["1 2", "&=é"]}, {"a": "é"}), "t", 5
    )
    assert sent[0].url.raw_path == b"/ex/jira/cloud/rest/api/3/issue/OPS-1/properties/a%20b?x=1%202&x=%26%3D%C3%A9"
    assert json.loads(sent[0].content) == {"a": "é"}
    assert sent[0].headers["authorization"] == "Bearer t"
    for path in ("/rest/../x", "/rest/./x", "/a b", "/é", "/a?b", "/a#b"):
        with pytest.raises((NotSent, InDoubt)):
            upstream.send(Outgoing("GET", base, path, {}), "t", 5)
    assert len(sent) == 1


def test_the_client_follows_no_redirect_and_has_no_credential_of_its_own() -> None:
    upstream = Upstream(5)
    assert upstream._client.follow_redirects is False
    assert "authorization" not in upstream._client.headers
    assert upstream._client.auth is None
    upstream.close()


def test_every_request_has_a_time_limit_within_the_attempts() -> None:
    limits: list[dict[str, float]] = []

    def play(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"])
        return httpx.Response(204)

    transport = httpx.MockTransport(play)
    upstream = Upstream(30, transport)
    for left in (100, 2):
        upstream.send(Outgoing("GET", "http://127.0.0.1:9", "/x", {}), None, left)
    assert [set(limit.values()) for limit in limits] == [{30}, {2}]
    with pytest.raises(NotSent, match="time is up"):
        upstream.send(Outgoing("GET", "http://127.0.0.1:9", "/x", {}), None, 0)
