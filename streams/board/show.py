"""What a board shard shows: views of its rows, and leaderboards of its agents."""

from collections.abc import Iterable

from msgspec import Struct

from cc_stream.leaderboard import (
    LEADERBOARD_WINDOWS,
    LEADERBOARDS,
    Candidate,
    Leaderboard,
    Scope,
    Standing,
    ranked,
    standing,
)
from cc_stream.metrics import Figures
from cc_stream.panes import TODAY, WINDOWS
from cc_stream.view import (
    FLOOR_ID,
    LIVE_VIEW,
    View,
    figures_beside,
    live_metrics,
    named_parts,
    window_metrics,
)
from streams.board.rows import Row, Rows


class Moment(Struct, frozen=True):
    """When and out of what something is shown."""

    shard: int
    as_of_ms: int
    data_as_of_ms: int
    order: str


def views_of(row: Row, at: Moment, agent_window: str, *, whole: bool, all_of: bool) -> list[View]:
    """One view a window, and the live one; without `all_of` those of rolling windows only.

    The floor's parts carry their vectors always, queues and teams when everything is shown.
    """
    entity, windows = row.entity, row.windows
    part = at.shard if entity.kind == "floor" else None
    with_vector = part is not None or (whole and entity.kind in {"queue", "team"})
    live_vector = named_parts(windows.live) if part is not None else None
    now = Figures(entity.kind, windows.day, at.as_of_ms, {}, windows.live, row.terms)
    views = []
    for name in (TODAY, agent_window) if entity.kind == "agent" else WINDOWS:
        if name == TODAY and not all_of:
            continue
        window, total = windows.window(name), windows.sum(name)
        seen = figures_beside(now, window, total)
        views.append(
            View(
                entity, name, window.start_ms, window.end_ms, at.as_of_ms, at.data_as_of_ms,
                at.order, window_metrics(seen), named_parts(total) if with_vector else None,
                live_vector, part,
            )
        )  # fmt: skip
    if not all_of:
        return views
    views.append(
        View(
            entity, LIVE_VIEW, None, None, at.as_of_ms, at.data_as_of_ms, at.order,
            live_metrics(now), None, live_vector, part,
        )
    )  # fmt: skip
    return views


class Ranking:
    """The leaderboards of a shard's teams, and its part of the floor's."""

    def __init__(self, minimum_sample: int, size: int) -> None:
        self.minimum_sample = minimum_sample
        self.size = size
        self._rows: dict[tuple[Row, str], tuple[Standing, ...]] = {}
        self._changed: set[tuple[str, str]] = set()

    def changed(self, agents: Iterable[Row]) -> None:
        """These agents' figures are others now."""
        for row in agents:
            self._changed.add((row.entity.tenant, row.entity.team or ""))
            for window in LEADERBOARD_WINDOWS:
                self._rows.pop((row, window), None)

    def take(self, rows: Rows, at: Moment, *, whole: bool) -> list[Leaderboard]:
        """The boards that changed since the last call, or all."""
        teams = set(rows.members) if whole else self._changed
        self._changed = set()
        boards = []
        for tenant, team in sorted(teams):
            members = rows.members.get((tenant, team), [])
            boards += self._boards(tenant, "team", team, members, at)
        for tenant in sorted({tenant for tenant, _ in teams}):
            every = [
                r for key, members in rows.members.items() if key[0] == tenant for r in members
            ]
            boards += self._boards(tenant, "floor", FLOOR_ID, every, at)
        return boards

    def _boards(
        self, tenant: str, scope: Scope, scope_id: str, members: list[Row], at: Moment
    ) -> list[Leaderboard]:
        boards = []
        for name in LEADERBOARD_WINDOWS if members else ():
            by_spec = zip(*(self._standings(row, name, at) for row in members), strict=True)
            window = members[0].windows.window(name)
            part = at.shard if scope == "floor" else None
            for spec, rows in zip(LEADERBOARDS, by_spec, strict=True):
                boards.append(
                    Leaderboard(
                        tenant, scope, scope_id, spec.name, name, window.start_ms, window.end_ms,
                        at.as_of_ms, at.data_as_of_ms, at.order,
                        tuple(ranked(spec, rows, self.size)), part,
                    )
                )  # fmt: skip
        return boards

    def _standings(self, row: Row, window: str, at: Moment) -> tuple[Standing, ...]:
        """An agent's row on each board."""
        known = self._rows.get((row, window))
        if known is None:
            windows, entity = row.windows, row.entity
            span, total = windows.window(window), windows.sum(window)
            seen = Figures("agent", span, at.as_of_ms, total, {}, row.terms)
            candidate = Candidate(entity.id, entity.team or "", seen)
            known = self._rows[row, window] = tuple(
                standing(spec, candidate, self.minimum_sample) for spec in LEADERBOARDS
            )
        return known
