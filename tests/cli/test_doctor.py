"""``bridge doctor``: one line for each thing, what to do about it, and no secret, whatever is wrong."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bridge.egress.circuit import FAILURES
from bridge.egress.gate import Gate
from bridge.ingress.app import create_app
from bridge.rule.registry import Registry
from bridge.sandbox import seed
from bridge.sandbox.records import Token
from bridge.settings import Secret, read
from bridge.store import Store, registers, schema
from bridge.work import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from bridge.sandbox.site import Site
    from tests.cli.conftest import Bridge, Installation, Said

SECRETS = ("the-jira-token", "the-confluence-token", "a2tra2tra2tra2tra2s")


def lines(said: Said, level: str) -> list[str]:
    """The lines of one level, without it."""
    return [line[6:] for line in said.lines if line.startswith(f"{level:4}  ")]


def day(number: int) -> str:
    return str((datetime.now(UTC) + timedelta(days=number)).date())


@pytest.fixture
def web(installation: Installation, serve: Callable[[WSGIApplication], str], tmp_path: Path) -> Iterator[str]:
    """The installation's web process, answering on loopback, with a database of its own that no test spoils."""
    known = replace(read(), home=tmp_path / "web")
    known.home.mkdir()
    store = Store(f"sqlite:///{known.home / 'bridge.db'}")
    schema.ready(store)
    yield serve(create_app(known, store, Registry(known.rules, None)).wsgi_app)
    store.close()


@pytest.fixture
def bridge(bridge: Bridge, installation: Installation, web: str) -> Bridge:
    """The command line, with the public address of its configuration leading to the web process."""

    def run(*arguments: str) -> Said:
        text = installation.config.read_text(encoding="utf-8")
        installation.config.write_text(text.replace("https://bridge.example.com", web), "utf-8")
        return bridge(*arguments)

    return run


@pytest.fixture
def redis_url(installation: Installation, valkey_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation's broker: a real Valkey."""
    monkeypatch.setenv("BRIDGE_REDIS_URL", f"unix://{valkey_socket}")


@pytest.fixture
def sealed(bridge: Bridge, installation: Installation, site: Site) -> None:
    """A log that is sealed, with its checkpoints kept in a second place."""
    outside = installation.home / "outside.txt"
    with installation.config.open("a", encoding="utf-8") as config:
        config.write(f'\n[audit]\ncheckpoint_file = "{outside}"\n')
    said = bridge("audit", "init", "--outside", "no")
    assert said.status == 0, said.err


@pytest.mark.usefixtures("redis_url", "sealed")
def test_all_is_well_and_said_on_one_screen(bridge: Bridge, site: Site) -> None:
    said = bridge("doctor")
    assert said.status == 0, said.out
    assert [line for line in said.lines if not line.startswith("ok    ")] == []
    assert len(said.lines) <= 24
    url = read().sites["acme"].url
    assert f"site acme: {url} answers, cloudId {site.cloud_id}" in lines(said, "ok")
    assert f"gateway: {url} answers" in lines(said, "ok")
    who = f"is ops-bot ({site.account('ops-bot').id}), a service account with access to Jira and Confluence"
    assert f"account ops-bot: {who}" in lines(said, "ok")
    assert any(line.startswith("web: http://127.0.0.1") and "is this bridge" in line for line in lines(said, "ok"))
    assert "account ops-bot: sees jira projects CHG, OPS" in lines(said, "ok")
    assert "account ops-bot: sees confluence spaces ENG, HR" in lines(said, "ok")
    assert "rules: 4 rules; only observing: stale_page_review" in lines(said, "ok")


@pytest.mark.usefixtures("redis_url")
def test_who_an_account_is_is_kept_for_the_loop_guard(bridge: Bridge, site: Site) -> None:
    bridge("doctor")
    store = Store(read().database_url)
    with store.read() as connection:
        assert registers.own_account_ids(connection) == {site.account("ops-bot").id}
    store.close()


@pytest.mark.usefixtures("site", "redis_url", "sealed")
def test_programs_get_one_object_for_each_thing(bridge: Bridge) -> None:
    checks = [json.loads(line) for line in bridge("doctor", "--json").lines]
    assert {tuple(check) for check in checks} == {("level", "about", "text", "todo")}
    assert {check["level"] for check in checks} == {"ok"}


def test_every_mistake_of_the_settings_is_told(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = installation.config.read_text(encoding="utf-8").replace('"env:TEST_JIRA_TOKEN"', '"the-jira-token"')
    installation.config.write_text(text.replace('site = "acme"', 'site = "amce"'), encoding="utf-8")
    monkeypatch.setenv("BRIDGE_SECRETS", "k1:c2hvcnQ=")
    said = bridge("doctor")
    assert said.status == 1
    assert len(lines(said, "FAIL")) == len(said.lines) == 3
    assert "account.ops-bot.jira.token: a secret must not stand in this file" in said.out
    assert "no [site.amce] is defined" in said.out
    assert "BRIDGE_SECRETS: entry 1 (k1): has 5 bytes, wants 32" in said.out
    assert "the-jira-token" not in said.out


def test_without_secrets_it_says_how_to_make_one(bridge: Bridge, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_SECRETS")
    said = bridge("doctor")
    assert said.status == 1
    assert any("no secret is configured" in line and "bridge init" in line for line in lines(said, "FAIL"))


def test_an_embedded_broker_that_does_not_run_is_only_warned_of(bridge: Bridge, site: Site) -> None:
    said = bridge("doctor")
    assert said.status == 0
    assert any(line.startswith("queue: the embedded Valkey does not run") for line in lines(said, "warn"))


def test_a_broker_that_is_away_fails_and_its_password_is_not_shown(
    bridge: Bridge, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_REDIS_URL", "redis://user:geheim@127.0.0.1:9/0")
    said = bridge("doctor")
    assert said.status == 1
    assert any(line.startswith("queue: Redis on 127.0.0.1:9: ") for line in lines(said, "FAIL"))
    assert "geheim" not in said.out


def test_a_database_that_is_away_fails_and_the_rest_is_still_looked_at(
    bridge: Bridge, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_DATABASE_URL", "postgresql://user:geheim@127.0.0.1:9/bridge")
    said = bridge("doctor")
    assert said.status == 1
    assert any(line.startswith("database: ") for line in lines(said, "FAIL"))
    assert "geheim" not in said.out
    assert "account ops-bot: sees jira projects CHG, OPS" in lines(said, "ok")
    assert any("who it is was not kept" in line for line in lines(said, "?"))


def test_a_journal_that_can_be_changed_fails(bridge: Bridge, site: Site, installation: Installation) -> None:
    installation.home.mkdir()
    store = Store(read().database_url)
    schema.ready(store)
    store.commit(lambda connection: connection.execute(sa.text("DROP TRIGGER journal_no_delete")))
    store.close()
    said = bridge("doctor")
    assert said.status == 1
    assert "journal_no_delete" in "".join(lines(said, "FAIL"))


def test_a_database_of_another_revision_fails(bridge: Bridge, site: Site, installation: Installation) -> None:
    installation.home.mkdir()
    store = Store(read().database_url)
    schema.ready(store)
    store.commit(lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'")))
    store.close()
    said = bridge("doctor")
    assert said.status == 1
    assert any("has revision 0000" in line and "bridge db upgrade" in line for line in lines(said, "FAIL"))


def test_on_postgresql_a_user_that_may_remove_the_guards_is_warned_of(
    bridge: Bridge, site: Site, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_DATABASE_URL", new_database("postgresql"))
    said = bridge("doctor")
    assert said.status == 0
    assert any("may remove the journal's guards" in line for line in lines(said, "warn"))


def test_rules_with_mistakes_fail_and_their_accounts_are_looked_at_all_the_same(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    text = (installation.rules / "page_published.toml").read_text(encoding="utf-8")
    installation.write("page_published.toml", text.replace('"ops-bot"', '"opsbot"'))
    said = bridge("doctor")
    assert said.status == 1
    assert any("there is no account 'opsbot'" in line and "rules check" in line for line in lines(said, "FAIL"))
    assert "account ops-bot: sees confluence space HR" in lines(said, "ok")


def test_a_site_that_cannot_be_reached_fails_and_what_hangs_on_it_is_not_guessed(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.configure(site="http://127.0.0.1:9")
    monkeypatch.setenv("BRIDGE_ATLASSIAN_URL", "http://127.0.0.1:9")
    said = bridge("doctor")
    assert said.status == 1
    assert any(
        line.startswith("site acme: http://127.0.0.1:9: the site cannot be reached") for line in lines(said, "FAIL")
    )
    assert "account ops-bot: the gateway was not reached, so who it is was not asked" in lines(said, "?")


def test_a_wrong_cloud_id_in_bridge_toml_fails(bridge: Bridge, site: Site, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("[account.ops-bot]", 'cloud_id = "x"\n[account.ops-bot]', 1), "utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any("bridge.toml gives another" in line for line in lines(said, "FAIL"))


def test_a_persons_account_is_warned_of_with_the_reason(bridge: Bridge, site: Site, installation: Installation) -> None:
    for product in ("jira", "confluence"):
        site.add_token(f"the-{product}-token", replace(seed.token(product), account=seed.PERSON))
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("ops-bot-x1@serviceaccount.atlassian.com", "mia@example.com"), "utf-8")
    said = bridge("doctor")
    assert said.status == 0
    assert any("is Mia Keller" in line and "a person's account" in line for line in lines(said, "warn"))


def test_a_token_that_is_missing_ended_or_about_to_end_is_told(
    bridge: Bridge, site: Site, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.configure(site=read().sites["acme"].url, expires=day(9))
    assert "account ops-bot: jira token is there and ends in 9 days, on" in "".join(lines(bridge("doctor"), "warn"))
    installation.configure(site=read().sites["acme"].url, expires=day(-1))
    said = bridge("doctor")
    assert said.status == 1
    assert f"account ops-bot: jira token ended on {day(-1)}. Make a new one" in "".join(lines(said, "FAIL"))
    installation.configure(site=read().sites["acme"].url)
    monkeypatch.delenv("TEST_CONFLUENCE_TOKEN")
    said = bridge("doctor")
    assert said.status == 1
    assert "confluence token: the environment variable TEST_CONFLUENCE_TOKEN is not set" in "".join(lines(said, "FAIL"))


def test_a_token_without_a_day_of_its_end_is_warned_of(bridge: Bridge, site: Site, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("expires")]
    installation.config.write_text("\n".join(kept), encoding="utf-8")
    assert "does not say when its jira token ends" in "".join(lines(bridge("doctor"), "warn"))


def test_a_token_that_the_site_rejects_fails(bridge: Bridge, site: Site) -> None:
    del site.tokens["the-jira-token"]
    said = bridge("doctor")
    assert said.status == 1
    assert any("the site rejects the jira credential of ops-bot (401)" in line for line in lines(said, "FAIL"))


def test_declared_oauth_scopes_that_rules_lack_are_named_with_their_verbs(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    installation.configure(site=read().sites["acme"].url, jira='["read:jira-work", "read:jira-user"]')
    said = bridge("doctor")
    assert said.status == 1
    assert any("jira token lacks write:jira-work (comment, create, transition)" in line for line in lines(said, "FAIL"))
    assert "account ops-bot: confluence OAuth scopes are enough for its rules" in "".join(lines(said, "ok"))


def test_oauth_scopes_are_asked_for_in_the_kind_that_the_token_has(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    granular = sorted(seed.CONFLUENCE_SCOPES - {"write:label:confluence"})
    installation.configure(site=read().sites["acme"].url, confluence=str(granular))
    assert "confluence token lacks write:label:confluence (label)" in "".join(lines(bridge("doctor"), "FAIL"))


def test_a_token_that_may_not_ask_who_it_is_fails_for_nobody_would_notice_a_loop(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    scopes = frozenset({"read:jira-work", "write:jira-work"})
    site.add_token("the-jira-token", Token(seed.BOT, frozenset({"jira"}), scopes))
    installation.configure(site=read().sites["acme"].url, jira=str(sorted(scopes)))
    said = bridge("doctor")
    assert said.status == 1
    assert any("jira token lacks read:jira-user" in line for line in lines(said, "FAIL"))
    assert any("getCurrentUser: read:jira-user" in line for line in lines(said, "warn"))


def test_a_product_that_a_rule_needs_and_no_credential_opens_fails(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    text = installation.config.read_text(encoding="utf-8")
    begin, end = text.index("[account.ops-bot.confluence]"), text.index("[web]")
    installation.config.write_text(text[:begin] + text[end:], encoding="utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any(
        "has no credential for confluence, and page_published, stale_page_review" in line
        for line in lines(said, "FAIL")
    )


def test_projects_and_spaces_that_the_account_cannot_see_fail(bridge: Bridge, site: Site) -> None:
    site.grant(seed.BOT, set(), project="CHG")
    site.grant(seed.BOT, set(), space="ENG")
    said = bridge("doctor")
    assert said.status == 1
    failed = lines(said, "FAIL")
    assert any("cannot see project CHG, or there is none" in line and "change_approved" in line for line in failed)
    assert any("cannot see space ENG, or there is none" in line and "page_published" in line for line in failed)
    assert "account ops-bot: sees jira project OPS" in lines(said, "ok")


def test_a_site_that_is_out_of_order_leaves_things_untold(bridge: Bridge, site: Site) -> None:
    site.faults.order({"match": {"operation": "getCurrentUser"}, "fault": "503"}, {})
    said = bridge("doctor")
    assert said.status == 2
    assert any("jira could not be asked who it is" in line for line in lines(said, "?"))


@pytest.mark.usefixtures("site")
def test_the_gateway_is_told_from_the_site(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_ATLASSIAN_URL", "http://127.0.0.1:9")
    said = bridge("doctor")
    assert said.status == 1
    assert any(line.startswith("site acme: ") and "answers, cloudId" in line for line in lines(said, "ok"))
    failed = [line for line in lines(said, "FAIL") if line.startswith("gateway: ")]
    assert len(failed) == 1
    assert failed[0].startswith("gateway: http://127.0.0.1:9, to which all requests go: it cannot be reached")
    assert "account ops-bot: the gateway was not reached, so who it is was not asked" in lines(said, "?")


def test_a_site_that_is_away_is_only_warned_of_where_its_cloud_id_is_given(
    bridge: Bridge, site: Site, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = read().sites["acme"].url
    installation.configure(site=f'http://127.0.0.1:9"\ncloud_id = "{site.cloud_id}')
    monkeypatch.setenv("BRIDGE_ATLASSIAN_URL", gateway)
    said = bridge("doctor")
    assert said.status == 0
    assert any(line.startswith("site acme: http://127.0.0.1:9 cannot be asked") for line in lines(said, "warn"))
    assert "account ops-bot: sees jira projects CHG, OPS" in lines(said, "ok")


def test_credentials_of_two_accounts_under_one_name_fail(bridge: Bridge, site: Site) -> None:
    site.add_token("the-confluence-token", replace(seed.token("confluence"), account=seed.PERSON))
    said = bridge("doctor")
    assert said.status == 1
    failed = [line for line in lines(said, "FAIL") if "jira credential is ops-bot's" in line]
    assert len(failed) == 1
    assert "confluence credential is Mia Keller's" in failed[0]
    assert "Make both at one service account" in failed[0]


def test_an_account_without_access_to_a_product_fails(bridge: Bridge, site: Site) -> None:
    for space in ("ENG", "HR"):
        site.grant(seed.BOT, set(), space=space)
    said = bridge("doctor")
    assert said.status == 1
    assert any("has no access to Confluence (it answered 403)" in line for line in lines(said, "FAIL"))
    assert any("a service account with access to Jira" in line for line in lines(said, "ok"))


def rotating(installation: Installation) -> None:
    """Give the Jira credential another one that it replaces."""
    text = installation.config.read_text(encoding="utf-8")
    previous = f'[account.ops-bot.jira.previous]\ntoken = "env:OLD_JIRA_TOKEN"\nexpires = {day(5)}\n'
    installation.config.write_text(f"{text}\n{previous}", encoding="utf-8")


def test_while_rotating_both_credentials_are_tried(
    bridge: Bridge, site: Site, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_JIRA_TOKEN", "the-old-token")
    site.add_token("the-old-token", seed.token("jira"))
    rotating(installation)
    said = bridge("doctor")
    assert said.status == 0
    assert "account ops-bot: previous jira token is there and ends in 5 days" in "".join(lines(said, "ok"))
    assert any("the new jira credential works, and the previous one works still" in line for line in lines(said, "ok"))
    del site.tokens["the-old-token"]
    assert any("and the previous one works no more" in line for line in lines(bridge("doctor"), "ok"))


def test_a_new_credential_that_is_rejected_while_the_old_one_serves_is_warned_of(
    bridge: Bridge, site: Site, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_JIRA_TOKEN", "the-old-token")
    site.add_token("the-old-token", seed.token("jira"))
    rotating(installation)
    del site.tokens["the-jira-token"]
    said = bridge("doctor")
    assert any(
        "the new jira credential is rejected, and the previous one is used" in line for line in lines(said, "warn")
    )
    assert "account ops-bot: sees jira projects CHG, OPS" in lines(said, "ok")
    assert "the-old-token" not in said.out


def test_an_open_circuit_is_told_as_the_running_bridge_knows_it(
    bridge: Bridge, site: Site, valkey_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_REDIS_URL", f"unix://{valkey_socket}")
    gate, tenant = Gate(scripts.connect(read())), f"{site.cloud_id}:jira"
    for _ in range(FAILURES):
        gate.failed(tenant, "the site answered 503")
    said = bridge("doctor")
    gate.worked(tenant)
    assert said.status == 0
    told = [line for line in lines(said, "warn") if "the circuit of jira is open for " in line]
    assert len(told) == 1
    assert told[0].endswith("the site answered 503. Deliveries wait until the site answers again")
    assert not any("the circuit of" in line for line in bridge("doctor").lines)


def test_what_is_paused_is_named_with_the_way_to_let_it_go_on(bridge: Bridge, site: Site) -> None:
    bridge("doctor")
    store = Store(read().database_url)
    store.commit(lambda connection: registers.set_pause(connection, "account", "ops-bot", "mia", "token ended"))
    store.close()
    said = bridge("doctor")
    assert any(
        line.startswith("paused: account ops-bot waits, by mia since ")
        and line.endswith("token ended. `bridge resume account ops-bot` lets it go on")
        for line in lines(said, "warn")
    )


def test_oauth_scopes_that_no_rule_needs_are_named(bridge: Bridge, site: Site, installation: Installation) -> None:
    more = sorted({*seed.JIRA_SCOPES, "manage:jira-project"})
    installation.configure(site=read().sites["acme"].url, jira=str(more))
    assert any("no rule needs manage:jira-project" in line for line in lines(bridge("doctor"), "ok"))


def test_oauth_scopes_that_are_not_declared_are_asked_for(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    installation.configure(site=read().sites["acme"].url, jira="[]")
    said = bridge("doctor")
    asked = [line for line in lines(said, "warn") if "does not say which OAuth scopes its jira token has" in line]
    assert len(asked) == 1
    assert "the rules need read:jira-user read:jira-work write:jira-work" in asked[0]


def test_another_bridge_behind_the_public_address_fails(
    bridge: Bridge, site: Site, installation: Installation, serve: Callable[[WSGIApplication], str], tmp_path: Path
) -> None:
    known = replace(read(), home=tmp_path / "other", secrets=(Secret("k1", b"another" * 8),))
    known.home.mkdir()
    store = Store(f"sqlite:///{known.home / 'bridge.db'}")
    schema.ready(store)
    other = serve(create_app(known, store, Registry(known.rules, None)).wsgi_app)
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("https://bridge.example.com", other), encoding="utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any(
        line.startswith(f"web: what answers at {other} is a bridge with other secrets") for line in lines(said, "FAIL")
    )
    store.close()


def test_something_else_behind_the_public_address_fails(bridge: Bridge, site: Site, installation: Installation) -> None:
    address = read().sites["acme"].url
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("https://bridge.example.com", address), encoding="utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any(line.startswith(f"web: what answers at {address} is no bridge") for line in lines(said, "FAIL"))


def test_a_public_address_that_automation_cannot_call_fails(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("bridge.example.com", "hooks.example.com:8000"), encoding="utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any("web: Automation may not call port 8000, only 80, 443" in line for line in lines(said, "FAIL"))


def test_no_secret_is_ever_printed(bridge: Bridge, site: Site) -> None:
    for arguments in (("doctor",), ("doctor", "--json")):
        said = bridge(*arguments)
        assert not any(secret in said.out + said.err for secret in SECRETS)


@pytest.mark.usefixtures("site", "redis_url")
def test_a_token_in_a_file_that_others_may_read_is_warned_of(
    bridge: Bridge, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "jira.token"
    token.write_text(os.environ["TEST_JIRA_TOKEN"], encoding="utf-8")
    text = installation.config.read_text(encoding="utf-8").replace('"env:TEST_JIRA_TOKEN"', f'"file:{token}"')
    installation.config.write_text(text, encoding="utf-8")
    token.chmod(0o644)
    assert any(f"others than you may read {token}" in line for line in lines(bridge("doctor"), "warn"))
    token.chmod(0o600)
    assert "others than you may read" not in bridge("doctor").out
