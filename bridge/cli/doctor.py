"""``bridge doctor``: one look at everything an installation stands on, each with what to do about it."""

import json
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from bridge.cli import audit_checkup, check, compose, reach, show
from bridge.cli.check import FAIL, OK, WARN, Check, near
from bridge.cli.words import counted
from bridge.egress.gate import Scripts
from bridge.errors import QueueUnavailable, RuleInvalid, SettingsInvalid, StoreUnavailable
from bridge.rule.registry import RuleSet, facts, load
from bridge.settings import Settings
from bridge.store import Store, registers, schema


@click.command()
@click.option("--live", nargs=2, metavar="PROJECT SPACE", help="Try everything on a throwaway issue and page there.")
@click.option("--account", metavar="NAME", help="With --live: the account to try, where rules act as several.")
@click.option("--yes", is_flag=True, help="With --live: do not ask before anything is made.")
@show.by
@show.as_json
def doctor(live: tuple[str, str] | None, account: str | None, by: str | None, *, yes: bool, as_json: bool) -> None:
    """Check settings, database, queue, rules and every account's access; say what to do about each.

    Exits 0 if all is well or only warned of, 1 if something failed, 2 if something could not be told. Asks the sites,
    changes nothing there, and prints no secret.

    With --live it makes an issue and a page in a project and a space kept for such things (- for none), tries what the
    rules do there, finds out which OAuth scopes the credentials really have, and deletes both again.
    """
    if live is None:
        sys.exit(examine(as_json=as_json))
    from bridge.cli import live as live_room

    sys.exit(live_room.try_out(live[0], live[1], account, by, yes=yes, as_json=as_json))


def examine(*, as_json: bool = False) -> int:
    """Look at everything, print it and return the exit status."""
    levels = set()
    for found in _checks():
        levels.add(found.level)
        if as_json:
            print(json.dumps(found.as_data(), ensure_ascii=False), flush=True)
        else:
            print(found, flush=True)
    return check.status(levels)


def _checks() -> Iterator[Check]:
    try:
        known = compose.settings()
    except SettingsInvalid as error:
        for mistake in error.mistakes:
            yield Check(FAIL, "settings", str(mistake), "mend it; the rest can be told when the settings can be read")
        return
    yield _settings(known)
    yield _secrets(known)
    if known.public_url is not None:
        yield _public(known, known.public_url)
    store = Store(known.database_url)
    try:
        database = list(_database(known, store))
        yield from database
        queue = _queue(known)
        yield queue
        if all(each.level != FAIL for each in database):
            yield from _pauses(store)
            yield from audit_checkup.checks(known, store)
        rules, told = _rules(known)
        yield from told
        shared = _shared(known) if queue.level == OK else None
        well = all(each.level != FAIL for each in database)
        yield from _accounts(known, store, rules, shared, store_is_well=well)
    finally:
        store.close()


def _settings(known: Settings) -> Check:
    if not known.config.exists():
        return Check(
            WARN, "settings", f"there is no {near(known.config)}: no site, no account", "`bridge init` writes it"
        )
    counts = f"{counted(len(known.sites), 'site')} and {counted(len(known.accounts), 'account')}"
    return Check(
        OK, "settings", f"{near(known.config)} has {counts}; home {near(known.home)}, rules in {near(known.rules)}"
    )


def _secrets(known: Settings) -> Check:
    try:
        known.key()
    except SettingsInvalid as error:
        return Check(
            FAIL, "secrets", str(error.mistakes[0]), "until then every webhook is refused; `bridge init` makes one"
        )
    others = f", and {len(known.secrets) - 1} older" if len(known.secrets) > 1 else ""
    return Check(OK, "secrets", f"key {known.secrets[0].id}{others}")


def _public(known: Settings, url: str) -> Check:
    found = reach.look(known, url)
    if found.well is None:
        return Check(WARN, "web", found.text, found.todo)
    return Check(OK if found.well else FAIL, "web", found.text, found.todo)


def _database(known: Settings, store: Store) -> Iterator[Check]:
    name = store.url.render_as_string(hide_password=True)
    try:
        known.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = schema.revision(store)
        if found is None:
            schema.upgrade(store)
            found = schema.revision(store)
        if found != schema.newest():
            wanted = schema.newest()
            yield Check(FAIL, "database", f"{name} has revision {found}, not {wanted}", "run `bridge db upgrade`")
            return
        yield Check(OK, "database", f"{name}, revision {found}")
        yield _guards(store)
        if not store.sqlite:
            yield _database_user(store)
    except (StoreUnavailable, OSError) as error:
        yield Check(FAIL, "database", f"{name}: {error}", "nothing is accepted while it is away: start it or make room")


def _guards(store: Store) -> Check:
    missing = schema.missing_guards(store)
    if missing:
        text = f"the journal can be changed: {', '.join(missing)} missing"
        return Check(FAIL, "journal", text, "find out who removed it, then restore the database from before")
    return Check(OK, "journal", "can be added to and not changed")


def _database_user(store: Store) -> Check:
    """Warn when the processes could take the journal's guards away: its owner may, and so may a superuser."""
    query = (
        "SELECT pg_get_userbyid(relowner) = current_user "
        "OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
        "FROM pg_class WHERE oid = 'journal'::regclass"
    )
    with store.read() as connection:
        owns = bool(connection.execute(sa.text(query)).scalar_one())
    if not owns:
        return Check(OK, "journal", "its guards cannot be removed by the user that the processes run as")
    text = "the processes run as a database user that may remove the journal's guards"
    return Check(WARN, "journal", text, "run them as one that owns no table, and keep this one for `bridge db upgrade`")


def _queue(known: Settings) -> Check:
    from bridge.work import queue

    place = _place(known)
    try:
        with queue.connect(known) as connection, queue.reached():
            connection.ping()
    except QueueUnavailable as error:
        if known.redis_url is None:
            text = "the embedded Valkey does not run, so deliveries wait"
            return Check(WARN, "queue", text, "`bridge run` (or `bridge clock`) brings it")
        return Check(FAIL, "queue", f"{place}: {error}", "deliveries are accepted and wait until it is back")
    return Check(OK, "queue", f"{place} answers")


def _pauses(store: Store) -> Iterator[Check]:
    """Name what waits because somebody, or the bridge itself, paused it."""
    with store.read() as connection:
        paused = registers.pauses(connection)
    for one in paused:
        what = "everything" if one.what == "all" else f"{one.what} {one.name}"
        todo = f"`bridge resume {one.what} {one.name}".rstrip() + "` lets it go on"
        yield Check(WARN, "paused", f"{what} waits, by {one.person} since {one.since}: {one.reason}", todo)


def _place(known: Settings) -> str:
    """Name the broker without the password that its URL may hold."""
    if known.redis_url is None:
        return f"the embedded Valkey on {known.redis_socket}"
    parts = urlsplit(known.redis_url)
    return f"Redis on {parts.path}" if parts.scheme == "unix" else f"Redis on {parts.hostname}:{parts.port or 6379}"


def _rules(known: Settings) -> tuple[RuleSet | None, list[Check]]:
    """Load the rules; with mistakes that concern accounts only, they still tell what each account is needed for."""
    accounts = facts(known.accounts)
    try:
        found = load(known.rules, accounts)
    except RuleInvalid as error:
        text = f"{counted(len(error.mistakes), 'mistake')}, the first: {error.mistakes[0]}"
        told = [Check(FAIL, "rules", text, "run `bridge rules check` for all of them; no rule is taken until then")]
        try:
            return load(known.rules, None), told
        except RuleInvalid:
            return None, told
    observing = [name for name, rule in found.rules.items() if rule.manifest.mode == "observe"]
    only = f"; only observing: {', '.join(sorted(observing))}" if observing else ""
    told = [Check(OK, "rules", f"{counted(len(found.rules), 'rule')}{only}")]
    if not found.rules:
        told = [Check(WARN, "rules", f"there is no rule in {near(known.rules)}", "`bridge rules new` writes one")]
    for warning in found.warnings:
        told.append(Check(WARN, "rules", str(warning), "mend it, or leave it if it is meant so"))
    return found, told


def _shared(known: Settings) -> Scripts | None:
    """Return what the processes share about circuits, None if that cannot be asked."""
    from bridge.work import scripts

    try:
        return scripts.connect(known)
    except QueueUnavailable:
        return None


def _accounts(
    known: Settings, store: Store, rules: RuleSet | None, shared: Scripts | None, *, store_is_well: bool
) -> Iterable[Check]:
    from bridge.cli.checkup import Checkup
    from bridge.egress.upstream import Upstream

    upstream = Upstream(known.request_timeout)
    try:
        checkup = Checkup(known, store, upstream, keeps=store_is_well, scripts=shared)
        yield from checkup.sites()
        every = [] if rules is None else list(rules.rules.values())
        for account in known.accounts.values():
            yield from checkup.account(account, [rule for rule in every if rule.manifest.account == account.name])
    finally:
        upstream.close()
