"""What can be done to pages and spaces besides writing them, whoever does it: read, ordered, templates, tasks, groups.

Operations of the REST API check shapes, then call these; the seed calls them directly.
"""

import uuid
from collections.abc import Collection
from typing import Any

from bridge.sandbox.page_facts import Group, LongTask, Restriction, Task, Template
from bridge.sandbox.records import Account, Page, Space
from bridge.sandbox.site import Site


def may_do(site: Site, account: Account, permission: str, page: Page) -> bool:
    """Whether the account may do that to a page: held in its space, and not restricted to others there or above."""
    if not site.may(account, permission, site.spaces[page.space]):
        return False
    above: Page | None = page
    while above is not None:
        if not _let_in(site, account, above.restrictions.get("read")):
            return False
        above = site.pages.get(above.parent or "")
    return permission in {"view", "comment"} or _let_in(site, account, page.restrictions.get("update"))


def _let_in(site: Site, account: Account, restriction: Restriction | None) -> bool:
    if restriction is None or not restriction.named or account.id in restriction.users:
        return True
    return any(account.id in site.groups[each].members for each in restriction.groups if each in site.groups)


def children(site: Site, page: Page) -> list[Page]:
    """The pages right below a page, in their order; what lies in the trash or is a draft is not among them."""
    below = [each for each in site.pages.values() if each.parent == page.id and each.status in {"current", "archived"}]
    return sorted(below, key=lambda each: each.rank)


def add_task(site: Site, page: Page, author: Account, body: dict[str, Any], assignee: Account | None = None) -> Task:
    """Put a task on a page; the body is ADF."""
    made = Task(site.next_id("task"), page.id, body, author.id, site.now(), assignee.id if assignee else None)
    page.tasks.append(made)
    return made


def add_template(site: Site, name: str, body: str, space: Space | None = None) -> Template:
    """Create a template for pages, in storage format; without a space it is one of the whole site."""
    made = Template(site.next_id("template"), name, space.id if space else None, body)
    site.templates[made.id] = made
    return made


def add_group(site: Site, name: str, members: Collection[str]) -> Group:
    """Create a group of accounts (by id)."""
    made = Group(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"group {name}")), name, tuple(members))
    site.groups[made.id] = made
    return made


def begin_task(site: Site, key: str, pages: int) -> LongTask:
    """Note a task that the site works off by itsite."""
    made = LongTask(site.next_id("long-task"), key, pages, site.now())
    site.long_tasks[made.id] = made
    return made
