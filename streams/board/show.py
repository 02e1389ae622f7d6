"""What a board shard shows: views of its rows, and leaderboards of its agents."""

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import chain
from math import inf
from typing import Final

from msgspec import Struct

from cc_stream.leaderboard import (
    LEADERBOARD_WINDOWS,
    LEADERBOARDS,
    Candidate,
    Leaderboard,
    LeaderboardSpec,
    Place,
    Scope,
    Standing,
    place_of,
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
from streams.board.rows import DAY, LIVE_SIDE, ROLLING, Row, Rows

Team = tuple[str, str]
"""(tenant, team)."""
NEVER_SHOWN: Final = (None,) * len(LEADERBOARDS)


class Moment(Struct, frozen=True):
    """When and out of what something is shown."""

    shard: int
    as_of_ms: int
    data_as_of_ms: int
    order: str


def views_of(row: Row, news: int, at: Moment, agent_window: str, *, whole: bool) -> list[View]:
    """One view for each window of `news`, and the live one (`rows.ALL` and its parts).

    The floor's parts carry their vectors always, queues and teams when everything is shown.
    """
    entity, windows = row.entity, row.windows
    part = at.shard if entity.kind == "floor" else None
    with_vector = part is not None or (whole and entity.kind in {"queue", "team"})
    live_vector = named_parts(windows.live) if part is not None else None
    now = Figures(entity.kind, windows.day, at.as_of_ms, {}, windows.live, row.terms)
    views = []
    for name in (TODAY, agent_window) if entity.kind == "agent" else WINDOWS:
        if not news & (DAY if name == TODAY else ROLLING):
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
    if news & LIVE_SIDE:
        views.append(
            View(
                entity, LIVE_VIEW, None, None, at.as_of_ms, at.data_as_of_ms, at.order,
                live_metrics(now), None, live_vector, part,
            )
        )  # fmt: skip
    return views


class Order:
    """The standings of a team's agents on one leaderboard, always in order: few change at once."""

    __slots__ = ("_places", "_rows")

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._rows: dict[Place, Standing] = {}

    def replace(self, before: Standing | None, now: Standing) -> None:
        """An agent stands elsewhere, or for the first time."""
        if before is not None:
            place = place_of(before)
            del self._rows[place], self._places[bisect_left(self._places, place)]
        place = place_of(now)
        self._rows[place] = now
        insort(self._places, place)

    def best(self, spec: LeaderboardSpec, size: int) -> list[Standing]:
        """The first so many, ranked."""
        return ranked(spec, map(self._rows.__getitem__, self._places[:size]))


class Ranking:
    """The leaderboards of a shard's teams, and its part of the floor's."""

    def __init__(self, minimum_sample: int, size: int) -> None:
        self.minimum_sample = minimum_sample
        self.size = size
        self._rows: dict[tuple[Row, str], tuple[int, tuple[Standing, ...]]] = {}
        self._orders: defaultdict[tuple[Team, str], list[Order]]
        self._orders = defaultdict(lambda: [Order() for _ in LEADERBOARDS])
        self._best: dict[tuple[Team, str], list[list[Standing]]] = {}
        self._changed: set[Team] = set()
        # (tenant, team, or None for the floor) and window: what is left of a round.
        self._round: deque[tuple[tuple[str, str | None], str]] = deque()

    def changed(self, agents: Iterable[Row]) -> None:
        """These agents were shown anew: their teams change if their standings do, or the day."""
        for row in agents:
            for window in LEADERBOARD_WINDOWS:
                day_ms = row.windows.day.start_ms
                shown_ms, before = self._rows.get((row, window), (None, NEVER_SHOWN))
                now = self._standings(row, window)
                if (shown_ms, before) != (day_ms, now):
                    self._rows[row, window] = day_ms, now
                    team = row.entity.tenant, row.entity.team or ""
                    self._changed.add(team)
                    orders = self._orders[team, window]
                    for order, old, new in zip(orders, before, now, strict=True):
                        if old != new:
                            order.replace(old, new)

    @property
    def under_way(self) -> bool:
        """Whether a round has begun and has not ended."""
        return bool(self._round)

    def begin(self, rows: Rows, *, whole: bool) -> None:
        """Begin a round: of the teams that changed since the last one, or of all; then floors."""
        teams = sorted(rows.members if whole else self._changed)
        floors = sorted({tenant for tenant, _ in teams})
        self._changed = set()
        self._round = deque(
            [(team, window) for team in teams for window in LEADERBOARD_WINDOWS]
            + [((tenant, None), window) for tenant in floors for window in LEADERBOARD_WINDOWS]
        )

    def take(self, rows: Rows, at: Moment, teams: int | None = None) -> list[Leaderboard]:
        """The next leaderboards of the round, of some so many teams; None: all of them.

        They show who has been shown. The floor takes as long as a tenth of its teams.
        """
        boards: list[Leaderboard] = []
        left = inf if teams is None else teams
        while self._round and left > 0:
            (tenant, team), window = self._round.popleft()
            if team is None:
                boards += self._floor(tenant, window, rows, at)
                left -= 1 + len(rows.members) // 10
            else:
                boards += self._team((tenant, team), window, rows, at)
                left -= 1
        return boards

    def _team(self, of: Team, window: str, rows: Rows, at: Moment) -> list[Leaderboard]:
        orders = zip(LEADERBOARDS, self._orders[of, window], strict=True)
        best = self._best[of, window] = [order.best(spec, self.size) for spec, order in orders]
        return _boards("team", of, rows.members[of][0].team, window, best, at)

    def _floor(self, tenant: str, window: str, rows: Rows, at: Moment) -> list[Leaderboard]:
        """Nobody is among the best of the floor who is not among those of a team."""
        teams = [t for t in rows.members if t[0] == tenant and (t, window) in self._best]
        if not teams:
            return []
        of_teams = [self._best[team, window] for team in teams]
        best = [
            ranked(spec, chain.from_iterable(of_spec), self.size)
            for spec, *of_spec in zip(LEADERBOARDS, *of_teams, strict=True)
        ]
        first = rows.members[teams[0]][0].team
        return _boards("floor", (tenant, FLOOR_ID), first, window, best, at)

    def _standings(self, row: Row, window: str) -> tuple[Standing, ...]:
        """An agent's row on each board."""
        windows, entity = row.windows, row.entity
        # What is ranked are sums: no moment is looked at.
        seen = Figures("agent", windows.window(window), 0, windows.sum(window), {}, row.terms)
        candidate = Candidate(entity.id, entity.team or "", seen)
        return tuple(standing(spec, candidate, self.minimum_sample) for spec in LEADERBOARDS)


def _boards(
    scope: Scope, of: Team, row: Row | None, window: str, best: list[list[Standing]], at: Moment
) -> list[Leaderboard]:
    """The boards of a scope over a window, as it stands for the row of a team."""
    assert row is not None
    tenant, scope_id = of
    span = row.windows.window(window)
    part = at.shard if scope == "floor" else None
    return [
        Leaderboard(
            tenant, scope, scope_id, spec.name, window, span.start_ms, span.end_ms,
            at.as_of_ms, at.data_as_of_ms, at.order, tuple(rows), part,
        )
        for spec, rows in zip(LEADERBOARDS, best, strict=True)
    ]  # fmt: skip
