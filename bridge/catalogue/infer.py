"""What a request amounts to: the verbs that a rule's scope must hold for it, told by its operation, query and body.

Several verbs share one operation (editing and assigning are both ``PUT issue``) and one body can hold several verbs.
What no verb covers is refused, never passed along, because a scope could not be asked about it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import unquote

from bridge.catalogue.body import Place, Walk
from bridge.catalogue.match import Match
from bridge.catalogue.operations import Operation, locate
from bridge.catalogue.verbs import Read, Verb, vocabulary

# The entity property by which the bridge finds its own writes again (``egress/resolve.py``): no rule may touch it.
MARK = "bridge.step"
# Names by which some frameworks let a query replace the request's method; compared without case, "-" and "_".
_OVERRIDES = frozenset({"method", "httpmethod", "xhttpmethod", "xmethodoverride", "xhttpmethodoverride"})
# What a verb's other operations must carry, these need not: a verb may set something and take it off again.
_WITHOUT_BODY = frozenset({"GET", "DELETE"})
# Which of a path's parameters is the target, for each word that says where the container is.
_TARGETS = {
    "issue": ("issueIdOrKey", "requestIdOrKey"),
    "issue-link": ("linkId",),
    "project": ("projectIdOrKey", "projectKeyOrId", "projectId"),
    "version": ("id", "versionId"),
    "service-desk": ("serviceDeskId",),
    "page": ("page-id", "pageId", "contentId", "id"),
    "space": ("space-id", "id"),
    "space-key": ("spaceKey",),
    "comment-on-page": ("comment-id", "id"),
    "task": ("id",),
    "template": ("contentTemplateId",),
}
# How the path of an operation without verb tells its container, the first that fits.
_TELLING = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\{(issueIdOrKey|requestIdOrKey)\}", "issue"),
        (r"\{(projectIdOrKey|projectKeyOrId)\}", "project"),
        (r"/rest/api/3/version/\{(id|versionId)\}", "version"),
        (r"/rest/api/3/issueLink/\{linkId\}", "issue-link"),
        (r"\{serviceDeskId\}", "service-desk"),
        (r"/wiki/api/v2/pages/\{(page-)?id\}", "page"),
        (r"/wiki/rest/api/content/\{(id|pageId)\}", "page"),
        (r"/wiki/rest/api/user/watch/content/\{contentId\}", "page"),
        (r"/wiki/api/v2/spaces/\{(space-)?id\}", "space"),
        (r"\{spaceKey\}", "space-key"),
        (r"/wiki/api/v2/footer-comments/\{(comment-)?id\}", "comment-on-page"),
        (r"/wiki/api/v2/tasks/\{id\}", "task"),
        (r"\{contentTemplateId\}", "template"),
    )
)


@dataclass(frozen=True, slots=True)
class Inference:
    """What a request needs.

    A write needs **all** of ``verbs`` for its container; the first of them says what happens when it is in doubt. A
    read needs **any** of ``alternatives``: ``read`` itself, or a verb that the read serves. With neither, no verb
    covers the operation, and only a scope that names its operationId allows it. ``refusal`` says in one sentence why no
    scope can allow the request; then nothing else counts.

    ``container`` is a word as in Verb.container; of an operation without verb it is what the path tells. ``target`` is
    the issue, page, project or the like as the path has it, undecoded. ``references`` are the JSON values of the body,
    or the parts of the path, that name further issues or pages, whose containers must be in the scope too.
    """

    verbs: tuple[Verb, ...] = ()
    refusal: str | None = None
    alternatives: tuple[Verb, ...] = ()
    write: bool = True
    container: str = "site"
    target: str | None = None
    references: tuple[object, ...] = ()


@dataclass(slots=True)
class _Uses:
    """All that the verbs say about one operation: whose it is, who owns what in its body, whom it serves as a read."""

    home: Verb | None = None
    body: Place = field(default_factory=Place)
    alone: list[Verb] = field(default_factory=list)
    reads: list[tuple[Verb, Read]] = field(default_factory=list)
    replaced_by: Verb | None = None


@cache
def _uses() -> Mapping[Operation, _Uses]:
    """Turn the verbs around: from what a verb may do to who may do an operation."""
    found: dict[Operation, _Uses] = {}

    def of(product: str, operation_id: str) -> _Uses:
        return found.setdefault(locate(product, operation_id), _Uses())

    for verb in vocabulary().verbs.values():
        for operation_id in verb.operations:
            uses = of(verb.product, operation_id)
            uses.home = verb
            uses.body.claim(verb, verb.body)
        for part in verb.parts:
            uses = of(verb.product, part.operation)
            uses.body.claim(verb, part.body)
            if part.alone:
                uses.alone.append(verb)
        for read in verb.supporting:
            of(verb.product, read.operation).reads.append((verb, read))
        for operation_id in verb.bulk:
            of(verb.product, operation_id).replaced_by = verb
    for entry in vocabulary().apart:
        for operation_id in entry.operations:
            for path in entry.paths:
                of(entry.product, operation_id).body.at(path).apart = f"use {entry.use}" if entry.use else entry.why
    for uses in found.values():
        uses.body.inherit()
    return found


def infer(match: Match, query: Mapping[str, Sequence[str]], body: object) -> Inference:
    """Find the verbs that a request needs; ``body`` is the JSON value that would be sent, None for no body.

    Never raises for what a rule may have written: what cannot be allowed comes back as ``refusal``.
    """
    operation = match.operation
    uses = _uses().get(operation) or _Uses()
    write = uses.home.write if uses.home else operation.method != "GET"
    container, target = _where(match, uses.home, query)
    known = Inference(write=write, container=container, target=target)
    refusals = [*_never(operation, uses, query, body), *_reserved(match)]
    if refusals:
        return replace(known, refusal="; ".join(refusals))
    if uses.home is None and uses.reads:
        return _supporting(known, uses, query)
    return _granted(known, match, uses, query, body)


def _never(operation: Operation, uses: _Uses, query: Mapping[str, Sequence[str]], body: object) -> Iterator[str]:
    """Say what is refused whatever a scope holds: many targets at once, another method in disguise, a GET's body."""
    bulk = "/bulk" in operation.path or (operation.method != "GET" and "bulk" in operation.operation_id.lower())
    if bulk or uses.replaced_by:
        instead = f"use {uses.replaced_by.full_name} for each" if uses.replaced_by else "do it for each by itself"
        yield f"{operation.operation_id} acts on many targets at once, which no scope can confine: {instead}"
    for name in query:
        if re.sub(r"[-_]", "", str(name)).lower() in _OVERRIDES:
            yield f"the query name {name!r} could replace the method {operation.method}"
    if operation.method == "GET" and body is not None:
        yield f"{operation.operation_id} is a GET, which carries no body"


def _reserved(match: Match) -> Iterator[str]:
    """Refuse to write or delete the mark; encoded or in other letters it might still be taken for the same key."""
    key = unquote(match.params.get("propertyKey", ""))
    if match.operation.method != "GET" and key.strip().casefold() == MARK:
        yield f"the property {MARK} is reserved for the mark by which the bridge finds its own writes again"


def _granted(
    known: Inference, match: Match, uses: _Uses, query: Mapping[str, Sequence[str]], body: object
) -> Inference:
    """Judge an operation that a verb grants, or that none does: then only what rides in its body can be refused."""
    home = uses.home
    walk = Walk(home.full_name if home else match.operation.operation_id)
    if home:
        walk.references += [match.params[name[1:-1]] for name in home.references if name.startswith("{")]
        walk.refusals += _not_fixed(home, body)
        walk.refusals += [f"the query name {name!r} is not for {home.full_name}" for name in query
                          if name not in home.query]  # fmt: skip
        walk.refusals += _elsewhere(match, home, body)
    if body is not None or (match.operation.method not in _WITHOUT_BODY and uses.body.shape != "absent"):
        walk.go(uses.body, body, None if home else ())
    served = tuple(verb for verb, read in uses.reads if _fits(read, query))
    if walk.refusals and not served:
        return replace(known, refusal="; ".join(walk.refusals))
    if home is None:
        return replace(known, references=tuple(walk.references))
    if not known.write:
        own = () if walk.refusals else (home,)
        return replace(known, verbs=own, alternatives=(*own, *served))
    if not (walk.owners and all(verb in uses.alone for verb in walk.owners)):
        walk.owners.insert(0, home)
    return replace(known, verbs=tuple(dict.fromkeys(walk.owners)), references=tuple(walk.references))


def _supporting(known: Inference, uses: _Uses, query: Mapping[str, Sequence[str]]) -> Inference:
    """Judge a read that no verb grants by itself: with the query another verb needs, it may be made for its sake."""
    served = [(verb, read) for verb, read in uses.reads if _fits(read, query)]
    if not served:
        return known
    container = served[0][1].container or known.container
    if container == "issue-in-query":
        known = replace(known, target=next(iter(query.get("issue", ())), ""))
    return replace(known, alternatives=tuple(verb for verb, _ in served), container=container)


def _fits(read: Read, query: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether a query is the one that the verb needs: nothing unknown, and what must be given, once."""
    given = dict(read.given)
    if not query.keys() <= {*read.query, *given}:
        return False
    return all(len(query.get(name, ())) == 1 and value in {"*", query[name][0]} for name, value in given.items())


def _where(match: Match, home: Verb | None, query: Mapping[str, Sequence[str]]) -> tuple[str, str | None]:
    """Say how the container is found, and the target that stands in the path or is told to egress in the query."""
    told = (word for pattern, word in _TELLING if pattern.search(match.operation.path))
    word = home.container if home else next(told, "site")
    if word == "issue-in-query":
        return word, next(iter(query.get("issue", ())), "")
    names = (name for name in _TARGETS.get(word, ()) if name in match.params)
    name = next(names, None)
    return word, None if name is None else match.params[name]


def _not_fixed(home: Verb, body: object) -> Iterator[str]:
    """Refuse a body in which something else stands where the verb allows one value only."""
    for path, wanted in home.fixed:
        value = body
        for word in path.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        if value != wanted:
            yield f"{path} in the body of {home.full_name} must be {wanted!r}"


def _elsewhere(match: Match, home: Verb, body: object) -> Iterator[str]:
    """Refuse a body that names another target than the path does, for the site might believe the body."""
    for name in home.same:
        value = body.get(name, match.params[name]) if isinstance(body, dict) else match.params[name]
        if isinstance(value, bool) or str(value) != match.params[name]:
            yield f"{name} in the body of {home.full_name} is not the {home.container} of the path"
