"""``context.jira``: everything a handler can do in Jira, gathered from its families."""

from collections.abc import Mapping
from typing import Any

from bridge.rule.files import JiraFiles
from bridge.rule.jira_boards import Boards
from bridge.rule.jira_clone import Clones
from bridge.rule.jira_comments import Comments
from bridge.rule.jira_customers import Customers
from bridge.rule.jira_history import History
from bridge.rule.jira_issues import Issues
from bridge.rule.jira_links import Links
from bridge.rule.jira_people import People
from bridge.rule.jira_properties import Properties
from bridge.rule.jira_requests import Requests
from bridge.rule.jira_versions import Versions
from bridge.rule.jira_work import Work
from bridge.rule.request import free_request


class Jira(
    JiraFiles, Customers, Requests, Boards, Versions, Properties, Work, People, Links, Clones, History, Comments, Issues
):
    """Jira as the service account of the rule; every method is one action, or reads and then one action."""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        step: str | None = None,
    ) -> Any:
        """Call any catalogued operation that the scope names by its operationId, and return the body of the answer."""
        return self._caller.call(free_request("jira", method, path, query, body, step=step)).body
