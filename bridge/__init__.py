"""The bridge lets Atlassian Automation act through a service account: within scope, once, with a log to verify.

A rule's author imports three names from here; all else is for those who work on the bridge::

    from bridge import Context, Event

    def handle(event: Event, context: Context) -> dict | None:
        context.jira.comment(event.issue, f"{event['change']} was approved.")

The way of one delivery, file by file:

1.  ``ingress/hooks.py`` takes ``POST /hooks/<rule>``: size, then the signature (``ingress/signature.py``), then JSON,
    then the rule's ``[accept]`` (``rule/accept.py``). ``store/deliveries.py`` keeps it, in a commit that all requests
    waiting for one share, and the answer is ``202 {"delivery": ..., "status": "queued"}``.
2.  ``work/relay.py`` puts committed ids on RQ (``work/queue.py``). Redis carries ids, SQL carries facts: what Redis
    loses, ``work/sweep.py`` offers again.
3.  ``work/worker.py`` takes an id, and ``work/run.py`` claims the delivery at egress: a number of attempt, a lease that
    is renewed while the attempt lasts, the event, and a capability to act for this delivery and no other
    (``rule/door.py``).
4.  ``rule/handler.py`` loads ``rules/<rule>.py`` from the text that was checked (``rule/registry.py``) and calls
    ``handle(event, context)``; or ``rule/recipe.py`` takes the steps of ``rules/<rule>.toml``. What a handler reads is
    in ``rule/event.py``.
5.  ``context.jira.comment(...)`` (``rule/context.py``, ``rule/jira.py``, ``rule/confluence.py``) builds a plain
    request, its text as ADF (``rule/adf.py``, ``rule/markdown.py``), and sends it to egress with the step's number.
6.  ``egress/app.py`` takes the step: ``egress/recall.py`` gives the recorded answer if an earlier attempt closed this
    step; ``egress/policy.py`` finds out which verbs the request amounts to (``catalogue/``) and where its target is
    now (``egress/places.py``), and asks the rule's scope (``rule/scope.py``). ``store/journal.py`` writes the intent,
    ``egress/upstream.py`` sends it with the credential that only egress holds, and the outcome is written too. A write
    of which nobody knows whether it was made is looked up by ``egress/resolve.py`` before anything is repeated.
7.  ``handle`` returns, ``work/run.py`` reports it, and ``egress/attempts.py`` takes the verdict from the journal: done,
    waiting, parked or dead. ``audit/query.py`` finds the entries that people ask for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.rule.context import Context as Context
    from bridge.rule.event import Event as Event
    from bridge.rule.event import Payload as Payload

__all__ = ["Context", "Event", "Payload"]
_HOMES = {"Context": "bridge.rule.context", "Event": "bridge.rule.event", "Payload": "bridge.rule.event"}


def __getattr__(name: str) -> Any:
    """Fetch a name when it is first used: every process imports this package, and few run a rule (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415 - as above

    if name not in _HOMES:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
