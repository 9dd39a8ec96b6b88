"""What the administrator does after ``bridge migrate write``, step by step: with access to the API or by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.cli.check import near
from bridge.cli.words import listed
from bridge.migrate.automation import Automation
from bridge.migrate.rule_text import ACTING
from bridge.migrate.site import advice


def steps(automation: Automation, rules: Sequence[str], directory: Path) -> Iterator[str]:
    """Give the lines of what to do next for one automation."""
    here = near(directory)
    names = listed(rules)
    yield f"\n{automation.name}: next"
    if automation.dialect == "management-api":
        yield f"  1. bridge migrate push {here}            (it tells the bridge, and still acts)"
        yield f"  2. Let it fire for some days, and look:   bridge deliveries list --rule {rules[0]}"
        yield f"  3. bridge migrate cutover {rules[0]} --from {here}"
        yield f"  Back again at any time: bridge migrate push --undo {here}"
    else:
        yield from by_hand(rules, directory)
    yield f"  Then: {advice(automation)}."
    yield f"  The files in {here} open {names}: keep them to yourself, and delete them when all is done."


def by_hand(rules: Sequence[str], directory: Path) -> Iterator[str]:
    """Give the same steps for somebody without access to the management API."""
    here = near(directory)
    versions = "; ".join(f"rules/{name}.toml" for name in rules)
    yield f"  1. In Automation, import {here}/observe.json; disable the old automation, enable the imported one."
    yield "     It still does everything itself, and tells the bridge beforehand."
    yield f"  2. Let it fire for some days; compare what `bridge deliveries show` says would be done ({listed(rules)})"
    yield "     with what the automation did."
    yield f"  3. In {versions}: token_versions = [{ACTING}]. From now on the bridge refuses the imported one."
    yield f"  4. Wait until nothing is left:  bridge deliveries list --rule {rules[0]} --state queued"
    yield '  5. In the same files: mode = "act".'
    yield f"  6. Import {here}/act.json. In a quiet moment disable the one of step 1 and enable this one."
    yield "     What fires between the two clicks is done by neither."
    yield f"  7. After it fired: bridge deliveries list --rule {rules[0]}; the work item shows the service account."
    yield "  Back again: disable it, enable the old one."
