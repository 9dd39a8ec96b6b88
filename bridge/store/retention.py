"""Bodies removed when they have been kept long enough; the journal stays, with digests that cannot be guessed any more.

A payload and what was asked and answered at each step may name people. Entries name them by a digest that is salted,
and the salt goes with the body.
"""

import sqlalchemy as sa

from bridge.store.deliveries import UNFINISHED
from bridge.store.tables import answers, deliveries


def remove_bodies(connection: sa.Connection, before: str, limit: int) -> int:
    """Remove the bodies of up to ``limit`` deliveries that ended before a time; return how many had any.

    Payload, result, salt, requests and answers go. What is not finished keeps its bodies, however old it is.
    """
    ended = (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.payload.is_not(None),
            deliveries.c.finished_at < before,
            deliveries.c.state.not_in([str(state) for state in UNFINISHED]),
        )
        .order_by(deliveries.c.finished_at)
        .limit(limit)
    )
    ids = list(connection.execute(ended.with_for_update(skip_locked=True)).scalars())
    if not ids:
        return 0
    connection.execute(sa.delete(answers).where(answers.c.delivery.in_(ids)))
    connection.execute(
        sa.update(deliveries).where(deliveries.c.id.in_(ids)).values(payload=None, result=None, salt=b"")
    )
    return len(ids)
