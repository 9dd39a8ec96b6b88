"""The two client libraries that most scripts use, given the address and a token and nothing else, over real HTTP.

They were written against live sites and know nothing of this one: what they can do here is what they can do there. The
library ``jira`` speaks version 2 of the platform API. ``atlassian-python-api`` has a class for each version; for the
gateway's own host name its ``Confluence`` chooses the v2 API by itself, and ``ConfluenceV2`` is the class it chooses.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from atlassian import Confluence, ConfluenceV2, Jira, JiraCloud
from jira import JIRA
from requests import HTTPError

from bridge.sandbox import seed
from bridge.sandbox.document import paragraphs

pytestmark = pytest.mark.processes
JIRA_TOKEN, CONFLUENCE_TOKEN = "a-token-for-jira", "a-token-for-confluence"
SCOPES = {"jira": seed.JIRA_SCOPES, "confluence": seed.CONFLUENCE_SCOPES}


@dataclass(frozen=True)
class Server:
    """A running sandbox."""

    base: str
    cloud_id: str

    @property
    def jira(self) -> str:
        return f"{self.base}/ex/jira/{self.cloud_id}"

    @property
    def confluence(self) -> str:
        return f"{self.base}/ex/confluence/{self.cloud_id}/wiki"

    def state(self) -> Any:
        return httpx.get(f"{self.base}/sandbox/state").json()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """A gunicorn with the sandbox on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tokens = {
            text: {"account": seed.BOT, "products": [product], "scopes": sorted(SCOPES[product])}
            for text, product in ((JIRA_TOKEN, "jira"), (CONFLUENCE_TOKEN, "confluence"))
        }
        variables = {**os.environ, "BRIDGE_SANDBOX_TOKENS": json.dumps(tokens)}
        options = ["--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread", "--threads", "4"]
        command = [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "bridge.sandbox.app:wsgi()"]
        process = subprocess.Popen(
            command, env=variables, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            # The listening socket is open before gunicorn runs, so the first request simply waits for its answer.
            yield Server(base, httpx.get(f"{base}/_edge/tenant_info", timeout=30).json()["cloudId"])
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
    assert b"Traceback" not in output, output.decode()


@pytest.fixture
def server(running: Server) -> Server:
    """The server with its first contents."""
    httpx.post(f"{running.base}/sandbox/reset")
    return running


@pytest.fixture
def jira(server: Server) -> Iterator[JIRA]:
    client = JIRA(server=server.jira, token_auth=JIRA_TOKEN, max_retries=0)
    yield client
    client.close()


@pytest.fixture
def confluence_v2(server: Server) -> Iterator[ConfluenceV2]:
    # It warns of its own older methods whenever it is made.
    with pytest.warns(DeprecationWarning, match="V1 methods are deprecated"):
        client = ConfluenceV2(server.confluence, token=CONFLUENCE_TOKEN)
    yield client
    client.close()


@pytest.fixture
def confluence(server: Server) -> Iterator[Confluence]:
    client = Confluence(server.confluence, token=CONFLUENCE_TOKEN)
    yield client
    client.close()


def test_jira_creates_reads_and_updates_an_issue_in_wiki_markup(jira: JIRA, server: Server) -> None:
    assert jira.server_info()["deploymentType"] == "Cloud"
    issue = jira.create_issue(project="OPS", issuetype="Bug", summary="Made", description="One *word*\nTwo\n\nThree")
    assert issue.fields.description == "One *word*\nTwo\n\nThree"
    issue.update(fields={"summary": "Changed", "description": "h2. Why"}, update={"labels": [{"add": "client"}]})
    assert (issue.fields.summary, issue.fields.labels) == ("Changed", ["client"])
    assert jira.issue(issue.key).fields.description == "h2. Why"
    kept = server.state()["issues"][issue.key]
    assert kept["creator_name"] == "ops-bot"
    assert kept["fields"]["description"]["content"][0]["type"] == "heading"


def test_jira_searches_page_by_page_and_by_the_names_people_use(jira: JIRA) -> None:
    found = jira.search_issues("project = OPS ORDER BY key", maxResults=0)
    assert [issue.key for issue in found] == [f"OPS-{number}" for number in range(1, 6)]
    first = jira.search_issues("project = OPS ORDER BY key", maxResults=2)
    assert [issue.key for issue in first] == ["OPS-1", "OPS-2"]
    [change] = jira.search_issues("project = CHG", fields=["summary", "Risk"])
    assert change.raw["fields"]["Risk"]["value"] == "Moderate"


def test_jira_comments_assigns_and_transitions(jira: JIRA, server: Server) -> None:
    comment = jira.add_comment("OPS-2", "Seen by _Jonas_")
    assert comment.body == "Seen by _Jonas_"
    assert [each.body for each in jira.comments("OPS-2")][-1] == "Seen by _Jonas_"
    assert jira.assign_issue("OPS-2", "Mia Keller")
    jira.transition_issue("OPS-2", "Start work", comment="On it")
    issue = jira.issue("OPS-2", expand="changelog")
    assert (issue.fields.status.name, issue.fields.assignee.displayName) == ("In Progress", "Mia Keller")
    assert [each["text"] for each in server.state()["issues"]["OPS-2"]["comments"]][-2:] == ["Seen by Jonas", "On it"]


def test_jira_logs_work_links_issues_and_mends_a_comment(jira: JIRA) -> None:
    assert jira.add_worklog("OPS-1", timeSpentSeconds=600, comment="Looked *hard*").comment == "Looked *hard*"
    jira.create_issue_link("Blocks", "OPS-1", "OPS-2")
    assert [link.outwardIssue.key for link in jira.issue("OPS-1").fields.issuelinks] == ["OPS-2"]
    comment = jira.add_comment("OPS-1", "Frist")
    comment.update(body="First")
    assert jira.comment("OPS-1", comment.id).body == "First"


def test_jira_finds_out_what_there_is(jira: JIRA) -> None:
    assert [project.key for project in jira.projects()] == ["CHG", "HR", "OPS"]
    assert [version.name for version in jira.project_versions("OPS")] == ["2026.11", "2026.12"]
    assert [status.name for status in jira.statuses()] == ["To Do", "In Progress", "Done"]
    assert jira.priorities()[0].name == "Highest"
    assert "Incident" in {kind.name for kind in jira.issue_types_for_project("OPS")}
    assert jira.user(jira.current_user()).displayName == "ops-bot"
    assert "description" in jira.editmeta("OPS-1")["fields"]


def test_jira_of_atlassian_python_api_creates_reads_searches_and_updates(server: Server) -> None:
    with Jira(server.jira, token=JIRA_TOKEN, cloud=True) as client:
        fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Made", "description": "Why"}
        key = client.create_issue(fields=fields)["key"]
        assert client.issue(key)["fields"]["description"] == "Why"
        client.update_issue_field(key, {"description": "Because"})
        assert client.issue_field_value(key, "description") == "Because"
        client.issue_add_comment(key, "Said")
        client.set_issue_status(key, "In Progress")
        client.assign_issue(key, client.myself()["accountId"])
        assert client.get_issue_status(key) == "In Progress"
        assert [issue["key"] for issue in client.jql("assignee = currentUser()")["issues"]] == [key]
        assert [project["key"] for project in client.projects()] == ["CHG", "HR", "OPS"]


def test_jira_cloud_of_atlassian_python_api_speaks_documents(server: Server) -> None:
    with JiraCloud(server.jira, token=JIRA_TOKEN) as client:
        fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Made"}
        key = client.create_issue(data={"fields": {**fields, "description": paragraphs("Why")}})["key"]
        client.edit_issue(key, data={"fields": {"description": paragraphs("Because")}})
        assert client.get_issue(key, fields="description")["fields"]["description"] == paragraphs("Because")
        assert client.enhanced_jql_get_list_of_tickets("summary ~ Made", fields=["summary"])[0]["key"] == key


def test_confluence_creates_reads_finds_and_updates_a_page(confluence_v2: ConfluenceV2, server: Server) -> None:
    space = confluence_v2.get_space_by_key("ENG")
    page = confluence_v2.create_page(space["id"], "Made", "<p>One <strong>word</strong></p>")
    read = confluence_v2.get_page_by_id(page["id"], body_format="storage")
    assert read["body"]["storage"]["value"] == "<p>One <strong>word</strong></p>"
    assert confluence_v2.get_page_id("ENG", "Made") == page["id"]
    confluence_v2.update_page(page["id"], title="Made", body="<p>Two</p>", status="current", version=1)
    kept = server.state()["pages"][page["id"]]
    assert [(version["author_name"], version["text"]) for version in kept["versions"]] == [
        ("ops-bot", "One word"),
        ("ops-bot", "Two"),
    ]
    titles = {each["title"] for each in confluence_v2.get_pages(space_id=space["id"], body_format="storage", limit=2)}
    assert {"Made", "Runbooks", "Restart the mail gateway", "Incident reviews"} <= titles


def test_confluence_searches_by_cql_and_labels_a_page(confluence: Confluence) -> None:
    found = confluence.cql('space = ENG and title ~ "gateway"', expand="content.space")
    [page] = [hit["content"] for hit in found["results"]]
    assert (page["title"], page["space"]["key"]) == ("Restart the mail gateway", "ENG")
    confluence.set_page_label(page["id"], "checked")
    assert confluence.cql("label = checked")["totalSize"] == 1
    first, second = (confluence.cql("space = ENG order by title", start=start, limit=2) for start in (0, 2))
    titles = [hit["title"] for hit in [*first["results"], *second["results"]]]
    assert titles == ["Engineering", "Incident reviews", "Restart the mail gateway", "Runbooks"]
    assert confluence.get_current_user()["displayName"] == "ops-bot"


def test_confluence_given_the_gateways_own_name_writes_by_the_v2_api(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sandbox stands in as a proxy: the library chooses its API by the host name alone.
    monkeypatch.setenv("http_proxy", server.base)
    address = f"http://api.atlassian.com/ex/confluence/{server.cloud_id}/wiki"
    with pytest.warns(DeprecationWarning, match="V1 methods are deprecated"):
        client = Confluence(address, token=CONFLUENCE_TOKEN)
    with client:
        page = client.create_page(client.get_space_by_key("ENG")["id"], "Made", "<p>One</p>")
        assert client.get_page_by_id(page["id"])["title"] == "Made"


def test_what_atlassian_has_removed_is_told_as_the_gateway_tells_it(confluence: Confluence, server: Server) -> None:
    with pytest.raises(HTTPError, match="This deprecated endpoint has been removed") as caught:
        confluence.create_page("ENG", "Made", "<p>One</p>")
    assert caught.value.response.status_code == 410
    with (
        Jira(server.jira, token=JIRA_TOKEN) as client,
        pytest.raises(HTTPError, match="migrate to the /rest/api/3/search/jql API"),
    ):
        client.jql("project = OPS")
