"""The second run of ``bridge rules test``: the same payload, the recorded answers, another clock and another hash seed.

A handler runs again after a crash, and must then make the same calls. Whether it does is found out here, before a
delivery is parked for it: a process of its own is given what the first run asked and was answered, on a day far off,
with other random numbers and sets in another order. The first call that differs is named with both its sides.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bridge.errors import BridgeError, Stop
from bridge.rule.context import Context
from bridge.rule.door import Claim

LATER = timedelta(days=1234, hours=5, minutes=6, seconds=7)
PATIENCE = 60.0
OTHER_SEED = "20231"  # workers run with 0 (Procfile, work/supervisor.py)
_COMPARED = ("product", "method", "path", "query", "body", "label")


@dataclass(slots=True)
class Recorder(httpx.BaseTransport):
    """Stands between an attempt and egress and keeps the claim, and what each step asked and was answered."""

    inner: httpx.BaseTransport
    claim: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request on, and keep it."""
        response = self.inner.handle_request(request)
        response.read()
        if request.url.path == "/claim" and response.status_code == httpx.codes.OK:
            self.claim = response.json()
        elif request.url.path == "/call":
            said = {"status": response.status_code, "body": response.json()}
            self.steps.append({"asked": json.loads(request.content), "said": said})
        return response


def differs(rules: Path, recorded: Recorder) -> str | None:
    """Run a recorded attempt once more, and return how the second run differs; None if it does not."""
    if recorded.claim is None:
        return None
    told = json.dumps({"rules": str(rules), "claim": recorded.claim, "steps": recorded.steps})
    try:
        ran = subprocess.run(  # noqa: S603 - Python itself, with this module
            [sys.executable, "-m", __name__],
            input=told,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONHASHSEED": OTHER_SEED},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the second run did not end in {PATIENCE:g} s"
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines:
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"the second run could not be made: {last}"
    said: str | None = json.loads(lines[-1])
    return said


class Recorded(httpx.BaseTransport):
    """Plays egress from a record: gives the recorded answer to the same step, and ends the attempt at another."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self._steps = steps
        self.made = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of the worker's side."""
        if request.url.path != "/call":
            return httpx.Response(httpx.codes.NO_CONTENT)
        asked = json.loads(request.content)
        why = self._difference(asked)
        if why is not None:
            return httpx.Response(httpx.codes.CONFLICT, json={"stop": "parked", "why": why})
        said = self._steps[self.made]["said"]
        self.made += 1
        return httpx.Response(said["status"], json=said["body"])

    def _difference(self, asked: Mapping[str, Any]) -> str | None:
        now = _call(asked)
        if self.made >= len(self._steps):
            return f"step {self.made + 1} is new: {now}, where the first run had ended"
        first = self._steps[self.made]["asked"]
        compared = _COMPARED[:-2] + _COMPARED[-1:] if asked.get("label") else _COMPARED
        for name in compared:
            if first.get(name) != asked.get(name):
                return f"step {self.made + 1}: {name} was {_short(first.get(name))}, then {_short(asked.get(name))}"
        return None


def _call(asked: Mapping[str, Any]) -> str:
    return f"{asked.get('method')} {asked.get('path')}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 200 else text[:200] + "…"  # noqa: PLR2004 - what fits on two lines


def main() -> None:
    """Run what stands on the standard input, and print the difference, or null, as the last line."""
    told = json.load(sys.stdin)
    _shift_the_clock(LATER)
    from bridge.rule import handler
    from bridge.rule.registry import load

    claim = Claim.read(told["claim"])
    rule = load(Path(told["rules"]), None).rules[claim.rule]
    recorded = Recorded(told["steps"])
    with httpx.Client(transport=recorded, base_url="http://recorded") as client:
        context = Context(client, claim)
        try:
            handler.run(rule, claim.event, context)
        except Stop as stop:
            print(json.dumps(stop.why))
            return
        except BridgeError as error:
            # What the first run was answered made it fail in the same way, unless the steps differ.
            print(f"the second run raised {error}")
    made, first = recorded.made, len(told["steps"])
    print(json.dumps(None if made == first else f"it made {made} steps, and {first} the first time"))


def _shift_the_clock(by: timedelta) -> None:
    """Let this process, which serves nothing else, live in another time."""
    import datetime as dt
    import random

    seconds = by.total_seconds()
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)

    class Later(datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> "Later":
            return cls.now(dt.UTC).replace(tzinfo=None)

    class Today(dt.date):
        @classmethod
        def today(cls) -> "Today":
            return cls.fromtimestamp(time.time())

    dt.datetime = Later  # type: ignore[misc]
    dt.date = Today  # type: ignore[misc]
    random.seed(seconds)


if __name__ == "__main__":
    main()
