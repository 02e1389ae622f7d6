"""How shards reach Kafka, and how a partition is read to its end."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from streams.fetched import Untaken
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


class BareConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # ships no types
    """A consumer whose records stay as the decoder made them: they do not know where they lay.

    A `ConsumerRecord` for each takes a third of the time of reading. What is taken from it is
    `Fetched`; `getone` is not for it.
    """

    spacing: Callable[[], float] = staticmethod(lambda: 0.0)
    """How many seconds there are at least between two requests for records."""
    _asked_at = 0.0

    async def start(self) -> None:
        """See aiokafka."""
        await super().start()
        fetcher = self._fetcher
        fetcher._get_actions_per_node = partial(  # noqa: SLF001 - held by test_fetched
            self._spaced,
            fetcher._get_actions_per_node,  # noqa: SLF001
        )
        fetcher._records = Untaken(fetcher._records)  # noqa: SLF001 - see there

    def _spaced(self, find: Callable[[Any], tuple[Any, ...]], assignment: Any) -> tuple[Any, ...]:
        """What aiokafka's fetcher is to do now. A request too soon waits, not what it brings."""
        requests, resets, timeout, *more = find(assignment)
        if requests:
            now = time.monotonic()
            left = self._asked_at + self.spacing() - now
            if left > 0:
                return ([], resets, min(timeout, left), *more)
            self._asked_at = now
        return (requests, resets, timeout, *more)

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
