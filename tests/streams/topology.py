"""The whole topology in memory: stages, a transactional log of records, and no broker.

It stands in for `streams.shard`: a flush is one atomic step that appends all writes and the
position; a crash loses everything since the last flush and loads again from the changelog.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from cc_stream.admit import Limits
from cc_stream.alerts import AlertLevels
from cc_stream.contracts import decode_one
from cc_stream.partitioner import partition_of
from cc_stream.reference import Terms
from cc_stream.report.collect import Collected, Reader
from cc_stream.simulate.outbox import Arrival
from cc_stream.topics import Topics, topics
from streams.board import Board, BoardPlan
from streams.floor import Agents, Calls, Copy, Plan
from streams.stage import POSITION_KEY
from tests.streams.kafka import Kept


class Seen:
    """Counts what the floor reports."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.unknown_fields = 0

    def decoded(self, _stage: str, _records: int, unknown_fields: int) -> None:
        self.unknown_fields += unknown_fields

    def verdicts(self, _stage: str, by_kind: Counter[str], refused: Counter[str]) -> None:
        self.kinds.update(by_kind)
        self.refused.update(refused)


class Shard:
    """A stage with its position, flushed in one step."""

    def __init__(self, world: "World", source: str, changelog: str, partition: int) -> None:
        self.world, self.source, self.changelog = world, source, changelog
        self.partition = partition
        self.crash()

    def crash(self) -> None:
        """Lose everything since the last flush; load from the changelog."""
        self.stage = self.world.stage(self.source, self.partition)
        self.next = 0
        last = {r.key: r.value for r in self.world.log(self.changelog, self.partition)}
        packed = last.pop(POSITION_KEY, None)
        if packed is not None:
            self.next, memory = msgspec.msgpack.decode(packed)
            items = ((key, value) for key, value in last.items() if value is not None)
            for _ in self.stage.restore(memory, items):
                pass
        self.stage.started(0, self.next)

    def deliver(self, count: int) -> int:
        """Apply the next records, at most `count`; how many there were."""
        records = self.world.log(self.source, self.partition)[self.next : self.next + count]
        if records:
            self.stage.apply(records)
            self.next = records[-1].offset + 1
        return len(records)

    def flush(self, now_ms: int) -> None:
        """Write everything in one step."""
        if not self.stage.is_dirty(now_ms):
            return
        cut = self.stage.cut(now_ms)
        for write in cut.writes:
            self.world.append(write.topic, write.partition, write.key, write.value, now_ms)
        position = msgspec.msgpack.encode((self.next, cut.memory))
        self.world.append(self.changelog, self.partition, POSITION_KEY, position, now_ms)
        cut.committed()


class World:
    """All topics and all shards."""

    def __init__(self, now_ms: int, terms: Terms | None = None, prefix: str = "cc") -> None:
        self.topics: Topics = topics(prefix)
        self.limits = Limits()
        self.seen = Seen()
        self.now_ms = now_ms
        self.terms = terms or Terms()
        self.logs: dict[tuple[str, int], list[Kept]] = {}
        names = self.topics
        self.shards = [
            Shard(self, source.name, changelog.name, partition)
            for source, changelog in (
                (names.reference, names.reference_changelog),
                (names.calls, names.contacts_changelog),
                (names.agents, names.agents_changelog),
                (names.deltas, names.panes_changelog),
            )
            for partition in range(source.partitions)
        ]

    def stage(self, source: str, partition: int) -> Any:
        plan = Plan(self.topics, self.limits, self.seen)
        if source == self.topics.calls.name:
            return Calls(plan, partition)
        if source == self.topics.agents.name:
            return Agents(plan, partition)
        if source == self.topics.reference.name:
            return Copy(plan, partition)
        board = BoardPlan(self.topics, self.terms, AlertLevels(), "60m", 10, 20, 0)
        return Board(board, partition, self.now_ms)

    def log(self, topic: str, partition: int) -> list[Kept]:
        return self.logs.setdefault((topic, partition), [])

    def append(
        self, topic: str, partition: int | None, key: bytes | None, value: bytes | None, ms: int
    ) -> None:
        if partition is None:
            partition = 0
        log = self.log(topic, partition)
        log.append(Kept(topic, partition, len(log), ms, key, value))

    def produce(self, arrivals: Iterable[Arrival]) -> int:
        """Put simulated arrivals on the event topics, with their arrival as broker time."""
        count = 0
        for arrival in arrivals:
            topic = getattr(self.topics, arrival.topic)
            partition = partition_of(arrival.key, topic.partitions)
            self.append(topic.name, partition, arrival.key, arrival.value, arrival.at_ms)
            count += 1
        return count

    def boards(self) -> list[Board]:
        return [shard.stage for shard in self.shards if isinstance(shard.stage, Board)]

    def settle(self) -> None:
        """Deliver and flush until nothing moves."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            moved = sum(shard.deliver(1_000) for shard in self.shards)
            for shard in self.shards:
                shard.flush(self.now_ms)
            if not moved:
                return
        raise AssertionError("the topology does not come to rest")

    def collect(self) -> Collected:
        """What the oracle reads from the same topics."""
        into = Collected(self.limits)
        for topic, take in ((self.topics.calls, "take_call"), (self.topics.agents, "take_agent")):
            for partition in range(topic.partitions):
                reader = Reader(into, (partition, topic.partitions))
                for record in self.log(topic.name, partition):
                    decoded, _ = decode_one(record.value, record.headers)
                    getattr(reader, take)(decoded, record.key, record.timestamp)
        return into
