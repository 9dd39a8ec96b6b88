"""Handlers that do what a rule's author never meant: each costs its own delivery something and nobody else anything."""

import signal
from typing import TYPE_CHECKING

import pytest

from bridge.store.deliveries import State, result_of

if TYPE_CHECKING:
    from tests.faults.conftest import Install
    from tests.faults.installation import Installation

pytestmark = pytest.mark.processes

COMMENT = 'context.jira.comment(event["at"], event["text"])'
WAIT_FOR_GATE = """\
while not Path(event["gate"]).exists():
    time.sleep(0.05)
"""
ONCE = "[retry]\nfailures = 1\n"


@pytest.fixture(scope="module")
def installation(install: "Install") -> "Installation":
    """One worker process for all of them, so that whoever harms it harms the others."""
    made = install("sqlite")
    made.write_rule("comments", COMMENT)
    made.write_rule("waits", f"{COMMENT}\n{WAIT_FOR_GATE}")
    made.write_rule("waits_between", f'{COMMENT}\n{WAIT_FOR_GATE}\ncontext.jira.comment(event["at"], "after the stop")')
    made.write_rule("comments_twice", f'{COMMENT}\ncontext.jira.comment(event["at"], event["text"] + " again")')
    made.write_rule("hangs", "time.sleep(600)", f'[run]\ntimeout = "1s"\n{ONCE}')
    made.write_rule("hangs_in_a_loop", "while True:\n    pass", f'[run]\ntimeout = "1s"\nisolation = "process"\n{ONCE}')
    made.write_rule("raises", 'raise LookupError("no such shelf")')
    made.write_rule("exits", "sys.exit(7)")
    made.write_rule("kills_itself", "os.kill(os.getpid(), signal.SIGKILL)", '[run]\nisolation = "process"\n')
    made.write_rule("ends_quietly", "os._exit(0)", f'[run]\nisolation = "process"\n{ONCE}')
    made.write_rule("returns_a_set", "return {1, 2, 3}")
    made.write_rule("returns_no_number", 'return {"share": float("nan")}')
    made.write_rule(
        "starts_a_thread",
        """
        said = []

        def comment():
            try:
                context.jira.comment("OPS-1", "out of order")
            except Exception as error:
                said.append(str(error))

        other = threading.Thread(target=comment)
        other.start()
        other.join()
        return said
        """,
    )
    made.write_rule(
        "ignores_refusals",
        """
        try:
            context.jira.comment("HR-1", "not your business")
        except BaseException:
            return "all is well"
        """,
    )
    made.write_rule(
        "catches_everything",
        """
        for number in (1, 2, 3):
            try:
                context.jira.comment("OPS-1", f"stubborn {number}")
            except BaseException:
                continue
        return "all is well"
        """,
    )
    made.start()
    return made


def _first_failure(installation: "Installation", delivery: str) -> str:
    """Wait for the first failed attempt, see that another is due in five seconds or so, and return the reason."""
    found = installation.wait_for_state(delivery, State.WAITING)
    assert (found.failures, found.attempt) == (1, 1)
    waiting = next(entry for entry in installation.entries(delivery) if entry["kind"] == "delivery:waiting")
    assert waiting["delay"] == 5
    return str(found.reason)


def test_a_handler_that_raises_waits_with_its_error_and_the_line_of_the_rule(installation: "Installation") -> None:
    delivery = installation.send("raises", {})
    assert _first_failure(installation, delivery) == "LookupError: no such shelf (rules/raises.py:10)"


def test_a_handler_that_calls_sys_exit_ends_nothing(installation: "Installation") -> None:
    before = installation.worker_pids()
    delivery = installation.send("exits", {})
    assert "the handler called sys.exit, which ends nothing here" in _first_failure(installation, delivery)
    assert installation.worker_pids() == before


def test_a_handler_that_kills_its_own_process_is_a_failed_handler_and_no_dead_worker(
    installation: "Installation",
) -> None:
    before = installation.worker_pids()
    delivery = installation.send("kills_itself", {})
    assert _first_failure(installation, delivery) == "the handler's process was ended by SIGKILL"
    assert installation.worker_pids() == before


def test_a_handler_that_ends_its_own_process_with_status_0_has_not_returned(installation: "Installation") -> None:
    before = installation.worker_pids()
    delivery = installation.send("ends_quietly", {})
    found = installation.wait_for_state(delivery, State.DEAD, 8)
    assert "ended with status 0" in str(found.reason)
    assert (found.failures, found.crashes) == (1, 0)
    assert installation.worker_pids() == before


@pytest.mark.parametrize("rule", ["returns_a_set", "returns_no_number"])
def test_a_result_that_json_cannot_hold_is_a_failure_that_says_so(installation: "Installation", rule: str) -> None:
    delivery = installation.send(rule, {})
    assert "handle returned what JSON cannot hold" in _first_failure(installation, delivery)


def test_context_refuses_a_thread_that_the_handler_started(installation: "Installation") -> None:
    delivery = installation.send("starts_a_thread", {})
    found = installation.wait_for_state(delivery, State.DONE)
    assert "context was used from another thread than the handler's" in str(result_of(found))
    assert "step:intent" not in installation.kinds(delivery)
    assert "out of order" not in installation.comments("OPS-1")


def test_a_handler_that_swallows_a_refusal_is_dead_all_the_same(installation: "Installation") -> None:
    delivery = installation.send("ignores_refusals", {})
    found = installation.wait_for_state(delivery, State.DEAD)
    assert str(found.reason).startswith("step 1 (jira.comment HR-1) was refused: ")
    assert "not your business" not in installation.comments("HR-1")


def test_a_handler_that_catches_everything_cannot_go_on_after_its_attempt_is_over(installation: "Installation") -> None:
    # The second comment is sent away by the site's rate limit. Going on to the third would change their order.
    installation.fault("429", "addComment", skip=1, retry_after=2)
    delivery = installation.send("catches_everything", {})
    installation.until(lambda: installation.delivery(delivery).attempt == 2, "a second attempt")
    found = installation.wait_for_state(delivery, State.DONE)
    assert (found.failures, found.attempt) == (0, 2)
    comments = [text for text in installation.comments("OPS-1") if text.startswith("stubborn")]
    assert comments == ["stubborn 1", "stubborn 2", "stubborn 3"]


def test_a_handler_that_computes_for_ever_in_its_own_process_is_killed_and_nobody_else(
    installation: "Installation",
) -> None:
    before = installation.worker_pids()
    delivery = installation.send("hangs_in_a_loop", {})
    found = installation.wait_for_state(delivery, State.DEAD)
    assert found.reason == "the handler took longer than 1 s (failure 1)"
    assert installation.worker_pids() == before


def test_a_handler_that_hangs_is_timed_out_the_others_end_in_peace_and_the_process_is_replaced(
    installation: "Installation",
) -> None:
    gate = installation.home / "gate-hang"
    other = installation.send("waits", {"at": "OPS-2", "text": "beside one that hangs", "gate": str(gate)})
    installation.until(lambda: "step:outcome" in installation.kinds(other), "the other has begun")
    before = installation.worker_pids()
    hanging = installation.send("hangs", {})
    found = installation.wait_for_state(hanging, State.DEAD)
    assert found.reason == "the handler took longer than 1 s (failure 1)"
    installation.until(lambda: "worker.stuck" in installation.log("worker"), "the process takes nothing more")
    waiting = installation.send("comments", {"at": "OPS-2", "text": "for the next process"})
    gate.touch()
    assert installation.wait_for_state(other, State.DONE).attempt == 1
    assert installation.wait_for_state(waiting, State.DONE).attempt == 1
    assert installation.worker_pids() != before
    assert [text for text in installation.comments("OPS-2") if text == "beside one that hangs"] == [
        "beside one that hangs"
    ]


def test_a_worker_told_to_stop_finishes_the_step_at_hand_and_hands_its_delivery_back(
    installation: "Installation",
) -> None:
    installation.fault("slow", "addComment", seconds=2)
    delivery = installation.send("comments_twice", {"at": "OPS-3", "text": "said"})
    installation.until(lambda: "said" in installation.comments("OPS-3"), "the site has the first comment")
    assert "step:outcome" not in installation.kinds(delivery)
    assert installation.kill("worker", signal.SIGTERM) == 0
    found = installation.delivery(delivery)
    assert (found.state, found.failures, found.crashes) == (State.WAITING, 0, 0)
    assert "stopping" in str(found.reason)
    assert installation.kinds(delivery).count("step:outcome") == 1
    installation.start("worker")
    assert installation.wait_for_state(delivery, State.DONE).attempt == 2
    assert [text for text in installation.comments("OPS-3") if text.startswith("said")] == ["said", "said again"]
    assert installation.kinds(delivery).count("step:intent") == 2
