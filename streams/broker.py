"""How shards reach Kafka, and how a partition is read to its end."""

import time
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from msgspec import Struct

from streams.producer import TaskFreeProducer
from streams.stage import LossError

LOAD_TIMEOUT_SECONDS: Final = 120.0
AT_ONCE: Final = 1_000
"""Records that are unpacked in one go, 1-3 ms: between two of them the loop serves others."""

Progress = Callable[[int, int], None]
"""Told how many offsets were read, and of how many."""


class Broker(Struct, frozen=True):
    """How shards reach Kafka. `security` may hold a password: never logged."""

    bootstrap: str
    app_id: str
    transaction_timeout_ms: int
    security: dict[str, Any]

    def consumer(
        self,
        max_partition_fetch_bytes: int = 4 << 20,
        isolation_level: str = "read_committed",
    ) -> "BareConsumer":
        """A consumer outside of the group, of committed records unless told else; not started."""
        return BareConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=isolation_level,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            fetch_max_wait_ms=50,
            **self.security,
        )

    def producer(self, shard: str) -> TaskFreeProducer:
        """The shard's transactional producer; not started. Starting it fences its predecessor."""
        return TaskFreeProducer(
            bootstrap_servers=self.bootstrap,
            transactional_id=f"{self.app_id}.{shard}",
            transaction_timeout_ms=self.transaction_timeout_ms,
            linger_ms=0,
            max_batch_size=1 << 20,
            max_request_size=8 << 20,
            request_timeout_ms=15_000,
            retry_backoff_ms=20,
            compression_type="zstd",
            **self.security,
        )


def _untold(_read: int, _total: int) -> None:
    """Nobody waits for it."""


async def read_partition(
    broker: Broker,
    tp: TopicPartition,
    start: int | None = None,
    stop: int | None = None,
    progress: Progress = _untold,
) -> AsyncIterator[list[Any]]:
    """Yield lists of committed records of `[start, stop)`, by default all that are there now.

    Raises:
        LossError: the partition begins after `start`.
        TimeoutError: nothing more came for LOAD_TIMEOUT_SECONDS.
    """
    consumer = broker.consumer()
    await consumer.start()
    try:
        async for records in _read(consumer, tp, start, stop, progress):
            yield records
    finally:
        await consumer.stop()


class Fetched(list[Any]):
    """Records, in order: there is no other from `begin` to the last of them.

    `end` is where the partition ended when the broker gave them, 0 if it is not known.
    """

    __slots__ = ("begin", "end")

    def __init__(self, records: Iterable[Any], begin: int, end: int = 0) -> None:
        super().__init__(records)
        self.begin = begin
        self.end = end


class BareConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # ships no types
    """A consumer whose records stay as the decoder made them: they do not know where they lay.

    A `ConsumerRecord` for each takes a third of the time of reading. Which records are committed
    is decided before this step. What is taken from it is `Fetched`.
    """

    async def start(self) -> None:
        """See aiokafka."""
        await super().start()
        self._fetcher._records = _Untaken(self._fetcher._records)  # noqa: SLF001 - held by test_load

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """See aiokafka."""
        self._ask_for_topics(partitions)
        offsets: dict[TopicPartition, int] = await super().beginning_offsets(partitions)
        return offsets

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """See aiokafka."""
        self._ask_for_topics(partitions)
        offsets: dict[TopicPartition, int] = await super().end_offsets(partitions)
        return offsets

    def _ask_for_topics(self, partitions: Collection[TopicPartition]) -> None:
        # aiokafka asks for one topic after the other, and waits for 100 ms in between.
        for topic in {partition.topic for partition in partitions}:
            self._client.add_topic(topic)


class _Untaken(dict[TopicPartition, Any]):
    """What was fetched, until it is taken."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        # Where the next that is taken of a partition begins, if it is read from this position on:
        # between the two lie markers of transactions, which nobody is given.
        self._follows: dict[TopicPartition, tuple[int, int]] = {}

    def __setitem__(self, tp: TopicPartition, fetched: Any) -> None:
        if type(fetched) is FetchResult:
            fetched._partition_records._consumer_record = _as_it_is  # noqa: SLF001 - a hook
            # Weak, else what is thrown away would stay until the garbage collector comes.
            fetched.getall = partial(self._take, tp, weakref.proxy(fetched))
        super().__setitem__(tp, fetched)

    def _take(self, tp: TopicPartition, fetched: Any, max_records: int) -> Fetched:
        """In the place of `FetchResult.getall`: nothing else moves the position meanwhile."""
        batches = fetched._partition_records  # noqa: SLF001 - a hook
        position, begin = self._follows.get(tp, (-1, 0))
        if batches.next_fetch_offset != position:
            begin = batches.next_fetch_offset
        end = fetched._assignment.state_value(tp).lso or 0  # noqa: SLF001 - what is committed
        records = Fetched(FetchResult.getall(fetched, max_records), begin, end)
        following = records[-1].offset + 1 if records else begin
        self._follows[tp] = batches.next_fetch_offset, following
        return records


def _as_it_is(_tp: TopicPartition, record: Any) -> Any:
    return record


async def _read(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    start: int | None,
    stop: int | None,
    progress: Progress,
) -> AsyncIterator[list[Any]]:
    first = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    if start is not None and start < first:
        message = f"{tp.topic}-{tp.partition}: records {start} to {first} were deleted"
        raise LossError(message)
    begin = first if start is None else start
    end = end if stop is None else min(end, stop)
    consumer.assign([tp])  # and seek at once: with an await between, aiokafka may reset it
    consumer.seek(tp, begin)
    deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
    while (position := await consumer.position(tp)) < end:
        progress(position - begin, end - begin)
        fetched = await consumer.getmany(tp, timeout_ms=200, max_records=AT_ONCE)
        for records in fetched.values():
            if records[-1].offset < end:
                yield records
            elif wanted := [record for record in records if record.offset < end]:
                yield wanted
        if await consumer.position(tp) > position:
            deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        elif time.monotonic() > deadline:
            message = f"reading {tp.topic}-{tp.partition} stands at {position} of {end}"
            raise TimeoutError(message)
