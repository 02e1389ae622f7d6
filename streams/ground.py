"""What a shard stands on: whether the records it counted, and those it has yet to, are still there.

Offsets alone cannot tell a topic from one that was made anew under its name and has grown as far.
So a shard keeps a mark, the offset and broker time of a record that it has counted.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError
from msgspec import Struct

from streams.broker import Broker
from streams.stage import LossError

AGAIN_SECONDS: Final = 1.0
"""A broker that has just started may tell of an end that is too early: it is asked once more."""
READ_TIMEOUT_SECONDS: Final = 5.0


class Mark(Struct, frozen=True):
    """A record that was counted: no other topic has one of this time at this offset."""

    offset: int
    timestamp_ms: int


class Ground:
    """Asks the broker about one partition, over a connection of its own."""

    def __init__(self, broker: Broker, tp: TopicPartition) -> None:
        self.broker = broker
        self.tp = tp
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            KafkaError: the broker cannot be reached.
        """
        # One batch answers what is asked for: a single record.
        self._consumer = self.broker.consumer(max_partition_fetch_bytes=1)
        await self._consumer.start()
        self._consumer.assign([self.tp])
        self._consumer.pause(self.tp)

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def first(self) -> int:
        """The offset at which the partition begins now."""
        return int((await self._open().beginning_offsets([self.tp]))[self.tp])

    async def check_end(self, following: int) -> int:
        """The end of the partition, which still holds everything before `following`.

        Raises:
            LossError: it ends earlier.
        """
        if (end := await self._end()) < following:
            await asyncio.sleep(AGAIN_SECONDS)
            if (end := await self._end()) < following:
                message = f"the topic ends at {end}, before position {following}: made anew?"
                raise LossError(message)
        return end

    async def _end(self) -> int:
        return int((await self._open().end_offsets([self.tp]))[self.tp])

    async def check_mark(self, mark: Mark) -> None:
        """Make sure that the marked record is the one that was counted.

        A record that is not there proves nothing: retention or compaction took it.

        Raises:
            LossError: another record lies at its offset.
            TimeoutError: the broker did not tell.
        """
        if mark.offset < await self.first():
            return
        consumer = self._open()
        consumer.seek(self.tp, mark.offset)
        consumer.resume(self.tp)
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                while not (found := await consumer.getmany(self.tp, timeout_ms=100, max_records=1)):
                    continue
        finally:
            consumer.pause(self.tp)
        record = found[self.tp][0]
        if record.offset == mark.offset and record.timestamp != mark.timestamp_ms:
            message = f"another record than was counted lies at {mark.offset}: a topic made anew"
            raise LossError(message)

    async def has_record(self, begin: int, end: int) -> bool:
        """Whether `[begin, end)` holds a record, and not only markers of transactions.

        Raises:
            TimeoutError: the broker did not tell.
        """
        consumer = self._open()
        consumer.seek(self.tp, begin)
        consumer.resume(self.tp)
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                while await consumer.position(self.tp) < end:
                    if await consumer.getmany(self.tp, timeout_ms=100, max_records=1):
                        return True
        finally:
            consumer.pause(self.tp)
        return False

    def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise ConsumerStoppedError("the shard was let go while it looked at its topic")
        return self._consumer
