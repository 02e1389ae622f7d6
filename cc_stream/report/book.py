"""Numbers by row and moment, and their sums: the whole arithmetic of the report.

Nothing is kept ready: a window is the sum over its moments, a team the sum of its members, the
floor the sum of its queues and of its agents' time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter
from typing import Final

from cc_stream.counts import BUCKET_BITS, BUCKET_MASK, Vector, add_into
from cc_stream.events import AGENT_STATES
from cc_stream.facts import Attribution, Fact, StateTime
from cc_stream.metrics import SLOTS, agent_time
from cc_stream.metrics.agent_time import OPEN_STATES, STATE_BUCKET
from cc_stream.panes import Window
from cc_stream.tally import LIVE, Row, tally
from cc_stream.view import FLOOR_ID, Entity

_moment = itemgetter(0)
_start, _end = attrgetter("start"), attrgetter("end")
OPEN_SLOTS: Final = {
    slot.number: state for slot, state in zip(OPEN_STATES, AGENT_STATES, strict=True)
}
"""Slots of agents' open states, whose buckets are moments."""
_AGENT_TIME: Final = frozenset(slot.number for slot in agent_time.METRIC.slots)


class Book:
    """What the facts say, by row; `attribution` says at which moment."""

    def __init__(
        self, facts: Iterable[tuple[str, Fact]], attribution: Attribution = "event"
    ) -> None:
        self.moments: dict[Row, list[tuple[int, Vector]]] = {}
        self.times: dict[Row, list[StateTime]] = {}
        self.open: dict[Row, Vector] = {}
        for tenant, fact in facts:
            if isinstance(fact, StateTime):
                row: Row = ("agent", tenant, fact.agent, fact.team)
                self.times.setdefault(row, []).append(fact)
                continue
            moment, worth = tally(fact, tenant, attribution)
            for row, vector in worth:
                if moment == LIVE:
                    add_into(self.open.setdefault(row, {}), vector)
                else:
                    self.moments.setdefault(row, []).append((moment, vector))
        for moments in self.moments.values():
            moments.sort(key=_moment)
        for times in self.times.values():
            times.sort(key=_start)
        self.entities = self._entities()

    def _entities(self) -> dict[Entity, list[Row]]:
        """Each entity with the rows that it is the sum of."""
        entities: dict[Entity, list[Row]] = {}
        for row in sorted(self.moments.keys() | self.times.keys() | self.open.keys()):
            for entity in _entities_of(row):
                entities.setdefault(entity, []).append(row)
        return entities

    def of_kind(self, kind: str) -> list[Entity]:
        """The entities of a kind that anything is known of, in order."""
        return sorted((e for e in self.entities if e.kind == kind), key=_name)

    def earliest_ms(self) -> int | None:
        """The first moment of anything, also of a state that was told later; None of nothing."""
        moments = [moments[0][0] for moments in self.moments.values()]
        moments += [times[0].start for times in self.times.values()]
        moments += [
            key & BUCKET_MASK
            for vector in self.open.values()
            for key in vector
            if key >> BUCKET_BITS in OPEN_SLOTS
        ]
        return min(moments, default=None)

    def sum(self, entity: Entity, window: Window) -> Vector:
        """The sum over a window."""
        total: Vector = {}
        for row in self.entities.get(entity, ()):
            if _counts(entity, row):
                moments = self.moments.get(row, [])
                first = bisect_left(moments, window.start_ms, key=_moment)
                last = bisect_left(moments, window.end_ms, key=_moment)
                for _, vector in moments[first:last]:
                    add_into(total, vector)
            self._add_times(total, row, window)
        return total

    def sum_of_all(self, entity: Entity, window: Window) -> Vector:
        """The sum over all moments; of agents' time what lies in the window, which names it."""
        total: Vector = {}
        for row in self.entities.get(entity, ()):
            if _counts(entity, row):
                for _, vector in self.moments.get(row, []):
                    add_into(total, vector)
            self._add_times(total, row, window)
        return total

    def _add_times(self, total: Vector, row: Row, window: Window) -> None:
        # The states of one agent follow each other: sorted by start, they are sorted by end, too.
        times = self.times.get(row, [])
        first = bisect_right(times, window.start_ms, key=_end)
        last = bisect_left(times, window.end_ms, key=_start)
        for time in times[first:last]:
            overlap_ms = window.overlap_ms(time.start, time.end)
            add_into(total, {STATE_BUCKET[time.state]: overlap_ms})

    def live(self, entity: Entity) -> Vector:
        """The sum of what is open."""
        total: Vector = {}
        for row in self.entities.get(entity, ()):
            vector = self.open.get(row, {})
            if entity.kind == "floor":
                vector = {k: n for k, n in vector.items() if _is_of_floor(row, k >> BUCKET_BITS)}
            add_into(total, vector)
        return total

    def moments_of(self, entity: Entity) -> Iterator[int]:
        """When anything counts for an entity."""
        for row in self.entities[entity]:
            if _counts(entity, row):
                yield from map(_moment, self.moments.get(row, []))

    def times_of(self, entity: Entity) -> Iterator[StateTime]:
        """The closed states that count for an entity."""
        for row in self.entities[entity]:
            yield from self.times.get(row, [])


def _entities_of(row: Row) -> Iterator[Entity]:
    kind, tenant, name, *team = row
    yield Entity(tenant, kind, name, team[0] if team else None)
    if team:
        yield Entity(tenant, "team", team[0])
    if kind != "campaign":
        yield Entity(tenant, "floor", FLOOR_ID)


def _name(entity: Entity) -> tuple[str, str, str]:
    return entity.tenant, entity.id, entity.team or ""


def _counts(entity: Entity, row: Row) -> bool:
    """Whether a row's contacts count: on the floor they do by queue, not again by agent."""
    return entity.kind != "floor" or row[0] == "queue"


def _is_of_floor(row: Row, slot: int) -> bool:
    """Contacts by queue, agents' time by agent; what does not add up (staff of a queue) not."""
    return SLOTS[slot].adds_up if row[0] == "queue" else slot in _AGENT_TIME
