"""Panes and windows: event time cut into half-open intervals, integer milliseconds UTC.

Fine panes (10 s) make the rolling windows; coarse panes (15 min) make the day, so that every time
zone's day, also one of 23 or 25 hours, is a union of panes.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from cc_stream.events import EPOCH, to_ms

FINE_MS: Final = 10_000
COARSE_MS: Final = 900_000
FINE_PER_COARSE: Final = COARSE_MS // FINE_MS
MINUTE_MS: Final = 60_000

ROLLING: Final[dict[str, int]] = {
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "60m": 60 * MINUTE_MS,
}
"""The rolling windows by name, in milliseconds, shortest first."""
TODAY: Final = "today"
WINDOWS: Final = (*ROLLING, TODAY)


class Window(Struct, frozen=True, order=True):
    """A half-open interval `[start_ms, end_ms)`; `start_ms < end_ms`, else ValueError."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if self.start_ms >= self.end_ms:
            message = f"a window must end after it starts: [{self.start_ms}, {self.end_ms})"
            raise ValueError(message)

    def holds(self, ms: int) -> bool:
        """Whether the moment lies in the window."""
        return self.start_ms <= ms < self.end_ms

    def overlap_ms(self, start_ms: int, end_ms: int) -> int:
        """How much of `[start_ms, end_ms)` lies in the window."""
        return max(0, min(self.end_ms, end_ms) - max(self.start_ms, start_ms))


def fine_pane(ms: int) -> int:
    """The index of the 10 s pane that holds the moment."""
    return ms // FINE_MS


def overlaps(start_ms: int, end_ms: int, length_ms: int) -> Iterator[tuple[int, int]]:
    """(pane of this length, milliseconds of `[start, end)` in it)."""
    pane = start_ms // length_ms
    while start_ms < end_ms:
        edge = min(end_ms, (pane + 1) * length_ms)
        yield pane, edge - start_ms
        start_ms, pane = edge, pane + 1


def pane_end(now_ms: int) -> int:
    """⌈now⌉: the end of the fine pane that is being filled, or `now` at a pane's edge."""
    return -(-now_ms // FINE_MS) * FINE_MS


def rolling(length_ms: int, now_ms: int) -> Window:
    """The panes that end in (⌈now⌉ − length, ⌈now⌉]."""
    end = pane_end(now_ms)
    return Window(end - length_ms, end)


def today(zone: ZoneInfo, now_ms: int) -> Window:
    """The calendar day of `now` in the zone; 23 or 25 h long where clocks change."""
    return _day_of(zone, now_ms // COARSE_MS)


@lru_cache(maxsize=1_024)  # every row of a board asks for the same few
def _day_of(zone: ZoneInfo, pane: int) -> Window:
    """The day that this coarse pane is of."""
    day = (EPOCH + timedelta(milliseconds=pane * COARSE_MS)).astimezone(zone).date()
    return Window(_midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def window_at(name: str, zone: ZoneInfo, now_ms: int) -> Window:
    """The window called `name` (one of WINDOWS) as it stands at `now`; KeyError otherwise."""
    if name == TODAY:
        return today(zone, now_ms)
    return rolling(ROLLING[name], now_ms)
