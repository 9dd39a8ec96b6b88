"""The questions of ``bridge init``: asked on a terminal; elsewhere options answer them, or are named as missing.

What is secret is typed unseen, or taken line by line from standard input; it is never an argument, which every user of
a machine can read.
"""

import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import click

from bridge import catalogue
from bridge.rule.nearest import shown

T = TypeVar("T")

LONGEST_LIFE = 365  # days; https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/
STDIN = "-"
_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_TOKEN = re.compile(r"[!-~]+", re.ASCII)
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SCOPE = re.compile(r"[a-z]+:[a-z0-9.:-]+|offline_access", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class Asked:
    """Answers from a terminal, or from options alone: then ``missing`` collects the options that would be needed."""

    def __init__(self, *, quiet: bool) -> None:
        self.interactive = sys.stdin.isatty() and not quiet
        self._missing: list[str] = []

    def say(self, text: str = "") -> None:
        """Say something that only matters to whoever is asked."""
        if self.interactive:
            print(text)

    def text(
        self, option: str, given: str | None, question: str, read: Callable[[str], T], usual: str | None = None
    ) -> T | None:
        """Return what an option says, else ask until ``read`` takes the answer (it raises ``ValueError`` otherwise).

        Where nothing is asked it is what is usual; without that the option is missing, and None is returned.
        """
        if given is not None:
            try:
                return read(given)
            except ValueError as error:
                raise click.UsageError(f"--{option}: {error}") from error
        if not self.interactive:
            if usual is None:
                self._missing.append(f"--{option}")
                return None
            return read(usual)
        while True:
            answer = str(click.prompt(question, default=usual, type=str)).strip()
            try:
                return read(answer)
            except ValueError as error:
                print(f"  {error}")

    def maybe(self, question: str, shown: str, read: Callable[[str], T]) -> T | None:
        """Ask for text that may be left out; ``shown`` says what it means to give none. None where nobody is asked."""
        while self.interactive:
            given = str(click.prompt(f"{question} [{shown}]", default="", show_default=False, type=str)).strip()
            if not given:
                return None
            try:
                return read(given)
            except ValueError as error:
                print(f"  {error}")
        return None

    def secret(self, option: str, question: str, *, kept: bool) -> str | None:
        """Ask for a secret without showing it; ``kept`` says that there is one, which an empty answer leaves."""
        if not self.interactive:
            if not kept:
                self._missing.append(f"--{option}")
            return None
        while True:
            given = str(click.prompt(question, default="", show_default=False, hide_input=True, type=str)).strip()
            if not given and kept:
                return None
            try:
                return token(given)
            except ValueError as error:
                print(f"  {error}")

    def yes(self, question: str, *, usual: bool) -> bool:
        """Ask yes or no."""
        return click.confirm(question, default=usual) if self.interactive else usual

    def done(self) -> None:
        """Raise ``click.UsageError`` if something is missing."""
        if self._missing:
            options = ", ".join(dict.fromkeys(self._missing))
            raise click.UsageError(f"nothing is asked here (no terminal, or --yes), so give {options}")


def name(given: str) -> str:
    """Take a name that can stand in bridge.toml and in a file's name."""
    if not _NAME.fullmatch(given):
        raise ValueError("a name has letters, digits, - and _, and begins with a letter or digit")
    return given


def rule(given: str) -> str:
    """Take the name of a rule."""
    if not _RULE.fullmatch(given) or given in {"lib", "payloads"}:
        raise ValueError("a rule's name is small letters, digits and _, and begins with a letter")
    return given


def products(given: str) -> tuple[str, ...]:
    """Take the names of products."""
    found = tuple(dict.fromkeys(given.lower().replace(",", " ").split()))
    if not found or not set(found) <= {"jira", "confluence"}:
        raise ValueError("write jira, confluence, or both with a blank between")
    return found


def email(given: str) -> str:
    """Take an e-mail address."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", given):
        raise ValueError("that is no e-mail address; a service account's ends in @serviceaccount.atlassian.com")
    return given


def token(given: str) -> str:
    """Take a token or client secret, of the letters that RFC 6750 section 2.1 allows and a few more."""
    if not _TOKEN.fullmatch(given):
        raise ValueError("a token is one word without blanks; paste it again" if given else "it is needed")
    return given


def variable(given: str) -> str:
    """Take the name of an environment variable, and make it a reference."""
    if not _ENV.fullmatch(given):
        raise ValueError(f"{given!r} is no name of an environment variable")
    return f"env:{given}"


def file(given: Path) -> str:
    """Take a file that holds a secret, and make it a reference. Raises ``ValueError`` if it cannot be read."""
    place = given.absolute()
    try:
        empty = not place.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{place} cannot be read: {error}") from error
    if empty:
        raise ValueError(f"{place} is empty")
    return f"file:{place}"


def expiry(given: str) -> date:
    """Take the day on which a token ends: a date, or how many days from today, 1 to 365."""
    today = datetime.now(UTC).date()
    try:
        day = today + timedelta(days=int(given)) if given.isdecimal() else date.fromisoformat(given)
    except (ValueError, OverflowError) as error:
        raise ValueError("write a date such as 2027-06-30, or how many days it lasts") from error
    # Days are counted in the account's time zone when a token is made, so one more is let through.
    if not 0 < (day - today).days <= LONGEST_LIFE + 1:
        raise ValueError(f"a token lasts 1 to {LONGEST_LIFE} days, so it cannot end on {day}")
    return day


def scopes(given: str) -> tuple[str, ...]:
    """Take OAuth scopes as they are pasted, with blanks, commas or line ends between them.

    Raises ``ValueError`` for what cannot be one, with the nearest that is.
    """
    found = tuple(dict.fromkeys(re.sub(r"[\",\[\]]", " ", given).split()))
    for each in found:
        if not _SCOPE.fullmatch(each):
            raise ValueError(f"{shown(each)} is no OAuth scope{_nearest(each)}")
    return found


def pasted(given: str) -> tuple[str, ...]:
    """Take OAuth scopes as ``scopes`` does, and ``-`` for not knowing them."""
    return () if given == STDIN else scopes(given)


def unknown_scopes(found: Iterable[str]) -> list[str]:
    """Say of each OAuth scope that no operation of the catalogue needs that this is so, with the nearest known one."""
    known = known_scopes()
    return [f"no operation needs {each}{_nearest(each)}" for each in found if each not in known]


def known_scopes() -> frozenset[str]:
    """Return every OAuth scope that some operation of the catalogue needs."""
    return frozenset(scope for each in catalogue.operations() for one in each.scope_sets for scope in one.scopes)


def _nearest(name: str) -> str:
    near = get_close_matches(name, known_scopes(), 1)
    return f"; did you mean {near[0]}?" if near else ""
