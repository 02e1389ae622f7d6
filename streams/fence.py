"""The fence around a shard: its former owner writes nothing more, and nothing of it is left open.

Kafka writes no marker, ever, into a partition that has no leader when a transaction is ended, and
takes it for ended all the same (KAFKA-20734; docs/decisions/0013). What lies there hangs until the
next marker of the same producer.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import Broker
from streams.producer import TaskFreeProducer

log: Final = logging.getLogger(__name__)

MARKER_SECONDS: Final = 5.0
"""How long a marker may take until it is written once more."""
LOOK_SECONDS: Final = 0.005


async def fence(
    broker: Broker, producer: TaskFreeProducer, changelog: TopicPartition, topics: Collection[str]
) -> Mapping[str, Collection[TopicPartition]]:
    """Start the producer of a shard, and abort in every partition that such a shard writes to.

    Waits until each of these has a leader. `changelog` is the partition to which it writes alone.
    Returns all that it may write to, by topic.

    Raises:
        KafkaError: the broker does not answer.
    """
    await producer.start()
    found = await asyncio.gather(*map(producer.partitions_for, topics))
    partitions = {
        topic: [TopicPartition(topic, number) for number in its]
        for topic, its in zip(topics, found, strict=True)
    }
    partitions[changelog.topic] = [changelog]
    everywhere = [partition for its in partitions.values() for partition in its]
    consumer = broker.consumer(isolation_level="read_uncommitted")
    await consumer.start()
    try:
        while True:
            ends = await consumer.end_offsets(everywhere)  # each has a leader that answers
            await producer.abort_in(everywhere)
            if await _has_grown(consumer, changelog, ends[changelog]):
                return partitions
            log.warning("%s-%d was given no marker: it is written again", *changelog)
    finally:
        await consumer.stop()


async def _has_grown(consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> bool:
    deadline = time.monotonic() + MARKER_SECONDS
    while time.monotonic() < deadline:
        if (await consumer.end_offsets([partition]))[partition] > end:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False
