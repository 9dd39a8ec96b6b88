"""What egress asks of a site for itself: where a target is, and whether a write in doubt was made.

These reads need OAuth scopes like any other, and nobody sees them in a rule. Egress asks exactly them
(``egress/places.py``, ``egress/resolvers/``); whoever reckons a credential's OAuth scopes counts them in.
"""

from collections.abc import Mapping

from bridge.catalogue.operations import Operation, locate, operations
from bridge.catalogue.verbs import Verb

# By Verb.container; a container that is not here is told by the request itself.
PLACES: Mapping[str, tuple[str, ...]] = {
    "issue": ("getIssue",),
    "issue-in-query": ("getIssue",),
    "issue-link": ("getIssueLink", "getIssue"),
    "project": ("getProject",),
    "project-in-body": ("getProject",),
    "project-id-in-body": ("getProject",),
    "version": ("getVersion", "getProject"),
    "service-desk": ("getServiceDeskById",),
    "service-desk-in-body": ("getServiceDeskById",),
    "page": ("getPageById", "getSpaceById"),
    "page-in-body": ("getPageById", "getSpaceById"),
    "page-in-query": ("getPageById", "getSpaceById"),
    "space": ("getSpaceById",),
    "space-in-body": ("getSpaceById",),
    "comment-on-page": ("getFooterCommentById", "getPageById", "getSpaceById"),
    "task": ("getTaskById", "getPageById", "getSpaceById"),
    "template": ("getContentTemplate",),
}
# What a reference in the body or path is asked by, for each product.
REFERENCES: Mapping[str, tuple[str, ...]] = {"jira": ("getIssue",), "confluence": ("getPageById", "getSpaceById")}
# By Verb.resolver; ``gone`` asks for the very thing that was deleted and for what held it, as ``PLACES`` does for its
# container; ``repeat`` asks nothing.
LOOK_UPS: Mapping[str, tuple[str, ...]] = {
    "comment": ("getComments", "getCommentsByIds"),
    "issue-created": ("searchAndReconsileIssuesUsingJqlPost",),
    "transition": ("getChangeLogs",),
    "web-link": (),
    "worklog": ("getIssueWorklog",),
    "page-created": ("getPages",),
    "page-version": ("getPageVersions", "getPageById"),
    "footer-comment": ("getPageFooterComments", "getFooterCommentVersions"),
    "comment-version": ("getFooterCommentVersions", "getFooterCommentById"),
    "label-removed": ("getPageLabels",),
    "page-archived": ("getPageById",),
    "page-copied": ("getPageById", "getPages"),
    "page-property": ("getPageContentProperties", "getPageContentPropertiesById", "getPageById"),
    "page-status": ("getContentState",),
    "space-created": ("getSpaces",),
    "space-property": ("getSpaceProperties", "getSpacePropertyById", "getSpaceById"),
    "tree-copied": ("getPageById", "getPages"),
    "version-created": ("getProjectVersions",),
    "sprint-created": ("getAllSprints",),
    "sprint-state": ("getSprint",),
    "request-comment": ("getRequestComments",),
    "request-created": (
        "getServiceDeskById",
        "searchAndReconsileIssuesUsingJqlPost",
        "getCustomerRequestByIdOrKey",
    ),
    "approval": ("getApprovalById",),
    "attachment": ("getIssue",),
    "page-file": ("getPageAttachments", "getAttachmentVersions"),
    "customer-created": ("findUsers",),
    "organization-created": ("GET /rest/servicedeskapi/organization",),
}


def places(verb: Verb) -> tuple[Operation, ...]:
    """Return what is asked to find where the targets of a verb are."""
    named = [*PLACES.get(verb.container, ())]
    if verb.container == "references" or verb.references:
        named += REFERENCES[verb.product]
    return tuple(locate(verb.product, operation_id) for operation_id in dict.fromkeys(named))


def look_ups(verb: Verb) -> tuple[Operation, ...]:
    """Return what is asked when nobody knows whether a write of a verb was made."""
    if verb.resolver == "gone":
        paths = {locate(verb.product, each).path for each in verb.operations}
        return tuple(each for each in operations() if each.method == "GET" and each.path in paths)
    return tuple(locate(verb.product, operation_id) for operation_id in LOOK_UPS.get(verb.resolver or "", ()))
