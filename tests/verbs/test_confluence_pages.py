"""Pages edited over what others do meanwhile, below a heading, from a template; found by title and by query."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.sandbox import document
from bridge.sandbox.document import paragraphs

ENG = ["read", "create-page", "update-page", "template", "search"]
TITLE = "Incident reviews"


def _do(verbs: Any, call: str, **more: Any) -> Any:
    call = call.replace("PAGE", repr(verbs.page(TITLE).id)).replace("OTHER", repr(verbs.page("Onboarding").id))
    return verbs.do(f"context.confluence.{call}", **{"confluence": {"ENG": ENG}, **more})


def _text(verbs: Any, title: str = TITLE) -> str:
    return document.text(verbs.page(title).latest.body)


def _heading(text: str, level: int = 2) -> dict[str, Any]:
    return {"type": "heading", "attrs": {"level": level}, "content": [{"type": "text", "text": text}]}


def _with_sections(verbs: Any) -> None:
    content = [
        *paragraphs("Intro")["content"],
        _heading("Open"),
        *paragraphs("one")["content"],
        _heading("Details", 3),
        *paragraphs("two")["content"],
        _heading("Closed"),
        *paragraphs("three")["content"],
    ]
    page = verbs.page(TITLE)
    verbs.site.revise(page, verbs.site.account("Mia Keller"), TITLE, {**paragraphs(""), "content": content}, "")


def test_text_is_put_before_and_after_what_is_there(verbs: Any) -> None:
    report = _do(verbs, "update_page(PAGE, prepend='First', append='Last')")
    assert report.state == "done", report.reason
    assert _text(verbs) == "First\nOne page per incident, within a week.\nLast"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("body='new'", "Intro\nOpen\nnew\nClosed\nthree"),
        ("append='new'", "Intro\nOpen\none\nDetails\ntwo\nnew\nClosed\nthree"),
        ("prepend='new'", "Intro\nOpen\nnew\none\nDetails\ntwo\nClosed\nthree"),
    ],
)
def test_a_section_ends_where_the_next_heading_of_its_size_begins(verbs: Any, change: str, text: str) -> None:
    _with_sections(verbs)
    report = _do(verbs, f"update_page(PAGE, {change}, section=' open ')")
    assert report.state == "done", report.reason
    assert _text(verbs) == text


def test_a_heading_that_is_not_there_is_told(verbs: Any) -> None:
    report = _do(verbs, "update_page(PAGE, body='new', section='Open')", more="[retry]\nfailures = 1\n")
    assert report.state == "dead"
    assert "the page has no heading 'Open'" in report.reason
    assert verbs.sent("updatePage") == []


def _overtaken(verbs: Any, times: int) -> None:
    """Have somebody else save the page right after it was read, so many times."""
    for _ in range(times):
        verbs.site.faults.order({"fault": "409", "match": {"operation": "updatePage"}}, verbs.site.issues)


@pytest.mark.parametrize("times", [1, 2])
def test_over_a_conflict_the_page_is_read_and_written_again(verbs: Any, times: int) -> None:
    _overtaken(verbs, times)
    report = _do(verbs, "update_page(PAGE, append='Last')")
    assert report.state == "done", report.reason
    assert _text(verbs).endswith("\nLast")
    assert len(verbs.page(TITLE).versions) == 2
    outcomes = [line.split(" by ")[0].split()[-1] for line in report.lines if "step:outcome" in line]
    assert outcomes == [*["failed"] * times, "done"]
    assert sum("step:read" in line for line in report.lines) == times + 1


def test_three_conflicts_are_one_too_many(verbs: Any) -> None:
    _overtaken(verbs, 3)
    report = _do(verbs, "update_page(PAGE, append='Last')", more="[retry]\nfailures = 1\n")
    assert report.state == "dead"
    assert "409" in report.reason or "changed by somebody else" in report.reason
    assert len(verbs.sent("updatePage")) == 3
    assert len(verbs.page(TITLE).versions) == 1


def test_a_conflict_is_not_made_good_by_another_pages_version(verbs: Any) -> None:
    _overtaken(verbs, 3)
    verbs.write(
        confluence={"ENG": ENG},
        handle=f"""
        try:
            context.confluence.update_page({verbs.page(TITLE).id!r}, append="Last")
        except Exception:
            context.confluence.update_page({verbs.page("Runbooks").id!r}, append="Last")
        """,
    )
    report = verbs.send()
    assert report.state == "dead"
    assert f"confluence.update-page {verbs.page(TITLE).id}) failed" in report.reason
    assert _text(verbs, "Runbooks").endswith("Last")


def test_somebody_elses_text_is_kept(verbs: Any) -> None:
    page = verbs.page(TITLE)
    mia = verbs.site.account("Mia Keller")
    verbs.write(
        confluence={"ENG": ENG},
        handle=f"context.confluence.update_page({page.id!r}, append='Last')",
    )
    verbs.site.faults.order({"fault": "reset-before", "match": {"operation": "updatePage"}}, verbs.site.issues)
    delivery = verbs.send().delivery
    verbs.site.revise(page, mia, TITLE, paragraphs("Hers"), "")
    report = verbs.finish(delivery)
    assert report.state == "done", report.reason
    assert _text(verbs) == "Hers\nLast", "the recorded text was refused, so the page was read again"


def test_another_failure_is_not_tried_again(verbs: Any) -> None:
    verbs.site.grant("ops-bot", {"view"}, space="ENG")
    report = _do(verbs, "update_page(PAGE, append='Last')")
    assert report.state == "dead"
    assert len(verbs.sent("updatePage")) == 1


def test_a_page_is_published_from_a_template_of_its_space_with_its_variables_filled_in(verbs: Any) -> None:
    values = {"incident": "OPS-1 <b>", "summary": "Mail & more"}
    report = _do(verbs, f"create_page_from_template('ENG', 'Review', 'incident review', {values}, PAGE)")
    assert report.state == "done", report.reason
    assert _text(verbs, "Review") == "What happened\nIncident OPS-1 <b>: Mail & more\nWhat we do"
    assert verbs.page("Review").parent == verbs.page(TITLE).id
    [sent] = verbs.sent("createPage")
    assert "at:" not in sent.body["body"]["value"]
    assert "confluence.create-page" in report.lines[-1]
    assert "confluence.template" in report.lines[0]


def test_a_variable_without_value_stays_empty_and_one_that_is_not_there_is_a_mistake(verbs: Any) -> None:
    report = _do(verbs, "create_page_from_template('ENG', 'Review', 'Incident review', {'incident': 'OPS-1'})")
    assert report.state == "done", report.reason
    assert _text(verbs, "Review").splitlines()[1].rstrip() == "Incident OPS-1:"
    wrong = _do(
        verbs,
        "create_page_from_template('ENG', 'R2', 'Incident review', {'incidents': 1})",
        more="[retry]\nfailures = 1\n",
    )
    assert wrong.state == "dead"
    assert "the template has no variable 'incidents'" in wrong.reason
    assert "did you mean 'incident'" in wrong.reason


def test_a_template_of_the_whole_site_is_named_by_its_id(verbs: Any) -> None:
    number = next(each.id for each in verbs.site.templates.values() if each.space is None)
    report = _do(verbs, f"create_page_from_template('ENG', 'Notes', '{number}')")
    assert report.state == "done", report.reason
    assert _text(verbs, "Notes") == "Decisions"


def test_a_template_of_another_space_is_not_read(verbs: Any) -> None:
    number = next(each.id for each in verbs.site.templates.values() if each.space is not None)
    report = _do(verbs, f"create_page_from_template('HR', 'Notes', '{number}')", confluence={"HR": ENG})
    assert report.state == "dead"
    assert "does not grant template in ENG" in report.reason


def test_an_unknown_template_is_answered_with_those_there_are(verbs: Any) -> None:
    report = _do(verbs, "create_page_from_template('ENG', 'Notes', 'Minutes')")
    assert report.state == "dead"
    assert "no template of the space ENG is called 'Minutes'; there are: Incident review" in report.reason


def test_a_page_is_found_by_its_title_with_its_text(verbs: Any) -> None:
    found = _do(verbs, "find_page('ENG', 'Incident reviews')").result
    assert found["id"] == verbs.page(TITLE).id
    assert "within a week" in found["body"]["atlas_doc_format"]["value"]
    assert _do(verbs, "find_page('ENG', 'Nowhere')").result is None
    assert _do(verbs, "space('ENG')").result["homepageId"] == verbs.page("Engineering").id
    refused = _do(verbs, "find_page('HR', 'Onboarding')")
    assert refused.state == "dead"
    assert "does not grant read in HR" in refused.reason


def test_versions_are_read_newest_first(verbs: Any) -> None:
    assert _do(verbs, "update_page(PAGE, append='Last')").state == "done"
    page = verbs.page(TITLE).id
    report = verbs.do(f"[each['number'] for each in context.confluence.versions({page!r})]", confluence={"ENG": ENG})
    assert report.result == [2, 1]


@pytest.fixture
def many(verbs: Any) -> Callable[[], list[str]]:
    """Pages in both spaces, more than fit on one page of hits; the titles of those in ENG."""
    mia = verbs.site.account("Mia Keller")
    titles = []
    for number in range(140):
        for space in verbs.site.spaces.values():
            verbs.site.new_page(space, mia, f"Minutes {number} {space.key}", paragraphs("x"))
            titles += [f"Minutes {number} ENG"] if space.key == "ENG" else []
    return lambda: titles


def test_a_search_leaves_out_what_is_in_other_spaces_and_walks_all_pages(
    verbs: Any, many: Callable[[], list[str]]
) -> None:
    call = "context.confluence.search('title ~ {words} ORDER BY created ASC', words='Minutes')"
    verbs.write(confluence={"ENG": ENG}, handle=f"return [[hit['title'], 'space' in hit] for hit in {call}]")
    report = verbs.send()
    assert report.state == "done", report.reason
    assert [title for title, _ in report.result] == many()
    assert not any(shown for _, shown in report.result), "what only egress asked for is not shown"
    asked = verbs.sent("searchContentByCQL")
    assert len(asked) == 3
    assert all(each.query["expand"] == ["space"] for each in asked)
    assert sum(int(line.partition("dropped=")[2].split()[0]) for line in report.lines if "dropped=" in line) == 140


def test_what_a_search_expands_itself_it_may_see(verbs: Any) -> None:
    call = "context.confluence.search('title = {title}', title='Runbooks', expand=['version', 'space'])"
    verbs.write(confluence={"ENG": ENG}, handle=f"return [[hit['space']['key'], 'version' in hit] for hit in {call}]")
    report = verbs.send()
    assert report.result == [["ENG", True]], report.reason


def test_words_of_a_payload_stay_a_literal_of_the_query(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": ["search"]},
        handle="return [h['title'] for h in context.confluence.search('title = {title}', title=event['title'])]",
    )
    report = verbs.send({"title": 'x" OR type = page OR title = "'})
    assert (report.state, report.result) == ("done", []), report.reason


def test_a_step_searches_too_and_its_values_are_literals(verbs: Any) -> None:
    verbs.write(
        confluence={"ENG": [*ENG, "label"]},
        steps="""
        [[step]]
        id   = "found"
        verb = "confluence.search"
        cql  = "title = {{ title }}"
        [[step]]
        verb   = "confluence.update-page"
        each   = "{{ found }}"
        page   = "{{ item.id }}"
        append = "Seen **{{ title }}**"
        """,
    )
    report = verbs.send({"title": "Runbooks"})
    assert report.state == "done", report.reason
    assert _text(verbs, "Runbooks").endswith("Seen Runbooks")


def test_people_are_found_by_their_name_if_the_site_is_granted(verbs: Any) -> None:
    report = _do(verbs, "find_user('mia')", confluence={"@site": ["find-user"]})
    assert [each["accountId"] for each in report.result] == [verbs.site.account("Mia Keller").id], report.reason
    refused = _do(verbs, "find_user('mia')", confluence={"@site": ["create-space"]})
    assert refused.state == "dead"
    assert "does not grant find-user outside any project or space" in refused.reason


def test_a_space_is_made_if_the_site_is_granted(verbs: Any) -> None:
    grants = {"@site": ["create-space"]}
    report = _do(verbs, "create_space('TEAM', 'Our team', description='For us')", confluence=grants)
    assert report.state == "done", report.reason
    assert any(space.key == "TEAM" and space.name == "Our team" for space in verbs.site.spaces.values())
    assert "confluence.create-space" in report.lines[-1]
    refused = _do(verbs, "create_space('TEAM2', 'Our team')", confluence={"@site": ["find-user"]})
    assert "does not grant create-space outside any project or space" in refused.reason
    wrong = _do(verbs, "create_space('our team', 'x')", confluence=grants, more="[retry]\nfailures = 1\n")
    assert "letters and digits" in wrong.reason


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_new_space_in_doubt_is_found_by_its_key(verbs: Any, fault: str) -> None:
    verbs.write(confluence={"@site": ["create-space"]}, handle="context.confluence.create_space('TEAM', 'Our team')")
    report = verbs.doubt("createSpace", fault)
    assert report.state == "done", report.reason
    assert sum(space.key == "TEAM" for space in verbs.site.spaces.values()) == 1
    assert len(verbs.sent("createSpace")) == (1 if fault in {"reset-after", "500"} else 2)
