"""Workers without recall, for the run that must fail; ``python -m tests.chaos.forgetful worker`` is how they start.

Each further attempt of a delivery begins a new run of it, so that nothing of what earlier attempts recorded is given
back or looked up, and what they did is done again. There is no switch for that in the bridge: here, and in these
processes only, the store's ``begin`` is replaced, and the supervisor starts its processes through this module too.
"""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from bridge.cli import main
from bridge.store import Store, deliveries
from bridge.store.deliveries import Delivery
from bridge.work import supervisor

MODULE = "tests.chaos.forgetful"
_begin = deliveries.begin
_supervise = supervisor.supervise


def _begin_anew(connection: sa.Connection, store: Store, delivery: Delivery, **members: Any) -> int:
    if delivery.attempt:
        deliveries.forget_reads(connection, delivery.id)
    return _begin(connection, store, delivery, **members)


def _supervise_like_this(command: Sequence[str], processes: int) -> int:
    return _supervise([MODULE if part == "bridge" else part for part in command], processes)


if __name__ == "__main__":
    with (
        patch.object(deliveries, "begin", _begin_anew),
        patch.object(supervisor, "supervise", _supervise_like_this),
    ):
        main()
