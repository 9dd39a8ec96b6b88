"""Whether a rule may do what it asks: the verbs of the request, held against the scope where the target is now.

The decisions are the scope's (``bridge.rule.scope``) and the catalogue's; here they meet what the site says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge import catalogue
from bridge.catalogue import Inference, Operation, PathRefused, Verb
from bridge.egress import targets
from bridge.egress.places import Place, Places, Unnamed
from bridge.egress.targets import Asked, Bounds
from bridge.rule.scope import SITE

# What makes something new has no target that the event could have named; under @site its verb's name tells.
_CREATES = frozenset({"project-in-body", "project-id-in-body", "space-in-body", "service-desk-in-body"})
# Fields that have a verb of their own, which is what a scope lists for them.
_OF_ITS_OWN = {"assign": "assignee", "security": "security"}
# What belongs to all the issues that it names.
_BETWEEN = frozenset({"references", "issue-link"})
# What an issue cannot be created without is granted with ``create`` and not asked of scope.limits.fields.
_CREATED_WITH = frozenset({"project", "issuetype", "summary", "parent"})


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided. ``refusal`` is the sentence for the log, None if it may be done.

    ``verb`` says how the write is marked and looked up; ``name`` is what the log calls it; ``hits`` are the projects or
    spaces whose hits a search may show; ``serves`` are the verbs for whose sake a read may have been made,
    ``unsent`` the names in the query that are for egress alone, ``targets`` all that is changed where a request names
    several.
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
    unsent: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()

    def sent(self, query: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return a query without what stood in it for egress alone."""
        return {name: values for name, values in query.items() if name not in self.unsent}


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
        found_places = targets.find(asked, inferred, bounds, places)
    except Unnamed as error:
        # A write in doubt is still looked up: what it was to delete may be gone from where it was named.
        return Ruling(found.operation, name, inferred.write, shown, verb=first, refusal=str(error))
    return _decide(asked, bounds, places, inferred, found.operation, found_places)


def served(inferred: Inference) -> tuple[str, ...]:
    """Return the full names of the verbs that could have led to a read, none for a write."""
    return () if inferred.write else tuple(verb.full_name for verb in inferred.alternatives)


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
        refusal = _limited(asked, bounds, places, inferred, found, operation)
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
        frozenset({"issue"} if inferred.container == "issue-in-query" else ()),
        tuple(dict.fromkeys(place.target for place in found)) if inferred.container in _BETWEEN else (),
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
            if inferred.container in {"hits", "anywhere"} or _belongs_to_nobody(inferred, found):
                if bounds.scope.containers(product, verb.name):
                    return verb.full_name, verb, None
            elif _missing(bounds, product, verb.name, found) is None:
                return verb.full_name, verb, None
        # What the rule has for another project or space is what its author meant.
        elsewhere = (verb for verb in inferred.alternatives if bounds.scope.containers(product, verb.name))
        first = next(elsewhere, inferred.alternatives[0])
        nowhere = f"the scope grants {first.name} in no project or space"
        return first.full_name, first, _missing(bounds, product, first.name, found) or nowhere
    refusal = _missing(bounds, product, operation.operation_id, found)
    return operation.operation_id, None, refusal


def _belongs_to_nobody(inferred: Inference, found: Sequence[Place]) -> bool:
    """Tell whether a template is one of the whole site, which whoever may use templates may read."""
    return inferred.container == "template" and all(place.container == SITE for place in found)


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


def _limited(
    asked: Asked, bounds: Bounds, places: Places, inferred: Inference, found: Sequence[Place], operation: Operation
) -> str | None:
    limits, own = bounds.scope.limits, found[0]
    refusal = limits.refuse_count(bounds.made)
    creates = _creates(inferred, operation)
    if refusal is None and not creates:
        # A link is as much the one issue's as the other's.
        own_names = own.names.union(*(place.names for place in found if inferred.container in _BETWEEN))
        refusal = limits.refuse_target(own_names, bounds.event)
        if any("[]" in path for verb in inferred.verbs for path in verb.references):
            # In a list each one is changed by itself.
            refusal = next(filter(None, (limits.refuse_target(each.names, bounds.event) for each in found)), refusal)
        if refusal is None and limits.targets == "event" and _with_subtasks(asked):
            refusal = 'the rule\'s scope.limits.targets is "event": deleteSubtasks would delete other issues with it'
    if refusal is None and {"edit", "create", "create-request"} & {verb.name for verb in inferred.verbs}:
        refusal = limits.refuse_fields(_fields(asked.body, inferred, creates=creates))
    if refusal is None and limits.transitions is not None and not own.imagined:
        # What observe mode did not create has no workflow to ask; its transition is judged when there is one.
        number = _transition(asked.body, inferred)
        if number is not None:
            refusal = limits.refuse_transition(*(places.transition(own.target, number) or (number,)))
    return refusal


def _creates(inferred: Inference, operation: Operation) -> bool:
    if inferred.container in _CREATES:
        return True
    made = bool(inferred.verbs) and all(verb.name.startswith("create-") for verb in inferred.verbs)
    return inferred.container == "site" and made and "{" not in operation.path


def _with_subtasks(asked: Asked) -> bool:
    said = asked.query.get("deleteSubtasks", ())
    return asked.method == "DELETE" and any(each.casefold() != "false" for each in said)


def _fields(body: Any, inferred: Inference, *, creates: bool) -> set[str]:
    named = {str(name) for part in ("fields", "update") for name in (body or {}).get(part) or {}}
    named |= {str(name) for name in (body or {}).get("requestFieldValues") or {}}
    if creates:
        named -= _CREATED_WITH
    return named - {_OF_ITS_OWN[verb.name] for verb in inferred.verbs if verb.name in _OF_ITS_OWN}


def _transition(body: Any, inferred: Inference) -> str | None:
    if not any(verb.name == "transition" for verb in inferred.verbs):
        return None
    chosen = body.get("transition") if isinstance(body, dict) else None
    return str(chosen.get("id")) if isinstance(chosen, dict) else ""
