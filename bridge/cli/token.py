"""``bridge token``: the secrets by which senders open a rule."""

import click

from bridge.cli import compose, show
from bridge.ingress import signature
from bridge.store import journal
from bridge.store.journal import Kind


@click.group()
def token() -> None:
    """Mint the secret header for an automation."""


def _source(rule: str) -> tuple[str, tuple[int, ...]]:
    found = compose.readable(compose.settings()).current().get(rule)
    if found is None:
        raise click.UsageError(f"there is no rule {rule!r}; `bridge rules list` shows them")
    return found.manifest.source, found.manifest.accept.token_versions


@token.command()
@click.argument("rule")
@click.option("--version", type=click.IntRange(1), help="Default: the newest version that the rule lists.")
@show.by
def mint(rule: str, version: int | None, by: str | None) -> None:
    """Print the rule token for the hidden header of "Send web request"."""
    known = compose.settings()
    known.key()
    source, versions = _source(rule)
    if source not in {"jira-automation", "confluence-automation"}:
        raise click.UsageError(f"{rule} is of source {source}, which no token opens; `bridge token show {rule}`")
    chosen = version or max(versions)
    _note(rule, chosen, by)
    print(signature.mint_token(known.secrets[0], rule, chosen))
    if chosen not in versions:
        click.echo(
            f"the rule lists versions {', '.join(map(str, versions))}: add {chosen} to accept.token_versions", err=True
        )


def _note(rule: str, version: int | None, by: str | None) -> None:
    """Whoever saw a secret stands in the log."""
    known = compose.settings()
    compose.store(known).commit(
        lambda connection: journal.append(
            connection,
            Kind.TOKEN_MINTED,
            rule=rule,
            token_version=version,
            key=known.secrets[0].id,
            person=compose.person(by),
        )
    )


@token.command("show")
@click.argument("rule")
@show.by
def show_secret(rule: str, by: str | None) -> None:
    """Print what the sender needs, by the rule's source: a token, a webhook secret or a signing secret."""
    known = compose.settings()
    known.key()
    source, versions = _source(rule)
    secret = known.secrets[0]
    tokens = source in {"jira-automation", "confluence-automation"}
    _note(rule, max(versions) if tokens else None, by)
    if source == "jira-webhook":
        print(signature.hub_secret(secret, rule))
    elif source == "other":
        print(signature.webhook_secret(secret, rule))
    else:
        print(signature.mint_token(secret, rule, max(versions)))


@token.command("list")
@click.argument("rule", required=False)
@show.as_json
def list_used(rule: str | None, *, as_json: bool) -> None:
    """Show which key and version of each rule was last used, and when."""
    known = compose.settings()
    with compose.store(known).read() as connection:
        used = journal.keys_used(connection, rule)
    show.rows(
        ("rule", "scheme", "key", "version", "last_used"),
        used,
        json_lines=as_json,
        nothing="no delivery was accepted yet",
    )
