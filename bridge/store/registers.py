"""What is known beside deliveries: rule texts by digest, pauses, and who each account is at its site."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.engine import timestamp
from bridge.store.journal import Kind, append
from bridge.store.tables import account, journal, pause, rule_version


@dataclass(frozen=True, slots=True)
class Pause:
    """What a person holds: ``what`` is rule, account or all; ``name`` is empty for all."""

    what: str
    name: str
    person: str
    reason: str
    since: str


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """Who an account is at its site, as the site says; ``account_id`` is what webhooks name as initiator."""

    name: str
    cloud_id: str
    account_id: str
    display_name: str
    account_type: str | None
    seen_at: str


def _upsert(connection: sa.Connection, table: sa.Table, keys: list[str], values: Mapping[str, object]) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(table)
        .values(**values)
        .on_conflict_do_update(index_elements=keys, set_={k: v for k, v in values.items() if k not in keys})
    )


def keep_rule(connection: sa.Connection, rule: str, digest: str, texts: Mapping[str, str], by: str | None) -> bool:
    """Keep a rule's text under its digest and tell whether it was new, in which case an entry says so."""
    known = connection.execute(sa.select(rule_version.c.digest).where(rule_version.c.digest == digest)).first()
    if known is not None:
        return False
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    made = connection.execute(
        insert(rule_version)
        .values(
            digest=digest,
            rule=rule,
            texts=json.dumps(dict(texts), sort_keys=True),
            first_seen_at=timestamp(),
            brought_by=by,
        )
        .on_conflict_do_nothing(index_elements=["digest"])
        .returning(rule_version.c.digest)
    )
    if made.first() is None:
        return False
    # The digest covers the bridge's version too: with that in the entry, a text can be held against its digest later.
    append(
        connection, Kind.RULE_LOADED, rule=rule, rule_digest=digest, person=by, files=sorted(texts), bridge=_version()
    )
    return True


def _version() -> str | None:
    try:
        return metadata.version("bridge")
    except metadata.PackageNotFoundError:
        return None


def rule_texts(connection: sa.Connection, rule: str, digest: str) -> list[dict[str, str]]:
    """Return a rule's files, relative name → text, for each digest that begins with these hexadecimal letters."""
    if not set(digest) <= set("0123456789abcdef"):
        return []
    query = sa.select(rule_version.c.texts).where(
        rule_version.c.rule == rule, rule_version.c.digest.startswith(f"sha256:{digest}")
    )
    return [dict(json.loads(row.texts)) for row in connection.execute(query)]


def set_pause(connection: sa.Connection, what: str, name: str, person: str, reason: str) -> None:
    """Pause a rule, an account or everything; deliveries are still accepted, and wait."""
    values = {"what": what, "name": name, "person": person, "reason": reason, "since": timestamp()}
    _upsert(connection, pause, ["what", "name"], values)
    append(connection, Kind.PAUSED, **_subject(what, name), person=person, why=reason)


def lift_pause(connection: sa.Connection, what: str, name: str, person: str, reason: str) -> bool:
    """Lift a pause; return False if there was none."""
    gone = connection.execute(sa.delete(pause).where(pause.c.what == what, pause.c.name == name))
    if gone.rowcount == 0:
        return False
    append(connection, Kind.RESUMED, **_subject(what, name), person=person, why=reason)
    return True


def _subject(what: str, name: str) -> dict[str, str]:
    return {"what": what} | ({what: name} if what in {"rule", "account"} else {})


def pauses(connection: sa.Connection) -> list[Pause]:
    """Return every pause in force."""
    query = sa.select(pause).order_by(pause.c.what, pause.c.name)
    return [Pause(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def pause_of(connection: sa.Connection, rule: str, account_name: str) -> Pause | None:
    """Return the pause that holds a rule of an account, None if it may run."""
    for found in pauses(connection):
        if (found.what, found.name) in {("all", ""), ("rule", rule), ("account", account_name)}:
            return found
    return None


def paused_for(connection: sa.Connection, rule: str, account_name: str, since: str) -> float:
    """Return for how many seconds since a time some pause held a rule of an account, by the entries of the journal.

    Pauses that overlap are counted once; one that still lasts counts until now.
    """
    query = (
        sa.select(journal.c.entry)
        .where(journal.c.kind.in_([str(Kind.PAUSED), str(Kind.RESUMED)]))
        .order_by(journal.c.at, journal.c.id)
    )
    held: set[tuple[str, str]] = set()
    seconds, began = 0.0, ""
    for row in connection.execute(query):
        entry = json.loads(row.entry)
        subject = (entry["what"], entry.get(entry["what"], ""))
        if subject not in {("all", ""), ("rule", rule), ("account", account_name)}:
            continue
        if not held:
            began = entry["at"]
        (held.add if entry["kind"] == Kind.PAUSED else held.discard)(subject)
        if not held:
            seconds += _between(max(began, since), entry["at"])
    return seconds + (_between(max(began, since), timestamp()) if held else 0.0)


def _between(begin: str, end: str) -> float:
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 0.0)


def keep_account(connection: sa.Connection, known: KnownAccount) -> None:
    """Keep who an account is; an entry is made when that is new or changed."""
    before = account_named(connection, known.name)
    values = {name: getattr(known, name) for name in KnownAccount.__dataclass_fields__}
    _upsert(connection, account, ["name"], values)
    if before is None or (before.cloud_id, before.account_id) != (known.cloud_id, known.account_id):
        append(
            connection,
            Kind.ACCOUNT_SEEN,
            account=known.name,
            account_id=known.account_id,
            cloud_id=known.cloud_id,
            display_name=known.display_name,
        )


def account_named(connection: sa.Connection, name: str) -> KnownAccount | None:
    """Return what is known of an account, None before its first contact with the site."""
    row = connection.execute(sa.select(account).where(account.c.name == name)).one_or_none()
    return None if row is None else KnownAccount(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def own_account_ids(connection: sa.Connection) -> frozenset[str]:
    """Return the account ids that are ours: a webhook that one of them set off is ignored, or we answer ourselves."""
    return frozenset(connection.execute(sa.select(account.c.account_id)).scalars())
