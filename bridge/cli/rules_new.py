"""``bridge rules new``: a rule that can be tried at once, in observe mode, with the questions answered."""

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli import compose, draft
from bridge.cli.draft import Wanted
from bridge.errors import RuleInvalid
from bridge.rule.manifest import Source
from bridge.rule.methods import METHODS
from bridge.rule.nearest import hint
from bridge.rule.registry import facts, load
from bridge.rule.schema import SOURCES
from bridge.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.command(short_help="Write a new rule, in observe mode.")
@click.argument("name")
@click.option("--title", help="What the rule does, in one sentence.")
@click.option("--owner", help="Who answers for it: a team's address, not a person's.")
@click.option("--source", type=click.Choice(SOURCES), help="Where its webhooks come from.")
@click.option("--account", help="The service account of bridge.toml as which it acts.")
@click.option("--verb", "verbs", multiple=True, metavar="VERB", help="What it may do, as jira.comment; repeatable.")
@click.option("--project", "projects", multiple=True, metavar="KEY", help="Jira project it may do it in; repeatable.")
@click.option("--space", "spaces", multiple=True, metavar="KEY", help="Confluence space likewise; repeatable.")
@click.option("--steps/--python", "steps", default=None, help="Steps in the file, or a handler in Python beside it.")
def new(
    name: str,
    title: str | None,
    owner: str | None,
    source: Source | None,
    account: str | None,
    verbs: tuple[str, ...],
    projects: tuple[str, ...],
    spaces: tuple[str, ...],
    *,
    steps: bool | None,
) -> None:
    """Write rules/NAME.toml in observe mode, with steps or a handler, and a payload to try it with.

    On a terminal it asks for what is not given. Nothing is ever overwritten.
    """
    # It becomes part of paths before the rule as a whole is checked.
    if not NAME.fullmatch(name):
        raise click.UsageError("a rule's name is small letters, digits and _, and begins with a letter")
    known = compose.settings()
    ask = _Questions()
    title = title or ask.text("title", "What does it do, in one sentence")
    owner = owner or ask.text("owner", "Which team answers for it (an address)")
    asked = verbs or ask.several("verb", "Which verbs (such as jira.comment)", lambda text: _verb(text, source))
    chosen = tuple(_verb(text, source) for text in asked)
    products = {verb.partition(".")[0] for verb in chosen}
    if "jira" in products and not projects:
        projects = ask.several("project", "In which Jira projects (keys)")
    if "confluence" in products and not spaces:
        spaces = ask.several("space", "In which Confluence spaces (keys)")
    usual = "confluence-automation" if products == {"confluence"} else "jira-automation"
    source = source or ask.choice("source", "Where do its webhooks come from", SOURCES, usual)
    account = account or ask.text("account", "As which account of bridge.toml does it act", _usual(known))
    as_steps = ask.yes("Steps in the file rather than Python", default=True) if steps is None else steps
    ask.done()
    wanted = Wanted(name, title, owner, source, account, chosen, projects, spaces, as_steps)
    for product, containers, option in (("jira", projects, "project"), ("confluence", spaces, "space")):
        if containers and product not in products:
            raise click.UsageError(f"--{option} is given, and no verb of {product} to do there")
    _write(known, wanted)


class _Questions:
    """Asks on a terminal; elsewhere takes what is usual and names at the end all options that are missing."""

    def __init__(self) -> None:
        self._terminal = sys.stdin.isatty()
        self._missing: list[str] = []

    def text(
        self, option: str, question: str, usual: str | None = None, check: Callable[[str], object] | None = None
    ) -> str:
        """Ask for text, again for as long as ``check`` raises ``click.UsageError``."""

        def proved(answer: str) -> str:
            if check is not None:
                check(answer)
            return answer.strip()

        if self._terminal:
            return str(click.prompt(question, default=usual, value_proc=proved))
        if usual is None:
            self._missing.append(f"--{option}")
        return usual or ""

    def several(self, option: str, question: str, check: Callable[[str], object] | None = None) -> tuple[str, ...]:
        """Ask for words with blanks or commas between them, of which ``check`` may refuse each."""

        def each(answer: str) -> None:
            for word in _words(answer):
                if check is not None:
                    check(word)

        return _words(self.text(option, f"{question}, several with blanks between", check=each))

    def choice(self, option: str, question: str, among: Sequence[str], usual: str) -> Any:
        """Ask for one of a few words."""
        if not self._terminal:
            return self.text(option, question, usual)
        return click.prompt(question, default=usual, type=click.Choice(among))

    def yes(self, question: str, *, default: bool) -> bool:
        """Ask yes or no."""
        return click.confirm(question, default=default) if self._terminal else default

    def done(self) -> None:
        """Raise ``click.UsageError`` if something is missing."""
        if self._missing:
            raise click.UsageError(f"this is no terminal to ask on, so give {', '.join(dict.fromkeys(self._missing))}")


def _words(answer: str) -> tuple[str, ...]:
    return tuple(answer.replace(",", " ").split())


def _usual(known: Settings) -> str | None:
    """Return the account to take when none is named: the only one there is."""
    return next(iter(known.accounts)) if len(known.accounts) == 1 else None


def _verb(text: str, source: str | None) -> str:
    """Return a verb's full name; one without product is taken in the product that has it, or that the source is of."""
    if text in METHODS:
        return text
    named = [name for name in METHODS if name.partition(".")[2] == text]
    if len(named) > 1 and source in {"jira-automation", "jira-webhook", "confluence-automation"}:
        named = [f"{str(source).partition('-')[0]}.{text}"]
    if len(named) == 1:
        return named[0]
    if named:
        raise click.UsageError(f"the verb {text} is {' or '.join(named)}: which of them?")
    raise click.UsageError(f"there is no verb {text!r}{hint(text, METHODS)}; `bridge rules verbs` shows all")


def _write(known: Settings, wanted: Wanted) -> None:
    files = draft.files(wanted)
    _check(known, files)
    taken = [path for path in (*files, f"{wanted.name}.py", f"{wanted.name}.toml") if (known.rules / path).exists()]
    if taken:
        raise click.UsageError(f"{known.rules / taken[0]} is there already, and nothing is overwritten")
    for path, text in files.items():
        place = known.rules / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8") as file:
            file.write(text)
        print(f"wrote {place}")
    if not known.config.exists():
        click.echo(f"there is no {known.config} yet: it must have an account {wanted.account}", err=True)
    print(f"\nIt observes: nothing is written until its mode is act. Next:\n  bridge rules test {wanted.name}")
    print(f"  bridge rules setup {wanted.name}")


def _check(known: Settings, files: dict[str, str]) -> None:
    """Check the rule as it will be, before a file is written. Raises ``click.UsageError`` with every mistake."""
    with tempfile.TemporaryDirectory(prefix="bridge-new-") as name:
        for path, text in files.items():
            place = Path(name) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        try:
            load(Path(name), facts(known.accounts) if known.config.exists() else None)
        except RuleInvalid as error:
            said = [f"{mistake.key}: {mistake.text}" if mistake.key else mistake.text for mistake in error.mistakes]
            raise click.UsageError("this would be no rule:\n  " + "\n  ".join(said)) from error
