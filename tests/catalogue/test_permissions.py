"""The permissions that a ticket asks for, held against what Atlassian writes about each operation."""

import json
import re
from pathlib import Path

import pytest

from bridge import catalogue
from bridge.catalogue import permissions as table
from bridge.catalogue.permissions import BROWSE, VIEW, permissions

SPECS = Path(__file__).resolve().parents[2] / ".." / "shared" / "specs"
# Not in the text of the operation: it belongs to whom an issue is assigned to, the account itself perhaps.
BESIDE_THE_TEXT = {"Assignable user"}


def test_reading_takes_sight_of_the_project_or_space() -> None:
    assert permissions(catalogue.locate("jira", "getIssue")) == (BROWSE,)
    assert permissions(catalogue.locate("confluence", "getPageById")) == (VIEW,)


def test_writing_takes_more() -> None:
    assert permissions(catalogue.locate("jira", "addComment")) == (BROWSE, "Add comments")
    assert permissions(catalogue.locate("confluence", "createPage")) == (VIEW, "Add pages")


def test_what_is_not_known_is_not_made_up() -> None:
    assert permissions(catalogue.locate("jira", "createIssueType")) is None


def test_every_operation_of_the_table_exists() -> None:
    assert not [name for name in table.NAMED if not catalogue.operation(name)]


def test_every_write_of_a_verb_is_in_the_table() -> None:
    writes = {
        operation.operation_id
        for verb in catalogue.verbs().values()
        if verb.write
        for operation in (catalogue.locate(verb.product, name) for name in verb.operations)
        if permissions(operation) is None
    }
    assert not writes


@pytest.mark.skipif(not SPECS.is_dir(), reason="the OpenAPI files are not beside this checkout (../shared/specs)")
def test_the_permissions_in_jira_are_those_that_atlassian_names() -> None:
    spec = json.loads((SPECS / "jira-platform-v3.json").read_text(encoding="utf-8"))
    told = {
        found["operationId"]: found["description"]
        for item in spec["paths"].values()
        for found in item.values()
        if isinstance(found, dict) and "operationId" in found
    }
    for operation in catalogue.operations():
        if operation.product == "jira" and operation.operation_id in table.NAMED:
            text = re.sub(r"\s+", " ", told[operation.operation_id]).casefold()
            for name in set(permissions(operation) or ()) - BESIDE_THE_TEXT - {BROWSE}:
                assert name.casefold() in text, (operation.operation_id, name)
