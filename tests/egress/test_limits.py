"""What a rule may do at most: fields, transitions, the event's target, how many writes, and the account's ceiling."""

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
SCOPE = '[scope.jira]\nOPS = ["read", "comment", "transition", "edit", "assign", "create"]\n'


def outcome(bench: Any, payload: Any = None) -> str:
    """Send a payload and return what became of it: the refusal, or the state."""
    report = bench.send(payload)
    return str(report.reason or report.state)


# --------------------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("call", "beyond"),
    [
        ("context.jira.edit('OPS-3', set={'labels': ['a'], 'priority': 'Low'})", None),
        ("context.jira.edit('OPS-3', add={'labels': 'a'})", None),
        ("context.jira.edit('OPS-3', set={'summary': 'x'})", "summary"),
        ("context.jira.edit('OPS-3', add={'components': 'Mail'}, set={'summary': 'x'})", "components, summary"),
        ("context.jira.create('OPS', 'Task', 'x', fields={'labels': ['a']})", None),
        ("context.jira.create('OPS', 'Task', 'x', parent='OPS-1')", None),
        ("context.jira.create('OPS', 'Task', 'x', 'text', fields={'duedate': '2027-01-01'})", "description, duedate"),
        ("context.jira.assign('OPS-3', None)", None),
    ],
)
def test_only_listed_fields_are_set(make_bench: Make, call: str, beyond: str | None) -> None:
    bench = make_bench(SCOPE + "[scope.limits]\nfields = ['labels', 'priority']", call)
    said = outcome(bench)
    if beyond is None:
        assert "scope.limits" not in said, said
    else:
        assert f"scope.limits.fields does not list {beyond} (it lists labels, priority)" in said
        assert bench.wire.writes == []


def test_a_field_that_is_cleared_is_a_field_that_is_set(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE + "[scope.limits]\nfields = ['labels']",
        "context.jira.request('PUT', '/rest/api/3/issue/OPS-3', body={'fields': {'duedate': None}})",
    )
    assert "does not list duedate" in outcome(bench)


def test_an_assignee_that_is_edited_needs_the_verb_and_not_the_field(make_bench: Make) -> None:
    change = "context.jira.request('PUT', '/rest/api/3/issue/OPS-3', body={'fields': {'assignee': None}})"
    bench = make_bench('[scope.jira]\nOPS = ["edit"]', change)
    assert "does not grant assign in OPS" in outcome(bench)
    bench.write('[scope.jira]\nOPS = ["assign"]\n[scope.limits]\nfields = []')
    assert outcome(bench) == "done"


# ---------------------------------------------------------------------------------------------------- transitions


@pytest.mark.parametrize(
    ("allowed", "call", "passes"),
    [
        ("['Start work']", "context.jira.transition('OPS-2', 'In Progress')", True),
        ("['in progress']", "context.jira.transition('OPS-2', 'Start work')", True),
        ("['Done']", "context.jira.transition('OPS-2', 'Start work')", False),
        ("[]", "context.jira.transition('OPS-2', 'Start work')", False),
        ("['Done']", "context.jira.transition('OPS-1', 'Resolve')", True),
        (
            "['Done']",
            "context.jira.request('POST', '/rest/api/3/issue/OPS-1/transitions', body={'transition': {'id': ' 31'}})",
            False,
        ),
        (
            "['Done']",
            "context.jira.request('POST', '/rest/api/3/issue/OPS-1/transitions', body={'transition': {'id': 21}})",
            False,
        ),
        (
            "['Done']",
            "context.jira.request('POST', '/rest/api/3/issue/OPS-1/transitions', body={'fields': {}})",
            False,
        ),
        (
            "['Done']",
            "context.jira.request('POST', event['path'], body={'transition': {'id': '31', 'name': 'x'}})",
            False,
        ),
    ],
)
def test_only_listed_transitions_are_made(make_bench: Make, allowed: str, call: str, passes: bool) -> None:
    bench = make_bench(SCOPE + f"[scope.limits]\ntransitions = {allowed}", call)
    said = outcome(bench, {"path": "/rest/api/3/issue/OPS-1/transitions"})
    assert (said == "done") is passes, said
    assert bench.executed("doTransition") == int(passes)


# -------------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("payload", "key", "passes"),
    [
        ({"issue": "OPS-1"}, "OPS-1", True),
        ({"issue": {"key": "OPS-1", "id": "10001"}}, "10001", True),
        ({"issue": {"id": 10001}}, "OPS-1", True),
        ({"issue": "OPS-1"}, "10001", False),
        ({"issue": "OPS-1"}, "OPS-2", False),
        ({"note": "no issue at all"}, "OPS-1", False),
        ({"issue": "ops-1"}, "OPS-1", False),
        ({"issue": "OPS-2", "key": "OPS-1"}, "OPS-1", False),
    ],
)
def test_a_rule_for_the_events_target_changes_no_other(make_bench: Make, payload: Any, key: str, passes: bool) -> None:
    bench = make_bench(SCOPE + '[scope.limits]\ntargets = "event"', f"context.jira.comment({key!r}, 'x')")
    said = outcome(bench, payload)
    if key == "10001" and payload == {"issue": "OPS-1"}:
        assert said == "done", "the site says that 10001 is OPS-1"
        return
    assert (said == "done") is passes, said
    assert len(bench.wire.writes) == int(passes)


def test_a_rule_for_the_events_target_reads_and_creates_as_its_scope_says(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE + '[scope.limits]\ntargets = "event"',
        "context.jira.issue('OPS-2')\ncontext.jira.create('OPS', 'Task', 'x')\ncontext.jira.comment('OPS-1', 'x')",
    )
    assert outcome(bench, {"issue": "OPS-1"}) == "done"


def test_a_payload_that_names_a_moved_issue_by_its_old_key_names_that_issue(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.jira]\nHR = ["comment"]\n[scope.limits]\ntargets = "event"', "context.jira.comment(event.issue, 'x')"
    )
    assert outcome(bench, {"issue": "OPS-99"}) == "done"


def test_the_events_page_is_a_target_as_well(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.confluence]\nENG = ["label"]\n[scope.limits]\ntargets = "event"',
        "context.confluence.label(event['label'], 'x')",
    )
    page, other = [page.id for page in bench.site.pages.values() if page.title in {"Runbooks", "Incident reviews"}]
    assert outcome(bench, {"page": {"id": int(page)}, "label": page}) == "done"
    assert 'targets is "event"' in outcome(bench, {"page": {"id": int(page)}, "label": other})


# ---------------------------------------------------------------------------------------------------------- count


def test_the_writes_of_a_delivery_are_counted_and_reads_are_not(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE + "[scope.limits]\nactions = 2",
        "for n in range(3):\n    context.jira.issue('OPS-1')\n    context.jira.comment('OPS-1', str(n))",
    )
    assert outcome(bench).endswith("the rule's scope.limits.actions allows 2 writes per delivery")
    assert bench.texts("OPS-1") == ["0", "1"]
    bench.wire.requests.clear()
    outcome(bench)
    assert len(bench.wire.writes) == 2, "each delivery has its own count"


def test_a_refused_write_is_not_counted(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE + "[scope.limits]\nactions = 1",
        "try:\n    context.jira.comment('CHG-1', 'x')\nexcept Exception:\n    context.jira.comment('OPS-1', 'x')",
    )
    outcome(bench)
    assert bench.texts("OPS-1") == ["x"]


def test_a_write_that_had_to_wait_is_counted_once(make_bench: Make) -> None:
    bench = make_bench(SCOPE + "[scope.limits]\nactions = 1", "context.jira.comment('OPS-1', 'x')")
    bench.fault("429", "addComment")
    delivery = bench.send().delivery
    bench.let_time_pass(delivery)
    report = bench.attempt(delivery)
    assert report.state == "done", report.reason
    assert bench.texts("OPS-1") == ["x"]


def test_observed_writes_are_counted_so_that_the_limit_shows_before_it_acts(make_bench: Make) -> None:
    bench = make_bench(
        'mode = "observe"\n' + SCOPE + "[scope.limits]\nactions = 1",
        "context.jira.comment('OPS-1', 'x')\ncontext.jira.comment('OPS-1', 'y')",
    )
    assert "allows 1 writes" in outcome(bench)


# ------------------------------------------------------------------------------------------------ ceiling and @site


def test_no_rule_exceeds_its_accounts_ceiling(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.comment('OPS-1', 'x')\ncontext.jira.transition('OPS-2', 'Start work')")
    accounts = bench.account(ceiling={"jira": {"OPS": ["comment"]}})
    capped = make_bench(
        SCOPE, "context.jira.comment('OPS-1', 'x')\ncontext.jira.transition('OPS-2', 'Start work')", accounts=accounts
    )
    # The token's file belongs to the first bench, whose site takes it; both sites know the same tokens.
    said = outcome(capped)
    assert said.startswith("step 2 (")
    assert "the account's ceiling in bridge.toml does not allow" in said
    assert capped.texts("OPS-1") == ["x"]
    assert capped.executed("doTransition") == 0
    assert outcome(bench) == "done"


def test_a_product_that_the_ceiling_leaves_out_is_denied(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "return None")
    capped = make_bench(
        SCOPE, "context.jira.issue('OPS-1')", accounts=bench.account(ceiling={"confluence": {"ENG": ["read"]}})
    )
    assert "the account's ceiling in bridge.toml does not allow read in OPS, where OPS-1 is" in outcome(capped)


PRIORITIES = "return context.jira.request('GET', '/rest/api/3/priority')[0]['name']"


def test_what_has_no_project_is_granted_under_site_by_its_operation(make_bench: Make) -> None:
    bench = make_bench(SCOPE, PRIORITIES)
    said = outcome(bench)
    assert "does not grant getPriorities outside any project or space; it grants it nowhere" in said
    bench.write('[scope.jira]\n"@site" = ["getPriorities"]')
    report = bench.send()
    assert (report.state, report.result) == ("done", "Highest")
    [entry] = bench.entries(report.delivery, "step:read")
    assert entry["operation"] == "getPriorities"
    assert "container" not in entry


def test_a_grant_in_a_project_is_none_under_site_nor_in_another(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["getPriorities"]', PRIORITIES)
    assert "it grants it in OPS" in outcome(bench)


def test_an_operation_is_granted_by_its_id_in_the_project_of_its_path(make_bench: Make) -> None:
    bench = make_bench(
        '[scope.jira]\nOPS = ["getEditIssueMeta"]',
        "return context.jira.request('GET', f'/rest/api/3/issue/{event[\"key\"]}/editmeta')",
    )
    assert outcome(bench, {"key": "OPS-1"}) == "done"
    assert "does not grant getEditIssueMeta in HR" in outcome(bench, {"key": "OPS-99"})


def test_an_operation_id_does_not_grant_what_a_verb_guards(make_bench: Make) -> None:
    for grant in ("addComment", "editIssue"):
        bench = make_bench(f'[scope.jira]\nOPS = ["{grant}"]', "context.jira.comment('OPS-1', 'x')")
        assert "does not grant comment" in outcome(bench)


def test_an_operation_that_atlassian_names_no_oauth_scope_for_is_refused(make_bench: Make) -> None:
    from bridge import catalogue

    found = next(
        each
        for each in catalogue.operations()
        if not each.scope_sets and each.site_product == "jira" and each.method == "GET" and "{" not in each.path
    )
    bench = make_bench(
        f'[scope.jira]\n"@site" = ["{found.operation_id}"]', f"context.jira.request('GET', {found.path!r})"
    )
    assert "names no OAuth scope" in outcome(bench)
    assert bench.wire.requests == []
