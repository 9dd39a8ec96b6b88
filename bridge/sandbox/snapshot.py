"""The whole state of a site as JSON, for tests and curious people; ``GET /sandbox/state`` answers with it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bridge.sandbox import document
from bridge.sandbox.records import Issue, IssueComment, Page, PageComment, Version
from bridge.sandbox.site import Site


def snapshot(site: Site) -> dict[str, Any]:
    """Everything but the texts of the tokens.

    ``issues`` are by key and ``pages`` by id; next to each account id stands ``author_name``, next to each body its
    ``text``. ``seen`` lists the requests that reached the gateway, oldest first, with their ``status`` (null where the
    connection was cut) and whether they were ``executed``.
    """
    with site.lock:
        return {
            "site": {"name": site.name, "cloud_id": site.cloud_id, "now": site.now().isoformat()},
            "accounts": [asdict(account) | {"service": account.is_service} for account in site.accounts.values()],
            "tokens": [_plain(asdict(token)) for token in site.tokens.values()],
            "grants": [
                {
                    "account": site.accounts[account].name,
                    "product": product,
                    "container": key,
                    "permissions": sorted(held),
                }
                for (account, product, key), held in site.grants.items()
            ],
            "projects": [asdict(project) for project in site.projects.values()],
            "old_keys": {
                key: site.issues[number].key for key, number in site.keys.items() if site.issues[number].key != key
            },
            "issues": {issue.key: _issue(site, issue) for issue in site.issues.values()},
            "boards": [_plain(asdict(board)) for board in site.boards.values()],
            "sprints": [_plain(asdict(sprint)) for sprint in site.sprints.values()],
            "desks": [asdict(desk) for desk in site.desks.values()],
            "organizations": [_plain(asdict(each)) for each in site.organizations.values()],
            "links": [asdict(link) for link in site.links.values()],
            "spaces": [_plain(asdict(space)) for space in site.spaces.values()],
            "pages": {page.id: _page(site, page) for page in site.pages.values()},
            "faults": site.faults.shown(),
            "seen": [_plain(asdict(entry)) for entry in site.seen],
        }


def _issue(site: Site, issue: Issue) -> dict[str, Any]:
    made = asdict(issue) | {"creator_name": site.accounts[issue.creator].name}
    made["comments"] = [_comment(site, comment) for comment in issue.comments]
    made["changes"] = [asdict(change) | {"author_name": site.accounts[change.author].name} for change in issue.changes]
    return _mapping(made)


def _comment(site: Site, comment: IssueComment) -> dict[str, Any]:
    return asdict(comment) | {"author_name": site.accounts[comment.author].name, "text": document.text(comment.body)}


def _page(site: Site, page: Page) -> dict[str, Any]:
    made: dict[str, Any] = {"id": page.id, "title": page.title, "status": page.status, "parent": page.parent}
    made |= {"space": site.spaces[page.space].key, "labels": [label.name for label in page.labels]}
    made["versions"] = [_version(site, version) for version in page.versions]
    made["comments"] = [_page_comment(site, comment) for comment in page.comments]
    made |= {"owner": page.owner or page.versions[0].author, "state": page.state.name if page.state else None}
    made |= {"watchers": page.watchers, "tasks": [asdict(task) for task in page.tasks]}
    made["restrictions"] = {name: asdict(each) for name, each in page.restrictions.items()}
    made["properties"] = {entry.key: entry.value for entry in page.properties}
    return _mapping(made)


def _page_comment(site: Site, comment: PageComment) -> dict[str, Any]:
    first = comment.versions[0]
    made: dict[str, Any] = {"id": comment.id, "parent": comment.parent, "author_name": site.accounts[first.author].name}
    made["text"] = document.text(comment.versions[-1].body)
    made["properties"] = {entry.key: entry.value for entry in comment.properties}
    return made | {"versions": [_version(site, version) for version in comment.versions]}


def _version(site: Site, version: Version) -> dict[str, Any]:
    return asdict(version) | {"author_name": site.accounts[version.author].name, "text": document.text(version.body)}


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(each) for name, each in value.items()}


def _plain(value: Any) -> Any:
    """The same with datetimes as text and sets as lists, all the way down."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
