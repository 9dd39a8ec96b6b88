"""What a rule needs of the sites' APIs, and why: every operation that is sent for its sake.

That is more than what its handler calls. Egress asks where each target is, compares transitions with the limits of the
scope, looks up writes of which nobody knows whether they were made, and learns who its account is before the first one.
All of it goes out with the account's credential, so all of it takes OAuth scopes.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from bridge import catalogue
from bridge.catalogue import Operation, Verb, lookups
from bridge.catalogue.match import Match
from bridge.rule.reading import PRODUCTS, Use
from bridge.rule.registry import Rule
from bridge.rule.usage import granted, usage


class Reason(StrEnum):
    """Why an operation is sent; the value is the end of a sentence."""

    DOES = "to do it"
    WHERE = "to find where the target is"
    LIMIT = "to compare it with scope.limits.transitions"
    DOUBT = "to look up a write in doubt"
    WHO = "to know its own account before the first write"


@dataclass(frozen=True, slots=True)
class Need:
    """One operation that is sent for a rule. ``product`` says with which credential: ``jira`` or ``confluence``.

    ``verb`` is the full name of the verb that grants it (``jira.comment``), or the operationId that the scope names;
    ``use`` what the rule itself calls, a method's name mostly. ``acting``: only once the rule acts, for in observe mode
    no write is sent. ``sure`` is False where the rule only may need it. ``where`` and ``line`` tell the place that says
    so first.
    """

    rule: str
    product: str
    operation: Operation
    verb: str
    use: str
    reason: Reason
    acting: bool
    sure: bool
    where: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Needs:
    """All needs of a rule; ``unsure`` are the places, as sentences, that keep them from being known exactly."""

    rule: str
    needs: tuple[Need, ...]
    unsure: tuple[str, ...] = ()

    def of(self, product: str) -> tuple[Need, ...]:
        """Return those of one credential."""
        return tuple(need for need in self.needs if need.product == product)


def needs(rule: Rule, products: Collection[str] = ()) -> Needs:
    """Return what a rule needs. ``products`` are those that its account has a credential for besides the rule's own.

    Who the account is, is asked of Jira where there is a credential for it, and of Confluence otherwise.
    """
    read = usage(rule)
    found = [need for use in read.uses for need in _of_use(rule, use)]
    writing = next((need for need in found if need.reason is Reason.DOUBT or _writes(need)), None)
    if writing is not None:
        asked = "jira" if "jira" in {*products, *(need.product for need in found)} else "confluence"
        who = catalogue.locate(asked, "getCurrentUser")
        place = (writing.where, writing.line)
        acting = rule.manifest.mode == "observe"
        found.append(Need(rule.name, asked, who, writing.verb, writing.use, Reason.WHO, acting, writing.sure, *place))
    return Needs(rule.name, tuple(_once(found)), read.unsure)


def _once(found: Collection[Need]) -> list[Need]:
    """Keep an operation once for each verb, for the foremost reason; what some reason needs now does not wait."""
    kept: dict[tuple[Operation, str], Need] = {}
    for need in sorted(found, key=lambda need: [*Reason].index(need.reason)):
        first = kept.setdefault((need.operation, need.verb), need)
        kept[need.operation, need.verb] = replace(
            first, acting=first.acting and need.acting, sure=first.sure or need.sure
        )
    return sorted(
        kept.values(), key=lambda need: (PRODUCTS.index(need.product), need.verb, [*Reason].index(need.reason))
    )


def _writes(need: Need) -> bool:
    """Tell whether an operation that a rule does is a write and no supporting read."""
    verb = catalogue.verbs().get(need.verb)
    if need.reason is not Reason.DOES:
        return False
    return _own(verb, need.operation) and verb.write if verb else need.operation.method != "GET"


def _own(verb: Verb, operation: Operation) -> bool:
    """Tell whether an operation is what the verb does, or what another does that the verb owns a part of."""
    return _owned(operation, (*verb.operations, *(part.operation for part in verb.parts)), verb.product)


def _reads(verb: Verb, operation: Operation) -> bool:
    return _owned(operation, verb.reads, verb.product)


def _owned(operation: Operation, names: Collection[str], product: str) -> bool:
    return any(_located(product, name) == operation for name in names)


@cache
def _located(product: str, name: str) -> Operation:
    return catalogue.locate(product, name)


def _of_use(rule: Rule, use: Use) -> Iterator[Need]:
    """Expand one use: its operations by the verb that grants each, and what egress asks for the sake of those verbs."""
    observes = rule.manifest.mode == "observe"

    def need(operation: Operation, verb: str, reason: Reason, *, acting: bool = False) -> Need:
        acting = observes and acting
        return Need(rule.name, use.product, operation, verb, use.name, reason, acting, use.sure, use.where, use.line)

    names = granted(rule, use.product)
    done: dict[str, list[Operation]] = {}
    for operation in _operations(use):
        verb = _granting(use, operation, names)
        if verb is None:
            continue
        does = need(operation, verb, Reason.DOES)
        yield need(operation, verb, Reason.DOES, acting=_writes(does))
        done.setdefault(verb, []).append(operation)
    for name, operations in done.items():
        known = catalogue.verbs().get(name)
        for place in _places(known, operations, use):
            yield need(place, name, Reason.WHERE)
        if known is None:
            continue
        own = [operation for operation in operations if _own(known, operation)]
        if name == "jira.transition" and own and rule.manifest.scope.limits.transitions is not None:
            yield need(catalogue.locate("jira", "getTransitions"), name, Reason.LIMIT)
        for look_up in _look_ups(known, own):
            yield need(look_up, name, Reason.DOUBT, acting=True)


def _operations(use: Use) -> tuple[Operation, ...]:
    if use.operation is not None:
        return (use.operation,)
    names = use.method.operations if use.method else ()
    return tuple(dict.fromkeys(catalogue.locate(use.product, name) for name in names))


def _granting(use: Use, operation: Operation, names: Collection[str]) -> str | None:
    """Return what of the scope allows an operation: its operationId or a verb; None if nothing does.

    A method's operations are done in the name of its own verbs; which, is told by whose operation it is.
    """
    if use.method is None and operation.operation_id in names:
        return operation.operation_id
    verbs = [catalogue.verb(name) for name in use.method.verbs] if use.method else _all(use.product)
    held = [verb for verb in verbs if verb.name in names]
    for fits in (_own, _reads):
        owner = next((verb for verb in held if fits(verb, operation)), None)
        if owner is not None:
            return owner.full_name
    claimed = any(_own(verb, operation) or _reads(verb, operation) for verb in verbs)
    return held[0].full_name if held and use.method and not claimed else None


def _all(product: str) -> list[Verb]:
    return [verb for verb in catalogue.verbs().values() if verb.product == product]


def _places(verb: Verb | None, operations: Collection[Operation], use: Use) -> tuple[Operation, ...]:
    """Return what is asked to find the targets of operations done in the name of a verb, or of none.

    A further target that no call names is not asked about.
    """
    product = use.product
    words = dict.fromkeys(_container(verb, operation) for operation in operations)
    names = [name for word in words for name in lookups.PLACES.get(word, ())]
    if verb is not None and any(_own(verb, operation) for operation in operations):
        refers = any(_may_refer(path, use) for path in verb.references)
        names += lookups.REFERENCES[product] if refers or verb.container == "references" else ()
    return tuple(dict.fromkeys(catalogue.locate(product, name) for name in names))


def _container(verb: Verb | None, operation: Operation) -> str:
    """Return the catalogue's word for how the container of an operation is found, as egress will infer it."""
    if verb is not None and _own(verb, operation):
        return verb.container
    homes = (each for each in _all(operation.site_product) if _owned(operation, each.operations, each.product))
    home = next(homes, None)
    if home is not None:
        return home.container
    reads = verb.supporting if verb is not None else ()
    told = (read.container for read in reads if _owned(operation, (read.operation,), operation.site_product))
    names = re.findall(r"\{([^}]+)\}", operation.path)
    path = catalogue.infer(Match(operation, dict.fromkeys(names, "1")), {}, None).container
    return next(told, None) or path


def _may_refer(path: str, use: Use) -> bool:
    """Tell whether a call may name the further target at a body path such as ``fields.parent`` or ``parentId``."""
    if use.given is None or use.method is None or path.startswith("{"):
        return True
    name = re.sub(r"Id\Z", "", path.removesuffix(".[]").rpartition(".")[2])
    optional = {argument.name for argument in use.method.arguments if not argument.required}
    return name not in optional or bool({name, f"{name}Id"} & use.given)


def _look_ups(verb: Verb, own: Collection[Operation]) -> Iterator[Operation]:
    """Return what is asked when a write of these operations is in doubt; for a deletion, only the thing it deleted."""
    if not own or not verb.write:
        return
    paths = {operation.path for operation in own}
    for operation in lookups.look_ups(verb):
        if verb.resolver != "gone" or operation.path in paths:
            yield operation
