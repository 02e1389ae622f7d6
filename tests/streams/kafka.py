"""Kafka in memory, as far as shards rely on it: transactions, fences, markers, committed records.

A shard (`streams.shard`) runs on it as on the real one. What differs: nothing waits, every batch is
one partition's, and a fault happens when it is asked for.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from cc_stream.deltas import decode
from cc_stream.topics import Topics
from streams.load import Position
from streams.stage import POSITION_KEY


class Kept(NamedTuple):
    """One record of a partition."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Fault(Enum):
    """What happens to the next transaction. Its shard is told of a failure in each case but one."""

    SEND = "a batch does not arrive, the transaction stays open"
    COMMIT = "the commit does not arrive, the transaction stays open"
    ABORT = "the broker gives up the transaction"
    HANG = "the broker gives it up, and tells none of its partitions"
    UNKNOWN = "it is committed, and the answer is lost"
    UNMARKED = "it is committed, none of its partitions is told, and the shard goes on"


class Part:
    """What of a transaction is in one partition; `is_kept` None while it is open there."""

    def __init__(self, *, is_kept: bool | None = None) -> None:
        self.is_kept = is_kept


NO_TRANSACTION = Part(is_kept=True)


class Transaction:
    """Of one producer."""

    def __init__(self) -> None:
        self.parts: dict[TopicPartition, Part] = {}

    def part(self, tp: TopicPartition) -> Part:
        """Its part in a partition, which is of the transaction from now on."""
        return self.parts.setdefault(TopicPartition(tp.topic, tp.partition), Part())


class Partition:
    """A log; `begin` is where it begins since something was deleted."""

    def __init__(self) -> None:
        self.begin = 0
        self.log: list[tuple[Kept | None, Part]] = []
        self.begun: list[tuple[int, Part]] = []

    @property
    def stable(self) -> int:
        """The last stable offset: the first of an open transaction, or the end."""
        self.begun = [(offset, part) for offset, part in self.begun if part.is_kept is None]
        return self.begun[0][0] if self.begun else len(self.log)

    def committed(self, start: int, stop: int) -> list[Kept]:
        """What a reader of committed records sees of `[start, stop)`."""
        seen = self.log[max(start, self.begin) : min(stop, self.stable)]
        return [kept for kept, part in seen if kept is not None and part.is_kept]


class Kafka:
    """All partitions and all transactional ids. `broken`: promises that a commit did not keep."""

    def __init__(self, topics: Topics, now_ms: int) -> None:
        self.topics = topics
        self.now_ms = now_ms
        self.counts = {topic.name: topic.partitions for topic in topics}
        self.partitions: dict[TopicPartition, Partition] = {}
        self.epochs: Counter[str] = Counter()
        self.open: dict[str, Transaction] = {}
        self.hanging: dict[str, list[Transaction]] = {}
        self.fault: Fault | None = None
        self.broken: list[str] = []
        self._positions: dict[TopicPartition, int] = {}
        self._numbers: Counter[tuple[str, int]] = Counter()

    def of(self, tp: TopicPartition) -> Partition:
        """A partition; made when it is first asked for."""
        return self.partitions.setdefault(TopicPartition(tp.topic, tp.partition), Partition())

    def topic(self, name: str) -> list[Kept]:
        """All committed records of a topic, partition by partition."""
        places = [TopicPartition(name, number) for number in range(self.counts[name])]
        return [r for tp in places for r in self.of(tp).committed(0, len(self.of(tp).log))]

    def append(
        self,
        tp: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        part: Part = NO_TRANSACTION,
    ) -> None:
        """Put a record at the end of a partition, with the broker's time."""
        partition = self.of(tp)
        offset = len(partition.log)
        kept = Kept(tp.topic, tp.partition, offset, self.now_ms, key, value, tuple(headers))
        partition.log.append((kept, part))
        if part.is_kept is None and all(part is not begun for _, begun in partition.begun):
            partition.begun.append((offset, part))

    def end(self, transactional_id: str, *, keep: bool, marked: bool = True) -> None:
        """End an id's open transaction, if there is one: a marker in each of its partitions.

        Without markers it hangs, until another one of the same id is ended in the same partition.
        """
        transaction = self.open.pop(transactional_id, None)
        if transaction is None:
            return
        hanging = self.hanging.setdefault(transactional_id, [])
        hanging.append(transaction)
        if not marked:
            return
        for tp in list(transaction.parts):
            self.of(tp).log.append((None, NO_TRANSACTION))
            for part in [other.parts.pop(tp) for other in hanging if tp in other.parts]:
                part.is_kept = keep
                if keep:
                    self._check(tp, part)
        self.hanging[transactional_id] = [other for other in hanging if other.parts]

    def time_out(self) -> None:
        """End every transaction that was left open."""
        for transactional_id in list(self.open):
            self.end(transactional_id, keep=False)

    def _check(self, tp: TopicPartition, part: Part) -> None:
        """No position goes back, and batches of deltas are numbered without a gap."""
        for kept, of in self.of(tp).log:
            if of is not part or kept is None or kept.value is None:
                continue
            if kept.key == POSITION_KEY:
                self._check_position(tp, kept.value)
            elif tp.topic == self.topics.deltas.name:
                batch = decode(kept.value)
                place = (batch.source, tp.partition)
                self._numbers[place] += 1
                if batch.number != self._numbers[place]:
                    self.broken.append(f"{place}: batch {batch.number} follows")

    def _check_position(self, tp: TopicPartition, packed: bytes) -> None:
        following = msgspec.msgpack.decode(packed, type=Position).next
        if following < self._positions.get(tp, 0):
            self.broken.append(f"{tp}: the position goes back to {following}")
        self._positions[tp] = following


class Consumer:
    """What shards use of an `AIOKafkaConsumer`; records are read committed only."""

    def __init__(self, kafka: Kafka, *, committed: bool) -> None:
        self._kafka = kafka
        self._committed = committed
        self._position = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, _partitions: Sequence[TopicPartition]) -> None: ...
    def pause(self, _tp: TopicPartition) -> None: ...
    def resume(self, _tp: TopicPartition) -> None: ...

    async def beginning_offsets(
        self, places: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        return {tp: self._kafka.of(tp).begin for tp in places}

    async def end_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        partitions = {tp: self._kafka.of(tp) for tp in places}
        return {tp: of.stable if self._committed else len(of.log) for tp, of in partitions.items()}

    def seek(self, _tp: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, _tp: TopicPartition) -> int:
        return self._position

    async def getmany(
        self, tp: TopicPartition, *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, list[Kept]]:
        assert timeout_ms > 0
        partition = self._kafka.of(tp)
        records = partition.committed(self._position, partition.stable)[:max_records]
        self._position = records[-1].offset + 1 if records else partition.stable
        return {tp: records} if records else {}


class Batch:
    """What shards use of a batch builder."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> "Batch":
        self.records.append(record)
        return self


class Producer:
    """What shards use of a transactional `AIOKafkaProducer`."""

    def __init__(self, kafka: Kafka, transactional_id: str) -> None:
        self._kafka = kafka
        self._id = transactional_id
        self._epoch = 0

    async def start(self) -> None:
        self._kafka.end(self._id, keep=False)
        self._kafka.epochs[self._id] += 1
        self._epoch = self._kafka.epochs[self._id]

    async def stop(self) -> None: ...

    def add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        transaction = self._kafka.open.setdefault(self._id, Transaction())
        for tp in partitions:
            transaction.part(tp)

    async def abort_in(self, partitions: Iterable[TopicPartition]) -> None:
        self._check()
        self.add_partitions(partitions)
        self._kafka.end(self._id, keep=False)

    def _check(self) -> None:
        if self._epoch != self._kafka.epochs[self._id]:
            raise ProducerFenced

    async def begin_transaction(self) -> None:
        """Nothing is sent yet: a fenced producer does not learn of it here."""

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[None]":
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kafka = self._kafka
        if self._epoch != kafka.epochs[self._id]:
            sent.set_exception(ProducerFenced())
        elif kafka.fault is Fault.SEND:
            kafka.fault = None
            sent.set_exception(KafkaConnectionError())
        else:
            sent.set_result(None)
            transaction = kafka.open.setdefault(self._id, Transaction())
            for record in batch.records:
                tp = TopicPartition(topic, partition)
                part = transaction.part(tp)
                kafka.append(tp, record["key"], record["value"], record["headers"], part)
        return sent

    async def flush(self) -> None:
        """All was sent at once."""

    async def commit_transaction(self) -> None:
        self._check()
        fault, self._kafka.fault = self._kafka.fault, None
        if fault is not Fault.COMMIT:
            marked = fault not in {Fault.HANG, Fault.UNMARKED}
            self._kafka.end(self._id, keep=fault in {None, Fault.UNKNOWN}, marked=marked)
        if fault not in {None, Fault.UNMARKED}:
            raise KafkaConnectionError

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self._kafka.counts[topic]))


class MemoryBroker:
    """Stands in for `streams.broker.Broker`."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def consumer(
        self, max_partition_fetch_bytes: int = 1, isolation_level: str = "read_committed"
    ) -> Consumer:
        assert max_partition_fetch_bytes > 0
        return Consumer(self._kafka, committed=isolation_level == "read_committed")

    def producer(self, shard: str) -> Producer:
        return Producer(self._kafka, shard)
