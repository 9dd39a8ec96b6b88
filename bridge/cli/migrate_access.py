"""A person's way into Atlassian's rule management API, for one command: options, an unseen token, the site."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import httpx

from bridge.cli import compose
from bridge.cli.words import listed
from bridge.migrate.api import ApiRefused, Management


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and of which site; the token is asked for when it is used."""

    site: str
    email: str
    product: str


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say who asks, and where."""
    for option in (
        click.option("--product", type=click.Choice(("jira", "confluence")), default="jira", help="Whose automations."),
        click.option("--email", metavar="ADDRESS", help="Your address at Atlassian: a global administrator's."),
        click.option(
            "--site", metavar="URL", help="The site, https://acme.atlassian.net (default: that of bridge.toml)."
        ),
    ):
        command = option(command)
    return command


def of(site: str | None, email: str | None, product: str) -> Access:
    """Complete what is given; raise ``click.UsageError`` for what nobody said."""
    known = list(compose.settings().sites.values())
    address = site or (known[0].url if len(known) == 1 else None)
    missing = [option for option, value in (("--site", address), ("--email", email)) if not value]
    if missing or not (address and email):
        raise click.UsageError(f"give {listed(missing)}")
    return Access(address.rstrip("/"), email, product)


@contextmanager
def opened(access: Access, cloud_id: str | None = None) -> Iterator[Management]:
    """Ask for the token and open the way; raise ``ApiRefused`` where the site's id cannot be found."""
    token = _token(access.email)
    gateway = compose.settings().atlassian_url.rstrip("/")
    number = cloud_id or _cloud_id(access.site)
    with Management(gateway, access.site, number, access.email, token, product=access.product) as management:
        yield management


def _token(email: str) -> str:
    """Ask for the token without showing it; elsewhere it is the first line of standard input. It is never kept."""
    if sys.stdin.isatty():
        given = str(click.prompt(f"API token of {email} (not shown, not kept)", hide_input=True))
    else:
        given = sys.stdin.readline()
    if not given.strip():
        raise click.UsageError("no API token was given: type it, or put it on standard input")
    return given.strip()


def _cloud_id(site: str) -> str:
    try:
        answer = httpx.get(f"{site}/_edge/tenant_info", timeout=30.0)
        return str(answer.raise_for_status().json()["cloudId"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        raise ApiRefused(f"{site} does not say its id: is it an Atlassian site?") from None
