"""Where ``bridge doctor --live`` acts: a rule of its own, whose deliveries go through egress like any other's.

So every call is judged by a scope, journalled with the account's name, and made once; whoever reads the log later finds
there what was tried, by whom and what came of it. No worker takes part: each delivery is claimed as soon as it is made,
and one that cannot end is cancelled, because nobody else has this rule.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from bridge.cli import compose, config_text
from bridge.cli.init_ask import known_scopes
from bridge.errors import ActionFailed, ActionRefused, BridgeError, Stop
from bridge.rule.context import Context
from bridge.rule.door import Claim, Door
from bridge.settings import Account, Settings
from bridge.store import Store, decisions, deliveries, journal, registers
from bridge.store.deliveries import Received, State, TransitionRefused
from bridge.store.engine import new_id
from bridge.work.lease import Leases

RULE = "doctor_live"
ACTIONS = 200
CLAIMS = 4
TAKEN = frozenset({"waiting", "held", "ended"})  # what the claim of a delivery says that somebody else was given first
HANDLER = '''\
"""Nothing by itself: `bridge doctor --live` makes the calls of this rule."""


def handle(event, context):
    """Do nothing."""
'''


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one trial: ``how`` is done, failed (the site said no), refused (the scope did) or stopped.

    ``delivery`` is under which it stands in the log; ``lacks`` are the OAuth scopes for want of which it was stopped.
    """

    how: str
    delivery: str
    result: Any = None
    text: str = ""
    status: int = 0
    lacks: tuple[str, ...] = ()


class Stage:
    """Makes deliveries of the throwaway rule and acts in them, one trial in each."""

    def __init__(self, known: Settings, opened: Store, client: httpx.Client, account: Account, person: str) -> None:
        self.known = known
        self.store = opened
        self.account = account
        self._client = client
        self._person = person
        self._leases = Leases()

    def perform(self, about: str, act: Callable[[Context], Any]) -> Done:
        """Make a delivery and act in it; whatever happens is told by what is returned, but for being interrupted."""
        try:
            claim = self._claimed(about)
        except Stop as stop:
            return Done("stopped", "", text=stop.why)
        delivery = claim.delivery
        try:
            with self._leases.hold(self._client, claim) as lease:
                context = Context(self._client, claim)
                lease.bind(context)
                done = self._acted(delivery, act, context)
                failed = done.how in {"failed", "refused"}
                door = Door(self._client, claim)
                door.finish("failed" if failed else "returned", error=done.text or None, steps=context.steps)
        except Stop as stop:
            return self._stopped(delivery, stop)
        except BaseException:
            self._give_up(delivery, "interrupted")
            raise
        if failed:
            # Dead deliveries are what people look after, and nobody needs to look after this one.
            self._give_up(delivery, done.text)
        return done

    def _claimed(self, about: str, turns: int = CLAIMS) -> Claim:
        """Make a delivery and claim it. Raises ``Stop`` if it is not to be had.

        A worker of the running bridge may be faster, and can do nothing with a rule that it does not have: then another
        delivery is made.
        """
        payload = json.dumps({"doctor": about}).encode()
        facts = {"scheme": "doctor", "person": self._person}
        received = Received(new_id(), RULE, State.QUEUED, payload, facts=facts)
        self.store.commit(lambda connection: deliveries.accept(connection, received), key=received.id)
        try:
            return Door.claim(self._client, received.id, "doctor")
        except BaseException as error:
            self._give_up(received.id, "it was not claimed in time")
            if turns > 1 and isinstance(error, Stop) and error.state in TAKEN:
                return self._claimed(about, turns - 1)
            raise

    def _acted(self, delivery: str, act: Callable[[Context], Any], context: Context) -> Done:
        try:
            return Done("done", delivery, act(context))
        except ActionFailed as error:
            return Done("failed", delivery, text=error.detail, status=error.status)
        except ActionRefused as error:
            return Done("refused", delivery, text=str(error))
        except (BridgeError, ValueError, TypeError, LookupError) as error:
            return Done("failed", delivery, text=f"{type(error).__name__}: {error}")

    def _stopped(self, delivery: str, stop: Stop) -> Done:
        """Tell why egress ended the attempt, and leave nothing behind that waits: nobody else could go on with it."""
        lacks: tuple[str, ...] = ()
        with self.store.read() as connection:
            paused = next((one for one in registers.pauses(connection) if (one.what, one.name) == ("rule", RULE)), None)
        if paused is not None:
            lacks = _named(paused.reason)
            self.store.commit(
                lambda connection: registers.lift_pause(connection, "rule", RULE, self._person, "the trial goes on")
            )
        self._give_up(delivery, stop.why)
        return Done("stopped", delivery, text=stop.why, lacks=lacks)

    def _give_up(self, delivery: str, why: str) -> None:
        def work(connection: sa.Connection) -> None:
            with contextlib.suppress(TransitionRefused):
                decisions.cancel(connection, delivery, self._person, f"bridge doctor --live: {why}"[:500])

        with self.store.read() as connection:
            found = deliveries.get(connection, delivery)
        if found is not None and found.state is State.RUNNING:
            # Only what nobody works on can be cancelled, so our own attempt is ended first.
            self.store.commit(
                lambda connection: deliveries.end_attempt(
                    connection, self.store, delivery, found.attempt, State.WAITING, why=why, delay=0
                ),
                key=delivery,
            )
        self.store.commit(work, key=delivery)

    def entries(self, delivery: str) -> list[dict[str, Any]]:
        """Return what stands in the log of a trial."""
        with self.store.read() as connection:
            return journal.of_delivery(connection, delivery)


def _named(reason: str) -> tuple[str, ...]:
    """Return the OAuth scopes that a pause for want of them names."""
    known = known_scopes()
    return tuple(dict.fromkeys(word for word in reason.replace(",", " ").split() if word in known))


@contextlib.contextmanager
def stage(
    known: Settings, account: Account, grants: Mapping[str, Mapping[str, Sequence[str]]], person: str
) -> Iterator[Stage]:
    """Put a rule with this scope, product → project or space → verbs, in force for this process alone."""
    # A ceiling is for rules. Whoever tries this names the place himself, and it is cleaned up again.
    accounts = {account.name: replace(account, ceiling=None)}
    with tempfile.TemporaryDirectory(prefix="bridge-doctor-") as name:
        rules = Path(name)
        (rules / f"{RULE}.toml").write_text(_manifest(account.name, grants), encoding="utf-8")
        (rules / f"{RULE}.py").write_text(HANDLER, encoding="utf-8")
        mine = replace(known, rules=rules, accounts=accounts)
        opened = compose.store(mine)
        try:
            rule = compose.registry(mine).current().rules[RULE]

            def prepare(connection: sa.Connection) -> None:
                registers.keep_rule(connection, RULE, rule.digest, rule.texts, person)
                # One that was killed may have left it paused.
                registers.lift_pause(connection, "rule", RULE, person, "bridge doctor --live begins")

            opened.commit(prepare, key=RULE)
            with compose.egress(mine, opened) as client:
                yield Stage(mine, opened, client, accounts[account.name], person)
        finally:
            opened.close()


def _manifest(account: str, grants: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    lines = [
        'title = "What bridge doctor --live tries, on an issue and a page that it makes and deletes"',
        'owner = "bridge doctor"',
        'source = "other"',
        f"account = {config_text.literal(account)}",
        'mode = "act"',
    ]
    for product, containers in grants.items():
        if containers:
            lines += ["", f"[scope.{product}]"]
            lines += [
                f"{config_text.literal(each)} = {config_text.literal(list(verbs))}"
                for each, verbs in containers.items()
            ]
    return "\n".join([*lines, "", "[scope.limits]", f"actions = {ACTIONS}", ""])
