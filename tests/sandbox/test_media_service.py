"""Attachments in the sandbox: forms in, redirects out, and a media service that notes which credentials it sees."""

from io import BytesIO

import pytest
from flask.testing import FlaskClient

from bridge.sandbox.records import Page
from bridge.sandbox.site import Site
from tests.sandbox.conftest import Api

PATH = "/rest/api/3/issue/OPS-1/attachments"


def file(content: bytes = b"the log", name: str = "a.log", kind: str = "text/x-log") -> dict[str, object]:
    """A form with one file."""
    return {"file": (BytesIO(content), name, kind)}


def test_what_was_attached_is_served_by_the_address_of_the_redirect(jira: Api, client: FlaskClient, site: Site) -> None:
    [made] = jira.send("POST", PATH, form=file()).get_json()
    assert (made["filename"], made["size"], made["mimeType"]) == ("a.log", 7, "text/x-log")
    location = jira.get(f"/rest/api/3/attachment/content/{made['id']}").headers["Location"]
    answer = client.get(location)
    assert (answer.data, answer.mimetype) == (b"the log", "text/x-log")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a.log"
    assert (site.media.served, site.media.shown) == (1, [])


def test_a_credential_that_reaches_the_media_service_is_noted(jira: Api, client: FlaskClient, site: Site) -> None:
    [made] = jira.send("POST", PATH, form=file()).get_json()
    location = jira.get(f"/rest/api/3/attachment/content/{made['id']}").headers["Location"]
    client.get(location, headers={"Authorization": "Bearer x", "Proxy-Authorization": "z"})
    client.get("/media/file/unknown/binary", headers={"Authorization": "Bearer x"})
    assert site.media.shown == ["Authorization", "Proxy-Authorization", "Authorization"]


def test_files_of_the_seed_have_as_many_bytes_as_they_say(jira: Api, client: FlaskClient, site: Site) -> None:
    found = site.find_issue("OPS-3")
    assert found is not None
    [attachment] = found.attachments
    location = jira.get(f"/rest/api/3/attachment/content/{attachment.id}").headers["Location"]
    assert len(client.get(location).data) == attachment.size


@pytest.mark.parametrize("token", ["", "yes"])
def test_a_form_without_the_header_against_forged_requests_is_refused(jira: Api, token: str) -> None:
    answer = jira.send("POST", PATH, form=file(), headers={"X-Atlassian-Token": token})
    assert answer.status_code == 403


def test_what_the_account_may_not_do_is_refused(jira: Api, site: Site) -> None:
    assert jira.send("POST", "/rest/api/3/issue/HR-1/attachments", form=file()).status_code == 403
    site.grant("ops-bot", (), project="HR")
    assert jira.send("POST", "/rest/api/3/issue/HR-1/attachments", form=file()).status_code == 404


def test_json_is_no_file(jira: Api) -> None:
    assert jira.post(PATH, {"file": "x"}).status_code == 415
    assert jira.send("POST", PATH, form={"other": "x"}).status_code == 415


def test_a_page_keeps_versions_of_a_file_by_its_name(confluence: Api, client: FlaskClient, runbook: Page) -> None:
    path = f"/wiki/rest/api/content/{runbook.id}/child/attachment"
    for content in (b"one", b"two"):
        answer = confluence.send("PUT", path, form={**file(content), "minorEdit": "false", "comment": content.decode()})
        assert answer.status_code == 200
    [listed] = confluence.get(f"/wiki/api/v2/pages/{runbook.id}/attachments").get_json()["results"]
    assert (listed["title"], listed["comment"], listed["version"]["number"]) == ("a.log", "two", 2)
    shown = confluence.get(f"/wiki/api/v2/attachments/{listed['id']}/versions").get_json()["results"]
    assert [each["message"] for each in shown] == ["two", "one"]
    for query, content in (({}, b"two"), ({"version": "1"}, b"one")):
        answer = confluence.get(f"{path}/{listed['id']}/download", **query)
        assert client.get(answer.headers["Location"]).data == content


def test_a_file_is_found_on_its_own_page_only(confluence: Api, runbook: Page, site: Site) -> None:
    path = f"/wiki/rest/api/content/{runbook.id}/child/attachment"
    [made] = confluence.send("PUT", path, form={**file(), "minorEdit": "true"}).get_json()["results"]
    other = next(page.id for page in site.pages.values() if page.title == "Runbooks")
    answer = confluence.get(f"/wiki/rest/api/content/{other}/child/attachment/{made['id']}/download")
    assert answer.status_code == 404


def test_a_taken_name_is_refused_where_no_version_is_meant(confluence: Api, runbook: Page) -> None:
    path = f"/wiki/rest/api/content/{runbook.id}/child/attachment"
    assert confluence.send("POST", path, form={**file(), "minorEdit": "true"}).status_code == 200
    assert confluence.send("POST", path, form={**file(), "minorEdit": "true"}).status_code == 400
    assert confluence.send("PUT", path, form=file()).status_code == 415, "minorEdit is required"


def test_files_are_forgotten_with_everything_else(jira: Api, site: Site) -> None:
    jira.send("POST", PATH, form=file())
    site.reset()
    assert site.media.issues == {}
