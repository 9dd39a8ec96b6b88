"""``bridge doctor --live``: tries what the rules do on throwaway things, tells what a site does, and cleans up."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import seed
from bridge.settings import read
from bridge.store import Store, deliveries, journal, registers

if TYPE_CHECKING:
    from bridge.sandbox.site import Site
    from tests.cli.conftest import Bridge, Installation, Said

PATIENCE = 30.0
JIRA = frozenset({"read:jira-work", "write:jira-work", "read:jira-user"})
# What the example rules need, and reading what a trial of them looks at.
CONFLUENCE = frozenset(
    f"{name}:confluence"
    for name in ("read:page", "write:page", "read:comment", "write:comment", "read:space", "read:label", "write:label")
) | {"read:content-details:confluence"}


def lines(said: Said, level: str) -> list[str]:
    """The lines of one level, without it."""
    return [line[6:] for line in said.lines if line.startswith(f"{level:4}  ")]


def contents(site: Site) -> tuple[set[str], set[str]]:
    """The keys of all issues and the ids of all current pages."""
    with site.lock:
        issues = {issue.key for issue in site.issues.values()}
        pages = {page.id for page in site.pages.values() if page.status == "current"}
    return issues, pages


@pytest.fixture
def allowed(site: Site, installation: Installation) -> Site:
    """The site, with tokens that may delete pages too."""
    give(site, installation, CONFLUENCE | {"delete:page:confluence"})
    return site


def give(site: Site, installation: Installation, has: frozenset[str], declared: frozenset[str] | None = None) -> None:
    """Give the Confluence token these OAuth scopes, and have bridge.toml declare them, or others."""
    site.add_token("the-confluence-token", replace(seed.token("confluence"), scopes=has))
    site.add_token("the-jira-token", replace(seed.token("jira"), scopes=JIRA))
    declares = {"jira": str(sorted(JIRA)), "confluence": str(sorted(declared or has))}
    installation.configure(site=read().sites["acme"].url, **declares)


def test_everything_the_rules_do_is_tried_and_nothing_is_left_behind(bridge: Bridge, allowed: Site) -> None:
    before = contents(allowed)
    said = bridge("doctor", "--live", "OPS", "ENG", "--yes")
    assert said.status == 0, said.out + said.err
    assert "This makes 2 issues in project OPS and a page or two in space ENG" in said.err
    tried = next(line for line in lines(said, "ok") if line.startswith("tried: "))
    for method in ("jira.comment", "jira.create", "jira.read", "jira.transition", "confluence.label"):
        assert method in tried
    assert any(line.startswith("cleaned up: deleted OPS-") for line in lines(said, "ok"))
    assert contents(allowed) == before
    assert [line for line in said.lines if not line.startswith("ok    ")] == []


def test_what_atlassian_does_not_promise_is_told_of_this_site(bridge: Bridge, allowed: Site) -> None:
    told = [
        line
        for line in lines(bridge("doctor", "--live", "OPS", "ENG", "--yes"), "ok")
        if line.startswith("on this site: ")
    ]
    for promise in (
        "accountType of a service account is 'app'",
        "a comment keeps the property that it is made with",
        "the history keeps the metadata that a change is sent with",
        "a link between two issues, made twice, is one",
        "a web link of one globalId, made twice, is one",
        "a page's version keeps the message that it is sent with",
        "a space refuses a second page of one title (400)",
    ):
        assert f"on this site: {promise}" in told
    assert any("a search finds a new issue after " in line and "with the mark it carries" in line for line in told)


def test_all_of_it_stands_in_the_log_under_the_account_and_the_person(bridge: Bridge, allowed: Site) -> None:
    bridge("doctor", "--live", "OPS", "ENG", "--yes", "--as", "mia")
    store = Store(read().database_url)
    with store.read() as connection:
        found = deliveries.listed(connection, limit=1000)
        entries = [entry for one in found for entry in journal.of_delivery(connection, one.id)]
    store.close()
    assert {one.rule for one in found} == {"doctor_live"}
    assert {str(one.state) for one in found} <= {"done", "cancelled"}
    with Store(read().database_url).read() as connection:
        digests = {str(entry["rule_digest"])[7:] for entry in entries if entry["kind"] == "attempt:begun"}
        (text,) = registers.rule_texts(connection, "doctor_live", digests.pop())
    assert 'account = "ops-bot"' in text["doctor_live.toml"]
    acted = [entry for entry in entries if entry["kind"] == "step:outcome"]
    assert {entry["account"] for entry in acted} == {"ops-bot"}
    assert {"jira.create", "jira.comment", "confluence.create-page", "jira.delete"} <= {
        entry["verb"] for entry in acted
    }
    assert {entry.get("person") for entry in entries if entry["kind"] == "delivery:received"} == {"mia"}


def test_nothing_is_made_before_somebody_agrees(bridge: Bridge, allowed: Site) -> None:
    before = contents(allowed)
    said = bridge("doctor", "--live", "OPS", "ENG")
    assert said.status == 2
    assert "give --yes" in said.err
    assert contents(allowed) == before


def test_a_token_without_an_oauth_scope_is_found_out_and_the_scope_is_named(bridge: Bridge, allowed: Site) -> None:
    before = contents(allowed)
    allowed.add_token("the-jira-token", replace(seed.token("jira"), scopes=JIRA - {"write:jira-work"}))
    said = bridge("doctor", "--live", "OPS", "ENG", "--yes")
    assert said.status == 1
    failed = lines(said, "FAIL")
    assert any("jira credential lacks write:jira-work, which bridge.toml says that it has" in line for line in failed)
    assert any("an issue in OPS could not be made: the credential lacks write:jira-work" in line for line in failed)
    assert any(line.startswith("tried: ") and "confluence.label" in line for line in lines(said, "ok"))
    assert contents(allowed) == before
    store = Store(read().database_url)
    with store.read() as connection:
        assert registers.pauses(connection) == [], "no rule has to wait for what was only tried"
    store.close()


def test_granular_oauth_scopes_are_found_out_one_by_one(
    bridge: Bridge, allowed: Site, installation: Installation
) -> None:
    has = CONFLUENCE - {"write:label:confluence"} | {"delete:page:confluence"}
    give(allowed, installation, has, CONFLUENCE - {"read:comment:confluence"})
    said = bridge("doctor", "--live", "-", "ENG", "--yes")
    assert said.status == 1
    failed = lines(said, "FAIL")
    assert any("lacks write:label:confluence, which bridge.toml says that it has" in line for line in failed)
    assert any("tried: confluence.label: the credential lacks write:label:confluence" in line for line in failed)
    unsaid = "has read:comment:confluence, and bridge.toml does not say so"
    assert any(unsaid in line for line in lines(said, "warn"))


def test_finding_out_oauth_scopes_does_nothing(bridge: Bridge, allowed: Site) -> None:
    bridge("doctor", "--live", "OPS", "ENG", "--yes")
    asked = [each for each in allowed.seen if each.account == seed.BOT]
    made = next(place for place, each in enumerate(asked) if each.operation == "createIssue" and each.status == 201)
    writes = [each for each in asked[:made] if each.method != "GET"]
    assert {each.operation for each in writes} >= {"createPage", "createFooterComment"}
    assert all(each.status is not None and each.status >= 400 for each in writes), writes


def test_what_cannot_be_deleted_is_said_with_the_place_where_it_is(
    bridge: Bridge, site: Site, installation: Installation
) -> None:
    give(site, installation, CONFLUENCE)
    issues, pages = contents(site)
    permissions = set(site.grants[site.account(seed.BOT).id, "jira", "OPS"]) - {"delete"}
    site.grant(seed.BOT, permissions, project="OPS")
    said = bridge("doctor", "--live", "OPS", "ENG", "--yes")
    assert (
        "By bridge.toml the confluence credential lacks delete:page:confluence: the page will be left to you"
        in said.err
    )
    left = [line for line in lines(said, "warn") if line.startswith("left behind: ")]
    now_issues, now_pages = contents(site)
    made = (now_issues - issues) | (now_pages - pages)
    assert len(left) == len(made) == 3
    url = read().sites["acme"].url
    for key in now_issues - issues:
        assert any(f"{key} could not be deleted" in line and f"{url}/browse/{key}" in line for line in left)
    assert any("lacks an OAuth scope for deletePage: delete:page:confluence" in line for line in left)


def test_one_product_alone_can_be_tried(bridge: Bridge, allowed: Site) -> None:
    said = bridge("doctor", "--live", "OPS", "-", "--yes")
    assert said.status == 0, said.out
    assert "confluence" not in said.out
    assert bridge("doctor", "--live", "-", "-", "--yes").status == 2


def test_a_ceiling_holds_rules_and_not_whoever_tries(bridge: Bridge, allowed: Site, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    ceiling = '[account.ops-bot]\nceiling = { jira = { CHG = ["read"] } }\n'
    installation.config.write_text(text.replace("[account.ops-bot]\n", ceiling), encoding="utf-8")
    said = bridge("doctor", "--live", "OPS", "-", "--yes")
    assert any(line.startswith("cleaned up: ") for line in lines(said, "ok")), said.out


def test_programs_get_one_object_for_each_thing(bridge: Bridge, allowed: Site) -> None:
    said = bridge("doctor", "--live", "OPS", "-", "--yes", "--json")
    assert {tuple(json.loads(line)) for line in said.lines} == {("level", "about", "text", "todo")}


def test_a_search_that_lags_is_measured(bridge: Bridge, allowed: Site) -> None:
    allowed.faults.order(
        {"match": {"operation": "searchAndReconsileIssuesUsingJqlPost"}, "fault": "lag", "times": 3}, allowed.issues
    )
    said = bridge("doctor", "--live", "OPS", "-", "--yes")
    told = next(line for line in lines(said, "ok") if "a search finds a new issue after" in line)
    assert float(told.split(" after ")[1].split(" s")[0]) >= 1.0


def test_an_issue_that_was_made_without_an_answer_is_found_and_deleted(bridge: Bridge, allowed: Site) -> None:
    before = contents(allowed)
    allowed.faults.order({"match": {"operation": "createIssue"}, "fault": "500", "processed": True}, {})
    said = bridge("doctor", "--live", "OPS", "-", "--yes")
    assert said.status == 2
    assert any("an issue in OPS could not be made: the site answered 500" in line for line in lines(said, "?"))
    assert contents(allowed) == before
    assert any(line.startswith("cleaned up: ") for line in lines(said, "ok"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_it_cleans_up_all_the_same(
    allowed: Site, installation: Installation, number: signal.Signals
) -> None:
    before = contents(allowed)
    allowed.faults.order({"match": {"operation": "addComment"}, "fault": "slow", "seconds": 3}, {})
    command = [sys.executable, "-m", "bridge", "doctor", "--live", "OPS", "ENG", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = b""
        deadline = time.monotonic() + PATIENCE
        while b"ok    made: page" not in shown:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            said = os.read(process.stdout.fileno(), 65536) if ready else b""
            assert said, shown + process.stderr.read()
            shown += said
        assert contents(allowed) != before
        process.send_signal(number)
        shown += process.stdout.read()
        assert process.wait(PATIENCE) != 0
        errors = process.stderr.read().decode()
    assert "cleaned up: deleted " in shown.decode()
    assert "Traceback" not in errors
    assert contents(allowed) == before


def test_an_account_must_be_named_where_rules_act_as_several(
    bridge: Bridge, allowed: Site, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = installation.config.read_text(encoding="utf-8")
    another = '[account.docs-bot]\nsite = "acme"\nemail = "docs@serviceaccount.atlassian.com"\n'
    another += '[account.docs-bot.confluence]\ntoken = "env:TEST_CONFLUENCE_TOKEN"\nscopes = []\n'
    installation.config.write_text(f"{text}\n{another}", encoding="utf-8")
    rule = installation.rules / "page_published.toml"
    rule.write_text(rule.read_text(encoding="utf-8").replace('"ops-bot"', '"docs-bot"'), encoding="utf-8")
    said = bridge("doctor", "--live", "OPS", "ENG", "--yes")
    assert said.status == 2
    assert "there are docs-bot and ops-bot: say with --account which of them to try" in said.err
    said = bridge("doctor", "--live", "-", "ENG", "--yes", "--account", "docs-bot")
    assert any(line.startswith("tried: ") for line in lines(said, "ok")), said.out + said.err


@pytest.mark.processes
def test_beside_a_running_bridge_nothing_is_left_to_its_workers(
    bridge: Bridge, allowed: Site, installation: Installation
) -> None:
    before = contents(allowed)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f'listen = "127.0.0.1:{free.getsockname()[1]}"'
    text = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(text.replace("[web]", f"[web]\n{listen}"), encoding="utf-8")
    command = [sys.executable, "-m", "bridge", "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ)) as running:
        assert running.stdout is not None
        shown = b""
        while b"worker.ready" not in shown:
            shown += running.stdout.readline()
        said = bridge("doctor", "--live", "OPS", "ENG", "--yes")
        running.send_signal(signal.SIGTERM)
        running.stdout.read()
        running.wait(PATIENCE * 2)
    assert said.status == 0, said.out
    assert contents(allowed) == before
    store = Store(read().database_url)
    with store.read() as connection:
        states = {str(one.state) for one in deliveries.listed(connection, limit=1000)}
    store.close()
    assert states <= {"done", "cancelled"}
