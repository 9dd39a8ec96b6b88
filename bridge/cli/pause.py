"""``bridge pause`` and ``bridge resume``: deliveries are still accepted, and wait."""

import sys

import click
import sqlalchemy as sa

from bridge.cli import compose, show
from bridge.store import offers, registers


def _subject(what: str, name: str | None) -> tuple[str, str]:
    if what == "all":
        if name is not None:
            raise click.UsageError("all takes no name")
        return what, ""
    if name is None:
        raise click.UsageError(f"which {what}? give its name")
    known = compose.settings()
    if what == "account" and name not in known.accounts:
        raise click.UsageError(f"bridge.toml has no account {name!r}; it has: {', '.join(known.accounts) or 'none'}")
    if what == "rule" and compose.readable(known).current().get(name) is None:
        rules = ", ".join(compose.readable(known).current().rules) or "none"
        raise click.UsageError(f"there is no rule {name!r}; there are: {rules}")
    return what, name


_what = click.argument("what", type=click.Choice(["rule", "account", "all"]))
_name = click.argument("name", required=False)


@click.command()
@_what
@_name
@show.reason
@show.by
def pause(what: str, name: str | None, reason: str, by: str | None) -> None:
    """Let deliveries of a rule, of an account's rules, or all of them wait."""
    subject = _subject(what, name)
    compose.store(compose.settings()).commit(
        lambda connection: registers.set_pause(connection, *subject, compose.person(by), reason)
    )
    print(f"{' '.join(filter(None, subject))}: paused; deliveries are accepted and wait")


@click.command()
@_what
@_name
@show.reason
@show.by
def resume(what: str, name: str | None, reason: str, by: str | None) -> None:
    """Let them go on."""
    if (name is None) != (what == "all"):
        _subject(what, name)
    # The name of what is gone must be possible: its pause may have outlived it.
    subject = (what, name or "")
    known = compose.settings()
    rules = compose.readable(known).current().rules if what == "account" else {}
    held = (
        [rule.name for rule in rules.values() if rule.manifest.account == name] if what == "account" else [subject[1]]
    )

    def work(connection: sa.Connection) -> bool:
        lifted = registers.lift_pause(connection, *subject, compose.person(by), reason)
        # An id that a worker was offered and refused during the pause is offered again at once.
        offers.withdraw(connection, rules=None if what == "all" else held)
        return lifted

    lifted = compose.store(known).commit(work)
    if not lifted and what == "account":
        _subject(what, name)
    print(f"{' '.join(filter(None, subject))}: {'resumed' if lifted else 'was not paused'}")
    sys.exit(0 if lifted else 1)
