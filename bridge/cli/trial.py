"""A trial for one rule: the sandbox with everything in it that the rule and its payload name, and the rule's account.

Rules are written for real projects and pages, and payloads recorded on a real site; the sandbox's demo has neither.
What is missing is made, empty, so that a rule can be tried before it meets its site.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from bridge import catalogue
from bridge.egress.app import Egress
from bridge.ingress.app import create_app
from bridge.rule.event import issue_of, page_of
from bridge.rule.registry import Registry, Rule, RuleSet, facts
from bridge.rule.scope import SITE, Scope
from bridge.sandbox import seed
from bridge.sandbox.desk import ServiceRequest
from bridge.sandbox.document import paragraphs
from bridge.sandbox.records import PROJECT_PERMISSIONS, SPACE_PERMISSIONS, Space
from bridge.sandbox.site import Site
from bridge.settings import Account, Settings
from bridge.testing import Trial

_KEY = re.compile(r"([A-Z][A-Z0-9_]+)-([1-9][0-9]{0,8})")
_TASK, _MEDIUM = "10100", "3"  # the sandbox's issue type and priority for what the payload says nothing about


@contextmanager
def trial_of(known: Settings, current: RuleSet, rule: Rule, payload: Any) -> Iterator[Trial]:
    """Give a trial in which ``rule`` acts as its own account, under the ceiling that bridge.toml has for it."""
    site = furnished(rule.manifest.scope, payload)
    with Trial(known.rules, site=site) as trial:
        accounts = _accounts(known, current, trial.settings.accounts[seed.BOT])
        _become(site, accounts[rule.manifest.account])
        trial.settings = replace(trial.settings, accounts=accounts)
        trial.rules = Registry(known.rules, facts(accounts), every=0.0)
        trial.egress = Egress(trial.settings, trial.store, trial.rules, trial.upstream)
        trial.client = httpx.Client(transport=httpx.WSGITransport(app=trial.egress), base_url="http://egress")
        trial.web = create_app(trial.settings, trial.store, trial.rules).test_client()
        with trial.client:
            yield trial


def _accounts(known: Settings, current: RuleSet, bot: Account) -> dict[str, Account]:
    """Return an account for each that a rule names, since the rules are loaded together or not at all."""
    found = {}
    for name in {rule.manifest.account for rule in current.rules.values()}:
        real = known.accounts.get(name)
        email = real.email if real else f"{name}@serviceaccount.atlassian.com"
        found[name] = replace(bot, name=name, email=email, ceiling=real.ceiling if real else None)
    return found


def _become(site: Site, account: Account) -> None:
    """Let the trial's tokens be those of ``account``, which may do what the demo's service account may."""
    with site.lock:
        if account.name == seed.BOT:
            return
        bot = site.account(seed.BOT)
        made = site.add_account(account.name, kind="app", email=account.email)
        for (holder, product, container), permissions in list(site.grants.items()):
            if holder == bot.id:
                site.grants[made.id, product, container] = permissions
        for text, token in list(site.tokens.items()):
            site.add_token(text, replace(token, account=made.id))
        for approval in (each for issue in site.issues.values() if issue.request for each in issue.request.approvals):
            approval.approvers |= {made.id: "pending"} if bot.id in approval.approvers else {}


def furnished(scope: Scope, payload: Any) -> Site:
    """Return the demo's site with the projects, spaces, issue and page added that scope and payload name."""
    site = seed.demo(Site(), {})
    with site.lock:
        issue, page = issue_of(payload), page_of(payload)
        key = _KEY.fullmatch(issue.key) if issue is not None and issue.key else None
        for project in sorted({*scope.jira, *([key[1]] if key else [])} - {SITE}):
            _project(site, project)
        if key is not None and site.find_issue(key[0]) is None:
            _issue(site, key[1], int(key[2]), payload)
        for project in sorted(scope.jira.keys() - {SITE}):
            if any(_of_a_desk(verb) for verb in scope.jira[project]):
                _serve(site, project)
        named = page.space if page is not None else None
        for space in sorted({*scope.confluence, *([named] if named else [])} - {SITE}):
            _space(site, space)
        if page is not None and page.id not in site.pages:
            _page(site, page.id, named or min(scope.confluence, default=""), page.title or "Recorded")
    return site


def _project(site: Site, key: str) -> None:
    if key not in site.projects:
        site.add_project(key, key, site.account(seed.PERSON), versions=("2026.11", "2026.12"))
        site.grant(seed.BOT, PROJECT_PERMISSIONS, project=key)
        _issue(site, key, 1, None)


def _issue(site: Site, project: str, number: int, payload: Any) -> None:
    issue = payload.get("issue", payload) if isinstance(payload, dict) else {}
    fields = issue.get("fields") if isinstance(issue, dict) else None
    summary = fields.get("summary") if isinstance(fields, dict) else None
    mia = site.account(seed.PERSON)
    values = {"summary": str(summary or "Recorded"), "description": paragraphs("Recorded."), "issuetype": _TASK}
    values |= {"priority": _MEDIUM, "reporter": mia.id}
    site.new_issue(site.projects[project], mia, {**values, "labels": []}, number=number)


def _of_a_desk(verb: str) -> bool:
    """Tell whether only service projects have what a verb acts on."""
    known = catalogue.verbs().get(f"jira.{verb}")
    return known is not None and any(catalogue.locate("jira", each).product == "jsm" for each in known.operations)


def _serve(site: Site, project: str) -> None:
    """Give a project a service desk, and let all its issues be requests that wait for the account's approval."""
    desk = site.desk_of(project) or site.add_desk(project, {"Ask for help": _TASK})
    for issue in site.issues.values():
        if issue.project == project and issue.request is None:
            issue.request = ServiceRequest(desk.types[0].id)
            site.add_approval(issue, "Approval", [site.account(seed.BOT).id])


def _space(site: Site, key: str) -> None:
    if _called(site, key) is None:
        site.add_space(key, key, site.account(seed.PERSON))
        site.grant(seed.BOT, SPACE_PERMISSIONS, space=key)


def _called(site: Site, key: str) -> Space | None:
    return next((space for space in site.spaces.values() if space.key == key), None)


def _page(site: Site, number: str, space: str, title: str) -> None:
    home = _called(site, space)
    if home is None:
        return
    page = site.new_page(home, site.account(seed.PERSON), title, paragraphs("Recorded."))
    del site.pages[page.id]
    page.id = number
    site.pages[number] = page
