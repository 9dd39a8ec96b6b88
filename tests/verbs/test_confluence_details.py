"""What a page carries: status, owner, labels, watchers, tasks, properties; set on the site and told in the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.sandbox.page_facts import SPACE_STATES

ENG = [
    "read", "update-page", "owner", "label", "unlabel", "status", "watch", "tasks", "task", "set-property",
    "set-space-property",
]  # fmt: skip
TITLE = "Incident reviews"


def _do(verbs: Any, call: str, **more: Any) -> Any:
    """Run one call; ``PAGE``, ``MIA`` and ``TASK`` stand for ids."""
    return verbs.do(f"context.confluence.{_named(verbs, call)}", **{"confluence": {"ENG": ENG}, **more})


def _named(verbs: Any, call: str) -> str:
    page = verbs.page(TITLE)
    return (
        call.replace("PAGE", repr(page.id))
        .replace("OTHER", repr(verbs.page("Onboarding").id))
        .replace("MIA", repr(verbs.site.account("Mia Keller").id))
        .replace("TASK", repr(page.tasks[0].id))
    )


def test_a_status_is_given_by_its_name_whatever_the_case(verbs: Any) -> None:
    report = _do(verbs, "set_status(PAGE, 'ready for review')")
    assert report.state == "done", report.reason
    page = verbs.page(TITLE)
    assert page.state.name == "Ready for review"
    assert len(page.versions) == 2, "it makes a new version"
    assert f"confluence.status {page.id} done by ops-bot" in report.lines[-1]


def test_a_status_of_ones_own_needs_a_color_and_is_offered_from_then_on(verbs: Any) -> None:
    report = _do(verbs, "set_status(PAGE, 'On ice', color='#36b37e')")
    assert report.state == "done", report.reason
    assert _do(verbs, "set_status(PAGE, 'on ice')").state == "done"
    assert (verbs.page(TITLE).state.name, verbs.page(TITLE).state.color) == ("On ice", "#36b37e")


def test_an_unknown_status_is_answered_with_those_there_are(verbs: Any) -> None:
    report = _do(verbs, "set_status(PAGE, 'Cooking')")
    assert report.state == "dead"
    assert "no status is called 'Cooking'; offered: Rough draft, In progress, Ready for review" in report.reason


def test_a_status_is_taken_off(verbs: Any) -> None:
    assert _do(verbs, "set_status(PAGE, 'Verified')").state == "done"
    assert _do(verbs, "clear_status(PAGE)").state == "done"
    assert verbs.page(TITLE).state is None


def test_an_owner_is_set_and_text_and_title_stay(verbs: Any) -> None:
    before = verbs.page(TITLE).latest.body
    report = _do(verbs, "set_owner(PAGE, MIA)")
    assert report.state == "done", report.reason
    page = verbs.page(TITLE)
    assert page.owner == verbs.site.account("Mia Keller").id
    assert page.latest.body == before
    assert "confluence.update-page" in report.lines[-1]


@pytest.mark.parametrize("held", [["owner"], ["update-page"]])
def test_an_owner_is_changed_only_with_both_verbs(verbs: Any, held: list[str]) -> None:
    report = _do(verbs, "set_owner(PAGE, MIA)", confluence={"ENG": [*held, "read"]})
    assert report.state == "dead"
    assert "does not grant" in report.reason
    assert verbs.page(TITLE).owner == ""


def test_labels_are_taken_off_one_by_one(verbs: Any) -> None:
    verbs.site.add_label(verbs.page(TITLE), "old")
    verbs.site.add_label(verbs.page(TITLE), "kept")
    verbs.site.add_label(verbs.page(TITLE), "very-old")
    report = _do(verbs, "unlabel(PAGE, ['Old', 'very old', 'never there'])")
    assert (report.state, report.result) == ("done", ["old", "very-old"]), report.reason
    assert [label.name for label in verbs.page(TITLE).labels] == ["kept"]
    assert sum("confluence.unlabel" in line and "step:outcome" in line for line in report.lines) == 2
    assert _do(verbs, "labels(PAGE)").result == ["kept"]


def test_people_are_made_to_watch_and_to_watch_no_longer(verbs: Any) -> None:
    mia = verbs.site.account("Mia Keller").id
    assert _do(verbs, "watch(PAGE, MIA)").state == "done"
    assert verbs.page(TITLE).watchers == [mia]
    report = _do(verbs, "unwatch(PAGE, [MIA])")
    assert report.state == "done", report.reason
    assert verbs.page(TITLE).watchers == []
    assert "confluence.watch" in report.lines[-1]


def test_tasks_are_read_ticked_off_and_opened_again(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": ENG},
        handle=_named(
            verbs,
            """
            for task in context.confluence.tasks(PAGE, assignee=MIA, status="incomplete"):
                context.confluence.complete_task(task["id"])
            return [task["id"] for task in context.confluence.tasks(PAGE, status="incomplete")]
            """,
        ),
    )
    report = verbs.send()
    assert report.state == "done", report.reason
    first, second = verbs.page(TITLE).tasks
    assert (first.status, second.status) == ("complete", "incomplete")
    assert report.result == [second.id]
    assert _do(verbs, "reopen_task(TASK)").state == "done"
    assert verbs.page(TITLE).tasks[0].status == "incomplete"


def test_a_task_belongs_to_the_space_of_its_page(verbs: Any) -> None:
    report = _do(verbs, "complete_task(TASK)", confluence={"HR": ["task"]})
    assert report.state == "dead"
    assert "does not grant task in ENG" in report.reason
    assert verbs.page(TITLE).tasks[0].status == "incomplete"


def test_a_page_property_is_set_changed_read_and_deleted(verbs: Any) -> None:
    assert _do(verbs, "set_property(PAGE, 'note', {'seen': 1})").state == "done"
    report = _do(verbs, "set_property(PAGE, 'note', [1, 2])")
    assert report.state == "done", report.reason
    [kept] = verbs.page(TITLE).properties
    assert (kept.key, kept.value, kept.number) == ("note", [1, 2], 2)
    assert _do(verbs, "property(PAGE, 'note')").result == [1, 2]
    assert _do(verbs, "delete_property(PAGE, 'note')").result is True
    assert verbs.page(TITLE).properties == []
    assert _do(verbs, "delete_property(PAGE, 'note')").result is False
    assert _do(verbs, "property(PAGE, 'note')").result is None


def test_a_property_that_somebody_else_changed_meanwhile_is_read_and_set_again(verbs: Any) -> None:
    assert _do(verbs, "set_property(PAGE, 'note', 1)").state == "done"
    verbs.site.faults.order({"fault": "409", "match": {"operation": "updatePagePropertyById"}}, verbs.site.issues)
    report = _do(verbs, "set_property(PAGE, 'note', 2)")
    assert report.state == "done", report.reason
    assert [(kept.value, kept.number) for kept in verbs.page(TITLE).properties] == [(2, 2)]


def test_a_space_property_is_set_changed_read_and_deleted(verbs: Any) -> None:
    assert _do(verbs, "set_space_property('ENG', 'note', 1)").state == "done"
    report = _do(verbs, "set_space_property('ENG', 'note', 2)")
    assert report.state == "done", report.reason
    space = next(each for each in verbs.site.spaces.values() if each.key == "ENG")
    assert [(kept.key, kept.value) for kept in space.properties] == [("note", 2)]
    assert "confluence.set-space-property" in report.lines[-1]
    assert _do(verbs, "space_property('ENG', 'note')").result == 2
    assert _do(verbs, "delete_space_property('ENG', 'note')").result is True
    assert space.properties == []


@pytest.mark.parametrize(
    "call",
    [
        "set_status(OTHER, 'Verified')",
        "clear_status(OTHER)",
        "unlabel(OTHER, 'old')",
        "watch(OTHER, MIA)",
        "set_property(OTHER, 'note', 1)",
        "set_space_property('HR', 'note', 1)",
        "tasks(OTHER).__next__()",
    ],
)
def test_nothing_is_done_to_a_page_of_another_space(verbs: Any, call: str) -> None:
    report = _do(verbs, call)
    assert report.state == "dead"
    assert "does not grant" in report.reason
    assert "HR" in report.reason


def test_observe_mode_goes_on_with_a_page_it_did_not_make(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": [*ENG, "create-page", "restrict", "move-page", "archive-page", "delete-page"]},
        more='mode = "observe"\n',
        handle=_named(
            verbs,
            """
            page = context.confluence.create_page("ENG", "New", "text")["id"]
            context.confluence.update_page(page, append="more", section="Open")
            context.confluence.set_owner(page, MIA)
            context.confluence.label(page, "seen")
            context.confluence.unlabel(page, "seen")
            context.confluence.set_status(page, "Verified")
            context.confluence.watch(page, MIA)
            context.confluence.restrict(page, "view", users=MIA)
            context.confluence.set_property(page, "note", 1)
            context.confluence.delete_property(page, "note")
            context.confluence.move_page(page, PAGE)
            context.confluence.archive_page(page)
            context.confluence.delete_page(page)
            return [
                list(context.confluence.tasks(page)),
                list(context.confluence.children(page)),
                context.confluence.labels(page),
                context.confluence.restrictions(page)["view"]["users"],
            ]
            """,
        ),
    )
    before = len(verbs.site.pages)
    report = verbs.send()
    assert report.state == "done", report.reason
    assert report.result == [[], [], [], []]
    assert len(verbs.site.pages) == before
    assert sum("step:observed" in line for line in report.lines) == 11, "it has no label to be taken off"


@dataclass(frozen=True)
class Case:
    """A write, the operation that may meet a fault, and how often its effect is to be seen."""

    operation: str
    call: str
    effects: Callable[[Any], int]
    again: bool = False
    before: Callable[[Any], object] = lambda _verbs: None


def _page(verbs: Any) -> Any:
    return verbs.page(TITLE)


def _state(verbs: Any) -> int:
    return len(_page(verbs).versions) - 1


def _with_status(verbs: Any) -> None:
    _page(verbs).state = SPACE_STATES[0]


CASES: Mapping[str, Case] = {
    "set-status": Case("setContentState", "set_status(PAGE, 'Verified')", _state),
    "own-status": Case("setContentState", "set_status(PAGE, 'On ice', color='#36b37e')", _state),
    "clear-status": Case("removeContentState", "clear_status(PAGE)", _state, before=_with_status),
    "set-owner": Case("updatePage", "set_owner(PAGE, MIA)", _state),
    "unlabel": Case(
        "removeLabelFromContentUsingQueryParameter",
        "unlabel(PAGE, 'old')",
        lambda v: int(not _page(v).labels),
        before=lambda v: v.site.add_label(_page(v), "old"),
    ),
    "watch": Case("addContentWatcher", "watch(PAGE, MIA)", lambda v: len(_page(v).watchers), again=True),
    "task": Case(
        "updateTask", "complete_task(TASK)", lambda v: int(_page(v).tasks[0].status == "complete"), again=True
    ),
    "new-property": Case("createPageProperty", "set_property(PAGE, 'note', 1)", lambda v: len(_page(v).properties)),
    "property": Case(
        "updatePagePropertyById",
        "set_property(PAGE, 'note', 2)",
        lambda v: _page(v).properties[0].number - 1,
        before=lambda v: _do(v, "set_property(PAGE, 'note', 1)"),
    ),
    "no-property": Case(
        "deletePagePropertyById",
        "delete_property(PAGE, 'note')",
        lambda v: int(not _page(v).properties),
        before=lambda v: _do(v, "set_property(PAGE, 'note', 1)"),
    ),
    "space-property": Case(
        "createSpaceProperty",
        "set_space_property('ENG', 'note', 1)",
        lambda v: sum(len(space.properties) for space in v.site.spaces.values()),
    ),
}


def _doubted(verbs: Any, case: Case, fault: str) -> Any:
    case.before(verbs)
    verbs.wire.exchanges.clear()
    verbs.write(confluence={"ENG": ENG}, handle=f"context.confluence.{_named(verbs, case.call)}")
    return verbs.doubt(case.operation, fault)


@pytest.mark.parametrize("fault", ["reset-after", "500"])
@pytest.mark.parametrize("name", CASES)
def test_what_was_done_and_not_answered_is_found_again(verbs: Any, name: str, fault: str) -> None:
    case = CASES[name]
    report = _doubted(verbs, case, fault)
    assert (report.state, case.effects(verbs)) == ("done", 1), report.reason
    assert len(verbs.sent(case.operation)) == 1 + case.again


@pytest.mark.parametrize("fault", ["reset-before", "503"])
@pytest.mark.parametrize("name", CASES)
def test_what_was_not_done_is_done_once(verbs: Any, name: str, fault: str) -> None:
    case = CASES[name]
    report = _doubted(verbs, case, fault)
    assert (report.state, case.effects(verbs)) == ("done", 1), report.reason
    assert len(verbs.sent(case.operation)) == 2
