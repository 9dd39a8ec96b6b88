"""The test kit: a rule tried in one process, from the signed webhook to the lines of the audit log.

Nothing is imitated but the site, which is the sandbox: ingress, store, egress and the attempt are the real ones. A
rule's test is one line for each payload::

    report = Trial(rules).send("change_approved", payload)
    assert report.lines == ["step:read #1 jira.read OPS-1 read by ops-bot", …]
"""

import contextlib
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import httpx

from bridge.egress.app import Egress
from bridge.egress.upstream import Upstream
from bridge.errors import BridgeError, Stop
from bridge.ingress import sender
from bridge.ingress.app import create_app
from bridge.rule.door import Claim
from bridge.rule.registry import Registry, facts
from bridge.sandbox import seed
from bridge.sandbox.app import create_app as create_sandbox
from bridge.sandbox.site import Site as SandboxSite
from bridge.sandbox.transport import SandboxTransport
from bridge.settings import Account, Credential, Reference, Secret, Settings, Site
from bridge.store import Store, deliveries, journal, schema
from bridge.store.deliveries import State
from bridge.work import run

SITE = "http://127.0.0.1:9"  # the in-process transport answers for it; nothing listens there
STEPS = ("step:", "handler:")


class Refused(BridgeError):
    """Ingress did not take the webhook; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one payload: the delivery's state and reason, its result and the lines of its steps."""

    delivery: str
    state: State
    reason: str | None
    result: object
    lines: tuple[str, ...]
    entries: tuple[Mapping[str, Any], ...]


class _NoHolder:
    def bind(self, attempt: object) -> None:
        """Nobody ends a trial from outside."""


class Trial:
    """A bridge and a site in this process; close it, or use it as a context manager."""

    def __init__(
        self,
        rules: Path,
        *,
        database_url: str | None = None,
        site: SandboxSite | None = None,
        settle_factor: float = 1.0,
    ) -> None:
        self._stack = contextlib.ExitStack()
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-trial-")))
        self.site = seed.demo(SandboxSite(), {}) if site is None else site
        self.sandbox = create_sandbox(self.site)
        self.settings = replace(_settings(home, rules, database_url, self.site), settle_factor=settle_factor)
        self.store = Store(self.settings.database_url)
        self._stack.callback(self.store.close)
        schema.ready(self.store)
        self.rules = Registry(rules, facts(self.settings.accounts), every=0.0)
        self.upstream = Upstream(self.settings.request_timeout, SandboxTransport(self.sandbox))
        self._stack.callback(self.upstream.close)
        self.egress = Egress(self.settings, self.store, self.rules, self.upstream)
        self.client = httpx.Client(transport=httpx.WSGITransport(app=self.egress), base_url="http://egress")
        self._stack.callback(self.client.close)
        self.web = create_app(self.settings, self.store, self.rules).test_client()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self.close()

    def close(self) -> None:
        """Close the connections and remove the temporary directory."""
        self._stack.close()

    def send(self, rule: str, payload: object) -> Report:
        """Send a payload the way Automation would, make one attempt and report.

        Raises ``Refused`` if ingress does not queue it, ``RuleInvalid`` if the rules have mistakes.
        """
        delivery = self.accept(rule, payload)
        return self.attempt(delivery)

    def accept(self, rule: str, payload: object) -> str:
        """Send a payload through ingress and return the delivery's id. Raises ``Refused`` unless it was queued."""
        found = self.rules.current().get(rule)
        body = json.dumps(payload).encode()
        source = found.manifest.source if found else "jira-automation"
        version = found.manifest.accept.token_versions[0] if found else 1
        headers = sender.headers(source, rule, version, body, self.settings.secrets[0], time.time())
        answer = self.web.post(f"/hooks/{rule}", data=body, headers={"Content-Type": "application/json", **headers})
        said = answer.get_json()
        if answer.status_code != 202:  # noqa: PLR2004 - RFC 9110 section 15.3.3
            raise Refused(f"{answer.status_code} {said.get('title') or said.get('status')}: {said.get('detail') or ''}")
        return str(said["delivery"])

    def attempt(self, delivery: str) -> Report:
        """Make one attempt at a delivery and report where it stands then."""
        claim = self._claim(delivery)
        if claim is not None:
            run.conduct(self.client, claim, self.rules, _NoHolder())
        return self.report(delivery)

    def _claim(self, delivery: str) -> Claim | None:
        try:
            return run.claimed(self.client, delivery, "trial")
        except Stop as stop:
            raise Refused(f"egress cannot be reached: {stop.why}") from stop

    def report(self, delivery: str) -> Report:
        """Report where a delivery stands."""
        with self.store.read() as connection:
            found = deliveries.get(connection, delivery)
            entries = journal.of_delivery(connection, delivery)
        if found is None:
            raise Refused(f"there is no delivery {delivery}")
        shown = [entry for entry in entries if str(entry["kind"]).startswith(STEPS)]
        return Report(
            delivery,
            found.state,
            found.reason,
            deliveries.result_of(found),
            tuple(journal.line({name: value for name, value in entry.items() if name != "ms"}) for entry in shown),
            tuple(entries),
        )


def _settings(home: Path, rules: Path, database_url: str | None, site: SandboxSite) -> Settings:
    """Return settings for one account, ``ops-bot``, with a token for each product that the sandbox accepts."""
    credentials = {}
    for product in ("jira", "confluence"):
        text = f"trial-{product}"
        token = seed.token(product)
        site.add_token(text, token)
        place = home / f"{product}.token"
        place.write_text(text, encoding="utf-8")
        credentials[product] = Credential(Reference(f"file:{place}"), token.scopes, None)
    return Settings(
        home=home,
        rules=rules,
        config=home / "bridge.toml",
        database_url=database_url or f"sqlite:///{home / 'bridge.db'}",
        redis_url=None,
        secrets=(Secret("trial", b"a trial needs no secret that is one"),),
        atlassian_url=SITE,
        auth_url=SITE,
        egress=None,
        sites={"sandbox": Site("sandbox", SITE, site.cloud_id)},
        accounts={seed.BOT: Account(seed.BOT, "sandbox", seed.BOT_EMAIL, credentials, None)},
    )
