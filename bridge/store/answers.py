"""What was asked and answered at each step, kept so that a further attempt is given the same answers."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.journal import digest, new_salt
from bridge.store.tables import answers

REQUEST, ANSWER = "request", "answer"


@dataclass(frozen=True, slots=True)
class Kept:
    """One recorded body and the salt of its digest."""

    body: bytes
    salt: bytes

    @property
    def digest(self) -> str:
        """The digest by which the journal names it."""
        return digest(self.salt, self.body)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a recorded body belongs."""

    delivery: str
    run: int
    round: int
    step: int


def keep(connection: sa.Connection, step: Step, part: str, body: bytes) -> str:
    """Record a body and return its digest. What was recorded for this part before, in this round, stays."""
    before = connection.execute(
        sa.select(answers.c.body, answers.c.salt).where(
            answers.c.delivery == step.delivery,
            answers.c.run == step.run,
            answers.c.round == step.round,
            answers.c.step == step.step,
            answers.c.part == part,
        )
    ).one_or_none()
    if before is not None:
        return Kept(before.body, before.salt).digest
    kept = Kept(body, new_salt())
    connection.execute(
        sa.insert(answers).values(
            delivery=step.delivery,
            run=step.run,
            round=step.round,
            step=step.step,
            part=part,
            salt=kept.salt,
            body=body,
        )
    )
    return kept.digest


def of_run(connection: sa.Connection, delivery: str, run: int) -> dict[tuple[int, str], bytes]:
    """Return the newest recorded bodies of a run by step and part."""
    query = (
        sa.select(answers.c.step, answers.c.part, answers.c.body)
        .where(answers.c.delivery == delivery, answers.c.run == run)
        .order_by(answers.c.round)
    )
    return {(row.step, row.part): row.body for row in connection.execute(query)}


def newest(connection: sa.Connection, step: Step, part: str) -> Kept | None:
    """Return the last body recorded for a step, whatever its round; None if it was removed."""
    row = connection.execute(
        sa.select(answers.c.body, answers.c.salt)
        .where(
            answers.c.delivery == step.delivery,
            answers.c.run == step.run,
            answers.c.step == step.step,
            answers.c.part == part,
        )
        .order_by(answers.c.round.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Kept(row.body, row.salt)
