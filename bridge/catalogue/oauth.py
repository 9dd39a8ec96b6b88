"""Which OAuth scopes a credential needs for some operations: the fewest, of one kind, in an order people can follow.

A token is made once: Atlassian neither shows nor changes its OAuth scopes afterwards, so they are worked out before.
An operation is allowed by all scopes of any one of its sets. Classic and granular ones (``read:jira-work`` and
``read:issue:jira``) are never mixed in one credential, which Atlassian is reported to reject, and a token takes 50 at
most: https://support.atlassian.com/user-management/docs/manage-api-tokens-for-service-accounts/. Nothing here knows
rules; what those need is told by ``bridge.rule.needs``.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bridge.catalogue.operations import Operation

Kind = Literal["classic", "granular"]
Sets = tuple[frozenset[str], ...]

KINDS: tuple[Kind, ...] = ("classic", "granular")
MOST = 50  # OAuth scopes in one token
# Classic although it has two colons, as the table of classic scopes has it:
# https://developer.atlassian.com/cloud/confluence/scopes-for-oauth-2-3LO-and-forge-apps/
_CLASSIC = frozenset({"readonly:content.attachment:confluence"})
# How far an exact answer is looked for; beyond this many partial answers a good one has to do.
_PATIENCE = 20_000
# Atlassian's own list of OAuth scopes (@forge/manifest) collates the punctuation in this order.
_COLLATION = str.maketrans("-:.", "\x01\x02\x03")


@dataclass(frozen=True, slots=True)
class Credential:
    """The OAuth scopes to choose when one credential is made, and what they reach.

    ``scopes`` stand in the picker's order. ``exact``: no smaller set of this kind exists; otherwise none of them can be
    left out, but another choice of alternatives might be smaller.
    """

    kind: Kind
    scopes: tuple[str, ...]
    operations: tuple[Operation, ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Advice:
    """What reaches some operations of one product: no credential, one, or several where one cannot do it.

    ``why`` says in sentences why one cannot, and what no credential can; ``unreachable`` are the operations for which
    Atlassian names no OAuth scope.
    """

    credentials: tuple[Credential, ...] = ()
    unreachable: tuple[Operation, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether at most one credential reaches everything."""
        return len(self.credentials) <= 1 and not self.unreachable

    @property
    def scopes(self) -> tuple[str, ...]:
        """The OAuth scopes of all its credentials, in the picker's order."""
        return in_order({name for one in self.credentials for name in one.scopes})


@cache
def kind_of(scope: str) -> Kind:
    """Tell ``read:page:confluence`` (granular) from ``read:jira-work`` (classic)."""
    return "granular" if scope.count(":") > 1 and scope not in _CLASSIC else "classic"


def in_order(scopes: Iterable[str]) -> tuple[str, ...]:
    """Sort OAuth scopes in the order in which a person meets them when a token is made.

    Atlassian documents no order for the list on admin.atlassian.com. So: classic before granular, and within each as
    Atlassian's own list has them, by action, thing and product (``read:comment:jira``, ``read:comment.property:jira``).
    """
    return tuple(sorted(set(scopes), key=_place))


@cache
def _place(scope: str) -> tuple[int, str]:
    return KINDS.index(kind_of(scope)), scope.translate(_COLLATION)


@cache
def sets_of(operation: Operation, kind: Kind) -> Sets:
    """Return the scope sets of one kind that allow an operation, without those that hold another one."""
    pure = {one.scopes for one in operation.scope_sets if all(kind_of(name) == kind for name in one.scopes)}
    least = [one for one in pure if not any(other < one for other in pure)]
    return tuple(sorted(least, key=lambda one: (len(one), in_order(one))))


def smallest(operations: Iterable[Operation]) -> Advice:
    """Find the fewest OAuth scopes for all of these operations, which must be of one product's credential.

    Classic only or granular only, whichever is fewer; classic where both are equal, as Atlassian recommends. Where one
    credential cannot do it, the operations are divided among several, and ``why`` says so.
    """
    every = _distinct(operations)
    unreachable = tuple(one for one in every if not any(sets_of(one, kind) for kind in KINDS))
    reachable = [one for one in every if one not in unreachable]
    why = [_unnamed(one) for one in unreachable]
    if not reachable:
        return Advice((), unreachable, tuple(why))
    found = [one for one in (credential(reachable, kind) for kind in KINDS) if one is not None]
    fitting = [one for one in found if len(one.scopes) <= MOST]
    if fitting:
        return Advice((min(fitting, key=lambda one: len(one.scopes)),), unreachable, tuple(why))
    if found:
        fewest = min(found, key=lambda one: len(one.scopes))
        why.append(f"{len(fewest.scopes)} {fewest.kind} OAuth scopes would be needed, and a token takes {MOST}")
    else:
        why.append(_two_kinds(reachable))
    return Advice(tuple(_divided(reachable)), unreachable, tuple(why))


def credential(operations: Iterable[Operation], kind: Kind) -> Credential | None:
    """Find the fewest OAuth scopes of one kind that allow all operations; None if some operation has none of it."""
    every = _distinct(operations)
    choices = [sets_of(one, kind) for one in every]
    if not all(choices):
        return None
    scopes, exact = cover(choices)
    return Credential(kind, in_order(scopes), tuple(every), exact)


def cover(choices: Sequence[Sets]) -> tuple[frozenset[str], bool]:
    """Choose one set of each so that their union is small, and tell whether it is certainly the smallest.

    Most operations leave no choice, which settles most of it; the rest is searched by branch and bound. Where that
    takes too long, each operation in turn takes what adds least, and what is not needed is taken away again.
    """
    settled = frozenset[str]().union(*(sets[0] for sets in choices if len(sets) == 1))
    open_ = sorted(dict.fromkeys(sets for sets in choices if not any(one <= settled for one in sets)), key=len)
    best = _without_surplus(_greedy(settled, open_), choices)
    search = _Search(open_, best)
    search.go(settled, 0)
    return (search.best, True) if search.patience > 0 else (_without_surplus(search.best, choices), False)


class _Search:
    """Branch and bound over the sets of each operation: ``best`` is the smallest union so far."""

    def __init__(self, choices: Sequence[Sets], best: frozenset[str]) -> None:
        self.best = best
        self.patience = _PATIENCE
        self._choices = choices

    def go(self, held: frozenset[str], position: int) -> None:
        """Try every way to satisfy the operations from ``position`` on that could still beat the best."""
        self.patience -= 1
        if len(held) >= len(self.best) or self.patience <= 0:
            return
        rest = enumerate(self._choices[position:], position)
        following = next((at for at, sets in rest if not any(one <= held for one in sets)), None)
        if following is None:
            self.best = held
            return
        for one in sorted(self._choices[following], key=lambda one: (len(one - held), in_order(one))):
            self.go(held | one, following + 1)


def _greedy(settled: frozenset[str], choices: Iterable[Sets]) -> frozenset[str]:
    held = settled
    for sets in choices:
        held |= min(sets, key=lambda one: (len(one - held), in_order(one)))
    return held


def _without_surplus(held: frozenset[str], choices: Sequence[Sets]) -> frozenset[str]:
    """Take away, one after another, what nothing needs."""
    for name in sorted(held, reverse=True):
        less = held - {name}
        if all(any(one <= less for one in sets) for sets in choices):
            held = less
    return held


def _divided(operations: Sequence[Operation]) -> list[Credential]:
    """Divide operations among as few credentials as will do, each of one kind and with no more scopes than allowed.

    What only granular scopes reach goes there, and with it what these reach anyhow; the rest is classic where it can
    be. One kind that is too large is filled up in the order of the operations' paths, which keeps like with like.
    """
    only = [one for one in operations if not sets_of(one, "classic")]
    core = credential(only, "granular")
    held = frozenset(core.scopes if core else ())
    riding = [one for one in operations if one in only or any(each <= held for each in sets_of(one, "granular"))]
    rest = [one for one in operations if one not in riding]
    return [*_packed(rest, "classic"), *_packed(riding, "granular")]


def _packed(operations: Iterable[Operation], kind: Kind) -> list[Credential]:
    packed: list[Credential] = []
    for one in sorted(operations, key=lambda one: (one.product, one.path, one.method)):
        for position, present in enumerate(packed):
            wider = credential((*present.operations, one), kind)
            if wider is not None and len(wider.scopes) <= MOST:
                packed[position] = wider
                break
        else:
            alone = credential([one], kind)
            packed += [] if alone is None else [alone]
    return packed


def _two_kinds(operations: Iterable[Operation]) -> str:
    """Say which operations keep a credential from being of one kind."""
    only = {kind: [one.operation_id for one in operations if not sets_of(one, _other(kind))] for kind in KINDS}
    said = [f"{_some(only[kind])} {'take' if len(only[kind]) > 1 else 'takes'} {kind} OAuth scopes only"
            for kind in KINDS]  # fmt: skip
    return f"{' and '.join(said)}, and the two kinds are not mixed in one token"


def _other(kind: Kind) -> Kind:
    return "granular" if kind == "classic" else "classic"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004


def _unnamed(operation: Operation) -> str:
    return f"Atlassian names no OAuth scope for {operation.operation_id}, so no token can be relied on to reach it"


def _distinct(operations: Iterable[Operation]) -> list[Operation]:
    return list(dict.fromkeys(operations))


# ------------------------------------------------------------------------------------------------ against a token


@dataclass(frozen=True, slots=True)
class Lack:
    """What a credential lacks for one operation.

    ``scopes`` are those to add, empty where Atlassian names none. ``mixed`` tells that they are of the other kind than
    the credential's, so that another credential is needed and not a wider one.
    """

    operation: Operation
    scopes: tuple[str, ...]
    mixed: bool = False

    def __str__(self) -> str:
        """Name the OAuth scopes, or say that there is none to name."""
        return " + ".join(self.scopes) or f"whatever {self.operation.operation_id} may need"


def lacking(operation: Operation, held: Collection[str]) -> Lack | None:
    """Tell what a credential with these OAuth scopes lacks for an operation, of its own kind if possible."""
    present = frozenset(held)
    if operation.allowed_by(present):
        return None
    kind = kind_held(present)
    for wanted in KINDS if kind is None else (kind, _other(kind)):
        sets = sets_of(operation, wanted)
        if sets:
            fewest = min((one - present for one in sets), key=lambda one: (len(one), in_order(one)))
            return Lack(operation, in_order(fewest), mixed=kind not in {None, wanted})
    return Lack(operation, operation.missing(present))


def kind_held(held: Collection[str]) -> Kind | None:
    """Tell which kind a credential is of: that of most of its OAuth scopes; None when it has none."""
    if not held:
        return None
    granular = sum(kind_of(name) == "granular" for name in held)
    return "granular" if 2 * granular > len(held) else "classic"


def surplus(operations: Iterable[Operation], held: Collection[str]) -> tuple[str, ...]:
    """Name the OAuth scopes of a credential that none of these operations needs, in the picker's order.

    Where the credential lacks some for an operation, those that it has for it already are not called too many.
    """
    present = frozenset(held)
    kind = kind_held(present)
    choices = []
    for one in _distinct(operations):
        enough = tuple(each.scopes for each in one.scope_sets if each.scopes <= present)
        partial = enough or (sets_of(one, kind) if kind else ())
        choices += [partial] if partial else []
    needed, _ = cover(choices)
    return in_order(present - needed)
