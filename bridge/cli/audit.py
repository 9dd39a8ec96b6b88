"""``bridge audit``: who did what, where, under which rule."""

import json
import sys
from typing import Any

import click

from bridge.audit import query
from bridge.audit.query import Filter
from bridge.cli import compose, show
from bridge.store import journal


@click.group()
def audit() -> None:
    """Read the audit log."""


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return query.moment(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@audit.command("list")
@click.option("--rule")
@click.option("--delivery", help="An id, or the first letters of one.")
@click.option("--account")
@click.option("--target", help="An issue key or page id.")
@click.option("--verb", help="comment, jira.comment, …")
@click.option("--outcome", type=click.Choice(["read", "done", "failed", "refused", "observed"]))
@click.option("--person")
@click.option("--kind", help="delivery:received, step:outcome, pause:set, …")
@click.option("--since", callback=_moment, help="2026-11-03, 2026-11-03T14:00+01:00, or an age: 90m, 2h, 7d.")
@click.option("--until", callback=_moment, help="As --since.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@show.as_json
def list_entries(*, limit: int, as_json: bool, **wanted: Any) -> None:
    """Show the newest entries that fit, oldest first."""
    with compose.store(compose.settings()).read() as connection:
        found = query.entries(connection, Filter(**wanted), limit=limit)
    if as_json:
        for number, entry in found:
            print(json.dumps({"id": number, **entry}, ensure_ascii=False))
        return
    if not found:
        print("no entry fits")
    for number, entry in found:
        delivery = str(entry.get("delivery", ""))[-12:]
        rule = show.printable(entry.get("rule"))
        print(f"{number:>6}  {entry['at'][:23]}Z  {delivery:12}  {rule:20}  {journal.line(entry)}")


@audit.command("show")
@click.argument("entry", type=int)
def show_entry(entry: int) -> None:
    """Show one entry by its number: every member, and the exact text that stands in the log."""
    with compose.store(compose.settings()).read() as connection:
        text = query.entry(connection, entry)
    if text is None:
        print(f"there is no entry {entry}", file=sys.stderr)
        sys.exit(1)
    for name, value in json.loads(text).items():
        text_of_it = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(f"{name:12} {show.printable(text_of_it)}")
    print(f"\n{text}")
