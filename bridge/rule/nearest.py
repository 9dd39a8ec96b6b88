"""The sentence that helps after a misspelt name: the nearest known names, or all of them when they are few."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

FEW = 8
LONGEST = 60
MOST = 200  # names looked at: a payload may have a hundred thousand, and comparing them all takes seconds


def shown(name: object) -> str:
    """Quote a name that may come from outside: ASCII only, at most 60 characters, safe for logs and terminals."""
    quoted = ascii(str(name))
    return quoted if len(quoted) <= LONGEST else f"{quoted[:LONGEST]}...'"


def hint(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, ``"; known are 'a', 'b'"`` or nothing, to be put behind a message."""
    names = sorted({each for each in map(str, islice(known, MOST)) if len(each) <= LONGEST})
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    folded = [each for each in names if each.casefold() == name.casefold()]
    if folded or close:
        return f"; did you mean {shown((folded or close)[0])}?"
    if 0 < len(names) <= FEW:
        return f"; known: {', '.join(shown(each) for each in names)}"
    return ""
