"""Running windows: at every moment equal to the sum over the panes that they cover."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_stream.counts import Vector, add_into, join, total_of
from cc_stream.panes import FINE_MS, WINDOWS, window_at
from cc_stream.windows import Windows

ZONE = ZoneInfo("Europe/Berlin")
SPRING_FORWARD_MS = 1_774_738_800_000  # 2026-03-28 23:00 UTC: a day of 23 hours begins
HOUR_MS = 3_600_000
STATE = 9 << 42

moments = st.integers(-4 * HOUR_MS, 60_000)
steps = st.one_of(
    st.tuples(st.just("add"), moments, st.integers(1, 3), st.sampled_from((-2, -1, 1, 5))),
    st.tuples(st.just("spread"), moments, st.integers(1, HOUR_MS), st.sampled_from((-1, 1))),
    st.tuples(st.just("advance"), st.sampled_from((1, 500, 10_000, 25_000, 400_000, 9 * HOUR_MS))),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 30 * HOUR_MS), st.lists(steps, max_size=40))
def test_windows_equal_the_sum_of_their_panes(begin: int, schedule: list[tuple]) -> None:  # type: ignore[type-arg]
    now = SPRING_FORWARD_MS + begin
    windows = Windows(ZONE, now)
    panes: dict[int, Vector] = {}
    for step, *values in schedule:
        if step == "advance":
            now += values[0]
            windows.advance(now)
        elif step == "add":
            at, slot, n = values
            pane = (now + at) // FINE_MS
            windows.add(pane, {slot << 42: n})
            add_into(panes.setdefault(pane, {}), {slot << 42: n})
        else:
            at, length, n = values
            start, end = now + at, now + at + length
            windows.spread(STATE, start, end, n)
            for pane in range(start // FINE_MS, -(-end // FINE_MS)):
                overlap = min(end, (pane + 1) * FINE_MS) - max(start, pane * FINE_MS)
                add_into(panes.setdefault(pane, {}), {STATE: n * overlap})
    for name in WINDOWS:
        window = window_at(name, ZONE, now)
        assert windows.window(name) == window
        covered = (v for p, v in panes.items() if window.holds(p * FINE_MS))
        assert join(windows.sum(name)) == total_of(covered), name


@pytest.mark.parametrize("later_ms", [0, 11 * 60_000, 2 * HOUR_MS, 26 * HOUR_MS])
def test_stored_panes_make_the_same_windows(later_ms: int) -> None:
    now = SPRING_FORWARD_MS + 13 * HOUR_MS
    windows = Windows(ZONE, now)
    for age in range(0, 3 * HOUR_MS, 7_000):
        windows.add((now - age) // FINE_MS, {1 << 42: 1, 7 << 42 | age % 60: 1})
    windows.add((now + HOUR_MS) // FINE_MS, {1 << 42: 1})
    windows.spread(STATE, now - 2 * HOUR_MS, now - 1_234, 1)
    stored = windows.take_touched()
    windows.advance(now + later_ms)
    again, total = Windows(ZONE, now + later_ms), Windows(ZONE, now + later_ms)
    for resolution, pane, packed in stored:
        assert packed is not None
        total.add_panes(resolution, [(pane, again.restore(resolution, pane, packed))])
    total.settle(now + later_ms)
    for name in WINDOWS:
        assert again.sum(name) == windows.sum(name)
        assert total.sum(name) == windows.sum(name)
    # What is too old has to be deleted where it is stored.
    assert {(r, p) for r, p, _ in stored if r == "fine"} == again.touched | {
        ("fine", pane) for pane in windows.fine
    }


def test_what_was_dropped_is_told() -> None:
    now = SPRING_FORWARD_MS + HOUR_MS
    windows = Windows(ZONE, now)
    pane = now // FINE_MS
    windows.add(pane, {1 << 42: 1})
    windows.touched.clear()
    assert windows.advance(now + HOUR_MS + FINE_MS)
    assert ("fine", pane) in windows.touched
    assert pane not in set(windows.fine)
    assert windows.sum("60m") == {}
    assert windows.sum("today") == {1: {0: 1}}
