"""The web application: the hooks, health and problem documents, put together for one process."""

import math
import time
from collections.abc import Callable

from flask import Flask

from bridge.ingress import problem
from bridge.ingress.health import Health
from bridge.ingress.hooks import Hooks, OwnAccounts
from bridge.ingress.nudge import Nudge
from bridge.ingress.throttle import Reserve, Strangers
from bridge.ingress.waiting import Waiting
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.store import Store


def create_app(settings: Settings, store: Store, registry: Registry, clock: Callable[[], float] = time.time) -> Flask:
    """Return the application; it must be made after the fork of the process that runs it.

    ``clock`` gives seconds since 1970, by which signatures and ``max_age`` are judged.
    """
    app = Flask(__name__, static_folder=None)
    # One more than allowed, because a body without announced length is refused on reaching this many bytes.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    # A redirect to a tidier address would tell which addresses there are, and Automation does not follow one.
    app.url_map.merge_slashes = False
    problem.install(app, settings.max_body)
    hooks = Hooks(
        settings=settings,
        store=store,
        registry=registry,
        waiting=Waiting(store, seats(settings)),
        nudge=Nudge(settings.home),
        own=OwnAccounts(store),
        strangers=Strangers(),
        reserve=Reserve(settings.home, settings.disk_reserve),
        clock=clock,
    )
    health = Health(settings, store, registry)
    for rule, view, method in (
        ("/hooks/<rule>", hooks.receive, "POST"),
        ("/hooks/<rule>/<delivery>", hooks.show, "GET"),
        ("/healthz", health.healthz, "GET"),
        ("/readyz", health.readyz, "GET"),
    ):
        app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)
    return app


def seats(settings: Settings) -> int:
    """Return how many senders may wait in one process: its share of all, and never its last thread.

    Accepting must go on while senders wait, so one thread of each process waits for nobody.
    """
    return max(0, min(math.ceil(settings.waiters / settings.web_processes), settings.web_threads - 1))
