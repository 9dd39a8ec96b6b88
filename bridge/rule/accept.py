"""What becomes of an authentic payload, by the rule's ``[accept]`` and ``[order]``: queue, ignore or reject. No I/O.

Automation fills its smart values in even when they mean nothing, and an unset one leaves ``""`` behind; so a field that
is null or blank counts as missing. No reason carries what the payload says, for reasons travel into answers and logs.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bridge.rule.manifest import Manifest
from bridge.rule.paths import Absent, find, is_blank

LONGEST_KEY = 512  # A key of an index; PostgreSQL's hold about 2,700 bytes, and a longer identity becomes its digest.
_MILLISECONDS = 10**11  # Numbers above this are milliseconds: as seconds they would be the year 5138.
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with a payload, why, and the keys it is stored under.

    ``identity`` and ``order_key`` are ASCII JSON of the values at the manifest's paths, equal for equal values, at most
    512 characters; None where the manifest names none (or where they cannot be read: then the verdict is reject).
    """

    verdict: Literal["queue", "ignore", "reject"]
    reasons: tuple[str, ...] = ()
    identity: str | None = None
    order_key: str | None = None
    initiator: str | None = None


def judge(manifest: Manifest, payload: object, now: datetime, own_account_ids: Collection[str]) -> Judgement:
    """Judge an authentic payload received at ``now`` (aware); ``own_account_ids`` are those of our service accounts.

    A payload that one of our own accounts set off is ignored whatever else is wrong with it: a loop ends there.
    """
    if not isinstance(payload, Mapping):
        return Judgement("reject", ("the body must be a JSON object",))
    reasons = [*_missing(manifest, payload), *_too_old(manifest, payload, now)]
    identity = order_key = None
    if manifest.accept.idempotency_key:
        identity = _key(payload, manifest.accept.idempotency_key, reasons.append, "accept.idempotency_key")
    if manifest.order.key:
        order_key = _key(payload, (manifest.order.key,), reasons.append, "order.key")
    initiator = _initiator(manifest, payload)
    if initiator is not None and initiator in own_account_ids:
        why = "it was set off by an action of the bridge's own service account"
        return Judgement("ignore", (why,), identity, order_key, initiator)
    unique = tuple(dict.fromkeys(reasons))
    return Judgement("reject" if unique else "queue", unique, identity, order_key, initiator)


def _missing(manifest: Manifest, payload: Mapping[str, object]) -> Iterator[str]:
    for path in manifest.accept.require:
        try:
            value = find(payload, path)
        except Absent as error:
            yield f"'{path}' is missing: {error}"
            continue
        if value is None or (isinstance(value, str) and not value.strip()):
            yield f"'{path}' is required and is empty"


def _key(
    payload: Mapping[str, object], paths: tuple[str, ...], refuse: Callable[[str], None], where: str
) -> str | None:
    values: list[object] = []
    for path in paths:
        try:
            value = find(payload, path)
        except Absent as error:
            refuse(f"'{path}' is missing, and {where} names it: {error}")
            continue
        if is_blank(value):
            refuse(f"'{path}' is empty, and {where} names it")
            continue
        values.append(value)
    if len(values) < len(paths):
        return None
    try:
        text = json.dumps([_stable(value) for value in values], sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        refuse(f"{where} names a value that is no finite number or is nested too deeply")
        return None
    return text if len(text) <= LONGEST_KEY else json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest()})


def _stable(value: object) -> object:
    """Give equal JSON numbers one form: 7, 7.0 and 7e0 are the same key."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _stable(inner) for key, inner in value.items()}
    return [_stable(inner) for inner in value] if isinstance(value, list) else value


def _too_old(manifest: Manifest, payload: Mapping[str, object], now: datetime) -> Iterator[str]:
    limit = manifest.accept.max_age
    if limit is None:
        return
    try:
        value = find(payload, limit.field)
    except Absent as error:
        yield f"'{limit.field}' is missing, and accept.max_age names it: {error}"
        return
    sent = as_time(value)
    if sent is None:
        yield f"'{limit.field}' is no time with an offset from UTC, such as 2026-11-03T09:15:00.000+0000"
    elif now - sent > timedelta(seconds=limit.seconds):
        yield f"'{limit.field}' is more than {limit.seconds} seconds old"
    elif sent - now > timedelta(seconds=limit.seconds):
        yield f"'{limit.field}' is more than {limit.seconds} seconds in the future"


def as_time(value: object) -> datetime | None:
    """Read a time as Automation and Jira write it: ISO 8601 with an offset, or seconds or milliseconds since 1970.

    ``{{now}}`` gives ``2026-11-03T09:15:00.0+0000`` and webhooks give milliseconds. None for anything else, also for a
    time without an offset.
    """
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:  # noqa: PLR2004
        value = int(value)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > _MILLISECONDS else value
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, str):
            time = datetime.fromisoformat(value.strip())
            return time if time.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _initiator(manifest: Manifest, payload: Mapping[str, object]) -> str | None:
    """Return the account id at the manifest's path; Jira's own webhooks always have it as ``user.accountId``."""
    path = manifest.accept.initiator or ("user.accountId" if manifest.source == "jira-webhook" else None)
    if path is None:
        return None
    try:
        value = find(payload, path)
    except Absent:
        return None
    if isinstance(value, Mapping):
        value = value.get("accountId")
    return value if isinstance(value, str) and value.strip() else None
