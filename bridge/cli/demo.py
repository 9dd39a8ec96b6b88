"""``bridge demo``: the whole bridge on this machine, against a local site, shown live.

Starts the processes of the Procfile and the sandbox, sends recorded payloads of the example rules with valid headers,
and some that must not get through; prints what happens to each, and the audit log at the end.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx

from bridge import settings as settings_room
from bridge.audit import keys, seal
from bridge.cli.processes import Group
from bridge.errors import BridgeError
from bridge.ingress import sender
from bridge.rule.registry import Registry
from bridge.sandbox import seed
from bridge.settings import Settings
from bridge.store import Store, deliveries, journal, schema
from bridge.store.deliveries import UNFINISHED

EXAMPLES = ("change_approved", "page_published", "incident_follow_up", "stale_page_review")
MARK = ".made-by-the-demo"  # what bears it may be removed by the next demo
PATIENCE = 60.0
LOOK = 0.1
ACCEPTED = (200, 202)


class DemoFailed(BridgeError):
    """Something did not go as it should; the text says what."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One webhook and what should become of it.

    ``status`` is ingress's answer; ``ends`` the delivery's state; ``acts`` and ``refuses`` are verbs that must stand in
    the log as done or refused; ``forged`` spoils the signature.
    """

    title: str
    rule: str
    case: str
    status: int = 202
    ends: str | None = "done"
    acts: Sequence[str] = ()
    observes: Sequence[str] = ()
    refuses: Sequence[str] = ()
    forged: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


SCENES = (
    Scene("A change was approved: a Jira rule in Python comments on its incidents", "change_approved", "approved",
          acts=["jira.comment", "jira.comment"]),
    Scene("A page was published: a Confluence rule in Python labels it and comments", "page_published", "published",
          acts=["confluence.label", "confluence.comment"]),
    Scene("An incident is under control: a rule of steps only, no code", "incident_follow_up", "mitigated",
          acts=["jira.create", "jira.comment", "jira.transition"]),
    Scene("The same approval once more: Automation may send twice, the bridge acts once", "change_approved", "approved",
          status=200, ends=None),
    Scene("A forged webhook: nobody has this token", "change_approved", "approved",
          status=401, ends=None, forged=True),
    Scene("Out of scope: the payload names an issue of project HR", "change_approved", "out_of_scope",
          ends="dead", refuses=["jira.read"]),
    Scene("A moved issue: OPS-99 sounds like OPS, but lies in HR now", "change_approved", "moved_issue",
          ends="dead", refuses=["jira.read"]),
    Scene("Observe mode: everything but the writes", "stale_page_review", "scheduled",
          observes=["confluence.label", "confluence.comment"]),
)  # fmt: skip


@click.command()
@click.option("--once", is_flag=True, help="Stop everything at the end; exit 0 only if all went as it should.")
@click.option("--home", default=".bridge/demo", show_default=True, type=click.Path(path_type=Path))
def demo(home: Path, *, once: bool) -> None:
    """Run the whole bridge here, against a local site, and show what it does. Needs no account and no network."""
    # Whoever ends the demo, the processes it started end with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    with _alone(home.absolute()), _stage(home.absolute()) as stage:
        wrong = _play(stage)
        _print_log(stage)
        wrong += _check_log(stage)
        _print_end(stage, wrong)
        if once:
            sys.exit(1 if wrong else 0)
        print("\nEverything goes on running. Ctrl-C stops it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
                stage.group.revive()
        print("\nstopping", flush=True)


def copy_examples(source: Path, rules: Path) -> None:
    """Copy the example rules with their payloads and what they share, and nothing else that lies there."""
    for name in EXAMPLES:
        for path in (*source.glob(f"{name}.*"), *(source / "payloads" / name).glob("*")):
            place = rules / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    shutil.copytree(source / "lib", rules / "lib", ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo runs on."""

    settings: Settings
    store: Store
    rules: Registry
    group: Group
    web: str
    site: str
    environment: Mapping[str, str]


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Refuse a second demo in the same directory."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoFailed(f"a demo runs in {home} already: stop it, or give another --home") from error
        yield


@contextlib.contextmanager
def _stage(home: Path) -> Iterator[Stage]:
    """Lay everything out in a directory of its own, start the processes, and stop them at the end."""
    began = time.monotonic()
    environment, web, site = _lay_out(home)
    settings = settings_room.read(environment)
    store = Store(settings.database_url)
    schema.ready(store)
    # Elsewhere a person runs `bridge audit init` and gives the public key to the auditor.
    seal.begin(store, keys.of(settings), "bridge.example/demo", "the demo")
    logs = home / "logs"
    logs.mkdir()
    commands = {
        "sandbox": ["sandbox", "--listen", site.removeprefix("http://")],
        "clock": ["clock"],
        "web": ["web"],
        "worker": ["worker"],
    }
    group = Group(commands, environment, logs)
    group.start()
    try:
        for url in (f"{site}/_edge/tenant_info", f"{web}/readyz"):
            _wait_for(url, group, logs)
        print(f"started in {time.monotonic() - began:.1f} s: " + ", ".join(f"{n} {p}" for n, p in group.pids().items()))
        print(f"web      {web}   (webhooks arrive at /hooks/<rule>)")
        print(f"site     {site}   (a local Jira and Confluence, to look at)")
        print(f"home     {home}   (database, logs, rules)", flush=True)
        rules = Registry(settings.rules, None)
        yield Stage(settings, store, rules, group, web, site, environment)
    finally:
        group.stop()
        store.close()


def _lay_out(home: Path) -> tuple[dict[str, str], str, str]:
    """Write the demo's bridge.toml and tokens, new each time, and return the environment and the two addresses."""
    if home.exists() and not (home / MARK).exists():
        raise DemoFailed(f"{home} exists and is not a demo's: give another --home")
    source = Path("rules").absolute()
    if not all((source / f"{name}.toml").is_file() for name in EXAMPLES):
        raise DemoFailed(f"the example rules are not in {source}: run the demo at the root of the repository")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    (home / MARK).touch()
    # A copy of the examples: rules of your own belong to another site and account than the demo has.
    rules = home / "rules"
    copy_examples(source, rules)
    web, site = f"127.0.0.1:{_free(8080)}", f"127.0.0.1:{_free(8090)}"
    tokens = {product: secrets.token_urlsafe(24) for product in ("jira", "confluence")}
    lines = [
        "[site.sandbox]",
        f'url = "http://{site}"',
        "",
        f"[account.{seed.BOT}]",
        'site = "sandbox"',
        f'email = "{seed.BOT_EMAIL}"',
    ]
    accepted = {}
    for product, token in tokens.items():
        scopes = sorted(seed.token(product).scopes)
        accepted[token] = {"account": seed.BOT, "products": [product], "scopes": scopes}
        lines += ["", f"[account.{seed.BOT}.{product}]", f'token = "env:DEMO_{product.upper()}_TOKEN"']
        lines += [f"scopes = {json.dumps(scopes)}"]
    lines += ["", "[web]", f'listen = "{web}"', ""]
    (home / "bridge.toml").write_text("\n".join(lines), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    environment |= {
        "BRIDGE_HOME": str(home),
        "BRIDGE_CONFIG": str(home / "bridge.toml"),
        "BRIDGE_RULES": str(rules),
        "BRIDGE_SECRETS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "BRIDGE_ATLASSIAN_URL": f"http://{site}",
        "BRIDGE_SANDBOX_TOKENS": json.dumps(accepted),
    }
    # A proxy of the company's has nothing to do with what stays on this machine.
    environment |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    environment |= {f"DEMO_{product.upper()}_TOKEN": token for product, token in tokens.items()}
    exports = {name: value for name, value in environment.items() if name.startswith(("BRIDGE_", "DEMO_"))}
    settings = home / "demo.env"
    settings.touch(mode=0o600)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    settings.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return environment, f"http://{web}", f"http://{site}"


def _free(wanted: int) -> int:
    """Return the wanted port, or another one if somebody listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no port is free on 127.0.0.1")


def _wait_for(url: str, group: Group, logs: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    said = "nothing"
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(url, timeout=2, trust_env=False)
            if answer.status_code == 200:  # noqa: PLR2004 - RFC 9110 section 15.3.1
                return
            said = f"{answer.status_code} {answer.text[:500]}"
        ended = group.ended()
        if ended:
            name, status = next(iter(ended.items()))
            said = (logs / f"{name}.log").read_text(encoding="utf-8")[-2000:] if (logs / f"{name}.log").exists() else ""
            raise DemoFailed(f"{name} ended with status {status}:\n{said}")
        time.sleep(LOOK)
    raise DemoFailed(f"{url} is not ready; it answers {said}; see {logs}")


def _play(stage: Stage) -> list[str]:
    """Play every scene and return what went wrong, one line each."""
    wrong: list[str] = []
    for number, scene in enumerate(SCENES, start=1):
        print(f"\n{number}. {scene.title}", flush=True)
        wrong += [f"scene {number}: {text}" for text in _show(stage, scene)]
    return wrong


def _show(stage: Stage, scene: Scene) -> list[str]:
    answer = _send(stage, scene)
    said = answer.json()
    shown = {name: said[name] for name in ("delivery", "status", "title", "detail") if name in said}
    print(f"   POST /hooks/{scene.rule} → {answer.status_code} {json.dumps(shown, ensure_ascii=False)}", flush=True)
    if answer.status_code != scene.status:
        return [f"answered {answer.status_code} instead of {scene.status}"]
    if answer.status_code not in ACCEPTED or scene.ends is None:
        return []
    state, entries = _follow(stage, str(said["delivery"]))
    wrong = [] if state == scene.ends else [f"the delivery is {state} instead of {scene.ends}"]
    for kind, outcome, verbs in (
        ("step:outcome", "done", scene.acts),
        ("step:observed", "observed", scene.observes),
        ("step:refused", "refused", scene.refuses),
    ):
        found = [entry["verb"] for entry in entries if entry["kind"] == kind and entry["outcome"] == outcome]
        if found != list(verbs):
            wrong.append(f"{outcome}: {', '.join(found) or 'nothing'} instead of {', '.join(verbs) or 'nothing'}")
    nameless = [entry for entry in entries if str(entry["kind"]).startswith("step:") and not entry.get("account")]
    return wrong + [f"an action without account: {journal.line(entry)}" for entry in nameless]


def _send(stage: Stage, scene: Scene) -> httpx.Response:
    rule = stage.rules.current().get(scene.rule)
    if rule is None:
        raise DemoFailed(f"the example rule {scene.rule} is missing in {stage.settings.rules}")
    path = stage.settings.rules / "payloads" / scene.rule / f"{scene.case}.json"
    payload = json.loads(path.read_text(encoding="utf-8")) | dict(scene.changes)
    if rule.manifest.accept.max_age is not None:
        # A recording grows old, and a rule may refuse what was sent too long ago.
        payload["sentAt"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    body = json.dumps(payload).encode()
    version = max(rule.manifest.accept.token_versions)
    signed = sender.headers(rule.manifest.source, scene.rule, version, body, stage.settings.secrets[0], time.time())
    if scene.forged:
        signed = {name: value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB") for name, value in signed.items()}
    url = f"{stage.web}/hooks/{scene.rule}"
    return httpx.post(
        url, content=body, headers={"Content-Type": "application/json", **signed}, timeout=10, trust_env=False
    )


def _follow(stage: Stage, delivery: str) -> tuple[str, list[dict[str, Any]]]:
    """Print the delivery's entries as they are written, until it has ended."""
    deadline = time.monotonic() + PATIENCE
    printed = 0
    while True:
        with stage.store.read() as connection:
            # First the state, then the entries: a delivery that has ended has written all of them.
            found = deliveries.get(connection, delivery)
            entries = journal.of_delivery(connection, delivery)
        for entry in entries[printed:]:
            print(f"   {entry['at'][11:23]}  {journal.line(entry)}", flush=True)
        printed = len(entries)
        if found is None:
            raise DemoFailed(f"delivery {delivery} was accepted and is not in the database")
        if found.state not in UNFINISHED or time.monotonic() > deadline:
            return str(found.state), entries
        time.sleep(LOOK)


def _print_log(stage: Stage) -> None:
    from bridge.audit import query

    print("\nThe audit log: every action, by its service account\n", flush=True)
    with stage.store.read() as connection:
        found = query.entries(connection, query.Filter(), limit=1000)
    for number, entry in found:
        delivery = str(entry.get("delivery", ""))[-12:]
        print(f"{number:>4}  {entry['at'][11:23]}  {delivery:12}  {entry.get('rule', '-'):18}  {journal.line(entry)}")


def _check_log(stage: Stage) -> list[str]:
    """Wait for the clock to seal what was logged, verify it and print what that says."""
    from bridge.audit import verify
    from bridge.audit.note import known
    from bridge.cli import audit_verify

    sealed = keys.of(stage.settings)
    deadline = time.monotonic() + PATIENCE
    while seal.state(stage.store, sealed).waiting and time.monotonic() < deadline:
        time.sleep(LOOK)
    report = verify.of_store(stage.store, known(sealed.vkeys()), None)
    print("\nAnd that nobody changed it since: bridge audit verify\n")
    for line in audit_verify.lines(report):
        print(f"   {line}", flush=True)
    if report.waiting:
        return [f"{report.waiting} entries are not sealed"]
    return list(report.failures)


def _print_end(stage: Stage, wrong: Sequence[str]) -> None:
    print()
    for text in wrong:
        print(f"WRONG    {text}")
    if not wrong:
        print("All went as it should.")
    home = os.path.relpath(stage.settings.home)
    print(f"\nLook at who did what on the site:  {stage.site}/browse/OPS-1  and  {stage.site}/")
    print(f"Ask the bridge yourself:           . {home}/demo.env && .venv/bin/bridge audit list --verb comment")
    print("Send something to it:              .venv/bin/bridge rules send page_published published --wait", flush=True)
