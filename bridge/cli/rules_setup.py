"""``bridge rules setup``: what to type where the webhook comes from, letter by letter."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from bridge.cli import compose, show
from bridge.cli.rules_send import with_path
from bridge.cli.rules_show import find
from bridge.cli.smart_values import custom_data
from bridge.cli.words import listed
from bridge.rule.registry import Rule
from bridge.settings import LOOPBACK, Secret, Settings

# "Only permitted ports for urls from the Send web request action", the page of Jira's automation actions:
# https://support.atlassian.com/cloud-automation/docs/jira-automation-actions/
PORTS = (80, 8080, 443, 6017, 8443, 8444, 7990, 8090, 8085, 8060, 8900, 9900)
DEFAULT_PORTS = {"http": 80, "https": 443}
DELAY = "Delay execution of subsequent rule actions until we've received a response for this web request"


@click.command(short_help="Print what to type at the sender.")
@click.argument("rule")
@click.option("--url", metavar="URL", help="Where the bridge is reached from outside (default: [web] public_url).")
@show.by
def setup(rule: str, url: str | None, by: str | None) -> None:
    """Print exactly what to type so that RULE gets its webhooks. Prints its secret, which the log notes."""
    from bridge.store import journal
    from bridge.store.journal import Kind

    known = compose.settings()
    known.key()
    found = find(compose.readable(known).current(), rule)
    base = url or known.public_url
    if base is None:
        raise click.UsageError(
            "under which address is the bridge reached from outside? Set public_url under [web] in bridge.toml, "
            "or give --url https://bridge.example.com"
        )
    address = with_path(base, f"/hooks/{rule}")
    warnings = _warnings(address, found.manifest.source)
    secret = known.secrets[0]
    automation = found.manifest.source.endswith("-automation")
    version = max(found.manifest.accept.token_versions) if automation else None

    def note(connection: sa.Connection) -> int:
        return journal.append(
            connection,
            Kind.TOKEN_MINTED,
            rule=rule,
            token_version=version,
            key=secret.id,
            person=compose.person(by),
        )

    compose.store(known).commit(note)
    if automation:
        _print_automation(known, found, address, secret)
    elif found.manifest.source == "jira-webhook":
        _print_webhook(found, address, secret)
    else:
        _print_signed(found, address, secret)
    for warning in warnings:
        click.echo(f"\nWARNING: {warning}", err=True)


def _warnings(address: str, source: str) -> list[str]:
    """Say what will keep Atlassian from reaching the address, or others from keeping out."""
    try:
        parts = urlsplit(address)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise click.UsageError(f"{address} is not a URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise click.UsageError(f"{address} is not a URL; write https://bridge.example.com")
    found = []
    if parts.scheme != "https":
        found.append("the URL is not https: whoever is on the way can read the secret and the payload.")
    if parts.hostname in LOOPBACK and source != "other":
        found.append(f"{parts.hostname} is this machine, which Atlassian's cloud cannot reach.")
    if source.endswith("-automation") and port not in PORTS:
        allowed = listed(sorted(PORTS))
        found.append(f'port {port} is none that "Send web request" may call; it may call {allowed}.')
    return found


def _print_automation(known: Settings, rule: Rule, address: str, secret: Secret) -> None:
    from bridge.ingress.signature import mint_token

    manifest = rule.manifest
    product = "Confluence" if manifest.source == "confluence-automation" else "Jira"
    token = mint_token(secret, rule.name, max(manifest.accept.token_versions))
    data = custom_data(manifest, _recorded(known, rule))
    print(f"{rule.name}: {manifest.title}\n")
    print(f'In {product}, open the automation, make "Send web request" its last action, and type:\n')
    print(f"1. Web request URL     {address}")
    print("2. HTTP method         POST")
    print(f"3. Headers             Authorization   Bearer {token}")
    print('                       and tick "Hidden" beside it; this cannot be undone, so paste it right')
    print("                       Content-Type    application/json")
    print("4. Web request body    Custom data")
    print("5. Custom data         all of this:\n")
    print(data.text)
    print()
    for line in _about_data(rule, data.guessed):
        print(f"   {line}")
    print(f'\n6. Tick                "{DELAY}".')
    print("                       Unticked, it swallows failures: the automation shows success whatever the bridge")
    print("                       answers. The bridge answers within milliseconds, so nothing is slowed down.")
    print('7. Leave unticked      "Continue running the rule even if…", or a failure goes unnoticed just the same.')
    print("8. Save, run it once, and look:  bridge deliveries list --rule " + rule.name)
    print("\nThe token opens this rule and no other, and it is shown here on purpose. Hidden is not secret: whoever")
    print("may read the automation through Atlassian's rule management API can read the token, and then send to")
    print("this rule. To change it, list a further number in accept.token_versions and run this command again.")


def _about_data(rule: Rule, guessed: tuple[str, ...]) -> Iterator[str]:
    yield "asJsonString writes the quotation marks itself: put none around it."
    if guessed:
        yield f"Guessed, look at them: {listed(guessed)}."
        yield "What your automation calls them cannot be known from here."
    if rule.has_handler:
        yield f"These are the fields that {rule.name}.toml names; add what {rule.name}.py reads besides."
    yield "The token proves that the automation may send, not what it says: the body is only a claim, so a rule"
    yield "reads again from the site what matters."


def _recorded(known: Settings, rule: Rule) -> Any:
    """Return the first recorded payload of a rule that can be read, None if there is none."""
    for path in sorted((known.rules / "payloads" / rule.name).glob("*.json")):
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
    return None


def _print_webhook(rule: Rule, address: str, secret: Secret) -> None:
    from bridge.ingress.signature import hub_secret

    accept = rule.manifest.accept
    print(f"{rule.name}: {rule.manifest.title}\n")
    print("In Jira, as an administrator: Settings, System, WebHooks, Create a WebHook, and type:\n")
    print(f"1. Name                bridge {rule.name}")
    print("2. Status              Enabled")
    print(f"3. URL                 {address}")
    print(f"4. Secret              {hub_secret(secret, rule.name)}")
    print("                       Jira signs each body with it and never shows it again")
    print("5. Events              those that the rule is for, narrowed by JQL as far as possible")
    needs = f": the rule needs {listed(accept.require)}" if accept.require else ""
    print(f"6. Exclude body        leave it unticked{needs}")
    print(f"7. Save, let it happen once, and look:  bridge deliveries list --rule {rule.name}")
    print("\nThe secret is this rule's alone, and you see it on purpose. Jira sends again what was not answered with")
    print("success; the bridge takes each of its webhooks once, by X-Atlassian-Webhook-Identifier.")


def _print_signed(rule: Rule, address: str, secret: Secret) -> None:
    from bridge.ingress.signature import webhook_secret

    print(f"{rule.name}: {rule.manifest.title}\n")
    print("The sender signs as Standard Webhooks says (https://www.standardwebhooks.com has libraries):\n")
    print(f"1. URL                 {address}")
    print("2. HTTP method         POST, with Content-Type: application/json")
    print(f"3. Secret              {webhook_secret(secret, rule.name)}")
    print("4. webhook-id          a new id for each message, the same when it is sent again")
    print("5. webhook-timestamp   seconds since 1970, at most 5 minutes from now")
    print("6. webhook-signature   v1, and the base64 of HMAC-SHA256 over id.timestamp.body, with the secret's bytes")
    print(f"7. Try it              bridge rules send {rule.name} payload.json")
    print("\nThe secret is this rule's alone, and you see it on purpose: keep it where the sender keeps its secrets.")
