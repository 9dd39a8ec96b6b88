"""``bridge rules verbs``: everything a rule can do, what it is called with, what it needs and what it does in doubt.

One description of each verb (``describe``) is shown three ways: for a terminal, as JSON and as a page.
"""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from bridge import catalogue
from bridge.catalogue import Operation, Verb, lookups
from bridge.catalogue.unavailable import Unavailable, unavailable
from bridge.cli import draft, show
from bridge.rule.method import SAID, Argument, Method
from bridge.rule.methods import METHODS
from bridge.rule.nearest import hint

WIDEST = 118
PRODUCTS = {"jira": "Jira", "confluence": "Confluence"}


@dataclass(frozen=True, slots=True)
class Described:
    """A method with what the catalogue says of it: its scope's verbs, its operations, and egress's own reads."""

    method: Method
    verbs: tuple[Verb, ...]
    operations: tuple[Operation, ...]
    places: tuple[Operation, ...]
    look_ups: tuple[Operation, ...]

    @property
    def in_doubt(self) -> list[str]:
        """What happens when nobody knows whether a write was made, a sentence for each verb that writes."""
        writes = [verb for verb in self.verbs if verb.write]
        if len(writes) > 1:
            return [f"{verb.name}: {verb.when_in_doubt}" for verb in writes]
        return [verb.when_in_doubt for verb in writes or self.verbs[:1]]


def describe(method: Method) -> Described:
    """Gather what is known of a method."""
    verbs = tuple(catalogue.verb(name) for name in method.verbs)
    own = tuple(catalogue.locate(method.product, name) for name in method.operations)
    places = [each for verb in verbs for each in lookups.places(verb) if each not in own]
    asked = [each for verb in verbs for each in lookups.look_ups(verb) if each not in own]
    return Described(method, verbs, own, tuple(dict.fromkeys(places)), tuple(dict.fromkeys(asked)))


@click.command(short_help="Show what a rule can do.")
@click.argument("names", nargs=-1, metavar="[VERB]...")
@click.option("--page", is_flag=True, help="Write everything as a Markdown page.")
@show.as_json
def verbs(names: Sequence[str], *, page: bool, as_json: bool) -> None:
    """Show what a rule can do: all verbs in brief, or those named with everything that is known of them."""
    found = [_named(name) for name in names] or [([*METHODS.values()], [*unavailable()])]
    chosen = [describe(method) for methods, _ in found for method in methods]
    missing = [each for _, actions in found for each in actions]
    if as_json:
        for data in (*map(as_data, chosen), *({"unavailable": each.title, "why": each.why} for each in missing)):
            print(json.dumps(data, ensure_ascii=False))
    elif page:
        print("\n".join(as_page(chosen, missing)))
    elif names:
        lines = [line for each in chosen for line in whole(each)]
        lines += [f"{each.title}: no verb does this. {_why(each)}" for each in missing]
        print("\n".join(map(_wrapped, lines)))
    else:
        print("\n".join(brief(chosen, missing)))


def _wrapped(line: str) -> str:
    """Break a long line, and begin what goes on below the column that its words stand in."""
    indent = " " * (18 if line.startswith(" " * 4) else 0)
    broken = textwrap.wrap(line, WIDEST, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(broken)


def _named(text: str) -> tuple[list[Method], list[Unavailable]]:
    """Find the verbs of a name, or else whatever has the text in its name or title, also what no verb does."""
    exact = [method for name, method in METHODS.items() if text in {name, name.partition(".")[2]}]
    if exact:
        return exact, []
    word = text.casefold()
    near = [method for name, method in METHODS.items() if word in name or word in method.title.casefold()]
    missing = [each for each in unavailable() if word in each.title.casefold() or text in each.types]
    if not near and not missing:
        raise click.UsageError(f"there is no verb {text!r}{hint(text, METHODS)}; `bridge rules verbs` shows all")
    return near, missing


def _why(each: Unavailable) -> str:
    """Say why there is no verb, and which one does the nearest thing."""
    return each.why + (f" The nearest is {' or '.join(each.instead)}." if each.instead else "")


def brief(chosen: Sequence[Described], missing: Sequence[Unavailable]) -> Iterator[str]:
    """Say all of them, a line each, by product."""
    width = max(len(each.method.name) for each in chosen)
    for product, title in PRODUCTS.items():
        yield f"{title}\n"
        for each in chosen:
            if each.method.product == product:
                yield f"  {each.method.name:{width}}  {each.method.title}"
        yield ""
    yield "What no verb does, because there is no public call for it or because it stays in the automation\n"
    for title in dict.fromkeys(each.group for each in missing):
        yield f"  {title}: " + ", ".join(each.title for each in missing if each.group == title)
    yield ""
    yield "`bridge rules verbs VERB` shows arguments, scope, operations, OAuth scopes and what happens in doubt."


def whole(each: Described) -> Iterator[str]:
    """Say everything of one, for a terminal."""
    method = each.method
    yield f"{method.name}: {method.title}"
    yield f"    {_plain(method.summary)}"
    for number, argument in enumerate(method.arguments):
        yield f"    {'in a step' if not number else '':14}{_argument(argument, method)}"
    yield f"    {'in a handler':14}{draft.as_call(method).splitlines()[0].removesuffix(':')}"
    yield f"    {'scope':14}{', '.join(verb.full_name for verb in each.verbs)}"
    for heading, operations in (("operation", each.operations), ("where it is", each.places),
                                ("in doubt", each.look_ups)):  # fmt: skip
        for operation in operations:
            yield f"    {heading:14}{operation.operation_id}: {_alternatives(operation)}"
    for sentence in each.in_doubt:
        yield f"    {'in doubt':14}{sentence}"
    yield ""


def _plain(summary: str) -> str:
    """Return a docstring's sentence without the double marks around names that docstrings have."""
    return summary.replace("``", "`")


def _argument(argument: Argument, method: Method) -> str:
    if argument.required:
        what = "needed" + (", may be empty" if argument.nullable else "")
    elif argument.name in method.one_of:
        what = f"one of {', '.join(method.one_of)} is needed"
    else:
        what = "left out" if argument.default is None else f"usually {_said(argument.default)}"
        what = "may be left out" if what == "left out" else what
    return f"{argument.name}: {SAID[argument.kind]} ({what})"


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else json.dumps(value)


def _alternatives(operation: Operation) -> str:
    """Say the OAuth scopes of an operation: any one of the sets is enough."""
    said = [" + ".join(sorted(one.scopes)) for one in operation.scope_sets]
    return " | ".join(said) or "Atlassian names no OAuth scope"


def as_data(each: Described) -> dict[str, Any]:
    """Say everything of one, for programs."""
    method = each.method
    return {
        "verb": method.name,
        "title": method.title,
        "what": _plain(method.summary),
        "write": any(verb.write for verb in each.verbs),
        "handler": f"context.{method.product}.{method.attribute}",
        "scope": [verb.full_name for verb in each.verbs],
        "arguments": [
            {
                "name": argument.name,
                "kind": argument.kind,
                "required": argument.required,
                "nullable": argument.nullable,
                "default": list(argument.default) if isinstance(argument.default, tuple) else argument.default,
            }
            for argument in method.arguments
        ],
        "one_of": list(method.one_of),
        "operations": [*map(_operation, each.operations)],
        "to_find_the_target": [*map(_operation, each.places)],
        "when_in_doubt_asks": [*map(_operation, each.look_ups)],
        "in_doubt": " ".join(each.in_doubt),
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "id": operation.operation_id,
        "method": operation.method,
        "path": operation.path,
        "oauth_scopes": [sorted(one.scopes) for one in operation.scope_sets],
    }


def as_page(chosen: Sequence[Described], missing: Sequence[Unavailable]) -> Iterator[str]:
    """Say everything as Markdown; ``rules/VERBS.md`` is this page, and a test keeps it so."""
    yield "# What a rule can do\n"
    yield "Written by `bridge rules verbs --page`. A step names the verb, a handler calls the method; the scope must"
    yield "hold what stands under *Scope* in the project or space where the target is (`@site` where it has none). Of"
    yield "the OAuth scopes of an operation, those of one column are enough; `bridge scopes` reckons what your rules"
    yield "need together.\n"
    for product, title in PRODUCTS.items():
        yield f"## {title}\n"
        for each in chosen:
            if each.method.product == product:
                yield from _section(each)
    yield "## What no verb does\n\n| action | why |\n| --- | --- |"
    yield from (f"| {each.title} ({each.group}) | {_why(each)} |" for each in missing)


def _section(each: Described) -> Iterator[str]:
    method = each.method
    yield f"### `{method.name}`: {method.title}\n"
    yield f"{_plain(method.summary)}\n"
    yield "```toml\n[[step]]\n" + "\n".join([f'verb = "{method.name}"', *draft.as_step(method)]) + "\n```\n"
    yield f"In a handler: `{draft.as_call(method).splitlines()[0].removesuffix(':')}`\n"
    for argument in method.arguments:
        yield f"- `{argument.name}`: {_argument(argument, method).partition(': ')[2]}"
    yield f"\nScope: {', '.join(f'`{verb.full_name}`' for verb in each.verbs)}\n"
    yield "| operation | classic OAuth scopes | granular OAuth scopes |\n| --- | --- | --- |"
    for operations, why in ((each.operations, ""), (each.places, " (where the target is)"),
                            (each.look_ups, " (in doubt)")):  # fmt: skip
        for operation in operations:
            yield f"| {operation.operation_id}{why} | {_column(operation, 1)} | {_column(operation, 2)} |"
    yield "\nIn doubt: " + " ".join(each.in_doubt) + "\n"


def _column(operation: Operation, colons: int) -> str:
    """Say the alternatives of one kind: granular names have a second colon (``read:page:confluence``)."""
    sets = [
        one.scopes for one in operation.scope_sets if all((name.count(":") > 1) is (colons > 1) for name in one.scopes)
    ]
    return " or ".join(" ".join(sorted(scopes)) for scopes in sets) or "none"
