"""How ``bridge init`` is given a credential: options for each product, or questions; typed secrets go into files."""

import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.cli import init_ask, init_files
from bridge.cli.init_ask import Asked
from bridge.cli.init_files import CredentialWanted
from bridge.settings import Credential

PRODUCTS = ("jira", "confluence")
TITLES: Mapping[str, str] = {"jira": "Jira", "confluence": "Confluence"}
F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """Add the options of both products to a command."""
    for product in reversed(PRODUCTS):
        title = TITLES[product]
        for name, metavar, text in reversed((
            ("token-env", "NAME", f"The environment variable that will hold the {title} token."),
            ("token-file", "PATH", f"The file that holds the {title} token; - takes a line of standard input."),
            ("client-id", "ID", f"{title} by an OAuth 2.0 client instead of a token: its client id."),
            ("client-secret-env", "NAME", "The environment variable that will hold its client secret."),
            ("client-secret-file", "PATH", "The file that holds it; - takes a line of standard input."),
            ("scopes", "TEXT", f"The OAuth scopes with which the {title} credential was made."),
        )):  # fmt: skip
            command = click.option(f"--{product}-{name}", metavar=metavar, help=text)(command)
    return command


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say of one product's credential."""

    token_env: str | None
    token_file: str | None
    client_id: str | None
    client_secret_env: str | None
    client_secret_file: str | None
    scopes: str | None

    @classmethod
    def of(cls, product: str, options: Mapping[str, str | None]) -> "Given":
        """Take a product's options out of all of them."""
        return cls(**{name: options[f"{product}_{name}"] for name in cls.__slots__})

    @property
    def says_where(self) -> bool:
        """Whether any option says where a secret is."""
        return any((self.token_env, self.token_file, self.client_secret_env, self.client_secret_file))


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the secrets are kept that are typed for an account."""

    home: Path
    account: str

    def file(self, product: str, kind: str) -> Path:
        """Return the file for a product's ``token`` or ``client-secret``."""
        return init_files.secrets_directory(self.home) / f"{self.account}.{product}.{kind}"


def ask(
    asked: Asked,
    shelf: Shelf,
    product: str,
    given: Given,
    before: Credential | None,
    recommended: tuple[str, ...],
    ends: date | None,
) -> CredentialWanted | None:
    """Find out how the account opens a product; None if it stays as it was.

    ``recommended`` are OAuth scopes that a credential for it would be made with. Raises ``click.UsageError``.
    """
    title = TITLES[product]
    try:
        wanted = _from_options(asked, shelf, product, given)
        scopes = None if given.scopes is None else init_ask.scopes(given.scopes)
    except ValueError as error:
        raise click.UsageError(f"{title}: {error}") from error
    if wanted is None:
        asked.say(f"\n{title}")
        if before is None:
            asked.say("  Make its API token in admin.atlassian.com, at the service account, with these OAuth scopes:")
            asked.say(textwrap.fill(" ".join(recommended), 110, initial_indent="    ", subsequent_indent="    "))
        wanted = _typed(asked, shelf, product, before)
    if wanted is None:
        return None if scopes is None and ends is None else _changed(before, scopes, ends)
    if scopes is None and asked.interactive:
        scopes = _scopes(asked, recommended, before)
    for sentence in init_ask.unknown_scopes(scopes or ()):
        click.echo(f"  {sentence}", err=True)
    if ends is None and asked.interactive:
        ends = asked.text("expires", None, "  It ends on (a date, or in how many days)", init_ask.expiry)
    return CredentialWanted(wanted.token, wanted.client_id, wanted.client_secret, wanted.typed, scopes, ends)


def _changed(before: Credential | None, scopes: tuple[str, ...] | None, ends: date | None) -> CredentialWanted | None:
    """Write down what was learned of a credential that stays."""
    return None if before is None else CredentialWanted(scopes=scopes, expires=ends)


def _from_options(asked: Asked, shelf: Shelf, product: str, given: Given) -> CredentialWanted | None:
    """Return the credential that the options describe, None if they describe none. Raises ``ValueError``."""
    if given.client_id is not None:
        where, typed = _where(
            asked, shelf.file(product, "client-secret"), given.client_secret_env, given.client_secret_file
        )
        if where is None:
            raise ValueError(f"--{product}-client-id wants --{product}-client-secret-env or -file with it")
        return CredentialWanted(client_id=given.client_id, client_secret=where, typed=typed)
    if given.client_secret_env or given.client_secret_file:
        raise ValueError(f"a client secret wants --{product}-client-id with it")
    where, typed = _where(asked, shelf.file(product, "token"), given.token_env, given.token_file)
    return None if where is None else CredentialWanted(token=where, typed=typed)


def _where(asked: Asked, kept: Path, variable: str | None, file: str | None) -> tuple[str | None, str | None]:
    """Return the reference to a secret, and the secret itself if it came through standard input."""
    if variable is not None and file is not None:
        raise ValueError("give either a variable or a file")
    if variable is not None:
        return init_ask.variable(variable), None
    if file == init_ask.STDIN:
        if asked.interactive:
            return f"file:{kept.absolute()}", asked.secret("", "  Its secret (typed unseen)", kept=False)
        return f"file:{kept.absolute()}", init_ask.token(sys.stdin.readline().strip())
    return (None, None) if file is None else (init_ask.file(Path(file)), None)


def _typed(asked: Asked, shelf: Shelf, product: str, before: Credential | None) -> CredentialWanted | None:
    """Ask for a token or, where none is typed, for an OAuth 2.0 client; None keeps the credential there is."""
    place = f"file:{shelf.file(product, 'token').absolute()}"
    if before is not None and before.secret.text != place:
        asked.say(f"  {TITLES[product]}'s {before.kind} is taken from {before.secret.text}; that stays so.")
        return None
    question = "  Paste the token (it is not shown; Enter alone for an OAuth 2.0 client)"
    if before is not None:
        question = "  Its token is there. Enter keeps it, or paste another (it is not shown)"
    token = asked.secret(
        f"{product}-token-env or --{product}-token-file", question, kept=True if before else asked.interactive
    )
    if token is not None:
        return CredentialWanted(token=place, typed=token)
    if before is not None or not asked.interactive:
        return None
    client = asked.text(f"{product}-client-id", None, "  Client id", init_ask.token)
    secret = asked.secret(f"{product}-client-secret-file", "  Client secret (it is not shown)", kept=False)
    kept = shelf.file(product, "client-secret").absolute()
    return CredentialWanted(client_id=client, client_secret=f"file:{kept}", typed=secret)


def _scopes(asked: Asked, recommended: tuple[str, ...], before: Credential | None) -> tuple[str, ...]:
    """Ask with which OAuth scopes a credential was made."""
    usual = recommended if before is None else tuple(sorted(before.scopes))
    as_usual = "those above" if before is None else "as before"
    while True:
        said = asked.maybe("  OAuth scopes it was made with", f"Enter: {as_usual}; - : not known", init_ask.pasted)
        found = usual if said is None else said
        strange = init_ask.unknown_scopes(found)
        for sentence in strange:
            print(f"  {sentence}")
        if not strange or asked.yes("  Keep them so?", usual=False):
            return found
