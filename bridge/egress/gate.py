"""Whether a request may leave now: Atlassian's rate limits and the site's circuit, counted by all processes together.

What is shared lies in Redis and is reached through ``Scripts``; one script for each request decides and counts. Without
Redis, or while it is away, the limits are left to the site's own 429 and each process keeps its own circuit.
"""

import logging
import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from bridge.catalogue import Operation
from bridge.egress.answered import Limited, jitter
from bridge.egress.circuit import FIRST_WAIT, LONGEST_WAIT, PROBE_SECONDS, WHILE_PROBED, Circuit, State
from bridge.egress.limits import Weight, held_up, weigh
from bridge.errors import NotSent, QueueUnavailable

log = logging.getLogger(__name__)

# A wait this short is waited for where it is: to put a delivery back and take it up again costs more.
SHORT = 1.0
PREFIX = "bridge:gate:"
# How long a circuit remembers that it was open, beyond the time for which it was.
MEMORY = 600.0

# KEYS: open, trouble, probe, pauses…, windows…; ARGV: number of pauses, id, ms of a probe, ms to wait while one is
# under way, then limit and span in µs of each window. Gives the ms to wait, which key says so, and if there is trouble.
ADMIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local pauses = tonumber(ARGV[1])
local wait, why = 0, 0
local function hold(left, key)
  if left > wait then wait, why = left, key end
end
hold(redis.call('PTTL', KEYS[1]), 1)
for i = 4, 3 + pauses do hold(redis.call('PTTL', KEYS[i]), i) end
for i = 4 + pauses, #KEYS do
  local at = 5 + (i - 4 - pauses) * 2
  local limit, span = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now - span))
  if redis.call('ZCARD', KEYS[i]) >= limit then
    local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
    hold(math.ceil((tonumber(first[2]) + span - now) / 1000), i)
  end
end
local trouble = redis.call('EXISTS', KEYS[2])
if wait == 0 and trouble == 1 and not redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) then
  hold(tonumber(ARGV[4]), 1)
end
if wait == 0 then
  for i = 4 + pauses, #KEYS do
    local span = tonumber(ARGV[6 + (i - 4 - pauses) * 2])
    redis.call('ZADD', KEYS[i], string.format('%.0f', now), ARGV[2])
    redis.call('PEXPIRE', KEYS[i], math.ceil(span / 1000))
  end
end
return {wait, why, trouble}
"""
# KEYS: the pause; ARGV: ms. The longer of two pauses holds.
PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return {}
"""
# KEYS: open, trouble, probe; ARGV: ms of the first and of the longest wait, ms of memory, why. A failure of what was
# sent before the circuit opened does not open it again.
OPEN = """
if redis.call('PTTL', KEYS[1]) > 0 then return {0} end
local times = redis.call('HINCRBY', KEYS[2], 'times', 1)
local wait = math.min(tonumber(ARGV[1]) * 2 ^ (times - 1), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], '1', 'PX', string.format('%.0f', wait))
redis.call('HSET', KEYS[2], 'why', ARGV[4])
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', wait + ARGV[3]))
redis.call('DEL', KEYS[3])
return {1}
"""
CLOSE = "return {redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])}"
STATE = """
local times = redis.call('HGET', KEYS[2], 'times')
return {math.max(redis.call('PTTL', KEYS[1]), 0), tonumber(times or 0), redis.call('HGET', KEYS[2], 'why') or ''}
"""


class Scripts(Protocol):
    """A Redis, as far as egress needs one."""

    def run(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> list[int | str]:
        """Run a Lua script on it and return the list that it gives; raise ``QueueUnavailable`` while it is away."""
        ...


class Gate:
    """Lets requests out; ``tenant`` is a cloudId and a product. Safe for threads.

    ``clock`` and ``sleep`` are seconds; tests pass their own.
    """

    def __init__(
        self,
        scripts: Scripts | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._scripts = scripts
        self._clock = clock
        self._sleep = sleep
        self._circuit = Circuit()
        self._troubled: set[str] = set()

    def admit(self, tenant: str, operation: Operation, issue: str | None, seconds_left: float) -> None:
        """Return when a request may leave. Raises ``NotSent`` if that is not soon."""
        weight = weigh(operation, issue)
        patience = min(SHORT, seconds_left / 2)
        while True:
            wait, why, short = self._ask(tenant, weight)
            if wait <= 0:
                return
            if not short or wait > patience:
                raise NotSent(why, delay=wait + jitter(0.3))
            self._sleep(wait)
            patience -= wait

    def limited(self, tenant: str, operation: Operation, issue: str | None, error: Limited) -> None:
        """Take a 429 to heart: hold up, for everybody, what its reason names."""
        name = held_up(error.reason, operation, issue)
        self._run(PAUSE, [_key(tenant, f"pause:{name}")], [_ms(error.delay)])

    def failed(self, tenant: str, why: str) -> None:
        """Note that a site did not answer as it should; after some in a row its circuit opens."""
        if self._circuit.failed(tenant, why, self._clock()) or tenant in self._troubled:
            opened = self._run(
                OPEN, _circuit_keys(tenant), [_ms(FIRST_WAIT), _ms(LONGEST_WAIT), _ms(MEMORY), why[:200]]
            )
            if opened is None or opened[0]:
                log.warning("egress.circuit_opened tenant=%s why=%s", tenant, why)

    def worked(self, tenant: str) -> None:
        """Note that a site answered, whatever it said."""
        known = self._circuit.worked(tenant)
        if (known or tenant in self._troubled) and self._run(CLOSE, _circuit_keys(tenant), []) is not None:
            self._troubled.discard(tenant)

    def state(self, tenant: str) -> State:
        """Return the state of a site's circuit, as all processes see it if that can be asked."""
        own = self._circuit.state(tenant, self._clock())
        said = self._run(STATE, _circuit_keys(tenant), [])
        if said is None or not int(said[1]):
            return own
        return State(open=True, seconds=int(said[0]) / 1000, why=str(said[2]), failures=own.failures)

    def _ask(self, tenant: str, weight: Weight) -> tuple[float, str, bool]:
        """Return the seconds to wait, why, and whether that may be waited for on the spot."""
        pauses = [_key(tenant, f"pause:{name}") for name in weight.pauses]
        windows = [_key(tenant, window.name) for window in weight.windows]
        spans = [number for window in weight.windows for number in (window.limit, round(window.span * 1_000_000))]
        values: list[str | int] = [len(pauses), uuid.uuid4().hex, _ms(PROBE_SECONDS), _ms(WHILE_PROBED), *spans]
        said = self._run(ADMIT, [*_circuit_keys(tenant), *pauses, *windows], values)
        if said is None:
            return self._circuit.ask(tenant, self._clock()), _away(tenant), False
        wait, key, trouble = int(said[0]) / 1000, int(said[1]), int(said[2])
        if trouble:
            self._troubled.add(tenant)
        else:
            self._troubled.discard(tenant)
            self._circuit.closed(tenant)
        if key <= 1:
            return wait, _away(tenant), False
        window = key - 4 - len(pauses)
        if window < 0:
            return wait, f"the site limits the rate, which holds up {weight.pauses[key - 4]}", True
        return wait, f"the site allows {weight.windows[window].text}", True

    def _run(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> list[int | str] | None:
        """Run a script, or return None where there is no Redis to run it on: it says so itself, once."""
        if self._scripts is None:
            return None
        try:
            return self._scripts.run(script, keys, values)
        except QueueUnavailable:
            return None


def _away(tenant: str) -> str:
    return f"the site does not answer ({tenant.partition(':')[2]}), so nothing is sent to it for a while"


def _key(tenant: str, name: str) -> str:
    return f"{PREFIX}{tenant}:{name}"


def _circuit_keys(tenant: str) -> list[str]:
    return [_key(tenant, name) for name in ("open", "trouble", "probe")]


def _ms(seconds: float) -> int:
    return max(math.ceil(seconds * 1000), 1)
