"""``bridge audit export``: a part of the log in a file, with an entry that says who took it."""

from pathlib import Path

import click

from bridge.cli import compose, show
from bridge.cli.audit_verify import number
from bridge.cli.moments import moment


@click.command("export")
@click.option("--rule", help="Only the entries of this rule; that none is missing can be shown.")
@click.option("--since", callback=moment, help="As for `audit list`; with it, completeness cannot be shown.")
@click.option("--until", callback=moment, help="As --since.")
@click.option("--format", "form", type=click.Choice(["zip", "csv", "jsonl"]), default="zip", show_default=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@show.by
def export(rule: str | None, since: str | None, until: str | None, form: str, output: Path, by: str | None) -> None:
    """Write the log, or a part of it, to a file.

    The zip is whole in itself: `bridge audit verify FILE` checks it on any machine. csv and jsonl are for reading.
    """
    from bridge.audit import export as export_room
    from bridge.audit import keys as keys_room
    from bridge.audit.export import Chosen

    known = compose.settings()
    store = compose.store(known)
    chosen, person = Chosen(rule, since, until), compose.person(by)
    export_room.note_export(store, chosen, form, person)
    if form != "zip":
        print(f"{output}: {number(export_room.write_lines(store, output, chosen, form).entries)} entries")
        return
    made = export_room.write_zip(store, output, chosen, person, keys_room.of(known).vkeys())
    print(f"{output}: {number(made.entries)} entries, {number(made.leaves)} leaves")
    if made.left_out:
        print(f"{number(made.left_out)} newer than the last checkpoint are left out")
    print(f"check it anywhere: bridge audit verify {output.name} --key PUBLIC-KEY")
