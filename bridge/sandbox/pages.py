"""The plain pages of the site: an index, one page per issue and per Confluence page, telling who did what and when.

They show what the REST APIs changed and by whom, whether that was a person, an app or a service account, and the marks
that came along with a change. No script, no sign-in, nothing can be changed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from bridge.sandbox import document
from bridge.sandbox.fields import FIELDS, label
from bridge.sandbox.records import Account, Issue, Item, Page
from bridge.sandbox.site import Site
from bridge.sandbox.workflow import status

_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ``lines`` say it in words, ``body`` is what was written, ``marks`` what came with it."""

    kind: str
    who: Account
    when: datetime
    lines: tuple[str, ...]
    body: Markup
    marks: Mapping[str, Any]


def pages(site: Site) -> Blueprint:
    """The routes for one site."""
    routes = Blueprint("pages", __name__)
    routes.add_app_template_filter(_moment, "moment")

    @routes.get("/")
    def index() -> str:
        with site.lock:
            last = _last(site)
            issues = sorted(site.issues.values(), key=lambda issue: last[issue.id].when, reverse=True)
            there = [page for page in site.pages.values() if page.status != "trashed"]
            shown = sorted(there, key=lambda page: last[page.id].when, reverse=True)
            return render_template("index.html", site=site, status=status, issues=issues, pages=shown, last=last)

    @routes.get("/browse/<key>")
    def issue(key: str) -> str | AnyResponse:
        with site.lock:
            found = site.find_issue(key)
            if found is None:
                abort(_missing(f"There is no issue {key[:40]}."))
            if found.key != key:
                return redirect(url_for("pages.issue", key=found.key))
            project = site.projects[found.project]
            facts = {
                field.name: label(field, site, project, found.fields[name])
                for name, field in FIELDS.items()
                if found.fields.get(name) and name not in {"summary", "description"}
            }
            told = {
                "status": status,
                "issue": found,
                "project": project,
                "facts": facts,
                "events": _issue_events(site, found),
            }
            return render_template(
                "issue.html", site=site, description=document.html(found.fields.get("description")), **told
            )

    @routes.get("/wiki/spaces/<space>")
    @routes.get("/wiki/spaces/<space>/pages/<number>")
    @routes.get("/wiki/spaces/<space>/pages/<number>/<title>")
    def page(space: str, number: str = "", title: str = "") -> str | AnyResponse:  # noqa: ARG001 - the title is for people
        with site.lock:
            home = next((each for each in site.spaces.values() if each.key == space), None)
            found = site.pages.get(number or (home.homepage if home else ""))
            if home is None or found is None or found.space != home.id:
                abort(_missing("There is no such page in this space."))
            told = {"page": found, "space": home, "events": _page_events(site, found)}
            children = [each for each in site.pages.values() if each.parent == found.id and each.status != "trashed"]
            return render_template(
                "page.html", site=site, body=document.html(found.latest.body), children=children, **told
            )

    return routes


def _missing(text: str) -> Response:
    return make_response(render_template("missing.html", text=text, path=request.path), 404)


def _moment(when: datetime) -> Markup:
    """A time that people and programs can read."""
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(), when.strftime("%Y-%m-%d %H:%M:%S UTC"))


def _last(site: Site) -> dict[str, Event]:
    """The last thing that happened to each issue and page, by id."""
    last = {issue.id: _issue_events(site, issue)[0] for issue in site.issues.values()}
    return last | {page.id: _page_events(site, page)[0] for page in site.pages.values()}


def _issue_events(site: Site, issue: Issue) -> list[Event]:
    """Everything that happened to an issue, newest first."""
    accounts, nothing = site.accounts, Markup()
    events = [
        Event("created", accounts[issue.creator], issue.created, ("created this issue",), nothing, issue.properties)
    ]
    for comment in issue.comments:
        body = document.html(comment.body)
        who = accounts[comment.author]
        events.append(Event("comment", who, comment.created, ("commented",), body, comment.properties))
    for change in issue.changes:
        lines = tuple(_told(item) for item in change.items)
        events.append(Event("change", accounts[change.author], change.created, lines, nothing, change.metadata or {}))
    return _newest_first(events)


def _told(item: Item) -> str:
    before, after = (_shortened(item.get(name)) for name in ("fromString", "toString"))
    return f"changed {item['field']} from {before} to {after}"


def _shortened(text: str | None) -> str:
    words = " ".join((text or "nothing").split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _page_events(site: Site, page: Page) -> list[Event]:
    """Everything that happened to a page, newest first."""
    accounts, nothing, events = site.accounts, Markup(), []
    for version in page.versions:
        told = "created this page" if version.number == 1 else f"saved version {version.number}"
        lines = (f"{told}: {version.message}" if version.message else told,)
        events.append(Event("version", accounts[version.author], version.created, lines, nothing, {}))
    for comment in page.comments:
        first, marks = comment.versions[0], {entry.key: entry.value for entry in comment.properties}
        body = document.html(comment.versions[-1].body)
        lines = ("replied",) if comment.parent else ("commented",)
        events.append(Event("comment", accounts[first.author], first.created, lines, body, marks))
    return _newest_first(events)


def _newest_first(events: list[Event]) -> list[Event]:
    # Of two things in one millisecond the later one must still come first, so the whole order is turned round.
    return sorted(events, key=lambda event: event.when)[::-1]
