"""What the demo's site contains: three projects, two spaces, five accounts, and a little history in each.

OPS has a service desk and a board with sprints, CHG a board without.

The service account ``ops-bot`` may do everything in OPS, CHG and ENG. In HR it may read and comment as well, so that
when the bridge keeps a rule out of HR it is the rule's scope that does it and not the site.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bridge.sandbox import contents, workflow
from bridge.sandbox.desk import ServiceRequest
from bridge.sandbox.document import paragraphs
from bridge.sandbox.records import PROJECT_PERMISSIONS, SPACE_PERMISSIONS, Account, Attachment, Issue, Space, Token
from bridge.sandbox.site import Site

BOT = "ops-bot"
BOT_EMAIL = "ops-bot-x1@serviceaccount.atlassian.com"
PERSON = "Mia Keller"
COLLEAGUE = "Jonas Brandt"
AUTOMATION = "Automation for Jira"
#: The OAuth scopes that all of the sandbox's operations need: classic for Jira and its service desk, granular for
#: boards and for Confluence. A live token could not hold both kinds; the sandbox does not mind.
JIRA_SCOPES = frozenset(
    {
        *("read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-project"),
        *("read:servicedesk-request", "write:servicedesk-request", "manage:servicedesk-customer"),
        *("read:board-scope:jira-software", "write:board-scope:jira-software", "read:project:jira"),
        *("read:sprint:jira-software", "write:sprint:jira-software"),
    }
)
CONFLUENCE_SCOPES = frozenset(
    f"{name}:confluence"
    for name in (
        *("read:page", "write:page", "delete:page", "read:comment", "write:comment", "delete:comment", "read:label"),
        *("write:label", "read:space", "write:space", "read:space-details", "read:space.permission"),
        *("write:space.permission", "read:content-details", "read:content.metadata", "read:hierarchical-content"),
        *("write:content", "write:content.restriction", "read:task", "write:task", "read:template", "read:watcher"),
        *("write:watcher", "read:attachment", "write:attachment"),
    )
)

_TASK, _BUG, _INCIDENT, _CHANGE = "10100", "10101", "10102", "10103"
_HIGHEST, _HIGH, _MEDIUM = "1", "2", "3"


def token(product: str, account: str = BOT) -> Token:
    """A token for one product with every OAuth scope that the sandbox's operations ask for."""
    return Token(account, frozenset({product}), JIRA_SCOPES if product == "jira" else CONFLUENCE_SCOPES)


def demo(site: Site, tokens: Mapping[str, Token] | None = None) -> Site:
    """Fill the site with the demo's contents and accept these tokens (text to what it may do); gives the site back.

    Raises SandboxRefusal when a token names an account that the demo does not have.
    """
    site.plant(_plant)
    for text, described in (tokens or {}).items():
        site.add_token(text, described)
    return site


def _plant(site: Site) -> None:
    with site.earlier(days=90):
        mia, jonas = site.add_account(PERSON, email="mia.keller@example.com"), site.add_account(COLLEAGUE)
        bot = site.add_account(BOT, kind="app", email=BOT_EMAIL)
        automation = site.add_account(AUTOMATION, kind="app")
        _projects(site, mia, bot, automation)
        spaces = _spaces(site, mia, bot)
    _incidents(site, mia, jonas, automation)
    _changes(site, mia, jonas)
    _personnel(site, mia)
    _pages(site, spaces, mia, jonas)
    _beside_the_pages(site, spaces["ENG"], mia, jonas)
    _planning(site)
    _service_desk(site, mia, bot)


def _projects(site: Site, mia: Account, bot: Account, automation: Account) -> None:
    site.add_project(
        "OPS", "Operations", mia, components=("Mail", "Network", "Storage"), versions=("2026.11", "2026.12")
    )
    site.add_project("CHG", "Changes", mia, components=("Network",))
    site.add_project("HR", "People", mia)
    for key in ("OPS", "CHG"):
        site.grant(bot.name, PROJECT_PERMISSIONS, project=key)
        site.grant(automation.name, PROJECT_PERMISSIONS, project=key)
    site.grant(bot.name, {"browse", "comment"}, project="HR")


def _spaces(site: Site, mia: Account, bot: Account) -> Mapping[str, Space]:
    spaces = {"ENG": site.add_space("ENG", "Engineering", mia), "HR": site.add_space("HR", "People and culture", mia)}
    site.grant(bot.name, SPACE_PERMISSIONS, space="ENG")
    site.grant(bot.name, {"view", "comment"}, space="HR")
    return spaces


def _issue(site: Site, project: str, author: Account, summary: str, text: str, **fields: Any) -> Issue:
    number = fields.pop("number", None)
    values = {"summary": summary, "description": paragraphs(text), "issuetype": _TASK, "priority": _MEDIUM}
    values |= {"reporter": author.id, "labels": [], **fields}
    return site.new_issue(site.projects[project], author, values, number=number)


def _step(site: Site, issue: Issue, author: Account, name: str) -> None:
    workflow.take(site, issue, author, next(each for each in workflow.offered(issue) if each.name == name))


def _incidents(site: Site, mia: Account, jonas: Account, automation: Account) -> None:
    mail, network, storage = (component.id for component in site.projects["OPS"].components)
    with site.earlier(days=3, hours=4):
        text = "Mails to partners wait up to two hours.\nFirst seen after the weekend."
        first = _issue(site, "OPS", mia, "Outgoing mail is delayed", text, issuetype=_INCIDENT, priority=_HIGH)
        first.fields |= {"labels": ["mail", "customer"], "components": [mail], "assignee": jonas.id}
    with site.earlier(days=3, hours=2):
        _step(site, first, jonas, "Start work")
        site.add_comment(first, jonas, paragraphs("The queue grows whenever the switch in rack 7 drops its uplink."))
    with site.earlier(days=2, hours=7):
        text = "Video calls from the third floor stop for some seconds."
        second = _issue(site, "OPS", jonas, "Video calls break up", text, issuetype=_INCIDENT, priority=_MEDIUM)
        second.fields |= {"labels": ["network"], "components": [network], "customfield_10010": "CHG-1"}
        site.add_comment(second, automation, paragraphs("Linked to change CHG-1 because both name rack 7."))
    with site.earlier(days=2):
        text = "The report lists no job after 02:00."
        third = _issue(site, "OPS", mia, "Nightly backup report is incomplete", text, issuetype=_BUG)
        third.fields["components"] = [storage]
        third.attachments.append(
            Attachment(site.next_id("attachment"), "backup.log", 4096, mia.id, site.now()),
        )
    with site.earlier(days=1, hours=6):
        text = "Two of three certificates end in January."
        fourth = _issue(site, "OPS", mia, "Renew the gateway certificates", text, labels=["security"])
        fourth.fields["duedate"] = "2027-01-15"
    with site.earlier(hours=20):
        text = "Disk 4 of the second storage node reports read errors."
        fifth = _issue(site, "OPS", automation, "Replace disk 4", text, priority=_HIGHEST, components=[storage])
        _step(site, fifth, jonas, "Start work")
    with site.earlier(hours=12):
        _step(site, fifth, jonas, "Resolve")


def _changes(site: Site, mia: Account, jonas: Account) -> None:
    network = [component.id for component in site.projects["CHG"].components]
    with site.earlier(days=2, hours=3):
        text = "The switch in rack 7 drops its uplink under load.\nReplaced in the night, ten minutes without network."
        change = _issue(site, "CHG", jonas, "Replace the switch in rack 7", text, issuetype=_CHANGE, components=network)
        change.fields |= {"customfield_10011": "10301", "customfield_10014": mia.id}
    with site.earlier(hours=5):
        site.add_comment(change, mia, paragraphs("Approved for tonight, 22:00."))


def _personnel(site: Site, mia: Account) -> None:
    with site.earlier(days=5):
        _issue(site, "HR", mia, "Laptop for the new colleague", "Starts on the first of December.")
        moved = _issue(site, "OPS", mia, "Allowance for night shifts", "Opened in the wrong project.", number=99)
    with site.earlier(days=4):
        site.move(moved.key, "HR", mia)


def _pages(site: Site, spaces: Mapping[str, Space], mia: Account, jonas: Account) -> None:
    with site.earlier(days=40):
        text = "Every runbook has an owner and a date of its last trial."
        books = site.new_page(spaces["ENG"], mia, "Runbooks", paragraphs(text))
        text = "Stop the queue.\nRestart the gateway.\nStart the queue and watch it for ten minutes."
        restart = site.new_page(spaces["ENG"], mia, "Restart the mail gateway", paragraphs(text), parent=books.id)
        site.add_label(restart, "runbook")
        site.new_page(spaces["ENG"], jonas, "Incident reviews", paragraphs("One page per incident, within a week."))
    with site.earlier(days=9):
        text = "Stop the queue.\nRestart the gateway.\nStart the queue and watch it for half an hour."
        site.revise(restart, jonas, restart.title, paragraphs(text), "Ten minutes were too short")
        site.add_footer_comment(restart, mia, paragraphs("Thank you, that would have saved us the second call."))
    with site.earlier(days=6):
        site.new_page(spaces["HR"], mia, "Onboarding", paragraphs("The first week, day by day."))
        site.new_page(spaces["HR"], mia, "Salary bands", paragraphs("For the works council only."))


_REVIEW = (
    '<at:declarations><at:string at:name="incident"/><at:textarea at:name="summary"/></at:declarations>'
    '<h2>What happened</h2><p>Incident <at:var at:name="incident"/>: <at:var at:name="summary"/></p><h2>What we do</h2>'
)


def _beside_the_pages(site: Site, space: Space, mia: Account, jonas: Account) -> None:
    """A template, a group and two tasks of the space."""
    reviews = next(page for page in site.pages.values() if page.title == "Incident reviews")
    with site.earlier(days=30):
        contents.add_template(site, "Incident review", _REVIEW, space)
        contents.add_template(site, "Meeting notes", "<h2>Decisions</h2><p></p>")
        contents.add_group(site, "engineers", (mia.id, jonas.id))
    with site.earlier(days=4):
        contents.add_task(site, reviews, jonas, paragraphs("Write up the mail delay"), mia)
        contents.add_task(site, reviews, jonas, paragraphs("Invite the network team"))


def _planning(site: Site) -> None:
    with site.earlier(days=70):
        board = site.add_board("Operations", "scrum", "OPS")
        site.add_board("Changes", "kanban", "CHG")
    for name, ago, state in (("Sprint 46", 25, "closed"), ("Sprint 47", 11, "active"), ("Sprint 48", 11, "future")):
        with site.earlier(days=ago):
            sprint = site.add_sprint(board, name, state)
            if state != "future":
                sprint.start, sprint.end = site.now(), site.now() + timedelta(days=14)
        if state == "closed":
            sprint.completed = sprint.end
        if state == "active":
            sprint.issues = [issue.id for issue in site.issues.values() if issue.key in {"OPS-3", "OPS-4"}]


def _service_desk(site: Site, mia: Account, bot: Account) -> None:
    with site.earlier(days=60):
        priya = site.add_account("Priya Nair", kind="customer", email="priya.nair@example.com")
        desk = site.add_desk("OPS", {"Report an incident": _INCIDENT, "Ask for help": _TASK})
        northwind = site.add_organization("Northwind", [priya.id])
        desk.customers, desk.organizations = [priya.id], [northwind.id]
    for issue in site.issues.values():
        if issue.key in {"OPS-1", "OPS-2"}:
            issue.request = ServiceRequest(desk.types[0].id, [mia.id])
            with site.earlier(hours=30):
                for name in ("Approval by operations", "Approval by the service owner"):
                    site.add_approval(issue, name, [bot.id])
