"""Whether this process lives (``/healthz``) and whether it could accept a delivery now (``/readyz``).

Both are open to everybody, so they say what is wrong in general words; names and places are in ``bridge doctor`` and
the log.
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from flask import Response

from bridge.errors import RuleInvalid, StoreUnavailable
from bridge.ingress import problem
from bridge.rule.registry import Registry
from bridge.settings import Settings
from bridge.store import Store, schema

# The revision this code works with does not change while it runs, and asking for it reads the migrations' files.
_newest = functools.cache(schema.newest)


@dataclass(frozen=True, slots=True)
class Health:
    """The two views and what they look at."""

    settings: Settings
    store: Store
    registry: Registry

    def healthz(self) -> Response:
        """Answer, which is all that being alive takes."""
        return _told(HTTPStatus.OK, "ok", {})

    def readyz(self) -> Response:
        """Answer 200 if a delivery could be accepted, else 503 with every reason.

        Mistakes in rule files do not make it unready while the last good set of rules is in force: taking the web
        server out of service because of a typo would lose every delivery, not one.
        """
        checks = dict(self._checks())
        wrong = {name: found for name, found in checks.items() if found.startswith("not ready: ")}
        if not wrong:
            return _told(HTTPStatus.OK, "ready", checks)
        said = "; ".join(f"{name}: {found.removeprefix('not ready: ')}" for name, found in wrong.items())
        return problem.problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", said, checks=checks)

    def _checks(self) -> Iterator[tuple[str, str]]:
        yield "database", self._database()
        yield "secrets", "ok" if self.settings.secrets else "not ready: BRIDGE_SECRETS is not set, nothing is accepted"
        yield "rules", self._rules()

    def _database(self) -> str:
        try:
            found = schema.revision(self.store)
            unguarded = schema.missing_guards(self.store)
        except StoreUnavailable:
            return "not ready: it does not answer"
        if found != _newest():
            return "not ready: its tables are of another version, run bridge db upgrade"
        return "not ready: the journal is not protected against change" if unguarded else "ok"

    def _rules(self) -> str:
        try:
            self.registry.current()
        except RuleInvalid:
            return "not ready: the files have mistakes and none is in force, run bridge rules check"
        if self.registry.mistakes:
            return "the files have mistakes and the last good set is in force, run bridge rules check"
        return "ok"


def _told(status: int, said: str, checks: dict[str, str]) -> Response:
    document = {"status": said} | ({"checks": checks} if checks else {})
    return Response(json.dumps(document), status, content_type="application/json")
