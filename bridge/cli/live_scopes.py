"""Which OAuth scopes a credential really has, found out by asking for what cannot be there.

The gateway looks at the OAuth scopes before the product looks at anything else: a request without the right ones is
401 "scope does not match", and one with them is 404 for issue 0 or 400 for an empty body. So each OAuth scope is asked
for by an operation that needs it and can do nothing.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge import catalogue
from bridge.catalogue import Operation, lookups, oauth
from bridge.cli.check import FAIL, OK, UNKNOWN, WARN, Check
from bridge.cli.words import listed

NOBODY = "0"  # ids begin with 1 in both products
# Where a verb's target stands in the body: an empty one is refused for want of it.
IN_BODY = frozenset({"project-in-body", "page-in-body", "space-in-body", "references"})
_PLACE = re.compile(r"\{[^{}]+\}")


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found out of one OAuth scope: ``has`` is None where it could not be told, ``why`` says why not.

    ``among`` are OAuth scopes, this one with them, of which at least one is missing for certain.
    """

    scope: str
    has: bool | None
    why: str = ""
    among: frozenset[str] = frozenset()


# Sends an operation with this path: True if the gateway let it through, False for a scope mismatch, None if unclear.
Ask = Callable[[Operation, str], bool | None]


def probe(product: str, scopes: Collection[str], needed: Iterable[Operation], ask: Ask) -> list[Probed]:
    """Find out which of these OAuth scopes a product's credential has."""
    kind = oauth.kind_held(scopes) or "classic"
    known = [*_known(product, needed)]
    chosen = {scope: _for(scope, known) or _for(scope, _others(product)) for scope in oauth.in_order(scopes)}
    answers = {one: ask(one, _PLACE.sub(NOBODY, one.path)) for one in dict.fromkeys(chosen.values()) if one is not None}
    certain: set[str] = set()
    for operation, passed in answers.items():
        sets = oauth.sets_of(operation, kind) or tuple(one.scopes for one in operation.scope_sets)
        if passed and sets:
            # What all its alternatives have in common must be there.
            certain |= frozenset.intersection(*sets)
    judged = [_judged(scope, operation, answers, certain) for scope, operation in chosen.items()]
    lacking = {one.scope for one in judged if one.has is False}
    return [_explained(one, lacking) for one in judged]


def _explained(one: Probed, lacking: Collection[str]) -> Probed:
    """Do not suspect an OAuth scope that was asked for together with one of which it is known that it is missing."""
    known = sorted(one.among & frozenset(lacking))
    return Probed(one.scope, None, f"asked for together with {', '.join(known)}") if known else one


def wanting(operation: Operation, declared: Collection[str], found: Sequence[Probed]) -> tuple[str, ...]:
    """Return the OAuth scopes that a credential lacks for an operation, by what was found out of it."""
    kind = oauth.kind_held(declared)
    sets = oauth.sets_of(operation, kind) if kind else ()
    has = {one.scope for one in found if one.has}
    sure = {one.scope for one in found if one.has is False}
    ranked = sorted((each - has for each in sets), key=len)
    fewest = ranked[0] if ranked else frozenset()
    return oauth.in_order(fewest & sure or fewest)


def _judged(
    scope: str, operation: Operation | None, answers: dict[Operation, bool | None], certain: Collection[str]
) -> Probed:
    if scope in certain:
        return Probed(scope, has=True)
    if operation is None:
        return Probed(scope, None, "no operation that could do no harm needs it")
    passed = answers[operation]
    if passed is None:
        return Probed(scope, None, f"{operation.operation_id} was not answered clearly")
    sets = oauth.sets_of(operation, oauth.kind_of(scope))
    lacking = [one - frozenset(certain) for one in sets if scope in one]
    if not passed and frozenset({scope}) in lacking:
        return Probed(scope, has=False)
    if not passed:
        return Probed(scope, None, among=min(lacking, key=len, default=frozenset()))
    return Probed(scope, None, f"{operation.operation_id} may have passed by another one")


def _known(product: str, needed: Iterable[Operation]) -> Iterator[Operation]:
    """Give the operations of rules, verbs and egress that may be asked of nobody."""
    harmless = {catalogue.locate(product, "getCurrentUser")}
    for verb in catalogue.verbs().values():
        if verb.product != product:
            continue
        own = [catalogue.locate(product, name) for name in verb.operations]
        if verb.write:
            # Below something that is not there, or without the target that its body must name, nothing can be done.
            # What works on the whole site needs neither.
            body = verb.container in IN_BODY
            own = [each for each in own if verb.container != "site" and (body or _PLACE.search(each.path))]
        reads = (catalogue.locate(product, name) for name in verb.reads)
        harmless |= {*own, *reads, *lookups.places(verb), *lookups.look_ups(verb)}
    first = [each for each in dict.fromkeys(needed) if each in harmless or each.method == "GET"]
    yield from dict.fromkeys([*first, *sorted(harmless, key=lambda each: (each.path, each.method))])


def _others(product: str) -> Iterator[Operation]:
    """Give every read there is besides.

    What nobody uses may have been taken out of service, and its 404 would say nothing: these are asked last.
    """
    for operation in catalogue.operations():
        if operation.site_product == product and operation.method == "GET" and not operation.deprecated:
            yield operation


def _for(scope: str, candidates: Iterable[Operation]) -> Operation | None:
    """Choose the operation that says most about one OAuth scope: it needs few others, and reads if possible."""
    kind = oauth.kind_of(scope)
    fitting = []
    for place, operation in enumerate(candidates):
        sizes = [len(one) for one in oauth.sets_of(operation, kind) if scope in one]
        alternatives = len(oauth.sets_of(operation, kind))
        if sizes:
            fitting.append((min(sizes), alternatives, operation.method != "GET", place, operation))
    return min(fitting, key=lambda one: one[:4])[4] if fitting else None


def told(
    about: str, product: str, declared: Collection[str], needed: Collection[str], found: list[Probed]
) -> Iterator[Check]:
    """Hold what was found against what bridge.toml declares and the rules need."""
    has = [one.scope for one in found if one.has]
    lacks = [one.scope for one in found if one.has is False]
    wrong = [scope for scope in lacks if scope in declared]
    missing = [scope for scope in lacks if scope not in declared and scope in needed]
    if has:
        yield Check(OK, about, f"{product} credential has {', '.join(has)}")
    if wrong:
        text = f"{product} credential lacks {', '.join(wrong)}, which bridge.toml says that it has"
        yield Check(
            FAIL, about, text, "correct the scopes in bridge.toml, and make a new credential if rules need them"
        )
    if missing:
        text = f"{product} credential lacks {', '.join(missing)}, which rules need"
        yield Check(FAIL, about, text, "make a new one: `bridge scopes` prints what to choose")
    for among in dict.fromkeys(one.among for one in found if one.among and one.scope in {*declared, *needed}):
        text = f"{product} credential lacks at least one of {', '.join(sorted(among))}"
        yield Check(FAIL, about, text, "make a new one: `bridge scopes` prints what to choose")
    beyond = [scope for scope in has if scope not in declared]
    if beyond:
        text = f"{product} credential has {listed(beyond)}, and bridge.toml does not say so"
        yield Check(WARN, about, text, "add it to the scopes in bridge.toml")
    for level, wanted in ((UNKNOWN, True), (OK, False)):
        unclear = [one for one in found if one.has is None and not one.among and (one.scope in needed) is wanted]
        if unclear:
            said = ", ".join(f"{one.scope} ({one.why})" for one in unclear)
            beside = "" if wanted else ", which no rule needs"
            yield Check(level, about, f"{product} credential: not told of {said}{beside}")
