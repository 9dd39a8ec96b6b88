"""Every action on work items as a step of a TOML file: its own example runs against the demo's site, and is logged."""

import inspect
import json
from typing import Any

import pytest

from bridge import catalogue
from bridge.errors import RuleInvalid
from bridge.rule.jira_clone import Clones
from bridge.rule.jira_comments import Comments
from bridge.rule.jira_history import History
from bridge.rule.jira_issues import Issues
from bridge.rule.jira_links import Links
from bridge.rule.jira_people import People
from bridge.rule.jira_properties import Properties
from bridge.rule.jira_work import Work
from bridge.rule.method import methods_of
from bridge.rule.methods import METHODS

FAMILIES = (Issues, Comments, History, Clones, Links, People, Work, Properties)
NAMES = [name for family in FAMILIES for name in methods_of(family)]


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each) for each in value]
    return value.replace("<project>", "OPS") if isinstance(value, str) else value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def _step(name: str) -> str:
    lines = ["[[step]]", f"verb = {name!r}"]
    return "\n".join([*lines, *(f"{key} = {_toml(_filled(each))}" for key, each in METHODS[name].example.items())])


def _grants(name: str) -> dict[str, list[str]]:
    needed = [catalogue.verb(verb) for verb in METHODS[name].verbs]
    of_the_site = [verb.name for verb in needed if verb.container == "site"]
    return {"OPS": [verb.name for verb in needed if verb.container != "site"], "@site": of_the_site}


@pytest.mark.parametrize("name", NAMES)
def test_its_example_runs_with_exactly_the_verbs_and_operations_it_names(verbs: Any, name: str) -> None:
    issue, method = verbs.issue("OPS-1"), METHODS[name]
    issue.properties["seen"] = verbs.site.projects["OPS"].properties["seen"] = 1
    payload = {"issue": {"key": "OPS-1"}, "initiator": verbs.site.account("Mia Keller").id}
    verbs.write(jira=_grants(name), steps=_step(name))
    report = verbs.send(payload)
    assert report.state == "done", report.reason
    asked = {entry["operation"] for entry in report.entries if entry.get("operation")}
    assert asked <= set(method.operations)
    written = [entry for entry in report.entries if entry["kind"] == "step:outcome"]
    assert all(entry["outcome"] == "done" and entry["verb"] in method.verbs for entry in written)


@pytest.mark.parametrize("name", NAMES)
def test_without_any_one_of_its_verbs_a_reviewer_is_told_before_it_runs(verbs: Any, name: str) -> None:
    for verb in METHODS[name].verbs:
        word = verb.partition(".")[2]
        grants = {key: [each for each in words if each != word] for key, words in _grants(name).items()}
        verbs.write(jira=grants, steps=_step(name))
        with pytest.raises(RuleInvalid, match=f"grants '{word}' nowhere"):
            verbs.send({"issue": {"key": "OPS-1"}})


@pytest.mark.parametrize("name", NAMES)
def test_in_observe_mode_its_example_writes_nothing_and_goes_on(verbs: Any, name: str) -> None:
    payload = {"issue": {"key": "OPS-1"}, "initiator": verbs.site.account("Mia Keller").id}
    verbs.write(jira=_grants(name), steps=_step(name), more='mode = "observe"\n')
    report = verbs.send(payload)
    assert report.state == "done", report.reason
    assert {entry["kind"] for entry in report.entries} & {"step:intent", "step:outcome"} == set()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_of_a_family_says_what_it_does(family: type) -> None:
    said = {method.attribute for method in methods_of(family).values()}
    public = {name for name, _ in inspect.getmembers(family, inspect.isfunction) if not name.startswith("_")}
    assert public == said
