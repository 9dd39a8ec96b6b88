"""Comment on a page and keep a property with the comment."""

from bridge import Context, Event


def handle(event: Event, context: Context) -> str:
    """Make two actions; no verb knows the second, so it is granted by its operationId."""
    made = context.confluence.comment(event["page"]["id"], event["tag"])["id"]
    path = f"/wiki/api/v2/comments/{made}/properties"
    context.confluence.request("POST", path, body={"key": event["tag"], "value": event["tag"]})
    return str(made)
