"""``context.confluence``: everything a handler can do in Confluence, gathered from its families."""

from collections.abc import Mapping
from typing import Any

from bridge.rule.confluence_access import Access
from bridge.rule.confluence_comments import Comments
from bridge.rule.confluence_details import Details
from bridge.rule.confluence_pages import Pages
from bridge.rule.confluence_properties import Properties
from bridge.rule.confluence_reads import Reads
from bridge.rule.confluence_spaces import Spaces
from bridge.rule.confluence_tree import Tree
from bridge.rule.files import ConfluenceFiles
from bridge.rule.request import free_request


class Confluence(ConfluenceFiles, Spaces, Properties, Access, Details, Tree, Reads, Comments, Pages):
    """Confluence as the service account of the rule; every method is one action, or reads and then one action."""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        step: str | None = None,
    ) -> Any:
        """Call any catalogued operation that the scope names by its operationId, and return the body of the answer."""
        return self._caller.call(free_request("confluence", method, path, query, body, step=step)).body
