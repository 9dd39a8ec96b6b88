"""The accounts' credentials: opened when needed, sent to their own site and nowhere else, and shown nowhere."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from bridge.errors import SettingsInvalid
from bridge.settings import Credential, Reference
from bridge.store.tables import metadata

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment"]\n[scope.confluence]\nENG = ["label"]\n'
COMMENT = "context.jira.comment('OPS-1', 'x')\nreturn 'told'"
LABEL = "context.confluence.label(event['page'], 'x')"


def everything_kept(bench: Any) -> str:
    """Return all that stands in the database, as one text."""
    with bench.store.read() as connection:
        rows = [tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    return repr(rows)


def own_page(bench: Any) -> dict[str, str]:
    return {"page": next(page.id for page in bench.site.pages.values() if page.title == "Runbooks")}


def with_jira(bench: Any, credential: Credential | None) -> dict[str, Any]:
    """Return the accounts with another credential for Jira, or none."""
    kept = {name: known for name, known in bench.settings.accounts["ops-bot"].credentials.items() if name != "jira"}
    return bench.account(credentials=kept | ({"jira": credential} if credential else {}))  # type: ignore[no-any-return]


def test_each_product_is_sent_its_own_token_and_the_account_is_named(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT + "\n" + LABEL)
    bench.write(SCOPE, COMMENT.partition("\n")[0] + "\n" + LABEL)
    report = bench.send(own_page(bench))
    assert report.state == "done", report.reason
    sent = {request.url.path.split("/")[2]: request.headers["authorization"] for request in bench.wire.writes}
    assert sent == {"jira": "Bearer trial-jira", "confluence": "Bearer trial-confluence"}
    assert {entry["account"] for entry in bench.entries(report.delivery, "step:intent", "step:outcome")} == {"ops-bot"}


def test_who_the_account_is_at_its_site_is_learnt_before_its_first_write(make_bench: Make) -> None:
    from bridge.store import registers

    bench = make_bench(SCOPE, COMMENT)
    bench.send()
    bench.send()
    with bench.store.read() as connection:
        known = registers.account_named(connection, "ops-bot")
    assert known is not None
    assert (known.account_id, known.account_type) == (bench.site.account("ops-bot").id, "app")
    assert sum(request.url.path.endswith("/myself") for request in bench.wire.requests) == 1


# -------------------------------------------------------------------------------------------------- what is missing


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        (None, "account ops-bot has no [account.ops-bot.jira]"),
        (
            Credential(Reference("env:NO_SUCH_TOKEN"), frozenset(), None),
            "the environment variable NO_SUCH_TOKEN is not set: the credential is missing",
        ),
        (
            Credential(Reference("file:/no/such/file"), frozenset(), None),
            "the file /no/such/file cannot be read (No such file or directory)",
        ),
        (
            Credential(Reference("env:NO_SUCH_TOKEN"), frozenset(), (datetime.now(UTC) - timedelta(days=2)).date()),
            "the jira token of ops-bot ended on",
        ),
    ],
)
def test_a_credential_that_cannot_be_used_pauses_its_account_and_says_why(
    make_bench: Make, credential: Credential | None, reason: str
) -> None:
    first = make_bench(SCOPE, COMMENT)
    bench = make_bench("", None, accounts=with_jira(first, credential))
    bench.write('[scope.jira]\nOPS = ["comment"]', COMMENT)
    report = bench.send()
    assert report.state == "waiting"
    assert reason in report.reason
    assert bench.wire.requests == []
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


def test_a_token_is_read_again_when_it_was_replaced(make_bench: Make, tmp_path: Path) -> None:
    first = make_bench(SCOPE, COMMENT)
    place = tmp_path / "token"
    place.write_text("trial-jira\n")
    bench = make_bench(
        SCOPE, COMMENT, accounts=with_jira(first, Credential(Reference(f"file:{place}"), frozenset(), None))
    )
    assert bench.send().state == "done"
    bench.site.tokens["fresh"] = bench.site.tokens.pop("trial-jira")
    place.write_text("fresh")
    assert bench.send().state == "done", "without a restart"


@pytest.mark.parametrize(
    "text", ["tök€n-PLANTED", "two\nlines-PLANTED", "tab\tPLANTED", "\x7fPLANTED", "with space PLANTED"]
)
def test_a_token_with_letters_that_no_header_takes_pauses_its_account_and_is_not_quoted(
    make_bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    caplog.set_level(logging.DEBUG)
    first = make_bench(SCOPE, COMMENT)
    place = tmp_path / "token"
    place.write_text(text, encoding="utf-8")
    bench = make_bench(
        SCOPE, COMMENT, accounts=with_jira(first, Credential(Reference(f"file:{place}"), frozenset(), None))
    )
    report = bench.send()
    assert report.state == "waiting", report.reason
    assert bench.delivery(report.delivery).failures == 0
    assert "PLANTED" not in everything_kept(bench) + caplog.text + str(report)
    assert bench.client.post("/claim", json={"delivery": report.delivery, "worker": "w"}).json()["stop"] == "paused"


# ------------------------------------------------------------------------------------------------------ the cloud id


def discovering(make_bench: Make, handle: str = COMMENT) -> Any:
    """A bench whose site has no cloud id in bridge.toml."""
    first = make_bench(SCOPE, handle)
    sites = {"sandbox": replace(first.settings.sites["sandbox"], cloud_id=None)}
    return make_bench(SCOPE, handle, sites=sites)


def test_the_cloud_id_is_asked_of_the_site_once_and_without_a_credential(make_bench: Make) -> None:
    bench = discovering(make_bench)
    assert [bench.send().state, bench.send().state] == ["done", "done"]
    asked = [request for request in bench.wire.requests if request.url.path == "/_edge/tenant_info"]
    assert len(asked) == 1
    assert "authorization" not in asked[0].headers


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, {}, "/_edge/tenant_info answered 404 without a cloudId"),
        (200, {}, "/_edge/tenant_info answered 200 without a cloudId"),
        (200, {"cloudId": None}, "without a cloudId"),
        (200, [], "without a cloudId"),
        (302, {}, "without a cloudId"),
        (401, {}, "does not tell its cloudId"),
        (503, {}, "does not tell its cloudId"),
        (429, {}, "limits the rate"),
    ],
)
def test_a_site_that_does_not_tell_its_cloud_id_lets_deliveries_wait(
    make_bench: Make, status: int, body: Any, reason: str
) -> None:
    bench = discovering(make_bench)
    bench.wire.answer(status, body, path="/_edge/tenant_info")
    report = bench.send()
    assert report.state == "waiting"
    assert reason in report.reason
    assert bench.delivery(report.delivery).failures == 0
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).state == "done"


@pytest.mark.parametrize("cloud", ["../../evil", "x/../y", "a b", "?x", "é"])
def test_a_cloud_id_that_is_none_does_not_turn_requests_elsewhere(make_bench: Make, cloud: str) -> None:
    bench = discovering(make_bench)
    bench.wire.answer(200, {"cloudId": cloud}, path="/_edge/tenant_info")
    report = bench.send()
    assert report.state in {"waiting", "dead"}
    assert bench.texts("OPS-1") == []
    carried = [request.url.path for request in bench.wire.requests if "authorization" in request.headers]
    assert all(path.startswith("/ex/jira/") for path in carried)


def test_a_cloud_id_that_the_gateway_does_not_know_is_the_sites_answer(make_bench: Make) -> None:
    first = make_bench(SCOPE, COMMENT)
    sites = {"sandbox": replace(first.settings.sites["sandbox"], cloud_id="00000000-0000-0000-0000-000000000000")}
    bench = make_bench(SCOPE, COMMENT, sites=sites)
    report = bench.send()
    assert report.state == "dead"
    assert "(404)" in report.reason


# ---------------------------------------------------------------------------------------------------- secrets planted


def test_no_token_and_no_capability_is_found_anywhere_that_people_look(
    make_bench: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = make_bench(SCOPE, "context.log(repr(context) + repr(vars(context)))\n" + COMMENT)
    quoted = "Illegal header value b'Bearer trial-jira'"
    texts = []
    for order in (
        lambda: bench.wire.fail(lambda sent: httpx.LocalProtocolError(quoted, request=sent), method="POST"),
        lambda: bench.wire.fail(lambda sent: httpx.ReadError(quoted, request=sent), method="POST"),
        lambda: bench.fault("401", "addComment"),
        lambda: None,
    ):
        order()
        delivery = bench.accept()
        claim = bench.claim(delivery)
        body = {"body": {"type": "doc", "version": 1, "content": []}}
        texts.append(bench.call(claim, 1, "POST", "/rest/api/3/issue/OPS-1/comment", body).text)
        bench.store.commit(lambda connection: connection.execute(sa.text("DELETE FROM pause")))
        bench.let_time_pass(delivery)
        texts.append(str(bench.attempt(delivery)))
        looked_at = everything_kept(bench) + caplog.text + "".join(texts)
        assert "trial-jira" not in looked_at
        assert claim["capability"] not in looked_at


def test_settings_do_not_show_a_secret_when_they_are_printed(make_bench: Make) -> None:
    bench = make_bench(SCOPE, COMMENT)
    shown = repr(bench.settings)
    assert "trial-jira" not in shown
    assert "a trial needs no secret" not in shown
    with pytest.raises(SettingsInvalid) as raised:
        Reference("env:NO_SUCH_TOKEN").open()
    assert json.dumps(str(raised.value))
