"""Kafka topics to complete logs, and to the last value of each key. Reads committed records only.

What is read is what lies there when the reading begins: each partition from its start to its end at
that moment, in offset order.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from cc_stream.admit import Limits
from cc_stream.contracts import decode_one
from cc_stream.errors import CcStreamError
from cc_stream.report.collect import Collected, Reader
from cc_stream.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SILENT_SECONDS: Final = 30.0
"""So long without a record before the end of a partition: the broker does not deliver."""
_FETCH_BYTES: Final = 4 << 20
_CHUNK: Final = 5_000

Told = Callable[[int, int], None]
"""Is told (offsets read, of all)."""
Security = Mapping[str, Any] | None
"""aiokafka's client options beside the address (`Settings.kafka_security`)."""


class ReadError(CcStreamError):
    """The topics cannot be read to their end."""


async def collect_topics(
    bootstrap: str,
    topics: Topics,
    limits: Limits,
    security: Security = None,
    told: Told | None = None,
) -> Collected:
    """The logs of the calls topic and of the agents topic, admitted as the floor admits them.

    Raises:
        ReadError: no broker, no such topic, or it does not deliver.
    """
    into = Collected(limits)
    calls, agents = topics.calls.name, topics.agents.name
    async with _consumer(bootstrap, (calls, agents), security) as (consumer, counts):
        readers = {
            TopicPartition(topic, index): Reader(into, (index, count))
            for topic, count in counts.items()
            for index in range(count)
        }
        async for partition, records in _committed(consumer, list(readers), told):
            reader = readers[partition]
            take = reader.take_call if partition.topic == calls else reader.take_agent
            for record in records:
                event = decode_one(record.value, record.headers)[0]
                take(event, record.key, record.timestamp, record)
    return into


async def last_values(bootstrap: str, topic: str, security: Security = None) -> dict[bytes, bytes]:
    """The last value of each key of an upsert topic; a key whose last value is none is left out.

    Raises:
        ReadError: no broker, no such topic, or it does not deliver.
    """
    values: dict[bytes, bytes] = {}
    async for records in records_of(bootstrap, topic, security):
        for record in records:
            if record.value is None:
                values.pop(record.key, None)
            else:
                values[record.key] = record.value
    return values


async def records_of(
    bootstrap: str, topic: str, security: Security = None, told: Told | None = None
) -> "AsyncIterator[list[Any]]":
    """All records of a topic (aiokafka's `ConsumerRecord`), in chunks of one partition each.

    Raises:
        ReadError: no broker, no such topic, or it does not deliver.
    """
    async with _consumer(bootstrap, (topic,), security) as (consumer, counts):
        partitions = [TopicPartition(topic, index) for index in range(counts[topic])]
        async for _, records in _committed(consumer, partitions, told):
            yield records


@asynccontextmanager
async def _consumer(
    bootstrap: str, topics: Sequence[str], security: Security
) -> "AsyncIterator[tuple[AIOKafkaConsumer, dict[str, int]]]":
    """A consumer without a group, and the number of partitions of each topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        **(security or {}),
    )
    try:
        await consumer.start()
        counts = await _partition_counts(bootstrap, topics, security)
        missing = [topic for topic in topics if topic not in counts]
        if missing:
            raise ReadError(f"topic {missing[0]} is not at {bootstrap}")
        yield consumer, counts
    except (KafkaError, OSError, TimeoutError) as error:
        raise ReadError(f"Kafka at {bootstrap}: {error or type(error).__name__}") from error
    finally:
        await consumer.stop()


async def _partition_counts(
    bootstrap: str, topics: Sequence[str], security: Security
) -> dict[str, int]:
    """The number of partitions of those of the topics that are there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **(security or {}))
    try:
        await admin.start()
        # All topics, because a broker may create a topic that is asked for by name.
        there = [topic for topic in topics if topic in await admin.list_topics()]
        described = await admin.describe_topics(there) if there else []
    finally:
        await admin.close()
    return {one["topic"]: len(one["partitions"]) for one in described}


async def _committed(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], told: Told | None
) -> "AsyncIterator[tuple[TopicPartition, list[Any]]]":
    """Chunks of each partition from its start to its end as it is now."""
    starts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    consumer.assign(partitions)  # and seek at once: with an await between, aiokafka may reset it
    for partition, start in starts.items():
        consumer.seek(partition, start)
    total = sum(ends[p] - starts[p] for p in partitions)
    left = {p for p in partitions if ends[p] > starts[p]}
    while left:
        chunks = await asyncio.wait_for(_next(consumer, left, ends), SILENT_SECONDS)
        for partition, records in chunks.items():
            kept = [record for record in records if record.offset < ends[partition]]
            if kept:
                yield partition, kept
        positions = {p: await consumer.position(p) for p in partitions}
        left = {p for p in left if positions[p] < ends[p]}
        consumer.pause(*(p for p in partitions if p not in left))
        if told is not None:
            told(sum(min(positions[p], ends[p]) - starts[p] for p in partitions), total)


async def _next(
    consumer: AIOKafkaConsumer, left: set[TopicPartition], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Any]]:
    """The next records, or none once a partition's end was reached: markers are no records."""
    while True:
        chunks = await consumer.getmany(*left, timeout_ms=200, max_records=_CHUNK)
        if chunks:
            return dict(chunks)
        for partition in left:
            if await consumer.position(partition) >= ends[partition]:
                return {}
