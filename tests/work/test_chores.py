"""What the clock does beside offering: each in its own time, none in the way of another, and once more at the end."""

import logging
import threading
from collections.abc import Callable

import pytest

from bridge.errors import StoreUnavailable
from bridge.work.chores import Chores

Until = Callable[..., None]


class Counted:
    """A chore that counts its turns; ``fails`` is what it raises while it is set."""

    every = 0.01

    def __init__(self, name: str, told: list[str] | None = None) -> None:
        self.name = name
        self.turns = 0
        self.fails: Exception | None = None
        self.told = told

    def once(self) -> None:
        self.turns += 1
        if self.told is not None:
            self.told.append(self.name)
        if self.fails is not None:
            raise self.fails


class Hanging(Counted):
    """A chore that does not come back until it is let go."""

    def __init__(self) -> None:
        super().__init__("hanging")
        self.go = threading.Event()

    def once(self) -> None:
        super().once()
        self.go.wait()


def test_every_chore_is_done_again_and_again_although_another_one_hangs(until: Until) -> None:
    hanging, other = Hanging(), Counted("other")
    chores = Chores([hanging, other])
    chores.start()
    until(lambda: other.turns > 3)
    assert hanging.turns == 1
    hanging.go.set()
    chores.stop()


def test_what_is_started_twice_runs_once(until: Until) -> None:
    chore = Hanging()
    chores = Chores([chore])
    chores.start()
    chores.start()
    until(lambda: chore.turns == 1)
    assert [thread.name for thread in threading.enumerate()].count("hanging") == 1
    chore.go.set()
    chores.stop()


def test_each_is_done_once_more_at_the_end_in_their_order(until: Until) -> None:
    told: list[str] = []
    first, second = Counted("first", told), Counted("second", told)
    first.every = second.every = 1000.0
    chores = Chores([first, second])
    chores.start()
    until(lambda: len(told) == 2)
    told.clear()
    chores.stop()
    assert told == ["first", "second"]
    chores.stop()
    assert told == ["first", "second"]


def test_a_chore_that_fails_says_so_once_and_again_when_it_is_over(
    until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    chore = Counted("a chore")
    chore.fails = StoreUnavailable("the database does not answer")
    chores = Chores([chore])
    with caplog.at_level(logging.INFO):
        chores.start()
        until(lambda: chore.turns > 3)
        chore.fails = None
        until(lambda: "a chore.back" in caplog.text)
        chores.stop()
    assert caplog.text.count("a chore.away why=the database does not answer") == 1


def test_a_mistake_of_ours_in_a_chore_ends_neither_it_nor_another(
    until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = Counted("broken"), Counted("other")
    broken.fails = ZeroDivisionError("ours")
    chores = Chores([broken, other])
    chores.start()
    until(lambda: other.turns > 3 and "broken.failed" in caplog.text)
    broken.fails = None
    chores.stop()
    assert broken.turns == 2
