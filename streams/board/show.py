"""What a board shard shows: views of its rows, and leaderboards of its agents."""

from collections.abc import Iterable
from itertools import chain

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

Team = tuple[str, str]
"""(tenant, team)."""


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
        self._rows: dict[tuple[Row, str], tuple[int, tuple[Standing, ...]]] = {}
        self._best: dict[tuple[Team, str], list[list[Standing]]] = {}
        self._changed: set[Team] = set()
        self._round: list[Team] = []
        self._floors: set[str] = set()

    def changed(self, agents: Iterable[Row]) -> None:
        """These agents were shown anew: their teams change if their standings do, or the day."""
        for row in agents:
            for window in LEADERBOARD_WINDOWS:
                day_ms = row.windows.day.start_ms
                now = day_ms, self._standings(row, window)
                if self._rows.get((row, window)) != now:
                    self._rows[row, window] = now
                    self._changed.add((row.entity.tenant, row.entity.team or ""))

    @property
    def under_way(self) -> bool:
        """Whether a round has begun and has not ended."""
        return bool(self._round or self._floors)

    def begin(self, rows: Rows, *, whole: bool) -> None:
        """Begin a round: of the teams that changed since the last one, or of all."""
        self._round = sorted(rows.members if whole else self._changed)
        self._floors = {tenant for tenant, _ in self._round}
        self._changed = set()

    def take(self, rows: Rows, at: Moment, teams: int | None = None) -> list[Leaderboard]:
        """The boards of the next so many teams of the round, or of all that are left; then floors.

        They show who has been shown.
        """
        boards = []
        some = self._round[:teams]
        del self._round[:teams]
        for team in some:
            members = rows.members.get(team, [])
            for window in LEADERBOARD_WINDOWS if members else ():
                shown = [self._rows.get((row, window)) for row in members]
                known = [standings for _, standings in filter(None, shown)]
                best = self._best[team, window] = self._best_of(known)
                boards += _boards("team", team, members[0], window, best, at)
        if not self._round:
            for tenant in sorted(self._floors):
                boards += self._floor(tenant, rows, at)
            self._floors = set()
        return boards

    def _floor(self, tenant: str, rows: Rows, at: Moment) -> list[Leaderboard]:
        """Nobody is among the best of the floor who is not among those of a team."""
        boards = []
        teams = [t for t in rows.members if t[0] == tenant and (t, TODAY) in self._best]
        for window in LEADERBOARD_WINDOWS if teams else ():
            of_teams = [self._best[team, window] for team in teams]
            best = [
                ranked(spec, chain.from_iterable(of_spec), self.size)
                for spec, *of_spec in zip(LEADERBOARDS, *of_teams, strict=True)
            ]
            one = rows.members[teams[0]][0]
            boards += _boards("floor", (tenant, FLOOR_ID), one, window, best, at)
        return boards

    def _best_of(self, rows: list[tuple[Standing, ...]]) -> list[list[Standing]]:
        """Of each leaderboard the first rows, ranked."""
        by_spec = zip(LEADERBOARDS, zip(*rows, strict=True), strict=True)
        return [ranked(spec, of_spec, self.size) for spec, of_spec in by_spec]

    def _standings(self, row: Row, window: str) -> tuple[Standing, ...]:
        """An agent's row on each board."""
        windows, entity = row.windows, row.entity
        # What is ranked are sums: no moment is looked at.
        seen = Figures("agent", windows.window(window), 0, windows.sum(window), {}, row.terms)
        candidate = Candidate(entity.id, entity.team or "", seen)
        return tuple(standing(spec, candidate, self.minimum_sample) for spec in LEADERBOARDS)


def _boards(
    scope: Scope, of: Team, one: Row, window: str, best: list[list[Standing]], at: Moment
) -> list[Leaderboard]:
    """The boards of a scope over a window, as it stands for `one` of its agents."""
    tenant, scope_id = of
    span = one.windows.window(window)
    part = at.shard if scope == "floor" else None
    return [
        Leaderboard(
            tenant, scope, scope_id, spec.name, window, span.start_ms, span.end_ms,
            at.as_of_ms, at.data_as_of_ms, at.order, tuple(rows), part,
        )
        for spec, rows in zip(LEADERBOARDS, best, strict=True)
    ]  # fmt: skip
