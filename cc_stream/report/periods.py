"""The windows of the report: quarters, hours and days of a time zone.

Hours and quarters are counted from local midnight, so they are a union of coarse panes in every
zone. A day in which clocks change has 23 or 25 hours.
"""

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.panes import COARSE_MS, Window, today

ALL: Final = "all"
LENGTHS_MS: Final = {"15m": COARSE_MS, "1h": 4 * COARSE_MS}
DAY: Final = "1d"
PERIODS: Final = (ALL, *LENGTHS_MS, DAY)


class Periods:
    """The windows of one length (`15m`, `1h` or `1d`) in a zone."""

    def __init__(self, name: str, zone: ZoneInfo) -> None:
        self._length_ms = LENGTHS_MS.get(name)
        self._zone = zone
        self._day: Window | None = None

    def at(self, ms: int) -> Window:
        """The window that holds the moment."""
        day = self._day
        if day is None or not day.holds(ms):
            day = self._day = today(self._zone, ms)
        if self._length_ms is None:
            return day
        start = ms - (ms - day.start_ms) % self._length_ms
        return Window(start, min(start + self._length_ms, day.end_ms))

    def over(self, start_ms: int, end_ms: int) -> Iterator[Window]:
        """The windows that `[start, end)` overlaps, in order."""
        while start_ms < end_ms:
            window = self.at(start_ms)
            yield window
            start_ms = window.end_ms
