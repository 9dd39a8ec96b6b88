"""Whether a rule may do what it asks: the verbs of the request, held against the scope where the target is now.

The decisions are the scope's (``bridge.rule.scope``) and the catalogue's; here they meet what the site says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge import catalogue
from bridge.catalogue import Inference, Operation, PathRefused, Verb
from bridge.egress.places import Place, Places, Unnamed, imagined_issue, imagined_page
from bridge.rule.scope import SITE, Scope

# What an issue cannot be created without is granted with ``create`` and not asked of scope.limits.fields.
_CREATED_WITH = frozenset({"project", "issuetype", "summary", "parent"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a handler, as its envelope has it."""

    product: str
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided. ``refusal`` is the sentence for the log, None if it may be done.

    ``verb`` says how the write is marked and looked up; ``name`` is what the log calls it; ``hits`` are the projects or
    spaces whose hits a search may show; ``serves`` are the verbs for whose sake a read may have been made.
    """

    operation: Operation | None
    name: str
    write: bool
    target: str
    container: str | None = None
    verb: Verb | None = None
    refusal: str | None = None
    hits: frozenset[str] | None = None
    imagined: bool = False
    serves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a delivery may do: the rule's scope under the account's ceiling, and what its limits count and compare.

    ``granted`` is the rule's scope without the ceiling. ``observe`` is set in observe mode, and ``space`` to where that
    would have created its last page.
    """

    scope: Scope
    granted: Scope
    event: frozenset[str]
    made: int
    observe: bool
    space: str | None = None


def judge(asked: Asked, bounds: Bounds, places: Places) -> Ruling:
    """Decide about one request. Raises ``Unseen`` when the site does not show the target."""
    try:
        found = catalogue.match(asked.method, asked.path)
    except PathRefused as error:
        return Ruling(None, f"{asked.method} {asked.path}", True, "", refusal=str(error))
    if found is None or found.operation.site_product != asked.product:
        text = f"{asked.method} {asked.path} is no operation of {asked.product} that the catalogue knows"
        return Ruling(None, f"{asked.method} {asked.path}", True, "", refusal=text)
    inferred = catalogue.infer(found, asked.query, asked.body)
    first = next(iter(inferred.verbs or inferred.alternatives), None)
    name = first.full_name if first else found.operation.operation_id
    shown = inferred.target or asked.path
    if inferred.refusal is not None:
        return Ruling(found.operation, name, inferred.write, shown, refusal=inferred.refusal, serves=served(inferred))
    if not found.operation.scope_sets:
        text = f"Atlassian names no OAuth scope for {found.operation.operation_id}, so no token can be relied on"
        return Ruling(found.operation, name, inferred.write, shown, refusal=text)
    try:
        places_found = _places(asked, inferred, bounds, places)
    except Unnamed as error:
        return Ruling(found.operation, name, inferred.write, shown, refusal=str(error))
    return _decide(asked, bounds, places, inferred, found.operation, places_found)


def served(inferred: Inference) -> tuple[str, ...]:
    """Return the full names of the verbs that could have led to a read, none for a write."""
    return () if inferred.write else tuple(verb.full_name for verb in inferred.alternatives)


def _places(asked: Asked, inferred: Inference, bounds: Bounds, places: Places) -> list[Place]:
    """Find every container that the request touches; the first is the target's own."""
    body = asked.body if isinstance(asked.body, dict) else {}
    word = inferred.container
    found: list[Place]
    if word == "issue":
        found = [_issue(inferred.target or "", bounds, places)]
    elif word == "project":
        found = [places.project(inferred.target or "")]
    elif word == "project-in-body":
        fields = body.get("fields")
        found = [places.project(_reference(fields.get("project") if isinstance(fields, dict) else None))]
    elif word in {"page", "page-in-body"}:
        found = [_page(inferred.target or str(body.get("pageId") or ""), bounds, places)]
    elif word in {"space", "space-in-body"}:
        found = [places.space(inferred.target or str(body.get("spaceId") or ""))]
    elif word == "space-in-query":
        found = [Place(key, key, frozenset({key})) for value in asked.query.get("keys", ()) for key in value.split(",")]
    else:
        found = [Place(SITE, inferred.target or asked.path, frozenset())]
    for reference in inferred.references:
        if reference is not None:
            text = _reference(reference)
            find = _page if asked.product == "confluence" else _issue
            found.append(find(text, bounds, places))
    return found


def _issue(reference: str, bounds: Bounds, places: Places) -> Place:
    imagined = imagined_issue(reference) if bounds.observe else None
    return imagined or places.issue(reference)


def _page(reference: str, bounds: Bounds, places: Places) -> Place:
    imagined = imagined_page(reference, bounds.space) if bounds.observe else None
    return imagined or places.page(reference)


def _reference(value: object) -> str:
    """Return the key or id by which a body names something: ``{"key": "OPS"}``, ``{"id": "1"}``, ``"1"`` or ``1``."""
    if isinstance(value, dict):
        if set(value) not in ({"key"}, {"id"}):
            # Which of several names a site believes is its own affair, so it is given one.
            raise Unnamed("the body names a target by something else than either its key or its id")
        value = next(iter(value.values()))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unnamed("the body does not name its target")
    return str(value)


def _decide(
    asked: Asked, bounds: Bounds, places: Places, inferred: Inference, operation: Operation, found: list[Place]
) -> Ruling:
    own = found[0]
    product = operation.site_product
    granted, verb, refusal = _granted(bounds, product, inferred, operation, found)
    hits = bounds.scope.containers(product, verb.name) if verb and inferred.container == "hits" else None
    if refusal is None and hits is not None:
        refusal = _unreadable_fields(asked)
    if refusal is None and inferred.write:
        refusal = _limited(asked, bounds, places, inferred, own)
    return Ruling(
        operation,
        granted,
        inferred.write,
        ",".join(sorted(hits)) if hits else own.target,
        None if own.container == SITE else own.container,
        verb,
        refusal,
        hits if hits is not None else _keys(inferred, found),
        own.imagined,
        served(inferred),
    )


def _unreadable_fields(asked: Asked) -> str | None:
    """Refuse a search whose fields cannot be added to: where each hit is must be among them."""
    fields = asked.body.get("fields", []) if isinstance(asked.body, dict) else asked.query.get("fields", [])
    if isinstance(fields, list | tuple) and all(isinstance(name, str) for name in fields):
        return None
    return "a search wants its fields as a list of names"


def _keys(inferred: Inference, found: Iterable[Place]) -> frozenset[str] | None:
    return frozenset(place.container for place in found) if inferred.container == "space-in-query" else None


def _granted(
    bounds: Bounds, product: str, inferred: Inference, operation: Operation, found: Sequence[Place]
) -> tuple[str, Verb | None, str | None]:
    """Return what the log calls the call, the verb that says how it is looked up, and a refusal or None."""
    if inferred.verbs and inferred.write:
        for verb in inferred.verbs:
            refusal = _missing(bounds, product, verb.name, found)
            if refusal:
                return verb.full_name, verb, refusal
        return inferred.verbs[0].full_name, inferred.verbs[0], None
    if inferred.alternatives:
        for verb in inferred.alternatives:
            if inferred.container == "hits":
                if bounds.scope.containers(product, verb.name):
                    return verb.full_name, verb, None
            elif _missing(bounds, product, verb.name, found) is None:
                return verb.full_name, verb, None
        first = inferred.alternatives[0]
        nowhere = f"the scope grants {first.name} in no project or space"
        return first.full_name, first, _missing(bounds, product, first.name, found) or nowhere
    refusal = _missing(bounds, product, operation.operation_id, found)
    return operation.operation_id, None, refusal


def _missing(bounds: Bounds, product: str, word: str, found: Sequence[Place]) -> str | None:
    for place in found:
        if bounds.scope.allows(product, place.container, word):
            continue
        where = "outside any project or space" if place.container == SITE else f"in {place.container}"
        is_there = "" if place.container == SITE else f", where {place.target} is"
        if bounds.granted.allows(product, place.container, word):
            return f"the account's ceiling in bridge.toml does not allow {word} {where}{is_there}"
        elsewhere = ", ".join(sorted(bounds.scope.containers(product, word))) or "nowhere"
        return f"the scope does not grant {word} {where}{is_there}; it grants it {_in(elsewhere)}"
    return None


def _in(elsewhere: str) -> str:
    return elsewhere if elsewhere == "nowhere" else f"in {elsewhere}"


def _limited(asked: Asked, bounds: Bounds, places: Places, inferred: Inference, own: Place) -> str | None:
    limits = bounds.scope.limits
    refusal = limits.refuse_count(bounds.made)
    creates = inferred.container in {"project-in-body", "space-in-body"}
    if refusal is None and not creates:
        refusal = limits.refuse_target(own.names, bounds.event)
    if refusal is None and {"edit", "create"} & {verb.name for verb in inferred.verbs}:
        refusal = limits.refuse_fields(_fields(asked.body, inferred, creates=creates))
    if refusal is None and limits.transitions is not None:
        number = _transition(asked.body, inferred)
        if number is not None:
            refusal = limits.refuse_transition(*(places.transition(own.target, number) or (number,)))
    return refusal


def _fields(body: Any, inferred: Inference, *, creates: bool) -> set[str]:
    named = {str(name) for part in ("fields", "update") for name in (body or {}).get(part) or {}}
    if creates:
        named -= _CREATED_WITH
    return named - {"assignee"} if any(verb.name == "assign" for verb in inferred.verbs) else named


def _transition(body: Any, inferred: Inference) -> str | None:
    if not any(verb.name == "transition" for verb in inferred.verbs):
        return None
    chosen = body.get("transition") if isinstance(body, dict) else None
    return str(chosen.get("id")) if isinstance(chosen, dict) else ""
