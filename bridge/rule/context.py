"""What a handler may use: Jira, Confluence, a line on the timeline, and nothing else that reaches outside.

A ``Context`` belongs to one attempt and to the thread it was made in. Steps are numbered here, in the order in which
the handler makes its calls; a further attempt must make the same calls in the same order.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import httpx

from bridge.errors import ActionFailed, ActionRefused, HandlerFailed, Stop
from bridge.rule.adf import Formatted
from bridge.rule.answers import words
from bridge.rule.confluence import Confluence
from bridge.rule.door import Claim, Door
from bridge.rule.files import File, type_of
from bridge.rule.jira import Jira
from bridge.rule.markdown import markdown_to_adf
from bridge.rule.request import Answer, Request

T = TypeVar("T")

LONGEST_LOG = 4_000
LONGEST_WAIT = 30 * 24 * 3600


class Context:
    """The calls of one attempt, made through egress.

    Any call may raise ``ActionFailed`` (the site said no), ``ActionRefused`` (the scope says no) or ``Stop``, which is
    no ``Exception``: the attempt is over, and every later call raises it again, whatever the handler catches.
    """

    def __init__(self, client: httpx.Client, claim: Claim) -> None:
        self.jira = Jira(self)
        self.confluence = Confluence(self)
        self.rule = claim.rule
        self.delivery = claim.delivery
        self._door = Door(client, claim)
        self._thread = threading.current_thread()
        self._step = 0
        self._observed = 0
        self._stop: Stop | None = None

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return self._step

    @property
    def observed(self) -> int:
        """How many steps were only observed."""
        return self._observed

    @property
    def stopped(self) -> Stop | None:
        """Why the attempt is over, or None; known even when the handler swallowed it."""
        return self._stop

    def stop(self, stop: Stop) -> None:
        """End the attempt from outside, from any thread: the handler's next call raises this."""
        self._stop = self._stop or stop

    def check(self) -> None:
        """Raise the ``Stop`` that ended the attempt, if it is over; raise ``RuntimeError`` in a foreign thread."""
        if threading.current_thread() is not self._thread:
            raise RuntimeError(
                "context was used from another thread than the handler's: its calls are numbered in their order, which "
                "threads do not keep, so make them one after another in handle"
            )
        if self._stop is not None:
            raise self._stop

    def call(self, request: Request) -> Answer:
        """Have egress do one step and return the site's answer. What never became a step takes no number."""
        step = self._step + 1
        try:
            answer = self._ask(lambda: self._door.call(step, request))
        except ActionRefused:
            self._step = step
            raise
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{request.verb} {request.target}: the call holds what JSON cannot: {error}"
            raise HandlerFailed(self.rule, text) from error
        self._step = step
        self._observed += answer.observed
        if answer.status >= 400:  # noqa: PLR2004 - RFC 9110 section 15: the classes of refusals begin here
            raise ActionFailed(request.verb, request.target, answer.status, words(answer.body))
        return answer

    def file(self, name: str, content: bytes | str, type: str | None = None) -> File:  # noqa: A002 - a file's type is called so
        """Keep a file with egress and return the handle by which a step attaches it.

        Without a ``type`` it follows from the name. What it holds must be the same in every attempt, like everything a
        handler does. Raises ``HandlerFailed`` when it is too large.
        """
        octets = content.encode() if isinstance(content, str) else content
        digest, size = self._ask(lambda: self._door.keep(octets))
        return File(digest, name, size, type or type_of(name, content))

    def content(self, file: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file that was made or fetched in this delivery."""
        return self._ask(lambda: self._door.kept(str(file["digest"])))

    def log(self, text: object) -> None:
        """Put a line on the delivery's timeline, for people; at most 4,000 characters of it are kept."""
        self._ask(lambda: self._door.log(str(text)[:LONGEST_LOG]))

    def later(self, seconds: float) -> NoReturn:
        """End this attempt and begin afresh in so many seconds, with new reads: for waiting until something is so.

        Only before the first write, else ``HandlerFailed``. ``ValueError`` for a time outside 1 second to 30 days.
        """
        if not 1 <= seconds <= LONGEST_WAIT:
            raise ValueError("later takes between 1 second and 30 days, in seconds")
        self._ask(lambda: self._door.later(seconds))

    @staticmethod
    def markdown(template: str, **values: Any) -> Formatted:
        """Make formatted text from a Markdown template; ``{name}`` places take values as literal text, never as markup.

        Write ``{{`` and ``}}`` for braces. Raises ``ValueError`` for a place without a value and the other way round.
        """
        return Formatted(markdown_to_adf(template, values))

    def _ask(self, ask: Callable[[], T]) -> T:
        """Ask egress, and remember it when the answer is that the attempt is over."""
        self.check()
        try:
            return ask()
        except Stop as stop:
            self.stop(stop)
            raise
