"""The board: deltas become panes, windows, views, leaderboards and alerts.

One stage object is one board shard. It owns the rows that are sent to its partition: queues and
campaigns by name, agents with their team. A team is the sum of its members' rows here; the floor is
the sum of the queues' rows and the agents' time, shown in one part a shard.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from cc_stream.alerts import ALERT_WINDOW, RULES, AlertLevels, levels_of
from cc_stream.alerts.engine import START, Alert, AlertState, Watched, evaluate
from cc_stream.counts import BUCKET_BITS, Vector
from cc_stream.deltas import Batch, Tick, decode
from cc_stream.leaderboard import (
    LEADERBOARD_WINDOWS,
    LEADERBOARDS,
    Candidate,
    Leaderboard,
    LeaderboardSpec,
    standings,
)
from cc_stream.metrics import SLOTS
from cc_stream.metrics.agent_time import OPEN_STATES, STATE_BUCKET, STATE_MS
from cc_stream.metrics.in_progress import WRAPPING_UNTIL
from cc_stream.metrics.metric import LIVE_KEPT_MS
from cc_stream.metrics.waiting import WAITING
from cc_stream.outputs import alert_record, board_record, view_record
from cc_stream.panes import COARSE_MS, TODAY, WINDOWS, pane_end
from cc_stream.reference import ReferenceData, Terms, terms_of
from cc_stream.sinks.sink import ShardStatus, Update
from cc_stream.tally import LIVE
from cc_stream.topics import Topics
from cc_stream.view import (
    FLOOR_ID,
    LIVE_VIEW,
    Entity,
    View,
    figures,
    live_metrics,
    named,
    order_of,
    window_metrics,
)
from cc_stream.windows import Windows
from streams.stage import Cut, Record, Write

log: Final = logging.getLogger(__name__)

TICK_KEY: Final = b"tick"
"""The key of a record that asks for one full tick (`deltas.Tick`)."""
HISTORY_ENDS_MS: Final = 60_000
"""Alerts are raised again when no history has arrived for so long."""
ALERTS_EVERY_MS: Final = 1_000
LEADERBOARDS_EVERY_MS: Final = 1_000

_AGENT_TIME: Final = frozenset({STATE_MS.number, *(slot.number for slot in OPEN_STATES)})
_NOT_ADDED: Final = frozenset(n for n, slot in SLOTS.items() if not slot.adds_up)
_PANE, _REFERENCE, _ALERT = b"p", b"r", b"a"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_unpack_alert = msgspec.msgpack.Decoder(AlertState).decode
_unpack_tick = msgspec.msgpack.Decoder(Tick).decode


class MissingDeltasError(Exception):
    """A batch of a floor shard is missing: the shard reads its partition again."""


class BoardPlan(Struct, frozen=True):
    """What a board shard needs to know of the installation."""

    topics: Topics
    terms: Terms
    levels: AlertLevels
    agent_window: str
    minimum_sample: int
    leaderboard_size: int
    agent_tick_ms: int
    commit_ms: int


class Board:
    """One board shard."""

    name = "board"

    def __init__(self, plan: BoardPlan, partition: int, now_ms: int) -> None:
        self.plan = plan
        self.partition = partition
        self.now_ms = now_ms
        self.rows: dict[Entity, Windows] = {}
        self.kept: set[Entity] = set()
        self.queues: set[Entity] = set()
        self.teams: dict[tuple[str, str], set[Entity]] = {}
        self.reference = ReferenceData()
        self.terms: dict[Entity, Terms] = {}
        self.terms_pane = now_ms // COARSE_MS
        self.pane_end_ms = pane_end(now_ms)
        self.numbers: dict[str, int] = {}
        self.streams: dict[str, int] = {}
        self.generation_ms = 0
        self.offset = 0
        self.events = 0
        self.alerts: dict[tuple[str, str, str], AlertState] = {}
        # What the next flush writes.
        self.touched: set[Entity] = set()
        self.learned: set[tuple[str, str, str]] = set()
        self.changed_alerts: dict[tuple[str, str, str], Alert | None] = {}
        self.outputs: dict[bytes, Write] = {}
        self.dirty = False
        self.committed_at_ms = 0
        # What the next tick shows.
        self.changed: set[Entity] = set()
        self.changed_agents: set[Entity] = set()
        self.candidates: dict[tuple[Entity, str], Candidate] = {}
        self.stale_boards: set[tuple[str, str]] = set()
        self.over_limit: dict[Entity, int] = {}
        self.new_alerts: list[Alert] = []
        self.arrivals_ms: list[int] = []
        self.whole = True
        self.agents_at_ms = 0
        self.boards_at_ms = 0
        self.evaluated_at_ms = 0
        self.history_until_ms = 0
        self.wanted_tick_ms: int | None = None

    # --- state -------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """See Stage."""
        kind, *names = _unpack(key)
        if kind == _PANE:
            entity, resolution, pane = Entity(*names[:4]), names[4], names[5]
            flat = _unpack(value)
            vector = dict(zip(flat[::2], flat[1::2], strict=True))
            self._keep(entity)
            for one, part in _parts_of(entity, vector):
                self._windows(one).restore(resolution, pane, part)
        elif kind == _REFERENCE:
            self.reference.restore([(*names, _unpack(value))])
        else:
            self.alerts[names[0], names[1], names[2]] = _unpack_alert(value)

    def resume(self, memory: dict[str, Any]) -> None:
        """See Stage."""
        self.numbers = dict(memory["numbers"])
        self.streams = dict(memory["streams"])
        self.now_ms = max(self.now_ms, memory["now_ms"])
        self._read_terms()
        for entity, windows in self.rows.items():
            windows.advance(self.now_ms)
            windows.settle()
            if entity in self.kept:
                self.touched.add(entity)

    def started(self, generation_ms: int, offset: int) -> None:
        """Told by the shard: which remake of the topic this is, and what was applied."""
        self.generation_ms, self.offset = generation_ms, offset

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        for record in records:
            if record.key == TICK_KEY:
                if record.value is not None:
                    self.wanted_tick_ms = _unpack_tick(record.value).as_of_ms
            elif record.value is not None:
                self._apply(decode(record.value))
            self.offset = record.offset + 1
        self.dirty = True

    def _apply(self, batch: Batch) -> None:
        """Add a batch; what was added before is passed over, what is missing is not accepted."""
        known = self.numbers.get(batch.source, 0)
        if batch.number <= known:
            return
        if batch.number != known + 1:
            message = f"{batch.source}: batch {batch.number} follows {known}"
            raise MissingDeltasError(message)
        self.numbers[batch.source] = batch.number
        self.streams[batch.source] = max(self.streams.get(batch.source, 0), batch.stream_ms)
        for one in batch.reference:
            self.reference.restore([one])
            self.learned.add((one[0], one[1], one[2]))
        if batch.reference:
            self._read_terms()
        for row, pane, flat in batch.vectors:
            self._add(_entity(row), pane, dict(zip(flat[::2], flat[1::2], strict=True)))
        for row, state, start, end, n in batch.times:
            agent = _entity(row)
            self._keep(agent)
            for entity in (agent, _team_of(agent), _floor_of(agent)):
                self._windows(entity).spread(STATE_BUCKET[state], start, end, n)
                self._changed(entity)
        if batch.arrived_ms is not None:
            self.arrivals_ms.append(batch.arrived_ms)
        if batch.history:
            self.history_until_ms = self.now_ms + HISTORY_ENDS_MS
        self.events += batch.events

    def _add(self, entity: Entity, pane: int, vector: Vector) -> None:
        self._keep(entity)
        for one, part in _parts_of(entity, vector):
            windows = self._windows(one)
            if pane == LIVE:
                windows.add_live(part)
            else:
                windows.add(pane, part)
            self._changed(one)

    def _keep(self, entity: Entity) -> None:
        self.kept.add(entity)
        self.touched.add(entity)
        if entity.kind == "queue":
            self.queues.add(entity)
        elif entity.kind == "agent" and entity.team is not None:
            self.teams.setdefault((entity.tenant, entity.team), set()).add(entity)

    def _windows(self, entity: Entity) -> Windows:
        windows = self.rows.get(entity)
        if windows is None:
            zone = ZoneInfo(self._terms(entity).timezone)
            windows = self.rows[entity] = Windows(zone, self.now_ms)
        return windows

    def _changed(self, entity: Entity) -> None:
        if entity.kind == "agent":
            self.changed_agents.add(entity)
        else:
            self.changed.add(entity)

    # --- terms -------------------------------------------------------------------------------

    def _terms(self, entity: Entity) -> Terms:
        terms = self.terms.get(entity)
        if terms is None:
            terms = self.terms[entity] = self._find_terms(entity)
        return terms

    def _find_terms(self, entity: Entity) -> Terms:
        if entity.kind == "queue":
            fields = self.reference.fields(entity.tenant, "queue", entity.id, self.now_ms)
        elif entity.kind in {"team", "agent"}:
            team = entity.id if entity.kind == "team" else entity.team or ""
            fields = self.reference.fields(entity.tenant, "target", team, self.now_ms)
        else:
            return self.plan.terms
        return terms_of(fields, self.plan.terms)

    def _read_terms(self) -> None:
        """Look every entity's terms up anew; what is shown by others now is shown again."""
        self.terms.clear()
        for entity, windows in self.rows.items():
            zone = self._terms(entity).timezone
            if zone != windows.zone.key:
                windows.set_zone(ZoneInfo(zone), self.now_ms)
            self._changed(entity)

    # --- flush -------------------------------------------------------------------------------

    def is_dirty(self, now_ms: int) -> bool:
        """See Stage. Alerts are evaluated here, on the timer of the flush: no event is needed."""
        self._evaluate(max(self._clock(now_ms), self.now_ms))
        due = now_ms - self.committed_at_ms >= self.plan.commit_ms
        return bool(self.changed_alerts) or (due and (self.dirty or bool(self.outputs)))

    def cut(self, now_ms: int) -> Cut:
        """See Stage."""
        self.committed_at_ms = now_ms
        writes = self._cut_panes()
        for reference in sorted(self.learned):
            packed = _pack(self.reference.dump_one(reference))
            writes.append(self._state(_pack((_REFERENCE, *reference)), packed))
        self.learned.clear()
        told = self._cut_alerts(writes)
        writes += self.outputs.values()
        self.outputs = {}
        self.dirty = False
        memory = {"numbers": self.numbers, "streams": self.streams, "now_ms": self.now_ms}
        return Cut(writes, memory, lambda: self.new_alerts.extend(told))

    def _cut_panes(self) -> list[Write]:
        writes = []
        for entity in self.touched:
            windows = self.rows[entity]
            for resolution, pane in windows.touched:
                vector = windows.panes(resolution).get(pane)
                key = _pack((_PANE, *_names(entity), resolution, pane))
                flat = [x for pair in vector.items() for x in pair] if vector else None
                writes.append(self._state(key, _pack(flat) if flat else None))
            windows.touched.clear()
        for windows in self.rows.values():
            if windows.touched:
                windows.touched.clear()
        self.touched.clear()
        return writes

    def _cut_alerts(self, writes: list[Write]) -> list[Alert]:
        told = []
        for key, alert in self.changed_alerts.items():
            state = self.alerts[key]
            writes.append(self._state(_pack((_ALERT, *key)), _pack(state)))
            if alert is not None:
                told.append(alert)
                record_key, value = alert_record(alert)
                writes.append(Write(self.plan.topics.alerts.name, None, record_key, value))
        self.changed_alerts = {}
        return told

    def _state(self, key: bytes, value: bytes | None) -> Write:
        return Write(self.plan.topics.panes_changelog.name, self.partition, key, value)

    # --- alerts ------------------------------------------------------------------------------

    def _evaluate(self, now_ms: int) -> None:
        if now_ms - self.evaluated_at_ms < ALERTS_EVERY_MS:
            return
        self.evaluated_at_ms = now_ms
        self._advance(now_ms)
        raising = now_ms >= self.history_until_ms
        for entity in sorted(self.queues):
            windows = self.rows[entity]
            seen = figures(
                "queue", windows.window(ALERT_WINDOW), now_ms,
                windows.sum(ALERT_WINDOW), windows.live, self._terms(entity),
            )  # fmt: skip
            fields = self.reference.fields(entity.tenant, "queue", entity.id, now_ms)
            levels = levels_of(fields, self.plan.levels)
            watched = Watched(entity.tenant, entity.id, seen, levels)
            for rule in RULES:
                key = (entity.tenant, entity.id, rule.name)
                before = self.alerts.get(key, START)
                after, alert = evaluate(before, rule, watched, raising=raising)
                if after is not before:
                    self.alerts[key] = after
                    if alert is not None or self.changed_alerts.get(key) is None:
                        self.changed_alerts[key] = alert

    # --- views -------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> None:
        """Time passes: panes change their rings, and what is no longer read is let go."""
        self.now_ms = max(self.now_ms, now_ms)
        if pane_end(self.now_ms) != self.pane_end_ms:
            self.pane_end_ms = pane_end(self.now_ms)
            self._next_pane()
        for entity in self.queues:
            over = self._over_limit(entity)
            if self.over_limit.get(entity, 0) != over:
                self.over_limit[entity] = over
                self.changed.add(entity)
                self.changed.add(_floor_of(entity))

    def _next_pane(self) -> None:
        pane = self.now_ms // COARSE_MS
        if pane != self.terms_pane:
            self.terms_pane = pane
            self._prune()
            self._read_terms()
        for entity, windows in self.rows.items():
            if windows.advance(self.now_ms):
                self._changed(entity)
                if entity in self.kept:
                    self.touched.add(entity)
                    self.dirty = True

    def _over_limit(self, entity: Entity) -> int:
        """How many wait beyond T: the live service level changes with no event arriving."""
        limit = self.now_ms - self._terms(entity).service_level_seconds * 1000
        first = WAITING.key
        last = first | limit
        return sum(n for key, n in self.rows[entity].live.items() if first <= key < last)

    def _prune(self) -> None:
        oldest_ms = self.now_ms - LIVE_KEPT_MS
        for entity, windows in self.rows.items():
            gone = {}
            for key, n in windows.live.items():
                since_ms = key & ((1 << BUCKET_BITS) - 1)
                due = key >> BUCKET_BITS == WRAPPING_UNTIL.number and since_ms < self.now_ms - 3_600_000
                if since_ms and (since_ms < oldest_ms or due):
                    gone[key] = -n
            if gone:
                windows.add_live(gone)
                if entity in self.kept:
                    self.touched.add(entity)
                    self.dirty = True

    def tick(self, now_ms: int) -> Update | None:
        """What changed since the last tick, as it stands at `now`; None when nothing did."""
        now_ms = self._tick_time(now_ms)
        self._advance(now_ms)
        now_ms = self.now_ms
        whole, self.whole = self.whole, False
        if whole:
            self.changed |= {e for e in self.rows if e.kind != "agent"}
            self.changed_agents |= {e for e in self.rows if e.kind == "agent"}
        entities = sorted(self.changed)
        self.changed = set()
        if whole or now_ms - self.agents_at_ms >= self.plan.agent_tick_ms:
            self.agents_at_ms = now_ms
            entities += sorted(self.changed_agents)
            self._stale_candidates()
            self.changed_agents = set()
        views = [view for entity in entities for view in self._views(entity, whole=whole)]
        leaderboards = self._leaderboards(whole=whole)
        alerts = self._alerts_to_tell(whole=whole)
        if not (views or leaderboards or alerts or whole):
            return None
        self._to_topics(views, leaderboards)
        status = ShardStatus(
            now_ms, self.data_as_of_ms, self._order(), dict(self.streams), 0, self.events, None
        )
        return Update(self.partition, now_ms, views, leaderboards, alerts, whole, status)

    def status(self, now_ms: int) -> Update:
        """That the shard is alive, with nothing changed."""
        self._advance(now_ms)
        status = ShardStatus(
            self.now_ms, self.data_as_of_ms, self._order(), dict(self.streams), 0, self.events, None
        )
        return Update(self.partition, self.now_ms, (), (), (), whole=False, status=status)

    def _clock(self, now_ms: int) -> int:
        """Never past a wanted full tick that has not been taken."""
        return now_ms if self.wanted_tick_ms is None else min(now_ms, self.wanted_tick_ms)

    def _tick_time(self, now_ms: int) -> int:
        """The moment of this tick; the wanted full tick when its moment has come."""
        now_ms = self._clock(now_ms)
        if now_ms == self.wanted_tick_ms:
            self.wanted_tick_ms = None
            self.whole = True
        return now_ms

    def repeat_whole(self) -> None:
        """The next tick shows everything: a sink has lost what it had."""
        self.whole = True

    @property
    def data_as_of_ms(self) -> int:
        """The latest event time of any source."""
        return max(self.streams.values(), default=0)

    def _order(self) -> str:
        return order_of(self.generation_ms, self.offset, self.now_ms)

    def _views(self, entity: Entity, *, whole: bool) -> list[View]:
        windows, terms = self.rows[entity], self._terms(entity)
        part = self.partition if entity.kind == "floor" else None
        order, live = self._order(), windows.live
        names = (TODAY, self.plan.agent_window) if entity.kind == "agent" else WINDOWS
        keeps_vector = part is not None or (whole and entity.kind in {"queue", "team"})
        live_named = named(live) if part is not None else None
        out = []
        for name in names:
            window, vector = windows.window(name), windows.sum(name)
            seen = figures(entity.kind, window, self.now_ms, vector, live, terms)
            out.append(
                View(
                    entity, name, window.start_ms, window.end_ms, self.now_ms, self.data_as_of_ms,
                    order, window_metrics(seen), named(vector) if keeps_vector else None,
                    live_named, part,
                )
            )  # fmt: skip
        seen = figures(entity.kind, windows.window(TODAY), self.now_ms, {}, live, terms)
        out.append(
            View(
                entity, LIVE_VIEW, None, None, self.now_ms, self.data_as_of_ms, order,
                live_metrics(seen), None, live_named, part,
            )
        )  # fmt: skip
        return out

    def _stale_candidates(self) -> None:
        for entity in self.changed_agents:
            for window in LEADERBOARD_WINDOWS:
                self.candidates.pop((entity, window), None)
            self.stale_boards.add((entity.tenant, entity.team or ""))

    def _candidate(self, entity: Entity, window: str) -> Candidate:
        known = self.candidates.get((entity, window))
        if known is None:
            windows = self.rows[entity]
            seen = figures(
                "agent", windows.window(window), self.now_ms, windows.sum(window), {},
                self._terms(entity),
            )  # fmt: skip
            known = Candidate(entity.id, entity.team or "", seen)
            self.candidates[entity, window] = known
        return known

    def _leaderboards(self, *, whole: bool) -> list[Leaderboard]:
        if not whole and self.now_ms - self.boards_at_ms < LEADERBOARDS_EVERY_MS:
            return []
        self.boards_at_ms = self.now_ms
        teams = set(self.teams) if whole else self.stale_boards
        self.stale_boards = set()
        out = []
        for tenant, team in sorted(teams):
            members = sorted(self.teams.get((tenant, team), ()))
            out += self._boards_of(tenant, "team", team, members)
        for tenant in sorted({tenant for tenant, _ in teams}):
            every = sorted(e for t, members in self.teams.items() if t[0] == tenant for e in members)
            out += self._boards_of(tenant, "floor", FLOOR_ID, every)
        return out

    def _boards_of(
        self, tenant: str, scope: Any, scope_id: str, members: list[Entity]
    ) -> list[Leaderboard]:
        return [
            self._board(tenant, scope, scope_id, members, spec, window)
            for window in LEADERBOARD_WINDOWS
            for spec in LEADERBOARDS
            if members
        ]

    def _board(  # noqa: PLR0913, PLR0917 - the six things that make a board
        self,
        tenant: str,
        scope: Any,
        scope_id: str,
        members: list[Entity],
        spec: LeaderboardSpec,
        window: str,
    ) -> Leaderboard:
        rows = standings(
            spec, [self._candidate(e, window) for e in members], self.plan.minimum_sample
        )
        shown = self.rows[members[0]].window(window)
        return Leaderboard(
            tenant, scope, scope_id, spec.name, window, shown.start_ms, shown.end_ms,
            self.now_ms, self.data_as_of_ms, self._order(),
            tuple(rows[: self.plan.leaderboard_size]),
            self.partition if scope == "floor" else None,
        )  # fmt: skip

    def _alerts_to_tell(self, *, whole: bool) -> list[Alert]:
        told, self.new_alerts = self.new_alerts, []
        if not whole:
            return told
        unsent = {key for key, alert in self.changed_alerts.items() if alert is not None}
        return [
            state.alert
            for key, state in self.alerts.items()
            if state.alert is not None and state.alert.is_active and key not in unsent
        ]

    def _to_topics(self, views: Sequence[View], leaderboards: Sequence[Leaderboard]) -> None:
        """The last state of each is written with the next commit."""
        metrics, boards = self.plan.topics.metrics.name, self.plan.topics.leaderboards.name
        for view in views:
            key, value = view_record(view)
            self.outputs[b"v" + key] = Write(metrics, None, key, value)
        for leaderboard in leaderboards:
            key, value = board_record(leaderboard)
            self.outputs[b"l" + key] = Write(boards, None, key, value)


def _entity(row: Sequence[str]) -> Entity:
    kind, tenant, name, *team = row
    return Entity(tenant, kind, name, team[0] if team else None)


def _parts_of(entity: Entity, vector: Vector) -> list[tuple[Entity, Vector]]:
    """The entities that a row's vector goes to, and what of it."""
    if entity.kind == "queue":
        floor = {key: n for key, n in vector.items() if key >> BUCKET_BITS not in _NOT_ADDED}
        return [(entity, vector), (_floor_of(entity), floor)]
    if entity.kind == "agent":
        time = {key: n for key, n in vector.items() if key >> BUCKET_BITS in _AGENT_TIME}
        parts = [(entity, vector), (_team_of(entity), vector)]
        return [*parts, (_floor_of(entity), time)] if time else parts
    return [(entity, vector)]


def _names(entity: Entity) -> tuple[str, str, str, str | None]:
    return entity.tenant, entity.kind, entity.id, entity.team


def _team_of(entity: Entity) -> Entity:
    return Entity(entity.tenant, "team", entity.team or "")


def _floor_of(entity: Entity) -> Entity:
    return Entity(entity.tenant, "floor", FLOOR_ID)
