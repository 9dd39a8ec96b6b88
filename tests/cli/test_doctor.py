"""``bridge doctor``: one line for each thing, what to do about it, and no secret, whatever is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bridge.sandbox import seed
from bridge.sandbox.records import Token
from bridge.settings import read
from bridge.store import Store, registers, schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.sandbox.site import Site
    from tests.cli.conftest import Bridge, Installation, Said

SECRETS = ("the-jira-token", "the-confluence-token", "a2tra2tra2tra2tra2s")


def lines(said: Said, level: str) -> list[str]:
    """The lines of one level, without it."""
    return [line[6:] for line in said.lines if line.startswith(f"{level:4}  ")]


def day(number: int) -> str:
    return str((datetime.now(UTC) + timedelta(days=number)).date())


@pytest.fixture
def redis_url(installation: Installation, valkey_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation's broker: a real Valkey."""
    monkeypatch.setenv("BRIDGE_REDIS_URL", f"unix://{valkey_socket}")


@pytest.mark.usefixtures("redis_url")
def test_all_is_well_and_said_on_one_screen(bridge: Bridge, site: Site) -> None:
    said = bridge("doctor")
    assert said.status == 0, said.out
    assert [line for line in said.lines if not line.startswith("ok    ")] == []
    assert len(said.lines) <= 24
    assert f"site acme: {read().sites['acme'].url} answers, cloudId {site.cloud_id}" in lines(said, "ok")
    assert f"account ops-bot: is ops-bot ({site.account('ops-bot').id}), a service account" in lines(said, "ok")
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


@pytest.mark.usefixtures("site", "redis_url")
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
    assert any("no secret is configured" in line and "/dev/urandom" in line for line in lines(said, "FAIL"))


def test_an_embedded_broker_that_does_not_run_is_only_warned_of(bridge: Bridge, site: Site) -> None:
    said = bridge("doctor")
    assert said.status == 0
    assert any(line.startswith("queue: the embedded Valkey does not answer") for line in lines(said, "warn"))


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
    assert any("the database could not keep it" in line for line in lines(said, "?"))


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
    assert "account ops-bot: site acme was not reached, so who it is was not asked" in lines(said, "?")


def test_a_wrong_cloud_id_in_bridge_toml_fails(bridge: Bridge, site: Site, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("[account.ops-bot]", 'cloud_id = "x"\n[account.ops-bot]', 1), "utf-8")
    said = bridge("doctor")
    assert said.status == 1
    assert any("bridge.toml gives another" in line for line in lines(said, "FAIL"))


def test_a_persons_account_is_warned_of_with_the_reason(bridge: Bridge, site: Site, installation: Installation) -> None:
    site.add_token("the-jira-token", Token(seed.PERSON, frozenset({"jira"}), seed.JIRA_SCOPES))
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
    assert "account ops-bot: confluence OAuth scopes are enough for comment, label, read" in lines(said, "ok")


def test_oauth_scopes_are_asked_for_in_the_kind_that_the_token_has(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    granular = sorted(seed.CONFLUENCE_SCOPES - {"write:label:confluence"})
    installation.configure(site=read().sites["acme"].url, confluence=str(granular))
    assert "confluence token lacks write:label:confluence (label)" in "".join(lines(bridge("doctor"), "FAIL"))


def test_a_token_that_may_not_ask_who_it_is_warns(bridge: Bridge, site: Site, installation: Installation) -> None:
    scopes = frozenset({"read:jira-work", "write:jira-work"})
    site.add_token("the-jira-token", Token(seed.BOT, frozenset({"jira"}), scopes))
    installation.configure(site=read().sites["acme"].url, jira=str(sorted(scopes)))
    said = bridge("doctor")
    assert said.status == 0
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
    assert any("who it is could not be asked" in line for line in lines(said, "?"))


def test_no_secret_is_ever_printed(bridge: Bridge, site: Site) -> None:
    for arguments in (("doctor",), ("doctor", "--json")):
        said = bridge(*arguments)
        assert not any(secret in said.out + said.err for secret in SECRETS)
