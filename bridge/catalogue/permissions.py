"""Which project or space permissions an account needs for operations: the names an administrator ticks.

An OAuth scope lets a token knock; what the account may do behind the door is decided by its permissions in each project
and space. Atlassian tells them in the descriptions of the operations, under "Permissions", in prose; the names here are
those of Jira's permission schemes and of Confluence's space permissions:
https://support.atlassian.com/jira-cloud-administration/docs/manage-project-permissions/ and
https://support.atlassian.com/confluence-cloud/docs/assign-space-permissions/.
"""

from collections.abc import Mapping

from bridge.catalogue.operations import Operation

BROWSE, VIEW = "Browse projects", "View"

# What an operation needs besides seeing the project or space.
NAMED: Mapping[str, tuple[str, ...]] = {
    # Jira
    "addAttachment": ("Create attachments",),
    "addComment": ("Add comments",),
    "addVote": (),
    "addWatcher": ("Manage watcher list",),
    "addWorklog": ("Work on issues",),
    "assignIssue": ("Assign issues", "Assignable user"),
    "createComponent": ("Administer projects",),
    "createIssue": ("Create issues",),
    "createOrUpdateRemoteIssueLink": ("Link issues",),
    "createVersion": ("Administer projects",),
    "deleteAndReplaceVersion": ("Administer projects",),
    "deleteComment": ("Delete all comments",),
    "deleteIssue": ("Delete issues",),
    "deleteIssueLink": ("Link issues",),
    "deleteIssueProperty": ("Edit issues",),
    "deleteProjectProperty": ("Administer projects",),
    "deleteRemoteIssueLinkByGlobalId": ("Link issues",),
    "deleteRemoteIssueLinkById": ("Edit issues", "Link issues"),
    "deleteVersion": ("Administer projects",),
    "deleteWorklog": ("Delete all worklogs",),
    "doTransition": ("Transition issues",),
    "editIssue": ("Edit issues",),
    "getCommentsByIds": (),
    "getIssueWatchers": ("View voters and watchers",),
    "getTransitions": ("Transition issues",),
    "linkIssues": ("Link issues",),
    "removeAttachment": ("Delete all attachments",),
    "removeWatcher": ("Manage watcher list",),
    "searchAndReconsileIssuesUsingJqlPost": (),
    "setIssueProperty": ("Edit issues",),
    "setProjectProperty": ("Administer projects",),
    "setUserProperty": (),
    "updateComment": ("Edit all comments",),
    "updateVersion": ("Administer projects",),
    "updateWorklog": ("Edit all worklogs",),
    # Boards
    "createSprint": ("Manage sprints",),
    "deleteSprint": ("Manage sprints",),
    "moveIssuesToBacklog": ("Schedule issues",),
    "moveIssuesToBacklogForBoard": ("Schedule issues",),
    "moveIssuesToBoard": ("Schedule issues",),
    "moveIssuesToSprintAndRank": ("Edit issues", "Schedule issues"),
    "partiallyUpdateSprint": ("Manage sprints",),
    "rankIssues": ("Schedule issues",),
    "updateSprint": ("Manage sprints",),
    # Service desk
    "addCustomers": ("Administer projects",),
    "addOrganization": ("Service project agent",),
    "addRequestParticipants": ("Service project agent",),
    "addUsersToOrganization": ("Service project agent",),
    "answerApproval": (),
    "createCustomer": ("Administer Jira (global)",),
    "createCustomerRequest": ("Service project agent",),
    "createOrganization": ("Service project agent",),
    "createRequestComment": ("Add comments",),
    "removeRequestParticipants": ("Service project agent",),
    "removeUsersFromOrganization": ("Service project agent",),
    # Confluence
    "addContentWatcher": ("Admin",),
    "addLabelsToContent": ("Add pages",),
    "addRestrictions": ("Add and delete restrictions",),
    "archivePages": ("Archive pages",),
    "copyPage": ("Add pages",),
    "copyPageHierarchy": ("Add pages",),
    "createAttachment": ("Add attachments",),
    "createFooterComment": ("Add comments",),
    "createOrUpdateAttachments": ("Add attachments",),
    "createPage": ("Add pages",),
    "createPageProperty": ("Add pages",),
    "createSpace": ("Create spaces (a global permission)",),
    "createSpaceProperty": ("Admin",),
    "deleteAttachment": ("Delete attachments",),
    "deleteFooterComment": ("Delete comments",),
    "deletePage": ("Delete pages",),
    "deletePagePropertyById": ("Add pages",),
    "deletePageTree": ("Delete pages",),
    "deleteRestrictions": ("Add and delete restrictions",),
    "deleteSpacePropertyById": ("Admin",),
    "movePage": ("Add pages",),
    "publishSharedDraft": ("Add pages",),
    "removeContentWatcher": ("Admin",),
    "removeContentState": ("Add pages",),
    "removeGroupFromContentRestriction": ("Add and delete restrictions",),
    "removeLabelFromContent": ("Add pages",),
    "removeLabelFromContentUsingQueryParameter": ("Add pages",),
    "removeUserFromContentRestriction": ("Add and delete restrictions",),
    "setContentState": ("Add pages",),
    "setSpaceRoleAssignments": ("Admin",),
    "updateFooterComment": ("Add comments",),
    "updatePage": ("Add pages",),
    "updatePagePropertyById": ("Add pages",),
    "updatePageTitle": ("Add pages",),
    "updateRestrictions": ("Add and delete restrictions",),
    "updateSpacePropertyById": ("Admin",),
    "updateTask": ("Add pages",),
}


def permissions(operation: Operation) -> tuple[str, ...] | None:
    """Return the permissions that an operation needs in the project or space of its target; None if not known here."""
    see = VIEW if operation.site_product == "confluence" else BROWSE
    besides = NAMED.get(operation.operation_id)
    if besides is None and operation.method != "GET":
        return None
    return (see, *(besides or ()))
