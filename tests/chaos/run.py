"""One run: everything started, everything sent, things killed and spoilt meanwhile, then quiet, then the verdict."""

import contextlib
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bridge.errors import StoreUnavailable
from bridge.sandbox import seed
from bridge.store import journal, schema
from bridge.store.deliveries import State
from bridge.store.tables import deliveries
from tests.chaos import forgetful, recovery
from tests.chaos.judge import Judge, Verdict, known
from tests.chaos.kills import Done, Killer
from tests.chaos.options import REQUEST_TIMEOUT, SETTLE_FACTOR, Options
from tests.chaos.plan import Planned, planned
from tests.chaos.sending import Sender
from tests.chaos.troubles import LATEST, Troubles
from tests.faults.installation import Installation, NotAsWanted
from tests.postgresql import Server

RULES = Path(__file__).with_name("rules")
WORKER_PROCESSES = 3
LOOK_SECONDS = 0.2
TELL_SECONDS = 15.0
MOST_SHOWN = 4
HELD_SECONDS = 2.0
SENT_BY = 0.9  # of the kills, after which all is sent
LONGER = 4  # by which a busy machine may make a run longer
MOVING = (State.QUEUED, State.RUNNING, State.WAITING)


@dataclass(slots=True)
class Report:
    """What came of a run."""

    options: Options
    sent: int
    answered: int
    done: Done
    faults: Counter[str]
    verdict: Verdict
    recovery: list[recovery.TakenUp]
    seconds: float
    evidence: list[str]
    states: Counter[str]


def run(options: Options) -> Report:
    """Make one run; leaves nothing behind, unless ``keep`` is set. Raises ``NotAsWanted`` if nothing can be started."""
    home = Path(tempfile.mkdtemp(prefix="bridge-chaos-"))
    try:
        with _installation(options, home) as (installation, server):
            return _Run(options, installation, server).made()
    finally:
        if options.keep:
            print(f"kept: {home}", flush=True)
        else:
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _installation(options: Options, home: Path) -> Iterator[tuple[Installation, Server | None]]:
    # PostgreSQL's own user must be able to reach its files.
    home.chmod(0o755)
    (home / "data").mkdir()
    server = Server(home / "data" / "postgresql") if options.database == "postgresql" else None
    try:
        url = f"sqlite:///{home / 'data' / 'bridge.db'}"
        if server is not None:
            server.execute('CREATE DATABASE "bridge"')
            url = server.url.set(database="bridge").render_as_string(hide_password=False)
        installation = Installation(
            home / "installation",
            url,
            worker_processes=WORKER_PROCESSES,
            request_timeout=REQUEST_TIMEOUT,
            settle_factor=SETTLE_FACTOR,
            started_by={} if options.recall else {"worker": forgetful.MODULE},
        )
        for path in RULES.iterdir():
            if path.is_file():
                shutil.copy(path, installation.rules)
        schema.ready(installation.store)
        sealed = installation.bridge("audit", "init", "--outside", "no", "--as", "chaos")
        if sealed.returncode:
            raise NotAsWanted(sealed.stderr)
        try:
            yield installation, server
        finally:
            installation.close()
    finally:
        if server is not None:
            server.close()


class _Run:
    def __init__(self, options: Options, installation: Installation, server: Server | None) -> None:
        self._options = options
        self._installation = installation
        self._killer = Killer(installation, server, options.seed)
        self._troubles = Troubles(installation, options.seed)
        self._began = time.monotonic()
        self._told = self._began

    def made(self) -> Report:
        """Make the run and judge it."""
        options, installation = self._options, self._installation
        installation.start()
        plan = self._plan()
        sender = Sender(installation, plan, lambda: (self._killer.total + 1) / (options.kills * SENT_BY + 1))
        sender.start()
        self._troubles.start()
        try:
            self._break_things(sender)
        finally:
            self._killer.look_after(everything=True)
            self._troubles.stop()
            sender.stop()
        self._become_quiet()
        tags = {json.dumps(each.payload).encode(): each.tag for each in plan}
        found = known(installation.store, tags)
        judge = Judge(found, installation.site_state(), self._troubles.late, self._killer.done.frozen)
        verdict = judge.judge(sender.sent)
        self._ask_audit(verdict)
        evidence: list[str] = []
        for delivery in sorted(verdict.deliveries)[:MOST_SHOWN]:
            entries = found.entries[delivery]
            evidence.append(f"\n{delivery}")
            for entry, line in zip(entries, journal.lines(entries), strict=True):
                evidence.append(f"  {entry['at'][11:23]}  attempt {entry.get('attempt', '-')}  {line}")
        return Report(
            options,
            len(plan),
            sum(each.answers > 0 for each in sender.sent),
            self._killer.done,
            self._troubles.taken,
            verdict,
            recovery.taken_up(found.entries, self._killer.done.killed),
            time.monotonic() - self._began,
            evidence,
            Counter(str(each.state) for stored in found.by_tag.values() for each in stored),
        )

    def _plan(self) -> list[Planned]:
        state = self._installation.site_state()
        titles = ("Runbooks", "Restart the mail gateway", "Incident reviews")
        pages = {page["title"]: page["id"] for page in state["pages"].values()}
        person = next(account["id"] for account in state["accounts"] if account["name"] == seed.PERSON)
        return planned(self._options.seed, self._options.deliveries, [pages[title] for title in titles], person)

    def _break_things(self, sender: Sender) -> None:
        """Kill at an even pace until all kills are made and all is sent."""
        due = time.monotonic()
        deadline = due + self._options.kills * self._options.gap * LONGER + self._options.quiet_seconds
        while (self._killer.total < self._options.kills or sender.running) and time.monotonic() < deadline:
            self._killer.look_after()
            if time.monotonic() >= due and self._killer.total < self._options.kills and self._killer.kill():
                due = max(due + self._options.gap, time.monotonic())
            self._tell(f"{self._killer.total} kills")
            time.sleep(LOOK_SECONDS)

    def _tell(self, text: str) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            states = ", ".join(f"{count} {state}" for state, count in sorted(self._states().items()))
            print(f"{self._told - self._began:5.0f} s  {text}; {states}", flush=True)

    def _states(self) -> Counter[State]:
        return Counter(State(state) for _, state, _ in self._rows())

    def _rows(self) -> list[tuple[str, str, str]]:
        try:
            with self._installation.store.read() as connection:
                query = sa.select(deliveries.c.id, deliveries.c.state, deliveries.c.rule)
                return [(row.id, row.state, row.rule) for row in connection.execute(query)]
        except StoreUnavailable:
            return []

    def _become_quiet(self) -> None:
        """Wait until nothing moves; decide what is parked and let go of what is held, as a person would."""
        deadline = time.monotonic() + self._options.quiet_seconds
        released: set[str] = set()
        before: Counter[State] = Counter()
        since = time.monotonic()
        while time.monotonic() < deadline:
            self._killer.look_after()
            rows = self._rows()
            states = Counter(State(state) for _, state, _ in rows)
            if states != before:
                before, since = states, time.monotonic()
            for delivery, state, rule in rows:
                if state == State.PARKED:
                    self._decide(delivery)
                # A pause shows whether anything behind it runs before it is let go.
                held = state == State.DEAD and rule == "ledger" and time.monotonic() - since >= HELD_SECONDS
                if held and delivery not in released and _only_held(states):
                    released.add(delivery)
                    self._bridge("deliveries", "cancel", delivery)
            if rows and not any(states[state] for state in (*MOVING, State.PARKED)):
                break
            self._tell("quiet")
            time.sleep(LOOK_SECONDS)
        time.sleep(LATEST if self._troubles.late else 0.0)

    def _decide(self, delivery: str) -> None:
        """Look at the site for the property that the parked step was to make, and say what is so.

        What was parked for another reason is cancelled, so that those behind it go on: the verdict tells of it.
        """
        payload = json.loads(self._installation.delivery(delivery).payload or b"{}")
        page = self._installation.site_state()["pages"][payload["page"]["id"]]
        made = any(payload["tag"] in comment["properties"] for comment in page["comments"])
        if not self._bridge("deliveries", "decide", delivery, "--done" if made else "--not-done"):
            self._bridge("deliveries", "cancel", delivery)

    def _bridge(self, *arguments: str) -> bool:
        return self._installation.bridge(*arguments, "--reason", "chaos", "--as", "chaos").returncode == 0

    def _ask_audit(self, verdict: Verdict) -> None:
        """Have the log verified and, if the bridge has the command, compared with the site's own markers."""
        from bridge.cli.audit import audit

        asked = {"verify": {0}, "reconcile": {0, 1} if verdict.holes else {0}}
        for name, agrees in asked.items():
            ended = self._installation.bridge("audit", name) if name in audit.commands else None
            if ended is not None and ended.returncode not in agrees:
                said = f"{ended.stdout}{ended.stderr}"[-2000:]
                verdict.other.append(f"bridge audit {name} ended with status {ended.returncode}:\n{said}")


def _only_held(states: Counter[State]) -> bool:
    """Tell whether what is left to do stands behind a dead delivery of its order key."""
    return not states[State.RUNNING] and not states[State.WAITING]
