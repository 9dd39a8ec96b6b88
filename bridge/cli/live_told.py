"""How ``bridge doctor --live`` says what became of a trial that did not go through."""

from collections.abc import Sequence

from bridge.cli.check import FAIL, UNKNOWN, WARN, Check
from bridge.cli.live_stage import Done
from bridge.cli.words import listed


def failed(what: str, done: Done) -> Check:
    """Say why something did not go through; ``what`` is what was tried."""
    if done.lacks:
        return lacking(what, done.lacks)
    if done.how in {"failed", "refused"}:
        # Fields that a project demands or a link type it does not have: a rule may give what the trial does not.
        todo = "a rule may give what this trial did not; if not, see to its permissions"
        return Check(WARN, "tried", f"{what}: {why(done)}", todo)
    return Check(UNKNOWN, "tried", f"{what}: {why(done)}", f"`bridge deliveries show {done.delivery}` says more")


def not_made(what: str, done: Done) -> Check:
    """Say that there is nothing to try anything on."""
    if done.lacks or done.how not in {"failed", "refused"}:
        return failed(what, done)
    return Check(FAIL, "tried", f"{what}: {why(done)}", "is it called so, and may the account make something there?")


def lacking(what: str, scopes: Sequence[str]) -> Check:
    """Say that something was stopped for want of OAuth scopes."""
    todo = "make a new credential: `bridge scopes` prints what to choose"
    return Check(FAIL, "tried", f"{what}: the credential lacks {listed(scopes)}", todo)


def pages(numbers: Sequence[str]) -> str:
    """Name pages by their ids."""
    return f"page {numbers[0]}" if len(numbers) == 1 else f"pages {listed(numbers)}"


def why(done: Done) -> str:
    """Return the site's words, or the bridge's own."""
    return f"the site answered {done.status}: {done.text}" if done.status else done.text
