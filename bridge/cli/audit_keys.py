"""``bridge audit init`` and ``rotate``: the key that seals the log, and a place outside for its checkpoints."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from bridge.cli import compose, config_text, show
from bridge.settings import Settings

NO = "no"
REMARK = "Where checkpoints of the audit log are kept outside, so that not even root here can rewrite it unseen."
ASK = (
    "Checkpoints of the log should also be kept where nobody who works on this machine can change them: a file on\n"
    "another machine's disk (/mnt/…), an address to post them to (https://…), or a syslog server (tls://host:6514).\n"
    "Without that, whoever holds this machine could rewrite the log and sign it again.\n"
    f"A place outside, or {NO}"
)
KINDS = {"/": "checkpoint_file", "http": "checkpoint_url", "tls:": "syslog", "tcp:": "syslog", "udp:": "syslog",
         "unix:": "syslog"}  # fmt: skip


def _outside(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        if compose.settings().audit.has_outside():
            return NO
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"this is no terminal to ask on, so give --outside PLACE, or --outside {NO}", context
            )
        value = str(click.prompt(ASK))
    value = value.strip()
    if value != NO and _setting(value) is None:
        raise click.BadParameter(f"{value!r} is no place: write /path, https://…, tls://host:port, or {NO}")
    return value


def _setting(place: str) -> str | None:
    return next((setting for begin, setting in KINDS.items() if place.startswith(begin)), None)


@click.command("init")
@click.option("--name", help="What the log is called, such as bridge.example.com/log (default: by your address).")
@click.option("--outside", callback=_outside, metavar="PLACE", help=f"/path, https://… or tls://host:port; or {NO}.")
@show.by
def init(name: str | None, outside: str, by: str | None) -> None:
    """Make the key that seals the log, and print its public half for the auditor.

    From then on the clock seals every entry, those before it too. The key stays on this machine, in a file that only
    its owner may read; back it up like a secret.
    """
    from bridge.audit import keys as keys_room
    from bridge.audit import seal

    known = compose.settings()
    store = compose.store(known)
    place = keys_room.of(known)
    added = "" if outside == NO else _added(known.config, str(_setting(outside)), outside)
    signer = seal.begin(store, place, name or _name(known), compose.person(by))
    if added:
        known.config.write_text(added, encoding="utf-8")
    print(f"log         {signer.key.name}")
    print(f"key         {place.directory / 'key'}  (secret; back it up)")
    print(f"public key  {signer.verifier}")
    print(
        "\nGive the public key to the auditor, to be kept where nobody here can change it. The clock seals from now on"
    )
    print("(restart it to have it read bridge.toml). `bridge audit verify --key PUBLIC-KEY` checks the log.")
    if not added and not known.audit.has_outside():
        print(
            "\nCheckpoints are kept nowhere outside but in the clock's output: `audit verify` can then say no more than"
        )
        print('"OK inside only", unless that output is collected elsewhere and given to it with --outside.')


def _name(known: Settings) -> str:
    host = urlsplit(known.public_url).hostname if known.public_url else None
    return f"{host or socket.gethostname() or 'bridge'}/log"


def _added(config: Path, setting: str, place: str) -> str:
    """Return bridge.toml with the place in it. Raises ``CannotEdit`` or ``SettingsInvalid`` before anything is made."""
    from bridge.audit_settings import AuditTable

    mistakes = AuditTable().validate({setting: place})
    if mistakes:
        raise click.BadParameter(f"{place}: {' '.join(mistakes[setting])}")
    try:
        text = config.read_text(encoding="utf-8") if config.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{config} cannot be read; add {setting} = {place!r} below [audit] yourself") from error
    if config_text.has_table(text, ("audit",)):
        return config_text.with_key(text, ("audit",), setting, place)
    return config_text.with_table(text, ("audit",), {setting: place}, REMARK)


@click.command("rotate")
@show.reason
@show.by
def rotate(reason: str, by: str | None) -> None:
    """Replace the sealing key by a new one, which the old one vouches for; the old one is destroyed.

    One checkpoint is signed by both, so whoever knows either public key can follow the log through the change.
    """
    from bridge.audit import keys as keys_room
    from bridge.audit import seal

    known = compose.settings()
    signer = seal.rotate(compose.store(known), keys_room.of(known), compose.person(by), reason)
    print(f"public key  {signer.verifier}")


@click.command("restart")
@click.option("--name", help="What the new log is called (default: the former name, counted up).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@show.reason
@show.by
def restart(name: str | None, reason: str, by: str | None, *, yes: bool) -> None:
    """Begin a new log where the sealing key was lost, or a database is older than what was signed.

    Entries and leaves stay; what is signed from now on has another name, and an entry says who began it and why.
    Outside copies of the former log still tell up to where both agree.
    """
    from bridge.audit import keys as keys_room
    from bridge.audit import seal

    known = compose.settings()
    store = compose.store(known)
    if not yes and not click.confirm(
        "The log goes on under a new name, and everybody who checks it will see that. Go on?"
    ):
        sys.exit(1)
    signer = seal.new_origin(store, keys_room.of(known), compose.person(by), reason, name)
    print(f"log         {signer.key.name}")
    print(f"public key  {signer.verifier}")
