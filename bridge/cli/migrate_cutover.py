"""``bridge migrate cutover``: a rule takes over from the automation's own actions, with no gap and nothing done twice.

The two forms of the automation send tokens of different versions. First the rule, still observing, stops taking the
observing form's version; what it had taken is let end. Only then is it set to act, on the acting form's version, which
nobody sends yet. Last the acting form is put on the site. So whatever fires, at whatever moment, is done by the
automation (and its webhook refused) or by the rule (and the automation has no such actions any more).
"""

import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import click
import httpx

from bridge.cli import compose, init_files, migrate_access, migrate_compare, migrate_next, migrate_site, show
from bridge.cli import migrate_files as files
from bridge.cli.migrate_site import CannotPut, Place
from bridge.cli.rules_send import with_path
from bridge.cli.words import counted, listed
from bridge.migrate.api import Management
from bridge.migrate.rule_text import ACTING, OBSERVING
from bridge.rule.manifest import Manifest, parse
from bridge.settings import Settings
from bridge.store import Store, deliveries, journal
from bridge.store.deliveries import State
from bridge.store.journal import Kind

OPEN = (State.QUEUED, State.RUNNING, State.WAITING)
PATIENCE = 120.0  # seconds; files are taken within 5, deliveries in the queue end within their time limits
STEP = 0.5
TAKEN = 6.0
_MODE = re.compile(r'^mode(\s*)=(\s*)"(observe|act)"', re.MULTILINE)
_VERSIONS = re.compile(r"^token_versions(\s*)=(\s*)\[[0-9, ]*\]", re.MULTILINE)


@click.command(short_help="Let a rule act in place of the automation's own actions.")
@click.argument("rule")
@click.option("--from", "directory", type=click.Path(path_type=Path, file_okay=False), help="What write made for it.")
@click.option("--undo", is_flag=True, help="Put the backup back, and let the rule observe again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--url", metavar="URL", help="Where the bridge is reached (default: [web] public_url).")
@click.option(
    "--taken", default=TAKEN, show_default=True, help="Seconds within which all processes take changed rule files."
)
@click.option("--no-wait", is_flag=True, help="Do not wait for the first action.")
@migrate_access.options
def cutover(
    rule: str,
    directory: Path | None,
    site: str | None,
    email: str | None,
    product: str,
    url: str | None,
    taken: float,
    *,
    undo: bool,
    yes: bool,
    no_wait: bool,
) -> None:
    """Compare what RULE would have done with what the automation did, then let it act in its place.

    All rules of the automation go over together. Needs the running bridge, and your API token for the management API,
    which is asked for and not kept. Without --email it prints the same steps for the hand. Exits 1 if it stopped half
    way, which is safe: the automation goes on acting itself.
    """
    known = compose.settings()
    where = directory or Path("automations") / rule
    if email is None:
        _print_by_hand(where, rule)
        return
    here = migrate_site.place(where)
    if rule not in here.rules:
        raise click.UsageError(f"{where} is of {listed(here.rules)}, not of {rule}")
    asked = migrate_access.of(site, email, here.product if product == "jira" else product)
    base = url or known.public_url
    if base is None:
        raise click.UsageError("where is the bridge reached? Give --url, or set public_url under [web] in bridge.toml")
    change = _Change(known, compose.store(known), here, base, taken, yes=yes)
    try:
        with migrate_access.opened(asked, here.cloud_id) as management:
            if undo:
                _back(change, lambda: migrate_site.restore(management, here, yes=yes))
            else:
                _compare(change, [*_each_compared(change, management)])
                _over(change, lambda: migrate_site.replace(management, here, "act", expected="observe", yes=yes))
    except CannotPut as error:
        click.echo(f"bridge: {error}", err=True)
        sys.exit(1)
    if not undo and not no_wait:
        sys.exit(0 if _confirmed(change) else 1)


def _print_by_hand(where: Path, rule: str) -> None:
    print("Without --email nothing is changed here; these are the steps for the hand:")
    about = where / files.ABOUT
    rules = [str(each) for each in files.payload(about).get("rules", [rule])] if about.is_file() else [rule]
    for line in migrate_next.by_hand(rules, where):
        print(line)


@dataclass(frozen=True, slots=True)
class _Change:
    """The rules that go over together, and the bridge that runs them."""

    known: Settings
    store: Store
    here: Place
    base: str
    taken: float
    yes: bool

    def manifest(self, rule: str) -> Manifest:
        """Read a rule's file; raise ``RuleInvalid`` for one with mistakes."""
        return parse(self.file(rule).read_text(encoding="utf-8"), rule)

    def file(self, rule: str) -> Path:
        """Where the rule's file is; raise ``CannotPut`` if it is not there."""
        path = self.known.rules / f"{rule}.toml"
        if not path.is_file():
            raise CannotPut(f"there is no {path}: the bridge must have the rules that write made")
        return path

    def rewrite(self, rule: str, *, version: int, mode: str) -> None:
        """Change version and mode in a rule's file and leave the rest as it is."""
        path = self.file(rule)
        text = path.read_text(encoding="utf-8")
        text, modes = _MODE.subn(lambda found: f'mode{found[1]}={found[2]}"{mode}"', text, count=1)
        text, versions = _VERSIONS.subn(lambda found: f"token_versions{found[1]}={found[2]}[{version}]", text, count=1)
        read = tomllib.loads(text)
        if (modes, versions) != (1, 1) or read.get("mode") != mode or read["accept"]["token_versions"] != [version]:
            raise CannotPut(f'set mode = "{mode}" and token_versions = [{version}] in {path} yourself: it was changed')
        init_files.put(path, text, path.stat().st_mode & 0o777)
        print(f'{rule}: mode = "{mode}", token_versions = [{version}]')

    def accepts(self, rule: str, version: int) -> bool:
        """Ask the running bridge whether it takes a version of the token, for a delivery that there is not."""
        from bridge.ingress.signature import mint_token

        token = mint_token(self.known.secrets[0], rule, version)
        url = with_path(self.base, f"/hooks/{rule}/{uuid4()}")
        try:
            answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10.0)
        except httpx.HTTPError as error:
            raise CannotPut(f"the bridge at {self.base} does not answer: {type(error).__name__}") from None
        return answer.status_code != httpx.codes.UNAUTHORIZED

    def unfinished(self, rule: str) -> int:
        """Count the rule's deliveries that have not ended."""
        with self.store.read() as connection:
            return sum(len(deliveries.listed(connection, rule=rule, state=str(state))) for state in OPEN)


def _each_compared(change: _Change, management: Management) -> Iterator[migrate_compare.Compared]:
    for rule in change.here.rules:
        yield from migrate_compare.compared(change.store, management, rule)


def _compare(change: _Change, found: Sequence[migrate_compare.Compared]) -> None:
    for each in found:
        print(show.printable(str(each)))
    missing = sum(each.verdict == "not found" for each in found)
    print(f"{counted(len(found), 'action')} observed, {missing} of which the site does not show")
    if (missing or not found) and not change.yes:
        why = "nothing was observed yet" if not found else "what was observed and what was done differ"
        if not sys.stdin.isatty():
            raise CannotPut(f"{why}: look at it, and give --yes to go on all the same")
        if not click.confirm(f"{why[0].upper()}{why[1:]}. Go on all the same?", default=False):
            raise click.Abort


def _over(change: _Change, put: Callable[[], None]) -> None:
    rules = change.here.rules
    change.known.key()
    if all(change.manifest(rule).mode == "act" for rule in rules):
        print("the rules act already")
    else:
        for rule in rules:
            change.rewrite(rule, version=ACTING, mode="observe")
        _until(change, "the bridge no longer takes what the observing form sends", _refused, OBSERVING)
        time.sleep(change.taken)
        _until(change, "what it had taken has ended", _ended, 0)
        for rule in rules:
            change.rewrite(rule, version=ACTING, mode="act")
    _until(change, "the bridge has the rules that act", _loaded, 0)
    # One process has said so. A worker that still observed would do nothing, so all are given their time.
    time.sleep(change.taken)
    put()


def _back(change: _Change, put: Callable[[], None]) -> None:
    put()
    # What fired a moment ago still sends what the acting form says, and that is done; the automation does the rest.
    time.sleep(change.taken)
    _until(change, "what the acting form had sent has ended", _ended, 0)
    for rule in change.here.rules:
        change.rewrite(rule, version=OBSERVING, mode="observe")


def _refused(change: _Change, rule: str, version: int) -> bool:
    return not change.accepts(rule, version)


def _ended(change: _Change, rule: str, _: int) -> bool:
    return change.unfinished(rule) == 0


def _loaded(change: _Change, rule: str, _: int) -> bool:
    """Tell whether a running process keeps the rule's present text among those it has loaded."""
    from bridge.store import registers

    digest = compose.readable(change.known).current().rules[rule].digest.removeprefix("sha256:")
    with change.store.read() as connection:
        return bool(registers.rule_texts(connection, rule, digest))


def _until(change: _Change, what: str, holds: Callable[[_Change, str, int], bool], argument: int) -> None:
    """Wait until something holds for all rules; raise ``CannotPut`` when it does not come to be."""
    end = time.monotonic() + PATIENCE
    while not all(holds(change, rule, argument) for rule in change.here.rules):
        if time.monotonic() > end:
            raise CannotPut(f"stopped: after {PATIENCE:.0f} seconds it does not hold that {what}; run it again later")
        time.sleep(STEP)
    print(f"{what}")


def _confirmed(change: _Change) -> bool:
    """Wait for the first action of one of the rules, and say who made it."""
    print("waiting for the first action (Ctrl-C ends the waiting, not the change) …")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for rule in change.here.rules:
            with change.store.read() as connection:
                for each in deliveries.listed(connection, rule=rule, limit=5):
                    made = [entry for entry in journal.of_delivery(connection, each.id) if _acted(entry)]
                    if made:
                        print(f"acted: {show.printable(journal.line(made[0]))}")
                        return True
        time.sleep(STEP)
    print(f"nothing fired within {PATIENCE:.0f} seconds; later: bridge deliveries list --rule {change.here.rules[0]}")
    return False


def _acted(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("kind") == Kind.OUTCOME and entry.get("outcome") == "done"
