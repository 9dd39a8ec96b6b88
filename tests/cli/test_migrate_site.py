"""``bridge migrate pull``, ``push`` and ``cutover`` against the sandbox's management API, with a running bridge."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from bridge.egress.app import Egress
from bridge.egress.upstream import Upstream
from bridge.ingress.app import create_app as create_web
from bridge.rule.registry import Registry
from bridge.sandbox import seed
from bridge.sandbox.app import create_app
from bridge.sandbox.document import paragraphs
from bridge.sandbox.site import Site
from bridge.settings import read
from bridge.store import Store, deliveries, registers, schema
from bridge.work import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIApplication

    from bridge.sandbox.automation_api import Automations
    from tests.cli.conftest import Bridge, Installation, Said

EMAIL, TOKEN = "admin@example.com", "a-classic-token"
UUID = "0192e5ac-0e25-71de-ba7b-d972e6a2049a"


def node(kind: str, value: Any, component: str = "ACTION") -> dict[str, Any]:
    return {"component": component, "type": kind, "value": value, "children": [], "conditions": []}


def automation(site: Site) -> dict[str, Any]:
    return {
        "uuid": UUID,
        "name": "Look after incidents",
        "state": "ENABLED",
        "actor": {"type": "ACCOUNT_ID", "actor": site.account(seed.PERSON).id},
        "authorAccountId": site.account(seed.PERSON).id,
        "canOtherRuleTrigger": False,
        "notifyOnError": "FIRSTERROR",
        "writeAccessType": "UNRESTRICTED",
        "ruleScopeARIs": [f"ari:cloud:jira:{site.cloud_id}:project/{site.projects['OPS'].id}"],
        "trigger": node("jira.issue.event.trigger:created", {}, "TRIGGER"),
        "components": [node("jira.issue.comment", {"comment": "Hello"})],
    }


@pytest.fixture
def played() -> Site:
    """The demo's site, to which the installation's account has tokens."""
    return seed.demo(Site(), {"the-jira-token": seed.token("jira"), "the-confluence-token": seed.token("confluence")})


@pytest.fixture
def automations(
    played: Site,
    installation: Installation,
    serve: Callable[[WSGIApplication], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Automations:
    """The automations of a site that is served for real, one of which is there."""
    made = played
    application = create_app(made)
    address = serve(application.wsgi_app)
    installation.configure(site=address)
    monkeypatch.setenv("BRIDGE_ATLASSIAN_URL", address)
    found: Automations = application.extensions["automations"]
    found.admins[EMAIL] = TOKEN
    found.account = seed.PERSON
    found.add(automation(made))
    return found


@pytest.fixture
def asked(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run a command with an API token on standard input."""

    def run_it(*arguments: str, token: str = TOKEN) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
        return bridge(*arguments)

    return run_it


def fetched(asked: Callable[..., Said], tmp_path: Path) -> Path:
    """Pull, and write into the installation's rules; return the automation's directory."""
    said = asked("migrate", "pull", "-o", str(tmp_path / "pulled"), "--email", EMAIL)
    assert said.status == 0, said.err
    said = asked("migrate", "write", str(tmp_path / "pulled"), "-o", str(tmp_path), "--owner", "team@example.com")
    assert said.status == 0, said.err + said.out
    return tmp_path / "automations" / "look_after_incidents"


def kinds(automations: Automations) -> list[str]:
    return [each["type"].rpartition(".")[2] for each in automations.rules[UUID]["rule"]["components"]]


def test_automations_are_fetched_with_the_people_and_projects_they_name(
    asked: Callable[..., Said], automations: Automations, tmp_path: Path
) -> None:
    said = asked("migrate", "pull", "-o", str(tmp_path / "pulled"), "--email", EMAIL)
    assert said.status == 0, said.err
    place = tmp_path / "pulled" / "look_after_incidents.json"
    assert json.loads(place.read_text(encoding="utf-8")) == automations.rules[UUID]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    planned = asked("migrate", "plan", str(tmp_path / "pulled"))
    assert "actor     Mia Keller; made by Mia Keller" in planned.out
    assert TOKEN not in said.out + said.err + "".join(
        path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.suffix in {".json", ".toml"}
    )


def test_who_may_not_is_told_why(asked: Callable[..., Said], automations: Automations) -> None:
    assert automations.puts == 0
    said = asked("migrate", "pull", "--email", EMAIL, token="wrong")
    assert said.status == 2
    assert "401" in said.err
    assert said.err.count("\n") == 1


def test_pages_of_summaries_are_followed(asked: Callable[..., Said], automations: Automations, tmp_path: Path) -> None:
    one = automations.rules[UUID]["rule"]
    for number in range(120):
        automations.add({**one, "uuid": f"u{number}", "name": f"Automation {number}"})
    said = asked("migrate", "pull", "-o", str(tmp_path / "pulled"), "--email", EMAIL)
    assert "fetched 121 automations" in said.out


def test_the_observing_form_is_put_after_a_backup_and_a_look_and_taken_back(
    asked: Callable[..., Said], automations: Automations, tmp_path: Path
) -> None:
    before = json.dumps(automations.rules[UUID])
    directory = fetched(asked, tmp_path)
    unasked = asked("migrate", "push", str(directory), "--email", EMAIL)
    assert unasked.status == 2
    assert "give --yes" in unasked.err
    assert automations.puts == 0
    said = asked("migrate", "push", str(directory), "--email", EMAIL, "--yes")
    assert said.status == 0, said.err
    assert "+Send web request to https://bridge.example.com/hooks/look_after_incidents" in said.out
    assert "brt1" not in said.out + said.err
    assert kinds(automations) == ["webhook", "comment"]
    assert automations.rules[UUID]["rule"]["state"] == "ENABLED"
    (backup, *_) = sorted(directory.glob("backup-*.json"))
    assert json.loads(backup.read_text(encoding="utf-8")) == json.loads(before)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "the site has it already" in asked("migrate", "push", str(directory), "--email", EMAIL, "--yes").out
    assert asked("migrate", "push", str(directory), "--email", EMAIL, "--undo", "--yes").status == 0
    assert kinds(automations) == ["comment"]


def test_an_automation_that_somebody_changed_meanwhile_is_left_alone(
    asked: Callable[..., Said], automations: Automations, tmp_path: Path
) -> None:
    directory = fetched(asked, tmp_path)
    automations.rules[UUID]["rule"]["components"][0]["value"]["comment"] = "Hello, dear"
    said = asked("migrate", "push", str(directory), "--email", EMAIL, "--yes")
    assert said.status == 2
    assert "somebody changed the automation since it was fetched" in said.err
    assert automations.puts == 0


def test_masked_headers_are_never_put_back(
    asked: Callable[..., Said], automations: Automations, tmp_path: Path
) -> None:
    directory = fetched(asked, tmp_path)
    header = {"name": "Authorization", "value": "********", "headerSecure": True}
    request = node("jira.issue.outgoing.webhook", {"url": "https://x.example.com", "headers": [header]})
    automations.rules[UUID]["rule"]["components"].append(request)
    said = asked("migrate", "push", str(directory), "--email", EMAIL, "--yes")
    assert said.status == 2
    assert "masked" in said.err
    assert automations.puts == 0


def test_without_access_the_same_steps_are_printed(
    asked: Callable[..., Said], automations: Automations, tmp_path: Path
) -> None:
    directory = fetched(asked, tmp_path)
    said = asked("migrate", "cutover", "look_after_incidents", "--from", str(directory))
    assert said.status == 0, said.err
    assert "token_versions = [2]" in said.out
    assert 'mode = "act"' in said.out
    assert automations.puts == 0


class _Holder:
    def bind(self, attempt: object) -> None:
        """Nobody ends an attempt from outside."""


@pytest.fixture
def running(
    installation: Installation, automations: Automations, serve: Callable[[WSGIApplication], str]
) -> Iterator[str]:
    """A bridge that runs: its web server, and a thread that keeps rule texts and works off what is queued."""
    assert automations.admins
    # Only what is migrated here shall run; and CPython 3.11 cannot parse handlers in several threads at once, as the
    # one process of this test would.
    shutil.rmtree(installation.rules)
    installation.rules.mkdir()
    installation.home.mkdir(exist_ok=True)
    known = read()
    store = Store(known.database_url)
    schema.ready(store)
    rules = Registry(known.rules, None, every=0.0)
    egress = Egress(known, store, rules, Upstream(known.request_timeout))
    client = httpx.Client(transport=httpx.WSGITransport(app=egress), base_url="http://egress")
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.05):
            for name, rule in rules.current().rules.items():
                store.commit(
                    lambda connection, name=name, rule=rule: registers.keep_rule(  # type: ignore[misc]
                        connection, name, rule.digest, rule.texts, None
                    )
                )
            with store.read() as connection:
                waiting = deliveries.listed(connection, state="queued")
            for each in reversed(waiting):
                claim = run.claimed(client, each.id, "test")
                if claim is not None:
                    run.conduct(client, claim, rules, _Holder())

    thread = threading.Thread(target=work)
    thread.start()
    yield serve(create_web(known, store, Registry(known.rules, None, every=0.0)).wsgi_app)
    ended.set()
    thread.join()
    client.close()
    store.close()


class Firing:
    """Automation, firing again and again for one work item: it comments, and sends web requests, as it is told."""

    def __init__(self, site: Site, automations: Automations) -> None:
        self._site, self._automations = site, automations
        self.fired = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.3):
            self.fire()

    def fire(self) -> None:
        """Fire once; what stands in the automation at that moment is done to its end."""
        rule = json.loads(json.dumps(self._automations.rules[UUID]["rule"]))
        self.fired += rule["state"] == "ENABLED"
        for each in rule["components"] if rule["state"] == "ENABLED" else ():
            value = each["value"]
            if each["type"] == "jira.issue.comment":
                issue = self._site.find_issue("OPS-1")
                assert issue is not None
                with self._site.lock:
                    self._site.add_comment(issue, self._site.account(seed.AUTOMATION), paragraphs(value["comment"]))
                continue
            body = {"issue": {"key": "OPS-1", "id": "10001"}, "initiator": {"accountId": "712020:x"}}
            headers = {header["name"]: header["value"] for header in value["headers"]}
            sent = json.dumps({**body, "sentAt": str(self.fired)})
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(value["url"], content=sent, headers=headers, timeout=10)


def hellos(site: Site) -> dict[str, int]:
    """How often each account said Hello on OPS-1."""
    issue = site.find_issue("OPS-1")
    assert issue is not None
    names = [
        site.accounts[each.author].name
        for each in issue.comments
        if each.body == paragraphs("Hello") or "Hello" in json.dumps(each.body)
    ]
    return {name: names.count(name) for name in set(names)}


def test_the_rule_takes_over_with_no_gap_and_nothing_done_twice_and_gives_back(
    asked: Callable[..., Said], automations: Automations, running: str, played: Site, tmp_path: Path
) -> None:
    pulled = str(tmp_path / "pulled")
    assert asked("migrate", "pull", "-o", pulled, "--email", EMAIL).status == 0
    wrote = asked("migrate", "write", pulled, "-o", str(tmp_path), "--owner", "team@example.com", "--url", running)
    assert wrote.status == 0, wrote.err + wrote.out
    directory = str(tmp_path / "automations" / "look_after_incidents")
    assert asked("migrate", "push", directory, "--email", EMAIL, "--yes").status == 0
    given = ("--from", directory, "--email", EMAIL, "--yes", "--url", running, "--taken", "1")
    with Firing(played, automations) as firing:
        time.sleep(1.0)
        said = asked("migrate", "cutover", "look_after_incidents", *given)
        assert said.status == 0, said.err + said.out
        assert "of which the site does not show" in said.out
        assert "done            step:observed" in said.out
        assert "acted: step:outcome" in said.out
        assert "by ops-bot" in said.out
    assert kinds(automations) == ["webhook"]
    _settled(played, firing)
    counts = hellos(played)
    assert set(counts) == {"Automation for Jira", "ops-bot"}
    assert sum(counts.values()) == firing.fired
    with Firing(played, automations) as again:
        back = asked("migrate", "cutover", "look_after_incidents", *given, "--undo")
        assert back.status == 0, back.err + back.out
    assert kinds(automations) == ["comment"]
    again.fired += firing.fired
    _settled(played, again)
    assert sum(hellos(played).values()) == again.fired


def _settled(site: Site, firing: Firing) -> None:
    """Wait until everything that was fired is done, or nothing has changed for a while."""
    end = time.monotonic() + 10
    while sum(hellos(site).values()) < firing.fired and time.monotonic() < end:
        time.sleep(0.05)
