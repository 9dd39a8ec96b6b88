"""What bridge.toml says of an account's credentials, looked at without asking a site: are they there, for how long, and
do their OAuth scopes reach what the rules do?
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bridge.cli.account_needs import AccountNeeds
from bridge.cli.check import FAIL, OK, WARN, Check
from bridge.cli.words import counted
from bridge.errors import SettingsInvalid
from bridge.settings import Account, Credential

SOON = 30  # days
LONGEST_LIFE = 365  # days; https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/
AGAIN = "make a new one at admin.atlassian.com"


def is_there(account: Account, product: str, credential: Credential, which: str = "current") -> Check:
    """Check that a token or client secret is there and for how long it will do."""
    about = f"account {account.name}"
    place = f"account.{account.name}.{product}" + (".previous" if which == "previous" else "")
    name = f"{product} {credential.kind}" if which == "current" else f"previous {product} {credential.kind}"
    try:
        credential.secret.open()
    except SettingsInvalid as error:
        key = credential.kind.replace(" ", "_")
        text = f"{name}: {error.mistakes[0].text}"
        return Check(FAIL, about, text, f"put it where {place}.{key} of bridge.toml points")
    if credential.expires is None:
        if credential.client_id is not None:
            return Check(OK, about, f"{name} is there, and bridge.toml names no day on which it ends")
        text = f"bridge.toml does not say when its {name} ends, and none lasts more than {LONGEST_LIFE} days"
        return Check(WARN, about, text, f"write {place}.expires, so that you are warned in time")
    days = (credential.expires - datetime.now(UTC).date()).days
    if days < 0:
        todo = f"{AGAIN}; deliveries wait meanwhile" if which == "current" else f"take {place} out of bridge.toml"
        return Check(FAIL if which == "current" else WARN, about, f"{name} ended on {credential.expires}", todo)
    text = f"{name} is there and ends in {counted(days, 'day')}, on {credential.expires}"
    if days < SOON and which == "current":
        return Check(WARN, about, text, f"{AGAIN} and write down its day")
    return Check(OK, about, text)


def is_open(account: Account, credential: Credential) -> Iterator[Check]:
    """Warn of a file of our own that others may read; secrets that somebody else mounts have modes of their own."""
    place = credential.secret.text.removeprefix("file:")
    if place == credential.secret.text:
        return
    with contextlib.suppress(OSError):
        found = Path(place).stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077:
            text = f"others than you may read {place}"
            yield Check(WARN, f"account {account.name}", text, "chmod 600 it: who reads it may do all the account may")


def reaches(account: Account, product: str, needed: AccountNeeds) -> Iterator[Check]:
    """Compare the OAuth scopes that bridge.toml declares for a product with what the rules need."""
    about = f"account {account.name}"
    held, kind = account.credentials[product].scopes, account.credentials[product].kind
    if not held:
        text = f"bridge.toml does not say which OAuth scopes its {product} {kind} has"
        wanted = " ".join(needed.advice(product).scopes)
        rules = f"the rules need {wanted}, and " if wanted else ""
        todo = f"write account.{account.name}.{product}.scopes; {rules}`bridge doctor --live` finds out what it has"
        yield Check(WARN, about, text, todo)
        return
    if not needed.needs(product):
        if needed.rules:
            yield Check(OK, about, f"no rule needs its {product} {kind}")
        return
    lacking: dict[str, set[str]] = defaultdict(set)
    later: dict[str, set[str]] = defaultdict(set)
    for need, lack in needed.lacks(product):
        (lacking if need.sure and not need.acting else later)[str(lack)].add(need.verb.partition(".")[2] or need.verb)
    beyond = needed.surplus(product)
    unused = f"; no rule needs {', '.join(beyond)}" if beyond else ""
    if lacking:
        todo = "a credential's OAuth scopes cannot be changed: make a new one, and write its scopes into bridge.toml"
        yield Check(FAIL, about, f"{product} {kind} lacks {_for_verbs(lacking)}", f"{todo}; `bridge scopes` says which")
    else:
        yield Check(OK, about, f"{product} OAuth scopes are enough for its rules{unused}")
    beside = {scope: verbs for scope, verbs in later.items() if scope not in lacking}
    if beside:
        text = f"{product} {kind} lacks {_for_verbs(beside)}, which rules may come to need"
        yield Check(WARN, about, text, "see `bridge scopes`: a rule that still observes, or a call that is not certain")


def _for_verbs(lacking: Mapping[str, set[str]]) -> str:
    """Say OAuth scopes with what needs them: ``write:jira-work (comment, edit)``."""
    return ", ".join(f"{scope} ({', '.join(sorted(verbs))})" for scope, verbs in sorted(lacking.items()))
