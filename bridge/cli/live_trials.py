"""What ``bridge doctor --live`` tries: each method that the rules use, with its targets exchanged for throwaway ones.

The arguments are the examples that the methods give of themselves. A method is tried only if everything it touches is
the throwaway issue or page: what works on a version, a board, a customer or the site is named and left alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge import catalogue
from bridge.rule.context import Context
from bridge.rule.method import Argument, Method
from bridge.rule.registry import Rule
from bridge.rule.scope import SITE
from bridge.rule.usage import usage

COMMENT = "{{ comment.id }}"
# Where a verb's targets may be so that nothing but the throwaway ones is touched; ``hits`` and ``anywhere`` only read.
CONFINED = frozenset({
    "issue", "issue-in-query", "issue-link", "project-in-body", "page", "page-in-body", "space-in-body",
    "comment-on-page", "references", "hits", "anywhere",
})  # fmt: skip
# What the clean-up does anyway, and what would take the throwaway ones away before the others were tried.
LAST = frozenset({"jira.delete", "confluence.delete-page"})
# What would leave something behind: an archived page, and the copies of a whole tree, which come by and by.
LASTING = frozenset({"confluence.archive-page", "confluence.copy-tree"})
# What made the throwaway ones in the first place.
FIRST = frozenset({"jira.create", "confluence.create-page"})
# Operations whose answer names something new that must be deleted too.
MAKES = {"jira": frozenset({"createIssue"}), "confluence": frozenset({"createPage", "copyPage"})}
# What takes away is tried last, after what looks, after what makes.
_TAKES_AWAY = ("delete", "remove", "un", "clear", "decline")
_LOOKS = ("read", "find", "search")
CREATE = {"jira": "createIssue", "confluence": "createPage"}
DELETE = {"jira": "deleteIssue", "confluence": "deletePage"}


@dataclass(slots=True)
class Throwaway:
    """The targets: keys of issues and ids of pages as they are made.

    ``own`` is the account's id, ``name`` what it is called, ``comment`` the id of a comment on the first page.
    """

    project: str | None
    space: str | None
    mark: str
    own: str = ""
    name: str = ""
    comment: str | None = None
    issues: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def has(self, product: str) -> bool:
        """Tell whether there is something to try a product's methods on."""
        return bool(self.issues if product == "jira" else self.pages)


class NotTried(Exception):
    """The method is left alone; the text says why."""


def used(rules: Iterable[Rule]) -> dict[str, tuple[Method, list[str]]]:
    """Return the methods that these rules use, by name, each with the rules that do."""
    found: dict[str, tuple[Method, list[str]]] = {}
    for rule in rules:
        for use in usage(rule).uses:
            if use.method is not None:
                names = found.setdefault(use.method.name, (use.method, []))[1]
                names += [] if rule.name in names else [rule.name]
    return found


def operations_used(rules: Iterable[Rule]) -> Iterator[str]:
    """Name the operations that rules ask for by hand, which cannot be tried without knowing what they mean."""
    for rule in rules:
        for use in usage(rule).uses:
            if use.method is None:
                yield use.name


def in_order(methods: Iterable[Method]) -> list[Method]:
    """Sort methods so that each finds what it works on: first what makes, then what looks, then what takes away."""

    def turn(method: Method) -> int:
        word = method.name.partition(".")[2]
        return 2 if word.startswith(_TAKES_AWAY) else 1 if word.startswith(_LOOKS) else 0

    return sorted(methods, key=turn)


def takes_two_pages(method: Method) -> bool:
    """Tell whether a method moves or copies a page to another one."""
    return sum(argument.kind == "page" and argument.required for argument in method.arguments) > 1


def wants_comment(method: Method) -> bool:
    """Tell whether a method works on a comment of a page."""
    return COMMENT in method.example.values()


def left_alone(method: Method) -> str | None:
    """Say why a method is not tried, None if it can be."""
    if method.name in LAST:
        return "that is what the clean-up does"
    if method.name in LASTING:
        return "what is made so could not be deleted again"
    for name in method.verbs:
        verb = catalogue.verb(name)
        if verb.write and verb.container not in CONFINED:
            return "more than a throwaway issue or page would be touched"
    return None


def arguments(method: Method, targets: Throwaway, offered: Sequence[str]) -> dict[str, Any]:
    """Return a method's arguments with throwaway targets; ``offered`` are the statuses that the issue can go to now.

    Raises ``NotTried``.
    """
    found: dict[str, Any] = {}
    issues = iter(targets.issues[:2])
    pages = iter(targets.pages[:2])
    for argument in method.arguments:
        if argument.name not in method.example and not argument.required:
            continue
        if argument.kind == "issue":
            found[argument.name] = _next(issues, "issue")
        elif argument.kind == "page":
            found[argument.name] = _next(pages, "page")
        else:
            found[argument.name] = _value(method, argument, targets, offered)
    return found


def _next(targets: Iterator[str], what: str) -> str:
    target = next(targets, None)
    if target is None:
        raise NotTried(f"that takes a further {what}")
    return target


def _value(method: Method, argument: Argument, targets: Throwaway, offered: Sequence[str]) -> Any:
    if method.name == "jira.transition" and argument.name == "to":
        if not offered:
            raise NotTried("the throwaway issue offers no transition")
        return offered[0]
    if argument.name == "account_id":
        return targets.own
    if argument.name == "person" or (method.name.endswith((".find-users", ".find-user")) and argument.required):
        return targets.name
    return _filled(method.example.get(argument.name), targets)


def _filled(value: Any, targets: Throwaway) -> Any:
    """Put the throwaway targets in the places of an example."""
    if isinstance(value, Mapping):
        return {name: _filled(inner, targets) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, targets) for inner in value]
    if not isinstance(value, str):
        return value
    named = {
        "<project>": targets.project,
        "<space>": targets.space,
        "{{ issue.key }}": next(iter(targets.issues), None),
        "{{ page.id }}": next(iter(targets.pages), None),
        "{{ initiator }}": targets.own or None,
        COMMENT: targets.comment,
    }
    for place, target in named.items():
        if target is not None:
            value = value.replace(place, target)
    if "{{" in value or "<project>" in value or "<space>" in value:
        raise NotTried("that takes what is not made for this trial")
    return value


def call(method: Method, given: Mapping[str, Any], context: Context) -> Any:
    """Do it, and read what it finds to the end."""
    owner = context.jira if method.product == "jira" else context.confluence
    said = getattr(owner, method.attribute)(**given)
    return list(said) if isinstance(said, Iterator) else said


def granting(product: str, operation_id: str) -> str:
    """Return what a scope must list for an operation: the verb that has it, or its own name."""
    for verb in catalogue.verbs().values():
        if verb.product == product and operation_id in verb.operations:
            return verb.name
    return operation_id


def scope(methods: Iterable[Method], project: str | None, space: str | None) -> dict[str, dict[str, list[str]]]:
    """Return the grants that the trials need, product → project or space → verbs."""
    found: dict[str, dict[str, list[str]]] = {}
    for product, container in (("jira", project), ("confluence", space)):
        if container is None:
            continue
        verbs = {granting(product, each) for each in (CREATE[product], DELETE[product], *ALWAYS[product])}
        verbs |= {
            name.partition(".")[2] for method in methods for name in method.verbs if name.startswith(f"{product}.")
        }
        of_site = {name for name in verbs if f"{product}.{name}" in catalogue.verbs()
                   and catalogue.verb(f"{product}.{name}").container == "site"}  # fmt: skip
        found[product] = {container: sorted(verbs - of_site)}
        if of_site:
            found[product][SITE] = sorted(of_site)
    return found


# What the questions about Atlassian's promises do, besides what the rules use.
ALWAYS: Mapping[str, tuple[str, ...]] = {
    "jira": ("getIssue", "addComment", "editIssue", "linkIssues", "createOrUpdateRemoteIssueLink"),
    "confluence": ("getPageById", "updatePage"),
}
