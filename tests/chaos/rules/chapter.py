"""Publish a page, label it, comment twice with the same words, and write its second version."""

from bridge import Context, Event


def handle(event: Event, context: Context) -> str:
    """Make five actions."""
    tag = event["tag"]
    page = context.confluence.create_page("ENG", tag, "Made once.")["id"]
    context.confluence.label(page, ["chaos", tag])
    context.confluence.comment(page, tag)
    context.confluence.comment(page, tag)
    context.confluence.update_page(page, append=f"{tag} again")
    return str(page)
