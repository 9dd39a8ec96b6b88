"""Make a work item, move it along, comment on it over a set, edit it, assign it, log work on it."""

from bridge import Context, Event


def handle(event: Event, context: Context) -> str:
    """Make eight actions; workers start without hash randomisation, so that a set has one order."""
    tag = event["tag"]
    key = context.jira.create("OPS", "Task", tag)["key"]
    context.jira.transition(key, "In Progress")
    for word in set(f"{tag} alpha,{tag} beta,{tag} gamma".split(",")):
        context.jira.comment(key, word)
    context.jira.edit(key, set={"priority": "High"}, add={"labels": tag})
    context.jira.assign(key, event["person"])
    context.jira.log_work(key, "15m", tag)
    if context.jira.issue(key, "status")["fields"]["status"]["name"] != "In Progress":
        context.jira.comment(key, f"{tag} moved by somebody else")
    return str(key)
