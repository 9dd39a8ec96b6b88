"""What a rule uses and needs, told by reading it: exactly where that can be told, and with a reason where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from bridge import catalogue
from bridge.cli.demo import copy_examples
from bridge.rule.needs import Need, Reason, needs
from bridge.rule.registry import Rule, load
from bridge.rule.usage import Usage, usage

ROOT = Path(__file__).resolve().parents[2] / "rules"
HEAD = """
title   = "A rule for a test"
owner   = "platform-ops@example.com"
source  = "other"
account = "ops-bot"
"""
ALL = '[scope.jira]\nOPS = ["read", "search", "comment", "transition", "edit", "assign", "create"]\n'
Write = Callable[..., Rule]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a rule, with what else it imports by file name, and load it."""

    def made(toml: str, handler: str | None = None, **shared: str) -> Rule:
        (tmp_path / "rule.toml").write_text(HEAD + dedent(toml), encoding="utf-8")
        if handler is not None:
            (tmp_path / "rule.py").write_text(dedent(handler), encoding="utf-8")
        (tmp_path / "lib").mkdir(exist_ok=True)
        for name, text in shared.items():
            (tmp_path / "lib" / f"{name}.py").write_text(dedent(text), encoding="utf-8")
        return load(tmp_path, None).rules["rule"]

    return made


def names(read: Usage) -> list[str]:
    return [use.name for use in read.uses]


def sent(found: tuple[Need, ...], reason: Reason) -> set[tuple[str, str]]:
    """What is sent for a reason: verb and operation."""
    return {(need.verb, need.operation.operation_id) for need in found if need.reason is reason}


def test_steps_use_the_methods_that_they_name_on_the_lines_that_name_them(write: Write) -> None:
    rule = write(
        """
        [scope.jira]
        OPS = ["comment", "edit", "assign"]

        [[step]]
        verb  = "jira.edit"
        issue = "OPS-1"
        set   = { priority = "High" }

        [[step]]
        verb  = "jira.comment"
        issue = "OPS-1"
        body  = "Done."
        """
    )
    read = usage(rule)
    assert [(use.name, use.where, use.line) for use in read.uses] == [
        ("jira.comment", "rule.toml", 16),
        ("jira.edit", "rule.toml", 11),
    ]
    assert read.unsure == ()


def test_a_handler_uses_what_stands_behind_jira_and_confluence(write: Write) -> None:
    rule = write(
        ALL,
        """
        def handle(event, context):
            for hit in context.jira.search("project = OPS"):
                tell(context, hit)

        def tell(context, hit):
            context.jira.comment(hit["key"], "Hello.")

        def never(context):
            context.jira.assign("OPS-1", None)
        """,
    )
    read = usage(rule)
    assert names(read) == ["jira.comment", "jira.search"]
    assert read.uses[0].line == 7
    assert read.unsure == ()


def test_what_it_imports_from_lib_is_read_as_far_as_it_is_called(write: Write) -> None:
    rule = write(
        ALL,
        """
        from .lib.telling import tell

        def handle(event, context):
            tell(context, "OPS-1")
        """,
        telling="""
        from . import words

        def tell(context, issue):
            context.jira.comment(issue, words.greeting(context))

        def close(context, issue):
            context.jira.transition(issue, "Done")
        """,
        words="""
        def greeting(context):
            return context.jira.issue("OPS-2")["fields"]["summary"]
        """,
        unrelated="""
        def create(context):
            context.jira.create("OPS", "Task", "Never called")
        """,
    )
    read = usage(rule)
    assert [(use.name, use.where) for use in read.uses] == [
        ("jira.comment", "lib/telling.py"),
        ("jira.read", "lib/words.py"),
    ]
    assert read.unsure == ()


def test_a_plain_alias_is_followed(write: Write) -> None:
    rule = write(
        ALL,
        """
        def handle(event, context):
            jira = context.jira
            comment = jira.comment
            comment("OPS-1", "Hello.")
        """,
    )
    assert names(usage(rule)) == ["jira.comment"]
    assert usage(rule).unsure == ()


def test_a_product_kept_under_its_own_name_in_an_object_is_followed(write: Write) -> None:
    rule = write(
        ALL,
        """
        class Teller:
            def __init__(self, context):
                self.jira = context.jira
                self.greet(context)

            def greet(self, context):
                self.jira.comment("OPS-1", "Hello.")

        def handle(event, context):
            Teller(context)
        """,
    )
    assert usage(rule).unsure == ()
    assert names(usage(rule)) == ["jira.comment"]


def test_what_a_decorator_may_hand_on_is_read(write: Write) -> None:
    rule = write(
        ALL,
        """
        ALL = []

        @ALL.append
        def tell(context):
            context.jira.comment("OPS-1", "Hello.")

        def handle(event, context):
            for each in ALL:
                each(context)
        """,
    )
    assert "jira.comment" in names(usage(rule))


def test_what_is_nested_too_deeply_to_be_read_counts_as_unsure(write: Write) -> None:
    rule = write(ALL, f"def handle(event, context):\n    return {' + '.join(['1'] * 700)}\n")
    assert "is nested too deeply to be read" in usage(rule).unsure[0]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('getattr(context.jira, event["verb"])("OPS-1")', "getattr() finds by name what only running shows"),
        ('getattr(context, "jira").comment("OPS-1", "Hello.")', "getattr() finds by name"),
        ("say(context.jira)", "context.jira is handed on"),
        ("jira = context.jira\n    say(jira)", "jira is handed on"),
        ("import helpers\n    helpers.run(context)", "run is given the context"),
        ('eval("context.jira.edit")("OPS-1")', "eval() finds by name"),
        ("context.jira._caller.call(None)", "jira._caller can be anything"),
    ],
)  # fmt: skip
def test_where_reading_leaves_a_doubt_all_that_the_scope_grants_counts_and_the_place_is_told(
    write: Write, body: str, why: str
) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["comment", "edit"]\n',
        f"def handle(event, context):\n    {body}\n\ndef say(jira):\n    pass\n",
    )
    read = usage(rule)
    assert {"jira.comment", "jira.edit"} <= set(names(read))
    assert not {"jira.create", "jira.assign", "jira.read"} & set(names(read))
    assert any(place.startswith("rule.py:") and why in place for place in read.unsure)


def test_getattr_on_anything_else_is_no_doubt(write: Write) -> None:
    rule = write(ALL, 'def handle(event, context):\n    context.log(getattr(event, "rule"))\n')
    assert usage(rule) == Usage(())


def test_what_the_scope_does_not_grant_is_not_counted(write: Write) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["comment"]\n',
        'def handle(event, context):\n    context.jira.comment("OPS-1", "a")\n    context.jira.assign("OPS-1", None)\n',
    )
    assert names(usage(rule)) == ["jira.comment"]


def test_a_request_whose_path_is_written_out_is_that_operation(write: Write) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["addVote", "addWorklog"]\n',
        """
        def handle(event, context):
            context.jira.request("POST", f"/rest/api/3/issue/{event.issue}/votes")
        """,
    )
    assert names(usage(rule)) == ["addVote"]
    assert sent(needs(rule).needs, Reason.WHERE) == {("addVote", "getIssue")}


def test_a_request_whose_path_is_put_together_elsewhere_may_be_any_operation_that_the_scope_names(write: Write) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["addVote", "addWorklog", "comment"]\n',
        'def handle(event, context):\n    context.jira.request("POST", event["path"])\n',
    )
    assert [(use.name, use.sure) for use in usage(rule).uses] == [("addVote", False), ("addWorklog", False)]
    assert usage(rule).unsure == ()


def test_the_needs_of_a_comment_are_its_operation_and_what_egress_asks_for_its_sake(write: Write) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["comment"]\n',
        'def handle(event, context):\n    context.jira.comment("OPS-1", "Hello.")\n',
    )
    found = needs(rule).needs
    assert ("jira.comment", "addComment") in sent(found, Reason.DOES)
    assert sent(found, Reason.WHERE) == {("jira.comment", "getIssue")}
    assert ("jira.comment", "getCommentsByIds") in sent(found, Reason.DOUBT)
    assert sent(found, Reason.WHO) == {("jira.comment", "getCurrentUser")}
    assert not any(need.acting for need in found)


def test_a_rule_that_only_reads_looks_nothing_up_and_need_not_know_its_account(write: Write) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["read", "comment"]\n', 'def handle(event, context):\n    context.jira.issue("OPS-1")\n'
    )
    found = needs(rule).needs
    assert {need.operation.operation_id for need in found} == {"getIssue"}


def test_in_observe_mode_reads_are_needed_now_and_the_rest_once_it_acts(write: Write) -> None:
    rule = write(
        'mode = "observe"\n[scope.jira]\nOPS = ["transition"]\n',
        'def handle(event, context):\n    context.jira.transition("OPS-1", "Done")\n',
    )
    found = needs(rule).needs
    assert {need.operation.operation_id for need in found if not need.acting} == {"getIssue", "getTransitions"}
    assert {need.operation.operation_id for need in found if need.acting} == {
        "doTransition",
        "getChangeLogs",
        "getCurrentUser",
    }


def test_limits_on_transitions_are_compared_by_reading_what_is_offered(write: Write) -> None:
    toml = '[scope.jira]\nOPS = ["doTransition", "transition"]\n[scope.limits]\ntransitions = ["Done"]\n'
    handler = """
    def handle(event, context):
        context.jira.request("POST", "/rest/api/3/issue/OPS-1/transitions", body={"transition": {"id": "3"}})
    """
    rule = write(toml.replace('"doTransition", ', ""), handler)
    assert sent(needs(rule).needs, Reason.LIMIT) == {("jira.transition", "getTransitions")}


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ('"OPS", "Task", "A summary"', False),
        ('"OPS", "Task", "A summary", parent="OPS-1"', True),
        ('"OPS", "Task", "A summary", fields={"labels": ["a"]}', False),
        ('"OPS", "Task", "A summary", fields={"parent": "OPS-1"}', True),
        ('"OPS", "Task", "A summary", fields=event["fields"]', True),
        ('"OPS", "Task", "A summary", **event["more"]', True),
    ],
)
def test_the_place_of_a_parent_is_asked_only_where_a_call_may_name_one(
    write: Write, arguments: str, asked: bool
) -> None:
    rule = write(
        '[scope.jira]\nOPS = ["create"]\n', f"def handle(event, context):\n    context.jira.create({arguments})\n"
    )
    places = {operation for _, operation in sent(needs(rule).needs, Reason.WHERE)}
    assert places == ({"getProject", "getIssue"} if asked else {"getProject"})


def test_confluence_is_asked_who_the_account_is_only_where_there_is_no_credential_for_jira(write: Write) -> None:
    rule = write(
        '[scope.confluence]\nENG = ["label"]\n',
        'def handle(event, context):\n    context.confluence.label("1", "seen")\n',
    )

    def asked(*products: str) -> str:
        return next(need.product for need in needs(rule, products).needs if need.reason is Reason.WHO)

    assert asked() == asked("confluence") == "confluence"
    assert asked("jira", "confluence") == "jira"


# Written by hand from Atlassian's pages for the operations and from what egress asks; the code must say the same.
BY_HAND = {
    "change_approved": {
        "jira.read": {"getIssue"},
        "jira.comment": {"addComment", "getIssue", "getComments", "getCommentsByIds", "getCurrentUser"},
    },
    "incident_follow_up": {
        "jira.create": {"getFields", "createIssue", "getProject", "searchAndReconsileIssuesUsingJqlPost"},
        "jira.comment": {"addComment", "getIssue", "getComments", "getCommentsByIds", "getCurrentUser"},
        "jira.transition": {"getIssue", "getTransitions", "doTransition", "getChangeLogs"},
    },
    "page_published": {
        "confluence.read": {"getPageById", "getSpaceById"},
        "confluence.label": {"addLabelsToContent", "getPageById", "getSpaceById"},
        "confluence.comment": {
            "createFooterComment",
            "getPageById",
            "getSpaceById",
            "getPageFooterComments",
            "getFooterCommentVersions",
            "getCurrentUser",
        },
    },
    "stale_page_review": {
        "confluence.label": {"addLabelsToContent", "getPageById", "getSpaceById"},
        "confluence.comment": {
            "createFooterComment",
            "getPageById",
            "getSpaceById",
            "getPageFooterComments",
            "getFooterCommentVersions",
            "getCurrentUser",
        },
    },
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_example_rules_need_what_was_found_by_hand(name: str, tmp_path: Path) -> None:
    copy_examples(ROOT, tmp_path)
    found = needs(load(tmp_path, None).rules[name])
    by_verb: dict[str, set[str]] = {}
    for need in found.needs:
        by_verb.setdefault(need.verb, set()).add(need.operation.operation_id)
    assert by_verb == BY_HAND[name]
    assert found.unsure == ()
    assert all(need.sure for need in found.needs)


def test_no_method_does_an_operation_that_none_of_its_verbs_grants(write: Write) -> None:
    """A handler that may do everything needs every operation of every method."""
    from bridge.rule.methods import METHODS

    verbs: dict[str, list[str]] = {"jira": [], "confluence": []}
    site: dict[str, list[str]] = {"jira": [], "confluence": []}
    for verb in catalogue.verbs().values():
        (site if verb.container == "site" else verbs)[verb.product].append(verb.name)
    toml = "".join(
        f"[scope.{product}]\nABC = {verbs[product]}\n" + (f'"@site" = {site[product]}\n' if site[product] else "")
        for product in ("jira", "confluence")
    )
    rule = write(toml, 'def handle(event, context):\n    getattr(context, event["product"])\n')
    found = needs(rule)
    operations = {need.operation for need in found.needs}
    for method in METHODS.values():
        assert {catalogue.locate(method.product, name) for name in method.operations} <= operations, method.name
