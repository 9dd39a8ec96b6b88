"""Pages copied, moved, archived and deleted: what the site holds afterwards, and what the log says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.rule.paging import PAGE_SIZE

ENG = ["copy-page", "copy-tree", "move-page", "archive-page", "delete-page", "progress", "read"]


def _children(verbs: Any, title: str) -> list[str]:
    parent = verbs.page(title).id
    below = [page for page in verbs.site.pages.values() if page.parent == parent and page.status == "current"]
    return [page.title for page in sorted(below, key=lambda page: page.rank)]


def _do(verbs: Any, call: str, **more: Any) -> Any:
    """Run one call as the rule; words in angle brackets stand for the ids of the pages of that title."""
    for page in list(verbs.site.pages.values()):
        call = call.replace(f"<{page.title}>", page.id)
    return verbs.do(f"context.confluence.{call}", **{"confluence": {"ENG": ENG}, **more})


def test_a_page_is_copied_beside_itself_with_its_labels_under_another_title(verbs: Any) -> None:
    report = _do(verbs, "copy_page('<Restart the mail gateway>')")
    assert report.state == "done", report.reason
    assert _children(verbs, "Runbooks") == ["Restart the mail gateway", "Copy of Restart the mail gateway"]
    made = verbs.page("Copy of Restart the mail gateway")
    assert [label.name for label in made.labels] == ["runbook"]
    assert report.lines[-1] == (
        f"step:outcome #2 confluence.copy-page {verbs.page('Restart the mail gateway').id} done by ops-bot "
        f"ref={made.id} status=200"
    )


def test_a_page_is_copied_below_a_parent_or_below_the_home_page_of_a_space(verbs: Any) -> None:
    assert _do(verbs, "copy_page('<Runbooks>', 'One', parent='<Incident reviews>', labels=False)").state == "done"
    assert _do(verbs, "copy_page('<Runbooks>', 'Two', space='ENG')").state == "done"
    assert _children(verbs, "Incident reviews") == ["One"]
    assert verbs.page("Two").parent == verbs.page("Engineering").id


@pytest.mark.parametrize(
    "call",
    [
        "copy_page('<Runbooks>', 'One', parent='<Onboarding>')",
        "copy_page('<Onboarding>', 'One', parent='<Runbooks>')",
        "copy_page('<Runbooks>', 'One', space='HR')",
        "copy_tree('<Runbooks>', '<Onboarding>')",
        "copy_tree('<Onboarding>', '<Runbooks>')",
        "move_page('<Runbooks>', '<Onboarding>')",
        "move_page('<Onboarding>', '<Runbooks>', position='before')",
        "archive_page('<Onboarding>')",
        "delete_page('<Onboarding>')",
    ],
)
def test_both_ends_must_be_in_the_scope(verbs: Any, call: str) -> None:
    before = len(verbs.site.pages)
    report = _do(verbs, call)
    assert report.state == "dead"
    assert "does not grant" in report.reason
    assert "in HR" in report.reason
    assert len(verbs.site.pages) == before
    assert verbs.page("Onboarding").status == "current"


@pytest.mark.parametrize(
    ("kind", "value"), [("space", "HR"), ("existing_page", "<Onboarding>"), ("parent_content", "1")]
)
def test_a_copy_goes_below_a_page_and_nowhere_else(verbs: Any, kind: str, value: str) -> None:
    body = {"destination": {"type": kind, "value": value}, "pageTitle": "One"}
    report = _do(verbs, f"request('POST', '/wiki/rest/api/content/<Runbooks>/copy', body={body})")
    assert report.state == "dead"
    assert "destination.type in the body of confluence.copy-page must be 'parent_page'" in report.reason
    assert verbs.sent("copyPage") == []


def test_a_tree_is_copied_with_a_prefix_and_its_task_can_be_looked_up(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": ENG},
        handle=f"""
        task = context.confluence.copy_tree('{verbs.page("Runbooks").id}', '{verbs.page("Incident reviews").id}')
        return context.confluence.progress(task["id"])
        """,
    )
    report = verbs.send()
    assert report.state == "done", report.reason
    assert (report.result["finished"], report.result["successful"]) == (True, True)
    assert _children(verbs, "Incident reviews") == ["Copy of Runbooks"]
    assert _children(verbs, "Copy of Runbooks") == ["Copy of Restart the mail gateway"]
    assert "confluence.copy-tree" in report.lines[0]
    assert "confluence.progress" in report.lines[-1]


@pytest.mark.parametrize(
    ("position", "line"),
    [("before", ["Incident reviews", "Runbooks"]), ("after", ["Runbooks", "Incident reviews"])],
)
def test_a_page_is_moved_beside_another(verbs: Any, position: str, line: list[str]) -> None:
    report = _do(verbs, f"move_page('<Incident reviews>', '<Runbooks>', position='{position}')")
    assert report.state == "done", report.reason
    assert _children(verbs, "Engineering") == line
    assert f"confluence.move-page {verbs.page('Incident reviews').id} done by ops-bot" in report.lines[-1]


def test_a_page_is_moved_below_another_one(verbs: Any) -> None:
    assert _do(verbs, "move_page('<Incident reviews>', '<Runbooks>')").state == "done"
    assert _children(verbs, "Runbooks") == ["Restart the mail gateway", "Incident reviews"]


def test_another_position_is_a_mistake_of_the_rule(verbs: Any) -> None:
    report = _do(verbs, "move_page('<Incident reviews>', '<Runbooks>', position='above')", more="[retry]\nfailures = 1")
    assert report.state == "dead"
    assert "append, before, after" in report.reason
    assert verbs.sent("movePage") == []


def test_a_page_is_archived_and_can_still_be_read(verbs: Any) -> None:
    report = _do(verbs, "archive_page('<Incident reviews>')")
    assert report.state == "done", report.reason
    assert verbs.page("Incident reviews").status == "archived"
    assert report.result["id"]
    assert "confluence.archive-page" in report.lines[-1]


def test_archiving_is_held_to_the_page_of_the_event_for_each_page_of_the_list(verbs: Any) -> None:
    ids = [verbs.page(title).id for title in ("Runbooks", "Incident reviews")]
    body = {"pages": [{"id": int(each)} for each in ids]}
    report = verbs.do(
        f"context.confluence.request('POST', '/wiki/rest/api/content/archive', body={body})",
        confluence={"ENG": ENG},
        payload={"page": {"id": ids[0]}},
        more='[scope.limits]\ntargets = "event"\n',
    )
    assert report.state == "dead"
    assert 'scope.limits.targets is "event"' in report.reason
    assert verbs.sent("archivePages") == []


def test_a_deleted_page_lies_in_the_trash_and_those_below_it_move_up(verbs: Any) -> None:
    report = _do(verbs, "delete_page('<Runbooks>')")
    assert report.state == "done", report.reason
    assert verbs.page("Runbooks").status == "trashed"
    assert verbs.page("Restart the mail gateway").parent == verbs.page("Engineering").id
    assert "confluence.delete-page" in report.lines[-1]


@pytest.mark.parametrize("query", [{"purge": True}, {"draft": True}])
def test_nothing_is_ever_deleted_for_good(verbs: Any, query: dict[str, bool]) -> None:
    page = verbs.page("Runbooks").id
    report = verbs.do(
        f"context.confluence.request('DELETE', '/wiki/api/v2/pages/{page}', {query})", confluence={"ENG": ENG}
    )
    assert report.state == "dead"
    assert f"the query name {next(iter(query))!r} is not for confluence.delete-page" in report.reason
    assert verbs.sent("deletePage") == []


def test_what_is_below_a_page_is_read_page_by_page(verbs: Any) -> None:
    site, home = verbs.site, verbs.page("Runbooks")
    for number in range(PAGE_SIZE + 5):
        site.new_page(site.spaces[home.space], site.account("Mia Keller"), f"Book {number}", EMPTY, parent=home.id)
    verbs.write(
        confluence={"ENG": ENG},
        handle=f"""
        return [
            [each["title"] for each in context.confluence.children('{home.id}')],
            [each["depth"] for each in context.confluence.descendants('{verbs.page("Engineering").id}', depth=1)],
            next(iter(context.confluence.children('{home.id}', limit=1)))["title"],
        ]
        """,
    )
    before = len(verbs.wire.exchanges)
    report = verbs.send()
    assert report.state == "done", report.reason
    titles, depths, first = report.result
    assert titles == ["Restart the mail gateway", *(f"Book {number}" for number in range(PAGE_SIZE + 5))]
    assert depths == [1, 1]
    assert first == titles[0]
    asked = [each for each in verbs.wire.exchanges[before:] if each.operation == "getPageDirectChildren"]
    assert ["cursor" in each.query for each in asked] == [False, True, False], "the second list ends before its end"
    assert sum("step:read" in line for line in report.lines) == 4


EMPTY = {"type": "doc", "version": 1, "content": []}


@dataclass(frozen=True)
class Case:
    """A write, the operation that may meet a fault, and how often its effect is to be seen."""

    operation: str
    call: str
    effects: Callable[[Any], int]
    again: bool = False


CASES: Mapping[str, Case] = {
    "copy-page": Case("copyPage", "copy_page('<Runbooks>', 'One', space='ENG')", lambda v: _titled(v, "One")),
    "copy-tree": Case(
        "copyPageHierarchy",
        "copy_tree('<Runbooks>', '<Incident reviews>')",
        lambda v: _titled(v, "Copy of Restart the mail gateway"),
    ),
    "archive-page": Case("archivePages", "archive_page('<Runbooks>')", lambda v: _in(v, "archived")),
    "delete-page": Case("deletePage", "delete_page('<Runbooks>')", lambda v: _in(v, "trashed")),
    "move-page": Case(
        "movePage",
        "move_page('<Incident reviews>', '<Runbooks>')",
        lambda v: _children(v, "Runbooks").count("Incident reviews"),
        again=True,
    ),
}


def _titled(verbs: Any, title: str) -> int:
    return sum(page.title == title for page in verbs.site.pages.values())


def _in(verbs: Any, status: str) -> int:
    return sum(page.status == status for page in verbs.site.pages.values())


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


def _doubted(verbs: Any, case: Case, fault: str) -> Any:
    call = case.call
    for page in verbs.site.pages.values():
        call = call.replace(f"<{page.title}>", page.id)
    verbs.write(confluence={"ENG": ENG}, handle=f"context.confluence.{call}")
    return verbs.doubt(case.operation, fault)


def test_a_copy_whose_title_somebody_else_took_meanwhile_is_refused_by_the_site(verbs: Any) -> None:
    home = verbs.page("Engineering")
    verbs.site.new_page(verbs.site.spaces[home.space], verbs.site.account("Mia Keller"), "One", EMPTY)
    report = _doubted(verbs, CASES["copy-page"], "503")
    assert report.state == "dead"
    assert "already exists" in report.reason


def test_pages_of_which_only_some_are_archived_wait_for_a_person(verbs: Any) -> None:
    ids = [verbs.page(title).id for title in ("Runbooks", "Incident reviews")]
    verbs.page("Runbooks").status = "archived"
    body = {"pages": [{"id": int(each)} for each in ids]}
    verbs.write(
        confluence={"ENG": ENG},
        handle=f"context.confluence.request('POST', '/wiki/rest/api/content/archive', body={body})",
    )
    report = verbs.doubt("archivePages", "503")
    assert report.state == "parked"
    assert "some of the pages are archived and some are not" in report.reason


def test_observe_mode_goes_on_with_what_it_did_not_make(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": [*ENG, "comment", "label"]},
        more='mode = "observe"\n',
        handle=f"""
        made = context.confluence.copy_page('{verbs.page("Runbooks").id}', 'One')
        context.confluence.label(made["id"], ["seen"])
        comment = context.confluence.comment(made["id"], "Hello")
        context.confluence.reply(comment["id"], "Hello again")
        task = context.confluence.copy_tree(made["id"], '{verbs.page("Incident reviews").id}')
        return context.confluence.progress(task["id"])["finished"]
        """,
    )
    report = verbs.send()
    assert (report.state, report.result) == ("done", True), report.reason
    assert _titled(verbs, "One") == 0
    assert sum("step:observed" in line for line in report.lines) == 5
