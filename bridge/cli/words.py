"""How commands say numbers, lists and times in sentences."""

from collections.abc import Sequence

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def counted(number: int, what: str) -> str:
    """Say a number of things: ``no rules``, ``1 rule``, ``2 rules``."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[object]) -> str:
    """Join as people do: ``a, b and c``; ``none`` for nothing."""
    texts = [str(name) for name in names]
    if len(texts) > 1:
        return f"{', '.join(texts[:-1])} and {texts[-1]}"
    return texts[0] if texts else "none"


def duration(seconds: int) -> str:
    """Say seconds in the largest unit that divides them: 86400 is ``1 day``, 90 is ``90 seconds``."""
    size, name = next((unit for unit in UNITS if seconds >= unit[0] and seconds % unit[0] == 0), UNITS[-1])
    return counted(seconds // size, name)
