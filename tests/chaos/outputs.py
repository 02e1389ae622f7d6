"""The last value of each key of the output topics, against the report at its own moment.

A value names its window and the moment that it was read at; what it was made of has not changed
since, or there would be a later value. A part of the floor is held against the rows of its board.
"""

from copy import copy
from typing import Final

from cc_stream.deltas import board_of
from cc_stream.leaderboard import (
    BY_NAME,
    LEADERBOARD_WINDOWS,
    LEADERBOARDS,
    Leaderboard,
    standings,
)
from cc_stream.outputs import board_name, view_name
from cc_stream.panes import Window
from cc_stream.report.book import Book
from cc_stream.report.compare import NOT_THERE, Comparison, adding, candidates, scopes_of
from cc_stream.report.oracle import Oracle
from cc_stream.view import LIVE_VIEW, Entity, View, unnamed

METRICS: Final = "metrics topic"
LEADERBOARDS_TOPIC: Final = "leaderboards topic"


def compare_views(
    found: Comparison, oracle: Oracle, views: list[View], shown: list[View], boards: int
) -> None:
    """Hold the views on the topic against the report; `shown` are those in Redis."""
    parts = {part: _book_of_part(oracle.book, part, boards) for part in range(boards)}
    for view in views:
        key, book = view_name(view), oracle.book if view.part is None else parts[view.part]
        is_live = view.window == LIVE_VIEW
        window = Window(view.start_ms or 0, view.end_ms or 1)
        sums, live = {} if is_live else book.sum(view.entity, window), book.live(view.entity)
        if not is_live:
            own = oracle.window_of(view.entity, view.window, view.as_of_ms)
            found.value(METRICS, key, "window", window, own)
        expected = oracle.metrics(view, sums, live)
        for name in expected.keys() | view.metrics.keys():
            value = view.metrics.get(name, NOT_THERE)
            found.value(METRICS, key, name, value, expected.get(name, NOT_THERE))
        if view.vector is not None:
            found.value(METRICS, key, "vector", unnamed(view.vector), adding(sums))
        if view.live_vector is not None:
            found.value(METRICS, key, "live_vector", unnamed(view.live_vector), adding(live))
    for name in sorted({view_name(view) for view in shown} - {view_name(view) for view in views}):
        found.fault(METRICS, name, NOT_THERE, "shown in Redis")


def _book_of_part(book: Book, part: int, boards: int) -> Book:
    """The book with those rows of the floor alone that lie on one board."""
    of_part = copy(book)
    of_part.entities = {
        entity: [row for row in rows if board_of(row, boards) == part]
        for entity, rows in book.entities.items()
        if entity.kind == "floor"
    }
    return of_part


def compare_leaderboards(
    found: Comparison, oracle: Oracle, boards: list[Leaderboard], partitions: int
) -> None:
    """Hold the leaderboards on the topic against the report."""
    scopes = scopes_of(oracle.book)
    for board in boards:
        agents = scopes.get((board.tenant, board.scope, board.scope_id), [])
        if board.part is not None:
            agents = [agent for agent in agents if _part_of(agent, partitions) == board.part]
        rows = candidates(oracle, board, agents)
        expected = standings(BY_NAME[board.name], rows, oracle.rules.minimum_sample)
        found.value(
            LEADERBOARDS_TOPIC,
            board_name(board),
            "standings",
            list(board.standings),
            expected[: oracle.rules.leaderboard_size],
        )
    there = {(b.tenant, b.scope, b.scope_id, b.part, b.name, b.window) for b in boards}
    for (tenant, scope, scope_id), agents in sorted(scopes.items()):
        numbers = {_part_of(agent, partitions) for agent in agents} if scope == "floor" else {None}
        for name in [spec.name for spec in LEADERBOARDS]:
            for key in [
                (tenant, scope, scope_id, number, name, window)
                for number in numbers
                for window in LEADERBOARD_WINDOWS
            ]:
                if key not in there:
                    found.fault(LEADERBOARDS_TOPIC, str(key), NOT_THERE, "counts")


def _part_of(agent: Entity, partitions: int) -> int:
    return board_of(("agent", agent.tenant, agent.id, agent.team or ""), partitions)
