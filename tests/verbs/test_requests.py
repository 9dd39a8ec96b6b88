"""Requests of service projects: created, commented, approved, and found again when their fate is unknown."""

from typing import Any

import pytest

from bridge.sandbox import document

OPS = {
    "OPS": [
        "read-request",
        "find-request-type",
        "comment-on-request",
        "create-request",
        "add-participants",
        "remove-participants",
        "approve",
    ]
}
ASK = "context.jira.create_request('OPS', 'Ask for help', 'A new laptop')"


def _id(verbs: Any, name: str) -> str:
    return str(verbs.site.account(name).id)


def _comments(verbs: Any, key: str = "OPS-1") -> list[tuple[str, bool]]:
    """The account's comments on a request, and whether customers see them."""
    bot = _id(verbs, "ops-bot")
    return [(document.text(each.body), each.public) for each in verbs.issue(key).comments if each.author == bot]


def _laptops(verbs: Any) -> list[Any]:
    return [each for each in verbs.site.issues.values() if each.fields.get("summary") == "A new laptop"]


def test_a_request_is_read_with_its_type_and_reporter(verbs: Any) -> None:
    report = verbs.do("context.jira.service_request('OPS-1')", jira=OPS)
    assert report.result["requestTypeId"] == "11"
    assert report.result["reporter"]["displayName"] == "Mia Keller"
    assert report.lines == ("step:read #1 jira.read-request OPS-1 read by ops-bot status=200",)


def test_the_request_types_of_a_service_project_are_read(verbs: Any) -> None:
    report = verbs.do("[t['name'] for t in context.jira.request_types('OPS')]", jira=OPS)
    assert report.result == ["Report an incident", "Ask for help"]


@pytest.mark.parametrize(("public", "seen"), [("", False), (", public=True", True), (", public=False", False)])
def test_a_comment_on_a_request_is_a_note_for_agents_unless_it_is_public(verbs: Any, public: str, seen: bool) -> None:
    report = verbs.do(f"context.jira.comment_on_request('OPS-1', 'We look into it.'{public})['id']", jira=OPS)
    assert report.state == "done", report.reason
    assert _comments(verbs) == [("We look into it.", seen)]
    assert report.lines == (
        "step:intent #1 jira.comment-on-request OPS-1 by ops-bot",
        f"step:outcome #1 jira.comment-on-request OPS-1 done by ops-bot ref={report.result} status=201",
    )


def test_a_step_comments_with_formatting_of_its_own_and_literal_values(verbs: Any) -> None:
    steps = """
    [[step]]
    verb = "jira.comment-on-request"
    issue = "{{ key }}"
    body = "**{{ who }}** said {{ words }}"
    public = true
    """
    verbs.write(jira=OPS, steps=steps)
    report = verbs.send({"key": "OPS-1", "who": "Mia", "words": "{code}x{code} *now* [a|https://evil.example]"})
    assert report.state == "done", report.reason
    [sent] = verbs.sent("createRequestComment")
    said = "\\{code\\}x\\{code\\} \\*now\\* \\[a\\|https://evil.example]"
    assert sent.body == {"body": "{*}Mia{*} said " + said, "public": True}


@pytest.mark.parametrize("kind", ["'Ask for help'", "'ask for HELP'", "'12'"])
def test_a_request_is_made_with_a_request_type_by_its_name_or_id(verbs: Any, kind: str) -> None:
    report = verbs.do(f"context.jira.create_request('OPS', {kind}, 'A new\\nlaptop', 'For *two*')", jira=OPS)
    assert report.state == "done", report.reason
    [made] = _laptops(verbs)
    assert made.request.type == "12"
    assert document.text(made.fields["description"]) == "For *two*"
    assert report.result["issueKey"] == made.key
    assert report.lines[2:] == (
        "step:intent #3 jira.create-request 1 by ops-bot",
        f"step:outcome #3 jira.create-request 1 done by ops-bot ref={made.key} status=201",
    )


def test_a_request_is_made_on_behalf_of_a_customer_with_participants_and_fields(verbs: Any) -> None:
    priya, jonas = _id(verbs, "Priya Nair"), _id(verbs, "Jonas Brandt")
    more = f"on_behalf_of={priya!r}, participants=[{jonas!r}], fields={{'priority': 'High', 'labels': ['vip']}}"
    report = verbs.do(f"context.jira.create_request('1', 'Ask for help', 'A new laptop', {more})", jira=OPS)
    assert report.state == "done", report.reason
    [made] = _laptops(verbs)
    assert (made.fields["reporter"], made.request.participants) == (priya, [jonas])
    assert (made.fields["priority"], made.fields["labels"]) == ("2", ["vip"])


def test_a_request_type_that_is_not_there_is_answered_with_those_that_are(verbs: Any) -> None:
    report = verbs.do("context.jira.create_request('OPS', 'Beer', 'x')", jira=OPS)
    assert report.state == "dead"
    assert "no request type 'Beer' that this account can see; it has Report an incident, Ask" in str(report.reason)


@pytest.mark.parametrize(
    "call",
    [
        "context.jira.service_request('CHG-1')",
        "context.jira.comment_on_request('CHG-1', 'x')",
        "context.jira.approve('CHG-1')",
        "context.jira.add_participants('CHG-1', 'x')",
        "context.jira.create_request('CHG', 'Ask', 'x')",
        "context.jira.request('POST', '/rest/servicedeskapi/request', body={'serviceDeskId': '2'})",
    ],
)
def test_requests_of_a_project_outside_the_scope_are_left_alone(verbs: Any, call: str) -> None:
    verbs.site.add_desk("CHG", {"Ask": "10100"})
    report = verbs.do(call, jira=OPS)
    assert report.state == "dead"
    assert "in CHG, where" in str(report.reason)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"project": {"key": "HR"}}, "the service project says where the request is made"),
        ({"comment": {}}, "use jira.comment-on-request"),
        ({"parent": {"key": "HR-1"}}, "set it with jira.edit once the request is made"),
    ],
)
def test_a_request_does_not_reach_beyond_its_project(verbs: Any, values: Any, said: str) -> None:
    body = {"serviceDeskId": "1", "requestTypeId": "12", "requestFieldValues": {"summary": "x", **values}}
    report = verbs.do(f"context.jira.request('POST', '/rest/servicedeskapi/request', body={body!r})", jira=OPS)
    assert report.state == "dead"
    assert said in str(report.reason)


def test_the_fields_of_a_request_are_limited_as_those_of_a_work_item(verbs: Any) -> None:
    call = "context.jira.create_request('OPS', 'Ask for help', 'x', fields={'priority': 'High', 'labels': ['y']})"
    report = verbs.do(call, jira=OPS, more='[scope.limits]\nfields = ["labels"]\n')
    assert "scope.limits.fields does not list priority" in str(report.reason)


def test_people_are_added_to_a_request_and_taken_out(verbs: Any) -> None:
    mia, jonas = _id(verbs, "Mia Keller"), _id(verbs, "Jonas Brandt")
    report = verbs.do(f"context.jira.add_participants('OPS-1', [{jonas!r}, {mia!r}])", jira=OPS)
    assert report.state == "done", report.reason
    assert verbs.issue("OPS-1").request.participants == [mia, jonas]
    assert report.lines[1] == "step:outcome #1 jira.add-participants OPS-1 done by ops-bot status=200"
    assert verbs.do(f"context.jira.remove_participants('OPS-1', {mia!r})", jira=OPS).state == "done"
    assert verbs.issue("OPS-1").request.participants == [jonas]


@pytest.mark.parametrize(("call", "decision"), [("approve", "approved"), ("decline", "declined")])
def test_the_approval_that_waits_for_the_account_is_answered(verbs: Any, call: str, decision: str) -> None:
    report = verbs.do(f"context.jira.{call}('OPS-1')", jira=OPS)
    assert report.state == "done", report.reason
    first, second = verbs.issue("OPS-1").request.approvals
    assert (first.decision, second.decision) == (decision, "pending")
    assert report.lines[1:] == (
        "step:intent #2 jira.approve OPS-1 by ops-bot",
        f"step:outcome #2 jira.approve OPS-1 done by ops-bot ref={first.id} status=200",
    )


def test_one_of_several_approvals_is_answered_by_its_name(verbs: Any) -> None:
    report = verbs.do("context.jira.approve('OPS-1', 'approval by the service owner')", jira=OPS)
    assert report.state == "done", report.reason
    assert [each.decision for each in verbs.issue("OPS-1").request.approvals] == ["pending", "approved"]


def test_an_approval_of_somebody_else_is_not_answered(verbs: Any) -> None:
    request = verbs.issue("OPS-1").request
    request.approvals.clear()
    verbs.site.add_approval(verbs.issue("OPS-1"), "Theirs", [_id(verbs, "Mia Keller")])
    report = verbs.do("context.jira.approve('OPS-1')", jira=OPS)
    assert report.state == "dead"
    assert "no approval of this request waits for the answer of this account" in str(report.reason)
    assert verbs.sent("answerApproval") == []


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_comment_on_a_request_of_unknown_fate_is_made_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=OPS, handle="context.jira.comment_on_request('OPS-1', 'Once, *please*: a_b [x]!')")
    report = verbs.doubt("createRequestComment", fault)
    assert report.state == "done", report.reason
    assert len(_comments(verbs)) == 1


@pytest.mark.parametrize(
    ("body", "public", "minutes", "state", "left"),
    [
        ("Other", False, 0, "parked", 1),
        ("Once", True, 0, "parked", 1),
        ("Once", False, 30, "done", 2),
        ("Other", False, 30, "done", 2),
    ],
)
def test_a_comment_of_long_ago_is_not_the_one_and_a_new_one_with_other_words_or_readers_may_be(
    verbs: Any, body: str, public: bool, minutes: int, state: str, left: int
) -> None:
    with verbs.site.earlier(minutes=minutes):
        made = verbs.site.add_comment(verbs.issue("OPS-1"), verbs.site.account("ops-bot"), document.paragraphs(body))
        made.public = public
    verbs.write(jira=OPS, handle="context.jira.comment_on_request('OPS-1', 'Once')")
    assert verbs.doubt("createRequestComment", "reset-before").state == state
    assert len(_comments(verbs)) == left


def test_the_same_comment_by_an_earlier_step_is_not_taken_for_this_ones(verbs: Any) -> None:
    handle = "context.jira.comment_on_request('OPS-1', 'Once')"
    assert verbs.do(handle, jira=OPS).state == "done"
    assert verbs.doubt("createRequestComment", "reset-before").state == "done"
    assert _comments(verbs) == [("Once", False), ("Once", False)]


def test_two_equal_comments_that_no_step_made_wait_for_a_person(verbs: Any) -> None:
    for _ in range(2):
        made = verbs.site.add_comment(verbs.issue("OPS-1"), verbs.site.account("ops-bot"), document.paragraphs("Once"))
        made.public = False
    verbs.write(jira=OPS, handle="context.jira.comment_on_request('OPS-1', 'Once')")
    report = verbs.doubt("createRequestComment", "reset-before")
    assert report.state == "parked"
    assert "two equal comments of this account since" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
@pytest.mark.parametrize("reporter", ["", "Priya Nair"])
def test_a_request_of_unknown_fate_is_made_once(verbs: Any, fault: str, reporter: str) -> None:
    behalf = f", on_behalf_of={_id(verbs, reporter)!r}" if reporter else ""
    call = f"context.jira.create_request('OPS', 'Ask for help', 'A new laptop'{behalf})['issueKey']"
    verbs.write(jira=OPS, handle=f"return {call}")
    report = verbs.doubt("createCustomerRequest", fault)
    assert report.state == "done", report.reason
    assert [each.key for each in _laptops(verbs)] == [report.result]


@pytest.mark.parametrize("other", ["type", "reporter", "issue", "old"])
def test_a_request_that_only_resembles_it_is_not_the_one(verbs: Any, other: str) -> None:
    kind = "Report an incident" if other == "type" else "Ask for help"
    behalf = f", on_behalf_of={_id(verbs, 'Priya Nair')!r}" if other == "reporter" else ""
    with verbs.site.earlier(minutes=30 if other == "old" else 0):
        made = verbs.do(f"context.jira.create_request('OPS', {kind!r}, 'A new laptop'{behalf})", jira=OPS)
    assert made.state == "done", made.reason
    if other == "issue":
        _laptops(verbs)[0].request = None
    verbs.write(jira=OPS, handle=ASK)
    assert verbs.doubt("createCustomerRequest", "reset-before").state == "done"
    assert len(_laptops(verbs)) == 2


def test_two_equal_requests_that_no_step_made_wait_for_a_person(verbs: Any) -> None:
    verbs.do(ASK, jira=OPS)
    first = _laptops(verbs)[0]
    for _ in range(2):
        fields = dict(first.fields)
        made = verbs.site.new_issue(verbs.site.projects["OPS"], verbs.site.account("ops-bot"), fields)
        made.request = first.request
    verbs.write(jira=OPS, handle=ASK)
    report = verbs.doubt("createCustomerRequest", "reset-before")
    assert report.state == "parked"
    assert "the account made two equal requests since" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_an_approval_of_unknown_fate_is_given_once(verbs: Any, fault: str) -> None:
    verbs.write(jira=OPS, handle="context.jira.approve('OPS-1')")
    report = verbs.doubt("answerApproval", fault)
    assert report.state == "done", report.reason
    assert [each.decision for each in verbs.issue("OPS-1").request.approvals] == ["approved", "pending"]
    assert verbs.executed("answerApproval") == 1


def test_an_approval_that_was_answered_otherwise_waits_for_a_person(verbs: Any) -> None:
    approval = verbs.issue("OPS-1").request.approvals[0]
    approval.approvers[_id(verbs, "ops-bot")] = "declined"
    path = f"/rest/servicedeskapi/request/OPS-1/approval/{approval.id}"
    verbs.write(jira=OPS, handle=f"context.jira.request('POST', {path!r}, body={{'decision': 'approve'}})")
    report = verbs.doubt("answerApproval", "reset-before")
    assert report.state == "parked"
    assert "the approval holds another answer" in str(report.reason)


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_participant_of_unknown_fate_is_added_again(verbs: Any, fault: str) -> None:
    jonas = _id(verbs, "Jonas Brandt")
    verbs.write(jira=OPS, handle=f"context.jira.add_participants('OPS-1', {jonas!r})")
    assert verbs.doubt("addRequestParticipants", fault).state == "done"
    assert verbs.issue("OPS-1").request.participants.count(jonas) == 1


def test_a_rule_that_observes_goes_on_with_the_request_it_did_not_make(verbs: Any) -> None:
    steps = """
    [[step]]
    id = "made"
    verb = "jira.create-request"
    service_desk = "OPS"
    request_type = "Ask for help"
    summary = "A new laptop"
    [[step]]
    verb = "jira.comment-on-request"
    issue = "{{ made.issueKey }}"
    body = "Seen."
    [[step]]
    verb = "jira.approve"
    issue = "{{ made.issueKey }}"
    """
    verbs.write(jira=OPS, more='mode = "observe"\n', steps=steps)
    report = verbs.send()
    assert report.state == "done", report.reason
    assert report.lines[2:] == (
        "step:observed #3 jira.create-request 1 observed by ops-bot",
        "step:observed #4 jira.comment-on-request OPS-0 observed by ops-bot",
        "step:observed #5 jira.approve OPS-0 observed by ops-bot",
    )
    assert _laptops(verbs) == []
