"""A rule's TOML file: what it says, what it leaves out, and every mistake at once with its line."""

import pytest

from bridge.errors import Mistake, RuleInvalid
from bridge.rule import lines, manifest

WHOLE = """\
title   = "Tell the incidents behind a change that it was approved"
owner   = "platform-ops@example.com"
source  = "jira-automation"
account = "ops-bot"
mode    = "observe"

[accept]
require         = ["change", "approver", "incidents"]
idempotency_key = ["change", "approvedAt"]
max_age         = { field = "sentAt", seconds = 600 }
initiator       = "initiator"
token_versions  = [3, 4]

[order]
key     = "change"
on_dead = "hold"

[scope.jira]
OPS     = ["read", "comment"]
"@site" = ["find-user"]
[scope.confluence]
ENG = ["label"]
"~7120abc" = ["read"]
[scope.limits]
targets = "event"
fields  = ["priority", "labels"]
transitions = ["Done"]
actions = 5

[retry]
failures      = 3
give_up_after = "36h"
[run]
timeout   = "90s"
isolation = "process"
pool      = "slow"
[expect]
every = "7d"

[[step]]
id    = "told"
verb  = "jira.comment"
each  = "{{ incidents }}"
issue = "{{ item }}"
body  = "**{{ change }}** was approved by {{ approver }}."
when  = "{{ approver != 'nobody' }}"
on_failure = "continue"
"""
LEAST = """\
title = "x"
owner = "x"
source = "other"
account = "x"
"""


def mistakes(text: str) -> list[Mistake]:
    with pytest.raises(RuleInvalid) as caught:
        manifest.parse(text, "example")
    return list(caught.value.mistakes)


def said(text: str) -> list[str]:
    return [str(mistake) for mistake in mistakes(text)]


def test_every_key_of_a_manifest_is_read() -> None:
    read = manifest.parse(WHOLE, "change_approved")
    assert (read.title, read.owner) == (
        "Tell the incidents behind a change that it was approved",
        "platform-ops@example.com",
    )
    assert (read.source, read.account, read.mode) == ("jira-automation", "ops-bot", "observe")
    assert read.accept == manifest.Accept(
        require=("change", "approver", "incidents"),
        idempotency_key=("change", "approvedAt"),
        max_age=manifest.MaxAge("sentAt", 600),
        initiator="initiator",
        token_versions=(3, 4),
    )
    assert read.order == manifest.Order("change", "hold")
    assert read.scope.jira == {"OPS": frozenset({"read", "comment"}), "@site": frozenset({"find-user"})}
    assert read.scope.confluence == {"ENG": frozenset({"label"}), "~7120abc": frozenset({"read"})}
    assert read.scope.limits.targets == "event"
    assert read.scope.limits.fields == frozenset({"priority", "labels"})
    assert read.scope.limits.transitions == frozenset({"Done"})
    assert read.scope.limits.actions == 5
    assert read.retry == manifest.Retry(3, 36 * 3600)
    assert read.run == manifest.Run(90, "process", "slow")
    assert read.expect == manifest.Expect(7 * 86400)
    assert read.steps == (
        manifest.Step(
            verb="jira.comment",
            id="told",
            each="{{ incidents }}",
            when="{{ approver != 'nobody' }}",
            on_failure="continue",
            arguments={"issue": "{{ item }}", "body": "**{{ change }}** was approved by {{ approver }}."},
        ),
    )


def test_what_a_manifest_leaves_out_has_the_documented_defaults() -> None:
    read = manifest.parse(LEAST, "example")
    assert read.mode == "act"
    assert read.accept == manifest.Accept((), (), None, None, (1,))
    assert read.order == manifest.Order(None, "continue")
    assert (read.scope.jira, read.scope.confluence) == ({}, {})
    assert (read.scope.limits.targets, read.scope.limits.fields, read.scope.limits.actions) == ("any", None, 20)
    assert (read.retry.failures, read.retry.give_up_after) == (8, 24 * 3600)
    assert (read.run.timeout, read.run.isolation, read.run.pool) == (120, "thread", None)
    assert read.expect.every is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mode = 1", "example.toml:5: mode: must be text, in quotes"),
        ('ownr = "x"', "example.toml:5: ownr: unknown key; did you mean 'owner'?"),
        ('mode = "observ"', "mode: must be one of act, observe; did you mean 'observe'?"),
        ("[acept]\n", "example.toml:5: acept: unknown key; did you mean 'accept'?"),
        ("accept = 1", "example.toml:5: accept: must be a table"),
        ("[accept]\nrequire = 'a'", "example.toml:6: accept.require: must be a list"),
        ("[accept]\nrequire = [\n'a',\n3]", "example.toml:6: accept.require.2: must be text"),
        ("[accept]\nrequire = ['a', 'a']", "accept.require.2: 'a' stands twice"),
        ("[accept]\nrequire = ['a..b']", "accept.require.1: must be a field, or fields joined by dots"),
        ("[accept]\nidempotency_key = []", "accept.idempotency_key: must not be an empty list"),
        ("[accept]\nidempotency_key = ['']", "accept.idempotency_key.1: must not be empty"),
        ("[accept]\nmax_age = '10m'", "accept.max_age: must be a table"),
        ("[accept]\nmax_age = { field = 'a' }", "example.toml:6: accept.max_age.seconds: is missing"),
        (
            "[accept]\nmax_age = { field = 'a', seconds = 1, secnds = 2 }",
            "accept.max_age.secnds: unknown key; did you mean 'seconds'?",
        ),
        ("[accept]\ntoken_versions = [0]", "accept.token_versions.1: must be between 1 and"),
        ("[accept]\ntoken_versions = [true]", "accept.token_versions.1: must be a whole number"),
        ("[order]\non_dead = 'hold'", "example.toml:5: order.key: is missing"),
        ("[order]\nkey = 'a'\non_dead = 'stop'", "order.on_dead: must be one of continue, hold"),
        ("[scope]\njira = 1", "scope.jira: must be a table with lines such as KEY"),
        ("[scope.jra]\nOPS = []", "example.toml:5: scope.jra: unknown key; did you mean 'jira'?"),
        ("[scope.jira]\nops = ['read']", "example.toml:6: scope.jira.ops: 'ops' is not the key of a project"),
        ("[scope.jira]\nOPS = 'read'", "scope.jira.OPS: must be a list"),
        ("[scope.jira]\nOPS = ['read', 3]", "scope.jira.OPS.2: must be text"),
        ("[scope.confluence]\n'E N' = ['read']", "'E N' is not the key of a space"),
        ("[scope.limits]\ntargets = 'all'", "scope.limits.targets: must be one of any, event"),
        ("[scope.limits]\nfield = ['a']", "scope.limits.field: unknown key; did you mean 'fields'?"),
        ("[scope.limits]\nactions = -1", "scope.limits.actions: must be between 0 and"),
        ("[retry]\nfailures = 1.5", "retry.failures: must be a whole number"),
        ("[retry]\ngive_up_after = 60", 'retry.give_up_after: must be a time such as "120s"'),
        ("[retry]\ngive_up_after = '31d'", 'retry.give_up_after: must be at most "30d"'),
        ("[run]\ntimeout = '0s'", "run.timeout: must be a time"),
        ("[run]\ntimeout = '2 m'", "run.timeout: must be a time"),
        ("[run]\nisolation = 'fork'", "run.isolation: must be one of thread, process"),
        ("[run]\npool = 'Slow Ones'", "run.pool: must be a name of small letters"),
        ("[expect]", "example.toml:5: expect.every: is missing"),
        ("step = 1", "example.toml:5: step: must be written as [[step]]"),
    ],
)
def test_a_mistake_is_told_with_its_key_its_line_and_what_to_write(text: str, expected: str) -> None:
    assert [line for line in said(LEAST + text) if expected in line], said(LEAST + text)


@pytest.mark.parametrize("key", ["title", "owner", "source", "account"])
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    text = "".join(line + "\n" for line in LEAST.splitlines() if not line.startswith(key))
    assert said(text) == [f"example.toml: {key}: is missing"]


COMMENT = '[scope.jira]\nOPS = ["comment"]\n[[step]]\nverb = "jira.comment"\nissue = "OPS-1"\nbody = "x"\n'
SECOND = '[[step]]\nverb = "jira.comment"\nissue = "OPS-1"\nbody = "y"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[[step]]\nverb = 'jira.coment'",
            "example.toml:6: step.1.verb: there is no verb 'jira.coment' for steps; did",
        ),
        ("[[step]]\nvreb = 'jira.comment'", "step.1.verb: is missing"),
        ("[[step]]\nverb = 'jira.comment'", "step.1.verb: [scope.jira] grants 'comment' nowhere"),
        (COMMENT + "bdy = 'x'", "example.toml:11: step.1.bdy: jira.comment has no 'bdy'; did you mean 'body'?"),
        (COMMENT + "on_failure = 'ignore'", "step.1.on_failure: must be one of stop, continue"),
        (COMMENT.replace("body", "text"), "step.1.body: is missing: jira.comment needs it"),
        (COMMENT.replace('"x"', "3"), "example.toml:10: step.1.body: must be text, in quotes"),
        (COMMENT.replace('"x"', '"{{ a"'), "step.1.body: cannot be read"),
        (
            COMMENT.replace('"x"', '"""\nfirst\n{{ f() }}"""'),
            "example.toml:10: step.1.body: functions cannot be called",
        ),
        (COMMENT.replace('"x"', '"{{ a | upcase }}"'), "there is no filter 'upcase'"),
        (COMMENT.replace('"x"', '"{{ a | uper }}"'), "there is no filter 'uper'; did you mean 'upper'?"),
        (COMMENT.replace('"x"', '"{% if a %}b{% endif %}"'), "{% … %} is not available"),
        (COMMENT.replace('"x"', '"{{ a.__class__ }}"'), "names that begin with _"),
        (COMMENT.replace('"x"', '"{{ }}"'), "holds no expression"),
        (COMMENT.replace('"x"', '"{{ ' + "a" * 501 + ' }}"'), "longer than 500 characters"),
        (COMMENT.replace('"x"', '"{{ item }}"'), "step.1: uses 'item', which is known only in a step with each"),
        (COMMENT + "when = 'yes'", "example.toml:11: step.1.when: must be one expression and nothing else"),
        (COMMENT + "each = 'a {{ b }}'", "step.1.each: must be one expression and nothing else"),
        (COMMENT + "id = 'event'", "step.1.id: 'event' already means something"),
        (COMMENT + "id = 'Told'", "step.1.id: must be a name of small letters"),
        (COMMENT.replace('"OPS-1"', "2026-11-03"), "step.1.issue: must be text, a number"),
        (
            COMMENT.replace('"x"', '"{{ later }}"') + SECOND + "id = 'later'",
            "example.toml:7: step.1: uses 'later', which is known only after step 2",
        ),
        (COMMENT + "id = 'a'\n" + SECOND + "id = 'a'", "step.2.id: step 1 is called 'a' too"),
        (
            "[scope.jira]\nOPS = ['edit']\n[[step]]\nverb = 'jira.edit'\nissue = 'OPS-1'",
            "needs one of set, add, remove",
        ),
    ],
)
def test_a_mistake_in_a_step_is_told_before_it_runs(text: str, expected: str) -> None:
    assert [line for line in said(LEAST + text) if expected in line], said(LEAST + text)


def test_all_mistakes_of_a_file_come_at_once_in_the_order_of_its_lines() -> None:
    found = said(
        'titel = "x"\nowner = 3\nsource = "other"\naccount = "x"\n[run]\ntimeout = "soon"\n'
        '[[step]]\nverb = "jira.fly"\n'
    )
    assert [line.partition(": ")[0] for line in found] == [
        "example.toml",
        "example.toml:1",
        "example.toml:2",
        "example.toml:6",
        "example.toml:8",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('title = "x"\nowner = x', 2),
        ('title = "x"\ntitle = "y"', 2),
        ('title = "x"\nowner = "', 2),
        ("[scope\n", 1),
        ('a = """\nb\nc\n', 3),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(text: str, line: int) -> None:
    [mistake] = mistakes(text)
    assert mistake.text.startswith("is not TOML: ")
    assert abs((mistake.line or 0) - line) <= 1


def test_a_file_that_is_nested_beyond_reason_is_a_mistake_and_no_crash() -> None:
    [mistake] = mistakes("a = " + "[" * 5000 + "]" * 5000)
    assert mistake.text == "is nested too deeply"


def test_a_file_that_nobody_could_review_is_a_mistake() -> None:
    [mistake] = mistakes("# " + "x" * manifest.LARGEST)
    assert "longer than" in mistake.text


def test_lines_are_found_through_strings_lists_and_tables_that_look_like_headers() -> None:
    text = (
        'a = """\n[b]\nc = 1\n"""\nlist = [\n  1,\n  2,\n]\n[b] # real\n"c.d" = 1\ne.f = 2\n[[step]]\nx = 1\n[[step]]\n'
    )
    text += "[step.fields]\ny = { z = 1 }\n"
    found = lines.of_keys(text)
    assert found["a",] == 1
    assert found["list",] == 5
    assert found["b",] == 9
    assert found["b", "c.d"] == 10
    assert found["b", "e", "f"] == 11
    assert found["step", 0, "x"] == 13
    assert found["step", 1] == 14
    assert found["step", 1, "fields"] == 15
    assert found["step", 1, "fields", "y", "z"] == 16


def test_a_rule_of_steps_tolerates_the_failures_of_verbs_that_say_continue() -> None:
    read = manifest.parse(WHOLE, "example")
    assert read.tolerates("jira.comment")
    assert not read.tolerates("jira.edit")
    assert not manifest.parse(LEAST, "example").tolerates("jira.comment")
