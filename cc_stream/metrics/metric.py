"""What a metric is: slots of a vector, how facts fill them, and how figures are read from them.

A metric is one file with one `METRIC`, and one line in `METRICS` (`cc_stream/metrics/__init__.py`).
Nothing is stored but sums; every formula is applied when reading.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from cc_stream.counts import InOrder, Ordered, Parts, Slot, Vector
from cc_stream.events import to_rfc3339
from cc_stream.facts import Fact
from cc_stream.moments import Moments
from cc_stream.panes import Window
from cc_stream.reference import DEFAULT_TERMS, Terms

Value = int | float | str | bool | None | dict[str, Any]

QUEUES: Final = frozenset({"queue", "campaign"})
AGENTS: Final = frozenset({"agent"})
ROWS: Final = QUEUES | AGENTS
"""The rows on which facts are counted. Teams and the floor are sums of these."""

OF_QUEUES: Final = frozenset({"queue", "campaign", "floor"})
OF_AGENTS: Final = frozenset({"agent", "team"})
OF_TIME: Final = frozenset({"agent", "team", "floor"})
OF_ALL: Final = OF_QUEUES | OF_AGENTS
"""The kinds of entity for which a figure exists."""

LIVE_KEPT_MS: Final = 48 * 3_600_000
"""What has been open for longer is read by no figure, and may be forgotten."""

NOTHING: Final[Mapping[int, int]] = {}
NONE_AT_ALL: Final = Ordered(NOTHING)


class Figures(Struct):
    """What a reading may look at.

    `window_parts` are the sums over the window's panes, `live_parts` what is open now (empty for a
    window that does not reach `as_of_ms`), both taken apart by `counts.parts`. They may be changed
    as soon as all is read. `live_memo` is what readings keep of the live side: figures of the same
    live side may share it.
    """

    kind: str
    window: Window
    as_of_ms: int
    window_parts: Parts
    live_parts: Parts
    terms: Terms = DEFAULT_TERMS
    live_memo: dict[Any, Any] = {}
    window_memo: dict[Any, Any] = {}

    def count(self, slot: Slot) -> int:
        """The sum in a slot over the window."""
        return self.window_parts.get(slot.number, NOTHING).get(0, 0)

    def buckets(self, slot: Slot) -> Mapping[int, int]:
        """Bucket → n over the window."""
        return self.window_parts.get(slot.number, NOTHING)

    def ordered(self, slot: Slot) -> Ordered:
        """The same in order."""
        buckets = self.window_parts.get(slot.number)
        if buckets is None:
            return NONE_AT_ALL
        known: Ordered | None = self.window_memo.get(slot.number)
        if known is None:
            known = self.window_memo[slot.number] = Ordered(buckets)
        return known

    def live(self, slot: Slot) -> InOrder:
        """Moment → n of what is open now, in order."""
        buckets = self.live_parts.get(slot.number)
        if buckets is None:
            return NONE_AT_ALL
        if type(buckets) is Moments:
            return buckets
        known: Ordered | None = self.live_memo.get(slot.number)
        if known is None:
            known = self.live_memo[slot.number] = Ordered(buckets)
        return known

    def open_since(self, slot: Slot, first_ms: int) -> int:
        """How many of what is open now have been so since `first_ms` or later."""
        buckets = self.live_parts.get(slot.number)
        if buckets is None:
            return 0
        if type(buckets) is Moments:
            return buckets.since(first_ms)
        known: tuple[int, int] | None = self.live_memo.get(("open", slot.number))
        if known is None:
            known = self.live_memo["open", slot.number] = min(buckets), sum(buckets.values())
        oldest, count = known
        if oldest >= first_ms:  # nearly always, and no order is needed
            return count
        return self.live(slot).since(first_ms)

    def open_between(self, slot: Slot, first_ms: int, end_ms: int) -> int:
        """How many of what is open now have been so since a moment in `[first, end)`."""
        return max(0, self.open_since(slot, first_ms) - self.open_since(slot, end_ms))

    def is_current(self) -> bool:
        """Whether the window reaches `as_of_ms`: only then has it a live side."""
        return self.window.start_ms <= self.as_of_ms <= self.window.end_ms


class Count(Struct, frozen=True):
    """`add(fact, vector)` puts what a fact is worth into the vector of a row of one of `rows`."""

    fact: type[Fact]
    rows: frozenset[str]
    add: Callable[[Any, Vector], None]


class Reading(Struct, frozen=True):
    """One named figure of `kinds` of entity; `live` ones belong to the moment, not to a window."""

    name: str
    kinds: frozenset[str]
    read: Callable[[Figures], Value]
    help: str
    live: bool = False


def sum_of(slot: Slot) -> Callable[[Figures], int]:
    """The reading of a plain sum over the window: `count`, without a call within the call."""
    number = slot.number
    return lambda figures: figures.window_parts.get(number, NOTHING).get(0, 0)


class Metric(Struct, frozen=True):
    """One metric: what it stores, what fills it, what is read from it."""

    slots: tuple[Slot, ...]
    counts: tuple[Count, ...]
    readings: tuple[Reading, ...]


def seconds(ms: int | None) -> float | None:
    """Milliseconds as seconds."""
    return None if ms is None else ms / 1000


def ratio(part: int, whole: int) -> float | None:
    """A share; None without a denominator, never 0 and never 1."""
    return part / whole if whole else None


def mean_seconds(sum_ms: int, count: int) -> float | None:
    """A mean in seconds; None without a denominator."""
    return sum_ms / count / 1000 if count else None


def moment(ms: int | None) -> str | None:
    """A moment as it is written in outputs."""
    return None if ms is None else to_rfc3339(ms)
