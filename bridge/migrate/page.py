"""The plan of a site as a page to hand round: Markdown, or one HTML file without anything from elsewhere.

Both are made of the same sections. Names come from the export, so they are escaped for the place where they stand;
values of components are never shown.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.migrate.export import Problem
from bridge.migrate.plan import Plan
from bridge.migrate.site import People, Summary, actor_of, advice, called, containers_of, summed

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences, and a table whose first row is its head."""

    level: int
    heading: str
    text: tuple[str, ...] = ()
    table: tuple[Row, ...] = ()


def sections(plans: Sequence[Plan], problems: Sequence[Problem], people: People | None = None) -> Iterator[Section]:
    """Give the page's sections: the sums first, then each automation."""
    sums = summed(plans, people)
    yield Section(1, "Automations and their rule actors", tuple(_sums(sums)))
    yield Section(
        2,
        "How far each automation leaves its actor",
        (),
        (
            ("Automation", "State", "Actor", "Leaves it", "By the bridge", "Stay"),
            *(_row(plan, people) for plan in plans),
        ),
    )
    if sums.mortal:
        yield Section(2, "Automations that depend on a person", (), (("Automation", "Why"), *sums.mortal))
    yield Section(2, "What to ask for", tuple(_ask(sums)), tuple(_access(sums)))
    if sums.reasons:
        table = [(reason, str(count)) for reason, count in _most(sums.reasons)]
        yield Section(2, "What stays in the automations", (), (("Action and reason", "Times"), *table))
    if sums.exposed:
        yield Section(2, "Credentials that stand in automations", sums.exposed)
    if problems:
        yield Section(2, "What could not be read", tuple(str(each) for each in problems))
    for plan in plans:
        yield _one(plan, people)


def markdown(found: Sequence[Section]) -> str:
    """Return the sections as Markdown."""
    return "\n".join(_as_markdown(found)) + "\n"


def as_html(found: Sequence[Section]) -> str:
    """Return the sections as an HTML page."""
    title = html.escape(found[0].heading)
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;"
        "vertical-align:top}th{background:#eee}"
    )
    body = "\n".join(_as_html(found))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _sums(sums: Summary) -> Iterator[str]:
    yield (
        f"{sums.automations} automations were read, {sums.enabled} of them enabled. "
        f"{sums.leaves.get('entirely', 0)} leave their rule actor entirely, {sums.leaves.get('partly', 0)} partly, "
        f"{sums.leaves.get('not at all', 0)} not at all."
    )
    yield f"Of their actions, {sums.performed} are done by the bridge with {sums.rules} rules, and {sums.staying} stay."


def _row(plan: Plan, people: People | None) -> Row:
    done = sum(each.verdict == "bridge" for each in plan.decisions)
    state = "enabled" if plan.automation.enabled else "disabled"
    stay = str(len(plan.decisions) - done)
    return plan.automation.name, state, actor_of(plan.automation, people), plan.leaves, str(done), stay


def _ask(sums: Summary) -> Iterator[str]:
    if not sums.credentials:
        yield "Nothing: the bridge takes over none of these actions."
        return
    yield "One service account (admin.atlassian.com, Directory, Service accounts) with the access below."
    for each in sums.credentials:
        yield f"A token for {each.product.capitalize()} with these OAuth scopes: {', '.join(each.scopes)}."


def _access(sums: Summary) -> Iterator[Row]:
    if sums.verbs:
        yield "Where", "What the rules may do there"
    for container, verbs in sorted(sums.verbs.items()):
        yield container, ", ".join(verbs)


def _most(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))


def _one(plan: Plan, people: People | None) -> Section:
    automation = plan.automation
    text = [
        f"From {automation.where}, for {', '.join(containers_of(plan))}.",
        f"Acts as {actor_of(automation, people)}; made by {called(automation.author, people)}.",
        *(f"{note[0].upper()}{note[1:]}." for note in plan.notes),
    ]
    text += [f"Rule {run.number} is sent: {', '.join(each.path for each in run.carried)}." for run in plan.runs]
    if plan.runs:
        text.append(f"Afterwards: {advice(automation)}.")
    rows = [("Action", "Done by", "How, or why it stays", "What is lost")]
    for each in plan.decisions:
        how = ", ".join(step.verb for step in each.steps) if each.verdict == "bridge" else each.why
        by = f"the bridge, rule {each.run}" if each.verdict == "bridge" else "the automation"
        rows.append((each.title, by, how, "; ".join(each.lost)))
    return Section(2, automation.name, tuple(text), tuple(rows) if plan.decisions else ())


def _as_markdown(found: Sequence[Section]) -> Iterator[str]:
    for section in found:
        yield f"{'#' * section.level} {_md(section.heading)}\n"
        for line in section.text:
            yield f"{_md(line)}\n"
        if section.table:
            head, *rows = section.table
            yield f"| {' | '.join(map(_md, head))} |"
            yield f"|{' --- |' * len(head)}"
            yield from (f"| {' | '.join(map(_md, row))} |" for row in rows)
            yield ""


def _md(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _as_html(found: Sequence[Section]) -> Iterator[str]:
    for section in found:
        yield f"<h{section.level}>{html.escape(section.heading)}</h{section.level}>"
        yield from (f"<p>{html.escape(line)}</p>" for line in section.text)
        if section.table:
            head, *rows = section.table
            yield "<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"
            yield from ("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            yield "</table>"
