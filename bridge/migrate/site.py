"""What many automations come to: how far each leaves its actor, which end when somebody leaves, what to ask for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.catalogue import Operation, oauth
from bridge.migrate.automation import Automation
from bridge.migrate.plan import Plan
from bridge.migrate.rule_text import Wanted, manifest, name_of, rule
from bridge.migrate.titles import title_of
from bridge.rule.needs import needs

PRODUCTS = ("jira", "confluence")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom automations name by account id, as far as it is known."""

    name: str
    active: bool = True


People = Mapping[str, Person]


@dataclass(frozen=True, slots=True)
class Credential:
    """What to ask for, for one product: the OAuth scopes of one token, and what that token reaches."""

    product: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The sums over some plans.

    ``mortal`` are the automations that end when a person leaves, with the reason; ``verbs`` are those of each project
    or space; ``unknown`` counts the component types that nobody knows.
    """

    automations: int
    enabled: int
    leaves: Mapping[str, int]
    performed: int
    staying: int
    rules: int
    actions: Mapping[str, int]
    reasons: Mapping[str, int]
    mortal: tuple[tuple[str, str], ...]
    verbs: Mapping[str, tuple[str, ...]]
    credentials: tuple[Credential, ...]
    exposed: tuple[str, ...]
    unknown: Mapping[str, int]


def summed(plans: Sequence[Plan], people: People | None = None) -> Summary:
    """Sum plans up."""
    decisions = [each for plan in plans for each in plan.decisions]
    verbs: dict[str, dict[str, None]] = {}
    for plan in plans:
        for container in containers_of(plan):
            verbs.setdefault(container, {}).update(dict.fromkeys(plan.verbs))
    return Summary(
        automations=len(plans),
        enabled=sum(plan.automation.enabled for plan in plans),
        leaves=Counter(plan.leaves for plan in plans),
        performed=sum(each.verdict == "bridge" for each in decisions),
        staying=sum(each.verdict == "stays" for each in decisions),
        rules=sum(len(plan.runs) for plan in plans),
        actions=Counter(each.title for each in decisions if each.verdict == "bridge"),
        reasons=Counter(f"{each.title}: {each.why}" for each in decisions if each.verdict == "stays"),
        mortal=tuple(each for plan in plans for each in _mortal(plan.automation, people or {})),
        verbs={container: tuple(found) for container, found in verbs.items() if found},
        credentials=tuple(_credentials(plans)),
        exposed=tuple(_exposed(plans)),
        unknown=Counter(each.node.type for each in decisions if not each.known),
    )


def containers_of(plan: Plan) -> tuple[str, ...]:
    """Name the projects or spaces an automation is for, as far as the export tells."""
    automation = plan.automation
    kind = "space" if automation.product == "confluence" else "project"
    if automation.site_wide:
        return (f"every {kind}",)
    return tuple(f"{kind} {each}" for each in automation.projects)


def actor_of(automation: Automation, people: People | None = None) -> str:
    """Say as whom an automation acts."""
    actor = automation.actor
    if actor.kind == "robot":
        return "the robot (Automation)"
    if actor.kind == "initiator":
        return "whoever sets it off"
    if actor.kind == "smart-value":
        return "whom a smart value names"
    return called(actor.id, people) if actor.kind == "person" else "not said"


def called(account: str | None, people: People | None = None) -> str:
    """Name a person by what is known of the account."""
    known = (people or {}).get(account or "")
    if known is None:
        return account or "not said"
    return known.name if known.active else f"{known.name} (inactive)"


def advice(automation: Automation) -> str:
    """Say who should be the actor of what is left of the automation, as the product allows."""
    if automation.product == "confluence":
        return (
            "Confluence lets only yourself be the actor: let an owner who stays save it, and put [expect] every into "
            "the rule, so that silence is noticed when that account ends"
        )
    return (
        'make "Automation for Jira" its actor: what is left reads and sends, it needs no person, and nothing ends when '
        "somebody leaves"
    )


def _mortal(automation: Automation, people: People) -> Iterator[tuple[str, str]]:
    actor = automation.actor
    if actor.kind == "person":
        known = people.get(actor.id or "")
        gone = known is not None and not known.active
        yield automation.name, f"acts as {called(actor.id, people)}" + (", and so has ended already" if gone else "")
    for owner in dict.fromkeys(str(each.get("accountId")) for each in automation.connections if each.get("accountId")):
        yield automation.name, f"uses a connection of {called(owner, people)}"
    for node in automation.walk():
        if node.raw.get("connectionId") and not automation.connections:
            yield automation.name, f"{title_of(node.type)} uses a connection, which runs as whoever made it"
        elif "rovo" in node.type.lower():
            yield automation.name, f"{title_of(node.type)} uses Rovo, which runs as {called(automation.author, people)}"
    if automation.owner_only and actor.kind != "person":
        yield automation.name, f"only {called(automation.author, people)} may change it"


def _exposed(plans: Sequence[Plan]) -> Iterator[str]:
    for plan in plans:
        for request in plan.requests:
            if request.credentials:
                yield f"{plan.automation.name}: {request.host or 'a web request'} ({', '.join(request.credentials)})"
        for each in plan.decisions:
            if each.verdict == "bridge" and each.title.startswith("Send web request"):
                yield f"{plan.automation.name}: a credential for Atlassian, no longer needed afterwards"


def _credentials(plans: Sequence[Plan]) -> Iterator[Credential]:
    """Ask what the rules to be need of the sites' APIs, look-ups included."""
    wanted = Wanted("the owners", "account", ("PROJECT",))
    taken: set[str] = set()
    operations: dict[str, list[Operation]] = {product: [] for product in PRODUCTS}
    seen: set[frozenset[object]] = set()
    for plan in plans:
        for run in plan.runs:
            # What is needed follows from the verbs and which arguments they are given, so equal runs are asked once.
            kind: frozenset[object] = frozenset((step.verb, *sorted(step.arguments)) for step in run.steps)
            if kind in seen:
                continue
            seen.add(kind)
            name = name_of(plan.automation, taken)
            taken.add(name)
            found = needs(rule(name, manifest(plan, run, wanted)))
            for product in PRODUCTS:
                operations[product] += [need.operation for need in found.of(product)]
    for product, asked in operations.items():
        for one in oauth.smallest(asked).credentials:
            yield Credential(product, one.scopes)
