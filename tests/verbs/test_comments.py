"""Comments on work items: for everybody or for some, only once, edited, read and deleted."""

from typing import Any

import pytest

from bridge.rule.adf import adf_to_text

ALL = {"OPS": ["read", "comment", "edit-comment", "delete-comment"]}


def _texts(verbs: Any, key: str = "OPS-1") -> list[str]:
    return [adf_to_text(comment.body) for comment in verbs.issue(key).comments]


def _write(verbs: Any, *texts: str) -> None:
    verbs.write(jira=ALL, handle="\n".join(f"context.jira.comment('OPS-1', {text!r})" for text in texts))
    assert verbs.send().state == "done"


@pytest.mark.parametrize(
    ("arguments", "visibility"),
    [
        ("", None),
        (", role='Administrators'", {"type": "role", "value": "Administrators"}),
        (", group='staff'", {"type": "group", "value": "staff"}),
    ],
)
def test_a_comment_is_for_everybody_or_for_a_role_or_group(verbs: Any, arguments: str, visibility: Any) -> None:
    report = verbs.do(f"context.jira.comment('OPS-1', 'Seen'{arguments})", jira=ALL)
    comment = verbs.issue("OPS-1").comments[-1]
    assert (comment.visibility, adf_to_text(comment.body)) == (visibility, "Seen")
    assert report.lines == (
        "step:intent #1 jira.comment OPS-1 by ops-bot",
        f"step:outcome #1 jira.comment OPS-1 done by ops-bot ref={comment.id} status=201",
    )


def test_a_comment_for_a_role_and_a_group_is_refused_before_anything_is_sent(verbs: Any) -> None:
    verbs.write(
        jira=ALL, steps='[[step]]\nverb = "jira.comment"\nissue = "OPS-1"\nbody = "x"\nrole = "a"\ngroup = "b"\n'
    )
    assert "a comment is for a role or for a group, not for both" in str(verbs.send().reason)


def test_a_comment_that_is_to_be_made_once_is_not_made_again(verbs: Any) -> None:
    step = '[[step]]\nverb = "jira.comment"\nissue = "OPS-1"\nbody = "**Done** by {{ who }}"\nonce = true\n'
    verbs.write(jira={"OPS": ["comment"]}, steps=step)
    for who in ("Mia", "Mia", "Jonas"):
        assert verbs.send({"who": who}).state == "done"
    assert _texts(verbs)[1:] == ["Done by Mia", "Done by Jonas"]


def test_comments_are_read_page_by_page_oldest_or_newest_first(verbs: Any) -> None:
    _write(verbs, *(f"number {n}" for n in range(20)))
    for _ in range(5):
        assert verbs.send().state == "done"
    report = verbs.do("len(list(context.jira.comments('OPS-1')))", jira={"OPS": ["read"]})
    assert report.result == 121
    assert [exchange.query["startAt"] for exchange in verbs.sent("getComments")] == [["0"], ["100"]]
    newest = verbs.do("[c['id'] for c in context.jira.comments('OPS-1', newest=True, limit=2)]", jira=ALL).result
    assert newest == [comment.id for comment in verbs.issue("OPS-1").comments[:-3:-1]]


@pytest.mark.parametrize("which", ["", ", 'last'", ", comment={id!r}"])
def test_a_comment_is_edited_and_keeps_the_mark_of_the_step_that_made_it(verbs: Any, which: str) -> None:
    _write(verbs, "first")
    comment = verbs.issue("OPS-1").comments[-1]
    mark = dict(comment.properties)
    report = verbs.do(f"context.jira.edit_comment('OPS-1', 'second'{which.format(id=comment.id)})", jira=ALL)
    assert report.state == "done", report.reason
    assert (adf_to_text(comment.body), comment.properties) == ("second", mark)
    assert report.lines[-1].endswith(f"jira.edit-comment OPS-1 done by ops-bot ref={comment.id} status=200")


def test_an_edit_cannot_rewrite_the_mark(verbs: Any) -> None:
    _write(verbs, "first")
    comment = verbs.issue("OPS-1").comments[-1].id
    body = {"body": {"type": "doc", "version": 1, "content": []}, "properties": [{"key": "bridge.step", "value": {}}]}
    path = f"/rest/api/3/issue/OPS-1/comment/{comment}"
    report = verbs.do(f"context.jira.request('PUT', {path!r}, body={body!r})", jira=ALL)
    assert "reserved for the mark by which the bridge finds its own writes again" in str(report.reason)


def test_there_may_be_no_comment_to_edit(verbs: Any) -> None:
    report = verbs.do("context.jira.edit_comment('OPS-4', 'x')", jira=ALL)
    assert "the work item has no comment" in str(report.reason)


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("", ["a", "theirs", "b"]),
        (", 'last'", ["a", "theirs", "b"]),
        (", 'own last'", ["a", "theirs", "last"]),
        (", 'own'", ["theirs", "last"]),
    ],
)
def test_comments_are_deleted_by_who_made_them(verbs: Any, which: str, left: list[str]) -> None:
    verbs.issue("OPS-1").comments.clear()
    _write(verbs, "a")
    _say(verbs, "theirs")
    _write(verbs, "b")
    _say(verbs, "last")
    report = verbs.do(f"context.jira.delete_comment('OPS-1'{which})", jira=ALL)
    assert report.state == "done", report.reason
    assert _texts(verbs) == left
    assert len(report.result["deleted"]) == 4 - len(left)


def _say(verbs: Any, text: str) -> None:
    body = {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }
    verbs.site.add_comment(verbs.issue("OPS-1"), verbs.site.account("Mia Keller"), body)


def test_a_comment_is_deleted_by_its_id(verbs: Any) -> None:
    comment = verbs.issue("OPS-1").comments[0].id
    report = verbs.do(f"context.jira.delete_comment('OPS-1', {comment!r})", jira={"OPS": ["delete-comment"]})
    assert (report.result, _texts(verbs)) == ({"deleted": [comment]}, [])
    assert report.lines == (
        "step:intent #1 jira.delete-comment OPS-1 by ops-bot",
        "step:outcome #1 jira.delete-comment OPS-1 done by ops-bot status=204",
    )


def test_where_there_is_no_comment_nothing_is_deleted(verbs: Any) -> None:
    assert verbs.do("context.jira.delete_comment('OPS-4')", jira=ALL).result == {"deleted": []}


@pytest.mark.parametrize("call", ["edit_comment('OPS-1', 'x')", "delete_comment('OPS-1')"])
def test_comments_are_left_alone_outside_the_scope(verbs: Any, call: str) -> None:
    report = verbs.do(f"context.jira.{call}", jira={"OPS": ["read"], "CHG": ["edit-comment", "delete-comment"]})
    assert report.state == "dead"
    assert "does not grant" in str(report.reason)
    assert len(_texts(verbs)) == 1


@pytest.mark.parametrize("fault", ["reset-after", "500", "reset-before", "503"])
def test_a_deleted_comment_of_unknown_fate_is_asked_for(verbs: Any, fault: str) -> None:
    verbs.write(jira=ALL, handle="context.jira.delete_comment('OPS-1')")
    report = verbs.doubt("deleteComment", fault)
    assert (report.state, _texts(verbs)) == ("done", []), report.reason
    done = fault in {"reset-after", "500"}
    assert len(verbs.sent("deleteComment")) == (1 if done else 2)
    assert ("found=true" in report.lines[-1]) is done


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_an_edited_comment_of_unknown_fate_is_edited_once_more(verbs: Any, fault: str) -> None:
    verbs.write(jira=ALL, handle="context.jira.edit_comment('OPS-1', 'second')")
    report = verbs.doubt("updateComment", fault)
    assert (report.state, _texts(verbs)) == ("done", ["second"]), report.reason


def test_in_observe_mode_the_last_comment_of_what_was_not_created_does_not_stop_the_rule(verbs: Any) -> None:
    handle = """
    made = context.jira.create('OPS', 'Task', 'x')
    context.jira.edit_comment(made['key'], 'y')
    return context.jira.delete_comment(made['key'])
    """
    verbs.write(jira={"OPS": [*ALL["OPS"], "create"]}, handle=handle, more='mode = "observe"\n')
    report = verbs.send()
    assert (report.state, report.result) == ("done", {"deleted": []}), report.reason
