"""``bridge rules send``: a payload handed to the running bridge, signed as the rule's source demands."""

import json
import sys
import time
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx

from bridge.cli import compose
from bridge.cli.rules_show import find
from bridge.errors import BridgeError
from bridge.rule.manifest import Manifest
from bridge.rule.paths import Absent
from bridge.rule.paths import find as find_value
from bridge.rule.registry import Rule
from bridge.settings import Settings

WAIT = 20
PATIENCE = 35.0  # seconds; the bridge answers a waiting sender within 30
ACCEPTED = (200, 202)
ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}  # noqa: S104 - an address to read, not to bind


class Unreachable(BridgeError):
    """No bridge answers at the address."""


@click.command(short_help="Send a payload to the running bridge.")
@click.argument("rule")
@click.argument("payload", type=click.Path(path_type=Path))
@click.option("--url", metavar="URL", help="Where the bridge listens (default: [web] listen of bridge.toml).")
@click.option("--wait", is_flag=True, help=f"Wait up to {WAIT} seconds for the delivery to end.")
@click.option("--as-is", is_flag=True, help="Do not set the field of accept.max_age to the present time.")
def send(rule: str, payload: Path, url: str | None, *, wait: bool, as_is: bool) -> None:
    """Send PAYLOAD, a file or the name of a recorded payload of RULE, to the running bridge."""
    from bridge.ingress import sender

    known = compose.settings()
    known.key()
    found = find(compose.readable(known).current(), rule)
    body = _body(known, found, payload, as_is=as_is)
    accept = found.manifest.accept
    headers = sender.headers(
        found.manifest.source, rule, max(accept.token_versions), body, known.secrets[0], time.time()
    )
    answer = _post(known, url, f"/hooks/{rule}", body, headers, wait=wait)
    print(f"{answer.status_code} {answer.text.strip()}")
    said = _said(answer)
    if said.get("duplicate") or said.get("status") == "duplicate":
        click.echo("it was there already, by its idempotency key or id: this is the earlier one, nothing new was done",
                   err=True)  # fmt: skip
    if "delivery" in said:
        print(f"bridge deliveries show {said['delivery']}")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        click.echo("the bridge that answers has another BRIDGE_SECRETS than this command, or not this rule", err=True)
    sys.exit(0 if answer.status_code in ACCEPTED else 1)


def _body(known: Settings, rule: Rule, given: Path, *, as_is: bool) -> bytes:
    recorded = known.rules / "payloads" / rule.name / f"{given}.json"
    path = recorded if not given.exists() and recorded.is_file() else given
    try:
        raw = path.read_bytes()
    except OSError as error:
        folder = known.rules / "payloads" / rule.name
        cases = ", ".join(sorted(each.stem for each in folder.glob("*.json"))) or "none"
        raise click.UsageError(f"{given}: {error.strerror}; recorded payloads of {rule.name}: {cases}") from error
    try:
        payload = json.loads(raw)
    except ValueError:
        # Whoever sends what is no JSON wants to see what the bridge says to it.
        return raw
    fresh = payload if as_is else refreshed(payload, rule.manifest)
    if fresh == payload:
        return raw
    click.echo("the time by which the rule judges the payload's age is set to now; --as-is leaves it", err=True)
    return json.dumps(fresh, ensure_ascii=False).encode()


def refreshed(payload: Any, manifest: Manifest) -> Any:
    """Return the payload with the time by which ``accept.max_age`` judges it set to now: a recording grows old."""
    limit = manifest.accept.max_age
    if limit is None:
        return payload
    fresh = deepcopy(payload)
    *above, last = limit.field.split(".")
    try:
        place = find_value(fresh, ".".join(above)) if above else fresh
    except Absent:
        return payload
    if not isinstance(place, dict) or last not in place:
        return payload
    place[last] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    return fresh


def _post(
    known: Settings, url: str | None, path: str, body: bytes, headers: dict[str, str], *, wait: bool
) -> httpx.Response:
    transport, base = None, url
    if base is None and known.listen.startswith("unix:"):
        transport, base = httpx.HTTPTransport(uds=known.listen.removeprefix("unix:")), "http://bridge"
    elif base is None:
        host, _, port = known.listen.rpartition(":")
        base = f"http://{ANYWHERE.get(host, host)}:{port}"
    address = with_path(base, path)
    try:
        with httpx.Client(transport=transport, trust_env=False, timeout=PATIENCE) as client:
            return client.post(
                address,
                params={"wait": str(WAIT)} if wait else {},
                content=body,
                headers={"Content-Type": "application/json", **headers},
            )
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        hint = "start it with `bridge run`, or give --url"
        raise Unreachable(f"no bridge answers at {address} ({type(error).__name__}): {hint}") from error


def with_path(base: str, path: str) -> str:
    """Return the whole address, whether ``base`` is the bridge's alone or has the path already."""
    trimmed = base.rstrip("/")
    return trimmed if trimmed.endswith(path) else trimmed + path


def _said(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
