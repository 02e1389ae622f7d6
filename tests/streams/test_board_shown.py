"""What a board shows, bit by bit, is what a new board shows that was told everything at once.

Whatever a board keeps between ticks (running windows, packed panes, standings, what is marked) must
not be seen: not after time has passed, terms have changed, all was shown again or it was restored.
"""

from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_stream.leaderboard import Leaderboard
from cc_stream.metrics.handled import HANDLED
from cc_stream.metrics.offered import OFFERED
from cc_stream.metrics.queue_wait import ANSWERED_WAITS
from cc_stream.metrics.waiting import WAITING
from cc_stream.sinks.sink import Update
from cc_stream.tally import LIVE
from cc_stream.view import View
from streams.board import Board
from tests.streams.test_board import NOW_MS, PLAN, SALES, Sent, batch, board

HOUR_MS = 3_600_000
AGENTS = tuple(("agent", "default", name, team) for name, team in (("ann", "n"), ("bo", "n")))
SUMS = ("offered", "handled", "agents_staffed", "waiting_reported")

ago = st.integers(0, 90 * 60_000)
told = st.one_of(
    st.tuples(st.just("queue"), ago, st.integers(0, 40)),
    st.tuples(st.just("agent"), st.sampled_from(AGENTS), ago, st.integers(1, 3)),
    st.tuples(st.just("waits"), ago),
    st.tuples(
        st.just("state"), st.sampled_from(AGENTS), st.sampled_from(("available", "on_contact")),
        ago, st.integers(1, HOUR_MS),
    ),
    st.tuples(st.just("terms"), st.integers(5, 60)),
)  # fmt: skip
step = st.one_of(
    told,
    st.tuples(st.just("passes"), st.sampled_from((1, 700, 10_000, 61_000, HOUR_MS, 25 * HOUR_MS))),
    st.tuples(st.sampled_from(("whole", "restored"))),
    st.tuples(st.just("agents wait"), st.integers(0, 2)),
)


def told_at(number: int, now_ms: int, kind: str, values: list[Any]) -> bytes:
    """The batch of a step."""
    match kind, values:
        case "queue", [age, wait]:
            keys = {OFFERED.key: 1, ANSWERED_WAITS.key | wait: 1}
            return batch(number, (SALES, (now_ms - age) // 10_000, keys))
        case "agent", [agent, age, n]:
            return batch(number, (agent, (now_ms - age) // 10_000, {HANDLED.key: n}))
        case "waits", [age]:
            return batch(number, (SALES, LIVE, {WAITING.key | now_ms - age: 1}))
        case "state", [agent, state, age, length]:
            return batch(number, times=[(agent, state, now_ms - age - length, now_ms - age, 1)])
        case "terms", [seconds]:
            fields = {"service_level_seconds": seconds}
            changes = [(NOW_MS - HOUR_MS, 1, number, fields)]
            return batch(number, reference=[("default", "queue", "sales", changes)])
    raise AssertionError(kind)


def shown_in(update: Update | None) -> dict[Any, View | Leaderboard]:
    """By what it is of; without the vectors that only a whole update carries."""
    if update is None:
        return {}
    views = {
        (view.entity, view.window): view
        if view.part is not None
        else msgspec.structs.replace(view, vector=None)
        for view in update.views
    }
    return views | {(b.scope, b.scope_id, b.name, b.window): b for b in update.leaderboards}


class Pair:
    """A board that lives on, and everything that it was told."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.one = board()
        self.records: list[Sent] = []
        self.stored: dict[bytes, bytes | None] = {}
        self.shown: dict[Any, View | Leaderboard] = {}

    def tell(self, kind: str, values: list[Any]) -> None:
        number = len(self.records) + 1
        self.records.append(Sent(number - 1, told_at(number, self.now_ms, kind, values)))
        self.one.apply(self.records[-1:])

    def restore(self) -> None:
        cut = self.one.cut(self.now_ms)
        self.stored |= {
            write.key: write.value
            for write in cut.writes
            if write.topic == PLAN.topics.panes_changelog.name and write.key is not None
        }
        self.one = Board(PLAN, 0, self.now_ms)
        items = [(key, value) for key, value in self.stored.items() if value is not None]
        for _ in self.one.restore(cut.memory, items):
            pass
        self.one.started(NOW_MS, len(self.records))

    def tick(self, *, agents: int | None) -> None:
        """Show what changed: it is as a new board shows it, and nothing is left out."""
        new = Board(PLAN, 0, self.now_ms)
        new.started(NOW_MS, 0)
        new.apply(self.records)
        for each in (self.one, new):  # a board forgets in its own time what no figure reads
            each.rows.prune()
        every = shown_in(new.tick(self.now_ms))
        before_ms = self.one.boards_at_ms
        now = shown_in(self.one.tick(self.now_ms, agents=agents))
        if self.one.has_waiting:  # leaderboards are made of what agents were shown with
            now = {key: shown for key, shown in now.items() if isinstance(shown, View)}
        assert now == {key: every[key] for key in now}
        self.shown |= now
        if agents is None:
            assert sums_of(self.shown) == sums_of(every)
            if self.one.boards_at_ms > before_ms:
                assert standings_of(self.shown) == standings_of(every)


def sums_of(shown: dict[Any, View | Leaderboard]) -> dict[Any, Any]:
    """The figures that move with what a board is told and with panes alone.

    What has been zero ever since is not shown until all is.
    """
    sums = {
        key: [view.metrics[name] for name in SUMS if name in view.metrics]
        for key, view in shown.items()
        if isinstance(view, View)
    }
    return {key: figures for key, figures in sums.items() if any(figures)}


def standings_of(shown: dict[Any, View | Leaderboard]) -> dict[Any, Any]:
    """Who stands where: boards in which nothing has changed are not shown again."""
    return {key: board.standings for key, board in shown.items() if isinstance(board, Leaderboard)}


@patch("streams.board.rows.ROWS_AT_ONCE", 1)
@settings(max_examples=80, deadline=None)
@given(st.lists(step, max_size=14))
def test_what_is_shown_is_what_a_new_board_shows(steps: list[tuple[Any, ...]]) -> None:
    pair = Pair()
    for kind, *values in steps:
        agents = None
        match kind:
            case "passes":
                pair.now_ms += values[0]
            case "whole":
                pair.one.repeat_whole()
            case "restored":
                pair.restore()
            case "agents wait":
                agents = values[0]
            case _:
                pair.tell(kind, values)
        pair.tick(agents=agents)
