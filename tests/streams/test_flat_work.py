"""The stages that `make bench` compares with others: equal to a plain sum, however it is cut."""

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bench.flat.calls import PANE_MS
from bench.flat.engine import flat_topics
from bench.flat.stages import Board, Floor

TEAMS = {"ann": "north", "bob": "north", "cleo": "south"}
MS = st.integers(0, 5 * PANE_MS)
CALLS = st.builds(
    lambda agent, handle_ms, wait_ms, time_ms: {
        "id": "call",
        "agent": agent,
        "team": TEAMS[agent],
        "queue": "sales",
        "handle_ms": handle_ms,
        "wait_ms": wait_ms,
        "time_ms": time_ms,
    },
    st.sampled_from(sorted(TEAMS)),
    MS,
    MS,
    MS,
)


class Rec(Struct):
    """A record as a stage is given it."""

    value: bytes | None
    key: bytes | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


def _plain_sum(calls: list[dict[str, Any]]) -> dict[Any, list[int]]:
    panes: dict[Any, list[int]] = {}
    for call in calls:
        for kind in ("agent", "team"):
            pane = (kind, call[kind], call["time_ms"] // PANE_MS * PANE_MS)
            sums = panes.setdefault(pane, [0, 0, 0, 0])
            waited = call["wait_ms"]
            panes[pane] = [
                *(sums[0] + 1, sums[1] + call["handle_ms"], sums[2] + waited),
                max(sums[3], waited),
            ]
    return panes


@given(st.lists(st.lists(CALLS, max_size=8), max_size=6), st.integers(1, 2))
def test_any_cut_into_flushes_gives_the_plain_sum(
    flushes: list[list[dict[str, Any]]], times: int
) -> None:
    topics = flat_topics("flat")
    floor = Floor(topics, 0)
    boards = [Board(topics, partition) for partition in range(topics.deltas.partitions)]
    for calls in flushes:
        if calls:
            floor.apply([Rec(orjson.dumps(call)) for call in calls])
        for write in floor.cut(0).writes:
            for _ in range(times):  # what comes again is passed over
                boards[write.partition or 0].apply([Rec(write.value)])
    shown = {pane: sums for board in boards for pane, sums in board.panes.all.items()}
    assert shown == _plain_sum([call for calls in flushes for call in calls])
    assert sum(board.counted for board in boards) == sum(map(len, flushes))


@given(st.lists(CALLS, min_size=1, max_size=20))
def test_a_board_is_restored_from_what_it_wrote(calls: list[dict[str, Any]]) -> None:
    topics = flat_topics("flat")
    floor, before, after = Floor(topics, 0), Board(topics, 0), Board(topics, 0)
    floor.apply([Rec(orjson.dumps(call)) for call in calls])
    for write in floor.cut(0).writes:
        if write.partition == 0:
            before.apply([Rec(write.value)])
    cut = before.cut(1_000)
    stored = [(write.key or b"", write.value or b"") for write in cut.writes]
    assert len(list(after.restore(cut.memory, stored))) == len(stored)
    assert (after.panes.all, after.numbers) == (before.panes.all, before.numbers)
