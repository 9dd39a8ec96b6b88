"""What a chaos run is told, by the environment: ``make chaos SEED=7 DELIVERIES=100 KILLS=60 DATABASE=postgresql``."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

DATABASES = ("sqlite", "postgresql")
REQUEST_TIMEOUT = 2.0  # seconds without an answer after which a request's fate is unknown
SETTLE_FACTOR = 0.06  # 3.6 s before most writes are looked up, 7.2 s for a new work item


@dataclass(frozen=True, slots=True)
class Options:
    """``seed`` decides what is sent, killed and spoilt, and when, as far as processes keep time; ``gap`` in seconds."""

    seed: int
    deliveries: int = 500
    kills: int = 300
    database: str = "sqlite"
    recall: bool = True
    keep: bool = False
    gap: float = 1.0
    quiet_seconds: float = 600.0


def read(environ: Mapping[str, str]) -> Options:
    """Read the options; raises ``ValueError`` naming the first that is wrong."""
    database = environ.get("DATABASE") or "sqlite"
    if database not in DATABASES:
        raise ValueError(f"DATABASE={database}: one of {', '.join(DATABASES)}")
    recall = environ.get("RECALL") or "on"
    if recall not in {"on", "off"}:
        raise ValueError(f"RECALL={recall}: on or off")
    return Options(
        seed=_number(environ, "SEED", secrets.randbelow(1_000_000)),
        deliveries=_number(environ, "DELIVERIES", 500),
        kills=_number(environ, "KILLS", 300),
        database=database,
        recall=recall == "on",
        keep=environ.get("KEEP") == "1",
    )


def _number(environ: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environ.get(name) or str(otherwise)
    if not text.isdecimal():
        raise ValueError(f"{name}={text}: a whole number")
    return int(text)
