"""Put a new engineering page on the review list: a label for the list, and a comment that tells the author.

Whether the page is still there, and what it is called now, is read from Confluence and not from the payload.
"""

from bridge import Context, Event

LABEL = "review-due"


def handle(event: Event, context: Context) -> dict[str, object]:
    """Label the page and comment on it, unless it is a draft or was taken away in the meantime."""
    page = context.confluence.page(event.page)
    if page.get("status") != "current":
        context.log(f"the page is {page.get('status')}: nothing to review")
        return {"labelled": False}
    context.confluence.label(event.page, LABEL)
    context.confluence.comment(
        event.page,
        context.markdown(
            "**{title}** is on the review list (label `{label}`).\n\nA reviewer looks at it within *five days*.",
            title=page["title"],
            label=LABEL,
        ),
    )
    return {"labelled": True, "version": page["version"]["number"]}
