"""The site's whole state behind one lock, with what can be done to it whoever does it.

Operations of the REST API check permissions and shapes, then call the methods here; the seed calls them directly. Ids
count up from fixed numbers, so that the same requests always lead to the same ids.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.sandbox.attached import IssueLink
from bridge.sandbox.clients import Client
from bridge.sandbox.desk import Approval, Organization, RequestType, ServiceDesk
from bridge.sandbox.faults import Faults
from bridge.sandbox.limits import Limits
from bridge.sandbox.media import Media
from bridge.sandbox.page_facts import Group, LongTask, Template
from bridge.sandbox.planning import Board, Sprint
from bridge.sandbox.records import (
    PROJECT_PERMISSIONS,
    SPACE_PERMISSIONS,
    Account,
    Change,
    Issue,
    IssueComment,
    Item,
    Named,
    Page,
    PageComment,
    Project,
    ProjectVersion,
    SandboxRefusal,
    Seen,
    Space,
    Token,
    Version,
)

Seed = Callable[["Site"], None]

_FIRST_IDS = {"project": 10000, "issue": 10001, "comment": 10201, "change": 10501, "attachment": 10801}
_FIRST_IDS |= {"space": 65601, "page": 131073, "footer": 262145, "property": 393217, "label": 458753, "named": 10010}
_FIRST_IDS |= {"task": 17, "template": 5177345, "long-task": 1180606}
_FIRST_IDS |= {"board": 1, "sprint": 46, "desk": 1, "request-type": 11, "approval": 1, "organization": 1}
_FIRST_IDS |= {"link": 10601, "web-link": 10701, "worklog": 10901}
_SEEN_KEPT = 2000


class Site:
    """A Jira and Confluence site. Hold ``lock`` while reading or changing anything; its holder may take it again.

    ``url`` is the site's own address as it appears in answers (None: the address the request came to). ``clock`` gives
    aware datetimes and ``sleep`` waits seconds; tests pass their own.
    """

    def __init__(
        self,
        name: str = "acme",
        *,
        url: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.url = url
        self.cloud_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.atlassian.net"))
        self.lock = threading.RLock()
        self.sleep = sleep
        self.comments_per_issue = 5000
        self.tokens: dict[str, Token] = {}
        self.clients: dict[str, Client] = {}
        self.faults = Faults()
        self.limits = Limits()
        self._clock = clock
        self._shift = timedelta(0)
        self._seed: Seed | None = None
        self._empty()

    def _empty(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.projects: dict[str, Project] = {}
        self.issues: dict[str, Issue] = {}
        self.keys: dict[str, str] = {}
        self.links: dict[str, IssueLink] = {}
        self.spaces: dict[str, Space] = {}
        self.pages: dict[str, Page] = {}
        self.groups: dict[str, Group] = {}
        self.templates: dict[str, Template] = {}
        self.long_tasks: dict[str, LongTask] = {}
        self.boards: dict[str, Board] = {}
        self.sprints: dict[str, Sprint] = {}
        self.desks: dict[str, ServiceDesk] = {}
        self.organizations: dict[str, Organization] = {}
        self.grants: dict[tuple[str, str, str], frozenset[str]] = {}
        self.seen: deque[Seen] = deque(maxlen=_SEEN_KEPT)
        self.media = Media()
        self._ids = dict(_FIRST_IDS)
        self._traces = 0

    def plant(self, seed: Seed) -> None:
        """Fill the site with ``seed`` now and after every :meth:`reset`."""
        with self.lock:
            self._seed = seed
            seed(self)

    def reset(self) -> None:
        """Forget everything but tokens and clients, also faults and limits, then plant the seed again."""
        with self.lock:
            self._empty()
            self.faults.clear()
            self.limits = Limits()
            if self._seed is not None:
                self._seed(self)

    # Time and numbers

    def now(self) -> datetime:
        """The site's time, cut to milliseconds, which is all that the two products tell."""
        moment = self._clock().astimezone(UTC) + self._shift
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    @contextmanager
    def earlier(self, **ago: float) -> Iterator[None]:
        """Let what happens in this block have happened that long ago: ``with site.earlier(days=3)``."""
        with self.lock:
            before, self._shift = self._shift, -timedelta(**ago)
            try:
                yield
            finally:
                self._shift = before

    def next_id(self, kind: str) -> str:
        """The next id of that kind, as the digits the products use."""
        number = self._ids[kind]
        self._ids[kind] = number + 1
        return str(number)

    def next_trace(self) -> str:
        """A trace id for one answer: 32 hexadecimal digits, as in ``Atl-Traceid``."""
        with self.lock:
            self._traces += 1
            return f"{self._traces:032x}"

    # Accounts

    def add_account(self, name: str, *, kind: str = "atlassian", email: str = "") -> Account:
        """Create an account; its id follows from its name."""
        prefix = "557058" if kind == "app" and not email else "712020"
        account = Account(f"{prefix}:{uuid.uuid5(uuid.NAMESPACE_DNS, name)}", name, kind, email)
        self.accounts[account.id] = account
        return account

    def account(self, name_or_id: str) -> Account:
        """The account with that display name or account id; raises SandboxRefusal."""
        if name_or_id in self.accounts:
            return self.accounts[name_or_id]
        for account in self.accounts.values():
            if account.name == name_or_id:
                return account
        raise SandboxRefusal(f"there is no account named {name_or_id!r}")

    def add_token(self, text: str, token: Token) -> None:
        """Accept a token for one of the site's accounts; the same text again replaces what it may do."""
        with self.lock:
            self.tokens[text] = replace(token, account=self.account(token.account).id)

    def grant(
        self, account: str, permissions: Collection[str], *, project: str | None = None, space: str | None = None
    ) -> None:
        """Give an account exactly these permissions in one project or one space (by key); an empty set takes all away.

        Permissions are ``records.PROJECT_PERMISSIONS`` and ``records.SPACE_PERMISSIONS``; others raise SandboxRefusal.
        """
        with self.lock:
            if (project is None) == (space is None):
                raise SandboxRefusal("name either a project or a space")
            product, container = ("jira", project) if project is not None else ("confluence", space)
            known = PROJECT_PERMISSIONS if product == "jira" else SPACE_PERMISSIONS
            there = self.projects if product == "jira" else {entry.key for entry in self.spaces.values()}
            if container not in there:
                raise SandboxRefusal(f"there is no {'project' if project else 'space'} {container!r}")
            if unknown := set(permissions) - known:
                raise SandboxRefusal(f"unknown permissions {sorted(unknown)}; there are {sorted(known)}")
            self.grants[self.account(account).id, product, str(container)] = frozenset(permissions)

    def may(self, account: Account, permission: str, container: Project | Space) -> bool:
        """Whether the account holds that permission there; nothing is granted unless it was said."""
        product = "jira" if isinstance(container, Project) else "confluence"
        held = self.grants.get((account.id, product, container.key), frozenset())
        seeing = "browse" if product == "jira" else "view"
        return permission in held and seeing in held

    # Jira

    def add_project(
        self, key: str, name: str, lead: Account, *, components: Collection[str] = (), versions: Collection[str] = ()
    ) -> Project:
        """Create a project; its lead may do everything there."""
        made = Project(self.next_id("project"), key, name, lead.id)
        made.components = [Named(self.next_id("named"), each) for each in components]
        made.versions = [ProjectVersion(self.next_id("named"), each) for each in versions]
        self.projects[key] = made
        self.grant(lead.id, PROJECT_PERMISSIONS, project=key)
        return made

    def find_issue(self, id_or_key: str) -> Issue | None:
        """The issue with that id, key in any case, or a key it had before it was moved."""
        if id_or_key in self.issues:
            return self.issues[id_or_key]
        return self.issues.get(self.keys.get(id_or_key.upper(), ""))

    def new_issue(
        self, project: Project, creator: Account, fields: Mapping[str, Any], *, number: int | None = None
    ) -> Issue:
        """Create an issue from plain field values; ``number`` asks for a certain key."""
        project.last = max(project.last, number or project.last + 1)
        key, now = f"{project.key}-{number or project.last}", self.now()
        issue = Issue(self.next_id("issue"), key, project.key, "To Do", creator.id, now, now, dict(fields))
        self.issues[issue.id] = issue
        self.keys[key] = issue.id
        return issue

    def note_change(
        self,
        issue: Issue,
        author: Account,
        items: list[Item],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Append to the changelog; a change of nothing leaves no entry, as in Jira."""
        if items:
            issue.updated = self.now()
            issue.changes.append(Change(self.next_id("change"), author.id, issue.updated, items, metadata))

    def add_comment(
        self, issue: Issue, author: Account, body: dict[str, Any], properties: Mapping[str, Any] | None = None
    ) -> IssueComment:
        """Comment on an issue; the body is ADF."""
        issue.updated = self.now()
        made = IssueComment(self.next_id("comment"), issue.id, author.id, body, issue.updated, dict(properties or {}))
        issue.comments.append(made)
        return made

    def remove_issue(self, issue: Issue) -> None:
        """Delete an issue with its links; its keys are never given out again."""
        with self.lock:
            self.links = {each.id: each for each in self.links.values() if issue.id not in {each.source, each.target}}
            self.keys = {key: number for key, number in self.keys.items() if number != issue.id}
            del self.issues[issue.id]

    def move(self, id_or_key: str, project: str, author: Account | None = None) -> Issue:
        """Move an issue to another project: it gets a key there and goes on answering to the old one.

        Raises SandboxRefusal for an unknown issue or project.
        """
        with self.lock:
            issue, target = self.find_issue(id_or_key), self.projects.get(project)
            if issue is None or target is None:
                raise SandboxRefusal(
                    f"there is no {f'issue {id_or_key!r}' if issue is None else f'project {project!r}'}"
                )
            source, old = self.projects[issue.project], issue.key
            target.last += 1
            issue.key, issue.project = f"{target.key}-{target.last}", target.key
            self.keys[issue.key] = issue.id
            renamed: Item = {"field": "Key", "fieldtype": "jira", "fromString": old, "toString": issue.key}
            moved: Item = {"field": "project", "fieldtype": "jira", "fieldId": "project", "from": source.id}
            moved |= {"fromString": source.name, "to": target.id, "toString": target.name}
            self.note_change(issue, author or self.accounts[source.lead], [renamed, moved])
            return issue

    # Boards and service desks

    def add_board(self, name: str, kind: str, project: str) -> Board:
        """Create a board (scrum or kanban) over a project's issues."""
        made = Board(self.next_id("board"), name, kind, project)
        self.boards[made.id] = made
        return made

    def add_sprint(self, board: Board, name: str, state: str = "future", goal: str = "") -> Sprint:
        """Create a sprint on a board."""
        made = Sprint(self.next_id("sprint"), board.id, name, self.now(), state, goal=goal)
        self.sprints[made.id] = made
        return made

    def add_desk(self, project: str, types: Mapping[str, str]) -> ServiceDesk:
        """Give a project a service desk; ``types`` are the names of its request types and the issue type of each."""
        chosen = [RequestType(self.next_id("request-type"), name, issue_type) for name, issue_type in types.items()]
        made = ServiceDesk(self.next_id("desk"), project, chosen)
        self.desks[made.id] = made
        return made

    def desk_of(self, project: str) -> ServiceDesk | None:
        """The service desk of a project (by key), if it has one."""
        return next((desk for desk in self.desks.values() if desk.project == project), None)

    def add_approval(self, issue: Issue, name: str, approvers: Collection[str]) -> Approval:
        """Let a request wait for the approval of these accounts (by id)."""
        made = Approval(self.next_id("approval"), name, dict.fromkeys(approvers, "pending"), self.now())
        if issue.request is None:
            raise SandboxRefusal(f"{issue.key} is no request")
        issue.request.approvals.append(made)
        return made

    def add_organization(self, name: str, members: Collection[str] = ()) -> Organization:
        """Create an organization of customers (by account id)."""
        made = Organization(self.next_id("organization"), name, self.now(), list(members))
        self.organizations[made.id] = made
        return made

    # Confluence

    def add_space(self, key: str, name: str, author: Account) -> Space:
        """Create a space with an empty home page; its author may do everything there."""
        made = Space(self.next_id("space"), key, name, author.id, self.now())
        self.spaces[made.id] = made
        made.homepage = self.new_page(made, author, name, {"type": "doc", "version": 1, "content": []}).id
        self.grant(author.id, SPACE_PERMISSIONS, space=key)
        return made

    def new_page(
        self, space: Space, author: Account, title: str, body: dict[str, Any], *, parent: str | None = None
    ) -> Page:
        """Create a page below ``parent`` or the space's home page; the body is ADF."""
        first = Version(1, author.id, self.now(), "", title, body)
        page = Page(self.next_id("page"), space.id, parent or space.homepage or None, "current", [first])
        page.rank = float(page.id)
        self.pages[page.id] = page
        return page

    def titled(self, space: str, title: str) -> Page | None:
        """The current page of the space (by id) with that title; titles are unique whatever their case."""
        wanted = title.strip().casefold()
        pages = (page for page in self.pages.values() if page.space == space and page.status == "current")
        return next((page for page in pages if page.title.strip().casefold() == wanted), None)

    def revise(self, page: Page, author: Account, title: str, body: dict[str, Any], message: str) -> Version:
        """Add a version to a page."""
        made = Version(page.latest.number + 1, author.id, self.now(), message, title, body)
        page.versions.append(made)
        return made

    def add_footer_comment(
        self, page: Page, author: Account, body: dict[str, Any], *, parent: str | None = None
    ) -> PageComment:
        """Comment below a page; the body is ADF."""
        first = Version(1, author.id, self.now(), "", f"Re: {page.title}", body)
        made = PageComment(self.next_id("footer"), page.id, [first], parent)
        page.comments.append(made)
        return made

    def find_footer_comment(self, comment: str) -> PageComment | None:
        """The footer comment with that id, on whichever page."""
        return next((each for page in self.pages.values() for each in page.comments if each.id == comment), None)

    def add_label(self, page: Page, name: str) -> None:
        """Label a page; a label it has already stays as it is."""
        if all(label.name != name for label in page.labels):
            page.labels.append(Named(self.next_id("label"), name))
