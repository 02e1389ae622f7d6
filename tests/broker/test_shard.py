"""A shard on a real broker: fences, holes, lost records, a transaction all or nothing."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from cc_stream.dead_letters import dead_letter
from cc_stream.events import Refused
from cc_stream.local.kafka import KafkaServer
from streams.broker import Broker, read_partition
from streams.fetched import Fetched
from streams.owner import Owner
from streams.shard import Shard
from streams.stage import Cut, LossError, Record, Write, placed
from tests.broker.anew import make_anew
from tests.streams.installation import Unheard


class Sum:
    """A stage that adds up the numbers in its records."""

    name = "sum"
    data_as_of_ms = 0
    writes_to = ()

    def __init__(self, changelog: str) -> None:
        self.changelog = changelog
        self.total = 0
        self.seen: list[int] = []

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        for _, value in items:
            self.total = int(value)
            yield
        assert memory == {"total": self.total}

    def started(self, _generation_ms: int, _offset: int) -> None:
        self.seen.clear()

    def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            self.seen.append(record.offset)
            self.total += int(record.value or b"0")

    def bury(self, record: Record, _refused: Refused) -> None:
        self.seen.append(record.offset)

    def is_dirty(self, _now_ms: int) -> bool:
        return bool(self.seen)

    def hurry(self) -> None:
        """Nothing waits here."""

    def cut(self, _now_ms: int) -> Cut:
        write = Write(self.changelog, 0, b"total", str(self.total).encode())
        return Cut([write], {"total": self.total}, lambda: None)


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
            sent = await producer.send_and_wait(self.source, str(number).encode(), partition=0)
        if transactional is not None:
            await producer.commit_transaction()
            await self.marked(sent.offset)
        await producer.stop()

    async def marked(self, last: int) -> None:
        """Wait until the marker behind this offset is written: a commit is answered before."""
        consumer = self.broker.consumer()
        await consumer.start()
        async with asyncio.timeout(20):
            while await self._end(consumer) < last + 2:  # noqa: ASYNC110 - the broker has no event
                await asyncio.sleep(0.01)
        await consumer.stop()

    async def _end(self, consumer: AIOKafkaConsumer) -> int:
        return int((await consumer.end_offsets([self.tp]))[self.tp])

    async def delete_before(self, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.delete_records({self.tp: RecordsToDelete(before_offset=offset)})
        await admin.close()

    async def make_anew(self, *numbers: int) -> None:
        """Delete the source topic and make another of its name."""
        await make_anew(self.bootstrap, NewTopic(self.source, 1, 1))
        await self.produce(*numbers)

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
        await shard.feed(Fetched(records[:3], 0))
        await shard.feed(Fetched(records[1:5], 1))
        await shard.feed(Fetched(records[8:], 8))  # 5, 6 and 7 were fetched, and never came here
        assert isinstance(shard.stage, Sum)
        assert shard.stage.seen == list(range(10))
        assert total(shard) == sum(range(10))

    run(bench, work())


def test_a_shard_catches_up_while_much_lies_before_it_and_it_moves(
    kafka: KafkaServer, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(kafka, unique_name)
    monkeypatch.setattr("streams.shard.BACKLOG", 5)

    async def work() -> None:
        await bench.open(*range(10))
        shard, records = await bench.shard(), await bench.records()
        assert not shard.is_catching_up(), "nothing was fetched yet"
        await shard.feed(Fetched(records[:5], 0, 10))
        assert shard.is_catching_up()
        with monkeypatch.context() as patch:
            patch.setattr("streams.shard.IDLE_SECONDS", 0.0)
            assert not shard.is_catching_up(), "what lies before it may be markers"
        await shard.feed(Fetched(records[5:6], 5, 10))
        assert not shard.is_catching_up()

    run(bench, work())


def test_markers_are_no_hole(
    kafka: KafkaServer, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        await bench.open(1, 2)
        await bench.produce(3, transactional=unique_name)
        await bench.produce(4)
        shard, records = await bench.shard(), await bench.records()
        assert [r.offset for r in records] == [0, 1, 2, 4]
        monkeypatch.setattr(
            "streams.shard.read_partition", lambda *_: pytest.fail("a hole is read")
        )
        await shard.feed(Fetched(records[:3], 0))
        await shard.feed(Fetched(records[3:], 3))
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
        await old.feed(Fetched(records[:2], 0))
        await old.flush(0)
        await old.feed(Fetched(records[2:], 2))
        new = await bench.shard()
        assert (new.next, total(new)) == (2, 3)
        with pytest.raises(Exception):  # noqa: B017, PT011 - aiokafka says it in many ways
            await old.flush(0)
        await new.feed(Fetched(records, 0))
        await new.flush(0)
        third = await bench.shard()
        assert (third.next, total(third)) == (3, 6)

    run(bench, work())


async def counted_three(bench: Bench, *, of: int) -> Shard:
    """A shard that has committed the first three records of so many."""
    await bench.open(*range(of))
    records = await bench.records()
    shard = await bench.shard()
    await shard.feed(Fetched(records[:3], 0))
    await shard.flush(0)
    return shard


def test_records_that_were_deleted_unread_stop_the_shard(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        shard = await counted_three(bench, of=6)
        await bench.delete_before(5)
        with pytest.raises(LossError, match="records 3 to 5 were deleted"):
            await shard.verify()
        await shard.release()
        with pytest.raises(LossError, match="records 3 to 5 were deleted"):
            await bench.shard()

    run(bench, work())


def test_a_few_deleted_records_are_not_taken_for_markers(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        shard = await counted_three(bench, of=6)
        await bench.delete_before(5)
        # As the group's consumer goes on, which finds its position deleted.
        with pytest.raises(LossError, match="records 3 to 5 were deleted"):
            await shard.feed(Fetched(await bench.records(), 5))
        assert total(shard) == 0 + 1 + 2

    run(bench, work())


@pytest.mark.parametrize(
    ("written", "says"),
    [(1, "ends at 1, before position 3"), (9, "another record than was counted lies at 2")],
)
def test_a_topic_made_anew_stops_the_shard(
    kafka: KafkaServer, unique_name: str, written: int, says: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        shard = await counted_three(bench, of=3)
        await shard.verify()  # nothing was lost yet
        await bench.make_anew(*range(written))
        await shard.release()
        with pytest.raises(LossError, match=says):
            await bench.shard()

    run(bench, work())


def test_a_topic_made_anew_is_found_out_while_its_records_are_counted(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)

    async def work() -> None:
        shard = await counted_three(bench, of=3)
        await bench.make_anew(*range(9))
        await shard.feed(Fetched((await bench.records())[3:], 3))
        await shard.flush(0)
        with pytest.raises(LossError, match="another record than was counted lies at 2"):
            await shard.verify()
        await shard.release()
        # And ever after: the mark in the position is of the topic that was counted.
        with pytest.raises(LossError, match="another record than was counted lies at 2"):
            await bench.shard()

    run(bench, work())


class Fragile(Sum):
    """Fails on every thirteen, when it has counted it already."""

    def __init__(self, changelog: str) -> None:
        super().__init__(changelog)
        self.letters: list[Write] = []

    def apply(self, records: Sequence[Record]) -> None:
        super().apply(records)
        if any(record.value == b"13" for record in records):
            raise KeyError("13, and what else is in it")

    def bury(self, record: Record, refused: Refused) -> None:
        letter = dead_letter(refused, placed(record, "source", 0))
        self.letters.append(Write(self.changelog, 0, letter.key, letter.value, letter.headers))
        self.seen.append(record.offset)

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        totals = ((key, value) for key, value in items if key == b"total")
        yield from super().restore(memory, totals)

    def hurry(self) -> None:
        """Nothing waits here."""

    def cut(self, now_ms: int) -> Cut:
        cut = super().cut(now_ms)
        writes, self.letters = [*cut.writes, *self.letters], []
        return Cut(writes, cut.memory, cut.committed)


def test_of_a_batch_that_kills_the_stage_all_but_the_poison_is_counted(
    kafka: KafkaServer, unique_name: str
) -> None:
    bench = Bench(kafka, unique_name)
    numbers = [13 if index in {40, 200, 201} else 1 for index in range(300)]
    made: list[Shard] = []

    def make(tp: TopicPartition) -> Shard:
        shard = Shard(bench.broker, tp, bench.changelog, Fragile(bench.changelog), Unheard())
        made.append(shard)
        bench.shards.append(shard)
        return shard

    async def work() -> None:
        await bench.open(*numbers)
        records = await bench.records()
        owner = Owner(make, 1.0, {}, lambda _name: None)
        owner.assign([bench.tp])
        async with asyncio.timeout(60):
            while not (made[-1].live and made[-1].next == len(numbers)):
                await owner.feed(bench.tp, Fetched(records, 0))
                await asyncio.sleep(0.01)
        await owner.flush_all()
        assert total(made[-1]) == 297
        # The chunk, a sixteenth, one alone: and for the two behind it one less each, or two.
        assert len(made) <= 10
        changelog = TopicPartition(bench.changelog, 0)
        letters = [
            dict(record.headers)
            async for chunk in read_partition(bench.broker, changelog)
            for record in chunk
            if record.headers
        ]
        assert [letter["cc_offset"] for letter in letters] == [b"40", b"200", b"201"]
        assert {letter["cc_rule"] for letter in letters} == {b"poison"}
        assert {letter["cc_detail"] for letter in letters} == {b"KeyError"}

    run(bench, work())
