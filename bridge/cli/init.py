"""``bridge init``: from nothing to an installation that ``bridge run`` starts; safe to run again.

Everything is asked first and written last: tokens into files of their own, then bridge.env, then bridge.toml. What a
person wrote stays: only what is missing is added, after it was shown.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import click

from bridge import settings as settings_room
from bridge.cli import compose, init_advice, init_ask, init_credentials, init_site, init_write, reach
from bridge.cli.init_ask import Asked
from bridge.cli.init_credentials import PRODUCTS, Given, Shelf
from bridge.cli.init_files import CredentialWanted, Wanted
from bridge.cli.init_site import SiteFound
from bridge.settings import Settings

USUAL_ACCOUNT = "ops-bot"


@click.command(short_help="Set the bridge up for a site: ask, write, check.")
@click.argument("site", required=False)
@click.option("--cloud-id", metavar="ID", help="The site's cloudId, where this machine cannot ask the site for it.")
@click.option("--account", metavar="NAME", help="What rules call the service account (default: ops-bot).")
@click.option("--email", metavar="ADDRESS", help="The service account's generated e-mail address.")
@click.option("--product", "products", multiple=True, type=click.Choice(PRODUCTS), help="Repeatable; default: both.")
@init_credentials.options
@click.option("--expires", metavar="DAY", help="When the credentials end: 2027-06-30, or in how many days.")
@click.option("--public-url", metavar="URL", help="The address under which Automation reaches the bridge.")
@click.option("--listen", metavar="HOST:PORT", help="Where the bridge listens on this machine.")
@click.option("--rules", type=click.Path(path_type=Path, file_okay=False), help="The directory of your rules.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the options and what is usual, and write it.")
def init(
    site: str | None,
    cloud_id: str | None,
    account: str | None,
    email: str | None,
    products: tuple[str, ...],
    expires: str | None,
    public_url: str | None,
    listen: str | None,
    rules: Path | None,
    *,
    yes: bool,
    **credentials: str | None,
) -> None:
    """Set the bridge up for SITE, such as acme or https://acme.atlassian.net: ask, write, check.

    Writes bridge.toml, and bridge.env and a file for each token, which only you can read. Run again it adds what is
    missing and changes nothing unasked. On a terminal it asks for what no option says, elsewhere it asks nothing.
    """
    asked = Asked(quiet=yes)
    known = _known()
    found = _site(asked, known, site, cloud_id)
    name = next((each.name for each in known.sites.values() if each.url == found.url), init_site.name_of(found.url))
    called = _account(asked, known, name, account)
    there = known.accounts.get(called)
    address = there.email if there is not None else asked.text("email", email, "Its e-mail address", init_ask.email)
    ends = None if expires is None else asked.text("expires", expires, "", init_ask.expiry)
    wanted = dict(_credentials(asked, known, called, products, credentials, ends))
    outside = _public_url(asked, known, public_url)
    asked.done()
    change = init_write.prepare(
        known,
        Wanted(name, found.url, found.cloud_id, called, address or "", wanted, outside, listen),
        _rules(known, rules),
    )
    init_write.carry_out(asked, change, yes=yes)
    _go_on(asked)


def _known() -> Settings:
    """Return the settings as they are; where BRIDGE_CONFIG names a file that is still to be written, without it."""
    config = Path(os.environ.get("BRIDGE_CONFIG") or "bridge.toml").absolute()
    environ = {name: value for name, value in os.environ.items() if name != "BRIDGE_CONFIG" or config.exists()}
    return replace(settings_room.read(environ), config=config)


def _site(asked: Asked, known: Settings, given: str | None, cloud_id: str | None) -> SiteFound:
    """Ask which site it is, and ask the site who it is."""
    usual = next(iter(known.sites.values())).url if len(known.sites) == 1 else None
    url = asked.text("SITE", given, "Your site (acme, or https://acme.atlassian.net)", init_site.address, usual)
    if url is None:
        raise click.UsageError("which site? Give SITE, such as acme or https://acme.atlassian.net")
    there = next((each for each in known.sites.values() if each.url == url), None)
    if there is not None and cloud_id is None:
        cloud_id = there.cloud_id
    from bridge.egress.upstream import Upstream

    upstream = Upstream(known.request_timeout)
    try:
        found = init_site.discover(url, cloud_id, upstream)
    finally:
        upstream.close()
    print(f"{url}: the cloudId is {found.cloud_id}" if cloud_id else f"{url} is there: cloudId {found.cloud_id}")
    return found


def _account(asked: Asked, known: Settings, site: str, given: str | None) -> str:
    """Ask what the service account is called."""
    there = [each.name for each in known.accounts.values() if each.site == site]
    usual = there[0] if len(there) == 1 else None if there else USUAL_ACCOUNT
    asked.say("\nThe service account is made by an administrator of your organisation: admin.atlassian.com, Directory,")
    asked.say("Service accounts. Give it the apps, and a role in the projects and spaces where it shall act.")
    called = asked.text("account", given, "What shall rules call it", init_ask.name, usual)
    if called is None:
        raise click.UsageError(f"which account? Give --account; there are {', '.join(there)}")
    account = known.accounts.get(called)
    if account is not None and account.site != site:
        raise click.UsageError(f"{called} is an account of the site {account.site}: give another --account")
    return called


def _credentials(
    asked: Asked,
    known: Settings,
    called: str,
    products: tuple[str, ...],
    options: Mapping[str, str | None],
    ends: date | None,
) -> Iterator[tuple[str, CredentialWanted]]:
    """Ask how the account opens each product it is for."""
    account = known.accounts.get(called)
    given = {product: Given.of(product, options) for product in PRODUCTS}
    usual = tuple(account.credentials) if account is not None else ()
    usual = tuple(product for product in PRODUCTS if product in usual or given[product].says_where) or PRODUCTS
    if not products and asked.interactive and account is None:
        words = asked.text("product", None, "Products it is for", init_ask.products, " ".join(usual))
        usual = words or usual
    for product in products or usual:
        before = account.credentials.get(product) if account is not None else None
        advice = init_advice.recommended(known, called, product)
        wanted = init_credentials.ask(asked, Shelf(known.home, called), product, given[product], before, advice, ends)
        if wanted is not None:
            yield product, wanted


def _public_url(asked: Asked, known: Settings, given: str | None) -> str | None:
    """Ask under which address Automation reaches the bridge; None if it stays as it is."""
    if given is not None or not asked.interactive or known.public_url is not None:
        return None if given is None else asked.text("public-url", given, "", reach.address)
    question = "\nUnder which https address does Automation reach this bridge"
    return asked.maybe(question, "Enter: not known yet", reach.address)


def _rules(known: Settings, given: Path | None) -> Path:
    """Return where the rules shall be: not among the examples, some of which act at once and on another's projects."""
    from bridge.cli.demo import EXAMPLES

    if given is not None:
        return given.absolute()
    if os.environ.get("BRIDGE_RULES") or not all((known.rules / f"{name}.toml").exists() for name in EXAMPLES):
        return known.rules
    return known.rules.with_name("site-rules")


def _go_on(asked: Asked) -> None:
    """Look at everything as the next command will find it, and offer the first rule."""
    from bridge.cli import doctor
    from bridge.cli.rules_new import new

    compose.settings.cache_clear()
    known = compose.settings()
    print()
    with reach.listening(known, compose.store(known)):
        status = doctor.examine()
    rules = [*known.rules.glob("*.toml")]
    if not rules and asked.yes("\nWrite the first rule now (it only observes until you say otherwise)", usual=False):
        name = asked.text("name", None, "Its name (small letters, digits and _)", init_ask.rule)
        click.get_current_context().invoke(new, name=name)
        print("\nThen `bridge run` starts the bridge.")
    elif not rules:
        print("\nNext: `bridge rules new NAME` writes the first rule, `bridge run` starts the bridge.")
    else:
        print("\nNext: `bridge run` starts the bridge.")
    sys.exit(status)
