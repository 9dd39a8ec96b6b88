"""``bridge doctor``: one look at everything an installation stands on, each with what to do about it."""

import json
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from bridge.cli import compose, show
from bridge.cli.checkup import FAIL, OK, UNKNOWN, WARN, Check
from bridge.cli.words import counted
from bridge.errors import QueueUnavailable, RuleInvalid, SettingsInvalid, StoreUnavailable
from bridge.rule.registry import RuleSet, facts, load
from bridge.settings import Settings
from bridge.store import Store, schema


@click.command()
@show.as_json
def doctor(*, as_json: bool) -> None:
    """Check settings, database, queue, rules and every account's access; say what to do about each.

    Exits 0 if all is well or only warned of, 1 if something failed, 2 if something could not be told. Asks the sites,
    changes nothing there, and prints no secret.
    """
    levels = set()
    for check in _checks():
        levels.add(check.level)
        if as_json:
            print(json.dumps(check.as_data(), ensure_ascii=False), flush=True)
        else:
            print(check, flush=True)
    sys.exit(1 if FAIL in levels else 2 if UNKNOWN in levels else 0)


def _checks() -> Iterator[Check]:
    try:
        known = compose.settings()
    except SettingsInvalid as error:
        for mistake in error.mistakes:
            yield Check(FAIL, "settings", str(mistake), "mend it; the rest can be told when the settings can be read")
        return
    yield _settings(known)
    yield _secrets(known)
    store = Store(known.database_url)
    try:
        database = list(_database(known, store))
        yield from database
        yield _queue(known)
        rules, told = _rules(known)
        yield from told
        yield from _accounts(known, store, rules, store_is_well=all(check.level != FAIL for check in database))
    finally:
        store.close()


def _settings(known: Settings) -> Check:
    if not known.config.exists():
        return Check(WARN, "settings", f"there is no {known.config}: no site, no account", "write it; see the README")
    counts = f"{counted(len(known.sites), 'site')} and {counted(len(known.accounts), 'account')}"
    return Check(OK, "settings", f"{known.config} has {counts}; home {known.home}, rules {known.rules}")


def _secrets(known: Settings) -> Check:
    try:
        known.key()
    except SettingsInvalid as error:
        return Check(FAIL, "secrets", str(error.mistakes[0]), "until then every webhook is refused")
    others = f", and {len(known.secrets) - 1} older" if len(known.secrets) > 1 else ""
    return Check(OK, "secrets", f"key {known.secrets[0].id}{others}")


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
            text = "the embedded Valkey does not answer, so deliveries wait"
            return Check(WARN, "queue", text, "it comes with `bridge clock` or `bridge run`: start one of them")
        return Check(FAIL, "queue", f"{place}: {error}", "deliveries are accepted and wait until it is back")
    return Check(OK, "queue", f"{place} answers")


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
        told = [Check(WARN, "rules", f"there is no rule in {known.rules}", "`bridge rules new` writes one")]
    for warning in found.warnings:
        told.append(Check(WARN, "rules", str(warning), "mend it, or leave it if it is meant so"))
    return found, told


def _accounts(known: Settings, store: Store, rules: RuleSet | None, *, store_is_well: bool) -> Iterable[Check]:
    from bridge.cli.checkup import Checkup
    from bridge.egress.upstream import Upstream

    upstream = Upstream(known.request_timeout)
    try:
        checkup = Checkup(known, store, upstream, keeps=store_is_well)
        yield from checkup.sites()
        every = [] if rules is None else list(rules.rules.values())
        for account in known.accounts.values():
            yield from checkup.account(account, [rule for rule in every if rule.manifest.account == account.name])
    finally:
        upstream.close()
