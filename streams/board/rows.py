"""The rows of a board shard: windows of every entity, and which of them changed.

Queues, campaigns and agents with their team are kept: what the floor sends is theirs. A team is the
sum of its members here, the floor the sum of the queues and of the agents' time; both are made
again from the kept rows when a shard is loaded.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.counts import BUCKET_BITS, Vector, add_into
from cc_stream.deltas import Counted
from cc_stream.leaderboard import LEADERBOARD_WINDOWS
from cc_stream.metrics import SLOTS
from cc_stream.metrics.agent_time import OPEN_STATES, STATE_BUCKET, STATE_MS
from cc_stream.metrics.in_progress import WRAPPING_UNTIL
from cc_stream.metrics.metric import LIVE_KEPT_MS, OF_AGENTS
from cc_stream.panes import WINDOWS
from cc_stream.reference import Terms
from cc_stream.tally import LIVE
from cc_stream.tally import Row as Name
from cc_stream.view import FLOOR_ID, Entity
from cc_stream.windows import RESOLUTIONS, Windows
from streams.board.taken import Taken

HOUR_MS: Final = 3_600_000
WITH_AGENTS: Final = frozenset({"agent", "floor"})
"""Shown less often: agents are many, and a part of the floor carries the vectors of all."""

ROWS_AT_ONCE: Final = 200
"""Rows whose windows move on in one go, a millisecond or so."""

_AGENT_TIME: Final = frozenset({STATE_MS.number, *(slot.number for slot in OPEN_STATES)})
_NOT_ADDED: Final = frozenset(n for n, slot in SLOTS.items() if not slot.adds_up)


ROLLING, DAY, LIVE_SIDE = 1, 2, 4
"""What of a row is to be shown: its rolling windows, its day, what is open now."""
ALL: Final = ROLLING | DAY | LIVE_SIDE

Stored = tuple[Entity, str, int, bytes | None]
"""(entity, resolution, pane, its vector packed); None for a pane that is gone."""


class Row:
    """One entity: its windows, the terms it is read by, and what of it is to be shown (`news`).

    `of_times`: what of it is to be shown when nothing has changed but what agents are in, and for
    how long. In the windows of agents and teams that is time that passes: these follow with the
    next thing that counts there, or with the next pane; until then the row `lags`. `team` is that
    of an agent, `floor` that of a team, queue or campaign: what this is added to.
    """

    __slots__ = (
        "entity",
        "floor",
        "is_kept",
        "is_touched",
        "lags",
        "news",
        "of_times",
        "team",
        "terms",
        "windows",
    )

    def __init__(self, entity: Entity, windows: Windows, terms: Terms, *, is_kept: bool) -> None:
        self.entity = entity
        self.windows = windows
        self.terms = terms
        self.is_kept = is_kept
        self.is_touched = self.lags = False
        self.news = 0
        self.of_times = LIVE_SIDE if entity.kind in OF_AGENTS else ALL
        self.team: Row | None = None
        self.floor: Row | None = None


class Rows:
    """All rows of a shard. `find_terms` looks an entity's terms up.

    `waiting`: what has changed of agents and the floor, the first to change first.
    """

    def __init__(
        self, now_ms: int, find_terms: Callable[[Entity], Terms], agent_window: str
    ) -> None:
        self.now_ms = now_ms
        self.find_terms = find_terms
        self.agent_windows = {agent_window, *LEADERBOARD_WINDOWS}
        self.all: dict[Entity, Row] = {}
        self.queues: list[Row] = []
        self.members: dict[tuple[str, str], list[Row]] = {}
        self._by_name: dict[Name, Row] = {}
        self.waiting: list[Row] = []
        self._behind: list[Row] = []
        self._changed: list[Row] = []
        self._touched: list[Row] = []
        # Whatever changes windows settles it before.
        self._taken: Taken[Stored] = Taken(iter(()))

    def add(self, vectors: Iterable[Counted], *, from_agents: bool) -> None:
        """Add vectors, each at a fine pane or LIVE. `from_agents`: told by the agents' timelines.

        What contacts say of an agent is on the floor already, by queue; how many agents serve a
        queue does not add up. What a team and the floor are given is added up before.
        """
        self._taken.settle()
        sums: dict[Row, dict[int, Vector]] = {}
        known = self._by_name
        for name, pane, vector in vectors:
            row = known.get(name) or self._of(name)
            self._add(row, pane, vector, of_times=from_agents)
            total = row.team or (None if from_agents else row.floor)
            if total is not None:
                _add_to(sums, total, pane, vector)
        if from_agents:
            for team, panes in list(sums.items()):
                assert team.floor is not None
                for pane, vector in panes.items():
                    _add_to(sums, team.floor, pane, vector)
        for row, panes in sums.items():
            for pane, vector in panes.items():
                self._add(row, pane, vector, of_times=from_agents)

    def _add(self, row: Row, pane: int, vector: Vector, *, of_times: bool) -> None:
        if pane == LIVE:
            row.windows.add_live(vector)
        else:
            row.windows.add(pane, vector)
        news = row.of_times if of_times or pane == LIVE else ALL
        if row.news & news != news or not row.is_touched:
            self.mark(row, news)

    def spread(self, name: Name, state: str, start_ms: int, end_ms: int, n: int) -> None:
        """Add a closed state of an agent."""
        self._taken.settle()
        row: Row | None = self._of(name)
        while row is not None:
            row.windows.spread(STATE_BUCKET[state], start_ms, end_ms, n)
            self.mark(row, row.of_times)
            row = row.team or row.floor

    def mark(self, row: Row, news: int = ALL) -> None:
        """So much of the row has to be shown, and what changed stored, if it is kept."""
        if not row.news:
            (self.waiting if row.entity.kind in WITH_AGENTS else self._changed).append(row)
        row.news |= news
        self.touch(row)

    def touch(self, row: Row) -> None:
        """The row has to be stored, if it is kept."""
        if not row.is_touched:
            row.is_touched = True
            self._touched.append(row)

    def take_changed(self, agents: int | None) -> list[tuple[Row, int]]:
        """The rows to show, in order, and how much of each.

        Of those in `waiting` so many, the first to change; None: all of them.
        """
        while agents is None and self._behind:
            self.advance_some()
        rows = self._changed + self.waiting[:agents]
        for row in rows:
            self._advance(row)
        self._changed = []
        self.waiting = [] if agents is None else self.waiting[agents:]
        rows.sort(key=lambda row: row.entity)
        taken = [(row, row.news) for row in rows]
        for row in rows:
            if row.news & (DAY | LIVE_SIDE):
                row.lags = not row.news & DAY
            row.news = 0
        return taken

    def has_touched(self) -> bool:
        """Whether anything has to be stored."""
        return bool(self._touched)

    def take_touched(self) -> Iterator[Stored]:
        """What is to be stored, as it stands now; packed while it is taken."""
        self._taken.settle()
        touched, self._touched = self._touched, []
        for row in touched:
            row.is_touched = False
        self._taken = Taken(_packed(touched))
        return self._taken

    def restore(self, name: Name, resolution: str, pane: int, packed: bytes) -> None:
        """Take in a stored pane of a kept row; go through `settle` after the last one."""
        row = self._of(name)
        vector = row.windows.restore(resolution, pane, packed)
        if row.team is not None:
            row.team.windows.add_panes(resolution, [(pane, vector)])

    def settle(self) -> Iterator[None]:
        """Make the sums of the restored panes, and mark every row; yields after each one."""
        for members in self.members.values():
            team = members[0].team
            assert team is not None
            assert team.floor is not None
            _add_panes(team, team.floor, _agent_time)
            yield
        for row in self.queues:
            assert row.floor is not None
            _add_panes(row, row.floor, _additive)
            yield
        for row in self.all.values():
            if not row.is_kept:
                row.windows.settle(self.now_ms)
            self.mark(row)
            yield

    def advance(self, now_ms: int) -> None:
        """Move on to `now`: rows whose windows change by it are marked.

        Agents are many: they follow some at a time (`advance_some`), or when they are to be shown.
        """
        self.now_ms = max(self.now_ms, now_ms)
        self._behind = []
        for row in self.all.values():
            if row.entity.kind == "agent":
                self._behind.append(row)
            else:
                self._advance(row)

    def advance_some(self) -> None:
        """Let the next agents follow."""
        some = self._behind[-ROWS_AT_ONCE:]
        del self._behind[-ROWS_AT_ONCE:]
        for row in some:
            self._advance(row)

    def _advance(self, row: Row) -> None:
        if not row.windows.is_behind(self.now_ms):
            return
        self._taken.settle()
        day = row.windows.day
        if row.windows.advance(self.now_ms):
            self.mark(row, ROLLING)
        if row.windows.day is not day or row.lags:
            self.mark(row)

    def prune(self) -> None:
        """Forget what has been open for longer than any figure reads."""
        self._taken.settle()
        oldest_ms = self.now_ms - LIVE_KEPT_MS
        for row in self.all.values():
            gone = {}
            for slot, open_since in row.windows.live.items():
                until_ms = self.now_ms - HOUR_MS if slot == WRAPPING_UNTIL.number else oldest_ms
                for since_ms, n in open_since.items():
                    if 0 < since_ms < until_ms:
                        gone[slot << BUCKET_BITS | since_ms] = -n
            if gone:
                row.windows.add_live(gone)
                self.touch(row)

    def read_terms(self) -> None:
        """Look every row's terms up anew; a row whose terms are others now is shown again."""
        self._taken.settle()
        for row in self.all.values():
            terms = self.find_terms(row.entity)
            if terms != row.terms:
                row.terms = terms
                if terms.timezone != row.windows.zone.key:
                    row.windows.set_zone(ZoneInfo(terms.timezone), self.now_ms)
                self.mark(row)

    def _of(self, name: Name) -> Row:
        """The kept row of this name, made with the rows that it is added to if it is new."""
        row = self._by_name.get(name)
        if row is None:
            kind, tenant, one, *team = name
            row = self._row(Entity(tenant, kind, one, team[0] if team else None), is_kept=True)
            self._by_name[name] = row
            if kind == "queue":
                self.queues.append(row)
                row.floor = self._row(Entity(tenant, "floor", FLOOR_ID), is_kept=False)
            elif kind == "agent":
                members = self.members.setdefault((tenant, team[0]), [])
                row.team = self._row(Entity(tenant, "team", team[0]), is_kept=False)
                row.team.floor = self._row(Entity(tenant, "floor", FLOOR_ID), is_kept=False)
                members.append(row)
        return row

    def _row(self, entity: Entity, *, is_kept: bool) -> Row:
        row = self.all.get(entity)
        if row is None:
            terms = self.find_terms(entity)
            names = self.agent_windows if entity.kind == "agent" else WINDOWS
            windows = Windows(ZoneInfo(terms.timezone), self.now_ms, names)
            row = self.all[entity] = Row(entity, windows, terms, is_kept=is_kept)
        return row


def _packed(touched: Iterable[Row]) -> Iterator[Stored]:
    for row in touched:
        if row.is_kept:
            for resolution, pane, packed in row.windows.take_touched():
                yield row.entity, resolution, pane, packed
        else:
            row.windows.touched.clear()


def _add_to(sums: dict[Row, dict[int, Vector]], row: Row, pane: int, vector: Vector) -> None:
    panes = sums.get(row)
    if panes is None:
        panes = sums[row] = {}
    total = panes.get(pane)
    if total is None:
        panes[pane] = vector.copy()
    else:
        add_into(total, vector)


def _add_panes(row: Row, total: Row, part: Callable[[Vector], Vector]) -> None:
    for resolution in RESOLUTIONS:
        panes = ((pane, part(vector)) for pane, vector in row.windows.panes(resolution))
        total.windows.add_panes(resolution, panes)


def _agent_time(vector: Vector) -> Vector:
    return {key: n for key, n in vector.items() if key >> BUCKET_BITS in _AGENT_TIME}


def _additive(vector: Vector) -> Vector:
    return {key: n for key, n in vector.items() if key >> BUCKET_BITS not in _NOT_ADDED}
