"""``bridge deliveries``: what became of each webhook."""

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
import sqlalchemy as sa

from bridge.cli import compose, show
from bridge.errors import BridgeError, RuleInvalid
from bridge.store import Store, answers, decisions, journal, registers
from bridge.store import deliveries as deliveries_room
from bridge.store.decisions import Decision, Verdict
from bridge.store.deliveries import Delivery, State, TransitionRefused
from bridge.store.journal import Kind

COLUMNS = ("id", "rule", "state", "attempt", "accepted_at", "reason")
WRITING = {Kind.INTENT, Kind.RESENT, Kind.UNSENT, Kind.OUTCOME}
CANCELLABLE = {before for before, after in deliveries_room.TRANSITIONS if after is State.CANCELLED}


@click.group()
def deliveries() -> None:
    """List, show, replay, cancel and decide deliveries."""


def _row(delivery: Delivery, held: Callable[[str], str | None]) -> dict[str, Any]:
    row = asdict(delivery)
    row.pop("payload")
    row["state"] = str(delivery.state)
    row["result"] = deliveries_room.result_of(delivery)
    if delivery.state in {State.QUEUED, State.WAITING}:
        row["reason"] = held(delivery.rule) or delivery.reason
    return row


def _holds(connection: sa.Connection) -> Callable[[str], str | None]:
    """Return a function that says which pause holds a rule's deliveries."""
    try:
        rules = compose.readable(compose.settings()).current().rules
    except RuleInvalid:
        rules = {}
    pauses = registers.pauses(connection)

    def held(name: str) -> str | None:
        account = rules[name].manifest.account if name in rules else ""
        for pause in pauses:
            if (pause.what, pause.name) in {("all", ""), ("rule", name), ("account", account)}:
                return f"{pause.what} {pause.name}".strip() + f" is paused by {pause.person}: {pause.reason}"
        return None

    return held


_filters = [
    click.option("--rule", help="Only of this rule."),
    click.option("--state", type=click.Choice([str(state) for state in State]), help="Only in this state."),
]


def _filtered(command: Any) -> Any:
    for option in _filters:
        command = option(command)
    return command


@deliveries.command("list")
@_filtered
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--before", metavar="ID", help="Go on from the last id of the page before.")
@show.as_json
def list_deliveries(rule: str | None, state: str | None, limit: int, before: str | None, *, as_json: bool) -> None:
    """Show deliveries, newest first."""
    with compose.store(compose.settings()).read() as connection:
        found = deliveries_room.listed(connection, rule=rule, state=state, before=before, limit=limit)
        held = _holds(connection)
    show.rows(COLUMNS, (_row(each, held) for each in found), json_lines=as_json, nothing="no delivery fits")


@deliveries.command("show")
@click.argument("delivery")
@click.option("--bodies", is_flag=True, help="Also the payload, and what each step asked and was answered.")
@show.as_json
def show_delivery(delivery: str, *, bodies: bool, as_json: bool) -> None:
    """Show one delivery and everything that happened to it. The first letters or the last of its id are enough."""
    store = compose.store(compose.settings())
    found = _find(store, delivery)
    with store.read() as connection:
        entries = journal.of_delivery(connection, found.id)
        row = _row(found, _holds(connection))
        kept = answers.of_run(connection, found.id, found.run) if bodies else {}
    if bodies:
        row["payload"] = None if found.payload is None else found.payload.decode("utf-8", "replace")
        row["steps"] = {f"{step} {part}": body.decode() for (step, part), body in sorted(kept.items())}
    if as_json:
        print(json.dumps(row | {"entries": entries}, ensure_ascii=False))
        return
    for name in ("id", "rule", "state", "reason", "attempt", "failures", "accepted_at", "finished_at", "initiator",
                 "order_key", "rule_digest", "result"):  # fmt: skip
        value = row[name]
        if value is not None:
            print(f"{name:12} {show.printable(value)}")
    print()
    for entry in entries:
        attempt = f"attempt {entry['attempt']}" if "attempt" in entry else ""
        print(f"{entry['at'][11:23]}  {attempt:10}  {journal.line(entry)}")
    if bodies:
        print(f"\npayload\n{_block(row['payload'])}")
        for heading, text in row["steps"].items():
            print(f"\nstep {heading}\n{_block(text)}")


def _block(text: str | None) -> str:
    """Return a body for people: indented if it is JSON, as it is otherwise, and nothing that a terminal obeys."""
    if text is None:
        return "  removed"
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return "\n".join("  " + show.printable(line) for line in text.splitlines())


def _find(store: Store, text: str) -> Delivery:
    """Find a delivery by its id or the beginning or end of it. Raises ``TransitionRefused`` if none or several fit."""
    with store.read() as connection:
        found = deliveries_room.get(connection, text)
        if found is not None:
            return found
        fitting = deliveries_room.called(connection, text)
    if len(fitting) != 1:
        raise TransitionRefused(f"{len(fitting) or 'no'} deliveries are called {text!r}; give the whole id")
    return fitting[0]


@deliveries.command()
@click.argument("ids", nargs=-1)
@_filtered
@click.option("--from-start", is_flag=True, help="Begin anew and do writes that were made once more.")
@show.reason
@click.option("--yes", is_flag=True, help="Do not ask.")
@show.by
def replay(
    ids: tuple[str, ...],
    rule: str | None,
    state: str | None,
    reason: str,
    by: str | None,
    *,
    from_start: bool,
    yes: bool,
) -> None:
    """Run dead or parked deliveries again: done steps are not repeated, refused and failed ones are decided afresh."""
    store = compose.store(compose.settings())
    chosen = _chosen(store, ids, rule, state or ("dead" if rule else None))
    if from_start:
        _list_writes(store, chosen)
        if not yes and chosen and not click.confirm("These writes will be made again. Go on?"):
            sys.exit(1)
    _each(
        store,
        chosen,
        "replayed",
        lambda connection, found: decisions.replay(
            connection, found.id, compose.person(by), reason, from_start=from_start
        ),
    )


def _list_writes(store: Store, chosen: list[Delivery]) -> None:
    for found in chosen:
        with store.read() as connection:
            entries = journal.of_delivery(connection, found.id)
        last = {entry["step"]: entry for entry in entries if entry["kind"] in WRITING}
        for _, entry in sorted(last.items()):
            if entry["kind"] in {Kind.INTENT, Kind.RESENT}:
                print(f"{found.id}  {journal.line(entry)} (of unknown fate)")
            elif entry.get("outcome") == "done":
                print(f"{found.id}  {journal.line(entry)}")


@deliveries.command()
@click.argument("ids", nargs=-1)
@_filtered
@show.reason
@show.by
def cancel(ids: tuple[str, ...], rule: str | None, state: str | None, reason: str, by: str | None) -> None:
    """End deliveries that wait, are parked, or are dead and hold back others of their order key."""
    store = compose.store(compose.settings())
    chosen = _chosen(store, ids, rule, state)
    _each(
        store,
        chosen,
        "cancelled",
        lambda connection, found: decisions.cancel(connection, found.id, compose.person(by), reason),
    )


@deliveries.command()
@click.argument("ids", nargs=-1)
@_filtered
@click.option("--done", "verdict", flag_value="done", help="The step in doubt was made.")
@click.option("--not-done", "verdict", flag_value="not-done", help="It was not made: send it.")
@click.option("--skip", "verdict", flag_value="skipped", help="Go on without it, as observe mode would.")
@click.option("--again", "verdict", flag_value="again", help="What held it is mended: look again.")
@click.option("--ref", metavar="KEY", help="With --done: key or id of what was made, for the steps that follow.")
@show.reason
@show.by
def decide(
    ids: tuple[str, ...],
    rule: str | None,
    state: str | None,
    verdict: Verdict | None,
    ref: str | None,
    reason: str,
    by: str | None,
) -> None:
    """Say what became of the step for which deliveries were parked, and let them go on.

    `bridge deliveries show ID --bodies` names the step and what it would have done; look at the site, then decide.
    """
    if verdict is None:
        raise click.UsageError("what is decided? give one of --done, --not-done, --skip and --again")
    if ref is not None and (verdict != "done" or len(ids) != 1):
        raise click.UsageError("--ref goes with --done and one delivery")
    if state not in {None, str(State.PARKED)}:
        raise click.UsageError("only parked deliveries wait for a decision")
    store = compose.store(compose.settings())
    chosen = _chosen(store, ids, rule, str(State.PARKED) if rule or state else None)
    _each(
        store,
        chosen,
        f"decided: {verdict}",
        lambda connection, found: decisions.decide(
            connection, found.id, compose.person(by), reason, Decision(verdict, ref)
        ),
    )


def _chosen(store: Store, ids: tuple[str, ...], rule: str | None, state: str | None) -> list[Delivery]:
    if ids:
        return [_find(store, text) for text in ids]
    if rule is None and state is None:
        raise click.UsageError("which deliveries? give ids, --rule or --state")
    with store.read() as connection:
        found = deliveries_room.listed(connection, rule=rule, state=state, limit=10_000)
    return found if state is not None else [each for each in found if each.state in CANCELLABLE]


def _each(store: Store, chosen: list[Delivery], done: str, act: Any) -> None:
    """Do it to each and say so; one that cannot be does not stop the others, but the exit status tells."""
    failed = 0
    for found in chosen:
        try:
            store.commit(lambda connection, found=found: act(connection, found), key=found.id)  # type: ignore[misc]
            print(f"{found.id}  {done}")
        except BridgeError as error:
            failed += 1
            print(f"{found.id}  {error}", file=sys.stderr)
    if not chosen:
        print("no delivery fits")
    sys.exit(1 if failed else 0)
