"""How often a worker fetches and flushes. What each costs is taken from the counting.

The more of both, the sooner something is shown, and the less is combined. A worker with little to
do makes fewer: it takes a third less CPU, for a fifth of a second (docs/decisions/0014). So does
one without time, which shows the same sooner for it.
"""

import time
from collections.abc import Callable
from typing import Final

QUIET_FLUSHES, MOST_FLUSHES, FEWEST_FLUSHES = 12.0, 60.0, 20.0
"""Flushes of all shards a second, with little to do, with much, and without time. Each costs
1.2-2.4 ms of CPU."""
LONGEST_GATHER_SECONDS, GATHER_SECONDS = 0.1, 0.01
"""How long it is from one fetch to the next, with little to do and with much: a fetch costs as
much as a hundred records."""
QUIET, AWAKE = 0.35, 0.42
"""Up to this share of its time a worker has little to do, from that share on much. Close together:
one that takes its time computes for less, and must not stay so at 5,000 events a second (0.39)."""
CALM, BUSY = 0.9, 0.98
"""From this share on it has less time left, from that share on none."""
LOOK_SECONDS: Final = 0.5

Clock = Callable[[], float]


def flushes_per_second(busy: float) -> float:
    """How many flushes a second a worker makes that computes this share of its time (0…1)."""
    if busy > CALM:
        return _between(busy, (CALM, BUSY), (MOST_FLUSHES, FEWEST_FLUSHES))
    return _between(busy, (QUIET, AWAKE), (QUIET_FLUSHES, MOST_FLUSHES))


def gather_seconds(busy: float) -> float:
    """How long such a worker lets records gather from one fetch to the next."""
    return _between(busy, (QUIET, AWAKE), (LONGEST_GATHER_SECONDS, GATHER_SECONDS))


def _between(busy: float, shares: tuple[float, float], values: tuple[float, float]) -> float:
    """From the first value at the first share to the second at the second, in a straight line."""
    way = min(1.0, max(0.0, (busy - shares[0]) / (shares[1] - shares[0])))
    return values[0] * (1 - way) + values[1] * way


class Workload:
    """Which share of its time this thread has computed of late; asked in the same thread."""

    def __init__(self, clock: Clock = time.monotonic, used: Clock = time.thread_time) -> None:
        """`clock` and `used` count seconds: those that pass, those that the thread computes."""
        self._clock, self._used = clock, used
        self._since = clock(), used()
        self._share = 0.0

    def share(self) -> float:
        """0…1, smoothed over a second or two."""
        now, used = self._clock(), self._used()
        passed = now - self._since[0]
        if passed >= LOOK_SECONDS:
            self._share = (self._share + (used - self._since[1]) / passed) / 2
            self._since = now, used
        return self._share
