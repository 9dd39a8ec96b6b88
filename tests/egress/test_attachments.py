"""Attachments both ways: made by a handler, fetched from a site, passed on, and found again when nobody knows."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bridge.sandbox.media import Bytes

Make = Callable[..., Any]
SCOPE = """
[scope.jira]
OPS = ["read", "attach", "download"]
[scope.confluence]
ENG = ["attach", "download"]
"""
ATTACH = "return context.jira.attach('OPS-1', context.file('report.csv', 'a;b\\n'))['filename']"
PAGE_ATTACH = "return context.confluence.attach(event['page'], context.file('report.csv', 'a;b\\n'))['title']"
REPORT = b"a;b\n"
DIGEST = hashlib.sha256(REPORT).hexdigest()


def files_of(bench: Any, key: str) -> list[tuple[str, str, bytes]]:
    """Return name, media type and bytes of the files that the account attached to an issue."""
    bot = bench.site.account("ops-bot").id
    kept = bench.site.media.issues
    own = [kept[one.id] for one in bench.site.find_issue(key).attachments if one.author == bot]
    return [(one.name, one.type, one.content) for one in own]


def own_page(bench: Any) -> dict[str, str]:
    """Return a payload with the id of a page in ENG."""
    return {"page": next(page.id for page in bench.site.pages.values() if page.title == "Runbooks")}


def versions_of(bench: Any) -> list[tuple[str, int, str, bytes]]:
    """Return name, number, comment and bytes of all versions of all files on pages."""
    every = [each for versions in bench.site.media.pages.values() for each in versions]
    return [(one.bytes.name, one.number, one.comment, one.bytes.content) for one in every]


# ------------------------------------------------------------------------------------------------------------ upwards


def test_a_handlers_file_is_attached_to_an_issue(make_bench: Make) -> None:
    bench = make_bench(SCOPE, ATTACH)
    report = bench.send()
    assert (report.state, report.result) == ("done", "report.csv"), report.reason
    assert files_of(bench, "OPS-1") == [("report.csv", "text/csv", REPORT)]
    [sent] = bench.wire.writes
    assert sent.headers["x-atlassian-token"] == "no-check"
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    [intent] = bench.entries(report.delivery, "step:intent")
    assert (intent["verb"], intent["target"]) == ("jira.attach", "OPS-1")
    assert intent["file"] == {"name": "report.csv", "digest": f"sha256:{DIGEST}"}
    [outcome] = bench.entries(report.delivery, "step:outcome")
    assert outcome["ref"] == bench.site.find_issue("OPS-1").attachments[-1].id


def test_a_handlers_file_is_attached_to_a_page_and_again_as_its_next_version(make_bench: Make) -> None:
    bench = make_bench(SCOPE, PAGE_ATTACH)
    first = bench.send(own_page(bench))
    assert (first.state, first.result) == ("done", "report.csv"), first.reason
    second = bench.send(own_page(bench))
    assert [(name, number, content) for name, number, _, content in versions_of(bench)] == [
        ("report.csv", 1, REPORT),
        ("report.csv", 2, REPORT),
    ]
    comments = [comment for _, _, comment, _ in versions_of(bench)]
    assert comments == [f"bridge rule {report.delivery}.0.1" for report in (first, second)], "the mark of each step"


def test_a_manifests_step_attaches_what_it_says(make_bench: Make) -> None:
    bench = make_bench()
    bench.write(
        SCOPE
        + """
        [[step]]
        verb = "jira.attach"
        issue = "OPS-1"
        file = { name = "note.txt", content = "{{ text }}" }
        """
    )
    report = bench.send({"text": "größer"})
    assert report.state == "done", report.reason
    assert files_of(bench, "OPS-1") == [("note.txt", "text/plain", "größer".encode())]


def test_steps_pass_a_file_on_from_an_issue_to_a_page(make_bench: Make) -> None:
    bench = make_bench()
    bench.write(
        SCOPE
        + """
        [[step]]
        id = "log"
        verb = "jira.download"
        issue = "OPS-3"
        attachment = "{{ file }}"
        [[step]]
        verb = "confluence.attach"
        page = "{{ page }}"
        file = "{{ log }}"
        """
    )
    [attachment] = bench.site.find_issue("OPS-3").attachments
    report = bench.send({"file": attachment.id, **own_page(bench)})
    assert report.state == "done", report.reason
    [(name, _, _, content)] = versions_of(bench)
    assert (name, len(content)) == ("backup.log", 4096)


def test_names_that_are_hard_to_write_arrive_as_they_are(make_bench: Make) -> None:
    for name in ("Bericht für März.txt", 'a"b.txt', "a;b=c.txt", "日本.txt", "..txt", "a%20b.txt"):
        bench = make_bench(SCOPE, f"context.jira.attach('OPS-1', context.file({name!r}, 'x'))")
        report = bench.send()
        assert report.state == "done", report.reason
        [(arrived, _, _)] = files_of(bench, "OPS-1")
        assert arrived.replace("%22", '"') == name


@pytest.mark.parametrize("name", ["a/b.txt", "..", "a\\b", "", "a\r\nb", "x" * 256])
def test_a_name_that_is_a_path_is_no_name(make_bench: Make, name: str) -> None:
    bench = make_bench(SCOPE, f"context.jira.attach('OPS-1', context.file({name!r}, 'x'))")
    report = bench.send()
    assert report.state != "done"
    assert "file.name wants a plain file name" in report.reason
    assert bench.wire.writes == []


def test_observe_mode_attaches_nothing_and_goes_on(make_bench: Make) -> None:
    bench = make_bench(
        'mode = "observe"\n' + SCOPE, "return context.jira.attach('OPS-1', context.file('a', 'x'))['id']"
    )
    report = bench.send()
    assert (report.state, report.result) == ("done", "0")
    assert bench.wire.writes == []
    [entry] = bench.entries(report.delivery, "step:observed")
    assert entry["file"]["name"] == "a"


# ---------------------------------------------------------------------------------------------------------- downwards


def test_a_file_is_fetched_by_a_redirect_and_the_media_host_sees_no_credential(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE,
        """
        [listed] = context.jira.attachments("OPS-3")
        file = context.jira.download("OPS-3", listed["id"])
        return [file.name, file.size, file.type, context.content(file)[:11].decode()]
        """,
    )
    report = bench.send()
    assert report.state == "done", report.reason
    assert report.result == ["backup.log", 4096, "text/plain", "backup.log\n"]
    [media] = [sent for sent in bench.wire.requests if sent.url.path.startswith("/media/")]
    assert media.url.host == "localhost", "another host than the gateway's"
    assert "authorization" not in media.headers
    assert (bench.site.media.served, bench.site.media.shown) == (1, [])
    entry = bench.entries(report.delivery, "step:read")[-1]
    assert (entry["verb"], entry["target"], entry["container"]) == ("jira.download", "OPS-3", "OPS")
    assert len(entry["trace"]) == 32, "the gateway's, by which Atlassian finds it"
    assert "issue=" not in str(next(sent.url for sent in bench.wire.requests if "/content/" in sent.url.path))


def test_a_page_file_is_listed_and_fetched(make_bench: Make) -> None:
    bench = make_bench(
        SCOPE,
        """
        context.confluence.attach(event["page"], context.file("plan.txt", "one"))
        context.confluence.attach(event["page"], context.file("plan.txt", "two"))
        [listed] = context.confluence.attachments(event["page"])
        return [listed["title"], context.content(context.confluence.download(event["page"], listed["id"])).decode()]
        """,
    )
    report = bench.send(own_page(bench))
    assert report.result == ["plan.txt", "two"], report.reason
    assert bench.site.media.shown == []


def test_a_file_of_another_issue_is_not_fetched(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.download('OPS-1', event['file'])")
    [attachment] = bench.site.find_issue("OPS-3").attachments
    report = bench.send({"file": attachment.id})
    assert report.state == "dead"
    assert bench.site.media.served == 0
    assert not any("/content/" in sent.url.path for sent in bench.wire.requests)


def test_a_file_that_is_too_large_is_an_answer_and_not_a_loop(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "context.jira.download('OPS-3', event['file'])", largest_file=1024)
    [attachment] = bench.site.find_issue("OPS-3").attachments
    report = bench.send({"file": attachment.id})
    assert report.state == "dead"
    assert "more than 1024 bytes (egress.largest_file in bridge.toml)" in report.reason


def test_a_download_that_breaks_off_waits_and_comes_again(make_bench: Make) -> None:
    bench = make_bench(SCOPE, "return context.jira.download('OPS-3', event['file']).size")
    [attachment] = bench.site.find_issue("OPS-3").attachments
    bench.wire.fail(lambda sent: httpx.ReadError("reset", request=sent), path="/media/")
    report = bench.send({"file": attachment.id})
    assert report.state == "waiting"
    bench.let_time_pass(report.delivery)
    assert bench.attempt(report.delivery).result == 4096


def test_the_name_that_a_server_gives_is_only_a_name(make_bench: Make) -> None:
    for said in ("../../etc/passwd", "a\\b\\passwd", "/etc/passwd"):
        bench = make_bench(SCOPE, "return context.jira.download('OPS-3', event['file']).name")
        [attachment] = bench.site.find_issue("OPS-3").attachments
        bench.site.media.issues[attachment.id] = Bytes(said, "text/plain", b"x")
        assert bench.send({"file": attachment.id}).result == "passwd"


# ------------------------------------------------------------------------------------------------- a further attempt


@pytest.mark.parametrize("kind", ["issue", "page"])
@pytest.mark.parametrize("made", [True, False])
def test_an_upload_of_which_nobody_knows_is_looked_up_and_made_once(make_bench: Make, kind: str, made: bool) -> None:
    bench = make_bench(SCOPE, ATTACH if kind == "issue" else PAGE_ATTACH)
    bench.fault("reset-after" if made else "reset-before", "addAttachment")
    bench.fault("reset-after" if made else "reset-before", "createOrUpdateAttachments")
    delivery = bench.accept(own_page(bench))
    assert bench.attempt(delivery).state == "waiting"
    [report] = bench.finish(delivery)
    assert (report.state, report.result) == ("done", "report.csv"), report.reason
    assert len(files_of(bench, "OPS-1")) + len(versions_of(bench)) == 1
    [outcome] = bench.entries(delivery, "step:outcome")
    assert outcome.get("found") is (True if made else None)
    assert len(bench.wire.writes) == (1 if made else 2)


def test_a_second_equal_file_is_not_taken_for_the_first(make_bench: Make) -> None:
    bench = make_bench(SCOPE, f"{ATTACH.removeprefix('return ')}\n{ATTACH}")
    bench.fault("reset-before", "addAttachment", skip=1)
    delivery = bench.accept()
    bench.attempt(delivery)
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert len(files_of(bench, "OPS-1")) == 2


def test_two_equal_files_that_nobody_can_tell_apart_wait_for_a_person(make_bench: Make) -> None:
    bench = make_bench(SCOPE, ATTACH)
    bench.fault("reset-after", "addAttachment")
    delivery = bench.accept()
    bench.attempt(delivery)
    issue = bench.site.find_issue("OPS-1")
    issue.attachments.append(issue.attachments[-1])
    [report] = bench.finish(delivery)
    assert report.state == "parked"
    assert "two equal files by this account" in report.reason


def test_a_file_of_another_size_or_author_is_not_ours(make_bench: Make) -> None:
    from dataclasses import replace

    bench = make_bench(SCOPE, ATTACH)
    bench.fault("reset-before", "addAttachment")
    delivery = bench.accept()
    bench.attempt(delivery)
    issue = bench.site.find_issue("OPS-1")
    other = bench.site.find_issue("OPS-3").attachments[0]
    bot, now = bench.site.account("ops-bot").id, bench.site.now()
    issue.attachments += [
        replace(other, id="1", name="report.csv", size=5, author=bot, created=now),
        replace(other, id="2", name="report.csv", size=4, created=now),
        replace(other, id="3", name="other.csv", size=4, author=bot, created=now),
    ]
    [report] = bench.finish(delivery)
    assert report.state == "done"
    assert bench.executed("addAttachment") == 1


def test_anothers_newer_version_of_the_file_hides_ours_only_until_the_versions_are_read(make_bench: Make) -> None:
    from dataclasses import replace

    bench = make_bench(SCOPE, PAGE_ATTACH)
    bench.fault("reset-after", "createOrUpdateAttachments")
    delivery = bench.accept(own_page(bench))
    bench.attempt(delivery)
    [versions] = bench.site.media.pages.values()
    versions.append(replace(versions[0], number=2, comment="mine", author=bench.site.account("Mia Keller").id))
    [report] = bench.finish(delivery)
    assert report.state == "done", report.reason
    assert bench.executed("createOrUpdateAttachments") == 1


def test_an_attempt_that_asks_with_another_file_diverges(make_bench: Make) -> None:
    bench = make_bench(SCOPE)
    bench.write(SCOPE, "context.jira.attach('OPS-1', context.file('a.txt', 'one'))\ncontext.later(5)")
    delivery = bench.accept()
    bench.attempt(delivery)
    for handle in (
        "context.jira.attach('OPS-1', context.file('a.txt', 'two'))",
        "context.jira.attach('OPS-1', context.file('b.txt', 'one'))",
    ):
        bench.write(SCOPE, handle)
        bench._set(delivery, state="waiting")
        bench.let_time_pass(delivery)
        report = bench.attempt(delivery)
        assert report.state == "parked"
        assert "step 1 diverged" in report.reason
    assert len(files_of(bench, "OPS-1")) == 1


def test_a_file_that_is_no_longer_kept_parks_the_step_and_sends_nothing(make_bench: Make) -> None:
    bench = make_bench(SCOPE)
    bench.write(SCOPE, f"context.jira.attach('OPS-1', {{'digest': {DIGEST!r}, 'name': 'a.txt'}})")
    report = bench.send()
    assert report.state == "parked"
    assert report.reason == "step 1: the file a.txt is not in the spool, or no longer"
    assert bench.wire.writes == []


# --------------------------------------------------------------------------------------------------- hostile workers


def spooled(bench: Any, claim: Any, content: bytes, **changes: str) -> httpx.Response:
    """Send a file as a worker does."""
    who = {"delivery": claim["delivery"], "attempt": str(claim["attempt"]), **changes}
    headers = {"Authorization": f"Bearer {claim['capability']}"}
    found: httpx.Response = bench.client.post("/spool", params=who, content=content, headers=headers)
    return found


def test_a_worker_may_send_and_read_back_the_files_of_its_own_delivery_only(make_bench: Make) -> None:
    bench = make_bench(SCOPE, ATTACH)
    claim, other = bench.claim(bench.accept()), bench.claim(bench.accept())
    assert spooled(bench, claim, REPORT).json() == {"digest": DIGEST, "size": 4}
    assert bench.post("/spool/read", claim, digest=DIGEST).content == REPORT
    assert bench.post("/spool/read", other, digest=DIGEST).status_code == 404
    assert bench.post("/spool/read", claim, digest="0" * 64).status_code == 404
    for bad in (5, None, "../../etc/passwd", "x" * 65, ["a"]):
        assert bench.post("/spool/read", claim, digest=bad).status_code in {400, 404}
    assert spooled(bench, {**claim, "capability": other["capability"]}, REPORT).status_code == 409
    assert spooled(bench, claim, REPORT, delivery=other["delivery"]).status_code == 409
    for changes in ({"attempt": "2"}, {"attempt": "x"}, {"delivery": "../.."}, {"attempt": "9" * 30}):
        assert spooled(bench, claim, REPORT, **changes).status_code in {400, 409}
    assert bench.client.post("/spool", content=REPORT).status_code == 400


def test_a_file_that_is_too_large_for_the_spool_is_refused(make_bench: Make) -> None:
    bench = make_bench(SCOPE, ATTACH, largest_file=1024)
    claim = bench.claim(bench.accept())
    assert spooled(bench, claim, b"x" * 1025).status_code == 413
    assert spooled(bench, claim, b"x" * 1024).status_code == 200
    report = make_bench(SCOPE, "context.file('a', 'x' * 2000)", largest_file=1024).send()
    assert "more than 1024 bytes" in report.reason


PATH, COMMENT = "/rest/api/3/issue/OPS-1/attachments", "/rest/api/3/issue/OPS-1/comment"
HANDLE = {"digest": DIGEST, "name": "a.txt", "type": "text/plain"}


@pytest.mark.parametrize(
    "file",
    [
        {},
        [],
        "a.txt",
        {**HANDLE, "path": "/etc/passwd"},
        {**HANDLE, "digest": "../../etc/passwd"},
        {**HANDLE, "digest": DIGEST.upper()},
        {**HANDLE, "name": "../a"},
        {**HANDLE, "name": 'a"\r\nX: y'},
        {**HANDLE, "type": "text/plain\r\nX-Header: y"},
        {**HANDLE, "type": "text"},
        {**HANDLE, "type": None},
    ],
    ids=json.dumps,
)
def test_an_envelope_with_what_is_no_handle_is_refused(make_shared_bench: Make, file: Any) -> None:
    bench = make_shared_bench(SCOPE, ATTACH)
    claim = bench.claim(bench.accept())
    answer = bench.call(claim, 1, "POST", PATH, file=file)
    assert answer.status_code == 400
    assert "file" in answer.json()["detail"]
    assert bench.wire.requests == []


@pytest.mark.parametrize(
    ("method", "path", "body", "file", "said"),
    [
        ("POST", PATH, None, None, "addAttachment wants a file"),
        ("POST", PATH, {"file": "x"}, None, "addAttachment wants a file"),
        ("POST", COMMENT, {"body": {"type": "doc", "version": 1, "content": []}}, HANDLE, "addComment takes no file"),
        ("GET", "/rest/api/3/issue/OPS-1", None, HANDLE, "getIssue takes no file"),
    ],
)
def test_a_file_goes_with_uploads_only_and_with_each_of_them(
    make_bench: Make, method: str, path: str, body: Any, file: Any, said: str
) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read", "attach", "comment", "addAttachment"]', ATTACH)
    claim = bench.claim(bench.accept())
    spooled(bench, claim, REPORT)
    answer = bench.call(claim, 1, method, path, body, file=file)
    assert answer.status_code == 403, answer.text
    assert answer.json()["refused"].startswith(said) or "body" in answer.json()["refused"]
    assert bench.wire.writes == []


def test_only_what_the_scope_grants_is_attached_and_fetched(make_bench: Make) -> None:
    bench = make_bench('[scope.jira]\nOPS = ["read"]', ATTACH)
    assert "does not grant attach in OPS" in bench.send().reason
    bench.write('[scope.jira]\nOPS = ["attach"]', "context.jira.download('OPS-3', '10801')")
    assert "does not grant download in OPS" in bench.send().reason
    bench.write('[scope.jira]\nOPS = ["attach"]', ATTACH.replace("OPS-1", "OPS-99"))
    assert "in HR" in bench.send().reason, "a moved issue is where it is"
    assert bench.wire.writes == []
