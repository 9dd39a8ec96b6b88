"""What actions are called where people read, by component type."""

from bridge.catalogue import unavailable


def title_of(kind: str) -> str:
    """Return what an action's type is called in Automation, or the type itself."""
    known = unavailable.by_type().get(kind)
    return known.title if known is not None else _TITLES.get(kind, kind)


_TITLES = {
    "jira.issue.transition": "Transition work item",
    "jira.issue.edit": "Edit work item",
    "jira.issue.create": "Create work item",
    "jira.issue.clone": "Clone work item",
    "jira.issue.create.subtasks": "Create sub-tasks",
    "jira.issue.comment": "Comment on work item",
    "jira.issue.assign": "Assign work item",
    "jira.issue.link": "Link work items",
    "jira.lookup.issues": "Lookup work items",
    "jira.issue.refresh.issue": "Re-fetch work item data",
    "jira.auto.approve.action": "Approve / decline request",
    "jira.worklog.add": "Log work",
    "jira.issue.add.watcher": "Manage watchers",
}
