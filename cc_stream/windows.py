"""The running windows of one row: sums over fine panes, the day of coarse panes, what is open.

A delta is added to every window that covers its moment; as time passes a pane enters all windows,
and leaves each one at its age. The sums always equal the sum over the panes that a window covers,
and lie taken apart as figures read them: they are read far more often than they have slots changed.

A pane that lies ahead (a clock that runs fast, a planned wrap-up) waits in `fine` and enters whole.
Panes that change no more are packed (`pane_store`): when they are stored, or with time.
Fine panes are dropped after 60 minutes, coarse ones after `COARSE_KEPT_MS`; a delta for what was
dropped counts in the coarse pane alone, or in none when no window can show it any more.
"""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.counts import Parts, Vector, add_into_each, add_into_parts, join
from cc_stream.moments import keep_in_order
from cc_stream.pane_store import Panes, pack, unpack
from cc_stream.panes import (
    COARSE_MS,
    FINE_MS,
    FINE_PER_COARSE,
    ROLLING,
    TODAY,
    WINDOWS,
    Window,
    overlaps,
    pane_end,
    today,
)

COARSE_KEPT_MS: Final = 72 * 3_600_000
PANES: Final = {name: length // FINE_MS for name, length in ROLLING.items()}
"""The age in panes at which a pane leaves each rolling window: 30, 90, 180, 360."""
FINE_KEPT: Final = max(PANES.values())
LEAST_PANES: Final = min(PANES.values())
OPEN_PANES: Final = 30
"""Fine panes that are not packed with time yet: most states of agents begin and end in them."""
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
        self.fine = Panes()
        self.coarse = Panes()
        self.live: Parts = {}
        self.day = today(zone, now_ms)
        self.touched: set[tuple[str, int]] = set()
        self._day_sum: Parts = {}
        self._rolling: dict[str, Parts] = {name: {} for name in PANES if name in names}

    def add_live(self, vector: Vector) -> None:
        """Add to what is open."""
        self._open(vector)
        self.touched.add(LIVE_PANE)

    def _open(self, vector: Vector) -> None:
        add_into_parts(self.live, vector)
        keep_in_order(self.live)

    def add(self, pane: int, vector: Vector) -> None:
        """Add to the moment of a fine pane."""
        age = self.end - 1 - pane
        is_today = self._add_coarse(pane // FINE_PER_COARSE, vector)
        if age >= FINE_KEPT:
            if is_today:
                add_into_parts(self._day_sum, vector)
            return
        self.fine.add(pane, vector)
        self.touched.add(("fine", pane))
        totals = self._covering(age)
        if is_today:
            totals.append(self._day_sum)
        add_into_each(totals, vector)

    def _add_coarse(self, pane: int, vector: Vector) -> bool:
        """Add to a coarse pane unless it is too old; whether it belongs to the day."""
        start_ms = pane * COARSE_MS
        if start_ms + COARSE_MS <= self.end * FINE_MS - COARSE_KEPT_MS:
            return False
        self.coarse.add(pane, vector)
        self.touched.add(("coarse", pane))
        return self.day.holds(start_ms)

    def spread(self, key: int, start_ms: int, end_ms: int, n: int) -> None:
        """Add `n` times the overlap of `[start, end)` with each pane, in milliseconds, to `key`."""
        horizon_ms = (self.end - FINE_KEPT) * FINE_MS
        begin_ms = max(start_ms, horizon_ms)
        self._spread_fine(key, begin_ms, end_ms, n)
        for name, total in self._rolling.items():
            overlap = min(end_ms, self.end * FINE_MS) - max(begin_ms, self.window(name).start_ms)
            if overlap > 0:
                add_into_parts(total, {key: n * overlap})
        for pane, overlap in overlaps(start_ms, end_ms, COARSE_MS):
            if self._add_coarse(pane, {key: n * overlap}):
                add_into_parts(self._day_sum, {key: n * overlap})

    def _spread_fine(self, key: int, start_ms: int, end_ms: int, n: int) -> None:
        if start_ms >= end_ms:
            return
        fine, first, last = self.fine, start_ms // FINE_MS, (end_ms - 1) // FINE_MS
        head_ms = min(end_ms, (first + 1) * FINE_MS) - start_ms
        fine.add_one(first, key, n * head_ms)
        if last > first:
            fine.fill(range(first + 1, last), key, n * FINE_MS)
            fine.add_one(last, key, n * (end_ms - last * FINE_MS))
        self.touched.update(zip(repeat("fine"), range(first, last + 1)))

    def is_behind(self, now_ms: int) -> bool:
        """Whether `advance` would do anything."""
        return now_ms > self.end * FINE_MS or now_ms >= self.day.end_ms

    def advance(self, now_ms: int) -> bool:
        """Move on to `now`; whether any window changed."""
        end = pane_end(now_ms) // FINE_MS
        changed = False
        if end > self.end:
            changed = self._move(end) if self.fine else False
            self.end = end
            self._close()
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
        entering = self.fine.between(self.end, end)
        changed = bool(entering)
        for name, total in self._rolling.items():
            age = PANES[name]
            for vector in entering:
                add_into_parts(total, vector)
            for vector in self.fine.between(self.end - age, end - age):
                add_into_parts(total, vector, -1)
                changed = True
        self._drop_before("fine", end - FINE_KEPT)
        return changed

    def _drop_before(self, resolution: str, pane: int) -> None:
        panes = self.fine if resolution == "fine" else self.coarse
        self.touched.update([(resolution, gone) for gone in panes.drop_before(pane)])

    def panes(self, resolution: str) -> Iterator[tuple[int, Vector]]:
        """(pane, vector) of a resolution, `fine`, `coarse`, or pane 0 of `live`: what is open."""
        if resolution == "live":
            return iter([(0, join(self.live))])
        return (self.fine if resolution == "fine" else self.coarse).items()

    def take_touched(self) -> list[tuple[str, int, bytes | None]]:
        """(resolution, pane, how it is to be stored) of `touched`, which is empty then.

        None for a pane that is gone or zero.
        """
        taken: list[tuple[str, int, bytes | None]] = []
        for resolution, pane in self.touched:
            if resolution == "fine":
                packed = self.fine.close(pane)
            elif resolution == "coarse":
                packed = self.coarse.close(pane)
            else:
                packed = pack(join(self.live)) if self.live else None
            taken.append((resolution, pane, packed))
        self.touched.clear()
        return taken

    def _new_day(self, now_ms: int) -> None:
        self._drop_before("coarse", (now_ms - COARSE_KEPT_MS) // COARSE_MS)
        self.set_zone(self.zone, now_ms)

    def set_zone(self, zone: ZoneInfo, now_ms: int) -> None:
        """The day of another zone from now on."""
        self.zone = zone
        self.day = today(zone, now_ms)
        self._day_sum = {}
        for pane, vector in self.coarse.items():
            if self.day.holds(pane * COARSE_MS):
                add_into_parts(self._day_sum, vector)

    def restore(self, resolution: str, pane: int, packed: bytes) -> Vector:
        """Take in a pane as it was stored, each one once; its vector."""
        vector = unpack(packed)
        if resolution == "live":
            self._open(vector)
        elif resolution == "coarse":
            self.coarse.put(pane, packed)
            if self.day.holds(pane * COARSE_MS):
                add_into_parts(self._day_sum, vector)
        elif (age := self.end - 1 - pane) < FINE_KEPT:
            self.fine.put(pane, packed)
            add_into_each(self._covering(age), vector)
        else:
            self.touched.add((resolution, pane))
        return vector

    def _covering(self, age: int) -> list[Parts]:
        """The sums of the rolling windows that cover a pane of this age; one ahead has none."""
        if age < 0:
            return []
        if age < LEAST_PANES:  # mostly
            return list(self._rolling.values())
        return [total for name, total in self._rolling.items() if age < PANES[name]]

    def add_panes(self, resolution: str, panes: Iterable[tuple[int, Vector]]) -> None:
        """Add the panes of another row; call `settle` after the last one."""
        if resolution == "live":
            for _, vector in panes:
                self._open(vector)
            return
        total = self.fine if resolution == "fine" else self.coarse
        for pane, vector in panes:
            total.add(pane, vector)

    def settle(self, now_ms: int) -> None:
        """Make all windows again from the panes; drop those that are too old."""
        self._settle_rolling()
        self._close()
        self.set_zone(self.zone, now_ms)

    def _close(self) -> None:
        """Pack the panes that seldom change any more."""
        oldest_open = self.end - OPEN_PANES
        self.fine.close_before(oldest_open)
        self.coarse.close_before(oldest_open // FINE_PER_COARSE)

    def _settle_rolling(self) -> None:
        self._drop_before("fine", self.end - FINE_KEPT)
        for total in self._rolling.values():
            total.clear()
        for pane, vector in self.fine.items():
            add_into_each(self._covering(self.end - 1 - pane), vector)

    def sum(self, window: str) -> Parts:
        """The sum over the window of this name, as it stands; not to be changed."""
        return self._day_sum if window == TODAY else self._rolling[window]

    def window(self, window: str) -> Window:
        """The window of this name as it stands."""
        if window == TODAY:
            return self.day
        end_ms = self.end * FINE_MS
        return Window(end_ms - ROLLING[window], end_ms)
