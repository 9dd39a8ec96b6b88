"""Read a work item and comment on it; raise where the payload is poisoned."""

from bridge import Context, Event


def handle(event: Event, context: Context) -> str:
    """Make one action."""
    if event["poison"]:
        raise LookupError("poisoned")
    status = context.jira.issue(event["at"], "status")["fields"]["status"]["name"]
    context.jira.comment(event["at"], event["tag"])
    return str(status)
