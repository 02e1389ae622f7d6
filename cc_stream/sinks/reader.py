"""What readers of a view store can ask: wallboards, the demo's screen, `cc-stream board`."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from cc_stream.alerts.engine import Alert
from cc_stream.leaderboard import BY_NAME, Leaderboard, merged
from cc_stream.panes import Window
from cc_stream.reference import DEFAULT_TERMS, Terms
from cc_stream.sinks.sink import ShardStatus
from cc_stream.view import KINDS, LIVE_VIEW, View, figures, live_metrics, window_metrics
from cc_stream.view import merged as merged_vectors


class Notices(Protocol):
    """Change notices of one tenant since they were asked for."""

    async def next(self, timeout_seconds: float) -> list[str] | None:
        """The changed keys of the next notice (`["*"]`: everything); None if none comes in time.

        Raises:
            SinkUnavailable: the connection was lost; notices may have been missed.
        """


class Reader(Protocol):
    """Reads what sinks wrote. Every call raises SinkUnavailable when the store is away."""

    async def tenants(self) -> list[str]:
        """Tenants of whom there is anything, in order."""

    async def views(self, tenant: str, kinds: Sequence[str] = KINDS) -> list[View]:
        """All views of these kinds, by kind, team, id, part and window.

        The floor comes in parts (see `floor_views`). `vector` is there only where it is of the same
        moment as the figures.
        """

    async def leaderboards(self, tenant: str) -> list[Leaderboard]:
        """All boards by scope, id, name and window; floor boards put together and ranked."""

    async def alerts(self, tenant: str) -> list[Alert]:
        """Active alerts by queue and rule."""

    async def shards(self) -> dict[int, ShardStatus]:
        """How every board shard stands, by its number."""

    def changes(self, tenant: str) -> AbstractAsyncContextManager[Notices]:
        """Notices of every change from the moment that the context is entered."""

    async def close(self) -> None:
        """Let go of connections."""


def view_order(view: View) -> tuple[str, str, str, int, str]:
    """The order in which readers give views."""
    part = -1 if view.part is None else view.part
    return view.entity.kind, view.entity.team or "", view.entity.id, part, view.window


def whole_boards(parts: Iterable[Leaderboard]) -> list[Leaderboard]:
    """Boards with the parts of each floor board put together; boards of unknown names are left out.

    A newer worker may write a board that this version does not know how to rank.
    """
    groups: dict[tuple[str, str, str, str, str], list[Leaderboard]] = {}
    for board in parts:
        name = (board.tenant, board.scope, board.scope_id, board.name, board.window)
        groups.setdefault(name, []).append(board)
    return [merged(BY_NAME[name[3]], groups[name]) for name in sorted(groups) if name[3] in BY_NAME]


def floor_views(views: Iterable[View], terms: Terms = DEFAULT_TERMS) -> list[View]:
    """One view a window (and live) for each floor: the sum of its parts, read under `terms`.

    `terms` are those of the floor. Of a part whose window does not overlap the newest one's only
    what is open is added: what it counts has left the window. Parts without vectors are left out.
    """
    groups: dict[tuple[str, str, str], list[View]] = {}
    for view in views:
        if view.part is not None and (view.vector is not None or view.live_vector is not None):
            name = (view.entity.tenant, view.entity.id, view.window)
            groups.setdefault(name, []).append(view)
    return [_floor_view(groups[name], terms) for name in sorted(groups)]


def _floor_view(parts: list[View], terms: Terms) -> View:
    newest = max(parts, key=lambda view: (view.end_ms or 0, view.as_of_ms, view.order))
    current = [view for view in parts if _overlap(view, newest)]
    as_of_ms = max(view.as_of_ms for view in current)
    vector = merged_vectors([view.vector or {} for view in current])
    # What is open stays open until its shard says otherwise, however old its window is.
    live = merged_vectors([view.live_vector or {} for view in parts])
    # The readings of a live view look at no window; one of a millisecond stands in its place.
    window = Window(newest.start_ms or 0, newest.end_ms or 1)
    of = figures(newest.entity.kind, window, as_of_ms, vector, live, terms)
    return View(
        newest.entity,
        newest.window,
        newest.start_ms,
        newest.end_ms,
        as_of_ms,
        max(view.data_as_of_ms for view in current),
        max(view.order for view in current),
        live_metrics(of) if newest.window == LIVE_VIEW else window_metrics(of),
    )


def _overlap(view: View, newest: View) -> bool:
    if view.end_ms is None or newest.start_ms is None:
        return True
    return view.end_ms > newest.start_ms
