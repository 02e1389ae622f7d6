"""How often a worker fetches and flushes. What each costs is taken from the counting.

The more of both, the sooner something is shown, and the less is combined. A worker to which little
comes makes fewer: it takes a third less CPU, for a fifth of a second (docs/decisions/0014). So does
one without time, which shows the same sooner for it.
"""

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

QUIET_FLUSHES, MOST_FLUSHES, FEWEST_FLUSHES = 12.0, 60.0, 20.0
"""Flushes of all shards a second, when little comes, when much does, and without time. Each costs
1.2-2.4 ms of CPU."""
LONGEST_GATHER_SECONDS, GATHER_SECONDS = 0.1, 0.01
"""How long it is from one fetch to the next, when little comes and when much does: a fetch costs as
much as a hundred records."""
QUIET, AWAKE = 2_000.0, 3_500.0
"""Up to so many records a second little comes, from so many on much. Not shares of its time: each
pace changes the share that it would be chosen by."""
UNHURRIED, HURRIED = 0.6, 0.7
"""Nor does little come to a worker that computes for such a share of its time all the same."""
CALM, BUSY = 0.9, 0.98
"""From this share on it has less time left, from that share on none."""
LOOK_SECONDS: Final = 0.5

Clock = Callable[[], float]


class Load(Struct, frozen=True):
    """Records a second that a worker is given, and the share of its time that it computes (0…1)."""

    records: float
    busy: float


def flushes_per_second(load: Load) -> float:
    """How many flushes a second a worker makes."""
    if load.busy > CALM:
        return _between(MOST_FLUSHES, FEWEST_FLUSHES, _way(load.busy, CALM, BUSY))
    return _between(QUIET_FLUSHES, MOST_FLUSHES, _wakefulness(load))


def gather_seconds(load: Load) -> float:
    """How long a worker lets records gather from one fetch to the next."""
    return _between(LONGEST_GATHER_SECONDS, GATHER_SECONDS, _wakefulness(load))


def _wakefulness(load: Load) -> float:
    """0, little comes, … 1, much does."""
    return max(_way(load.records, QUIET, AWAKE), _way(load.busy, UNHURRIED, HURRIED))


def _way(at: float, first: float, last: float) -> float:
    """How much of the way from the first to the last lies behind, 0…1."""
    return min(1.0, max(0.0, (at - first) / (last - first)))


def _between(first: float, last: float, way: float) -> float:
    return first * (1 - way) + last * way


class Workload:
    """What this thread was given and has computed of late; asked in the same thread."""

    def __init__(self, clock: Clock = time.monotonic, used: Clock = time.thread_time) -> None:
        """`clock` and `used` count seconds: those that pass, those that the thread computes."""
        self._clock, self._used = clock, used
        self._since = clock(), used()
        self._records = 0
        self._load = Load(0.0, 0.0)

    def add(self, records: int) -> None:
        """So many records were given."""
        self._records += records

    def load(self) -> Load:
        """Smoothed over a second or two."""
        now = self._clock()
        passed = now - self._since[0]
        if passed >= LOOK_SECONDS:
            used = self._used()
            self._load = Load(
                (self._load.records + self._records / passed) / 2,
                (self._load.busy + (used - self._since[1]) / passed) / 2,
            )
            self._since, self._records = (now, used), 0
        return self._load
