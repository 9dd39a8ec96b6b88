"""The text of a leaf: what the tree is built of, and all that an auditor of one rule needs to see of the others.

It names an entry by digest and gives it two numbers: ``seq`` counts all leaves, ``rule_seq`` those of one rule, so that
one rule's log can be shown to be complete without showing another's. ``id`` is the number by which people call the
entry. Entries that belong to no rule count under the empty name.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.errors import BridgeError

PREFIX = "sha256:"


class LeafInvalid(BridgeError):
    """A text is no leaf."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf says: its place, the entry's id and digest, its rule and its place among that rule's."""

    seq: int
    id: int
    entry: str
    rule: str
    rule_seq: int


def digest(entry: str) -> str:
    """Return the digest by which a leaf names an entry: of the exact text, unsalted, for the entry holds no body."""
    return PREFIX + hashlib.sha256(entry.encode()).hexdigest()


def text(seq: int, number: int, entry: str, rule: str, rule_seq: int) -> str:
    """Return the leaf's text, canonical JSON; ``entry`` is the entry's digest."""
    return f'{{"entry":"{entry}","id":{number},"rule":{_quoted(rule)},"rule_seq":{rule_seq},"seq":{seq}}}'


@lru_cache(4096)
def _quoted(rule: str) -> str:
    return json.dumps(rule, ensure_ascii=False)


def read(leaf: str) -> Leaf:
    """Take a leaf's text apart. Raises ``LeafInvalid`` unless it is exactly what ``text`` makes."""
    try:
        said: dict[str, Any] = json.loads(leaf)
        found = Leaf(said["seq"], said["id"], said["entry"], said["rule"], said["rule_seq"])
        fits = text(found.seq, found.id, found.entry, found.rule, found.rule_seq) == leaf
    except (ValueError, KeyError, TypeError) as error:
        raise LeafInvalid("this is no leaf") from error
    if not fits:
        raise LeafInvalid("this is no leaf as the sealer writes them")
    return found
