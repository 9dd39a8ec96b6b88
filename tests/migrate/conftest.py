"""A small stand-in for Automation, and sites to let automations loose on.

The stand-in knows only what the examples use: some smart values, conditions, if/else, branches and actions. It acts on
the sandbox through its REST API (version 2, which takes wiki markup as Automation does) as the rule's actor, and sends
web requests through the real ingress, with the header that stands in the automation.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.ingress.signature import mint_token
from bridge.migrate.automation import Automation
from bridge.migrate.body import example
from bridge.migrate.conversion import Names
from bridge.migrate.export import read
from bridge.migrate.plan import Plan, weigh
from bridge.migrate.rewrite import Address, Form, rewritten
from bridge.migrate.rule_text import Wanted, manifest, name_of
from bridge.sandbox import seed
from bridge.sandbox.records import Token
from bridge.sandbox.site import Site
from bridge.testing import Report, Trial

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "automation-rules"
ACTOR = seed.AUTOMATION
WEBHOOK = "jira.issue.outgoing.webhook"
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
VERSIONS: tuple[tuple[Form, int], ...] = (("observe", 1), ("act", 2))
NOW = "2026-11-22T10:00:00.000+0000"


@dataclass
class StandIn:
    """Runs one automation on a trial's site for one work item, as Automation would.

    ``queries`` says which JQL conditions hold, ``named`` which fields people's names for them mean; ``requests`` are
    the foreign web requests it would have sent, ``logged`` what its log actions said, ``reports`` what became of the
    deliveries to the bridge.
    """

    trial: Trial
    queries: Mapping[str, bool] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    actor: str = ACTOR
    requests: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        token = seed.token("jira")
        self.trial.site.add_token("the-actor", Token(self.actor, token.products, token.scopes))
        self._client = self.trial.sandbox.test_client()

    def fire(self, automation: Mapping[str, Any], key: str) -> None:
        """Let the automation run for a work item that its trigger brought."""
        initiator = self.trial.site.account(seed.PERSON).id
        self._list(automation["components"], {"trigger": key, "issue": key, "initiator": initiator})

    def _list(self, components: list[Any], at: dict[str, str]) -> None:
        for each in components:
            if not self._one(each, at):
                return

    def _one(self, node: Mapping[str, Any], at: dict[str, str]) -> bool:
        """Run one component; False ends the list, as a condition that does not hold does."""
        kind, children = node["type"], node.get("children") or []
        if kind == "jira.condition.container.block":
            block = next((one for one in children if all(self._holds(test, at) for test in one["conditions"])), None)
            self._list(block["children"] if block else [], at)
        elif kind == "automation.orchestration.fragment":
            self._list(children, at)
        elif node["component"] == "BRANCH":
            key = at["created"] if node["value"]["relatedType"] == "recentlycreated" else at["trigger"]
            self._list(children, {**at, "issue": key})
        elif node["component"] == "CONDITION":
            return self._holds(node, at)
        else:
            self._act(kind, node.get("value"), at)
        return True

    def _holds(self, node: Mapping[str, Any], at: Mapping[str, str]) -> bool:
        value = node["value"]
        if node["type"] == "jira.jql.condition":
            return self.queries[value]
        if node["type"] == "jira.comparator.condition":
            first, second = self.rendered(value["first"], at), self.rendered(value["second"], at)
            return {"EQUALS": first == second, "CONTAINS": second in first}[value["operator"]]
        wanted = set(json.loads(value["compareValue"]["value"]))
        by = "id" if value["compareValue"]["type"] == "ID" else "name"
        found = self._issue(at["issue"])["fields"][value["selectedField"]["value"]]
        has = {str(each[by]) for each in (found if isinstance(found, list) else [found])}
        return bool(has & wanted) is (value["comparison"] != "CONTAINS_NONE")

    def rendered(self, text: str, at: Mapping[str, str]) -> str:
        """Fill smart values in."""
        return _PLACE.sub(lambda place: self._value(place[1].strip(), at), text)

    def _value(self, smart: str, at: Mapping[str, str]) -> str:
        name, encoded = smart.removesuffix(".jsonEncode"), smart.endswith(".jsonEncode")
        made = self._raw(name, at)
        return json.dumps(made, ensure_ascii=False)[1:-1] if encoded else made

    def _raw(self, name: str, at: Mapping[str, str]) -> str:
        if name.startswith("now"):
            return NOW
        if name == "initiator.accountId":
            return at["initiator"]
        root, _, rest = name.partition(".")
        rest = self.named.get(rest, rest)
        here: Any = self._issue({"issue": at["issue"], "triggerIssue": at["trigger"]}.get(root) or at["created"])
        here = here if rest in {"key", "id"} else here["fields"]
        for part in rest.removeprefix("fields.").split("."):
            here = here.get("issuetype" if part == "issueType" else part) if isinstance(here, dict) else None
        return "" if here is None else str(here)

    def _issue(self, key: str) -> Any:
        return self._call("GET", f"/issue/{key}").get_json()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        address = f"/ex/jira/{self.trial.site.cloud_id}/rest/api/2{path}"
        given = {} if body is None else {"json": body}
        return self._client.open(address, method=method, headers={"Authorization": "Bearer the-actor"}, **given)

    def _act(self, kind: str, value: Any, at: dict[str, str]) -> None:
        issue = f"/issue/{at['issue']}"
        match kind:
            case "codebarrel.action.log":
                self.logged.append(self.rendered(value, at))
            case "jira.issue.comment":
                self._comment(issue, value, at)
            case "jira.issue.transition":
                self._transition(issue, value["destinationStatus"])
            case "jira.issue.assign":
                unassigned = value["assignType"] == "UNASSIGNED" or value["assignee"]["type"] == "CLEAR"
                account = None if unassigned else self.rendered(value["assignee"]["value"], at)
                self._done("PUT", f"{issue}/assignee", {"accountId": account})
            case "jira.issue.edit":
                self._edit(issue, value, at)
            case "jira.issue.create":
                self._create(value, at)
            case "jira.issue.outgoing.webhook":
                self._send(value, at)
            case _:
                raise AssertionError(f"the stand-in does not know {kind}")

    def _done(self, method: str, path: str, body: Any) -> Any:
        answer = self._call(method, path, body)
        if answer.status_code >= 400:
            # Automation notes a failed action and goes on.
            self.failed.append(f"{method} {path} {answer.status_code}")
        return answer

    def _comment(self, issue: str, value: Mapping[str, Any], at: Mapping[str, str]) -> None:
        text = self.rendered(value["comment"], at)
        there = {each["body"] for each in self._call("GET", f"{issue}/comment").get_json()["comments"]}
        if not (value.get("addCommentOnce") and text in there):
            self._done("POST", f"{issue}/comment", {"body": text})

    def _transition(self, issue: str, to: Mapping[str, str]) -> None:
        offered = self._call("GET", f"{issue}/transitions").get_json()["transitions"]
        by = "id" if to["type"] == "ID" else "name"
        way = next((each["id"] for each in offered if each["to"][by] == to["value"]), None)
        if way is None:
            self.failed.append(f"no transition of {issue} to {to['value']}")
        else:
            self._done("POST", f"{issue}/transitions", {"transition": {"id": way}})

    def _edit(self, issue: str, value: Mapping[str, Any], at: Mapping[str, str]) -> None:
        fields: dict[str, Any] = {}
        update: dict[str, Any] = {}
        for each in value["operations"]:
            name, given = each.get("fieldId") or each["field"]["value"], each.get("value")
            made = self._given(given, at)
            if each["type"] == "SET":
                fields[name] = [] if name == "labels" and not made else made
            else:
                change = "add" if each["type"] == "ADD" else "remove"
                update.setdefault(name, []).extend({change: one} for one in made)
        self._done("PUT", issue, {"fields": fields, "update": update})

    def _given(self, given: Any, at: Mapping[str, str]) -> Any:
        if isinstance(given, list):
            return [self._given(each, at) for each in given]
        if isinstance(given, str):
            return self.rendered(given, at) or None
        if given is None or given["type"] == "CLEAR":
            return None
        if given["type"] == "COPY":
            return at[given["value"]]
        if given["type"] in {"ID", "NAME"}:
            return {given["type"].lower(): given["value"]}
        return self.rendered(given["value"], at)

    def _create(self, value: Mapping[str, Any], at: dict[str, str]) -> None:
        fields: dict[str, Any] = {}
        link: dict[str, Any] = {}
        for each in value["operations"]:
            name, given = each.get("fieldId") or each["field"]["value"], each.get("value")
            if given == {"type": "COPY", "value": "current"}:
                present = self._issue(at["issue"])["fields"][name]
                fields[name] = {"id": present["id"]}
            elif name == "issuelinks":
                kind = {"id": given["linkType"].partition(":")[2]}
                link = {"type": kind, "outwardIssue": {"key": at["trigger"]}}
            else:
                fields[name] = self._given(given, at)
        answer = self._done("POST", "/issue", {"fields": fields})
        at["created"] = str((answer.get_json() or {}).get("key"))
        if link:
            self._done("POST", "/issueLink", {**link, "inwardIssue": {"key": at["created"]}})

    def _send(self, value: Mapping[str, Any], at: Mapping[str, str]) -> None:
        url = urlsplit(value["url"])
        if url.hostname != "bridge.example.com":
            self.requests.append(value["url"])
            return
        headers = {each["name"]: each["value"] for each in value["headers"]}
        body = self.rendered(value["customBody"], at)
        answer = self.trial.web.post(url.path, data=body.encode(), headers=headers)
        self.answers.append(answer.status_code)
        if answer.status_code == 202:
            self.reports.append(self.trial.attempt(answer.get_json()["delivery"]))


def automation_of(raw: Mapping[str, Any]) -> Automation:
    """Read one automation that is given as an object."""
    reading = read(json.dumps(raw).encode(), "example.json")
    assert [str(each) for each in reading.problems] == []
    (found,) = reading.automations
    return found


@dataclass(frozen=True)
class Migrated:
    """An automation, its plan, the rules by their names, and both rewritten forms."""

    plan: Plan
    rules: Path
    names: list[str]
    forms: Mapping[Form, Any]

    def components(self, form: Form) -> Mapping[str, Any]:
        """The rewritten automation of a form, without what is around it."""
        made = self.forms[form]
        found: Mapping[str, Any] = made["rules"][0] if "rules" in made else made["rule"]
        return found

    def act(self, version: int = 2) -> None:
        """Let all its rules act, on this version of their tokens."""
        for path in self.rules.glob("*.toml"):
            text = path.read_text(encoding="utf-8")
            text = text.replace('mode    = "observe"', 'mode    = "act"')
            path.write_text(text.replace("token_versions  = [1]", f"token_versions  = [{version}]"), encoding="utf-8")


Migrate = Callable[..., Migrated]


@pytest.fixture
def migrate(tmp_path: Path) -> Migrate:
    """Migrate an automation: write its rules, and rewrite it to call a bridge whose secret is the trial's."""

    def make(raw: Mapping[str, Any], *projects: str, secret: Any) -> Migrated:
        plan = weigh(automation_of(raw), Names())
        rules = tmp_path / "rules"
        names: list[str] = []
        addresses: dict[Form, dict[int, Address]] = {"observe": {}, "act": {}}
        for run in plan.runs:
            name = name_of(plan.automation, names)
            names.append(name)
            text = manifest(plan, run, Wanted("team@example.com", seed.BOT, projects or ("OPS",)))
            (rules / "payloads" / name).mkdir(parents=True, exist_ok=True)
            (rules / f"{name}.toml").write_text(text, encoding="utf-8")
            payload = json.dumps(example(run.carried, "OPS"))
            (rules / "payloads" / name / "example.json").write_text(payload, encoding="utf-8")
            for form, version in VERSIONS:
                token = f"Bearer {mint_token(secret, name, version)}"
                addresses[form][run.number] = Address(f"https://bridge.example.com/hooks/{name}", token)
        return Migrated(plan, rules, names, {form: rewritten(plan, addresses[form], form) for form in addresses})

    return make


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """A bridge and a site whose rules stand in ``tmp_path/rules``."""
    (tmp_path / "rules").mkdir(exist_ok=True)
    with Trial(tmp_path / "rules") as made:
        yield made


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Trial]:
    """Another site of the same contents, on which the automation runs as it was."""
    (tmp_path / "none").mkdir(exist_ok=True)
    with Trial(tmp_path / "none") as made:
        yield made


@pytest.fixture
def stand_in() -> type[StandIn]:
    return StandIn


def state(site: Site) -> dict[str, Any]:
    """Everything about the work items but who did it, when, and what the bridge's marks are."""
    keys = {issue.id: issue.key for issue in site.issues.values()}
    links = [(each.type.name, keys[each.source], keys[each.target]) for each in site.links.values()]
    return {"links": sorted(links)} | {
        issue.key: {
            "status": issue.status,
            "fields": {name: _bare(value) for name, value in issue.fields.items() if name != "reporter"},
            "comments": [_bare(each.body) for each in issue.comments],
            "changes": [sorted(str(item) for item in change.items) for change in issue.changes],
            "watchers": len(issue.watchers),
        }
        for issue in site.issues.values()
    }


def _bare(value: Any) -> Any:
    """A document without what says nothing: a list that begins at 1 does so with and without saying it."""
    if isinstance(value, dict):
        return {name: _bare(inner) for name, inner in value.items() if (name, inner) != ("attrs", {"order": 1})}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def authors(site: Site) -> set[str]:
    """The names of all who changed or commented on something in the last hour."""
    written = [(each.author, each.created) for issue in site.issues.values() for each in issue.comments]
    written += [(each.author, each.created) for issue in site.issues.values() for each in issue.changes]
    made = [issue for issue in site.issues.values() if (site.now() - issue.created).total_seconds() < 3600]
    recent = {author for author, created in written if (site.now() - created).total_seconds() < 3600}
    return {site.accounts[each].name for each in (*recent, *(issue.creator for issue in made))}


@pytest.fixture
def compared() -> tuple[Callable[[Site], dict[str, Any]], Callable[[Site], set[str]]]:
    """What is compared of two sites: their state, and who made it."""
    return state, authors
