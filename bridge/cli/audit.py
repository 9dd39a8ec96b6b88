"""``bridge audit``: who did what, where, under which rule; and that nobody changed it."""

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import click

from bridge.audit import query
from bridge.audit.query import Filter
from bridge.cli import compose, show
from bridge.cli.audit_export import export
from bridge.cli.audit_keys import init, restart, rotate
from bridge.cli.audit_verify import number, verify
from bridge.cli.moments import moment
from bridge.cli.words import counted
from bridge.store import Store, journal

LOOK_SECONDS = 0.5
LATE = 500  # how far behind the newest number an entry may still appear


@click.group()
def audit() -> None:
    """Read the audit log, seal it, check it."""


for command in (init, verify, export, rotate, restart):
    audit.add_command(command)


@audit.command("list")
@click.option("--rule")
@click.option("--delivery", help="An id, or the first letters of one.")
@click.option("--account")
@click.option("--target", help="An issue key or page id.")
@click.option("--verb", help="comment, jira.comment, …")
@click.option("--outcome", type=click.Choice(["read", "done", "failed", "refused", "observed"]))
@click.option("--person")
@click.option("--kind", help="delivery:received, step:outcome, pause:set, …")
@click.option("--since", callback=moment, help="2026-11-03, 2026-11-03T14:00+01:00, or an age: 90m, 2h, 7d.")
@click.option("--until", callback=moment, help="As --since.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--follow", "-f", is_flag=True, help="Go on showing entries as they are written, until Ctrl-C.")
@show.as_json
def list_entries(*, limit: int, follow: bool, as_json: bool, **wanted: Any) -> None:
    """Show the newest entries that fit, oldest first."""
    store = compose.store(compose.settings())
    coming = _Following(store, Filter(**wanted)) if follow else None
    with store.read() as connection:
        found = query.entries(connection, Filter(**wanted), limit=limit)
    if not found and not as_json and not follow:
        print("no entry fits")
    _print(found, as_json=as_json)
    printed = {id_ for id_, _ in found}
    with contextlib.suppress(KeyboardInterrupt):
        while coming is not None:
            time.sleep(LOOK_SECONDS)
            # What was written between the two looks at the beginning is in both.
            _print([each for each in coming.more() if each[0] not in printed], as_json=as_json)


class _Following:
    """What is written from its making on; each look goes back a little, for what was committed late."""

    def __init__(self, store: Store, wanted: Filter) -> None:
        self._store = store
        self._wanted = wanted
        with store.read() as connection:
            self._highest = query.highest(connection)
            known = query.newer(connection, wanted, frozenset(), self._highest - LATE)
        self._seen = frozenset(id_ for id_, _ in known)

    def more(self) -> list[tuple[int, dict[str, Any]]]:
        """Return what fits and was not there at the last look, oldest first."""
        with self._store.read() as connection:
            found = query.newer(connection, self._wanted, self._seen, self._highest - LATE)
            self._highest = max(self._highest, query.highest(connection))
        ids = [*self._seen, *(id_ for id_, _ in found)]
        self._seen = frozenset(id_ for id_ in ids if id_ > self._highest - LATE)
        return found


def _print(found: Iterable[tuple[int, Mapping[str, Any]]], *, as_json: bool) -> None:
    for id_, entry in found:
        if as_json:
            print(json.dumps({"id": id_, **entry}, ensure_ascii=False), flush=True)
            continue
        delivery = str(entry.get("delivery", ""))[-12:]
        rule = show.printable(entry.get("rule"))
        print(f"{id_:>6}  {entry['at'][:23]}Z  {delivery:12}  {rule:20}  {journal.line(entry)}", flush=True)


@audit.command("show")
@click.argument("entry", type=int)
def show_entry(entry: int) -> None:
    """Show one entry by its number: every member, how it is sealed, and the exact text that stands in the log."""
    known = compose.settings()
    with compose.store(known).read() as connection:
        text = query.entry(connection, entry)
        said = {} if text is None else json.loads(text)
        seal = query.seal_of(connection, entry) if text is not None else None
        kept = query.bodies_kept(connection, said)
    if text is None:
        print(f"there is no entry {entry}", file=sys.stderr)
        sys.exit(1)
    for name, value in said.items():
        text_of_it = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        gone = f"  (removed after {counted(known.audit.days, 'day')})" if kept.get(name) is False else ""
        print(f"{name:12} {show.printable(text_of_it)}{gone}")
    print(f"{'sealed':12} {_sealed(seal)}")
    print(f"\n{text}")


def _sealed(seal: query.Seal | None) -> str:
    if seal is None:
        return "not yet"
    covered = f"checkpoint {number(seal.checkpoint)}" if seal.checkpoint else "no checkpoint"
    return f"leaf {number(seal.seq)}, #{number(seal.rule_seq)} of its rule, in {covered}"
