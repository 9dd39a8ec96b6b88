"""Rule files that change, go or are spoiled while deliveries wait."""

from typing import TYPE_CHECKING

import httpx
import pytest

from bridge.rule.registry import load
from bridge.store.deliveries import State

if TYPE_CHECKING:
    from tests.faults.conftest import Install
    from tests.faults.installation import Installation

pytestmark = pytest.mark.processes

COMMENT = 'context.jira.comment(event["at"], event["text"])'
POLL = "context.later(3)"


@pytest.fixture(scope="module")
def installation(install: "Install") -> "Installation":
    """Rules that wait until their text is changed."""
    made = install("postgresql")
    for name in ("is_removed", "is_changed", "is_narrowed"):
        made.write_rule(name, POLL)
    made.write_rule("stays", COMMENT)
    made.start()
    return made


def _waiting(installation: "Installation", rule: str, text: str) -> str:
    delivery = installation.send(rule, {"at": "OPS-1", "text": text})
    installation.wait_for_state(delivery, State.WAITING)
    return delivery


def test_a_waiting_delivery_goes_on_with_the_new_text_of_its_rule_and_says_which(installation: "Installation") -> None:
    delivery = _waiting(installation, "is_changed", "said by the new text")
    old = load(installation.rules, None).rules["is_changed"].digest
    installation.write_rule("is_changed", COMMENT)
    new = load(installation.rules, None).rules["is_changed"].digest
    installation.wait_for_state(delivery, State.DONE)
    assert installation.comments("OPS-1").count("said by the new text") == 1
    begun = [entry for entry in installation.entries(delivery) if entry["kind"] == "attempt:begun"]
    assert [begun[0]["rule_digest"], begun[-1]["rule_digest"]] == [old, new]
    assert installation.delivery(delivery).rule_digest == new


def test_a_new_step_obeys_the_newest_scope(installation: "Installation") -> None:
    delivery = _waiting(installation, "is_narrowed", "no longer allowed")
    installation.write_rule("is_narrowed", 'context.jira.comment("CHG-1", "no longer allowed")')
    found = installation.wait_for_state(delivery, State.DEAD)
    assert str(found.reason).startswith("step 1 (jira.comment CHG-1) was refused: ")
    assert "no longer allowed" not in installation.comments("CHG-1")


def test_the_waiting_deliveries_of_a_removed_rule_end_as_dead_with_that_reason(installation: "Installation") -> None:
    delivery = _waiting(installation, "is_removed", "never said")
    installation.remove_rule("is_removed")
    # Files may just be in exchange, so a rule has to be away for some seconds.
    found = installation.wait_for_state(delivery, State.DEAD, 60)
    assert found.reason == "rule is_removed was removed"
    assert installation.kinds(delivery)[-1] == "delivery:dead"
    answer = installation.until(
        lambda: (again := installation.post("is_removed", {})).status_code == 404 and again, "ingress knows it too"
    )
    assert answer.json()["detail"] == "There is no rule of this name."


def test_a_mistake_in_one_file_leaves_the_last_good_set_in_force(installation: "Installation") -> None:
    spoiled = installation.rules / "spoiled.toml"
    spoiled.write_text('title = "a rule"\nonwer = "team@example.com"\n', encoding="utf-8")
    ready = f"{installation.web}/readyz"
    told = "last good set is in force"
    installation.until(lambda: told in httpx.get(ready, trust_env=False).text, "the mistake is noticed")
    installation.until(lambda: "rules.not_taken" in installation.log("clock"), "the clock says so")
    delivery = installation.send("stays", {"at": "OPS-2", "text": "said in spite of a mistake elsewhere"})
    installation.wait_for_state(delivery, State.DONE)
    assert installation.comments("OPS-2").count("said in spite of a mistake elsewhere") == 1
    checked = installation.bridge("rules", "check")
    assert checked.returncode == 1
    assert "onwer" in checked.stdout + checked.stderr
    spoiled.unlink()
    installation.until(lambda: told not in httpx.get(ready, trust_env=False).text, "all is well again")
