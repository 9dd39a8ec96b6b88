"""Edits, creations and transitions as automations have them: fields by name, cleared, copied; statuses by id."""

from typing import Any

import pytest

from bridge.errors import ActionFailed
from bridge.rule.jira_fields import by_id
from bridge.rule.request import Answer, Request

EDIT = {"OPS": ["edit", "read", "assign"]}


def _fields(verbs: Any, key: str = "OPS-1") -> Any:
    return verbs.issue(key).fields


def test_fields_are_called_by_the_names_that_people_see(verbs: Any) -> None:
    given: dict[str, Any] = {"Story points": "8", "Risk": "High", "Impact": "Mails wait", "Due date": "2026-12-24"}
    given |= {"Approver": verbs.site.account("Mia Keller").id, "Tags": "rack7", "Fix versions": ["2026.12"]}
    report = verbs.do(f"context.jira.edit('OPS-1', set={given!r}, add={{'Labels': 'seen'}})", jira=EDIT)
    assert report.state == "done", report.reason
    fields = _fields(verbs)
    assert (fields["customfield_10012"], fields["customfield_10011"], fields["duedate"]) == (8, "10302", "2026-12-24")
    assert fields["customfield_10013"]["type"] == "doc"
    assert fields["customfield_10014"] == verbs.site.account("Mia Keller").id
    assert fields["customfield_10015"] == ["rack7"]
    assert fields["fixVersions"] == [verbs.site.projects["OPS"].versions[1].id]
    assert fields["labels"][-1] == "seen"
    assert report.lines == (
        "step:read #1 jira.edit /rest/api/3/field read by ops-bot status=200",
        "step:intent #2 jira.edit OPS-1 by ops-bot",
        "step:outcome #2 jira.edit OPS-1 done by ops-bot status=204",
    )


def test_a_field_called_by_its_name_is_the_field_that_the_scope_lists(verbs: Any) -> None:
    more = '[scope.limits]\nfields = ["customfield_10012"]\n'
    assert verbs.do("context.jira.edit('OPS-1', set={'Story points': 3})", jira=EDIT, more=more).state == "done"
    report = verbs.do("context.jira.edit('OPS-1', set={'Risk': 'Low'})", jira=EDIT, more=more)
    assert "does not list customfield_10011" in str(report.reason)


def test_a_name_that_no_field_has_is_told(verbs: Any) -> None:
    report = verbs.do("context.jira.edit('OPS-1', set={'Storypoints': 3})", jira=EDIT)
    assert "there is no field called 'Storypoints'" in str(report.reason)
    assert verbs.sent("editIssue") == []


class _Site:
    """Answers every question with the same fields."""

    delivery = "0"

    def __init__(self, *fields: dict[str, Any]) -> None:
        self._fields = fields

    def call(self, request: Request) -> Answer:
        assert request.path == "/rest/api/3/field"
        return Answer(200, [*self._fields])


def test_a_name_that_several_fields_have_is_answered_with_their_ids() -> None:
    site: Any = _Site({"id": "customfield_2", "name": "Team"}, {"id": "customfield_1", "name": "team"})
    with pytest.raises(ActionFailed, match="name one by its id: customfield_1, customfield_2"):
        by_id(site, "edit", "OPS-1", [{"Team": "x"}])


@pytest.mark.parametrize(
    ("schema", "given", "written"),
    [
        ({"type": "array", "items": "option"}, ["a", "b"], [{"value": "a"}, {"value": "b"}]),
        ({"type": "array", "items": "user"}, "712020:x", [{"accountId": "712020:x"}]),
        ({"type": "array", "items": "string"}, "a", ["a"]),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "many", "many"),
        ({"type": "group"}, "staff", {"name": "staff"}),
        ({"type": "option"}, {"id": "1"}, {"id": "1"}),
        ({"type": "option"}, None, None),
        ({"type": "datetime"}, "2026-11-22T09:00:00.000+0000", "2026-11-22T09:00:00.000+0000"),
    ],
)
def test_a_plain_text_becomes_what_the_fields_kind_wants(schema: Any, given: Any, written: Any) -> None:
    site: Any = _Site({"id": "customfield_1", "name": "Of our own", "schema": schema})
    assert by_id(site, "edit", "OPS-1", [{"Of our own": given}]) == [{"customfield_1": written}]


def test_nobody_is_asked_for_fields_that_are_called_by_their_ids(verbs: Any) -> None:
    call = "context.jira.edit('OPS-1', set={'customfield_10012': 3, 'priority': 'Low', 'fixVersions': ['2026.11']})"
    assert verbs.do(call, jira=EDIT).state == "done"
    assert verbs.sent("getFields") == []


def test_fields_are_cleared(verbs: Any) -> None:
    _fields(verbs)["duedate"] = "2026-12-24"
    call = "context.jira.edit('OPS-1', clear=['labels', 'components', 'Due date', 'assignee'])"
    assert verbs.do(call, jira=EDIT).state == "done"
    assert [_fields(verbs)[name] for name in ("labels", "components", "duedate", "assignee")] == [[], [], None, None]
    both = "context.jira.edit('OPS-1', set={'labels': ['a']}, clear='labels')"
    assert "labels stands in set and in clear" in str(verbs.do(both, jira=EDIT).reason)


def test_a_step_can_clear_a_field_too(verbs: Any) -> None:
    _fields(verbs)["duedate"] = "2026-12-24"
    step = '[[step]]\nverb = "jira.edit"\nissue = "OPS-1"\nclear = "duedate"\nset = { assignee = "{{ none }}" }\n'
    verbs.write(jira=EDIT, steps=step)
    report = verbs.send()
    assert report.state == "done", report.reason
    assert (_fields(verbs)["duedate"], _fields(verbs)["assignee"]) == (None, None)


@pytest.mark.parametrize(
    "field", ["priority", "components", "labels", "assignee", "description", "customfield_10011", "customfield_10014"]
)
def test_a_value_of_another_work_item_is_set_as_it_was_read(verbs: Any, field: str) -> None:
    _fields(verbs)["customfield_10011"] = "10301"
    _fields(verbs)["customfield_10014"] = verbs.site.account("Mia Keller").id
    steps = f"""
    [[step]]
    id = "first"
    verb = "jira.read"
    issue = "OPS-1"
    [[step]]
    verb = "jira.edit"
    issue = "OPS-3"
    set = {{ {field} = "{{{{ first.fields.{field} }}}}" }}
    """
    verbs.write(jira=EDIT, steps=steps)
    report = verbs.send()
    assert report.state == "done", report.reason
    assert _fields(verbs, "OPS-3")[field] == _fields(verbs)[field]
    [sent] = verbs.sent("editIssue")
    assert "self" not in str(sent.body["fields"])


def test_mails_can_be_kept_back(verbs: Any) -> None:
    assert verbs.do("context.jira.edit('OPS-1', set={'priority': 'Low'}, notify=False)", jira=EDIT).state == "done"
    assert verbs.sent("editIssue")[0].query == {"notifyUsers": ["false"]}


def test_a_work_item_is_created_with_fields_by_name_and_a_copied_parent(verbs: Any) -> None:
    steps = """
    [[step]]
    id = "first"
    verb = "jira.read"
    issue = "OPS-1"
    [[step]]
    verb = "jira.create"
    project = "{{ first.fields.project.key }}"
    issue_type = "{{ first.fields.issuetype.name }}"
    summary = "Follow up on {{ first.fields.summary }}"
    fields = { "Story points" = 3, priority = "{{ first.fields.priority }}", reporter = "{{ first.fields.reporter }}" }
    """
    verbs.write(jira={"OPS": ["read", "create"]}, steps=steps)
    report = verbs.send()
    assert report.state == "done", report.reason
    made = verbs.issue("OPS-100")
    assert (made.fields["customfield_10012"], made.fields["priority"], made.fields["issuetype"]) == (3, "2", "10102")
    assert made.fields["reporter"] == _fields(verbs)["reporter"]


@pytest.mark.parametrize("to", ["In Progress", "10001", "Start work"])
def test_a_status_is_named_as_people_or_as_exported_automations_do(verbs: Any, to: str) -> None:
    grants = {"OPS": ["transition"]}
    assert verbs.do(f"context.jira.transition('OPS-2', {to!r})", jira=grants).result == {"already": False}
    assert verbs.issue("OPS-2").status == "In Progress"
    again = verbs.do("context.jira.transition('OPS-2', '10001')", jira=grants)
    assert again.result == {"already": True}


def test_a_transition_sets_a_resolution_and_with_the_verb_edit_other_fields(verbs: Any) -> None:
    grants = {"OPS": ["transition"]}
    call = "context.jira.transition('OPS-1', 'Done', resolution=\"Won't Do\"{more})"
    refused = verbs.do(call.format(more=", fields={'Fix versions': ['2026.12']}"), jira={"OPS": ["transition", "read"]})
    assert refused.state == "dead"
    assert verbs.issue("OPS-1").status == "In Progress"
    report = verbs.do(call.format(more=""), jira=grants)
    assert report.state == "done", report.reason
    assert _fields(verbs)["resolution"] == "10001"
    assert verbs.do("context.jira.transition('OPS-1', 'Reopen')", jira=grants).state == "done"
    with_fields = call.format(more=", fields={'Fix versions': ['2026.12']}")
    assert verbs.do(with_fields, jira={"OPS": ["transition", "edit"]}).state == "done"
    assert _fields(verbs)["fixVersions"] == [verbs.site.projects["OPS"].versions[1].id]


def test_history_and_transitions_are_read(verbs: Any) -> None:
    grants = {"OPS": ["read"]}
    report = verbs.do("[c['items'][0]['toString'] for c in context.jira.changelog('OPS-1')]", jira=grants)
    assert report.result == ["In Progress"]
    assert report.lines == ("step:read #1 jira.read OPS-1 read by ops-bot status=200",)
    report = verbs.do("[t['name'] for t in context.jira.transitions('OPS-1')]", jira=grants)
    assert report.result == ["Stop work", "Resolve"]
    for call in ("changelog('CHG-1')", "transitions('CHG-1')", "watchers('CHG-1')", "worklogs('CHG-1')"):
        report = verbs.do(f"list(context.jira.{call})", jira=grants)
        assert "the scope does not grant read in CHG" in str(report.reason)
