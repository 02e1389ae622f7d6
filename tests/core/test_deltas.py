"""What a flush sends to which board."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cc_stream.contact_log import Change
from cc_stream.deltas import SHORT_MS, Deltas, split
from cc_stream.facts import Reported, StateTime
from cc_stream.metrics.agent_time import STATE_BUCKET
from cc_stream.panes import WINDOWS
from cc_stream.windows import Windows

NOW_MS = 1_795_500_123_456
HOUR_MS = 3_600_000

ago = st.integers(-SHORT_MS, 3 * HOUR_MS)
lengths = st.one_of(st.integers(0, SHORT_MS + 10_000), st.integers(0, 2 * HOUR_MS))


def test_a_board_whose_numbers_are_all_zero_gets_nothing() -> None:
    # It was told to have an empty list of parts, and reference data for it found no part to go in.
    deltas = Deltas()
    reported = Reported(queue="sales", waiting=0, at=1_795_500_000_000)
    deltas.take(Change((), (reported,)), "default")
    assert split(deltas, boards=4) == {}


@given(st.lists(st.tuples(ago, lengths, st.booleans()), max_size=6))
def test_a_state_counts_alike_however_it_is_told(states: list[tuple[int, int, bool]]) -> None:
    deltas = Deltas(fine_from_ms=NOW_MS - 2 * HOUR_MS)
    told, spread = Windows(ZoneInfo("UTC"), NOW_MS), Windows(ZoneInfo("UTC"), NOW_MS)
    for before_ms, length_ms, is_back in states:
        start_ms = NOW_MS - before_ms
        fact = StateTime("wrapup", start_ms, start_ms + length_ms, "ann", "blue")
        deltas.take(Change((fact,), ()) if is_back else Change((), (fact,)), "default")
        n = -1 if is_back else 1
        spread.spread(STATE_BUCKET["wrapup"], start_ms, start_ms + length_ms, n)
    rows, long = deltas.worth()
    for panes in rows.values():
        for pane, vector in panes.items():
            told.add(pane, {key: n for key, n in vector.items() if n})
    for _, state, start_ms, end_ms, n in long:
        assert end_ms - start_ms > SHORT_MS or start_ms < deltas.fine_from_ms
        told.spread(STATE_BUCKET[state], start_ms, end_ms, n)
    for moment_ms in (NOW_MS, NOW_MS + HOUR_MS):
        for windows in (told, spread):
            windows.advance(moment_ms)
        for window in WINDOWS:
            assert told.sum(window) == spread.sum(window)
        for resolution in ("fine", "coarse"):
            assert dict(told.panes(resolution)) == dict(spread.panes(resolution))
