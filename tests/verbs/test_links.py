"""Links of work items: made in the words people use, taken away again, and links to the web."""

from typing import Any

import pytest

BOTH = {"OPS": ["link", "unlink", "read"], "CHG": ["link", "unlink"]}


def _links(verbs: Any) -> list[tuple[str, str, str]]:
    """The site's links as sentences: who, how, whom."""
    issues = verbs.site.issues
    found = [(issues[x.source].key, x.type.outward, issues[x.target].key) for x in verbs.site.links.values()]
    return sorted(found)


@pytest.mark.parametrize(
    ("link", "made"),
    [
        ("blocks", ("OPS-1", "blocks", "CHG-1")),
        ("is  Blocked by", ("CHG-1", "blocks", "OPS-1")),
        ("Duplicate", ("OPS-1", "duplicates", "CHG-1")),
        ("inward:10002", ("CHG-1", "duplicates", "OPS-1")),
        ("outward:10002", ("OPS-1", "duplicates", "CHG-1")),
    ],
)
def test_a_link_is_made_in_the_words_that_the_work_item_will_show(verbs: Any, link: str, made: Any) -> None:
    report = verbs.do(f"context.jira.link('OPS-1', {link!r}, 'CHG-1')", jira=BOTH)
    assert report.state == "done", report.reason
    assert _links(verbs) == [made]
    first = made[0]
    assert report.lines == (
        "step:read #1 jira.link /rest/api/3/issueLinkType read by ops-bot status=200",
        f"step:intent #2 jira.link {first} by ops-bot",
        f"step:outcome #2 jira.link {first} done by ops-bot status=201",
    )


def test_a_link_between_an_issue_by_id_and_one_by_its_former_key_is_judged_where_they_are_now(verbs: Any) -> None:
    grants = {"OPS": ["link"], "HR": ["link"]}
    verbs.site.grant("ops-bot", {"browse", "link"}, project="HR")
    moved = verbs.issue("OPS-99")
    assert verbs.do("context.jira.link('OPS-99', 'blocks', '10001')", jira={"OPS": ["link"]}).state == "dead"
    assert _links(verbs) == []
    assert verbs.do("context.jira.link('OPS-99', 'blocks', '10001')", jira=grants).state == "done"
    assert _links(verbs) == [(moved.key, "blocks", "OPS-1")]


@pytest.mark.parametrize("grants", [{"OPS": ["link"]}, {"CHG": ["link"]}])
def test_a_link_needs_the_verb_at_both_ends(verbs: Any, grants: Any) -> None:
    report = verbs.do("context.jira.link('OPS-1', 'blocks', 'CHG-1')", jira=grants)
    assert report.state == "dead"
    assert "the scope does not grant link in" in str(report.reason)
    assert _links(verbs) == []


def test_a_wording_that_the_site_has_not_is_answered_with_those_it_has(verbs: Any) -> None:
    report = verbs.do("context.jira.link('OPS-1', 'resembles', 'CHG-1')", jira=BOTH)
    assert report.state == "dead"
    assert "no link that says 'resembles'; it has: blocks, clones" in str(report.reason)
    assert verbs.sent("linkIssues") == []


def test_a_comment_cannot_ride_on_a_link(verbs: Any) -> None:
    body = {"type": {"name": "Blocks"}, "inwardIssue": {"key": "OPS-1"}, "outwardIssue": {"key": "OPS-2"}}
    body["comment"] = {"body": "x"}
    report = verbs.do(f"context.jira.request('POST', '/rest/api/3/issueLink', body={body!r})", jira=BOTH)
    assert report.state == "dead"
    assert "comment does not belong in jira.link: use jira.comment" in str(report.reason)


def test_where_only_the_events_issue_may_be_changed_a_link_may_end_or_begin_at_it(verbs: Any) -> None:
    more = '[scope.limits]\ntargets = "event"\n'
    event = {"issue": {"key": "CHG-1"}}
    for link in ("blocks", "is blocked by"):
        report = verbs.do(f"context.jira.link('CHG-1', {link!r}, 'OPS-1')", jira=BOTH, payload=event, more=more)
        assert report.state == "done", report.reason
    report = verbs.do("context.jira.link('OPS-2', 'blocks', 'OPS-1')", jira=BOTH, payload=event, more=more)
    assert "only the issue or page the delivery names may be changed" in str(report.reason)
    assert len(_links(verbs)) == 2


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_link_of_unknown_fate_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=BOTH, handle="context.jira.link('OPS-1', 'blocks', 'OPS-2')")
    report = verbs.doubt("linkIssues", fault)
    assert (report.state, len(_links(verbs))) == ("done", 1), report.reason


def _linked(verbs: Any, *pairs: tuple[str, str, str]) -> None:
    calls = "\n".join(f"context.jira.link({a!r}, {b!r}, {c!r})" for a, b, c in pairs)
    verbs.write(jira=BOTH, handle=calls)
    assert verbs.send().state == "done"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ("", []),
        (", 'is blocked by'", [("OPS-1", "blocks", "OPS-3"), ("OPS-1", "relates to", "OPS-4")]),
        (", ['Blocks', 'is blocked by', 'Relates']", []),
        (", 'blocks'", [("CHG-1", "blocks", "OPS-1"), ("OPS-1", "relates to", "OPS-4")]),
        (", 'inward:10000'", [("OPS-1", "blocks", "OPS-3"), ("OPS-1", "relates to", "OPS-4")]),
        (", to='chg-*'", [("OPS-1", "blocks", "OPS-3"), ("OPS-1", "relates to", "OPS-4")]),
        (", to=['OPS-3', 'OPS-4']", [("CHG-1", "blocks", "OPS-1")]),
        (", 'blocks', 'OPS-4'", [("CHG-1", "blocks", "OPS-1"), ("OPS-1", "blocks", "OPS-3"),
                                 ("OPS-1", "relates to", "OPS-4")]),
    ],
)  # fmt: skip
def test_links_are_deleted_by_wording_and_by_the_other_work_item(verbs: Any, arguments: str, left: Any) -> None:
    _linked(verbs, ("OPS-1", "is blocked by", "CHG-1"), ("OPS-1", "blocks", "OPS-3"), ("OPS-1", "relates to", "OPS-4"))
    report = verbs.do(f"context.jira.unlink('OPS-1'{arguments})", jira=BOTH)
    assert report.state == "done", report.reason
    assert _links(verbs) == left
    assert len(report.result["deleted"]) == 3 - len(left)


def test_a_link_to_a_work_item_outside_the_scope_stays(verbs: Any) -> None:
    _linked(verbs, ("OPS-1", "blocks", "CHG-1"))
    report = verbs.do("context.jira.unlink('OPS-1')", jira={"OPS": ["unlink"]})
    assert report.state == "dead"
    assert "the scope does not grant unlink in CHG" in str(report.reason)
    assert len(_links(verbs)) == 1


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_deleted_link_of_unknown_fate_is_asked_for(verbs: Any, fault: str) -> None:
    _linked(verbs, ("OPS-1", "blocks", "OPS-2"))
    verbs.write(jira=BOTH, handle="context.jira.unlink('OPS-1')")
    report = verbs.doubt("deleteIssueLink", fault)
    done = fault in {"reset-after", "500"}
    # One that is not there may also be one that is not shown, so only a person can say that it was deleted.
    assert (report.state, _links(verbs)) == ("parked" if done else "done", []), report.reason
    assert len(verbs.sent("deleteIssueLink")) == (1 if done else 2)


def test_a_web_link_is_changed_when_it_is_added_again(verbs: Any) -> None:
    grants = {"OPS": ["web-link", "read"]}
    verbs.do("context.jira.web_link('OPS-1', 'https://example.com/a', 'Runbook')", jira=grants)
    report = verbs.do(
        "context.jira.web_link('OPS-1', 'https://example.com/a', 'The runbook', summary='How to', relationship='see')",
        jira=grants,
    )
    [link] = verbs.issue("OPS-1").web_links
    assert link.shown == {"url": "https://example.com/a", "title": "The runbook", "summary": "How to"}
    assert (link.global_id, link.relationship) == ("https://example.com/a", "see")
    assert report.lines[-1] == f"step:outcome #1 jira.web-link OPS-1 done by ops-bot ref={link.id} status=200"
    assert verbs.do("context.jira.web_links('OPS-1')", jira=grants).result[0]["object"]["title"] == "The runbook"


def test_an_address_too_long_for_a_global_id_is_told_by_its_digest(verbs: Any) -> None:
    url = "https://example.com/?q=" + "x" * 300
    for _ in range(2):
        assert verbs.do(f"context.jira.web_link('OPS-1', {url!r})", jira={"OPS": ["web-link"]}).state == "done"
    [link] = verbs.issue("OPS-1").web_links
    assert link.global_id.startswith("sha256:")
    assert link.shown["title"] == url


def test_a_web_link_is_refused_outside_the_scope(verbs: Any) -> None:
    report = verbs.do("context.jira.web_link('OPS-1', 'https://example.com')", jira={"CHG": ["web-link"]})
    assert "the scope does not grant web-link in OPS" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_web_link_of_unknown_fate_is_written_again_under_its_global_id(verbs: Any, fault: str) -> None:
    verbs.write(jira={"OPS": ["web-link"]}, handle="context.jira.web_link('OPS-1', 'https://example.com')")
    report = verbs.doubt("createOrUpdateRemoteIssueLink", fault)
    assert (report.state, len(verbs.issue("OPS-1").web_links)) == ("done", 1), report.reason


def test_a_web_link_without_a_global_id_waits_for_a_person(verbs: Any) -> None:
    body = {"object": {"url": "https://example.com", "title": "x"}}
    path = "/rest/api/3/issue/OPS-1/remotelink"
    verbs.write(jira={"OPS": ["web-link"]}, handle=f"context.jira.request('POST', {path!r}, body={body!r})")
    report = verbs.doubt("createOrUpdateRemoteIssueLink", "reset-after")
    assert report.state == "parked"
    assert "no global id" in str(report.reason)


def test_a_work_item_is_created_and_linked(verbs: Any) -> None:
    grants = {"OPS": ["create", "link"], "CHG": ["link"]}
    call = "context.jira.create_linked('OPS', 'Task', 'Follow up', 'is blocked by', 'CHG-1', fields={'labels': ['a']})"
    report = verbs.do(call, jira=grants)
    assert report.state == "done", report.reason
    key = report.result["key"]
    assert _links(verbs) == [("CHG-1", "blocks", key)]
    assert verbs.issue(key).fields["labels"] == ["a"]
    shown = verbs.do(f"context.jira.links({key!r})", jira={"OPS": ["read"]}).result
    assert [(link["type"]["inward"], link["inwardIssue"]["key"]) for link in shown] == [("is blocked by", "CHG-1")]


def test_nothing_is_created_when_the_link_cannot_be_said(verbs: Any) -> None:
    call = "context.jira.create_linked('OPS', 'Task', 'Follow up', 'resembles', 'CHG-1')"
    assert verbs.do(call, jira={"OPS": ["create", "link"], "CHG": ["link"]}).state == "dead"
    assert verbs.sent("createIssue") == []


def test_in_observe_mode_what_would_have_been_created_is_linked_as_well(verbs: Any) -> None:
    call = "context.jira.create_linked('OPS', 'Task', 'Follow up', 'blocks', 'CHG-1')"
    report = verbs.do(call, jira={"OPS": ["create", "link"], "CHG": ["link"]}, more='mode = "observe"\n')
    assert report.state == "done", report.reason
    assert report.lines[-1] == "step:observed #3 jira.link OPS-0 observed by ops-bot"
    assert _links(verbs) == []
