"""What a plan says: what the bridge does, what stays and why, what travels and what is lost."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.catalogue import unavailable
from bridge.errors import SettingsInvalid
from bridge.migrate.actions import CONVERTERS
from bridge.migrate.conversion import Names
from bridge.migrate.export import read
from bridge.migrate.mapping import converters
from bridge.migrate.mapping import read as read_mapping
from bridge.migrate.plan import Plan, weigh
from bridge.migrate.rule_text import Wanted, manifest, name_of, rule
from bridge.migrate.site import Person, summed
from bridge.migrate.web_requests import TYPE
from bridge.rule.methods import METHODS

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "automation-rules"
ISSUE_CREATED = "jira.issue.event.trigger:created"
HIDDEN = {"name": "Authorization", "value": "Basic c29tZWJvZHk6c2VjcmV0", "headerSecure": True}


def action(kind: str, value: Any) -> dict[str, Any]:
    return {"component": "ACTION", "type": kind, "value": value}


def comment(text: str = "Hello") -> dict[str, Any]:
    return action("jira.issue.comment", {"comment": text})


def request(url: str, body: str | None = None, method: str = "POST", **more: Any) -> dict[str, Any]:
    value = {"url": url, "method": method, "headers": [HIDDEN], "customBody": body, "contentType": "custom"}
    return action(TYPE, {**value, **more})


CREATE = action(
    "jira.issue.create",
    {
        "operations": [
            {"fieldId": "project", "type": "SET", "value": {"type": "COPY", "value": "current"}},
            {"fieldId": "issuetype", "type": "SET", "value": {"type": "NAME", "value": "Task"}},
            {"fieldId": "summary", "type": "SET", "value": "Follow up {{triggerIssue.key}}"},
        ]
    },
)
LOG = action("codebarrel.action.log", "made {{createdIssue.key}}")
MAIL = action("jira.issue.outgoing.email", {"to": []})


def planned(*components: Any, trigger: str = ISSUE_CREATED, value: Any = None, **more: Any) -> Plan:
    raw = {
        "name": "One",
        "actor": {"type": "ACCOUNT_ID", "actor": "someone"},
        "trigger": {"component": "TRIGGER", "type": trigger, "value": value or {}},
        "components": list(components),
        "ruleScopeARIs": ["ari:cloud:jira:4e11:project/10000"],
        **more,
    }
    reading = read(json.dumps(raw).encode(), "one.json")
    return weigh(reading.automations[0], Names())


def verdicts(plan: Plan) -> list[tuple[str, str]]:
    return [(each.verdict, ", ".join(step.verb for step in each.steps) or each.why) for each in plan.decisions]


def text_of(plan: Plan, number: int = 0) -> str:
    return manifest(plan, plan.runs[number], Wanted("team@example.com", "ops-bot", ("OPS",)))


def test_consecutive_actions_become_one_rule_and_one_that_stays_parts_them() -> None:
    plan = planned(comment(), comment(), MAIL, comment())
    assert [(run.first, run.last, run.wait) for run in plan.runs] == [(0, 1, True), (3, 3, False)]
    assert plan.leaves == "partly"


def test_no_action_moves_across_a_condition() -> None:
    condition = {"component": "CONDITION", "type": "jira.jql.condition", "value": "project = OPS"}
    assert [(run.first, run.last) for run in planned(comment(), condition, comment()).runs] == [(0, 0), (2, 2)]


def test_the_blocks_of_an_if_else_do_not_wait_for_one_another() -> None:
    block = {"component": "CONDITION_BLOCK", "type": "jira.condition.if.block", "children": [comment()]}
    container = {"component": "CONDITION", "type": "jira.condition.container.block", "children": [block, block]}
    assert [run.wait for run in planned(container).runs] == [False, False]
    assert [run.wait for run in planned(container, comment()).runs] == [True, True, False]


def test_a_created_work_item_that_only_its_own_run_reads_is_created_by_the_bridge() -> None:
    plan = planned(CREATE, comment("See {{createdIssue.key}}"))
    assert verdicts(plan) == [("bridge", "jira.create"), ("bridge", "jira.comment")]
    assert 'body = "See {{ created.key }}"' in text_of(plan)
    assert "createdIssue" not in "".join(each.written for each in plan.runs[0].carried)


@pytest.mark.parametrize(
    "reader",
    [
        LOG,
        {"component": "BRANCH", "type": "jira.issue.related", "value": {"relatedType": "recentlycreated"}},
        {"component": "CONDITION", "type": "jira.comparator.condition", "value": {"first": "{{createdIssue.key}}"}},
    ],
)
def test_a_creating_action_stays_where_something_that_stays_reads_what_it_made(reader: Any) -> None:
    plan = planned(CREATE, comment(), reader)
    why = "a later step that is not of its run reads {{createdIssue}}, or branches to it"
    assert verdicts(plan)[:2] == [("stays", why), ("bridge", "jira.comment")]


def test_nothing_comes_between_a_request_and_those_who_read_its_answer() -> None:
    foreign = request("https://ci.example.com/build")
    reader = action("codebarrel.action.log", "{{webhookResponse.body.id}}")
    plan = planned(foreign, comment(), reader)
    assert [each.verdict for each in plan.decisions] == ["stays", "stays", "stays"]
    assert "the bridge's would take its place" in plan.decisions[1].why
    reads = planned(foreign, comment("Build {{webhookResponse.body.id}}"))
    assert [each.verdict for each in reads.decisions] == ["stays", "bridge"]
    assert "webhookResponse.body.id" in {each.path for each in reads.runs[0].carried}


def test_a_request_to_atlassian_stays_where_its_answer_is_read() -> None:
    asked = request(
        "https://acme.atlassian.net/rest/api/3/issue/{{issue.key}}/assignee", '{"accountId": "5b10"}', "PUT"
    )
    plan = planned(asked, comment("{{webhookResponse.status}}"))
    assert plan.decisions[0].why == "a later step reads {{webhookResponse}} of it"
    assert plan.decisions[1].verdict == "bridge"


def test_a_comment_in_a_service_project_stays_internal() -> None:
    raw = json.dumps(
        {
            "name": "One",
            "actor": {"type": "EVENT_INITIATOR"},
            "trigger": {"component": "TRIGGER", "type": ISSUE_CREATED},
            "components": [action("jira.issue.comment", {"comment": "Hello", "publicComment": False})],
            "ruleScopeARIs": ["ari:cloud:jira:4e11:project/10000"],
        }
    )
    (automation,) = read(raw.encode(), "one.json").automations
    (decision,) = weigh(automation, Names(service=frozenset({"10000"}))).decisions
    assert [(each.verb, each.arguments["public"]) for each in decision.steps] == [("jira.comment-on-request", False)]
    (unsure,) = weigh(automation).decisions
    assert "would be public: give --service-project" in " ".join(unsure.lost)


def test_within_a_branch_there_is_a_work_item_whatever_the_trigger_brings() -> None:
    branch = {
        "component": "BRANCH",
        "type": "jira.issue.related",
        "value": {"relatedType": "jql"},
        "children": [comment()],
    }
    plan = planned(branch, comment(), trigger="jira.version.event.trigger:released")
    assert [each.verdict for each in plan.decisions] == ["bridge", "stays"]


def test_smart_values_travel_escaped_and_are_read_as_fields() -> None:
    plan = planned(comment('{{issue.summary}} {{issue.duedate.format("dd.MM")}} {{issue.Follow-up "When"}}'))
    carried = {each.path: each.written for each in plan.runs[0].carried}
    assert carried["issue.summary"] == '"{{issue.summary.jsonEncode}}"'
    assert carried["issue_duedate_format_dd_mm"] == '"{{issue.duedate.format("dd.MM").jsonEncode}}"'
    assert "{{ issue.summary }} {{ issue_duedate_format_dd_mm }} {{ issue_follow_up_when }}" in text_of(plan)


def test_a_text_with_sections_travels_as_a_whole() -> None:
    plan = planned(comment('All:\n{{#issues}}* {{key}} "{{summary}}"\n{{/}}'))
    carried = {each.path: each.written for each in plan.runs[0].carried}
    assert carried["text"] == '"All:\\n{{#issues}}* {{key.jsonEncode}} \\"{{summary.jsonEncode}}\\"\\n{{/}}"'
    assert 'body = "{{ text }}"' in text_of(plan)


def test_an_action_for_a_work_item_stays_where_the_trigger_brings_none() -> None:
    plan = planned(comment(), trigger="jira.version.event.trigger:released")
    assert verdicts(plan) == [("stays", "the trigger brings no work item for it to act on")]
    scheduled = planned(comment(), trigger="jira.jql.scheduled", value={"jql": ""})
    assert [each.verdict for each in scheduled.decisions] == ["stays"]


@pytest.mark.parametrize(
    ("asked", "step"),
    [
        (
            request(
                "https://acme.atlassian.net/rest/api/3/issue/{{issue.key}}/assignee", '{"accountId": "5b10"}', "PUT"
            ),
            ("jira.assign", {"issue": "{{ issue.key }}", "account_id": "5b10"}),
        ),
        (
            request("{{baseUrl}}/rest/api/2/issue/{{issue.key}}/comment", '{"body": {{issue.summary.asJsonString}}}'),
            ("jira.comment", {"issue": "{{ issue.key }}", "body": "{{ issue.summary }}"}),
        ),
        (
            request(
                "https://api.atlassian.com/ex/jira/4e11/rest/api/3/issue/OPS-7",
                '{"fields": {"labels": ["done"], "summary": "{{issue.summary.jsonEncode}}"}}',
                "PUT",
            ),
            ("jira.edit", {"issue": "OPS-7", "set": {"labels": ["done"], "summary": "{{ issue.summary }}"}}),
        ),
    ],
)
def test_a_request_that_calls_atlassian_with_a_credential_becomes_the_verb(asked: Any, step: Any) -> None:
    (decision,) = planned(asked).decisions
    assert [(each.verb, each.arguments) for each in decision.steps] == [step]
    assert "revoke it" in " ".join(decision.lost)


def test_other_requests_with_credentials_stay_and_are_pointed_out_without_being_shown() -> None:
    plan = planned(request("https://user:pw@ci.example.com/build?token=abc"), comment())
    assert plan.decisions[0].why == "it calls another system, which no rule reaches"
    (found,) = plan.requests
    assert found.credentials == ("header Authorization", "user and password in the URL", "query token")
    assert "c29tZW" not in str(plan.requests)
    assert "abc" not in str(plan.requests)


def test_unknown_types_and_unknown_values_stay_and_nothing_is_guessed() -> None:
    plan = planned(
        action("confluence.page.publish", {"title": "x"}),
        action("jira.issue.assign", {"assignType": "BALANCED", "assignee": None}),
        action("jira.issue.comment", {"comment": {"type": "doc"}}),
        action("jira.issue.comment", None),
    )
    assert [each.why for each in plan.decisions] == [
        "its type is not known, and nothing is guessed",
        "how it chooses a person (BALANCED) is not known",
        "its text is empty",
        "its text is empty",
    ]
    assert [each.known for each in plan.decisions] == [False, True, True, True]


@pytest.mark.parametrize("kind", sorted(set(CONVERTERS)))
@pytest.mark.parametrize("value", [None, "", 7, [], {}, {"operations": 7}, {"operations": [7], "comment": 7}])
def test_no_value_of_any_known_action_stops_the_plan(kind: str, value: Any) -> None:
    (decision,) = planned(action(kind, value)).decisions
    assert decision.why or decision.steps


def test_every_type_is_either_done_or_said_to_stay() -> None:
    assert set(CONVERTERS) & set(unavailable.by_type()) == set()


KNOWN = {
    "jira.issue.create.subtasks": {"subtasks": [{"type": "10104", "summary": "Ask"}]},
    "jira.issue.comment.update": {"commentId": {"type": "REFERENCE", "value": "LAST_COMMENT"}, "comment": "New"},
    "jira.issue.delete.comment": {"commentId": {"type": "REFERENCE", "value": "LAST_COMMENT"}},
    "jira.issue.link": {"linkType": "inward:10145", "issue": {"type": "COPY", "value": "trigger"}},
    "jira.issue.delete.link": {"linkTypes": ["inward:10145"]},
    "jira.issue.delete": {"sendNotifications": True},
    "jira.issue.add.watcher": {
        "watchers": [{"type": "ID", "value": "5b10"}],
        "removeWatchers": [{"type": "ID", "value": "5b11"}],
    },
    "jira.worklog.add": {"timeSpent": "1h", "adjustEstimate": "ADJUST_AUTOMATICALLY", "description": "Looked"},
    "jira.work-item.remote-link.add": {"url": "https://example.com", "title": "Example"},
    "jira.issue.deleteattachment": {"regex": ".*log", "matches": "matches"},
    "jira.set.entity.property": {"entityType": "ISSUE", "entity": None, "key": "k", "value": "{{issue.summary}}"},
    "jira.issue.set.security.level": {"securityLevel": {"type": "NAME", "value": "Staff only"}},
    "jira.board.issue.move": {"boardId": 1, "moveTarget": "BACKLOG"},
    "jira.sprint.create": {"boardId": 1, "sprintName": "Next", "sprintGoal": "Less"},
    "jira.version.create": {"versionName": "1.0", "project": {"type": "NAME", "value": "OPS"}},
    "jira.version.release": {"versionName": "1.0", "overrideReleaseDate": "SET_ON_EMPTY"},
    "jira.version.unrelease": {"versionName": "1.0"},
    "jira.auto.approve.action": {"approveAction": "Approve"},
    "jira.issue.assign": {"assignType": "SPECIFY_USER", "assignee": {"type": "COPY", "value": "reporter"}},
    "jira.issue.clone": {"operations": [{"fieldId": "summary", "type": "SET", "value": "Copy of {{issue.summary}}"}]},
    "jira.issue.transition": {"destinationStatus": {"type": "NAME", "value": "Done"}, "transitionMatch": ""},
    "jira.issue.edit": {"operations": [{"field": {"type": "ID", "value": "labels"}, "type": "ADD", "value": ["a"]}]},
    "jira.issue.comment": {"comment": "Hello", "publicComment": True},
    "jira.sd.create.request": {
        "serviceDesk": {"type": "ID", "value": "1"},
        "requestType": {"type": "ID", "value": "2"},
        "operations": [{"fieldId": "summary", "type": "SET", "value": "Help"}],
    },
    "jira.issue.create": CREATE["value"],
}


@pytest.mark.parametrize("kind", sorted(CONVERTERS))
def test_every_known_action_becomes_a_rule_without_mistakes(kind: str) -> None:
    plan = planned(action(kind, KNOWN[kind]))
    (decision,) = plan.decisions
    assert decision.verdict == "bridge", decision.why
    assert {step.verb for step in decision.steps} <= set(METHODS)
    assert rule("one", text_of(plan)).manifest.mode == "observe"


def test_a_taught_type_of_confluence_becomes_a_rule_for_its_page(tmp_path: Path) -> None:
    taught = tmp_path / "map.toml"
    taught.write_text(
        '[[component]]\ntype = "confluence.label"\nverb = "confluence.label"\n'
        'arguments = { page = "{{page.id}}", labels = "<labels>" }\n',
        encoding="utf-8",
    )
    raw = {
        "name": "Label it",
        "actor": {"type": "ACCOUNT_ID", "actor": "someone"},
        "trigger": {"component": "TRIGGER", "type": "confluence.page.published"},
        "components": [action("confluence.label", {"labels": ["seen", "{{page.author}}"]})],
        "ruleScopeARIs": ["ari:cloud:confluence:4e11:space/98305"],
    }
    (automation,) = read(json.dumps(raw).encode(), "one.json").automations
    plan = weigh(automation, Names(), converters(read_mapping(taught)))
    text = manifest(plan, plan.runs[0], Wanted("team@example.com", "ops-bot", ("ENG",)))
    made = rule("label_it", text).manifest
    assert (made.source, made.order.key) == ("confluence-automation", "page.id")
    assert made.scope.confluence == {"ENG": frozenset({"label"})}
    assert made.steps[0].arguments == {"page": "{{ page.id }}", "labels": ["seen", "{{ page.author }}"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[component]]\ntype = "x"\nverb = "jira.coment"\n', "did you mean 'jira.comment'?"),
        ('[[component]]\ntype = "x"\nverb = "jira.comment"\narguments = { issue = "1" }\n', "needs 'body'"),
        ("component = 7\n", "component"),
        ("[[", "is not TOML"),
    ],
)
def test_mistakes_of_a_mapping_file_are_told(tmp_path: Path, text: str, sentence: str) -> None:
    place = tmp_path / "map.toml"
    place.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=re.escape(sentence)):
        read_mapping(place)


def test_names_that_are_no_file_names_become_rules_with_names_of_their_own() -> None:
    names: list[str] = []
    for name in ("../../etc/passwd", "Tidy up!", "Tidy up?", "🚀", "7 days", "", "x" * 300, "CON", "Größe"):
        made = planned(comment(), name=name).automation
        names.append(name_of(made, names))
    plain = ["etc_passwd", "tidy_up", "tidy_up_2", "automation", "automation_7_days", "without_a_name"]
    assert names == [*plain, "x" * 48, "con", "groe"]


def test_the_summary_says_who_must_not_leave_and_what_to_ask_for() -> None:
    plans = [
        planned(comment(), name="Acts as somebody"),
        planned(
            comment(),
            name="Robot",
            actor={"type": "ACCOUNT_ID", "actor": "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077"},
        ),
        planned(MAIL, name="Mails"),
    ]
    sums = summed(plans, {"someone": Person("Mia Keller", active=False)})
    assert dict(sums.leaves) == {"entirely": 2, "not at all": 1}
    assert ("Acts as somebody", "acts as Mia Keller (inactive), and so has ended already") in sums.mortal
    assert "Robot" not in {name for name, _ in sums.mortal}
    (credential,) = sums.credentials
    assert "write:jira-work" in credential.scopes


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the example automations are not beside this checkout")
def test_every_example_is_planned_and_the_counts_are_these() -> None:
    plans = [
        weigh(each)
        for path in sorted(EXAMPLES.glob("*.json"))
        for each in read(path.read_bytes(), path.name).automations
    ]
    sums = summed(plans)
    assert (sums.automations, sums.performed, sums.staying, sums.rules) == (9, 20, 4, 15)
    assert dict(sums.leaves) == {"entirely": 6, "partly": 3}
