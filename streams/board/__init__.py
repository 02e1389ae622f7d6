"""The board: deltas become panes, windows, views, leaderboards and alerts."""

from streams.board.board import TICK_KEY, Board, MissingDeltasError
from streams.board.plan import BoardPlan, board_plan

__all__ = ["TICK_KEY", "Board", "BoardPlan", "MissingDeltasError", "board_plan"]
