"""What the tests of rules stand on: rule files in a directory, and the far end of egress's protocol.

``FarEnd`` is a WSGI application in egress's place: it keeps every envelope it is sent and answers from a script. It
judges nothing; what egress does with an envelope is egress's own tests' matter.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest

from bridge.rule.context import Context
from bridge.rule.door import Claim
from bridge.rule.event import Event
from bridge.rule.registry import Rule, load

RECEIVED = datetime(2026, 11, 3, 9, 14, 30, tzinfo=UTC)


@dataclass
class FarEnd:
    """Egress's end of the protocol: ``script`` holds the answers to come, ``calls`` what was asked, by path."""

    script: list[tuple[int, Any]] = field(default_factory=list)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Keep the envelope, answer from the script; the timeline always listens."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        path = environ["PATH_INFO"]
        self.sent.append((path, json.loads(environ["wsgi.input"].read(length))))
        self.capabilities.append(environ.get("HTTP_AUTHORIZATION", ""))
        status, body = (204, None) if path == "/log" and not self.script else self.script.pop(0)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        start_response(f"{status} Scripted", [("Content-Type", "application/json")])
        return [content]

    def will_answer(self, *answers: tuple[int, Any]) -> None:
        """Add raw answers of egress: status and body."""
        self.script.extend(answers)

    def site_answers(self, *answers: tuple[int, Any], **more: Any) -> None:
        """Add answers of the site as egress hands them on."""
        self.script.extend((200, {"status": status, "body": body, **more}) for status, body in answers)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The envelopes of the steps, in order."""
        return [envelope for path, envelope in self.sent if path == "/call"]

    @property
    def logged(self) -> list[str]:
        """The lines put on the timeline."""
        return [envelope["text"] for path, envelope in self.sent if path == "/log"]


@pytest.fixture(scope="session")
def openapi() -> ModuleType:
    """Atlassian's OpenAPI files as a judge; skips where they are not beside the checkout."""
    path = Path(__file__).resolve().parents[1] / "contracts" / "openapi.py"
    spec = spec_from_file_location("contracts_openapi", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.setdefault(spec.name, module)
    spec.loader.exec_module(module)
    if not module.available():
        pytest.skip(module.WHY_ABSENT)
    return module


@pytest.fixture
def far_end() -> FarEnd:
    """The far end of the protocol, with nothing to answer yet."""
    return FarEnd()


@pytest.fixture
def client(far_end: FarEnd) -> Iterator[httpx.Client]:
    """The client that leads to the far end."""
    with httpx.Client(transport=httpx.WSGITransport(app=far_end), base_url="http://egress") as opened:
        yield opened


def make_claim(payload: Mapping[str, Any] | None = None, **changes: Any) -> Claim:
    """A claim as egress hands it out."""
    event = {
        "delivery": "01920000-0000-7000-8000-000000000001",
        "rule": "example",
        "received_at": RECEIVED.isoformat(),
        "payload": payload or {},
        "source": "jira-automation",
        "initiator": None,
    }
    plain = {
        "delivery": event["delivery"],
        "attempt": 1,
        "capability": "cap-1",
        "rule": "example",
        "digest": "sha256:0",
    }
    terms = {"isolation": "thread", "timeout": 120, "lease": 10, "mode": "act"}
    return Claim.read({**plain, **terms, **changes, "event": event})


@pytest.fixture
def claim() -> Claim:
    """A claim without anything in its payload."""
    return make_claim()


@pytest.fixture
def context(client: httpx.Client, claim: Claim) -> Context:
    """A context of this thread."""
    return Context(client, claim)


@pytest.fixture
def event() -> Callable[..., Event]:
    """Make an event out of a payload."""
    return lambda payload: make_claim(payload).event


HEAD = """
title = "An example"
owner = "team@example.com"
source = "jira-automation"
account = "ops-bot"
[accept]
idempotency_key = ["id"]
initiator = "by"
"""


@pytest.fixture
def rules(tmp_path: Path) -> Callable[..., Path]:
    """Write rule files: ``rules(example_toml="...", lib_words_py="...")``; a directory's name ends at the first ``_``.

    ``HEAD`` in a manifest stands for the required keys.
    """

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            stem, _, suffix = name.rpartition("_")
            folder, _, rest = stem.partition("_")
            path = tmp_path / (f"lib/{rest}.{suffix}" if folder == "lib" else f"{stem}.{suffix}")
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text).replace("HEAD", HEAD.strip()), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def rule(rules: Callable[..., Path]) -> Callable[..., Rule]:
    """Write and load the rule ``example``: its manifest's end, its handler and what is in lib/."""

    def make(toml: str = "", **texts: str) -> Rule:
        found = load(rules(example_toml="HEAD\n" + dedent(toml), **texts), None).get("example")
        assert found is not None
        return found

    return make
