"""A shard on a real broker: fences, holes, lost records, a transaction all or nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from cc_stream.local.kafka import KafkaServer
from streams.broker import Broker, read_partition
from streams.shard import Shard
from streams.stage import Cut, LossError, Record, Write


class Sum:
    """A stage that adds up the numbers in its records."""

    name = "sum"
    data_as_of_ms = 0

    def __init__(self, changelog: str) -> None:
        self.changelog = changelog
        self.total = 0
        self.seen: list[int] = []

    def restore(self, _key: bytes, value: bytes) -> None:
        self.total = int(value)

    def resume(self, memory: dict[str, Any]) -> None:
        assert memory == {"total": self.total}

    def started(self, _generation_ms: int, _offset: int) -> None:
        self.seen.clear()

    def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            self.seen.append(record.offset)
            self.total += int(record.value or b"0")

    def is_dirty(self, _now_ms: int) -> bool:
        return bool(self.seen)

    def cut(self, _now_ms: int) -> Cut:
        write = Write(self.changelog, 0, b"total", str(self.total).encode())
        return Cut([write], {"total": self.total}, lambda: None)


class Unheard:
    """An observer that keeps nothing."""

    def chunk(self, shard: str, records: int) -> None: ...
    def flushed(self, shard: str, seconds: float, records: int) -> None: ...
    def transaction(self, shard: str, seconds: float) -> None: ...
    def loaded(self, shard: str, seconds: float, records: int) -> None: ...


class Bench:
    """A source topic with records, and shards on it."""

    def __init__(self, kafka: KafkaServer, name: str) -> None:
        self.bootstrap = kafka.bootstrap
        self.source, self.changelog = f"{name}-source", f"{name}-changelog"
        self.tp = TopicPartition(self.source, 0)
        self.broker = Broker(kafka.bootstrap, name, 10_000, {})
        self.shards: list[Shard] = []

    async def open(self, *numbers: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(t, 1, 1) for t in (self.source, self.changelog)])
        await admin.close()
        await self.produce(*numbers)

    async def produce(self, *numbers: int, transactional: str | None = None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, transactional_id=transactional
        )
        await producer.start()
        if transactional is not None:
            await producer.begin_transaction()
        for number in numbers:
            await producer.send_and_wait(self.source, str(number).encode(), partition=0)
        if transactional is not None:
            await producer.commit_transaction()
        await producer.stop()

    async def shard(self) -> Shard:
        shard = Shard(self.broker, self.tp, self.changelog, Sum(self.changelog), Unheard())
        self.shards.append(shard)
        await shard.acquire()
        return shard

    async def records(self) -> list[Any]:
        return [r async for chunk in read_partition(self.broker, self.tp) for r in chunk]

    async def close(self) -> None:
        for shard in self.shards:
            await shard.release()


def total(shard: Shard) -> int:
    assert isinstance(shard.stage, Sum)
    return shard.stage.total


def run(bench: Bench, work: Any) -> None:
    async def whole() -> None:
        try:
            await work
        finally:
            await bench.close()

    asyncio.run(whole())


def test_overlap_and_holes_are_the_shards_own_affair(kafka: KafkaServer, unique_name: str) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        await bench.open(*range(10))
        shard, records = await bench.shard(), await bench.records()
        await shard.feed(records[:3], None)
        await shard.feed(records[1:5], None)
        await shard.feed(records[8:], 7)  # 5, 6 and 7 were fetched, and never came here
        assert isinstance(shard.stage, Sum)
        assert shard.stage.seen == list(range(10))
        assert total(shard) == sum(range(10))

    run(bench, work())


def test_markers_are_no_hole(kafka: KafkaServer, unique_name: str) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        await bench.open(1, 2)
        await bench.produce(3, transactional=unique_name)
        await bench.produce(4)
        shard, records = await bench.shard(), await bench.records()
        assert [r.offset for r in records] == [0, 1, 2, 4]
        await shard.feed(records[:3], None)
        await shard.feed(records[3:], 2)
        assert total(shard) == 10

    run(bench, work())


def test_a_new_owner_fences_the_old_one_and_goes_on_where_it_committed(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        await bench.open(1, 2, 3)
        records = await bench.records()
        old = await bench.shard()
        await old.feed(records[:2], None)
        await old.flush(0)
        await old.feed(records[2:], 1)
        new = await bench.shard()
        assert (new.next, total(new)) == (2, 3)
        with pytest.raises(Exception):  # noqa: B017, PT011 - aiokafka says it in many ways
            await old.flush(0)
        await new.feed(records, None)
        await new.flush(0)
        third = await bench.shard()
        assert (third.next, total(third)) == (3, 6)

    run(bench, work())


def test_records_that_were_deleted_unread_stop_the_shard(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        await bench.open(1, 2, 3, 4)
        records = await bench.records()
        first = await bench.shard()
        await first.feed(records[:1], None)
        await first.flush(0)
        await first.release()
        admin = AIOKafkaAdminClient(bootstrap_servers=bench.bootstrap)
        await admin.start()
        await admin.delete_records({bench.tp: RecordsToDelete(before_offset=3)})
        await admin.close()
        with pytest.raises(LossError, match="records 1 to 3 were deleted"):
            await bench.shard()

    run(bench, work())
