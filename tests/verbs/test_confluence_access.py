"""Who may view and edit a page, and who holds which role in a space."""

from typing import Any

import pytest

ENG = ["read", "restrict", "space-role"]
TITLE = "Incident reviews"


def _do(verbs: Any, call: str, **more: Any) -> Any:
    """Run one call; ``PAGE``, ``MIA``, ``BOT`` and ``TEAM`` stand for ids."""
    ids = {"PAGE": verbs.page(TITLE).id, "OTHER": verbs.page("Onboarding").id, "TEAM": next(iter(verbs.site.groups))}
    ids |= {"MIA": verbs.site.account("Mia Keller").id, "BOT": verbs.site.account("ops-bot").id}
    for word, number in ids.items():
        call = call.replace(word, repr(number))
    return verbs.do(f"context.confluence.{call}", **{"confluence": {"ENG": ENG}, **more})


def _restricted(verbs: Any, operation: str) -> tuple[list[str], list[str]]:
    found = verbs.page(TITLE).restrictions.get(operation)
    names = {account.id: account.name for account in verbs.site.accounts.values()}
    names |= {group.id: group.name for group in verbs.site.groups.values()}
    return ([names[each] for each in found.users], [names[each] for each in found.groups]) if found else ([], [])


def test_users_and_groups_are_added_to_those_who_alone_may_edit(verbs: Any) -> None:
    report = _do(verbs, "restrict(PAGE, 'edit', users=[MIA, BOT])")
    assert report.state == "done", report.reason
    assert _do(verbs, "restrict(PAGE, 'edit', groups=TEAM)").state == "done"
    assert _restricted(verbs, "update") == (["Mia Keller", "ops-bot"], ["engineers"])
    assert _restricted(verbs, "read") == ([], [])
    assert f"confluence.restrict {verbs.page(TITLE).id} done by ops-bot" in report.lines[-1]


def test_restrictions_are_replaced_read_and_lifted(verbs: Any) -> None:
    assert _do(verbs, "restrict(PAGE, 'edit', users=[MIA, BOT])").state == "done"
    report = _do(verbs, "set_restrictions(PAGE, view_users=[BOT], view_groups=[TEAM], edit_users=BOT)")
    assert report.state == "done", report.reason
    assert (_restricted(verbs, "read"), _restricted(verbs, "update")) == (
        (["ops-bot"], ["engineers"]),
        (["ops-bot"], []),
    )
    bot, team = verbs.site.account("ops-bot").id, next(iter(verbs.site.groups))
    assert _do(verbs, "restrictions(PAGE)").result == {
        "view": {"users": [bot], "groups": [team]},
        "edit": {"users": [bot], "groups": []},
    }
    assert _do(verbs, "unrestrict(PAGE)").state == "done"
    assert (_restricted(verbs, "read"), _restricted(verbs, "update")) == (([], []), ([], []))


def test_single_users_and_groups_are_taken_out_again(verbs: Any) -> None:
    assert _do(verbs, "restrict(PAGE, 'view', users=[MIA, BOT], groups=TEAM)").state == "done"
    report = _do(verbs, "unrestrict(PAGE, to='view', users=MIA, groups=TEAM)")
    assert report.state == "done", report.reason
    assert _restricted(verbs, "read") == (["ops-bot"], [])
    assert sum("step:outcome" in line for line in report.lines) == 2


def test_whoever_is_not_named_is_shut_out_the_account_too(verbs: Any) -> None:
    assert _do(verbs, "restrict(PAGE, 'view', users=MIA)").state == "done"
    report = _do(verbs, "page(PAGE)")
    assert report.state == "dead"
    assert "the site does not show page" in report.reason


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("restrict(PAGE, 'edit')", "at least one user or group"),
        ("restrict(PAGE, 'write', users=MIA)", "one of view and edit"),
        ("set_restrictions(PAGE)", "at least one user or group"),
        ("unrestrict(PAGE, users=MIA)", "one of view and edit"),
        ("set_space_role('ENG', 'Viewer')", "at least one user or group"),
    ],
)
def test_a_restriction_of_nobody_or_of_something_else_is_a_mistake(verbs: Any, call: str, reason: str) -> None:
    report = _do(verbs, call, more="[retry]\nfailures = 1\n")
    assert report.state == "dead"
    assert reason in report.reason


def test_a_role_is_given_in_a_space_by_its_name_and_taken_away(verbs: Any) -> None:
    jonas = verbs.site.account("Jonas Brandt")
    space = next(each for each in verbs.site.spaces.values() if each.key == "ENG")
    report = _do(verbs, f"set_space_role('ENG', 'commenter', users='{jonas.id}')")
    assert report.state == "done", report.reason
    assert verbs.site.may(jonas, "comment", space)
    assert not verbs.site.may(jonas, "edit", space)
    assert "confluence.space-role" in report.lines[-1]
    assert _do(verbs, f"set_space_role('ENG', None, users='{jonas.id}')").state == "done"
    assert not verbs.site.may(jonas, "view", space)


def test_an_unknown_role_is_answered_with_those_there_are(verbs: Any) -> None:
    report = _do(verbs, "set_space_role('ENG', 'Boss', users=MIA)")
    assert report.state == "dead"
    assert "no role is called 'Boss'; there are: Viewer, Commenter, Collaborator, Admin" in report.reason


@pytest.mark.parametrize(
    "call", ["restrict(OTHER, 'view', users=BOT)", "unrestrict(OTHER)", "set_space_role('HR', 'Viewer', users=BOT)"]
)
def test_nothing_is_opened_or_closed_in_another_space(verbs: Any, call: str) -> None:
    report = _do(verbs, call)
    assert report.state == "dead"
    assert "does not grant" in report.reason


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("addRestrictions", "restrict(PAGE, 'edit', users=[BOT])"),
        ("updateRestrictions", "set_restrictions(PAGE, edit_users=[BOT])"),
        ("setSpaceRoleAssignments", "set_space_role('ENG', 'Viewer', users=MIA)"),
    ],
)
def test_in_doubt_it_is_set_once_more(verbs: Any, operation: str, call: str, fault: str) -> None:
    verbs.site.faults.order({"fault": fault, "match": {"operation": operation}}, verbs.site.issues)
    first = _do(verbs, call)
    assert first.state == "waiting"
    report = verbs.finish(first.delivery)
    assert report.state == "done", report.reason
    assert len(verbs.sent(operation)) == 2
