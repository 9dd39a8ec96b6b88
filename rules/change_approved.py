"""Tell the incidents behind a change that it was approved.

The payload is only a claim, so the change and the incidents are read again before anything is said about them.
"""

from marshmallow import fields

import bridge
from bridge import Context, Event

from .lib import words


class Payload(bridge.Payload):
    """What the automation sends; other fields are left alone."""

    change = fields.String(required=True)
    approver = fields.String(required=True)
    incidents = fields.List(fields.String(), required=True)


def handle(event: Event, context: Context) -> dict[str, object]:
    """Comment on each open incident and say which ones were told."""
    change = context.jira.issue(event["change"], fields=["summary", "status"])
    if words.is_closed(change):
        context.log(f"{event['change']} was carried out already: nobody is told")
        return {"told": []}
    told = []
    for incident in event["incidents"]:
        if words.is_closed(context.jira.issue(incident, fields=["status"])):
            context.log(f"{incident} is closed already")
            continue
        text = context.markdown(
            "**{change}** ({summary}) was approved by {approver}.",
            change=event["change"],
            summary=words.short(change["fields"]["summary"]),
            approver=event["approver"],
        )
        context.jira.comment(incident, text)
        told.append(incident)
    context.log(f"told {words.listed(told)}")
    return {"told": told}
