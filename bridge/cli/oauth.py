"""Which OAuth scopes an account's credentials need for what its rules may do: for people who make the token.

A verb needs more than its own operation: the reads that go with it, the question where its target is, and the look-up
of a write that is in doubt. Atlassian can neither show nor change the OAuth scopes of a token, so all of them are named
before it is made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bridge import catalogue
from bridge.catalogue import Operation, Verb
from bridge.rule.scope import Scope

PRODUCTS: tuple[Literal["jira"], Literal["confluence"]] = ("jira", "confluence")
# What egress asks to find out where a target is (egress/places.py), by Verb.container.
PLACES = {
    "issue": ("getIssue",),
    "project-in-body": ("getProject",),
    "page": ("getPageById", "getSpaceById"),
    "page-in-body": ("getPageById", "getSpaceById"),
    "space-in-body": ("getSpaceById",),
}
# What egress asks when nobody knows whether a write was made (egress/resolve.py), by Verb.resolver.
LOOK_UPS = {
    "comment": ("getComments", "getCommentsByIds"),
    "issue-created": ("searchAndReconsileIssuesUsingJqlPost",),
    "transition": ("getChangeLogs",),
    "page-created": ("getPages",),
    "page-version": ("getPageVersions", "getPageById"),
    "footer-comment": ("getPageFooterComments",),
}


@dataclass(frozen=True, slots=True)
class Need:
    """One operation that something granted will use. ``certain`` is False where only some handlers use it."""

    operation: Operation
    granted: str
    certain: bool = True


def needs(product: str, granted: Iterable[str]) -> Iterator[Need]:
    """Name what verbs or operationIds granted in ``product`` use, each in its own name."""
    for name in sorted(set(granted)):
        verb = catalogue.verbs().get(f"{product}.{name}")
        if verb is None:
            for operation in catalogue.operation(name):
                if operation.site_product == product:
                    yield Need(operation, name)
        else:
            yield from _of_verb(verb)


def _of_verb(verb: Verb) -> Iterator[Need]:
    always = (
        *verb.operations[:1],
        *verb.reads,
        *PLACES.get(verb.container, ()),
        *LOOK_UPS.get(verb.resolver or "", ()),
    )
    for operation_id in dict.fromkeys(always):
        yield Need(catalogue.locate(verb.product, operation_id), verb.name)
    for operation_id in verb.operations[1:]:
        if operation_id not in always:
            # The methods of the context use a verb's first operation, the others are asked for by request().
            yield Need(catalogue.locate(verb.product, operation_id), verb.name, certain=False)


def who_am_i(product: str) -> Operation:
    """Return the operation by which an account learns its own id; Jira is asked where there is a credential for it."""
    return catalogue.locate(product, "getCurrentUser")


def granted(scope: Scope, product: str) -> frozenset[str]:
    """Return all verbs and operationIds that a scope grants anywhere in a product."""
    return frozenset().union(*scope.grants(product).values())


@dataclass(frozen=True, slots=True)
class Choice:
    """The OAuth scopes to choose when a token is made; None where that kind does not reach every operation.

    Classic and granular ones are not mixed in one token, which Atlassian is reported to reject.
    """

    classic: frozenset[str] | None
    granular: frozenset[str] | None


def choice(operations: Iterable[Operation]) -> Choice:
    """Return the classic and the granular OAuth scopes that reach all of these operations."""
    every = tuple(operations)
    return Choice(_union(every, granular=False), _union(every, granular=True))


def missing(operation: Operation, declared: frozenset[str]) -> tuple[str, ...]:
    """List the OAuth scopes that a credential lacks for an operation, of the kind that it has already.

    Empty when nothing is lacking; where Atlassian names no OAuth scope, that is said in place of one.
    """
    if operation.allowed_by(declared):
        return ()
    if not operation.scope_sets:
        return (f"whatever {operation.operation_id} may need",)
    granular = any(map(is_granular, declared))
    alike = [one.scopes for one in operation.scope_sets if all(is_granular(name) is granular for name in one.scopes)]
    if alike:
        fewest = min((scopes - declared for scopes in alike), key=len)
        return tuple(sorted(fewest))
    return operation.missing(declared)


def is_granular(scope: str) -> bool:
    """Tell ``read:page:confluence`` from ``read:jira-work``."""
    return scope.count(":") > 1


def _union(operations: tuple[Operation, ...], *, granular: bool) -> frozenset[str] | None:
    found: set[str] = set()
    for operation in operations:
        fitting = [
            one.scopes for one in operation.scope_sets if all(is_granular(name) is granular for name in one.scopes)
        ]
        if not fitting:
            return None
        found |= min(fitting, key=lambda scopes: len(scopes - found))
    return frozenset(found) if operations else None


def described(chosen: Choice) -> list[str]:
    """Say a choice in lines: the classic OAuth scopes, or the granular ones, each kind on a line of its own."""
    lines = [
        f"{kind}: {' '.join(sorted(scopes))}"
        for kind, scopes in (("classic", chosen.classic), ("granular", chosen.granular))
        if scopes is not None
    ]
    return lines or ["neither classic nor granular ones alone reach every operation; see `bridge rules verbs`"]
