"""``bridge rules test``: every recorded payload of a rule sent through the whole bridge, against a site of its own."""

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from bridge.cli import compose
from bridge.cli.rerun import Recorder, differs
from bridge.cli.rules_send import refreshed
from bridge.cli.rules_show import find
from bridge.cli.words import counted
from bridge.rule.registry import Rule, RuleSet, load
from bridge.settings import Settings

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
_REFERENCE = re.compile(r"\bref=\S+")


@dataclass(frozen=True, slots=True)
class Case:
    """A recorded payload and, beside it, what is expected of it, if somebody wrote that down."""

    rule: Rule
    payload: Path

    @property
    def expected(self) -> Path:
        """The file with the expected state and lines."""
        return self.payload.with_suffix(".expected")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a payload: the state (and why), then the lines of its steps, ids replaced."""

    state: str
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of an ``.expected`` file."""
        return "".join(f"{line}\n" for line in (self.state, *self.lines))


@click.command(short_help="Try rules on their recorded payloads.")
@click.argument("rules", nargs=-1, metavar="[RULE]…")
@click.option("--update", is_flag=True, help="Write what happens now as what is expected.")
def test(rules: tuple[str, ...], *, update: bool) -> None:
    """Send the recorded payloads of RULE (default: all) through a bridge and a site in this process.

    Nothing outside is touched. Each payload is run twice, the second time from the recorded answers with another clock
    and hash seed: a handler must make the same calls again, for that is what happens after a crash. Exits 1 if a
    delivery ends other than done, or than the .expected file beside it says, or if the two runs differ.
    """
    known = compose.settings()
    current = load(known.rules, None)
    wanted = [find(current, name) for name in rules] or list(current.rules.values())
    total = wrong = 0
    for rule in sorted(wanted, key=lambda each: each.name):
        print(f"{rule.name} ({rule.manifest.mode})")
        cases = [Case(rule, path) for path in sorted((known.rules / "payloads" / rule.name).glob("*.json"))]
        if not cases:
            print(f"  none    there is no payloads/{rule.name}/*.json: record one, and this tries the rule")
        for case in cases:
            total += 1
            wrong += not _tried(known, current, case, update=update)
    print(f"{counted(total, 'payload')}: {total - wrong} as they should be" + (f", {wrong} not" if wrong else ""))
    sys.exit(1 if wrong else 0)


def _tried(known: Settings, current: RuleSet, case: Case, *, update: bool) -> bool:
    """Try one payload and print what became of it; tell whether it is as it should be."""
    try:
        payload = json.loads(case.payload.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"  FAIL    {case.payload.stem}: cannot be read as JSON: {error}")
        return False
    outcome = _conducted(known, current, case.rule, payload)
    if update:
        case.expected.write_text(outcome.text, encoding="utf-8")
        _print(f"wrote   {case.payload.stem}", outcome)
        return True
    if not case.expected.exists():
        good = outcome.state == "done"
        _print(f"{'ok  ' if good else 'FAIL'}    {case.payload.stem}", outcome)
        return good
    expected = case.expected.read_text(encoding="utf-8")
    good = expected == outcome.text
    _print(f"{'ok  ' if good else 'FAIL'}    {case.payload.stem}", outcome)
    if not good:
        for line in _difference(case, expected, outcome.text):
            print(f"          {line}")
    return good


def _print(heading: str, outcome: Outcome) -> None:
    print(f"  {heading}: {outcome.state}")
    for line in outcome.lines:
        print(f"            {line}")


def _difference(case: Case, expected: str, now: str) -> Iterator[str]:
    names = (case.expected.name, "what happened")
    return difflib.unified_diff(expected.splitlines(), now.splitlines(), *names, lineterm="", n=1)


def _conducted(known: Settings, current: RuleSet, rule: Rule, payload: Any) -> Outcome:
    from bridge.cli.trial import trial_of
    from bridge.testing import Refused

    with trial_of(known, current, rule, payload) as trial:
        recorder = Recorder(httpx.WSGITransport(app=trial.egress))
        with httpx.Client(transport=recorder, base_url="http://egress") as trial.client:
            try:
                report = trial.send(rule.name, refreshed(payload, rule.manifest))
            except Refused as refused:
                return Outcome(_plain(f"not taken: {refused}", {}))
    unsteady = differs(known.rules, recorder)
    if unsteady is not None:
        return Outcome(f"not deterministic: {unsteady}")
    replaced = {report.delivery: "<delivery>"}
    state = f"{report.state}: {report.reason}" if report.reason else str(report.state)
    return Outcome(_plain(state, replaced), tuple(_plain(line, replaced) for line in report.lines))


def _plain(text: str, replaced: Mapping[str, str]) -> str:
    """Replace what is another each time: ids of deliveries and of what was made, and times."""
    for found, name in replaced.items():
        text = text.replace(found, name)
    text = _REFERENCE.sub("ref=<id>", _UUID.sub("<uuid>", text))
    return _TIME.sub("<time>", text).strip()
