"""A full tick that was asked for: at its moment, and the clock stands there until all is read."""

import msgspec
import pytest

from cc_stream.deltas import Tick
from streams.board.board import TICK_HOLDS_MS, TICK_KEY, Board
from tests.streams.kafka import Kept
from tests.streams.test_topology import END_MS, world_of

MOMENT_MS = END_MS + 1_000
LATER_MS = MOMENT_MS + TICK_HOLDS_MS


@pytest.fixture
def board() -> Board:
    """One that has shown what it has, and then is asked for a full tick."""
    world = world_of(seed=1, hours=1)
    world.settle()
    board = world.boards()[0]
    assert board.tick(END_MS) is not None
    value = msgspec.msgpack.encode(Tick(MOMENT_MS))
    board.apply([Kept("deltas", 0, board.offset, END_MS, TICK_KEY, value)])
    return board


def test_it_is_of_its_moment_however_late_the_shard_ticks(board: Board) -> None:
    before = board.tick(MOMENT_MS - 1)
    assert before is None or not before.whole
    update = board.tick(MOMENT_MS + 700)
    assert update is not None
    assert update.whole
    assert {view.as_of_ms for view in update.views} == {MOMENT_MS}


def test_nothing_moves_on_by_time_alone_for_a_while(board: Board) -> None:
    assert board.tick(MOMENT_MS) is not None
    for now_ms in range(MOMENT_MS, LATER_MS, 100):
        assert board.tick(now_ms) is None
        board.is_dirty(now_ms)
        assert board.status(now_ms).as_of_ms == MOMENT_MS
    board.repeat_whole()
    update = board.tick(LATER_MS - 1)
    assert update is not None
    assert {view.as_of_ms for view in update.views} == {MOMENT_MS}


def test_then_the_clock_goes_on(board: Board) -> None:
    board.tick(MOMENT_MS)
    assert board.status(LATER_MS).as_of_ms == LATER_MS
    assert board.status(LATER_MS + 1).as_of_ms == LATER_MS + 1
