"""What ``bridge init`` writes: bridge.toml, bridge.env and the files of tokens, each whole or not at all.

A file is written beside its place and moved there, so that whoever interrupts it finds the old one or the new one.
Files with secrets are readable by their user only, in a directory that git does not look into.
"""

import base64
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from bridge.cli import config_text, envfile
from bridge.settings import LOOPBACK, SECRET_BYTES, Settings

PRIVATE, OPEN, PRIVATE_DIRECTORY = 0o600, 0o644, 0o700
HEAD = """\
# The sites and service accounts of this bridge. A secret never stands here, only where it is kept: env:NAME or
# file:/path. `bridge doctor` looks at everything that stands here; `bridge init` adds to it and asks before it does.
"""
SITE_REMARK = "The site. Requests go to Atlassian's gateway under its cloudId, which its /_edge/tenant_info tells."
ACCOUNT_REMARK = "A service account, by the name that rules call it (admin.atlassian.com, Directory, Service accounts)."
CEILING = 'ceiling = { jira = { OPS = ["read", "comment"] } }  # what no rule of this account may exceed'
CREDENTIAL_REMARK = (
    "Atlassian never shows a credential or its OAuth scopes again: where it is kept, and what it may do."
)
WEB_REMARK = "Where webhooks arrive, here and seen from outside. Automation calls only some ports; see the README."


@dataclass(frozen=True, slots=True)
class CredentialWanted:
    """How an account shall open a product.

    ``token`` or ``client_secret`` is a reference as bridge.toml has it; ``typed`` is the secret itself where it was
    given here and is still to be kept in the file that the reference names. ``scopes`` None: nothing was said of them.
    """

    token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    typed: str | None = None
    scopes: tuple[str, ...] | None = None
    expires: date | None = None

    def __repr__(self) -> str:
        """Say where it is kept, and never what was typed."""
        return f"<CredentialWanted {self.token or self.client_secret}>"

    @property
    def kept_at(self) -> str:
        """The reference to the secret part."""
        return self.token or self.client_secret or ""

    def values(self, *, new: bool) -> dict[str, object]:
        """Return what stands in bridge.toml of it; of a credential that was there only what changes."""
        kept = {"token": self.token, "client_id": self.client_id, "client_secret": self.client_secret}
        given: dict[str, object] = {name: value for name, value in kept.items() if value is not None}
        if new or self.scopes is not None:
            given["scopes"] = list(self.scopes or ())
        return given | ({} if self.expires is None else {"expires": self.expires})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an installation shall have, as it was asked for; credentials by product."""

    site: str
    url: str
    cloud_id: str
    account: str
    email: str
    credentials: Mapping[str, CredentialWanted]
    public_url: str | None = None
    listen: str | None = None


def config(old: str, known: Settings, wanted: Wanted) -> str:
    """Return the text of bridge.toml with everything that is wanted and was not there. Raises ``CannotEdit``."""
    text = old or HEAD
    if wanted.site not in known.sites:
        values: dict[str, object] = {"url": wanted.url, "cloud_id": wanted.cloud_id}
        text = config_text.with_table(text, ("site", wanted.site), values, SITE_REMARK)
    account = known.accounts.get(wanted.account)
    if account is None:
        values = {"site": wanted.site, "email": wanted.email}
        text = config_text.with_table(text, ("account", wanted.account), values, ACCOUNT_REMARK, CEILING)
    remark = CREDENTIAL_REMARK
    for product, credential in wanted.credentials.items():
        path = ("account", wanted.account, product)
        if account is None or product not in account.credentials:
            text = config_text.with_table(text, path, credential.values(new=True), remark)
            remark = ""
        else:
            for name, value in credential.values(new=False).items():
                text = config_text.with_key(text, path, name, value)
    web = {"listen": wanted.listen, "public_url": wanted.public_url}
    given: dict[str, object] = {name: value for name, value in web.items() if value not in {None, getattr(known, name)}}
    if given and config_text.has_table(text, ("web",)):
        for name, added in given.items():
            text = config_text.with_key(text, ("web",), name, added)
    elif given:
        text = config_text.with_table(text, ("web",), given, WEB_REMARK)
    return text


def environment(old: str, environ: Mapping[str, str], known: Settings, wanted: Wanted, rules: Path) -> str:
    """Return the text of bridge.env with a secret and whatever else a command must be told, where it lacks them.

    What ``environ`` has of the places of things is kept there too, so that the next shell finds the same ones; a secret
    that ``environ`` has is left where it comes from.
    """
    there = {name for name, _ in envfile.parse(old, environ, [])}
    needed: dict[str, str] = {}
    if not environ.get("BRIDGE_SECRETS"):
        # Newest first, named by number: a further one is put before it, and this one stays until nobody uses it.
        needed["BRIDGE_SECRETS"] = f"k1:{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
    elsewhere = bool(environ.get("BRIDGE_CONFIG"))
    if elsewhere or environ.get("BRIDGE_HOME"):
        needed["BRIDGE_HOME"] = str(known.home)
    if elsewhere or rules != Path("rules").absolute():
        needed["BRIDGE_RULES"] = str(rules)
    needed |= {name: environ[name] for name in ("BRIDGE_ATLASSIAN_URL", "BRIDGE_AUTH_URL") if environ.get(name)}
    if urlsplit(wanted.url).hostname in LOOPBACK:
        # A site on this machine is its own gateway.
        needed.setdefault("BRIDGE_ATLASSIAN_URL", wanted.url)
        needed.setdefault("BRIDGE_AUTH_URL", wanted.url)
    lines = [envfile.line(name, value) for name, value in needed.items() if name not in there]
    if not lines:
        return old
    before = old or envfile.HEAD
    return "\n".join([before.rstrip("\n"), *lines, ""])


def secrets_directory(home: Path) -> Path:
    """Return where tokens are kept that were typed in."""
    return home / "secrets"


def private(directory: Path) -> None:
    """Make a directory that only its user can look into, and that git leaves alone."""
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    directory.chmod(PRIVATE_DIRECTORY)
    ignored = directory / ".gitignore"
    if not ignored.exists():
        put(ignored, "*\n", OPEN)


def put(path: Path, text: str, mode: int) -> None:
    """Write a file whole: beside its place, to the disk, and then moved there. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def seen_by_git(path: Path) -> bool:
    """Tell whether git would take the file into a repository; False where there is no git or no repository."""
    git = shutil.which("git")
    if git is None:
        return False
    command = [git, "-C", str(path.parent), "check-ignore", "--quiet", path.name]
    # 0: ignored, 1: not ignored, 128: no repository (git-check-ignore(1)).
    return subprocess.run(command, capture_output=True, check=False).returncode == 1  # noqa: S603 - fixed words
