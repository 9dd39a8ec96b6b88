"""Writes that an unlucky or hostile course of events could lose, double or pass by a limit."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from bridge.egress.calls import SEND_DEADLINE
from bridge.egress.upstream import Outgoing, Upstream
from bridge.errors import NotSent
from bridge.sandbox import seed
from bridge.sandbox.clients import Client
from bridge.settings import Account, Credential, Reference
from bridge.store import decisions
from bridge.store.decisions import Decision

Make = Callable[..., Any]
COMMENTS = '[scope.jira]\nOPS = ["comment"]\n'
HALF_A_MINUTE = '[retry]\ngive_up_after = "30s"\n'


def aged(bench: Any, delivery: str, seconds: float = 70) -> None:
    """Let a delivery have been accepted and begun that long ago."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    text = then.isoformat(timespec="microseconds").replace("+00:00", "Z")
    bench._set(delivery, accepted_at=text, since=text)


def kinds(bench: Any, delivery: str) -> list[str]:
    return [entry["kind"] for entry in bench.entries(delivery) if entry["kind"].startswith("step:")]


# ------------------------------------------------------------------------------------------------- giving up in time


def test_a_write_in_doubt_is_looked_up_though_its_delivery_is_too_old(make_bench: Make) -> None:
    bench = make_bench(COMMENTS + HALF_A_MINUTE, "context.jira.comment('OPS-1', 'x')")
    bench.fault("reset-after", "addComment")
    delivery = bench.send().delivery
    aged(bench, delivery)
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]


def test_a_write_that_was_not_made_is_not_made_when_its_delivery_is_too_old(make_bench: Make) -> None:
    bench = make_bench(COMMENTS + HALF_A_MINUTE, "context.jira.comment('OPS-1', 'x')")
    bench.fault("reset-before", "addComment")
    delivery = bench.send().delivery
    aged(bench, delivery)
    [report] = bench.finish(delivery)
    assert report.state == "dead"
    assert report.reason.startswith("gave up after 30 seconds; last: ")
    assert bench.texts("OPS-1") == []
    assert kinds(bench, delivery) == ["step:intent", "step:unsent"]
    bench.replay(delivery)
    assert bench.attempt(delivery).state == "done"
    assert bench.texts("OPS-1") == ["x"]


def test_a_write_that_cannot_be_looked_up_waits_for_a_person_when_its_delivery_is_too_old(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.jira]\nOPS = ["move-to-board"]\n' + HALF_A_MINUTE, "context.jira.move_to_board('OPS-3', '1')"
    )
    bench.fault("reset-after", "moveIssuesToBoard")
    delivery = bench.send().delivery
    aged(bench, delivery)
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert report.reason.endswith("whether step 1 was done is not known")
    assert bench.sent("moveIssuesToBoard") == 1


def test_a_delivery_that_nobody_has_attempted_is_attempted_however_old_it_is(make_bench: Make) -> None:
    bench = make_bench(COMMENTS + HALF_A_MINUTE, "context.jira.comment('OPS-1', 'x')")
    delivery = bench.accept()
    aged(bench, delivery, 86400)
    assert bench.attempt(delivery).state == "done"


def test_a_replayed_delivery_is_attempted_again_however_long_nobody_was_there(make_bench: Make) -> None:
    bench = make_bench(COMMENTS + HALF_A_MINUTE, "raise OSError")
    delivery = bench.send().delivery
    aged(bench, delivery)
    bench.let_time_pass(delivery)
    assert bench.attempt(delivery).state == "dead"
    bench.write(COMMENTS + HALF_A_MINUTE, "context.jira.comment('OPS-1', 'x')")
    bench.replay(delivery)
    assert bench.attempt(delivery).state == "done"


# ---------------------------------------------------------------------------------------------------------- redirects


@pytest.mark.parametrize("made", [True, False])
def test_a_write_that_is_answered_with_a_redirect_is_looked_up(make_bench: Make, *, made: bool) -> None:
    bench = make_bench(COMMENTS, "context.jira.comment('OPS-1', 'x')")

    def redirect(sent: httpx.Request) -> httpx.Response:
        if made:
            bench.wire.pass_on(sent)
        return httpx.Response(303, headers={"location": "/elsewhere"}, request=sent)

    bench.wire.play(redirect, method="POST", path="/comment")
    delivery = bench.accept()
    report = bench.attempt(delivery)
    assert report.state == "waiting"
    assert "redirects elsewhere (303), which egress does not follow: to be looked up" in report.reason
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]
    assert bench.sent("addComment") == (1 if made else 2)


def test_a_read_that_is_answered_with_a_redirect_is_answered_with_that(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read"]\n', "context.jira.issue('OPS-1')")
    bench.wire.answer(302, {}, path="/issue/OPS-1", location="/elsewhere")
    report = bench.send()
    assert report.state == "dead"
    assert "the site does not show issue OPS-1 to this account (421)" in report.reason


# ------------------------------------------------------------------------------------------ the age of what is sent


def client_bench(make_bench: Make, tmp_path: Path, scope: str, handle: str) -> Any:
    """A bench whose account opens Jira by an OAuth client."""
    place = tmp_path / "client.secret"
    place.write_text("planted-client-secret")
    known = make_bench(scope).settings.accounts["ops-bot"].credentials
    own = Credential(Reference(f"file:{place}"), known["jira"].scopes, None, "client-1")
    account = Account("ops-bot", "sandbox", seed.BOT_EMAIL, {**known, "jira": own}, None)
    bench = make_bench(scope, handle, accounts={"ops-bot": account})
    bench.site.clients["client-1"] = Client("planted-client-secret", seed.token("jira"))
    return bench


def test_an_access_token_is_fetched_before_a_write_is_intended(make_bench: Make, tmp_path: Path) -> None:
    scope = '[scope.jira]\n"@site" = ["create-organization"]\n'
    bench = client_bench(make_bench, tmp_path, scope, "context.jira.create_organization(event['name'])")
    seen: list[list[str]] = []

    def fetch(sent: httpx.Request) -> httpx.Response:
        seen.append(kinds(bench, delivery))
        answer: httpx.Response = bench.wire.pass_on(sent)
        return answer

    first = bench.send({"name": "One"})
    assert first.state == "done", first.reason
    # A process that was started anew knows who the account is, and has no access token.
    bench.egress.accounts._credentials._slots.clear()
    bench.wire.play(fetch, method="POST", path="/oauth/token")
    delivery = bench.accept({"name": "Two"})
    report = bench.attempt(delivery)
    assert report.state == "done", report.reason
    assert seen == [[]]


def test_a_write_whose_first_try_was_rejected_late_is_not_sent_again_on_the_old_intent(
    make_bench: Make, tmp_path: Path
) -> None:
    bench = client_bench(make_bench, tmp_path, COMMENTS, "context.jira.comment('OPS-1', 'x')")

    def late(sent: httpx.Request) -> httpx.Response:
        time.sleep(SEND_DEADLINE + 0.2)
        return httpx.Response(401, json={}, request=sent)

    bench.wire.play(late, method="POST", path="/comment")
    delivery = bench.accept()
    report = bench.attempt(delivery)
    assert (report.state, report.reason) == ("waiting", "the intent was written too long ago to be sent")
    assert kinds(bench, delivery) == ["step:intent", "step:unsent"]
    assert bench.texts("OPS-1") == []
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]


def test_what_may_not_leave_any_more_is_kept_though_it_is_connected_by_now() -> None:
    """A site that takes its time to accept a connection does not get a request that became too old meanwhile."""
    arrived: list[bytes] = []
    asked: list[int] = []

    def leave() -> None:
        asked.append(len(arrived))
        if len(asked) > 1:
            raise NotSent("too late", delay=0)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                arrived.append(connection.recv(1000))

        serving = Thread(target=serve)
        serving.start()
        upstream = Upstream(5)
        base = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NotSent, match="too late"):
            upstream.send(Outgoing("POST", base, "/rest/api/3/issue", {}, {"a": 1}), "token", 5, leave)
        upstream.close()
        serving.join(5)
    assert (asked, arrived) == ([0, 0], [b""])


def test_the_secrets_in_a_body_are_not_in_its_repr() -> None:
    out = Outgoing("POST", "https://auth.example", "/oauth/token", {}, {"client_secret": "planted"}, {"b": "planted"})
    assert "planted" not in repr(out)


# ------------------------------------------------------------------------------------------------------------ limits


def test_a_transition_of_what_observe_mode_did_not_create_is_not_held_against_its_limits(make_bench: Make) -> None:
    bench = make_bench(
        """
        mode = "observe"
        [scope.jira]
        OPS = ["read", "create", "transition"]
        [scope.limits]
        transitions = ["Start work"]
        """,
        "made = context.jira.create('OPS', 'Task', 'x')\ncontext.jira.transition(made['key'], 'Start work')",
    )
    report = bench.send()
    assert report.state == "done", report.reason
    assert [sent.url.path for sent in bench.wire.requests if "OPS-0" in sent.url.path] == []
    bench.write(
        """
        mode = "observe"
        [scope.jira]
        OPS = ["read", "transition"]
        [scope.limits]
        transitions = ["Start work"]
        """,
        "context.jira.transition('OPS-1', 'Resolve')",
    )
    assert "scope.limits.transitions does not list" in bench.send().reason


EVENT = """
[scope.jira]
OPS = ["delete"]
"@site" = ["create-organization", "add-to-organization", "set-user-property", "start-sprint"]
[scope.limits]
targets = "event"
"""


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        ("context.jira.create_organization('New one')", True),
        ("context.jira.request('PUT', '/rest/api/3/user/properties/x', {'accountId': event['mia']}, {'a': 1})", False),
        ("context.jira.request('POST', '/rest/agile/1.0/sprint/1', body={'state': 'active'})", False),
        (
            "context.jira.request('POST', '/rest/servicedeskapi/organization/1/user', body={'accountIds': ['1']})",
            False,
        ),
        ("context.jira.request('DELETE', '/rest/api/3/issue/OPS-1', {'deleteSubtasks': ['true']})", False),
        ("context.jira.request('DELETE', '/rest/api/3/issue/OPS-1', {'deleteSubtasks': ['TRUE']})", False),
        ("context.jira.request('DELETE', '/rest/api/3/issue/OPS-1', {'deleteSubtasks': ['false']})", True),
        ("context.jira.request('DELETE', '/rest/api/3/issue/OPS-1')", True),
    ],
)
def test_a_rule_for_the_events_target_changes_nothing_else_of_the_site(
    make_bench: Make, call: str, *, passes: bool
) -> None:
    bench = make_bench(EVENT, call)
    report = bench.send({"issue": {"key": "OPS-1"}, "mia": bench.site.account("Mia Keller").id})
    if passes:
        assert report.state == "done", report.reason
    else:
        assert 'scope.limits.targets is "event"' in report.reason
        assert bench.wire.writes == []


# ------------------------------------------------------------------------------------------------- several at a time

MOVE_TWO = "context.jira.request('POST', '/rest/agile/1.0/board/1/issue', body={'issues': ['OPS-1', 'OPS-2', 'OPS-3']})"


def test_the_log_tells_of_each_of_several_issues_whether_it_was_changed(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["move-to-board"]\n', MOVE_TWO)
    entries = [
        {"issueId": 1, "issueKey": "OPS-1", "status": 200},
        {"issueId": 2, "issueKey": "OPS-2", "status": 400, "errors": ["Not now"]},
        {"issueId": 3, "issueKey": "OPS-3", "status": 403},
    ]
    bench.wire.answer(207, {"entries": entries}, method="POST", path="/board/1/issue")
    report = bench.send()
    assert report.state == "dead"
    intent, outcome = bench.entries(report.delivery, "step:intent", "step:outcome")
    assert outcome["why"] == "OPS-2: Not now; OPS-3: 403; done for OPS-1"
    assert (outcome["outcome"], outcome["status"]) == ("failed", 400)
    assert intent["targets"] == outcome["targets"] == ["OPS-1", "OPS-2", "OPS-3"]
    assert any("OPS-2: Not now; OPS-3: 403; done for OPS-1" in line for line in report.lines)


# ------------------------------------------------------------------------------------------------ sent a second time

UNRESTRICT = "context.confluence.unrestrict(event['at'], to='view', users=[event['mia']])"


def in_doubt(make_bench: Make) -> tuple[Any, str]:
    """A delivery whose write was lost on its way, of a verb that is not looked up but done once more."""
    bench = make_bench('[scope.confluence]\nENG = ["restrict"]', UNRESTRICT)
    page = next(page for page in bench.site.pages.values() if page.title == "Incident reviews")
    bench.wire.fail(lambda sent: httpx.ReadError("x", request=sent), method="DELETE", path="/restriction")
    delivery = bench.accept({"at": page.id, "mia": bench.site.account("Mia Keller").id})
    assert bench.attempt(delivery).state == "waiting"
    return bench, delivery


@pytest.mark.parametrize("limited_in_between", [True, False])
def test_a_refusal_of_what_is_done_once_more_proves_nothing_about_the_first(
    make_bench: Make, *, limited_in_between: bool
) -> None:
    bench, delivery = in_doubt(make_bench)
    if limited_in_between:
        bench.wire.answer(429, {}, method="DELETE", path="/restriction", retry_after="0")
    bench.wire.answer(404, {"message": "no such restriction"}, method="DELETE", path="/restriction")
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert report.reason == (
        "step 1 (confluence.restrict): the site refuses what is sent once more (404: no such restriction), "
        "which does not tell whether the first was done"
    )
    bench.store.commit(lambda connection: decisions.decide(connection, delivery, "mia", "seen", Decision("done")))
    assert bench.attempt(delivery).state == "done"


def test_a_refusal_of_what_was_certainly_not_done_before_is_a_refusal(make_bench: Make) -> None:
    bench = make_bench('[scope.confluence]\nENG = ["restrict"]', UNRESTRICT)
    page = next(page for page in bench.site.pages.values() if page.title == "Incident reviews")
    bench.wire.answer(429, {}, method="DELETE", path="/restriction", retry_after="0")
    bench.wire.answer(404, {"message": "no such restriction"}, method="DELETE", path="/restriction")
    delivery = bench.accept({"at": page.id, "mia": bench.site.account("Mia Keller").id})
    [report] = bench.finish(delivery)
    assert report.state == "dead"
    assert "failed: no such restriction" in report.reason
