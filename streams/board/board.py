"""The board: deltas become panes, windows, views, leaderboards and alerts.

One stage object is one board shard. It owns the rows that are sent to its partition: queues and
campaigns by name, agents with their team.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from cc_stream.alerts.engine import Alert, AlertState
from cc_stream.deltas import Batch, Counted, Tick, decode
from cc_stream.errors import CcStreamError
from cc_stream.events import Refused
from cc_stream.leaderboard import Leaderboard
from cc_stream.metrics.metric import NOTHING
from cc_stream.metrics.waiting import WAITING
from cc_stream.moments import Moments
from cc_stream.outputs import alert_record, board_record, view_record
from cc_stream.panes import COARSE_MS, pane_end
from cc_stream.reference import ReferenceData, Terms, terms_of
from cc_stream.sinks.sink import ShardStatus, Update
from cc_stream.view import Entity, View, order_of
from streams.board.plan import BoardPlan
from streams.board.rows import LIVE_SIDE, Row, Rows
from streams.board.show import Moment, Ranking, views_of
from streams.board.watch import Watch
from streams.stage import RESTORED_AT_ONCE, Cut, LossError, Record, Write

TICK_KEY: Final = b"tick"
"""The key of a record that asks for one full tick (`deltas.Tick`)."""
TICK_HOLDS_MS: Final = 2_000
"""A full tick that was asked for stays for so long: all shards can be read at one moment."""
HISTORY_ENDS_MS: Final = 10_000
"""Alerts are raised again when no history has arrived for so long."""
LEADERBOARDS_EVERY_MS: Final = 1_000
TEAMS_AT_ONCE: Final = 10
"""Teams whose leaderboards are made in one go, a millisecond or two."""
LIMITS_EVERY_MS: Final = 200
"""How often it is looked whether somebody waits beyond T by now."""
TURNS: Final = 5
"""Agents, for they are many, and parts of the floor, for their vectors are long, are told to the
metrics topic in turn, with each so many-th commit; all others with every commit."""

_PANE, _REFERENCE, _ALERT = b"p", b"r", b"a"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_unpack_alert = msgspec.msgpack.Decoder(AlertState).decode
_unpack_tick = msgspec.msgpack.Decoder(Tick).decode


class MissingDeltasError(CcStreamError):
    """A batch of a floor shard is missing: the shard is loaded again and reads it."""


class Board:
    """One board shard."""

    name = "board"

    def __init__(self, plan: BoardPlan, partition: int, now_ms: int) -> None:
        self.plan = plan
        self.partition = partition
        self.reference = ReferenceData()
        self.rows = Rows(now_ms, self._find_terms, plan.agent_window)
        self.watch = Watch(self.reference, plan.levels)
        self.ranking = Ranking(plan.minimum_sample, plan.leaderboard_size)
        self.pane_end_ms = pane_end(now_ms)
        self.terms_end_ms: int | None = None
        # How far it is.
        self.numbers: dict[str, int] = {}
        self.begun_ms: dict[str, int] = {}
        self.sources: dict[str, int] = {}
        self.generation_ms = self.offset = self.events = 0
        self.history_until_ms = 0
        self.wanted_tick_ms: int | None = None
        self.held_tick_ms: int | None = None
        # What the next flush writes.
        self.learned: set[tuple[str, str, str]] = set()
        self.outputs: dict[tuple[Any, ...], View | Leaderboard] = {}
        self.waiting_outputs: dict[tuple[Any, ...], View] = {}
        self.turn = 0
        self.hurried = False
        self.dirty = False
        self.committed_at_ms = 0
        # What the next tick shows.
        self.over_limit: dict[Entity, int] = {}
        self.new_alerts: list[Alert] = []
        self.arrivals_ms: list[int] = []
        self.whole = True
        self.boards_at_ms = self.limits_at_ms = 0

    @property
    def writes_to(self) -> Collection[str]:
        """See Stage."""
        topics = self.plan.topics
        return (topics.metrics.name, topics.leaderboards.name, topics.alerts.name)

    # --- deltas in ---------------------------------------------------------------------------

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        contacts: list[Counted] = []
        agents: list[Counted] = []
        for record in records:
            if record.value is not None:
                if record.key == TICK_KEY:
                    self.wanted_tick_ms = _unpack_tick(record.value).as_of_ms
                else:
                    batch = decode(record.value)
                    if self._is_next(batch):
                        self._take(batch)
                        of_agents = batch.source.startswith("agents-")
                        (agents if of_agents else contacts).extend(batch.vectors)
            self.offset = record.offset + 1
        # Together, for what a team and the floor are given is added up before.
        self.rows.add(contacts, from_agents=False)
        self.rows.add(agents, from_agents=True)
        self.dirty = True

    def bury(self, record: Record, refused: Refused) -> None:
        """See Stage.

        Raises:
            CcStreamError: always. Without one batch of deltas every sum of the shard is wrong.
        """
        message = f"deltas at {record.offset} cannot be read ({refused.detail}), nor left out"
        raise CcStreamError(message)

    def _is_next(self, batch: Batch) -> bool:
        """Whether a batch is to be added: one that was added before is passed over.

        Raises:
            MissingDeltasError: one before it is not there.
            LossError: its source shard has lost its state and counts from the start.
        """
        known = self.numbers.get(batch.source, 0)
        begun_ms = self.begun_ms.setdefault(batch.source, batch.generation_ms)
        if begun_ms != batch.generation_ms:
            message = f"{batch.source} was begun anew: its deltas would count a second time"
            raise LossError(message)
        if batch.number > known + 1:
            message = f"{batch.source}: batch {batch.number} follows {known}"
            raise MissingDeltasError(message)
        return batch.number == known + 1

    def _take(self, batch: Batch) -> None:
        """All of a batch but its vectors."""
        self.numbers[batch.source] = batch.number
        for source, latest_ms in batch.sources.items():
            self.sources[source] = max(self.sources.get(source, 0), latest_ms)
        if batch.reference:
            for one in batch.reference:
                self.reference.restore([one])
                self.learned.add((one[0], one[1], one[2]))
            self._read_terms()
        rows = self.rows
        for name, state, start_ms, end_ms, n in batch.times:
            rows.spread(name, state, start_ms, end_ms, n)
        if batch.arrived_ms is not None:
            self.arrivals_ms.append(batch.arrived_ms)
        if batch.history:
            self.history_until_ms = rows.now_ms + HISTORY_ENDS_MS
        self.events += batch.events

    def _read_terms(self) -> None:
        """Look all terms up anew; until the next change that is known already they hold."""
        self.rows.read_terms()
        self.terms_end_ms = self.reference.next_change_ms(self.rows.now_ms)

    def _find_terms(self, entity: Entity) -> Terms:
        """An entity's own terms now: a queue's settings, a team's targets; else the defaults."""
        if entity.kind == "queue":
            kind, of = "queue", entity.id
        elif entity.kind in {"team", "agent"}:
            kind, of = "target", entity.id if entity.kind == "team" else entity.team or ""
        else:
            return self.plan.terms
        fields = self.reference.fields(entity.tenant, kind, of, self.rows.now_ms)
        return terms_of(fields, self.plan.terms)

    # --- state -------------------------------------------------------------------------------

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        self.numbers = dict(memory["numbers"])
        self.begun_ms = dict(memory["begun_ms"])
        self.sources = dict(memory["sources"])
        rows = self.rows
        rows.now_ms = max(rows.now_ms, memory["now_ms"])
        for count, (key, value) in enumerate(items):
            kind, *names = _unpack(key)
            if kind == _PANE:
                tenant, entity, one, team, resolution, pane = names
                name = (entity, tenant, one) if team is None else (entity, tenant, one, team)
                rows.restore(name, resolution, pane, value)
            elif kind == _REFERENCE:
                self.reference.restore([(*names, _unpack(value))])
            else:
                self.watch.states[names[0], names[1], names[2]] = _unpack_alert(value)
            if count % RESTORED_AT_ONCE == 0:
                yield
        self._read_terms()
        yield from rows.settle()

    def started(self, generation_ms: int, offset: int) -> None:
        """See Stage."""
        self.generation_ms, self.offset = generation_ms, offset

    def is_dirty(self, now_ms: int) -> bool:
        """See Stage. Alerts are evaluated here, on the timer of the flush: no event is needed."""
        now_ms = max(self._clock(now_ms), self.rows.now_ms)
        if self.watch.is_due(now_ms):
            self._advance(now_ms)
            raising = now_ms >= self.history_until_ms
            self.watch.evaluate(self.rows.queues, now_ms, raising=raising)
        if self.watch.changed:
            return True
        is_due = now_ms - self.committed_at_ms >= self.plan.commit_ms
        is_told = bool(self.outputs or self.waiting_outputs)
        return is_due and (self.dirty or is_told or self.rows.has_touched())

    def hurry(self) -> None:
        """See Stage."""
        self.committed_at_ms = 0
        self.hurried = True

    def _own_turn(self, now_ms: int) -> int:
        """When its latest turn began: boards commit in turn, for each holds the loop."""
        every_ms, boards = self.plan.commit_ms, self.plan.topics.deltas.partitions
        if not every_ms:
            return now_ms
        return now_ms - (now_ms + every_ms * self.partition // boards) % every_ms

    def cut(self, now_ms: int) -> Cut:
        """See Stage."""
        self.committed_at_ms = self._own_turn(now_ms)
        panes = (self._pane(*stored) for stored in self.rows.take_touched())
        writes: list[Write] = []
        for reference in sorted(self.learned):
            packed = _pack(self.reference.dump_one(reference))
            writes.append(self._state(_pack((_REFERENCE, *reference)), packed))
        self.learned.clear()
        told = self._cut_alerts(writes)
        self.dirty = False
        memory = {
            "numbers": self.numbers,
            "begun_ms": self.begun_ms,
            "sources": self.sources,
            "now_ms": self.rows.now_ms,
        }

        def committed() -> None:
            self.watch.committed()
            self.new_alerts.extend(told)

        return Cut(chain(writes, panes, self._cut_outputs()), memory, committed)

    def _pane(self, entity: Entity, resolution: str, pane: int, packed: bytes | None) -> Write:
        names = (entity.tenant, entity.kind, entity.id, entity.team)
        return self._state(_pack((_PANE, *names, resolution, pane)), packed)

    def _cut_alerts(self, writes: list[Write]) -> list[Alert]:
        told = []
        for key, alert in self.watch.take_changed().items():
            state = _pack(self.watch.states[key])
            writes.append(self._state(_pack((_ALERT, *key)), state))
            if alert is not None:
                told.append(alert)
                record_key, value = alert_record(alert)
                writes.append(Write(self.plan.topics.alerts.name, None, record_key, value))
        return told

    def _cut_outputs(self) -> Iterator[Write]:
        """The last of each view and leaderboard that was shown since the last commit."""
        outputs, self.outputs = self.outputs, {}
        for waiting in self._whose_turn():
            outputs[waiting] = self.waiting_outputs.pop(waiting)
        return map(self._output, outputs.values())

    def _output(self, shown: View | Leaderboard) -> Write:
        topics = self.plan.topics
        match shown:
            case View():
                topic, (key, value) = topics.metrics, view_record(shown)
            case Leaderboard():
                topic, (key, value) = topics.leaderboards, board_record(shown)
        return Write(topic.name, None, key, value)

    def _whose_turn(self) -> list[tuple[Any, ...]]:
        if self.hurried:
            self.hurried = False
            return list(self.waiting_outputs)
        self.turn = (self.turn + 1) % TURNS
        return [key for key in self.waiting_outputs if hash(key[0]) % TURNS == self.turn]

    def _state(self, key: bytes, value: bytes | None) -> Write:
        return Write(self.plan.topics.panes_changelog.name, self.partition, key, value)

    # --- time --------------------------------------------------------------------------------

    def _clock(self, now_ms: int) -> int:
        """Never past a wanted full tick that has not been taken, and there for a while."""
        if self.wanted_tick_ms is not None:
            return min(now_ms, self.wanted_tick_ms)
        held_ms = self.held_tick_ms
        if held_ms is not None and held_ms <= now_ms < held_ms + TICK_HOLDS_MS:
            return held_ms
        return now_ms

    def _advance(self, now_ms: int) -> None:
        """Time passes: panes enter and leave windows, waiting contacts pass the threshold."""
        rows = self.rows
        rows.now_ms = max(rows.now_ms, now_ms)
        end_ms = pane_end(rows.now_ms)
        if end_ms != self.pane_end_ms:
            if end_ms // COARSE_MS != self.pane_end_ms // COARSE_MS:
                rows.prune()
            self.pane_end_ms = end_ms
            rows.advance(rows.now_ms)
        rows.advance_some()
        if self.terms_end_ms is not None and rows.now_ms >= self.terms_end_ms:
            self._read_terms()
        if rows.now_ms - self.limits_at_ms >= LIMITS_EVERY_MS:
            self.limits_at_ms = rows.now_ms
            self._look_at_limits()

    def _look_at_limits(self) -> None:
        """Mark the queues in which another number waits beyond T, whom no event tells of."""
        for row in self.rows.queues:
            over = self._over_limit(row)
            if self.over_limit.get(row.entity, 0) != over:
                self.over_limit[row.entity] = over
                self.rows.mark(row)
                if row.floor is not None:
                    self.rows.mark(row.floor)

    def _over_limit(self, row: Row) -> int:
        """How many wait beyond T: the live service level changes with no event arriving."""
        limit_ms = self.rows.now_ms - row.terms.service_level_seconds * 1000
        waiting = row.windows.live.get(WAITING.number, NOTHING)
        if type(waiting) is Moments:
            return waiting.before(limit_ms)
        return sum(n for since, n in waiting.items() if since < limit_ms)

    # --- views out ---------------------------------------------------------------------------

    def tick(self, now_ms: int, *, agents: int | None = None) -> Update | None:
        """What changed since the last tick, as it stands at `now`; None when nothing did.

        `agents`: how many of agents and floor at most, None for all; the others wait. With 0 the
        leaderboards wait, too. Leaderboards are made of what agents were shown with.
        """
        self._advance(self._tick_time(now_ms))
        at = self._moment()
        whole, self.whole = self.whole, False
        if whole:
            agents = None
            for row in self.rows.all.values():
                self.rows.mark(row)
        changed = self.rows.take_changed(agents)
        self.ranking.changed(
            row for row, news in changed if row.entity.kind == "agent" and news & ~LIVE_SIDE
        )
        window = self.plan.agent_window
        views = [
            view for row, news in changed for view in views_of(row, news, at, window, whole=whole)
        ]
        boards = self._leaderboards(at, agents, whole=whole)
        alerts, self.new_alerts = self.new_alerts, []
        if whole:
            alerts = self.watch.active()
        if not (views or boards or alerts or whole):
            return None
        for view in views:
            is_often = view.part is None and view.entity.kind != "agent"
            into = self.outputs if is_often else self.waiting_outputs
            into[view.entity, view.window] = view
        self.outputs.update(
            ((board.tenant, board.scope, board.scope_id, board.name, board.window), board)
            for board in boards
        )
        return Update(self.partition, at.as_of_ms, views, boards, alerts, whole, self._status(at))

    def _leaderboards(self, at: Moment, agents: int | None, *, whole: bool) -> list[Leaderboard]:
        """Those whose turn it is; where agents are told some at a time, so are their teams."""
        ranking = self.ranking
        is_due = at.as_of_ms - self.boards_at_ms >= LEADERBOARDS_EVERY_MS
        if whole or (agents != 0 and is_due and not ranking.under_way):
            self.boards_at_ms = at.as_of_ms
            ranking.begin(self.rows, whole=whole)
        if agents == 0:
            return []
        return ranking.take(self.rows, at, None if agents is None else TEAMS_AT_ONCE)

    @property
    def has_waiting(self) -> bool:
        """Whether agents, the floor or leaderboards wait for another tick."""
        return bool(self.rows.waiting) or self.ranking.under_way

    def status(self, now_ms: int) -> Update:
        """That the shard is alive, with nothing changed."""
        self._advance(self._clock(now_ms))
        at = self._moment()
        status = self._status(at)
        return Update(self.partition, at.as_of_ms, (), (), (), whole=False, status=status)

    def _status(self, at: Moment) -> ShardStatus:
        return ShardStatus(
            at.as_of_ms, at.data_as_of_ms, at.order, dict(self.sources), events=self.events
        )

    def _tick_time(self, now_ms: int) -> int:
        """The moment of this tick; the wanted full tick when its moment has come."""
        now_ms = self._clock(now_ms)
        if now_ms == self.wanted_tick_ms:
            self.wanted_tick_ms, self.held_tick_ms = None, now_ms
            self.whole = True
        return now_ms

    def _moment(self) -> Moment:
        as_of_ms = self.rows.now_ms
        order = order_of(self.generation_ms, self.offset, as_of_ms)
        return Moment(self.partition, as_of_ms, self.data_as_of_ms, order)

    def repeat_whole(self) -> None:
        """The next tick shows everything: a sink has lost what it had."""
        self.whole = True

    @property
    def data_as_of_ms(self) -> int:
        """The latest event time of any source."""
        return max(self.sources.values(), default=0)
