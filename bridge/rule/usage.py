"""What a rule uses: the methods that its steps name or its Python calls, and the operations it asks for by hand.

Steps name their methods; Python is read by ``reading.py`` and never run. Where reading leaves a doubt, the rule may use
whatever its scope grants, and it is said so. What all this takes of OAuth scopes is told by ``needs.py``.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from bridge import catalogue
from bridge.rule import lines
from bridge.rule.methods import METHODS
from bridge.rule.reading import PRODUCTS, Reading, Use, read
from bridge.rule.registry import Rule


@dataclass(frozen=True, slots=True)
class Usage:
    """What a rule uses, by name; ``unsure`` are the places, as sentences, that keep it from being known exactly."""

    uses: tuple[Use, ...]
    unsure: tuple[str, ...] = ()


def usage(rule: Rule) -> Usage:
    """Read what a rule uses. Only what its scope grants somewhere counts, since egress refuses the rest unsent."""
    if not rule.has_handler:
        return Usage(tuple(_joined(_steps(rule))))
    reading = read(rule.texts, f"{rule.name}.py")
    uses = [*reading.uses, *_requested(rule, reading)]
    if reading.unsure:
        uses += _whatever_is_granted(rule)
    return Usage(tuple(use for use in _joined(uses) if _may(rule, use)), tuple(reading.unsure))


def granted(rule: Rule, product: str) -> frozenset[str]:
    """Return all verbs and operationIds that the rule's scope grants anywhere in a product, without its name."""
    return frozenset().union(*rule.manifest.scope.grants(product).values())


def _may(rule: Rule, use: Use) -> bool:
    """Tell whether the scope grants anything that the method does; an operation is judged by whoever counts it."""
    names = granted(rule, use.product)
    return use.method is None or any(verb.partition(".")[2] in names for verb in use.method.verbs)


def _joined(uses: Collection[Use]) -> list[Use]:
    """Keep each use once: where it is certain first, with all that is given to it anywhere."""
    found: dict[object, Use] = {}
    for use in uses:
        key = (use.name, use.operation)
        first = found.setdefault(key, use)
        if first is use:
            continue
        given = None if first.given is None or use.given is None else first.given | use.given
        found[key] = replace(first if first.sure or not use.sure else use, given=given)
    return sorted(found.values(), key=lambda use: (PRODUCTS.index(use.product), use.name))


def _steps(rule: Rule) -> list[Use]:
    where = f"{rule.name}.toml"
    places = lines.of_keys(rule.texts[where])
    found = []
    for number, step in enumerate(rule.manifest.steps):
        method = METHODS[step.verb]
        line = lines.nearest(places, ("step", number, "verb"))
        found.append(Use(method.name, method.product, where, line, method, given=frozenset(_names(step.arguments))))
    return found


def _names(arguments: object) -> Iterator[str]:
    if isinstance(arguments, Mapping):
        for name, value in arguments.items():
            yield str(name)
            yield from _names(value)


def _requested(rule: Rule, reading: Reading) -> Iterator[Use]:
    """Take every operation that the scope names where a ``request`` does not show which one it calls."""
    for product, where, line in reading.requests:
        yield from _named(rule, product, where, line)


def _whatever_is_granted(rule: Rule) -> Iterator[Use]:
    """Take every method all of whose verbs the scope grants, and every operation that it names."""
    where = f"{rule.name}.toml"
    places = lines.of_keys(rule.texts[where])
    for product in PRODUCTS:
        names = granted(rule, product)
        line = lines.nearest(places, ("scope", product))
        for method in METHODS.values():
            if method.product == product and all(verb.partition(".")[2] in names for verb in method.verbs):
                yield Use(method.name, product, where, line, method, sure=False)
        yield from _named(rule, product, where, line)


def _named(rule: Rule, product: str, where: str, line: int | None) -> Iterator[Use]:
    for name in sorted(granted(rule, product)):
        for operation in catalogue.operation(name):
            if operation.site_product == product:
                yield Use(name, product, where, line, operation=operation, sure=False)
