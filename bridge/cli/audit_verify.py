"""``bridge audit verify``: the log recomputed from its first entry, and what came of it in a few lines."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import compose, show
from bridge.cli.words import counted

if TYPE_CHECKING:
    from bridge.audit.note import KeyId, Verifier
    from bridge.audit.verify import Report

MOST_SHOWN = 20
LATE_SECONDS = 60
SILENT_SECONDS = 4500  # an hour between heartbeats, and a quarter


@click.command("verify")
@click.argument("export", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--outside", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="Checkpoints that were kept elsewhere: any file they stand in, also logs.")  # fmt: skip
@click.option("--key", "keys", multiple=True, metavar="KEY", help="The public key, from where the auditor keeps it.")
@show.as_json
def verify(export: Path | None, outside: tuple[Path, ...], keys: tuple[str, ...], *, as_json: bool) -> None:
    """Check that no entry was changed, removed, moved or put in; of this bridge, or of an EXPORT, offline.

    Exits 0 if all is well, 1 if something is wrong, 2 if it could not be told. Without --outside it says "OK inside
    only": whoever holds both the database and the key could have made both anew.
    """
    from bridge.audit import outside as outside_room

    kept = outside_room.notes(outside) if outside else None
    given = _given(keys)
    report = _of_store(given, kept) if export is None else _of_export(export, given, kept)
    if as_json:
        print(json.dumps(data(report), ensure_ascii=False))
    else:
        for line in lines(report):
            print(line)
    sys.exit(report.status)


def _given(keys: tuple[str, ...]) -> "dict[KeyId, Verifier]":
    from bridge.audit.note import NoteInvalid, known

    try:
        return known(key.strip() for key in keys)
    except NoteInvalid as error:
        raise click.BadParameter(str(error), param_hint="--key") from error


def _of_store(given: "Mapping[KeyId, Verifier]", kept: list[str] | None) -> "Report":
    from bridge.audit import keys as keys_room
    from bridge.audit import verify as verify_room
    from bridge.audit.note import known
    from bridge.store import schema

    settings = compose.settings()
    # Not made ready: a guard that is missing is one of the things to be told here.
    store = compose.store(settings, ready=False)
    found = schema.revision(store)
    if found != schema.newest():
        raise click.UsageError(f"the database has revision {found or 'none'}: run `bridge db upgrade`")
    believed = dict(given) or known(keys_room.of(settings).vkeys())
    report = verify_room.of_store(store, believed, kept)
    if not given and believed:
        report.remarks.append("the public key is this machine's own copy: the auditor gives theirs with --key")
    return report


def _of_export(export: Path, given: "Mapping[KeyId, Verifier]", kept: list[str] | None) -> "Report":
    from bridge.audit import verify_export

    return verify_export.of_export(export, given, kept)


def number(value: int) -> str:
    """Write a number as people read it: 1 105."""
    return f"{value:,}".replace(",", " ")


def lines(report: "Report") -> Iterator[str]:
    """Say a report, the verdict last."""
    found = report.found
    span = f", {found.first_at[:10]} … {found.last_at[:10]}" if found.first_at and found.last_at else ""
    rules = [rule for rule in found.rules if rule]
    origin = found.origin or "without a checkpoint"
    yield f"log        {origin}, {_entries(found.entries)}, {counted(len(rules), 'rule')}{span}"
    yield f"sealed     {number(found.last_size)}{_waiting(report)}"
    unchecked = f", {number(found.unchecked)} by keys unknown here" if found.unchecked else ""
    yield (
        f"signatures {number(found.valid)} of {counted(found.checkpoints, 'stored checkpoint')} valid{unchecked}"
        f"      outside: {_outside(report)}"
    )
    parked = f"parked {len(report.parked)}" + (
        f" ({', '.join(id_[-12:] for id_ in report.parked[:3])})" if report.parked else ""
    )
    yield f"rules      {_complete(report)}        in doubt {len(found.in_doubt)}   {parked}"
    for remark in [*report.remarks, *(report.outside.remarks if report.outside else ())]:
        yield f"note       {remark}"
    yield from verdict(report)


def verdict(report: "Report") -> Iterator[str]:
    """Say how it ended: one line, or one for each thing that is wrong."""
    failures = report.failures
    for failure in failures[:MOST_SHOWN]:
        yield show.printable(f"FAILED: {failure}")
    more = len(failures) - MOST_SHOWN + report.found.more_problems
    if failures and more > 0:
        yield f"FAILED: and {number(more)} more"
    if failures:
        return
    if report.untold is not None:
        yield f"NOT CHECKED: {report.untold}"
    elif report.outside is None:
        yield "OK inside only: no copy of a checkpoint from outside was given, and whoever holds the key can re-sign"
    else:
        yield "OK"


def _entries(count: int) -> str:
    return f"{number(count)} entr{'y' if count == 1 else 'ies'}"


def _waiting(report: "Report") -> str:
    from bridge.audit.verify import age

    if not report.live:
        return ""
    if not report.waiting:
        silent = age(report.found.last_at) if report.found.last_at else 0
        return f" (nothing for {_ago(silent)}: does the clock run?)" if silent > SILENT_SECONDS else ""
    old = age(report.waiting_since) if report.waiting_since else 0
    late = ": does the clock run, and is there a key?" if old > LATE_SECONDS else ""
    return f" ({number(report.waiting)} newer than the last checkpoint, {_ago(old)} old{late})"


def _ago(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"


def _outside(report: "Report") -> str:
    outside = report.outside
    if outside is None:
        return "no copy given"
    if not outside.found:
        return f"{number(outside.given)} found, none of this log"
    agree = f"{len(outside.problems)} differ" if outside.problems else "all agree"
    return f"{number(outside.found)} found, {agree}, newest {number(outside.newest)}"


def _complete(report: "Report") -> str:
    gaps = any(" is missing before " in problem or " missing: " in problem for problem in report.found.problems)
    if gaps:
        return "numbers are missing"
    rules = sum(1 for rule in report.found.rules if rule)
    return f"{rules} complete (no missing number)"


def data(report: "Report") -> dict[str, Any]:
    """Return a report for programs."""
    found, outside = report.found, report.outside
    verdicts = {0: "OK" if outside is not None else "OK inside only", 1: "FAILED", 2: "NOT CHECKED"}
    return {
        "verdict": verdicts[report.status],
        "origin": found.origin,
        "entries": found.entries,
        "sealed": found.last_size,
        "waiting": report.waiting,
        "rules": sum(1 for rule in found.rules if rule),
        "first_at": found.first_at,
        "last_at": found.last_at,
        "checkpoints": found.checkpoints,
        "checkpoints_valid": found.valid,
        "outside": None if outside is None else {"found": outside.found, "newest": outside.newest},
        "in_doubt": len(found.in_doubt),
        "parked": list(report.parked),
        "failures": report.failures,
        "remarks": [*report.remarks, *(outside.remarks if outside else ())],
        "why": report.untold,
    }
