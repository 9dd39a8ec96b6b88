"""Pages: read, publish, edit, comment and label them, and the request each one builds.

Operations and bodies: https://developer.atlassian.com/cloud/confluence/rest/v2/intro/; labels can be changed only by
the older https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-content-labels/.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.adf import Text, to_adf
from bridge.rule.confluence_text import FORMAT, NOT_FOUND, Change, body_of, text_of
from bridge.rule.method import does
from bridge.rule.paging import PAGE_SIZE, by_cursor
from bridge.rule.request import Answer, Caller, Page, Request, Words, name_of, object_of, segment, words_of

PAGE = "{{ page.id }}"

CONFLICT = 409
# How often a page is read and written again when somebody else's version came in between.
TRIES = 3


class Pages:
    """The part of ``context.confluence`` that works on pages; every method is one action, or reads and one action."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @does("confluence.read", "Read page", operations=("getPageById",), example={"page": PAGE})
    def page(self, page: Page) -> dict[str, Any]:
        """Read a page as it is now; its text is ADF as JSON text under ``body.atlas_doc_format.value``."""
        return object_of(self._caller.call(read_page(page)))

    @does(
        "confluence.create-page",
        "Publish new page",
        operations=("getSpaces", "createPage"),
        example={"space": "<space>", "title": "Notes", "body": "Written by the bridge."},
    )
    def create_page(
        self, space: str, title: str, body: Text, parent: Page | None = None, *, step: str | None = None
    ) -> dict[str, Any]:
        """Publish a page in a space, named by its key; without a parent it goes below the space's home page.

        Raises ``ActionFailed`` (404) when the account sees no such space. In observe mode the new page's id is ``0``.
        """
        found = space_of(self._caller, space, "create-page")
        answer = self._caller.call(add_page(space, str(found["id"]), title, body, parent, step=step))
        return object_of(answer, {"id": "0", "title": title})

    @does(
        "confluence.update-page",
        "Edit page",
        operations=("getPageById", "updatePage"),
        one_of=("title", "body", "append", "prepend"),
        example={"page": PAGE, "append": "Seen by the bridge."},
    )
    def update_page(
        self,
        page: Page,
        *,
        title: str | None = None,
        body: Text | None = None,
        append: Text | None = None,
        prepend: Text | None = None,
        section: str | None = None,
        step: str | None = None,
    ) -> dict[str, Any]:
        """Change a page's title or text, or add text at its start or end; with ``section``, below that heading alone.

        Where somebody else was faster, the page is read and written again, up to 3 times in all. Raises
        ``ActionFailed`` (409) when that was not enough and (404) when there is no such heading, and ``ValueError`` when
        there is nothing to change.
        """
        change = Change(body, prepend, append, section)
        if title is None and change.nothing:
            raise ValueError("an update needs one of title, body, append and prepend")
        return rewritten(self._caller, page, title=title, change=change, step=step)

    @does(
        "confluence.set-owner",
        "Change page owner",
        operations=("getPageById", "updatePage"),
        verbs=("confluence.owner", "confluence.update-page"),
        example={"page": PAGE, "account_id": "{{ initiator }}"},
    )
    def set_owner(self, page: Page, account_id: str, *, step: str | None = None) -> dict[str, Any]:
        """Give a page to another owner, by the account id; its title and text stay.

        It makes a new version of the page; conflicts are met as in ``update_page``.
        """
        return rewritten(self._caller, page, owner=account_id, step=step)

    @does(
        "confluence.comment",
        "Add comment to page",
        operations=("createFooterComment",),
        example={"page": PAGE, "body": "Seen by the bridge."},
    )
    def comment(self, page: Page, body: Text, *, step: str | None = None) -> dict[str, Any]:
        """Comment at the foot of a page; plain text stays plain, formatted text is made with ``context.markdown``."""
        answer = self._caller.call(add_footer_comment(page, body, step=step))
        return object_of(answer, {"id": "0"})

    @does(
        "confluence.label",
        "Add label",
        operations=("addLabelsToContent",),
        example={"page": PAGE, "labels": ["seen"]},
    )
    def label(self, page: Page, labels: Words, *, step: str | None = None) -> dict[str, Any]:
        """Add labels to a page; those it has stay."""
        return object_of(self._caller.call(add_labels(page, words_of(labels), step=step)))

    @does(
        "confluence.unlabel",
        "Remove label",
        operations=("getPageLabels", "removeLabelFromContentUsingQueryParameter"),
        example={"page": PAGE, "labels": ["seen"]},
    )
    def unlabel(self, page: Page, labels: Words, *, step: str | None = None) -> list[str]:
        """Take labels off a page, one call for each that it has; return these, the others stay."""
        wanted = label_names(words_of(labels))
        held = {each.get("name") for each in by_cursor(self._caller, labels_of(page, verb="unlabel"))}
        removed = [label for label in wanted if label in held]
        for label in removed:
            self._caller.call(remove_label(page, label, step=step))
        return removed


def space_of(caller: Caller, key: str, verb: str) -> dict[str, Any]:
    """Return the space of a key; raise ``ActionFailed`` (404) when the account sees no such space."""
    results = object_of(caller.call(find_space(key, verb=verb))).get("results") or []
    for each in results:
        if str(each.get("key", "")).casefold() == key.casefold():
            return dict(each)
    text = f"there is no space with the key {key!r} that this account can see"
    raise ActionFailed(verb, key, NOT_FOUND, text)


def rewritten(
    caller: Caller,
    page: Page,
    *,
    title: str | None = None,
    owner: str | None = None,
    change: Change | None = None,
    step: str | None = None,
) -> dict[str, Any]:
    """Read a page and write its next version, again where another's came in between."""

    def write() -> Answer:
        read = caller.call(read_page(page, verb="update-page"))
        # Observe mode did not make this page, so it has no heading to be looked for.
        made = replace(change, section=None) if change and read.observed else change
        current = object_of(read)
        return caller.call(next_version(page, current, title=title, owner=owner, change=made, step=step))

    return object_of(written_again(write))


def written_again(write: Callable[[], Answer]) -> Answer:
    """Write over the current version, up to 3 times: a conflict is definite, so each time is a read and a new step."""
    for _ in range(TRIES - 1):
        try:
            return write()
        except ActionFailed as error:
            if error.status != CONFLICT:
                raise
    return write()


def read_page(page: Page, *, verb: str = "read") -> Request:
    """GET a page with its text (operation getPageById)."""
    path = f"/wiki/api/v2/pages/{segment(page)}"
    return Request("confluence", "GET", path, {"body-format": [FORMAT]}, verb=verb, target=name_of(page))


def find_space(key: str, *, verb: str = "create-page") -> Request:
    """GET the space of a key, for its id (operation getSpaces)."""
    return Request("confluence", "GET", "/wiki/api/v2/spaces", {"keys": [key]}, verb=verb, target=key)


def add_page(
    space: str,
    space_id: str,
    title: str,
    body: Text | Mapping[str, str],
    parent: Page | None = None,
    *,
    step: str | None = None,
) -> Request:
    """POST a new page (operation createPage). A title is one line, so line ends in it become blanks.

    ``body`` is text, or a body as Confluence takes it: representation and value.
    """
    content: dict[str, Any] = {
        "spaceId": space_id,
        "status": "current",
        "title": " ".join(title.split()),
        "body": dict(body) if isinstance(body, Mapping) else body_of(to_adf(body)),
    }
    if parent is not None:
        content["parentId"] = name_of(parent)
    return _write("POST", "/wiki/api/v2/pages", content, step, verb="create-page", target=space)


def next_version(
    page: Page,
    current: Mapping[str, Any],
    *,
    title: str | None = None,
    owner: str | None = None,
    change: Change | None = None,
    step: str | None = None,
) -> Request:
    """PUT the next version of a page that was just read (operation updatePage)."""
    text = text_of(current, name_of(page))
    content = {
        "id": name_of(page),
        "status": "current",
        "title": str(current.get("title", "")) if title is None else " ".join(title.split()),
        "body": body_of(text if change is None else change.made_to(text, name_of(page))),
        "version": {"number": int((current.get("version") or {}).get("number", 0)) + 1},
    }
    if owner is not None:
        content["ownerId"] = owner
    return _write("PUT", f"/wiki/api/v2/pages/{segment(page)}", content, step, verb="update-page", target=name_of(page))


def add_footer_comment(page: Page, text: Text, *, step: str | None = None) -> Request:
    """POST a comment (operation createFooterComment)."""
    content = {"pageId": name_of(page), "body": body_of(to_adf(text))}
    return _write("POST", "/wiki/api/v2/footer-comments", content, step, verb="comment", target=name_of(page))


def labels_of(page: Page, *, verb: str = "read") -> Request:
    """GET a page's labels (operation getPageLabels)."""
    path, query = f"/wiki/api/v2/pages/{segment(page)}/labels", {"limit": [str(PAGE_SIZE)], "prefix": ["global"]}
    return Request("confluence", "GET", path, query, verb=verb, target=name_of(page))


def add_labels(page: Page, labels: Sequence[str], *, step: str | None = None) -> Request:
    """POST labels (operation addLabelsToContent); raise ``ValueError`` when none is given."""
    content = [{"prefix": "global", "name": name} for name in label_names(labels)]
    return _write(
        "POST", f"/wiki/rest/api/content/{segment(page)}/label", content, step, verb="label", target=name_of(page)
    )


def remove_label(page: Page, label: str, *, step: str | None = None) -> Request:
    """DELETE a label (operation removeLabelFromContentUsingQueryParameter)."""
    path = f"/wiki/rest/api/content/{segment(page)}/label"
    query = {"name": [label]}
    return Request("confluence", "DELETE", path, query, label=step, verb="unlabel", target=name_of(page))


def label_names(labels: Sequence[str]) -> list[str]:
    """Return labels as Confluence keeps them: in small letters, without blanks, each once.

    Raises ``ValueError`` when none is given.
    """
    names = ["-".join(label.lower().split()) for label in labels]
    if not names or not all(names):
        raise ValueError("a label is a word; give at least one")
    return list(dict.fromkeys(names))


def _write(method: str, path: str, body: Any, step: str | None, *, verb: str, target: str) -> Request:
    return Request("confluence", method, path, body=body, label=step, verb=verb, target=target)
