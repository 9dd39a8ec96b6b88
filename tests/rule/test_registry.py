"""The rules of a directory: all mistakes at once, one version or the other, and never half of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.errors import RuleInvalid
from bridge.rule.registry import AccountFacts, Registry, load

ACCOUNTS = {
    "ops-bot": AccountFacts("ops-bot", "acme", frozenset({"jira"}), {"jira": {"OPS": frozenset({"read", "comment"})}})
}
STEP = """
[scope.jira]
OPS = ["comment"]
[[step]]
verb = "jira.comment"
issue = "OPS-1"
body = "Hello"
"""
HANDLER = "def handle(event, context):\n    return None\n"
Write = Callable[..., Path]


def said(root: Path, accounts: dict[str, AccountFacts] | None = None) -> list[str]:
    with pytest.raises(RuleInvalid) as caught:
        load(root, accounts)
    return [str(mistake) for mistake in caught.value.mistakes]


def warned(root: Path, accounts: dict[str, AccountFacts] | None = None) -> list[str]:
    return [str(warning) for warning in load(root, accounts).warnings]


def test_a_rule_is_its_manifest_its_handler_and_what_handlers_share(rules: Write) -> None:
    root = rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=HANDLER, b_toml="HEAD" + STEP, lib_words_py="X = 1\n")
    found = load(root, None)
    assert sorted(found.rules) == ["a", "b"]
    assert found.get("a") is found.rules["a"]
    assert found.get("c") is None
    assert sorted(found.rules["a"].texts) == ["a.py", "a.toml", "lib/words.py"]
    assert found.rules["a"].texts["a.py"] == HANDLER
    assert (found.rules["a"].has_handler, found.rules["b"].has_handler) == (True, False)
    assert found.rules["a"].digest.startswith("sha256:")


def test_a_directory_without_rules_is_an_empty_set(tmp_path: Path) -> None:
    assert load(tmp_path, None).rules == {}


def test_recorded_payloads_and_other_files_are_no_rules(rules: Write) -> None:
    root = rules(a_toml="HEAD" + STEP)
    (root / "payloads" / "a").mkdir(parents=True)
    (root / "payloads" / "a" / "case.json").write_text("{}")
    (root / "README.md").write_text("# Rules")
    (root / "__init__.py").write_text("")
    (root / ".a.toml.swp").write_text("x")
    assert list(load(root, None).rules) == ["a"]


def test_a_digest_changes_with_every_text_a_rule_is_made_of_and_with_no_other(rules: Write) -> None:
    root = rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=HANDLER, b_toml="HEAD" + STEP, lib_words_py="X = 1\n")
    first = load(root, None)
    assert load(root, None).digest == first.digest
    (root / "b.toml").write_text((root / "b.toml").read_text() + "# a remark\n")
    second = load(root, None)
    assert second.rules["a"].digest == first.rules["a"].digest
    assert second.rules["b"].digest != first.rules["b"].digest
    assert second.digest != first.digest
    (root / "lib" / "words.py").write_text("X = 2\n")
    third = load(root, None)
    assert third.rules["a"].digest != second.rules["a"].digest
    assert third.rules["b"].digest != second.rules["b"].digest


def test_all_mistakes_of_all_rules_come_at_once(rules: Write) -> None:
    root = rules(
        a_toml="HEAD\nmode = 'maybe'\n[run]\ntimeout = 3",
        b_toml="HEAD\n[scope.jira]\nOPS = ['coment']",
        b_py="def handle(event):\n    return None\n",
        c_toml="title = ",
        d_py=HANDLER,
        lib_words_py="x = (\n",
    )
    places = [line.split(": ")[0] for line in said(root, ACCOUNTS)]
    assert places == ["a.toml", "a.toml:8", "a.toml:10", "b.py:1", "b.toml:9", "c.toml:1", "d.py", "lib/words.py:1"]


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        ("OPS = ['coment']", "scope.jira.OPS: there is no verb or operation 'coment' in jira; did you mean 'comment'?"),
        ("OPS = ['label']", "there is no verb or operation 'label' in jira"),
        ("'@site' = ['comment']", "'comment' is granted per project or space, not under @site"),
        ("OPS = ['createPage']", "there is no verb or operation 'createPage' in jira"),
    ],
)
def test_what_a_scope_grants_must_exist(rules: Write, grants: str, expected: str) -> None:
    found = said(rules(a_toml=f"HEAD\n[scope.jira]\n{grants}", a_py=HANDLER))
    assert [line for line in found if expected in line], found


def test_a_scope_may_name_any_catalogued_operation(rules: Write) -> None:
    root = rules(a_toml="HEAD\n[scope.jira]\nOPS = ['addWatcher', 'read']\n'@site' = ['getAllProjects']", a_py=HANDLER)
    assert load(root, None).rules["a"].manifest.scope.allows("jira", "OPS", "addWatcher")


@pytest.mark.parametrize("name", ["Change", "1st", "change-approved", "lib", "payloads"])
def test_the_name_of_a_rule_fits_everywhere_it_is_used(tmp_path: Path, rules: Write, name: str) -> None:
    text = rules(a_toml="HEAD" + STEP).joinpath("a.toml").read_text()
    (tmp_path / f"{name}.toml").write_text(text)
    assert f"{name}.toml: a rule's file name must be small letters" in said(tmp_path)[0]


def test_a_rule_has_steps_or_a_handler_and_not_both(rules: Write) -> None:
    root = rules(a_toml="HEAD" + STEP, a_py=HANDLER, b_toml="HEAD")
    assert said(root) == [
        "a.toml:10: step.1: has steps, and there is a.py as well: keep one of them",
        "b.toml: does nothing: add [[step]] tables, or a handler in b.py",
    ]


def test_an_account_must_be_known_and_have_the_products_credential(rules: Write) -> None:
    root = rules(
        a_toml="HEAD" + STEP.replace("OPS", "OPS"),
        b_toml="HEAD\n[scope.confluence]\nENG = ['read']",
        b_py=HANDLER,
    )
    other = root / "c.toml"
    other.write_text((root / "a.toml").read_text().replace("ops-bot", "ops-bott"))
    assert said(root, ACCOUNTS) == [
        "b.toml:8: scope.confluence: the account 'ops-bot' has no credential for confluence in bridge.toml",
        "c.toml:4: account: there is no account 'ops-bott' in bridge.toml; did you mean 'ops-bot'?",
    ]
    assert sorted(load(root, None).rules) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("x = (", "a.py:1: is not Python: '(' was never closed"),
        ("\x00", "a.py: is not Python"),
        ("def handel(event, context): ...", "there is no function handle; did you mean 'handel'?"),
        ("", "a.py: handle: there is no function handle; write: def handle(event: Event, context: Context)"),
        ("def handle(): ...", "handle must take exactly two arguments"),
        ("def handle(event): ...", "handle must take exactly two arguments"),
        ("def handle(event, context, more): ...", "handle must take exactly two arguments"),
        ("def handle(event, context, *, more): ...", "handle must take exactly two arguments"),
        ("def handle(*, event, context): ...", "handle must take exactly two arguments"),
        ("async def handle(event, context): ...", "handle is async"),
        ("class handle: ...", "handle is a class"),
        (
            "from .lib import wrods\n" + HANDLER,
            "a.py:1: imports lib/wrods.py, which is not there; did you mean 'words'?",
        ),
        ("from .lib.nothing import x\n" + HANDLER, "imports lib/nothing.py, which is not there"),
        ("from . import b\n" + HANDLER, "imports b.py, which is not there"),
        ("from ..x import y\n" + HANDLER, "imports from outside the rules directory"),
        ("def f():\n    from .lib import gone\n" + HANDLER, "a.py:2: imports lib/gone.py, which is not there"),
    ],
)
def test_a_handler_that_cannot_work_is_found_without_running_it(rules: Write, handler: str, expected: str) -> None:
    found = said(rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=handler, b_toml="HEAD" + STEP, lib_words_py=""))
    assert [line for line in found if expected in line], found


@pytest.mark.parametrize(
    "handler",
    [
        "def handle(event, context): ...",
        "def handle(event, context, extra=None): ...",
        "def handle(*args): ...",
        "handle = lambda event, context: None",
        "from .lib.words import handle",
        "from .lib import words\nfrom . import lib\nfrom .lib.words import x\nimport json\n" + HANDLER,
    ],
)
def test_a_handler_that_may_work_is_taken(rules: Write, handler: str) -> None:
    assert load(rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=handler, lib_words_py="x = 1"), None).get("a")


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("import random", "event.uuid"),
        ("from secrets import token_hex", "event.uuid"),
        ("import uuid; x = uuid.uuid4()", "event.uuid"),
        ("from uuid import uuid4; x = uuid4()", "event.uuid"),
        ("import time; x = time.time()", "event.received_at"),
        ("import datetime; x = datetime.datetime.now()", "event.received_at"),
        ("from datetime import date; x = date.today()", "event.received_at"),
    ],
)
def test_what_differs_from_attempt_to_attempt_is_warned_of(rules: Write, line: str, instead: str) -> None:
    root = rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=f"{line}\n{HANDLER}")
    assert [each for each in warned(root) if each.startswith("a.py:1: ") and instead in each]


def test_what_is_seldom_meant_is_warned_of(rules: Write) -> None:
    root = rules(a_toml="HEAD" + STEP)
    assert warned(root) == []
    bare = (root / "a.toml").read_text().partition("[accept]")[0]
    (root / "a.toml").write_text(bare + '[scope.jira]\nOPS = ["comment", "edit"]\nCHG = ["read"]\n' + STEP[31:])
    found = "\n".join(warned(root, ACCOUNTS))
    assert "without accept.idempotency_key" in found
    assert "without accept.initiator" in found
    assert "a.toml:6: scope.jira.OPS: no step uses 'edit'" in found
    assert "a.toml:6: scope.jira.OPS: jira OPS edit is beyond the ceiling of the account 'ops-bot'" in found
    assert "a.toml:7: scope.jira.CHG: jira CHG read is beyond the ceiling" in found


def test_a_scope_without_grants_is_warned_of(rules: Write) -> None:
    assert "a.toml: scope: the scope is empty: every action will be refused" in warned(
        rules(a_toml="HEAD", a_py=HANDLER)
    )


def test_files_that_cannot_be_read_are_mistakes(tmp_path: Path, rules: Write) -> None:
    root = rules(a_toml="HEAD" + STEP)
    (root / "b.toml").write_bytes(b"\xff\xfe")
    (root / "c.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    assert said(root) == [
        "b.toml: cannot be read: it is not UTF-8 text",
        "c.toml: cannot be read: it is larger than 1048576 bytes",
    ]
    assert "cannot be read: No such file or directory" in said(tmp_path / "nowhere")[0]


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_changed_files_are_taken_at_the_next_look(rules: Write) -> None:
    root, clock = rules(a_toml="HEAD" + STEP), Clock()
    registry = Registry(root, None, every=2.0, clock=clock)
    first = registry.current()
    assert registry.current() is first
    rules(b_toml="HEAD" + STEP)
    clock.now += 1.9
    assert registry.current() is first
    clock.now += 0.2
    assert sorted(registry.current().rules) == ["a", "b"]
    (root / "a.toml").unlink()
    clock.now += 2
    assert sorted(registry.current().rules) == ["b"]


def test_unchanged_files_are_not_read_again(rules: Write) -> None:
    root, clock = rules(a_toml="HEAD" + STEP), Clock()
    registry = Registry(root, None, clock=clock)
    first = registry.current()
    clock.now += 100
    assert registry.current() is first


def test_a_set_with_a_mistake_is_not_taken_at_all_and_the_last_good_one_stays(rules: Write) -> None:
    root, clock = rules(a_toml="HEAD" + STEP), Clock()
    registry = Registry(root, None, clock=clock)
    first = registry.current()
    rules(a_toml="HEAD" + STEP + "\n# changed", b_toml="HEAD\nmode = 'x'" + STEP)
    clock.now += 2
    assert registry.current() is first
    assert [str(mistake).partition(":")[0] for mistake in registry.mistakes] == ["b.toml"]
    rules(b_toml="HEAD" + STEP)
    clock.now += 2
    assert registry.current() is not first
    assert sorted(registry.current().rules) == ["a", "b"]
    assert registry.mistakes == ()


def test_a_directory_that_went_away_leaves_the_last_good_set(rules: Write, tmp_path: Path) -> None:
    root, clock = rules(a_toml="HEAD" + STEP), Clock()
    registry = Registry(root, None, clock=clock)
    first = registry.current()
    root.rename(root.with_name("elsewhere"))
    clock.now += 2
    assert registry.current() is first
    assert "cannot be read" in registry.mistakes[0].text
    root.with_name("elsewhere").rename(root)


def test_without_any_good_set_nothing_is_pretended(rules: Write) -> None:
    root, clock = rules(a_toml="HEAD\nmode = 'x'" + STEP), Clock()
    registry = Registry(root, None, clock=clock)
    for _ in range(2):
        with pytest.raises(RuleInvalid, match="mode"):
            registry.current()
    rules(a_toml="HEAD" + STEP)
    clock.now += 2
    assert list(registry.current().rules) == ["a"]


DEEP = "[scope.jira]\nOPS = ['comment']\n[[step]]\nverb = 'jira.comment'\nissue = 'OPS-1'\nbody = '{{ %s }}'\n"


def test_an_expression_nested_too_deeply_is_a_mistake_and_ends_no_process(rules: Write) -> None:
    (mistake,) = said(rules(a_toml="HEAD\n" + DEEP % ("(" * 200 + "issue" + ")" * 200)))
    assert mistake.startswith("a.toml")


def test_a_handler_nested_too_deeply_is_a_mistake_and_ends_no_process(rules: Write) -> None:
    deep = "def handle(event, context):\n    return a" + ".b" * 3000 + "()\n"
    found = said(rules(a_toml="HEAD\n[scope.jira]\nOPS=['read']", a_py=deep, b_toml="HEAD\nowner_ = 1" + STEP))
    assert any(mistake.startswith("a.py") for mistake in found)
    assert any(mistake.startswith("b.toml") for mistake in found), "the mistakes of other rules are told as well"


def test_a_rule_that_is_a_link_to_nowhere_is_a_mistake_and_not_a_removed_rule(rules: Write) -> None:
    root = rules(a_toml="HEAD" + STEP)
    registry = Registry(root, None, every=0)
    assert registry.current().get("a") is not None
    (root / "a.toml").unlink()
    (root / "a.toml").symlink_to(root / "gone.toml")
    assert registry.current().get("a") is not None, "the last good set stays in force"
    assert any("is no file" in str(mistake) for mistake in registry.mistakes)
