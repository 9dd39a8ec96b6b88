"""Comments at the foot of a page: read, answered, edited and deleted."""

from typing import Any

import pytest

from bridge.sandbox import document

ENG = ["read", "comment", "edit-comment", "delete-comment"]
TITLE = "Restart the mail gateway"


def _do(verbs: Any, call: str, **more: Any) -> Any:
    """Run one call; ``THANKS`` stands for the comment that the page has."""
    call = call.replace("THANKS", repr(_thanks(verbs).id)).replace("PAGE", repr(verbs.page(TITLE).id))
    return verbs.do(call, **{"confluence": {"ENG": ENG}, **more})


def _thanks(verbs: Any) -> Any:
    return verbs.page(TITLE).comments[0]


def _texts(verbs: Any, *, replies: bool) -> list[str]:
    comments = [each for each in verbs.page(TITLE).comments if (each.parent is not None) is replies]
    return [document.text(each.versions[-1].body) for each in comments]


def test_a_comment_is_answered(verbs: Any) -> None:
    report = _do(verbs, "context.confluence.reply(THANKS, context.markdown('Any *time*'))")
    assert report.state == "done", report.reason
    assert _texts(verbs, replies=True) == ["Any time"]
    assert f"confluence.comment {_thanks(verbs).id} done by ops-bot" in report.lines[-1]
    said = _do(verbs, "[each['id'] for each in context.confluence.replies(THANKS)]")
    assert said.result == [report.result["id"]]
    listed = _do(verbs, "[each['id'] for each in context.confluence.comments(PAGE)]")
    assert listed.result == [_thanks(verbs).id], "replies are not among them"


def test_a_reply_to_a_reply_is_placed_by_the_first_comments_page(verbs: Any) -> None:
    reply = _do(verbs, "context.confluence.reply(THANKS, 'One')").result["id"]
    assert _do(verbs, f"context.confluence.reply('{reply}', 'Two')").state == "done"
    assert _texts(verbs, replies=True) == ["One", "Two"]


def test_a_comment_is_edited_over_its_newest_version(verbs: Any) -> None:
    report = _do(verbs, "context.confluence.edit_comment(THANKS, 'No, thank you')")
    assert report.state == "done", report.reason
    versions = _thanks(verbs).versions
    assert [each.number for each in versions] == [1, 2]
    assert document.text(versions[-1].body) == "No, thank you"
    assert versions[-1].message.startswith("bridge rule ")
    assert "confluence.edit-comment" in report.lines[-1]


def test_over_a_conflict_the_comment_is_read_and_written_again(verbs: Any) -> None:
    verbs.site.faults.order({"fault": "409", "match": {"operation": "updateFooterComment"}}, verbs.site.issues)
    report = _do(verbs, "context.confluence.edit_comment(THANKS, 'No')")
    assert report.state == "done", report.reason
    assert len(verbs.sent("updateFooterComment")) == 2
    assert [document.text(each.body) for each in _thanks(verbs).versions[1:]] == ["No"]


def test_a_comment_is_deleted(verbs: Any) -> None:
    report = _do(verbs, "context.confluence.delete_comment(THANKS)")
    assert report.state == "done", report.reason
    assert verbs.page(TITLE).comments == []
    assert "confluence.delete-comment" in report.lines[-1]


@pytest.mark.parametrize(
    ("call", "verb"),
    [("reply(THANKS, 'x')", "comment"), ("edit_comment(THANKS, 'x')", "edit-comment"),
     ("delete_comment(THANKS)", "delete-comment"), ("replies(THANKS)", "read")],
)  # fmt: skip
def test_a_comment_is_where_its_page_is(verbs: Any, call: str, verb: str) -> None:
    wrapped = f"list(context.confluence.{call})" if call.startswith("replies") else f"context.confluence.{call}"
    report = _do(verbs, wrapped, confluence={"HR": [verb]})
    assert report.state == "dead"
    assert f"does not grant {verb} in ENG" in report.reason


def test_a_comment_cannot_be_both_a_reply_and_on_a_page(verbs: Any) -> None:
    body = {"pageId": verbs.page(TITLE).id, "parentCommentId": _thanks(verbs).id, "body": {}}
    report = _do(verbs, f"context.confluence.request('POST', '/wiki/api/v2/footer-comments', body={body})")
    assert report.state == "dead"
    assert "either on a page or a reply to a comment" in report.reason
    assert verbs.sent("createFooterComment") == []


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("createFooterComment", "reply(THANKS, 'once')"),
        ("updateFooterComment", "edit_comment(THANKS, 'once')"),
    ],
)
def test_in_doubt_it_is_looked_up_and_done_once(verbs: Any, operation: str, call: str, fault: str) -> None:
    call = call.replace("THANKS", repr(_thanks(verbs).id))
    verbs.write(confluence={"ENG": ENG}, handle=f"return context.confluence.{call}['id']")
    report = verbs.doubt(operation, fault)
    assert report.state == "done", report.reason
    assert [*_texts(verbs, replies=True), *_texts(verbs, replies=False)].count("once") == 1
    assert len(_thanks(verbs).versions) <= 2
    assert len(verbs.sent(operation)) == (1 if fault in {"reset-after", "500"} else 2)
    assert report.result


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_deletion_in_doubt_is_asked_for_and_one_that_may_be_done_waits_for_a_person(verbs: Any, fault: str) -> None:
    verbs.write(confluence={"ENG": ENG}, handle=f"context.confluence.delete_comment({_thanks(verbs).id!r})")
    report = verbs.doubt("deleteFooterComment", fault)
    done = fault in {"reset-after", "500"}
    assert report.state == ("parked" if done else "done"), report.reason
    assert verbs.page(TITLE).comments == []
    assert len(verbs.sent("deleteFooterComment")) == (1 if done else 2)


def test_two_equal_replies_wait_for_a_person(verbs: Any) -> None:
    call = f"context.confluence.reply({_thanks(verbs).id!r}, 'once')"
    bot, page = verbs.site.account("ops-bot"), verbs.page(TITLE)
    verbs.write(confluence={"ENG": ENG}, handle=call)
    verbs.site.add_footer_comment(page, bot, document.paragraphs("once"), parent=_thanks(verbs).id)
    report = verbs.doubt("createFooterComment", "reset-after")
    assert report.state == "parked"
    assert "two equal comments" in report.reason
