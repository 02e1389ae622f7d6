"""How shards reach Kafka, and how a partition is read to its end."""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Struct

from streams.stage import LossError

LOAD_TIMEOUT_SECONDS: Final = 120.0


class Broker(Struct, frozen=True):
    """How shards reach Kafka. `security` may hold a password: never logged."""

    bootstrap: str
    app_id: str
    transaction_timeout_ms: int
    security: dict[str, Any]

    def consumer(self, max_partition_fetch_bytes: int = 4 << 20) -> AIOKafkaConsumer:
        """A consumer outside of the group, of committed records only; not started."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            fetch_max_wait_ms=50,
            **self.security,
        )

    def producer(self, shard: str) -> AIOKafkaProducer:
        """The shard's transactional producer; not started. Starting it fences its predecessor."""
        return AIOKafkaProducer(
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


async def read_partition(
    broker: Broker, tp: TopicPartition, start: int | None = None, stop: int | None = None
) -> AsyncIterator[list[Any]]:
    """Yield lists of committed records of `[start, stop)`, by default all that are there now.

    Raises:
        LossError: the partition begins after `start`.
        TimeoutError: nothing more came for LOAD_TIMEOUT_SECONDS.
    """
    consumer = broker.consumer()
    await consumer.start()
    try:
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        if start is not None and start < first:
            message = f"{tp.topic}-{tp.partition}: records {start} to {first} were deleted"
            raise LossError(message)
        end = end if stop is None else min(end, stop)
        consumer.assign([tp])  # and seek at once: with an await between, aiokafka may reset it
        consumer.seek(tp, first if start is None else start)
        deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        while (position := await consumer.position(tp)) < end:
            for records in (await consumer.getmany(tp, timeout_ms=200)).values():
                wanted = [record for record in records if record.offset < end]
                if wanted:
                    yield wanted
            if await consumer.position(tp) > position:
                deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
            elif time.monotonic() > deadline:
                message = f"reading {tp.topic}-{tp.partition} stands at {position} of {end}"
                raise TimeoutError(message)
    finally:
        await consumer.stop()
