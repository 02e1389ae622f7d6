"""The board: deltas become panes, windows, views, leaderboards and alerts."""

from streams.board.board import TICK_KEY, Board, BoardPlan, MissingDeltasError

__all__ = ["TICK_KEY", "Board", "BoardPlan", "MissingDeltasError"]
