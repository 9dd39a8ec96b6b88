"""The verbs as data: what the vocabulary says, and how a mistake in it is reported."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bridge import catalogue
from bridge.catalogue.infer import _TARGETS as TARGETS
from bridge.catalogue.verbs import CONTAINERS, FOLDER, parse, vocabulary
from bridge.errors import SettingsInvalid

SPECS = Path(__file__).resolve().parents[2] / ".." / "shared" / "specs"
SPEC_OF = {
    "jira": "jira-platform-v3.json",
    "agile": "jira-software.json",
    "jsm": "jira-service-management.json",
    "confluence": "confluence-v2.json",
    "confluence-v1": "confluence-v1.json",
}
GOOD = """
[jira.comment]
title = "Comment on work item"
what = "Adds a comment."
operations = ["addComment"]
write = true
container = "issue"
body = ["body"]
in_doubt = "marker"
when_in_doubt = "It is looked up."
marker = "comment-property"
settle = 60
[confluence]
"""


def test_the_verbs_that_most_rules_are_granted_have_a_file_for_each_product() -> None:
    words = {
        "issues.toml": ("read", "search", "comment", "transition", "edit", "assign", "create"),
        "pages.toml": ("read", "create-page", "update-page", "comment", "label"),
    }
    for name, product in (("issues.toml", "jira"), ("pages.toml", "confluence")):
        file = tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))
        assert {*words[name]} <= {*file[product]}
        assert {*file} - {"apart"} == {product}


def test_a_verb_tells_what_policy_and_resolver_need() -> None:
    comment = catalogue.verb("jira.comment")
    assert (comment.name, comment.product, comment.full_name) == ("comment", "jira", "jira.comment")
    assert comment.title == "Comment on work item"
    assert comment.operations == ("addComment",)
    assert comment.write
    assert comment.container == "issue"
    assert (comment.in_doubt, comment.marker, comment.resolver) == ("marker", "comment-property", "comment")
    assert comment.settle == 60.0
    assert comment.body == ("body", "visibility")


def test_a_created_issue_is_waited_for_longer_because_search_lags() -> None:
    assert catalogue.verb("jira.create").settle == 120.0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("jira.commment", "did you mean jira.comment"),
        ("comment", "did you mean jira.comment"),
        ("zzz", "there are jira."),
    ],
)
def test_an_unknown_verb_is_answered_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(KeyError) as caught:
        catalogue.verb(name)
    assert f"no verb {name!r}; " in caught.value.args[0]
    assert hint in caught.value.args[0]


def test_every_operation_a_verb_names_exists_in_its_product() -> None:
    for verb in catalogue.verbs().values():
        others = [part.operation for part in verb.parts]
        for operation_id in (*verb.operations, *verb.reads, *verb.bulk, *others):
            assert catalogue.locate(verb.product, operation_id).site_product == verb.product


def test_a_verbs_operations_can_be_reached_with_some_oauth_scope() -> None:
    for verb in catalogue.verbs().values():
        for operation_id in (*verb.operations, *verb.reads):
            assert catalogue.locate(verb.product, operation_id).scope_sets, operation_id


def test_supporting_reads_change_nothing() -> None:
    for verb in catalogue.verbs().values():
        assert {catalogue.locate(verb.product, read).method for read in verb.reads} <= {"GET"}


def test_every_write_says_how_it_is_looked_up_and_no_read_does() -> None:
    for verb in catalogue.verbs().values():
        assert (verb.in_doubt != "none") is verb.write
        assert (verb.settle > 0) is verb.write
        assert (verb.resolver is not None) is verb.write
        assert verb.container in CONTAINERS


def test_containers_in_the_path_are_in_the_path_of_every_operation() -> None:
    for verb in catalogue.verbs().values():
        for operation_id in verb.operations:
            path = catalogue.locate(verb.product, operation_id).path
            named = TARGETS.get(verb.container, ())
            assert not named or any(f"{{{name}}}" in path for name in named), (verb.full_name, path)


def test_what_rides_apart_is_sent_to_a_verb_or_operation_that_exists() -> None:
    for entry in vocabulary().apart:
        if entry.use is not None:
            assert entry.use in catalogue.verbs() or catalogue.operation(entry.use)


def test_verbs_can_be_kept_in_sets_and_not_be_changed() -> None:
    assert len(set(catalogue.verbs().values())) == len(catalogue.verbs())
    with pytest.raises(TypeError):
        catalogue.verbs()["jira.delete"] = catalogue.verb("jira.read")  # type: ignore[index]


def _parameters(spec: dict[str, Any], operation: catalogue.Operation) -> set[str]:
    base = "/wiki/api/v2" if operation.product == "confluence" else ""
    item = spec["paths"][operation.path.removeprefix(base)]
    listed = [*item.get("parameters", []), *item[operation.method.lower()].get("parameters", [])]
    shared = spec.get("components", {}).get("parameters", {})
    found = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in listed]
    return {one["name"] for one in found if one["in"] == "query"}


def test_every_query_name_of_a_verb_is_one_atlassian_knows() -> None:
    if not SPECS.is_dir():
        pytest.skip("the OpenAPI files are not beside this checkout (../shared/specs)")
    specs = {product: json.loads((SPECS / name).read_text("utf-8")) for product, name in SPEC_OF.items()}
    for verb in catalogue.verbs().values():
        own = [catalogue.locate(verb.product, operation_id) for operation_id in verb.operations]
        known = set().union(*(_parameters(specs[one.product], one) for one in own))
        # An attachment's issue is told to egress in the query and not sent.
        for_egress = {"issue"} if verb.container == "issue-in-query" else set()
        assert set(verb.query) - for_egress <= known, verb.full_name
        for read in verb.supporting:
            operation = catalogue.locate(verb.product, read.operation)
            names = {*read.query, *(name for name, _ in read.given)}
            names -= {"issue"} if read.container == "issue-in-query" else set()
            assert names <= _parameters(specs[operation.product], operation), read.operation


# ---------------------------------------------------------------------------------------------------- mistakes


def test_a_small_file_is_read() -> None:
    (verb,) = parse({"verbs.toml": GOOD}).verbs.values()
    assert (verb.full_name, verb.resolver, verb.query) == ("jira.comment", None, ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("write = true\n", ""), "verbs.toml: jira.comment.write: Missing data"),
        (("write = true", 'write = "yes"'), "verbs.toml: jira.comment.write: Not a valid boolean"),
        (('container = "issue"', 'container = "isue"'), "verbs.toml: jira.comment.container: Must be one of: issue"),
        (('marker = "comment-property"\n', ""), "verbs.toml: jira.comment.marker: in_doubt is marker"),
        (('"marker"', '"none"'), "verbs.toml: jira.comment.in_doubt: a write needs in_doubt and settle"),
        (("settle = 60\n", ""), "verbs.toml: jira.comment.in_doubt: a write needs in_doubt and settle"),
        (("write = true", "write = false"), "verbs.toml: jira.comment.in_doubt: a read is never in doubt"),
        (("settle = 60", "settle = -1"), "verbs.toml: jira.comment.settle: Must be greater than"),
        (("settle = 60", "setle = 60"), "verbs.toml: jira.comment.setle: Unknown field"),
        (('["body"]', '["body", "a..b"]'), "verbs.toml: jira.comment.body.1: String does not match"),
        (('["addComment"]', "[]"), "verbs.toml: jira.comment.operations: a verb needs operations of its own or parts"),
        (('["addComment"]', '["addComent"]'), "verbs.toml: jira.comment: jira has no operation addComent"),
        (('["addComment"]', '["createPage"]'), "verbs.toml: jira.comment: jira has no operation createPage"),
        (('"Adds a comment."', '"adds a comment"'), "verbs.toml: jira.comment.what: must be a sentence"),
        (("[jira.comment]", "[jira.Comment]"), "verbs.toml: jira.Comment: String does not match"),
        (("[confluence]", "[confluence]\n[trello]"), "verbs.toml: trello: Unknown field"),
        (("[confluence]", "[confluence"), "verbs.toml: is not TOML: "),
        (
            ("[confluence]", '[jira.comment.parts.editIssue]\nbody = ["*"]\nalone = 1\nwhole = 2\n[confluence]'),
            "verbs.toml: jira.comment.parts.editIssue.whole: Unknown field",
        ),
        (
            ("[confluence]", "[jira.comment.reads.getIsue]\n[confluence]"),
            "verbs.toml: jira.comment: jira has no operation getIsue",
        ),
        (
            ("[confluence]", '[confluence]\n[[apart]]\nproduct = "jira"\noperations = ["editIssue"]\npaths = ["x"]'),
            "verbs.toml: apart.0.use: either use or why",
        ),
        (
            (
                "[confluence]",
                '[confluence]\n[[apart]]\nproduct = "jira"\noperations = ["editIsue"]\npaths = ["x"]\nuse = "jira.x"',
            ),
            "verbs.toml: apart.0.use: jira.x is neither a verb nor an operation",
        ),
    ],
)
def test_a_mistake_is_named_with_its_table_and_key(change: tuple[str, str], said: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse({"verbs.toml": GOOD.replace(*change)})
    assert any(line.startswith(said) for line in str(caught.value).splitlines()), str(caught.value)


def test_all_mistakes_are_named_not_only_the_first() -> None:
    text = GOOD.replace("settle = 60", "settle = -1").replace('"issue"', '"isue"').replace('"Adds a comment."', "1")
    with pytest.raises(SettingsInvalid) as caught:
        parse({"verbs.toml": text})
    assert {mistake.key for mistake in caught.value.mistakes} == {
        "jira.comment.settle",
        "jira.comment.container",
        "jira.comment.what",
    }


def test_two_verbs_cannot_have_one_operation_for_their_own() -> None:
    first, _, rest = GOOD.partition("[confluence]")
    with pytest.raises(SettingsInvalid, match=r"jira\.remark\.operations: addComment is jira\.comment's"):
        parse({"verbs.toml": first + first.replace("[jira.comment]", "[jira.remark]") + "[confluence]" + rest})
