"""A rule's Python: loaded from the text that was checked, run once, and what comes of handlers that misbehave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.errors import ActionFailed, ActionRefused, HandlerFailed, PayloadInvalid, RuleInvalid, Stop
from bridge.rule import handler
from bridge.rule.context import Context
from bridge.rule.event import Event
from bridge.rule.registry import Rule

if TYPE_CHECKING:
    from tests.rule.conftest import FarEnd

Make = Callable[..., Rule]
MakeEvent = Callable[[Any], Event]
Run = Callable[..., Any]


@pytest.fixture
def run(rule: Make, event: MakeEvent, context: Context) -> Run:
    """Write a handler, run it for a payload."""

    def start(text: str, payload: Any = None, **more: str) -> Any:
        made = rule("[scope.jira]\nOPS = ['read', 'comment']", example_py=text, **more)
        return handler.run(made, event(payload or {}), context)

    return start


def test_a_handler_is_given_the_event_and_the_context_and_its_result_is_json(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((201, {"id": "7"}))
    text = """
    from bridge import Context, Event

    def handle(event: Event, context: Context) -> dict:
        made = context.jira.comment(event["issue"], "Hello")
        return {"comment": made["id"], "pair": (1, 2)}
    """
    assert run(text, {"issue": "OPS-1"}) == {"comment": "7", "pair": [1, 2]}
    assert far_end.calls[0]["path"] == "/rest/api/3/issue/OPS-1/comment"


def test_a_handler_may_return_nothing(run: Run) -> None:
    assert run("def handle(event, context):\n    return None\n") is None


def test_handlers_share_what_stands_in_lib(rule: Make, event: MakeEvent, context: Context, tmp_path: Path) -> None:
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "deep" / "er.py").write_text("Y = 2\n")
    made = rule(
        example_py="""
        from .lib import words
        from .lib.deep.er import Y

        def handle(event, context):
            return [words.X, Y]
        """,
        lib_words_py="from .deep import er\nfrom . import other\nX = er.Y + other.Z\n",
        lib_other_py="Z = 1\n",
    )
    assert handler.run(made, event({}), context) == [3, 2]


def test_a_module_is_the_text_that_was_checked_and_not_what_the_disk_says_now(
    rule: Make, event: MakeEvent, context: Context, tmp_path: Path
) -> None:
    made = rule(
        example_py="from .lib import words\n\ndef handle(event, context):\n    return words.X\n", lib_words_py="X = 1\n"
    )
    (tmp_path / "example.py").write_text("raise SystemExit\n")
    (tmp_path / "lib" / "words.py").write_text("X = 2\n")
    assert handler.run(made, event({}), context) == 1


def test_two_versions_of_a_rule_run_beside_each_other(rule: Make, event: MakeEvent, context: Context) -> None:
    text = (
        "from .lib import words\nseen = []\n\ndef handle(event, context):\n    seen.append(words.X)\n    return seen\n"
    )
    old = rule(example_py=text, lib_words_py="X = 'old'\n")
    assert handler.run(old, event({}), context) == ["old"]
    new = rule(example_py=text, lib_words_py="X = 'new'\n")
    assert new.digest != old.digest
    assert handler.run(new, event({}), context) == ["new"]
    assert handler.run(old, event({}), context) == ["old", "old"]


def test_loading_a_rule_leaves_the_import_path_alone(rule: Make, event: MakeEvent, context: Context) -> None:
    before = list(sys.path)
    handler.run(rule(example_py="import json\n\ndef handle(event, context):\n    return 1\n"), event({}), context)
    assert sys.path == before
    assert not [name for name in sys.modules if name == "example" or name.startswith("lib.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def handle(event, context):\n    raise ValueError('no\\nway')\n", "ValueError: no way (rules/example.py:2)"),
        (
            "def handle(event, context):\n    return event['chnage']\n",
            "FieldMissing: the payload has no field 'chnage'; did",
        ),
        (
            "import sys\ndef handle(event, context):\n    sys.exit(3)\n",
            "the handler called sys.exit, which ends nothing here (rules/example.py:3)",
        ),
        ("def handle(event, context):\n    raise GeneratorExit\n", "GeneratorExit (rules/example.py:2)"),
        ("def handle(event, context):\n    return handle(event, context)\n", "RecursionError"),
        ("class E(BaseException): ...\ndef handle(event, context):\n    raise E\n", "E (rules/example.py:3)"),
        ("def handle(event, context):\n    assert False\n", "AssertionError (rules/example.py:2)"),
        (
            "from .lib.words import f\ndef handle(event, context):\n    f()\n",
            "ZeroDivisionError: division by zero (rules/lib/words.py:2)",
        ),
        (
            "def handle(event, context):\n    return {1, 2}\n",
            "handle returned what JSON cannot hold: Object of type set",
        ),
        ("def handle(event, context):\n    return float('nan')\n", "handle returned what JSON cannot hold"),
        (
            "def handle(event, context):\n    x = []\n    x.append(x)\n    return x\n",
            "handle returned what JSON cannot hold",
        ),
        ("def handle(event, context):\n    return b'x'\n", "handle returned what JSON cannot hold"),
        ("def handle(event, context):\n    return (x for x in [])\n", "handle returned what JSON cannot hold"),
        ("def handle(event, context):\n    return 'x' * 300000\n", "handle returned more than"),
    ],
)
def test_a_handler_that_misbehaves_has_failed_with_what_and_where(run: Run, text: str, expected: str) -> None:
    with pytest.raises(HandlerFailed) as caught:
        run(text, {"change": 1}, lib_words_py="def f():\n    return 1 / 0\n")
    assert expected in str(caught.value)
    assert caught.value.rule == "example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "raise ValueError('at once')\ndef handle(event, context): ...",
            "example.py:1: cannot be imported: ValueError: at once",
        ),
        ("import sys\nsys.exit()\ndef handle(event, context): ...", "cannot be imported: the handler called sys.exit"),
        ("import nothing_of_that_name\ndef handle(event, context): ...", "cannot be imported: ModuleNotFoundError"),
        ("from .lib.words import gone\ndef handle(event, context): ...", "cannot be imported: ImportError"),
        ("handle = 3", "there is no function handle(event, context)"),
        ("handle = lambda event: None", "handle must take exactly two arguments"),
        ("def handle(event, context):\n    yield 1", "handle must be a plain function: no async, no yield"),
        ("def handle(event, context): ...\nPayload = dict", "Payload must be a class made from bridge.Payload"),
    ],
)
def test_a_module_that_cannot_be_used_is_an_invalid_rule(run: Run, text: str, expected: str) -> None:
    with pytest.raises(RuleInvalid) as caught:
        run(text, lib_words_py="")
    assert expected in str(caught.value)
    with pytest.raises(RuleInvalid):
        run(text, lib_words_py="")


PAYLOAD = """
from marshmallow import fields
import bridge

class Payload(bridge.Payload):
    change = fields.String(required=True)
    at = fields.AwareDateTime(required=True)
    tags = fields.List(fields.String())

def handle(event, context):
    return [event["at"].year, event["other"], event.issue.key]
"""


def test_a_payload_is_loaded_before_the_handler_and_keeps_its_other_fields(run: Run) -> None:
    assert run(PAYLOAD, {"change": "CHG-7", "at": "2026-11-03T09:15:00Z", "other": [1], "issue": "OPS-1"}) == [
        2026,
        [1],
        "OPS-1",
    ]


def test_a_payload_that_does_not_fit_is_told_field_by_field_and_the_handler_does_not_run(
    run: Run, far_end: FarEnd
) -> None:
    with pytest.raises(PayloadInvalid) as caught:
        run(PAYLOAD, {"at": "soon", "tags": ["a", 3]})
    assert caught.value.fields == {
        "change": "Missing data for required field.",
        "at": "Not a valid datetime.",
        "tags.1": "Not a valid string.",
    }
    assert far_end.sent == []


def test_bridges_own_payload_may_stand_in_the_module_under_its_name(run: Run) -> None:
    assert run("from bridge import Payload\n\ndef handle(event, context):\n    return event['a']\n", {"a": 1}) == 1


@pytest.mark.parametrize(
    "body",
    [
        "@post_load\n    def make(self, data, **kwargs):\n        return object()",
        "@pre_load\n    def make(self, data, **kwargs):\n        raise KeyError('s3cr3t')",
    ],
)
def test_a_payload_class_that_misbehaves_has_failed(run: Run, body: str) -> None:
    text = f"import bridge\nfrom marshmallow import post_load, pre_load\nclass Payload(bridge.Payload):\n    {body}\n"
    with pytest.raises(HandlerFailed, match="Payload") as caught:
        run(text + "def handle(event, context): ...\n", {"a": 1})
    assert "s3cr3t" not in str(caught.value)


COMMENT = "def handle(event, context):\n    {before}\n        context.jira.comment('OPS-1', 'x')\n    {after}\n"


@pytest.mark.parametrize("caught", ["Exception", "BaseException"])
def test_an_attempt_that_is_over_is_over_even_when_the_handler_catches_everything(
    run: Run, far_end: FarEnd, caught: str
) -> None:
    far_end.will_answer((409, {"stop": "parked", "why": "step 1 differs"}))
    text = COMMENT.format(before="try:", after=f"except {caught}:\n        return 'all is well'")
    with pytest.raises(Stop, match="step 1 differs"):
        run(text)


def test_an_attempt_that_is_over_is_over_even_when_the_handler_raises_something_else(run: Run, far_end: FarEnd) -> None:
    far_end.will_answer((409, {"stop": "parked", "why": "step 1 differs"}))
    with pytest.raises(Stop, match="step 1 differs"):
        run(COMMENT.format(before="try:", after="finally:\n        raise ValueError('other')"))


def test_an_action_that_failed_or_was_refused_comes_out_as_what_it_is(run: Run, far_end: FarEnd) -> None:
    far_end.site_answers((404, {"errorMessages": ["Gone."]}))
    with pytest.raises(ActionFailed, match="Gone"):
        run(COMMENT.format(before="if True:", after="return None"))
    far_end.will_answer((403, {"refused": "not in HR", "verb": "comment", "target": "HR-1"}))
    with pytest.raises(ActionRefused, match="not in HR"):
        run(COMMENT.format(before="if True:", after="return 1"))


def test_a_handler_that_starts_a_thread_is_told_to_do_without(run: Run, far_end: FarEnd) -> None:
    text = """
    from concurrent.futures import ThreadPoolExecutor

    def handle(event, context):
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda issue: context.jira.comment(issue, "x"), ["OPS-1", "OPS-2"]))
    """
    with pytest.raises(HandlerFailed, match="RuntimeError: context was used from another thread than the handler's"):
        run(text)
    assert far_end.calls == []


def test_a_rule_of_steps_is_run_through_the_same_door(
    rule: Make, event: MakeEvent, context: Context, far_end: FarEnd
) -> None:
    far_end.site_answers((201, {"id": "7"}))
    made = rule("[scope.jira]\nOPS = ['comment']\n[[step]]\nverb = 'jira.comment'\nissue = '{{ key }}'\nbody = 'Hello'")
    assert handler.run(made, event({"key": "OPS-1"}), context) == {
        "steps": [{"verb": "jira.comment", "done": 1, "skipped": 0, "failed": 0}]
    }
