"""``bridge rules show``: everything that a rule's file says, in words, for whoever has to answer for it."""

import textwrap
from collections.abc import Iterator

import click

from bridge import catalogue
from bridge.catalogue import oauth
from bridge.cli import compose
from bridge.cli.words import duration, listed
from bridge.rule.manifest import Accept, Manifest
from bridge.rule.needs import needs
from bridge.rule.reading import PRODUCTS
from bridge.rule.registry import Rule, RuleSet
from bridge.rule.scope import SITE, Limits
from bridge.settings import Settings
from bridge.store import registers

WIDTH = 106
SENDERS = {
    "jira-automation": "Automation in Jira",
    "confluence-automation": "Automation in Confluence",
    "jira-webhook": "a webhook of Jira itself",
    "other": "a program that signs as Standard Webhooks says",
}
Section = tuple[str, list[str]]


def find(current: RuleSet, name: str) -> Rule:
    """Return the rule; raise ``click.UsageError`` that names the nearest one."""
    from bridge.rule.nearest import hint

    found = current.get(name)
    if found is None:
        raise click.UsageError(f"there is no rule {name!r}{hint(name, current.rules)}")
    return found


@click.command("show", short_help="Say everything about one rule.")
@click.argument("rule")
@click.option("--text", "digest", metavar="DIGEST", help="Print the files as they were under a digest of the log.")
def show_rule(rule: str, digest: str | None) -> None:
    """Say everything about one rule: who may send, what it may do and where, limits, order, retry, OAuth scopes."""
    known = compose.settings()
    if digest is not None:
        _print_text(known, rule, digest)
        return
    current = compose.readable(known).current()
    found = find(current, rule)
    print(f"{found.name}: {found.manifest.title}\n")
    for heading, lines in _sections(found, current, known):
        for number, line in enumerate(lines):
            wrapped = textwrap.fill(line, WIDTH, subsequent_indent=" " * 16, break_on_hyphens=False)
            print(f"{heading if number == 0 else '':14}{wrapped}")


def _print_text(known: Settings, rule: str, digest: str) -> None:
    """Print every file of a rule as it was; the first letters of the digest are enough."""
    with compose.store(known).read() as connection:
        found = registers.rule_texts(connection, rule, digest.removeprefix("sha256:"))
    if len(found) != 1:
        raise click.UsageError(f"{len(found) or 'no'} texts of {rule} begin with {digest!r}")
    for name, text in sorted(found[0].items()):
        print(f"# ---- {name}\n{text}")


def _sections(rule: Rule, current: RuleSet, known: Settings) -> Iterator[Section]:
    manifest = rule.manifest
    yield "owner", [manifest.owner]
    yield "mode", [_mode(manifest)]
    yield "does", _deeds(rule)
    yield "acts as", [_account(manifest, known)]
    yield "sent by", [f"{SENDERS[manifest.source]}, {_opens(manifest)}"]
    yield "accepts", list(_accepted(manifest.accept, manifest.source))
    yield "order", [_order(manifest)]
    yield "may", list(_grants(manifest)) or ["nothing: the scope is empty"]
    yield "limits", list(_limits(manifest.scope.limits))
    yield "retry", [_retry(manifest)]
    yield "run", [_run(manifest)]
    if manifest.expect.every is not None:
        yield "expects", [f"a delivery at least every {duration(manifest.expect.every)}; longer silence is an alarm"]
    yield "OAuth scopes", list(_oauth_lines(rule)) or ["none"]
    yield "digest", [rule.digest]
    files = {f"{rule.name}.toml", f"{rule.name}.py"}
    warnings = [str(warning) for warning in current.warnings if warning.where in files]
    yield "warnings", warnings or ["none"]


def _oauth_lines(rule: Rule) -> Iterator[str]:
    """Say the OAuth scopes that the rule by itself needs of its account, for each product."""
    read = needs(rule)
    for product in PRODUCTS:
        advice = oauth.smallest(need.operation for need in read.of(product))
        for one in advice.credentials:
            yield f"{product}, {one.kind}: {' '.join(one.scopes)}"
        yield from (f"{product}: {why}" for why in advice.why)
    if read.unsure:
        yield f"all that the scope grants is counted, for it cannot be told by reading: {read.unsure[0]}"


def _mode(manifest: Manifest) -> str:
    if manifest.mode == "act":
        return "act"
    return "observe: reads and refuses as always, but writes are only logged as what would have been done"


def _deeds(rule: Rule) -> list[str]:
    if rule.has_handler:
        return [f"runs handle() of {rule.name}.py"]
    lines = []
    for number, step in enumerate(rule.manifest.steps, start=1):
        line = f"step {number}: {catalogue.verb(step.verb).title} ({step.verb})"
        line += f", for each of {step.each}" if step.each else ""
        line += f", when {step.when}" if step.when else ""
        lines.append(line + (", and goes on if it fails" if step.on_failure == "continue" else ""))
    return lines


def _account(manifest: Manifest, known: Settings) -> str:
    account = known.accounts.get(manifest.account)
    if account is None:
        return manifest.account
    return f"{manifest.account} ({account.email}) on {known.sites[account.site].url}"


def _opens(manifest: Manifest) -> str:
    if manifest.source == "jira-webhook":
        return "which signs the body (X-Hub-Signature)"
    if manifest.source == "other":
        return "so that the body is the sender's own word (webhook-signature)"
    versions = manifest.accept.token_versions
    said = f"version{'s' if len(versions) > 1 else ''} {listed(versions)}"
    return f"with this rule's token, {said}; the body is not signed, so it is only a claim"


def _accepted(accept: Accept, source: str) -> Iterator[str]:
    yield f"only bodies that have {listed(accept.require)}" if accept.require else "any JSON object"
    if accept.idempotency_key:
        yield f"the same {listed(accept.idempotency_key)} once; again, it is a duplicate"
    elif source in {"jira-webhook", "other"}:
        yield "the same webhook once, by the id that its sender gives it"
    if accept.max_age is not None:
        yield f"nothing whose {accept.max_age.field} is more than {duration(accept.max_age.seconds)} ago"
    initiator = accept.initiator or ("user.accountId" if source == "jira-webhook" else None)
    if initiator:
        yield f"but ignores what one of our own accounts set off, which {initiator} tells"


def _order(manifest: Manifest) -> str:
    if manifest.order.key is None:
        return "none: deliveries may run at the same time"
    dead = "a dead one holds back the rest" if manifest.order.on_dead == "hold" else "a dead one lets the next run"
    return f"one after another for the same {manifest.order.key}; {dead}"


def _grants(manifest: Manifest) -> Iterator[str]:
    for product, kind in (("jira", "project"), ("confluence", "space")):
        for container, verbs in sorted(manifest.scope.grants(product).items()):
            place = f"anywhere in {product}" if container == SITE else f"in {product} {kind} {container}"
            yield f"{', '.join(sorted(verbs))} {place}"


def _limits(limits: Limits) -> Iterator[str]:
    yield f"at most {limits.actions} writes in each delivery"
    if limits.targets == "event":
        yield "only on the issue or page that the delivery names"
    if limits.fields is not None:
        yield f"only the fields {listed(sorted(limits.fields))}"
    if limits.transitions is not None:
        yield f"only the transitions {listed(sorted(limits.transitions))}"


def _retry(manifest: Manifest) -> str:
    return f"dead after {manifest.retry.failures} failures, or {duration(manifest.retry.give_up_after)} after it came"


def _run(manifest: Manifest) -> str:
    place = "in a process of its own" if manifest.run.isolation == "process" else "beside others in one process"
    pool = f", by workers of the pool {manifest.run.pool}" if manifest.run.pool else ""
    return f"at most {duration(manifest.run.timeout)}, {place}{pool}"
