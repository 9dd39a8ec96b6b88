"""``bridge scopes``: the right OAuth scopes, held against what is declared, and proved by a site that checks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from bridge.cli.rules_send import refreshed
from bridge.egress.app import Egress
from bridge.rule.registry import load
from bridge.sandbox import seed
from bridge.sandbox.records import Token
from bridge.store.tables import deliveries
from bridge.testing import Trial

if TYPE_CHECKING:
    from tests.cli.conftest import Bridge, Installation

# Found by hand, from Atlassian's pages for the operations that the example rules and egress use.
JIRA = ("read:jira-user", "read:jira-work", "write:jira-work")
CONFLUENCE = (
    "read:comment:confluence",
    "read:label:confluence",
    "read:page:confluence",
    "read:space:confluence",
    "write:comment:confluence",
    "write:label:confluence",
)
EXAMPLES = Path(__file__).resolve().parents[2] / "rules" / "payloads"
CASES = {
    "change_approved": "approved",
    "incident_follow_up": "mitigated",
    "page_published": "published",
    "stale_page_review": "scheduled",
}
WRITES = ("addComment", "createIssue", "doTransition", "addLabelsToContent", "createFooterComment")


def printed(bridge: Bridge, *more: str) -> dict[str, list[str]]:
    """The OAuth scopes that the command prints for ops-bot, by product."""
    rows = [json.loads(line) for line in bridge("scopes", "--account", "ops-bot", "--json", *more).lines]
    return {row["product"]: [scope for one in row["credentials"] for scope in one["scopes"]] for row in rows}


@dataclass(frozen=True)
class Ended:
    """How a delivery ended, why, and which operations were sent for it."""

    state: str
    reason: str
    sent: frozenset[str]


def run_all(installation: Installation, scopes: Mapping[str, list[str]], *, in_doubt: bool) -> dict[str, Ended]:
    """Run every example rule against a site whose tokens have these OAuth scopes and no others.

    With ``in_doubt`` the connection breaks at each write, so that each has to be looked up before it is sent again.
    """
    ended = {}
    with Trial(installation.rules, settle_factor=0.0) as trial:
        bot = trial.settings.accounts[seed.BOT]
        for product, names in scopes.items():
            token = Token(seed.BOT, frozenset({product}), frozenset(names))
            trial.site.add_token(f"trial-{product}", token)
        held = {name: replace(one, scopes=frozenset(scopes[name])) for name, one in bot.credentials.items()}
        trial.settings = replace(trial.settings, accounts={seed.BOT: replace(bot, credentials=held)})
        trial.egress = Egress(trial.settings, trial.store, trial.rules, trial.upstream)
        trial.client = httpx.Client(transport=httpx.WSGITransport(app=trial.egress), base_url="http://egress")
        for name, rule in load(installation.rules, None).rules.items():
            trial.site.faults.clear()
            trial.site.seen.clear()
            for operation in WRITES if in_doubt else ():
                trial.site.faults.order({"fault": "reset-before", "match": {"operation": operation}}, {})
            payload = json.loads((EXAMPLES / name / f"{CASES[name]}.json").read_text(encoding="utf-8"))
            report = trial.send(name, refreshed(payload, rule.manifest))
            for _ in range(2 * len(WRITES)):
                if str(report.state) != "waiting":
                    break
                make_due(trial, report.delivery)
                report = trial.attempt(report.delivery)
            ended[name] = Ended(str(report.state), str(report.reason), operations(trial))
        trial.client.close()
    return ended


def operations(trial: Trial) -> frozenset[str]:
    """The operations that the site was asked for; finding out the cloudId is none."""
    return frozenset(seen.operation for seen in trial.site.seen if seen.operation)


def make_due(trial: Trial, delivery: str) -> None:
    """Let what a delivery waits for have come."""
    due = sa.update(deliveries).where(deliveries.c.id == delivery).values(not_before=None)
    trial.store.commit(lambda connection: connection.execute(due))


def without(scopes: Mapping[str, list[str]]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    for product, names in scopes.items():
        for name in names:
            yield name, {**scopes, product: [one for one in names if one != name]}


def test_the_example_rules_need_what_was_found_by_hand(bridge: Bridge) -> None:
    assert printed(bridge) == {"jira": list(JIRA), "confluence": list(CONFLUENCE)}


def test_a_token_with_exactly_the_printed_scopes_runs_all_example_rules(
    bridge: Bridge, installation: Installation
) -> None:
    scopes = printed(bridge)
    for in_doubt in (False, True):
        ended = run_all(installation, scopes, in_doubt=in_doubt)
        assert {name: one.state for name, one in ended.items()} == dict.fromkeys(CASES, "done")


def test_whatever_is_sent_for_a_rule_was_told_before(bridge: Bridge, installation: Installation) -> None:
    told: dict[str, set[str]] = {}
    for row in map(json.loads, bridge("scopes", "--json").lines):
        for need in row["needs"]:
            told.setdefault(need["rule"], set()).add(need["operation"])
    for name, one in run_all(installation, printed(bridge), in_doubt=True).items():
        assert one.sent
        assert one.sent <= told[name], name


@pytest.mark.parametrize("scope", [*JIRA, *CONFLUENCE])
def test_with_any_one_of_them_missing_a_rule_fails_and_the_scope_is_named(
    bridge: Bridge, installation: Installation, scope: str
) -> None:
    less = dict(without(printed(bridge)))[scope]
    ended = run_all(installation, less, in_doubt=True)
    failed = [one for one in ended.values() if one.state != "done"]
    assert failed
    assert all(scope in one.reason for one in failed), failed


def test_it_says_of_each_scope_which_rule_verb_and_operation_need_it_and_why(bridge: Bridge) -> None:
    said = bridge("scopes")
    assert said.status == 0
    assert "account ops-bot (ops-bot-x1@serviceaccount.atlassian.com) on https://acme.atlassian.net" in said.lines
    assert "  jira: 3 classic OAuth scopes, and no others" in said.lines
    assert "    has    write:jira-work" in said.lines
    why = said.out.partition("jira: why")[2].partition("confluence: ")[0]
    assert "incident_follow_up → jira.transition → doTransition, to do it" in why
    assert "change_approved → jira.comment → getIssue, to find where the target is" in why
    assert "incident_follow_up → jira.transition → getChangeLogs, to look up a write in doubt" in why
    assert "page_published → confluence.comment → getCurrentUser, to know its own account before the first" in why
    assert "stale_page_review → confluence.label → addLabelsToContent, to do it, once it acts" in said.out


def test_what_the_declared_scopes_lack_is_told_and_the_status_is_1(bridge: Bridge, installation: Installation) -> None:
    installation.configure(jira='["read:jira-work", "read:jira-user"]')
    said = bridge("scopes")
    assert said.status == 1
    assert "    LACKS  write:jira-work" in said.lines
    assert "    has    read:jira-work" in said.lines
    assert (
        "  jira: LACKING for incident_follow_up: jira.transition needs the OAuth scope write:jira-work "
        "(doTransition to do it), and the jira credential of ops-bot does not have it" in said.lines
    )
    assert "  confluence: bridge.toml declares enough" in said.lines


def test_scopes_that_no_rule_needs_are_told_and_harm_nothing(bridge: Bridge, installation: Installation) -> None:
    installation.configure(jira=str([*JIRA, "manage:jira-configuration"]))
    said = bridge("scopes")
    assert said.status == 0
    assert "  jira: too many, which no rule needs: manage:jira-configuration" in said.lines


def test_granular_scopes_that_are_enough_are_not_called_lacking(bridge: Bridge, installation: Installation) -> None:
    from bridge import catalogue

    sets = [one.scopes for name in _OPERATIONS for one in catalogue.locate("jira", name).scope_sets]
    granular = sorted(set().union(*(one for one in sets if not one & set(JIRA))))
    installation.configure(jira=str(granular))
    said = bridge("scopes")
    assert said.status == 0
    assert "  jira: bridge.toml declares enough" in said.lines
    assert "    read:jira-work" in said.lines


_OPERATIONS = (
    "getIssue", "getFields", "addComment", "getComments", "getCommentsByIds", "getCurrentUser", "createIssue",
    "getProject", "searchAndReconsileIssuesUsingJqlPost", "getTransitions", "doTransition", "getChangeLogs",
)  # fmt: skip


def test_what_an_observing_rule_will_need_is_told_and_is_not_lacking_yet(
    bridge: Bridge, installation: Installation
) -> None:
    (installation.rules / "page_published.toml").unlink()
    (installation.rules / "page_published.py").unlink()
    installation.configure(confluence='["read:page:confluence", "read:space:confluence"]')
    said = bridge("scopes")
    assert said.status == 0
    assert (
        "confluence: LACKING for stale_page_review, once it acts: confluence.label needs the OAuth scopes" in said.out
    )
    assert bridge("rules", "check").status == 0


def test_scopes_that_nobody_wrote_down_cannot_be_compared(bridge: Bridge, installation: Installation) -> None:
    installation.configure(jira="[]")
    said = bridge("scopes")
    assert said.status == 2
    assert (
        "  jira: bridge.toml does not say which OAuth scopes its credential has, so nothing was compared" in said.lines
    )
    checked = bridge("rules", "check")
    assert checked.status == 0
    assert "bridge.toml: account.ops-bot.jira.scopes: says no OAuth scopes" in checked.err


def test_a_product_without_a_credential_is_lacking(bridge: Bridge, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    begin, end = text.index("[account.ops-bot.confluence]"), text.index("[web]")
    installation.config.write_text(text[:begin] + text[end:], encoding="utf-8")
    said = bridge("scopes")
    assert said.status == 1
    assert "  confluence: bridge.toml has no [account.ops-bot.confluence]" in said.lines


def test_what_cannot_be_told_by_reading_is_said_and_what_may_then_be_lacking_has_the_status_2(
    bridge: Bridge, installation: Installation
) -> None:
    handler = 'def handle(event, context):\n    getattr(context.jira, event["change"])("OPS-1", "a")\n'
    installation.write("change_approved.py", handler)
    text = (installation.rules / "change_approved.toml").read_text(encoding="utf-8")
    installation.write("change_approved.toml", text.replace('["read", "comment"]', '["read", "comment", "addVote"]'))
    for name in ("incident_follow_up", "page_published", "stale_page_review"):
        (installation.rules / f"{name}.toml").unlink()
    (installation.rules / "page_published.py").unlink()
    assert bridge("scopes").status == 0
    installation.configure(jira='["read:jira-work", "read:jira-user"]')
    said = bridge("scopes")
    assert said.status == 2
    assert "cannot be told by reading, so all that the scope grants was counted: change_approved.py:2: " in said.out
    assert "jira: LACKING for change_approved, perhaps: jira.comment needs" in said.out
    checked = bridge("rules", "check")
    assert checked.status == 0
    assert "change_approved.toml" in checked.err
    assert "perhaps jira.comment needs the OAuth scope write:jira-work" in checked.err


def test_boards_beside_work_items_make_the_whole_credential_granular(
    bridge: Bridge, installation: Installation
) -> None:
    text = (installation.rules / "change_approved.toml").read_text(encoding="utf-8")
    installation.write(
        "change_approved.toml", text.replace("[scope.limits]", '"@site" = ["getAllBoards"]\n[scope.limits]')
    )
    source = (installation.rules / "change_approved.py").read_text(encoding="utf-8")
    source = source.replace("    told = []", '    context.jira.request("GET", "/rest/agile/1.0/board")\n    told = []')
    installation.write("change_approved.py", source)
    installation.configure(jira='["read:jira-work", "write:jira-work", "read:jira-user"]')
    said = bridge("scopes")
    assert said.status == 1
    row = json.loads(bridge("scopes", "--json").lines[0])
    assert [one["kind"] for one in row["credentials"]] == ["granular"]
    assert "read:board-scope:jira-software" in row["credentials"][0]["scopes"]
    assert "    no classic OAuth scope reaches getAllBoards" in said.lines
    assert (
        "jira: LACKING for change_approved: getAllBoards needs the OAuth scopes read:board-scope:jira-software "
        "read:project:jira (getAllBoards to do it), and the jira credential of ops-bot does not have them; it takes "
        "another credential, for classic and granular OAuth scopes are not mixed in one" in said.out
    )


def write_planners(installation: Installation) -> None:
    """Two rules: one reads plans, which only classic scopes reach, and one boards, which only granular ones do."""
    text = (installation.rules / "change_approved.toml").read_text(encoding="utf-8")
    for each in [*installation.rules.glob("*.toml"), *installation.rules.glob("*.py")]:
        each.unlink()
    for name, operation, path in (
        ("plans", "getPlans", "/rest/api/3/plans/plan"),
        ("boards", "getAllBoards", "/rest/agile/1.0/board"),
    ):
        grant = f'"@site" = ["{operation}"]\n[scope.limits]'
        installation.write(f"{name}.toml", text.replace("[scope.limits]", grant))
        source = f'def handle(event, context):\n    context.jira.request("GET", "{path}")\n'
        installation.write(f"{name}.py", source)


def test_where_one_credential_cannot_do_it_that_is_told_with_the_reason_and_who_goes_where(
    bridge: Bridge, installation: Installation
) -> None:
    write_planners(installation)
    said = bridge("scopes")
    assert said.status == 1
    assert "  jira, credential 1 of 2: 1 classic OAuth scope, and no others" in said.lines
    assert "  jira, credential 2 of 2: 2 granular OAuth scopes, and no others" in said.lines
    assert (
        "  jira: one credential cannot do it: getPlans takes classic OAuth scopes only and getAllBoards takes granular "
        "OAuth scopes only, and the two kinds are not mixed in one token" in said.lines
    )
    assert "    credential 1 is enough for plans" in said.lines
    assert "    credential 2 is enough for boards" in said.lines
    rows = [json.loads(line) for line in bridge("scopes", "--group", "2", "--json").lines]
    assert [(row["rules"], row["one_credential"]) for row in rows] == [(["boards"], True), (["plans"], True)]
    ticket = bridge("scopes", "--request", "plans").out
    assert "new, because one token could not serve all the rules that act as ops-bot." in ticket
    assert "Create plans-bot, and give it access to Jira" in ticket
    assert "read:jira-work" in ticket
    assert "board-scope" not in ticket


def test_a_rule_that_no_account_can_serve_alone_is_to_be_made_two(bridge: Bridge, installation: Installation) -> None:
    write_planners(installation)
    both = (installation.rules / "plans.toml").read_text(encoding="utf-8")
    installation.write("plans.toml", both.replace('["getPlans"]', '["getPlans", "getAllBoards"]'))
    source = (installation.rules / "plans.py").read_text(encoding="utf-8")
    installation.write("plans.py", source + '    context.jira.request("GET", "/rest/agile/1.0/board")\n')
    assert "    plans needs several by itself: make several rules of it" in bridge("scopes").lines
    said = bridge("scopes", "--group", "2")
    assert "  no account can do it alone: make several rules of this one" in said.lines


def test_the_scopes_are_told_without_a_bridge_toml_and_nothing_is_compared(
    bridge: Bridge, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.config.unlink()
    monkeypatch.delenv("BRIDGE_CONFIG")
    said = bridge("scopes")
    assert said.status == 0
    assert "account ops-bot" in said.lines
    assert "    write:jira-work" in said.lines
    assert "nothing was compared" in said.err
    assert printed(bridge) == {"jira": list(JIRA), "confluence": list(CONFLUENCE)}


def test_an_account_that_nobody_names_is_told_the_nearest(bridge: Bridge) -> None:
    said = bridge("scopes", "--account", "ops-bto")
    assert said.status == 2
    assert "did you mean 'ops-bot'" in said.err


def test_an_account_that_no_rule_uses_needs_nothing(bridge: Bridge, installation: Installation) -> None:
    for path in installation.rules.glob("*.toml"):
        path.write_text(path.read_text(encoding="utf-8").replace('"ops-bot"', '"other-bot"'), encoding="utf-8")
    said = bridge("scopes", "--account", "ops-bot")
    assert said.status == 0
    assert "  no rule acts as it, so it needs no OAuth scope" in said.lines
    assert bridge("scopes").status == 1
    assert "  bridge.toml has no [account.other-bot]" in bridge("scopes").lines


def test_a_credential_that_no_rule_needs_is_told(bridge: Bridge, installation: Installation) -> None:
    for name in ("page_published.toml", "page_published.py", "stale_page_review.toml"):
        (installation.rules / name).unlink()
    said = bridge("scopes")
    assert said.status == 0
    assert "  confluence: no rule needs this credential" in said.lines


def test_the_ticket_has_everything_that_an_admin_is_to_do_in_the_order_of_doing_it(bridge: Bridge) -> None:
    said = bridge("scopes", "--request", "change_approved")
    assert said.status == 0
    order = [
        "Subject: service account ops-bot: API token for Jira and Confluence, for the bridge's rule change_approved",
        "Asked by     platform-ops@example.com, for: Tell the incidents behind a change that it was approved",
        "Account      ops-bot (ops-bot-x1@serviceaccount.atlassian.com)",
        "Site         https://acme.atlassian.net",
        "Used also by incident_follow_up, page_published, stale_page_review.",
        "admin.atlassian.com > your organization > Directory > Service accounts",
        "Jira project CHG: Browse projects\n",
        "Jira project OPS: Add comments, Browse projects, Create issues, Transition issues\n",
        "Confluence space ENG: Add comments, Add pages, View\n",
        "Create credentials > API token. Name: bridge-jira",
        "Expiry: the longest that is offered (365 days).",
        "these 3 classic OAuth scopes",
        *JIRA,
        "Name: bridge-confluence",
        "these 6 granular OAuth scopes",
        *CONFLUENCE,
        "password manager",
    ]
    places = [said.out.find(text) for text in order]
    assert -1 not in places, dict(zip(order, places, strict=True))
    assert places == sorted(places)
    assert max(map(len, said.lines)) <= 110
    assert "there is nothing to ask for" in said.err


def test_the_ticket_for_a_rule_that_has_its_account_alone_asks_for_no_more(
    bridge: Bridge, installation: Installation
) -> None:
    text = (installation.rules / "page_published.toml").read_text(encoding="utf-8")
    installation.write("page_published.toml", text.replace('"ops-bot"', '"docs-bot"'))
    said = bridge("scopes", "--request", "page_published")
    assert "Create docs-bot, and give it access to Confluence on" in said.out
    assert "jira" not in said.out
    assert "Used also by" not in said.out
    assert "read:content-details:confluence" in said.out
    assert bridge("scopes", "--request", "pagepublished").status == 2


def test_two_accounts_are_proposed_so_that_no_rule_gets_an_oauth_scope_too_many(bridge: Bridge) -> None:
    said = bridge("scopes", "--group", "2")
    assert said.status == 0
    assert said.lines[0].startswith("4 rules on 2 accounts: no OAuth scopes and 3 projects or spaces too many")
    assert "account 1: change_approved, incident_follow_up" in said.lines
    assert f"  jira, classic: {' '.join(JIRA)}" in said.lines
    assert "account 2: page_published, stale_page_review" in said.lines
    assert "  change_approved would be granted beside its needs: nothing" in said.lines
    assert "  page_published would be granted beside its needs: confluence HR" in said.lines
    assert bridge("scopes", "--group", "2").out == said.out


def test_one_account_for_all_says_what_each_rule_would_be_granted_too_much(bridge: Bridge) -> None:
    rows = [json.loads(line) for line in bridge("scopes", "--group", "1", "--json").lines]
    assert [row["rules"] for row in rows] == [sorted(CASES)]
    assert rows[0]["too_many"]["change_approved"] == list(CONFLUENCE)
    assert rows[0]["too_many"]["page_published"] == ["read:jira-work", "write:jira-work"]
    assert rows[0]["too_far"]["page_published"] == ["confluence HR", "jira CHG", "jira OPS"]


def test_more_accounts_than_rules_leave_each_rule_its_own(bridge: Bridge) -> None:
    rows = [json.loads(line) for line in bridge("scopes", "--group", "9", "--json").lines]
    assert [row["rules"] for row in rows] == [[name] for name in sorted(CASES)]
    assert not any(extra for row in rows for extra in (*row["too_many"].values(), *row["too_far"].values()))


def test_rules_of_two_sites_are_never_put_on_one_account(bridge: Bridge, installation: Installation) -> None:
    text = installation.config.read_text(encoding="utf-8")
    text += """
[site.other]
url = "https://other.atlassian.net"
[account.docs-bot]
site = "other"
email = "docs-bot@serviceaccount.atlassian.com"
[account.docs-bot.confluence]
token = "env:TEST_CONFLUENCE_TOKEN"
scopes = ["read:page:confluence"]
"""
    installation.config.write_text(text, encoding="utf-8")
    manifest = (installation.rules / "page_published.toml").read_text(encoding="utf-8")
    installation.write("page_published.toml", manifest.replace('"ops-bot"', '"docs-bot"'))
    rows = [json.loads(line) for line in bridge("scopes", "--group", "2", "--json").lines]
    assert [row["rules"] for row in rows] == [
        ["change_approved", "incident_follow_up", "stale_page_review"],
        ["page_published"],
    ]
    said = bridge("scopes", "--group", "1")
    assert said.status == 2
    assert "the rules act on 2 sites, and an account belongs to one: give --group 2 or more" in said.err


def test_the_check_of_the_rules_fails_where_the_account_lacks_what_a_rule_needs(
    bridge: Bridge, installation: Installation
) -> None:
    installation.configure(jira='["read:jira-work", "read:jira-user"]')
    said = bridge("rules", "check")
    assert said.status == 1
    assert (
        "rules/incident_follow_up.toml:47: jira.transition needs the OAuth scope write:jira-work "
        "(doTransition to do it), and the jira credential of ops-bot does not have it" in said.lines
    )
    assert any(
        line.startswith("rules/change_approved.py:39: jira.comment needs the OAuth scope") for line in said.lines
    )
    assert said.lines[-1].endswith("the rules are taken, and what needs these OAuth scopes will fail")


def test_what_the_ceiling_forbids_needs_no_scope(bridge: Bridge, installation: Installation) -> None:
    installation.configure(jira='["read:jira-work"]')
    text = installation.config.read_text(encoding="utf-8")
    ceiling = 'ceiling = { jira = { CHG = ["read"], OPS = ["read"] } }\n\n[account.ops-bot.jira]'
    installation.config.write_text(text.replace("[account.ops-bot.jira]", ceiling, 1), encoding="utf-8")
    said = bridge("scopes", "--json")
    assert json.loads(said.lines[0])["lacks"] == []
