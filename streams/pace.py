"""How many flushes a worker can afford: what a transaction costs is taken from the counting."""

import time
from collections.abc import Callable
from typing import Final

MOST_FLUSHES, FEWEST_FLUSHES = 60.0, 20.0
"""Flushes of all shards a second. Each costs 1.2-2.4 ms of CPU, and the more there are, the less is
combined: a worker that has no time left makes a third of them, and shows the same sooner for it."""
CALM, BUSY = 0.9, 0.98
"""Up to this share of its time a worker has the most flushes, from that share on the fewest."""
LOOK_SECONDS: Final = 0.5

Clock = Callable[[], float]


def flushes_per_second(busy: float) -> float:
    """How many flushes a second a worker makes that computes this share of its time (0…1)."""
    spare = min(1.0, max(0.0, (BUSY - busy) / (BUSY - CALM)))
    return FEWEST_FLUSHES + (MOST_FLUSHES - FEWEST_FLUSHES) * spare


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
