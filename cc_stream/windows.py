"""The running windows of one row: rings of fine panes, the day of coarse panes, what is open.

A delta is added once; a pane moves from ring to ring as time passes; a window is a few vectors
added when read. The sums always equal the sum over the panes that the window covers.

Rings hold panes by age: 0-5, 5-15, 15-30 and 30-60 minutes; a pane that lies ahead (a clock that
runs fast, a planned wrap-up) waits in `fine` and enters whole. Fine panes are dropped after 60
minutes, coarse ones after `COARSE_KEPT_MS`; a delta for what was dropped counts in the coarse pane
alone, or in none when no window can show it any more.
"""

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.counts import Vector, add_into, total_of
from cc_stream.panes import (
    COARSE_MS,
    FINE_MS,
    FINE_PER_COARSE,
    ROLLING,
    TODAY,
    Window,
    pane_end,
    today,
)

COARSE_KEPT_MS: Final = 72 * 3_600_000
RING_PANES: Final = tuple(length // FINE_MS for length in ROLLING.values())
"""The age in panes at which each ring ends: 30, 90, 180, 360."""
FINE_KEPT: Final = RING_PANES[-1]
LIVE_PANE: Final = ("live", 0)
RESOLUTIONS: Final = ("fine", "coarse", "live")


class Windows:
    """The windows of one row as they stand at `now`; `now` only moves forward."""

    __slots__ = (
        "_sums", "coarse", "day", "day_sum", "end", "fine", "live", "rings", "touched", "zone",
    )  # fmt: skip

    def __init__(self, zone: ZoneInfo, now_ms: int) -> None:
        """`touched` collects (resolution, pane) of what was changed or dropped, until cleared."""
        self.zone = zone
        self.end = pane_end(now_ms) // FINE_MS
        self.fine: dict[int, Vector] = {}
        self.coarse: dict[int, Vector] = {}
        self.live: Vector = {}
        self.rings: list[Vector] = [{} for _ in RING_PANES]
        self.day = today(zone, now_ms)
        self.day_sum: Vector = {}
        self.touched: set[tuple[str, int]] = set()
        self._sums: dict[str, Vector] = {}

    def add_live(self, vector: Vector) -> None:
        """Add to what is open."""
        add_into(self.live, vector)
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
            add_into(self.rings[_RING[age]], vector)
            self._sums.clear()
        self.touched.add(("fine", pane))

    def _add_coarse(self, pane: int, vector: Vector) -> None:
        start_ms = pane * COARSE_MS
        if start_ms + COARSE_MS <= self.end * FINE_MS - COARSE_KEPT_MS:
            return
        _add_to(self.coarse, pane, vector)
        if self.day.holds(start_ms):
            add_into(self.day_sum, vector)
        self.touched.add(("coarse", pane))

    def spread(self, key: int, start_ms: int, end_ms: int, n: int) -> None:
        """Add `n` times the overlap of `[start, end)` with each pane, in milliseconds, to `key`."""
        horizon_ms = (self.end - FINE_KEPT) * FINE_MS
        begin_ms = max(start_ms, horizon_ms)
        fine, touched = self.fine, self.touched
        for pane, overlap in _overlaps(begin_ms, end_ms, FINE_MS):
            _add_to(fine, pane, {key: n * overlap})
            touched.add(("fine", pane))
        younger = 0
        self._sums.clear()
        for ring, edge in zip(self.rings, RING_PANES, strict=True):
            low, high = (self.end - edge) * FINE_MS, (self.end - younger) * FINE_MS
            overlap = min(end_ms, high) - max(begin_ms, low)
            if overlap > 0:
                add_into(ring, {key: n * overlap})
            younger = edge
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
        """Each pane whose age crosses the edge of a ring changes its ring."""
        self._sums.clear()
        changed = False
        if end - self.end > FINE_KEPT:
            self.end = end
            self._settle_rings()
            return True
        for edge in range(self.end, end):
            for ring, age in enumerate((0, *RING_PANES)):
                pane = edge - age
                vector = self.fine.get(pane)
                if vector is None:
                    continue
                changed = True
                if ring < len(self.rings):
                    add_into(self.rings[ring], vector)
                else:
                    self._drop("fine", pane)
                if ring:
                    add_into(self.rings[ring - 1], vector, -1)
        return changed

    def _drop(self, resolution: str, pane: int) -> None:
        del self.panes(resolution)[pane]
        self.touched.add((resolution, pane))

    def panes(self, resolution: str) -> dict[int, Vector]:
        """The panes of a resolution, `fine`, `coarse`, or what is open as pane 0 of `live`."""
        if resolution == "fine":
            return self.fine
        return self.coarse if resolution == "coarse" else {0: self.live}

    def _new_day(self, now_ms: int) -> None:
        oldest = (now_ms - COARSE_KEPT_MS) // COARSE_MS
        for pane in [p for p in self.coarse if p < oldest]:
            self._drop("coarse", pane)
        self.set_zone(self.zone, now_ms)

    def set_zone(self, zone: ZoneInfo, now_ms: int) -> None:
        """The day of another zone from now on."""
        self.zone = zone
        self.day = today(zone, now_ms)
        panes = (p for p in self.coarse if self.day.holds(p * COARSE_MS))
        self.day_sum = total_of(self.coarse[p] for p in panes)

    def restore(self, resolution: str, pane: int, vector: Vector) -> None:
        """Add a stored pane; call `settle` after the last one."""
        if resolution == "live":
            add_into(self.live, vector)
        else:
            _add_to(self.panes(resolution), pane, vector)

    def settle(self, now_ms: int) -> None:
        """Make the rings and the day again from the panes; drop those that are too old."""
        self._settle_rings()
        self.set_zone(self.zone, now_ms)

    def _settle_rings(self) -> None:
        self._sums.clear()
        for pane in [p for p in self.fine if self.end - 1 - p >= FINE_KEPT]:
            self._drop("fine", pane)
        self.rings = [{} for _ in RING_PANES]
        for pane, vector in self.fine.items():
            age = self.end - 1 - pane
            if 0 <= age < FINE_KEPT:
                add_into(self.rings[_RING[age]], vector)

    def sum(self, window: str) -> Vector:
        """The sum over the window of this name (panes.WINDOWS); not to be changed."""
        if window == TODAY:
            return self.day_sum
        known = self._sums.get(window)
        if known is None:
            last = list(ROLLING).index(window)
            known = self._sums[window] = total_of(self.rings[: last + 1])
        return known

    def window(self, window: str) -> Window:
        """The window of this name as it stands."""
        if window == TODAY:
            return self.day
        end_ms = self.end * FINE_MS
        return Window(end_ms - ROLLING[window], end_ms)


_RING: Final = tuple(sum(age >= edge for edge in RING_PANES) for age in range(FINE_KEPT))
"""The ring of a pane by its age."""


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
