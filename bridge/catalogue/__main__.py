"""The rebuild of operations.csv: ``python -m bridge.catalogue [--check] SPEC...`` with Atlassian's OpenAPI files.

Each file given replaces the rows of its product; products without a file keep theirs. The same files always give the
same text. With ``--check`` nothing is written and the differences are printed. Exit 0: written, or no difference; 1:
differences, or verbs that name an operation which is gone; 2: could not tell.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.catalogue.openapi import SpecUnusable, read
from bridge.catalogue.operations import COLUMNS, FILE, PRODUCTS, Operation, cells, order, parse, render
from bridge.catalogue.verbs import vocabulary
from bridge.errors import SettingsInvalid

SAME, DIFFERENT, UNKNOWN = 0, 1, 2
SAID = "Rebuild operations.csv, the facts about Atlassian's REST APIs, from Atlassian's own OpenAPI files."
HOW = """\
The five files, as Atlassian publishes them; which is which is told by what is in them, not by their names:

  https://dac-static.atlassian.com/cloud/jira/platform/swagger-v3.v3.json
  https://dac-static.atlassian.com/cloud/jira/software/swagger.v3.json
  https://dac-static.atlassian.com/cloud/jira/service-desk/swagger.v3.json
  https://dac-static.atlassian.com/cloud/confluence/swagger.v3.json
  https://dac-static.atlassian.com/cloud/confluence/openapi-v2.v3.json

A product without a file keeps its rows. Look first with --check. What changes is printed, a line for each operation:
+ comes, - goes, ~ changes. Exits 0 when it is written or there is no difference; 1 when --check finds some, or when
verbs name an operation that is gone (then correct bridge/catalogue/vocabulary); 2 when it could not be told.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and give its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bridge.catalogue",
        description=SAID,
        epilog=HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="compare, print the differences, write nothing")
    parser.add_argument("--output", type=Path, default=FILE, metavar="CSV", help="the operations.csv to write or check")
    parser.add_argument("spec", type=Path, nargs="+", help="an OpenAPI file of Atlassian's")
    options = parser.parse_args(arguments)
    try:
        fresh = _fresh(options.spec)
        text, old = _present(options.output, every=set(fresh) == set(PRODUCTS))
    except (SpecUnusable, SettingsInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN
    kept = [row for row in old if row.product not in fresh]
    new = sorted([*kept, *(row for rows in fresh.values() for row in rows)], key=order)
    differences = [*_differences(old, new)]
    gone = [*_gone(old, new)]
    sys.stderr.writelines(f"{line}\n" for line in gone)
    if options.check:
        if not differences and text != render(new):
            differences = [f"{options.output}: the same operations, but not as a rebuild writes them"]
        sys.stdout.writelines(f"{line}\n" for line in differences)
        sys.stdout.write(f"{len(differences)} differences in {len(new)} operations ({', '.join(sorted(fresh))})\n")
        return DIFFERENT if differences else SAME
    try:
        _write(options.output, render(new))
    except OSError as error:
        sys.stderr.write(f"{options.output}: cannot be written: {error.strerror}\n")
        return UNKNOWN
    sys.stdout.writelines(f"{line}\n" for line in differences)
    sys.stdout.write(f"{options.output}: {len(new)} operations, {len(differences)} changed, {len(kept)} kept as is\n")
    return DIFFERENT if gone else SAME


def _fresh(specs: Sequence[Path]) -> dict[str, tuple[Operation, ...]]:
    """Read every file; every unusable one is named, not only the first, and so are two files of one product."""
    fresh: dict[str, tuple[Operation, ...]] = {}
    wrong: list[str] = []
    for path in specs:
        try:
            product, rows = read(path)
        except SpecUnusable as error:
            wrong.append(str(error))
            continue
        if product in fresh:
            wrong.append(f"{path}: a second file for {product}")
        fresh[product] = rows
    if wrong:
        raise SpecUnusable("\n".join(wrong))
    return fresh


def _present(path: Path, *, every: bool) -> tuple[str, tuple[Operation, ...]]:
    """Read the CSV as it is; it may be absent only when the files given replace ``every`` product."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not every:
            raise SpecUnusable(f"{path}: is not there, so all five files are needed: {', '.join(PRODUCTS)}") from None
        return "", ()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecUnusable(f"{path}: cannot be read: {error}") from error
    return text, parse(text, str(path))


def _differences(old: Sequence[Operation], new: Sequence[Operation]) -> Iterator[str]:
    """Say what changes, a line for each: ``-`` goes, ``+`` comes, ``~`` changes."""
    before, after = ({(row.product, row.method, row.path): row for row in rows} for rows in (old, new))
    for key in sorted({**before, **after}, key=lambda key: (key[0], key[2], key[1])):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        if was is None or now is None:
            yield f"{'-' if now is None else '+'} {' '.join(key)}"
        else:
            columns = zip(COLUMNS, cells(was), cells(now), strict=True)
            changes = (f"{name}: {one or '-'} -> {other or '-'}" for name, one, other in columns if one != other)
            yield f"~ {' '.join(key)}: {'; '.join(changes)}"


def _gone(old: Sequence[Operation], new: Sequence[Operation]) -> Iterator[str]:
    """Name the verbs whose operations go: until they are corrected, no process starts with the new file."""
    lost = _called(old) - _called(new)
    if not lost:
        return
    try:
        known = vocabulary().verbs.values()
    except SettingsInvalid as error:
        yield f"whether verbs name what goes cannot be told: {error}"
        return
    for verb in known:
        others = (part.operation for part in verb.parts)
        for name in dict.fromkeys((*verb.operations, *verb.reads, *others, *verb.bulk)):
            if (verb.product, name if " " in name else name.rpartition(":")[2]) in lost:
                yield f"{verb.full_name} names {name}, which is gone: correct bridge/catalogue/vocabulary"


def _called(rows: Sequence[Operation]) -> set[tuple[str, str]]:
    """Return all names by which verbs may call these operations: the operationId, and method and path."""
    return {(row.site_product, name) for row in rows for name in (row.operation_id, f"{row.method} {row.path}")}


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, so that a process that starts meanwhile reads the old or the new one, whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
