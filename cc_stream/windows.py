"""The running windows of one row: sums over fine panes, the day of coarse panes, what is open.

A delta is added to every window that covers its moment; as time passes a pane enters all windows,
and leaves each one at its age. The sums always equal the sum over the panes that a window covers,
and lie taken apart as figures read them: they are read far more often than they have slots changed.

A pane that lies ahead (a clock that runs fast, a planned wrap-up) waits in `fine` and enters whole.
Fine panes are dropped after 60 minutes, coarse ones after `COARSE_KEPT_MS`; a delta for what was
dropped counts in the coarse pane alone, or in none when no window can show it any more.
"""

from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.counts import Parts, Vector, add_into, add_into_parts, join
from cc_stream.panes import (
    COARSE_MS,
    FINE_MS,
    FINE_PER_COARSE,
    ROLLING,
    TODAY,
    WINDOWS,
    Window,
    pane_end,
    today,
)

COARSE_KEPT_MS: Final = 72 * 3_600_000
PANES: Final = {name: length // FINE_MS for name, length in ROLLING.items()}
"""The age in panes at which a pane leaves each rolling window: 30, 90, 180, 360."""
FINE_KEPT: Final = max(PANES.values())
LIVE_PANE: Final = ("live", 0)
RESOLUTIONS: Final = ("fine", "coarse", "live")


class Windows:
    """The windows of one row as they stand at `now`; `now` only moves forward."""

    __slots__ = (
        "_day_sum", "_rolling", "coarse", "day", "end", "fine", "live", "touched", "zone",
    )  # fmt: skip

    def __init__(self, zone: ZoneInfo, now_ms: int, names: Iterable[str] = WINDOWS) -> None:
        """Of the rolling windows only those in `names` can be read.

        `touched` collects (resolution, pane) of what was changed or dropped, until cleared.
        """
        self.zone = zone
        self.end = pane_end(now_ms) // FINE_MS
        self.fine: dict[int, Vector] = {}
        self.coarse: dict[int, Vector] = {}
        self.live: Parts = {}
        self.day = today(zone, now_ms)
        self.touched: set[tuple[str, int]] = set()
        self._day_sum: Parts = {}
        self._rolling: dict[str, Parts] = {name: {} for name in PANES if name in names}

    def add_live(self, vector: Vector) -> None:
        """Add to what is open."""
        add_into_parts(self.live, vector)
        self.touched.add(LIVE_PANE)

    def add(self, pane: int, vector: Vector) -> None:
        """Add to the moment of a fine pane."""
        age = self.end - 1 - pane
        if age < FINE_KEPT:
            self._add_fine(pane, age, vector)
        self._add_coarse(pane // FINE_PER_COARSE, vector)

    def _add_fine(self, pane: int, age: int, vector: Vector) -> None:
        _add_to(self.fine, pane, vector)
        if age >= 0:
            for name, total in self._rolling.items():
                if age < PANES[name]:
                    add_into_parts(total, vector)
        self.touched.add(("fine", pane))

    def _add_coarse(self, pane: int, vector: Vector) -> None:
        start_ms = pane * COARSE_MS
        if start_ms + COARSE_MS <= self.end * FINE_MS - COARSE_KEPT_MS:
            return
        _add_to(self.coarse, pane, vector)
        if self.day.holds(start_ms):
            add_into_parts(self._day_sum, vector)
        self.touched.add(("coarse", pane))

    def spread(self, key: int, start_ms: int, end_ms: int, n: int) -> None:
        """Add `n` times the overlap of `[start, end)` with each pane, in milliseconds, to `key`."""
        horizon_ms = (self.end - FINE_KEPT) * FINE_MS
        begin_ms = max(start_ms, horizon_ms)
        fine, touched = self.fine, self.touched
        for pane, overlap in _overlaps(begin_ms, end_ms, FINE_MS):
            _add_to(fine, pane, {key: n * overlap})
            touched.add(("fine", pane))
        for name, total in self._rolling.items():
            overlap = min(end_ms, self.end * FINE_MS) - max(begin_ms, self.window(name).start_ms)
            if overlap > 0:
                add_into_parts(total, {key: n * overlap})
        for pane, overlap in _overlaps(start_ms, end_ms, COARSE_MS):
            self._add_coarse(pane, {key: n * overlap})

    def advance(self, now_ms: int) -> bool:
        """Move on to `now`; whether any window changed."""
        end = pane_end(now_ms) // FINE_MS
        changed = False
        if end > self.end:
            changed = self._move(end) if self.fine else False
            self.end = end
        if now_ms >= self.day.end_ms:
            changed = True
            self._new_day(now_ms)
        return changed

    def _move(self, end: int) -> bool:
        """Panes enter all windows, and leave each at its age; whether any did."""
        if end - self.end > FINE_KEPT:
            self.end = end
            self._settle_rolling()
            return True
        changed = False
        for edge in range(self.end, end):
            entering = self.fine.get(edge)
            for name, total in self._rolling.items():
                leaving = self.fine.get(edge - PANES[name])
                for vector, sign in ((entering, 1), (leaving, -1)):
                    if vector is not None:
                        add_into_parts(total, vector, sign)
                        changed = True
            if edge - FINE_KEPT in self.fine:
                self._drop("fine", edge - FINE_KEPT)
        return changed

    def _drop(self, resolution: str, pane: int) -> None:
        del self.panes(resolution)[pane]
        self.touched.add((resolution, pane))

    def panes(self, resolution: str) -> dict[int, Vector]:
        """The panes of a resolution, `fine`, `coarse`, or what is open as pane 0 of `live`."""
        if resolution == "fine":
            return self.fine
        return self.coarse if resolution == "coarse" else {0: join(self.live)}

    def _new_day(self, now_ms: int) -> None:
        oldest = (now_ms - COARSE_KEPT_MS) // COARSE_MS
        for pane in [p for p in self.coarse if p < oldest]:
            self._drop("coarse", pane)
        self.set_zone(self.zone, now_ms)

    def set_zone(self, zone: ZoneInfo, now_ms: int) -> None:
        """The day of another zone from now on."""
        self.zone = zone
        self.day = today(zone, now_ms)
        self._day_sum = {}
        for pane, vector in self.coarse.items():
            if self.day.holds(pane * COARSE_MS):
                add_into_parts(self._day_sum, vector)

    def restore(self, resolution: str, pane: int, vector: Vector) -> None:
        """Add a stored pane; call `settle` after the last one."""
        if resolution == "live":
            add_into_parts(self.live, vector)
        else:
            _add_to(self.panes(resolution), pane, vector)

    def settle(self, now_ms: int) -> None:
        """Make all windows again from the panes; drop those that are too old."""
        self._settle_rolling()
        self.set_zone(self.zone, now_ms)

    def _settle_rolling(self) -> None:
        for pane in [p for p in self.fine if self.end - 1 - p >= FINE_KEPT]:
            self._drop("fine", pane)
        for name, total in self._rolling.items():
            total.clear()
            for pane, vector in self.fine.items():
                if 0 <= self.end - 1 - pane < PANES[name]:
                    add_into_parts(total, vector)

    def sum(self, window: str) -> Parts:
        """The sum over the window of this name, as it stands; not to be changed."""
        return self._day_sum if window == TODAY else self._rolling[window]

    def window(self, window: str) -> Window:
        """The window of this name as it stands."""
        if window == TODAY:
            return self.day
        end_ms = self.end * FINE_MS
        return Window(end_ms - ROLLING[window], end_ms)


def _add_to(panes: dict[int, Vector], pane: int, vector: Vector) -> None:
    total = panes.get(pane)
    if total is None:
        panes[pane] = dict(vector)
        return
    add_into(total, vector)


def _overlaps(start_ms: int, end_ms: int, length_ms: int) -> Iterator[tuple[int, int]]:
    """(pane, milliseconds of `[start, end)` in it)."""
    pane = start_ms // length_ms
    while start_ms < end_ms:
        edge = min(end_ms, (pane + 1) * length_ms)
        yield pane, edge - start_ms
        start_ms, pane = edge, pane + 1
